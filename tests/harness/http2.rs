//! An HTTP/2 client at the level of frames (RFC 9113). Its header blocks use neither the tables nor the Huffman codes
//! of HPACK (RFC 7541).

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::PATIENCE;

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const PRIORITY: u8 = 0x2;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const CONTINUATION: u8 = 0x9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// The error code for a client that causes excessive load.
pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A frame with its header fields and its payload (RFC 9113, section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// Encodes a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Encodes header fields as literals without indexing.
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            push_length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// Appends an integer with a prefix of seven bits (RFC 7541, section 5.1).
fn push_length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        return block.push(u8::try_from(length).expect("below 127"));
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).expect("below 128") | 0x80);
        rest /= 128;
    }
    block.push(u8::try_from(rest).expect("below 128"));
}

/// Encodes the header fields of a GET.
pub(crate) fn get(target: &str) -> Vec<u8> {
    fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "gateway.test"), (":path", target)])
}

/// The connection of a client, without TLS.
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects, and sends the connection preface with empty settings.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let mut connection = Self::silent(address)?;
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        connection.send(&frame(SETTINGS, 0, 0, &[]))?;
        Ok(connection)
    }

    /// Connects without sending anything.
    pub(crate) fn silent(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// Sends bytes unchanged.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a GET on a stream.
    pub(crate) fn get(&mut self, stream: u32, target: &str) -> io::Result<()> {
        self.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &get(target)))
    }

    /// Reads a frame.
    pub(crate) fn read(&mut self) -> io::Result<Frame> {
        let mut header = [0; 9];
        self.stream.read_exact(&mut header)?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("24 bits")];
        self.stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        Ok(Frame { kind: header[3], flags: header[4], stream, payload })
    }

    /// Reads frames up to the first one for which `wanted` is true, and returns that one.
    pub(crate) fn read_until(&mut self, wanted: impl Fn(&Frame) -> bool) -> io::Result<Frame> {
        loop {
            let frame = self.read()?;
            if wanted(&frame) {
                return Ok(frame);
            }
        }
    }

    /// Reads up to the end of the connection, and returns the code of the last GOAWAY frame; `None` without such a
    /// frame.
    pub(crate) fn goes_away(&mut self) -> Option<u32> {
        let mut code = None;
        while let Ok(frame) = self.read() {
            // A graceful shutdown sends two GOAWAY frames, of which the first only announces the end (RFC 9113, section
            // 6.8).
            if frame.kind == GOAWAY {
                code = frame.payload[4..8].try_into().ok().map(u32::from_be_bytes);
            }
        }
        code
    }

    /// Reads the answer on a stream: the first byte of its header block, which identifies common statuses, and its
    /// body.
    pub(crate) fn answer(&mut self, stream: u32) -> io::Result<(u8, Vec<u8>)> {
        let head = self.read_until(|frame| frame.stream == stream && matches!(frame.kind, HEADERS | RST_STREAM))?;
        if head.kind == RST_STREAM {
            return Err(io::Error::other(format!("reset: {:?}", head.payload)));
        }
        let (status, mut ended, mut body) = (head.payload[0], head.flags & END_STREAM != 0, Vec::new());
        while !ended {
            let part = self.read_until(|frame| frame.stream == stream)?;
            if part.kind != DATA {
                return Err(io::Error::other(format!("{part:?}")));
            }
            ended = part.flags & END_STREAM != 0;
            body.extend_from_slice(&part.payload);
        }
        Ok((status, body))
    }
}
