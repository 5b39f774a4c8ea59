//! Plain text of at most 90 columns; bold and colours where a terminal shows them.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use crate::Fault;

const WIDTH: usize = 90;
const INDENT: usize = 3;
/// Where the second column starts: `label    text`.
const LABEL: usize = 22;

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31;1";

pub(crate) struct Page {
    colours: bool,
}

impl Page {
    pub(crate) fn on_stdout() -> Self {
        Self { colours: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    pub(crate) fn line(&self, text: &str) -> Result<(), Fault> {
        Ok(writeln!(io::stdout().lock(), "{text}")?)
    }

    pub(crate) fn complain(&self, text: &str) {
        // There is nowhere left to tell that standard error is gone.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    pub(crate) fn heading(&self, text: &str) -> Result<(), Fault> {
        let rule = "-".repeat(WIDTH);
        self.line(&format!("\n{}\n{rule}", self.paint(BOLD, text)))
    }

    /// A paragraph, broken between words.
    pub(crate) fn say(&self, text: &str) -> Result<(), Fault> {
        self.block(INDENT, text)
    }

    pub(crate) fn block(&self, indent: usize, text: &str) -> Result<(), Fault> {
        let margin = " ".repeat(indent);
        wrapped(text, WIDTH - indent)
            .iter()
            .try_for_each(|row| self.line(&format!("{margin}{row}")))
    }

    pub(crate) fn field(&self, label: &str, text: &str) -> Result<(), Fault> {
        self.line(&format!("{:INDENT$}{label:LABEL$}{text}", ""))
    }

    pub(crate) fn gap(&self) -> Result<(), Fault> {
        self.line("")
    }

    pub(crate) fn check(&self, what: &str, held: bool) -> Result<(), Fault> {
        let (mark, colour) = if held { ("ok    ", GREEN) } else { ("FAILED", RED) };
        let rows = wrapped(what, WIDTH - INDENT - 7);
        for (number, row) in rows.iter().enumerate() {
            let mark = if number == 0 { self.paint(colour, mark) } else { " ".repeat(6) };
            self.line(&format!("{:INDENT$}{mark} {row}", ""))?;
        }
        Ok(())
    }

    pub(crate) fn verdict(&self, held: bool, took: Duration) -> Result<(), Fault> {
        let (text, colour) =
            if held { ("All of it held", GREEN) } else { ("Not all of it held", RED) };
        self.line(&format!("\n{}, in {:.1} s.", self.paint(colour, text), took.as_secs_f64()))
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split_whitespace() {
        match rows.last_mut() {
            Some(row) if row.is_empty() => row.push_str(word),
            Some(row) if row.len() + 1 + word.len() <= width => {
                row.push(' ');
                row.push_str(word);
            }
            _ => rows.push(word.to_owned()),
        }
    }
    rows
}
