//! The physical limit: one signed GetSecretValue on a warm connection, and nothing around it.

use std::{fs, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use provider::{
    cloud::sign::{self, Unsigned},
    http::{self, Client},
    keys::Keys,
    names::Glob,
};
use rustls::RootCertStore;

use crate::{Fault, cloud::Cloud, content::REGION};

pub(crate) struct Raw {
    client: Client,
    pub(crate) keys: Keys,
}

impl Raw {
    pub(crate) fn new(cloud: &Cloud, keys: Keys) -> Result<Self, Fault> {
        Ok(Self { client: client(cloud.ca_file(), cloud.addresses.https)?, keys })
    }

    pub(crate) async fn get_secret_value(&self, name: &str) -> Result<(), Fault> {
        let host = format!("kms-vpc.{REGION}.aliyuncs.com");
        let query = sign::canonical_query([("SecretName", name)]);
        let request = signed(&host, &query, &self.keys)?;
        let answer = self.client.send(request).await.map_err(|broken| format!("{broken:?}"))?;
        match answer.status {
            200 => Ok(()),
            status => Err(format!("{name}: the cloud answered {status}").into()),
        }
    }
}

/// A pool of connections of its own.
pub(crate) fn client(ca_file: &str, address: SocketAddr) -> Result<Client, Fault> {
    let mut roots = RootCertStore::empty();
    http::trust(&mut roots, &fs::read(ca_file)?)?;
    let resolve = vec![(Glob::new("*.aliyuncs.com"), address)];
    Ok(Client::secure(roots, Arc::new(resolve), None)?)
}

fn signed(host: &str, query: &str, keys: &Keys) -> Result<Request<Full<Bytes>>, Fault> {
    let nonce = format!("{:032x}", fastrand::u128(..));
    let date = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let body_sha256 = sign::sha256_hex(b"");
    let mut headers = vec![
        ("host", host),
        ("x-acs-action", "GetSecretValue"),
        ("x-acs-version", "2016-01-20"),
        ("x-acs-date", date.as_str()),
        ("x-acs-signature-nonce", nonce.as_str()),
        ("x-acs-content-sha256", body_sha256.as_str()),
    ];
    headers.extend(keys.token.as_ref().map(|t| ("x-acs-security-token", t.expose().as_str())));
    let unsigned =
        Unsigned { method: "POST", path: "/", query, headers: &headers, body_sha256: &body_sha256 };
    let mut request = Request::post(format!("https://{host}/?{query}"))
        .header("authorization", sign::authorization(keys, &unsigned));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    Ok(request.body(Full::default())?)
}
