//! One secret: its versions and their stages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::state::config;
use crate::state::error::VaultError;

pub(crate) const CURRENT: &str = "ACSCurrent";
pub(crate) const PREVIOUS: &str = "ACSPrevious";

#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) settings: config::Secret,
    pub(crate) versions: Vec<SecretVersion>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) rotations: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct SecretVersion {
    pub(crate) id: String,
    pub(crate) value: Vec<u8>,
    pub(crate) binary: bool,
    pub(crate) stages: Vec<String>,
    pub(crate) created: Timestamp,
}

impl Secret {
    pub(crate) fn new(mut settings: config::Secret, now: Timestamp) -> Result<Self, VaultError> {
        if settings.value.is_some() || settings.value_base64.is_some() {
            settings.versions.push(config::SecretVersion {
                id: "v1".to_owned(),
                value: settings.value.take(),
                value_base64: settings.value_base64.take(),
                stages: vec![CURRENT.to_owned()],
            });
        }
        let binary = match settings.data_type.as_deref() {
            None => None,
            Some("text") => Some(false),
            Some("binary") => Some(true),
            Some(_) => {
                return Err(VaultError::Invalid(format!(
                    "secret {}: data_type is text or binary",
                    settings.name
                )));
            }
        };
        let versions = std::mem::take(&mut settings.versions)
            .into_iter()
            .map(|version| SecretVersion::new(&settings.name, version, binary, now))
            .collect::<Result<Vec<_>, _>>()?;
        if versions.is_empty() {
            return Err(VaultError::Invalid(format!(
                "secret {}: a value or versions are needed",
                settings.name
            )));
        }
        let rotations = u32::try_from(versions.len()).unwrap_or(u32::MAX);
        Ok(Self { settings, versions, created: now, updated: now, rotations })
    }

    pub(crate) fn is_managed(&self) -> bool {
        self.settings.secret_type.as_deref().is_some_and(|kind| kind != "Generic")
    }

    pub(crate) fn version(&self, id: Option<&str>, stage: Option<&str>) -> Option<&SecretVersion> {
        let stage = stage.or(if id.is_none() { Some(CURRENT) } else { None });
        self.versions.iter().find(|version| {
            id.is_none_or(|id| version.id == id)
                && stage.is_none_or(|stage| version.stages.iter().any(|label| label == stage))
        })
    }

    /// A new current version; at most ten are kept.
    pub(crate) fn rotate(&mut self, value: Vec<u8>, id: Option<String>, now: Timestamp) -> String {
        let was_binary = self.version(None, None).is_some_and(|version| version.binary);
        let binary = was_binary || std::str::from_utf8(&value).is_err();
        let id = id.unwrap_or_else(|| {
            loop {
                self.rotations += 1;
                let id = format!("v{}", self.rotations);
                if self.versions.iter().all(|version| version.id != id) {
                    break id;
                }
            }
        });
        self.versions.retain(|version| version.id != id);
        self.versions.push(SecretVersion {
            id: id.clone(),
            value,
            binary,
            stages: Vec::new(),
            created: now,
        });
        self.make_current(&id);
        while self.versions.len() > 10 {
            self.versions.remove(0);
        }
        self.updated = now;
        id
    }

    pub(crate) fn move_stage(&mut self, stage: &str, id: &str) -> Result<(), VaultError> {
        if self.versions.iter().all(|version| version.id != id) {
            return Err(VaultError::NoVersion(self.settings.name.clone(), id.to_owned()));
        }
        if stage == CURRENT {
            self.make_current(id);
        } else {
            self.label(stage, Some(id));
        }
        Ok(())
    }

    fn make_current(&mut self, id: &str) {
        let before = self.version(None, None).map(|version| version.id.clone());
        if before.as_deref() != Some(id) {
            self.label(PREVIOUS, before.as_deref());
        }
        self.label(CURRENT, Some(id));
    }

    fn label(&mut self, stage: &str, id: Option<&str>) {
        for version in &mut self.versions {
            version.stages.retain(|label| label != stage);
            if Some(version.id.as_str()) == id {
                version.stages.push(stage.to_owned());
            }
        }
    }
}

impl SecretVersion {
    fn new(
        secret: &str,
        settings: config::SecretVersion,
        binary: Option<bool>,
        now: Timestamp,
    ) -> Result<Self, VaultError> {
        let problem = |what: &str| {
            VaultError::Invalid(format!("secret {secret}, version {}: {what}", settings.id))
        };
        let (value, encoded) = match (&settings.value, &settings.value_base64) {
            (Some(text), None) => (text.clone().into_bytes(), false),
            (None, Some(text)) => {
                let value = STANDARD.decode(text.trim());
                (value.map_err(|_| problem("value_base64 is not base64"))?, true)
            }
            _ => return Err(problem("give value or value_base64")),
        };
        if value.len() > 30_720 {
            return Err(problem("the value is longer than 30,720 bytes"));
        }
        let binary = binary.unwrap_or(encoded);
        if !binary && std::str::from_utf8(&value).is_err() {
            return Err(problem("a text value must be UTF-8"));
        }
        Ok(Self { id: settings.id, value, binary, stages: settings.stages, created: now })
    }
}
