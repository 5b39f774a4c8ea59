//! Session names: who it was, as ActionTrail shows it.

use crate::{cloud::sign, limits, request::Pod};

/// Tells namespace, ServiceAccount and, unless it is shared, pod, within STS's
/// `[A-Za-z0-9.@_-]{2,64}`. Names have no `@`, so two pods cannot have one name; what is cut is stood
/// for by a hash. Outside Kubernetes it tells the host.
pub(super) fn session_name(pod: &Pod, shared: bool) -> String {
    /// 80 bits: no two pods have one name by chance, nor by trying.
    const HASH: usize = 20;
    let Pod { namespace, service_account, name, .. } = pod;
    let full = match shared {
        _ if namespace.is_empty() => format!("host@{name}"),
        true => format!("{namespace}@{service_account}"),
        false => format!("{namespace}@{service_account}@{name}"),
    };
    let clean: String = full
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "@.-_".contains(c) { c } else { '_' })
        .collect();
    if clean.len() <= limits::SESSION_NAME && clean == full {
        return clean;
    }
    let hash: String = sign::sha256_hex(full.as_bytes()).chars().take(HASH).collect();
    let kept: String = clean.chars().take(limits::SESSION_NAME - HASH - 1).collect();
    format!("{kept}_{hash}")
}
