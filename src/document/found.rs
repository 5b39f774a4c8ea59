//! Found: whether a search found what its path asks for. Null is nothing, and neither is a list that a
//! projection left empty a value of the secret.

use jmespath::ast::Ast;

use super::value::Value;
use crate::text::quoted;

/// What the path does not find, for its author.
pub(super) fn missing(ast: &Ast, found: &Value) -> Option<String> {
    match (ast, found) {
        (_, Value::Null) => Some("finds nothing, or null, in this secret".to_owned()),
        (_, Value::List(items)) if items.is_empty() && is_made(ast, false) => {
            Some("finds no element in this secret".to_owned())
        }
        (Ast::Subexpr { rhs, .. }, _) => missing(rhs, found),
        (Ast::MultiList { elements, .. }, Value::List(items)) => {
            let mut pairs = elements.iter().zip(items).enumerate();
            pairs.find_map(|(index, (ast, item))| {
                Some(format!("{} for item {}", missing(ast, item)?, index + 1))
            })
        }
        (Ast::MultiHash { elements, .. }, Value::Map(fields)) => elements.iter().find_map(|pair| {
            let what = missing(&pair.value, fields.get(pair.key.as_str())?)?;
            Some(format!("{what} for {}", quoted(&pair.key)))
        }),
        _ => None,
    }
}

/// Whether a list that this yields is made by a projection, a filter or a slice, and not one of the
/// secret; `current` says so of the current node.
fn is_made(ast: &Ast, current: bool) -> bool {
    match ast {
        Ast::Identity { .. } => current,
        Ast::Projection { .. } | Ast::Flatten { .. } | Ast::Slice { .. } => true,
        Ast::Subexpr { lhs, rhs, .. } => is_made(rhs, is_made(lhs, current)),
        Ast::Or { lhs, rhs, .. } | Ast::And { lhs, rhs, .. } => {
            is_made(lhs, current) || is_made(rhs, current)
        }
        Ast::Function { args, .. } => args.iter().any(|arg| is_made(arg, current)),
        _ => false,
    }
}
