//! Request heads as bytes: the end of a head, and the check that all servers read the same request in it.
//!
//! A head is checked before Pingora parses it. Pingora accepts several equal lengths, any coding before `chunked`, bare
//! line feeds, and spaces in a target, and forwards most of these. An upstream that reads them differently finds a
//! second request in the body of the first one (request smuggling). Heads with more than one reading are therefore
//! refused here. `tests/desync` contains requests that are refused, and requests that pass.

use http::Method;
use pingora::http::RequestHeader;

use super::target::{is_authority, split_target};
use cursorgate_translate::downstream::{Code, Problem};

/// The largest number of header lines, which is also the limit of Pingora's parser. A request with more is refused with
/// 431.
const MOST_HEADERS: usize = 256;

/// The largest length of a header name, in bytes. A request with a longer name is refused with 431. The limit is far
/// above the names in use, and within the limit of the crate `http`.
const LONGEST_NAME: usize = 1_024;

/// The largest length of a target, in bytes, whatever size a head may have. A longer target is refused with 414. The
/// limit is within the limit of the crate `http`.
const LONGEST_TARGET: usize = 65_000;

/// The way in which the end of a request's body is determined (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The body has this length, in bytes; 0 without a body.
    Length(u64),
    /// The body is chunked, or another protocol follows the head (`Upgrade`). Only the bytes themselves show the end.
    Open,
}

/// A scanner that finds the end of a head in bytes that arrive in pieces. Each byte is scanned once, so a head that
/// arrives byte by byte costs no more work than one that arrives at once.
#[derive(Debug, Default)]
pub struct HeadScanner {
    /// The index at which the request line starts.
    start: usize,
    /// The index at which the last incomplete line starts.
    line: usize,
    /// The number of complete lines.
    lines: usize,
}

impl HeadScanner {
    /// Returns the start and the end of the head in `bytes`; `None` until the head is complete. `bytes` are all bytes
    /// so far, of which the first `scanned` were passed in earlier calls. The number of iterations is at most the
    /// number of lines.
    ///
    /// # Errors
    ///
    /// Returns an error if the bytes don't begin a request, a line ends with a bare line feed, or there are too many
    /// lines.
    pub fn ends(&mut self, bytes: &[u8], scanned: usize) -> Result<Option<(usize, usize)>, Box<Problem>> {
        if let Some(first) = bytes.get(self.start).filter(|first| !is_token(**first) && !b"\r\n".contains(first)) {
            // 0x16 is the first byte of a TLS handshake.
            let tls = if *first == 0x16 { ", and this port does not accept TLS" } else { "" };
            return Err(invalid(format!("the first byte does not begin an HTTP request{tls}")));
        }
        // Earlier calls have already handled all line feeds before `scanned`, so the search begins there. Test:
        // `each_byte_is_scanned_once`.
        let fresh = scanned.max(self.line);
        for end in memchr::memchr_iter(b'\n', bytes.get(fresh..).unwrap_or_default()).map(|at| fresh + at) {
            // Some servers end a line at a bare line feed, and others don't, so such a head has two readings. Test:
            // `heads_with_a_wrong_first_byte_or_a_bare_line_feed_are_refused_at_once`.
            if end == self.line || bytes[end - 1] != b'\r' {
                return Err(invalid("a line ends with only a line feed"));
            }
            let is_blank = end == self.line + 1;
            self.line = end + 1;
            match (is_blank, self.lines) {
                // Blank lines before a request are skipped (RFC 9112 section 2.2).
                (true, 0) => self.start = self.line,
                (true, _) => return Ok(Some((self.start, self.line))),
                // `lines` also includes the request line.
                (false, lines) if lines > MOST_HEADERS => {
                    let detail = format!("the request has more than {MOST_HEADERS} headers");
                    return Err(Box::new(Problem::new(Code::HeadersTooLarge, detail)));
                }
                (false, _) => self.lines += 1,
            }
        }
        Ok(None)
    }

    /// Returns the problem of a head that exceeds `most` bytes: of its request line if no line is complete yet, or else
    /// of the whole head.
    pub fn too_large(&self, most: usize) -> Box<Problem> {
        Box::new(match self.lines {
            0 => Problem::new(Code::TargetTooLong, format!("the request line has more than {most} bytes")),
            _ => Problem::new(Code::HeadersTooLarge, format!("the request's head has more than {most} bytes")),
        })
    }
}

/// Returns the method and the target of a head that may be invalid; `None` if they can't be read.
pub fn request_line(head: &[u8]) -> Option<(Method, &[u8])> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let mut parts = line.split(|byte| *byte == b' ');
    let method = Method::from_bytes(parts.next()?).ok()?;
    parts.next().map(|target| (method, target))
}

/// Returns a head whose query is encoded as browsers encode queries (URL standard, query percent-encode set): `"`, `<`
/// and `>`. Returns `None` for a head in which these bytes don't occur. The crate `http` refuses them, but servers that
/// old clients reach directly take them, as in `?filter={"status":"open"}`. Test:
/// `raw_quotes_in_a_query_reach_the_upstream`.
pub fn with_encoded_query(head: &[u8]) -> Option<Vec<u8>> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let begin = line.iter().position(|byte| *byte == b'?')?;
    let end = begin + line[begin..].iter().position(|byte| *byte == b' ')?;
    let query = &line[begin..end];
    query.iter().any(|byte| b"\"<>".contains(byte)).then(|| {
        let mut written = head[..begin].to_vec();
        for byte in query {
            match byte {
                b'"' => written.extend_from_slice(b"%22"),
                b'<' => written.extend_from_slice(b"%3C"),
                b'>' => written.extend_from_slice(b"%3E"),
                other => written.push(*other),
            }
        }
        written.extend_from_slice(&head[end..]);
        written
    })
}

/// Checks a complete head, and returns its framing.
///
/// # Errors
///
/// Returns 400 `request_invalid`, 414 `target_too_long` or 431 `headers_too_large` for heads that Pingora's parser
/// would refuse, for heads that two servers could read differently, and for the methods CONNECT and TRACE.
pub fn check(head: &[u8]) -> Result<Framing, Box<Problem>> {
    let ends = memchr::memchr_iter(b'\n', head).chain([head.len()]);
    let lines = ends.scan(0, |start, end| Some(&head[std::mem::replace(start, end + 1)..end]));
    let mut lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = read_request_line(lines.next().unwrap_or_default())?;
    let mut fields = FramingFields::default();
    for text in lines.take_while(|line| !line.is_empty()) {
        fields.take(text)?;
    }
    check_host(&line, fields.host)?;
    fields.framing(line.is_old)
}

/// Checks an HTTP/2 head with the rules for HTTP/1.1, because the upstream gets the head in that form.
///
/// # Errors
///
/// Returns the errors of [`check`], and 431 `headers_too_large` for more than `most` bytes or 256 headers.
pub fn check_parsed(request: &RequestHeader, most: usize) -> Result<(), Box<Problem>> {
    if request.headers.len() > MOST_HEADERS {
        let detail = format!("the request has more than {MOST_HEADERS} headers");
        return Err(Box::new(Problem::new(Code::HeadersTooLarge, detail)));
    }
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(request.method.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(request.raw_path());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    // A value can't contain line ends, because the crate `http` doesn't accept them.
    for (name, value) in &request.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    if head.len() > most {
        let detail = format!("the request's head has more than {most} bytes");
        return Err(Box::new(Problem::new(Code::HeadersTooLarge, detail)));
    }
    check(&head).map(drop)
}

/// A request line that all servers read in the same way.
struct RequestLine<'a> {
    target: &'a [u8],
    /// `true` for HTTP/1.0, `false` for HTTP/1.1.
    is_old: bool,
}

/// Parses a request line: a method, a target and a version, separated by single spaces (RFC 9112 section 3).
fn read_request_line(line: &[u8]) -> Result<RequestLine<'_>, Box<Problem>> {
    let parts: [&[u8]; 3] = {
        let mut parts = line.split(|byte| *byte == b' ');
        let three = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
        // With another space, servers could read different targets. Test: `a_request_line_has_three_parts`.
        if parts.next().is_some() || three.iter().any(|part| part.is_empty()) {
            return Err(invalid(
                "the request line is not a method, a target and a version with one space between each",
            ));
        }
        three
    };
    let [method, target, version] = parts;
    if !method.iter().all(|byte| is_token(*byte)) {
        return Err(invalid("the method is not a token"));
    }
    if method == b"CONNECT" || method == b"TRACE" {
        return Err(invalid("the methods CONNECT and TRACE are not supported"));
    }
    if target.len() > LONGEST_TARGET {
        let detail = format!("the request target has more than {LONGEST_TARGET} bytes");
        return Err(Box::new(Problem::new(Code::TargetTooLong, detail)));
    }
    // Pingora would remove a fragment, but another server might keep it, so a fragment is refused.
    if has_any(target, |byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
        return Err(invalid("the request target contains a control character or a fragment"));
    }
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    // The crate `http` refuses these bytes without a problem document and a line in the log.
    if path.iter().any(|byte| matches!(byte, b'<' | b'>' | b'`')) {
        return Err(invalid("the path of the request contains `<`, `>` or a backtick: encode it"));
    }
    if std::str::from_utf8(target).is_err() {
        return Err(invalid("the request target is not UTF-8"));
    }
    match version {
        b"HTTP/1.1" => Ok(RequestLine { target, is_old: false }),
        b"HTTP/1.0" => Ok(RequestLine { target, is_old: true }),
        _ => Err(invalid("the version is neither HTTP/1.1 nor HTTP/1.0")),
    }
}

/// The headers that determine the framing and the host of a request.
#[derive(Default)]
struct FramingFields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    is_chunked: bool,
    upgrades: bool,
    /// The credentials seen so far, in the order of [`CREDENTIALS`].
    credentials: [bool; CREDENTIALS.len()],
}

/// The headers with credentials that every server knows. Each may be sent once (RFC 9110 section 11.6.2).
const CREDENTIALS: [&str; 2] = ["Authorization", "Proxy-Authorization"];

impl<'a> FramingFields<'a> {
    /// Checks a header line, and records the header if it concerns the framing or the host.
    fn take(&mut self, line: &'a [u8]) -> Result<(), Box<Problem>> {
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err(invalid("a header line has no colon"));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // This also refuses a space before the colon and folded lines, because both break the token.
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(invalid("the name of a header is not a token"));
        }
        if name.len() > LONGEST_NAME {
            let detail = format!("the name of a header has more than {LONGEST_NAME} bytes");
            return Err(Box::new(Problem::new(Code::HeadersTooLarge, detail)));
        }
        // Servers handle CR and NUL within a value in different ways (RFC 9110 section 5.5), so values with control
        // characters are refused.
        if has_any(&line[colon + 1..], |byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
            return Err(invalid("a header contains a control character"));
        }
        if name.eq_ignore_ascii_case(b"host") {
            // A second `Host` is refused even with an equal value (RFC 9112 section 3.2).
            if self.host.replace(value).is_some() {
                return Err(invalid("there is more than one Host"));
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            // Equal lengths may be merged (RFC 9110 section 8.6), but not all servers do so. A second length is
            // therefore refused. Test: `requests_with_invalid_or_ambiguous_framing_are_refused`.
            let Some(length) = read_length(value) else {
                return Err(invalid("Content-Length is not one number"));
            };
            if self.length.replace(length).is_some() {
                return Err(invalid("there is more than one Content-Length"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            // Some origin servers don't recognise the coding in another letter case, so only lower case is accepted.
            if self.is_chunked || value != b"chunked" {
                return Err(invalid("Transfer-Encoding is not exactly chunked"));
            }
            self.is_chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrades = true;
        } else if let Some(at) = CREDENTIALS.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes())) {
            // Servers differ in which of two lines they read, so a client could be one client for a limit here and
            // another one for the upstream. Test: `a_second_line_of_credentials_is_refused`.
            if std::mem::replace(&mut self.credentials[at], true) {
                return Err(invalid(format!("there is more than one {}", CREDENTIALS[at])));
            }
        }
        Ok(())
    }

    /// Returns the framing of the body. `is_old` is `true` for HTTP/1.0.
    fn framing(&self, is_old: bool) -> Result<Framing, Box<Problem>> {
        match (self.is_chunked, self.length) {
            // A server that follows one of the two headers may find another end of the body than a server that follows
            // the other (RFC 9112 section 6.3). Both together are therefore refused.
            (true, Some(_)) => Err(invalid("Transfer-Encoding and Content-Length exclude each other")),
            // The framing of an HTTP/1.0 message with `Transfer-Encoding` counts as faulty (RFC 9112 section 6.1).
            (true, None) if is_old => Err(invalid("HTTP/1.0 has no Transfer-Encoding")),
            (true, None) => Ok(Framing::Open),
            (false, _) if self.upgrades => Ok(Framing::Open),
            (false, length) => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }
}

/// Checks that the target's authority and `Host` are valid, and equal if both are present. `Host` may be missing only
/// in HTTP/1.0, or if the target has an authority.
fn check_host(line: &RequestLine<'_>, host: Option<&[u8]>) -> Result<(), Box<Problem>> {
    let (authority, _) = split_target(line.target)?;
    // Pingora would refuse the target with an empty answer and without a log line, so the target is refused here. Test:
    // `accepted_heads_are_parsed_by_pingora`.
    if authority.is_some() && http::Uri::try_from(line.target).is_err() {
        return Err(invalid("the request target is not a URL"));
    }
    let host = match host {
        None if line.is_old || authority.is_some() => None,
        None => return Err(invalid("the Host header is missing")),
        Some(host) => Some(std::str::from_utf8(host).map_err(|_| invalid(NO_HOST))?),
    };
    if !authority.into_iter().chain(host).all(is_authority) {
        return Err(invalid(NO_HOST));
    }
    if let (Some(authority), Some(host)) = (authority, host)
        && authority != host
    {
        return Err(invalid("the Host header differs from the host of the target"));
    }
    Ok(())
}

const NO_HOST: &str = "the host is not a host name or an address, with or without a port";

/// Parses a `Content-Length`, which has only digits and a value up to `i64::MAX`; `None` if it's invalid.
fn read_length(value: &[u8]) -> Option<u64> {
    let digits = value.iter().all(u8::is_ascii_digit).then_some(value)?;
    // Pingora reads lengths as signed numbers, and ignores larger ones, so a larger length is invalid.
    std::str::from_utf8(digits).ok()?.parse::<i64>().ok()?.try_into().ok()
}

/// Returns whether any byte has a property. All bytes are looked at, so that the compiler vectorizes the loop: in nearly
/// every head, no byte has the property.
fn has_any(bytes: &[u8], property: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |found, byte| found | property(*byte))
}

/// Returns whether a byte may be part of a token (RFC 9110 section 5.6.2).
fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let (marks, mut byte) = (b"!#$%&'*+-.^_`|~", 0_u8);
        while byte < 128 {
            table[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        let mut mark = 0;
        while mark < marks.len() {
            table[marks[mark] as usize] = true;
            mark += 1;
        }
        table
    };
    TOKEN[usize::from(byte)]
}

fn invalid(detail: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(Code::RequestInvalid, detail))
}

#[cfg(test)]
mod tests;
