//! Node: what can be seen of the machine and the cluster: the socket, processes, the admin port, the API server.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
    time::Duration,
};

use http_body_util::Full;
use hyper::Request;
use rustls::RootCertStore;
use tokio::{
    net::UnixStream,
    time::{Instant, timeout},
};

use crate::{
    admin::check,
    doctor::checks::{
        driver::{NAME, Object, Program},
        service_accounts,
        socket::{Contact, State},
        token::Claims,
    },
    http::{Broken, Client},
    identity::api_server::{ACCOUNT_DIR, ApiServer, Refused},
    secret::Secret,
};

const PROGRAM: &str = env!("CARGO_PKG_NAME");
/// The driver's program in its own image.
const DRIVER: &str = "secrets-store-csi";

/// The arguments of the provider that is the first process here, as it is in its own container.
pub(super) fn running_provider() -> Option<Vec<String>> {
    let arguments = arguments(1)?;
    let is_own = program(&arguments) == PROGRAM && std::process::id() != 1;
    // Another command of this program has other flags.
    let serves = arguments.get(1).is_none_or(|first| first.starts_with('-'));
    (is_own && serves).then_some(arguments)
}

/// The driver's process, on a node or where processes are shared.
pub(super) fn running_driver() -> Option<Program> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find_map(|pid| {
        let arguments = arguments(pid).filter(|arguments| program(arguments) == DRIVER)?;
        let from = format!("process {pid}");
        Some(Program { from, arguments, version: None })
    })
}

fn arguments(pid: u32) -> Option<Vec<String>> {
    let text = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8(text).ok()?;
    let all: Vec<String> = text.trim_end_matches('\0').split('\0').map(str::to_owned).collect();
    all.first().is_some_and(|first| !first.is_empty()).then_some(all)
}

fn program(arguments: &[String]) -> &str {
    arguments.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default()
}

pub(super) async fn socket(path: &Path, limit: Duration) -> State {
    const WORLD_WRITABLE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
    let Some(folder) = folder else { return State::NoFolder };
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return State::Missing,
        Err(error) => return State::Unseen(error.kind().to_string()),
    };
    if !found.file_type().is_socket() {
        return State::NotASocket;
    }
    let started = Instant::now();
    let contact = match timeout(limit, UnixStream::connect(path)).await {
        Err(_elapsed) => Contact::Wrong("does not take connections".to_owned()),
        Ok(Err(error)) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Contact::Refused,
            io::ErrorKind::PermissionDenied => Contact::Forbidden,
            kind => Contact::Wrong(format!("cannot be connected to: {kind}")),
        },
        Ok(Ok(_)) => match timeout(limit, check::version(path)).await {
            Err(_elapsed) => {
                Contact::Wrong("somebody listens and does not answer Version".to_owned())
            }
            Ok(Ok((name, version))) => Contact::Version { name, version, took: started.elapsed() },
            Ok(Err(what)) => Contact::Wrong(what),
        },
    };
    State::There {
        owner: found.uid(),
        mode: found.mode() & 0o7777,
        open_folder: folder.mode() & (WORLD_WRITABLE | STICKY) == WORLD_WRITABLE,
        contact,
    }
}

/// What the admin port answers to a path: status and text.
pub(super) async fn admin(address: &str, path: &str) -> Result<(u16, String), String> {
    const TIME: Duration = Duration::from_secs(3);
    let client = Client::plain_too(RootCertStore::empty())?;
    let request = Request::get(format!("http://{address}{path}")).body(Full::default());
    let request = request.map_err(|_| "the address is not one".to_owned())?;
    let answer = match timeout(TIME, client.send(request)).await {
        Err(_elapsed) => return Err("no answer in time".to_owned()),
        Ok(Err(Broken::Connection(error))) => return Err(error.reason().to_owned()),
        Ok(Err(_)) => return Err("what answers is not a provider".to_owned()),
        Ok(Ok(answer)) => answer,
    };
    let text = String::from_utf8_lossy(answer.body.expose()).into_owned();
    Ok((answer.status, text))
}

/// What the API server says, as far as this pod's own account may ask.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) accounts: service_accounts::Seen,
    pub(super) version: Result<Secret<Vec<u8>>, String>,
    pub(super) driver: Result<Object, String>,
    pub(super) program: Option<Program>,
}

impl Cluster {
    pub(super) fn unasked(why: &str) -> Self {
        Self {
            accounts: service_accounts::Seen::NotTried(why.to_owned()),
            version: Err(why.to_owned()),
            driver: Err(why.to_owned()),
            program: None,
        }
    }

    pub(super) async fn ask(api: &ApiServer) -> Self {
        let (namespace, account) = own_account();
        let account = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}");
        let driver = format!("/apis/storage.k8s.io/v1/csidrivers/{NAME}");
        let (accounts, version, driver, sets) = tokio::join!(
            api.read(&account),
            api.read("/version"),
            api.read(&driver),
            api.read("/apis/apps/v1/daemonsets"),
        );
        let accounts = match accounts {
            Ok((status, _)) => service_accounts::Seen::Status(status),
            Err(why) => service_accounts::Seen::Failed(refused(&why)),
        };
        let body = |answer: Result<(u16, Secret<Vec<u8>>), Refused>| match answer {
            Ok((200, body)) => Ok(body),
            Ok((403, _)) => Err("this account may not read it".to_owned()),
            Ok((404, _)) => Err("the API server has none".to_owned()),
            Ok((status, _)) => Err(format!("the API server answers HTTP {status}")),
            Err(why) => Err(refused(&why)),
        };
        let from = "the API server";
        let driver = body(driver).and_then(|json| {
            let object = Object::of_json(json.expose(), from);
            object.ok_or_else(|| "what answers is no API server".to_owned())
        });
        let program =
            body(sets).ok().and_then(|json| Program::of_json(json.expose(), "its DaemonSet"));
        Self { accounts, version: body(version), driver, program }
    }
}

/// Whose token this pod has; without one any name will do.
fn own_account() -> (String, String) {
    let token = fs::read_to_string(Path::new(ACCOUNT_DIR).join("token")).ok().map(Secret::new);
    let pod = token.and_then(|token| Claims::read(&token)?.pod());
    let default = || "default".to_owned();
    pod.map_or_else(|| (default(), default()), |pod| (pod.namespace, pod.service_account))
}

fn refused(why: &Refused) -> String {
    match why {
        Refused::Absent => "it is not there".to_owned(),
        Refused::Status(status) => format!("the API server answers HTTP {status}"),
        Refused::Foreign(status) => format!("HTTP {status} of something other than the API server"),
        Refused::Unanswered(what) => format!("the API server: {what}"),
        Refused::Untrusted => "what answers has a certificate that is not the cluster's".to_owned(),
        Refused::Unasked(what) => (*what).to_owned(),
    }
}
