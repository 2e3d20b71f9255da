//! Values made from certificate files, and made again when the files change.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use openssl::{error::ErrorStack, x509::X509};
use pingora::utils::tls::CertKey;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    pem::{self, FileFault, FileRole, PemFile},
    report::{self, CertificateState},
    subject,
};
use cursorgate_config::{Environment as _, FILE_SIZE_MAX, ProcessEnvironment, settings::KeyPairSettings};

/// A digest of the content of files, by which a change is noticed.
type FileDigest = [u8; 32];

/// The certificates, keys and authorities from which a [`Renewable`] makes its value.
#[derive(Clone, Debug)]
pub struct Material {
    /// The gateway's own certificates with their keys.
    pub pairs: Vec<Arc<CertKey>>,
    /// The authorities that verify certificates of the other side; `None` if none are configured.
    pub authorities: Option<Arc<Box<[X509]>>>,
}

/// The result of reading changed files.
#[derive(Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The name of the table in the configuration.
    pub name: String,
    /// The new state, or the fault because of which the earlier certificates stay in use.
    pub result: Result<CertificateState, String>,
}

/// A value of any type that is made from certificate files.
pub trait Credentials: Send + Sync {
    /// Reads the files, and takes those that changed into use. A fault is returned once, and only if the files have the
    /// same content at the next call, because a certificate and its key are replaced one after the other.
    fn refresh(&self, now: u64) -> Vec<Renewal>;

    /// Returns the certificates in use.
    fn states(&self) -> Vec<CertificateState>;
}

/// A value that is made from certificate files, and made again when they change.
pub struct Renewable<C> {
    current: ArcSwap<C>,
    parts: Mutex<CredentialParts>,
    make: Box<Making<C>>,
}

/// The function that makes a value.
type Making<C> = dyn Fn(&Material) -> Result<C, ErrorStack> + Send + Sync;

/// All files of a value.
#[derive(Debug)]
pub(super) struct CredentialParts {
    pub(super) pairs: Vec<CredentialPart<CertKey>>,
    pub(super) authorities: Option<CredentialPart<Box<[X509]>>>,
}

/// Files that are read together, such as a certificate and its key.
#[derive(Debug)]
pub(super) struct CredentialPart<T> {
    name: String,
    files: Vec<(FileRole, String)>,
    parse: fn(&[PemFile<'_>]) -> Result<T, FileFault>,
    certificates: fn(&T) -> Vec<&X509>,
    value: Arc<T>,
    read_at: u64,
    /// The digest of the content that was read last and is in use or has been reported.
    seen: FileDigest,
    /// The digest of content that can't be used and has been read once; `None` if there is none.
    doubtful: Option<FileDigest>,
    fault: Option<String>,
}

impl CredentialPart<CertKey> {
    pub(super) fn pair(settings: &KeyPairSettings, now: u64) -> Result<Self, FileFault> {
        let files = vec![
            (FileRole::Certificate, settings.certificate.value.clone()),
            (FileRole::Key, settings.key.value.clone()),
        ];
        Self::open(
            settings.name.clone(),
            files,
            |files| pem::pair(files[0], files[1]),
            |pair| std::iter::once(pair.leaf()).chain(pair.intermediates()).collect(),
            now,
        )
    }
}

impl CredentialPart<Box<[X509]>> {
    pub(super) fn authorities(name: &str, path: &str, now: u64) -> Result<Self, FileFault> {
        let files = vec![(FileRole::Authorities, path.to_owned())];
        Self::open(
            name.to_owned(),
            files,
            |files| pem::certificates(files[0], FileRole::Authorities).map(Vec::into_boxed_slice),
            |all| all.iter().collect(),
            now,
        )
    }
}

impl<T> CredentialPart<T> {
    /// Reads a part. `parse` makes its value from its files, and `certificates` returns the certificates in the value.
    fn open(
        name: String,
        files: Vec<(FileRole, String)>,
        parse: fn(&[PemFile<'_>]) -> Result<T, FileFault>,
        certificates: fn(&T) -> Vec<&X509>,
        now: u64,
    ) -> Result<Self, FileFault> {
        let (seen, value) = read(&files, parse);
        let value = Arc::new(value?);
        Ok(Self { name, files, parse, certificates, value, read_at: now, seen, doubtful: None, fault: None })
    }

    /// Returns the certificates in use.
    pub(super) fn certificates(&self) -> Vec<X509> {
        (self.certificates)(&self.value).into_iter().cloned().collect()
    }

    /// Reads the files again. Returns `Some(true)` if new content is in use now, `Some(false)` if new content can't be
    /// used, and `None` if nothing is to be reported.
    fn refresh(&mut self, now: u64) -> Option<bool> {
        let (content, value) = read(&self.files, self.parse);
        if content == self.seen {
            // The files have the content in use again, so the unusable content that was read once no longer counts.
            self.doubtful = None;
            return None;
        }
        match value {
            Ok(value) => {
                (self.value, self.read_at) = (Arc::new(value), now);
                (self.seen, self.doubtful, self.fault) = (content, None, None);
                Some(true)
            }
            // A certificate and its key are replaced one after the other, so a first fault may pass. Test:
            // `certificate_files_replaced_one_after_the_other_cause_no_fault`.
            Err(_) if self.doubtful != Some(content) => {
                self.doubtful = Some(content);
                None
            }
            Err(fault) => {
                // The content counts as seen, so the fault is reported only once. Test:
                // `certificate_files_replaced_one_after_the_other_cause_no_fault`.
                (self.seen, self.doubtful) = (content, None);
                self.fault = Some(fault.message);
                Some(false)
            }
        }
    }

    fn state(&self) -> CertificateState {
        let all = (self.certificates)(&self.value);
        let first = all.first();
        CertificateState {
            name: self.name.clone(),
            is_authority: self.files.iter().any(|(role, _)| *role == FileRole::Authorities),
            path: self.files.first().map(|(_, path)| path.clone()).unwrap_or_default(),
            subject: first.and_then(|first| subject::distinguished_name(first.subject_name())).unwrap_or_default(),
            hosts: first.map(|first| subject::hosts(first)).unwrap_or_default(),
            // An intermediate certificate that ends first breaks the chain like an expired leaf, so the earliest end
            // counts.
            not_after: all.iter().map(|each| report::not_after(each)).min().unwrap_or(i64::MAX),
            read_at: self.read_at,
            fault: self.fault.clone(),
        }
    }

    fn renewal(&self) -> Renewal {
        let result = match &self.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(self.state()),
        };
        Renewal { name: self.name.clone(), result }
    }
}

/// Reads files and parses them. The digest is of the files' content, or of the error if a file can't be read.
fn read<T>(
    files: &[(FileRole, String)],
    parse: fn(&[PemFile<'_>]) -> Result<T, FileFault>,
) -> (FileDigest, Result<T, FileFault>) {
    let mut digest = Sha256::new();
    let mut contents: Vec<Zeroizing<Vec<u8>>> = Vec::with_capacity(files.len());
    for (role, path) in files {
        let bytes = ProcessEnvironment::default().read(Path::new(path)).and_then(|bytes| match bytes.len() {
            ..=FILE_SIZE_MAX => Ok(bytes),
            _ => Err(std::io::Error::other(format!("it is larger than {} MiB", FILE_SIZE_MAX >> 20))),
        });
        match bytes {
            Ok(bytes) => {
                // The length marks where one file ends and the next one begins, so bytes that move between files
                // change the digest.
                digest.update(bytes.len().to_be_bytes());
                digest.update(&bytes);
                contents.push(Zeroizing::new(bytes));
            }
            Err(error) => {
                let message = format!("{path} can't be read: {error}");
                // A file that can't be read also has a digest. Its fault is then reported once, and the end of the
                // fault is noticed. Test: `certificate_files_replaced_one_after_the_other_cause_no_fault`.
                digest.update(message.as_bytes());
                let help = "look at the path, and whether the gateway's account may read it".to_owned();
                return (digest.finalize().into(), Err(FileFault { role: *role, message, help }));
            }
        }
    }
    let pairs = files.iter().zip(&contents);
    let files: Vec<PemFile<'_>> = pairs.map(|((_, path), bytes)| PemFile { path, bytes }).collect();
    (digest.finalize().into(), parse(&files))
}

impl CredentialParts {
    fn material(&self) -> Material {
        Material {
            pairs: self.pairs.iter().map(|part| Arc::clone(&part.value)).collect(),
            authorities: self.authorities.as_ref().map(|part| Arc::clone(&part.value)),
        }
    }
}

impl<C> std::fmt::Debug for Renewable<C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Renewable")
    }
}

impl<C> Renewable<C> {
    /// Makes the value for the first time. Returns OpenSSL's error if it refuses the certificates.
    pub(super) fn new(
        parts: CredentialParts,
        make: impl Fn(&Material) -> Result<C, ErrorStack> + Send + Sync + 'static,
    ) -> Result<Self, ErrorStack> {
        let current = ArcSwap::from_pointee(make(&parts.material())?);
        Ok(Self { current, parts: Mutex::new(parts), make: Box::new(make) })
    }

    /// Returns the value in use.
    #[must_use]
    pub fn current(&self) -> Arc<C> {
        self.current.load_full()
    }
}

impl<C: Send + Sync> Credentials for Renewable<C> {
    fn refresh(&self, now: u64) -> Vec<Renewal> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut renewals, mut is_new) = (Vec::new(), false);
        for part in &mut parts.pairs {
            let news = part.refresh(now);
            is_new |= news == Some(true);
            renewals.extend(news.map(|_| part.renewal()));
        }
        if let Some(part) = &mut parts.authorities {
            let news = part.refresh(now);
            is_new |= news == Some(true);
            renewals.extend(news.map(|_| part.renewal()));
        }
        // All parts are read first, so files that changed together come into use together.
        if is_new {
            match (self.make)(&parts.material()) {
                // Handshakes under way keep the earlier value. Test: `renewed_certificates_fail_no_client`.
                Ok(made) => self.current.store(Arc::new(made)),
                Err(error) => {
                    let fault = format!("OpenSSL refuses it: {}", pem::reason(&error));
                    renewals.iter_mut().for_each(|renewal| renewal.result = Err(fault.clone()));
                }
            }
        }
        renewals
    }

    fn states(&self) -> Vec<CertificateState> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = parts.pairs.iter().map(CredentialPart::state);
        pairs.chain(parts.authorities.iter().map(CredentialPart::state)).collect()
    }
}
