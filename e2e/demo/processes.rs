//! Child programs that never outlive the demonstration.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{Fault, page::Page};

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);
const TAIL: usize = 15;

pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Nothing of this process's environment is passed on: real keys and proxies stay out.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        directory: &Path,
    ) -> Result<Self, Fault> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = log_file(directory, &name);
        let out = File::create(&log)?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { name, child, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it wrote so far.
    pub(crate) fn log(&self) -> Result<String, Fault> {
        Ok(fs::read_to_string(&self.log)?)
    }

    pub(crate) fn log_path(&self) -> &Path {
        &self.log
    }

    /// Waits until `attempt` gives something, as long as the program runs.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        mut attempt: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, Fault> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(found)) = timeout_at(deadline, attempt()).await {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{} ended ({status}) before {what}", self.name).into());
            }
            if Instant::now() > deadline {
                return Err(format!("{}: {what} took more than 10 s", self.name).into());
            }
            sleep(PAUSE).await;
        }
    }

    /// Asks it to end, as kubelet does when a node is drained.
    pub(crate) async fn terminate(&mut self) -> Result<ExitStatus, Fault> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(PAUSE).await;
        }
        Err(format!("{} did not end within 10 s of SIGTERM", self.name).into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_file(directory: &Path, program: &str) -> PathBuf {
    directory.join(format!("{program}.log"))
}

/// The last lines of each program, for when something did not hold.
pub(crate) fn show_logs(page: &Page, directory: &Path) -> Result<(), Fault> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            page.heading(&format!("Last lines of {name}"))?;
            let text = fs::read_to_string(&path)?;
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines.iter().skip(lines.len().saturating_sub(TAIL));
            tail.into_iter().try_for_each(|line| page.line(line))?;
        }
    }
    Ok(())
}
