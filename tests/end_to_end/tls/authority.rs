//! Certificates of the tests: authorities, the certificates that they sign, and certificates with faults.

use std::path::PathBuf;

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{
        X509, X509Name,
        extension::{BasicConstraints, KeyUsage, SubjectAlternativeName},
    },
};

use crate::harness::Directory;

/// The beginning and the end of a certificate's validity, in seconds since 1970 (UTC).
pub(crate) type Validity = (i64, i64);

/// A validity that begins before and ends after any test.
pub(crate) const ALWAYS: Validity = (0, 4_102_444_800);
/// A validity in the past.
pub(crate) const EXPIRED: Validity = (0, 1_000_000_000);
/// A validity in the future.
pub(crate) const LATER: Validity = (4_000_000_000, 4_102_444_800);

/// A certificate authority, self-signed or signed by another authority.
pub(crate) struct Authority {
    /// The authority's own certificate.
    pub(crate) certificate: X509,
    key: PKey<Private>,
}

/// A certificate with its key.
pub(crate) struct Identity {
    /// The certificate, followed by the intermediate certificates that a server sends with it.
    pub(crate) chain: Vec<X509>,
    /// The key of the certificate.
    pub(crate) key: PKey<Private>,
}

impl Authority {
    /// Creates a self-signed authority.
    pub(crate) fn new(name: &str) -> Self {
        let key = key();
        Self { certificate: certificate(name, &[], &key, None, ALWAYS), key }
    }

    /// Creates an authority signed by this one.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let key = key();
        Self { certificate: certificate(name, &[], &key, Some(self), ALWAYS), key }
    }

    /// Issues a certificate for these names, with a new key.
    pub(crate) fn issue(&self, names: &[&str], validity: Validity) -> Identity {
        let key = key();
        Identity { chain: vec![certificate(names[0], names, &key, Some(self), validity)], key }
    }

    /// Writes the authority's certificate to a PEM file in a folder, and returns the path.
    pub(crate) fn file(&self, folder: &Directory, name: &str) -> PathBuf {
        written(folder, name, &self.certificate.to_pem().expect("a certificate"))
    }
}

impl Identity {
    /// Creates a self-signed certificate for these names.
    pub(crate) fn self_signed(names: &[&str]) -> Self {
        let key = key();
        Self { chain: vec![certificate(names[0], names, &key, None, ALWAYS)], key }
    }

    /// Appends the certificate of an intermediate authority to the chain.
    pub(crate) fn with(mut self, authority: &Authority) -> Self {
        self.chain.push(authority.certificate.clone());
        self
    }

    /// Returns the chain and the key in PEM.
    pub(crate) fn pem(&self) -> (Vec<u8>, Vec<u8>) {
        let chain = self.chain.iter().flat_map(|each| each.to_pem().expect("a certificate")).collect();
        (chain, self.key.private_key_to_pem_pkcs8().expect("a key"))
    }

    /// Writes the chain and the key to PEM files in a folder, and returns both paths.
    pub(crate) fn files(&self, folder: &Directory, name: &str) -> (PathBuf, PathBuf) {
        let (chain, key) = self.pem();
        (written(folder, &format!("{name}.crt"), &chain), written(folder, &format!("{name}.key"), &key))
    }
}

fn written(folder: &Directory, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.file(name);
    std::fs::write(&path, bytes).expect("a file in the test's directory");
    path
}

fn key() -> PKey<Private> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("OpenSSL knows P-256");
    EcKey::generate(&curve).and_then(PKey::from_ec_key).expect("OpenSSL makes keys")
}

/// Returns a certificate for these names, or the certificate of an authority if there are none. Without an issuer, the
/// certificate is self-signed.
fn certificate(
    name: &str,
    names: &[&str],
    key: &PKey<Private>,
    issuer: Option<&Authority>,
    validity: Validity,
) -> X509 {
    let (from, until) = validity;
    let common_name = |name: &str| {
        let mut builder = X509Name::builder().expect("OpenSSL makes names");
        builder.append_entry_by_text("CN", name).expect("a name");
        builder.build()
    };
    let made = || {
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        let mut serial = BigNum::new()?;
        serial.rand(64, openssl::bn::MsbOption::MAYBE_ZERO, false)?;
        builder.set_serial_number(&*serial.to_asn1_integer()?)?;
        let subject = common_name(name);
        builder.set_subject_name(&subject)?;
        builder.set_issuer_name(issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name()))?;
        builder.set_not_before(&*Asn1Time::from_unix(from)?)?;
        builder.set_not_after(&*Asn1Time::from_unix(until)?)?;
        builder.set_pubkey(key)?;
        if names.is_empty() {
            builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
            builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
        } else {
            let mut alternatives = SubjectAlternativeName::new();
            for name in names {
                alternatives.dns(name);
            }
            let alternatives = alternatives.build(&builder.x509v3_context(None, None))?;
            builder.append_extension(alternatives)?;
        }
        builder.sign(issuer.map_or(key, |issuer| &issuer.key), MessageDigest::sha256())?;
        Ok::<_, openssl::error::ErrorStack>(builder.build())
    };
    made().expect("OpenSSL makes certificates")
}
