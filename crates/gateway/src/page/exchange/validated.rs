//! Conditional requests to the upstream (RFC 9110 section 13). A request names the state of the stored answer, and
//! after a 304 the stored body is used. Because the upstream is asked each time, the core treats a validated answer
//! like a new one.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use pingora::http::RequestHeader;

use super::Exchange;
use crate::{
    net::{error::FetchError, fetch::Fetched, memory::MemoryShare},
    page::context::KeptRequest,
    shared::pages::{
        generations::PurgeSubject,
        key::{AnswerKeyParts, KeptKey},
        stored::StoredAnswer,
    },
};
use cursorgate_core::pagination::fetch::Fetch;
use cursorgate_translate::{downstream::response::caching::storing::answer_storage, upstream::UpstreamRequest};

/// The validation of one answer, with the answer's place in the cache and the stored answer, if there is one.
pub(super) struct Validation<'r> {
    kept: &'r KeptRequest<'r>,
    key: KeptKey,
    client: &'r HeaderMap,
    subjects: [PurgeSubject<'r>; 2],
    known: Option<Arc<StoredAnswer>>,
}

impl<'r> Exchange<'r> {
    /// Makes a request conditional if an answer to it is stored. Returns `None` if answers to it must not be stored:
    /// for items and counts, and for requests that must not use the cache.
    pub(super) fn validation(
        self,
        fetch: &Fetch,
        ask: &UpstreamRequest,
        body: Option<&[u8]>,
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
            // The size limits of request headers apply long before this could fail, so the result is ignored.
            let _ = request.insert_header(name, value.clone());
        }
        let route = context.route.name.as_str();
        let subjects =
            [PurgeSubject::Route(route), PurgeSubject::Collection(route, context.asked.target.collection_path())];
        Some(Validation { kept, key, client, subjects, known })
    }
}

impl Validation<'_> {
    /// Returns the answer, and whether a 304 validated it. After a 304, the answer is the stored one. An answer that
    /// can be validated later is stored.
    ///
    /// # Errors
    ///
    /// Returns an error if the 304 concerns another state than the stored one, or if no memory is left.
    pub(super) fn take(&self, fetched: Fetched, held: &MemoryShare) -> Result<(Fetched, bool), FetchError> {
        match (fetched.status, &self.known) {
            (StatusCode::NOT_MODIFIED, Some(known)) => {
                let Some((headers, body)) = known.renewed(&fetched.headers) else {
                    // The entry is dropped. The next request is then unconditional.
                    self.kept.pages.drop_answer(self.key);
                    return Err(FetchError::Malformed("304 with an ETag other than the requested one".to_owned()));
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
            // A 304 to an unconditional request is left to the dialect, which refuses it. Test:
            // `a_304_or_204_in_place_of_a_page_is_malformed`.
            _ => Ok((fetched, false)),
        }
    }

    fn store(&self, fetched: &Fetched) {
        let Self { kept, key, client, subjects, known } = self;
        let stored = answer_storage(&fetched.headers, kept.policy).ok().and_then(|names| {
            let stamp = kept.pages.generations.stamp(kept.before, subjects.iter().copied());
            StoredAnswer::new(&fetched.headers, &fetched.body, &names, client, stamp)
        });
        match stored {
            Some(stored) => kept.pages.keep_answer(*key, stored),
            None if known.is_some() => kept.pages.drop_answer(*key),
            None => {}
        }
    }
}
