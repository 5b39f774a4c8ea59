use std::collections::VecDeque;

use tokio::io::AsyncReadExt;

use super::{hpack::AUTHORITY_IN_HUFFMAN, *};

const PATH: &str = "/var/run/secrets-store-csi-providers/alibabacloud.sock";
const DOTTED: &str = ".var.run.secrets-store-csi-providers.alibabacloud.sock";
const ESCAPED: &str = "%2Fvar%2Frun%2Fsecrets-store-csi-providers%2Falibabacloud.sock";
const DOTTED_ESCAPED: &str = ".2Fvar.2Frun.2Fsecrets-store-csi-providers.2Falibabacloud.sock";

const END_HEADERS: u8 = 0x04;
const DATA: u8 = 0;

#[test]
fn raw_and_huffman_become_dots_in_every_literal_form() {
    for (sent, read) in
        [(PATH, DOTTED), (ESCAPED, DOTTED_ESCAPED), ("localhost", "localhost"), ("", "")]
    {
        for text in [raw, huffman] {
            for first in [0x41, 0x01, 0x11] {
                let stream = |value| request(&[vec![first], text(value)].concat());
                assert_eq!(fixed(&stream(sent)), stream(read), "{first:#x} {sent}");
            }
            for name in [raw(":authority"), huffman(":authority")] {
                let stream = |value| request(&[vec![0x40], name.clone(), text(value)].concat());
                assert_eq!(fixed(&stream(sent)), stream(read), "spelled out, {sent}");
            }
        }
    }
}

#[test]
fn the_known_huffman_code_of_the_name_is_right() {
    assert_eq!(huffman(":authority"), [&[0x88], AUTHORITY_IN_HUFFMAN].concat());
}

#[test]
fn every_split_reads_the_same() {
    let sent = conversation(&huffman(PATH));
    let expected = conversation(&huffman(DOTTED));
    for at in 0..=sent.len() {
        let (head, tail) = sent.split_at(at);
        assert_eq!(fixed_in_pieces(&[head, tail], 4096), expected, "split at {at}");
        for second in [1, 7, 60] {
            let (middle, tail) = tail.split_at(second.min(tail.len()));
            assert_eq!(fixed_in_pieces(&[head, middle, tail], 4096), expected, "{at}+{second}");
        }
    }
}

#[test]
fn single_octets_and_tiny_buffers_read_the_same() {
    let sent = conversation(&raw(ESCAPED));
    let expected = conversation(&raw(DOTTED_ESCAPED));
    let octets: Vec<&[u8]> = sent.chunks(1).collect();
    for room in [1, 2, 9, 64, 4096] {
        assert_eq!(fixed_in_pieces(&octets, room), expected, "a buffer of {room}");
        assert_eq!(fixed_in_pieces(&[&sent], room), expected, "a buffer of {room}");
    }
}

#[test]
fn other_fields_keep_their_slashes() {
    let path = [vec![0x44], raw("/v1alpha1.CSIDriverProvider/Mount")].concat();
    let named = [vec![0x40], raw("x-path"), huffman("/a/%2F")].concat();
    let dynamic = [vec![0x7f, 0x10], raw("/a/%2F")].concat();
    let update = vec![0x3f, 0xe1, 0x1f];
    let indexed = vec![0x83, 0x86, 0xc0, 0xff, 0x21];
    let before = [update, indexed, path, named, dynamic].concat();
    let stream = |value: &str| request(&[before.clone(), vec![0x41], raw(value)].concat());
    assert_eq!(fixed(&stream("/a")), stream(".a"));
}

#[test]
fn padding_and_priority_are_stepped_over() {
    for text in [raw, huffman] {
        for (flags, before, after) in [
            (PADDED, vec![3], vec![b'/'; 3]),
            (PRIORITY, b"/%/%/".to_vec(), vec![]),
            (PADDED | PRIORITY, b"\x04/%/%/".to_vec(), vec![b'%'; 4]),
            (PADDED, vec![0], vec![]),
        ] {
            let stream = |value| {
                let payload = [before.clone(), vec![0x41], text(value), after.clone()].concat();
                [PREFACE.to_vec(), frame(HEADERS, flags | END_HEADERS, &payload)].concat()
            };
            assert_eq!(fixed(&stream(PATH)), stream(DOTTED), "flags {flags:#x}");
        }
    }
}

#[test]
fn what_is_malformed_passes_untouched() {
    let long_symbol = [&[0x41, 0x84][..], &[0x61, 0x87, 0xff, 0xfe]].concat();
    let long_padding = vec![0x41, 0x83, 0x60, 0xff, 0xff];
    let zero_padding = vec![0x41, 0x81, 0b0110_0000];
    let cut_text = [&[0x41, 0x20][..], b"/var/run"].concat();
    let cut_integer = vec![0x41, 0x7f, 0xff];
    let endless_integer = [&[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff][..], b"////"].concat();
    let huge_integer = [&[0x41, 0x7f, 0xff, 0xff, 0xff, 0x7f][..], b"////"].concat();
    for block in [
        long_symbol,
        long_padding,
        zero_padding,
        cut_text,
        cut_integer,
        endless_integer,
        huge_integer,
    ] {
        let stream = request(&block);
        assert_eq!(fixed(&stream), stream, "{block:x?}");
    }

    let authority = [vec![0x41], raw("/a")].concat();
    let over_padded = [vec![200], authority.clone()].concat();
    let stream = [PREFACE.to_vec(), frame(HEADERS, PADDED, &over_padded)].concat();
    assert_eq!(fixed(&stream), stream, "more padding than frame");
    let stream = [PREFACE.to_vec(), frame(HEADERS, PRIORITY, &[0; 4])].concat();
    assert_eq!(fixed(&stream), stream, "less than a priority");
}

#[test]
fn frames_that_are_no_headers_of_ours_pass_untouched() {
    let block = [vec![0x41], raw("/a/b")].concat();
    for kind in [DATA, 2, 4, 5, 9] {
        let stream = [PREFACE.to_vec(), frame(kind, 0xff, &block)].concat();
        assert_eq!(fixed(&stream), stream, "frame type {kind}");
    }

    let oversized = [block.clone(), vec![b'/'; MAX_FRAME_SIZE]].concat();
    let stream = request(&oversized);
    assert_eq!(fixed(&stream), stream, "a frame over our limit");

    for foreign in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nXX", b""] {
        let stream = [foreign.to_vec(), frame(HEADERS, 0, &block)].concat();
        assert_eq!(fixed(&stream), stream, "not HTTP/2");
    }
}

#[test]
fn the_largest_frame_is_still_rewritten_and_larger_ones_are_not_buffered() {
    let stream = |value: &str| {
        let authority = [vec![0x01], raw(value)].concat();
        request(&[authority, vec![0x80; MAX_FRAME_SIZE - 5]].concat())
    };
    let sent = stream("/a/");
    assert_eq!(sent.len(), 24 + 9 + MAX_FRAME_SIZE);
    assert_eq!(fixed(&sent), stream(".a."));
    let (head, tail) = sent.split_at(5000);
    assert_eq!(fixed_in_pieces(&[head, tail], 333), stream(".a."));
}

#[test]
fn a_connection_that_ends_within_a_frame_keeps_what_came() {
    let whole = request(&[vec![0x41], raw(PATH)].concat());
    for end in 0..whole.len() {
        let cut = &whole[..end];
        assert_eq!(fixed(cut), cut, "ended at {end}");
    }
}

#[test]
fn header_blocks_continued_in_another_frame_pass() {
    let stream = |value: &str| {
        let block = [vec![0x41], huffman(value)].concat();
        let first = frame(HEADERS, 0, &block);
        let continuation = frame(9, END_HEADERS, &[vec![0x44], raw("/a/b")].concat());
        [PREFACE.to_vec(), first, continuation].concat()
    };
    assert_eq!(fixed(&stream(PATH)), stream(DOTTED));
}

#[test]
fn random_requests_change_in_their_authority_only() {
    let mut random = Random(7);
    for round in 0..3_000 {
        let (mut sent, mut expected) = (PREFACE.to_vec(), PREFACE.to_vec());
        for _ in 0..1 + random.below(4) {
            let (mut plain, mut dotted) = (Vec::new(), Vec::new());
            for _ in 0..random.below(6) {
                let value = random.text();
                let text = if random.below(2) == 0 { raw } else { huffman };
                let first = match random.below(5) {
                    0 => vec![0x41],
                    1 => vec![0x11],
                    2 => [vec![0x40], huffman(":authority")].concat(),
                    3 => vec![0x44],
                    _ => [vec![0x00], raw("x-forwarded/%")].concat(),
                };
                let is_authority = !matches!(first[0], 0x44 | 0x00);
                let read = value.replace(['/', '%'], ".");
                plain.extend([first.clone(), text(&value)].concat());
                dotted.extend([first, text(if is_authority { &read } else { &value })].concat());
            }
            let data = frame(DATA, 1, &random.octets());
            sent.extend([frame(HEADERS, END_HEADERS, &plain), data.clone()].concat());
            expected.extend([frame(HEADERS, END_HEADERS, &dotted), data].concat());
        }
        let pieces = random.pieces(&sent);
        assert_eq!(fixed_in_pieces(&pieces, 1 + random.below(300)), expected, "round {round}");
    }
}

#[test]
fn noise_keeps_its_length_whatever_the_split_and_is_fixed_once() {
    let mut random = Random(11);
    for round in 0..5_000 {
        let mut noise = conversation(&if round % 2 == 0 { huffman(PATH) } else { raw(ESCAPED) });
        for _ in 0..1 + random.below(20) {
            let at = 24 + random.below(noise.len() - 24);
            noise[at] = random.next() as u8;
        }
        let once = fixed(&noise);
        assert_eq!(once.len(), noise.len());
        let pieces = random.pieces(&noise);
        assert_eq!(fixed_in_pieces(&pieces, 1 + random.below(300)), once, "round {round}");
        assert_eq!(fixed(&once), once, "round {round}");
    }
}

/// Three calls as grpc-go sends them: the authority literally, then from the dynamic table.
fn conversation(authority: &[u8]) -> Vec<u8> {
    let literal = [&[0x83, 0x86, 0x44][..], &huffman("/v1alpha1.CSIDriverProvider/Mount")].concat();
    let literal =
        [&literal, &[0x41][..], authority, &[0x40], &raw("te"), &raw("trailers")].concat();
    let indexed = [0x83, 0x86, 0xc0, 0xbf, 0xbe];
    let body = frame(DATA, 1, &[&[0, 0, 0, 0, 2][..], b"/%"].concat());
    [
        PREFACE.to_vec(),
        frame(4, 0, &[]),
        frame(HEADERS, END_HEADERS, &literal),
        body.clone(),
        frame(HEADERS, END_HEADERS, &indexed),
        body.clone(),
        frame(HEADERS, END_HEADERS, &indexed),
        body,
    ]
    .concat()
}

fn request(block: &[u8]) -> Vec<u8> {
    [PREFACE.to_vec(), frame(HEADERS, END_HEADERS, block)].concat()
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &1u32.to_be_bytes(), payload].concat()
}

pub(in crate::server) fn raw(text: &str) -> Vec<u8> {
    [length(0, text.len()), text.as_bytes().to_vec()].concat()
}

fn length(huffman: u8, length: usize) -> Vec<u8> {
    if length < 127 {
        return vec![huffman | length as u8];
    }
    let (mut rest, mut octets) = (length - 127, vec![huffman | 127]);
    while rest >= 128 {
        octets.push(rest as u8 | 0x80);
        rest /= 128;
    }
    octets.push(rest as u8);
    octets
}

/// From the symbols of each length alone, since the code is canonical.
pub(in crate::server) fn huffman(text: &str) -> Vec<u8> {
    let lengths = [
        (5, "012aceiost"),
        (6, " %-./3456789=A_bdfghlmnpru"),
        (7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
        (8, "&*,;XZ"),
        (10, "!\"()?"),
        (11, "'+|"),
        (12, "#>"),
        (13, "\0$@[]~"),
        (14, "^}"),
        (15, "<`{"),
    ];
    let mut bits = String::new();
    for wanted in text.chars() {
        let (mut code, mut last) = (0usize, 5);
        let found = lengths.iter().find_map(|(length, symbols)| {
            code <<= length - last;
            last = *length;
            let at = symbols.chars().position(|symbol| symbol == wanted);
            code += symbols.chars().count();
            at.map(|at| (code - symbols.chars().count() + at, *length))
        });
        let (code, length) = found.expect("a symbol of the table above");
        bits += &format!("{code:0length$b}");
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    let octets: Vec<u8> = bits
        .as_bytes()
        .chunks(8)
        .map(|octet| u8::from_str_radix(std::str::from_utf8(octet).unwrap(), 2).unwrap())
        .collect();
    [length(0x80, octets.len()), octets].concat()
}

fn fixed(stream: &[u8]) -> Vec<u8> {
    fixed_in_pieces(&[stream], 65_536)
}

fn fixed_in_pieces(pieces: &[&[u8]], room: usize) -> Vec<u8> {
    let mut connection = AuthorityFix::new(Pieces(pieces.iter().copied().collect()));
    futures::executor::block_on(async {
        let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
        loop {
            match connection.read(&mut buffer).await.unwrap() {
                0 => return all,
                read => all.extend_from_slice(&buffer[..read]),
            }
        }
    })
}

struct Pieces<'a>(VecDeque<&'a [u8]>);

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.0.front().is_some_and(|piece| piece.is_empty()) {
            self.0.pop_front();
        }
        if let Some(piece) = self.0.front_mut() {
            let (now, later) = piece.split_at(piece.len().min(buf.remaining()));
            buf.put_slice(now);
            *piece = later;
        }
        Poll::Ready(Ok(()))
    }
}

/// Seeded, so that a failure comes again (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end
    }

    fn text(&mut self) -> String {
        let symbols = b"/%.-_:abcxyzABCXYZ0159 ~!@#$&*(){}[]<>?";
        let length = self.below(180);
        (0..length).map(|_| char::from(symbols[self.below(symbols.len())])).collect()
    }

    fn octets(&mut self) -> Vec<u8> {
        (0..self.below(40)).map(|_| self.next() as u8).collect()
    }

    fn pieces<'a>(&mut self, mut stream: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !stream.is_empty() {
            let (piece, rest) = stream.split_at((1 + self.below(120)).min(stream.len()));
            pieces.push(piece);
            stream = rest;
        }
        pieces
    }
}
