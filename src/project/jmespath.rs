//! JMESPath over a secret's document, behind two guards: the library recurses without limit and
//! builds results without limit, so a kilobyte written by a pod author could end the process by its
//! depth, or by doubling its input again and again.

use std::fmt;

use jmespath::{
    Rcvar, Variable,
    ast::{Ast, KeyValuePair},
};
use serde_json::Value;

use crate::secret::Secret;

const MAX_BYTES: usize = 1024;
/// Each level of nesting costs at least one of these characters. The first overflow of a 2 MiB
/// stack was measured at 104 levels in a debug build, at 840 in a release build.
const MAX_NESTING: usize = 48;
const NESTING: [char; 11] = ['[', '(', '{', '!', '.', '|', '&', '=', '<', '>', '*'];

/// What any step of a search may build. The largest secret has 30 KiB.
const MAX_BUILT_BYTES: usize = 4 << 20;

pub struct Expression {
    compiled: jmespath::Expression<'static>,
    /// No intermediate result is more times larger than the document.
    growth: usize,
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
        let compiled = jmespath::compile(text).map_err(|error| {
            format!("is not a JMESPath expression (column {})", error.column + 1)
        })?;
        let growth = growth(compiled.as_ast());
        if growth > MAX_BUILT_BYTES {
            return Err("could make far more of a secret than it holds".to_owned());
        }
        Ok(Self { compiled, growth })
    }

    /// About how many bytes it takes beside itself: dozens of times its text.
    pub fn memory(&self) -> usize {
        text(self.compiled.as_str()) + below(self.compiled.as_ast())
    }

    /// The bytes a file gets: a string as it is, a number or boolean as text, the rest as JSON.
    pub(super) fn search(&self, document: &Document) -> Result<Secret<Vec<u8>>, &'static str> {
        if self.growth.saturating_mul(document.bytes) > MAX_BUILT_BYTES {
            return Err("could make far more of this secret than it holds");
        }
        let found = self.compiled.search(&document.root);
        let found = found.map_err(|_| "cannot be applied to this secret")?;
        let text = match &*found {
            Variable::Null => return Err("finds nothing, or null, in this secret"),
            Variable::Expref(_) => return Err("yields an expression, not a value"),
            Variable::String(text) => text.clone(),
            Variable::Bool(flag) => flag.to_string(),
            Variable::Number(number) => number.to_string(),
            Variable::Array(_) | Variable::Object(_) => {
                serde_json::to_string(&*found).map_err(|_| "yields what JSON cannot hold")?
            }
        };
        Ok(Secret::new(text.into_bytes()))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.compiled.as_str()).finish()
    }
}

/// A secret's JSON or YAML, parsed once for all its extracts.
pub(super) struct Document {
    root: Variable,
    bytes: usize,
}

impl Document {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not text")?;
        let json = || serde_json::from_str::<Value>(text).ok();
        let value = json().or_else(|| crate::yaml::parse(text).ok());
        match value {
            Some(value @ (Value::Object(_) | Value::Array(_))) => {
                let root = Variable::try_from(value);
                root.map(|root| Self { root, bytes: bytes.len() })
                    .map_err(|_| "is not a JSON or YAML document")
            }
            // A password is YAML too, but nothing can be found in it.
            Some(_) | None => Err("is not a JSON or YAML document"),
        }
    }
}

/// How many times larger than its input, of at least one byte, what an expression builds can be.
fn growth(ast: &Ast) -> usize {
    /// A number, a boolean, a type's name: whatever is computed and not copied.
    const SCALAR: usize = 25;
    match ast {
        Ast::Identity { .. } | Ast::Field { .. } | Ast::Index { .. } | Ast::Slice { .. } => 1,
        Ast::Literal { value, .. } => value.to_string().len().max(1),
        Ast::Comparison { lhs, rhs, .. } => SCALAR.max(growth(lhs)).max(growth(rhs)),
        Ast::Not { node, .. } => SCALAR.max(growth(node)),
        Ast::Expref { ast, .. } => growth(ast),
        Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => growth(node),
        Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => growth(lhs).max(growth(rhs)),
        Ast::Condition { predicate, then, .. } => growth(predicate).max(growth(then)),
        Ast::Subexpr { lhs, rhs, .. } | Ast::Projection { lhs, rhs, .. } => {
            growth(lhs).saturating_mul(growth(rhs))
        }
        Ast::MultiList { elements, .. } => total(elements.iter().map(growth)),
        Ast::MultiHash { elements, .. } => {
            total(elements.iter().map(|pair| pair.key.len().saturating_add(growth(&pair.value))))
        }
        Ast::Function { name, args, .. } => {
            let arguments = || args.iter().map(growth);
            match (name.as_str(), args.as_slice()) {
                ("map" | "sort_by" | "max_by" | "min_by", _) => {
                    arguments().fold(1, usize::saturating_mul)
                }
                // The glue comes between all elements.
                ("join", [Ast::Literal { .. }, _]) => {
                    arguments().fold(1, |all, one| all.saturating_mul(one.saturating_add(1)))
                }
                ("join", _) => usize::MAX,
                // Escaping turns a control character into six.
                ("to_string", _) => total(arguments()).saturating_mul(6),
                _ => SCALAR.max(total(arguments())),
            }
        }
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

fn total(parts: impl Iterator<Item = usize>) -> usize {
    parts.fold(0, usize::saturating_add).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(path: &str, document: &str) -> Result<String, String> {
        let document = Document::parse(document.as_bytes())?;
        let found = Expression::parse(path)?.search(&document)?;
        Ok(String::from_utf8(found.into_bytes()).unwrap())
    }

    #[test]
    fn results_of_every_type() {
        let json = r#"{"s":"x y","n":5432,"f":1.5,"big":18446744073709551615,"t":true,
                       "o":{"b":2,"a":[1]},"l":["a",1],"z":null,"e":"","odd.key":"k"}"#;
        for (path, expected) in [
            ("s", "x y"),
            ("n", "5432"),
            ("f", "1.5"),
            ("big", "18446744073709551615"),
            ("t", "true"),
            ("o", r#"{"a":[1],"b":2}"#),
            ("l", r#"["a",1]"#),
            ("e", ""),
            ("o.a[0]", "1"),
            ("\"odd.key\"", "k"),
            ("length(l)", "2"),
        ] {
            assert_eq!(search(path, json).as_deref(), Ok(expected), "{path}");
        }
        for path in ["z", "missing", "o.c.d"] {
            assert!(search(path, json).unwrap_err().contains("finds nothing"), "{path}");
        }
        assert!(search("abs(s)", json).unwrap_err().contains("cannot be applied"));
        assert!(search("&s", json).is_err());
    }

    #[test]
    fn yaml_documents_and_what_is_no_document() {
        assert_eq!(search("db.port", "db:\n  port: 3306\n").as_deref(), Ok("3306"));
        for text in ["hunter2", "", "[", "3"] {
            let error = search("a", text).unwrap_err();
            assert!(error.contains("not a JSON or YAML"), "{error}");
        }
    }

    /// Each of these could build far more than the bound from a document of thirty kilobytes.
    #[test]
    fn no_expression_can_fill_the_memory() {
        let document = format!(r#"{{"a":"{0}","l":["{0}"]}}"#, "x".repeat(15_000));
        let doubled =
            |start: &str, step: &str, times: usize| format!("{start}{}", step.repeat(times));
        for path in [
            doubled("a", "|join('',[@,@])", 15),
            doubled("l", "|[@,@][]", 14),
            doubled("@", ".[@,@]", 14),
            doubled("@", "|{a:@,b:@}", 14),
            doubled("to_string([a])", "|to_string([@])", 10),
            "join(a, l)".to_owned(),
        ] {
            let error = search(&path, &document).unwrap_err();
            assert!(error.contains("could make far more"), "{path}: {error}");
        }
        let useful = search("join(', ', l)|[@, @]|{both: @}", r#"{"l":["a","b"]}"#);
        assert_eq!(useful.as_deref(), Ok(r#"{"both":["a, b","a, b"]}"#));
    }

    #[test]
    fn what_an_expression_takes_is_counted_by_its_nodes() {
        let memory = |path: &str| Expression::parse(path).unwrap().memory();
        for (path, nodes) in [
            (format!("[{}]", vec!["a"; 500].join(",")), 500),
            (format!("{{{}}}", vec!["a:@"; 250].join(",")), 250),
            (format!("not_null({})", vec!["@"; 500].join(",")), 500),
            (format!("`[{}]`", vec!["1"; 500].join(",")), 500),
            (vec!["a"; 40].join("."), 79),
            (vec!["a"; 20].join("||"), 39),
        ] {
            let least = size_of::<Ast>().min(size_of::<Variable>());
            let memory = memory(&path);
            assert!(memory > nodes * least, "{path}: {memory}");
            assert!(memory < nodes * 256, "{path}: {memory}");
        }
        assert!(memory("password") < 64);
    }

    #[test]
    fn no_expression_can_end_the_process() {
        let shapes = ["!", "[", "(", "a[][]", "a.", "{a:", "a||", "a==", "&", "sort_by(a,&", "*."];
        for shape in shapes {
            assert!(Expression::parse(&shape.repeat(400)).is_err(), "{shape}");
        }
        assert!(Expression::parse(&"a".repeat(MAX_BYTES + 1)).is_err());
        // The deepest that pass the guard are compiled and run on a stack of tokio's size.
        let deepest = move || {
            for shape in shapes {
                let count = MAX_NESTING / shape.matches(NESTING).count();
                let _ = search(&format!("{}a", shape.repeat(count)), r#"{"a":[1]}"#);
            }
        };
        std::thread::Builder::new().stack_size(2 << 20).spawn(deepest).unwrap().join().unwrap();
    }
}
