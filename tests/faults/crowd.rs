//! A test of ten thousand simultaneous clients of a slow upstream, for some seconds: `make crowd`. The printed times
//! are measured by the gateway, because times measured by ten thousand clients on the same machine say more about the
//! clients.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{
    eventually,
    gateway::Gateway,
    http,
    list::{PLAIN, Setup, serve, users},
    now,
    upstream::Upstream,
};

/// The number of clients, if the limit of open files allows that many.
const CLIENTS: usize = 10_000;
/// The maximum number of simultaneous requests to the upstream.
const CONNECTIONS: usize = 100;
/// The number of requests of each client; each one is sent after the answer to the previous one.
const REQUESTS: usize = 10;
/// The time that the upstream needs for an answer.
const SLOW: Duration = Duration::from_secs(1);

/// The answers that clients got.
#[derive(Debug, Default)]
struct Answers {
    pages: AtomicUsize,
    refusals: AtomicUsize,
    /// The number of connections that ended without an answer.
    none: AtomicUsize,
}

/// Requests pages on one connection until a request is refused or the connection ends.
async fn visit(gateway: std::net::SocketAddr, answers: &Answers) -> io::Result<()> {
    let mut stream = TcpStream::connect(gateway).await?;
    let mut bytes = Vec::new();
    for _ in 0..REQUESTS {
        stream.write_all(b"GET /users?limit=5 HTTP/1.1\r\nHost: gateway.test\r\n\r\n").await?;
        bytes.clear();
        let (status, ends) = loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
                let length: usize = field("content-length:").and_then(|value| value.parse().ok()).expect("a length");
                if body.len() == length {
                    let is_shed = body.contains("\"code\":\"overloaded\"") && field("retry-after:").is_some();
                    assert!(is_shed == head.starts_with("http/1.1 503 "), "{text}");
                    break (is_shed, field("connection:") == Some("close"));
                }
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        if status { &answers.refusals } else { &answers.pages }.fetch_add(1, Ordering::SeqCst);
        if ends {
            return Ok(());
        }
    }
    Ok(())
}

/// Raises the limit of open files of this process, and returns the number of clients that it permits.
fn clients() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let most = limit.maximum.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    CLIENTS.min(most.saturating_sub(4 * CONNECTIONS))
}

/// The upstream gets at most `CONNECTIONS` requests at a time. Every client without a page got a 503 with
/// `Retry-After`, or its connection was dropped and counted. No connection and no slot stays in use, and the next
/// client gets its page.
///
/// Row: A18, F56
#[test]
#[ignore = "takes a minute and all of the machine: make crowd"]
fn ten_thousand_clients_at_a_slow_upstream() {
    let count = clients();
    let (under_way, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (active, most) = (Arc::clone(&under_way), Arc::clone(&peak));
    let items = serve(users(60));
    let upstream = Upstream::start(move |exchange| {
        most.fetch_max(active.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // This is the time that the upstream needs, not a wait for a condition.
        thread::sleep(SLOW);
        active.fetch_sub(1, Ordering::SeqCst);
        items(exchange)
    });
    let setup = Setup {
        upstream: "connections = 100",
        more: "[server]\nconnections = 10000\nconnections_per_address = 10000",
        ..PLAIN
    };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    assert_eq!(gateway.get("/users?limit=5").outcome(), "200");
    let answers = Arc::new(Answers::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let began = now();
    let visits: Vec<_> = (0..count)
        .map(|_| {
            let (answers, address) = (Arc::clone(&answers), gateway.public);
            runtime.spawn(async move {
                if visit(address, &answers).await.is_err() {
                    answers.none.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let mut connected = 0;
    while visits.iter().any(|visit| !visit.is_finished()) {
        connected = connected.max(gateway.metric("cursorgate_connections").expect("it is told"));
        assert!(gateway.is_healthy(), "probes are answered");
        thread::sleep(SLOW);
    }
    for visit in visits {
        runtime.block_on(visit).expect("it does not panic");
    }
    let took = began.elapsed();

    let metrics = http::get(gateway.admin, "/metrics");
    println!("{count} clients in {took:?}: {answers:?}, {connected} connected at a time, {} MB", {
        gateway.peak_memory() >> 20
    });
    for class in ["2xx", "5xx"] {
        let name = format!("cursorgate_request_duration_seconds_bucket{{route=\"users\",status=\"{class}\"");
        metrics.text().lines().filter(|line| line.starts_with(&name)).for_each(|line| println!("{line}"));
    }
    let count_of = |sample: &str| usize::try_from(gateway.metric(sample).unwrap_or(0)).expect("a count");
    let at_the_door = ["full", "full_for_address", "displaced"]
        .map(|reason| count_of(&format!("cursorgate_connections_dropped_total{{reason=\"{reason}\"}}")));
    println!("full, full for the address, displaced: {at_the_door:?}");
    let [pages, refusals, none] = [&answers.pages, &answers.refusals, &answers.none].map(|n| n.load(Ordering::SeqCst));
    assert!(peak.load(Ordering::SeqCst) <= CONNECTIONS, "the upstream had {peak:?} requests at a time");
    assert!(pages >= CONNECTIONS && refusals > 0, "{answers:?}");
    let shed = count_of("cursorgate_requests_total{route=\"users\",outcome=\"overloaded\",status=\"5xx\"}");
    let told = shed + at_the_door.iter().sum::<usize>();
    assert!(refusals + none <= told, "{answers:?}, and the gateway counts {told} that it did not serve");
    eventually("all is given back", || (count_of("cursorgate_connections") == 0).then_some(()));
    assert_eq!(count_of("cursorgate_upstream_requests_in_flight{upstream=\"legacy\"}"), 0);
    assert_eq!(gateway.get("/users?limit=5").outcome(), "200");
}
