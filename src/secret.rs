//! The one type that secret values, keys and tokens live in, from the byte they arrive to the byte
//! they leave: it does not print, does not serialise, does not clone, and is wiped when dropped.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroize;

/// A value that must not be seen.
///
/// ```compile_fail
/// println!("{}", provider::secret::Secret::new(String::new()));
/// ```
/// ```compile_fail
/// let _ = provider::secret::Secret::new(String::new()).clone();
/// ```
/// ```compile_fail
/// serde_json::to_string(&provider::secret::Secret::new(String::new()));
/// ```
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The only way to the value, so that a search for `expose` finds every use.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<Vec<u8>> {
    /// Gives the bytes away: to the response, which leaves this process.
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_value() {
        let shown = format!("{:?} {:#?}", Secret::new("hunter2".to_owned()), Secret::new(vec![7]));
        assert_eq!(shown, "[redacted] [redacted]");
    }
}
