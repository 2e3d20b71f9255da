//! Requests that the command line sends to an upstream. Their connections, their TLS, and the checks of heads and
//! content codings are the same as for pages, so an upstream that can be learnt can also be served.

use std::{io, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::http::RequestHeader;
use tokio::runtime::Runtime;

use super::{routes::upstream::Upstream, runtime::clock};
use crate::net::{
    fetch::{AskedPeer, Bounds, Fetcher},
    memory::Memory,
};
use cursorgate_learn::{ProbeAnswer, ProbeRequest};

/// The largest size of a decoded answer, in bytes. A larger answer is an error.
const ANSWER: usize = 32 << 20;

/// The value of the `User-Agent` header in probe requests.
const USER_AGENT: &str = concat!("cursorgate/", env!("CARGO_PKG_VERSION"));

/// Sends requests to one upstream, one after the other.
pub struct ProbeSender {
    runtime: Runtime,
    fetcher: Fetcher,
    upstream: Arc<Upstream>,
    /// The headers that every request has in addition to the headers configured for the upstream.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The host that clients of the gateway send; `None` for an upstream without a gateway.
    authority: Option<String>,
    memory: Arc<Memory>,
}

impl ProbeSender {
    /// Creates a sender that adds `headers` to every request. `authority` is the host that clients of the gateway send.
    /// The upstream gets it as from the gateway; `None` for an upstream without a gateway.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime can't be created, for example because there are no descriptors left.
    pub fn new(
        upstream: Arc<Upstream>,
        headers: Vec<(HeaderName, HeaderValue)>,
        authority: Option<String>,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (fetcher, memory) = (Fetcher::default(), Memory::new(4 * ANSWER));
        Ok(Self { runtime, fetcher, upstream, headers, authority, memory })
    }

    /// Waits for `request.pause`, sends the request, and reads the complete answer.
    ///
    /// # Errors
    ///
    /// Returns the reason why there is no answer.
    pub fn send(&self, request: &ProbeRequest) -> Result<ProbeAnswer, String> {
        self.runtime.block_on(async {
            tokio::time::sleep(request.pause).await;
            self.ask(request).await
        })
    }

    async fn ask(&self, request: &ProbeRequest) -> Result<ProbeAnswer, String> {
        let body = request.body.clone().unwrap_or_default();
        let head = self.head(request, body.len()).map_err(|error| format!("the request can't be written: {error}"))?;
        let (held, asked) = (self.memory.share(), AskedPeer::default());
        let bounds = Bounds::from_now(self.upstream.timeouts, ANSWER, &held, &asked);
        // `false` permits no retries: the prober counts every request that it sends.
        let visit = self.upstream.visit(&HeaderMap::new(), &request.path, false);
        let fetched = self.fetcher.fetch(&visit, &head, body.as_bytes(), bounds).await;
        let fetched = fetched.map_err(|error| error.to_string())?;
        let elapsed = clock::instant() - bounds.now;
        Ok(ProbeAnswer { status: fetched.status.as_u16(), headers: fetched.headers, body: fetched.body, elapsed })
    }

    fn head(&self, request: &ProbeRequest, length: usize) -> pingora::Result<RequestHeader> {
        let mut target = format!("{}{}", self.upstream.base_path, request.path);
        if !request.query.is_empty() {
            target.push('?');
            target.push_str(&request.query);
        }
        let mut head = RequestHeader::build(request.method.clone(), target.as_bytes(), None)?;
        head.insert_header(header::HOST, self.upstream.host_for(self.authority.as_deref()))?;
        head.insert_header(header::ACCEPT, "application/json, */*;q=0.1")?;
        head.insert_header(header::ACCEPT_ENCODING, self.upstream.codings.clone())?;
        head.insert_header(header::USER_AGENT, USER_AGENT)?;
        if request.body.is_some() {
            head.insert_header(header::CONTENT_TYPE, "application/json")?;
            head.insert_header(header::CONTENT_LENGTH, length.to_string())?;
        }
        // A probe may leave out one header, to see whether the list depends on it.
        let own = self.upstream.headers.iter().chain(&self.headers);
        for (name, value) in own.filter(|(name, _)| request.without.as_ref() != Some(name)) {
            head.insert_header(name.clone(), value.clone())?;
        }
        for (name, value) in &request.headers {
            head.insert_header(name.clone(), value.as_str())?;
        }
        Ok(head)
    }
}
