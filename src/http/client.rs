//! HTTP client: a pool of connections under one trust, closed once it is idle.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::{
    client::legacy::Client as Pool,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::RootCertStore;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Answer, Broken, ConnectionError, FixedAddresses, IDLE_TIMEOUT, Proxy, Transport,
    connector::{Connector, reason},
    tls::tls,
};
use crate::{idle::InFlight, secret::Secret, sync::lock};

/// Ten parameters of 4 KiB, or one secret of 30 KiB in base64, with room to spare.
const MAX_BODY_BYTES: usize = 1 << 20;
/// A connection on which calls wait and nothing arrives is asked whether it lives, and dropped before
/// the calls on it have to be given up.
const PING_AFTER: Duration = Duration::from_secs(4);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections under one trust. Once they come to rest they are closed, since their buffers hold
/// what was last read, and the next ones stand ready.
#[derive(Debug)]
pub struct Client {
    current: Arc<Mutex<Arc<Generation>>>,
    keeper: OnceLock<AbortOnDropHandle<()>>,
}

/// The connections from one rest to the next.
#[derive(Debug)]
struct Generation {
    pool: Pool<Connector, Full<Bytes>>,
    connector: Connector,
    in_flight: InFlight,
}

impl Transport for Client {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>> {
        Box::pin(self.send(request))
    }
}

impl Client {
    /// Speaks HTTPS alone.
    pub fn secure(
        roots: RootCertStore,
        resolve: Arc<FixedAddresses>,
        proxy: Option<Arc<Proxy>>,
    ) -> Result<Self, String> {
        Ok(Self::over(Connector::new(tls(roots)?, resolve, proxy, false)))
    }

    /// Speaks plain HTTP where the URL says so, and never through a proxy.
    pub fn plain_too(roots: RootCertStore) -> Result<Self, String> {
        Ok(Self::over(Connector::new(tls(roots)?, Arc::default(), None, true)))
    }

    /// One attempt, without a time limit of its own.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
        let generation = lock(&self.current).clone();
        let _under_way = generation.in_flight.begin();
        let keeper = || AbortOnDropHandle::new(tokio::spawn(keep(self.current.clone())));
        self.keeper.get_or_init(keeper);
        let response = generation.pool.request(request).await.map_err(|error| reason(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                return Broken::TooLarge;
            }
            Broken::Connection(ConnectionError::BrokeWithinAnswer)
        })?;
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: Secret::new(body.to_bytes().to_vec()),
        })
    }

    fn over(connector: Connector) -> Self {
        let current = Arc::new(Mutex::new(Arc::new(Generation::new(connector))));
        Self { current, keeper: OnceLock::new() }
    }
}

impl Generation {
    fn new(connector: Connector) -> Self {
        let pool = Pool::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector.clone());
        Self { pool, connector, in_flight: InFlight::default() }
    }
}

/// Puts each generation away once it has come to rest, and readies the next.
async fn keep(current: Arc<Mutex<Arc<Generation>>>) {
    loop {
        let Generation { connector, in_flight, .. } = &*lock(&current).clone();
        if timeout(IDLE_TIMEOUT, in_flight.begun()).await.is_err() {
            connector.forget_old();
        }
        in_flight.idle().await;
        connector.forget_old();
        connector.connect_ahead().await;
        *lock(&current) = Arc::new(Generation::new(connector.next()));
    }
}

#[cfg(test)]
mod tests;
