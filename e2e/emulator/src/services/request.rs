//! A request to a cloud endpoint, reduced to service, action and parameters.

use bytes::Bytes;

use crate::services::signature::{Signed, header};
use crate::state::encoding::{Pair, decode_form};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Sts,
    Kms,
    Oos,
}

impl Service {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Kms => "kms",
            Self::Oos => "oos",
        }
    }

    fn of_version(version: &str) -> Option<Self> {
        match version {
            "2015-04-01" => Some(Self::Sts),
            "2016-01-20" => Some(Self::Kms),
            "2019-06-01" => Some(Self::Oos),
            _ => None,
        }
    }
}

/// What the host name says about where a request was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `kms.{region}.aliyuncs.com` and its like; the region is absent from `sts.aliyuncs.com`.
    Shared { service: Service, region: Option<String> },
    /// `{id}.cryptoservice.kms.aliyuncs.com`
    Instance { id: String },
    /// A host of Alibaba Cloud that serves none of the three.
    Foreign,
    /// An address or a name of somebody's own, which serves all three.
    Any,
}

impl Endpoint {
    pub(crate) fn parse(host: &str) -> Self {
        if let Some(id) = host.strip_suffix(".cryptoservice.kms.aliyuncs.com") {
            return Self::Instance { id: id.to_owned() };
        }
        let Some(label) = host.strip_suffix(".aliyuncs.com") else {
            return Self::Any;
        };
        let (product, region) = match label.split_once('.') {
            Some((product, region)) => (product, Some(region)),
            None => (label, None),
        };
        let service = match product.strip_suffix("-vpc").unwrap_or(product) {
            "sts" => Service::Sts,
            "kms" => Service::Kms,
            "oos" => Service::Oos,
            _ => return Self::Foreign,
        };
        match region {
            None if product != "sts" => Self::Foreign,
            Some(region) if region.contains('.') || region.is_empty() => Self::Foreign,
            _ => Self::Shared { service, region: region.map(str::to_owned) },
        }
    }
}

#[derive(Debug)]
pub struct ApiRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) raw_query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// Query and form together, undecoded to text: what the legacy signature covers.
    pub(crate) pairs: Vec<Pair>,
    parameters: Vec<(String, String)>,
}

impl ApiRequest {
    pub fn new(
        method: &str,
        path: &str,
        raw_query: &str,
        headers: Vec<(String, String)>,
        body: Bytes,
    ) -> Self {
        let mut pairs = decode_form(raw_query.as_bytes());
        let is_form = header(&headers, "content-type").is_some_and(|kind| {
            kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
        });
        if is_form {
            pairs.extend(decode_form(&body));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            raw_query: raw_query.to_owned(),
            headers,
            body,
            parameters: pairs.iter().map(|(name, value)| (text(name), text(value))).collect(),
            pairs,
        }
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An absent parameter and an empty one are the same to the cloud.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.parameter(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub fn service(&self) -> Option<Service> {
        self.named("x-acs-version", "Version").and_then(Service::of_version)
    }

    pub fn action(&self) -> Option<&str> {
        self.named("x-acs-action", "Action")
    }

    /// From the header where headers are what is signed, else from the parameters.
    fn named(&self, name: &str, parameter: &str) -> Option<&str> {
        if self.header("authorization").is_some() {
            return self.header(name).or_else(|| self.filled(parameter));
        }
        self.filled(parameter).or_else(|| self.header(name))
    }

    /// The host asked for, without its port.
    pub fn host(&self) -> &str {
        let host = self.header("host").unwrap_or_default();
        match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&self.host().to_ascii_lowercase())
    }

    /// The cloud answers XML unless JSON is asked for.
    pub(crate) fn wants_json(&self) -> bool {
        self.parameter("Format").is_some_and(|format| format.eq_ignore_ascii_case("json"))
            || self.header("accept").is_some_and(|accept| accept.contains("json"))
    }

    pub fn signed(&self) -> Signed<'_> {
        Signed {
            method: &self.method,
            path: &self.path,
            raw_query: &self.raw_query,
            headers: &self.headers,
            body: &self.body,
        }
    }

    /// Names of what is asked for, for the list of requests and for faults.
    pub(crate) fn objects(&self) -> Vec<String> {
        let mut objects: Vec<String> = ["SecretName", "Name", "Path", "RoleArn"]
            .into_iter()
            .filter_map(|name| self.filled(name))
            .map(str::to_owned)
            .collect();
        if let Some(names) = self.parameter("Names")
            && let Ok(names) = serde_json::from_str::<Vec<String>>(names)
        {
            objects.extend(names);
        }
        if let Some(list) = self.parameter("SecretsList")
            && let Ok(list) = serde_json::from_str::<Vec<serde_json::Value>>(list)
        {
            let names = list.iter().filter_map(|item| item.get("SecretName")?.as_str());
            objects.extend(names.map(str::to_owned));
        }
        objects
    }
}
