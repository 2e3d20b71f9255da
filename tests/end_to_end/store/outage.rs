//! Tests of a store that dies, stops, is full, returns empty, or sends invalid replies in the middle of walks. Each
//! page is served, and takes no more upstream requests than without a store.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use super::{
    Flavour, Rows, StoreServer, at, ids, look_ups, next, questions, serve, start, status, text, wait_until_up, writes,
};
use crate::harness::{
    eventually,
    gateway::{Gateway, Keys},
    upstream::Upstream,
};

/// The number of pages of a walk.
const PAGES: usize = 20;

/// Walks a list of 200 items, with pages from both processes in turn, and calls `event` before each page. Each walk
/// has a different filter, so no process remembers the items of another walk. Returns the number of requests to the
/// upstream.
fn alternate(gateways: [&Gateway; 2], upstream: &Upstream, mut event: impl FnMut(usize)) -> usize {
    let (before, mut seen) = (upstream.count(), Vec::new());
    let (mut target, mut number) = (Some(format!("/users?limit=10&walk={before}")), 0);
    while let Some(asked) = target {
        event(number);
        let page = gateways[number % 2].get(&asked);
        assert_eq!(page.outcome(), "200", "page {number}: {page:?}");
        seen.extend(ids(&page));
        target = page.link("next");
        number += 1;
    }
    assert_eq!(seen, (1..=200).rev().collect::<Vec<_>>());
    upstream.count() - before
}

/// A store that is full, stops or dies costs no page and no additional upstream request.
///
/// Row: F50
#[test]
fn a_store_that_dies_stops_or_fills_up_costs_no_page() {
    let rows = Rows::count(200);
    let upstream = serve(&rows);
    let without = {
        let [first, second] = [(); 2].map(|()| Gateway::start(&text(&upstream, "")));
        alternate([&first, &second], &upstream, |_| {})
    };
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let mut server = StoreServer::start(flavour);
        // This test uses the default time limit, not the long one of other tests.
        let shared = at(&server).replace(super::PATIENT, "");
        let [first, second] = [(); 2].map(|()| start(Keys::One, &upstream, &shared));
        let both = [&first, &second];
        let set = |server: &StoreServer, bytes: u64| {
            let mut command = redis::cmd("CONFIG");
            let () = command.arg("SET").arg("maxmemory").arg(bytes).query(&mut server.client()).expect("it is set");
        };

        let requests = alternate(both, &upstream, |number| {
            if number == 5 {
                set(&server, 1);
            }
        });
        assert!(requests <= without, "{flavour:?}, full: {requests} of {without}");
        let refused = eventually("it is noticed", || both.into_iter().find(|gateway| writes(gateway, "failed") > 0));
        eventually("it is shown", || {
            // A late reply gives no reason, so each attempt sends another command to the store.
            assert_eq!(refused.get("/users?limit=3").outcome(), "200");
            status(refused)["servers"][0]["reason"].as_str().is_some_and(|reason| reason.contains("OOM")).then_some(())
        });
        set(&server, 0);

        let late: Vec<u64> = both.iter().map(|gateway| questions(gateway, "late")).collect();
        let requests = alternate(both, &upstream, |number| {
            if number == 5 {
                server.signal("STOP");
            }
        });
        assert!(requests <= without, "{flavour:?}, stopped: {requests} of {without}");
        for (gateway, before) in both.iter().zip(late) {
            let late = questions(gateway, "late") - before;
            assert!(late <= 3, "{flavour:?}: {late} pages of {PAGES} waited for it");
        }
        server.signal("CONT");
        both.into_iter().for_each(wait_until_up);

        let requests = alternate(both, &upstream, |number| {
            if number == 5 {
                server.kill();
            }
        });
        assert!(requests <= without, "{flavour:?}, killed: {requests} of {without}");
        for gateway in both {
            eventually("it is shown", || (status(gateway)["degraded"] == true).then_some(()));
            let ready = crate::harness::http::get(gateway.admin, "/readyz");
            assert_eq!((ready.status, ready.text()), (200, "ok, but the shared store is degraded\n"));
        }

        let requests = alternate(both, &upstream, |number| {
            if number == 5 {
                server.start_again();
            }
        });
        assert!(requests <= without, "{flavour:?}, restarted: {requests} of {without}");
        both.into_iter().for_each(wait_until_up);
        let known = questions(&first, "hit") + questions(&second, "hit");
        alternate(both, &upstream, |_| {});
        assert!(questions(&first, "hit") + questions(&second, "hit") > known, "{flavour:?}: it is of use again");
        // Each change is logged, but not each failure.
        for gateway in both {
            let lines = gateway.log().into_iter().filter(|line| line.contains("the shared store is down")).count();
            assert!((1..=6).contains(&lines), "{lines}: {:#?}", gateway.log());
        }
    }
}

/// A gateway starts without its store, and uses the store once it is available.
///
/// Row: F50
#[test]
fn a_store_that_is_down_at_the_start_is_used_when_it_comes() {
    let upstream = serve(&Rows::count(200));
    let mut server = StoreServer::start(Flavour::Redis);
    server.kill();
    let [first, second] = [(); 2].map(|()| Gateway::start(&text(&upstream, &at(&server))));
    alternate([&first, &second], &upstream, |_| {});
    assert_eq!((questions(&first, "down") > 0, questions(&first, "late")), (true, 0));
    assert_eq!(status(&first)["servers"][0]["reason"], "unavailable: it refuses connections");
    server.start_again();
    [&first, &second].into_iter().for_each(wait_until_up);
    alternate([&first, &second], &upstream, |_| {});
    assert!(questions(&first, "hit") + questions(&second, "hit") > 0);
}

/// A reload can change to another store, or to no store.
#[test]
fn a_reload_changes_the_store() {
    let upstream = serve(&Rows::count(200));
    let [one, other] = [(); 2].map(|()| StoreServer::start(Flavour::Redis));
    let gateway = start(Keys::One, &upstream, &at(&one));
    let reload = |shared: &str| {
        gateway.rewrite(Keys::One, &text(&upstream, shared));
        gateway.signal("HUP");
    };
    reload(&at(&other));
    eventually("the other store is in use", || {
        (gateway.get("/users?limit=10").status == 200 && !other.keys().is_empty()).then_some(())
    });
    reload("");
    eventually("no store is in use", || status(&gateway).is_null().then_some(()));
    eventually("the thread has ended", || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", gateway.process())).expect("it runs");
        let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.into_iter().all(|name| name.trim() != "store").then_some(())
    });
    reload(&at(&one));
    wait_until_up(&gateway);
}

/// The way in which a scripted server answers commands for items. It answers all other commands correctly.
#[derive(Clone, Copy)]
enum Script {
    /// The server sends these bytes.
    Says(&'static [u8]),
    /// The server sends these bytes, and closes the connection.
    Ends(&'static [u8]),
    /// The server sends these bytes, followed by more bytes without end.
    Floods(&'static [u8]),
}

/// Starts a server that follows a script.
fn scripted(script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            thread::spawn(move || follow(script, &stream));
        }
    });
    address
}

fn follow(script: Script, mut stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let words = command(&mut reader)?;
        let is_about_items = words.first()? == b"GET" && words.get(1)?.windows(5).any(|part| part == b"pivot");
        let reply: &[u8] = match (is_about_items, script) {
            (true, Script::Says(bytes) | Script::Ends(bytes) | Script::Floods(bytes)) => bytes,
            (false, _) if words.first()? == b"GET" => b"$-1\r\n",
            (false, _) => b"+OK\r\n",
        };
        stream.write_all(reply).ok()?;
        match script {
            Script::Ends(_) if is_about_items => return None,
            Script::Floods(_) if is_about_items => loop {
                stream.write_all(&[b'x'; 64 << 10]).ok()?;
            },
            _ => {}
        }
    }
}

/// Reads a command, which is an array of bulk strings; `None` at the end of the connection.
fn command(reader: &mut BufReader<&TcpStream>) -> Option<Vec<Vec<u8>>> {
    let number = |mark: char, reader: &mut BufReader<&TcpStream>| -> Option<usize> {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        line.trim_end().strip_prefix(mark)?.parse().ok()
    };
    let count = number('*', reader)?;
    (0..count)
        .map(|_| {
            let mut word = vec![0; number('$', reader)? + 2];
            reader.read_exact(&mut word).ok()?;
            word.truncate(word.len() - 2);
            Some(word)
        })
        .collect()
}

/// An invalid reply of the store counts as a miss.
///
/// Row: F51
#[test]
fn an_invalid_reply_of_the_store_counts_as_a_miss() {
    let cases: [(&str, Script); 21] = [
        ("nothing", Script::Says(b"$-1\r\n")),
        ("loading", Script::Says(b"-LOADING Redis is loading the dataset in memory\r\n")),
        ("full", Script::Says(b"-OOM command not allowed when used memory > 'maxmemory'.\r\n")),
        ("no password", Script::Says(b"-NOAUTH Authentication required.\r\n")),
        ("moved", Script::Says(b"-MOVED 3999 127.0.0.1:6381\r\n")),
        ("asked elsewhere", Script::Says(b"-ASK 3999 127.0.0.1:6381\r\n")),
        ("wrong type", Script::Says(b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n")),
        ("no cluster", Script::Says(b"-CLUSTERDOWN The cluster is down\r\n")),
        ("an error without a word", Script::Says(b"-\r\n")),
        ("a status", Script::Says(b"+OK\r\n")),
        ("a number", Script::Says(b":7\r\n")),
        ("a list", Script::Says(b"*2\r\n$1\r\na\r\n$1\r\nb\r\n")),
        ("a push", Script::Says(b">2\r\n$10\r\ninvalidate\r\n*0\r\n$-1\r\n")),
        ("rubbish", Script::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        ("more than all memory", Script::Says(b"$9223372036854775807\r\n")),
        ("endless lists", Script::Says(b"*9223372036854775807\r\n*9223372036854775807\r\n")),
        ("a part", Script::Says(b"$500\r\nabc")),
        ("a part, then the end", Script::Ends(b"$500\r\nabc")),
        ("the end", Script::Ends(b"")),
        ("two replies", Script::Says(b"$1\r\na\r\n$1\r\nb\r\n")),
        ("without an end", Script::Floods(b"$9000000000\r\n")),
    ];
    let upstream = serve(&Rows::count(200));
    let without = {
        let [first, second] = [(); 2].map(|()| Gateway::start(&text(&upstream, "")));
        alternate([&first, &second], &upstream, |_| {})
    };
    for (name, script) in cases {
        let shared = format!("addresses = [\"{}\"]", scripted(script));
        let [first, second] = [(); 2].map(|()| start(Keys::One, &upstream, &shared));
        let requests = alternate([&first, &second], &upstream, |_| {});
        assert!(requests <= without, "{name}: {requests} of {without}");
        for gateway in [&first, &second] {
            assert_eq!(questions(gateway, "hit"), 0, "{name}");
            assert!(gateway.log().iter().all(|line| !line.contains("panicked")), "{name}: {:#?}", gateway.log());
        }
    }
}

/// The gateway closes the connection to a server that sends more bytes than expected, and does not keep these bytes.
///
/// Row: A24
#[test]
fn a_store_that_sends_an_endless_reply_is_disconnected() {
    let upstream = serve(&Rows::count(200));
    let shared = format!("addresses = [\"{}\"]\ntimeout = \"1s\"", scripted(Script::Floods(b"$9000000000\r\n")));
    let target = next(&Gateway::start(&text(&upstream, "")).get("/users?limit=10"));
    let gateway = start(Keys::One, &upstream, &shared);
    let before = gateway.peak_memory();
    assert_eq!(gateway.get(&target).outcome(), "200");
    assert_eq!(look_ups(&upstream), 1);
    let reason = eventually("it is left", || status(&gateway)["servers"][0]["reason"].as_str().map(str::to_owned));
    let held = gateway.peak_memory() - before;
    assert!(held < 64 << 20, "{held} bytes, {reason}");
}
