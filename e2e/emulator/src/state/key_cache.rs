//! Keys of issuers that live elsewhere, fetched once.

use std::collections::HashMap;

use tokio::sync::Mutex;

use crate::state::jwt::{Jwk, Jwks};

/// By provider ARN.
#[derive(Debug, Default)]
pub(crate) struct KeyCache {
    fetched: Mutex<HashMap<String, Jwks>>,
}

impl KeyCache {
    /// The keys that may have signed a token with this `kid`; asks for them where none is held.
    pub(crate) async fn keys<E>(
        &self,
        provider_arn: &str,
        kid: Option<&str>,
        fetch: impl Future<Output = Result<Jwks, E>>,
    ) -> Result<Vec<Jwk>, E> {
        let mut fetched = self.fetched.lock().await;
        if let Some(jwks) = fetched.get(provider_arn) {
            let keys = jwks.matching(kid);
            if !keys.is_empty() {
                return Ok(keys);
            }
        }
        let jwks = fetch.await?;
        let keys = jwks.matching(kid);
        fetched.insert(provider_arn.to_owned(), jwks);
        Ok(keys)
    }
}
