//! Tests of overload: slow upstreams, and slow readers of large pages. Requests beyond the limits are refused at once,
//! other requests are served, and no resource leaks.

use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::harness::{
    eventually,
    gateway::Gateway,
    http::{self, Response},
    list::{PLAIN, Setup, serve, users},
    metric, now,
    upstream::{Gate, Upstream},
};

const FORWARD: &str = "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"";

fn assert_shed(response: &Response) {
    assert_eq!(response.outcome(), "503 overloaded", "{response:?}");
    // The pause is random, and longer the more requests are refused.
    let pause = response.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(pause.is_some_and(|seconds| (1..=30).contains(&seconds)), "{response:?}");
    assert_eq!(response.json()["retryable"], true, "{response:?}");
}

/// An upstream gets no more requests than its limit from ten times as many clients. The other clients are refused while
/// the upstream hangs. When it answers again, so does the gateway.
///
/// Row: F11, F56
#[test]
fn a_slow_upstream_gets_no_more_requests_than_its_limit() {
    const MOST: usize = 4;
    const CLIENTS: usize = 40;
    let setup = Setup {
        upstream: "connections = 4\ntimeouts = { first_byte = \"50s\", whole = \"55s\" }",
        route: "",
        more: FORWARD,
    };
    for target in ["/users?limit=5", "/rest/of/it"] {
        let release = Gate::default();
        let under_way = Arc::new(AtomicUsize::new(0));
        let peak = Arc::new(AtomicUsize::new(0));
        let (gate, now, most) = (release.clone(), Arc::clone(&under_way), Arc::clone(&peak));
        let items = serve(users(60));
        let upstream = Upstream::start(move |exchange| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.wait();
            now.fetch_sub(1, Ordering::SeqCst);
            items(exchange)
        });
        let gateway = Gateway::start(&setup.configuration(upstream.address));
        let refused = AtomicUsize::new(0);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    scope.spawn(|| {
                        let response = gateway.get(target);
                        if response.status != 200 {
                            assert_shed(&response);
                            refused.fetch_add(1, Ordering::SeqCst);
                        }
                        response.status
                    })
                })
                .collect();
            eventually("all but those at the upstream are refused", || {
                (refused.load(Ordering::SeqCst) == CLIENTS - MOST).then_some(())
            });
            assert!(gateway.is_healthy(), "{target}");
            let name = "cursorgate_upstream_requests_in_flight{upstream=\"legacy\"}";
            assert_eq!(metric(&gateway, name), u64::try_from(MOST).expect("small"), "{target}");
            release.open();
            let served = clients.into_iter().map(|client| client.join().expect("it does not panic"));
            assert_eq!(served.filter(|status| *status == 200).count(), MOST, "{target}");
        });
        assert_eq!(peak.load(Ordering::SeqCst), MOST, "{target}");
        for _ in 0..2 * MOST {
            assert_eq!(gateway.get(target).status, 200, "{target}: every turn is given back");
        }
        let refused = metric(&gateway, "cursorgate_upstream_requests_refused_total{upstream=\"legacy\"}");
        assert_eq!(refused, u64::try_from(CLIENTS - MOST).expect("small"), "{target}");
    }
}

/// A client that invents credentials fills the queue for an upstream, and makes room for a client at another address.
///
/// Row: F56
#[test]
fn invented_clients_make_room_for_other_addresses() {
    // A request waits in the queue for a second at most, which a busy machine may need for the steps of the test. Without
    // room, the honest client would be refused each time.
    let is_served = (0..5).any(|_| serves_another_address_beside_a_full_queue());
    assert!(is_served, "no room was made");
}

/// Fills the queue for an upstream from one address, and returns whether a client at another one is served.
fn serves_another_address_beside_a_full_queue() -> bool {
    let setup = Setup {
        upstream: "connections = 4\ntimeouts = { first_byte = \"50s\", whole = \"55s\" }",
        route: "",
        more: "[server]\ntrusted_proxies = [\"127.0.0.1\"]\nforwarded_headers = [\"X-Forwarded-For\"]\n",
    };
    let gate = Gate::default();
    let (shut, items) = (gate.clone(), serve(users(60)));
    let upstream = Upstream::start(move |exchange| {
        shut.wait();
        items(exchange)
    });
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    // `metric` would wait for the requests in flight.
    let count = |name: &str| {
        let metrics = http::get(gateway.admin, "/metrics");
        let sample = format!("cursorgate_upstream_requests_{name}{{upstream=\"legacy\"}} ");
        metrics.text().lines().find_map(|line| line.strip_prefix(&sample)?.parse::<u64>().ok()).unwrap_or(0)
    };
    thread::scope(|scope| {
        // Four are at the upstream, 64 wait, and the last four are refused.
        for invented in 0..72 {
            let gateway = &gateway;
            scope.spawn(move || {
                let token = format!("Bearer {invented}");
                let headers = [("X-Forwarded-For", "192.0.2.1"), ("Authorization", token.as_str())];
                gateway.send("GET", "/users?limit=5", &headers, b"")
            });
        }
        eventually("the queue is full", || (count("refused_total") >= 4).then_some(()));
        let before = count("refused_total");
        let honest = scope.spawn(|| {
            let headers = [("X-Forwarded-For", "192.0.2.2"), ("Authorization", "Bearer honest")];
            gateway.send("GET", "/users?limit=5", &headers, b"")
        });
        eventually("one request is refused for it", || (count("refused_total") > before).then_some(()));
        gate.open();
        honest.join().expect("an answer").status == 200
    })
}

/// A request that its client cancels frees its slot.
///
/// Row: F56, F59
#[test]
fn clients_that_leave_free_their_slots() {
    let setup = Setup {
        upstream: "connections = 1\ntimeouts = { first_byte = \"50s\", whole = \"55s\" }",
        route: "",
        more: FORWARD,
    };
    for target in ["/users?limit=5", "/rest/of/it"] {
        let asked = Gate::default();
        let entered = asked.clone();
        let upstream = Upstream::start(move |exchange| {
            entered.open();
            exchange.wait_for_close()?;
            Ok(crate::harness::upstream::After::Close)
        });
        let gateway = Gateway::start(&setup.configuration(upstream.address));
        let mut client = gateway.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\n\r\n").as_bytes()).expect("it is sent");
        asked.wait();
        assert_shed(&gateway.get(target));
        drop(client);
        upstream.answer(serve(users(60)));
        eventually("there is a turn again", || (gateway.get(target).status == 200).then_some(()));
    }
}

/// The size of a large page: more than the kernel buffers for a client that does not read.
const LARGE: usize = 9 << 20;
/// The memory of the process in `slow_readers_stay_within_the_memory_budget` and
/// `two_thousand_slow_readers_leave_room_for_others`, of which 76 MiB are left for bodies.
const MEMORY: u64 = 192 << 20;
/// The memory that the process may use beyond it: the binary of tests is larger at rest than that of a release, and the
/// allocator keeps some memory that is free.
const BESIDE: u64 = 32 << 20;
/// The number of clients that read nothing. Only six of their pages fit into the budget.
const READERS: usize = 50;
/// The number of pages that are requested meanwhile by a client that reads.
const PAGES: usize = 200;

/// What a client doesn't take of a page stays in the memory of the process, where it is bounded, and not in the buffers
/// of the system.
///
/// Row: A18, F54
#[test]
fn an_answer_that_is_not_read_stays_in_the_budget() {
    let padding = "x".repeat(LARGE / 5);
    let upstream = Upstream::start(serve((1..=5).map(|id| format!(r#"{{"id":{id},"name":"{padding}"}}"#)).collect()));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let mut reader = gateway.connect();
    reader.send(b"GET /users?limit=5 HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is sent");
    let client = reader.stream().local_addr().expect("it is connected");
    eventually("the page waits", || (metric(&gateway, "cursorgate_memory_bytes") > LARGE as u64).then_some(()));
    let mut byte = [0; 1];
    reader.stream().read_exact(&mut byte).expect("the page has begun");
    let queue = queued(gateway.public.port(), client.port());
    assert!((1..256 << 10).contains(&queue), "{queue} bytes are in the buffer of the socket");
}

/// Returns the bytes that the system keeps of a connection because the other end hasn't taken them. `own` and `other`
/// are the ports of both ends.
fn queued(own: u16, other: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the system's connections");
    let (own, other) = (format!(":{own:04X}"), format!(":{other:04X}"));
    let line = table.lines().find(|line| {
        let mut ends = line.split_whitespace().skip(1);
        ends.next().is_some_and(|end| end.ends_with(&own)) && ends.next().is_some_and(|end| end.ends_with(&other))
    });
    let queue = line.and_then(|line| line.split_whitespace().nth(4)?.split(':').next()).expect("an open connection");
    usize::from_str_radix(queue, 16).expect("a number")
}

/// With ten times as many large pages as fit into the budget, memory stays within the budget, small pages are served,
/// and clients that don't read are disconnected.
///
/// Row: A18, F54, F66
#[test]
fn slow_readers_stay_within_the_memory_budget() {
    let small = serve(users(60));
    let padding = "x".repeat(LARGE / 5);
    let large: Vec<String> = (1..=5).map(|id| format!(r#"{{"id":{id},"name":"{padding}"}}"#)).collect();
    let large = serve(large);
    let upstream = Upstream::start(move |exchange| match exchange.request.parameter("large") {
        Some(_) => large(exchange),
        None => small(exchange),
    });
    let setup = Setup { more: "[server]\nmemory = \"192MiB\"\nconnections = 1024\nthreads = 2", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    assert_eq!(gateway.get("/users?limit=5&large=1").outcome(), "200");
    let mut readers: Vec<http::Connection> = (0..READERS).map(|_| gateway.connect()).collect();
    for reader in &mut readers {
        reader.send(b"GET /users?limit=5&large=1 HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is sent");
    }
    let mut connection = gateway.connect();
    let served = (0..PAGES).filter(|_| {
        let page = connection.request("GET", "/users?limit=5", &[], b"").expect("a response");
        if page.status != 200 {
            assert_shed(&page);
        }
        page.status == 200
    });
    let served = served.count();
    assert!(served * 5 >= PAGES * 4, "{served} of {PAGES} pages were served");
    eventually("those who take nothing are dropped", || {
        let log = gateway.access_log();
        let of = |code: &str| log.iter().filter(|line| line["code"] == code).count();
        (of("client_stalled") > 0 && of("client_stalled") + of("overloaded") >= READERS).then_some(())
    });
    eventually("all of it is given back", || (metric(&gateway, "cursorgate_memory_bytes") == 0).then_some(()));
    assert!(metric(&gateway, "cursorgate_memory_refusals_total") > 0);
    let peak = gateway.peak_memory();
    assert!(peak < MEMORY + BESIDE, "{peak} bytes at most, of {READERS} pages of {LARGE}");
    assert!(gateway.is_healthy());
    // The other readers are refused at once, with a complete answer.
    let refused = readers.iter_mut().filter_map(|reader| {
        let mut text = [0; 12];
        reader.stream().read_exact(&mut text).ok()?;
        (&text == b"HTTP/1.1 503").then_some(())
    });
    assert!(refused.count() * 2 > READERS, "most of them learnt at once that there is no room");
    assert_eq!(gateway.get("/users?limit=5&large=1").outcome(), "200");
}

/// Slow readers of forwarded answers also stay within the budget. Each answer needs a fixed share of memory, so as many
/// answers fit as the budget has shares.
///
/// Row: A18, F54, F66
#[test]
fn slow_readers_of_forwarded_answers_leave_room_for_others() {
    const ROOM: usize = 24;
    let upstream = Upstream::start(|exchange| {
        let length = if exchange.request.path().ends_with("large") { LARGE } else { 10 };
        exchange.reply("200 OK", &[], &vec![b'x'; length])
    });
    let setup = Setup {
        upstream: "",
        route: "",
        more: "[server]\nmemory = \"64MiB\"\nconnections = 288\n[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"",
    };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let mut readers: Vec<http::Connection> = (0..5 * ROOM).map(|_| gateway.connect()).collect();
    for reader in &mut readers {
        reader.send(b"GET /rest/large HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is sent");
    }
    eventually("all but those that there is room for are refused", || {
        (metric(&gateway, "cursorgate_memory_refusals_total") >= 4 * ROOM as u64).then_some(())
    });
    for _ in 0..50 {
        assert_eq!(gateway.get("/rest/small").status, 200, "small answers have room");
    }
    let refused = readers.iter_mut().filter_map(|reader| {
        let mut text = [0; 12];
        reader.stream().read_exact(&mut text).ok()?;
        (&text == b"HTTP/1.1 503").then_some(())
    });
    assert!(refused.count() >= 2 * ROOM, "most readers learn at once that there is no room");
    drop(readers);
    eventually("all of it is given back", || (metric(&gateway, "cursorgate_memory_bytes") == 0).then_some(()));
    assert_eq!(gateway.get("/rest/large").body.len(), LARGE);
}

/// A client at its limit gets 429, and a route at its limit refuses all requests. Other routes are served, and each
/// slot is released.
///
/// Row: F56
#[test]
fn a_route_and_a_client_have_limited_requests_in_flight() {
    const PER_CLIENT: usize = 2;
    const CLIENTS: usize = 3;
    let setup = Setup {
        upstream: "timeouts = { first_byte = \"50s\", whole = \"55s\" }",
        route: "concurrency = { requests = 6, per_client = 2 }",
        more: "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n\
               concurrency = { requests = 6, per_client = 2 }\n\
               [routes.other]\npath = \"/other\"\nupstream = \"legacy\"\naction = \"forward\"",
    };
    for target in ["/users?limit=5", "/rest/of/it"] {
        let (release, asked) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let (gate, count) = (release.clone(), Arc::clone(&asked));
        let items = serve(users(60));
        let upstream = Upstream::start(move |exchange| {
            if !exchange.request.path().starts_with("/other") {
                count.fetch_add(1, Ordering::SeqCst);
                gate.wait();
            }
            items(exchange)
        });
        let gateway = Gateway::start(&setup.configuration(upstream.address));
        let user = |user: &str| gateway.send("GET", target, &[("Authorization", user)], b"");
        thread::scope(|scope| {
            let held: Vec<_> = (0..CLIENTS * PER_CLIENT)
                .map(|number| {
                    let name = format!("user-{}", number % CLIENTS);
                    scope.spawn(move || user(&name).status)
                })
                .collect();
            eventually("all places are taken", || (asked.load(Ordering::SeqCst) == CLIENTS * PER_CLIENT).then_some(()));
            for name in ["user-0", "user-9"] {
                assert_shed(&user(name));
            }
            assert_eq!(gateway.get("/other?limit=5").status, 200, "another route has its own places");
            release.open();
            assert!(held.into_iter().all(|client| client.join().expect("it does not panic") == 200), "{target}");
        });
        let (release, now) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let (gate, count, items) = (release.clone(), Arc::clone(&now), serve(users(60)));
        upstream.answer(move |exchange| {
            if exchange.request.header("authorization") == Some("greedy") {
                count.fetch_add(1, Ordering::SeqCst);
                gate.wait();
            }
            items(exchange)
        });
        thread::scope(|scope| {
            let held: Vec<_> = (0..PER_CLIENT).map(|_| scope.spawn(|| user("greedy").status)).collect();
            eventually("the client has its places", || (now.load(Ordering::SeqCst) == PER_CLIENT).then_some(()));
            let refused = user("greedy");
            assert_eq!(refused.outcome(), "429 rate_limited", "{target}");
            assert_eq!(refused.header("retry-after"), Some("1"), "{target}");
            assert_eq!(user("modest").status, 200, "{target}");
            release.open();
            assert!(held.into_iter().all(|client| client.join().expect("it does not panic") == 200), "{target}");
        });
        for _ in 0..10 {
            assert_eq!(user("greedy").status, 200, "{target}: every place is given back");
        }
    }
}

/// While two thousand clients request pages of 1 MB and read them very slowly, memory stays within the budget. All
/// clients beyond it are refused, and other routes are served. The measured times are printed.
///
/// Row: A18, F54, F66
#[test]
fn two_thousand_slow_readers_leave_room_for_others() {
    const CROWD: usize = 2_000;
    const PAGE: usize = 1 << 20;
    let padding = "x".repeat(PAGE / 5);
    let large = serve((1..=5).map(|id| format!(r#"{{"id":{id},"name":"{padding}"}}"#)).collect());
    let small = serve(users(60));
    let upstream = Upstream::start(move |exchange| match exchange.request.parameter("large") {
        Some(_) => large(exchange),
        None => small(exchange),
    });
    let more = "[server]\nmemory = \"192MiB\"\nconnections = 1024\n\
                [routes.other]\npath = \"/other\"\nupstream = \"legacy\"\naction = \"forward\"";
    let gateway = Gateway::start(&Setup { more, ..PLAIN }.configuration(upstream.address));
    let (mut readers, mut delays, mut others) = (Vec::with_capacity(CROWD), Vec::new(), Vec::new());
    let mut byte = [0; 1];
    for number in 0..CROWD {
        let mut reader = gateway.connect();
        let began = now();
        reader.send(b"GET /users?limit=5&large=1 HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is sent");
        let mut head = [0; 12];
        reader.stream().read_exact(&mut head).expect("a response");
        match &head {
            b"HTTP/1.1 503" => delays.push(began.elapsed()),
            b"HTTP/1.1 200" => readers.push(reader),
            head => panic!("{}", String::from_utf8_lossy(head)),
        }
        // Each reader reads a byte now and then. A client that is slower than the minimum rate is disconnected after a
        // while, which makes room for others.
        for reader in readers.iter().skip(number % 16).step_by(16) {
            let _ = reader.stream().read(&mut byte);
        }
        if number % 20 == 0 {
            let began = now();
            assert_eq!(gateway.get("/other?limit=5").status, 200, "another route, after {number} clients");
            others.push(began.elapsed());
        }
    }
    let peak = gateway.peak_memory();
    delays.sort_unstable();
    others.sort_unstable();
    println!(
        "{} of {CROWD} clients have pages, {} were refused; {} MiB at most. Refused after {:?}, the slowest {:?}; \
         another route answers in {:?}, the slowest {:?}",
        readers.len(),
        delays.len(),
        peak >> 20,
        delays[delays.len() / 2],
        delays[delays.len() - 1],
        others[others.len() / 2],
        others[others.len() - 1],
    );
    assert!(peak < MEMORY + BESIDE, "{peak} bytes at most");
    assert!(readers.len() >= 16 && !delays.is_empty(), "{} clients have pages", readers.len());
    drop(readers);
    eventually("all of it is given back", || (metric(&gateway, "cursorgate_memory_bytes") == 0).then_some(()));
    assert_eq!(gateway.get("/users?limit=5&large=1").status, 200);
}
