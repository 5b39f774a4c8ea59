//! Step 3: an identity becomes a RAM session. Sessions are kept, renewed ahead of their end, asked
//! for once however many mounts wait, and never shared between logins that differ in anything.

pub mod metadata;
mod sts;

use std::{
    future::Future,
    ops::ControlFlow,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    cloud::{Cause, Cloud, limiter::Priority},
    endpoint::{Endpoint, Service},
    error::{Error, ErrorKind, Reason},
    fair_cache::FairCache,
    keys::Keys,
    login::{KeyedLogin, Login, LoginKey},
    retry::{random_fraction, retry},
    singleflight::{Group, Waited, Waiter},
    sync::lock,
    telemetry::{self, Metrics},
};
use metadata::Metadata;

/// Keys to sign with, and until when.
#[derive(Debug)]
pub struct Session {
    pub keys: Keys,
    /// When to have a successor.
    renew_at: Instant,
    /// When to stop using it, a little before the cloud does.
    ends_at: Instant,
    /// The cloud's id of the request that made it; empty where it has none.
    pub request_id: Box<str>,
}

/// Either a session or keys that need none.
#[derive(Clone, Debug)]
pub enum Credentials {
    Keys(Arc<Keys>),
    Session(Arc<Session>),
}

impl Credentials {
    pub fn keys(&self) -> &Keys {
        match self {
            Credentials::Keys(keys) => keys,
            Credentials::Session(session) => &session.keys,
        }
    }
}

/// At most this much ahead of its end a session is renewed; shorter ones at three quarters. Kubelet
/// replaces a pod's token after four fifths of its hour, and the session of the old one with it: to renew
/// that one before would be a call for nothing.
const LONGEST_MARGIN: Duration = Duration::from_secs(10 * 60);
/// After a renewal failed, while the old session still serves.
const RENEW_PAUSE: Duration = Duration::from_secs(30);
/// For all attempts of one login, from the last mount on that asked for it. A mount stops waiting
/// earlier, and kubelet comes back to it within 122 s: where STS is overrun, the login keeps its place in
/// the queue until then.
const LOGIN_LIMIT: Duration = Duration::from_secs(240);
const MAX_HELD: usize = 4096;
/// How long a refused login is answered without asking again. Kubelet tries a mount that fails again
/// after half a second, then twice as long each time.
const REFUSED_FOR: Duration = Duration::from_secs(60);
const MAX_REFUSALS: usize = 1024;
/// As readiness says it.
const NO_SESSION: &str = "no RAM session can be had";

type Outcome = Result<Arc<Session>, NoSession>;

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSession {
    pub error: Box<Error>,
    /// STS, or the metadata service, refused; it did not only fail to answer.
    pub refusal: bool,
    /// The caller's time was up while the login went on.
    pub late: bool,
    /// STS throttles.
    pub throttled: bool,
}

impl NoSession {
    /// There was no answer, or none that says anything of this login.
    fn unanswered(error: Error) -> Self {
        Self { error: Box::new(error), refusal: false, late: false, throttled: false }
    }
}

#[derive(Clone, Debug)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cloud: Arc<Cloud>,
    sts: Endpoint,
    metadata: Metadata,
    metrics: Arc<Metrics>,
    held: Mutex<FairCache<LoginKey, LoginKey, Held>>,
    in_flight: Arc<Group<LoginKey, Outcome>>,
    /// Logins that STS refused a short while ago.
    refusals: Mutex<FairCache<LoginKey, LoginKey, (Instant, NoSession)>>,
}

#[derive(Debug)]
struct Held {
    session: Arc<Session>,
    renew_not_before: Instant,
}

impl Sessions {
    /// How many there are.
    pub fn count(&self) -> usize {
        lock(&self.0.held).len()
    }

    pub fn new(
        cloud: Arc<Cloud>,
        sts: Endpoint,
        metadata: Metadata,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Inner {
            cloud,
            sts,
            metadata,
            metrics,
            held: Mutex::new(FairCache::new(MAX_HELD)),
            in_flight: Arc::default(),
            refusals: Mutex::new(FairCache::new(MAX_REFUSALS)),
        }))
    }

    /// A session that is valid now. One that is due for renewal is returned as it is, and renewed
    /// meanwhile.
    pub async fn credentials(
        &self,
        keyed: &KeyedLogin,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Credentials, NoSession> {
        if let Login::Keys(keys) = &**keyed {
            return Ok(Credentials::Keys(keys.clone()));
        }
        let now = Instant::now();
        let held = lock(&self.0.held).get(keyed.owner(), keyed.key()).map(|held| {
            let due = held.session.renew_at.max(held.renew_not_before) <= now;
            (held.session.clone(), due)
        });
        if let Some((session, due)) = held
            && session.ends_at > now
        {
            if due {
                drop(self.start_login(keyed, Priority::of(0, 0, Some(now))));
            }
            return Ok(Credentials::Session(session));
        }
        if let Some(refused) = self.remembered(keyed) {
            return Err(refused);
        }
        match self.start_login(keyed, priority).until(deadline).await {
            Waited::Completed(outcome) => outcome.map(Credentials::Session),
            Waited::TimedOut(Some(outcome)) => outcome
                .map(Credentials::Session)
                .map_err(|so_far| NoSession { late: true, ..so_far }),
            Waited::Lost => {
                let error = Error::new(Reason::Fault, "getting a RAM session failed inside");
                Err(NoSession::unanswered(error))
            }
            Waited::TimedOut(None) => {
                let what =
                    format!("{} has not answered in the mount's time", asked(keyed, &self.0.sts));
                let error = Error::new(Reason::NoSession, what)
                    .subject(keyed.who())
                    .hint("check DNS, routes and --public-endpoints; the mount is tried again");
                Err(NoSession { late: true, ..NoSession::unanswered(error) })
            }
        }
    }

    /// Whether a login like this would wait since STS throttles it.
    pub fn is_throttled(&self, keyed: &KeyedLogin) -> bool {
        let Inner { cloud, sts, .. } = &*self.0;
        let asks_sts = matches!(**keyed, Login::Oidc { .. } | Login::Assume { .. });
        asks_sts && cloud.is_throttling(Service::Sts, sts, &keyed.caller())
    }

    /// Whether this login, with these very credentials, has a session or needs none.
    pub fn hold(&self, keyed: &KeyedLogin) -> bool {
        let ends = |held: &Held| held.session.ends_at;
        let held = || lock(&self.0.held).peek(keyed.owner(), keyed.key()).map(ends);
        matches!(**keyed, Login::Keys(_)) || held().is_some_and(|end| end > Instant::now())
    }

    /// Drops a session that the cloud refused, unless it has been replaced already.
    pub fn refused(&self, keyed: &KeyedLogin, credentials: &Credentials) {
        let Credentials::Session(session) = credentials else { return };
        let mut held = lock(&self.0.held);
        let is_held = |held: &Held| Arc::ptr_eq(&held.session, session);
        if held.peek(keyed.owner(), keyed.key()).is_some_and(is_held) {
            held.remove(keyed.owner(), keyed.key());
        }
    }

    /// The refusal of a moment ago, which a new call would only repeat.
    fn remembered(&self, keyed: &KeyedLogin) -> Option<NoSession> {
        let refusals = lock(&self.0.refusals);
        let (at, refused) = refusals.peek(keyed.owner(), keyed.key())?;
        (at.elapsed() < REFUSED_FOR).then(|| refused.clone())
    }

    fn remember(&self, owner: LoginKey, key: LoginKey, refused: &NoSession) {
        let mut refusals = lock(&self.0.refusals);
        refusals.insert(owner, key, (Instant::now(), refused.clone()), 1);
    }

    /// Wipes sessions that are over.
    pub fn sweep(&self) {
        let now = Instant::now();
        lock(&self.0.refusals).remove_if(|(at, _)| at.elapsed() >= REFUSED_FOR);
        let mut held = lock(&self.0.held);
        held.remove_if(|held| held.session.ends_at <= now);
        self.0.metrics.sessions(held.len());
    }

    fn start_login(&self, keyed: &KeyedLogin, priority: Priority) -> Waiter<Outcome> {
        let (waiter, leader) = self.0.in_flight.join(*keyed.key());
        if let Some(leader) = leader {
            let (sessions, keyed) = (self.clone(), keyed.clone());
            telemetry::spawn(async move {
                // Another login may have ended between the caller's look and this start.
                let session = |held: &mut Held| held.session.clone();
                let held = lock(&sessions.0.held).get(keyed.owner(), keyed.key()).map(session);
                if let Some(session) = held
                    && session.renew_at > Instant::now()
                {
                    return leader.complete(Ok(session));
                }
                let on_error = |error| leader.interim(Err(error));
                let mut deadline = leader.asked() + LOGIN_LIMIT;
                let mut outcome = sessions.ask(&keyed, priority, deadline, &on_error).await;
                // Mounts that joined meanwhile will come back as well.
                while matches!(&outcome, Err(failed) if failed.late) {
                    let later = leader.asked() + LOGIN_LIMIT;
                    if later <= deadline {
                        break;
                    }
                    deadline = later;
                    outcome = sessions.ask(&keyed, priority, deadline, &on_error).await;
                }
                sessions.watch(&keyed, outcome.as_ref().err().map(|failed| &*failed.error));
                leader.complete(sessions.keep(*keyed.owner(), *keyed.key(), outcome));
            });
        }
        waiter
    }

    /// Failures that are the operator's to fix, and not one role's owner's.
    fn watch(&self, login: &Login, error: Option<&Error>) {
        let operators = |error: &&Error| {
            let code = error.code.as_deref().unwrap_or_default();
            matches!(login, Login::EcsRole)
                || error.kind() == ErrorKind::Unusable
                || code.starts_with("AuthenticationFail.OIDCToken")
        };
        let readiness = self.0.cloud.readiness();
        match error {
            None => readiness.record(NO_SESSION, None),
            Some(error) if operators(&error) => {
                readiness
                    .record(NO_SESSION, Some(&|| format!("{}; {}", error.message, error.hint)));
            }
            Some(_) => {}
        }
    }

    fn keep(&self, owner: LoginKey, key: LoginKey, outcome: Result<Session, NoSession>) -> Outcome {
        let now = Instant::now();
        let mut held = lock(&self.0.held);
        self.0.metrics.login(held.peek(&owner, &key).is_some(), outcome.is_ok());
        match outcome {
            Ok(session) => {
                let session = Arc::new(session);
                let new = Held { session: session.clone(), renew_not_before: now };
                held.insert(owner, key, new, 1);
                self.0.metrics.sessions(held.len());
                Ok(session)
            }
            Err(failed) => {
                // A token or a session that is not taken may be replaced any moment.
                let of_the_role = matches!(
                    failed.error.kind(),
                    ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Invalid
                );
                if failed.refusal && of_the_role {
                    self.remember(owner, key, &failed);
                }
                if let Some(held) = held.get(&owner, &key) {
                    held.renew_not_before = now + RENEW_PAUSE;
                    let error = &failed.error;
                    tracing::warn!(%error, "renewing a RAM session failed; the old one serves on");
                }
                Err(failed)
            }
        }
    }

    /// Boxed because a chained login asks for its base's session first.
    fn ask<'a>(
        &'a self,
        keyed: &'a KeyedLogin,
        priority: Priority,
        deadline: Instant,
        on_error: sts::OnError<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<Session, NoSession>> + Send + 'a>> {
        Box::pin(async move {
            let Inner { cloud, sts, metadata, .. } = &*self.0;
            let caller = keyed.caller();
            match &**keyed {
                Login::Keys(_) => {
                    Err(NoSession::unanswered(Error::new(Reason::Fault, "keys need no session")))
                }
                Login::EcsRole => metadata.session(deadline).await,
                Login::Oidc { role, provider, token, name, lifetime, .. } => {
                    let request =
                        sts::WithOidc { role, provider, token, name, lifetime, caller, priority };
                    sts::assume_role_with_oidc(cloud, sts, &request, deadline, on_error).await
                }
                Login::Assume { base, role, name, lifetime } => {
                    let request = sts::Assume { role, name, lifetime, caller, priority };
                    let request = &request;
                    retry((), |(), attempt| async move {
                        let credentials = match self.credentials(base, priority, deadline).await {
                            Ok(credentials) => credentials,
                            Err(none) => return ControlFlow::Break(Err(none)),
                        };
                        let keys = credentials.keys();
                        let asked = sts::assume_role(cloud, sts, keys, request, deadline, on_error);
                        match asked.await {
                            Err(failure)
                                if attempt == 1 && failure.cause == Cause::SessionRefused =>
                            {
                                self.refused(base, &credentials);
                                ControlFlow::Continue(((), Duration::ZERO))
                            }
                            outcome => ControlFlow::Break(
                                outcome.map_err(|failure| sts::no_session(&failure, role)),
                            ),
                        }
                    })
                    .await
                }
            }
        })
    }
}

impl Session {
    /// `lifetime` from now on.
    fn new(keys: Keys, lifetime: Duration) -> Self {
        let now = Instant::now();
        // Pods that started together should not renew together.
        let margin = (lifetime / 4).min(LONGEST_MARGIN).mul_f64(0.8 + 0.2 * random_fraction());
        let last = (lifetime / 20).min(Duration::from_secs(60));
        Self {
            keys,
            renew_at: now + lifetime.saturating_sub(margin),
            ends_at: now + lifetime.saturating_sub(last),
            request_id: Box::default(),
        }
    }
}

/// Where a session is asked for.
fn asked(login: &Login, sts: &Endpoint) -> String {
    match login {
        Login::EcsRole => "instance metadata".to_owned(),
        _ => format!("STS at {sts}"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
