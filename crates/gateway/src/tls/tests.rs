//! Tests of the faults and remarks that operators read, of names as text, and of the renewal of files.

use std::path::PathBuf;

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    symm::Cipher,
    x509::{
        X509, X509NameBuilder,
        extension::{ExtendedKeyUsage, SubjectAlternativeName},
    },
};

use super::{
    pem::{self, PemFile},
    renewable::{CredentialPart, CredentialParts, Credentials as _, Renewable},
    report::{self, Purpose},
    subject::{ClientSubject, distinguished_name, hosts},
};
use cursorgate_config::{
    diagnostic::{Located, Location},
    settings::KeyPairSettings,
};

const NOW: u64 = 1_800_000_000;
const DAY: i64 = 86_400;

/// The properties of a certificate that a test makes.
struct Made<'a> {
    subject: &'a [(Nid, &'a str)],
    hosts: &'a [&'a str],
    /// The first and the last day of validity, in days from `NOW`.
    validity: (i64, i64),
    issuer: Option<(&'a X509, &'a PKey<Private>)>,
    client_only: bool,
}

const PLAIN: Made<'_> = Made {
    subject: &[(Nid::COMMONNAME, "api.test")],
    hosts: &["api.test"],
    validity: (-10, 90),
    issuer: None,
    client_only: false,
};

fn key() -> PKey<Private> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap()
}

impl Made<'_> {
    fn with(&self, key: &PKey<Private>) -> X509 {
        let mut name = X509NameBuilder::new().unwrap();
        for (kind, value) in self.subject {
            name.append_entry_by_nid(*kind, value).unwrap();
        }
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_serial_number(&BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(self.issuer.map_or(&*name, |(issuer, _)| issuer.subject_name())).unwrap();
        let time = |days: i64| Asn1Time::from_unix(NOW.cast_signed() + days * DAY).unwrap();
        builder.set_not_before(&time(self.validity.0)).unwrap();
        builder.set_not_after(&time(self.validity.1)).unwrap();
        builder.set_pubkey(key).unwrap();
        if !self.hosts.is_empty() {
            let mut names = SubjectAlternativeName::new();
            for host in self.hosts {
                match host.split_once("://") {
                    Some(_) => names.uri(host),
                    None => names.dns(host),
                };
            }
            let names = names.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(names).unwrap();
        }
        if self.client_only {
            builder.append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap()).unwrap();
        }
        builder.sign(self.issuer.map_or(key, |(_, key)| key), MessageDigest::sha256()).unwrap();
        builder.build()
    }
}

fn file<'a>(path: &'a str, bytes: &'a [u8]) -> PemFile<'a> {
    PemFile { path, bytes }
}

#[test]
fn a_file_that_cant_be_used_is_reported_with_its_remedy() {
    let (own, other) = (key(), key());
    let certificate = PLAIN.with(&own);
    let issuer = Made { subject: &[(Nid::COMMONNAME, "root")], hosts: &[], ..PLAIN }.with(&other);
    let chain = [certificate.to_pem().unwrap(), issuer.to_pem().unwrap()].concat();
    let reversed = [issuer.to_pem().unwrap(), certificate.to_pem().unwrap()].concat();
    let text = own.private_key_to_pem_pkcs8().unwrap();
    let encrypted = own.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret").unwrap();
    let weak = PKey::from_rsa(Rsa::generate(1_024).unwrap()).unwrap();
    let weak_certificate = PLAIN.with(&weak).to_pem().unwrap();
    let weak_text = weak.private_key_to_pem_pkcs8().unwrap();
    let other_text = other.private_key_to_pem_pkcs8().unwrap();
    let mut broken = certificate.to_pem().unwrap();
    broken.truncate(200);
    let der = certificate.to_der().unwrap();
    for (certificate, key, message, help) in [
        (&chain[..], &other_text[..], "belongs to certificate 2 in c.pem", "first"),
        (&reversed, &text, "belongs to certificate 2 in c.pem", "first"),
        (&certificate.to_pem().unwrap(), &other_text, "k.pem does not belong to the certificate in c.pem", "requested"),
        (&text, &text, "c.pem holds a private key and no certificate", "certificate here"),
        (&chain, &chain, "k.pem holds a certificate and no private key", "private key here"),
        (b"", &text, "c.pem holds no certificate", "empty"),
        (b"hello", &text, "c.pem holds no certificate", "BEGIN CERTIFICATE"),
        (&der, &text, "c.pem holds no certificate", "DER"),
        (&broken, &text, "a certificate in c.pem can't be read", "again"),
        (&chain, b"", "k.pem holds no private key", "empty"),
        (&chain, &encrypted, "k.pem is encrypted with a passphrase", "openssl pkey"),
        (&chain, &text[..60], "the key in k.pem can't be read", "again"),
        (&weak_certificate, &weak_text, "OpenSSL refuses the certificate in c.pem", "2048"),
    ] {
        let fault = pem::pair(file("c.pem", certificate), file("k.pem", key)).err().unwrap();
        assert!(fault.message.contains(message) && fault.help.contains(help), "{fault:?}");
    }
    assert!(pem::pair(file("c.pem", &chain), file("k.pem", &text)).is_ok());
}

#[test]
fn faults_of_expiry_order_and_purpose_of_certificates_are_reported() {
    let (own, authority) = (key(), key());
    let issuer = Made { subject: &[(Nid::COMMONNAME, "root")], hosts: &[], ..PLAIN }.with(&authority);
    let stranger = Made { subject: &[(Nid::COMMONNAME, "stranger")], hosts: &[], ..PLAIN }.with(&authority);
    let issued = |made: Made<'_>| Made { issuer: Some((&issuer, &authority)), ..made }.with(&own);
    let valid = |from, until| issued(Made { validity: (from, until), ..PLAIN });
    let named = |hosts| issued(Made { hosts, ..PLAIN });
    let of_client = || issued(Made { client_only: true, ..PLAIN });
    for (chain, purpose, expected) in [
        (vec![valid(-1, 31)], Purpose::Server, None),
        (vec![valid(-1, 29)], Purpose::Server, Some("the certificate in c.pem expires in 29 days")),
        (vec![valid(-9, -3)], Purpose::Server, Some("the certificate in c.pem expired 3 days ago")),
        (vec![valid(1, 90)], Purpose::Server, Some("the certificate in c.pem is valid in 1 day from now")),
        (vec![valid(-1, 90), issuer.clone()], Purpose::Server, None),
        (
            vec![valid(-1, 90), stranger],
            Purpose::Server,
            Some("certificate 2 in c.pem is not the issuer of certificate 1"),
        ),
        (vec![named(&[])], Purpose::Server, Some("names no host")),
        (vec![named(&[])], Purpose::Client, None),
        (vec![of_client()], Purpose::Server, Some("is not one for servers")),
        (vec![of_client()], Purpose::Client, None),
        (vec![issuer.clone()], Purpose::Authority, None),
        (vec![valid(-9, -3)], Purpose::Authority, Some("the authority in c.pem expired")),
    ] {
        let remarks = report::remarks("c.pem", &chain, purpose, NOW);
        let message = remarks.first().map(|remark| remark.message.as_str());
        assert_eq!(remarks.len(), usize::from(expected.is_some()), "{remarks:?}");
        assert!(message.zip(expected).is_none_or(|(message, expected)| message.contains(expected)), "{remarks:?}");
    }
}

#[test]
fn subjects_are_written_so_that_no_two_are_the_same() {
    let own = key();
    let of =
        |subject: &[(Nid, &str)], hosts: &[&str]| ClientSubject::of(&Made { subject, hosts, ..PLAIN }.with(&own)).0;
    let (cn, o) = (Nid::COMMONNAME, Nid::ORGANIZATIONNAME);
    assert_eq!(of(&[(o, "Example, Inc."), (cn, "billing")], &[]), r"CN=billing,O=Example\, Inc.");
    assert_eq!(of(&[(cn, "billing,O=Example")], &[]), r"CN=billing\,O\=Example");
    assert_eq!(of(&[(cn, " a b\u{1}\"é ")], &[]), r#"CN=\20a b\01\"\C3\A9\20"#);
    assert_eq!(of(&[(cn, "#1")], &[]), r"CN=\#1");
    let workload = &["spiffe://example.com/billing", "billing.test"];
    assert_eq!(of(&[], workload), "URI=spiffe://example.com/billing,DNS=billing.test");
    assert_eq!(of(&[(cn, "billing")], workload), "CN=billing");
    let fingerprint = of(&[], &[]);
    assert!(fingerprint.starts_with("SHA256=") && fingerprint.len() == 71, "{fingerprint}");
    assert_eq!(distinguished_name(Made { subject: &[], ..PLAIN }.with(&own).subject_name()).as_deref(), Some(""));
    assert_eq!(hosts(&Made { hosts: &["A.test", "*.B.test"], ..PLAIN }.with(&own)), ["a.test", "*.b.test"]);
}

/// A folder for one test, which is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cursorgate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A fault is reported once, when it is seen for the second time. The end of the fault is also reported.
#[test]
fn certificate_files_replaced_one_after_the_other_cause_no_fault() {
    let folder = Folder::new("renewal");
    let at = Location { source: 0, start: 0, end: 0 };
    let path = |name: &str| Located { value: folder.0.join(name).display().to_string(), at };
    let write = |own: &PKey<Private>, names: &[&str]| {
        for name in names {
            let bytes = if *name == "c.pem" { PLAIN.with(own).to_pem() } else { own.private_key_to_pem_pkcs8() };
            folder.write(name, &bytes.unwrap());
        }
    };
    let (first, second) = (key(), key());
    write(&first, &["c.pem", "k.pem"]);
    let settings = KeyPairSettings { name: "tls".to_owned(), certificate: path("c.pem"), key: path("k.pem") };
    let parts = CredentialParts { pairs: vec![CredentialPart::pair(&settings, NOW).unwrap()], authorities: None };
    let renewable = Renewable::new(parts, |material| material.pairs[0].key().public_key_to_der()).unwrap();
    let is_current = |own: &PKey<Private>| *renewable.current() == own.public_key_to_der().unwrap();
    assert!(renewable.refresh(NOW).is_empty());
    write(&second, &["c.pem"]);
    assert!(renewable.refresh(NOW).is_empty(), "the key may follow");
    write(&second, &["k.pem"]);
    let renewed = renewable.refresh(NOW + 1);
    assert!(renewed.len() == 1 && renewed[0].result.as_ref().is_ok_and(|state| state.read_at == NOW + 1));
    assert!(is_current(&second) && renewable.refresh(NOW + 2).is_empty());

    write(&first, &["k.pem"]);
    assert!(renewable.refresh(NOW + 3).is_empty());
    let failed = renewable.refresh(NOW + 4);
    assert!(failed.len() == 1 && failed[0].result.is_err(), "{failed:?}");
    assert!(renewable.refresh(NOW + 5).is_empty(), "it is reported once");
    assert!(is_current(&second) && renewable.states()[0].fault.is_some());
    std::fs::remove_file(folder.0.join("k.pem")).unwrap();
    assert!(renewable.refresh(NOW + 6).is_empty());
    assert!(renewable.refresh(NOW + 7)[0].result.as_ref().is_err_and(|fault| fault.contains("can't be read")));
    write(&second, &["k.pem"]);
    assert!(renewable.refresh(NOW + 8)[0].result.is_ok() && renewable.states()[0].fault.is_none());
    assert!(is_current(&second));
}
