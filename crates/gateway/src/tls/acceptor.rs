//! Handshakes of a listener: the certificate for the name that a client asks for, the version, the protocol, and the
//! client's own certificate.

use std::{any::Any, collections::HashMap, sync::Arc};

use async_trait::async_trait;
use openssl::{
    error::ErrorStack,
    pkey::Id,
    ssl::{AlpnError, NameType, SslAcceptor, SslMethod, SslRef, SslVerifyMode, SslVersion, select_next_proto},
    stack::Stack,
    x509::{X509, store::X509StoreBuilder},
};
use pingora::{
    listeners::TlsAccept,
    protocols::{
        IO,
        tls::{SslStream, server::handshake_with_callback},
    },
    tls::ext,
    utils::tls::CertKey,
};

use super::{
    material,
    renewable::{CredentialPart, CredentialParts, Material, Renewable},
    report::Purpose,
    subject::{self, ClientSubject},
};
use cursorgate_config::{
    Diagnostics,
    settings::{ClientCertificate, ListenerTls, TlsVersion},
};

/// The protocols that a listener with HTTP/2 offers, the preferred one first (RFC 7301 section 3.1).
const ALPN_HTTP2: &[u8] = b"\x02h2\x08http/1.1";
const ALPN_HTTP1: &[u8] = b"\x08http/1.1";

/// The context of sessions that clients resume. OpenSSL requires one if clients have certificates.
const SESSIONS: &[u8] = b"cursorgate";

/// The TLS of a listener.
pub struct Acceptor {
    acceptor: SslAcceptor,
    choice: CertificateChoice,
}

/// The certificates of a listener by their names.
struct CertificateChoice {
    pairs: Vec<Arc<CertKey>>,
    /// Indexes of pairs by names in lower case, some of which begin with `*.`.
    by_name: HashMap<String, Vec<usize>>,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Acceptor")
    }
}

/// Reads the files of a listener's `tls`. Returns `None` if a file can't be used, and reports that in `diagnostics`.
pub fn listener(
    tls: &ListenerTls,
    http2: bool,
    now: u64,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Renewable<Acceptor>>> {
    let pairs = tls.pairs.iter().map(|settings| material::pair(settings, Purpose::Server, now, diagnostics));
    // All files are read before one fault ends the function, so the faults of all files are reported.
    let pairs: Vec<Option<CredentialPart<CertKey>>> = pairs.collect();
    let authorities = match &tls.clients {
        Some(clients) => Some(material::authorities(&clients.name, &clients.ca, now, diagnostics)?),
        None => None,
    };
    let parts = CredentialParts { pairs: pairs.into_iter().collect::<Option<_>>()?, authorities };
    let (version, need) = (tls.min_version, tls.clients.as_ref().map(|clients| clients.certificate));
    let made = Renewable::new(parts, move |material| Acceptor::new(material, version, need, http2));
    match made {
        Ok(made) => Some(Arc::new(made)),
        Err(error) => {
            let at = tls.pairs.first()?.certificate.at;
            diagnostics.error(at, format!("OpenSSL refuses these settings: {error}"), "look at the certificates");
            None
        }
    }
}

impl Acceptor {
    /// Creates the settings of handshakes by Mozilla's intermediate recommendation.
    fn new(
        material: &Material,
        version: TlsVersion,
        need: Option<ClientCertificate>,
        http2: bool,
    ) -> Result<Self, ErrorStack> {
        let mut tls = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
        tls.set_min_proto_version(Some(match version {
            TlsVersion::Tls12 => SslVersion::TLS1_2,
            TlsVersion::Tls13 => SslVersion::TLS1_3,
        }))?;
        // With read-ahead, one call instead of two reads a TLS record.
        tls.set_read_ahead(true);
        // A client that names none of the offered protocols speaks HTTP/1.1, so its handshake continues without ALPN.
        let offered = if http2 { ALPN_HTTP2 } else { ALPN_HTTP1 };
        tls.set_alpn_select_callback(move |_, asked| select_next_proto(offered, asked).ok_or(AlpnError::NOACK));
        if let (Some(authorities), Some(need)) = (&material.authorities, need) {
            let (mut store, mut names) = (X509StoreBuilder::new()?, Stack::new()?);
            for authority in authorities.iter() {
                names.push(authority.subject_name().to_owned()?)?;
                store.add_cert(authority.clone())?;
            }
            // The gateway's own certificates come from other authorities, so their chains are not completed from the
            // authorities of clients.
            tls.set_verify_cert_store(store.build())?;
            // A client with several certificates chooses among them by these names (RFC 8446 section 4.2.4), so they
            // are sent to it.
            tls.set_client_ca_list(names);
            tls.set_session_id_context(SESSIONS)?;
            tls.set_verify(match need {
                // `PEER` by itself admits a client without a certificate. Test:
                // `clients_are_known_by_their_certificates`.
                ClientCertificate::Required => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
                ClientCertificate::Optional => SslVerifyMode::PEER,
            });
        }
        Ok(Self { acceptor: tls.build(), choice: CertificateChoice::new(material.pairs.clone()) })
    }

    /// Performs the handshake of a client. If the client has a certificate, the digest of the stream contains its
    /// [`ClientSubject`].
    ///
    /// # Errors
    ///
    /// Returns OpenSSL's error if the handshake fails.
    pub async fn handshake<S: IO>(&self, stream: S) -> pingora::Result<SslStream<S>> {
        handshake_with_callback(&self.acceptor, stream, &self.choice).await
    }
}

impl CertificateChoice {
    fn new(pairs: Vec<Arc<CertKey>>) -> Self {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, pair) in pairs.iter().enumerate() {
            for name in subject::hosts(pair.leaf()) {
                by_name.entry(name).or_default().push(index);
            }
        }
        Self { pairs, by_name }
    }

    /// Returns the certificates for a name: the certificates that have the name, otherwise those that match it by a
    /// wildcard, otherwise the listener's first. If several have the same kind of key, only the first of them is
    /// returned; OpenSSL chooses among the kinds.
    fn pairs_for(&self, name: Option<&str>) -> Vec<&CertKey> {
        // DNS hostnames are case-insensitive (RFC 6066 section 3), so the name is searched for in lower case.
        let name = name.map(str::to_ascii_lowercase);
        let exact = name.as_ref().and_then(|name| self.by_name.get(name));
        let by_wildcard = || {
            // A wildcard matches exactly one label (RFC 9525, section 6.3), so only the first label is replaced.
            let (_, parent) = name.as_ref()?.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        };
        // A client that names no known host still gets a certificate, and decides whether to accept it. Test:
        // `a_client_gets_the_certificate_of_the_name_that_it_asks_for`.
        let indexes = exact.or_else(by_wildcard).map_or(&[0][..], Vec::as_slice);
        let mut chosen: Vec<&CertKey> = Vec::with_capacity(1);
        for pair in indexes.iter().filter_map(|index| self.pairs.get(*index)) {
            let kind = |pair: &CertKey| -> Id { pair.key().id() };
            // OpenSSL holds one certificate for each kind of key: a second one would replace the first.
            if chosen.iter().all(|known| kind(known) != kind(pair)) {
                chosen.push(pair);
            }
        }
        chosen
    }
}

/// Sets the certificate, the key and the chain that a handshake shows to the client.
fn show(ssl: &mut SslRef, pair: &CertKey) -> Result<(), ErrorStack> {
    ext::ssl_use_certificate(ssl, pair.leaf())?;
    ext::ssl_use_private_key(ssl, pair.key())?;
    pair.intermediates().iter().try_for_each(|issuer: &X509| ext::ssl_add_chain_cert(ssl, issuer))
}

#[async_trait]
impl TlsAccept for CertificateChoice {
    async fn certificate_callback(&self, ssl: &mut SslRef) {
        let name = ssl.servername(NameType::HOST_NAME).map(str::to_owned);
        for pair in self.pairs_for(name.as_deref()) {
            // The pair was tried when its files were read, so an error is unexpected. It is logged, and the handshake
            // fails if no certificate is set.
            if let Err(error) = show(ssl, pair) {
                tracing::error!(%error, "a certificate can't be shown");
            }
        }
    }

    async fn handshake_complete_callback(&self, ssl: &SslRef) -> Option<Arc<dyn Any + Send + Sync>> {
        let certificate = ssl.peer_certificate()?;
        Some(Arc::new(ClientSubject::of(&certificate)))
    }
}
