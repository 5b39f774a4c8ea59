//! Standard output, line by line.

use std::io::Write as _;

/// A closed pipe must not end the emulator, as `println!` would.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
