//! Records that somebody worked on. What begins with a brace stands in place of a record; anything else says,
//! in fours after the first octet, which lines of a real one, of two processes, are removed, repeated, moved,
//! or changed in one octet. What is left counts as whole only if it is the record, or its beginning.

#![no_main]

use libfuzzer_sys::fuzz_target;
use provider::commands::audit::check;

const RECORD: &str = include_str!("../corpus/audit/seed-record");
const LONGEST: usize = 64 << 10;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    if *first == b'{' {
        let (_, said) = check("record", data).expect("memory can be read");
        assert!(said.len() < LONGEST, "{} bytes are said", said.len());
        return;
    }
    let mut lines: Vec<Vec<u8>> =
        RECORD.split_inclusive('\n').map(|line| line.as_bytes().to_vec()).collect();
    for step in rest.chunks_exact(4) {
        let (at, other) = (usize::from(step[1]) % lines.len(), usize::from(step[2]));
        let to = other % lines.len();
        match step[0] % 4 {
            0 if lines.len() > 1 => drop(lines.remove(at)),
            1 if lines.len() < 64 => lines.insert(to, lines[at].clone()),
            2 => lines.swap(at, to),
            3 => {
                let place = other * 8 % lines[at].len();
                lines[at][place] ^= step[3];
            }
            _ => {}
        }
    }
    let text = lines.concat();
    let (whole, said) = check("record", &*text).expect("memory can be read");
    let is_beginning = RECORD.as_bytes().starts_with(&text) && text.ends_with(b"\n");
    assert_eq!(whole, is_beginning, "{said}");
});
