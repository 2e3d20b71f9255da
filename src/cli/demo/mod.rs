//! `cursorgate demo`: a legacy API and the gateway in front of it, in one process.

mod people;
mod upstream;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{Failure, keygen::new_key, logging, report, run};
use crate::{
    config::{self, Environment, settings::Settings},
    gateway::{
        Snapshot,
        lifecycle::{live::Live, process::Vitals},
        runtime::sockets::Sockets,
        server::admission::Admission,
    },
};

/// The configuration of the demo, whose addresses are replaced.
const CONFIGURATION: &str = include_str!("../../../config/demo.toml");

/// The address of the gateway in that configuration.
const WRITTEN_LISTENER: &str = "127.0.0.1:8080";

/// The address of the legacy API in that configuration.
const WRITTEN_UPSTREAM: &str = "127.0.0.1:8081";

/// The ports that are tried.
const PORTS: std::ops::Range<u16> = 8_080..8_180;

/// The number of attempts to reach the gateway after its start, and the pause between them.
const TRIES: usize = 250;
const PAUSE: Duration = Duration::from_millis(20);

/// The time that an answer of the demo may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs both until a signal ends them.
pub(super) fn run(listen: Option<SocketAddr>) -> Result<(), Failure> {
    let address = match listen {
        Some(address) => address,
        None => free_port()?,
    };
    let upstream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let text = configuration(address, upstream);
    let (settings, diagnostics) = config::load_text("demo.toml", &text, &KeyOfThisRun(new_key()?));
    let run::Built { settings, snapshot, .. } = run::compile(settings, diagnostics)?;
    let vitals = Vitals::default();
    let log = logging::begin(settings.log, Arc::clone(vitals.log()))?;
    log.ends(serve(settings, snapshot, &vitals, address, upstream))
}

fn serve(
    settings: Settings,
    snapshot: Snapshot,
    vitals: &Vitals,
    address: SocketAddr,
    upstream: SocketAddr,
) -> Result<(), Failure> {
    let clients = Admission::new(run::places(&settings.server));
    let live = Arc::new(Live::new(snapshot));
    let mut servers = run::servers(&settings, &live, (vitals, &clients, &run::ids()?), Sockets::default())?;
    servers.companion.add_service(upstream::service(upstream));
    std::thread::spawn(move || {
        let text = match introduction(address, upstream) {
            Ok(text) => text,
            Err(error) => format!("the gateway on {address} does not answer: {error}\n"),
        };
        // A closed standard output is no failure.
        let _ = report::output(&text);
    });
    run::serve(servers, vitals, settings, &live, None)
}

/// The configuration with the addresses of this run.
fn configuration(address: SocketAddr, upstream: SocketAddr) -> String {
    CONFIGURATION
        .replace(WRITTEN_LISTENER, "{listener}")
        .replace(WRITTEN_UPSTREAM, &upstream.to_string())
        .replace("{listener}", &address.to_string())
}

/// The first free port from 8080 on.
fn free_port() -> Result<SocketAddr, Failure> {
    let mut candidates = PORTS.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    candidates.find(|address| TcpListener::bind(address).is_ok()).ok_or_else(|| {
        let message = format!("no port from {} to {} is free: say --listen ADDRESS", PORTS.start, PORTS.end - 1);
        Failure::failed(message)
    })
}

/// The key of this run, and no file.
struct KeyOfThisRun(String);

impl Environment for KeyOfThisRun {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "CURSORGATE_KEY").then(|| self.0.clone())
    }

    fn read(&self, _path: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Returns the text that is printed once the gateway answers: three commands to paste, of which the second continues the
/// first.
fn introduction(address: SocketAddr, upstream: SocketAddr) -> std::io::Result<String> {
    // The gateway would find its upstream unhealthy, and say so, if it were asked before that listens.
    ask(upstream, "/users?page=1&limit=1")?;
    let first = "/users?limit=3";
    let body = ask(address, first)?;
    let page: serde_json::Value = serde_json::from_str(&body)?;
    let next = page.pointer("/links/next").and_then(serde_json::Value::as_str);
    let next = next.ok_or_else(|| std::io::Error::other("the first page has no next link"))?;
    Ok(format!(
        "A legacy API with {} users by page= and limit= is on {upstream}; cursorgate is in front of it.\n\n\
         The first page, by cursor:\n\n  curl -i 'http://{address}{first}'\n\n\
         The page after it, wherever it has moved to:\n\n  curl '{next}'\n\n\
         What old clients get, as ever, with a word about when that ends:\n\n  \
         curl -i 'http://{address}/users?page=2&limit=3'\n\n\
         Ctrl-C ends both.\n\n",
        people::COUNT
    ))
}

/// The body of an answer, once the server at this address answers.
fn ask(address: SocketAddr, target: &str) -> std::io::Result<String> {
    let mut tries = 0;
    loop {
        match ask_once(address, target) {
            Err(_) if tries < TRIES => tries += 1,
            answered => return answered,
        }
        std::thread::sleep(PAUSE);
    }
}

fn ask_once(address: SocketAddr, target: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        Some((head, _)) => Err(std::io::Error::other(head.lines().next().unwrap_or_default().to_owned())),
        None => Err(std::io::Error::other("this is no HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_the_run_are_in_its_configuration() {
        let text = configuration("127.0.0.1:8081".parse().unwrap(), "127.0.0.1:9".parse().unwrap());
        assert!(text.contains("address = \"127.0.0.1:8081\""));
        assert!(text.contains("public_url = \"http://127.0.0.1:8081\""));
        assert!(text.contains("peers = [\"127.0.0.1:9\"]"));
    }

    #[test]
    fn the_configuration_has_no_fault() {
        let key = KeyOfThisRun(new_key().unwrap());
        for text in
            [CONFIGURATION.to_owned(), configuration("[::1]:9".parse().unwrap(), "127.0.0.1:1".parse().unwrap())]
        {
            let (settings, diagnostics) = config::load_text("demo.toml", &text, &key);
            assert_eq!(diagnostics.counts(), (0, 0), "{}", diagnostics.render(false));
            assert!(run::compile(settings, diagnostics).is_ok());
        }
    }
}
