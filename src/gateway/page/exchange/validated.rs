//! Conditional requests to the upstream (RFC 9110 section 13): a request names the state of the answer that the gateway
//! keeps, and after a 304 the kept body is used. The upstream is asked each time, so that to the core a validated
//! answer is as new as any other.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use pingora::http::RequestHeader;

use super::Exchange;
use crate::{
    downstream::response::caching::storing::answer_storage,
    gateway::{
        page::context::KeptRequest,
        shared::pages::{
            generations::PurgeSubject,
            key::{AnswerKeyParts, KeptKey},
            stored::StoredAnswer,
        },
    },
    pagination::fetch::Fetch,
    upstream::{
        UpstreamRequest,
        net::{error::FetchError, fetch::Fetched, memory::MemoryShare},
    },
};

/// The validation of one answer: its place in the cache, and the answer that is kept there.
pub(super) struct Validation<'r> {
    kept: &'r KeptRequest<'r>,
    key: KeptKey,
    client: &'r HeaderMap,
    subjects: [PurgeSubject<'r>; 2],
    known: Option<Arc<StoredAnswer>>,
}

impl<'r> Exchange<'r> {
    /// Makes a request for a slice or an upstream page conditional if an answer to it is kept. Returns `None` if no
    /// answer may be kept: for items and counts, and for requests that may not use the cache.
    pub(super) fn validation(
        self,
        fetch: &Fetch,
        (ask, body): (&UpstreamRequest, Option<&[u8]>),
        request: &mut RequestHeader,
    ) -> Option<Validation<'r>> {
        let context = self.context;
        let kept = context.kept.filter(|_| matches!(fetch, Fetch::Slice(..) | Fetch::Token(_)))?;
        let target = (ask.path.as_str(), ask.query.as_str());
        let key =
            kept.scope.answer(AnswerKeyParts { method: ask.method.as_str(), target, headers: &ask.headers, body });
        let client = &context.asked.headers;
        let known = kept.pages.answer(key, client);
        for (name, value) in known.iter().flat_map(|known| known.conditions()) {
            // Headers of a request are limited long before this fails.
            let _ = request.insert_header(name, value.clone());
        }
        let route = context.route.name.as_str();
        let subjects =
            [PurgeSubject::Route(route), PurgeSubject::Collection(route, context.asked.target.collection_path())];
        Some(Validation { kept, key, client, subjects, known })
    }
}

impl Validation<'_> {
    /// Returns the answer, which after a 304 is the kept one, and whether a 304 validated it. Stores answers that can
    /// be validated.
    ///
    /// # Errors
    ///
    /// Returns an error if the 304 is about another state than the one that is kept, or no memory is left.
    pub(super) fn take(self, fetched: Fetched, held: &MemoryShare) -> Result<(Fetched, bool), FetchError> {
        match (fetched.status, &self.known) {
            (StatusCode::NOT_MODIFIED, Some(known)) => {
                let Some((headers, body)) = known.renewed(&fetched.headers) else {
                    // The entry is dropped, so that the next request is not conditional.
                    self.kept.pages.drop_answer(self.key);
                    return Err(FetchError::Malformed("304 with another ETag than was asked about".to_owned()));
                };
                held.take(body.len())?;
                let renewed = Fetched { status: StatusCode::OK, headers, body: body.to_vec() };
                self.store(&renewed);
                Ok((renewed, true))
            }
            (StatusCode::OK, _) => {
                self.store(&fetched);
                Ok((fetched, false))
            }
            // A 304 to a request without conditions is left to the dialect, which refuses it.
            // Test: `a_304_or_204_in_place_of_a_page_is_malformed`.
            _ => Ok((fetched, false)),
        }
    }

    fn store(&self, fetched: &Fetched) {
        let Self { kept, key, client, subjects, known } = self;
        let stored = answer_storage(&fetched.headers, kept.policy).ok().and_then(|names| {
            let stamp = kept.pages.generations.stamp(kept.before, subjects.iter().copied());
            StoredAnswer::new(&fetched.headers, &fetched.body, (&names, client), stamp)
        });
        match stored {
            Some(stored) => kept.pages.keep_answer(*key, stored),
            None if known.is_some() => kept.pages.drop_answer(*key),
            None => {}
        }
    }
}
