//! Socket: whether the driver would find the provider.

use std::time::Duration;

use crate::doctor::{check::Check, line::Line};

const CHECK: Check = Check::Socket;

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    /// Not even the folder.
    NoFolder,
    Missing,
    /// What cannot be looked at, and why.
    Unseen(String),
    NotASocket,
    There {
        owner: u32,
        /// Permission bits.
        mode: u32,
        /// Whether everybody can put another in its place.
        open_folder: bool,
        contact: Contact,
    },
}

#[derive(Debug)]
pub(crate) enum Contact {
    /// Nobody listens.
    Refused,
    Forbidden,
    /// Somebody listens, and does not answer as a provider.
    Wrong(String),
    Version {
        name: String,
        version: String,
        took: Duration,
    },
}

/// `version`: of this program.
pub(crate) fn judge(seen: &Seen, version: &str) -> Line {
    let Seen { path, state } = seen;
    match state {
        State::NoFolder => Line::skipped(
            CHECK,
            path,
            "there is no such folder here: run doctor on the node or in the provider's pod, or name the folder with \
             --provider-volume",
        ),
        State::Missing => Line::broken(
            CHECK,
            path,
            "there is no socket, and the driver refuses every mount of this provider",
            "start the provider on this node (kubectl get pods -o wide: is its pod there, with the driver's folder \
             mounted from the host?)",
        ),
        State::Unseen(why) => {
            Line::skipped(CHECK, path, format!("cannot be looked at: {why}; run doctor as root"))
        }
        State::NotASocket => Line::broken(
            CHECK,
            path,
            "is no socket",
            "remove it; the provider binds its own within a second",
        ),
        State::There { owner, mode, open_folder, contact } => {
            let bits = format!("owner {owner}, mode {mode:04o}");
            there(path, &bits, mode & 0o022 != 0 || *open_folder, contact, version)
        }
    }
}

fn there(path: &str, bits: &str, open: bool, contact: &Contact, own: &str) -> Line {
    match contact {
        Contact::Refused => Line::broken(
            CHECK,
            path,
            format!(
                "is stale: nobody listens ({bits}); the driver's mounts hang until kubelet gives up"
            ),
            "start the provider, which replaces it, or remove it",
        ),
        Contact::Forbidden => Line::skipped(
            CHECK,
            path,
            format!("this user may not connect ({bits}): run doctor as its owner"),
        ),
        Contact::Wrong(what) => Line::broken(
            CHECK,
            path,
            format!("{what} ({bits})"),
            "restart the provider; if this stays, look at its log",
        ),
        Contact::Version { name, version, took } => {
            let seen = format!("{name} {version} answers Version ({bits})");
            let line = if open {
                let fix = "take the right to write from group and others: chmod go-w on the socket and its folder";
                Line::warn(CHECK, path, format!("{seen}; others can put another in its place"), fix)
            } else if version != own {
                let what = format!("{seen}, and this program is {own}");
                Line::warn(CHECK, path, what, "run the doctor of the provider's own image")
            } else {
                Line::ok(CHECK, path, seen)
            };
            line.took(*took)
        }
    }
}
