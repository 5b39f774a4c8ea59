//! `mount --dry-run`: the same reads, and a report in place of files.

use std::collections::BTreeMap;

use super::*;

impl Pod {
    /// Exit status, standard output and standard error, in none of which there is a value.
    async fn dry(&self, mut command: Command) -> (i32, String, String) {
        let out = self.given("out");
        command.arg("--dry-run").stdout(fs::File::create(&out).unwrap());
        let (status, said) = self.once(command).await;
        let told = fs::read_to_string(out).unwrap();
        let searcher = AhoCorasick::new(canaries(&self.emulator)).unwrap();
        assert!(searcher.find(&told).is_none(), "{told}");
        (status, told, said)
    }
}

/// Mode and size by path, as a report has them.
fn rows(told: &str) -> BTreeMap<String, (u32, usize)> {
    let (_, table) = told.split_once("  path\n").unwrap();
    let row = |line: &str| {
        let [mode, bytes, _version, path] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        let mode = u32::from_str_radix(mode, 8).ok()?;
        Some((path.to_owned(), (mode, bytes.parse().ok()?)))
    };
    table.lines().filter_map(row).collect()
}

#[tokio::test]
async fn dry_run_tells_what_a_mount_writes_and_writes_nothing() {
    let pod = Pod::start().await;
    pod.class(&[("objects", MANY), ("pathTranslation", "False")]);
    let (status, told, said) = pod.dry(pod.with_webhook(pod.without_folder())).await;
    assert_eq!(status, 0, "{said}");
    assert!(told.contains("1 optional object not there\n"), "{told}");
    let read = format!("\nread with identity pod, session shop@web@web-1, role {ROLE}\n");
    assert!(told.contains(&read), "{told}");
    assert!(told.ends_with("nothing is written, and no value shown\n"), "{told}");
    assert!(pod.files().is_empty() && pod.hidden().is_empty());
    // It is read, and recorded, as any mount is.
    let reads = pod.emulator.requests().into_iter().filter(|read| read.action == "GetSecretValue");
    assert_eq!(reads.count(), 4);
    assert!(fs::read_to_string(pod.given("audit.log")).unwrap().contains("web/plain"));

    let (status, said) = pod.once(pod.command()).await;
    assert_eq!(status, 0, "{said}");
    let written = pod.files().into_iter().map(|(path, (bytes, mode))| (path, (mode, bytes.len())));
    assert_eq!(rows(&told), written.collect());
}

#[tokio::test]
async fn dry_run_writes_for_its_caller_alone_if_it_is_asked_to() {
    let pod = Pod::start().await;
    pod.class(&[("objects", MANY), ("pathTranslation", "False")]);
    let (status, told, said) = pod.dry(pod.command()).await;
    assert_eq!(status, 0, "{said}");
    let into = pod.volume.path().display();
    assert!(told.ends_with(&format!("\nwritten to {into}, each with mode 0600\n")), "{told}");
    let files = pod.files();
    assert!(files.values().all(|(_, mode)| *mode == 0o600), "{files:?}");
    assert_eq!(pod.text("web/plain"), "planted-value-of-web-plain");
    // The report has the modes of the class.
    assert_eq!(rows(&told)["deep/user"].0, 0o640);
    assert_eq!(rows(&told).keys().collect::<Vec<_>>(), files.keys().collect::<Vec<_>>());

    let mut on_a_disk = pod.with_webhook(pod.without_folder());
    on_a_disk.arg("--into=/var/tmp");
    let (status, told, said) = pod.dry(on_a_disk).await;
    assert_eq!((status, &*told), (73, ""), "{said}");
}

#[tokio::test]
async fn dry_run_ends_as_a_mount_that_is_refused() {
    let pod = Pod::start().await;
    pod.objects("- objectName: api/key\n");
    let (status, told, dry) = pod.dry(pod.with_webhook(pod.without_folder())).await;
    assert_eq!((status, &*told), (77, ""), "{dry}");
    let left = pod.termination_message();
    assert!(left.contains("api/key"), "{left}");
    assert!(pod.files().is_empty());
}
