//! The reason why the certificate of a peer isn't accepted, for the log. Pingora reports only that it isn't, so the
//! handshake is made once more, with a callback to which OpenSSL tells the reason.

use std::{
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use openssl::{
    error::ErrorStack,
    ssl::{SslConnector, SslMethod, SslVerifyMode},
    x509::{X509, X509StoreContextRef, store::X509StoreBuilder},
};
use pingora::{protocols::l4::socket::SocketAddr as PingoraAddress, upstreams::peer::HttpPeer};

use crate::tls::subject;

/// The time limit of the connection, and of each read and write.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time for which a reason is used again. Every request to a peer with a bad certificate fails, and each would
/// otherwise make a handshake of its own.
const REMEMBERED: Duration = Duration::from_secs(10);

/// The number of host names of a certificate that a reason quotes.
const MOST_HOSTS: usize = 5;

/// The codes of OpenSSL's reasons (`X509_V_ERR_…` in x509_vfy.h). All others mean that no trusted authority issued the
/// certificate.
const NOT_YET_VALID: i32 = 9;
const HAS_EXPIRED: i32 = 10;
const HOSTNAME_MISMATCH: i32 = 62;

/// The last reason that was found.
#[derive(Debug, Default)]
pub(super) struct CertificateFaults(Mutex<Option<FoundFault>>);

#[derive(Clone, Debug)]
struct FoundFault {
    address: SocketAddr,
    at: Instant,
    said: String,
}

impl CertificateFaults {
    /// Returns the reason why the certificate of a peer isn't accepted.
    pub(super) async fn of(&self, http: &HttpPeer, now: Instant) -> String {
        let PingoraAddress::Inet(address) = http._address else { return UNKNOWN.to_owned() };
        let is_fresh =
            |found: &FoundFault| found.address == address && now.saturating_duration_since(found.at) < REMEMBERED;
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(is_fresh) {
            return known.said;
        }
        // Requests that come meanwhile get this reason, so there is one handshake at a time.
        self.note(FoundFault { address, at: now, said: UNKNOWN.to_owned() });
        let (name, authorities) = (http.sni.clone(), http.options.ca.clone());
        // OpenSSL blocks, so the handshake runs in a thread for such calls.
        let found = tokio::task::spawn_blocking(move || ask(address, &name, authorities.as_deref().map(|all| &**all)));
        let said = found.await.ok().flatten().unwrap_or_else(|| UNKNOWN.to_owned());
        self.note(FoundFault { address, at: now, said: said.clone() });
        said
    }

    fn note(&self, found: FoundFault) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }
}

/// The reason if the second handshake shows none: the peer may have another certificate by now.
const UNKNOWN: &str = "its certificate is not accepted";

/// Makes a handshake, and returns the first fault of the peer's certificate; `None` if there is none, or if the peer
/// can't be reached.
fn ask(address: SocketAddr, name: &str, authorities: Option<&[X509]>) -> Option<String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let found: Arc<Mutex<Option<String>>> = Arc::default();
    let (noted, host, has_own) = (Arc::clone(&found), name.to_owned(), authorities.is_some());
    let configured = || -> Result<_, ErrorStack> {
        let mut tls = SslConnector::builder(SslMethod::tls_client())?;
        if let Some(authorities) = authorities {
            let mut store = X509StoreBuilder::new()?;
            for authority in authorities {
                store.add_cert(authority.clone())?;
            }
            tls.set_verify_cert_store(store.build())?;
        }
        tls.set_verify_callback(SslVerifyMode::PEER, move |is_accepted, context| {
            if !is_accepted {
                *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(described(context, &host, has_own));
            }
            is_accepted
        });
        tls.build().configure()
    };
    // The handshake fails as Pingora's did. Its error says no more than the callback was told.
    let _ = configured().ok()?.connect(name, stream);
    found.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Describes the fault that OpenSSL reports, with the key that helps.
fn described(context: &X509StoreContextRef, name: &str, has_own: bool) -> String {
    let Some(certificate) = context.current_cert() else { return UNKNOWN.to_owned() };
    // At depth 0 is the peer's own certificate; those of its issuers follow.
    let whose = if context.error_depth() == 0 { "its certificate" } else { "the certificate of its issuer" };
    match context.error().as_raw() {
        HAS_EXPIRED => format!("{whose} is out of date: it ended on {}", certificate.not_after()),
        NOT_YET_VALID => format!("{whose} is not valid before {}: compare the clocks", certificate.not_before()),
        HOSTNAME_MISMATCH => {
            let hosts: Vec<String> = subject::hosts(certificate).into_iter().take(MOST_HOSTS).collect();
            let hosts = if hosts.is_empty() { "no host".to_owned() } else { hosts.join(", ") };
            format!("{whose} is for {hosts}, and not for {name}, which is tls.server_name or the host of the peer")
        }
        _ => {
            let issuer = subject::distinguished_name(certificate.issuer_name()).unwrap_or_default();
            let missing = if has_own { "in tls.ca" } else { "of the system: set tls.ca" };
            format!("{whose} comes from no authority {missing} (issuer {issuer}; {})", context.error())
        }
    }
}
