//! JMESPath's functions. Those that choose an element leave it as it is; those that compute a number
//! do so exactly, or fail.

use std::{cmp::Ordering, rc::Rc};

use jmespath::ast::Ast;

use super::{
    super::{
        json, number,
        value::{Fields, Shared, Value},
    },
    Fault, STEP, Search,
};
use crate::text::quoted;

/// Each with the fewest and the most arguments it takes.
const FUNCTIONS: [(&str, usize, usize); 26] = [
    ("abs", 1, 1),
    ("avg", 1, 1),
    ("ceil", 1, 1),
    ("contains", 2, 2),
    ("ends_with", 2, 2),
    ("floor", 1, 1),
    ("join", 2, 2),
    ("keys", 1, 1),
    ("length", 1, 1),
    ("map", 2, 2),
    ("max", 1, 1),
    ("max_by", 2, 2),
    ("merge", 1, usize::MAX),
    ("min", 1, 1),
    ("min_by", 2, 2),
    ("not_null", 1, usize::MAX),
    ("reverse", 1, 1),
    ("sort", 1, 1),
    ("sort_by", 2, 2),
    ("starts_with", 2, 2),
    ("sum", 1, 1),
    ("to_array", 1, 1),
    ("to_number", 1, 1),
    ("to_string", 1, 1),
    ("type", 1, 1),
    ("values", 1, 1),
];

/// What is wrong with a call before any document is there.
pub(in crate::document) fn check(name: &str, args: &[Ast]) -> Result<(), String> {
    let known = FUNCTIONS.iter().find(|(known, ..)| *known == name);
    let Some((_, least, most)) = known else {
        let lower = name.to_ascii_lowercase();
        let meant = FUNCTIONS.iter().find(|(known, ..)| *known == lower);
        let help = meant.map(|(known, ..)| format!("; write {known}")).unwrap_or_default();
        return Err(format!(
            "calls {}, a function that JMESPath does not have{help}",
            quoted(name)
        ));
    };
    if args.len() < *least || args.len() > *most {
        let number = if least == most { "" } else { "at least " };
        return Err(format!(
            "calls {name}() with {} arguments; it takes {number}{least}",
            args.len()
        ));
    }
    let expression = match name {
        "map" => Some(0),
        "max_by" | "min_by" | "sort_by" => Some(1),
        _ => None,
    };
    for (index, arg) in args.iter().enumerate() {
        let is = matches!(arg, Ast::Expref { .. });
        if is != (Some(index) == expression) {
            let not = if is { "no" } else { "an" };
            let number = index + 1;
            return Err(format!(
                "calls {name}() with a wrong argument {number}: it takes {not} &expression there"
            ));
        }
    }
    Ok(())
}

pub(super) fn call(
    search: &mut Search<'_>,
    name: &str,
    args: &[Ast],
    current: &Shared,
) -> Result<Shared, Fault> {
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        if !matches!(arg, Ast::Expref { .. }) {
            values.push(search.eval(arg, current)?);
        }
    }
    let expression = args.iter().find_map(|arg| match arg {
        Ast::Expref { ast, .. } => Some(&**ast),
        _ => None,
    });
    let call = Call { name, expression };
    match (name, &*values) {
        ("merge", _) => call.merge(search, &values),
        ("not_null", _) => {
            Ok(values.into_iter().find(|v| !v.is_null()).unwrap_or_else(|| search.null()))
        }
        (_, [value]) => call.one(search, value),
        (_, [left, right]) => call.two(search, left, right),
        _ => Err(call.wants("other arguments")),
    }
}

struct Call<'a> {
    name: &'a str,
    expression: Option<&'a Ast>,
}

impl Call<'_> {
    fn wants(&self, what: &'static str) -> Fault {
        Fault::Argument(self.name.to_owned(), what)
    }

    fn one(&self, search: &mut Search<'_>, value: &Shared) -> Result<Shared, Fault> {
        let inexact = || Fault::Inexact(self.name.to_owned());
        let number = |text: Option<String>| text.map(|text| Value::Number(text.into()).into());
        match (self.name, &**value) {
            ("abs", Value::Number(text)) => Ok(Value::Number(number::abs(text).into()).into()),
            ("ceil" | "floor", Value::Number(text)) => {
                search.spend(text.len())?;
                number(number::round(text, self.name == "ceil")).ok_or_else(inexact)
            }
            ("abs" | "ceil" | "floor", _) => Err(self.wants("a number")),
            ("sum" | "avg", Value::List(items)) => {
                let mut texts = Vec::with_capacity(items.len());
                for item in items {
                    let Value::Number(text) = &**item else {
                        return Err(self.wants("a list of numbers"));
                    };
                    search.spend(text.len())?;
                    texts.push(&**text);
                }
                match self.name {
                    "sum" => number(number::sum(texts.into_iter())).ok_or_else(inexact),
                    _ if items.is_empty() => Ok(search.null()),
                    _ => number(number::average(texts.into_iter())).ok_or_else(inexact),
                }
            }
            ("sum" | "avg", _) => Err(self.wants("a list of numbers")),
            ("keys", Value::Map(fields)) => {
                let mut keys = Vec::with_capacity(fields.len());
                for key in fields.keys() {
                    search.spend(key.len())?;
                    keys.push(Value::Text(key.clone()).into());
                }
                Ok(Value::List(keys).into())
            }
            ("values", Value::Map(fields)) => {
                search.spend_each(fields.len())?;
                Ok(Value::List(fields.values().cloned().collect()).into())
            }
            ("keys" | "values", _) => Err(self.wants("an object")),
            ("length", value) => {
                let length = match value {
                    Value::Text(text) => {
                        search.spend(text.len())?;
                        text.chars().count()
                    }
                    Value::List(items) => items.len(),
                    Value::Map(fields) => fields.len(),
                    _ => return Err(self.wants("a string, an array or an object")),
                };
                Ok(Value::Number(length.to_string().into()).into())
            }
            ("map", Value::List(items)) => {
                let each = self.each(search, items)?;
                Ok(Value::List(each).into())
            }
            ("map", _) => Err(self.wants("an array")),
            ("max" | "min" | "sort", Value::List(items)) => self.ordered(search, items, items),
            ("max_by" | "min_by" | "sort_by", Value::List(items)) => {
                let keys = self.each(search, items)?;
                self.ordered(search, items, &keys)
            }
            ("max" | "min" | "sort" | "max_by" | "min_by" | "sort_by", _) => {
                Err(self.wants("an array"))
            }
            ("reverse", Value::List(items)) => {
                search.spend_each(items.len())?;
                Ok(Value::List(items.iter().rev().cloned().collect()).into())
            }
            ("reverse", Value::Text(text)) => {
                search.spend(text.len())?;
                Ok(Value::Text(text.chars().rev().collect::<String>().into()).into())
            }
            ("reverse", _) => Err(self.wants("an array or a string")),
            ("to_array", Value::List(_)) | ("to_number", Value::Number(_)) => Ok(Rc::clone(value)),
            ("to_array", _) => Ok(Value::List(vec![Rc::clone(value)]).into()),
            ("to_number", Value::Text(text)) if number::is_number(text.trim()) => {
                search.spend(text.len())?;
                Ok(Value::Number(text.trim().into()).into())
            }
            ("to_number", _) => Ok(search.null()),
            ("to_string", _) => self.to_string(search, value),
            ("type", value) => Ok(Value::Text(value.kind().into()).into()),
            _ => Err(self.wants("other arguments")),
        }
    }

    fn two(&self, search: &mut Search<'_>, left: &Shared, right: &Shared) -> Result<Shared, Fault> {
        let found = match (self.name, &**left, &**right) {
            ("contains", Value::List(items), right) => {
                let mut found = false;
                for item in items {
                    if search.same(item, right)? {
                        found = true;
                        break;
                    }
                }
                found
            }
            ("contains", Value::Text(_), Value::Text(_))
            | ("starts_with" | "ends_with", Value::Text(_), Value::Text(_)) => {
                let (Value::Text(left), Value::Text(right)) = (&**left, &**right) else {
                    return Err(self.wants("strings"));
                };
                search.spend(left.len() + right.len())?;
                match self.name {
                    "contains" => left.contains(&**right),
                    "starts_with" => left.starts_with(&**right),
                    _ => left.ends_with(&**right),
                }
            }
            ("contains", Value::Text(_), _) => false,
            ("contains", ..) => return Err(self.wants("an array or a string")),
            ("join", Value::Text(glue), Value::List(items)) => {
                return self.join(search, glue, items);
            }
            ("join", ..) => return Err(self.wants("a string and a list of strings")),
            _ => return Err(self.wants("two strings")),
        };
        Ok(Value::bool(found).into())
    }

    fn join(&self, search: &mut Search<'_>, glue: &str, items: &[Shared]) -> Result<Shared, Fault> {
        let mut joined = String::new();
        for (index, item) in items.iter().enumerate() {
            let Value::Text(text) = &**item else {
                return Err(self.wants("a string and a list of strings"));
            };
            if index > 0 {
                search.spend(glue.len())?;
                joined.push_str(glue);
            }
            search.spend(text.len())?;
            joined.push_str(text);
        }
        Ok(Value::Text(joined.into()).into())
    }

    fn to_string(&self, search: &mut Search<'_>, value: &Shared) -> Result<Shared, Fault> {
        let text = match &**value {
            Value::Text(_) => return Ok(Rc::clone(value)),
            value => json::write(value, search.left()).ok_or(Fault::Costly)?,
        };
        search.spend(text.len())?;
        Ok(Value::Text(text.into()).into())
    }

    fn merge(&self, search: &mut Search<'_>, values: &[Shared]) -> Result<Shared, Fault> {
        let mut merged = Fields::new();
        for value in values {
            let Value::Map(fields) = &**value else { return Err(self.wants("objects")) };
            for (key, value) in fields {
                search.spend(key.len())?;
                merged.insert(key.clone(), Rc::clone(value));
            }
        }
        Ok(Value::Map(merged).into())
    }

    /// The expression's result for each item.
    fn each(&self, search: &mut Search<'_>, items: &[Shared]) -> Result<Vec<Shared>, Fault> {
        let expression = self.expression.ok_or_else(|| self.wants("an &expression"))?;
        items.iter().map(|item| search.eval(expression, item)).collect()
    }

    /// The items in the order of their keys, or the first or last of them. Of equals the first comes
    /// first.
    fn ordered(
        &self,
        search: &mut Search<'_>,
        items: &[Shared],
        keys: &[Shared],
    ) -> Result<Shared, Fault> {
        let wants = || self.wants("a list of strings or a list of numbers");
        let all_numbers = keys.iter().all(|key| matches!(&**key, Value::Number(_)));
        let mut pairs = Vec::with_capacity(items.len());
        let mut longest = 0;
        for (item, key) in items.iter().zip(keys) {
            let text = match &**key {
                Value::Number(text) if all_numbers => text,
                Value::Text(text) if !all_numbers => text,
                _ => return Err(wants()),
            };
            search.spend_each(1)?;
            longest = longest.max(text.len());
            pairs.push((&**text, item));
        }
        // No order compares more often, and no comparison goes through more.
        let rounds = usize::try_from(pairs.len().checked_ilog2().unwrap_or(0)).unwrap_or(0) + 1;
        search.spend(pairs.len().saturating_mul(rounds).saturating_mul(longest / 8 + STEP))?;
        let order = |a: &(&str, &Shared), b: &(&str, &Shared)| {
            if all_numbers {
                number::compare(a.0, b.0).unwrap_or(Ordering::Equal)
            } else {
                a.0.cmp(b.0)
            }
        };
        if all_numbers && pairs.iter().any(|(text, _)| number::compare(text, text).is_none()) {
            return Err(Fault::Inexact(self.name.to_owned()));
        }
        match self.name {
            "sort" | "sort_by" => {
                pairs.sort_by(order);
                Ok(Value::List(pairs.into_iter().map(|(_, item)| Rc::clone(item)).collect()).into())
            }
            "min" | "min_by" => Ok(pairs
                .iter()
                .min_by(|a, b| order(a, b))
                .map_or_else(|| search.null(), |(_, item)| Rc::clone(item))),
            _ => Ok(pairs
                .iter()
                .rev()
                .max_by(|a, b| order(a, b))
                .map_or_else(|| search.null(), |(_, item)| Rc::clone(item))),
        }
    }
}
