//! The program as tests start it: what cargo built beside them, or the one that `PROVIDER_PROGRAM`
//! names. With that variable a `World` runs this program too, in place of the library in the test's
//! own process; `run-static` does so with the release that is shipped.

use std::{
    env, fs,
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::LazyLock,
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use crate::log::Log;

/// The program to test in place of the one that cargo built.
pub fn given() -> Option<&'static Path> {
    static GIVEN: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| env::var_os("PROVIDER_PROGRAM").map(PathBuf::from));
    GIVEN.as_deref()
}

/// With no environment but what the test adds.
pub fn program() -> Command {
    record_test();
    let built = env!("CARGO_BIN_EXE_csi-secrets-store-provider-alibabacloud");
    let mut command = Command::new(given().unwrap_or(Path::new(built)));
    command.env_clear();
    command
}

/// `run-static` holds the tests that passed to those that started the program.
fn record_test() {
    let Some(path) = env::var_os("PROVIDER_STARTED_BY") else { return };
    let mut file = fs::File::options().create(true).append(true).open(path).unwrap();
    // libtest gives a test's thread its name.
    let test = thread::current().name().unwrap_or("a thread without a name").to_owned();
    file.write_all(format!("{test}\n").as_bytes()).unwrap();
}

/// A program that runs. It is killed if a test gives it up.
pub struct Process {
    child: Child,
    cgroup: Option<Cgroup>,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let child = command.spawn().unwrap();
        let cgroup = Cgroup::of(child.id());
        Self { child, cgroup }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn terminate(&self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    pub async fn ended(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(40), ended).await.expect("it does not end")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.cgroup.take());
    }
}

/// A memory cgroup of one program, below the one that `PROVIDER_CGROUP` names, with the limit that
/// `PROVIDER_MEMORY` gives in bytes. Beyond it the kernel kills the program, and its test fails.
struct Cgroup(PathBuf);

impl Cgroup {
    fn of(pid: u32) -> Option<Self> {
        let path = Path::new(&env::var_os("PROVIDER_CGROUP")?).join(pid.to_string());
        fs::create_dir(&path).unwrap();
        // The names in version 2 of cgroups and in version 1.
        let limit = ["memory.max", "memory.limit_in_bytes"].map(|name| path.join(name));
        let limit = limit.iter().find(|file| file.exists()).expect("no memory controller");
        fs::write(limit, env::var("PROVIDER_MEMORY").unwrap()).unwrap();
        // A program that has ended by now needs no limit.
        let _ = fs::write(path.join("cgroup.procs"), pid.to_string());
        Some(Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The kernel may need a moment more; `run-static` removes what is left.
        let _ = fs::remove_dir(&self.0);
    }
}

/// A program's standard error, read all the time: a full pipe would stop it at its next line.
pub struct StandardError {
    log: Log,
    reading: JoinHandle<()>,
    /// Of a test that writes as the program would.
    writer: PipeWriter,
}

impl StandardError {
    pub fn of(command: &mut Command) -> Self {
        let (mut reader, writer) = pipe().unwrap();
        command.stderr(writer.try_clone().unwrap());
        let log = Log::default();
        let kept = log.clone();
        let reading = thread::spawn(move || keep(&mut reader, &kept));
        Self { log, reading, writer }
    }

    pub fn write(&self, text: &str) {
        (&self.writer).write_all(text.as_bytes()).unwrap();
    }

    /// What stands between two texts, once it was written, if the program gets to it.
    pub async fn between(&self, before: &str, after: char, process: &mut Process) -> String {
        let found = async {
            loop {
                let log = String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned();
                let text = log.split_once(before).and_then(|(_, text)| text.split_once(after));
                if let Some((text, _)) = text {
                    return text.to_owned();
                }
                if let Some(status) = process.child.try_wait().unwrap() {
                    panic!("{status}: {log}");
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), found).await.expect("it does not start")
    }

    /// All that was written; the program has ended, and so has what else could write.
    pub fn all(self) -> Vec<u8> {
        let Self { log, reading, writer } = self;
        drop(writer);
        reading.join().unwrap();
        std::mem::take(&mut *log.lock().unwrap())
    }
}

fn keep(reader: &mut PipeReader, log: &Log) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = reader.read(&mut buffer) {
        log.lock().unwrap().extend_from_slice(&buffer[..read]);
    }
}
