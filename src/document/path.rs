//! Advice for paths: how one that is not JMESPath, reads nothing or finds nothing is written. Of a
//! document it names only keys that the path's author wrote.

use jmespath::{Variable, ast::Ast};
use serde_json::Value as Json;

use super::{ast::children, value::Value};
use crate::text::{accident, is_invisible};

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

/// How to write a path that is not JMESPath.
pub(super) fn advice(text: &str) -> String {
    let said = |what: &str| format!("; {what}");
    if let Some(what) = accident::placeholder(text).filter(|_| !text.contains("[?")) {
        return said(&format!("it {what}"));
    }
    let odd = text.chars().find(|c| is_invisible(*c) || ('\u{2018}'..='\u{201f}').contains(c));
    if let Some(c) = odd {
        let kind = if is_invisible(c) { "an invisible character" } else { "a typographic quote" };
        return said(&format!("it holds {kind} (U+{:04X})", u32::from(c)));
    }
    let key_in_brackets = text.split_once("['").is_some_and(|(before, _)| {
        before.ends_with(|c: char| c.is_ascii_alphanumeric() || "$_]".contains(c))
    });
    if key_in_brackets || text.starts_with("$..") {
        return said(
            "that is JSONPath; in JMESPath a key of an object is db.host or db.\"api-key\"",
        );
    }
    if text.contains("[?") && text.contains('=') && !text.contains("==") {
        return said("a filter compares with == and has texts in single quotes: list[?name=='x']");
    }
    if text.contains(" + ") {
        return said("JMESPath has no +; write join('', [user, password])");
    }
    if text.ends_with([';', ',']) {
        return said("remove its last character");
    }
    match (item(text), rewritten(text)) {
        (Some(item), Some(path)) => {
            format!("; write path: '{item}' for an item of a list, path: '{path}' for a key")
        }
        (_, Some(path)) => write(&path),
        _ => String::new(),
    }
}

/// With its numbers as the indexes of lists.
fn item(text: &str) -> Option<String> {
    let mut path = String::new();
    for key in text.split('.') {
        let is_number = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
        path = match (is_number, path.is_empty()) {
            (true, _) => format!("{path}[{key}]"),
            (false, true) => key.to_owned(),
            (false, false) => format!("{path}.{key}"),
        };
    }
    (path.contains('[') && path.len() <= LONGEST && jmespath::parse(&path).is_ok()).then_some(path)
}

/// The JMESPath that a path in another notation, or with a key that needs quotes, stands for.
fn rewritten(text: &str) -> Option<String> {
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
    let plain = |c: char| !c.is_control() && !"()[]{}|&!=<>*,'\"`\\?@#".contains(c);
    if name.is_empty()
        || name.starts_with(':')
        || name.ends_with(':')
        || !name.chars().all(plain)
        || !indexes.chars().all(index)
    {
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

/// Of an expression that finds nothing: the key with dots that it means.
pub(super) fn dotted(ast: &Ast, root: &Value) -> Option<String> {
    let mut names = Vec::new();
    let path = fields(ast, &mut names).then(|| present(&names, root)).flatten();
    let path = path.filter(|path| path.len() <= LONGEST)?;
    Some(format!(", which has a key with a dot in its name{}", write(&path)))
}

/// Of an expression that does not find what it could: a text in double quotes where a value is
/// compared or given to a function.
pub(super) fn text_as_key(text: &str, ast: &Ast) -> &'static str {
    let is_quoted = |ast: &&Ast| {
        let Ast::Field { offset, .. } = ast else { return false };
        text.get(*offset..).is_some_and(|text| text.starts_with('"'))
    };
    let here = matches!(ast, Ast::Comparison { .. } | Ast::Function { .. })
        && children(ast).iter().any(is_quoted);
    let below = || children(ast).into_iter().any(|child| !text_as_key(text, child).is_empty());
    if here || below() { "; a text needs single quotes: in double quotes it is a key" } else { "" }
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
