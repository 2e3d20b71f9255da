//! Objects with the bytes of results, in a bucket that speaks S3. `object_store` makes and signs the requests. They go
//! over the gateway's own connections to an upstream, so the bucket has the peers, TLS, time limits and retries of any
//! upstream, and there is no second client and no second TLS library.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _};
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt as _;
use object_store::{
    ClientOptions, ObjectStoreExt as _, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{
        CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, HttpClient, HttpConnector, HttpError,
        HttpErrorKind, HttpRequest, HttpResponse, HttpService, Signer, SigningAlgorithm,
    },
    path::Path,
};
use pingora::http::RequestHeader;
use sha2::{
    Sha256,
    digest::{FixedOutput, Update, array::Array, consts::U32},
};
use tokio::{runtime::Handle, task::spawn_blocking};
use url::{Position, Url};

use crate::inner::InnerGateway;
use cursorgate_config::settings::ObjectSettings;
use cursorgate_gateway::{
    Snapshot,
    net::fetch::{AskedPeer, Bounds},
    runtime::clock,
};

/// The length from which the rows of a part of a result become an object, in bytes. An object is at most 1 MiB longer.
pub(super) const OBJECT: u64 = 8 << 20;

/// The smallest length of an object, in bytes. A shorter rest of a result stays in its rows.
pub(super) const LEAST: u64 = 256 << 10;

/// The largest number of bytes that are read from an object at a time.
const PIECE: u64 = 1 << 20;

/// The largest answer of the server in bytes: a piece, or the document of an error.
const ANSWER: usize = 2 << 20;

/// The pause after a fault before objects are removed again.
const PAUSE: Duration = Duration::from_secs(60);

/// The largest number of characters of a fault. A server's answer is a part of it.
const MOST_SAID: usize = 500;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectFault {
    #[error("the configuration no longer has services.exports.objects, and results are there")]
    Unset,
    #[error("services.exports.objects: {0}")]
    Failed(String),
}

impl From<object_store::Error> for ObjectFault {
    fn from(error: object_store::Error) -> Self {
        let said = error.to_string();
        Self::Failed(said.chars().filter(|letter| !letter.is_control()).take(MOST_SAID).collect())
    }
}

impl From<object_store::path::Error> for ObjectFault {
    fn from(error: object_store::path::Error) -> Self {
        object_store::Error::from(error).into()
    }
}

/// The bucket of the configuration in force.
pub(super) struct Objects {
    inner: Arc<InnerGateway>,
    /// The time until which no objects are removed, after a fault.
    paused: Mutex<Option<Instant>>,
    /// `true` after an object couldn't be read, until the bucket has shown that it is there.
    is_in_doubt: AtomicBool,
}

impl Objects {
    pub(super) fn new(inner: Arc<InnerGateway>) -> Self {
        Self { inner, paused: Mutex::default(), is_in_doubt: AtomicBool::new(false) }
    }

    /// Returns the beginning of the names of new objects; `None` if results stay in rows.
    pub(super) fn prefix(&self) -> Option<String> {
        let snapshot = self.inner.gateway().live.pin();
        Some(settings(&snapshot)?.bucket.prefix.clone())
    }

    /// Writes an object, or replaces it.
    ///
    /// # Errors
    ///
    /// Returns the fault. The server might nevertheless have written the object.
    pub(super) async fn write(&self, key: &str, bytes: Vec<u8>) -> Result<(), ObjectFault> {
        let (store, path) = (self.open()?, Path::parse(key)?);
        // On this thread, hashing the object for its signature would delay other requests.
        let runtime = Handle::current();
        let written = spawn_blocking(move || runtime.block_on(store.put(&path, bytes.into())));
        written.await.map_err(|error| ObjectFault::Failed(error.to_string()))??;
        Ok(())
    }

    /// Reads the first bytes of a range of an object, at most [`PIECE`].
    ///
    /// # Errors
    ///
    /// Returns the fault.
    pub(super) async fn read(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectFault> {
        let range = range.start..range.end.min(range.start.saturating_add(PIECE));
        let read = async { Ok(self.open()?.get_range(&Path::parse(key)?, range).await?) };
        let read: Result<Bytes, ObjectFault> = read.await;
        if read.is_err() {
            self.is_in_doubt.store(true, Ordering::Relaxed);
        }
        read
    }

    /// Checks that the bucket is there, if an object couldn't be read. Without this, only jobs that write would notice.
    ///
    /// # Errors
    ///
    /// Returns the fault.
    pub(super) async fn check(&self) -> Result<(), ObjectFault> {
        if self.is_in_doubt.load(Ordering::Relaxed) {
            self.probe().await?;
            self.is_in_doubt.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Removes an object. Does nothing if it isn't there.
    ///
    /// # Errors
    ///
    /// Returns the fault.
    async fn remove(&self, key: &str) -> Result<(), ObjectFault> {
        match self.open()?.delete(&Path::parse(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes objects until one can't be removed, and returns how many were removed. After a fault, none are removed
    /// for a while: the keeper takes no jobs meanwhile, and a server that is away can cost a time-out.
    pub(super) async fn remove_all(&self, keys: &[String]) -> usize {
        for (count, key) in keys.iter().enumerate() {
            if let Err(fault) = self.remove(key).await {
                tracing::warn!(%fault, "objects of removed results can't be removed, and are later");
                *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock::instant() + PAUSE);
                return count;
            }
        }
        keys.len()
    }

    /// Returns whether objects can be removed now.
    pub(super) fn can_remove(&self) -> bool {
        let paused = *self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        self.prefix().is_some() && paused.is_none_or(|until| until <= clock::instant())
    }

    /// Checks that objects can be written. The object that this writes is replaced the next time.
    ///
    /// # Errors
    ///
    /// Returns the fault.
    pub(super) async fn probe(&self) -> Result<(), ObjectFault> {
        match self.prefix() {
            Some(prefix) => self.write(&format!("{prefix}probe"), b"probe".to_vec()).await,
            None => Ok(()),
        }
    }

    fn open(&self) -> Result<AmazonS3, ObjectFault> {
        let snapshot = self.inner.gateway().live.pin();
        let settings = settings(&snapshot).ok_or(ObjectFault::Unset)?;
        let upstream = snapshot.upstreams.get(settings.upstream).ok_or(ObjectFault::Unset)?;
        let host = upstream.host_for(None);
        let text = |secret: &[u8]| String::from_utf8_lossy(secret).into_owned();
        let store = AmazonS3Builder::new()
            .with_http_connector(UpstreamClient { inner: Arc::clone(&self.inner) })
            .with_crypto_provider(Arc::new(OwnHashes))
            // The scheme is that of the signed URL, and decides nothing: the upstream says whether there is TLS.
            .with_endpoint(format!("http://{}{}", text(host.as_bytes()), upstream.base_path))
            .with_allow_http(true)
            .with_virtual_hosted_style_request(false)
            .with_bucket_name(&settings.bucket.name)
            .with_region(&settings.region)
            .with_access_key_id(text(settings.id.reveal()))
            .with_secret_access_key(text(settings.secret.reveal()))
            // Not all servers can remove several objects at once.
            .with_disable_bulk_delete(true)
            // The upstream's `retries` say what is tried again.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        Ok(store.build()?)
    }
}

fn settings(snapshot: &Snapshot) -> Option<&ObjectSettings> {
    snapshot.services.exports.as_ref()?.objects.as_ref()
}

/// The HTTP client of `object_store`. Each request goes to the upstream that is in force at that moment.
#[derive(Clone)]
struct UpstreamClient {
    inner: Arc<InnerGateway>,
}

impl std::fmt::Debug for UpstreamClient {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("UpstreamClient")
    }
}

impl HttpConnector for UpstreamClient {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for UpstreamClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let gateway = self.inner.gateway();
        let snapshot = gateway.live.pin();
        let unset = || failed(ObjectFault::Unset);
        let upstream = settings(&snapshot).and_then(|settings| snapshot.upstreams.get(settings.upstream));
        let upstream = upstream.ok_or_else(unset)?;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut sent = RequestHeader::build(head.method.clone(), path.as_bytes(), None).map_err(failed)?;
        // The signature is for this form of the host.
        let url = Url::parse(&head.uri.to_string()).map_err(failed)?;
        let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]).map_err(failed)?;
        sent.insert_header(header::HOST, host).map_err(failed)?;
        if !body.is_empty() {
            sent.insert_header(header::CONTENT_LENGTH, body.len().to_string()).map_err(failed)?;
        }
        for (name, value) in head.headers.iter().chain(upstream.headers.iter().map(|(name, value)| (name, value))) {
            sent.insert_header(name.clone(), value.clone()).map_err(failed)?;
        }
        let (held, asked) = (snapshot.memory.share(), AskedPeer::default());
        let bounds = Bounds::from_now(upstream.timeouts, ANSWER, &held, &asked);
        // A request of these can be sent again: each object has a name of its own.
        let visit = upstream.visit(&head.headers, path, true);
        let fetched = gateway.fetcher.fetch(&visit, &sent, &body, bounds).await.map_err(failed)?;
        let body = if fetched.status.is_success() { fetched.body } else { fault_of(&fetched.body).into_bytes() };
        let mut response = Response::new(body.into());
        (*response.status_mut(), *response.headers_mut()) = (fetched.status, fetched.headers);
        Ok(response)
    }
}

/// Returns the code and the message of a server's error. Its other members can be the id of the access key and the
/// signed text, which don't belong in a log.
fn fault_of(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let member = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0.to_owned())
    };
    ["Code", "Message"].iter().filter_map(|name| member(name)).collect::<Vec<_>>().join(": ")
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

/// The hashes of signatures, by the crates that cursors use.
#[derive(Debug)]
struct OwnHashes;

impl CryptoProvider for OwnHashes {
    fn digest(&self, _algorithm: DigestAlgorithm) -> object_store::Result<Box<dyn DigestContext>> {
        Ok(Box::new(OwnHash(Sha256::default(), Array::default())))
    }

    fn hmac(&self, _algorithm: DigestAlgorithm, secret: &[u8]) -> object_store::Result<Box<dyn HmacContext>> {
        let hmac = Hmac::<Sha256>::new_from_slice(secret);
        let hmac = hmac.map_err(|error| object_store::Error::NotSupported { source: Box::new(error) })?;
        Ok(Box::new(OwnHash(hmac, Array::default())))
    }

    fn sign(&self, _algorithm: SigningAlgorithm, _pem: &[u8]) -> object_store::Result<Box<dyn Signer>> {
        Err(object_store::Error::NotSupported { source: "S3 has no signatures by RSA".into() })
    }
}

/// A hash, and its value once it is finished.
struct OwnHash<H>(H, Array<u8, U32>);

impl<H: Update + FixedOutput<OutputSize = U32> + Clone + Send> OwnHash<H> {
    fn value(&mut self) -> &[u8] {
        self.1 = self.0.clone().finalize_fixed();
        &self.1
    }
}

impl<H: Update + FixedOutput<OutputSize = U32> + Clone + Send> DigestContext for OwnHash<H> {
    fn update(&mut self, data: &[u8]) {
        Update::update(&mut self.0, data);
    }

    fn finish(&mut self) -> object_store::Result<&[u8]> {
        Ok(self.value())
    }
}

impl<H: Update + FixedOutput<OutputSize = U32> + Clone + Send> HmacContext for OwnHash<H> {
    fn update(&mut self, data: &[u8]) {
        Update::update(&mut self.0, data);
    }

    fn finish(&mut self) -> object_store::Result<&[u8]> {
        Ok(self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_no_credentials() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>It differs.</Message>\
                     <AWSAccessKeyId>canary</AWSAccessKeyId><StringToSign>canary</StringToSign></Error>";
        assert_eq!(fault_of(body), "SignatureDoesNotMatch: It differs.");
        assert_eq!(fault_of(b"<html>canary"), "");
    }

    /// The example of a key for signatures in the documentation of AWS, by the same hashes.
    #[test]
    fn hashes_are_those_of_signatures() {
        let mut digest = OwnHashes.digest(DigestAlgorithm::Sha256).unwrap();
        digest.update(b"a");
        digest.update(b"bc");
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(digest.finish().unwrap()), expected);
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        for text in ["20150830", "us-east-1", "iam", "aws4_request"] {
            let mut hmac = OwnHashes.hmac(DigestAlgorithm::Sha256, &key).unwrap();
            hmac.update(text.as_bytes());
            key = hmac.finish().unwrap().to_vec();
        }
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }
}
