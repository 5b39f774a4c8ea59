//! The driver's two JSON objects of strings. Whatever nobody reads is dropped while it is read, since
//! a pod's author can send megabytes of it; of what is not known a few names are kept for the error.

use std::{collections::BTreeMap, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use zeroize::Zeroize;

use crate::{
    error::{Error, Reason},
    secret::Secret,
    spc::parameters::{Names, Parameters},
};

/// The driver's and Kubernetes' own keys.
pub(super) const CLASS: &str = "secretProviderClass";
pub(super) const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";
pub(super) const POD_NAMESPACE: &str = "csi.storage.k8s.io/pod.namespace";
pub(super) const POD_NAME: &str = "csi.storage.k8s.io/pod.name";
pub(super) const POD_UID: &str = "csi.storage.k8s.io/pod.uid";
pub(super) const SERVICE_ACCOUNT: &str = "csi.storage.k8s.io/serviceAccount.name";
const SENT: [&str; 6] = [CLASS, TOKENS, POD_NAMESPACE, POD_NAME, POD_UID, SERVICE_ACCOUNT];

/// What of the volume's attributes is read here.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// Of the driver and of Kubernetes.
    sent: BTreeMap<&'static str, Secret<String>>,
    /// All others.
    pub(super) parameters: Parameters,
}

impl Attributes {
    pub(super) fn read(text: &mut String) -> Result<Self, Error> {
        let mut all = Self::default();
        each("attributes", text, |name, value| {
            match SENT.into_iter().find(|sent| *sent == name) {
                Some(sent) => drop(all.sent.insert(sent, value)),
                None => all.parameters.insert(&name, value),
            }
        })?;
        Ok(all)
    }

    /// `None` also where it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.sent.get(name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty())
    }
}

/// The pod's namespace, without the rest.
pub(super) fn namespace(text: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Of {
        #[serde(rename = "csi.storage.k8s.io/pod.namespace")]
        namespace: Option<String>,
    }
    serde_json::from_str::<Of>(text).ok()?.namespace
}

/// What of the volume's `nodePublishSecretRef` is read here.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    pub(super) tokens: Option<Secret<String>>,
    pub(super) access_key: Option<Secret<String>>,
    pub(super) access_secret: Option<Secret<String>>,
    /// The entry that is there in more than one letter case.
    pub(super) twice: Option<&'static str>,
    pub(super) others: Names,
}

impl Secrets {
    pub(super) fn read(text: &mut String) -> Result<Self, Error> {
        let mut all = Self::default();
        each("secrets", text, |name, value| {
            let (ours, place) = match name.to_ascii_lowercase().as_str() {
                "access_key" => ("access_key", &mut all.access_key),
                "access_secret" => ("access_secret", &mut all.access_secret),
                _ if name == TOKENS => {
                    all.tokens = Some(value);
                    return;
                }
                _ => return all.others.add(&name),
            };
            if place.replace(value).is_some() {
                all.twice.get_or_insert(ours);
            }
        })?;
        Ok(all)
    }

    /// Whether there is anything but tokens.
    pub(super) fn is_empty(&self) -> bool {
        self.access_key.is_none() && self.access_secret.is_none() && self.others.is_empty()
    }
}

/// The driver sends `null` where it has none, old ones an empty text.
fn each(
    field: &str,
    text: &mut String,
    take: impl FnMut(String, Secret<String>),
) -> Result<(), Error> {
    let parsed = match text.trim() {
        "" => Ok(()),
        text => {
            let mut json = serde_json::Deserializer::from_str(text);
            Each(take).deserialize(&mut json).and_then(|()| json.end())
        }
    };
    let parsed = parsed.map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        Error::new(Reason::MalformedRequest, format!("is not a JSON object of strings ({at})"))
            .subject(field)
    });
    text.zeroize();
    parsed
}

struct Each<F>(F);

impl<'de, F: FnMut(String, Secret<String>)> DeserializeSeed<'de> for Each<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(String, Secret<String>)> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry()? {
            self.0(name, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_attributes_are_counted_and_few_are_kept() {
        let unknown: String =
            (0..150_000).map(|n| format!("\"k{n}{}\":\"v\",", "x".repeat(n % 200))).collect();
        let mut text = format!("{{{unknown}\"other.io/x\":\"v\",\"region\":\"cn-beijing\"}}");
        let attributes = Attributes::read(&mut text).unwrap();
        assert_eq!(text, "", "wiped");
        assert_eq!(attributes.parameters.get("region"), Some("cn-beijing"));
        assert_eq!(attributes.parameters.get("other.io/x"), None);
        let Names { first, more } = attributes.parameters.unknown();
        assert_eq!((first.len(), *more), (10, 149_990));
        assert!(first.iter().all(|name| name.len() <= 100));
    }

    #[test]
    fn secrets_keep_the_two_entries_in_any_letter_case_and_names_of_the_others() {
        let read = |text: &str| Secrets::read(&mut text.to_owned()).unwrap();
        let secrets = read(r#"{"Access_Key":"a","ACCESS_SECRET":"b","user":"c"}"#);
        assert!(secrets.access_key.is_some() && secrets.access_secret.is_some());
        assert_eq!(
            (secrets.twice, secrets.others.first.as_slice()),
            (None, &["user".to_owned()][..])
        );
        assert_eq!(read(r#"{"access_key":"a","ACCESS_KEY":"b"}"#).twice, Some("access_key"));
        for none in ["", " ", "null", "{}", &format!("{{\"{TOKENS}\":\"x\"}}")] {
            assert!(read(none).is_empty(), "{none}");
        }
    }
}
