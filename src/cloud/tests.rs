//! By way of a cloud that says what a test tells it to, on a clock that jumps.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use futures::future::{BoxFuture, join};
use http_body_util::BodyExt;
use hyper::http::request::Parts;
use tokio::time::advance;

use super::*;
use crate::{
    cloud::cause::Full as NoPlaceAmong,
    endpoint::Endpoints,
    http::{Answer, Broken, ConnectionError, Transport, Untrusted},
    sync::lock,
    value::Value,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOST: &str = "kms-vpc.cn-hangzhou.aliyuncs.com";

/// What the cloud says to one request.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Nothing,
    Broken(Broken),
    Answer(u16, String, Vec<(&'static str, &'static str)>),
}

impl Said {
    fn after(self, name: &'static str, value: &'static str) -> Self {
        match self {
            Said::Answer(status, body, mut headers) => {
                headers.push((name, value));
                Said::Answer(status, body, headers)
            }
            other => other,
        }
    }
}

pub(super) fn ok(body: &str) -> Said {
    Said::Answer(200, body.to_owned(), Vec::new())
}

pub(super) fn error(status: u16, code: &str) -> Said {
    let id = "0d7e1d0c-8a4b-4b0c-9a55-2f6d0a3c1b7e";
    Said::Answer(status, format!(r#"{{"Code":"{code}","RequestId":"{id}"}}"#), Vec::new())
}

fn unavailable() -> Said {
    error(503, "ServiceUnavailable")
}

fn throttled() -> Said {
    error(429, "Throttling.User")
}

/// A page of something on the way.
fn page() -> Said {
    Said::Answer(404, "<html>".to_owned(), Vec::new())
}

/// Says one thing after the other, and the last from then on.
#[derive(Debug)]
pub(super) struct Scripted {
    answers: Vec<Said>,
    asked: Mutex<Vec<Asked>>,
}

/// One request, and when it came.
#[derive(Clone, Debug)]
struct Asked {
    at: Instant,
    head: Parts,
    body: Bytes,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Transport for Scripted {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let said = {
                let mut asked = lock(&self.asked);
                let said = &self.answers[asked.len().min(self.answers.len() - 1)];
                asked.push(Asked { at: Instant::now(), head, body });
                said.clone()
            };
            match said {
                Said::Nothing => std::future::pending().await,
                Said::Broken(broken) => Err(broken),
                Said::Answer(status, body, said) => {
                    let mut headers = HeaderMap::new();
                    for (name, value) in said {
                        headers.insert(name, HeaderValue::from_static(value));
                    }
                    Ok(Answer { status, headers, body: Secret::new(body.into_bytes()) })
                }
            }
        })
    }
}

/// A cloud, and where it is.
pub(super) struct Node {
    cloud: Cloud,
    way: Arc<Scripted>,
    pub(super) endpoint: Endpoint,
    begun: Instant,
}

impl Node {
    pub(super) fn new(answers: Vec<Said>) -> Self {
        let way = Arc::new(Scripted { answers, asked: Mutex::default() });
        let cloud = Cloud::new(Clients::by(way.clone()), Arc::new(Metrics::new()), 1, 1);
        let endpoints = Endpoints::of_hangzhou();
        let endpoint = endpoints.of(Service::Kms, &endpoints.region);
        Self { cloud, way, endpoint, begun: Instant::now() }
    }

    /// What each request asked for.
    pub(super) fn queries(&self) -> Vec<String> {
        let asked = self.asked();
        asked.iter().map(|asked| asked.head.uri.query().unwrap().to_owned()).collect()
    }

    fn asked(&self) -> Vec<Asked> {
        lock(&self.way.asked).clone()
    }

    /// When each request came.
    fn times(&self) -> Vec<Duration> {
        self.asked().iter().map(|asked| asked.at - self.begun).collect()
    }

    fn call(&self, api: Api) -> Call<'_> {
        Call {
            api,
            endpoint: &self.endpoint,
            query: vec![("SecretName", "a")],
            form: None,
            keys: None,
            caller: caller(1),
            priority: Priority::default(),
            on_error: None,
            sent: None,
        }
    }

    async fn make(&self, call: &Call<'_>, patience: Duration) -> Result<String, Failure> {
        let body = self.cloud.call(call, Instant::now() + patience).await?;
        Ok(String::from_utf8(body.expose().clone()).unwrap())
    }

    async fn get(&self, patience: Duration) -> Result<String, Failure> {
        self.make(&self.call(Api::GetSecretValue), patience).await
    }

    /// What a read by way of the cloud comes to.
    pub(super) async fn read<T>(
        &self,
        read: impl AsyncFn(&Cloud, &ReadOptions<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let keys = keys(None);
        let options = ReadOptions {
            endpoint: &self.endpoint,
            keys: &keys,
            caller: caller(1),
            priority: Priority::default(),
            deadline: Instant::now() + SECOND,
            on_error: &|_| {},
            sent: &|| {},
        };
        read(&self.cloud, &options).await
    }
}

pub(super) fn text(value: &Value) -> &str {
    std::str::from_utf8(value.bytes.expose()).unwrap()
}

fn caller(login: u8) -> Caller {
    Caller { login: [login; 32], account: [login; 32] }
}

fn keys(token: Option<&str>) -> Keys {
    let own = |text: &str| Secret::new(text.to_owned());
    Keys { id: "LTAI1".to_owned(), secret: own("s"), token: token.map(own) }
}

fn seconds(times: &[Duration]) -> Vec<f64> {
    times.iter().map(|time| (time.as_secs_f64() * 100.0).round() / 100.0).collect()
}

#[tokio::test(start_paused = true)]
async fn call_that_is_answered_has_the_body_and_is_made_once() {
    let node = Node::new(vec![ok("yes")]);
    assert_eq!(node.get(MINUTE).await.unwrap(), "yes");
    assert_eq!(node.asked().len(), 1);
}

// When it is asked again.

#[tokio::test(start_paused = true)]
async fn pause_that_the_cloud_asks_for_is_made() {
    for (name, value, expected) in [
        ("retry-after", "3", 3.0),
        ("retry-after", "14", 14.0),
        ("retry-after", "15", 15.0),
        ("x-acs-retry-after", "2500", 2.5),
    ] {
        let node = Node::new(vec![throttled().after(name, value), ok("yes")]);
        node.get(MINUTE).await.unwrap();
        assert_eq!(seconds(&node.times()), [0.0, expected], "{name}: {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn pause_that_the_cloud_asks_for_is_no_longer_than_15_seconds() {
    for value in ["16", "3600"] {
        let node = Node::new(vec![throttled().after("retry-after", value), ok("yes")]);
        node.get(MINUTE).await.unwrap();
        assert_eq!(seconds(&node.times()), [0.0, 15.0], "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn pause_that_does_not_fit_ends_the_call_at_once_and_late() {
    let node = Node::new(vec![throttled().after("retry-after", "3"), ok("yes")]);
    let failure = node.get(3 * SECOND).await.unwrap_err();
    assert_eq!((failure.cause, failure.late), (Cause::Throttled, true));
    assert_eq!((node.asked().len(), node.begun.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn pause_that_ends_just_before_the_deadline_is_made() {
    let node = Node::new(vec![throttled().after("retry-after", "3"), ok("yes")]);
    assert_eq!(node.get(3 * SECOND + SECOND / 100).await.unwrap(), "yes");
}

#[tokio::test(start_paused = true)]
async fn failure_without_a_pause_is_asked_again_within_a_fifth_of_a_second() {
    let node = Node::new(vec![unavailable(), ok("yes")]);
    node.get(MINUTE).await.unwrap();
    assert!(node.times()[1] <= SECOND / 5, "{:?}", node.times());
}

#[tokio::test(start_paused = true)]
async fn failure_that_passes_is_asked_again() {
    let refused = Broken::Connection(ConnectionError::Refused);
    for said in [throttled(), unavailable(), error(500, "Odd"), page(), Said::Broken(refused)] {
        let node = Node::new(vec![said.clone(), ok("yes")]);
        assert_eq!(node.get(MINUTE).await.unwrap(), "yes", "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failure_that_stays_is_not_asked_again() {
    for said in [
        error(403, "Forbidden.NoPermission"),
        error(404, "Forbidden.ResourceNotFound"),
        error(400, "InvalidParameter"),
        error(400, "InvalidTimeStamp.Expired"),
        error(403, "InvalidSecurityToken.Expired"),
        Said::Broken(Broken::TooLarge),
        Said::Broken(Broken::Certificate(Untrusted::Expired)),
    ] {
        let node = Node::new(vec![said.clone(), ok("yes")]);
        let failure = node.get(MINUTE).await.unwrap_err();
        assert_eq!((failure.attempts, failure.late), (1, false), "{said:?}");
        assert_eq!(node.asked().len(), 1, "{said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn eighth_attempt_is_the_last() {
    let node = Node::new(vec![unavailable()]);
    let failure = node.get(60 * MINUTE).await.unwrap_err();
    assert_eq!((failure.cause, failure.attempts, failure.late), (Cause::Server, 8, false));
    assert_eq!(node.asked().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn eighth_attempt_is_made() {
    let mut answers = vec![unavailable(); 7];
    answers.push(ok("yes"));
    assert_eq!(Node::new(answers).get(60 * MINUTE).await.unwrap(), "yes");
}

#[tokio::test(start_paused = true)]
async fn nonce_that_was_used_is_replaced_at_once() {
    let node = Node::new(vec![error(400, "SignatureNonceUsed"), ok("yes")]);
    assert_eq!(node.get(MINUTE).await.unwrap(), "yes");
    assert_eq!(node.times(), [Duration::ZERO; 2]);
}

#[tokio::test(start_paused = true)]
async fn nonce_that_was_used_is_replaced_once() {
    let node = Node::new(vec![error(400, "SignatureNonceUsed")]);
    let failure = node.get(MINUTE).await.unwrap_err();
    assert_eq!((failure.cause, failure.attempts), (Cause::NonceUsed, 2));
    assert_eq!(node.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn batch_that_fails_as_such_is_not_asked_again() {
    for api in [Api::BatchGetSecretValue, Api::GetSecretParameters] {
        let node = Node::new(vec![page(), ok("yes")]);
        let failure = node.make(&node.call(api), MINUTE).await.unwrap_err();
        assert_eq!((failure.cause, node.asked().len()), (Cause::OnTheWay, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn batch_whose_host_fails_is_asked_again() {
    for said in [throttled(), unavailable()] {
        let node = Node::new(vec![said, ok("yes")]);
        assert!(node.make(&node.call(Api::BatchGetSecretValue), MINUTE).await.is_ok());
    }
}

// When its time is up.

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline_and_late() {
    let node = Node::new(vec![Said::Nothing]);
    let failure = node.get(5 * SECOND).await.unwrap_err();
    assert_eq!((failure.cause, failure.late), (Cause::TimedOut, true));
    assert_eq!(seconds(&[node.begun.elapsed()]), [5.0]);
}

#[tokio::test(start_paused = true)]
async fn silence_of_ten_seconds_ends_an_attempt_and_not_the_call() {
    let node = Node::new(vec![Said::Nothing, ok("yes")]);
    assert_eq!(node.get(MINUTE).await.unwrap(), "yes");
    let again = node.times()[1];
    assert!((10 * SECOND..=10 * SECOND + SECOND / 4).contains(&again), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn answer_is_told_and_not_the_silence_after_it() {
    let node = Node::new(vec![unavailable(), Said::Nothing]);
    let failure = node.get(5 * SECOND).await.unwrap_err();
    assert_eq!((failure.cause, failure.late), (Cause::Server, true));
}

#[tokio::test(start_paused = true)]
async fn call_that_finds_no_place_in_time_is_not_sent_and_says_so() {
    let node = Node::new(vec![Said::Nothing]);
    let second = async {
        let sent = AtomicUsize::new(0);
        let count = || {
            sent.fetch_add(1, Relaxed);
        };
        let other =
            Call { caller: caller(2), sent: Some(&count), ..node.call(Api::GetSecretValue) };
        (node.make(&other, SECOND).await.unwrap_err(), sent.load(Relaxed))
    };
    let (_, (failure, sent)) = join(node.get(5 * SECOND), second).await;
    assert_eq!(failure.cause, Cause::NoPlace(NoPlaceAmong::Service(1)));
    assert!(failure.late);
    assert_eq!((sent, node.asked().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn calls_to_one_service_leave_another_its_places() {
    let node = Node::new(vec![Said::Nothing, ok("yes")]);
    let oos = node.call(Api::GetSecretParameter);
    let (_, other) = join(node.get(SECOND), node.make(&oos, SECOND)).await;
    assert_eq!(other.unwrap(), "yes");
}

// What is heard meanwhile.

#[tokio::test(start_paused = true)]
async fn every_failure_is_heard_before_the_next_attempt() {
    let node = Node::new(vec![unavailable(), throttled(), ok("yes")]);
    let heard = Mutex::new(Vec::new());
    let on_error = |failure: &Failure| lock(&heard).push((failure.cause, failure.attempts));
    let call = Call { on_error: Some(&on_error), ..node.call(Api::GetSecretValue) };
    node.make(&call, MINUTE).await.unwrap();
    assert_eq!(*lock(&heard), [(Cause::Server, 1), (Cause::Throttled, 2)]);
}

#[tokio::test(start_paused = true)]
async fn call_that_waits_for_a_place_is_heard_to_wait_and_then_to_be_under_way() {
    let node = Node::new(vec![Said::Nothing, ok("yes")]);
    let heard = Mutex::new(Vec::new());
    let on_error = |failure: &Failure| lock(&heard).push(failure.cause);
    let other =
        Call { caller: caller(2), on_error: Some(&on_error), ..node.call(Api::GetSecretValue) };
    let (_, second) = join(node.get(SECOND), node.make(&other, MINUTE)).await;
    assert_eq!(second.unwrap(), "yes");
    assert_eq!(*lock(&heard), [Cause::NoPlace(NoPlaceAmong::Service(1)), Cause::TimedOut]);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_told_as_it_is_sent() {
    let node = Node::new(vec![unavailable(), ok("yes")]);
    let sent = AtomicUsize::new(0);
    let count = || {
        sent.fetch_add(1, Relaxed);
    };
    let call = Call { sent: Some(&count), ..node.call(Api::GetSecretValue) };
    node.make(&call, MINUTE).await.unwrap();
    assert_eq!(sent.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn caller_that_was_throttled_is_and_no_other() {
    let node = Node::new(vec![throttled().after("retry-after", "60")]);
    node.get(SECOND).await.unwrap_err();
    let is = |service, login| node.cloud.is_throttling(service, &node.endpoint, &caller(login));
    assert!(is(Service::Kms, 1));
    assert!(!is(Service::Kms, 2) && !is(Service::Oos, 1));
}

#[tokio::test(start_paused = true)]
async fn request_carries_the_programs_agent_or_the_operators() {
    let plain = Node::new(vec![ok("{}")]);
    plain.get(SECOND).await.unwrap();
    let named = Node::new(vec![ok("{}")]);
    let named = Node { cloud: named.cloud.with_agent(agent("ACK/prod").unwrap()), ..named };
    named.get(SECOND).await.unwrap();
    let said = [plain, named].map(|node| node.asked()[0].head.headers[USER_AGENT].clone());
    assert_eq!(said, [AGENT.to_owned(), format!("{AGENT} ACK/prod")]);
}

/// What readiness says of a host that fails two logins, and four minutes later a third in this way.
async fn readiness_after(last: Said) -> Vec<String> {
    let readiness = Arc::new(Readiness::new(vec![(HOST.to_owned(), "KMS cannot be reached")]));
    let refused = Said::Broken(Broken::Connection(ConnectionError::Refused));
    let node = Node::new(vec![refused.clone(), refused, last]);
    let cloud = Cloud::new(Clients::by(node.way.clone()), Arc::new(Metrics::new()), 1, 1);
    let node = Node { cloud: cloud.with_readiness(readiness.clone()), ..node };
    for login in 1..=3 {
        let call = Call { caller: caller(login), ..node.call(Api::GetSecretValue) };
        // No time for a second attempt.
        let _ = node.make(&call, Duration::from_nanos(1)).await;
        advance(4 * MINUTE).await;
    }
    readiness.reasons()
}

#[tokio::test(start_paused = true)]
async fn host_that_answers_nobody_is_told_by_readiness() {
    for last in [unavailable(), Said::Nothing] {
        let told = readiness_after(last).await;
        assert!(told[0].starts_with("KMS cannot be reached for 12 minutes: "), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn host_that_refuses_or_throttles_answers() {
    for last in [ok("yes"), error(403, "Forbidden.NoPermission"), throttled()] {
        assert_eq!(readiness_after(last).await, [""; 0]);
    }
}

// What is sent.

#[tokio::test(start_paused = true)]
async fn every_attempt_has_a_nonce_and_a_signature_of_its_own() {
    let node = Node::new(vec![unavailable(), ok("yes")]);
    let keys = keys(None);
    let call = Call { keys: Some(&keys), ..node.call(Api::GetSecretValue) };
    node.make(&call, MINUTE).await.unwrap();
    let [one, other] = &*node.asked() else { panic!() };
    for header in ["x-acs-signature-nonce", "authorization"] {
        assert!(one.header(header).is_some());
        assert_ne!(one.header(header), other.header(header), "{header}");
    }
}

#[tokio::test(start_paused = true)]
async fn request_names_its_operation_and_its_version() {
    for (api, version) in [
        (Api::AssumeRole, "2015-04-01"),
        (Api::GetSecretValue, "2016-01-20"),
        (Api::GetSecretParameters, "2019-06-01"),
    ] {
        let node = Node::new(vec![ok("")]);
        node.make(&node.call(api), MINUTE).await.unwrap();
        let asked = &node.asked()[0];
        assert_eq!(asked.header("x-acs-action"), Some(api.name()));
        assert_eq!(asked.header("x-acs-version"), Some(version));
    }
}

#[tokio::test(start_paused = true)]
async fn request_goes_to_its_host_over_https_alone() {
    let node = Node::new(vec![ok("")]);
    node.get(MINUTE).await.unwrap();
    let Asked { head, .. } = &node.asked()[0];
    assert_eq!(head.method, "POST");
    assert_eq!(head.uri.to_string(), format!("https://{HOST}/?SecretName=a"));
    assert_eq!(head.headers["host"], HOST);
}

#[tokio::test(start_paused = true)]
async fn anonymous_request_has_neither_signature_nor_session() {
    let node = Node::new(vec![ok("")]);
    node.get(MINUTE).await.unwrap();
    let asked = &node.asked()[0];
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(asked.header("x-acs-security-token"), None);
}

#[tokio::test(start_paused = true)]
async fn session_is_sent_and_signed() {
    let node = Node::new(vec![ok("")]);
    let keys = keys(Some("planted"));
    let call = Call { keys: Some(&keys), ..node.call(Api::GetSecretValue) };
    node.make(&call, MINUTE).await.unwrap();
    let asked = &node.asked()[0];
    assert_eq!(asked.header("x-acs-security-token"), Some("planted"));
    let signed = asked.header("authorization").unwrap();
    assert!(signed.contains("Credential=LTAI1,") && signed.contains(";x-acs-security-token"));
}

#[tokio::test(start_paused = true)]
async fn headers_that_prove_who_asks_are_kept_out_of_logs() {
    let node = Node::new(vec![ok("")]);
    let keys = keys(Some("planted"));
    let call = Call { keys: Some(&keys), ..node.call(Api::GetSecretValue) };
    node.make(&call, MINUTE).await.unwrap();
    let shown = format!("{:?}", node.asked()[0].head.headers);
    assert!(!shown.contains("planted") && !shown.contains("Signature="), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn form_is_sent_in_the_body_alone() {
    let node = Node::new(vec![ok("")]);
    let form = Some(Secret::new("OIDCToken=planted".to_owned()));
    let call = Call { form, ..node.call(Api::AssumeRoleWithOidc) };
    node.make(&call, MINUTE).await.unwrap();
    let asked = &node.asked()[0];
    assert_eq!(asked.body, "OIDCToken=planted");
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(!format!("{:?}", asked.head).contains("planted"));
}

#[tokio::test(start_paused = true)]
async fn request_without_a_form_has_no_body() {
    let node = Node::new(vec![ok("")]);
    node.get(MINUTE).await.unwrap();
    let asked = &node.asked()[0];
    assert_eq!((asked.body.len(), asked.header("content-type")), (0, None));
}

#[tokio::test(start_paused = true)]
async fn request_that_cannot_be_written_is_not_sent() {
    let node = Node::new(vec![ok("")]);
    let keys = keys(Some("a\nb"));
    let call = Call { keys: Some(&keys), ..node.call(Api::GetSecretValue) };
    let failure = node.make(&call, MINUTE).await.unwrap_err();
    assert_eq!((failure.cause, node.asked().len()), (Cause::Unsendable, 0));
}

#[tokio::test]
async fn debug_of_a_read_shows_where_it_goes_and_not_its_keys() {
    let shown = Mutex::new(String::new());
    let node = Node::new(Vec::new());
    let read = node.read(async |_, options| {
        *lock(&shown) = format!("{options:?}");
        Ok(())
    });
    read.await.unwrap();
    let shown = lock(&shown);
    assert!(shown.contains(HOST) && !shown.contains("LTAI1"), "{shown}");
}

#[test]
fn debug_of_a_call_shows_no_parameters() {
    let node = Node::new(Vec::new());
    let form = Some(Secret::new("planted".to_owned()));
    let call = Call { form, query: vec![("a", "planted")], ..node.call(Api::AssumeRole) };
    let shown = format!("{call:?}");
    assert!(shown.contains("AssumeRole") && !shown.contains("planted"), "{shown}");
}
