//! OIDC providers: which tokens STS takes.

use bytes::Bytes;

use crate::services::error::ApiError;
use crate::state::cloud::Cloud;
use crate::state::config::OidcProvider;
use crate::state::jwt::{Claims, Jwk, Token};

/// Finds the provider and checks the token against it, in the order STS reports problems.
///
/// `fetch` gets the JWKS of a provider that has a file or a URL.
pub(crate) async fn check_token(
    cloud: &Cloud,
    provider_arn: &str,
    text: &str,
    fetch: impl AsyncFn(&OidcProvider) -> Result<Bytes, String>,
) -> Result<Claims, ApiError> {
    let provider = cloud
        .config
        .oidc_providers
        .iter()
        .find(|provider| provider.arn == provider_arn)
        .ok_or_else(|| {
            ApiError::new(
                401,
                "AuthenticationFail.NoPermission",
                "No such OIDC Provider registered.",
            )
        })?;
    let token = Token::parse(text)
        .ok_or_else(|| fail("Invalid", "This JsonWebToken can not be parsed."))?;
    if token.claims.iss != provider.issuer {
        return Err(fail("IssuerNotMatch", "The issuer of the token is not the provider's."));
    }
    if !matches!(token.algorithm.as_str(), "RS256" | "ES256") {
        return Err(fail("Invalid", "The algorithm of the token is not supported."));
    }
    let keys = keys(cloud, provider, token.kid.as_deref(), fetch).await?;
    if !keys.iter().any(|key| token.is_signed_by(key)) {
        return Err(fail("InvalidSignature", "The signature of the token is invalid."));
    }
    let now = cloud.clock.now().as_second();
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

/// The keys that may have signed a token with this `kid`.
async fn keys(
    cloud: &Cloud,
    provider: &OidcProvider,
    kid: Option<&str>,
    fetch: impl AsyncFn(&OidcProvider) -> Result<Bytes, String>,
) -> Result<Vec<Jwk>, ApiError> {
    if provider.jwks_url.is_none() && provider.jwks_file.is_none() {
        return Ok(cloud.issuer.jwks().matching(kid));
    }
    let load = async || {
        let text = fetch(provider).await?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    };
    cloud.keys.keys(&provider.arn, kid, load()).await.map_err(|reason| {
        fail("IssuerConfigurationBroken", format!("The issuer's keys are unusable: {reason}"))
    })
}

fn fail(kind: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(401, format!("AuthenticationFail.OIDCToken.{kind}"), message)
}
