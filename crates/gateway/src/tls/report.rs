//! Remarks on certificates that can be used: expiry, order, names, purpose. They are warnings, because the other side
//! of a connection decides whether it accepts a certificate.

use openssl::{
    asn1::{Asn1Time, Asn1TimeRef},
    x509::{X509, X509ExtendedKeyUsage, X509Ref, X509VerifyResult},
};

use super::{pem::FileRole, subject};

/// The number of seconds before the end of a certificate from which on a remark reports that end.
const SOON: i64 = 30 * DAY;

const DAY: i64 = 24 * 60 * 60;

/// The use of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The gateway shows the certificate to clients.
    Server,
    /// The gateway shows the certificate to an upstream.
    Client,
    /// The gateway verifies certificates of the other side with the certificate.
    Authority,
}

/// A remark on a file: the remark and its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The text of the remark, with the path.
    pub message: String,
    /// The remedy.
    pub help: String,
}

/// A certificate as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateState {
    /// The name of the table in the configuration.
    pub name: String,
    /// True if the certificates are authorities, which verify other certificates.
    pub is_authority: bool,
    /// The path of the certificate or of the authorities.
    pub path: String,
    /// The subject of the first certificate (RFC 4514); empty if it can't be written.
    pub subject: String,
    /// The host names in the first certificate.
    pub hosts: Vec<String>,
    /// The end of the certificate, its chain or its authorities, whichever comes first, in seconds since 1970.
    pub not_after: i64,
    /// The time at which the files were read, in seconds since 1970.
    pub read_at: u64,
    /// The reason that the present files are not in use; `None` if they are.
    pub fault: Option<String>,
}

impl FileRole {
    fn noun(self) -> &'static str {
        match self {
            Self::Authorities => "authority",
            Self::Certificate | Self::Key => "certificate",
        }
    }
}

/// Returns the end of a certificate in seconds since 1970.
#[must_use]
pub fn not_after(certificate: &X509Ref) -> i64 {
    since_1970(certificate.not_after())
}

fn since_1970(time: &Asn1TimeRef) -> i64 {
    let difference = Asn1Time::from_unix(0).and_then(|epoch| epoch.diff(time));
    difference.map_or(i64::MAX, |passed| i64::from(passed.days) * DAY + i64::from(passed.secs))
}

/// Returns the remarks on the certificates of a file at a time in seconds since 1970.
#[must_use]
pub fn remarks(path: &str, certificates: &[X509], purpose: Purpose, now: u64) -> Vec<Remark> {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let role = if purpose == Purpose::Authority { FileRole::Authorities } else { FileRole::Certificate };
    let mut found: Vec<Remark> = Vec::new();
    for (index, certificate) in certificates.iter().enumerate() {
        let which = if certificates.len() == 1 {
            format!("the {}", role.noun())
        } else {
            format!("{} {}", role.noun(), index + 1)
        };
        found.extend(validity(&format!("{which} in {path}"), certificate, now));
    }
    // Authorities may be in any order, and are for no host, so neither is checked. Test:
    // `faults_of_expiry_order_and_purpose_of_certificates_are_reported`.
    if purpose != Purpose::Authority {
        found.extend(out_of_order(path, certificates));
        found.extend(certificates.first().and_then(|own| purposeless(path, own, purpose)));
    }
    found
}

fn validity(which: &str, certificate: &X509Ref, now: i64) -> Option<Remark> {
    let (begins, ends) = (since_1970(certificate.not_before()), not_after(certificate));
    let days = |seconds: i64| match seconds / DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    let (message, help) = match () {
        () if ends < now => (format!("{which} expired {} ago", days(now - ends)), "renew it: others refuse it"),
        () if ends - now < SOON => {
            (format!("{which} expires in {}", days(ends - now)), "renew it; its files are read again when they change")
        }
        () if begins > now => (
            format!("{which} is valid in {} from now", days(begins - now)),
            "look at the machine's clock; others refuse it",
        ),
        () => return None,
    };
    Some(Remark { message, help: help.to_owned() })
}

/// Returns a remark on the first certificate that the next one did not issue; `None` if the chain is in order.
fn out_of_order(path: &str, chain: &[X509]) -> Option<Remark> {
    let is_break = |pair: &[X509]| pair[1].issued(&pair[0]) != X509VerifyResult::OK;
    let index = chain.windows(2).position(is_break)? + 1;
    let message = format!("certificate {} in {path} is not the issuer of certificate {index}", index + 1);
    let issuer = subject::distinguished_name(chain[index - 1].issuer_name()).unwrap_or_default();
    Some(Remark { message, help: format!("order: the own certificate, its issuer, and so on; next is {issuer}") })
}

/// Returns a remark if the other side will not accept a certificate for its purpose (RFC 5280 section 4.2.1.12, RFC
/// 9525 section 2).
fn purposeless(path: &str, own: &X509Ref, purpose: Purpose) -> Option<Remark> {
    let (needed, noun) = match purpose {
        Purpose::Server => (X509ExtendedKeyUsage::SSL_SERVER, "servers"),
        Purpose::Client | Purpose::Authority => (X509ExtendedKeyUsage::SSL_CLIENT, "clients"),
    };
    // Without the extension, a certificate is for every purpose, so it is usable.
    let usable = own.extended_key_usage().is_none_or(|uses| uses.intersects(needed | X509ExtendedKeyUsage::ANYEKU));
    if !usable {
        let message = format!("the certificate in {path} is not one for {noun}");
        return Some(Remark { message, help: format!("request it with the extended key usage for TLS {noun}") });
    }
    let is_nameless = purpose == Purpose::Server && !subject::names_servers(own);
    is_nameless.then(|| Remark {
        message: format!("the certificate in {path} names no host"),
        help: "request it with a subjectAltName: clients don't look at the common name".to_owned(),
    })
}
