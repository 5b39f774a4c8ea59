//! Bundle file: new, for its owner alone, and what goes into it.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde_json::{Value, json};

use crate::doctor::{
    bundle::{Bundle, Setting, System},
    facts::Tried,
    line::Report,
    output::json as output,
};

pub(super) struct NewFile {
    file: File,
    name: String,
}

impl NewFile {
    pub(super) fn create(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        if path.extension().is_none_or(|extension| extension != "json") {
            return Err(format!("--bundle: {name} must end in .json, which it is"));
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                format!("--bundle: {name} is there already, and is not overwritten")
            }
            kind => format!("--bundle: {name} cannot be made: {kind}"),
        })?;
        Ok(Self { file, name })
    }

    pub(super) fn write(mut self, text: &str) -> Result<(), String> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        written
            .map_err(|error| format!("--bundle: {} cannot be written: {}", self.name, error.kind()))
    }
}

/// What the run learned beside its lines.
#[derive(Debug, Default)]
pub(super) struct About {
    pub(super) given: Vec<(String, String, String)>,
    pub(super) debug_state: Option<Result<String, String>>,
    pub(super) metrics: Option<Result<String, String>>,
}

impl About {
    pub(super) fn bundle(self, report: &Report, facts: Option<&[Tried]>) -> Bundle {
        let Self { given, debug_state, metrics } = self;
        let none = || Err("not asked for".to_owned());
        let debug_state = match debug_state.unwrap_or_else(none) {
            Ok(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
            Err(why) => json!({ "missing": why }),
        };
        let setting = |(flag, value, given_by)| Setting { flag, value, given_by };
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Bundle {
            schema: 1,
            made_at: format!("{:.0}", jiff::Timestamp::now()),
            version: env!("CARGO_PKG_VERSION"),
            system: System {
                kernel: read("/proc/sys/kernel/osrelease"),
                architecture: std::env::consts::ARCH,
                resolv_conf: read("/etc/resolv.conf"),
            },
            configuration: given.into_iter().map(setting).collect(),
            report: output::value(report, facts),
            debug_state,
            metrics: metrics.unwrap_or_else(none).unwrap_or_else(|why| format!("missing: {why}")),
        }
    }
}
