//! GET requests for pages through the gateway whose answers are received whole. While an answer is received, its body
//! counts in `server.memory`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::http::RequestHeader;
use tokio::sync::watch;

use super::{
    caller::Caller,
    inner::{InnerRequest, Unanswered},
};
use cursorgate_core::json::{self, Pointer};
use cursorgate_gateway::{Gateway, Snapshot, session::service::FORM};
use cursorgate_translate::downstream::{Code, Response};

/// The headers of a refused page that are passed on to the client.
const OF_REFUSALS: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::RETRY_AFTER, header::WWW_AUTHENTICATE, header::CONTENT_LANGUAGE];

#[derive(Clone, Debug)]
pub(super) struct InnerAnswer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The reason that an inner request has no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The target isn't a valid request target, so no request was sent.
    Unasked,
    /// The request took too long, or its client has gone.
    GivenUp,
    BrokenOff,
    /// The body doesn't fit into `server.memory`.
    NoMemory,
    /// The body is larger than its bound.
    TooLarge,
}

impl NoAnswer {
    /// Returns the code and the detail of the problem that reports this reason.
    pub(super) const fn said(self) -> (Code, &'static str) {
        match self {
            Self::Unasked => (Code::RequestInvalid, "the page can't be asked for"),
            Self::GivenUp => (Code::OperationTimeout, "the page took too long"),
            Self::BrokenOff => (Code::UpstreamTruncated, "the page broke off"),
            Self::TooLarge => (Code::UpstreamTooLarge, "the answer was too large"),
            Self::NoMemory => (Code::Overloaded, "there was no memory for the page"),
        }
    }
}

/// A page that a service reads for a job, a live page or a watch.
pub(super) struct FreshPage<'p> {
    pub(super) target: &'p str,
    /// The tag of the page that is known already; `None` to get the page in any case.
    pub(super) known: Option<&'p HeaderValue>,
    /// The value of [`FORM`].
    pub(super) form: &'p str,
}

/// Requests a page in the name of `caller`, and returns the whole answer. The page comes from the upstream: a page that
/// was kept for other requests can be older than the job that asks. The request is given up after `time`, or once the
/// sender of `wanted` is dropped.
///
/// # Errors
///
/// Returns the reason that there is no whole answer.
pub(super) async fn ask(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    caller: &Caller,
    page: FreshPage<'_>,
    time: Duration,
    wanted: &mut watch::Receiver<()>,
) -> Result<InnerAnswer, NoAnswer> {
    let FreshPage { target, known, form } = page;
    let mut head = RequestHeader::build(Method::GET, target.as_bytes(), None).map_err(|_| NoAnswer::Unasked)?;
    // Adding a header fails only for an invalid one, or if the map is full. These headers come from an accepted request
    // or from the configuration, and the few others have their own names.
    for (name, value) in &caller.headers {
        let _ = head.append_header(name.clone(), value.clone());
    }
    if let Some(tag) = known {
        let _ = head.insert_header(header::IF_NONE_MATCH, tag);
    }
    // The page cache takes the page, but doesn't give one. The directives of the client, such as `only-if-cached`,
    // don't hold for what the service does. Tests: `polls_read_no_kept_page_and_spend_no_limit_of_their_client`,
    // `an_export_reads_no_kept_page`, `a_watch_reads_no_kept_page`.
    let _ = head.insert_header(header::CACHE_CONTROL, "no-cache");
    // A service only sends requests of new clients.
    let _ = head.insert_header(FORM, form);
    let request = InnerRequest { head, body: Bytes::new() };
    send(gateway, snapshot, caller, request, usize::MAX, time, wanted).await
}

/// Sends a request in the name of `caller`, and returns the whole answer, whose body has at most `most` bytes. The
/// request is given up after `time`, or once the sender of `wanted` is dropped.
///
/// # Errors
///
/// Returns the reason that there is no whole answer.
pub(super) async fn send(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    caller: &Caller,
    request: InnerRequest,
    most: usize,
    time: Duration,
    wanted: &mut watch::Receiver<()>,
) -> Result<InnerAnswer, NoAnswer> {
    let held = snapshot.memory.share();
    let (mut kept, mut is_too_large) = (Some(Vec::new()), false);
    let keep = |part: &[u8]| {
        let Some(bytes) = &mut kept else { return };
        is_too_large = bytes.len() + part.len() > most;
        if !is_too_large && held.reserve(bytes, part.len(), usize::MAX).is_ok() {
            bytes.extend_from_slice(part);
        } else {
            // The part that was received so far is freed at once, because memory is short.
            kept = None;
        }
    };
    let sent = request.send(gateway, caller, time, wanted, keep).await;
    match (sent, kept) {
        (Ok((status, headers)), Some(body)) => Ok(InnerAnswer { status, headers, body: body.into() }),
        (Ok(_), None) if is_too_large => Err(NoAnswer::TooLarge),
        (Ok(_), None) => Err(NoAnswer::NoMemory),
        (Err(Unanswered::GivenUp), _) => Err(NoAnswer::GivenUp),
        (Err(Unanswered::BrokenOff), _) => Err(NoAnswer::BrokenOff),
    }
}

impl InnerAnswer {
    /// Returns the code and the detail of the problem in the body; `None` if the body's `code` isn't one of the
    /// gateway's.
    pub(super) fn problem(&self) -> Option<(String, Option<String>)> {
        let word = |name: &str| {
            let place = Pointer::parse(name).ok()?;
            String::from_utf8(json::scalar::text(place.find(&self.body)?.of(&self.body))?.into_owned()).ok()
        };
        let code = word("/code").filter(|code| Code::ALL.iter().any(|known| known.as_str() == code))?;
        Some((code, word("/detail")))
    }

    /// Returns the wait that `Retry-After` states in seconds; zero if the header is missing or is a date.
    pub(super) fn retry_after(&self) -> Duration {
        let said = self.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        said.map_or(Duration::ZERO, Duration::from_secs)
    }

    /// Returns this refusal of a list as the response to the service's own client. Only the headers in [`OF_REFUSALS`]
    /// are kept; `Content-Length` and `Cache-Control: no-store` are added.
    pub(super) fn passed(&self) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, self.body.len().into());
        for name in OF_REFUSALS {
            for value in self.headers.get_all(&name) {
                headers.append(name.clone(), value.clone());
            }
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Response { status: self.status, headers, body: self.body.clone().into() }
    }
}
