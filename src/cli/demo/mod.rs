//! `cursorgate demo`: a legacy API and the gateway in front of it, in one process.

mod people;
mod playground;
mod upstream;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{Failure, keygen::new_key, logging, manual::COMMIT, report, run};
use cursorgate_config::{self as config, Environment, settings::Settings};
use cursorgate_gateway::{
    Snapshot,
    admin::Admin,
    lifecycle::{
        live::Live,
        process::{SignalRuntime, Vitals},
    },
    runtime::sockets::Sockets,
    server::{admission::Admission, connection::Front},
};

/// The configuration of the demo. Its addresses are replaced with the addresses of the run.
const CONFIGURATION: &str = include_str!("../../../config/demo.toml");

/// The address of the gateway in [`CONFIGURATION`].
const WRITTEN_LISTENER: &str = "127.0.0.1:8080";

/// The address of the legacy API in [`CONFIGURATION`].
const WRITTEN_UPSTREAM: &str = "127.0.0.1:8081";

/// The services of the demo: GraphQL with a page for browsers, and live pages. The intervals of live pages are short,
/// because people wait for the changes.
const SERVICES: &str = if cfg!(feature = "services") {
    "\n[services.graphql]\nintrospection = true\npage = true\n\n\
     [services.live]\nroutes = [\"users\"]\ninterval = { min = \"250ms\", max = \"1s\" }\n"
} else {
    ""
};

/// The address of the admin listener in [`CONFIGURATION`].
const WRITTEN_ADMIN: &str = "127.0.0.1:9180";

/// The first port that is tried for the gateway.
const FIRST_PORT: u16 = 8_080;
/// The first port that is tried for the admin listener.
const FIRST_ADMIN_PORT: u16 = 9_180;
/// The largest number of ports that are tried for a listener. If all of them are in use, the demo fails.
const PORTS: u16 = 100;

/// The largest number of retries to reach a server of the demo after its start. After these, the request fails.
const TRIES: usize = 250;
/// The pause between two attempts to reach a server of the demo.
const PAUSE: Duration = Duration::from_millis(20);

/// The longest time for connecting to a server of the demo, and for each read of its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the legacy API and the gateway until a signal ends them.
pub(super) fn run(listen: Option<SocketAddr>) -> Result<(), Failure> {
    let address = match listen {
        Some(address) => address,
        None => free_port(FIRST_PORT)?,
    };
    let upstream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let addresses = DemoAddresses { gateway: address, upstream, admin: free_port(FIRST_ADMIN_PORT)? };
    let text = addresses.configuration();
    let (settings, diagnostics) = config::load_text("demo.toml", &text, &KeyOfThisRun(new_key()?));
    let run::Built { settings, snapshot, .. } = run::compile(settings, diagnostics)?;
    let vitals = Vitals::built_from(COMMIT);
    let log = logging::begin(settings.log, Arc::clone(vitals.log()))?;
    log.ends(serve(settings, snapshot, &vitals, addresses))
}

fn serve(settings: Settings, snapshot: Snapshot, vitals: &Vitals, addresses: DemoAddresses) -> Result<(), Failure> {
    let live = Arc::new(Live::new(snapshot));
    let clients = Admission::new(run::places(&settings.server, &live));
    let ids = run::ids()?;
    let (mut servers, reports) = run::servers(&settings, &live, vitals, &clients, &ids, Sockets::default())?;
    let connections = Arc::clone(&servers.connections);
    let admin = Admin::new(vitals.clone(), Arc::clone(&live), clients, connections, None, reports);
    let front = Front::new(Arc::clone(&live), vitals.clone(), ids, run::operators());
    run::add_admin(&mut servers, &settings, admin, front)?;
    servers.companion.add_service(upstream::service(addresses.upstream));
    std::thread::spawn(move || {
        let text = match introduction(addresses) {
            Ok(text) => text,
            Err(error) => format!("the gateway on {} does not answer: {error}\n", addresses.gateway),
        };
        // The demo keeps running if standard output is closed, so the error is ignored.
        let _ = report::output(&text);
    });
    run::serve(servers, SignalRuntime::begin()?, vitals, settings, &live, None)
}

/// The addresses of a run of the demo.
#[derive(Clone, Copy, Debug)]
struct DemoAddresses {
    gateway: SocketAddr,
    upstream: SocketAddr,
    admin: SocketAddr,
}

impl DemoAddresses {
    /// Returns the configuration with these addresses.
    fn configuration(self) -> String {
        // The gateway's address is filled in last. It may equal the address of the upstream in the file, which would
        // then be replaced too. Test: `the_addresses_of_the_run_are_in_its_configuration`.
        CONFIGURATION
            .replace(WRITTEN_LISTENER, "{listener}")
            .replace(WRITTEN_UPSTREAM, &self.upstream.to_string())
            .replace(WRITTEN_ADMIN, &self.admin.to_string())
            .replace("{listener}", &self.gateway.to_string())
            + SERVICES
    }
}

/// Returns the loopback address with the first free port from `first` on. Fails if [`PORTS`] ports in a row are in use.
fn free_port(first: u16) -> Result<SocketAddr, Failure> {
    let mut candidates = (first..first + PORTS).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    candidates.find(|address| TcpListener::bind(address).is_ok()).ok_or_else(|| {
        let message = format!("no port from {first} to {} is free: use --listen ADDRESS", first + PORTS - 1);
        Failure::failed(message)
    })
}

/// An environment without files, whose only variable is the signing key of this run.
struct KeyOfThisRun(String);

impl Environment for KeyOfThisRun {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "CURSORGATE_KEY").then(|| self.0.clone())
    }

    fn read(&self, _path: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Waits until the gateway answers, and returns the text to print: commands to paste. The second command requests the
/// page after the first one, and the last commands show the second page after users are added before it.
fn introduction(addresses: DemoAddresses) -> std::io::Result<String> {
    let DemoAddresses { gateway, upstream, admin } = addresses;
    // The legacy API must listen before the first request; otherwise the gateway would report its upstream as
    // unhealthy.
    ask(upstream, "/users?page=1&limit=1")?;
    let first = "/users?cursor=start&limit=3";
    let body = ask(gateway, first)?;
    let page: serde_json::Value = serde_json::from_str(&body)?;
    let next = page.pointer("/links/next").and_then(serde_json::Value::as_str);
    let next = next.ok_or_else(|| std::io::Error::other("the first page has no next link"))?;
    let services = if SERVICES.is_empty() {
        String::new()
    } else {
        format!(
            "A page and then its changes, as events: curl -N 'http://{gateway}/users/live?limit=3'\n\n\
             GraphQL, in a browser: http://{gateway}/graphql\n\n"
        )
    };
    Ok(format!(
        "A legacy API of {} users, by page= and limit=: http://{upstream}/users\n\
         The same users through cursorgate, by cursor too: http://{gateway}/users\n\
         In a browser, both ways side by side, while the list changes: http://{gateway}/playground/\n\n\
         The first page, by cursor:\n\n  curl -i 'http://{gateway}{first}'\n\n\
         The page after it, wherever it has moved to:\n\n  curl '{next}'\n\n\
         The response to old clients, as before, with the date when that ends:\n\n  \
         curl -i 'http://{gateway}/users?page=2&limit=3'\n\n\
         Now add three users at the front of the list:\n\n  curl -X POST 'http://{upstream}/users'\n\n\
         By number, the second page repeats the users of the first one:\n\n  \
         curl 'http://{gateway}/users?page=2&limit=3'\n\n\
         By cursor, it has the same users as before:\n\n  curl '{next}'\n\n\
         {services}For operators: http://{admin}/, with /metrics and /migration.\n\n\
         Ctrl-C ends both.\n\n",
        people::COUNT
    ))
}

/// Requests `target` and returns the body of the answer. Up to [`TRIES`] times, retries if there is no answer with
/// status 200.
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
        None => Err(std::io::Error::other("the answer is not HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(gateway: &str) -> DemoAddresses {
        let [gateway, upstream, admin] = [gateway, "127.0.0.1:9", "127.0.0.1:10"].map(|text| text.parse().unwrap());
        DemoAddresses { gateway, upstream, admin }
    }

    #[test]
    fn the_addresses_of_the_run_are_in_its_configuration() {
        let text = addresses("127.0.0.1:8081").configuration();
        assert!(text.contains("address = \"127.0.0.1:8081\""));
        assert!(text.contains("public_url = \"http://127.0.0.1:8081\""));
        assert!(text.contains("peers = [\"127.0.0.1:9\"]"));
        assert!(text.contains("address = \"127.0.0.1:10\""));
    }

    #[test]
    fn the_configuration_has_no_fault() {
        let key = KeyOfThisRun(new_key().unwrap());
        for text in [CONFIGURATION.to_owned(), addresses("[::1]:9").configuration()] {
            let (settings, diagnostics) = config::load_text("demo.toml", &text, &key);
            assert_eq!(diagnostics.counts(), (0, 0), "{}", diagnostics.render(false));
            assert!(run::compile(settings, diagnostics).is_ok());
        }
    }
}
