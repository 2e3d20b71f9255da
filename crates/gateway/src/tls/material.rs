//! Reads the certificates that the settings of `tls` name, and reports the faults of each file and remarks on it.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use openssl::x509::X509;
use pingora::utils::tls::CertKey;

use super::{
    pem::{FileFault, FileRole},
    renewable::{CredentialPart, CredentialParts, Renewable},
    report::{self, Purpose},
};
use cursorgate_config::{
    Diagnostics,
    diagnostic::{Located, Location},
    settings::{KeyPairSettings, UpstreamTls},
};

/// The certificates for connections to an upstream.
#[derive(Clone, Debug, Default)]
pub struct PeerCredentials {
    /// The authorities to trust; `None` for the authorities of the system.
    pub authorities: Option<Arc<Box<[X509]>>>,
    /// The certificate that the gateway shows to the upstream; `None` if it shows none.
    pub identity: Option<Arc<CertKey>>,
    /// A hash of the authorities and the identity. Connections that were made with other certificates are not reused.
    pub hash: u64,
}

/// Reads the files of an upstream's `tls`. Returns `None` if a file can't be used, and reports that in `diagnostics`.
pub fn upstream(tls: &UpstreamTls, now: u64, diagnostics: &mut Diagnostics) -> Option<Arc<Renewable<PeerCredentials>>> {
    let pairs = tls.pair.iter().map(|settings| pair(settings, Purpose::Client, now, diagnostics));
    // All files are read before one fault ends the function, so the faults of all files are reported.
    let pairs: Vec<_> = pairs.collect();
    let authorities = tls.ca.as_ref().map(|ca| authorities(&tls.name, ca, now, diagnostics));
    let parts = CredentialParts {
        pairs: pairs.into_iter().collect::<Option<_>>()?,
        authorities: match authorities {
            Some(part) => Some(part?),
            None => None,
        },
    };
    let made = Renewable::new(parts, |material| {
        let identity = material.pairs.first().map(Arc::clone);
        let authorities = material.authorities.clone();
        let mut hasher = DefaultHasher::new();
        let own = identity.iter().flat_map(|own| std::iter::once(own.leaf()).chain(own.intermediates()));
        for certificate in own.chain(authorities.iter().flat_map(|all| all.iter())) {
            // A certificate has the public part of its key, so the key is not hashed.
            certificate.to_der()?.hash(&mut hasher);
        }
        Ok(PeerCredentials { authorities, identity, hash: hasher.finish() })
    });
    made.map(Arc::new).ok()
}

/// Reads a certificate with its key, and adds remarks on the certificate to `diagnostics`. Returns `None` if a file
/// can't be used, and reports that.
pub(super) fn pair(
    settings: &KeyPairSettings,
    purpose: Purpose,
    now: u64,
    diagnostics: &mut Diagnostics,
) -> Option<CredentialPart<CertKey>> {
    let at = |role| if role == FileRole::Key { settings.key.at } else { settings.certificate.at };
    let part = CredentialPart::pair(settings, now).map_err(|fault| tell(&fault, at(fault.role), diagnostics)).ok()?;
    remark(&settings.certificate, &part.certificates(), purpose, now, diagnostics);
    Some(part)
}

/// Reads authorities, and adds remarks on them to `diagnostics`. Returns `None` if the file can't be used, and reports
/// that.
pub(super) fn authorities(
    name: &str,
    ca: &Located<String>,
    now: u64,
    diagnostics: &mut Diagnostics,
) -> Option<CredentialPart<Box<[X509]>>> {
    let part =
        CredentialPart::authorities(name, &ca.value, now).map_err(|fault| tell(&fault, ca.at, diagnostics)).ok()?;
    remark(ca, &part.certificates(), Purpose::Authority, now, diagnostics);
    Some(part)
}

fn tell(fault: &FileFault, at: Location, diagnostics: &mut Diagnostics) {
    diagnostics.error(at, &fault.message, &fault.help);
}

fn remark(file: &Located<String>, certificates: &[X509], purpose: Purpose, now: u64, diagnostics: &mut Diagnostics) {
    for remark in report::remarks(&file.value, certificates, purpose, now) {
        diagnostics.warning(file.at, remark.message, remark.help);
    }
}
