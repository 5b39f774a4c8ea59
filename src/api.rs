//! Operations of the cloud that the provider calls.

use crate::endpoint::Service;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    AssumeRole,
    AssumeRoleWithOidc,
    BatchGetSecretValue,
    GetSecretParameter,
    GetSecretParameters,
    GetSecretValue,
}

impl Api {
    pub fn name(self) -> &'static str {
        match self {
            Api::AssumeRole => "AssumeRole",
            Api::AssumeRoleWithOidc => "AssumeRoleWithOIDC",
            Api::BatchGetSecretValue => "BatchGetSecretValue",
            Api::GetSecretParameter => "GetSecretParameter",
            Api::GetSecretParameters => "GetSecretParameters",
            Api::GetSecretValue => "GetSecretValue",
        }
    }

    pub fn service(self) -> Service {
        match self {
            Api::AssumeRole | Api::AssumeRoleWithOidc => Service::Sts,
            Api::GetSecretParameter | Api::GetSecretParameters => Service::Oos,
            Api::BatchGetSecretValue | Api::GetSecretValue => Service::Kms,
        }
    }

    /// Whether it reads several objects, which can be read one by one as well.
    pub fn is_batch(self) -> bool {
        matches!(self, Api::BatchGetSecretValue | Api::GetSecretParameters)
    }

    /// Of the service's API, as the request names it.
    pub fn version(self) -> &'static str {
        match self.service() {
            Service::Sts => "2015-04-01",
            Service::Kms => "2016-01-20",
            Service::Oos => "2019-06-01",
        }
    }
}
