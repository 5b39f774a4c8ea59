//! A world's provider: the library in the test's own process, or the program that is given.

use std::{net::SocketAddr, process::Stdio};

use provider::app::App;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Setup, parse};
use crate::{
    log,
    program::{Process, StandardError, given, program},
};

pub(super) enum Serving {
    Library {
        shutdown: CancellationToken,
        serving: AbortOnDropHandle<Result<(), String>>,
        logs_from: usize,
    },
    Program {
        process: Process,
        stderr: StandardError,
    },
}

impl Serving {
    /// Returns the address of its admin port too.
    pub(super) async fn start(arguments: Vec<String>, setup: &Setup) -> (Self, SocketAddr) {
        let Some(_) = given() else {
            let logs_from = log::capture();
            let app = App::bind(parse(arguments, setup).unwrap()).await.unwrap();
            let admin = app.admin_address().unwrap();
            let shutdown = CancellationToken::new();
            let serving = AbortOnDropHandle::new(tokio::spawn(app.serve(shutdown.clone())));
            return (Self::Library { shutdown, serving, logs_from }, admin);
        };
        let mut command = program();
        let (filter, format) = log::of_a_program();
        command
            .args(&arguments[1..])
            .args([format!("--log-level={filter}"), format!("--log-format={format}")])
            .envs(setup.environment.iter().cloned())
            .stdout(Stdio::null());
        let stderr = StandardError::of(&mut command);
        let mut process = Process::start(&mut command);
        // With port 0 it says which one it got, once it serves.
        let (before, after) = match format {
            "json" => ("probes and metrics\",\"address\":\"", '"'),
            _ => ("probes and metrics address=", ' '),
        };
        let admin = stderr.between(before, after, &mut process).await;
        (Self::Program { process, stderr }, admin.parse().unwrap())
    }

    /// As SIGTERM ends it. Returns what it logged.
    pub(super) async fn end(self) -> Vec<u8> {
        match self {
            Self::Library { shutdown, serving, logs_from } => {
                shutdown.cancel();
                serving.await.unwrap().unwrap();
                // What a panic unwinds through may log again.
                log::captured().lock().unwrap()[logs_from..].to_vec()
            }
            Self::Program { mut process, stderr } => {
                process.terminate();
                let status = process.ended().await;
                let logs = stderr.all();
                assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&logs));
                log::keep(&logs);
                logs
            }
        }
    }

    /// Says something where it logs.
    pub(super) fn log(&self, text: &str) {
        match self {
            Self::Library { .. } => tracing::trace!("{text}"),
            Self::Program { stderr, .. } => stderr.write(text),
        }
    }
}
