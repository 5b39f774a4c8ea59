//! System policies: Alibaba Cloud's own, known here by their names alone. All of them are for every resource.

/// What the name says that one allows.
pub(super) enum Known {
    /// These actions at least, on every resource.
    Allows(&'static [&'static str]),
    /// Whether values can be read with it, its name does not say.
    Unclear,
}

pub(super) fn known(name: &str) -> Option<Known> {
    Some(match name {
        "AdministratorAccess" => Known::Allows(&["*"]),
        "AliyunKMSFullAccess" => Known::Allows(&["kms:*"]),
        "AliyunKMSSecretUserAccess" => Known::Allows(&["kms:GetSecretValue"]),
        "AliyunOOSFullAccess" => Known::Allows(&["oos:*"]),
        "AliyunSTSAssumeRoleAccess" => Known::Allows(&["sts:AssumeRole"]),
        _ if is_name(name) => Known::Unclear,
        _ => return None,
    })
}

/// Whether it looks like one, such as `AliyunKMSReadOnlyAccess`.
fn is_name(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain && name.starts_with("Aliyun") && name.ends_with("Access")
}
