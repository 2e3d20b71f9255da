//! The gateway, and the context of each request.

use std::{
    fmt::Write as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::HeaderMap;
use pingora::http::RequestHeader;

use super::{
    client_request,
    list_part::ListPart,
    observe,
    service::{EventSink, FORM, PageCause, Service},
};
use crate::{
    lifecycle::{
        live::Live,
        process::{InFlight, Vitals},
        snapshot::Snapshot,
    },
    net::{fetch::Fetcher, memory::MemoryShare},
    outcome::access_log::Outcome,
    request::target::RequestTarget,
    routes::{cross_origin::CrossOrigin, list::List, table::RouteMatch},
    shared::{
        concurrency::RequestPlace,
        explanations::{ExplainedRequest, Explanations},
        slots,
    },
};
use cursorgate_translate::downstream::NegotiatedConvention;

/// The gateway: the configuration in force and the connections to upstreams.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub live: Arc<Live>,
    pub fetcher: Fetcher,
    pub readers: observe::Readers,
    pub vitals: Vitals,
    pub ids: Arc<RequestIds>,
    /// The services that answer requests in place of routes.
    pub services: Vec<Arc<dyn Service>>,
    /// The receiver of events that upstreams emit, which the services set when they open. Inner gateways share it.
    pub event_sink: Arc<OnceLock<Arc<dyn EventSink>>>,
    /// True for an inner gateway: all its requests come from services, which may choose conventions of their own
    /// ([`FORM`]).
    pub is_inner: bool,
    /// The explanations for the requests of an inner gateway; `None` to use the explanations of the snapshot.
    pub explanations: Option<Arc<Explanations>>,
}

impl Gateway {
    /// Creates a gateway without services. `live` holds the configuration in force.
    #[must_use]
    pub fn new(live: Arc<Live>, vitals: Vitals, ids: Arc<RequestIds>) -> Self {
        Self {
            live,
            fetcher: Fetcher::default(),
            readers: observe::Readers::default(),
            vitals,
            ids,
            services: Vec::new(),
            event_sink: Arc::default(),
            is_inner: false,
            explanations: None,
        }
    }

    /// Returns the explanations that requests with a permit are added to; `None` if neither this gateway nor the
    /// snapshot has a key for permits.
    pub fn explanations<'e>(&'e self, snapshot: &'e Snapshot) -> Option<&'e Explanations> {
        self.explanations.as_deref().or(snapshot.explanations.as_ref())
    }

    /// Chooses the convention of a request for a list, and removes the headers that made the choice, because only the
    /// gateway needs them.
    #[must_use]
    pub fn take_choice<'l>(&self, list: &'l List, headers: &mut HeaderMap) -> NegotiatedConvention<'l> {
        let chosen = self.choose(list, headers);
        list.conventions.take_from(headers, chosen.convention);
        if self.is_inner {
            headers.remove(FORM);
        }
        chosen
    }

    /// Returns whether a request is a new client's without a mark, because a service sends it.
    #[must_use]
    pub fn sends_as_new(&self, headers: &HeaderMap) -> bool {
        self.is_inner && headers.contains_key(FORM)
    }

    /// Returns why a request is sent. Only services send requests for which no client waits.
    #[must_use]
    pub fn cause(&self, headers: &HeaderMap) -> PageCause {
        let cause = self.form(headers).and_then(|form| form.split(';').next());
        let has = |known: &PageCause| cause == Some(known.form());
        [PageCause::Job, PageCause::Renewal].into_iter().find(has).unwrap_or(PageCause::Request)
    }

    /// Returns the part of a list to which the page of a request belongs.
    #[must_use]
    pub fn part(&self, headers: &HeaderMap) -> ListPart {
        self.form(headers).map(ListPart::read).unwrap_or_default()
    }

    /// Returns the value of [`FORM`]. It is read only from inner requests. Otherwise a client could use it to choose a
    /// convention of services.
    fn form<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        headers.get(FORM).filter(|_| self.is_inner)?.to_str().ok()
    }

    /// Removes the header with which a service says so, because the upstream doesn't get it.
    pub fn hide_form(&self, head: &mut RequestHeader) {
        if self.is_inner {
            head.remove_header(&FORM);
        }
    }

    /// Chooses the convention of a request for a list.
    #[must_use]
    pub fn choose<'l>(&self, list: &'l List, headers: &HeaderMap) -> NegotiatedConvention<'l> {
        let inner = self.form(headers).and_then(|form| list.conventions.choose_inner(form));
        inner.unwrap_or_else(|| list.conventions.choose(headers))
    }
}

/// The context of a request: its snapshot, the cross-origin policy of its route, its resources, and its outcome.
#[derive(Debug)]
pub struct RequestContext {
    pub snapshot: Arc<Snapshot>,
    /// The observation of a relayed answer; `None` if the answer isn't observed.
    pub observation: Option<Box<observe::Observation>>,
    pub cross_origin: Option<CrossOrigin>,
    /// The explanation of the request; `None` if the request isn't explained.
    pub explained: Option<Box<ExplainedRequest>>,
    pub outcome: Outcome,
    /// The bytes of `server.memory` that the request holds.
    pub held: MemoryShare,
    /// The request's place among the concurrent requests of its route; `None` if they aren't limited.
    pub place: Option<RequestPlace>,
    /// The slot of a forwarded request at its upstream; `None` for other requests.
    pub slot: Option<slots::UpstreamSlot>,
    /// Set if the client has sent bytes after its request. Its connection then ends after the response.
    pub surplus: Surplus,
    /// Counts the request as in flight. A stopping process waits for the requests in flight.
    pub _in_flight: InFlight,
}

/// A request that is forwarded to the upstream.
#[derive(Debug)]
pub struct Forwarded {
    pub found: RouteMatch,
    pub target: RequestTarget,
    pub client: client_request::Client,
    /// The link to the first page by cursor, if the request is a legacy request for a list.
    pub successor: Option<String>,
    /// The part of the body that the gateway has read already. The rest is relayed from the client.
    pub body: Option<Bytes>,
}

/// A generator of the ids of requests, such as `3f9c2a7d5b1e8064-1a`: a random number of the process and a counter,
/// both in hexadecimal digits. An id that a trusted proxy sends is used instead (`request::identity`).
#[derive(Debug)]
pub struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    /// Creates a generator, whose first id has the number 1.
    ///
    /// # Errors
    ///
    /// Returns an error if the system has no random bytes.
    pub fn new() -> Result<Arc<Self>, getrandom::Error> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)?;
        Ok(Arc::new(Self { process: format!("{:016x}", u64::from_be_bytes(bytes)), next: AtomicU64::new(1) }))
    }

    pub fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(self.process.len() + 1 + 16);
        id.push_str(&self.process);
        id.push('-');
        let _ = write!(id, "{number:x}");
        id
    }
}

/// A flag that is set when a client sends bytes after the end of its request.
#[derive(Clone, Debug, Default)]
pub struct Surplus(Arc<AtomicBool>);

impl Surplus {
    /// Records that the client has sent bytes after the end of its request.
    pub fn notice(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether the client has sent bytes after the end of its request.
    pub fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
