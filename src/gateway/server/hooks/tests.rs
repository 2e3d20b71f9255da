use bytes::BytesMut;
use pingora::{
    apps::HttpServerApp as _, protocols::http::ServerSession, proxy::http_proxy, server::configuration::ServerConf,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};

use super::*;
use crate::{
    config::{ProcessEnvironment, load_text},
    gateway::{
        Snapshot,
        lifecycle::{live::Live, process::Vitals},
        session::context::RequestIds,
    },
};

/// Answers each connection once.
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

/// Wherever it panics, one request fails with an answer, as far as there can still be one, and a line and a count.
#[tokio::test]
async fn a_panic_fails_one_request() {
    let text = format!(
        "version = 1\n[upstreams.people]\npeers = [\"{}\"]\n[routes.rest]\npath = \"/{{*rest}}\"\nupstream = \"people\"\n\
         action = \"forward\"\n",
        upstream().await
    );
    let (settings, mut diagnostics) = load_text("a.toml", &text, &ProcessEnvironment::default());
    let snapshot = Snapshot::build(&settings.unwrap(), None, &mut diagnostics).unwrap();
    let live = Arc::new(Live::new(snapshot));
    let vitals = Vitals::default();
    let gateway = Gateway::new(Arc::clone(&live), vitals.clone(), RequestIds::new().unwrap());
    let proxy = Arc::new(http_proxy(&Arc::new(ServerConf::default()), gateway));
    let (_stop, stops) = watch::channel(false);
    for (place, said, outcome) in [
        ("nowhere", "200", "forwarded"),
        ("decide", "500", "internal"),
        ("pass", "500", "internal"),
        ("logging", "200", "panicked"),
        ("nowhere", "200", "forwarded"),
    ] {
        let counted = || -> u64 {
            let pinned = live.pin();
            let routes = pinned.routes.iter().map(|route| &route.metrics).chain([&pinned.metrics]);
            routes
                .flat_map(|metrics| metrics.counts(0).collect::<Vec<_>>())
                .filter(|(word, _)| word[0] == outcome)
                .map(|(_, count)| count)
                .sum()
        };
        let before = counted();
        let (mut client, server) = tokio::io::duplex(64 << 10);
        let mut session = ServerSession::new_http1(Box::new(server));
        session
            .set_pipelined_prefix(BytesMut::from(format!("GET /panic/{place} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()));
        drop(proxy.process_new_http(session, &stops).await);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {said}")), "{place}: {answer}");
        assert_eq!(answer.contains("\"code\":\"internal\""), answer.starts_with("HTTP/1.1 500"), "{place}: {answer}");
        assert!(!answer.contains("by a test"), "{place}: {answer}");
        assert_eq!(counted(), before + 1, "{place}: {outcome}");
        assert_eq!(vitals.in_flight(), 0, "{place}");
    }
}
