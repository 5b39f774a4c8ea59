//! What goes to the terminal.

use std::io::{self, Write};

/// To standard error; there is nowhere left to tell that it is gone.
pub(crate) fn progress(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

pub(crate) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}
