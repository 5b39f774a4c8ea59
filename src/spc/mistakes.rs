//! Mistakes of one request: the first are kept for their words, all are counted, so that a request
//! of a megabyte that is wrong throughout costs no more than one with a single mistake.

use crate::error::{Error, Errors, Reason};

/// A message has room for fewer (error.rs).
const MAX_KEPT: usize = 20;

#[derive(Debug, Default)]
pub struct Mistakes {
    kept: Vec<Error>,
    more: usize,
}

impl Mistakes {
    /// The error is made only if there is room for it.
    pub fn push(&mut self, error: impl FnOnce() -> Error) {
        if self.kept.len() < MAX_KEPT {
            self.kept.push(error());
        } else {
            self.more += 1;
        }
    }

    /// Mistakes that nobody needs the words of.
    pub fn count(&mut self, more: usize) {
        self.more += more;
    }

    pub fn keep<T>(&mut self, parsed: Result<T, Error>) -> Option<T> {
        parsed.map_err(|error| self.push(|| error)).ok()
    }

    pub fn append(&mut self, errors: Errors) {
        self.more += errors.more();
        errors.into_iter().for_each(|error| self.push(|| error));
    }

    pub fn len(&self) -> usize {
        self.kept.len() + self.more
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was parsed, unless there are mistakes.
    pub fn none_and<T>(self, parsed: impl FnOnce() -> Option<T>) -> Result<T, Errors> {
        match self.into_errors() {
            Some(errors) => Err(errors),
            None => parsed()
                .ok_or_else(|| Error::new(Reason::Fault, "the request was not parsed").into()),
        }
    }

    /// `None` where there are none.
    pub fn into_errors(self) -> Option<Errors> {
        Errors::of(self.kept).map(|errors| errors.and_more(self.more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_beyond_twenty_are_counted_and_not_made() {
        let mut mistakes = Mistakes::default();
        assert!(mistakes.is_empty());
        let mut made = 0;
        for n in 0..150_000 {
            mistakes.push(|| {
                made += 1;
                Error::new(Reason::InvalidValue, "is wrong").subject(format!("object {n}"))
            });
        }
        assert_eq!((made, mistakes.len()), (MAX_KEPT, 150_000));
        let mut all = Mistakes::default();
        all.push(|| Error::new(Reason::InvalidRegion, "is wrong").subject("parameter region"));
        all.append(mistakes.into_errors().unwrap());
        all.count(9);
        assert_eq!(all.len(), 150_010);
        let errors = all.into_errors().unwrap();
        assert_eq!((errors.iter().count(), errors.more()), (MAX_KEPT, 149_990));
        let message = errors.message();
        assert!(message.starts_with("150010 mistakes; the first 20: "), "{message}");
    }

    #[test]
    fn no_mistakes_make_no_errors() {
        assert_eq!(Mistakes::default().into_errors(), None);
    }
}
