//! OIDC providers: which tokens STS takes, and where it finds the issuers' keys.

use std::collections::HashMap;

use tokio::sync::Mutex;

use crate::net::fetch;
use crate::services::error::ApiError;
use crate::state::clock::Clock;
use crate::state::config::{Config, OidcProvider};
use crate::state::jwt::{Claims, Jwk, Jwks, Token, TokenIssuer};

/// Keys of issuers that live elsewhere, by provider ARN.
#[derive(Debug, Default)]
pub(crate) struct KeyCache {
    fetched: Mutex<HashMap<String, Jwks>>,
}

/// Finds the provider and checks the token against it, in the order STS reports problems.
pub(crate) async fn check_token(
    config: &Config,
    cache: &KeyCache,
    builtin: &TokenIssuer,
    clock: &Clock,
    provider_arn: &str,
    text: &str,
) -> Result<Claims, ApiError> {
    let provider =
        config.oidc_providers.iter().find(|provider| provider.arn == provider_arn).ok_or_else(
            || {
                ApiError::new(
                    401,
                    "AuthenticationFail.NoPermission",
                    "No such OIDC Provider registered.",
                )
            },
        )?;
    let token = Token::parse(text)
        .ok_or_else(|| fail("Invalid", "This JsonWebToken can not be parsed."))?;
    if token.claims.iss != provider.issuer {
        return Err(fail("IssuerNotMatch", "The issuer of the token is not the provider's."));
    }
    if !matches!(token.algorithm.as_str(), "RS256" | "ES256") {
        return Err(fail("Invalid", "The algorithm of the token is not supported."));
    }
    let keys = cache.keys(provider, builtin, token.kid.as_deref()).await?;
    if !keys.iter().any(|key| token.is_signed_by(key)) {
        return Err(fail("InvalidSignature", "The signature of the token is invalid."));
    }
    let now = clock.now().as_second();
    if token.claims.exp <= now {
        return Err(fail("Expired", "This JsonWebToken is expired."));
    }
    if token.claims.nbf.is_some_and(|nbf| nbf > now) {
        return Err(fail("Invalid", "This JsonWebToken is not valid yet."));
    }
    if !token.claims.aud.list().iter().any(|aud| provider.client_ids.contains(aud)) {
        return Err(fail("AudienceNotMatch", "The audience of the token is no client id."));
    }
    Ok(token.claims)
}

impl KeyCache {
    /// The keys that may have signed a token with this `kid`.
    async fn keys(
        &self,
        provider: &OidcProvider,
        builtin: &TokenIssuer,
        kid: Option<&str>,
    ) -> Result<Vec<Jwk>, ApiError> {
        if provider.jwks_url.is_none() && provider.jwks_file.is_none() {
            return Ok(matching(&builtin.jwks(), kid));
        }
        let mut fetched = self.fetched.lock().await;
        if let Some(jwks) = fetched.get(&provider.arn) {
            let keys = matching(jwks, kid);
            if !keys.is_empty() {
                return Ok(keys);
            }
        }
        let jwks = load(provider).await.map_err(|reason| {
            fail("IssuerConfigurationBroken", format!("The issuer's keys are unusable: {reason}"))
        })?;
        let keys = matching(&jwks, kid);
        fetched.insert(provider.arn.clone(), jwks);
        Ok(keys)
    }
}

async fn load(provider: &OidcProvider) -> Result<Jwks, String> {
    let text = match (&provider.jwks_url, &provider.jwks_file) {
        (Some(url), _) => {
            fetch::get(url, provider.ca_file.as_deref(), provider.token_file.as_deref())
                .await
                .map_err(|error| error.to_string())?
        }
        (None, Some(path)) => fetch::read(path).map_err(|error| error.to_string())?.into(),
        (None, None) => return Err("no source is configured".to_owned()),
    };
    serde_json::from_slice(&text).map_err(|error| error.to_string())
}

fn matching(jwks: &Jwks, kid: Option<&str>) -> Vec<Jwk> {
    let wanted = |key: &&Jwk| kid.is_none_or(|kid| key.kid == kid);
    jwks.keys.iter().filter(wanted).cloned().collect()
}

fn fail(kind: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(401, format!("AuthenticationFail.OIDCToken.{kind}"), message)
}
