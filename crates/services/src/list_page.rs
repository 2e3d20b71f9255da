//! Pages with a cursor for each item, which services read for their own clients. A page is one inner request with the
//! client's own headers. It has a form that clients can't choose (`config/services/connection.json`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::http::RequestHeader;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::{
    caller::Caller,
    inner::{InnerRequest, Unanswered},
};
use cursorgate_config::CONNECTION;
use cursorgate_core::json::{self, Pointer, scalar};
use cursorgate_gateway::{
    Gateway, Snapshot, net::memory::MemoryShare, request::target, routes::list::COUNTED, session::service::FORM,
};
use cursorgate_translate::downstream::Code;

/// The prefix of the form's parameter names. Clients never see the prefix.
const OWN: &str = "cursorgate.";

/// The largest number of characters of a problem's detail that are passed on to clients. The rest is cut off.
const LONGEST: usize = 500;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PageQuery {
    /// The path of the list, percent-encoded.
    pub(super) path: String,
    /// The parameters as decoded pairs of a name and a value.
    pub(super) pairs: Vec<(String, String)>,
    /// True if the page is to contain the list's total, which can cost a request to the upstream.
    pub(super) counted: bool,
}

/// A page in the form of inner requests, which follows the connections of Relay.
#[derive(Debug)]
pub(super) struct ConnectionPage {
    pub(super) edges: Vec<ConnectionEdge>,
    pub(super) has_next: bool,
    pub(super) has_previous: bool,
    /// The cursor of the first item as JSON: a string, or null.
    pub(super) start: Bytes,
    /// The cursor of the last item as JSON: a string, or null.
    pub(super) end: Bytes,
    pub(super) total: Option<u64>,
    /// The level of the page's proof, from the header `Cursorgate-Level`.
    pub(super) level: String,
    /// The reason that the page couldn't be proven, from the header `Cursorgate-Unproven`; `None` if that header is
    /// missing.
    pub(super) unproven: Option<String>,
    /// True if the page ends the list, and the upstream says that more items follow: the header `Cursorgate-End`.
    pub(super) is_end_unproven: bool,
}

/// An item with its cursor.
#[derive(Clone, Debug)]
pub(super) struct ConnectionEdge {
    /// The cursor as JSON: a string, or null for an item that a cursor can't name.
    pub(super) cursor: Bytes,
    /// The item as the upstream wrote it; `None` if it isn't valid JSON.
    pub(super) node: Option<Bytes>,
}

/// The reason that a list didn't return a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListFault {
    pub(super) code: String,
    pub(super) detail: String,
    pub(super) status: Option<u16>,
    /// The seconds of the answer's `Retry-After`; `None` if the header is missing or is a date.
    pub(super) retry_after: Option<u64>,
}

impl ListFault {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code: code.as_str().to_owned(), detail: detail.into(), status: Some(code.status()), retry_after: None }
    }
}

/// A request for a list, or for a path below the list's path.
#[derive(Debug)]
pub(super) struct InnerCall<'c> {
    /// The name of the list's route.
    pub(super) route: &'c str,
    pub(super) query: &'c PageQuery,
    pub(super) method: Method,
    /// The path after the list's path, such as `/exports`; empty for the list itself.
    pub(super) below: &'c str,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

/// The sender of all inner requests that one client request causes.
pub(super) struct ListReader {
    pub(super) gateway: Arc<Gateway>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) caller: Caller,
    pub(super) timeout: Duration,
    /// The number of bytes that the answers to all inner requests together may still occupy.
    pub(super) room: AtomicUsize,
    /// The memory of the answers, counted in `server.memory`.
    pub(super) held: MemoryShare,
    /// Closed once the client has gone.
    pub(super) wanted: watch::Receiver<()>,
    /// Parameters that the service's clients know by another name: the inner name without its prefix, and the clients'
    /// name.
    pub(super) renamed: &'static [(&'static str, &'static str)],
}

impl ListReader {
    /// Requests a page of the list that `route` serves.
    ///
    /// # Errors
    ///
    /// Returns the reason that the list didn't return a page.
    pub(super) async fn page(&self, route: &str, query: &PageQuery) -> Result<ConnectionPage, ListFault> {
        let form = if query.counted { format!("{CONNECTION}{COUNTED}") } else { CONNECTION.to_owned() };
        let form = HeaderValue::try_from(form).map_err(|_| elsewhere())?;
        let headers = vec![(header::ACCEPT, HeaderValue::from_static("application/json")), (FORM, form)];
        let call = InnerCall { route, query, method: Method::GET, below: "", headers, body: Bytes::new() };
        match self.ask(call).await? {
            (200, headers, body) => read_page(&headers, &body),
            (status, headers, body) => Err(self.refusal(status, &headers, &body)),
        }
    }

    /// Sends an inner request. Returns the status, the headers and the whole body of the answer.
    ///
    /// # Errors
    ///
    /// Returns the reason that there is no whole answer.
    pub(super) async fn ask(&self, call: InnerCall<'_>) -> Result<(u16, HeaderMap, Bytes), ListFault> {
        let head = self.head(&call)?;
        let mut kept = Some(Vec::new());
        let keep = |part: &[u8]| {
            let Some(bytes) = &mut kept else { return };
            let takes = |room: usize| room.checked_sub(part.len());
            let fits = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, takes).is_ok();
            if fits && self.held.reserve(bytes, part.len(), usize::MAX).is_ok() {
                bytes.extend_from_slice(part);
            } else {
                // The rest is read and dropped: the request must end to get its line in the log.
                kept = None;
            }
        };
        let mut wanted = self.wanted.clone();
        let request = InnerRequest { head, body: call.body };
        let sent = request.send(&self.gateway, &self.caller, self.timeout, &mut wanted, keep).await;
        match (sent, kept) {
            (Ok((status, headers)), Some(body)) => Ok((status, headers, body.into())),
            (Ok(_), None) => {
                Err(ListFault::new(Code::Overloaded, "there is no memory for the page: ask for fewer items"))
            }
            (Err(Unanswered::GivenUp), _) => {
                let detail = format!("the page took longer than {:?}", self.timeout);
                Err(ListFault::new(Code::OperationTimeout, detail))
            }
            (Err(Unanswered::BrokenOff), _) => Err(ListFault::new(Code::UpstreamTruncated, "the page broke off")),
        }
    }

    /// Returns the fault of an answer that isn't a page. If the answer is a problem of the gateway, the fault has its
    /// code and detail, otherwise a code that depends on the status. Texts from the upstream aren't passed on.
    pub(super) fn refusal(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> ListFault {
        let word = |name: &str| {
            let place = Pointer::parse(name).ok()?;
            String::from_utf8(scalar::text(place.find(body)?.of(body))?.into_owned()).ok()
        };
        // An upstream can write its own `code`. Only codes of the gateway are passed on.
        // Test: `faults_have_the_codes_of_problems`.
        let code = word("/code").filter(|code| Code::ALL.iter().any(|known| known.as_str() == code));
        let detail = code.as_ref().and_then(|_| word("/detail"));
        let detail = detail.map(|detail| self.in_own_words(&detail).chars().take(LONGEST).collect());
        let by_status = match status {
            401 | 403 => {
                ("credentials_refused", "the upstream does not accept the credentials of the request".to_owned())
            }
            _ => ("page_refused", format!("the list was answered with {status}")),
        };
        ListFault {
            detail: detail.unwrap_or(by_status.1),
            code: code.unwrap_or_else(|| by_status.0.to_owned()),
            status: Some(status),
            retry_after: headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok()),
        }
    }

    /// Replaces the inner parameter names in a detail with the names that clients know.
    fn in_own_words(&self, detail: &str) -> String {
        let renamed = self.renamed.iter().fold(detail.to_owned(), |text, (name, here)| text.replace(&own(name), here));
        renamed.replace(OWN, "")
    }

    /// Returns the head of the inner request that `call` describes.
    ///
    /// # Errors
    ///
    /// Returns 404 `route_not_found` if the path doesn't lead to the route of the list, and the target's problem if the
    /// path is invalid.
    fn head(&self, call: &InnerCall<'_>) -> Result<RequestHeader, ListFault> {
        let InnerCall { route, query, method, below, headers, body } = call;
        let build = |target: &str| {
            RequestHeader::build(method.clone(), target.as_bytes(), None).map_err(|_| elsewhere()).map(|mut head| {
                for (name, value) in &self.caller.headers {
                    // Appending fails only for an invalid header, or if the map is full. These headers are valid and
                    // come from an accepted request, so neither happens.
                    let _ = head.append_header(name.clone(), value.clone());
                }
                head
            })
        };
        // Clients supply parts of the path. A part such as `..` or an encoded slash could lead to another route, so the
        // route of the path is checked. Test: `faults_have_the_codes_of_problems`.
        let read = target::read(&build(&query.path)?);
        let read = read.map_err(|problem| ListFault::new(problem.code, problem.detail.clone()))?;
        let found = self.snapshot.table.find(read.host.as_deref(), &read.normal_path);
        if read.doubt.is_some() || found.is_none_or(|found| found.route.name != *route) {
            return Err(elsewhere());
        }
        let mut target = format!("{}{below}", query.path);
        for (index, (name, value)) in query.pairs.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str(&encoded(name));
            target.push('=');
            target.push_str(&encoded(value));
        }
        let mut head = build(&target)?;
        for (name, value) in headers {
            let _ = head.insert_header(name.clone(), value.clone());
        }
        if !body.is_empty() {
            let _ = head.insert_header(header::CONTENT_LENGTH, body.len());
        }
        Ok(head)
    }
}

fn elsewhere() -> ListFault {
    let detail = "the list is not served under this host, or its arguments can't be parts of a path";
    ListFault::new(Code::RouteNotFound, detail)
}

/// Percent-encodes a string for a path segment, or for a name or value in a query. Only the unreserved characters of
/// RFC 3986 section 2.3 stay as they are.
pub(super) fn encoded(text: &str) -> String {
    const PLAIN: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, &PLAIN).collect()
}

/// Returns the name of an inner parameter with its prefix, such as `cursorgate.first` for `first`.
pub(super) fn own(name: &str) -> String {
    format!("{OWN}{name}")
}

/// Parses an answer in the form of inner requests.
fn read_page(headers: &HeaderMap, body: &Bytes) -> Result<ConnectionPage, ListFault> {
    let unreadable = || ListFault::new(Code::UpstreamMalformed, "the list was not answered with a page");
    // Every page of the gateway has a level. An upstream's answer that was passed on isn't a page.
    let level = headers.get("cursorgate-level").and_then(|level| level.to_str().ok()).ok_or_else(unreadable)?;
    let at = |place: &str| Some(Pointer::parse(place).ok()?.find(body)?.of(body));
    let flag = |place| at(place).and_then(scalar::boolean).ok_or_else(unreadable);
    let slice = |bytes: &[u8]| body.slice_ref(bytes);
    let edges = at("/edges").and_then(json::elements).ok_or_else(unreadable)?;
    let edge = |edge: &[u8]| {
        let members = json::members(edge)?;
        let member = |name: &[u8]| members.iter().find(|(known, _)| &**known == name).map(|(_, value)| *value);
        let (cursor, node) = (member(b"cursor")?, member(b"node")?);
        // The gateway has checked only the structure of an item. Its values can be invalid JSON, such as `NaN`, so the
        // item is checked here.
        let is_valid = serde_json::from_slice::<&RawValue>(node).is_ok();
        Some(ConnectionEdge { cursor: slice(cursor), node: is_valid.then(|| slice(node)) })
    };
    Ok(ConnectionPage {
        edges: edges.into_iter().map(edge).collect::<Option<_>>().ok_or_else(unreadable)?,
        has_next: flag("/pageInfo/hasNextPage")?,
        has_previous: flag("/pageInfo/hasPreviousPage")?,
        start: at("/pageInfo/startCursor").map(slice).ok_or_else(unreadable)?,
        end: at("/pageInfo/endCursor").map(slice).ok_or_else(unreadable)?,
        total: at("/totalCount").and_then(scalar::unsigned),
        level: level.to_owned(),
        unproven: headers.get("cursorgate-unproven").and_then(|reason| reason.to_str().ok()).map(str::to_owned),
        is_end_unproven: headers.contains_key("cursorgate-end"),
    })
}
