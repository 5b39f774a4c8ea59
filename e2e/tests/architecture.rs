//! `ARCHITECTURE.md` says what is where and what may use what; here it is held to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

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
    let mut left: BTreeMap<String, BTreeSet<String>> = modules()
        .into_iter()
        .map(|(module, code)| {
            let mut uses = of_crate(&code);
            uses.retain(|used| *used != module && used != "pb");
            (module, uses)
        })
        .collect();
    // Takes away, again and again, what uses nothing that is left.
    while let Some(done) =
        left.iter().find(|(_, uses)| uses.is_empty()).map(|(name, _)| name.clone())
    {
        left.remove(&done);
        for uses in left.values_mut() {
            uses.remove(&done);
        }
    }
    assert!(left.is_empty(), "a circle among {left:?}");
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

/// The modules that `root::x` and `root::{x, y::{..}}` name.
fn named_after(root: &str, code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for after in code.split(root).skip(1) {
        let Some(list) = after.strip_prefix('{') else {
            names.insert(identifier(after));
            continue;
        };
        let (mut depth, mut item) = (0, String::new());
        for c in list.chars() {
            match c {
                '}' if depth == 0 => break,
                ',' if depth == 0 => names.insert(identifier(std::mem::take(&mut item).trim())),
                '{' => {
                    depth += 1;
                    false
                }
                '}' => {
                    depth -= 1;
                    false
                }
                c => {
                    item.push(c);
                    false
                }
            };
        }
        names.insert(identifier(item.trim()));
    }
    names.remove("");
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
