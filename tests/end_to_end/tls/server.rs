//! Upstreams that speak TLS, or that fail during the handshake.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use openssl::{
    nid::Nid,
    ssl::{NameType, SslAcceptor, SslMethod, SslVerifyMode, SslVersion},
    x509::X509,
};

use super::authority::Identity;
use crate::harness::PATIENCE;

/// The way in which a server starts a connection.
pub(crate) enum Greeting {
    /// The server has this certificate, and offers the versions of TLS from the oldest to the newest one.
    Certificate(Identity, SslVersion, SslVersion),
    /// The server has this certificate, and accepts only clients with a certificate of this authority.
    Mutual(Identity, X509),
    /// The server is silent until the client closes the connection.
    Silence,
    /// The server closes after the client's first bytes.
    Close,
    /// The server answers in plain text.
    Plain,
}

/// A listening upstream. It stops at the end of the test.
pub(crate) struct Secure {
    /// The address of the server.
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    ended: Arc<AtomicBool>,
}

/// The connections and requests that a server has seen.
#[derive(Default)]
struct Seen {
    /// The first line of each request.
    requests: Vec<String>,
    /// The host name that the client requested in each finished handshake; `None` if it requested none.
    names: Vec<Option<String>>,
    /// The common name of each certificate that a client sent.
    clients: Vec<String>,
    /// The first byte of each connection: 22 begins a TLS handshake.
    first_bytes: Vec<u8>,
}

const BODY: &str = r#"{"total":1,"items":[{"id":1}]}"#;

impl Secure {
    /// Starts a server on a free port.
    pub(crate) fn start(greeting: Greeting) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (seen, ended) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
        let greeting = Arc::new(prepared(greeting));
        let (own_seen, own_ended) = (Arc::clone(&seen), Arc::clone(&ended));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own_ended.load(Ordering::SeqCst) {
                    return;
                }
                let (seen, greeting) = (Arc::clone(&own_seen), Arc::clone(&greeting));
                // Failed handshakes are a part of the tests, so their errors are dropped.
                thread::spawn(move || drop(serve(&seen, &greeting, stream)));
            }
        });
        Self { address, seen, ended }
    }

    /// Returns the first line of each received request.
    pub(crate) fn requests(&self) -> Vec<String> {
        locked(&self.seen).requests.clone()
    }

    /// Returns the host name that was requested in each finished handshake.
    pub(crate) fn names(&self) -> Vec<Option<String>> {
        locked(&self.seen).names.clone()
    }

    /// Returns the common name of each certificate that a client sent.
    pub(crate) fn clients(&self) -> Vec<String> {
        locked(&self.seen).clients.clone()
    }

    /// Returns whether there were connections, and all of them began with a TLS handshake.
    pub(crate) fn saw_tls_alone(&self) -> bool {
        let seen = locked(&self.seen);
        !seen.first_bytes.is_empty() && seen.first_bytes.iter().all(|byte| *byte == 22)
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

enum Prepared {
    Acceptor(SslAcceptor),
    Broken(Greeting),
}

fn prepared(greeting: Greeting) -> Prepared {
    let (identity, least, most, authority) = match greeting {
        Greeting::Certificate(identity, least, most) => (identity, least, most, None),
        Greeting::Mutual(identity, authority) => (identity, SslVersion::TLS1_2, SslVersion::TLS1_3, Some(authority)),
        broken => return Prepared::Broken(broken),
    };
    let made = || {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        // The tests examine what the gateway accepts, so this side accepts everything that OpenSSL still supports.
        builder.set_security_level(0);
        builder.set_cipher_list("ALL:@SECLEVEL=0")?;
        builder.clear_options(openssl::ssl::SslOptions::NO_TLSV1 | openssl::ssl::SslOptions::NO_TLSV1_1);
        builder.set_min_proto_version(Some(least))?;
        builder.set_max_proto_version(Some(most))?;
        builder.set_verify(SslVerifyMode::NONE);
        if let Some(authority) = authority {
            builder.cert_store_mut().add_cert(authority)?;
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
            builder.set_session_id_context(b"tests")?;
        }
        builder.set_certificate(&identity.chain[0])?;
        for certificate in &identity.chain[1..] {
            builder.add_extra_chain_cert(certificate.clone())?;
        }
        builder.set_private_key(&identity.key)?;
        Ok::<_, openssl::error::ErrorStack>(Prepared::Acceptor(builder.build()))
    };
    made().expect("OpenSSL takes its own certificates")
}

fn serve(seen: &Mutex<Seen>, greeting: &Prepared, stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut first = [0; 1];
    if stream.peek(&mut first)? == 0 {
        return Ok(());
    }
    locked(seen).first_bytes.push(first[0]);
    let acceptor = match greeting {
        Prepared::Acceptor(acceptor) => acceptor,
        Prepared::Broken(Greeting::Silence) => {
            let mut rest = Vec::new();
            return (&stream).read_to_end(&mut rest).map(drop);
        }
        Prepared::Broken(Greeting::Plain) => {
            let length = BODY.len();
            return (&stream)
                .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{BODY}").as_bytes());
        }
        Prepared::Broken(_) => return stream.shutdown(std::net::Shutdown::Both),
    };
    let mut stream = acceptor.accept(stream).map_err(|error| io::Error::other(error.to_string()))?;
    let name = stream.ssl().servername(NameType::HOST_NAME).map(str::to_owned);
    locked(seen).names.push(name);
    let shown = stream.ssl().peer_certificate();
    let shown = shown.iter().filter_map(|shown| shown.subject_name().entries_by_nid(Nid::COMMONNAME).next());
    locked(seen).clients.extend(shown.filter_map(|name| name.data().to_string().ok()));
    let mut head = Vec::new();
    loop {
        let mut byte = [0; 1];
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
            locked(seen).requests.push(line);
            head.clear();
            let length = BODY.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{BODY}");
            stream.write_all(answer.as_bytes())?;
        }
    }
}

fn locked(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
