//! Key: what a chain is made with that nobody without it can make anew.

use std::path::Path;

use crate::secret::Secret;

/// The shortest key: as long as the hash.
pub const SHORTEST_KEY: usize = 32;

/// The bytes of a key file, without the newline that an editor adds.
pub fn read(path: &Path) -> Result<Secret<Vec<u8>>, String> {
    let bytes = std::fs::read(path).map(Secret::new);
    let bytes = bytes.map_err(|error| format!("cannot be read: {}", error.kind()))?;
    let key = Secret::new(bytes.expose().trim_ascii().to_vec());
    if key.expose().len() < SHORTEST_KEY {
        return Err(format!("holds a key of less than {SHORTEST_KEY} bytes"));
    }
    Ok(key)
}
