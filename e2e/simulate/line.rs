//! A node's own line to the account: the next call for a value can be made to be throttled.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::Request;
use provider::http::{Answer, Broken, Transport};

use crate::account::{Account, is_sts};

#[derive(Debug)]
pub(crate) struct Line {
    account: Arc<Account>,
    throttle_next: AtomicBool,
}

impl Line {
    pub(crate) fn to(account: Arc<Account>) -> Arc<Self> {
        Arc::new(Self { account, throttle_next: AtomicBool::new(false) })
    }

    pub(crate) fn throttle_next(&self) {
        self.throttle_next.store(true, Relaxed);
    }
}

impl Transport for Line {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>> {
        let throttled = !is_sts(&request) && self.throttle_next.swap(false, Relaxed);
        self.account.take(request, throttled)
    }
}
