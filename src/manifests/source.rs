//! Source: a text with its lines, so that places in it can be shown.

use std::{fmt, sync::OnceLock};

use crate::yaml::Position;

pub struct Source {
    /// The file's path as given, or `stdin`.
    pub name: String,
    pub text: String,
    /// Where each line starts.
    lines: OnceLock<Vec<usize>>,
    /// Whether a character is a byte, so that nobody has to count in lines of megabytes.
    ascii: OnceLock<bool>,
}

impl Source {
    /// A byte order mark is no part of the text.
    pub fn new(name: String, mut text: String) -> Self {
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Self { name, text, lines: OnceLock::new(), ascii: OnceLock::new() }
    }

    /// A line counted from 1, without its line break.
    pub fn line(&self, number: u32) -> &str {
        let index = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
        let starts = self.lines.get_or_init(|| starts(&self.text));
        let Some(start) = starts.get(index) else { return "" };
        let end = starts.get(index + 1).copied().unwrap_or(self.text.len());
        let line = self.text.get(*start..end).unwrap_or_default();
        line.trim_end_matches(['\r', '\n'])
    }

    /// The byte at a position, if there is one.
    pub fn offset(&self, at: Position) -> Option<usize> {
        let index = usize::try_from(at.line).ok()?.checked_sub(1)?;
        let start = *self.lines.get_or_init(|| starts(&self.text)).get(index)?;
        Some(start + self.within_line(at))
    }

    /// The byte of its line at a position, or the end of the line.
    pub fn within_line(&self, at: Position) -> usize {
        let line = self.line(at.line);
        let column = usize::try_from(at.column).unwrap_or(usize::MAX).saturating_sub(1);
        match self.is_ascii() {
            true => column.min(line.len()),
            false => line.char_indices().nth(column).map_or(line.len(), |(before, _)| before),
        }
    }

    fn is_ascii(&self) -> bool {
        *self.ascii.get_or_init(|| self.text.is_ascii())
    }

    pub fn position(&self, offset: usize) -> Position {
        let starts = self.lines.get_or_init(|| starts(&self.text));
        let index = starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = starts.get(index).copied().unwrap_or_default();
        let before = match self.is_ascii() {
            true => offset.saturating_sub(start),
            false => self.text.get(start..offset).unwrap_or_default().chars().count(),
        };
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Position { line: number(index + 1), column: number(before + 1) }
    }
}

/// As YAML has lines: they end with a line feed, a carriage return, or both.
pub(super) fn starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (at, byte) in bytes.iter().enumerate() {
        let ends = match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        if ends {
            starts.push(at + 1);
        }
    }
    starts
}

/// Without the text: it may hold anything.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}
