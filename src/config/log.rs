//! `--log-level` and `--log-format`.

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{
    flag::{Flag, OPERATION, flag},
    settings::Settings,
};
use crate::{telemetry::log::LogFormat, text::quoted};

pub(super) const FLAGS: &[Flag] = &[
    flag(
        OPERATION,
        "log-level",
        "FILTER",
        "error, warn, info, debug, trace or off; or a list of these and TARGET=LEVEL, such as \
         warn,provider=debug. What ends the program is printed at any level [default: info]",
    ),
    flag(OPERATION, "log-format", "FORMAT", "text or json [default: text]"),
];

impl Settings<'_> {
    pub(super) fn log_format(&mut self) -> LogFormat {
        self.parsed("log-format", &[], log_format, "text or json").unwrap_or_default()
    }

    pub(super) fn log_filter(&mut self) -> Targets {
        let filter = self.checked("log-level", &[], log_filter);
        filter.unwrap_or_else(|| Targets::new().with_default(DEFAULT))
    }
}

const DEFAULT: LevelFilter = LevelFilter::INFO;

const LEVELS: [(&str, LevelFilter); 6] = [
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
    ("off", LevelFilter::OFF),
];

/// What other programs call these levels.
const ELSEWHERE: [(&str, &str); 8] = [
    ("warning", "warn"),
    ("information", "info"),
    ("notice", "info"),
    ("err", "error"),
    ("critical", "error"),
    ("fatal", "error"),
    ("verbose", "debug"),
    ("none", "off"),
];

fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// A parser of our own, since that of `Targets` takes an unknown level for a target and turns all
/// else off.
pub fn log_filter(text: &str) -> Result<Targets, String> {
    let mut filter = Targets::new();
    let mut general = None;
    for item in text.split(',').map(str::trim) {
        match item.rsplit_once('=') {
            None if general.is_some() => {
                return Err("names more than one level without a TARGET=".to_owned());
            }
            None => general = Some(level(item)?),
            Some((target, word)) if is_target(target) => {
                filter = filter.with_target(target, level(word)?);
            }
            Some((target, _)) => {
                return Err(format!(
                    "{} is not a target such as provider or hyper",
                    quoted(target)
                ));
            }
        }
    }
    Ok(filter.with_default(general.unwrap_or(DEFAULT)))
}

fn level(word: &str) -> Result<LevelFilter, String> {
    let lower = word.to_ascii_lowercase();
    if let Some((_, level)) = LEVELS.iter().find(|(name, _)| *name == lower) {
        return Ok(*level);
    }
    let meant = ELSEWHERE.iter().find(|(other, _)| *other == lower);
    let meant = meant.map_or(String::new(), |(_, ours)| format!("; did you mean {ours}?"));
    Err(format!(
        "{} is not one of {}, nor TARGET=LEVEL such as provider=debug{meant}",
        quoted(word),
        LEVELS.map(|(name, _)| name).join(", ")
    ))
}

/// A module's path in Rust.
fn is_target(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.split("::").all(|part| !part.is_empty() && part.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled(filter: &str, target: &str, level: tracing::Level) -> bool {
        log_filter(filter).unwrap().would_enable(target, &level)
    }

    #[test]
    fn log_filter_takes_levels_and_targets() {
        use tracing::Level;
        assert!(enabled("info", "provider::mount", Level::INFO));
        assert!(!enabled("info", "provider::mount", Level::DEBUG));
        assert!(enabled("WARN, provider=debug", "provider::mount", Level::DEBUG));
        assert!(!enabled("warn,provider=debug", "hyper", Level::INFO));
        assert!(enabled("provider::mount=trace", "provider::mount", Level::TRACE));
        // What is not named is not silenced.
        assert!(enabled("hyper=debug", "provider", Level::INFO));
        assert!(!enabled("off", "provider", Level::ERROR));
    }

    #[test]
    fn log_filter_refuses_unknown_words_and_lists_the_levels() {
        for (text, said) in [
            ("warning", "did you mean warn?"),
            ("Information", "did you mean info?"),
            ("provider=verbos", "\"verbos\" is not one of error, warn, info, debug, trace, off"),
            ("provider", "nor TARGET=LEVEL such as provider=debug"),
            ("5", "\"5\" is not one of"),
            (",info", "\"\" is not one of"),
            ("info,debug", "more than one level"),
            ("csi-provider=debug", "\"csi-provider\" is not a target"),
            ("=debug", "\"\" is not a target"),
        ] {
            let error = log_filter(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
