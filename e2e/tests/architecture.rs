//! `ARCHITECTURE.md` says what is where and what may use what; here it is held to it.

mod emulator;
mod graph;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use graph::{circles, named_after, paths_after};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs")
            && path.file_stem().unwrap() != "tests"
        {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn document() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

#[test]
fn every_source_file_has_a_line_and_every_line_a_file() {
    let there: BTreeSet<String> = sources(&root().join("src"))
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().display().to_string())
        .collect();
    let told: BTreeSet<String> = document()
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.starts_with("src/") && word.ends_with(".rs"))
        .map(str::to_owned)
        .collect();
    assert_eq!(there, told);
}

/// The code of each module, without its tests.
fn modules() -> BTreeMap<String, String> {
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for path in sources(&root().join("src")) {
        let relative = path.strip_prefix(root().join("src")).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        modules.entry(module.to_owned()).or_default().push_str(code);
    }
    modules
}

/// Each layer with its modules, the lowest first.
fn layers() -> Vec<(String, BTreeSet<String>)> {
    let document = document();
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["", layer, modules, ""] if modules.starts_with('`') => {
                let names = modules.split(',').map(|name| name.trim().trim_matches('`').to_owned());
                Some(((*layer).to_owned(), names.collect()))
            }
            _ => None,
        }
    });
    let mut layers: Vec<_> = rows.collect();
    layers.reverse();
    layers
}

#[test]
fn modules_use_only_their_own_layer_and_those_below() {
    let (modules, layers) = (modules(), layers());
    let listed: Vec<&String> = layers.iter().flat_map(|(_, modules)| modules).collect();
    let mut sorted = listed.clone();
    sorted.sort();
    assert_eq!(sorted, modules.keys().collect::<Vec<_>>(), "each module is in one layer");
    let layer = |module: &str| layers.iter().position(|(_, of)| of.contains(module));
    for (module, code) in &modules {
        for used in of_crate(code).iter().filter(|used| *used != "pb") {
            assert!(layer(used) <= layer(module), "{module} uses {used}, of a layer above");
        }
    }
}

#[test]
fn no_two_modules_use_each_other() {
    let uses = modules().into_iter().map(|(module, code)| {
        let mut uses = of_crate(&code);
        uses.retain(|used| *used != module && used != "pb");
        (module, uses)
    });
    assert_eq!(circles(&uses.collect()), BTreeSet::new());
}

#[test]
fn pure_layer_has_no_io() {
    let (modules, layers) = (modules(), layers());
    let (_, pure) = layers.iter().find(|(layer, _)| layer == "pure").unwrap();
    for module in pure {
        let code = &modules[module];
        for effect in ["tokio", "async ", ".await"] {
            assert!(!code.contains(effect), "{module} has {effect:?}");
        }
        let std = named_after("std::", code);
        for effect in ["fs", "net", "os", "process", "thread"] {
            assert!(!std.contains(effect), "{module} uses std::{effect}");
        }
    }
    let messages = modules.iter().filter(|(_, code)| of_crate(code).contains("pb"));
    let messages: Vec<_> = messages.map(|(module, _)| &**module).collect();
    assert_eq!(messages, ["admin", "mount", "request", "response", "server"]);
}

/// The modules of this crate that a code names.
fn of_crate(code: &str) -> BTreeSet<String> {
    named_after("crate::", code)
}

/// The module path of each file in `src`, such as `spc::source::kms`, with its code without tests.
fn files() -> BTreeMap<String, String> {
    let src = root().join("src");
    let files = sources(&src).into_iter().filter_map(|path| {
        let relative = path.strip_prefix(&src).unwrap().with_extension("");
        let parts: Vec<_> = relative.iter().map(|part| part.to_str().unwrap()).collect();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
        (!matches!(*parts, ["lib" | "main"])).then(|| (parts.join("::"), code))
    });
    files.collect()
}

/// The files that a file uses: by `crate::`, by `super::`, and its own children by their names.
fn used_by(file: &str, code: &str, files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let parent = |path: &str| path.rsplit_once("::").map_or("", |(parent, _)| parent).to_owned();
    let mut paths: BTreeSet<String> = paths_after("crate::", code);
    let (mut base, mut ups) = (file.to_owned(), "super::".to_owned());
    while !base.is_empty() {
        base = parent(&base);
        let absolute = |path: &String| format!("{base}::{path}").trim_matches(':').to_owned();
        paths.extend(paths_after(&ups, code).iter().map(absolute));
        ups.push_str("super::");
    }
    let children = files.keys().filter(|other| parent(other) == file).filter(|child| {
        let name = child.rsplit("::").next().unwrap();
        code.contains(&format!("{name}::"))
    });
    let children: BTreeSet<String> = children.cloned().collect();
    let file_of = |mut path: String| {
        while !path.is_empty() && !files.contains_key(&path) {
            path = parent(&path);
        }
        path
    };
    // What a module declares is for the files below it: that is no circle.
    let counts = |used: &String| !used.is_empty() && used != file && !is_below(file, used);
    paths.into_iter().map(file_of).filter(counts).chain(children).collect()
}

fn is_below(file: &str, folder: &str) -> bool {
    file.strip_prefix(folder).is_some_and(|rest| rest.starts_with("::"))
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let files = files();
    let uses = files.iter().map(|(file, code)| (file.clone(), used_by(file, code, &files)));
    assert_eq!(circles(&uses.collect()), BTreeSet::new());
}

#[test]
fn every_pattern_of_the_mutants_finds_a_file() {
    let text = fs::read_to_string(root().join(".cargo/mutants.toml")).unwrap();
    let there: Vec<String> = files().into_keys().collect();
    let patterns =
        text.lines().filter_map(|line| line.trim().strip_prefix("\"src/")?.strip_suffix("\","));
    for pattern in patterns {
        let path = pattern.trim_end_matches(".rs").replace('/', "::");
        let folder = path.trim_end_matches('*').trim_end_matches(':').trim_end_matches('*');
        let folder = folder.trim_end_matches(':');
        let found =
            there.iter().any(|file| *file == path || path.contains('*') && is_below(file, folder));
        assert!(found, "{pattern} finds no file of src");
    }
}
