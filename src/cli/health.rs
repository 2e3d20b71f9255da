//! `cursorgate health`: asks a running gateway whether it is ready, for health checks of containers.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use super::{Failure, report};
use cursorgate_config::{self as config, ProcessEnvironment};
use cursorgate_gateway::admin::HEALTH_PATH;

/// The time limit for the connection, and for each read and write.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks a running gateway whether it is ready. Fails if it isn't.
pub(super) fn run(config: &Path, address: Option<SocketAddr>, environment: ProcessEnvironment) -> Result<(), Failure> {
    let (address, asked) = match address {
        Some(address) => (address, ask(here(address), false).or_else(|_| ask(here(address), true))),
        None => {
            let (address, has_tls) = configured(config, environment)?;
            (address, ask(here(address), has_tls))
        }
    };
    let status = asked.map_err(|error| Failure::failed(format!("{address}: {error}")))?;
    match status {
        200 => report::output("ready\n"),
        503 => Err(Failure::failed(format!("{address}: stopping"))),
        _ => Err(Failure::failed(format!("{address}: not cursorgate, or another version: status {status}"))),
    }
}

/// Returns the address of the admin listener in a configuration, and whether it has TLS. Other faults of the file are
/// ignored, because the process may run with an earlier version of it.
fn configured(path: &Path, environment: ProcessEnvironment) -> Result<(SocketAddr, bool), Failure> {
    let (admin, diagnostics) = config::load_admin(path, &environment);
    match admin {
        Some(admin) => Ok((admin.address, admin.tls.is_some())),
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

/// Requests `/healthz`, and returns the status of the answer.
fn ask(address: SocketAddr, has_tls: bool) -> std::io::Result<u16> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    if !has_tls {
        return ask_by(stream, address);
    }
    let mut tls = SslConnector::builder(SslMethod::tls_client())?;
    // The request has no secret, and a certificate names hosts rather than this address, so it isn't verified.
    tls.set_verify(SslVerifyMode::NONE);
    let configuration = tls.build().configure()?.verify_hostname(false).use_server_name_indication(false);
    ask_by(configuration.connect("localhost", stream).map_err(std::io::Error::other)?, address)
}

/// Requests `/healthz` by an open connection, and returns the status of the answer.
fn ask_by(mut stream: impl Read + Write, address: SocketAddr) -> std::io::Result<u16> {
    let request = format!("GET {HEALTH_PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    // Only the version, a blank and the three digits of the status are read (RFC 9112, section 4).
    let mut line = [0; 12];
    stream.read_exact(&mut line)?;
    let status = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.parse().ok());
    status.ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
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
    fn the_health_command_reads_the_status_line() {
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
        assert_eq!(ask(address, false).unwrap(), 503);
        assert!(ask(address, false).is_err());
        server.join().unwrap();
        assert!(ask(address, false).is_err());
    }
}
