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

#[test]
fn modules_use_what_the_document_says_and_nothing_else() {
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources(&root().join("src")) {
        let relative = path.strip_prefix(root().join("src")).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let uses = used.entry(module.to_owned()).or_default();
        uses.extend(of_crate(code).into_iter().filter(|name| name != module));
    }
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in document().lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", module, uses, ""] = cells.as_slice()
            && module.starts_with('`')
        {
            let names = uses.split(',').map(|name| name.trim().trim_matches('`').to_owned());
            told.insert(
                module.trim_matches('`').to_owned(),
                names.filter(|name| !name.is_empty() && name != "nothing").collect(),
            );
        }
    }
    assert_eq!(used, told);
}

/// The modules that `crate::x` and `crate::{x, y::{..}}` name.
fn of_crate(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
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
