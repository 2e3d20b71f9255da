//! The settings of TLS, of listeners and of connections to other servers. Paths are those that are opened, with the
//! locations of their keys in the configuration.
#![expect(missing_docs, reason = "a setting is documented by its key")]

use super::UpstreamTls;
use crate::{diagnostic::Located, key::words};

/// A certificate and its private key, by the paths of their files.
#[derive(Debug, Clone)]
pub struct KeyPairSettings {
    /// The name of the certificate's table in the file, such as `listeners.public.tls`.
    pub name: String,
    pub certificate: Located<String>,
    pub key: Located<String>,
}

impl UpstreamTls {
    /// Returns whether two settings have the same server name, version and paths. The contents of files aren't
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
    /// The requirement that a client has a certificate.
    pub enum ClientCertificate {
        /// A client without a certificate of one of the authorities can't connect.
        Required = "required",
        /// A client may connect without a certificate. A client with a certificate of another authority can't connect.
        Optional = "optional",
    }
}
