//! Sidecar: mounts into a folder of its own pod, without a driver: once, or again and again. Each time goes
//! through the steps of any mount; here are only the class and the token, which are read anew, and the files.

mod dry_run;
mod folder;
pub mod hook;
mod pod;

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    admin::{Admin, AdminState, MetricsText},
    app,
    config::{
        Engine, Process,
        sidecar::{Goal, Sidecar, Watch},
    },
    error::ErrorKind,
    mount::{Mounted, NotMounted, OwnMount, Provider},
    project::{NOTHING, OutFile},
    readiness::Readiness,
    retry::random_fraction,
    secret::Secret,
    spc::{
        class::Class,
        file::{FileMode, RelPath},
    },
};
use folder::{Folder, Written};
use hook::OnChange;
use pod::OwnPod;

/// Why the command ends without what it was called for.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    pub reason: EndReason,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// It cannot start.
    Start,
    /// The class is wrong.
    Class,
    /// The file with the class cannot be read.
    Manifest,
    /// The folder cannot be written, or must not be.
    Folder,
    /// Somebody has to change something: a right, a role, a secret that is not there.
    Refused,
    /// The cloud does not answer, or throttles: it may go better next time.
    Unreachable,
    /// A signal came first.
    Interrupted,
}

impl Ended {
    fn new(reason: EndReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl From<NotMounted> for Ended {
    fn from(NotMounted { kind, message }: NotMounted) -> Self {
        let reason = match kind {
            ErrorKind::Invalid => EndReason::Class,
            ErrorKind::Denied
            | ErrorKind::Unauthenticated
            | ErrorKind::NotFound
            | ErrorKind::Unusable => EndReason::Refused,
            ErrorKind::Internal => EndReason::Unreachable,
        };
        Self { reason, message }
    }
}

/// All that has to be had before the sandbox is entered.
#[derive(Debug)]
pub struct Prepared {
    engine: Engine,
    source: Source,
    task: Task,
}

/// What is done.
#[derive(Debug)]
enum Task {
    /// Files may be written beside what is printed.
    Tell(Option<Folder>),
    Once(Folder),
    Watch(Folder, Watching),
}

/// What each round reads.
#[derive(Debug)]
struct Source {
    manifest: PathBuf,
    class: Option<String>,
    pod: OwnPod,
}

#[derive(Debug)]
struct Watching {
    watch: Watch,
    on_change: Option<OnChange>,
}

impl Prepared {
    /// With what the process is to be started with.
    pub fn new(sidecar: Sidecar) -> Result<(Process, Self), Ended> {
        let Sidecar { engine, process, manifest, class, goal, allow_disk, watch, .. } = sidecar;
        let open = |into: PathBuf| open(&into, allow_disk);
        let start = |mut watch: Watch| -> Result<Watching, Ended> {
            let on_change = watch.on_change.take().map(OnChange::start).transpose();
            let on_change = on_change.map_err(|what| Ended::new(EndReason::Start, what))?;
            Ok(Watching { watch, on_change })
        };
        let task = match (goal, watch) {
            (Goal::DryRun(into), _) => Task::Tell(into.map(open).transpose()?),
            (Goal::Files(into), None) => Task::Once(open(into)?),
            (Goal::Files(into), Some(watch)) => Task::Watch(open(into)?, start(watch)?),
        };
        let pod = OwnPod::new(engine.policy.token_file.clone());
        Ok((process, Self { engine, source: Source { manifest, class, pod }, task }))
    }

    /// Until the files are there; with `--watch`, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Ended> {
        if let Task::Tell(Some(folder)) | Task::Once(folder) | Task::Watch(folder, _) = &self.task
            && !folder.is_in_memory()
        {
            tracing::warn!("values are written to a disk, which keeps them (--allow-disk)");
        }
        let starting = |what| Ended::new(EndReason::Start, what);
        let (provider, _) = app::provider(self.engine).await.map_err(starting)?;
        let audit = provider.observers.audit.clone();
        let source = self.source;
        let ended = match self.task {
            Task::Tell(folder) => before(&shutdown, tell(&provider, &source, folder)).await,
            Task::Once(folder) => {
                let mount = Mounter { provider, source, folder };
                before(&shutdown, async { mount.round().await.map(drop) }).await
            }
            Task::Watch(folder, watching) => {
                Mounter { provider, source, folder }.watch(watching, shutdown).await
            }
        };
        audit.end().await;
        ended
    }
}

fn open(into: &Path, allow_disk: bool) -> Result<Folder, Ended> {
    let folder = Folder::open(into).map_err(|what| Ended::new(EndReason::Folder, what))?;
    if folder.is_in_memory() || allow_disk {
        return Ok(folder);
    }
    let what = format!(
        "{} is on a disk, which keeps values after they are deleted: use an emptyDir with medium: Memory, or a \
         tmpfs; --allow-disk writes there all the same",
        into.display()
    );
    Err(Ended::new(EndReason::Folder, what))
}

async fn before(
    shutdown: &CancellationToken,
    work: impl Future<Output = Result<(), Ended>>,
) -> Result<(), Ended> {
    tokio::select! {
        ended = work => ended,
        () = shutdown.cancelled() => {
            Err(Ended::new(EndReason::Interrupted, "a signal came before the files were there"))
        }
    }
}

/// What a mount would write, on standard output. Files are nobody else's to read, whatever the class says: who
/// tries it is not the application.
async fn tell(provider: &Provider, source: &Source, folder: Option<Folder>) -> Result<(), Ended> {
    let path = folder.as_ref().map(|folder| folder.path().display().to_string());
    let (class, mut mounted) = source.mount(provider, path.as_deref().unwrap_or("dry-run")).await?;
    let told = dry_run::report(&class.name, &mounted, path.as_deref());
    if let (Some(folder), Some(private)) = (folder, FileMode::from_bits(0o600)) {
        mounted.files.iter_mut().for_each(|file| file.mode = private);
        let written = folder.write(&mounted.files);
        written.map_err(|what| Ended::new(EndReason::Folder, what))?;
    }
    // A reader who goes away has heard enough.
    let _ = io::stdout().write_all(told.as_bytes());
    Ok(())
}

/// A provider, and whom it mounts for.
#[derive(Debug)]
struct Mounter {
    provider: Provider,
    source: Source,
    folder: Folder,
}

/// How a round went that got the files there.
#[derive(Debug)]
struct Round {
    written: Written,
    /// When to come back.
    pause: Duration,
}

/// Beyond this a ConfigMap cannot be.
const LARGEST_MANIFEST: u64 = 1 << 20;
/// How often the file with the class is looked at, and values that are stale or never fresh: about as often
/// as kubelet and the driver do.
const LOOK_EVERY: Duration = Duration::from_secs(60);
const FIRST_RETRY: Duration = Duration::from_secs(5);

impl Mounter {
    async fn round(&self) -> Result<Round, Ended> {
        let target_path = self.folder.path().display().to_string();
        let (_, mounted) = self.source.mount(&self.provider, &target_path).await?;
        let Mounted { files, stale, interval, .. } = mounted;
        let written = self.folder.write(&files);
        let written = written.map_err(|what| Ended::new(EndReason::Folder, what))?;
        if written != Written::Same {
            tracing::info!(files = files.len(), into = target_path, "the files are written");
        }
        let pause = if stale { interval.min(LOOK_EVERY) } else { interval };
        let pause = if pause.is_zero() { LOOK_EVERY } else { pause };
        Ok(Round { written, pause })
    }

    async fn watch(&self, watching: Watching, shutdown: CancellationToken) -> Result<(), Ended> {
        let Watching { watch, on_change } = watching;
        let starting = |what: String| Ended::new(EndReason::Start, what);
        // Before there are files, nobody is answered.
        let admin = watch.admin.map(Admin::bind).transpose();
        let mut admin = admin.map_err(|error| starting(error.to_string()))?;
        let state = AdminState {
            health_path: watch.health_path,
            socket_path: None,
            readiness: Arc::new(Readiness::default()),
            draining: shutdown.clone(),
            metrics: watch.serve_metrics.then(|| {
                let metrics = self.provider.observers.metrics.clone();
                Arc::new(move || metrics.text()) as MetricsText
            }),
            debug: None,
        };
        let _sweep = app::sweep(self.provider.fetcher.clone());
        let (mut serving, mut has_files, mut failures) = (None, false, 0);
        loop {
            let round = tokio::select! {
                round = self.round() => round,
                () = shutdown.cancelled() => break,
            };
            let pause = match round {
                Ok(Round { written, pause }) => {
                    failures = 0;
                    if let (Written::Changed, Some(hook)) = (written, &on_change) {
                        hook.tell();
                    }
                    pause
                }
                // Kubelet starts it again and shows why. Once there are files, they stay.
                Err(ended) if !has_files && !self.may_keep(&ended) => return Err(ended),
                Err(Ended { message, .. }) => {
                    failures += 1;
                    tracing::warn!(error = message, failures, "the files stay as they are");
                    retry_after(failures)
                }
            };
            has_files = true;
            if let Some(admin) = admin.take() {
                let serve = admin.serve(state.clone(), shutdown.clone());
                serving = Some(AbortOnDropHandle::new(tokio::spawn(serve)));
            }
            tokio::select! {
                () = self.source.changed(spread(pause)) => {}
                () = shutdown.cancelled() => break,
            }
        }
        drop(serving);
        Ok(())
    }

    /// What a process before this one left serves on while the cloud does not answer.
    fn may_keep(&self, ended: &Ended) -> bool {
        ended.reason == EndReason::Unreachable && self.folder.has_files()
    }
}

/// Where all objects are optional and none exists, the driver has a file that says so.
fn nothing(left_out: usize) -> Option<OutFile> {
    Some(OutFile {
        path: RelPath::parse(NOTHING).ok()?,
        mode: FileMode::from_bits(0o444)?,
        bytes: Secret::new(Vec::new()),
        version: format!("{left_out} optional objects missing"),
    })
}

fn retry_after(failures: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(6)).min(LOOK_EVERY)
}

/// Pods that started together should not ask together.
fn spread(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + 0.1 * random_fraction())
}

impl Source {
    async fn mount(
        &self,
        provider: &Provider,
        target_path: &str,
    ) -> Result<(Class, Mounted), Ended> {
        let manifest = self.read()?;
        let class = self.class(&manifest)?;
        if class.has_secret_objects {
            tracing::warn!("the class's secretObjects are left out: only the driver makes Secrets");
        }
        let (pod, token) = self.pod.read();
        let wanted = OwnMount { class: &class, pod, token, target_path };
        let mut mounted = provider.mount_own(wanted).await?;
        if mounted.files.is_empty() {
            mounted.files.extend(nothing(mounted.left_out));
        }
        Ok((class, mounted))
    }

    fn read(&self) -> Result<String, Ended> {
        read(&self.manifest).map_err(|error| {
            let what = format!("{} cannot be read: {}", self.manifest.display(), error.kind());
            Ended::new(EndReason::Manifest, what)
        })
    }

    fn class(&self, manifest: &str) -> Result<Class, Ended> {
        Class::read(manifest, self.class.as_deref()).map_err(|what| {
            Ended::new(EndReason::Class, format!("{}: {what}", self.manifest.display()))
        })
    }

    /// Until the pause is over or, if that is sooner, the file holds something else.
    async fn changed(&self, pause: Duration) {
        let before = self.read().ok();
        let mut left = pause;
        while !left.is_zero() {
            let step = left.min(LOOK_EVERY);
            sleep(step).await;
            left = left.saturating_sub(step);
            if self.read().ok() != before {
                return;
            }
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(LARGEST_MANIFEST + 1).read_to_string(&mut text)?;
    match u64::try_from(read) {
        Ok(read) if read <= LARGEST_MANIFEST => Ok(text),
        _ => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_come_slower_up_to_once_a_minute() {
        let seconds: Vec<_> = (1..=8).map(|failures| retry_after(failures).as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 60, 60, 60, 60]);
        assert_eq!(retry_after(u32::MAX), LOOK_EVERY);
    }

    #[test]
    fn pauses_are_spread_by_a_tenth() {
        let minute = Duration::from_secs(60);
        let pauses: Vec<_> = (0..100).map(|_| spread(minute)).collect();
        assert!(pauses.iter().all(|pause| (minute..=minute * 11 / 10).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }

    #[test]
    fn larger_file_than_a_config_map_is_no_class() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("spc.yaml");
        std::fs::write(&file, vec![b'#'; 1 << 20]).unwrap();
        assert_eq!(read(&file).unwrap().len(), 1 << 20);
        std::fs::write(&file, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert_eq!(read(&file).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
