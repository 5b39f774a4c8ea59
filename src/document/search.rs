//! Search: evaluates a JMESPath expression over a document within a budget. The library parses; its
//! own evaluation is not used, since it turns numbers into doubles, takes ids for equal that differ
//! in the sixteenth digit, and has no bound.

use std::{cmp::Ordering, collections::BTreeMap, fmt, rc::Rc, time::Instant};

use jmespath::{
    Variable,
    ast::{Ast, Comparator},
};

pub(super) mod functions;

use super::{
    json, number,
    value::{Fields, Shared, Value},
};

/// What one search may make and go through, in bytes. The largest secret has 30 KiB.
pub(super) const BUDGET: usize = 4 << 20;
/// What a step costs beside the bytes that it makes.
pub(super) const STEP: usize = 16;
/// What a step costs that makes a value: about its memory.
const VALUE: usize = 96;
/// The clock is read after so much was spent.
const BETWEEN_LOOKS: usize = 64 << 10;

/// Why there is no result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Costly,
    Late,
    /// A function of that name got something else.
    Argument(String, &'static str),
    Inexact(String),
    ZeroStep,
    Reference,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Costly => f.write_str("could make far more of this secret than it holds"),
            Self::Late => f.write_str("takes too long"),
            Self::Argument(name, wants) => {
                write!(f, "cannot be applied to this secret: {name}() takes {wants}")
            }
            Self::Inexact(name) => {
                write!(f, "yields a number that {name}() cannot compute exactly")
            }
            Self::ZeroStep => f.write_str("has a slice with step 0"),
            Self::Reference => f.write_str("yields an expression (&), not a value"),
        }
    }
}

pub(super) struct Search<'a> {
    text: &'a str,
    left: usize,
    look: usize,
    end: Instant,
    /// By their places in the text.
    literals: BTreeMap<usize, Shared>,
    null: Shared,
}

impl<'a> Search<'a> {
    pub(super) fn new(text: &'a str, end: Instant) -> Self {
        let look = BUDGET - BETWEEN_LOOKS;
        let null = Value::Null.into();
        Self { text, left: BUDGET, look, end, literals: BTreeMap::new(), null }
    }

    pub(super) fn null(&self) -> Shared {
        Rc::clone(&self.null)
    }

    /// What is left of the budget, in bytes.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(bytes.saturating_add(STEP)).ok_or(Fault::Costly)?;
        if self.left < self.look {
            self.look = self.left.saturating_sub(BETWEEN_LOOKS);
            if Instant::now() > self.end {
                return Err(Fault::Late);
            }
        }
        Ok(())
    }

    /// For a list of so many values.
    pub(super) fn spend_each(&mut self, values: usize) -> Result<(), Fault> {
        self.spend(values.saturating_mul(STEP))
    }

    pub(super) fn eval(&mut self, ast: &Ast, current: &Shared) -> Result<Shared, Fault> {
        self.spend(match ast {
            Ast::Identity { .. }
            | Ast::Field { .. }
            | Ast::Index { .. }
            | Ast::Subexpr { .. }
            | Ast::Literal { .. }
            | Ast::Or { .. }
            | Ast::And { .. }
            | Ast::Condition { .. } => 0,
            _ => VALUE,
        })?;
        match ast {
            Ast::Identity { .. } => Ok(Rc::clone(current)),
            Ast::Field { name, .. } => Ok(match &**current {
                Value::Map(fields) => fields.get(name.as_str()).unwrap_or(&self.null).clone(),
                _ => self.null(),
            }),
            Ast::Index { idx, .. } => Ok(index(current, *idx).unwrap_or(&self.null).clone()),
            Ast::Slice { start, stop, step, .. } => self.slice(current, *start, *stop, *step),
            Ast::Subexpr { lhs, rhs, .. } => {
                let left = self.eval(lhs, current)?;
                self.eval(rhs, &left)
            }
            Ast::Literal { offset, value } => self.literal(*offset, value),
            Ast::Or { lhs, rhs, .. } => match self.eval(lhs, current)? {
                left if left.is_truthy() => Ok(left),
                _ => self.eval(rhs, current),
            },
            Ast::And { lhs, rhs, .. } => match self.eval(lhs, current)? {
                left if left.is_truthy() => self.eval(rhs, current),
                left => Ok(left),
            },
            Ast::Not { node, .. } => {
                let value = self.eval(node, current)?;
                Ok(Value::bool(!value.is_truthy()).into())
            }
            Ast::Condition { predicate, then, .. } => {
                if self.eval(predicate, current)?.is_truthy() {
                    self.eval(then, current)
                } else {
                    Ok(self.null())
                }
            }
            Ast::Comparison { comparator, lhs, rhs, .. } => {
                let (left, right) = (self.eval(lhs, current)?, self.eval(rhs, current)?);
                Ok(self
                    .compare(comparator, &left, &right)?
                    .map_or_else(|| self.null(), |yes| Value::bool(yes).into()))
            }
            Ast::ObjectValues { node, .. } => {
                let node = self.eval(node, current)?;
                let Value::Map(fields) = &*node else { return Ok(self.null()) };
                self.spend_each(fields.len())?;
                Ok(Value::List(fields.values().cloned().collect()).into())
            }
            Ast::Projection { lhs, rhs, .. } => {
                let left = self.eval(lhs, current)?;
                let Value::List(items) = &*left else { return Ok(self.null()) };
                let mut found = Vec::new();
                for item in items {
                    let value = self.eval(rhs, item)?;
                    if !value.is_null() {
                        found.push(value);
                    }
                }
                Ok(Value::List(found).into())
            }
            Ast::Flatten { node, .. } => {
                let node = self.eval(node, current)?;
                let Value::List(items) = &*node else { return Ok(self.null()) };
                let mut found = Vec::new();
                for item in items {
                    match &**item {
                        Value::List(inner) => {
                            self.spend_each(inner.len())?;
                            found.extend(inner.iter().cloned());
                        }
                        _ => {
                            self.spend_each(1)?;
                            found.push(Rc::clone(item));
                        }
                    }
                }
                Ok(Value::List(found).into())
            }
            Ast::MultiList { elements, .. } => {
                if current.is_null() {
                    return Ok(self.null());
                }
                let items = elements.iter().map(|element| self.eval(element, current));
                Ok(Value::List(items.collect::<Result<_, _>>()?).into())
            }
            Ast::MultiHash { elements, .. } => {
                if current.is_null() {
                    return Ok(self.null());
                }
                let mut fields = Fields::new();
                for pair in elements {
                    self.spend(VALUE + pair.key.len())?;
                    let value = self.eval(&pair.value, current)?;
                    fields.insert(pair.key.as_str().into(), value);
                }
                Ok(Value::Map(fields).into())
            }
            Ast::Function { name, args, .. } => functions::call(self, name, args, current),
            Ast::Expref { .. } => Err(Fault::Reference),
        }
    }

    fn slice(
        &mut self,
        current: &Shared,
        start: Option<i32>,
        stop: Option<i32>,
        step: i32,
    ) -> Result<Shared, Fault> {
        if step == 0 {
            return Err(Fault::ZeroStep);
        }
        let Value::List(items) = &**current else { return Ok(self.null()) };
        let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let (least, most) = if step < 0 { (-1, length - 1) } else { (0, length) };
        let end = |at: Option<i32>, default| match at.map(i64::from) {
            None => default,
            Some(at) if at < 0 => at.saturating_add(length).max(least),
            Some(at) => at.min(most),
        };
        let (first, last) = if step < 0 { (most, least) } else { (least, most) };
        let (mut at, stop) = (end(start, first), end(stop, last));
        let mut found = Vec::new();
        while if step < 0 { at > stop } else { at < stop } {
            self.spend_each(1)?;
            found.extend(usize::try_from(at).ok().and_then(|at| items.get(at)).cloned());
            at += i64::from(step);
        }
        Ok(Value::List(found).into())
    }

    fn literal(&mut self, offset: usize, value: &Variable) -> Result<Shared, Fault> {
        if let Some(known) = self.literals.get(&offset) {
            return Ok(Rc::clone(known));
        }
        let value: Shared = literal(self.text, offset, value).ok_or(Fault::Costly)?.into();
        self.spend(self.text.len())?;
        self.literals.insert(offset, Rc::clone(&value));
        Ok(value)
    }

    fn compare(
        &mut self,
        comparator: &Comparator,
        left: &Value,
        right: &Value,
    ) -> Result<Option<bool>, Fault> {
        match comparator {
            Comparator::Equal => return self.same(left, right).map(Some),
            Comparator::NotEqual => return self.same(left, right).map(|same| Some(!same)),
            _ => {}
        }
        let (Value::Number(left), Value::Number(right)) = (left, right) else { return Ok(None) };
        self.spend(left.len() + right.len())?;
        Ok(number::compare(left, right).map(|order| match comparator {
            Comparator::LessThan => order == Ordering::Less,
            Comparator::LessThanEqual => order != Ordering::Greater,
            Comparator::GreaterThan => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }))
    }

    pub(super) fn same(&mut self, left: &Value, right: &Value) -> Result<bool, Fault> {
        self.spend(0)?;
        match (left, right) {
            (Value::Null, Value::Null) => Ok(true),
            (Value::Bool(left, _), Value::Bool(right, _)) => Ok(left == right),
            (Value::Number(left), Value::Number(right)) => {
                self.spend(left.len() + right.len())?;
                Ok(number::compare(left, right) == Some(Ordering::Equal))
            }
            (Value::Text(left), Value::Text(right)) => {
                self.spend(left.len().min(right.len()))?;
                Ok(left == right)
            }
            (Value::List(left), Value::List(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (left, right) in left.iter().zip(right) {
                    if !self.same(left, right)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Map(left), Value::Map(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (key, value) in left {
                    match right.get(key) {
                        Some(other) if self.same(value, other)? => {}
                        _ => return Ok(false),
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

fn index(current: &Value, index: i32) -> Option<&Shared> {
    let Value::List(items) = current else { return None };
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { items.get(items.len().checked_sub(distance)?) } else { items.get(distance) }
}

/// A literal's value, with its numbers as the expression writes them: the library has them as doubles.
pub(super) fn literal(text: &str, offset: usize, parsed: &Variable) -> Option<Value> {
    if let Variable::String(string) = parsed {
        return Some(Value::Text(string.as_str().into()));
    }
    let mut escaped = false;
    let inside: String = text
        .get(offset..)?
        .strip_prefix('`')?
        .chars()
        .take_while(|c| {
            let end = *c == '`' && !escaped;
            escaped = *c == '\\' && !escaped;
            !end
        })
        .collect();
    json::parse(&inside.replace("\\`", "`")).ok()
}

#[cfg(test)]
mod tests;
