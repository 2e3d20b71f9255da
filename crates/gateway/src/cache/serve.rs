//! The response to a request on a route with `page_cache`: a page from the cache, a page of another request or process,
//! or a new page.

use std::sync::Arc;

use super::{
    background,
    call::{CallOwners, KeptCall, begin, tell_unknown, usable},
    making::{FlightEnd, MadeResponse, of_upstream},
    status::{CacheUse, Kept, MadeBecause, write_age},
};
use crate::{
    net::{fetch::Fetcher, memory::MemoryShare},
    outcome::{access_log::Outcome, failure::Failure},
    page::{
        context::ListCall,
        serve::{self, Served},
    },
    runtime::{clock, futures::boxed},
    shared::pages::stored::{PageUse, StoredPage},
};
use cursorgate_translate::downstream::{
    Code, Content, Problem, Response, response::caching::storing::RequestDirectives,
};

/// Serves one page of a list: from the cache if possible, otherwise a new page.
///
/// # Errors
///
/// Returns the problem of the request, the failure of the upstream, or the refusal of a page that can't be proven.
/// Returns `not_cached` if the request has `only-if-cached` and no kept page fits.
pub async fn serve(
    call: ListCall<'_>,
    owners: CallOwners<'_>,
    fetcher: &Fetcher,
    held: &MemoryShare,
    outcome: &mut Outcome,
) -> Result<Served, Failure> {
    let directives = RequestDirectives::read(&call.asked.headers);
    // The response to a request with `no-store` isn't stored (RFC 9111 section 5.2.1.5), so the request bypasses the
    // cache.
    let usable = usable(call, owners).filter(|_| !directives.no_store);
    let Some((cache, pages)) = usable else {
        outcome.counted.cache = Some(CacheUse::Bypass.word());
        tell_unknown(call, outcome);
        let served = boxed(|| serve::serve(call, None, None, fetcher, held, outcome)).await?;
        return Ok(with_status(served, CacheUse::Bypass));
    };
    let (kept, key) = begin(call, call.asked.query(), cache, pages);
    let place = kept.pages.find(key, &call.asked.headers, clock::instant());
    let settings = cache.settings;
    let call = ListCall { kept: Some(&kept), ..call };
    let kept_call = KeptCall { call, kept: &kept, settings, place: &place, fetcher };
    if let Some(page) = &place.found
        && let Some(used) = use_of(page, directives)
    {
        return hit(kept_call, owners, page, used, held, outcome);
    }
    // `only-if-cached` rules out upstream requests, but not a look-up in the shared store (RFC 9111 section 5.2.1.7).
    if directives.only_if_cached {
        if let Some((page, _)) = kept_call.find_elsewhere().await
            && let Some(used) = use_of(&page, directives)
        {
            return hit(kept_call, owners, &page, used, held, outcome);
        }
        outcome.counted.cache = Some("not_cached");
        return Err(Problem::new(
            Code::NotCached,
            "no kept page is new enough, and only-if-cached forbids asking the upstream",
        )
        .into());
    }
    let because = match &place.found {
        _ if directives.reloads => MadeBecause::Asked,
        Some(_) => MadeBecause::Old,
        None => MadeBecause::Miss,
    };
    // A client that reloads must get a page whose making began after its request, so the request doesn't wait for a
    // concurrent one.
    let mut ended = match because {
        MadeBecause::Asked => kept_call.make(held, outcome).await.map(FlightEnd::Own),
        MadeBecause::Old | MadeBecause::Miss => kept_call.fly(held, outcome).await,
    };
    // A page of another process counts as a kept page, so the directives of the request apply to it.
    if let Ok(FlightEnd::Found(page)) = &ended {
        if let Some(used) = use_of(page, directives) {
            return hit(kept_call, owners, page, used, held, outcome);
        }
        ended = kept_call.make(held, outcome).await.map(FlightEnd::Own);
    }
    if let Ok(FlightEnd::Own(MadeResponse::Stored { page, .. }) | FlightEnd::Shared(page)) = &ended {
        background::prefetch(call, owners, fetcher, page, outcome);
    }
    end(kept_call, directives, because, ended, held, outcome).await
}

/// Returns the use of a kept page; `None` if the page is old, or if the directives of the request exclude it.
fn use_of(page: &StoredPage, directives: RequestDirectives) -> Option<CacheUse> {
    let now = clock::instant();
    let (used, left) = match page.life.at(now) {
        PageUse::Fresh(left) => (CacheUse::Hit(left), left.as_secs()),
        PageUse::Stale(over) => (CacheUse::Stale(over), 0),
        PageUse::Old(_) => return None,
    };
    (!directives.reloads && directives.accepts(page.life.age_at(now), left)).then_some(used)
}

/// Serves a kept page. A stale page also starts the making of a new one, and `prefetch` starts the making of the next
/// page.
fn hit(
    call: KeptCall<'_>,
    owners: CallOwners<'_>,
    page: &Arc<StoredPage>,
    used: CacheUse,
    held: &MemoryShare,
    outcome: &mut Outcome,
) -> Result<Served, Failure> {
    // No client waits for the new page (RFC 5861 section 3). Test: `a_stale_page_is_served_while_a_new_one_is_made`.
    if let CacheUse::Stale(_) = used {
        background::refresh(call.call, owners, call.fetcher, page, outcome);
    }
    background::prefetch(call.call, owners, call.fetcher, page, outcome);
    from_cache(call, page, used, held, outcome)
}

/// Returns the response to a request whose page was made or waited for. If the upstream failed, an old page is served
/// in place of the failure where that is allowed.
async fn end(
    call: KeptCall<'_>,
    directives: RequestDirectives,
    because: MadeBecause,
    mut ended: Result<FlightEnd, Failure>,
    held: &MemoryShare,
    outcome: &mut Outcome,
) -> Result<Served, Failure> {
    let now = clock::instant();
    // The look-up in the shared store may have put an old page into memory, so the memory is searched again. Test:
    // `a_stale_page_of_another_process_is_served_where_the_upstream_fails`.
    let elsewhere = match (&ended, &call.place.found) {
        (Ok(FlightEnd::Failed(_)) | Err(_), None) => call.find_again(now),
        _ => None,
    };
    let old = call.place.found.as_ref().or(elsewhere.as_ref()).filter(|page| {
        let may = !directives.reloads && directives.accepts(page.life.age_at(now), 0);
        may && page.life.serves_on_error(now)
    });
    // The failure of another request isn't passed on. Without an old page, this request tries the upstream itself.
    if let (Ok(FlightEnd::Failed(_)), None) = (&ended, old) {
        ended = call.make(held, outcome).await.map(FlightEnd::Own);
    }
    match ended {
        Ok(FlightEnd::Own(MadeResponse::Stored { page, is_validated, .. })) => {
            let used = CacheUse::Made(because, Kept { is_stored: true, is_validated });
            outcome.counted.cache = Some(used.word());
            Ok(Served::Response(respond(call, &page, used, (page.life.age > 0).then_some(page.life.age))))
        }
        Ok(FlightEnd::Own(MadeResponse::Apart(served))) => {
            let used = CacheUse::Made(because, Kept { is_stored: false, is_validated: false });
            if let Served::Response(_) = &served {
                outcome.counted.cache = Some(used.word());
            }
            Ok(with_status(served, used))
        }
        Ok(FlightEnd::Shared(page) | FlightEnd::Found(page)) => {
            from_cache(call, &page, CacheUse::Collapsed, held, outcome)
        }
        Ok(FlightEnd::Failed(code)) => match old {
            Some(page) => from_cache(call, page, CacheUse::OnError(code), held, outcome),
            None => Err(Problem::new(Code::UpstreamUnavailable, "the upstream failed").into()),
        },
        Err(failure) => match (old, of_upstream(&failure)) {
            (Some(page), Some(code)) => {
                outcome.detail = Some(failure.summary().to_owned());
                from_cache(call, page, CacheUse::OnError(code), held, outcome)
            }
            _ => Err(failure),
        },
    }
}

/// Returns the response with a page that this request didn't make, with the page's age.
fn from_cache(
    call: KeptCall<'_>,
    page: &StoredPage,
    used: CacheUse,
    held: &MemoryShare,
    outcome: &mut Outcome,
) -> Result<Served, Failure> {
    // If the client reads slowly, the response keeps these bytes in memory after the cache has dropped the page, so the
    // request takes memory for them.
    held.take(page.body.len())?;
    let ListCall { asked, list, .. } = call.call;
    outcome.counted.level = Some(page.level);
    outcome.counted.cache = Some(used.word());
    list.note_kept(page.paging, asked.now, &mut outcome.counted);
    let age = page.life.age_at(clock::instant());
    Ok(Served::Response(respond(call, page, used, Some(age))))
}

/// Returns the response with a page, or 304 if the client already has the page. `age` is in seconds; `None` for a page
/// that was made for this request from answers without an age.
fn respond(call: KeptCall<'_>, page: &StoredPage, used: CacheUse, age: Option<u64>) -> Response {
    let mut headers = page.headers.clone();
    if let Some(age) = age {
        write_age(&mut headers, age);
    }
    used.write(&mut headers);
    call.conditional(Response { status: 200, headers, body: Content::from(page.body.clone()) })
}

fn with_status(mut served: Served, used: CacheUse) -> Served {
    if let Served::Response(response) = &mut served {
        used.write(&mut response.headers);
    }
    served
}
