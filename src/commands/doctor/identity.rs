//! Identity: the token, the login that is made of it, and what it may read.

use std::{fs, path::Path, sync::Arc};

use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use super::hosts::{Bounds, Reach, unsigned};
use crate::{
    cloud::{Call, Cause, limiter::Priority},
    credentials::{Credentials, Sessions},
    doctor::{
        check::Check,
        checks::{
            login,
            permission::{self, Answer},
            token,
        },
        line::Line,
    },
    endpoint::Endpoints,
    error::{Error, Errors, Reason},
    identity::{self, Identity, kubernetes::ServiceAccounts},
    login::Login,
    policy::{Decision, Policy},
    request::{self, Mount, Pod, PodToken, TokenInput},
    secret::Secret,
    spc::{class::Class, mode::Mode, read::Read},
};

/// Permissions that are asked for at once.
const AT_ONCE: usize = 4;

/// The token's file, and the token.
pub(super) fn token(path: Option<&Path>) -> (token::File, Option<Arc<Secret<String>>>) {
    let Some(path) = path else { return (token::File::NotGiven, None) };
    let shown = path.display().to_string();
    match fs::read_to_string(path).map(Secret::new) {
        Err(error) => {
            (token::File::Unreadable { path: shown, why: error.kind().to_string() }, None)
        }
        Ok(text) => {
            let jwt = Secret::new(text.expose().trim().to_owned());
            let (length, claims) = (jwt.expose().len(), token::Claims::read(&jwt).map(Box::new));
            (token::File::Read { path: shown, length, claims }, Some(Arc::new(jwt)))
        }
    }
}

/// The mount that would be asked for with this token.
pub(super) fn mount(
    class: &Class,
    file: &token::File,
    jwt: Option<Arc<Secret<String>>>,
    endpoints: &Endpoints,
) -> Result<Mount, Vec<Line>> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let pod = file.claims().and_then(token::Claims::pod);
    let pod_or_host = pod.clone().unwrap_or_else(|| Pod::host(host.trim().to_owned()));
    let token = match (jwt, pod) {
        (None, _) => TokenInput::Absent,
        (Some(jwt), Some(_)) => {
            let expires = file.claims().and_then(token::Claims::expires);
            TokenInput::Token(PodToken { jwt, expires })
        }
        (Some(_), None) => TokenInput::Unusable("is no token that Kubernetes made".to_owned()),
    };
    let mount = request::of_class(class, pod_or_host, token, endpoints, &Default::default());
    mount.map_err(|errors| {
        let subject = format!("SecretProviderClass {}", class.name);
        errors.iter().map(|error| Line::of_error(Check::Permission, &subject, error)).collect()
    })
}

/// Who is logged in.
#[derive(Debug)]
pub(super) struct LoggedIn {
    pub(super) identity: Identity,
    pub(super) credentials: Credentials,
    pub(super) request: Option<String>,
}

pub(super) async fn login(
    mount: &Mount,
    policy: &Policy,
    sessions: &Sessions,
    bounds: Bounds,
) -> (String, login::Seen, Option<LoggedIn>) {
    let decision = match decide(mount, policy) {
        Ok(decision) => decision,
        Err(errors) => return ("identity".to_owned(), login::Seen::Refused(first(errors)), None),
    };
    let named = format!("identity {}", decision.mode);
    let not_tried = |why: &str| (named.clone(), login::Seen::NotTried(why.to_owned()), None);
    match (decision.mode, &mount.token) {
        (Mode::Pod, TokenInput::Absent) => {
            return not_tried("there is no pod's token here: see check token");
        }
        (Mode::NodePublishSecret, _) => {
            return not_tried(
                "its access key is in a Secret of the pod, which the driver alone sends",
            );
        }
        _ => {}
    }
    let identity = match identity::resolve(mount, policy, &ServiceAccounts::new(None)).await {
        Ok(identity) => identity,
        Err(errors) => return (named, login::Seen::Refused(first(errors)), None),
    };
    let started = Instant::now();
    let deadline = started + bounds.login;
    let session = sessions.credentials(&identity.login, Priority::default(), deadline).await;
    let credentials = match session {
        Ok(credentials) => credentials,
        Err(none) => {
            return (named, login::Seen::Refused(identity.with_hint(*none.error)), None);
        }
    };
    let who = identity.login.who();
    let (seen, request) = match &credentials {
        Credentials::Keys(_) => (login::Seen::Keys { who }, None),
        Credentials::Session(session) => {
            let request = session.request_id.to_string();
            let seen =
                login::Seen::Session { who, request: request.clone(), took: started.elapsed() };
            (seen, Some(request))
        }
    };
    (named, seen, Some(LoggedIn { identity, credentials, request }))
}

/// A mount would say all of them; the first is the one that decides.
fn first(errors: Errors) -> Error {
    let none = || Error::new(Reason::Fault, "an error without a text");
    errors.into_iter().next().unwrap_or_else(none)
}

/// What was found of each object that the class names.
pub(super) async fn permissions(
    mount: &Mount,
    logged_in: &LoggedIn,
    reach: &Reach,
    sessions: &Sessions,
) -> Vec<permission::Seen> {
    let mut reads: Vec<Arc<Read>> = Vec::new();
    for object in mount.spec.objects.iter() {
        if !reads.iter().any(|read| read.digest() == object.read.digest()) {
            reads.push(object.read.clone());
        }
    }
    let asked = reads
        .into_iter()
        .map(|read| async move { permission(&read, logged_in, reach, sessions).await });
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

async fn permission(
    read: &Read,
    logged_in: &LoggedIn,
    reach: &Reach,
    sessions: &Sessions,
) -> permission::Seen {
    let facts = read.source.facts();
    let trial = facts.trial();
    let login = &logged_in.identity.login;
    let led = read.cross_account_role.as_ref().map(|role| logged_in.identity.assume_role(role));
    let role = read.cross_account_role.as_ref().or(login.role());
    let account = role.map_or("*", |role| role.parts().0);
    let mut seen = permission::Seen {
        object: format!("{} {}", facts.object_type(), facts.name()),
        host: read.endpoint.host().to_owned(),
        statement: statement(read, account),
        dry_run: trial.dry_run,
        took: None,
        answer: Answer::NotTried(String::new()),
    };
    let led = match &led {
        None => None,
        Some(keyed) => {
            let deadline = Instant::now() + reach.bounds.login;
            match sessions.credentials(keyed, Priority::default(), deadline).await {
                Ok(credentials) => Some(credentials),
                Err(none) => {
                    seen.answer = Answer::Failed(*none.error);
                    return seen;
                }
            }
        }
    };
    let keys = led.as_ref().unwrap_or(&logged_in.credentials).keys();
    let query = trial.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let call = Call { keys: Some(keys), ..unsigned(facts.api(), &read.endpoint, query) };
    let probe = match reach.cloud.probe(&call, reach.bounds.call).await {
        Ok(probe) => probe,
        Err(failure) => {
            seen.answer = Answer::Failed(failure.error("", ""));
            return seen;
        }
    };
    seen.took = Some(probe.took);
    let failure = probe.failure.as_ref();
    seen.answer = Answer::Received {
        status: probe.status,
        code: probe.code.clone(),
        request: probe.request_id.clone(),
        denied: failure.is_some_and(|failure| failure.cause == Cause::Denied),
        error: failure.map(|failure| failure.error("", "")),
    };
    seen
}

/// What to add to a policy of RAM.
fn statement(read: &Read, account: &str) -> String {
    let facts = read.source.facts();
    let statement = serde_json::json!({
        "Effect": "Allow",
        "Action": facts.actions(),
        "Resource": read.resources(facts.name(), account),
    });
    statement.to_string()
}

/// As a mount decides it; without a namespace, where there is no pod, its rules are not looked at.
fn decide(mount: &Mount, policy: &Policy) -> Result<Decision, Errors> {
    let namespace = Some(&*mount.pod.namespace).filter(|name| !name.is_empty());
    policy.decide(&mount.spec, &mount.node_publish_keys, namespace)
}

/// Whether the login needs STS.
pub(super) fn needs_sts(mount: &Mount, policy: &Policy) -> bool {
    let mode = decide(mount, policy).map(|decision| decision.mode);
    let chained = mount.spec.objects.iter().any(|object| object.read.cross_account_role.is_some());
    chained || !matches!(mode, Ok(Mode::AccessKey | Mode::EcsRole | Mode::NodePublishSecret))
}

/// For a fact: whether the session came of a token in a form body.
pub(super) fn is_oidc(logged_in: &LoggedIn) -> bool {
    matches!(*logged_in.identity.login, Login::Oidc { .. })
}
