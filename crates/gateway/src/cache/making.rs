//! The making of a page that may be stored, once for all requests that wait for the page.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::header::AGE;

use super::{
    call::{self, KeptCall},
    others::MakingBegin,
};
use crate::{
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
    page::{
        context::ListCall,
        serve::{MadePage, Served, serve},
    },
    runtime::{clock, futures::boxed},
    shared::{
        pages::{
            Flight, StoredPlace,
            generations::PurgeSubject,
            stored::{PageLife, PageUse, StoredPage},
        },
        single_flight::LookUpResult,
    },
};
use cursorgate_config::settings::PageCacheSettings;
use cursorgate_translate::downstream::{Code, Problem, Response, response::caching::storing::PageStorage};

/// The result of making a page.
pub enum MadeResponse {
    /// The page is now in the cache.
    Stored {
        page: Arc<StoredPage>,
        at: StoredPlace,
        /// `true` if the upstream validated each answer that lists items with a 304.
        is_validated: bool,
    },
    /// The response is only for this request: it must not be stored, or the page was purged while it was made.
    Apart(Served),
}

/// The result of making a page or waiting for it.
pub enum FlightEnd {
    /// This request made the page.
    Own(MadeResponse),
    /// A concurrent request made the page.
    Shared(Arc<StoredPage>),
    /// Another process had made the page.
    Found(Arc<StoredPage>),
    /// The upstream failed for the concurrent request that was making the page. The value is the problem's code.
    Failed(&'static str),
}

impl KeptCall<'_> {
    /// Makes the page, or waits for the concurrent request that makes it, for as long as the request has time left. The
    /// shared store is searched before the page is made. A page that recently turned out not to be storable is made at
    /// once, without a wait or a search.
    ///
    /// # Errors
    ///
    /// Returns the failure of this request, or `budget_exceeded` if the request's time is over.
    pub async fn fly(self, held: &MemoryShare, outcome: &mut Outcome) -> Result<FlightEnd, Failure> {
        // The page recently turned out not to be storable, so this request makes it without waiting for others.
        if self.place.is_apart {
            return self.make(held, outcome).await.map(FlightEnd::Own);
        }
        let ListCall { asked, list, .. } = self.call;
        let key = call::flight(self.call, self.kept.pages, self.place);
        let mut own = None;
        let joined = {
            let work = async {
                // Another request may have stored the page since this request searched the memory and before it took
                // the lead, so the memory is searched again.
                if let Some((page, at)) = self.found_again() {
                    own = Some(Ok(FlightEnd::Shared(Arc::clone(&page))));
                    return Ok::<_, Infallible>(Flight::Stored(page, at));
                }
                // The store is searched within the flight, so concurrent misses search it only once. Test:
                // `simultaneous_misses_make_one_request_to_the_store`.
                if let Some((page, at)) = self.find_elsewhere().await {
                    own = Some(Ok(FlightEnd::Found(Arc::clone(&page))));
                    return Ok(Flight::Found(page, at));
                }
                let made = self.make(held, outcome).await;
                let told = told(&made);
                own = Some(made.map(FlightEnd::Own));
                Ok(told)
            };
            let joining = pin!(self.kept.pages.flights.join(key, work));
            tokio::time::timeout(self.left(list.budgets.time, clock::instant()), joining).await
        };
        match (own, joined) {
            (Some(own), _) => own,
            (None, Ok(Ok(LookUpResult::Asked(told) | LookUpResult::Shared(told)))) => match &*told {
                // A waiting request gets the page only if its headers agree with those of the leading request, as far
                // as pages differ by headers. Test: `a_page_is_shared_only_by_the_waiting_requests_that_may_have_it`.
                Flight::Stored(page, at) if self.place.is_at(at, &asked.headers) => {
                    Ok(FlightEnd::Shared(Arc::clone(page)))
                }
                Flight::Found(page, at) if self.place.is_at(at, &asked.headers) => {
                    Ok(FlightEnd::Found(Arc::clone(page)))
                }
                Flight::Failed(code) => Ok(FlightEnd::Failed(code)),
                Flight::Stored(..) | Flight::Found(..) | Flight::Apart => {
                    self.make(held, outcome).await.map(FlightEnd::Own)
                }
            },
            (None, Err(_)) => {
                Err(Problem::new(Code::BudgetExceeded, "the page was not found within the time allowed").into())
            }
        }
    }

    /// Returns the part of the time limit `time` that the request has left at `now`; zero if the limit has passed.
    fn left(self, time: Duration, now: Instant) -> Duration {
        time.saturating_sub(now.saturating_duration_since(self.call.asked.began))
    }

    /// Returns a fresh page that was stored since this request searched the memory, with its place; `None` without such
    /// a page.
    fn found_again(self) -> Option<(Arc<StoredPage>, StoredPlace)> {
        let now = clock::instant();
        let place = self.kept.pages.find(self.place.first(), &self.call.asked.headers, now);
        let page = place.found.as_ref()?;
        let is_new = self.place.found.as_ref().is_none_or(|known| !Arc::ptr_eq(known, page));
        (is_new && matches!(page.life.at(now), PageUse::Fresh(_))).then(|| (Arc::clone(page), place.stored()))
    }

    /// Returns the page that is in memory at `now`, even if the page is stale or old; `None` if there is no page.
    pub fn find_again(self, now: Instant) -> Option<Arc<StoredPage>> {
        self.kept.pages.find(self.place.first(), &self.call.asked.headers, now).found
    }

    /// Makes the page for this request. The page is stored in memory and in the shared store, if it may be stored.
    ///
    /// # Errors
    ///
    /// Returns the problem of the request, the failure of the upstream, or the refusal of a page that can't be proven.
    pub async fn make(self, held: &MemoryShare, outcome: &mut Outcome) -> Result<MadeResponse, Failure> {
        let begin = self.making_begins();
        let mut made = MadePage::default();
        // The future is large, so it is boxed.
        let served = boxed(|| serve(self.call, None, Some(&mut made), self.fetcher, held, outcome)).await?;
        let Served::Response(response) = served else { return Ok(MadeResponse::Apart(served)) };
        let Some(storage) = made.storage.take().filter(|_| response.status == 200) else {
            if response.status == 200 {
                // The next requests for this page then don't wait for one another.
                self.kept.pages.keep_apart(self.place, clock::instant());
            }
            return Ok(MadeResponse::Apart(Served::Response(self.conditional(response))));
        };
        let page = Arc::new(self.stored(&response, &storage, &made, begin, outcome));
        match self.kept.pages.store(self.place, &storage.varies, &self.call.asked.headers, &page) {
            Some(at) => {
                outcome.counted.stored = true;
                self.put_elsewhere(&page, &at, &storage, begin);
                Ok(MadeResponse::Stored { page, at, is_validated: made.is_validated })
            }
            // The page was purged while it was made, so only this request gets it. Test:
            // `a_page_that_is_made_during_a_purge_is_not_kept`.
            None => Ok(MadeResponse::Apart(Served::Response(self.conditional(response)))),
        }
    }

    /// Returns 304 in place of a response that the client already has, according to `If-None-Match`. A POST request
    /// always gets the whole response.
    pub fn conditional(self, response: Response) -> Response {
        match self.call.asked.body {
            None => response.unless_matched(&self.call.asked.headers),
            Some(_) => response,
        }
    }

    /// Returns the cache entry of a page. The bytes are copied because the response's own may be slices that keep whole
    /// upstream answers in memory.
    fn stored(
        self,
        response: &Response,
        storage: &PageStorage,
        made: &MadePage,
        begin: MakingBegin,
        outcome: &Outcome,
    ) -> StoredPage {
        let mut headers = response.headers.clone();
        headers.remove(AGE);
        let tags = storage.tags.iter().map(|tag| PurgeSubject::Tag(tag));
        let subjects = self.subjects().into_iter().chain(tags);
        let query = made.next.as_deref().and_then(|next| next.split_once('?')).map(|(_, query)| query.into());
        StoredPage {
            headers,
            body: Bytes::from(response.body.clone().into_parts().concat()),
            level: outcome.counted.level.unwrap_or_default(),
            paging: outcome.counted.paging.unwrap_or("cursor"),
            next: query,
            life: life(self.settings, storage, begin.at),
            stamp: self.kept.pages.generations.stamp(self.kept.before, subjects),
            shared: self.shared_stamp(storage, begin),
            is_refreshing: AtomicBool::new(false),
        }
    }
}

/// Returns the result of making a page, in the form that waiting requests get.
fn told(made: &Result<MadeResponse, Failure>) -> Flight {
    match made {
        Ok(MadeResponse::Stored { page, at, .. }) => Flight::Stored(Arc::clone(page), at.clone()),
        Ok(MadeResponse::Apart(_)) => Flight::Apart,
        // Any other failure may concern only this request, so each waiting request makes the page itself.
        Err(failure) => of_upstream(failure).map_or(Flight::Apart, Flight::Failed),
    }
}

/// Returns the code of a failure for which an old page may be served (RFC 5861 section 4): a problem with a status from
/// 500 to 504, except `internal`. The upstream is then unreachable, late or failing, its answer is unusable, or the
/// gateway lacks the time or the resources for the page. Returns `None` for other failures, such as an upstream 4xx,
/// which passes to the client. Test: `a_stale_page_is_served_where_the_upstream_fails`.
pub fn of_upstream(failure: &Failure) -> Option<&'static str> {
    match failure {
        Failure::Refused { problem, .. } if (500..=504).contains(&problem.status) && problem.code != Code::Internal => {
            Some(problem.code.as_str())
        }
        Failure::Refused { .. } | Failure::Passed(_) => None,
    }
}

/// Returns the lifetimes of a page. Each is the shorter of the route's setting and the answers' directive. If the page
/// must not be served stale, both stale lifetimes are zero.
fn life(settings: PageCacheSettings, storage: &PageStorage, made: Instant) -> PageLife {
    let shorter = |own: Duration, said: Option<u64>| said.map_or(own, |said| own.min(Duration::from_secs(said)));
    let stale = |own, said| if storage.may_be_stale { shorter(own, said) } else { Duration::ZERO };
    PageLife {
        made,
        age: storage.age,
        fresh: shorter(settings.ttl, storage.fresh),
        while_revalidate: stale(settings.stale_while_revalidate, storage.stale_while_revalidate),
        if_error: stale(settings.stale_if_error, storage.stale_if_error),
    }
}
