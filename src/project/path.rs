//! Advice for paths: how one that is not JMESPath, reads nothing or finds nothing is written. Of a
//! document it names only keys that the path's author wrote.

use jmespath::{Variable, ast::Ast};
use serde_json::Value as Json;

use super::value::Value;

/// A longer path is not written out again: an Event has room for less than 1 KiB.
const LONGEST: usize = 80;

/// How to write the path, in a SecretProviderClass too.
pub(super) fn write(path: &str) -> String {
    if !path.contains('"') {
        return format!("; write path: {path}");
    }
    let path = path.replace('\'', "''");
    format!(
        "; a key with other characters than letters, digits and _ needs double quotes, and the path \
         then single quotes for YAML: path: '{path}'"
    )
}

/// The JMESPath that a path in another notation, or with a key that needs quotes, stands for.
pub(super) fn rewritten(text: &str) -> Option<String> {
    let text = text.trim();
    let (text, separator) = match text.strip_prefix('/') {
        Some(pointer) => (pointer, '/'),
        None => (text.strip_prefix('$').unwrap_or(text), '.'),
    };
    let text = text.strip_prefix('.').unwrap_or(text);
    let keys: Vec<String> = text.split(separator).map(key).collect::<Option<_>>()?;
    let path = keys.join(".");
    (path.len() <= LONGEST && jmespath::parse(&path).is_ok()).then_some(path)
}

/// A key, quoted where it has to be, with the indexes that follow it.
fn key(text: &str) -> Option<String> {
    let (name, indexes) = text.split_at_checked(text.find('[').unwrap_or(text.len()))?;
    let index = |c: char| c.is_ascii_digit() || matches!(c, '[' | ']' | '*' | '-');
    let plain = |c: char| !c.is_control() && !"()[]{}|&!=<>*,'\"`\\:?@#".contains(c);
    if name.is_empty() || !name.chars().all(plain) || !indexes.chars().all(index) {
        return None;
    }
    Some(if is_identifier(name) { text.to_owned() } else { format!("\"{name}\"{indexes}") })
}

fn is_identifier(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// Of an expression that is the same whatever the secret holds.
pub(super) fn constant(ast: &Ast) -> String {
    let what = "reads nothing of the secret: its result is the same for every secret";
    match ast {
        Ast::Literal { value, .. } => match &**value {
            Variable::String(key) if is_key(key) => format!(
                "{what}. A text in single quotes or backticks is itself; a key needs double quotes, \
                 and single quotes around the path for YAML: path: '\"{key}\"'"
            ),
            _ => format!("{what}. Name the key to read"),
        },
        _ => format!("{what}. A text in single quotes or backticks is itself, not a key"),
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST
        && !text.contains(|c: char| c.is_control() || "\"'\\".contains(c))
}

/// Of an expression that finds nothing, or null.
pub(super) fn nothing(ast: &Ast, root: &Value) -> String {
    let what = "finds nothing, or null, in this secret";
    let mut names = Vec::new();
    let dotted = fields(ast, &mut names).then(|| present(&names, root)).flatten();
    let dotted = dotted.filter(|path| path.len() <= LONGEST);
    match dotted {
        Some(path) => format!("{what}, which has a key with a dot in its name{}", write(&path)),
        None => what.to_owned(),
    }
}

/// The names of a path that is nothing but keys.
fn fields<'a>(ast: &'a Ast, names: &mut Vec<&'a str>) -> bool {
    match ast {
        Ast::Field { name, .. } => {
            names.push(name);
            true
        }
        Ast::Subexpr { lhs, rhs, .. } => fields(lhs, names) && fields(rhs, names),
        _ => false,
    }
}

/// The path with some of its dots in the keys, if the document has that.
fn present(names: &[&str], value: &Value) -> Option<String> {
    let Value::Map(map) = value else { return None };
    (1..=names.len()).rev().find_map(|count| {
        let (first, rest) = names.split_at_checked(count)?;
        let name = first.join(".");
        let found = map.get(name.as_str()).filter(|found| !found.is_null())?;
        let quoted = if is_identifier(&name) { name } else { Json::from(name).to_string() };
        if rest.is_empty() {
            return Some(quoted);
        }
        Some(format!("{quoted}.{}", present(rest, found)?))
    })
}
