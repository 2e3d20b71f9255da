//! Tests of the life of the process: reloads under load, its end with and without requests in flight, and clients that
//! close their connection.

use std::{
    io,
    net::Shutdown,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use crate::harness::{
    eventually,
    gateway::{Gateway, Keys, OTHER_KEY},
    http,
    list::{PLAIN, Setup, body, serve, users},
    now,
    upstream::{After, Gate, Upstream},
};

/// Fifty reloads under load fail no request. Every second file has a different fault, which is logged with its line.
///
/// Row: A40, F44, F45
#[test]
fn fifty_reloads_under_load_fail_no_request() {
    const RELOADS: usize = 50;
    let upstream = Upstream::start(serve(users(60)));
    let good = PLAIN.configuration(upstream.address);
    let gateway = Gateway::start(&good);
    let ended = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut connection = gateway.connect();
                while !ended.load(Ordering::Relaxed) {
                    for target in ["/users?limit=5", "/users?limit=50"] {
                        let page = connection.request("GET", target, &[], b"").expect("a response under reload");
                        assert_eq!(page.outcome(), "200", "{target} under reload: {page:?}");
                        let next = page.link("next").expect("a next page");
                        let page = connection.request("GET", &next, &[], b"").expect("a response under reload");
                        assert_eq!(page.outcome(), "200", "a cursor under reload: {page:?}");
                    }
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // A failed assertion below must still end the clients, or the scope waits forever.
        let end = EndOnDrop(&ended);
        for reload in 0..RELOADS / 2 {
            // Each valid file has another default size, by which the test sees that the file is in force.
            let size = 20 + reload % 2;
            gateway.rewrite(Keys::One, &good.replace("default = 20", &format!("default = {size}")));
            gateway.signal("HUP");
            eventually("the new configuration is in force", || {
                let page = gateway.get("/users");
                assert_eq!(page.outcome(), "200", "under reload: {page:?}");
                (page.json()["pagination"]["pageSize"] == size).then_some(())
            });
            let successful = || gateway.metric("cursorgate_config_last_reload_successful");
            eventually("the good one is told", || (successful() == Some(1)).then_some(()));

            let fault = format!("mistake_{reload}");
            let bad = match reload % 3 {
                0 => good.replace("order = [\"id\"]", &format!("{fault} = [\"id\"]")),
                1 => good.replace("dialect = \"scripted\"", &format!("dialect = \"{fault}\"")),
                _ => format!("{good}\n{fault} = = nonsense"),
            };
            gateway.rewrite(Keys::One, &bad);
            gateway.signal("HUP");
            eventually("the mistake is reported", || {
                gateway.log().iter().any(|line| line.contains(&fault)).then_some(())
            });
            eventually("the bad one is told", || (successful() == Some(0)).then_some(()));
            let page = gateway.get("/users");
            assert_eq!(page.json()["pagination"]["pageSize"], size, "a bad file changes nothing: {page:?}");
            let log = gateway.log().join("\n");
            assert!(log.contains("cursorgate.toml:"), "reported with file and line:\n{log}");
        }
        let before = served.load(Ordering::Relaxed);
        eventually("the load goes on", || (served.load(Ordering::Relaxed) > before + 3).then_some(()));
        drop(end);
    });
}

struct EndOnDrop<'flag>(&'flag AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A reload names the changed settings that need a restart, and all other changes are in force.
#[test]
fn a_reload_names_the_keys_that_need_a_restart() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let moved = crate::harness::gateway::free_port();
    let text = gateway.configuration().replace("default = 20", "default = 7");
    gateway.rewrite_raw(&text.replace(&gateway.public.to_string(), &format!("127.0.0.1:{moved}")));
    gateway.signal("HUP");
    eventually("the rest is in force", || (gateway.get("/users").json()["pagination"]["pageSize"] == 7).then_some(()));
    let named = eventually("what needs a restart is named", || {
        gateway.log().into_iter().find(|line| line.contains("listeners.public.address"))
    });
    assert!(named.contains("restart"), "{named}");
}

#[test]
fn an_idle_gateway_leaves_at_once() {
    let grace = Duration::from_secs(120);
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup { more: "[server]\nshutdown_timeout = \"120s\"", ..PLAIN };
    let mut gateway = Gateway::start(&setup.configuration(upstream.address));
    // A connection that a client keeps without a request does not delay the end.
    let mut kept = gateway.connect();
    assert_eq!(kept.request("GET", "/users", &[], b"").expect("a response").outcome(), "200");
    let told = now();
    gateway.signal("TERM");
    assert!(gateway.ended().success(), "{}", gateway.log().join("\n"));
    assert!(told.elapsed() < grace / 4, "it waited, with nothing to do");
}

/// An idle connection is closed after `idle_timeout`, before a head and in the middle of one.
#[test]
fn idle_connections_are_closed() {
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup { more: "[server]\nidle_timeout = \"4s\"", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    for begun in ["", "GET /users HTTP/1.1\r\nHo"] {
        let mut connection = gateway.connect();
        for _ in 0..2 {
            assert_eq!(connection.request("GET", "/users", &[], b"").expect("a response").outcome(), "200");
        }
        connection.send(begun.as_bytes()).expect("it is sent");
        let mut rest = Vec::new();
        let read = io::Read::read_to_end(&mut connection.stream(), &mut rest);
        assert!(read.is_ok() && rest.is_empty(), "{begun:?}: {read:?}");
    }
}

/// After `SIGTERM`, the process answers the requests in flight before it ends.
///
/// Row: F47
#[test]
fn requests_in_hand_are_finished_before_the_end() {
    let setup = Setup {
        more: "[server]\nshutdown_timeout = \"60s\"\n[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"",
        ..PLAIN
    };
    for target in ["/users?limit=5", "/slow"] {
        let (asked, release) = (Gate::default(), Gate::default());
        let (entered, gate, items) = (asked.clone(), release.clone(), users(60));
        let upstream = Upstream::start(move |exchange| {
            entered.open();
            gate.wait();
            let body = body(exchange, &items);
            exchange.reply("200 OK", &[], body.as_bytes())
        });
        let mut gateway = Gateway::start(&setup.configuration(upstream.address));
        let mut connection = gateway.connect();
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\n\r\n").as_bytes()).expect("it is sent");
        asked.wait();
        gateway.signal("TERM");
        eventually("it says that it leaves", || (!gateway.is_healthy()).then_some(()));
        assert!(gateway.runs(), "with a request in hand");
        release.open();
        let response = connection.response("GET").unwrap_or_else(|fault| panic!("{target}: {fault}"));
        assert_eq!(response.status, 200, "{target}: {response:?}");
        assert_eq!(response.header("connection"), Some("close"), "{target}: there is no next one: {response:?}");
        assert!(gateway.ended().success(), "{target}");
    }
}

/// Clients are served during the drain delay, on kept and on new connections, and are told to close these connections.
/// A balancer needs some time to notice that a process stops.
///
/// Row: F47
#[test]
fn a_drain_delay_loses_no_request() {
    const REQUESTS: usize = 30;
    let upstream = Upstream::start(serve(users(60)));
    let more = "[server]\ndrain_delay = \"10m\"\nshutdown_timeout = \"60s\"\n\
                [routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"";
    let mut gateway = Gateway::start(&Setup { more, ..PLAIN }.configuration(upstream.address));
    let ended = AtomicBool::new(false);
    let served: [AtomicUsize; 4] = Default::default();
    thread::scope(|scope| {
        for (client, served) in served.iter().enumerate() {
            let (ended, gateway) = (&ended, &gateway);
            scope.spawn(move || {
                let (keeps, target) = (client % 2 == 0, ["/users?limit=5", "/other"][client / 2]);
                let mut connection = gateway.connect();
                while !ended.load(Ordering::Relaxed) {
                    if !keeps {
                        connection = gateway.connect();
                    }
                    let response = connection.request("GET", target, &[], b"").expect("no request is lost");
                    assert_eq!(response.status, 200, "{target}: {response:?}");
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let end = EndOnDrop(&ended);
        let all_go_on = || {
            let before = served.each_ref().map(|served| served.load(Ordering::Relaxed));
            let goes_on = |(served, before): (&AtomicUsize, usize)| served.load(Ordering::Relaxed) > before + REQUESTS;
            eventually("all clients are served", || served.iter().zip(before).all(goes_on).then_some(()));
        };
        all_go_on();
        gateway.signal("TERM");
        for path in ["/readyz", "/healthz"] {
            eventually("a balancer can see that it stops", || {
                (http::get(gateway.admin, path).status == 503).then_some(())
            });
        }
        assert_eq!(http::get(gateway.admin, "/livez").status, 200, "it is not to be restarted");
        all_go_on();
        for target in ["/users?limit=5", "/other", "/users?limit=x"] {
            let response = gateway.get(target);
            assert_eq!(response.header("connection"), Some("close"), "{target}: {response:?}");
        }
        drop(end);
    });
    assert!(gateway.runs(), "the delay is long");
    gateway.signal("TERM");
    assert!(gateway.ended().success(), "{}", gateway.log().join("\n"));
}

/// The process continues after signals that have no meaning for it.
///
/// Row: F48
#[test]
fn signals_without_a_meaning_do_nothing() {
    let upstream = Upstream::start(serve(users(60)));
    let mut gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    for name in ["PIPE", "USR1", "ALRM"] {
        gateway.signal(name);
        if name != "PIPE" {
            eventually("it is heard", || gateway.log().iter().any(|line| line.contains(name)).then_some(()));
        }
        assert_eq!(gateway.get("/users").outcome(), "200", "after SIG{name}");
    }
    assert!(gateway.runs());
}

/// Signals are handled while a reload hangs. The key of the test is a pipe without a writer, which hangs like a file on
/// a broken mount.
///
/// Row: A40
#[test]
fn a_reload_that_hangs_stops_no_signal() {
    let upstream = Upstream::start(serve(users(60)));
    let mut gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let pipe = gateway.file("key");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it is a part of every system").success());
    gateway.rewrite_raw(&gateway.configuration().replace("env:CURSORGATE_KEY_1", "file:key"));
    eventually("the reload is not done", || {
        gateway.signal("HUP");
        gateway.log().iter().any(|line| line.contains("a reload is in progress")).then_some(())
    });
    assert_eq!(gateway.get("/users").outcome(), "200");

    std::fs::write(&pipe, OTHER_KEY).expect("it is read");
    eventually("it ends as soon as there is a key", || {
        gateway.log().iter().any(|line| line.contains("configuration reloaded")).then_some(())
    });
    gateway.signal("TERM");
    assert!(gateway.ended().success(), "the reload that follows hangs again, and nobody waits for it");
}

/// `SIGINT`, which Ctrl+C sends, ends the process.
///
/// Row: F48
#[test]
fn ctrl_c_ends_the_process() {
    let upstream = Upstream::start(serve(users(60)));
    let mut gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    gateway.signal("INT");
    gateway.ended();
}

/// A client that closes its connection cancels the fetch of its page: the gateway closes the connection to the
/// upstream.
///
/// Row: F59
#[test]
fn a_client_that_goes_away_cancels_the_upstream_work() {
    let (asked, cancelled) = (Gate::default(), Gate::default());
    let (entered, closed) = (asked.clone(), cancelled.clone());
    let upstream = Upstream::start(move |exchange| {
        entered.open();
        exchange.wait_for_close()?;
        closed.open();
        Ok(After::Close)
    });
    let setup = Setup { upstream: "timeouts = { first_byte = \"50s\", whole = \"55s\" }", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let mut connection = gateway.connect();
    connection.send(b"GET /users?limit=5 HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is sent");
    asked.wait();
    connection.stream().shutdown(Shutdown::Both).expect("it is open");
    let started = now();
    cancelled.wait();
    assert!(started.elapsed() < Duration::from_secs(40), "it was the timeout that ended it");
    eventually("its line is in the log all the same", || gateway.access_log().pop());

    upstream.answer(serve(users(60)));
    assert_eq!(gateway.get("/users").outcome(), "200", "the next request works");
}

/// Sixteen clients that read a list at the same time, each with its own limit, get all items in order.
///
/// Row: F65
#[test]
fn many_clients_at_once_get_their_own_pages() {
    let upstream = Upstream::start(serve(users(300)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    thread::scope(|scope| {
        for client in 1..=16_usize {
            let gateway = &gateway;
            scope.spawn(move || -> io::Result<()> {
                let mut connection = http::Connection::open(gateway.public)?;
                let mut target = Some(format!("/users?limit={client}&client={client}"));
                let mut next = 1;
                while let Some(asked) = target {
                    let page = connection.request("GET", &asked, &[], b"")?;
                    assert_eq!(page.outcome(), "200", "{asked}: {page:?}");
                    for item in page.json()["data"].as_array().expect("items") {
                        assert_eq!(item["id"], next, "{asked}");
                        next += 1;
                    }
                    target = page.link("next");
                }
                assert_eq!(next, 301, "client {client}");
                Ok(())
            });
        }
    });
}

/// The memory of closed connections is released, even if no other request arrives.
#[test]
fn memory_of_closed_connections_is_given_back() {
    const CONNECTIONS: usize = 400;
    let upstream = Upstream::start(serve(users(60)));
    // Each thread keeps a little memory, so there is only one.
    let setup = Setup { more: "[server]\nthreads = 1", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    assert_eq!(gateway.get("/users?limit=20").outcome(), "200");
    let alone = gateway.resident_memory();
    let mut connections = (0..CONNECTIONS).map(|_| gateway.connect()).collect::<Vec<_>>();
    for connection in &mut connections {
        assert_eq!(connection.request("GET", "/users?limit=20", &[], b"").expect("a page").outcome(), "200");
    }
    let grown = gateway.resident_memory().saturating_sub(alone);
    assert!(grown > 3 << 20, "{CONNECTIONS} connections take {grown} bytes: too few to see what is given back");
    drop(connections);
    eventually("half of it is given back", || (gateway.resident_memory() < alone + grown / 2).then_some(()));
}
