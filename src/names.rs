//! Alibaba Cloud's names, typed once: regions, resource names, role ARNs, and globs over them.

use std::{fmt, net::Ipv6Addr};

/// How region ids begin: those of Alibaba Cloud's list of regions, and Africa and South America, which
/// have none yet.
const AREAS: [&str; 9] = ["af", "ap", "cn", "eu", "me", "na", "rus", "sa", "us"];

/// A region id such as `cn-hangzhou`. It becomes part of a host name, so nothing else gets in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(String);

impl Region {
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        let plain = |part: &&str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        // What else may stand there is somebody's to own: kms-vpc.oss-cn-hangzhou.aliyuncs.com would be
        // a bucket of OSS, and get a signed request.
        let area = parts.first().is_some_and(|area| AREAS.contains(area));
        let valid = area && text.len() <= 40 && parts.len() >= 2 && parts.iter().all(plain);
        (valid && Self::of_zone(text).is_none()).then(|| Self(text.to_owned()))
    }

    /// Zones are a letter behind their region: `cn-hangzhou-b`, `ap-southeast-1a`.
    pub fn of_zone(text: &str) -> Option<&str> {
        let (rest, last) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let region = match rest.strip_suffix('-') {
            Some(region) => region,
            None => {
                let digits = rest.rsplit('-').next().unwrap_or_default();
                let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                number.then_some(rest)?
            }
        };
        (last.bytes().all(|b| b.is_ascii_lowercase()) && region.contains('-')).then_some(region)
    }

    /// The region that a text without one was meant to name, as far as that is certain.
    pub fn meant(text: &str) -> Option<Self> {
        const CITIES: [&str; 14] = [
            "beijing",
            "chengdu",
            "fuzhou",
            "guangzhou",
            "hangzhou",
            "heyuan",
            "hongkong",
            "huhehaote",
            "nanjing",
            "qingdao",
            "shanghai",
            "shenzhen",
            "wulanchabu",
            "zhangjiakou",
        ];
        let plain = text.trim().to_ascii_lowercase().replace(['_', ' '], "-");
        match CITIES.contains(&plain.as_str()) {
            true => Self::parse(&format!("cn-{plain}")),
            false => Self::parse(Self::of_zone(&plain).unwrap_or(&plain)),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `acs:kms:{region}:{account}:secret/{name}`: says which region's endpoint has the secret.
pub fn secret_arn_region(arn: &str) -> Result<Region, &'static str> {
    let parts: Vec<&str> = arn.splitn(5, ':').collect();
    let ["acs", service, region, account, resource] = parts.as_slice() else {
        return Err("is not of the form acs:kms:REGION:ACCOUNT:secret/NAME");
    };
    if *service != "kms" {
        return Err("is an ARN of another service than kms");
    }
    if !is_account(account) || resource.strip_prefix("secret/").is_none_or(str::is_empty) {
        return Err("is not of the form acs:kms:REGION:ACCOUNT:secret/NAME");
    }
    Region::parse(region).ok_or("has no valid region")
}

/// `acs:ram::{account}:role/{name}`
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleArn(String);

impl RoleArn {
    pub const FORM: &'static str = "acs:ram::ACCOUNT:role/NAME";

    pub fn parse(text: &str) -> Option<Self> {
        let (account, name) = text.strip_prefix("acs:ram::")?.split_once(":role/")?;
        (is_account(account) && is_role_name(name)).then(|| Self(text.to_owned()))
    }

    pub fn of(account: &str, name: &str) -> Option<Self> {
        Self::parse(&format!("acs:ram::{account}:role/{name}"))
    }

    /// Why a text is not one.
    pub fn problem(text: &str) -> &'static str {
        if text.trim() != text {
            return "it holds a blank at its start or end";
        }
        let Some(rest) = text.strip_prefix("acs:ram:") else {
            return match text.split_once(':') {
                None => "it is a role's name alone",
                Some(("arn", _)) => "it is an ARN of another cloud",
                Some(_) => "it is no ARN of RAM",
            };
        };
        match rest.strip_prefix(':').and_then(|rest| rest.split_once(':')) {
            None => "its account is not where it belongs",
            Some((account, _)) if !is_account(account) => "its account is not a number",
            Some((_, resource)) if !resource.starts_with("role/") => "it is no role's",
            Some(_) => "its role's name is empty, too long, or holds a character that no name has",
        }
    }

    /// Its account and its name.
    pub fn parts(&self) -> (&str, &str) {
        let parts = self.0.strip_prefix("acs:ram::").and_then(|rest| rest.split_once(":role/"));
        parts.unwrap_or_default()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `acs:ram::{account}:oidc-provider/{name}`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OidcProviderArn(String);

impl OidcProviderArn {
    pub const FORM: &'static str = "acs:ram::ACCOUNT:oidc-provider/NAME";

    pub fn parse(text: &str) -> Option<Self> {
        let (account, name) = text.strip_prefix("acs:ram::")?.split_once(":oidc-provider/")?;
        (is_account(account) && is_role_name(name)).then(|| Self(text.to_owned()))
    }

    /// The provider that ACK registers for a cluster.
    pub fn of_cluster(account: &str, cluster: &str) -> Option<Self> {
        Self::parse(&format!("acs:ram::{account}:oidc-provider/ack-rrsa-{cluster}"))
    }

    pub fn account(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A host as URLs have it: an IPv6 address in brackets, which may be there already.
pub fn url_host(host: &str) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    }
}

/// A pattern in which `*` stands for any text and `?` for one character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while let Some(byte) = text.get(t) {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(b'?') => (p, t) = (p + 1, t + 1),
                Some(same) if same == byte => (p, t) = (p + 1, t + 1),
                _ => match star {
                    Some((at, from)) => {
                        star = Some((at, from + 1));
                        (p, t) = (at + 1, from + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern.iter().skip(p).all(|byte| *byte == b'*')
    }
}

/// The account that an ARN of one belongs to.
pub fn account(arn: &str) -> Option<&str> {
    let account = arn.strip_prefix("acs:")?.split(':').nth(2)?;
    is_account(account).then_some(account)
}

fn is_account(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// RAM allows 1 to 64 of these in a role's name; a provider's name has up to 128.
fn is_role_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@');
    (1..=128).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests;
