//! Who sent a request, for which pod and SecretProviderClass: what all that is reported about the
//! mount begins with.

use super::Pod;
use crate::{limits, text::quoted};

/// The constant path that the sync controller sends, which mounts nothing (its `providerclient`).
const SYNC_TARGET: &str = "/mnt/secrets-store";

/// As far as it could be read, whatever else is wrong with the request.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub pod: Option<Pod>,
    /// The SecretProviderClass's name, in the pod's namespace; in quotes if it is no Kubernetes name.
    pub class: Option<String>,
    pub via: Option<Via>,
}

/// Who asks on the pod's behalf: one of the two programs that speak the driver's protocol, or nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    Driver,
    /// secrets-store-sync-controller: the pod is the controller's own.
    SyncController,
    /// The pod itself, with this program in a container of its own.
    Sidecar,
}

impl Via {
    pub fn name(self) -> &'static str {
        match self {
            Via::Driver => "driver",
            Via::SyncController => "sync",
            Via::Sidecar => "sidecar",
        }
    }
}

impl Caller {
    /// The driver always sends the class that it looked up. The sync controller sends none: what is
    /// under the name there is a parameter that an author wrote.
    pub(super) fn of(class: Option<&str>, target_path: &str) -> Self {
        let class = class.filter(|_| target_path != SYNC_TARGET);
        let via = if class.is_some() { Via::Driver } else { Via::SyncController };
        Self { pod: None, class: class.map(shown), via: Some(via) }
    }

    pub fn sidecar(class: &str, pod: Option<Pod>) -> Self {
        Self { pod, class: Some(shown(class)), via: Some(Via::Sidecar) }
    }

    /// What a message begins with, where the class is known.
    pub fn prefix(&self) -> String {
        match (&self.class, &self.pod) {
            (Some(class), Some(pod)) if !pod.namespace.is_empty() => {
                format!("SecretProviderClass {}/{class}: ", pod.namespace)
            }
            (Some(class), _) => format!("SecretProviderClass {class}: "),
            (None, _) => String::new(),
        }
    }
}

fn shown(class: &str) -> String {
    if is_name(class) { class.to_owned() } else { quoted(class) }
}

/// Whether it is a name as Kubernetes has them for namespaces, pods, ServiceAccounts and classes.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    (1..=limits::DNS_NAME).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "/var/lib/kubelet/pods/uid/volumes/kubernetes.io~csi/v/mount";

    #[test]
    fn class_is_named_and_escaped_unless_it_is_a_kubernetes_name() {
        let pod = Pod {
            namespace: "shop".to_owned(),
            name: "web-1".to_owned(),
            uid: String::new(),
            service_account: "web".to_owned(),
        };
        let prefix = |class: &str| {
            let caller = Caller::of(Some(class), TARGET);
            assert_eq!(caller.via, Some(Via::Driver));
            Caller { pod: Some(pod.clone()), ..caller }.prefix()
        };
        assert_eq!(prefix("checkout"), "SecretProviderClass shop/checkout: ");
        assert_eq!(prefix("a\u{202e}b"), "SecretProviderClass shop/\"a\\u{202e}b\": ");
        let long = prefix(&"x".repeat(1 << 20));
        assert!(long.len() < 200, "{}", long.len());
        assert_eq!(Caller::of(Some("c"), TARGET).prefix(), "SecretProviderClass c: ");
    }

    #[test]
    fn sidecar_outside_kubernetes_names_its_class_alone() {
        let prefix = |pod| Caller::sidecar("checkout", Some(pod)).prefix();
        assert_eq!(prefix(Pod::host("ecs-1".to_owned())), "SecretProviderClass checkout: ");
        let text = |text: &str| text.to_owned();
        let pod = Pod::named(text("shop"), text("web-1"), text("u"), text("web")).unwrap();
        assert_eq!(prefix(pod), "SecretProviderClass shop/checkout: ");
        assert!(Pod::named(text("shop"), text("Web 1"), text("u"), text("web")).is_none());
        assert!(Pod::named(text("shop"), text("web-1"), text("u/1"), text("web")).is_none());
    }

    #[test]
    fn sync_controller_is_known_by_its_path_or_by_the_class_it_does_not_send() {
        for (class, target) in [(None, TARGET), (None, SYNC_TARGET), (Some("forged"), SYNC_TARGET)]
        {
            let caller = Caller::of(class, target);
            assert_eq!(
                (caller.via, caller.class),
                (Some(Via::SyncController), None),
                "{class:?} {target}"
            );
        }
    }
}
