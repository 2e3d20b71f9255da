//! An HTTP/1.1 client that shows the exact bytes: without normalization, redirects, decoding or retries.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use super::PATIENCE;

/// The maximum size of a head in bytes. An endless head then fails a test instead of filling the memory.
const HEAD_LIMIT: usize = 1 << 20;

/// A complete response.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The header fields as they were received, with the case of their names.
    pub(crate) headers: Vec<(String, String)>,
    /// The body without its transfer coding.
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(formatter, "{name}: {value}")?;
        }
        write!(formatter, "\n{}", String::from_utf8_lossy(&self.body))
    }
}

impl Response {
    /// Returns the value of the first header field with this name; `None` if there is no such field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Returns the body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// Returns the body as JSON, for values that no test compares byte by byte.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault} in {self:?}"))
    }

    /// Returns `code` of a problem document; an empty string for other bodies.
    pub(crate) fn code(&self) -> String {
        if self.header("content-type") != Some("application/problem+json") {
            return String::new();
        }
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns the status with the code of a problem. Examples: `400 limit_invalid`, `200`.
    pub(crate) fn outcome(&self) -> String {
        format!("{} {}", self.status, self.code()).trim_end().to_owned()
    }

    /// Returns the target of a relation in the `Link` header; `None` if the header has no such relation.
    pub(crate) fn link(&self, relation: &str) -> Option<String> {
        let line = self.header("link")?;
        // Targets contain no commas: the gateway encodes them, because many parsers split `Link` at commas.
        let link = line.split(", ").find(|link| link.contains(&format!("; rel=\"{relation}\"")))?;
        Some(link.strip_prefix('<')?.split_once('>')?.0.to_owned())
    }
}

/// Returns the value of the first field with this name, ignoring case; `None` if there is no such field.
pub(crate) fn find<'headers>(headers: &'headers [(String, String)], name: &str) -> Option<&'headers str> {
    headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The head of a message: its first line and its fields.
pub(crate) type Head = (String, Vec<(String, String)>);

/// Parses a head, without the final blank line.
pub(crate) fn parse_head(text: &[u8]) -> io::Result<Head> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("not a header field: {line:?}")));
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok((first, headers))
}

/// The connection of a client, for any number of requests.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    unread: Vec<u8>,
    /// True if the last response announced the end of the connection.
    ends: bool,
    /// True if a body may end with the connection.
    takes_unframed: bool,
}

impl Connection {
    /// Connects to a gateway.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { address, stream, unread: Vec::new(), ends: false, takes_unframed: false })
    }

    /// Connects to a server that may end a body by closing the connection.
    pub(crate) fn direct(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { takes_unframed: true, ..Self::open(address)? })
    }

    /// Returns the socket.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends bytes unchanged.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request and reads its response. `Host` and, with a body, `Content-Length` are added. Reconnects if the
    /// last response announced the end of the connection.
    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut message = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            message.extend_from_slice(b"Host: gateway.test\r\n");
        }
        for (name, value) in headers {
            message.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !body.is_empty() {
            message.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(body);
        if self.ends {
            *self = Self::open(self.address)?;
        }
        self.send(&message)?;
        self.response(method)
    }

    /// Reads the response to a request with this method.
    pub(crate) fn response(&mut self, method: &str) -> io::Result<Response> {
        let (status, headers) = self.head()?;
        self.ends = find(&headers, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let mut body = Vec::new();
        self.body(method, status, &headers, &mut |part| body.extend_from_slice(part))?;
        Ok(Response { status, headers, body })
    }

    /// Reads the head of a response.
    pub(crate) fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if self.unread.len() > HEAD_LIMIT {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the head of the response doesn't end"));
            }
            self.fill()?;
        };
        let (first, headers) = parse_head(&self.unread[..end])?;
        self.unread.drain(..end + 4);
        let Some(status) = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("not a status line: {first:?}")));
        };
        Ok((status, headers))
    }

    /// Reads a body and passes its parts to `take` as they arrive. A body that ends with the connection is an error,
    /// unless this connection takes unframed bodies: the gateway frames all bodies.
    pub(crate) fn body(
        &mut self,
        method: &str,
        status: u16,
        headers: &[(String, String)],
        take: &mut dyn FnMut(&[u8]),
    ) -> io::Result<()> {
        // These responses have no body, regardless of their header fields (RFC 9112, section 6.3).
        if method == "HEAD" || status == 204 || status == 304 || status < 200 {
            return Ok(());
        }
        if find(headers, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            loop {
                let size = self.chunk_size()?;
                self.exactly(size, take)?;
                self.exactly(2, &mut |_| ())?;
                if size == 0 {
                    return Ok(());
                }
            }
        }
        if self.takes_unframed && find(headers, "content-length").is_none() {
            loop {
                take(&std::mem::take(&mut self.unread));
                match self.fill() {
                    Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                    filled => filled?,
                }
            }
        }
        let Some(length) = find(headers, "content-length") else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "neither Content-Length nor chunked"));
        };
        let length = length.parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "bad Content-Length"))?;
        self.exactly(length, take)
    }

    /// Reads a chunk of a body; returns an empty chunk at the end.
    pub(crate) fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let size = self.chunk_size()?;
        let chunk = self.receive(size)?;
        self.receive(2)?;
        Ok(chunk)
    }

    /// Reads exactly this many bytes, such as those after a switch of protocols.
    pub(crate) fn receive(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.exactly(count, &mut |part| bytes.extend_from_slice(part))?;
        Ok(bytes)
    }

    /// Waits for bytes of the other side, and returns whether it has closed the connection without sending bytes.
    pub(crate) fn is_closed(&mut self) -> bool {
        // `WouldBlock` is a timeout of the read, not an end of the connection, so it doesn't count.
        self.unread.is_empty() && self.fill().is_err_and(|fault| fault.kind() != io::ErrorKind::WouldBlock)
    }

    fn chunk_size(&mut self) -> io::Result<usize> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|window| window == b"\r\n") {
                let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
                self.unread.drain(..end + 2);
                return usize::from_str_radix(line.trim(), 16)
                    .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("not a chunk size: {line:?}")));
            }
            self.fill()?;
        }
    }

    fn exactly(&mut self, mut count: usize, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        while count > 0 {
            if self.unread.is_empty() {
                self.fill()?;
            }
            let part = count.min(self.unread.len());
            take(&self.unread[..part]);
            self.unread.drain(..part);
            count -= part;
        }
        Ok(())
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")),
            count => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}

/// Sends a GET on a new connection.
pub(crate) fn get(address: SocketAddr, target: &str) -> Response {
    send(address, "GET", target, &[], b"")
}

/// Sends a request on a new connection, and returns the response. Panics if no whole response arrives.
pub(crate) fn send(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    Connection::open(address)
        .and_then(|mut connection| connection.request(method, target, headers, body))
        .unwrap_or_else(|fault| panic!("{method} {target}: {fault}"))
}

/// Percent-encodes a value for a query.
pub(crate) fn encode(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
