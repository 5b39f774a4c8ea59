//! What all programs of a test log, kept for a search of what must never be said.

use std::{
    cell::RefCell,
    future::Future,
    io::Write,
    sync::{Arc, LazyLock, Mutex, Once},
    thread::{self, JoinHandle},
};

use provider::telemetry::log::Flat;
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{MakeWriter, format::JsonFields},
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

pub type Log = Arc<Mutex<Vec<u8>>>;

static LOGS: LazyLock<Log> = LazyLock::new(Log::default);

/// Of one thread: what was logged, and what is to be, in which format.
#[derive(Clone)]
struct OwnLog {
    log: Log,
    filter: String,
    format: &'static str,
}

thread_local! {
    static OWN_LOG: RefCell<Option<OwnLog>> = const { RefCell::new(None) };
}

fn own() -> Option<OwnLog> {
    OWN_LOG.with_borrow(Clone::clone)
}

/// What was logged where this is called from.
pub fn captured() -> Log {
    own().map_or_else(|| LOGS.clone(), |own| own.log)
}

/// What is logged where this is called from, and how: `--log-level` and `--log-format` of a program.
pub fn of_a_program() -> (String, &'static str) {
    own().map_or_else(|| ("trace".to_owned(), TEXT), |own| (own.filter, own.format))
}

/// What a program logged, for the test that reads its own log.
pub fn keep(logs: &[u8]) {
    if let Some(own) = own() {
        own.log.lock().unwrap().extend_from_slice(logs);
    }
}

const TEXT: &str = "text";
const JSON: &str = "json";

#[derive(Clone)]
struct Capture(Log);

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Capture {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything, of every library, at trace level; returns where the log is now.
pub fn capture() -> usize {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let logs = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(Capture(LOGS.clone()));
        logs.try_init().unwrap();
    });
    captured().lock().unwrap().len()
}

/// As `apart`, written as `--log-format=json` does, and so without the escapes of the text format.
pub fn apart_in_json<T, F>(filter: &str, work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let layer = |log| {
        let layer = tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new());
        layer.event_format(Flat::default()).with_writer(Capture(log)).boxed()
    };
    apart_with(filter, JSON, layer, work)
}

/// Worlds that make thousands of mounts: on a thread and a runtime of their own, so that their tasks
/// can be counted and other tests need not search what they log. `filter` is what they log.
pub fn apart<T, F>(filter: &str, work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let layer =
        |log| tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Capture(log)).boxed();
    apart_with(filter, TEXT, layer, work)
}

fn apart_with<T, F>(
    filter: &str,
    format: &'static str,
    layer: fn(Log) -> Box<dyn Layer<Registry> + Send + Sync>,
    work: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (targets, filter) = (filter.parse::<Targets>().unwrap(), filter.to_owned());
    // Under the test's own name, by which it is known what it started.
    let name = thread::current().name().unwrap_or_default().to_owned();
    let work = move || {
        let log = Log::default();
        OWN_LOG.set(Some(OwnLog { log: log.clone(), filter, format }));
        let _logging = registry().with(layer(log).with_filter(targets)).set_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(work())
    };
    thread::Builder::new().name(name).spawn(work).unwrap()
}
