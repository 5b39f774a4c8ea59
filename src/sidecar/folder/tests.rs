use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use tempfile::TempDir;

use super::*;
use crate::{
    secret::Secret,
    spc::file::{FileMode, RelPath},
};

fn file(path: &str, mode: u32, text: &str) -> OutFile {
    OutFile {
        path: RelPath::parse(path).unwrap(),
        mode: FileMode::from_bits(mode).unwrap(),
        bytes: Secret::new(text.as_bytes().to_vec()),
        version: String::new(),
    }
}

fn write(at: &TempDir, files: &[OutFile]) -> Result<Written, String> {
    Folder::open(at.path()).unwrap().write(files)
}

fn text(at: &TempDir, path: &str) -> String {
    fs::read_to_string(at.path().join(path)).unwrap()
}

fn names(at: &TempDir) -> Vec<String> {
    let names = fs::read_dir(at.path()).unwrap();
    let mut names: Vec<_> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn fill(folder: &Folder, set: &str, files: &[OutFile]) {
    mkdirat(&folder.folder, set, FOLDER_MODE).unwrap();
    folder.fill(set, files).unwrap();
}

/// What is there but the set itself, whose name is a time.
fn layout(at: &TempDir) -> Vec<String> {
    let mut names = names(at);
    names.retain(|name| !is_stamp(name));
    names
}

#[test]
fn first_set_is_seen_through_links() {
    let at = TempDir::new().unwrap();
    let files = [file("a", 0o644, "1"), file("deep/er/b", 0o400, "2"), file("deep/c", 0o777, "")];
    assert_eq!(write(&at, &files), Ok(Written::First));
    assert_eq!((text(&at, "a"), text(&at, "deep/er/b")), ("1".to_owned(), "2".to_owned()));
    assert_eq!(layout(&at), ["..data", "a", "deep"]);
    assert_eq!(names(&at).len(), 4);
    for (path, mode) in [("a", 0o644), ("deep/er/b", 0o400), ("deep/c", 0o777), ("deep/er", 0o755)]
    {
        let found = fs::metadata(at.path().join(path)).unwrap().permissions().mode();
        assert_eq!(found & 0o7777, mode, "{path}");
    }
}

#[test]
fn same_set_is_not_written_again() {
    let at = TempDir::new().unwrap();
    let files = [file("a", 0o644, "1"), file("d/b", 0o040, "2")];
    write(&at, &files).unwrap();
    let set = fs::read_link(at.path().join("..data")).unwrap();
    assert_eq!(write(&at, &files), Ok(Written::Same));
    assert_eq!(fs::read_link(at.path().join("..data")).unwrap(), set);
    let mode = fs::metadata(at.path().join("d/b")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o040);
}

#[test]
fn whatever_differs_makes_a_new_set() {
    let old = || [file("a", 0o644, "1"), file("d/b", 0o644, "2")];
    let [a, b] = old();
    for new in [
        vec![file("a", 0o600, "1"), file("d/b", 0o644, "2")],
        vec![file("a", 0o644, "3"), file("d/b", 0o644, "2")],
        vec![a],
        vec![b],
        vec![file("a/x", 0o644, "1"), file("d", 0o644, "2")],
        vec![file("a", 0o644, "1"), file("d/b", 0o644, "2"), file("d/c", 0o644, "")],
    ] {
        let at = TempDir::new().unwrap();
        write(&at, &old()).unwrap();
        assert_eq!(write(&at, &new), Ok(Written::Changed));
        let wanted: Vec<_> = new.iter().map(|file| file.path.as_str()).collect();
        for file in &new {
            assert_eq!(text(&at, file.path.as_str()).as_bytes(), file.bytes.expose(), "{wanted:?}");
        }
        let top: BTreeSet<_> = wanted.iter().map(|path| path.split('/').next().unwrap()).collect();
        let layout = layout(&at);
        assert_eq!(layout.iter().skip(1).map(String::as_str).collect::<BTreeSet<_>>(), top);
        assert_eq!(names(&at).len(), layout.len() + 1, "one set");
    }
}

#[test]
fn set_that_somebody_changed_is_written_anew() {
    let files = || [file("a", 0o644, "1")];
    for change in [
        |set: &Path| fs::write(set.join("a"), "x").unwrap(),
        |set: &Path| fs::remove_file(set.join("a")).unwrap(),
        |set: &Path| fs::write(set.join("b"), "1").unwrap(),
        |set: &Path| {
            fs::remove_file(set.join("a")).unwrap();
            symlink("/etc/passwd", set.join("a")).unwrap();
        },
    ] {
        let at = TempDir::new().unwrap();
        write(&at, &files()).unwrap();
        change(&at.path().join("..data"));
        assert_eq!(write(&at, &files()), Ok(Written::Changed));
        assert_eq!(text(&at, "a"), "1");
        assert_eq!(layout(&at), ["..data", "a"]);
    }
}

/// Each moment at which a process can be killed: before `..data` leads to the new set, and after.
#[test]
fn next_start_removes_what_an_interrupted_one_left() {
    let old = || [file("a", 0o644, "1"), file("gone", 0o644, "2")];
    let at = TempDir::new().unwrap();
    write(&at, &old()).unwrap();
    let folder = Folder::open(at.path()).unwrap();
    fill(&folder, "..2026_11_30_00_00_00.000000001", &old());
    symlink("..2026_11_30_00_00_00.000000001", at.path().join("..data_tmp")).unwrap();
    drop(folder);
    drop(Folder::open(at.path()).unwrap());
    assert_eq!(layout(&at), ["..data", "a", "gone"]);
    assert_eq!(names(&at).len(), 4);
    assert_eq!(write(&at, &old()), Ok(Written::Same));

    // After the switch: the links are those of the old set.
    let new = [file("a", 0o644, "3"), file("new", 0o644, "4")];
    let folder = Folder::open(at.path()).unwrap();
    fill(&folder, "..2026_11_30_00_00_00.000000002", &new);
    folder.switch("..2026_11_30_00_00_00.000000002").unwrap();
    drop(folder);
    assert_eq!(write(&at, &new), Ok(Written::Same));
    assert_eq!(layout(&at), ["..data", "a", "new"]);
    assert_eq!((text(&at, "a"), text(&at, "new"), names(&at).len()), ("3".into(), "4".into(), 4));
}

#[test]
fn set_that_cannot_be_written_leaves_the_old_one() {
    let at = TempDir::new().unwrap();
    write(&at, &[file("a", 0o644, "1")]).unwrap();
    // A name that is as long as a path may be is too long for the kernel, in a folder.
    let long = vec!["x".repeat(200); 20].join("/") + &"/y".repeat(38) + "y";
    let told = write(&at, &[file("a", 0o644, "2"), file(&long, 0o644, "3")]).unwrap_err();
    assert!(told.starts_with(&at.path().display().to_string()), "{told}");
    assert_eq!((text(&at, "a"), names(&at).len()), ("1".to_owned(), 3));
}

#[test]
fn folder_of_somebody_else_is_refused_and_left_alone() {
    type Make = fn(&Path);
    let make: [(&str, Make); 6] = [
        ("a file", |at| fs::write(at.join("a"), "x").unwrap()),
        ("a folder", |at| fs::create_dir(at.join("a")).unwrap()),
        ("a link", |at| symlink("/etc", at.join("a")).unwrap()),
        ("another's ..data", |at| symlink("/etc", at.join("..data")).unwrap()),
        ("a file named as a set", |at| fs::write(at.join("..2026_01"), "x").unwrap()),
        ("a link to another name", |at| symlink("..data/b", at.join("a")).unwrap()),
    ];
    for (what, make) in make {
        let at = TempDir::new().unwrap();
        make(at.path());
        let before = names(&at);
        let told = Folder::open(at.path()).unwrap_err();
        assert!(told.contains("was not written by this program"), "{what}: {told}");
        assert_eq!(names(&at), before, "{what}");
    }
}

#[test]
fn name_that_somebody_took_meanwhile_is_told_and_not_overwritten() {
    let at = TempDir::new().unwrap();
    let folder = Folder::open(at.path()).unwrap();
    fs::write(at.path().join("a"), "theirs").unwrap();
    let told = folder.write(&[file("a", 0o644, "1")]).unwrap_err();
    assert!(told.contains("\"a\" was replaced by somebody else"), "{told}");
    assert_eq!((text(&at, "a"), names(&at).len()), ("theirs".to_owned(), 1));
}

#[test]
fn data_that_was_led_elsewhere_is_led_back_and_nothing_there_is_touched() {
    let (at, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(elsewhere.path().join("a"), "theirs").unwrap();
    let folder = Folder::open(at.path()).unwrap();
    folder.write(&[file("a", 0o644, "1")]).unwrap();
    fs::remove_file(at.path().join("..data")).unwrap();
    symlink(elsewhere.path(), at.path().join("..data")).unwrap();
    folder.write(&[file("a", 0o644, "1")]).unwrap();
    assert_eq!(text(&at, "a"), "1");
    assert_eq!(fs::read_to_string(elsewhere.path().join("a")).unwrap(), "theirs");
    assert_eq!(names(&at).len(), 3);
}

#[test]
fn folder_has_one_writer_and_is_no_link() {
    let at = TempDir::new().unwrap();
    let first = Folder::open(at.path()).unwrap();
    let told = Folder::open(at.path()).unwrap_err();
    assert!(told.contains("another process"), "{told}");
    drop(first);
    let link = TempDir::new().unwrap().path().join("link");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(at.path(), &link).unwrap();
    assert!(Folder::open(&link).unwrap_err().contains("is a link"));
    fs::remove_dir_all(link.parent().unwrap()).unwrap();
}

#[test]
fn memory_is_told_from_a_disk() {
    assert!(Folder::open(TempDir::new_in("/dev/shm").unwrap().path()).unwrap().is_in_memory());
    let on_disk = TempDir::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    assert!(!Folder::open(on_disk.path()).unwrap().is_in_memory());
}
