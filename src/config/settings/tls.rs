//! TLS of listeners and of upstreams. Paths are those that are opened, located at their configuration keys.
#![expect(missing_docs, reason = "a setting is documented by its key")]

use crate::config::{diagnostic::Located, key::words};

/// `tls` of a listener.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    /// The default certificate, for clients that request a name of no other one, and then those of `certificates`.
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

impl UpstreamTls {
    /// Returns whether other settings have the same server name, version and paths. The contents of files are not
    /// compared.
    #[must_use]
    pub fn names_like(&self, other: &Self) -> bool {
        let path = |located: &Option<Located<String>>| located.as_ref().map(|located| located.value.clone());
        let pair = |pair: &Option<KeyPairSettings>| {
            pair.as_ref().map(|pair| (pair.certificate.value.clone(), pair.key.value.clone()))
        };
        (&self.server_name, self.min_version) == (&other.server_name, other.min_version)
            && path(&self.ca) == path(&other.ca)
            && pair(&self.pair) == pair(&other.pair)
    }
}

words! {
    /// The oldest version of TLS that a connection may use.
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
