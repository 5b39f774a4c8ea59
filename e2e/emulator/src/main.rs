//! The emulator as a process, and the commands that steer one.

mod ctl;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use emulator::{Config, Emulator, Options, stdout};
use tokio::signal::unix::{SignalKind, signal};

const AFTER_HELP: &str = "\
Try it:
  alibabacloud-emulator example-config > cloud.yaml
  alibabacloud-emulator --config cloud.yaml --ca-dir ca --log

The first line on stdout is JSON with the address of each listener. Then send official clients to
the HTTP listener (protocol http), or name an *.aliyuncs.com host at the TLS listener and trust
ca/ca.pem; *.cryptoservice.kms.aliyuncs.com is signed by ca/instance-ca.pem and
ca/instance-intermediate.pem. Ask for the token of a pod, change a secret, make KMS throttle
twice, and see what was asked:
  alibabacloud-emulator ctl pod-token --service-account app
  alibabacloud-emulator ctl rotate secret001 'a new value'
  alibabacloud-emulator ctl fault '{\"service\":\"kms\",\"times\":2,\"effect\":{\"error\":{\"status\":429,\"code\":\"Rejected.Throttling\"}}}'
  alibabacloud-emulator ctl requests";

/// Stands in for Alibaba Cloud on a laptop or in tests: STS, KMS, OOS, ECS instance metadata and
/// the ServiceAccount calls of a Kubernetes API server. Signatures, tokens and policies are
/// checked as strictly as the cloud checks them.
#[derive(Debug, Parser)]
#[command(name = "alibabacloud-emulator", version, after_help = AFTER_HELP)]
struct Cli {
    /// What the cloud holds; see `example-config`.
    #[arg(long)]
    config: Option<PathBuf>,
    /// STS, KMS and OOS over TLS. Port 0 takes a free port, here and below.
    #[arg(long, default_value = "127.0.0.1:18443")]
    listen: SocketAddr,
    /// STS, KMS and OOS over plain HTTP.
    #[arg(long, default_value = "127.0.0.1:18080")]
    http_listen: SocketAddr,
    /// ECS instance metadata (100.100.100.200 on a real node).
    #[arg(long, default_value = "127.0.0.1:18070")]
    metadata_listen: SocketAddr,
    /// The Kubernetes API stand-in.
    #[arg(long, default_value = "127.0.0.1:18060")]
    kubernetes_listen: SocketAddr,
    /// Where `ctl` connects to; keep it on loopback, it hands out every secret.
    #[arg(long, default_value = "127.0.0.1:18090")]
    control_listen: SocketAddr,
    /// Keep certificate authorities and the token issuer's key here, and reuse them.
    #[arg(long)]
    ca_dir: Option<PathBuf>,
    /// Print one line per request.
    #[arg(long)]
    log: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a commented configuration that works.
    ExampleConfig,
    /// Change a running emulator, or ask it what happened.
    Ctl(ctl::Ctl),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Some(Command::ExampleConfig) => {
            stdout::line(Config::example().trim_end());
            Ok(())
        }
        Some(Command::Ctl(ctl)) => ctl::run(ctl).await,
        None => serve(cli).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "alibabacloud-emulator: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(cli: Cli) -> Result<(), String> {
    let path = cli.config.ok_or("--config is needed; `example-config` prints one to start from")?;
    let place = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|error| place(error.to_string()))?;
    let config = Config::from_yaml(&text).map_err(|error| place(error.to_string()))?;
    let options = Options {
        https: cli.listen,
        http: cli.http_listen,
        metadata: cli.metadata_listen,
        kubernetes: cli.kubernetes_listen,
        control: cli.control_listen,
        ca_dir: cli.ca_dir,
        log: cli.log,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let emulator =
        Emulator::start_with(config, options).await.map_err(|error| error.to_string())?;
    let addresses = serde_json::to_string(&emulator.addresses());
    stdout::line(&addresses.map_err(|error| error.to_string())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
