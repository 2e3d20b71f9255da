use std::{
    net::SocketAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use flate2::{Compression, write::GzEncoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use pingora::upstreams::peer::HttpPeer;

use super::*;
use crate::net::{
    memory::Memory,
    peers::{
        name::PeerName,
        set::{PeerPolicy, Peers},
    },
};
use cursorgate_config::settings::{Balance, RetrySettings};

const SECOND: Duration = Duration::from_secs(1);
const SIZE: usize = 1_000;

/// Starts a server that gives one prepared answer to each request, in turn. Returns the server as a peer, and its
/// number of connections. The server closes the connection after an answer that ends in `close`.
async fn server(answers: Vec<Vec<u8>>) -> (Peers, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        'connections: while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            while read_head(&mut stream).await {
                let Some(answer) = answers.next() else { break 'connections };
                let (answer, close) = match answer.strip_suffix(b"close") {
                    Some(answer) => (answer, true),
                    None => (answer.as_slice(), false),
                };
                stream.write_all(answer).await.unwrap();
                if close {
                    continue 'connections;
                }
            }
        }
        // Requests after the last prepared answer get no answer.
        std::future::pending::<()>().await;
    });
    (peers(address), connections)
}

fn peers(address: SocketAddr) -> Peers {
    of_addresses(&[address])
}

fn of_addresses(addresses: &[SocketAddr]) -> Peers {
    let names = addresses.iter().map(|address| Arc::new(PeerName::parse(&address.to_string(), &[], now).unwrap()));
    let policy = PeerPolicy {
        upstream: "people".to_owned(),
        balance: Balance::RoundRobin,
        weights: vec![1; addresses.len()],
        backups: 0,
        slow_start: Duration::ZERO,
        check: None,
        eject_after: 5,
        retries: RetrySettings {
            most: 1,
            share: 20,
            pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(1),
            longest_retry_after: Duration::ZERO,
        },
        budget: Arc::default(),
        slots: None,
        clock: now,
    };
    Peers::new(names.collect(), HttpPeer::new(addresses[0], false, String::new()), None, policy)
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn visit(peers: &Peers) -> Visit<'_> {
    Visit::new(peers, 0, true)
}

async fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

fn request() -> RequestHeader {
    let mut request = RequestHeader::build("GET", b"/users", None).unwrap();
    request.insert_header("host", "people").unwrap();
    request
}

fn bounds() -> Bounds<'static> {
    static HELD: LazyLock<MemoryShare> = LazyLock::new(|| Memory::new(1 << 30).share());
    bounds_of(&HELD)
}

fn bounds_of(held: &MemoryShare) -> Bounds<'_> {
    static ASKED: LazyLock<AskedPeer> = LazyLock::new(AskedPeer::default);
    let timeouts = Timeouts { connect: 5 * SECOND, first_byte: 5 * SECOND, forwarded: 5 * SECOND, whole: 5 * SECOND };
    let now = tokio::time::Instant::now().into_std();
    Bounds { timeouts, whole: timeouts.whole, answer_size: SIZE, held, now, unix_seconds: 0, asked: &ASKED }
}

async fn fetch_once(answer: impl Into<Vec<u8>>) -> Result<Fetched, FetchError> {
    let (peers, _) = server(vec![answer.into()]).await;
    let once = Visit::new(&peers, 0, false);
    Fetcher::default().fetch(&once, &request(), b"", bounds()).await
}

fn kind(outcome: &Result<Fetched, FetchError>) -> &'static str {
    match outcome {
        Ok(_) => "fetched",
        Err(FetchError::Unavailable(_) | FetchError::Lost(_)) => "unavailable",
        Err(FetchError::Exhausted(_)) => "exhausted",
        Err(FetchError::Timeout(_)) => "timeout",
        Err(FetchError::TooLarge(_)) => "too large",
        Err(FetchError::Cut(_)) => "cut",
        Err(FetchError::NotHttp(_) | FetchError::Malformed(_)) => "malformed",
        Err(FetchError::Overloaded(_)) => "overloaded",
    }
}

/// The memory that is held for an answer depends on its actual size, whatever size it announces, and is freed with the
/// request.
#[tokio::test]
async fn memory_for_an_answer_is_held_until_its_request_ends() {
    let size = SIZE * 1_000;
    let content = vec![b'x'; size];
    let plain = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n");
    for (answer, most_held) in [
        ([plain.as_bytes(), &content].concat(), size + (64 << 10)),
        ([chunked.as_bytes(), &content, b"\r\n0\r\n\r\n"].concat(), 2 * size),
        (gzipped(&content), 2 * size),
    ] {
        let (peers, _) = server(vec![answer.clone(), answer.clone(), answer]).await;
        let fetcher = Fetcher::default();
        let memory = Memory::new(4 * size);
        let share = memory.share();
        let bounds = Bounds { answer_size: size, ..bounds_of(&share) };
        assert_eq!(fetcher.fetch(&visit(&peers), &request(), b"", bounds).await.unwrap().body.len(), size);
        assert!((size..=most_held).contains(&memory.held()), "{} of {size}", memory.held());
        // All answers of a request are held together. Beside the share of another request, the third has no room, and
        // the second might have none.
        let other = memory.share();
        other.take(size).unwrap();
        let outcome = fetcher.fetch(&visit(&peers), &request(), b"", bounds).await;
        assert!(["fetched", "overloaded"].contains(&kind(&outcome)), "{outcome:?}");
        let outcome = fetcher.fetch(&visit(&peers), &request(), b"", bounds).await;
        assert_eq!(kind(&outcome), "overloaded");
        drop((share, other));
        assert_eq!(memory.held(), 0);
    }
}

/// Without memory for the answer, no request is made.
#[tokio::test]
async fn a_fetch_without_memory_makes_no_request() {
    let (peers, connections) = server(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]".to_vec()]).await;
    let memory = Memory::new(1 << 20);
    let others: Vec<MemoryShare> = (0..8).map(|_| memory.share()).collect();
    assert!(others.iter().all(|share| share.take(128 << 10).is_ok()));
    let share = memory.share();
    let outcome = Fetcher::default().fetch(&visit(&peers), &request(), b"", bounds_of(&share)).await;
    assert_eq!((kind(&outcome), connections.load(Ordering::SeqCst)), ("overloaded", 0));
    drop(others);
    assert_eq!(kind(&Fetcher::default().fetch(&visit(&peers), &request(), b"", bounds_of(&share)).await), "fetched");
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut encoder, content).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let body = gzip(content);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body].concat()
}

#[tokio::test]
async fn answers_of_every_framing_are_read_whole() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n[]close",
        "HTTP/1.0 200 OK\r\n\r\n[]close",
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    ] {
        let fetched = fetch_once(answer).await.unwrap();
        assert_eq!((fetched.status.as_u16(), fetched.body.as_slice()), (200, &b"[]"[..]), "{answer}");
    }
    let empty = fetch_once("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert_eq!((empty.status.as_u16(), empty.body.len()), (404, 0));
}

#[tokio::test]
async fn answers_with_invalid_heads_bodies_or_codings_are_malformed() {
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n[]\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
    ] {
        assert_eq!(kind(&fetch_once(answer).await), "malformed", "{answer}");
    }
    let hints = "HTTP/1.1 100 Continue\r\n\r\n".repeat(10) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(kind(&fetch_once(hints).await), "malformed");
}

/// An answer that breaks off is requested once more, on another connection.
#[tokio::test]
async fn an_answer_that_breaks_off_is_requested_once_more() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
    for broken in [
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n[{}close",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{}close",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\nclose",
    ] {
        for (second, outcome) in [(whole, "fetched"), (broken, "cut")] {
            let (peers, connections) = server(vec![broken.into(), second.into(), whole.into()]).await;
            let fetcher = Fetcher::default();
            assert_eq!(kind(&fetcher.fetch(&visit(&peers), &request(), b"", bounds()).await), outcome, "{broken}");
            assert_eq!(connections.load(Ordering::SeqCst), 2, "{broken}");
            let rest = fetcher.fetch(&visit(&peers), &request(), b"", bounds()).await;
            assert_eq!(kind(&rest), "fetched", "{broken}");
        }
    }
}

#[tokio::test]
async fn the_size_is_bounded_on_the_wire_and_decoded() {
    let of_length =
        |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length));
    assert_eq!(kind(&fetch_once(of_length(SIZE)).await), "fetched");
    assert_eq!(kind(&fetch_once(of_length(SIZE + 1)).await), "too large");
    let unsaid = format!("HTTP/1.1 200 OK\r\n\r\n{}close", "x".repeat(SIZE + 1));
    assert_eq!(kind(&fetch_once(unsaid).await), "too large");
    assert_eq!(fetch_once(gzipped(&[b'x'; SIZE])).await.unwrap().body.len(), SIZE);
    assert_eq!(kind(&fetch_once(gzipped(&[b'x'; SIZE + 1])).await), "too large");
    assert_eq!(kind(&fetch_once(gzipped(&vec![b'x'; 1 << 20])).await), "too large");
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_whole_answer_only() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]".as_bytes().to_vec();
    let large = "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n[]".as_bytes().to_vec();
    let (peers, connections) = server(vec![whole.clone(), whole.clone(), large, whole]).await;
    let fetcher = Fetcher::default();
    for (expected, connection) in [("fetched", 1), ("fetched", 1), ("too large", 1), ("fetched", 2)] {
        assert_eq!(kind(&fetcher.fetch(&visit(&peers), &request(), b"", bounds()).await), expected);
        assert_eq!(connections.load(Ordering::SeqCst), connection, "{expected}");
    }
}

/// Negotiate credentials apply to the whole connection (RFC 4559 section 6), so the next request on it would be made as
/// the same user.
#[tokio::test]
async fn a_connection_that_is_authenticated_itself_is_not_used_again() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
    let challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM TlR=\r\nContent-Length: 2\r\n\r\n{}";
    let (peers, connections) = server(vec![whole.into(), whole.into(), challenge.into(), whole.into()]).await;
    let fetcher = Fetcher::default();
    let mut negotiates = request();
    negotiates.insert_header("authorization", "Negotiate YII=").unwrap();
    for (request, connection) in [(&negotiates, 1), (&request(), 2), (&request(), 2), (&request(), 3)] {
        assert_eq!(kind(&fetcher.fetch(&visit(&peers), request, b"", bounds()).await), "fetched");
        assert_eq!(connections.load(Ordering::SeqCst), connection);
    }
}

#[tokio::test]
async fn an_unsuccessful_answer_may_have_any_coding() {
    for (answer, status, body, coding) in [
        ("503 Busy\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", 503, "{}", Some("br")),
        ("404 Gone\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 404, "{}", Some("gzip")),
        ("302 Found\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 302, "", None),
        ("204 No Content\r\nContent-Encoding: zstd\r\n\r\n", 204, "", None),
        ("403 No\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", 403, "{}", None),
    ] {
        let fetched = fetch_once(format!("HTTP/1.1 {answer}")).await.unwrap();
        let said = fetched.headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap());
        assert_eq!((fetched.status.as_u16(), fetched.body.as_slice(), said), (status, body.as_bytes(), coding));
    }
}

/// Row: F06
#[tokio::test]
async fn a_pooled_connection_that_died_is_replaced_in_silence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peers = peers(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
        let (mut first, _) = listener.accept().await.unwrap();
        read_head(&mut first).await;
        first.write_all(whole).await.unwrap();
        // The connection ends when the next request arrives, as if that request crossed the upstream's idle timeout.
        read_head(&mut first).await;
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        read_head(&mut second).await;
        second.write_all(whole).await.unwrap();
        second
    });
    let fetcher = Fetcher::default();
    for _ in 0..2 {
        assert_eq!(kind(&fetcher.fetch(&visit(&peers), &request(), b"", bounds()).await), "fetched");
    }
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_silent_peer_times_out_and_an_absent_one_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let soon = Duration::from_millis(20);
    let whole = Bounds { whole: soon, ..bounds() };
    assert_eq!(kind(&Fetcher::default().fetch(&visit(&peers(address)), &request(), b"", whole).await), "timeout");
    let first_byte = Bounds { timeouts: Timeouts { first_byte: soon, ..bounds().timeouts }, ..bounds() };
    assert_eq!(kind(&Fetcher::default().fetch(&visit(&peers(address)), &request(), b"", first_byte).await), "timeout");
    drop(listener);
    assert_eq!(
        kind(&Fetcher::default().fetch(&visit(&peers(address)), &request(), b"", bounds()).await),
        "unavailable"
    );
    let (closes, connections) = server(vec![b"close".to_vec(); 2]).await;
    assert_eq!(kind(&Fetcher::default().fetch(&visit(&closes), &request(), b"", bounds()).await), "unavailable");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// Row: F01
#[tokio::test]
async fn a_peer_that_is_not_there_is_passed_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let (there, _) = server(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]".to_vec(); 4]).await;
    let both = of_addresses(&[nobody, there.all()[0].address]);
    let fetcher = Fetcher::default();
    for _ in 0..4 {
        assert_eq!(kind(&fetcher.fetch(&visit(&both), &request(), b"", bounds()).await), "fetched");
    }
}

/// An answer to HEAD states the length of a body that doesn't follow, however large. The connection isn't used again,
/// because some servers send the body nevertheless.
///
/// Row: F20
#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\nX-Total: 7\r\n\r\n".to_vec();
    let (peers, connections) = server(vec![answer.clone(), answer]).await;
    let mut head = request();
    head.set_method(Method::HEAD);
    let fetcher = Fetcher::default();
    for _ in 0..2 {
        let fetched = fetcher.fetch(&visit(&peers), &head, b"", bounds()).await.unwrap();
        assert_eq!((fetched.status.as_u16(), fetched.body.len()), (200, 0));
        assert_eq!(fetched.headers["x-total"], "7");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}
