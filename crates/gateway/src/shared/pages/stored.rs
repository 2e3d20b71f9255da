//! The entries of the page cache: pages, and answers of upstreams.

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

/// A page in the cache: the response as the gateway proved and rendered it.
#[derive(Debug)]
pub struct StoredPage {
    /// The headers of the response, without `Age`, which is computed for each hit.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The word for the level of the page's proof, such as `exact`.
    pub level: &'static str,
    /// The word for the paging of the page's request, such as `cursor`.
    pub paging: &'static str,
    /// The query of the link to the next page, on routes that make pages ahead; `None` on others, or for the last page.
    pub next: Option<Box<str>>,
    pub life: PageLife,
    /// The state of the purges by this process when the making of the page began.
    pub stamp: Stamp,
    /// The state of the purges by other processes when the making of the page began; `None` without a shared store.
    pub shared: Option<SharedStamp>,
    /// True if a page to replace this one is being made in the background.
    pub is_refreshing: AtomicBool,
}

/// The times of a page, which is first fresh, then stale, then old (RFC 9111 section 4.2, RFC 5861).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLife {
    /// The time at which the making of the page began.
    pub made: Instant,
    /// The age of the page's answers at the time `made`, in seconds.
    pub age: u64,
    /// The time from `made` on for which the page is fresh.
    pub fresh: Duration,
    /// The time after `fresh` for which the page is served while a new page is made (`stale-while-revalidate`).
    pub while_revalidate: Duration,
    /// The time after `fresh` for which the page is served if no new page can be made (`stale-if-error`).
    pub if_error: Duration,
}

/// The use that may be made of a page at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageUse {
    /// The page is fresh for this much longer.
    Fresh(Duration),
    /// The page is served while a new page is made. It ceased to be fresh this long ago.
    Stale(Duration),
    /// The page is served only if no new page can be made. It ceased to be fresh this long ago.
    Old(Duration),
}

impl PageLife {
    /// Returns the use that may be made of the page at the time `now`.
    pub fn at(self, now: Instant) -> PageUse {
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

    /// Returns whether the page may be served if no new page can be made.
    pub fn serves_on_error(self, now: Instant) -> bool {
        now.saturating_duration_since(self.made) < self.fresh.saturating_add(self.if_error)
    }

    /// Returns the age of the page's answers in seconds, for the header `Age`.
    pub fn age_at(self, now: Instant) -> u64 {
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

    /// Begins a refresh; returns `false` if a refresh is under way already.
    pub fn begin_refresh(&self) -> bool {
        !self.is_refreshing.swap(true, Ordering::Relaxed)
    }

    /// Ends a refresh. Another refresh may begin afterwards.
    pub fn end_refresh(&self) {
        self.is_refreshing.store(false, Ordering::Relaxed);
    }
}

fn size_of_headers(headers: &HeaderMap) -> usize {
    let pairs = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    pairs.sum::<usize>() + headers.capacity() * (size_of::<HeaderName>() + size_of::<HeaderValue>() + 32)
}

/// A whole answer of an upstream without its content coding, and the validators by which the upstream can confirm it.
#[derive(Debug)]
pub struct StoredAnswer {
    headers: HeaderMap,
    body: Bytes,
    etag: Option<HeaderValue>,
    /// `Last-Modified`; `None` if the header is missing or isn't a strong validator.
    modified: Option<HeaderValue>,
    /// The request headers by which the answer differs (`Vary`), with their values in the request that got this answer.
    varies: Vec<(HeaderName, Vec<HeaderValue>)>,
    pub(super) stamp: Stamp,
}

/// The headers of a 304 that concern the message and not the stored answer (RFC 9111 section 3.2).
const OF_MESSAGE: [HeaderName; 5] = [CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING];

impl StoredAnswer {
    /// Creates an entry from the headers and the decoded body of an answer. `names` are the headers of `request` by
    /// which the answer differs. Returns `None` if the answer has no validator that distinguishes its states.
    pub fn new(
        headers: &HeaderMap,
        body: &[u8],
        names: &[HeaderName],
        request: &HeaderMap,
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

    /// Returns whether a request has the same values as the stored answer's request, in the headers by which the answer
    /// differs.
    pub(super) fn is_for(&self, request: &HeaderMap) -> bool {
        self.varies.iter().all(|(name, values)| request.get_all(name).iter().eq(values))
    }

    /// Returns the headers of a request that validates it: `If-None-Match` and `If-Modified-Since`.
    pub fn conditions(&self) -> impl Iterator<Item = (HeaderName, &HeaderValue)> {
        let etag = self.etag.as_ref().map(|etag| (IF_NONE_MATCH, etag));
        etag.into_iter().chain(self.modified.as_ref().map(|modified| (IF_MODIFIED_SINCE, modified)))
    }

    /// Returns the headers of the answer, renewed by the headers of a 304 (RFC 9111 section 4.3.4), and the body.
    /// Returns `None` if the 304 has another `ETag`, because it is then about another state of the list.
    pub fn renewed(&self, headers: &HeaderMap) -> Option<(HeaderMap, &Bytes)> {
        // The comparison is weak: the prefix `W/` is ignored (RFC 9110 section 8.8.3.2).
        let opaque = |tag: &HeaderValue| tag.as_bytes().strip_prefix(b"W/").unwrap_or(tag.as_bytes()).to_vec();
        if let (Some(own), Some(said)) = (&self.etag, headers.get(ETAG))
            && opaque(own) != opaque(said)
        {
            return None;
        }
        let mut renewed = self.headers.clone();
        // The answer is as old as the 304, which has an `Age` of its own if it comes from a cache.
        renewed.remove(http::header::AGE);
        // All old values of a name are removed before the new ones are added: the 304 replaces a field as a whole.
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

/// Returns the validators of an answer: a well-formed `ETag`, and a strong `Last-Modified`. A `Last-Modified` within a
/// second of `Date` is not strong: the list may have changed twice in that second (RFC 9110 section 8.8.2.2).
fn validators(headers: &HeaderMap) -> (Option<HeaderValue>, Option<HeaderValue>) {
    let etag = headers.get(ETAG).filter(|tag| {
        let opaque = tag.as_bytes().strip_prefix(b"W/").unwrap_or(tag.as_bytes());
        opaque.len() >= 2 && opaque.first() == Some(&b'"') && opaque.last() == Some(&b'"')
    });
    let date = |name: &HeaderName| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok();
    let is_strong = match (date(&LAST_MODIFIED), date(&DATE)) {
        (Some(modified), Some(made)) => made.duration_since(modified).is_ok_and(|past| past >= Duration::from_secs(1)),
        // Without `Date`, it is unknown whether a second has passed, so the validator isn't strong.
        _ => false,
    };
    (etag.cloned(), headers.get(LAST_MODIFIED).filter(|_| is_strong).cloned())
}
