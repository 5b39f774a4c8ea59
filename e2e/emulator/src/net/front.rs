//! Fronts of the cloud: what its listeners serve.

use hyper::Request;
use hyper::body::Incoming;

use crate::net::exchange::{body_of, carry_out};
use crate::net::gateway;
use crate::net::link::Link;
use crate::net::reply::Reply;
use crate::net::server::Serve;
use crate::services::kubernetes::{self, Route};
use crate::services::metadata::{self, MetadataRequest};
use crate::state::cloud::Cloud;
use crate::state::journal::RequestRecord;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Front {
    /// STS, KMS and OOS.
    Cloud,
    Metadata,
    Kubernetes,
}

impl Serve for Front {
    async fn serve(&self, cloud: &Cloud, link: &Link, request: Request<Incoming>) -> Reply {
        match self {
            Self::Cloud => gateway::serve(cloud, link, request).await,
            Self::Metadata => metadata(cloud, link, request).await,
            Self::Kubernetes => kubernetes(cloud, link, request).await,
        }
    }
}

async fn metadata(cloud: &Cloud, link: &Link, request: Request<Incoming>) -> Reply {
    let record = received(metadata::record(request.uri().path()), &request);
    let plan = metadata::plan(cloud, &record);
    carry_out(cloud, link, record, plan, "", async |_: &str| {
        let wanted = MetadataRequest {
            method: request.method().as_str(),
            path: request.uri().path(),
            token: header(&request, metadata::TOKEN),
            token_ttl: header(&request, metadata::TOKEN_TTL),
        };
        (None, metadata::answer(cloud, &wanted))
    })
    .await
}

async fn kubernetes(cloud: &Cloud, link: &Link, request: Request<Incoming>) -> Reply {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let route = Route::parse(&method, &path);
    let record = received(route.record(), &request);
    let plan = kubernetes::plan(cloud, &record);
    let content_type = header(&request, "content-type").unwrap_or_default().to_owned();
    let body = body_of(request).await;
    carry_out(cloud, link, record, plan, "", async |_: &str| {
        (None, kubernetes::answer(cloud, &route, &content_type, &body))
    })
    .await
}

fn received(record: RequestRecord, request: &Request<Incoming>) -> RequestRecord {
    RequestRecord {
        host: header(request, "host").unwrap_or_default().to_owned(),
        protocol: format!("{:?}", request.version()),
        ..record
    }
}

fn header<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}
