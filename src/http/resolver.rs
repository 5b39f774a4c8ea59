//! Resolver of the connector: the operator's addresses first, then names as this machine knows them.

use std::{
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;

use super::{
    FixedAddresses,
    dns::{Dns, NameError},
    fixed_address,
};

#[derive(Clone, Debug)]
pub(super) struct Resolver {
    fixed: Arc<FixedAddresses>,
    dns: Arc<Dns>,
}

impl Resolver {
    pub(super) fn new(fixed: Arc<FixedAddresses>) -> Self {
        Self { fixed, dns: Dns::of_system() }
    }
}

impl tower::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NameError;
    type Future = BoxFuture<'static, Result<Self::Response, NameError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NameError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let fixed = fixed_address(&self.fixed, name.as_str()).map(|address| vec![address]);
        let dns = self.dns.clone();
        Box::pin(async move {
            if let Some(fixed) = fixed {
                return Ok(fixed.into_iter());
            }
            let addresses = dns.lookup(name.as_str()).await?;
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(addresses.collect::<Vec<_>>().into_iter())
        })
    }
}
