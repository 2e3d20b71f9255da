//! Certificates and keys in PEM files, and their faults.

use openssl::{
    error::ErrorStack,
    pkey::{PKey, Private},
    ssl::{SslAcceptor, SslMethod},
    x509::{X509, X509Ref},
};
use pingora::utils::tls::CertKey;

/// The file that a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileRole {
    /// A certificate with its chain.
    Certificate,
    /// A private key.
    Key,
    /// A file with the certificates of authorities, which verify other certificates.
    Authorities,
}

/// A reason that a file can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// The kind of the file at fault.
    pub role: FileRole,
    /// The fault, with the path of the file.
    pub message: String,
    /// The remedy for the operator.
    pub help: String,
}

/// A file: its path and its content.
#[derive(Clone, Copy, Debug)]
pub struct PemFile<'a> {
    /// The path as it was opened.
    pub path: &'a str,
    /// The content of the file.
    pub bytes: &'a [u8],
}

/// Reads a certificate with its chain, and the key that belongs to it.
///
/// # Errors
///
/// Returns the first fault: of the certificate, of the key, or of the two together.
pub fn pair(certificate: PemFile<'_>, key: PemFile<'_>) -> Result<CertKey, FileFault> {
    let chain = certificates(certificate, FileRole::Certificate)?;
    let own = private_key(key)?;
    let belongs = |certificate: &X509Ref| certificate.public_key().is_ok_and(|public| public.public_eq(&own));
    // The own certificate comes first in a handshake (RFC 8446 section 4.4.2). Test:
    // `a_file_that_cant_be_used_is_reported_with_its_remedy`.
    if !chain.first().is_some_and(|leaf| belongs(leaf)) {
        let position = chain.iter().position(|certificate| belongs(certificate));
        return Err(FileFault { role: FileRole::Key, ..unfit(certificate.path, key.path, position) });
    }
    accepted(&chain, &own).map_err(|error| FileFault {
        role: FileRole::Certificate,
        message: format!("OpenSSL refuses the certificate in {}: {}", certificate.path, reason(&error)),
        help: "RSA keys have 2048 bits or more, and signatures SHA-256 or better".to_owned(),
    })?;
    Ok(CertKey::new(chain, own))
}

/// Reads all certificates of a file; at least one.
///
/// # Errors
///
/// Returns a fault if the file has no certificate, or a certificate that can't be read.
pub fn certificates(file: PemFile<'_>, role: FileRole) -> Result<Vec<X509>, FileFault> {
    let PemFile { path, bytes } = file;
    let fault = |message: String, help: &str| Err(FileFault { role, message, help: help.to_owned() });
    match X509::stack_from_pem(bytes) {
        Ok(found) if !found.is_empty() => Ok(found),
        Err(error) if contains(bytes, "-----BEGIN") && !contains(bytes, "PRIVATE KEY") => {
            let message = format!("a certificate in {path} can't be read: {}", reason(&error));
            fault(message, "copy the file again: PEM is text, and every line of it counts")
        }
        _ if contains(bytes, "PRIVATE KEY") => {
            fault(format!("{path} holds a private key and no certificate"), "name the file of the certificate here")
        }
        _ => fault(format!("{path} holds no certificate"), expected(bytes, "BEGIN CERTIFICATE")),
    }
}

fn private_key(file: PemFile<'_>) -> Result<PKey<Private>, FileFault> {
    let PemFile { path, bytes } = file;
    let fault = |message: String, help: &str| FileFault { role: FileRole::Key, message, help: help.to_owned() };
    // The word is in both forms of an encrypted key: `BEGIN ENCRYPTED PRIVATE KEY` (RFC 7468 section 11) and
    // `Proc-Type: 4,ENCRYPTED`.
    let is_encrypted = contains(bytes, "ENCRYPTED");
    // Without a callback OpenSSL asks for a passphrase on the terminal.
    // Test: `a_file_that_cant_be_used_is_reported_with_its_remedy`.
    let read = PKey::private_key_from_pem_callback(bytes, |_| Ok(0));
    read.map_err(|error| match () {
        () if is_encrypted => fault(
            format!("the key in {path} is encrypted with a passphrase"),
            "write it without one: openssl pkey -in ENCRYPTED -out KEY",
        ),
        () if contains(bytes, "PRIVATE KEY") => {
            fault(format!("the key in {path} can't be read: {}", reason(&error)), "copy the file again")
        }
        () if contains(bytes, "BEGIN CERTIFICATE") => {
            fault(format!("{path} holds a certificate and no private key"), "name the file of the private key here")
        }
        () => fault(format!("{path} holds no private key"), expected(bytes, "BEGIN PRIVATE KEY")),
    })
}

/// Returns the fault of a key that does not belong to the first certificate. `position` is the index of the certificate
/// that the key belongs to; `None` if it belongs to none of them.
fn unfit(certificate: &str, key: &str, position: Option<usize>) -> FileFault {
    let (message, help) = match position {
        Some(index) => (
            format!("the key in {key} belongs to certificate {} in {certificate}, and not to the first", index + 1),
            "put the server's own certificate first, and then each one's issuer".to_owned(),
        ),
        None => (
            format!("the key in {key} does not belong to the certificate in {certificate}"),
            "name the key that the certificate was requested with; a renewal may have replaced one of the two"
                .to_owned(),
        ),
    };
    FileFault { role: FileRole::Key, message, help }
}

/// Tries a pair as a handshake uses it, because OpenSSL refuses weak keys and signatures only there.
fn accepted(chain: &[X509], key: &PKey<Private>) -> Result<(), ErrorStack> {
    let mut trial = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
    for (index, certificate) in chain.iter().enumerate() {
        match index {
            0 => trial.set_certificate(certificate)?,
            _ => trial.add_extra_chain_cert(certificate.clone())?,
        }
    }
    trial.set_private_key(key)?;
    trial.check_private_key()
}

/// Returns OpenSSL's reason for the first error, or `no reason is known`.
pub fn reason(error: &ErrorStack) -> String {
    error.errors().first().and_then(openssl::error::Error::reason).unwrap_or("no reason is known").to_owned()
}

/// Returns the help for a file without the expected block, which has the name `block` in PEM.
fn expected(bytes: &[u8], block: &str) -> &'static str {
    match (bytes.first(), block) {
        (None, _) => "the file is empty",
        // A DER file begins with this byte, the tag of a SEQUENCE.
        (Some(0x30), "BEGIN CERTIFICATE") => "it may be DER: openssl x509 -inform DER -in FILE -out PEM",
        (Some(0x30), _) => "it may be DER: openssl pkey -inform DER -in FILE -out PEM",
        (Some(_), "BEGIN CERTIFICATE") => "a PEM file has a line -----BEGIN CERTIFICATE-----",
        (Some(_), _) => "a PEM file has a line -----BEGIN PRIVATE KEY-----",
    }
}

fn contains(bytes: &[u8], word: &str) -> bool {
    memchr::memmem::find(bytes, word.as_bytes()).is_some()
}
