//! The emulator's files in `e2e/emulator/src`: one folder for each layer, and no circles.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use super::{
    document,
    graph::{circles, identifier, named_after, paths_after},
    root, sources,
};

/// The process, its command line and the list of what others use: above the layers.
const TOP: [&str; 3] = ["ctl", "lib", "main"];

fn folder() -> PathBuf {
    root().join("e2e/emulator/src")
}

/// The layers of the table in `ARCHITECTURE.md`, the lowest first.
fn layers() -> Vec<String> {
    let document = document();
    let (_, section) = document.split_once("\n## Layers of the emulator\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut layers: Vec<_> = rows.map(str::to_owned).collect();
    layers.reverse();
    layers
}

/// The code of each file without its tests, by path: `state::vault`. The file of a layer, which lists
/// its modules, has the layer's name.
fn files() -> BTreeMap<String, String> {
    let sources = sources(&folder()).into_iter();
    let files = sources.map(|path| {
        let name = path.strip_prefix(folder()).unwrap().with_extension("");
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
        (name.display().to_string().replace('/', "::"), code)
    });
    files.collect()
}

/// The files in layers, each with those that it uses. Fails where a path leads to none.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let layered: BTreeMap<String, String> =
        files().into_iter().filter(|(name, _)| name.contains("::")).collect();
    let uses = layered.iter().map(|(name, code)| {
        assert!(!code.contains("super::"), "{name} names files otherwise than from crate::");
        let used = paths_after("crate::", code).into_iter().map(|path| {
            let file = layered.keys().filter(|file| is_within(&path, file)).max_by_key(|f| f.len());
            file.unwrap_or_else(|| panic!("{name} uses {path}, which is no file of a layer"))
                .clone()
        });
        let used = used.filter(|used| !is_within(name, used) && !is_within(used, name));
        (name.clone(), used.collect())
    });
    uses.collect()
}

/// Whether a path is a file's own, or that of something in it.
fn is_within(path: &str, file: &str) -> bool {
    path.strip_prefix(file).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn every_file_lies_in_a_layer_and_uses_only_it_and_those_below() {
    let layers = layers();
    let mut alone: Vec<String> = files().into_keys().filter(|name| !name.contains("::")).collect();
    alone.retain(|name| !TOP.contains(&name.as_str()));
    let mut told = layers.clone();
    told.sort();
    assert_eq!(alone, told, "each layer is a folder, with a file that lists its modules");
    let layer = |name: &str| layers.iter().position(|layer| *layer == identifier(name));
    for (name, used) in uses() {
        assert!(layer(&name).is_some(), "{name} is in no layer");
        for used in used {
            assert!(layer(&used) <= layer(&name), "{name} uses {used}, of a layer above");
        }
    }
}

#[test]
fn no_two_files_use_each_other() {
    assert_eq!(circles(&uses()), BTreeSet::new());
}

#[test]
fn only_net_has_http_and_sockets() {
    for (name, code) in files() {
        if !name.starts_with("state") && !name.starts_with("services") {
            continue;
        }
        for outside in ["hyper", "http_body_util", "rustls", "rcgen", "domain::", "tokio_util"] {
            assert!(!code.contains(outside), "{name} has {outside:?}");
        }
        let tokio = named_after("tokio::", &code);
        assert!(tokio.iter().all(|part| part == "sync"), "{name} uses {tokio:?} of tokio");
        let std = named_after("std::", &code);
        for effect in ["fs", "net", "os", "process", "thread"] {
            assert!(!std.contains(effect), "{name} uses std::{effect}");
        }
    }
}
