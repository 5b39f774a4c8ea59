//! JMESPath expressions of pod authors, behind a guard: the library's parser recurses without limit,
//! so a kilobyte could end the process by its depth.

use std::{fmt, time::Instant};

use jmespath::{
    Rcvar, Variable,
    ast::{Ast, KeyValuePair},
};

use super::{
    Document,
    ast::children,
    found, json, path,
    search::{self, Fault, Search},
    value::Value,
};
use crate::secret::Secret;

const MAX_BYTES: usize = 1024;
/// Each level of nesting costs at least one of these characters. The first overflow of a 2 MiB
/// stack was measured at 104 levels in a debug build, at 840 in a release build.
const MAX_NESTING: usize = 48;
const NESTING: [char; 11] = ['[', '(', '{', '!', '.', '|', '&', '=', '<', '>', '*'];

pub struct Expression {
    text: Box<str>,
    ast: Ast,
}

impl Expression {
    /// Refuses before compiling what could not be compiled safely.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes"));
        }
        if text.matches(NESTING).count() > MAX_NESTING {
            return Err(format!(
                "nests too deep: it has more than {MAX_NESTING} of the characters [ ( {{ ! . | & \
                 = < > *"
            ));
        }
        let ast = jmespath::parse(text).map_err(|error| {
            let column = error.column + 1;
            let help = path::advice(text);
            format!("is not a JMESPath expression (column {column}){help}")
        })?;
        check(text, &ast)?;
        if !reads(&ast, true) {
            return Err(path::constant(&ast));
        }
        Ok(Self { text: text.into(), ast })
    }

    /// As its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// About how many bytes it takes beside itself: dozens of times its text.
    pub fn memory(&self) -> usize {
        text(&self.text) + below(&self.ast)
    }

    /// Whether it only walks down by keys and indices, which takes no longer than the document.
    pub fn is_keys(&self) -> bool {
        walks(&self.ast)
    }

    /// The bytes a file gets: a scalar as its author wrote it, the rest as JSON.
    pub(crate) fn search(
        &self,
        document: &Document,
        end: Instant,
    ) -> Result<Secret<Vec<u8>>, String> {
        let mut search = Search::new(&self.text, end);
        let help = || path::text_as_key(&self.text, &self.ast);
        let found = search.eval(&self.ast, document.root());
        let found = found.map_err(|fault| match fault {
            Fault::Argument(..) => format!("{fault}{}", help()),
            fault => fault.to_string(),
        })?;
        if let Some(what) = found::missing(&self.ast, &found) {
            let dotted = path::dotted(&self.ast, document.root());
            return Err(format!("{what}{}", dotted.unwrap_or_else(|| help().to_owned())));
        }
        let text = match &*found {
            Value::Bool(_, text) | Value::Number(text) | Value::Text(text) => text.to_string(),
            other => json::write(other, search.left()).ok_or_else(|| Fault::Costly.to_string())?,
        };
        Ok(Secret::new(text.into_bytes()))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

/// For errors.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn walks(ast: &Ast) -> bool {
    match ast {
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Index { .. } => true,
        Ast::Subexpr { lhs, rhs, .. } => walks(lhs) && walks(rhs),
        _ => false,
    }
}

/// That every call and literal in it has a meaning.
fn check(text: &str, ast: &Ast) -> Result<(), String> {
    match ast {
        Ast::Function { name, args, .. } => search::functions::check(name, args)?,
        Ast::Literal { offset, value } if search::literal(text, *offset, value).is_none() => {
            return Err(format!(
                "has a literal (column {}) that is not JSON, or has the same key twice",
                offset + 1
            ));
        }
        _ => {}
    }
    children(ast).into_iter().try_for_each(|child| check(text, child))
}

/// Whether the result can depend on the document; `current` says whether the current node does.
fn reads(ast: &Ast, current: bool) -> bool {
    match ast {
        Ast::Literal { .. } => false,
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Index { .. } | Ast::Slice { .. } => current,
        Ast::Subexpr { lhs, rhs, .. } | Ast::Projection { lhs, rhs, .. } => {
            reads(rhs, reads(lhs, current))
        }
        // For each element of another argument.
        Ast::Expref { .. } => false,
        _ => children(ast).into_iter().any(|child| reads(child, current)),
    }
}

/// The memory of all that a node holds, without its own.
fn below(ast: &Ast) -> usize {
    let boxed = |node: &Ast| size_of::<Ast>() + below(node);
    match ast {
        Ast::Identity { .. } | Ast::Index { .. } | Ast::Slice { .. } => 0,
        Ast::Field { name, .. } => text(name),
        Ast::Literal { value, .. } => literal(value),
        Ast::Expref { ast: node, .. }
        | Ast::Not { node, .. }
        | Ast::Flatten { node, .. }
        | Ast::ObjectValues { node, .. } => boxed(node),
        Ast::Comparison { lhs, rhs, .. }
        | Ast::And { lhs, rhs, .. }
        | Ast::Or { lhs, rhs, .. }
        | Ast::Subexpr { lhs, rhs, .. }
        | Ast::Projection { lhs, rhs, .. }
        | Ast::Condition { predicate: lhs, then: rhs, .. } => boxed(lhs) + boxed(rhs),
        Ast::MultiList { elements, .. } => nodes(elements),
        Ast::MultiHash { elements, .. } => {
            let pairs = elements.iter().map(|pair| text(&pair.key) + below(&pair.value));
            elements.capacity() * size_of::<KeyValuePair>() + pairs.sum::<usize>()
        }
        Ast::Function { name, args, .. } => text(name) + nodes(args),
    }
}

fn nodes(list: &Vec<Ast>) -> usize {
    list.capacity() * size_of::<Ast>() + list.iter().map(below).sum::<usize>()
}

fn literal(value: &Variable) -> usize {
    /// A map's node has room for eleven entries.
    const ENTRIES: usize = 11;
    // With the two counts of its owners.
    size_of::<Variable>()
        + 2 * size_of::<usize>()
        + match value {
            Variable::Null | Variable::Bool(_) | Variable::Number(_) => 0,
            Variable::String(string) => text(string),
            Variable::Array(items) => {
                let all = items.iter().map(|item| literal(item)).sum::<usize>();
                items.capacity() * size_of::<Rcvar>() + all
            }
            Variable::Object(map) => {
                let entry = size_of::<String>() + size_of::<Rcvar>();
                let all = map.iter().map(|(key, value)| text(key) + literal(value));
                (map.len() / 6 + 1) * ENTRIES * entry + all.sum::<usize>()
            }
            Variable::Expref(ast) => below(ast),
        }
}

/// Nothing smaller is allocated.
fn text(text: &str) -> usize {
    text.len().next_multiple_of(16)
}

#[cfg(test)]
mod tests;
