//! What a mount brings to log in with: the pod's token, and the access key of a Secret.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use super::{
    NodePublishKeys, PodToken, STS_AUDIENCE, TokenInput,
    attributes::{Attributes, Secrets, TOKENS},
};
use crate::{
    error::{Error, Reason},
    keys::Keys,
    limits,
    secret::Secret,
    spc::parameters::Names,
    text::quoted,
};

#[derive(Deserialize)]
struct RawToken {
    token: Secret<String>,
    #[serde(rename = "expirationTimestamp")]
    expires: Option<String>,
}

/// Drivers from 1.6.0 copy the tokens of the secrets into the attributes; looking in both places
/// serves all. Tokens that differ are not both kubelet's: a pod's author can write either place.
pub(super) fn token(attributes: &Attributes, secrets: &Secrets) -> Result<TokenInput, Error> {
    let in_secrets = secrets.tokens.as_ref().map(|tokens| tokens.expose().as_str());
    let in_secrets = in_secrets.filter(|tokens| !tokens.is_empty());
    let text = match (attributes.get(TOKENS), in_secrets) {
        (None, None) => return Ok(TokenInput::Absent),
        (Some(text), None) | (None, Some(text)) => text,
        (Some(text), Some(same)) if text == same => text,
        (Some(_), Some(_)) => {
            return Err(Error::new(
                Reason::MalformedToken,
                "differs in the volume's attributes and its Secret",
            )
            .subject(TOKENS)
            .hint("remove it from volumeAttributes or from the Secret: kubelet sends the tokens"));
        }
    };
    // Null and {} are what is sent for no audience at all.
    let tokens: Option<BTreeMap<String, RawToken>> =
        serde_json::from_str(text).map_err(|error| {
            let at = match error.column() {
                0 => String::new(),
                column => format!(" (column {column})"),
            };
            Error::new(Reason::MalformedToken, format!("is not a JSON object of tokens{at}"))
                .subject(TOKENS)
        })?;
    let Some(mut tokens) = tokens.filter(|tokens| !tokens.is_empty()) else {
        return Ok(TokenInput::Absent);
    };
    let Some(raw) = tokens.remove(STS_AUDIENCE) else {
        let audiences = tokens.into_keys().take(5).collect();
        return Ok(TokenInput::OtherAudiences(audiences));
    };
    let jwt = raw.token.expose().trim();
    let wrong = |what: &str| {
        Error::new(Reason::MalformedToken, format!("for {STS_AUDIENCE} {what}")).subject(TOKENS)
    };
    if jwt.is_empty() {
        return Err(wrong("is an empty text"));
    }
    if !limits::OIDC_TOKEN.contains(&jwt.len()) {
        return Err(wrong("is a text whose length STS does not accept (4 to 20000)"));
    }
    let expires = raw.expires.map(|text| {
        let time = text.parse::<jiff::Timestamp>();
        time.map_err(|_| wrong("has an expirationTimestamp that is not a time"))
    });
    Ok(TokenInput::Token(PodToken {
        jwt: Arc::new(Secret::new(jwt.to_owned())),
        expires: expires.transpose()?,
    }))
}

/// The access key of a Secret, or what that has instead.
pub(super) fn node_publish_keys(secrets: Secrets) -> Result<NodePublishKeys, Error> {
    if let Some(entry) = secrets.twice {
        return Err(Error::new(Reason::DuplicateName, "is there twice, in different letter case")
            .subject(format!("nodePublishSecretRef entry {entry}")));
    }
    if secrets.is_empty() {
        return Ok(NodePublishKeys::Absent);
    }
    let text = |entry: Option<Secret<String>>| {
        entry.map(|entry| Secret::new(entry.expose().trim().to_owned()))
    };
    let others = names(&secrets.others);
    let (id, secret) = match (text(secrets.access_key), text(secrets.access_secret)) {
        (Some(id), Some(secret)) => (id, secret),
        (None, None) => {
            return Ok(NodePublishKeys::Others(format!("the Secret has other entries: {others}")));
        }
        (id, _) => {
            let (has, lacks) = match id {
                Some(_) => ("access_key", "access_secret"),
                None => ("access_secret", "access_key"),
            };
            let others = if others.is_empty() { others } else { format!(" (but {others})") };
            let what = format!("the Secret has {has}, and no entry {lacks}{others}");
            return Ok(NodePublishKeys::Unusable(what));
        }
    };
    let keys = Keys { id: id.expose().clone(), secret, token: None };
    let unusable = match &keys {
        keys if keys.id.is_empty() => "the Secret's entry access_key is empty",
        keys if keys.secret.expose().is_empty() => "the Secret's entry access_secret is empty",
        keys if keys.swapped() => {
            "the Secret's entry access_secret holds the id of an access key, and access_key does not: \
             are they swapped?"
        }
        _ => return Ok(NodePublishKeys::Keys(Arc::new(keys))),
    };
    Ok(NodePublishKeys::Unusable(unusable.to_owned()))
}

/// The first few, and how many there are.
fn names(names: &Names) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names.first.iter().take(SHOWN).map(|name| quoted(name)).collect();
    let more = names.first.len().saturating_sub(SHOWN) + names.more;
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
