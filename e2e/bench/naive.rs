//! What the official provider does for a mount: a session of its own over a connection of its own,
//! then one object after the other; KMS connections are kept, as its SDK keeps them. Its limit is
//! the Kubernetes client's, here taken for twice as generous as was measured.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use provider::{cloud::sign::canonical_query, keys::Keys, secret::Secret};
use serde_json::Value;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{
    Fault,
    cloud::{AUDIENCE, Cloud},
    content::{OIDC_PROVIDER, REGION, role_arn, secret, user_keys},
    driver::PodVolume,
    raw::{Raw, client},
};

pub(crate) const MOUNTS_PER_SECOND: u32 = 10;

pub(crate) struct Naive<'a> {
    cloud: &'a Cloud,
    kms: Raw,
}

impl<'a> Naive<'a> {
    pub(crate) fn new(cloud: &'a Cloud) -> Result<Self, Fault> {
        Ok(Self { cloud, kms: Raw::new(cloud, user_keys())? })
    }

    /// When each mount may start.
    pub(crate) fn pace() -> Interval {
        let mut pace = interval(Duration::from_secs(1) / MOUNTS_PER_SECOND);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    }

    pub(crate) async fn mount(&mut self, pod: &PodVolume, objects: usize) -> Result<(), Fault> {
        self.kms.keys = self.session(pod).await?;
        for which in 0..objects {
            self.kms.get_secret_value(&secret(&pod.service_account, which)).await?;
        }
        Ok(())
    }

    async fn session(&self, pod: &PodVolume) -> Result<Keys, Fault> {
        let token = pod.tokens.as_ref().and_then(|all| all.get(AUDIENCE)?.get("token")?.as_str());
        let role = role_arn(&pod.service_account);
        let form = canonical_query([
            ("DurationSeconds", "3600"),
            ("OIDCProviderArn", OIDC_PROVIDER),
            ("OIDCToken", token.ok_or("the pod has no token")?),
            ("RoleArn", role.as_str()),
            ("RoleSessionName", pod.pod.as_str()),
        ]);
        let timestamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let query = canonical_query([
            ("Action", "AssumeRoleWithOIDC"),
            ("Format", "JSON"),
            ("Timestamp", timestamp.as_str()),
            ("Version", "2015-04-01"),
        ]);
        let request = Request::post(format!("https://sts-vpc.{REGION}.aliyuncs.com/?{query}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form)))?;
        let sts = client(self.cloud.ca_file(), self.cloud.addresses.https)?;
        let answer = sts.send(request).await.map_err(|broken| format!("{broken:?}"))?;
        let answer: Value = serde_json::from_slice(answer.body.expose())?;
        let credential = |name: &str| {
            let found = answer.pointer(&format!("/Credentials/{name}")).and_then(Value::as_str);
            found.map(str::to_owned).ok_or_else(|| format!("STS gave no {name}"))
        };
        Ok(Keys {
            id: credential("AccessKeyId")?,
            secret: Secret::new(credential("AccessKeySecret")?),
            token: Some(Secret::new(credential("SecurityToken")?)),
        })
    }
}
