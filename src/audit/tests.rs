//! Records written as in service, then tampered with in every way that there is.

#![expect(clippy::string_slice, reason = "what is sliced here is ASCII")]

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{
    chain::parts,
    hash::Hash,
    verify::{Report, Verifier, Wrong},
    *,
};

const KEY: &[u8] = b"a key of thirty-two bytes or more";

struct Log {
    directory: TempDir,
    key: Option<&'static [u8]>,
    most_bytes: u64,
}

impl Log {
    fn new(key: Option<&'static [u8]>) -> Self {
        Self { directory: TempDir::new().unwrap(), key, most_bytes: 1 << 20 }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("audit.log")
    }

    fn start(&self, on_failure: OnFailure) -> Result<Audit, String> {
        let options = Options {
            to: Destination::File(self.path()),
            most_bytes: self.most_bytes,
            files: 8,
            key: self.key.map(|key| Secret::new(key.to_vec())),
            on_failure,
            node: "node-1".to_owned(),
        };
        Audit::start(options, Arc::new(Metrics::new()))
    }

    /// One process that reads the objects, one mount each.
    async fn run(&self, objects: &[&str]) {
        let audit = self.start(OnFailure::Refuse).unwrap();
        for object in objects {
            admit(&audit, object).await.unwrap();
        }
        audit.end().await;
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    fn verify(&self, text: &str) -> Report {
        self.verify_all(&[text], None)
    }

    fn verify_all(&self, texts: &[&str], expected: Option<Hash>) -> Report {
        let key = self.key.map(|key| Secret::new(key.to_vec()));
        let mut verifier = Verifier::new(Digest::new(key.as_ref()), expected);
        for (number, text) in texts.iter().enumerate() {
            verifier.read(&format!("file-{number}"), text.as_bytes()).unwrap();
        }
        verifier.report()
    }
}

async fn admit(audit: &Audit, object: &str) -> Result<(), Error> {
    let record = Record {
        event: Event::Read,
        object: object.to_owned(),
        outcome: "OK",
        asked: Arc::new(Asked { namespace: "shop".to_owned(), ..Asked::default() }),
        mounted: true,
        ..Record::default()
    };
    audit.admit(vec![record], Instant::now() + Duration::from_secs(10)).await
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn hash(line: &str) -> Hash {
    parts(line.trim_end()).unwrap().1
}

fn whats(report: &Report) -> Vec<&Wrong> {
    report.findings.iter().map(|finding| &finding.what).collect()
}

#[tokio::test]
async fn what_is_written_is_whole_across_restarts() {
    for key in [None, Some(KEY)] {
        let log = Log::new(key);
        log.run(&["a", "b"]).await;
        log.run(&["c"]).await;
        let text = log.text();
        let report = log.verify(&text);
        assert_eq!(whats(&report), [] as [&Wrong; 0]);
        assert_eq!((report.lines, report.runs.len()), (7, 2));
        assert!(report.runs.iter().all(|run| run.stopped && run.from == 1));
        assert_eq!(report.last, Some(hash(lines(&text)[6])));
        let mode = std::fs::metadata(log.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(
            Log { key: Some(b"another key, as long as the other"), ..log }
                .verify(&text)
                .findings
                .iter()
                .all(|finding| finding.what == Wrong::Changed)
        );
    }
}

#[tokio::test]
async fn a_byte_changed_anywhere_is_found_in_its_line() {
    for key in [None, Some(KEY)] {
        let log = Log::new(key);
        log.run(&["a", "b"]).await;
        let text = log.text();
        for at in (0..text.len()).filter(|at| text.as_bytes()[*at] != b'\n') {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            let report = log.verify(&changed);
            let line = text[..at].matches('\n').count() + 1;
            assert_eq!(whats(&report), [&Wrong::Changed], "{at}: {changed}");
            assert_eq!(report.findings[0].place, format!("file-0:{line}"));
        }
    }
}

/// As someone would who knows how lines are hashed but not the key, if there is one.
#[tokio::test]
async fn a_field_changed_and_its_line_hashed_anew_is_found() {
    for key in [None, Some(KEY)] {
        let log = Log::new(key);
        log.run(&["a", "b"]).await;
        let text = log.text();
        let all = lines(&text);
        for (number, line) in all.iter().enumerate().take(all.len() - 1) {
            let content = parts(line.trim_end()).unwrap().0;
            let fields: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&format!("{content}}}")).unwrap();
            for (name, value) in fields {
                let other = match &value {
                    serde_json::Value::Bool(flag) => (!flag).to_string(),
                    serde_json::Value::Number(number) => format!("1{number}"),
                    serde_json::Value::String(text) if text.len() == 64 => {
                        format!("\"{}\"", "1".repeat(64))
                    }
                    other => format!("\"x{}", &other.to_string()[1..]),
                };
                let (old, new) = (format!("\"{name}\":{value}"), format!("\"{name}\":{other}"));
                assert!(content.contains(&old), "{old}");
                let content = content.replace(&old, &new);
                let forged = Digest::Sha256.of_text(&content);
                let mut forgery: Vec<String> = all.iter().map(|line| (*line).to_owned()).collect();
                forgery[number] = format!("{content},\"hash\":\"{forged}\"}}\n");
                assert!(!log.verify(&forgery.concat()).findings.is_empty(), "{new}");
            }
        }
    }
}

#[tokio::test]
async fn lines_removed_anywhere_but_at_the_end_are_found() {
    let log = Log::new(None);
    log.run(&["a", "b", "c"]).await;
    log.run(&["d"]).await;
    let text = log.text();
    let all = lines(&text);
    for from in 0..all.len() {
        for to in from + 1..=all.len() {
            let left: String = [&all[..from], &all[to..]].concat().concat();
            let report = log.verify(&left);
            let at_the_end = to == all.len() && from > 0;
            assert_eq!(report.findings.is_empty(), at_the_end, "{from}..{to}: {left}");
            if at_the_end {
                let expected = hash(all[all.len() - 1]);
                let report = log.verify_all(&[&left], Some(expected));
                assert_eq!(whats(&report), [&Wrong::Unmet(expected)]);
                // A run that ended in order says so.
                let ended = from == 5;
                assert_eq!(report.runs.iter().all(|run| run.stopped), ended);
            }
        }
    }
    let report = log.verify(&[&all[..2], &all[3..]].concat().concat());
    let run = report.runs[0].id.clone();
    assert_eq!(whats(&report), [&Wrong::Removed { run, from: 3, to: 3 }]);
    assert_eq!(report.findings[0].place, "file-0:3");
    assert_eq!(whats(&log.verify("")), [&Wrong::Empty]);
}

#[tokio::test]
async fn lines_moved_repeated_or_cut_off_are_found() {
    let log = Log::new(None);
    log.run(&["a", "b", "c"]).await;
    log.run(&["d"]).await;
    let text = log.text();
    let all = lines(&text);
    for i in 0..all.len() {
        for j in i + 1..all.len() {
            let mut swapped = all.clone();
            swapped.swap(i, j);
            assert!(!log.verify(&swapped.concat()).findings.is_empty(), "{i} {j}");
        }
        for j in 0..=all.len() {
            let mut repeated = all.clone();
            repeated.insert(j, all[i]);
            let report = log.verify(&repeated.concat());
            let again = |wrong: &Wrong| {
                matches!(wrong, Wrong::Repeated { .. } | Wrong::Reordered { .. } | Wrong::Headless)
            };
            assert!(whats(&report).into_iter().any(again), "{i} {j}: {:?}", report.findings);
        }
    }
    let mut swapped = all.clone();
    swapped.swap(2, 3);
    let report = log.verify(&swapped.concat());
    let run = report.runs[0].id.clone();
    assert_eq!(whats(&report), [&Wrong::Reordered { run, seq: 3 }]);
    for cut in 1..all[6 + 1].len() {
        let report = log.verify(&text[..text.len() - cut]);
        assert_eq!(whats(&report), [&Wrong::Truncated], "{cut}");
    }
}

/// Another object in it, and every hash as it should be then.
fn calculated_anew(text: &str, digest: &Digest) -> String {
    let mut forged = String::new();
    let mut prev = Hash::NONE;
    for line in lines(text) {
        let content = parts(line.trim_end()).unwrap().0;
        let end = content.rfind(",\"prev\"").unwrap();
        let content = content[..end].replace("\"object\":\"a\"", "\"object\":\"z\"");
        let content = format!("{content},\"prev\":\"{prev}\"");
        prev = digest.of_text(&content);
        forged.push_str(&format!("{content},\"hash\":\"{prev}\"}}\n"));
    }
    forged
}

/// What no chain shows by itself, and a hash that left the node does.
#[tokio::test]
async fn what_the_chain_cannot_show_a_hash_kept_elsewhere_does() {
    for key in [None, Some(KEY)] {
        let log = Log::new(key);
        log.run(&["a", "b"]).await;
        let text = log.text();
        let kept = Some(hash(lines(&text)[3]));
        assert!(log.verify_all(&[&text], kept).findings.is_empty());
        let cut_short = lines(&text)[..3].concat();
        let with_the_key =
            calculated_anew(&text, &Digest::new(key.map(|key| Secret::new(key.to_vec())).as_ref()));
        let other = Log::new(key);
        other.run(&["a", "b"]).await;
        for (what, cut) in [
            ("lines removed from the end", cut_short),
            ("calculated anew, with the key", with_the_key),
            ("another file of the same key", other.text()),
        ] {
            assert!(log.verify(&cut).findings.is_empty(), "{what}");
            assert!(!log.verify_all(&[&cut], kept).findings.is_empty(), "{what}");
        }
    }
}

/// What each chain can and cannot show, as docs/audit.md says.
#[tokio::test]
async fn a_tail_calculated_anew_passes_without_a_key_alone() {
    for key in [None, Some(KEY)] {
        let log = Log::new(key);
        log.run(&["a", "b"]).await;
        let text = log.text();
        let forged = calculated_anew(&text, &Digest::Sha256);
        assert_eq!(log.verify(&forged).findings.is_empty(), key.is_none());
        // Against the last hash that was told elsewhere it does not pass.
        let last = Some(hash(lines(&text)[3]));
        assert!(!log.verify_all(&[&forged], last).findings.is_empty());
    }
}

#[tokio::test]
async fn the_chain_goes_on_from_file_to_file_and_files_have_one_order() {
    let log = Log { most_bytes: 1000, ..Log::new(None) };
    let names: Vec<String> = (0..12).map(|n| format!("object-{n}")).collect();
    log.run(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    log.run(&["last"]).await;
    let files: Vec<PathBuf> =
        (1..).map(|n| file::rotated(&log.path(), n)).take_while(|path| path.exists()).collect();
    assert!(files.len() >= 4, "{}", files.len());
    let mut texts: Vec<String> =
        files.iter().rev().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    texts.push(log.text());
    let whole: Vec<&str> = texts.iter().map(String::as_str).collect();
    let report = log.verify_all(&whole, None);
    assert_eq!(whats(&report), [] as [&Wrong; 0]);
    // The oldest go in time: what is left is whole.
    let report = log.verify_all(&whole[1..], None);
    assert_eq!(whats(&report), [] as [&Wrong; 0]);
    assert!(report.runs[0].from > 1);
    for i in 0..whole.len() {
        for j in i + 1..whole.len() {
            let mut swapped = whole.clone();
            swapped.swap(i, j);
            assert!(!log.verify_all(&swapped, None).findings.is_empty(), "{i} {j}");
        }
        if i > 0 && i + 1 < whole.len() {
            let mut missing = whole.clone();
            missing.remove(i);
            assert!(!log.verify_all(&missing, None).findings.is_empty(), "without {i}");
        }
    }
    for path in files {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn no_more_files_are_kept_than_were_asked_for() {
    let log = Log { most_bytes: 1, ..Log::new(None) };
    log.run(&["x"; 20]).await;
    assert!(file::rotated(&log.path(), 8).exists());
    assert!(!file::rotated(&log.path(), 9).exists());
}

/// A rollout: the new process writes while the old one drains, and either rotates the file.
#[tokio::test]
async fn two_processes_write_to_one_file() {
    let log = Log { most_bytes: 4000, ..Log::new(Some(KEY)) };
    let old = log.start(OnFailure::Refuse).unwrap();
    admit(&old, "before").await.unwrap();
    let new = log.start(OnFailure::Refuse).unwrap();
    for _ in 0..10 {
        admit(&old, "old").await.unwrap();
        admit(&new, "new").await.unwrap();
        admit(&new, "new").await.unwrap();
    }
    old.end().await;
    new.end().await;
    let mut texts = vec![log.text()];
    for number in 1.. {
        let Ok(text) = std::fs::read_to_string(file::rotated(&log.path(), number)) else { break };
        texts.insert(0, text);
    }
    assert!(texts.len() >= 3, "{}", texts.len());
    let whole: Vec<&str> = texts.iter().map(String::as_str).collect();
    let report = log.verify_all(&whole, None);
    assert_eq!(whats(&report), [] as [&Wrong; 0]);
    assert_eq!(report.runs.len(), 2);
}

#[tokio::test]
async fn a_line_that_a_crash_left_unfinished_is_cut_off_and_told() {
    let log = Log::new(None);
    log.run(&["a"]).await;
    let text = log.text();
    std::fs::write(log.path(), &text[..text.len() - 100]).unwrap();
    log.run(&["b"]).await;
    let after = log.text();
    assert_eq!(whats(&log.verify(&after)), [] as [&Wrong; 0]);
    let torn = lines(&text)[2].len() - 100;
    assert!(after.contains(&format!("\"torn\":{torn},")), "{after}");
}

/// Of another process, which was ended within an addition while this one has the file open.
#[tokio::test]
async fn a_line_that_another_process_left_unfinished_is_cut_off_and_told() {
    let log = Log::new(Some(KEY));
    let (old, new) = (log.start(OnFailure::Refuse).unwrap(), log.start(OnFailure::Refuse).unwrap());
    admit(&old, "a").await.unwrap();
    admit(&new, "b").await.unwrap();
    let tear = |torn: &str| {
        let mut file = std::fs::OpenOptions::new().append(true).open(log.path()).unwrap();
        file.write_all(torn.as_bytes()).unwrap();
    };
    tear("{\"schema\":1,\"ev");
    admit(&new, "c").await.unwrap();
    admit(&new, "d").await.unwrap();
    tear(&"x".repeat(50));
    admit(&old, "e").await.unwrap();
    old.end().await;
    new.end().await;
    let text = log.text();
    let report = log.verify(&text);
    assert_eq!(whats(&report), [] as [&Wrong; 0], "{text}");
    let of = |event: &str| -> Vec<&str> {
        let event = format!("\"event\":\"{event}\"");
        lines(&text).into_iter().filter(|line| line.contains(&event)).collect()
    };
    // Each line that follows another process's says so.
    assert_eq!((of("read").len(), of("continue").len(), report.runs.len()), (5, 5, 2), "{text}");
    let told: Vec<&str> =
        of("continue").into_iter().filter(|line| !line.contains("\"torn\":0,")).collect();
    let [first, second] = &*told else { panic!("{told:?}") };
    assert!(first.contains("\"torn\":15,\"after\""), "{first}");
    assert!(second.contains("\"torn\":50,\"after\""), "{second}");
}

#[tokio::test]
async fn a_line_left_unfinished_is_cut_off_before_its_file_is_rotated() {
    let log = Log { most_bytes: 4000, ..Log::new(None) };
    let audit = log.start(OnFailure::Refuse).unwrap();
    admit(&audit, "a").await.unwrap();
    let whole = log.text();
    let torn = "x".repeat(4000 - whole.len() % 4000);
    std::fs::write(log.path(), format!("{whole}{torn}")).unwrap();
    admit(&audit, "b").await.unwrap();
    audit.end().await;
    let text = log.text();
    assert!(text.starts_with(&whole), "{text}");
    assert!(text.contains(&format!("\"torn\":{},", torn.len())), "{text}");
    assert_eq!(whats(&log.verify(&text)), [] as [&Wrong; 0], "{text}");
}

fn break_file(path: &Path) {
    std::fs::rename(path, path.with_extension("away")).unwrap();
    std::fs::create_dir(path).unwrap();
}

fn mend_file(path: &Path) {
    std::fs::remove_dir(path).unwrap();
    std::fs::rename(path.with_extension("away"), path).unwrap();
}

#[tokio::test]
async fn what_cannot_be_written_refuses_the_mount_or_is_counted_and_told() {
    for on_failure in [OnFailure::Refuse, OnFailure::Continue] {
        let log = Log::new(None);
        let audit = log.start(on_failure).unwrap();
        admit(&audit, "a").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        break_file(&log.path());
        let refused = admit(&audit, "b").await;
        match on_failure {
            OnFailure::Refuse => {
                let error = refused.unwrap_err().to_string();
                assert!(error.starts_with("the audit record cannot be written"), "{error}");
            }
            OnFailure::Continue => {
                refused.unwrap();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        mend_file(&log.path());
        admit(&audit, "c").await.unwrap();
        audit.end().await;
        let text = log.text();
        let report = log.verify(&text);
        assert_eq!(whats(&report), [] as [&Wrong; 0], "{text}");
        assert_eq!(report.lost, 1, "{text}");
        assert!(!text.contains("\"object\":\"b\""), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_at_the_start() {
    let log = Log::new(None);
    std::fs::create_dir(log.path()).unwrap();
    let error = log.start(OnFailure::Refuse).unwrap_err();
    assert!(error.starts_with("--audit: /"), "{error}");
}

/// A directory in its place, or a full disk.
#[tokio::test]
async fn where_mounts_go_on_without_a_record_the_start_does_too() {
    let log = Log::new(None);
    std::fs::create_dir(log.path()).unwrap();
    let audit = log.start(OnFailure::Continue).unwrap();
    admit(&audit, "a").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    std::fs::remove_dir(log.path()).unwrap();
    admit(&audit, "b").await.unwrap();
    audit.end().await;
    let text = log.text();
    let report = log.verify(&text);
    assert_eq!(whats(&report), [] as [&Wrong; 0], "{text}");
    assert_eq!((report.lost, report.lines, report.runs[0].from), (1, 4, 1), "{text}");
    let full = |on_failure| {
        let options = Options {
            to: Destination::File("/dev/full".into()),
            most_bytes: 1 << 20,
            files: 8,
            key: None,
            on_failure,
            node: String::new(),
        };
        Audit::start(options, Arc::new(Metrics::new()))
    };
    let error = full(OnFailure::Refuse).unwrap_err();
    assert!(error.starts_with("--audit: /dev/full: No space left"), "{error}");
    full(OnFailure::Continue).unwrap();
}

/// A queue that nobody empties: no record waits for ever, and none goes uncounted.
#[tokio::test]
async fn what_finds_no_room_is_counted() {
    let (jobs, work) = mpsc::channel();
    let inner = Inner {
        jobs: Mutex::new(jobs),
        room: Arc::new(Semaphore::new(2)),
        lost: Arc::default(),
        on_failure: OnFailure::Refuse,
        metrics: Arc::new(Metrics::new()),
    };
    let inner = Arc::new(inner);
    let audit = Audit(Some(inner.clone()));
    audit.note(vec![Record::default(), Record::default()]);
    audit.note(vec![Record::default()]);
    let deadline = Instant::now() + Duration::from_millis(50);
    assert!(audit.admit(vec![Record::default()], deadline).await.is_err());
    assert_eq!(inner.lost.load(Ordering::Relaxed), 2);
    assert!(inner.metrics.text().contains("audit_records_total{result=\"lost\"} 2"));
    drop(work.recv().unwrap());
    drop(work);
    assert!(audit.admit(vec![Record::default()], deadline + LONGEST_WAIT).await.is_err());
    assert_eq!(inner.lost.load(Ordering::Relaxed), 3);
}

/// As a rollout leaves it, with and without a key: one process's lines are taken out, all of them.
#[tokio::test]
async fn all_lines_of_one_of_two_processes_removed_are_found() {
    for key in [None, Some(KEY)] {
        let log = Log::new(key);
        let old = log.start(OnFailure::Refuse).unwrap();
        admit(&old, "before").await.unwrap();
        let new = log.start(OnFailure::Refuse).unwrap();
        for _ in 0..3 {
            admit(&old, "old").await.unwrap();
            admit(&new, "new").await.unwrap();
        }
        old.end().await;
        new.end().await;
        let text = log.text();
        assert_eq!(whats(&log.verify(&text)), [] as [&Wrong; 0], "{text}");
        for run in log.verify(&text).runs {
            let mine = format!("\"run\":\"{}\"", run.id);
            let rest: String =
                text.split_inclusive('\n').filter(|line| !line.contains(&mine)).collect();
            assert!(!rest.is_empty());
            let report = log.verify(&rest);
            assert!(
                !report.findings.is_empty(),
                "key {}: without {}:\n{rest}",
                key.is_some(),
                run.id
            );
        }
    }
}

/// A process that can write the file can write any number into it, with the right hash where there is no key.
#[tokio::test]
async fn numbers_of_a_forged_line_cost_neither_memory_nor_time() {
    let log = Log::new(None);
    log.run(&["a", "b"]).await;
    let text = log.text();
    let forged = |seq: u64, lost: u64| {
        let id = "f".repeat(16);
        let content = format!(
            "{{\"schema\":1,\"event\":\"lost\",\"time\":\"t\",\"node\":\"n\",\"run\":\"{id}\",\"seq\":{seq},\"lost\":{lost},\"prev\":\"{}\"",
            Hash::NONE
        );
        format!("{content},\"hash\":\"{}\"}}\n", chain::Digest::new(None).of_text(&content))
    };
    let most = u64::MAX;
    let lines = [(most, most), (1, most), (most - 1, 1), (most, 0), (5, 0), (0, 0), (most / 2, 7)];
    let forged: String = lines.iter().map(|(seq, lost)| forged(*seq, *lost)).collect();
    let report = log.verify(&format!("{text}{forged}"));
    assert_eq!((report.lines, report.lost), (lines.len() as u64 + 4, most));
    assert!(report.findings.len() + (report.more as usize) < 30, "{}", report.findings.len());
    let removed =
        report.findings.iter().filter(|found| matches!(found.what, Wrong::Removed { .. }));
    assert!(removed.count() >= 2);
}

#[tokio::test]
async fn link_or_pipe_in_place_of_the_file_is_refused() {
    let log = Log::new(None);
    let elsewhere = log.directory.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, log.path()).unwrap();
    let error = log.start(OnFailure::Refuse).unwrap_err();
    assert!(error.contains("it is a link; remove it") && !elsewhere.exists(), "{error}");
    std::fs::remove_file(log.path()).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, log.path(), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let error = log.start(OnFailure::Refuse).unwrap_err();
    assert!(error.contains("neither a regular file nor a device; remove it"), "{error}");
}

/// `flock` on a file that it may read is anybody's to call.
#[tokio::test]
async fn lock_of_a_reader_holds_nothing_up() {
    let log = Log::new(None);
    log.run(&["a"]).await;
    let reader = std::fs::File::open(log.path()).unwrap();
    reader.lock().unwrap();
    log.run(&["b"]).await;
    assert_eq!(whats(&log.verify(&log.text())), [] as [&Wrong; 0]);
}

#[tokio::test]
async fn lock_that_somebody_keeps_is_named_within_seconds() {
    let log = Log::new(None);
    log.run(&["a"]).await;
    let lock = log.directory.path().join("audit.log.lock");
    let held = std::fs::File::open(&lock).unwrap();
    held.lock_shared().unwrap();
    let error = log.start(OnFailure::Refuse).unwrap_err();
    assert!(error.contains("another process keeps the lock beside it"), "{error}");
    // A lock on what is no longer there keeps nobody out.
    std::fs::remove_file(&lock).unwrap();
    log.run(&["b"]).await;
    drop(held);
    log.run(&["c"]).await;
    assert_eq!(whats(&log.verify(&log.text())), [] as [&Wrong; 0]);
}

/// Fifty mounts of 500 objects that fail at once: more lines than have room.
#[tokio::test]
async fn refusals_wait_for_room_and_none_is_lost() {
    let log = Log { most_bytes: 1 << 30, ..Log::new(None) };
    let audit = log.start(OnFailure::Refuse).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mount = || async {
        let record = Record { event: Event::Read, outcome: "INTERNAL", ..Record::default() };
        audit.refuse(vec![record; 500], deadline).await;
    };
    futures::future::join_all((0..50).map(|_| mount())).await;
    audit.end().await;
    let report = log.verify(&log.text());
    assert_eq!((whats(&report), report.lost), (vec![], 0));
    assert_eq!(report.lines, 50 * 500 + 2);
}
