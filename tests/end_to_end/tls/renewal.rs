//! Tests of the certificates of listeners: chosen by name, and renewed while clients connect and disconnect.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

use super::{
    authority::{ALWAYS, Authority, Identity},
    client::Caller,
};
use crate::harness::{
    Directory, eventually,
    gateway::{Gateway, free_port},
    http,
    list::{PLAIN, serve, users},
    upstream::Upstream,
};

/// A gateway with a TLS listener.
struct Renewing {
    gateway: Gateway,
    secure: SocketAddr,
    _upstream: Upstream,
}

/// Starts a gateway whose second listener has this `tls`.
fn with_tls(tls: &str) -> Renewing {
    let upstream = Upstream::start(serve(users(3)));
    let secure = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let listener = format!("[listeners.secure]\naddress = \"{secure}\"\n{tls}\n");
    let gateway = Gateway::start(&format!("{}{listener}", PLAIN.configuration(upstream.address)));
    Renewing { gateway, secure, _upstream: upstream }
}

fn pair(files: &(PathBuf, PathBuf)) -> String {
    let (certificate, key) = files;
    format!("certificate = {certificate:?}\nkey = \"file:{}\"\n", key.display())
}

#[test]
fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() {
    let folder = Directory::new();
    let root = Authority::new("root");
    let ca = root.file(&folder, "ca.pem");
    let files = |names: &[&str]| pair(&root.issue(names, ALWAYS).files(&folder, &names[0].replace('*', "any")));
    let mut tls = format!("[listeners.secure.tls]\n{}", files(&["api.test"]));
    for (name, names) in [
        ("shop", &["shop.test", "www.shop.test"][..]),
        ("wild", &["*.wild.test"]),
        ("exact", &["a.wild.test"]),
        // Of two certificates with the same name, the first one is used.
        ("again", &["again.test", "shop.test"]),
    ] {
        let _ = write!(tls, "[listeners.secure.tls.certificates.{name}]\n{}", files(names));
    }
    let served = with_tls(&tls);
    for (asked, shown) in [
        (Some("api.test"), "api.test"),
        (Some("shop.test"), "shop.test"),
        (Some("WWW.Shop.test"), "shop.test"),
        (Some("again.test"), "again.test"),
        (Some("b.wild.test"), "*.wild.test"),
        (Some("a.wild.test"), "a.wild.test"),
        (Some("b.c.wild.test"), "api.test"),
        (Some("wild.test"), "api.test"),
        (Some("other.test"), "api.test"),
        (None, "api.test"),
    ] {
        let caller = Caller { name: asked, ..Caller::new(&ca, "") };
        assert_eq!(caller.shown(served.secure), shown, "{asked:?}");
    }
}

/// Clients that send requests continuously: some open a connection for each request, and the others reuse one.
struct Load {
    ended: Arc<AtomicBool>,
    /// The numbers of answers: over new connections, and over kept ones.
    counts: Arc<[AtomicUsize; 2]>,
    failed: Arc<Mutex<Vec<String>>>,
    serials: Arc<Mutex<BTreeSet<String>>>,
    workers: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(address: SocketAddr, ca: &Path) -> Self {
        let ended = Arc::<AtomicBool>::default();
        let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let (failed, serials) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<BTreeSet<String>>>::default());
        let worker = |stays: bool| {
            let (ended, counts, failed, serials) =
                (Arc::clone(&ended), Arc::clone(&counts), Arc::clone(&failed), Arc::clone(&serials));
            let ca = ca.to_owned();
            thread::spawn(move || {
                let mut kept = None;
                while !ended.load(Ordering::SeqCst) {
                    let result = Caller::new(&ca, "api.test").connect(address);
                    let mut fresh = match (kept.take(), result) {
                        (Some(kept), _) if stays => kept,
                        (_, Ok(fresh)) => fresh,
                        (_, Err(error)) => {
                            failed.lock().expect("no panic").push(error);
                            continue;
                        }
                    };
                    serials.lock().expect("no panic").insert(fresh.serial());
                    match fresh.get("/users?limit=1", "") {
                        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => {
                            counts[usize::from(stays)].fetch_add(1, Ordering::SeqCst);
                        }
                        Ok(other) | Err(other) => failed.lock().expect("no panic").push(other),
                    }
                    kept = Some(fresh);
                }
            })
        };
        let workers = [false, false, true, true].map(worker).into();
        Self { ended, counts, failed, serials, workers }
    }

    /// Waits until both kinds of clients have received more than 25 more answers.
    fn goes_on(&self) {
        let before = [0, 1].map(|kind: usize| self.counts[kind].load(Ordering::SeqCst));
        eventually("both kinds of clients are answered", || {
            let goes_on = |kind: usize| self.counts[kind].load(Ordering::SeqCst) > before[kind] + 25;
            (goes_on(0) && goes_on(1)).then_some(())
        });
    }

    fn end(self) -> (Vec<String>, usize, [usize; 2]) {
        self.ended.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.join().expect("no panic");
        }
        let counts = [0, 1].map(|kind: usize| self.counts[kind].load(Ordering::SeqCst));
        let failed = self.failed.lock().expect("no panic").clone();
        (failed, self.serials.lock().expect("no panic").len(), counts)
    }
}

/// Waits until new clients get another certificate than the one with the serial number `before`. Returns the new serial
/// number.
fn until_renewed(address: SocketAddr, ca: &Path, before: &str) -> String {
    eventually("the certificate is renewed", || {
        let serial = Caller::new(ca, "api.test").connect(address).expect("a handshake").serial();
        (serial != before).then_some(serial)
    })
}

/// Writes a certificate and its key as Kubernetes does: into a new folder for each version, to which a link is switched
/// atomically.
fn switch(folder: &Path, version: u32, identity: &Identity) {
    let (name, link) = (format!("..version_{version}"), folder.join("..data_tmp"));
    std::fs::create_dir(folder.join(&name)).expect("a folder");
    let (chain, key) = identity.pem();
    std::fs::write(folder.join(&name).join("tls.crt"), chain).expect("a file");
    std::fs::write(folder.join(&name).join("tls.key"), key).expect("a file");
    symlink(&name, &link).expect("a link");
    std::fs::rename(&link, folder.join("..data")).expect("a link");
}

/// No request fails while certificates are renewed, by a switched link, by renamed files, or by a signal.
///
/// Row: F04
#[test]
fn renewed_certificates_fail_no_client() {
    let directory = Directory::new();
    let folder = directory.file("secret");
    std::fs::create_dir(&folder).expect("a folder");
    let root = Authority::new("root");
    let ca = root.file(&directory, "ca.pem");
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let issue = || root.issue(&["api.test"], ALWAYS);
    switch(&folder, 1, &issue());
    symlink("..data/tls.crt", &certificate).expect("a link");
    symlink("..data/tls.key", &key).expect("a link");
    let served = with_tls(&format!("[listeners.secure.tls]\n{}", pair(&(certificate.clone(), key.clone()))));
    let load = Load::start(served.secure, &ca);
    load.goes_on();
    let first = Caller::new(&ca, "api.test").connect(served.secure).expect("a handshake").serial();

    // A link is switched.
    switch(&folder, 2, &issue());
    let second = until_renewed(served.secure, &ca, &first);
    load.goes_on();

    // Files are renamed into place one by one.
    let (chain, private) = issue().pem();
    for (path, bytes) in [(&certificate, chain), (&key, private)] {
        let draft = path.with_extension("draft");
        std::fs::write(&draft, bytes).expect("a file");
        std::fs::rename(&draft, path).expect("a file");
    }
    let third = until_renewed(served.secure, &ca, &second);
    load.goes_on();

    // Files are written in place, and a signal makes the gateway read them.
    let (chain, private) = issue().pem();
    std::fs::write(&certificate, chain).expect("a file");
    std::fs::write(&key, private).expect("a file");
    served.gateway.signal("HUP");
    until_renewed(served.secure, &ca, &third);
    load.goes_on();

    let (failed, serials, counts) = load.end();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(serials >= 3, "{serials} certificates were seen");
    println!("answered on new connections and on kept ones: {counts:?}");
}

/// Returns a member of the only certificate in `/certificates`, the report for operators.
fn seen(gateway: &Gateway, member: &str) -> Value {
    let all: Value = serde_json::from_str(http::get(gateway.admin, "/certificates").text()).expect("JSON");
    assert_eq!(all["certificates"].as_array().map(Vec::len), Some(1), "{all}");
    all["certificates"][0][member].clone()
}

/// A certificate and key that can't be used are reported, and the previous ones stay in use.
///
/// Row: F04
#[test]
fn an_unusable_pair_leaves_the_previous_one_in_force() {
    let folder = Directory::new();
    let root = Authority::new("root");
    let ca = root.file(&folder, "ca.pem");
    let files = root.issue(&["api.test"], ALWAYS).files(&folder, "api");
    let served = with_tls(&format!("[listeners.secure.tls]\n{}", pair(&files)));
    let shown = || Caller::new(&ca, "api.test").connect(served.secure).expect("a handshake").serial();
    let first = shown();
    assert_eq!(seen(&served.gateway, "fault"), Value::Null);
    assert_eq!(seen(&served.gateway, "hosts"), serde_json::json!(["api.test"]));
    let failures = "cursorgate_certificate_renewals_total{result=\"failed\"}";
    let in_use = "cursorgate_certificate_in_use{name=\"listeners.secure.tls\",role=\"own\"}";
    assert_eq!((served.gateway.metric(failures), served.gateway.metric(in_use)), (Some(0), Some(1)));

    let (_, stranger) = root.issue(&["api.test"], ALWAYS).pem();
    std::fs::write(&files.1, stranger).expect("a file");
    eventually("the fault is counted", || (served.gateway.metric(failures)? == 1).then_some(()));
    assert_eq!(served.gateway.metric(in_use), Some(0));
    let fault = seen(&served.gateway, "fault");
    assert!(fault.as_str().is_some_and(|fault| fault.contains("does not belong to the certificate")), "{fault}");
    let is_said = |line: &String| line.contains("certificate not renewed") && line.contains("listeners.secure.tls");
    eventually("the fault is in the log", || served.gateway.log().iter().any(is_said).then_some(()));
    assert_eq!(shown(), first);

    // A reload of the whole configuration has the same result, and changes nothing.
    served.gateway.signal("HUP");
    let reloaded = "cursorgate_config_last_reload_successful";
    eventually("the reload fails", || (served.gateway.metric(reloaded)? == 0).then_some(()));
    assert_eq!(shown(), first);

    let (chain, key) = root.issue(&["api.test"], ALWAYS).pem();
    std::fs::write(&files.0, chain).expect("a file");
    std::fs::write(&files.1, key).expect("a file");
    let second = until_renewed(served.secure, &ca, &first);
    assert_ne!(first, second);
    eventually("the fault is over", || seen(&served.gateway, "fault").is_null().then_some(()));
    assert_eq!(served.gateway.metric("cursorgate_certificate_renewals_total{result=\"renewed\"}"), Some(1));
    assert_eq!(served.gateway.metric(in_use), Some(1));
    assert!(served.gateway.log().iter().all(|line| !line.contains("PRIVATE KEY")));
}
