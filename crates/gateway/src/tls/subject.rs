//! Names in certificates: the subject as text, and the hosts that a certificate is for.

use std::fmt::Write as _;

use openssl::{
    hash::MessageDigest,
    nid::Nid,
    x509::{X509NameRef, X509Ref},
};

/// The largest number of bytes in a subject that is sent as text. A certificate with a longer subject is named by its
/// fingerprint.
const LONGEST: usize = 1_024;

/// The subject of a client's verified certificate, as the text of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSubject(pub String);

impl ClientSubject {
    /// Returns the subject of a certificate (RFC 4514), or its alternative names if the subject is empty, as in
    /// certificates of workloads: `URI=spiffe://example.com/billing`. Other certificates are named by their
    /// fingerprint.
    #[must_use]
    pub fn of(certificate: &X509Ref) -> Self {
        let subject = distinguished_name(certificate.subject_name()).filter(|name| !name.is_empty());
        let text = subject.or_else(|| alternative_names(certificate)).filter(|text| text.len() <= LONGEST);
        Self(text.unwrap_or_else(|| fingerprint(certificate)))
    }
}

/// Returns the names of hosts that a certificate is for, in lower case; some begin with `*.`.
#[must_use]
pub fn hosts(certificate: &X509Ref) -> Vec<String> {
    let names = certificate.subject_alt_names();
    // The common name is left out: clients don't look at it (RFC 9525, section 2).
    let hosts = names.iter().flatten().filter_map(|name| name.dnsname()).map(str::to_ascii_lowercase);
    hosts.collect()
}

/// Returns whether a certificate names hosts or addresses.
pub fn names_servers(certificate: &X509Ref) -> bool {
    let names = certificate.subject_alt_names();
    names.iter().flatten().any(|name| name.dnsname().is_some() || name.ipaddress().is_some())
}

/// Returns a name in the form of RFC 4514. Returns `None` for a name with several values in one part, or with a value
/// that isn't valid text: its text could be the same as the text of another name.
pub fn distinguished_name(name: &X509NameRef) -> Option<String> {
    let parts: Vec<_> = name.entries().collect();
    if parts.len() != part_count(&name.to_der().ok()?)? {
        return None;
    }
    let mut text = String::new();
    // The last part of the name comes first in its text (RFC 4514, section 2.1), so the parts are written in reverse.
    for entry in parts.iter().rev() {
        if !text.is_empty() {
            text.push(',');
        }
        let object = entry.object();
        match object.nid() {
            Nid::UNDEF => text.push_str(&object.to_string()),
            nid => text.push_str(nid.short_name().ok()?),
        }
        text.push('=');
        // A value that isn't valid text could become equal to the value of another name, so `None` is returned. Test:
        // `subjects_are_written_so_that_no_two_are_the_same`.
        let value = entry.data().to_string().ok().filter(|value| !value.contains(char::REPLACEMENT_CHARACTER))?;
        push_escaped(&mut text, &value);
    }
    Some(text)
}

/// Returns the number of parts of a name in DER: a SEQUENCE of SETs (RFC 5280 section 4.1.2.4). Returns `None` if the
/// DER is malformed.
fn part_count(der: &[u8]) -> Option<usize> {
    let (mut rest, _) = content(der)?;
    let mut count = 0;
    // Each iteration consumes at least two bytes.
    while !rest.is_empty() {
        let (_, after) = content(rest)?;
        (rest, count) = (after, count + 1);
    }
    Some(count)
}

/// Returns the content of the first element of DER, and the bytes after it; `None` if the element is cut, or its length
/// has more than four bytes.
fn content(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&short, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = match usize::from(short) {
        length @ ..0x80 => (length, rest),
        form => {
            // The long form: the number of length bytes, followed by these bytes (ITU-T X.690, section 8.1.3.5).
            let (bytes, rest) = rest.split_at_checked(form - 0x80).filter(|(bytes, _)| bytes.len() <= 4)?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
    };
    rest.split_at_checked(length)
}

/// Appends a value: special characters get a backslash, and bytes other than visible ASCII are written in hexadecimal
/// (RFC 4514, section 2.4).
fn push_escaped(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (index, byte) in value.bytes().enumerate() {
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' | b'=' => text.extend(['\\', char::from(byte)]),
            b'#' if index == 0 => text.push_str("\\#"),
            // The value of a header loses a space at its end, even after a backslash, so spaces at both ends are
            // written as `\20`. Test: `subjects_are_written_so_that_no_two_are_the_same`.
            b' ' if index == 0 || index == last => text.push_str("\\20"),
            b' '..=b'~' => text.push(char::from(byte)),
            // Writing to a `String` does not fail, so the result is dropped.
            _ => drop(write!(text, "\\{byte:02X}")),
        }
    }
}

fn alternative_names(certificate: &X509Ref) -> Option<String> {
    let names = certificate.subject_alt_names()?;
    let mut text = String::new();
    for name in &names {
        let (kind, value) = match (name.uri(), name.dnsname(), name.email()) {
            (Some(uri), ..) => ("URI", uri),
            (_, Some(host), _) => ("DNS", host),
            (.., Some(address)) => ("EMAIL", address),
            _ => continue,
        };
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(kind);
        text.push('=');
        push_escaped(&mut text, value);
    }
    (!text.is_empty()).then_some(text)
}

/// Returns `SHA256=` and the digest of the certificate in hexadecimal.
fn fingerprint(certificate: &X509Ref) -> String {
    let digest = certificate.digest(MessageDigest::sha256());
    let mut text = "SHA256=".to_owned();
    for byte in digest.iter().flat_map(|digest| digest.iter()) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
