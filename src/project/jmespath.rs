//! JMESPath over a secret's document, behind two guards: the library recurses without limit and
//! builds results without limit, so a kilobyte written by a pod author could end the process by its
//! depth, or by doubling its input again and again.

use std::{fmt, io};

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
/// Of `{}` and `[]`.
const LEAST_BYTES: usize = 2;

pub struct Expression {
    compiled: jmespath::Expression<'static>,
    growth: Growth,
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
        if growth.of(LEAST_BYTES) > MAX_BUILT_BYTES {
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
        if self.growth.of(document.bytes) > MAX_BUILT_BYTES {
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
    /// As JSON, which YAML can be a shorter way to write.
    bytes: usize,
}

impl Document {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not text")?;
        let json = || serde_json::from_str::<Value>(text).ok();
        let value = json().or_else(|| crate::yaml::parse(text).ok());
        match value {
            Some(value @ (Value::Object(_) | Value::Array(_))) => {
                let bytes = json_bytes(&value)?;
                let root = Variable::try_from(value);
                root.map(|root| Self { root, bytes }).map_err(|_| "is not a JSON or YAML document")
            }
            // A password is YAML too, but nothing can be found in it.
            Some(_) | None => Err("is not a JSON or YAML document"),
        }
    }
}

fn json_bytes(value: &Value) -> Result<usize, &'static str> {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, value).map_err(|_| "holds what JSON cannot hold")?;
    Ok(counter.0)
}

/// How long the JSON of any step can be: so many times the input's length, and so many bytes more.
#[derive(Clone, Copy)]
struct Growth {
    times: usize,
    more: usize,
}

impl Growth {
    const SAME: Self = Self { times: 1, more: 0 };
    /// A part of the input, or null, which a number of one digit does not hold.
    const PART: Self = Self { times: 1, more: 3 };
    /// A number, a boolean, a type's name: whatever is computed and not copied.
    const SCALAR: Self = Self { times: 0, more: 25 };
    const ENDLESS: Self = Self { times: usize::MAX, more: 0 };

    fn of(self, bytes: usize) -> usize {
        self.times.saturating_mul(bytes).saturating_add(self.more)
    }

    fn and(self, other: Self) -> Self {
        let times = self.times.saturating_add(other.times);
        Self { times, more: self.more.saturating_add(other.more) }
    }

    fn or(self, other: Self) -> Self {
        Self { times: self.times.max(other.times), more: self.more.max(other.more) }
    }

    fn times(self, factor: usize) -> Self {
        let times = self.times.saturating_mul(factor);
        Self { times, more: self.more.saturating_mul(factor) }
    }

    fn more(self, bytes: usize) -> Self {
        Self { more: self.more.saturating_add(bytes), ..self }
    }

    /// Of what `self` made.
    fn then(self, next: Self) -> Self {
        self.times(next.times).more(next.more)
    }

    /// Of each element that `self` made, which are half as many as its bytes at the most.
    fn each(self, next: Self) -> Self {
        self.times(next.times.max(1).saturating_add(next.more.div_ceil(2)))
    }
}

fn growth(ast: &Ast) -> Growth {
    let all =
        |list: &[Ast]| list.iter().map(growth).fold(Growth { times: 0, more: 0 }, Growth::and);
    match ast {
        Ast::Identity { .. } => Growth::SAME,
        Ast::Field { .. } | Ast::Index { .. } | Ast::Slice { .. } => Growth::PART,
        Ast::Literal { value, .. } => Growth { times: 0, more: value.to_string().len() },
        Ast::Comparison { lhs, rhs, .. } => Growth::SCALAR.or(growth(lhs)).or(growth(rhs)),
        Ast::Not { node, .. } => Growth::SCALAR.or(growth(node)),
        Ast::Expref { ast, .. } => growth(ast),
        // Of what is no list or object, null.
        Ast::Flatten { node, .. } | Ast::ObjectValues { node, .. } => {
            growth(node).then(Growth::PART)
        }
        Ast::And { lhs, rhs, .. } | Ast::Or { lhs, rhs, .. } => growth(lhs).or(growth(rhs)),
        Ast::Condition { predicate, then, .. } => {
            growth(predicate).or(growth(then)).or(Growth::PART)
        }
        Ast::Subexpr { lhs, rhs, .. } => {
            let left = growth(lhs);
            left.then(growth(rhs)).or(left)
        }
        Ast::Projection { lhs, rhs, .. } => growth(lhs).each(growth(rhs)).or(Growth::PART),
        Ast::MultiList { elements, .. } => {
            all(elements).more(elements.len().saturating_add(1)).or(Growth::PART)
        }
        Ast::MultiHash { elements, .. } => {
            let pair = |pair: &KeyValuePair| {
                growth(&pair.value).more(escaped(&pair.key).saturating_add(2))
            };
            let pairs = elements.iter().map(pair).fold(Growth { times: 0, more: 1 }, Growth::and);
            pairs.or(Growth::PART)
        }
        Ast::Function { name, args, .. } => match (name.as_str(), args.as_slice()) {
            ("map", [each, list]) | ("sort_by" | "max_by" | "min_by", [list, each]) => {
                growth(list).each(growth(each))
            }
            // The glue comes between all elements.
            ("join", [Ast::Literal { value, .. }, list]) => {
                growth(list).times(value.to_string().len().saturating_add(1))
            }
            ("join", _) => Growth::ENDLESS,
            // Escaping turns a control character into six.
            ("to_string", list) => all(list).times(6).more(2),
            (_, list) => Growth::SCALAR.and(all(list)),
        },
    }
}

/// With its quotes.
fn escaped(key: &str) -> usize {
    key.chars().map(|c| if c.is_control() { 6 } else { 2.max(c.len_utf8()) }).sum::<usize>() + 2
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
        // What surrounds a few bytes counts more than they do, and YAML may be shorter than what is made.
        for (path, document) in [
            (doubled("@", ".[@,@]", 21), "{}"),
            (doubled("@", ".[@,@]", 20), "[a]"),
            (doubled("@", ".[a,@]", 20) + &".[@,@]".repeat(20), "{}"),
            (doubled("l", "|[*].[@,@,@,@,@,@,@,@]", 6), "l: [1]"),
            (doubled("l", "|[*].{\"\\u0001\":@,b:@,c:@,d:@}", 6), "l: [1,1,1]"),
        ] {
            if let Ok(found) = search(&path, document) {
                assert!(found.len() <= MAX_BUILT_BYTES, "{path}: {}", found.len());
            }
        }
        // What is honest may be asked of the largest secret.
        let large =
            format!(r#"{{"users":[{}]}}"#, vec![r#"{"name":"n","key":"k"}"#; 1300].join(","));
        for path in [
            "users[*].name",
            "users[?name=='n'].key | [0]",
            "users[*].{user: name, password: key}",
            "join(',', users[*].key)",
            "{first: users[0].name, count: length(users), all: to_string(users)}",
        ] {
            search(path, &large).unwrap();
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
