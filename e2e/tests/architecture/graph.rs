//! What uses what: paths in code, and circles among files.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    iter::Peekable,
    str::Chars,
};

/// One circle through each file that is in any.
pub fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    uses.keys().filter_map(|file| circle_through(file, uses)).collect()
}

/// The shortest, with the file that comes first in it at its start.
fn circle_through(file: &str, uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open = VecDeque::from([file]);
    while let Some(at) = open.pop_front() {
        for next in uses.get(at).into_iter().flatten() {
            if next == file {
                let back = std::iter::successors(Some(at), |at| came_from.get(at).copied());
                let mut circle: Vec<String> = back.map(str::to_owned).collect();
                circle.reverse();
                let first = circle.iter().enumerate().min_by_key(|(_, name)| *name)?.0;
                circle.rotate_left(first);
                return Some(circle);
            }
            if !came_from.contains_key(&**next) {
                came_from.insert(next, at);
                open.push_back(next);
            }
        }
    }
    None
}

/// Every path that begins with `root`, the lists in braces taken apart.
pub fn paths_after(root: &str, code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (at, _) in code.match_indices(root) {
        // `super::` is within `super::super::` too.
        if !code[..at].ends_with("::") {
            tree("", &mut code[at + root.len()..].chars().peekable(), &mut paths);
        }
    }
    paths
}

/// Reads `a::b` or `a::{b, c::{..}}` into paths.
fn tree(before: &str, code: &mut Peekable<Chars<'_>>, paths: &mut BTreeSet<String>) {
    let mut path = before.to_owned();
    while let Some(c) = code.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | ':')) {
        path.push(c);
    }
    if code.next_if_eq(&'{').is_none() {
        paths.insert(path.trim_end_matches(':').to_owned());
        return;
    }
    loop {
        while code.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
        if code.next_if_eq(&'}').is_some() || code.peek().is_none() {
            return;
        }
        tree(&path, code, paths);
        // What a name is renamed to.
        while code.next_if(|c| !matches!(c, ',' | '}')).is_some() {}
    }
}

/// The modules that `root::x` and `root::{x, y::{..}}` name.
pub fn named_after(root: &str, code: &str) -> BTreeSet<String> {
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

pub fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn paths_are_read_out_of_nested_lists() {
    let code = "use crate::{a::{self, B}, c::d::{e,\n    F as G}};\nlet x = crate::h::i();";
    let wanted = ["a::B", "a::self", "c::d::F", "c::d::e", "h::i"];
    assert_eq!(Vec::from_iter(paths_after("crate::", code)), wanted);
}

#[test]
fn circles_are_found_and_what_leads_to_one_is_not_told() {
    let of = |name: &str, used: &[&str]| {
        (name.to_owned(), used.iter().map(|u| (*u).to_owned()).collect())
    };
    let uses =
        BTreeMap::from([of("a", &["b"]), of("b", &["c"]), of("c", &["b", "d"]), of("d", &[])]);
    assert_eq!(circles(&uses), BTreeSet::from([vec!["b".to_owned(), "c".to_owned()]]));
}
