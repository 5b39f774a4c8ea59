//! The committed SecretProviderClasses, as the driver reads them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Fault;

pub(crate) struct SecretProviderClass {
    /// Where a reader finds it.
    pub(crate) file: &'static str,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Manifest {
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: String,
}

#[derive(Deserialize)]
struct Spec {
    provider: String,
    parameters: BTreeMap<String, String>,
}

impl SecretProviderClass {
    pub(crate) fn checkout() -> Result<Self, Fault> {
        Self::parse("e2e/demo/checkout.yaml", include_str!("checkout.yaml"))
    }

    pub(crate) fn reports() -> Result<Self, Fault> {
        Self::parse("e2e/demo/reports.yaml", include_str!("reports.yaml"))
    }

    fn parse(file: &'static str, text: &str) -> Result<Self, Fault> {
        let manifest: Manifest = serde_saphyr::from_str(text)?;
        let Manifest { kind, metadata: Metadata { name, namespace }, spec } = manifest;
        if (kind.as_str(), spec.provider.as_str()) != ("SecretProviderClass", "alibabacloud") {
            return Err(format!("{file} is not a SecretProviderClass of this provider").into());
        }
        Ok(Self { file, name, namespace, parameters: spec.parameters })
    }
}
