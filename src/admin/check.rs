//! Liveness check: a `Version` call through the socket's path, as the driver would make it. One a
//! second answers all probes, whatever comes to the port.

use std::{
    error::Error as _,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use tokio::{
    net::UnixStream,
    time::{self, Instant},
};
use tonic::transport::{Endpoint, Uri};

use crate::{
    pb::{VersionRequest, csi_driver_provider_client::CsiDriverProviderClient},
    singleflight::{Group, Waited},
    sync::lock,
};

/// How long an outcome answers other probes.
const HOLDS: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);

type Outcome = Result<(), String>;

#[derive(Debug)]
pub(super) struct Check {
    socket: PathBuf,
    in_flight: Arc<Group<(), Outcome>>,
    last: Arc<Mutex<Option<(Instant, Outcome)>>>,
}

impl Check {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket, in_flight: Arc::default(), last: Arc::default() }
    }

    /// The outcome of this moment's check, or why there is none.
    pub(super) async fn outcome(&self) -> Outcome {
        if let Some((at, outcome)) = &*lock(&self.last)
            && at.elapsed() < HOLDS
        {
            return outcome.clone();
        }
        let (waiter, leader) = self.in_flight.join(());
        if let Some(leader) = leader {
            let (socket, last) = (self.socket.clone(), self.last.clone());
            // By itself: a probe that goes away takes no other's answer with it.
            tokio::spawn(async move {
                let outcome = version(&socket).await.map(drop);
                *lock(&last) = Some((Instant::now(), outcome.clone()));
                leader.complete(outcome);
            });
        }
        match waiter.until(Instant::now() + TIMEOUT + HOLDS).await {
            Waited::Completed(outcome) => outcome,
            Waited::TimedOut(_) | Waited::Lost => Err("the check did not end".to_owned()),
        }
    }
}

/// Name and version of the program that answers, over a connection of its own.
pub(crate) async fn version(path: &Path) -> Result<(String, String), String> {
    let call = async {
        let socket = path.to_owned();
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await
            .map_err(|error| format!("cannot connect to {}: {}", path.display(), chain(&error)))?;
        let request = VersionRequest { version: "v1alpha1".to_owned() };
        CsiDriverProviderClient::new(channel)
            .version(request)
            .await
            .map(|answer| {
                let answer = answer.into_inner();
                (answer.runtime_name, answer.runtime_version)
            })
            .map_err(|status| format!("Version answered {}: {}", status.code(), status.message()))
    };
    time::timeout(TIMEOUT, call).await.unwrap_or_else(|_elapsed| {
        Err(format!("no answer through {} in {} s", path.display(), TIMEOUT.as_secs()))
    })
}

fn chain(error: &tonic::transport::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string cannot fail.
        write!(text, ": {cause}").unwrap_or_default();
        source = cause.source();
    }
    text
}
