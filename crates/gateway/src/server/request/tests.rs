use std::path::Path;

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};

use super::*;
use crate::{
    lifecycle::snapshot::Snapshot,
    lifecycle::{live::Live, process::Vitals},
    outcome::metrics::FAMILIES,
    session::context::RequestIds,
};
use cursorgate_config::{Environment, load_text};

/// An environment in which every variable is a key, and no file exists.
struct Key;

impl Environment for Key {
    fn variable(&self, _name: &str) -> Option<String> {
        Some("8mEJ0qzKcQ1nH7vXwY2rT5uB9dFgLpZaSxC3kVtNjRo".to_owned())
    }

    fn read(&self, _path: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Starts an upstream that answers each connection once.
async fn upstream() -> std::net::SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4_096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody").await;
        }
    });
    address
}

/// Returns a configuration with an observing route for each place of a panic in an observation, and one forwarding
/// route for all other places.
fn configuration(upstream: std::net::SocketAddr) -> String {
    let mut text = format!(
        "version = 1\ncursor = {{ signing_key = 1, keys = {{ 1 = \"env:KEY\" }} }}\n[upstreams.people]\npeers = [\"{upstream}\"]\n[routes.rest]\npath = \"/{{*rest}}\"\n\
         upstream = \"people\"\naction = \"forward\"\n"
    );
    for place in ["observe", "read", "unread"] {
        text += &format!(
            "[routes.{place}]\npath = \"/panic/{place}\"\nupstream = \"people\"\naction = \"observe\"\n\
             dialect = \"page-limit\"\norder = [\"id\"]\nold_clients = \"pass\"\n"
        );
    }
    text
}

/// A panic anywhere in the gateway fails only one request, which is answered with 500 if no answer has been sent,
/// logged and counted. If an observation panics after the answer, its verdict is `failed`.
///
/// Row: F57
#[tokio::test]
async fn a_panic_fails_one_request() {
    let text = configuration(upstream().await);
    let (settings, mut diagnostics) = load_text("a.toml", &text, &Key);
    let snapshot = Snapshot::build(&settings.unwrap(), None, &mut diagnostics).unwrap();
    let live = Arc::new(Live::new(snapshot));
    let vitals = Vitals::default();
    let gateway = Arc::new(Gateway::new(Arc::clone(&live), vitals.clone(), RequestIds::new().unwrap()));
    let (_stop, stops) = watch::channel(false);
    for (place, said, family, outcome) in [
        ("nowhere", "200", "cursorgate_requests_total", "forwarded"),
        ("decide", "500", "cursorgate_requests_total", "internal"),
        ("pass", "500", "cursorgate_requests_total", "internal"),
        ("logging", "200", "cursorgate_requests_total", "panicked"),
        ("observe", "500", "cursorgate_requests_total", "internal"),
        ("unread", "200", "cursorgate_observed_total", "shape"),
        ("read", "200", "cursorgate_observed_total", "failed"),
        ("unread", "200", "cursorgate_observed_total", "shape"),
        ("nowhere", "200", "cursorgate_requests_total", "forwarded"),
    ] {
        let family = FAMILIES.iter().position(|known| known.name == family).unwrap();
        let counted = || -> u64 {
            let pinned = live.pin();
            let routes = pinned.routes.iter().map(|route| &route.metrics).chain([&pinned.metrics]);
            routes
                .flat_map(|metrics| metrics.counts(family).collect::<Vec<_>>())
                .filter(|(word, _)| word[0] == outcome)
                .map(|(_, count)| count)
                .sum()
        };
        let before = counted();
        let (mut client, server) = tokio::io::duplex(64 << 10);
        let mut session = Box::new(ServerSession::new_http1(Box::new(server)));
        session.set_pipelined_prefix(BytesMut::from(
            format!("GET /panic/{place}?page=1&limit=5 HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
        ));
        drop(gateway.serve(session, &stops).await);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {said}")), "{place}: {answer}");
        assert_eq!(answer.contains("\"code\":\"internal\""), answer.starts_with("HTTP/1.1 500"), "{place}: {answer}");
        assert!(!answer.contains("by a test"), "{place}: {answer}");
        // An observation ends after its request. The test runner limits the time of this loop.
        while vitals.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(counted(), before + 1, "{place}: {outcome}");
    }
}
