//! TLS of listeners and of upstreams. Paths are those that are opened, with the locations of their keys.
#![expect(missing_docs, reason = "a setting is documented by its key")]

use crate::config::{diagnostic::Located, key::words};

/// `tls` of a listener.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    /// The certificate for clients whose name no other one has, and then those of `certificates`.
    pub pairs: Vec<KeyPairSettings>,
    pub min_version: TlsVersion,
    pub clients: Option<ClientAuthorities>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct KeyPairSettings {
    /// The table in the file, such as `listeners.public.tls`.
    pub name: String,
    pub certificate: Located<String>,
    pub key: Located<String>,
}

/// `tls.clients` of a listener.
#[derive(Debug, Clone)]
pub struct ClientAuthorities {
    /// The table in the file.
    pub name: String,
    pub ca: Located<String>,
    pub certificate: ClientCertificate,
}

/// `tls` of an upstream.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    /// The table in the file.
    pub name: String,
    pub server_name: Option<String>,
    pub ca: Option<Located<String>>,
    pub pair: Option<KeyPairSettings>,
    pub min_version: TlsVersion,
}

words! {
    /// A version of TLS.
    pub enum TlsVersion {
        /// TLS 1.2 (RFC 5246) and later versions.
        Tls12 = "1.2",
        /// TLS 1.3 (RFC 8446) and later versions.
        Tls13 = "1.3",
    }
}

words! {
    /// The need for a client's certificate.
    pub enum ClientCertificate {
        /// The handshake fails without a certificate of one of the authorities.
        Required = "required",
        /// A client may have none. One that the authorities don't vouch for ends the handshake.
        Optional = "optional",
    }
}
