//! `mount`: the program in a pod of its own accord, without a driver, as an init container and as a sidecar.

mod dry_run;
mod examples;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        fs::{PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use aho_corasick::AhoCorasick;
use emulator::{Emulator, Fault, FaultEffect};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};

use crate::{
    driver::{PodVolume, Volume},
    memory::{Found, Scan},
    program::{Process, StandardError, program},
    world::{AUDIENCE, OIDC_PROVIDER, World, canaries, cloud},
};

const ROLE: &str = "acs:ram::1234567890123456:role/web";
const HOUR: Duration = Duration::from_secs(3600);

/// A pod that no driver serves: its token, its class and its memory-backed volume.
struct Pod {
    emulator: Emulator,
    /// What a ConfigMap, a projected volume and kubelet bring.
    given: TempDir,
    volume: TempDir,
}

impl Pod {
    async fn start() -> Self {
        let given = TempDir::new().unwrap();
        let volume = TempDir::new_in("/dev/shm").unwrap();
        let pod = Self { emulator: cloud(&[]).await, given, volume };
        fs::write(pod.given("ca.pem"), pod.emulator.ca_pem()).unwrap();
        fs::write(pod.given("termination-log"), "").unwrap();
        pod.renew_token("web");
        pod
    }

    fn given(&self, name: &str) -> PathBuf {
        self.given.path().join(name)
    }

    fn renew_token(&self, service_account: &str) {
        let token =
            self.emulator.pod_token("shop", service_account, "web-1", "u-1", AUDIENCE, HOUR);
        // As kubelet does it: never half a token.
        fs::write(self.given("token_new"), format!("{token}\n")).unwrap();
        fs::rename(self.given("token_new"), self.given("token")).unwrap();
    }

    fn class(&self, parameters: &[(&str, &str)]) {
        let parameters: BTreeMap<_, _> = parameters.iter().copied().collect();
        let class = serde_json::json!({
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "kind": "SecretProviderClass",
            "metadata": { "name": "checkout", "namespace": "shop" },
            "spec": { "provider": "alibabacloud", "parameters": parameters },
        });
        fs::write(self.given("spc_new"), class.to_string()).unwrap();
        fs::rename(self.given("spc_new"), self.given("spc.yaml")).unwrap();
    }

    fn objects(&self, objects: &str) {
        self.class(&[("objects", objects)]);
    }

    /// With the variables of ACK's pod-identity webhook.
    fn command(&self) -> Command {
        self.with_webhook(self.host())
    }

    fn with_webhook(&self, mut command: Command) -> Command {
        command
            .env("ALIBABA_CLOUD_ROLE_ARN", ROLE)
            .env("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", OIDC_PROVIDER)
            .env("ALIBABA_CLOUD_OIDC_TOKEN_FILE", self.given("token"));
        command
    }

    /// Without them.
    fn host(&self) -> Command {
        let mut command = self.without_folder();
        command.arg(format!("--into={}", self.volume.path().display()));
        command
    }

    fn without_folder(&self) -> Command {
        let mut command = program();
        command
            .arg("mount")
            .args(["--region=cn-hangzhou", "--sandbox=require", "--log-level=trace"])
            .arg(format!("--file={}", self.given("spc.yaml").display()))
            .arg(format!("--audit={}", self.given("audit.log").display()))
            .arg(format!("--termination-log={}", self.given("termination-log").display()))
            .arg(format!("--ca-file={}", self.given("ca.pem").display()))
            .arg(format!("--resolve=*.aliyuncs.com={}", self.emulator.https_addr()))
            .arg(format!("--metadata-endpoint={}", self.emulator.metadata_addr()));
        command
    }

    /// Exit status and what it said, which holds nothing secret.
    async fn once(&self, mut command: Command) -> (i32, String) {
        let stderr = StandardError::of(&mut command);
        let mut process = Process::start(&mut command);
        drop(command);
        let status = process.ended().await.code().unwrap_or(-1);
        (status, self.said(stderr))
    }

    fn said(&self, stderr: StandardError) -> String {
        let said = String::from_utf8(stderr.all()).unwrap();
        let audit = fs::read_to_string(self.given("audit.log")).unwrap_or_default();
        let searcher = AhoCorasick::new(canaries(&self.emulator)).unwrap();
        let left = self.termination_message();
        assert!(searcher.find(&format!("{said}{audit}{left}")).is_none(), "it tells a secret");
        said
    }

    fn watch(&self, more: &[&str]) -> Watching {
        let mut command = self.command();
        command.arg("--watch").args(more);
        let stderr = StandardError::of(&mut command);
        let process = Process::start(&mut command);
        Watching { process, stderr }
    }

    fn termination_message(&self) -> String {
        fs::read_to_string(self.given("termination-log")).unwrap()
    }

    /// What a reader finds: contents and modes by path.
    fn files(&self) -> BTreeMap<String, (Vec<u8>, u32)> {
        files(self.volume.path())
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.volume.path().join(path)).unwrap_or_default()
    }

    async fn until(&self, path: &str, text: &str) {
        eventually(path, || self.text(path) == text).await;
    }

    /// What is in the volume beside what its readers see.
    fn hidden(&self) -> Vec<String> {
        let names = fs::read_dir(self.volume.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("..")).collect()
    }
}

struct Watching {
    process: Process,
    stderr: StandardError,
}

impl Watching {
    async fn says(&mut self, text: &str) {
        self.stderr.between(text, '\n', &mut self.process).await;
    }

    async fn admin(&mut self) -> String {
        self.stderr.between("probes and metrics address=", ' ', &mut self.process).await
    }

    async fn end(mut self, pod: &Pod) -> String {
        self.process.terminate();
        let status = self.process.ended().await;
        let said = pod.said(self.stderr);
        assert!(status.success(), "{status}: {said}");
        said
    }
}

/// As they are reached through the links, which lead nowhere else.
fn files(volume: &Path) -> BTreeMap<String, (Vec<u8>, u32)> {
    fn below(folder: &Path, prefix: &str, found: &mut BTreeMap<String, (Vec<u8>, u32)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if prefix.is_empty() && name.starts_with("..") {
                continue;
            }
            let metadata = fs::metadata(entry.path()).unwrap();
            let path = format!("{prefix}{name}");
            if metadata.is_dir() {
                below(&entry.path(), &format!("{path}/"), found);
            } else {
                let mode = metadata.permissions().mode() & 0o7777;
                found.insert(path, (fs::read(entry.path()).unwrap(), mode));
            }
        }
    }
    let mut found = BTreeMap::new();
    below(volume, "", &mut found);
    found
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect(what);
}

const MANY: &str = "\
- objectName: web/plain
- objectName: web/binary
  filePermission: \"0400\"
- objectName: web/db
  objectAlias: deep/er/db.json
  jmesPath:
    - {path: user, objectAlias: deep/user, filePermission: \"0640\"}
- {objectName: plain, objectType: oos}
- {objectName: web/not-there, optional: true}
";

#[tokio::test]
async fn init_writes_the_files_that_the_driver_would() {
    let world = World::start().await;
    let by_driver: Volume = world
        .mount(&world.pod("web", "web-1").objects(MANY).parameter("pathTranslation", "False"))
        .await
        .unwrap();
    let pod = Pod::start().await;
    pod.class(&[("objects", MANY), ("pathTranslation", "False")]);
    let (status, said) = pod.once(pod.command()).await;
    assert_eq!(status, 0, "{said}");
    assert_eq!(pod.files(), by_driver.files);
    assert_eq!(pod.termination_message(), "");
    // As kubelet lays out a volume.
    let set = fs::read_link(pod.volume.path().join("..data")).unwrap();
    assert!(set.to_str().unwrap().starts_with("..20"), "{set:?}");
    let link = fs::read_link(pod.volume.path().join("deep")).unwrap();
    assert_eq!(link, Path::new("..data/deep"));
    let audit = fs::read_to_string(pod.given("audit.log")).unwrap();
    for part in [r#""via":"sidecar""#, r#""pod":"web-1""#, r#""session":"shop@web@web-1""#] {
        assert!(audit.contains(part), "no {part} in {audit}");
    }
    assert!(said.contains("via=\"sidecar\"") && said.contains(" mounted "), "{said}");
    world.finish().await;
}

#[tokio::test]
async fn class_of_which_nothing_exists_makes_the_file_that_the_driver_has() {
    let none = "- {objectName: web/not-there, optional: true}";
    let world = World::start().await;
    let by_driver = world.web(none).await.unwrap();
    let pod = Pod::start().await;
    pod.objects(none);
    let (status, said) = pod.once(pod.command()).await;
    assert_eq!(status, 0, "{said}");
    assert_eq!(pod.files(), by_driver.files);
    assert_eq!(pod.files().len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn second_init_of_the_same_set_writes_nothing() {
    let pod = Pod::start().await;
    pod.objects(MANY);
    assert_eq!(pod.once(pod.command()).await.0, 0);
    let set = fs::read_link(pod.volume.path().join("..data")).unwrap();
    let (status, said) = pod.once(pod.command()).await;
    assert_eq!((status, fs::read_link(pod.volume.path().join("..data")).unwrap()), (0, set));
    assert!(!said.contains("the files are written"), "{said}");
}

#[tokio::test]
async fn refusal_ends_init_with_77_and_leaves_its_reason_for_kubectl_describe() {
    let pod = Pod::start().await;
    pod.objects("- objectName: api/token");
    let (status, said) = pod.once(pod.command()).await;
    assert_eq!(status, 77, "{said}");
    let left = pod.termination_message();
    assert!(left.starts_with("SecretProviderClass shop/checkout: "), "{left}");
    assert!(
        left.contains("kms:GetSecretValue") && said.contains("Forbidden.NoPermission"),
        "{left}"
    );
    assert!(pod.files().is_empty());
}

#[tokio::test]
async fn outage_ends_init_with_75() {
    let pod = Pod::start().await;
    pod.objects("- objectName: web/plain");
    pod.emulator.stop_listening().await;
    let mut command = pod.command();
    command.arg("--mount-timeout=2");
    let (status, said) = pod.once(command).await;
    assert_eq!(status, 75, "{said}");
    assert!(!pod.termination_message().is_empty());
}

#[tokio::test]
async fn what_is_wrong_before_the_first_call_has_a_status_of_its_own() {
    let pod = Pod::start().await;
    let (status, said) = pod.once(pod.command()).await;
    assert_eq!(status, 66, "{said}");
    pod.objects("- objectNam: web/plain");
    let (status, said) = pod.once(pod.command()).await;
    assert_eq!(status, 65, "{said}");
    assert!(pod.termination_message().contains("did you mean objectName"), "{said}");
    fs::write(pod.given("spc.yaml"), "kind: ConfigMap\n").unwrap();
    let (status, said) = pod.once(pod.command()).await;
    assert_eq!(status, 65, "{said}");
    let mut command = pod.command();
    command.args(["--on-change-signal=KILL", "--healthz-port=8989", "--allowed-identities=pod"]);
    assert_eq!(pod.once(command).await.0, 64);
    let mut command = pod.command();
    command.args(["--on-change-signal=KILL", "--healthz-port=8989"]);
    let (status, said) = pod.once(command).await;
    assert_eq!(status, 64, "{said}");
    assert!(pod.termination_message().contains("--on-change-signal must be"), "{said}");
    assert!(said.contains("--on-change-signal must be one of HUP"), "{said}");
    assert!(said.contains("--healthz-port needs --watch"), "{said}");
    assert!(pod.files().is_empty() && pod.emulator.requests().is_empty());
}

#[tokio::test]
async fn hostile_names_stay_inside_the_folder() {
    let pod = Pod::start().await;
    for name in
        ["../x", "/etc/x", "a/../../x", "..data", "..2026_01_01_00_00_00.1/x", "a\\nb", "a//b"]
    {
        let objects = format!("- {{objectName: web/plain, objectAlias: \"{name}\"}}");
        pod.class(&[("objects", &objects), ("pathTranslation", "False")]);
        let (status, said) = pod.once(pod.command()).await;
        if name != "/etc/x" {
            assert_eq!(status, 65, "{name}: {said}");
        }
    }
    // As with the driver, a leading slash is dropped.
    assert_eq!(pod.files().into_keys().collect::<Vec<_>>(), ["etc/x"]);
}

#[tokio::test]
async fn folder_that_is_somebody_else_s_is_refused() {
    let pod = Pod::start().await;
    pod.objects("- objectName: web/plain");
    let into = |path: &Path| {
        let mut command = pod.command();
        command.env("ALIBABACLOUD_PROVIDER_INTO", path);
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut other = program();
        other.args(arguments.iter().filter(|one| !one.to_str().unwrap().starts_with("--into")));
        for (name, value) in command.get_envs() {
            other.env(name, value.unwrap());
        }
        other
    };
    let link = pod.given("link");
    symlink(pod.volume.path(), &link).unwrap();
    let foreign = TempDir::new_in("/dev/shm").unwrap();
    fs::write(foreign.path().join("config.ini"), "x").unwrap();
    let on_disk = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (path, told) in [
        (link.as_path(), "is a link"),
        (foreign.path(), "was not written by this program: \"config.ini\""),
        (Path::new("/dev/shm/no/such"), "there is no such folder"),
        (&pod.given("token"), "is no folder"),
        (on_disk.path(), "is on a disk"),
    ] {
        let (status, said) = pod.once(into(path)).await;
        assert_eq!(status, 73, "{said}");
        assert!(said.contains(told) && pod.termination_message().contains(told), "{said}");
    }
    assert_eq!(fs::read_dir(foreign.path()).unwrap().count(), 1);
    let mut command = into(on_disk.path());
    command.arg("--allow-disk");
    let (status, said) = pod.once(command).await;
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("values are written to a disk"), "{said}");
    assert_eq!(files(on_disk.path()).len(), 1);
}

#[tokio::test]
async fn ecs_role_needs_no_pod_and_no_allowlist() {
    let pod = Pod::start().await;
    pod.class(&[("objects", "- objectName: shared/greeting"), ("identity", "ecs-role")]);
    let (status, said) = pod.once(pod.host()).await;
    assert_eq!(status, 0, "{said}");
    assert_eq!(pod.text("shared_greeting"), "planted-value-of-shared-greeting");
    pod.class(&[("objects", "- objectName: shared/greeting")]);
    let (status, said) = pod.once(pod.host()).await;
    assert_eq!(status, 77, "{said}");
    assert!(said.contains("--oidc-provider-arn"), "{said}");
}

#[tokio::test]
async fn role_of_the_class_and_of_the_variable_must_agree() {
    let pod = Pod::start().await;
    let other = "acs:ram::1234567890123456:role/api";
    pod.class(&[("objects", "- objectName: web/plain"), ("roleArn", other)]);
    let (status, said) = pod.once(pod.command()).await;
    assert_eq!(status, 65, "{said}");
    assert!(pod.termination_message().contains("has two RAM roles"), "{said}");
    pod.class(&[("objects", "- objectName: web/plain"), ("roleArn", ROLE)]);
    let mut command = pod.command();
    command
        .env_remove("ALIBABA_CLOUD_ROLE_ARN")
        .env("ALIBABA_CLOUD_ROLE_SESSION_NAME", "checkout-7");
    assert_eq!(pod.once(command).await.0, 0);
    let audit = fs::read_to_string(pod.given("audit.log")).unwrap();
    assert!(audit.contains(r#""session":"checkout-7""#), "{audit}");
}

#[tokio::test]
async fn watch_rotates_all_files_at_once_and_runs_the_hook_after_a_change_alone() {
    let pod = Pod::start().await;
    pod.objects(MANY);
    let told = pod.given("told");
    let script = format!("echo told >> {}", told.display());
    let mut watching =
        pod.watch(&["--refresh-interval=1s", "--on-change-exec", "/bin/sh", "-c", &script]);
    pod.until("web_plain", "planted-value-of-web-plain").await;
    // Another two rounds change nothing.
    let rounds = || pod.emulator.requests().iter().filter(|r| r.action == "GetSecretValue").count();
    let before = rounds();
    eventually("rounds", || rounds() > before + 8).await;
    assert!(!told.exists());
    let set = fs::read_link(pod.volume.path().join("..data")).unwrap();
    pod.emulator.rotate_secret("web/plain", "planted-new-value").unwrap();
    pod.until("web_plain", "planted-new-value").await;
    eventually("hook", || fs::read_to_string(&told).is_ok_and(|told| told == "told\n")).await;
    watching.says("ran --on-change-exec").await;
    assert_ne!(fs::read_link(pod.volume.path().join("..data")).unwrap(), set);
    eventually("the old set goes", || pod.hidden().len() == 2).await;
    // A file that the class has no more goes, and a new one comes.
    pod.objects("- objectName: web/plain\n- objectName: web/hex");
    eventually("web_hex", || !pod.text("web_hex").is_empty()).await;
    eventually("links", || pod.files().len() == 2).await;
    watching.end(&pod).await;
    assert_eq!(pod.files().len(), 2);
}

#[tokio::test]
async fn watch_signals_the_application_by_pid_file_and_by_name() {
    for by_name in [false, true] {
        let pod = Pod::start().await;
        pod.objects("- objectName: web/plain");
        let (told, pid_file, name) =
            (pod.given("told"), pod.given("pid"), format!("app{}", std::process::id()));
        // A shell cannot trap SIGHUP where it was ignored before, as under nohup.
        let script = format!(
            "printf {name} > /proc/$$/comm; trap 'echo told >> {}' USR1; echo $$ > {}; while :; do sleep 0.05; done",
            told.display(),
            pid_file.display()
        );
        let mut application = Command::new("/bin/sh");
        application.args(["-c", &script]);
        let application = Process::start(&mut application);
        eventually("application", || {
            fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n'))
        })
        .await;
        let whom = match by_name {
            true => format!("--on-change-process={name}"),
            false => format!("--on-change-pid-file={}", pid_file.display()),
        };
        let watching = pod.watch(&["--refresh-interval=1s", "--on-change-signal=SIGUSR1", &whom]);
        pod.until("web_plain", "planted-value-of-web-plain").await;
        pod.emulator.rotate_secret("web/plain", "planted-new-value").unwrap();
        eventually("signal", || told.exists()).await;
        watching.end(&pod).await;
        drop(application);
    }
}

#[tokio::test]
async fn watch_keeps_the_files_in_an_outage_and_stays_ready() {
    let pod = Pod::start().await;
    pod.objects("- objectName: web/plain");
    let mut watching = pod.watch(&[
        "--refresh-interval=1s",
        "--mount-timeout=1",
        "--healthz-address=127.0.0.1",
        "--healthz-port=0",
    ]);
    let admin = watching.admin().await;
    assert_eq!(pod.text("web_plain"), "planted-value-of-web-plain");
    assert_eq!(ask(&admin, "/readyz").await.0, 200);
    pod.emulator.stop_listening().await;
    watching.says("the files stay as they are").await;
    assert_eq!(pod.text("web_plain"), "planted-value-of-web-plain");
    assert_eq!(ask(&admin, "/readyz").await.0, 200);
    assert_eq!(ask(&admin, "/healthz").await.0, 200);
    let (_, metrics) = ask(&admin, "/metrics").await;
    assert!(metrics.contains("outcome=\"INTERNAL\""), "{metrics}");
    pod.emulator.rotate_secret("web/plain", "planted-new-value").unwrap();
    pod.emulator.resume().await.unwrap();
    pod.until("web_plain", "planted-new-value").await;
    watching.end(&pod).await;
}

#[tokio::test]
async fn restarted_watch_serves_what_is_there_in_an_outage_and_none_where_nothing_is() {
    let pod = Pod::start().await;
    pod.objects("- objectName: web/plain");
    assert_eq!(pod.once(pod.command()).await.0, 0);
    pod.emulator.stop_listening().await;
    let more = ["--mount-timeout=1", "--healthz-address=127.0.0.1", "--healthz-port=0"];
    let mut watching = pod.watch(&more);
    let admin = watching.admin().await;
    assert_eq!(ask(&admin, "/readyz").await.0, 200);
    watching.end(&pod).await;
    assert_eq!(pod.text("web_plain"), "planted-value-of-web-plain");
    let empty = TempDir::new_in("/dev/shm").unwrap();
    let pod = Pod { volume: empty, ..pod };
    let mut command = pod.command();
    command.arg("--watch").args(more);
    let (status, said) = pod.once(command).await;
    assert_eq!(status, 75, "{said}");
}

#[tokio::test]
async fn watch_reads_the_token_anew_as_kubelet_renews_it() {
    let pod = Pod::start().await;
    pod.objects("- objectName: web/plain");
    let watching = pod.watch(&["--refresh-interval=1s"]);
    pod.until("web_plain", "planted-value-of-web-plain").await;
    let logins =
        || pod.emulator.requests().iter().filter(|r| r.action == "AssumeRoleWithOIDC").count();
    assert_eq!(logins(), 1);
    pod.renew_token("web");
    eventually("login with the new token", || logins() == 2).await;
    // A token that RAM does not take changes nothing in the files.
    pod.renew_token("jobs");
    eventually("login that is refused", || logins() >= 3).await;
    pod.emulator.rotate_secret("web/plain", "planted-new-value").unwrap();
    assert_eq!(pod.text("web_plain"), "planted-value-of-web-plain");
    pod.renew_token("web");
    pod.until("web_plain", "planted-new-value").await;
    watching.end(&pod).await;
}

#[tokio::test]
async fn nothing_that_was_written_stays_readable_in_the_sidecars_memory() {
    let pod = Pod::start().await;
    let value = format!("planted-{}", fastrand::u128(..));
    pod.emulator.set_secret_text("web/plain", &value).unwrap();
    pod.objects("- objectName: web/plain");
    let watching = pod.watch(&[]);
    pod.until("web_plain", &value).await;
    let pid = watching.process.pid();
    let control = Scan::of(&[("role", ROLE.to_owned())]).look(pid);
    assert!(control.contains_key("role"), "the scan does not find what is there");
    let token = fs::read_to_string(pod.given("token")).unwrap().trim().to_owned();
    let scan = Scan::of(&[("value", value), ("token", token)]);
    assert_eq!(scan.look_for_nothing(pid).await, Found::new());
    watching.end(&pod).await;
}

#[tokio::test]
async fn folder_has_one_writer() {
    let pod = Pod::start().await;
    pod.objects("- objectName: web/plain");
    let watching = pod.watch(&[]);
    pod.until("web_plain", "planted-value-of-web-plain").await;
    let (status, said) = pod.once(pod.command()).await;
    assert_eq!(status, 73, "{said}");
    assert!(said.contains("another process of this program"), "{said}");
    watching.end(&pod).await;
}

/// Killed at any moment, it leaves one set or the other whole, and the next start removes the rest.
#[tokio::test]
async fn kill_in_the_middle_leaves_one_whole_set() {
    let pod = Pod::start().await;
    let files = 400;
    let class = |name: &str| -> String {
        (0..files).map(|n| format!("- {{objectName: {name}, objectAlias: f{n}}}\n")).collect()
    };
    let (old, new) = (class("web/big-a"), class("web/big-b"));
    for (name, letter) in [("web/big-a", "a"), ("web/big-b", "b")] {
        let value = format!("planted-{}", letter.repeat(8_000));
        let secret = serde_json::json!({ "name": name, "value": value });
        pod.emulator.put_secret(serde_json::from_value(secret).unwrap()).unwrap();
    }
    pod.objects(&old);
    assert_eq!(pod.once(pod.command()).await.0, 0);
    let mut interrupted = 0;
    for round in 0..30 {
        pod.objects(if round % 2 == 0 { &new } else { &old });
        let mut command = pod.command();
        let _stderr = StandardError::of(&mut command);
        let mut process = Process::start(&mut command);
        // From the moment at which a new set is begun.
        let sets = || pod.hidden().iter().filter(|name| name.starts_with("..20")).count();
        while sets() < 2 && process.is_running() {
            tokio::task::yield_now().await;
        }
        std::thread::sleep(Duration::from_micros(round * 200));
        drop(process);
        interrupted += usize::from(sets() > 1);
        let data = pod.volume.path().join("..data");
        let there: Vec<_> =
            (0..files).map(|n| fs::read(data.join(format!("f{n}"))).unwrap()).collect();
        assert!(there.iter().all(|file| *file == there[0] && file.len() == 8_008), "round {round}");
    }
    assert!(interrupted > 0, "no kill was in time");
    assert_eq!(pod.once(pod.command()).await.0, 0);
    assert_eq!((pod.files().len(), pod.hidden().len()), (files, 2));
}

async fn ask(admin: &str, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn revoked_right_is_told_and_leaves_the_files() {
    let pod = Pod::start().await;
    pod.objects("- objectName: web/plain");
    let mut watching = pod.watch(&["--refresh-interval=1s"]);
    pod.until("web_plain", "planted-value-of-web-plain").await;
    pod.emulator.add_fault(Fault {
        service: Some("kms".to_owned()),
        effect: FaultEffect::Error {
            status: 403,
            code: "Forbidden.NoPermission".to_owned(),
            message: None,
            headers: BTreeMap::new(),
        },
        ..Fault::default()
    });
    watching.says("the files stay as they are").await;
    assert_eq!(pod.text("web_plain"), "planted-value-of-web-plain");
    let said = watching.end(&pod).await;
    assert!(said.contains("reason=\"denied\""), "{said}");
}

/// A pod as the driver has it, of the same token's claims.
#[tokio::test]
async fn audit_record_of_a_sidecar_is_that_of_a_mount_but_for_via() {
    let world = World::start().await;
    let volume: PodVolume = world.pod("web", "web-1").objects("- objectName: web/plain");
    world.mount(&volume).await.unwrap();
    let pod = Pod::start().await;
    pod.objects("- objectName: web/plain");
    assert_eq!(pod.once(pod.command()).await.0, 0);
    let read = |audit: &str| -> BTreeMap<String, serde_json::Value> {
        let line = audit.lines().find(|line| line.contains(r#""event":"read""#)).unwrap();
        let mut line: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let differing = [
            "time",
            "seq",
            "run",
            "prev",
            "hash",
            "mount",
            "request_id",
            "version",
            "uid",
            "secret_provider_class",
        ];
        line.retain(|name, _| !differing.contains(&&**name));
        line
    };
    let mut by_driver = read(&world.finish().await);
    let by_sidecar = read(&fs::read_to_string(pod.given("audit.log")).unwrap());
    assert_eq!(by_driver.insert("via".to_owned(), "sidecar".into()), Some("driver".into()));
    assert_eq!(by_sidecar, by_driver);
}

/// As the examples run it. Its own files are then what it may not read, if their mode says so.
#[tokio::test]
async fn ordinary_user_writes_and_compares_files_of_any_mode() {
    const USER: u32 = 65534;
    let pod = Pod::start().await;
    pod.objects("- {objectName: web/plain, filePermission: \"0040\"}\n- objectName: web/hex");
    chown(pod.volume.path(), Some(USER), Some(USER)).unwrap();
    fs::set_permissions(pod.given.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(pod.given("termination-log"), Some(USER), None).unwrap();
    let ordinary = || {
        let mut command = pod.command();
        command.arg("--audit=off").uid(USER).gid(USER);
        let kept: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut other = program();
        other.args(kept.iter().filter(|one| !one.to_str().unwrap().starts_with("--audit=/")));
        for (name, value) in command.get_envs() {
            other.env(name, value.unwrap());
        }
        other.uid(USER).gid(USER);
        other
    };
    let (status, said) = pod.once(ordinary()).await;
    assert_eq!(status, 0, "{said}");
    let set = fs::read_link(pod.volume.path().join("..data")).unwrap();
    assert_eq!(pod.files()["web_plain"].1, 0o040);
    let (status, said) = pod.once(ordinary()).await;
    assert_eq!(status, 0, "{said}");
    assert_eq!(fs::read_link(pod.volume.path().join("..data")).unwrap(), set);
    // A folder that it may not write.
    chown(pod.volume.path(), Some(0), Some(0)).unwrap();
    pod.objects("- objectName: web/plain");
    let (status, said) = pod.once(ordinary()).await;
    assert_eq!(status, 73, "{said}");
    assert!(said.contains("must be writable for this user"), "{said}");
}
