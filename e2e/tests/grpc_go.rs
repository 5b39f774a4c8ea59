//! A gRPC client as grpc-go is one on the wire, down to the `:authority` that Rust's h2 would not
//! let itself send: frames and HPACK by hand.

use std::path::Path;

use prost::Message;
use provider::pb;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

pub struct RawDriver {
    stream: UnixStream,
    authority: String,
    huffman: bool,
    next_stream: u32,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

impl RawDriver {
    pub async fn connect(socket: &Path, authority: &str, huffman: bool) -> Self {
        let stream = UnixStream::connect(socket).await.unwrap();
        let mut driver = Self { stream, authority: authority.to_owned(), huffman, next_stream: 1 };
        driver.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        driver.frame(SETTINGS, 0, 0, &[]).await;
        driver
    }

    pub async fn mount(&mut self, request: &pb::MountRequest) -> pb::MountResponse {
        let id = self.next_stream;
        let first = id == 1;
        self.next_stream += 2;
        self.frame(HEADERS, END_HEADERS, id, &self.headers(first)).await;
        let body = request.encode_to_vec();
        let mut message = vec![0];
        message.extend((body.len() as u32).to_be_bytes());
        message.extend(body);
        self.frame(DATA, END_STREAM, id, &message).await;
        let mut answer = Vec::new();
        loop {
            let (kind, flags, stream, payload) = self.read().await;
            match kind {
                SETTINGS if flags & ACK == 0 => self.frame(SETTINGS, ACK, 0, &[]).await,
                PING if flags & ACK == 0 => self.frame(PING, ACK, 0, &payload).await,
                DATA if stream == id => answer.extend(payload),
                HEADERS if stream == id && flags & END_STREAM != 0 => break,
                RST_STREAM | GOAWAY => panic!("{}: refused, frame {kind}", self.authority),
                _ => {}
            }
        }
        pb::MountResponse::decode(answer.get(5..).expect("no message")).unwrap()
    }

    /// As grpc-go writes them: the first time each literal goes into the dynamic table, from then
    /// on its index does. Newest entries have the lowest index, from 62.
    fn headers(&self, first: bool) -> Vec<u8> {
        // :method POST, :scheme http
        let mut block = vec![0x83, 0x86];
        let path = b"/v1alpha1.CSIDriverProvider/Mount";
        if first {
            block.extend([0x44, path.len() as u8]);
            block.extend(path);
            block.push(0x41);
            block.extend(self.string(&self.authority));
            block.extend([0x5f, 16]);
            block.extend(b"application/grpc");
            block.extend([0x40, 2]);
            block.extend(b"te");
            block.extend([8]);
            block.extend(b"trailers");
        } else {
            block.extend([0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]);
        }
        block
    }

    fn string(&self, text: &str) -> Vec<u8> {
        if !self.huffman {
            let mut plain = integer(text.len(), 0);
            plain.extend(text.bytes());
            return plain;
        }
        let (mut bits, mut count, mut packed) = (0_u64, 0, Vec::new());
        for byte in text.bytes() {
            let (code, length) = huffman(byte);
            bits = bits << length | u64::from(code);
            count += length;
            while count >= 8 {
                count -= 8;
                packed.push((bits >> count) as u8);
            }
        }
        if count > 0 {
            packed.push((bits << (8 - count)) as u8 | (0xff >> count));
        }
        let mut coded = integer(packed.len(), 0x80);
        coded.extend(packed);
        coded
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame).await.unwrap();
    }

    async fn read(&mut self) -> (u8, u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.unwrap();
        (head[3], head[4], stream, payload)
    }
}

/// An HPACK integer with a 7-bit prefix.
fn integer(value: usize, flag: u8) -> Vec<u8> {
    if value < 127 { vec![flag | value as u8] } else { vec![flag | 127, (value - 127) as u8] }
}

/// Code and length of the symbols that occur in a socket's path (RFC 7541, appendix B).
fn huffman(byte: u8) -> (u32, u32) {
    match byte {
        b'%' => (0x15, 6),
        b'-' => (0x16, 6),
        b'.' => (0x17, 6),
        b'/' => (0x18, 6),
        b'0' => (0x0, 5),
        b'1' => (0x1, 5),
        b'2' => (0x2, 5),
        b'3'..=b'9' => (0x19 + u32::from(byte - b'3'), 6),
        b'A' => (0x21, 6),
        b'B'..=b'W' => (0x5d + u32::from(byte - b'B'), 7),
        b'X' => (0xfc, 8),
        b'Y' => (0x73, 7),
        b'Z' => (0xfd, 8),
        b'_' => (0x22, 6),
        b'a' => (0x3, 5),
        b'b' => (0x23, 6),
        b'c' => (0x4, 5),
        b'd' => (0x24, 6),
        b'e' => (0x5, 5),
        b'f'..=b'h' => (0x25 + u32::from(byte - b'f'), 6),
        b'i' => (0x6, 5),
        b'j' | b'k' => (0x74 + u32::from(byte - b'j'), 7),
        b'l'..=b'n' => (0x28 + u32::from(byte - b'l'), 6),
        b'o' => (0x7, 5),
        b'p' => (0x2b, 6),
        b'q' => (0x76, 7),
        b'r' => (0x2c, 6),
        b's' => (0x8, 5),
        b't' => (0x9, 5),
        b'u' => (0x2d, 6),
        b'v'..=b'z' => (0x77 + u32::from(byte - b'v'), 7),
        other => panic!("{other} is in no socket's path"),
    }
}
