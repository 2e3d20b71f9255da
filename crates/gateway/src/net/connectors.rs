//! Pingora's connectors to upstreams: one for connections without TLS, and one that knows the system's certificate
//! authorities.
//!
//! A connector reads the authorities four times, which takes longer than everything else at the start of a process, and
//! a tenth of its memory at rest. So a process without TLS to others never reads them.

use std::{
    io::Write as _,
    os::fd::AsRawFd as _,
    sync::{Arc, OnceLock},
};

use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    x509::X509,
};
use pingora::connectors::{ConnectorOptions, http::Connector};
use rustix::fs::{MemfdFlags, memfd_create};

/// The largest number of idle connections in each of Pingora's pools, one for HTTP/1.1 and one for HTTP/2. Beyond it,
/// connections that have been idle for long are closed.
const POOL_SIZE: usize = 1024;

/// The connectors, each created on first use.
#[derive(Default)]
pub(super) struct Connectors {
    plain: OnceLock<Connector>,
    with_tls: Arc<OnceLock<Connector>>,
}

impl Connectors {
    /// Returns the connector for a peer. The one for TLS is created in a thread of its own, because no other request
    /// should wait for it.
    pub(super) async fn of(&self, is_tls: bool) -> &Connector {
        if !is_tls {
            let make =
                || without_authorities(ConnectorOptions::new(POOL_SIZE), |options| Connector::new(Some(options)));
            return self.plain.get_or_init(make);
        }
        if self.with_tls.get().is_none() {
            let with_tls = Arc::clone(&self.with_tls);
            // This fails only if the process ends, or if creating the connector panics, which it then does below too.
            let _ = tokio::task::spawn_blocking(move || prepare(&with_tls)).await;
        }
        self.with_tls.get_or_init(with_authorities)
    }

    /// Creates the connector for TLS in advance.
    pub(super) fn prepare(&self) {
        prepare(&self.with_tls);
    }

    /// Returns the number of connections in the pools that were closed because bytes arrived while they were idle.
    pub(super) fn with_unexpected_data(&self) -> u64 {
        let made = [self.plain.get(), self.with_tls.get()].into_iter().flatten();
        made.map(Connector::unexpected_data_connection_count).sum()
    }
}

fn prepare(connector: &OnceLock<Connector>) {
    connector.get_or_init(with_authorities);
}

fn with_authorities() -> Connector {
    Connector::new(Some(ConnectorOptions::new(POOL_SIZE)))
}

/// Makes a connector for connections without TLS. Pingora makes a context of TLS for it too. The context gets one
/// authority, whose key is lost; if that isn't possible, the authorities of the system.
pub(crate) fn without_authorities<C>(mut options: ConnectorOptions, make: impl FnOnce(ConnectorOptions) -> C) -> C {
    // The file exists while the connector reads it.
    let file = authority_without_key().ok().and_then(|authority| {
        let mut file = std::fs::File::from(memfd_create("no-authorities", MemfdFlags::CLOEXEC).ok()?);
        file.write_all(&authority).ok()?;
        Some(file)
    });
    let path = file.as_ref().map(|file| format!("/proc/self/fd/{}", file.as_raw_fd()));
    // A system might have no /proc, and Pingora panics if it can't read the file.
    options.ca_file = path.filter(|path| std::fs::File::open(path).is_ok());
    make(options)
}

/// Returns the certificate of an authority as PEM.
fn authority_without_key() -> Result<Vec<u8>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut certificate = X509::builder()?;
    certificate.set_pubkey(&key)?;
    let (from, to) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(0)?);
    certificate.set_not_before(&from)?;
    certificate.set_not_after(&to)?;
    certificate.sign(&key, MessageDigest::sha256())?;
    certificate.build().to_pem()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_without_tls_reads_one_authority() {
        without_authorities(ConnectorOptions::new(1), |options| {
            let pem = std::fs::read(options.ca_file.as_ref().expect("a file")).expect("the file is open");
            assert_eq!(X509::stack_from_pem(&pem).expect("certificates").len(), 1);
            Connector::new(Some(options))
        });
    }
}
