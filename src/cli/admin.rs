//! `cursorgate health`, `cursorgate status` and `cursorgate reload`: requests to the admin listener of a running
//! gateway.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    path::Path,
    time::Duration,
};

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use serde::Deserialize;

use super::{Failure, report};
use cursorgate_config::{self as config, ProcessEnvironment, secret::Secret, settings::AdminSettings};
use cursorgate_gateway::admin::{HEALTH_PATH, RELOAD_PATH, STATUS_PATH};

/// The time limit for the connection, and for each read and write.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time limit for the answer to a reload. The gateway answers after half a minute at the latest.
const RELOAD_PATIENCE: Duration = Duration::from_secs(40);

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: u64 = 4 << 20;

/// Asks a running gateway whether it is ready. Fails if it isn't.
pub(super) fn health(
    config: &Path,
    address: Option<SocketAddr>,
    environment: ProcessEnvironment,
) -> Result<(), Failure> {
    let request = Request { method: "GET", path: HEALTH_PATH, token: None, patience: PATIENCE };
    let (address, asked) = match address {
        Some(address) => (address, request.send(here(address), false).or_else(|_| request.send(here(address), true))),
        None => {
            let admin = configured(config, environment)?;
            (admin.address, request.send(here(admin.address), admin.tls.is_some()))
        }
    };
    let (status, _) = asked.map_err(|error| unanswered(address, &error))?;
    match status {
        200 => report::output("ready\n"),
        503 => Err(Failure::failed(format!("{address}: stopping"))),
        _ => Err(foreign(address, status)),
    }
}

/// Prints the status of a running gateway, as JSON.
pub(super) fn status(config: &Path, environment: ProcessEnvironment) -> Result<(), Failure> {
    let admin = configured(config, environment)?;
    let token = admin.read_token.as_ref().or(admin.token.as_ref());
    let request = Request { method: "GET", path: STATUS_PATH, token, patience: PATIENCE };
    let (status, body) = request.send_to(&admin)?;
    match status {
        200 => {
            report::note(&format!("the gateway at {}\n", admin.address));
            report::output(&body)
        }
        401 | 403 => Err(unknown_token(&admin)),
        _ => Err(foreign(admin.address, status)),
    }
}

/// The members of the result of a reload that are printed.
#[derive(Deserialize)]
struct Reloaded {
    in_force: bool,
    needs_restart: Vec<String>,
    #[serde(default)]
    report: String,
}

/// Makes a running gateway read its configuration again, and prints its faults. Fails if it isn't in force then.
pub(super) fn reload(config: &Path, environment: ProcessEnvironment) -> Result<(), Failure> {
    let admin = configured(config, environment)?;
    let Some(token) = &admin.token else {
        let missing = "has no admin.token, which this command needs. Without one: kill -HUP $(pidof cursorgate)";
        return Err(Failure::mistaken(format!("{} {missing}", config.display())));
    };
    let request = Request { method: "POST", path: RELOAD_PATH, token: Some(token), patience: RELOAD_PATIENCE };
    let (status, body) = request.send_to(&admin)?;
    match status {
        200 | 422 => {}
        202 => return Err(Failure::failed("the reload goes on: `cursorgate status` has its result later")),
        // Without a token, the running configuration allows no reload: 405.
        401 | 403 | 405 => return Err(unknown_token(&admin)),
        _ => return Err(foreign(admin.address, status)),
    }
    let reloaded: Reloaded =
        serde_json::from_str(&body).map_err(|error| Failure::failed(format!("{}: {error}", admin.address)))?;
    report::note(&reloaded.report);
    if !reloaded.in_force {
        return Err(Failure::mistaken("the configuration has errors: the earlier one stays in force"));
    }
    report::output("reloaded\n")?;
    match reloaded.needs_restart.as_slice() {
        [] => Ok(()),
        keys => Err(Failure::failed(format!("in force only after a restart: {}", keys.join(", ")))),
    }
}

/// The failure of a request that gets no answer.
fn unanswered(address: SocketAddr, error: &std::io::Error) -> Failure {
    let why = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => ": is it running? --admin names another address",
        _ => "",
    };
    Failure::failed(format!("no gateway answers at {address}, {error}{why}"))
}

/// The failure of a request whose answer isn't one of a gateway's.
fn foreign(address: SocketAddr, status: u16) -> Failure {
    Failure::failed(format!("{address}: not cursorgate, or another version: status {status}"))
}

/// The failure of a request whose token is missing, or is unknown to the gateway.
fn unknown_token(admin: &AdminSettings) -> Failure {
    let why = match (&admin.token, &admin.read_token) {
        (None, None) => "refused: the report needs a token: set admin.token, and restart the process",
        _ => "refused: the process runs with another admin.token or admin.read_token than this configuration has",
    };
    Failure::failed(format!("{}: {why}", admin.address))
}

/// Returns the admin listener of a configuration. Other faults of the file are ignored, because the process may run
/// with an earlier version of it.
fn configured(path: &Path, environment: ProcessEnvironment) -> Result<AdminSettings, Failure> {
    let (admin, diagnostics) = config::load_admin(path, &environment);
    match admin {
        Some(admin) => Ok(admin),
        None if diagnostics.has_errors() => {
            report::diagnostics(&diagnostics);
            Err(Failure::mistaken(""))
        }
        None => {
            let path = path.display();
            let missing = "has no [admin] listener: add address = \"127.0.0.1:9180\" under [admin]";
            Err(Failure::mistaken(format!("{path} {missing}")))
        }
    }
}

/// Returns the address at which this machine reaches a listener: the loopback address if it listens on all addresses.
fn here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A request to an admin listener.
struct Request<'r> {
    method: &'static str,
    path: &'static str,
    token: Option<&'r Secret>,
    /// The time limit for each read and write.
    patience: Duration,
}

impl Request<'_> {
    /// Sends the request to the admin listener of a configuration. Returns the status and the body of the answer. Fails
    /// if a token would be sent to another machine.
    fn send_to(&self, admin: &AdminSettings) -> Result<(u16, String), Failure> {
        let address = here(admin.address);
        // Only an address of this machine can be bound.
        if self.token.is_some() && UdpSocket::bind((address.ip(), 0)).is_err() {
            let why =
                "not an address of this machine, so no token is sent there: run the command where the gateway runs";
            return Err(Failure::mistaken(format!("{address}: {why}")));
        }
        let answer = self.send(address, admin.tls.is_some());
        answer.map_err(|error| unanswered(admin.address, &error))
    }

    /// Sends the request by a new connection. Returns the status and the body of the answer.
    fn send(&self, address: SocketAddr, has_tls: bool) -> std::io::Result<(u16, String)> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        if !has_tls {
            return self.send_by(stream, address);
        }
        let mut tls = SslConnector::builder(SslMethod::tls_client())?;
        // A certificate names hosts rather than this address, so it isn't verified. A token never leaves this machine.
        tls.set_verify(SslVerifyMode::NONE);
        let configuration = tls.build().configure()?.verify_hostname(false).use_server_name_indication(false);
        self.send_by(configuration.connect("localhost", stream).map_err(std::io::Error::other)?, address)
    }

    /// Sends the request by an open connection. Returns the status and the body of the answer.
    fn send_by(&self, mut stream: impl Read + Write, address: SocketAddr) -> std::io::Result<(u16, String)> {
        let Self { method, path, .. } = self;
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n").into_bytes();
        if let Some(token) = self.token {
            request.extend([b"Authorization: Bearer ", token.reveal(), b"\r\n"].concat());
        }
        if self.method == "POST" {
            request.extend(b"Content-Length: 0\r\n");
        }
        request.extend(b"\r\n");
        stream.write_all(&request)?;
        let mut read = Vec::new();
        // The answer ends with its connection.
        stream.take(LARGEST_ANSWER).read_to_end(&mut read)?;
        let text = String::from_utf8_lossy(&read);
        // The version, a blank and the three digits of the status (RFC 9112, section 4).
        let parsed = text.split_once("\r\n\r\n").and_then(|(head, body)| {
            let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
            Some((status, body.to_owned()))
        });
        parsed.ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_health_of_a_wildcard_address_is_requested_on_the_loopback() {
        for (listens, asked) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("192.0.2.1:3", "192.0.2.1:3")] {
            assert_eq!(here(listens.parse().unwrap()).to_string(), asked);
        }
    }

    #[test]
    fn a_request_to_the_admin_listener_reads_the_status_line() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for answer in ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "SSH-2.0-x 200\r\n"] {
                let mut stream = listener.accept().unwrap().0;
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.extend(byte);
                }
                assert!(request.starts_with(b"GET /healthz "));
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let request = Request { method: "GET", path: HEALTH_PATH, token: None, patience: PATIENCE };
        assert_eq!(request.send(address, false).unwrap().0, 503);
        assert!(request.send(address, false).is_err());
        server.join().unwrap();
        assert!(request.send(address, false).is_err());
    }
}
