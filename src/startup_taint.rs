//! Startup taint: keeps pods off a node until the provider there serves, which then removes it, once.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use crate::{
    identity::api_server::{ApiServer, Refused, Removal},
    retry::{backoff, retry},
};

/// How often it is seen whether mounts can be served.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Every node of a cluster does it, and an API server that is away comes back to all of them: up to a
/// minute, twelve times what one call waits.
const PATIENCE: u32 = 12;

#[derive(Debug)]
pub struct StartupTaint {
    api: Arc<ApiServer>,
    /// The one that this process runs on.
    node: String,
    key: String,
}

impl StartupTaint {
    pub fn new(api: Arc<ApiServer>, node: String, key: String) -> Self {
        Self { api, node, key }
    }

    /// Ends once the node is without it. `unready`: why mounts cannot be served; nothing once they can.
    pub async fn remove<F: Future<Output = Vec<String>>>(self, unready: impl Fn() -> F) {
        let unready = &unready;
        retry((), |(), _| async move {
            match unready().await.is_empty() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(((), LOOK_EVERY)),
            }
        })
        .await;
        let Self { node, key, api } = &self;
        let told = None;
        retry(told, |told, attempts| async move {
            match api.remove_taint(node, key).await {
                Ok(Removal::Removed) => {
                    tracing::info!(node, key, "mounts can be served: the startup taint is removed");
                    ControlFlow::Break(())
                }
                Ok(Removal::Absent) => {
                    tracing::info!(node, key, "the node has no startup taint");
                    ControlFlow::Break(())
                }
                Err((verb, refused)) => {
                    let why = why(verb, &refused, api.address());
                    if told.as_ref() != Some(&why) {
                        tracing::warn!(
                            node,
                            key,
                            why,
                            "the startup taint is not removed; tried again"
                        );
                    }
                    ControlFlow::Continue((Some(why), PATIENCE * backoff(attempts)))
                }
            }
        })
        .await;
    }
}

/// With what to do about it, where that is known.
fn why(verb: &str, refused: &Refused, address: &str) -> String {
    match refused {
        Refused::Status(403) => format!(
            "{verb} on the node is forbidden: the provider's ClusterRole must allow get and patch on nodes \
             (chart: startupTaint.remove), and admission policies must let it through"
        ),
        Refused::Absent => {
            "there is no such node: NODE_NAME must be the name of this pod's node".to_owned()
        }
        refused => format!("{verb}: {}", refused.why(address)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;
    use crate::sync::lock;

    /// Nobody listens there.
    fn taint() -> StartupTaint {
        let api = ApiServer::at("http://127.0.0.1:1").unwrap();
        StartupTaint::new(api.into(), "node-1".to_owned(), "a/b".to_owned())
    }

    /// For how long it is seen that mounts cannot be served, and what was asked then.
    #[tokio::test(start_paused = true)]
    async fn node_is_not_looked_at_before_mounts_can_be_served() {
        let begun = Instant::now();
        let looks = Mutex::new(Vec::new());
        let removing = taint().remove(|| {
            lock(&looks).push(begun.elapsed().as_secs());
            async { vec!["cannot connect to the socket".to_owned()] }
        });
        let minute = Duration::from_millis(59_500);
        assert!(tokio::time::timeout(minute, removing).await.is_err());
        assert_eq!(*lock(&looks), (0..60).collect::<Vec<_>>());
    }

    #[test]
    fn refusals_say_what_is_missing() {
        let why = |verb, refused| why(verb, &refused, "10.0.0.1:443");
        assert_eq!(
            why("patch", Refused::Status(403)),
            "patch on the node is forbidden: the provider's ClusterRole must allow get and patch on nodes \
             (chart: startupTaint.remove), and admission policies must let it through"
        );
        assert!(why("get", Refused::Absent).contains("NODE_NAME"));
        assert_eq!(
            why("get", Refused::Status(500)),
            "get: the API server at 10.0.0.1:443 answered HTTP 500"
        );
        assert_eq!(
            why("get", Refused::Unanswered("connection refused")),
            "get: the API server at 10.0.0.1:443: connection refused"
        );
    }
}
