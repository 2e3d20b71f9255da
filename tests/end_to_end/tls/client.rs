//! TLS clients, which can send a certificate and request a name, and which report the certificate of the server.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use openssl::{
    nid::Nid,
    ssl::{HandshakeError, SslConnector, SslMethod, SslStream, SslVersion},
};

use super::authority::Identity;
use crate::harness::PATIENCE;

/// The settings of a client.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// The authority that the client trusts.
    pub(crate) ca: &'a Path,
    /// The host name that the client requests (SNI); `None` to request no name.
    pub(crate) name: Option<&'a str>,
    /// The certificate that the client sends; `None` for no certificate.
    pub(crate) identity: Option<&'a Identity>,
    /// The newest version of TLS that the client supports.
    pub(crate) newest: SslVersion,
}

impl<'a> Caller<'a> {
    /// Creates a client that requests a name and sends no certificate.
    pub(crate) fn new(ca: &'a Path, name: &'a str) -> Self {
        Self { ca, name: Some(name), identity: None, newest: SslVersion::TLS1_3 }
    }

    /// Connects and makes the handshake. Returns the connection, or the fault as a message.
    pub(crate) fn connect(self, address: SocketAddr) -> Result<Secured, String> {
        let made = || {
            let mut builder = SslConnector::builder(SslMethod::tls_client())?;
            builder.set_ca_file(self.ca)?;
            builder.set_max_proto_version(Some(self.newest))?;
            if let Some(identity) = self.identity {
                builder.set_certificate(&identity.chain[0])?;
                builder.set_private_key(&identity.key)?;
            }
            let mut configuration = builder.build().configure()?;
            configuration.set_use_server_name_indication(self.name.is_some());
            // Some tests expect a certificate for another name, so the name is not verified.
            configuration.set_verify_hostname(false);
            Ok::<_, openssl::error::ErrorStack>(configuration)
        };
        let configuration = made().expect("OpenSSL makes clients");
        let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        configuration.connect(self.name.unwrap_or("none.test"), stream).map(Secured).map_err(|error| error.to_string())
    }

    /// Returns the common name of the certificate that a listener sends, or the fault of the handshake.
    pub(crate) fn shown(self, address: SocketAddr) -> String {
        self.connect(address).map_or_else(|error| error, |connection| connection.common_name())
    }

    /// Sends a GET on a new connection. Returns the answer, or the fault as a message.
    pub(crate) fn get(self, address: SocketAddr, path: &str, headers: &str) -> Result<String, String> {
        self.connect(address)?.get(path, headers)
    }
}

/// Returns the bytes of a `ClientHello` that requests a name.
pub(crate) fn greeting(name: &str) -> Vec<u8> {
    #[derive(Debug)]
    struct Sent(Vec<u8>);
    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Read for Sent {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::WouldBlock.into())
        }
    }
    let client = SslConnector::builder(SslMethod::tls_client()).expect("OpenSSL makes clients").build();
    match client.connect(name, Sent(Vec::new())) {
        Err(HandshakeError::WouldBlock(stalled)) => stalled.get_ref().0.clone(),
        other => panic!("it waits for the server: {other:?}"),
    }
}

/// A connection after its handshake.
pub(crate) struct Secured(pub(crate) SslStream<TcpStream>);

impl Secured {
    /// Returns the common name of the server's certificate.
    pub(crate) fn common_name(&self) -> String {
        let certificate = self.0.ssl().peer_certificate().expect("a server has a certificate");
        let name = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next().expect("it has a name");
        name.data().to_string().expect("a text")
    }

    /// Returns the serial number of the server's certificate, in hexadecimal digits.
    pub(crate) fn serial(&self) -> String {
        let certificate = self.0.ssl().peer_certificate().expect("a server has a certificate");
        let number = certificate.serial_number().to_bn().expect("a number");
        number.to_hex_str().expect("a text").to_string()
    }

    /// Sends a GET and returns the answer. The connection can be used again.
    pub(crate) fn get(&mut self, path: &str, headers: &str) -> Result<String, String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: api.test\r\n{headers}\r\n");
        self.0.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        let mut part = [0; 16 * 1024];
        // Each iteration reads at least one byte, up to the announced length.
        loop {
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
                });
                if length.is_some_and(|length| body.len() >= length) {
                    return Ok(text.into_owned());
                }
            }
            match self.0.read(&mut part) {
                Ok(0) => return Err(format!("the answer ended early: {text}")),
                Ok(count) => answer.extend_from_slice(&part[..count]),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}
