//! What all programs of a test log, kept for a search of what must never be said.

use std::{
    cell::RefCell,
    future::Future,
    io::Write,
    sync::{Arc, LazyLock, Mutex, Once},
    thread::{self, JoinHandle},
};

use tracing_subscriber::{
    Layer, Registry, filter::Targets, fmt::MakeWriter, layer::SubscriberExt, registry,
    util::SubscriberInitExt,
};

pub type Log = Arc<Mutex<Vec<u8>>>;

static LOGS: LazyLock<Log> = LazyLock::new(Log::default);

thread_local! {
    static OWN_LOG: RefCell<Option<(Log, String)>> = const { RefCell::new(None) };
}

/// What was logged where this is called from.
pub fn captured() -> Log {
    OWN_LOG.with_borrow(|own| own.as_ref().map(|(log, _)| log.clone())).unwrap_or(LOGS.clone())
}

/// What is logged where this is called from.
pub fn filter() -> String {
    OWN_LOG
        .with_borrow(|own| own.as_ref().map(|(_, filter)| filter.clone()))
        .unwrap_or("trace".to_owned())
}

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
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true);
        layer.with_writer(Capture(log)).boxed()
    };
    apart_with(filter, layer, work)
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
    apart_with(filter, layer, work)
}

fn apart_with<T, F>(
    filter: &str,
    layer: fn(Log) -> Box<dyn Layer<Registry> + Send + Sync>,
    work: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (text, filter) = (filter.to_owned(), filter.parse::<Targets>().unwrap());
    // Under the test's own name, by which it is known what it started.
    let name = thread::current().name().unwrap_or_default().to_owned();
    let work = move || {
        let log = Log::default();
        OWN_LOG.set(Some((log.clone(), text)));
        let _logging = registry().with(layer(log).with_filter(filter)).set_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(work())
    };
    thread::Builder::new().name(name).spawn(work).unwrap()
}
