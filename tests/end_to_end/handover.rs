//! Tests of processes that follow one another: successors that take over the listening sockets, sockets and
//! notifications of a service manager, and two processes at one address.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::net::UnixDatagram,
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use command_fds::{CommandFdExt as _, FdMapping};

use crate::harness::{
    Directory, eventually,
    gateway::{Gateway, command, free_port, is_running, signal},
    http,
    list::{PLAIN, Setup, serve, users},
    upstream::{Gate, Upstream},
};

/// Clients that walk the list again and again. Half of the clients keep one connection, and the other half open a
/// connection for each page.
struct Walkers<'t> {
    address: SocketAddr,
    ended: &'t AtomicBool,
    walks: [AtomicUsize; 4],
}

impl Walkers<'_> {
    fn walk(&self, walker: usize) {
        while !self.ended.load(Ordering::Relaxed) {
            let mut connection = None;
            let mut target = Some("/users?limit=7".to_owned());
            let mut seen = Vec::new();
            while let Some(asked) = target.filter(|_| !self.ended.load(Ordering::Relaxed)) {
                let mut here = connection.take().unwrap_or_else(|| connect(self.address));
                let page = here.request("GET", &asked, &[], b"").unwrap_or_else(|fault| panic!("{asked}: {fault}"));
                assert_eq!(page.outcome(), "200", "{asked}: {page:?}");
                let json = page.json();
                seen.extend(json["data"].as_array().expect("items").iter().map(|item| item["id"].as_u64()));
                target = page.link("next");
                if walker.is_multiple_of(2) && page.header("connection") != Some("close") {
                    connection = Some(here);
                }
            }
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            assert_eq!(seen, (1..=60).map(Some).collect::<Vec<_>>());
            self.walks[walker].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until each client has begun and ended more walks.
    fn go_on(&self) {
        let before = self.walks.each_ref().map(|walks| walks.load(Ordering::Relaxed));
        eventually("all clients walk on", || {
            self.walks
                .iter()
                .zip(before)
                .all(|(walks, before)| walks.load(Ordering::Relaxed) > before + 1)
                .then_some(())
        });
    }
}

fn connect(address: SocketAddr) -> http::Connection {
    http::Connection::open(address).expect("a listener")
}

/// Ends the clients when it is dropped, even by a failed assertion. Otherwise the scope of the threads would wait
/// forever.
struct EndOnDrop<'flag>(&'flag AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `change` while clients walk.
fn under_load(address: SocketAddr, change: impl FnOnce(&Walkers<'_>)) {
    let ended = AtomicBool::new(false);
    let walkers = Walkers { address, ended: &ended, walks: Default::default() };
    thread::scope(|scope| {
        let end = EndOnDrop(&ended);
        for walker in 0..walkers.walks.len() {
            let walkers = &walkers;
            scope.spawn(move || walkers.walk(walker));
        }
        walkers.go_on();
        change(&walkers);
        drop(end);
    });
}

/// No request fails while three successors in a row take over under load.
///
/// Row: F47
#[test]
fn successors_lose_no_request() {
    let upstream = Upstream::start(serve(users(60)));
    let mut gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    under_load(gateway.public, |walkers| {
        for _ in 0..3 {
            let before = gateway.succeed();
            walkers.go_on();
            eventually("the process before leaves", || (!is_running(before)).then_some(()));
            assert!(gateway.is_healthy(), "the admin listener is the successor's");
        }
    });
    assert!(gateway.ended().success(), "{}", gateway.log().join("\n"));
    gateway.signal("TERM");
    let last = gateway.process();
    eventually("the last one ends too", || (!is_running(last)).then_some(()));
}

/// A request in flight is answered by the process that received it. A kept connection to the process before ends with
/// its next request.
///
/// Row: F47
#[test]
fn the_old_process_finishes_its_requests_after_a_handover() {
    let (asked, release) = (Gate::default(), Gate::default());
    let (entered, gate, listed) = (asked.clone(), release.clone(), serve(users(60)));
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.parameter("slow").is_some() {
            entered.open();
            gate.wait();
        }
        listed(exchange)
    });
    let mut gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let (mut slow, mut kept) = (gateway.connect(), gateway.connect());
    assert_eq!(kept.request("GET", "/users", &[], b"").expect("a response").header("connection"), Some("keep-alive"));
    slow.send(b"GET /users?slow=1 HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is sent");
    asked.wait();
    let before = gateway.succeed();
    assert_eq!(gateway.get("/users").outcome(), "200", "the successor serves");
    let page = kept.request("GET", "/users", &[], b"").expect("a kept connection is answered");
    assert_eq!((page.status, page.header("connection")), (200, Some("close")), "{page:?}");
    assert!(is_running(before), "with a request in hand");
    release.open();
    assert_eq!(slow.response("GET").expect("it is answered").outcome(), "200");
    eventually("it leaves", || (!is_running(before)).then_some(()));
}

/// A successor with a faulty configuration or an unavailable address is reported, and the process before it continues
/// to serve.
///
/// Row: F67
#[test]
fn a_successor_that_fails_changes_nothing() {
    let upstream = Upstream::start(serve(users(60)));
    let mut gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let good = gateway.configuration();
    under_load(gateway.public, |walkers| {
        for fault in ["nonsense = = 1", "[listeners.other]\naddress = \"192.0.2.1:1\""] {
            gateway.rewrite_raw(&format!("{good}\n{fault}"));
            let told = gateway.log().iter().filter(|line| line.contains("no successor")).count();
            gateway.signal("USR2");
            eventually("the fault is reported", || {
                (gateway.log().iter().filter(|line| line.contains("no successor")).count() > told).then_some(())
            });
            let line = gateway.log().into_iter().rfind(|line| line.contains("no successor")).expect("it was there");
            assert!(line.contains("it ended before it could serve (exit status: "), "{line}");
            walkers.go_on();
        }
        assert!(gateway.runs() && gateway.is_healthy());
        gateway.rewrite_raw(&good);
        gateway.succeed();
        walkers.go_on();
    });
}

/// A process that gets listening sockets and a socket for notifications, as from systemd.
struct Unit {
    child: Guarded,
    public: TcpListener,
    notifications: UnixDatagram,
    directory: Directory,
}

impl Unit {
    fn new(configuration: impl Fn(SocketAddr) -> String) -> Self {
        let directory = Directory::new();
        let public = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = public.local_addr().expect("it is bound");
        std::fs::write(directory.file("cursorgate.toml"), configuration(address)).expect("a file of the test");
        let notifications = UnixDatagram::bind(directory.file("notify")).expect("a socket of the test");
        notifications.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
        let child = spawn(&directory, &public);
        Self { child, public, notifications, directory }
    }

    fn notified(&self) -> String {
        let mut bytes = [0; 512];
        let length = self.notifications.recv(&mut bytes).expect("a notification");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }
}

/// A process that is killed at the end of the test.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(directory: &Directory, public: &TcpListener) -> Guarded {
    spawn_with(directory, public, &[])
}

/// Starts a process that gets these variables too.
fn spawn_with(directory: &Directory, public: &TcpListener, variables: &[(&str, &str)]) -> Guarded {
    let mapping = FdMapping { parent_fd: public.try_clone().expect("a descriptor").into(), child_fd: 3 };
    let mut command = command();
    command.args(["run", "--config"]).arg(directory.file("cursorgate.toml")).stderr(Stdio::null());
    command.envs(variables.iter().copied()).env("LISTEN_FDS", "1").env("NOTIFY_SOCKET", directory.file("notify"));
    Guarded(command.fd_mappings(vec![mapping]).expect("one descriptor").spawn().expect("the binary under test"))
}

/// A service manager with a watchdog is told again and again that clients are served, also by a successor.
#[test]
fn a_watchdog_is_told_that_clients_are_served() {
    let upstream = Upstream::start(serve(users(60)));
    let mut unit = Unit::new(|address| {
        let list = Setup { ..PLAIN }.configuration(upstream.address);
        format!(
            "version = 1\nlisteners.public = {{ address = \"{address}\" }}\n\
             cursor = {{ signing_key = 1, keys = {{ 1 = \"env:CURSORGATE_KEY_1\" }} }}\n\
             defaults = {{ old_clients = \"none\" }}\n{list}"
        )
    });
    assert_eq!(unit.notified(), "READY=1\n");
    signal(unit.child.0.id(), "TERM");
    assert_eq!(unit.notified(), "STOPPING=1\n", "without WATCHDOG_USEC no beat is told");
    assert!(unit.child.0.wait().expect("it is our child").success());
    let another = std::process::id().to_string();
    unit.child =
        spawn_with(&unit.directory, &unit.public, &[("WATCHDOG_USEC", "40000000"), ("WATCHDOG_PID", &another)]);
    let told = |line: &str| eventually(line, || (unit.notified() == line).then_some(()));
    told("READY=1\n");
    for _ in 0..2 {
        told("WATCHDOG=1\n");
    }
}

/// The socket of a service manager outlives the process: connections wait for the next process. The service manager is
/// notified of each state.
#[test]
fn a_service_manager_keeps_the_sockets_and_is_notified() {
    let upstream = Upstream::start(serve(users(60)));
    let mut unit = Unit::new(|address| {
        let list = Setup { ..PLAIN }.configuration(upstream.address);
        format!(
            "version = 1\nlisteners.public = {{ address = \"{address}\" }}\n\
             cursor = {{ signing_key = 1, keys = {{ 1 = \"env:CURSORGATE_KEY_1\" }} }}\n\
             defaults = {{ old_clients = \"none\" }}\n{list}"
        )
    });
    let address = unit.public.local_addr().expect("it is bound");
    assert_eq!(unit.notified(), "READY=1\n");
    assert_eq!(http::get(address, "/users").outcome(), "200");

    signal(unit.child.0.id(), "HUP");
    let reloading = unit.notified();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(unit.notified(), "READY=1\n");

    signal(unit.child.0.id(), "TERM");
    assert_eq!(unit.notified(), "STOPPING=1\n");
    assert!(unit.child.0.wait().expect("it is our child").success());
    let mut waits = connect(address);
    waits.send(b"GET /users HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("the queue takes it");
    unit.child = spawn(&unit.directory, &unit.public);
    assert_eq!(waits.response("GET").expect("the next process answers").outcome(), "200");
    assert_eq!(unit.notified(), "READY=1\n");

    // The process that systemd listens to reports the successor, which serves after that.
    signal(unit.child.0.id(), "USR2");
    let told = unit.notified();
    let successor = told.strip_prefix("MAINPID=").and_then(|id| id.trim().parse::<u32>().ok());
    let successor = successor.unwrap_or_else(|| panic!("{told}"));
    assert_eq!(unit.notified(), "READY=1\n");
    assert!(unit.child.0.wait().expect("it is our child").success());
    assert_eq!(http::get(address, "/users").outcome(), "200");
    signal(successor, "TERM");
    assert_eq!(unit.notified(), "STOPPING=1\n");
    eventually("it ends", || (!is_running(successor)).then_some(()));
}

/// A new process can be started at the address before the old one is stopped.
#[test]
fn two_processes_share_an_address_with_reuse_port() {
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup { more: "[server]\nreuse_port = true\ndrain_delay = \"2s\"", ..PLAIN };
    let mut gateway = Gateway::start(&setup.configuration(upstream.address));
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    // The process must outlive the clients, so it is stored outside of the closure.
    let mut next = None;
    under_load(gateway.public, |walkers| {
        let mut command = command();
        command.args(["run", "--admin", &own.to_string(), "--config"]).arg(gateway.file("cursorgate.toml"));
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary under test");
        next = Some(Guarded(process));
        eventually("the next one is ready", || {
            let mut connection = http::Connection::open(own).ok()?;
            let ready = connection.request("GET", "/readyz", &[], b"").ok()?;
            (ready.status == 200).then_some(())
        });
        gateway.signal("TERM");
        assert!(gateway.ended().success());
        walkers.go_on();
    });
    drop(next);
}
