//! Tests of request smuggling: the files of `tests/desync` are requests that servers may read differently. They are
//! sent unchanged through the gateway to an origin that reads strictly, and to an origin that reads leniently. Neither
//! origin may see a request that the gateway did not see.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::harness::{PATIENCE, gateway::Gateway};

/// The strictness with which an origin reads requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// The origin reads requests as RFC 9112 requires. A violation ends the connection.
    Strictly,
    /// Lines end with line feeds; names may have `_` for `-` and blanks around them; a length that isn't a number is
    /// ignored, any other length has precedence over chunks; and any transfer coding that contains `chunked` is read as
    /// chunks.
    Leniently,
}

/// An origin that answers every request with a description of that request.
struct Origin {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    fn start(reads: Reads) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let requests = Arc::clone(&requests);
                // The origin refuses a request by closing the connection.
                thread::spawn(move || drop(answer(stream, reads, &requests)));
            }
        });
        Self { address, seen }
    }

    /// Returns the descriptions of the requests since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn answer(mut stream: TcpStream, reads: Reads, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut unread = Vec::new();
    loop {
        let Some((line, is_head, end)) = next_request(&unread, reads)? else {
            let mut buffer = [0; 4_096];
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                count => unread.extend_from_slice(&buffer[..count]),
            }
            continue;
        };
        unread.drain(..end);
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
        let body = if is_head { "" } else { &line };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", line.len())?;
    }
}

/// Returns the method and the target of the first request, whether its method is HEAD, and the offset of its end;
/// `None` while it is incomplete.
fn next_request(bytes: &[u8], reads: Reads) -> io::Result<Option<(String, bool, usize)>> {
    let strange = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let (mut lines, mut at) = (Vec::new(), 0);
    loop {
        let Some(length) = bytes[at..].iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line = &bytes[at..at + length];
        at += length + 1;
        match (line.strip_suffix(b"\r"), reads) {
            (Some(b""), _) => break,
            (None, Reads::Strictly) => return Err(strange("a line feed alone")),
            (None, Reads::Leniently) if line.is_empty() => break,
            (line_without, _) => lines.push(String::from_utf8_lossy(line_without.unwrap_or(line)).into_owned()),
        }
    }
    let Some((first, fields)) = lines.split_first() else { return Ok(Some((String::new(), false, at))) };
    let (mut length, mut is_chunked) = (None, false);
    for field in fields {
        let Some((name, value)) = field.split_once(':') else { return Err(strange("a field without a colon")) };
        let name = match reads {
            Reads::Strictly => name.to_ascii_lowercase(),
            Reads::Leniently => name.trim().to_ascii_lowercase().replace('_', "-"),
        };
        match name.as_str() {
            "content-length" => match value.trim().parse::<usize>() {
                Ok(number) if length.is_none() => length = Some(number),
                _ if reads == Reads::Strictly => return Err(strange("a length that is none, or a second one")),
                _ => {}
            },
            "transfer-encoding" => match reads {
                Reads::Strictly if is_chunked || value.trim() != "chunked" => return Err(strange("a coding")),
                Reads::Strictly => is_chunked = true,
                Reads::Leniently => is_chunked |= value.to_ascii_lowercase().contains("chunked"),
            },
            _ => {}
        }
    }
    if is_chunked && length.is_some() && reads == Reads::Strictly {
        return Err(strange("a length and chunks"));
    }
    let end = match length {
        Some(length) => at + length,
        None if is_chunked => match end_of_chunks(bytes, at)? {
            Some(end) => end,
            None => return Ok(None),
        },
        None => at,
    };
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    Ok((bytes.len() >= end).then(|| (format!("{method} {target}"), method == "HEAD", end)))
}

fn end_of_chunks(bytes: &[u8], mut at: usize) -> io::Result<Option<usize>> {
    loop {
        let Some(length) = bytes[at..].windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
        let size = String::from_utf8_lossy(&bytes[at..at + length]).into_owned();
        let size = usize::from_str_radix(&size, 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("no size of a chunk: {size:?}")))?;
        at += length + 2 + size + 2;
        if at > bytes.len() {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

/// Returns the name, without extension, and the content of each file in a folder of `tests/desync`.
fn corpus(folder: &str) -> Vec<(String, Vec<u8>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/desync").join(folder);
    let entries = fs::read_dir(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("a file").path())
        .map(|file| (file.file_stem().expect("a name").to_string_lossy().into_owned(), fs::read(&file).expect("text")))
        .collect();
    files.sort();
    files
}

fn configuration(origin: SocketAddr) -> String {
    format!(
        "[upstreams.origin]\npeers = [\"{origin}\"]\n[routes.rest]\npath = \"/{{*rest}}\"\nupstream = \"origin\"\n\
         action = \"forward\"\n"
    )
}

/// Ambiguous requests are refused with 400, logged, and reach no origin.
///
/// Row: A17
#[test]
fn an_ambiguous_request_reaches_no_origin() {
    let files = corpus("refused");
    assert!(files.len() > 100, "{}", files.len());
    for reads in [Reads::Strictly, Reads::Leniently] {
        let origin = Origin::start(reads);
        let gateway = Gateway::start(&configuration(origin.address));
        for (name, bytes) in &files {
            let mut connection = gateway.connect();
            connection.send(bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            let response = connection.response("GET").unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!(response.outcome(), "400 request_invalid", "{name}: {response:?}");
            assert_eq!(response.header("connection"), Some("close"), "{name}");
            assert_eq!(response.header("server"), None, "{name}");
            assert!(connection.is_closed(), "{name}: bytes after the refusal");
            assert_eq!(origin.take(), Vec::<String>::new(), "{name}");
        }
        let refused = || {
            let logged = gateway.access_log();
            logged.iter().filter(|line| line["code"] == "request_invalid" && line["detail"].is_string()).count()
        };
        // Log lines are written by another thread, and may appear after the answers, so the test waits for them.
        for _ in 0..100 {
            if refused() >= files.len() {
                break;
            }
            thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(refused(), files.len(), "one line for each");
        let metrics = gateway.metrics();
        let counted = format!(
            "cursorgate_requests_total{{route=\"\",outcome=\"request_invalid\",status=\"4xx\"}} {}",
            files.len()
        );
        assert!(metrics.text().contains(&counted), "{}", metrics.text());
    }
}

/// An unambiguous request reaches each origin as a single request.
///
/// Row: A17
#[test]
fn an_unambiguous_request_reaches_every_origin_as_one_request() {
    for reads in [Reads::Strictly, Reads::Leniently] {
        let origin = Origin::start(reads);
        let gateway = Gateway::start(&configuration(origin.address));
        for (name, bytes) in &corpus("passed") {
            let method = if bytes.starts_with(b"HEAD") { "HEAD" } else { "GET" };
            let mut connection = gateway.connect();
            connection.send(bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            let response = loop {
                let response = connection.response(method).unwrap_or_else(|fault| panic!("{name}: {fault}"));
                if response.status >= 200 {
                    break response;
                }
            };
            assert_eq!(response.status, 200, "{name}, read {reads:?}: {response:?}");
            let seen = origin.take();
            assert!(seen.len() == 1 && seen[0].ends_with(" /x"), "{name}, read {reads:?}: {seen:?}");
            // The next request on the connection gets its own answer, or the connection ends.
            let has_more = name.contains("behind");
            if response.header("connection") == Some("close") {
                assert!(connection.is_closed(), "{name}: bytes after the last response");
                continue;
            }
            assert!(!has_more || name.contains("chunks"), "{name}: {response:?}");
            let next = connection
                .send(b"GET /next HTTP/1.1\r\nHost: people\r\n\r\n")
                .and_then(|()| connection.response("GET"));
            let seen = origin.take();
            match next {
                Ok(next) => {
                    assert!(!has_more, "{name}: {next:?}");
                    assert_eq!((next.status, next.text()), (200, "GET /next"), "{name}");
                    assert_eq!(seen, ["GET /next"], "{name}, read {reads:?}");
                }
                Err(_) => assert!(seen.is_empty(), "{name}, read {reads:?}: {seen:?}"),
            }
        }
    }
}
