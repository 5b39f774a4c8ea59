//! The header block of a request (HPACK, RFC 7541), gone through for its authority alone.
//!
//! Nothing is decoded and no table is kept: a literal says what it names, and what an index stands
//! for was rewritten when it was a literal. All changes are in place and keep every length.

/// Turns `/` and `%` of a literal `:authority` into dots; stops at the first malformed octet.
pub(super) fn rewrite_block(mut block: &mut [u8]) -> Option<()> {
    while let Some(first) = block.first() {
        let (prefix, literal) = match first {
            0b1000_0000.. => (7, false),
            0b0100_0000.. => (6, true),
            0b0010_0000.. => (5, false),
            _ => (4, true),
        };
        let (index, rest) = integer(prefix, block)?;
        block = rest;
        if !literal {
            continue;
        }
        let mut is_authority = index == AUTHORITY_INDEX;
        if index == 0 {
            let (name, rest) = string(block)?;
            is_authority = name.is_authority();
            block = rest;
        }
        let (value, rest) = string(block)?;
        if is_authority {
            value.rewrite();
        }
        block = rest;
    }
    Some(())
}

/// An integer with a prefix of so many bits (RFC 7541, 5.1); as h2, at most four octets follow it.
fn integer(prefix: u32, octets: &mut [u8]) -> Option<(usize, &mut [u8])> {
    let (first, mut rest) = octets.split_first_mut()?;
    let mask = (1 << prefix) - 1;
    let mut value = usize::from(*first) & mask;
    if value < mask {
        return Some((value, rest));
    }
    for shift in [0, 7, 14, 21] {
        let (next, after) = rest.split_first_mut()?;
        rest = after;
        value += usize::from(*next & 0x7f) << shift;
        if *next & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}

fn string(octets: &mut [u8]) -> Option<(Text<'_>, &mut [u8])> {
    let huffman = octets.first()? & 0x80 != 0;
    let (length, rest) = integer(7, octets)?;
    let (octets, rest) = rest.split_at_mut_checked(length)?;
    Some((Text { huffman, octets }, rest))
}

struct Text<'a> {
    huffman: bool,
    octets: &'a mut [u8],
}

impl Text<'_> {
    fn is_authority(&self) -> bool {
        let name: &[u8] = if self.huffman { AUTHORITY_IN_HUFFMAN } else { b":authority" };
        self.octets == name
    }

    fn rewrite(self) {
        if self.huffman {
            let changes = huffman_changes(self.octets).unwrap_or_default();
            changes.into_iter().for_each(|(bit, flip)| flip_bits(self.octets, bit, flip));
        } else {
            let unwanted = self.octets.iter_mut().filter(|octet| matches!(octet, b'/' | b'%'));
            unwanted.for_each(|octet| *octet = b'.');
        }
    }
}

/// Where the unwanted symbols lie, in bits, and what turns each into a dot. `None` if a symbol is
/// none that a path is written with, or if the text is cut.
fn huffman_changes(octets: &[u8]) -> Option<Vec<(usize, u16)>> {
    let end = octets.len() * 8;
    let mut changes = Vec::new();
    let mut bit = 0;
    loop {
        let window = window_at(octets, bit);
        if end - bit < 8 && window == u16::MAX {
            return Some(changes);
        }
        let (_, length) = CODE_LENGTHS.iter().find(|(limit, _)| window < *limit)?;
        if bit + length > end {
            return None;
        }
        let code = window >> (16 - length);
        if *length == DOT_LENGTH && (code == SLASH || code == PERCENT) {
            changes.push((bit, code ^ DOT));
        }
        bit += length;
    }
}

/// The sixteen bits from there on, with ones, which are the padding, after the end.
fn window_at(octets: &[u8], bit: usize) -> u16 {
    let at = |index: usize| octets.get(index).copied().unwrap_or(0xff);
    let [_, high, low, _] = {
        let first = bit / 8;
        let bits = u32::from_be_bytes([0, at(first), at(first + 1), at(first + 2)]);
        (bits << (bit % 8)).to_be_bytes()
    };
    u16::from_be_bytes([high, low])
}

fn flip_bits(octets: &mut [u8], bit: usize, flip: u16) {
    let flips = (flip << (16 - DOT_LENGTH - bit % 8)).to_be_bytes();
    for (octet, flip) in octets.iter_mut().skip(bit / 8).zip(flips) {
        *octet ^= flip;
    }
}

/// RFC 7541, appendix A.
const AUTHORITY_INDEX: usize = 1;
pub(super) const AUTHORITY_IN_HUFFMAN: &[u8] = &[0xb8, 0x3b, 0x53, 0x39, 0xec, 0x32, 0x7d, 0x7f];

/// RFC 7541, appendix B. The code is canonical: below each limit, left-aligned in sixteen bits, lie
/// the symbols of that length. Longer ones than these fifteen bits are all but one unprintable.
const CODE_LENGTHS: [(u16, usize); 10] = [
    (0x5000, 5),
    (0xb800, 6),
    (0xf800, 7),
    (0xfe00, 8),
    (0xff40, 10),
    (0xffa0, 11),
    (0xffc0, 12),
    (0xfff0, 13),
    (0xfff8, 14),
    (0xfffe, 15),
];
const DOT_LENGTH: usize = 6;
const DOT: u16 = 0b01_0111;
const SLASH: u16 = 0b01_1000;
const PERCENT: u16 = 0b01_0101;
