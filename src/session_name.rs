//! Session names: who it was, as ActionTrail shows it.

use crate::{digest, limits, request::Pod};

/// Tells namespace, ServiceAccount and, unless it is shared, pod, within STS's
/// `[A-Za-z0-9.@_-]{2,64}`. Names have no `@`, so two pods cannot have one name; what is cut is stood
/// for by a hash. Outside Kubernetes it tells the host.
pub fn session_name(pod: &Pod, shared: bool) -> String {
    /// 80 bits in hexadecimal: no two pods have one name by chance, nor by trying.
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
    let hash = digest::sha256(full.as_bytes());
    let hash: String = hash.iter().take(HASH / 2).map(|byte| format!("{byte:02x}")).collect();
    let kept: String = clean.chars().take(limits::SESSION_NAME - HASH - 1).collect();
    format!("{kept}_{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, service_account: &str, name: &str) -> Pod {
        let own = str::to_owned;
        Pod {
            namespace: own(namespace),
            name: own(name),
            uid: String::new(),
            service_account: own(service_account),
        }
    }

    #[test]
    fn session_names_tell_the_pod_and_stay_apart() {
        let session_name = |pod| session_name(&pod, false);
        assert_eq!(session_name(pod("shop", "web", "web-1")), "shop@web@web-1");
        assert_eq!(super::session_name(&pod("shop", "web", "web-1"), true), "shop@web");
        assert_eq!(session_name(Pod::host("i".to_owned())), "host@i");
        let long =
            |tail: &str| session_name(pod("shop", "web", &format!("{}{tail}", "x".repeat(80))));
        let pod_of = |length: usize| pod("shop", "web", &"x".repeat(length));
        assert_eq!(long("a").len(), 64);
        assert_ne!(long("a"), long("b"));
        assert!(long("a").starts_with("shop@web@xxx"));
        let name = |pod: usize| session_name(pod_of(pod));
        // As long as STS takes it, and one more.
        assert_eq!(name(64 - 9), format!("shop@web@{}", "x".repeat(64 - 9)));
        let cut = name(64 - 8);
        assert!(cut.len() == 64 && cut.chars().nth(43) == Some('_'), "{cut}");
        let odd = session_name(pod("shöp", "w b", "p"));
        assert!(odd.chars().all(|c| c.is_ascii_alphanumeric() || "@.-_".contains(c)), "{odd}");
        assert_ne!(odd, session_name(pod("shäp", "w b", "p")));
    }

    /// What is cut has the SHA-256 of the whole behind it: names stay the same from one version to the next.
    #[test]
    fn cut_session_name_ends_with_the_hash_of_the_whole() {
        let name = super::session_name(&pod("shop", "web", &"x".repeat(80)), false);
        assert!(name.ends_with("_6911f7d912f336fb4ce9"), "{name}");
    }
}
