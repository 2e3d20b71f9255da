//! An upstream inside the test. A closure answers each request with any bytes at any pace, and decides whether the
//! connection is kept. All requests are recorded.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::{PATIENCE, http};

/// The maximum size of a request head in bytes.
const HEAD_LIMIT: usize = 64 << 10;

/// A listening upstream. Dropping it stops the server.
pub(crate) struct Upstream {
    /// The address at which the upstream listens.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

type Answer = dyn Fn(&mut Exchange) -> io::Result<After> + Send + Sync;

struct Shared {
    answer: Mutex<Arc<Answer>>,
    requests: Mutex<Vec<Request>>,
    ended: AtomicBool,
}

/// The head of a request as it was received.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path and query.
    pub(crate) target: String,
    /// The header fields, with the case of their names.
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    /// Returns the value of the first header field with this name; `None` if there is no such field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        http::find(&self.headers, name)
    }

    /// Returns the path.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Returns the encoded query; an empty string if there is no query.
    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// Returns the encoded value of a query parameter; `None` if the query doesn't have it.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query().split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v)
    }
}

/// A request and its connection.
pub(crate) struct Exchange {
    pub(crate) request: Request,
    stream: TcpStream,
    /// The number of bytes of the request's head that are still in the socket.
    unread_head: usize,
}

/// The treatment of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The connection waits for the next request.
    KeepOpen,
    /// The connection is closed (FIN).
    Close,
    /// The connection is reset (RST), by closing the socket with unread bytes.
    Reset,
}

impl Exchange {
    /// Writes bytes unchanged.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Writes a complete response with `Content-Length`, without the body for HEAD.
    pub(crate) fn reply(&mut self, status: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<After> {
        let message = message(status, headers, body);
        let shown = if self.request.method == "HEAD" { message.len() - body.len() } else { message.len() };
        self.send(&message[..shown])?;
        Ok(After::KeepOpen)
    }

    /// Returns the address of the client.
    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// Reads bytes after the head of the request, such as its body. Returns 0 at the end.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.take_head()?;
        self.stream.read(buffer)
    }

    /// Reads exactly this many bytes.
    pub(crate) fn receive_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.take_head()?;
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the whole body of the request.
    pub(crate) fn body(&mut self) -> io::Result<Vec<u8>> {
        if self.request.header("transfer-encoding").is_some() {
            let mut body = Vec::new();
            loop {
                let mut line = Vec::new();
                while !line.ends_with(b"\r\n") {
                    line.extend(self.receive_exactly(1)?);
                }
                let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16)
                    .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a chunk size"))?;
                body.extend(self.receive_exactly(size)?);
                self.receive_exactly(2)?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        let length = self.request.header("content-length").map_or(Ok(0), str::parse);
        self.receive_exactly(length.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "bad Content-Length"))?)
    }

    /// Waits until the other side closes the connection. Returns an error if the other side sends bytes.
    pub(crate) fn wait_for_close(&mut self) -> io::Result<()> {
        self.take_head()?;
        match self.stream.read(&mut [0; 1]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes instead of a close")),
            // A peer that closes with unread bytes resets the connection (RFC 1122 section 4.2.2.13), which counts as
            // a close.
            Err(fault) if fault.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn take_head(&mut self) -> io::Result<()> {
        let mut head = vec![0; std::mem::take(&mut self.unread_head)];
        self.stream.read_exact(&mut head)
    }
}

/// Encodes a response with `Content-Length`.
pub(crate) fn message(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut message = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in headers {
        message.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    message.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    message.extend_from_slice(body);
    message
}

impl Upstream {
    /// Starts an upstream on a free port.
    pub(crate) fn start(answer: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), answer)
    }

    /// Starts an upstream at this address.
    pub(crate) fn start_at(
        address: SocketAddr,
        answer: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            answer: Mutex::new(Arc::new(answer)),
            requests: Mutex::new(Vec::new()),
            ended: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if server.ended.load(Ordering::SeqCst) {
                    return;
                }
                let server = Arc::clone(&server);
                // Tests break connections on purpose, and check the client's side, so errors are dropped.
                thread::spawn(move || drop(serve(&server, &stream)));
            }
        });
        Self { address, shared }
    }

    /// Changes the answer from the next request on.
    pub(crate) fn answer(&self, answer: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static) {
        *locked(&self.shared.answer) = Arc::new(answer);
    }

    /// Returns the requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        locked(&self.shared.requests).clone()
    }

    /// Returns the number of requests so far.
    pub(crate) fn count(&self) -> usize {
        locked(&self.shared.requests).len()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // The connection wakes the listening thread, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

/// An event that happens once, and for which threads can wait.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Opens the gate for all current and later waiters.
    pub(crate) fn open(&self) {
        *locked(&self.0.0) = true;
        self.0.1.notify_all();
    }

    /// Returns whether the gate is open.
    pub(crate) fn is_open(&self) -> bool {
        *locked(&self.0.0)
    }

    /// Waits until the gate is open.
    pub(crate) fn wait(&self) {
        let (gate, opened) = &*self.0;
        let waited = opened.wait_timeout_while(locked(gate), PATIENCE, |open| !*open);
        assert!(*waited.unwrap_or_else(PoisonError::into_inner).0, "the gate stays shut");
    }
}

fn serve(shared: &Shared, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    loop {
        let Some((request, unread_head)) = peek_head(stream)? else {
            return Ok(());
        };
        // The request is recorded before the answer, because tests count requests as soon as a client has its response.
        locked(&shared.requests).push(request.clone());
        let answer = Arc::clone(&locked(&shared.answer));
        let mut exchange = Exchange { request, stream: stream.try_clone()?, unread_head };
        match answer(&mut exchange)? {
            After::KeepOpen => exchange.take_head()?,
            After::Close => {
                exchange.take_head()?;
                return stream.shutdown(std::net::Shutdown::Both);
            }
            // The head is not read from the socket, so closing the socket resets the connection.
            After::Reset => return Ok(()),
        }
    }
}

/// Waits for the head of the next request without removing it from the socket. Returns the request and the length of
/// its head, or `None` if the client has closed the connection.
fn peek_head(stream: &TcpStream) -> io::Result<Option<(Request, usize)>> {
    let mut buffer = vec![0; HEAD_LIMIT];
    // The bytes of a body that the test left unread are no head, and nothing follows them.
    for _ in 0..PATIENCE.as_millis() {
        let count = stream.peek(&mut buffer)?;
        if count == 0 {
            return Ok(None);
        }
        if let Some(end) = buffer[..count].windows(4).position(|window| window == b"\r\n\r\n") {
            let (first, headers) = http::parse_head(&buffer[..end])?;
            let mut words = first.split(' ');
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let request = Request { method: method.to_owned(), target: target.to_owned(), headers };
            return Ok(Some((request, end + 4)));
        }
        if count == HEAD_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the head of the request doesn't end"));
        }
        // The rest of the head has not arrived yet, so the check is repeated.
        thread::sleep(Duration::from_millis(1));
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the rest of the head doesn't come"))
}

fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
