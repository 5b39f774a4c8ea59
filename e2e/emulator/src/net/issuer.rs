//! Keys of an issuer that lives elsewhere, from its file or its URL.

use bytes::Bytes;

use crate::net::fetch;
use crate::state::config::OidcProvider;

pub(crate) async fn jwks(provider: &OidcProvider) -> Result<Bytes, String> {
    match (&provider.jwks_url, &provider.jwks_file) {
        (Some(url), _) => {
            fetch::get(url, provider.ca_file.as_deref(), provider.token_file.as_deref())
                .await
                .map_err(|error| error.to_string())
        }
        (None, Some(path)) => fetch::read(path).map(Bytes::from).map_err(|error| error.to_string()),
        (None, None) => Err("no source is configured".to_owned()),
    }
}
