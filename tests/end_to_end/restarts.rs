//! Tests of clients that walk a collection while the gateway is reloaded, gets other keys and certificates, and hands
//! over to successors, and while two processes are restarted in turn. Only requests that the upstream refuses fail, and
//! no item is skipped or repeated. The short form runs with all tests, the long form with `make restarts`.

mod balancer;

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use self::balancer::Balancer;
use crate::{
    harness::{
        Directory, PATIENCE, eventually,
        gateway::{Gateway, free_port, is_running},
        http::Connection,
        list::{PLAIN, Setup, serve, users},
        upstream::Upstream,
    },
    listeners::ask,
    tls::authority::{ALWAYS, Authority},
};

const NAME: &str = "api.test";
const ITEMS: usize = 60;
/// The upstream refuses each request whose number is a multiple of this one.
const REFUSED: usize = 97;

/// The number of times that each kind of change happens in a run.
#[derive(Clone, Copy)]
struct Plan {
    reloads: usize,
    rotations: usize,
    successors: usize,
    certificates: usize,
    /// Restarts of both processes, one after the other.
    rolling_restarts: usize,
}

/// The way in which a client connects.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Kept,
    NewEachTime,
    NewOverTls,
}

/// The results of all clients of a run.
#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    refused_by_upstream: AtomicUsize,
    walks: [AtomicUsize; 5],
    faults: Mutex<Vec<String>>,
    ended: AtomicBool,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let walks: usize = self.walks.iter().map(count).sum();
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(formatter, "  walks from the first item to the last: {walks}, items: {}", walks * ITEMS)?;
        writeln!(formatter, "  requests: {}", count(&self.requests))?;
        writeln!(formatter, "  failed by the upstream itself, and sent again: {}", count(&self.refused_by_upstream))?;
        write!(formatter, "  failed otherwise, or with an item skipped or repeated: {}", faults.len())?;
        faults.iter().take(20).try_for_each(|fault| write!(formatter, "\n    {fault}"))
    }
}

/// A page as a client reads it.
struct Page {
    outcome: String,
    ids: Vec<u64>,
    next: Option<String>,
}

/// The clients of one run.
struct Clients<'r> {
    plain: SocketAddr,
    secure: Option<SocketAddr>,
    authority: PathBuf,
    counts: &'r Counts,
}

impl Clients<'_> {
    /// Walks again and again until the run ends. After a fault, which is recorded, the next walk begins.
    fn walk(&self, walker: usize, manner: Manner) {
        let mut kept = None;
        while !self.counts.ended.load(Ordering::Relaxed) {
            match self.walk_once(manner, &mut kept) {
                Ok(()) => _ = self.counts.walks[walker].fetch_add(1, Ordering::Relaxed),
                Err(fault) => {
                    let mut faults = self.counts.faults.lock().unwrap_or_else(PoisonError::into_inner);
                    faults.push(format!("{manner:?}: {fault}"));
                    // The connection may contain the rest of an answer, so the next walk opens another.
                    kept = None;
                }
            }
        }
    }

    fn walk_once(&self, manner: Manner, kept: &mut Option<Connection>) -> Result<(), String> {
        let mut target = "/users?limit=7".to_owned();
        let mut seen = Vec::new();
        loop {
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            let page = self.page(manner, kept, &target).map_err(|fault| format!("{target}: {fault}"))?;
            match page.outcome.as_str() {
                "200" => {}
                "502 upstream_unavailable" => {
                    self.counts.refused_by_upstream.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                outcome => return Err(format!("{target}: {outcome}")),
            }
            seen.extend(page.ids);
            match page.next {
                Some(next) => target = next,
                None => break,
            }
        }
        let all = (1..=ITEMS as u64).collect::<Vec<_>>();
        if seen == all { Ok(()) } else { Err(format!("items {seen:?}")) }
    }

    fn page(&self, manner: Manner, kept: &mut Option<Connection>, target: &str) -> Result<Page, String> {
        let response = match (manner, self.secure) {
            (Manner::NewOverTls, Some(secure)) => return self.secure_page(secure, target),
            (Manner::Kept, _) => {
                let mut connection = match kept.take() {
                    Some(connection) => connection,
                    None => Connection::open(self.plain).map_err(|fault| fault.to_string())?,
                };
                let response = connection.request("GET", target, &[], b"").map_err(|fault| fault.to_string())?;
                *kept = Some(connection);
                response
            }
            _ => {
                let mut connection = Connection::open(self.plain).map_err(|fault| fault.to_string())?;
                connection.request("GET", target, &[], b"").map_err(|fault| fault.to_string())?
            }
        };
        let ids = if response.status == 200 { ids(&response.body) } else { Vec::new() };
        Ok(Page { outcome: response.outcome(), ids, next: response.link("next") })
    }

    fn secure_page(&self, address: SocketAddr, target: &str) -> Result<Page, String> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("OpenSSL makes clients");
        builder.set_ca_file(&self.authority).expect("a certificate");
        let stream = TcpStream::connect(address).map_err(|fault| fault.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let stream = builder.build().connect(NAME, stream).map_err(|fault| fault.to_string())?;
        let answer = ask(stream, b"", target, "");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        let next = head.lines().find_map(|line| line.strip_prefix("link: "));
        let next = next.and_then(|line| line.split(", ").find(|link| link.contains("rel=\"next\"")));
        let next = next.and_then(|link| Some(link.strip_prefix('<')?.split_once('>')?.0.to_owned()));
        let status = head.split(' ').nth(1).unwrap_or_default();
        let code =
            serde_json::from_str::<serde_json::Value>(body).unwrap_or_default()["code"].as_str().map(str::to_owned);
        let outcome = code.map_or_else(|| status.to_owned(), |code| format!("{status} {code}"));
        Ok(Page { outcome, ids: if status == "200" { ids(body.as_bytes()) } else { Vec::new() }, next })
    }

    /// Waits until each client has begun and ended another walk.
    fn go_on(&self, walkers: usize) {
        let walks = || self.counts.walks.each_ref().map(|walks| walks.load(Ordering::Relaxed));
        let before = walks();
        eventually("all clients walk on", || {
            walks().iter().zip(before).take(walkers).all(|(now, before)| *now > before + 1).then_some(())
        });
    }
}

fn ids(body: &[u8]) -> Vec<u64> {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    body["data"].as_array().into_iter().flatten().filter_map(|item| item["id"].as_u64()).collect()
}

/// Ends the clients when it is dropped, even by a failed assertion. Otherwise the scope of the threads would wait
/// forever.
struct EndOnDrop<'c>(&'c Counts);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

/// Runs `change` while five clients walk, and asserts that no client had a fault other than the upstream's refusals.
fn under_load(name: &str, clients: &Clients<'_>, refused: &AtomicUsize, change: impl FnOnce(&dyn Fn())) {
    let tls = if clients.secure.is_some() { Manner::NewOverTls } else { Manner::Kept };
    let manners = [Manner::Kept, Manner::Kept, Manner::NewEachTime, Manner::NewEachTime, tls];
    thread::scope(|scope| {
        let end = EndOnDrop(clients.counts);
        for (walker, manner) in manners.into_iter().enumerate() {
            scope.spawn(move || clients.walk(walker, manner));
        }
        let go_on = || clients.go_on(manners.len());
        go_on();
        change(&go_on);
        go_on();
        drop(end);
    });
    println!("{name}:\n{}", clients.counts);
    let faults = clients.counts.faults.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(faults.is_empty(), "{faults:#?}");
    let excused = clients.counts.refused_by_upstream.load(Ordering::Relaxed);
    let refused = refused.load(Ordering::Relaxed);
    assert!(
        (1..=refused).contains(&excused),
        "the upstream failed {refused} requests, and {excused} are said to be its"
    );
}

/// Starts an upstream that refuses one in [`REFUSED`] requests. Returns the upstream and the number of its refusals.
fn upstream() -> (Upstream, Arc<AtomicUsize>) {
    let (asked, listed) = (AtomicUsize::new(0), serve(users(ITEMS)));
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    let upstream = Upstream::start(move |exchange| {
        if asked.fetch_add(1, Ordering::Relaxed) % REFUSED == REFUSED - 1 {
            counted.fetch_add(1, Ordering::Relaxed);
            return exchange.reply("500 Internal Server Error", &[], b"");
        }
        listed(exchange)
    });
    (upstream, refused)
}

/// A process with its keys and certificates, and the numbers of changes so far.
struct Changes {
    gateway: Gateway,
    secure: SocketAddr,
    folder: Directory,
    authority: Authority,
    /// The configuration without its keys.
    text: String,
    /// The numbers of the keys; the last one signs.
    keys: Vec<usize>,
    reloads: usize,
    broken: usize,
}

impl Changes {
    fn write(&self, size: usize) {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("{key} = \"file:key-{key}\"")).collect();
        let signing = self.keys.last().expect("one signs");
        let line = format!("cursor = {{ signing_key = {signing}, keys = {{ {} }} }}", keys.join(", "));
        let text = self.text.replace("cursor = {}", &line).replace("default = 20", &format!("default = {size}"));
        self.gateway.rewrite_raw(&text);
    }

    /// Reloads the configuration, and waits until the given result is counted.
    fn reload(&mut self, result: &str) {
        let sample = format!("cursorgate_config_reloads_total{{cause=\"signal\",result=\"{result}\"}}");
        let before = self.gateway.metric(&sample).expect("a sample");
        self.gateway.signal("HUP");
        eventually("it is reloaded", || (self.gateway.metric(&sample)? > before).then_some(()));
        self.reloads += 1;
        self.broken += usize::from(result == "refused");
    }

    fn reload_next(&mut self) {
        let size = 10 + self.reloads % 7;
        match self.reloads % 3 {
            0 | 1 => {
                self.write(size);
                self.reload("in_force");
            }
            _ => {
                let faults = ["order = = 1", "[routes.users]\npath = 1", "[server]\nthreads = \"many\""];
                self.gateway.rewrite_raw(&format!("{}\n{}", self.text, faults[self.broken % faults.len()]));
                self.reload("refused");
                self.write(size);
            }
        }
    }

    /// Rotates the keys of cursors: adds a key that only verifies, lets the new key sign, and removes the old keys once
    /// no client has a cursor of them.
    fn rotate(&mut self, go_on: &dyn Fn()) {
        let next = self.keys.last().map_or(1, |last| last + 1);
        let key = format!("key {next} of the tests, which is long enough to be one");
        std::fs::write(self.gateway.file(&format!("key-{next}")), key).expect("a file of the test");
        let before = std::mem::take(&mut self.keys);
        for keys in [[&[next], &before[..]].concat(), [&before[..], &[next]].concat(), vec![next]] {
            self.keys = keys;
            self.write(20);
            self.reload("in_force");
            go_on();
        }
    }

    /// Renames a new key and then its certificate into place. For a moment, the key belongs to no certificate.
    fn renew_certificate(&self) {
        let before = served_certificate(self.secure);
        let (certificate, key) = self.authority.issue(&[NAME], ALWAYS).files(&self.folder, "next");
        std::fs::rename(key, self.folder.file("api.key")).expect("the same folder");
        std::fs::rename(certificate, self.folder.file("api.crt")).expect("the same folder");
        eventually("the new certificate is served", || (served_certificate(self.secure) != before).then_some(()));
    }

    fn hand_over(&mut self, go_on: &dyn Fn()) {
        let before = self.gateway.succeed();
        go_on();
        eventually("the process before leaves", || (!is_running(before)).then_some(()));
    }
}

/// Returns the certificate that a new client gets, in DER.
fn served_certificate(address: SocketAddr) -> Vec<u8> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("OpenSSL makes clients");
    builder.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(address).expect("it listens");
    let stream = builder.build().connect(NAME, stream).expect("a handshake");
    stream.ssl().peer_certificate().and_then(|certificate| certificate.to_der().ok()).expect("a certificate")
}

fn one_process(plan: Plan) {
    let (folder, authority) = (Directory::new(), Authority::new("root"));
    let (upstream, refused) = upstream();
    let (certificate, key) = authority.issue(&[NAME], ALWAYS).files(&folder, "api");
    let secure = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let listener = format!(
        "listeners.secure = {{ address = \"{secure}\", tls = {{ certificate = {certificate:?}, key = \"file:{}\" }} }}\n",
        key.display()
    );
    let list = PLAIN.configuration(upstream.address);
    let gateway = Gateway::start(&format!("{listener}{list}"));
    let written = gateway.configuration();
    let line = written.lines().find(|line| line.starts_with("cursor = ")).expect("the harness writes it");
    let text = written.replace(line, "cursor = {}");
    let counts = Counts::default();
    let clients = Clients {
        plain: gateway.public,
        secure: Some(secure),
        authority: authority.file(&folder, "ca.pem"),
        counts: &counts,
    };
    let mut changes = Changes { gateway, secure, folder, authority, text, keys: vec![1], reloads: 0, broken: 0 };
    std::fs::write(changes.gateway.file("key-1"), crate::harness::gateway::KEY).expect("a file of the test");
    changes.write(20);
    let name = format!(
        "{} reloads, {} rotations of keys, {} changes of the certificate, {} successors",
        plan.reloads, plan.rotations, plan.certificates, plan.successors
    );
    under_load(&name, &clients, &refused, |go_on| {
        let is_due =
            |index: usize, times: usize| times > 0 && (index + 1).is_multiple_of((plan.reloads / times).max(1));
        let (mut rotations, mut successors, mut certificates) = (0, 0, 0);
        for index in 0..plan.reloads {
            changes.reload_next();
            if rotations < plan.rotations && is_due(index, plan.rotations) {
                changes.rotate(go_on);
                rotations += 1;
            }
            if certificates < plan.certificates && is_due(index, plan.certificates) {
                changes.renew_certificate();
                certificates += 1;
            }
            if successors < plan.successors && is_due(index, plan.successors) {
                changes.hand_over(go_on);
                successors += 1;
            }
        }
        assert_eq!((rotations, successors, certificates), (plan.rotations, plan.successors, plan.certificates));
        println!("  reloads: {}, of which refused: {}", changes.reloads, changes.broken);
    });
}

fn two_processes(plan: Plan) {
    let (upstream, refused) = upstream();
    // The balancer checks a process several times within the drain delay. A client that has to wait on a busy machine
    // also sends its next request within this delay.
    let setup = Setup { more: "[server]\ndrain_delay = \"4s\"", ..PLAIN };
    let configuration = setup.configuration(upstream.address);
    let mut gateways = [Gateway::start(&configuration), Gateway::start(&configuration)];
    let balancer = Balancer::start(gateways.each_ref().map(|gateway| (gateway.public, gateway.admin)));
    let counts = Counts::default();
    let clients = Clients { plain: balancer.address, secure: None, authority: PathBuf::new(), counts: &counts };
    let name = format!("{} rolling restarts of two processes behind a balancer", plan.rolling_restarts);
    under_load(&name, &clients, &refused, |go_on| {
        for _ in 0..plan.rolling_restarts {
            for (index, gateway) in gateways.iter_mut().enumerate() {
                gateway.restart();
                eventually("the balancer sees it", || balancer.is_ready(index).then_some(()));
                go_on();
            }
        }
    });
    let asked: Vec<usize> = gateways.iter().map(|gateway| gateway.access_log().len()).collect();
    println!("  requests of each process: {asked:?}");
    assert!(asked.iter().all(|asked| *asked > 0), "{asked:?}");
}

#[test]
fn clients_notice_no_change() {
    one_process(Plan { reloads: 10, rotations: 1, successors: 1, certificates: 1, rolling_restarts: 0 });
}

/// The long form of the test, which takes some minutes.
#[test]
#[ignore = "make restarts"]
fn clients_notice_no_change_at_length() {
    let plan = Plan { reloads: 200, rotations: 3, successors: 5, certificates: 5, rolling_restarts: 5 };
    one_process(plan);
    two_processes(plan);
}
