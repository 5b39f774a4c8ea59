//! Files of an audit record: which are read, in which order, line by line.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
};

use crate::{
    audit::file::rotated,
    records::{Broken, Record, parse},
    text::shown,
};

/// More than the longest line takes.
const LONGEST_LINE: usize = 64 << 10;
const BUFFER: usize = 256 << 10;

/// Each file after those rotated from it; one that is named beside its FILE is read once.
pub(super) fn in_order(given: &[PathBuf]) -> Vec<PathBuf> {
    let older = |path: &PathBuf| {
        let numbered = (1..).map(|number| rotated(path, number));
        numbered.take_while(|path| path.exists()).collect::<Vec<_>>()
    };
    let of_another: HashSet<PathBuf> = given.iter().flat_map(older).collect();
    let mut order = Vec::new();
    for path in given.iter().filter(|path| !of_another.contains(*path)) {
        order.extend(older(path).into_iter().rev());
        order.push(path.clone());
    }
    order
}

/// Hands on every line that is not empty, with its file and number: of FILE and those rotated from it, or of
/// standard input where none or `-` is given. An error names the file that cannot be read.
pub(in crate::commands) fn lines(
    given: &[PathBuf],
    mut take: impl FnMut(&str, u64, Result<Record<'_>, Broken>),
) -> Result<(), String> {
    let stdin = [PathBuf::from("-")];
    let given = if given.is_empty() { &stdin } else { given };
    for path in in_order(given) {
        let is_stdin = path.as_os_str() == "-";
        let name = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
        let name = shown(&name).into_owned();
        let failed = |error: io::Error| format!("{name}: {}", error.kind());
        let mut each = |number, line: Result<&[u8], Broken>| match line {
            Ok(line) => {
                if let Some(record) = parse(line) {
                    take(&name, number, record);
                }
            }
            Err(broken) => take(&name, number, Err(broken)),
        };
        if is_stdin {
            split(BufReader::with_capacity(BUFFER, io::stdin().lock()), &mut each)
                .map_err(failed)?;
        } else {
            let file = File::open(&path).map_err(failed)?;
            split(BufReader::with_capacity(BUFFER, file), &mut each).map_err(failed)?;
        }
    }
    Ok(())
}

/// Of a line that is too long no more is kept than of any other.
fn split(
    mut input: impl BufRead,
    each: &mut impl FnMut(u64, Result<&[u8], Broken>),
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut number = 0;
    // The rest of a line that was reported already.
    let mut skipping = false;
    loop {
        let found = input.fill_buf()?;
        if found.is_empty() {
            break;
        }
        let (part, ends) = match found.iter().position(|byte| *byte == b'\n') {
            Some(end) => (found.get(..end).unwrap_or_default(), true),
            None => (found, false),
        };
        let used = part.len() + usize::from(ends);
        if !skipping && line.len() + part.len() > LONGEST_LINE {
            number += 1;
            each(number, Err(Broken::TooLong));
            line.clear();
            skipping = true;
        }
        if !skipping {
            line.extend_from_slice(part);
            if ends {
                number += 1;
                each(number, Ok(&line));
                line.clear();
            }
        }
        skipping = skipping && !ends;
        input.consume(used);
    }
    if !line.is_empty() {
        each(number + 1, Ok(&line));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &[u8], room: usize) -> Vec<(u64, Result<usize, Broken>)> {
        let mut found = Vec::new();
        let input = BufReader::with_capacity(room, text);
        split(input, &mut |number, line| found.push((number, line.map(<[u8]>::len)))).unwrap();
        found
    }

    #[test]
    fn lines_have_their_numbers_however_they_are_read() {
        for room in [1, 2, 3, 64] {
            assert_eq!(of(b"ab\n\nc", room), [(1, Ok(2)), (2, Ok(0)), (3, Ok(1))]);
            assert_eq!(of(b"", room), []);
            assert_eq!(of(b"\n", room), [(1, Ok(0))]);
        }
    }

    #[test]
    fn line_that_is_too_long_is_told_once_and_the_next_has_its_number() {
        let long = "x".repeat(LONGEST_LINE);
        for room in [7, 1 << 20] {
            let text = format!("a\n{long}\n{long}x\nb\n{long}{long}{long}");
            let expected = [
                (1, Ok(1)),
                (2, Ok(long.len())),
                (3, Err(Broken::TooLong)),
                (4, Ok(1)),
                (5, Err(Broken::TooLong)),
            ];
            assert_eq!(of(text.as_bytes(), room), expected);
        }
    }
}
