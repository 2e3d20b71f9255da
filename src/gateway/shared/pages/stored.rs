//! Entries: pages, and answers of upstreams.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH,
        LAST_MODIFIED, TRANSFER_ENCODING,
    },
};

use super::{generations::Stamp, others::SharedStamp};

/// A page as it was proven.
#[derive(Debug)]
pub(crate) struct StoredPage {
    /// The headers of the response, without `Age`.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The level of its proof, as the log has it.
    pub(crate) level: &'static str,
    /// The paging of its request.
    pub(crate) paging: &'static str,
    /// The query of the next page, where a link leads to it.
    pub(crate) next: Option<Box<str>>,
    pub(crate) life: PageLife,
    pub(crate) stamp: Stamp,
    /// The purges of other processes that concern it, where processes share a store.
    pub(crate) shared: Option<SharedStamp>,
    /// A new page is being made in the background.
    pub(crate) is_refreshing: AtomicBool,
}

/// The life of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageLife {
    /// The time at which its making began.
    pub(crate) made: Instant,
    /// The age of its answers then, in seconds.
    pub(crate) age: u64,
    /// The time for which it is fresh.
    pub(crate) fresh: Duration,
    /// The time after that in which it is served while a new one is made.
    pub(crate) while_revalidate: Duration,
    /// The time after that in which it is served if no new one can be made.
    pub(crate) if_error: Duration,
}

/// The use of a page at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageUse {
    /// Fresh, for this long.
    Fresh(Duration),
    /// Served while a new one is made; over for this long.
    Stale(Duration),
    /// Served at most if no new one can be made; over for this long.
    Old(Duration),
}

impl PageLife {
    /// Returns the use of the page.
    pub(crate) fn at(self, now: Instant) -> PageUse {
        let past = now.saturating_duration_since(self.made);
        let over = past.saturating_sub(self.fresh);
        if past < self.fresh {
            PageUse::Fresh(self.fresh - past)
        } else if over < self.while_revalidate {
            PageUse::Stale(over)
        } else {
            PageUse::Old(over)
        }
    }

    /// Returns whether the page may be served because no new one can be made.
    pub(crate) fn serves_on_error(self, now: Instant) -> bool {
        now.saturating_duration_since(self.made) < self.fresh.saturating_add(self.if_error)
    }

    /// Returns the age of the page's answers, in seconds.
    pub(crate) fn age_at(self, now: Instant) -> u64 {
        self.age.saturating_add(now.saturating_duration_since(self.made).as_secs())
    }
}

impl StoredPage {
    /// Returns the approximate size in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>()
            + self.body.len()
            + size_of_headers(&self.headers)
            + self.next.as_ref().map_or(0, |next| next.len())
    }

    /// Begins a refresh; false if there is one.
    pub(crate) fn begin_refresh(&self) -> bool {
        !self.is_refreshing.swap(true, Ordering::Relaxed)
    }

    /// Ends a refresh that brought no page.
    pub(crate) fn end_refresh(&self) {
        self.is_refreshing.store(false, Ordering::Relaxed);
    }
}

fn size_of_headers(headers: &HeaderMap) -> usize {
    let pairs = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    pairs.sum::<usize>() + headers.capacity() * (size_of::<HeaderName>() + size_of::<HeaderValue>() + 32)
}

/// A whole answer of an upstream, decoded, with a validator.
#[derive(Debug)]
pub(crate) struct StoredAnswer {
    headers: HeaderMap,
    body: Bytes,
    etag: Option<HeaderValue>,
    /// `Last-Modified`, if it tells states apart.
    modified: Option<HeaderValue>,
    /// The request headers that it differs by, with their values then.
    varies: Vec<(HeaderName, Vec<HeaderValue>)>,
    pub(super) stamp: Stamp,
}

/// Headers of a 304 that say nothing about the stored answer (RFC 9111 section 3.2).
const OF_MESSAGE: [HeaderName; 5] = [CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING];

impl StoredAnswer {
    /// Creates an entry; `None` if the answer has no validator that tells its states apart.
    pub(crate) fn new(
        headers: &HeaderMap,
        body: &[u8],
        (names, request): (&[HeaderName], &HeaderMap),
        stamp: Stamp,
    ) -> Option<Self> {
        let (etag, modified) = validators(headers);
        if etag.is_none() && modified.is_none() {
            return None;
        }
        let values = |name: &HeaderName| (name.clone(), request.get_all(name).iter().cloned().collect());
        let varies = names.iter().map(values).collect();
        Some(Self { headers: headers.clone(), body: Bytes::copy_from_slice(body), etag, modified, varies, stamp })
    }

    /// Returns whether a request has the headers that the answer differs by.
    pub(super) fn is_for(&self, request: &HeaderMap) -> bool {
        self.varies.iter().all(|(name, values)| request.get_all(name).iter().eq(values))
    }

    /// Returns the headers of a request that validates it.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = (HeaderName, &HeaderValue)> {
        let etag = self.etag.as_ref().map(|etag| (IF_NONE_MATCH, etag));
        etag.into_iter().chain(self.modified.as_ref().map(|modified| (IF_MODIFIED_SINCE, modified)))
    }

    /// Returns the headers of the answer as a 304 renews them (RFC 9111 section 4.3.4), and the body; `None` if the 304
    /// is about another state.
    pub(crate) fn renewed(&self, headers: &HeaderMap) -> Option<(HeaderMap, &Bytes)> {
        let opaque = |tag: &HeaderValue| tag.as_bytes().strip_prefix(b"W/").unwrap_or(tag.as_bytes()).to_vec();
        if let (Some(own), Some(said)) = (&self.etag, headers.get(ETAG))
            && opaque(own) != opaque(said)
        {
            return None;
        }
        let mut renewed = self.headers.clone();
        // The answer is as old as the 304.
        renewed.remove(http::header::AGE);
        for name in headers.keys().filter(|name| !OF_MESSAGE.contains(name)) {
            renewed.remove(name);
            for value in headers.get_all(name) {
                renewed.append(name.clone(), value.clone());
            }
        }
        Some((renewed, &self.body))
    }

    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.body.len() + size_of_headers(&self.headers)
    }
}

/// Returns the validators of an answer. A `Last-Modified` in the second in which the answer was made does not tell it
/// from a change within that second (RFC 9110 section 8.8.2.2).
fn validators(headers: &HeaderMap) -> (Option<HeaderValue>, Option<HeaderValue>) {
    let etag = headers.get(ETAG).filter(|tag| {
        let opaque = tag.as_bytes().strip_prefix(b"W/").unwrap_or(tag.as_bytes());
        opaque.len() >= 2 && opaque.first() == Some(&b'"') && opaque.last() == Some(&b'"')
    });
    let date = |name: &HeaderName| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok();
    let is_strong = match (date(&LAST_MODIFIED), date(&DATE)) {
        (Some(modified), Some(made)) => made.duration_since(modified).is_ok_and(|past| past >= Duration::from_secs(1)),
        _ => false,
    };
    (etag.cloned(), headers.get(LAST_MODIFIED).filter(|_| is_strong).cloned())
}
