//! Logs: written to standard error, and errors that end the process even where logs are turned off.

use std::{fmt, io::Write};

use tracing::{Event, Level, Subscriber, enabled, error, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{self, Format, Json, JsonFields, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The target of events that no filter drops.
const FATAL: &str = "fatal";

/// What is logged, to be changed while the program runs.
#[derive(Clone, Debug)]
pub struct LogLevel {
    handle: reload::Handle<Targets, Registry>,
    configured: Targets,
}

impl LogLevel {
    /// `None`: as it was at the start.
    pub fn set(&self, filter: Option<Targets>) -> Result<(), String> {
        let filter = filter.unwrap_or_else(|| self.configured.clone());
        self.handle.reload(fatal_too(filter)).map_err(|error| error.to_string())
    }

    /// As `--log-level` has it.
    pub fn text(&self) -> String {
        let text = self.handle.with_current(ToString::to_string).unwrap_or_default();
        let own = |item: &&str| [FATAL, MOUNT_SPAN].iter().any(|own| item.starts_with(own));
        let items = text.split(',').filter(|item| !own(item));
        items.collect::<Vec<_>>().join(",")
    }
}

fn fatal_too(filter: Targets) -> Targets {
    filter.with_target(FATAL, LevelFilter::ERROR).with_target(MOUNT_SPAN, LevelFilter::ERROR)
}

/// The target of mounts' spans, which no filter drops: each line that is logged says whose it is.
pub const MOUNT_SPAN: &str = "provider::mount_span";

/// Logs go to standard error; standard output is for what a command answers. `changeable`: the filter can
/// be changed later, which costs a lock for each line.
pub fn start(
    format: LogFormat,
    filter: Targets,
    changeable: bool,
) -> Result<Option<LogLevel>, String> {
    type Boxed = Box<dyn Layer<Registry> + Send + Sync>;
    let (filter, level): (Boxed, _) = if changeable {
        let (layer, handle) = reload::Layer::new(fatal_too(filter.clone()));
        (Box::new(layer), Some(LogLevel { handle, configured: filter }))
    } else {
        (Box::new(fatal_too(filter)), None)
    };
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // For the whole registry, as there is one output: a filter of that layer's own would cost each span more.
    let registry = tracing_subscriber::registry().with(filter);
    let set = match format {
        LogFormat::Text => registry.with(logs.with_ansi(false)).try_init(),
        LogFormat::Json => {
            let logs = logs.fmt_fields(JsonFields::new()).event_format(Flat::default());
            registry.with(logs).try_init()
        }
    };
    set.map_err(|_| "logging is set up already".to_owned())?;
    Ok(level)
}

/// JSON lines in which the fields of the spans around an event stand beside its own: the pod of a mount is
/// found under the same name in every line.
#[derive(Debug)]
pub struct Flat(Format<Json>);

impl Default for Flat {
    fn default() -> Self {
        let json = format::format().json().flatten_event(true);
        Self(json.with_current_span(false).with_span_list(false))
    }
}

impl<S, N> FormatEvent<S, N> for Flat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let own = line.trim_end();
        writer.write_str(own.strip_suffix('}').unwrap_or(own))?;
        // Libraries name fields of theirs as they like, and some twice.
        let spans = context.event_scope().into_iter().flatten();
        for span in spans.filter(|span| span.metadata().target() == MOUNT_SPAN) {
            let extensions = span.extensions();
            let Some(fields) = extensions.get::<FormattedFields<N>>() else { continue };
            let fields = fields.strip_prefix('{').and_then(|fields| fields.strip_suffix('}'));
            if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
                writer.write_char(',')?;
                writer.write_str(fields)?;
            }
        }
        writer.write_str("}\n")
    }
}

/// Says why the process ends: once, at any log level, and before there are logs too.
pub fn fatal(error: &str) {
    if enabled!(target: FATAL, Level::ERROR) {
        error!(target: FATAL, error, "stopping");
    } else {
        to_stderr(&format!("stopping: {error}"));
    }
}

/// Makes panics say where they happened, at any log level, and not their message, which may quote a
/// secret. For the whole process: to be called once, first.
pub fn withhold_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        if enabled!(target: FATAL, Level::ERROR) {
            error!(target: FATAL, location, "{PANICKED}");
        } else {
            to_stderr(&format!("{}: {PANICKED}", location.unwrap_or_default()));
        }
    }));
}

const PANICKED: &str = "panicked; the message is withheld as it may quote a secret";

/// There is nothing else to do where nobody reads it.
fn to_stderr(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::{fs, panic, sync::Arc};

    use super::*;

    #[test]
    fn panic_logs_its_place_and_not_its_message() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let writer = Arc::new(log.reopen().unwrap());
        let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
        let previous = panic::take_hook();
        withhold_panic_messages();
        tracing::subscriber::with_default(subscriber, || {
            panic::catch_unwind(|| panic!("canary")).unwrap_err();
        });
        panic::set_hook(previous);
        let log = fs::read_to_string(log).unwrap();
        assert!(log.contains("src/telemetry/log.rs:") && !log.contains("canary"), "{log}");
    }
}
