//! Reads a page of a list for an export, by an inner request with the client's own headers. The items are slices of the
//! answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::watch;

use super::job::{JobDefinition, JobFault, ListHead, hash_of};
use crate::{
    answer::{self, FreshPage, InnerAnswer, NoAnswer},
    caller::Caller,
    list::find_list,
};
use cursorgate_core::json;
use cursorgate_gateway::{
    Gateway, List, Snapshot,
    routes::route::Route,
    session::{
        list_part::{ListPart, WITHIN},
        service::PageCause,
    },
};
use cursorgate_translate::downstream::{Code, Convention};

/// The largest number of items that an export requests in one page, even if the upstream gives more.
const MOST_ITEMS: u32 = 1_000;

/// The largest number of attempts to find the end of a list that grows or shrinks, and of pages in each of them.
const MOST_LOOKS: usize = 3;

/// The longest time that an answer's `Retry-After` can delay the next attempt. A longer wait is shortened to this.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The shortest wait after a refusal by a limit (429), also without `Retry-After`.
pub(super) const LEAST_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct ExportPage {
    /// The items. If the envelope contains whole items, they are the upstream's bytes, otherwise the elements that the
    /// envelope writes.
    pub(super) items: Vec<Bytes>,
    /// The query of the next page; `None` at the end of the list or of its part.
    pub(super) next: Option<String>,
    pub(super) total: Option<u64>,
    pub(super) level: String,
    pub(super) is_unproven: bool,
    /// True if the gateway has marked the end of the list as unproven.
    pub(super) is_end_unproven: bool,
    /// The number of items at or before the end of the page's part; `None` if the keys don't show it.
    within: Option<usize>,
}

impl ExportPage {
    /// Returns whether the page is proven by keys, so that a part can end within it.
    pub(super) fn is_proven(&self) -> bool {
        !self.is_unproven && matches!(self.level.as_str(), "exact" | "checked")
    }

    /// Ends the page where its part ends. Returns `false` if the page doesn't show that place; nothing is changed then.
    pub(super) fn end_part(&mut self) -> bool {
        let Some(within) = self.within.filter(|_| self.is_proven()) else { return false };
        if within < self.items.len() {
            self.items.truncate(within);
            (self.next, self.is_end_unproven) = (None, false);
        }
        true
    }
}

/// The reason that an export didn't get a page.
#[derive(Debug)]
pub(super) enum PageFault {
    /// The same request might succeed after this time. The attempt counts as failed.
    Again(JobFault, Duration),
    /// The client has used up a limit for this time. The attempt doesn't count as failed, because limits only slow an
    /// export down.
    Limited(JobFault, Duration),
    /// Repeating the request is useless, so the job fails.
    Final(JobFault),
}

/// The values that an export needs to request its pages.
pub(super) struct PageReader<'r> {
    pub(super) gateway: &'r Arc<Gateway>,
    pub(super) snapshot: &'r Snapshot,
    pub(super) caller: &'r Caller,
    pub(super) definition: &'r JobDefinition,
    /// The private parameters of the request that began the export. Links don't contain them, so they are added to each
    /// page's query.
    pub(super) private: &'r str,
    pub(super) timeout: Duration,
    pub(super) cause: PageCause,
    /// True if pages are no larger than clients may ask for, because a larger one may have failed for its size.
    pub(super) is_cautious: bool,
}

impl PageReader<'_> {
    /// Reads the first page, or the page with the query `next`, as a page of `part`.
    ///
    /// # Errors
    ///
    /// Returns the reason that the export didn't get the page.
    pub(super) async fn page(&self, next: Option<&str>, part: &ListPart) -> Result<ExportPage, PageFault> {
        let route = self.route()?;
        let convention = self.convention(&route)?;
        let part = ListPart { limit: Some(part.limit.unwrap_or_else(|| self.limit(&route))), ..part.clone() };
        let answer = self.ask(next.unwrap_or(&self.definition.query), &part).await?;
        if answer.status != 200 {
            return Err(refused(&answer));
        }
        read(&answer, convention).ok_or_else(|| PageFault::Final(unreadable()))?
    }

    /// Returns the query of a page near the offset `at`, with which a part can begin; `None` if there is none after the
    /// place with which the part before it begins, `earlier`.
    ///
    /// # Errors
    ///
    /// Returns the refusal by a limit of the client.
    pub(super) async fn part_after(&self, at: u64, earlier: &str) -> Result<Option<String>, PageFault> {
        let part = ListPart { at: Some(at), until: Some(earlier.to_owned()), ..ListPart::default() };
        match self.page(None, &part).await {
            Ok(page) => Ok(page.next.filter(|_| page.within == Some(0))),
            // Some upstreams can't be asked for an offset, or fail at one as large as this. The list is then read from
            // its start. Test: `a_list_whose_offsets_fail_is_one_part`.
            Err(PageFault::Final(_) | PageFault::Again(..)) => Ok(None),
            Err(fault @ PageFault::Limited(..)) => Err(fault),
        }
    }

    /// Requests the first page with a limit of one item, to find out whether the list serves this client. Returns the
    /// answer, and the list's total. The total is `None` if the answer isn't a page or has no total.
    ///
    /// # Errors
    ///
    /// Returns the reason that there is no answer.
    pub(super) async fn probe(&self) -> Result<(InnerAnswer, Option<u64>), PageFault> {
        let route = self.route()?;
        let convention = self.convention(&route)?;
        let part = ListPart { limit: Some(1), ..ListPart::default() };
        let answer = self.ask(&self.definition.query, &part).await?;
        let total = (answer.status == 200).then(|| total(&answer, convention)).flatten();
        Ok((answer, total))
    }

    /// Returns the list's last item now, which is found by its total; `None` if it isn't found, or if the list can't be
    /// asked for a place.
    pub(super) async fn last_item(&self, total: u64) -> Option<Bytes> {
        let route = self.route().ok()?;
        let (size, mut total) = (u64::from(self.limit(&route)), total);
        for _ in 0..MOST_LOOKS {
            // A whole page before the end is asked for, because a list that shrinks soon has no item at its last place.
            let part = ListPart { at: Some(total.saturating_sub(size)), ..ListPart::default() };
            let mut page = self.page(None, &part).await.ok()?;
            let mut last = page.items.last().cloned();
            // A list that has grown goes on after the page.
            for _ in 0..MOST_LOOKS {
                let Some(next) = page.next.take() else { break };
                page = self.page(Some(&next), &ListPart::default()).await.ok()?;
                last = page.items.last().cloned().or(last);
            }
            match last {
                Some(last) => return Some(last).filter(|_| page.next.is_none()),
                // The list has lost more than a page since its total was read.
                None => total = self.probe().await.ok()?.1?,
            }
        }
        None
    }

    /// Returns whether at least this number of items has come before the end of the list's first page.
    pub(super) async fn has_grown(&self, head: &ListHead, count: u64) -> bool {
        let one = ListPart { limit: Some(1), ..ListPart::default() };
        let first = self.page(None, &one).await.ok().and_then(|page| page.items.first().cloned());
        // If the upstream leaves items out of its first page, and counts them, the page seems to have moved already. So
        // the list must begin with another item, too.
        if first.is_none_or(|first| hash_of(&first) == head.first) {
            return false;
        }
        let at = head.items.saturating_add(count).saturating_sub(1);
        let part = ListPart { at: Some(at), until: Some(head.next.clone()), ..one };
        // The item at this place was after the first page, and isn't any more.
        self.page(None, &part).await.is_ok_and(|page| page.within.is_some_and(|within| within > 0))
    }

    fn route(&self) -> Result<Arc<Route>, PageFault> {
        let JobDefinition { host, normal_path, .. } = self.definition;
        let found = find_list(self.snapshot, host.as_deref(), normal_path);
        found.ok_or_else(|| {
            PageFault::Final(JobFault::new(Code::RouteNotFound.as_str(), "the list is no longer served"))
        })
    }

    fn convention<'l>(&self, route: &'l Route) -> Result<&'l Convention, PageFault> {
        let list: Option<&List> = route.list.as_ref();
        let chosen = list.map(|list| list.conventions.choose(&self.caller.headers).convention);
        chosen.ok_or_else(|| PageFault::Final(unreadable()))
    }

    /// Returns the number of items of a page, which may be larger than clients may ask for.
    fn limit(&self, route: &Route) -> u32 {
        let Some(list) = &route.list else { return MOST_ITEMS };
        let cheapest = list.dialect.cheapest_page_size().filter(|_| !self.is_cautious);
        cheapest.unwrap_or(list.page_size.max).min(MOST_ITEMS)
    }

    async fn ask(&self, query: &str, part: &ListPart) -> Result<InnerAnswer, PageFault> {
        let queries: Vec<&str> = [query, self.private].into_iter().filter(|part| !part.is_empty()).collect();
        let mark = if queries.is_empty() { "" } else { "?" };
        let target = format!("{}{mark}{}", self.definition.path, queries.join("&"));
        // No client waits for the answer. The sender stays alive, so only the time limit ends the request.
        let (_goes_on, mut wanted) = watch::channel(());
        let page = FreshPage { target: &target, known: None, form: &part.form(self.cause.form()) };
        let asked = answer::ask(self.gateway, self.snapshot, self.caller, page, self.timeout, &mut wanted).await;
        asked.map_err(|reason| {
            let (code, detail) = reason.said();
            let fault = JobFault::new(code.as_str(), detail);
            // An invalid target stays invalid in each attempt, so the job fails.
            if reason == NoAnswer::Unasked { PageFault::Final(fault) } else { PageFault::Again(fault, Duration::ZERO) }
        })
    }
}

fn unreadable() -> JobFault {
    JobFault::new("page_unreadable", "the items of a page could not be found in its envelope")
}

/// Returns the fault of a refusal. Refused credentials end the job, because a job never gets other credentials.
pub(super) fn refused(answer: &InnerAnswer) -> PageFault {
    let status = answer.status;
    let wait = answer.retry_after().min(LONGEST_WAIT);
    let mut fault = match status {
        401 | 403 => {
            let detail = "the upstream does not accept the credentials of the job, or no longer accepts them";
            JobFault::new("credentials_refused", detail)
        }
        _ => {
            let (code, detail) = answer.problem().unwrap_or_else(|| ("page_refused".to_owned(), None));
            JobFault::new(&code, detail.unwrap_or_else(|| format!("the upstream answered with {status}")))
        }
    };
    fault.status = Some(status);
    match status {
        // Without a wait the export would send the request again at once, and use up the client's limit.
        429 => PageFault::Limited(fault, wait.max(LEAST_WAIT)),
        408 | 409 | 425 | 500.. => PageFault::Again(fault, wait),
        _ => PageFault::Final(fault),
    }
}

fn total(answer: &InnerAnswer, convention: &Convention) -> Option<u64> {
    let envelope = &convention.envelope;
    let in_body = envelope.places().find("total").and_then(|place| place.find(&answer.body));
    let in_body = in_body.and_then(|span| json::scalar::unsigned(span.of(&answer.body)));
    in_body.or_else(|| answer.headers.get(envelope.total_header()?)?.to_str().ok()?.parse().ok())
}

/// Parses a page. Returns `None` if the answer isn't a page in the envelope of `convention`, and a fault if the link to
/// the next page is missing.
fn read(answer: &InnerAnswer, convention: &Convention) -> Option<Result<ExportPage, PageFault>> {
    let InnerAnswer { headers, body, .. } = answer;
    let places = convention.envelope.places();
    let array = places.items.as_ref()?.find(body)?;
    let mut items = Vec::new();
    for element in json::elements(array.of(body))? {
        // An envelope that writes only parts of items has no place for a whole item. Its elements are exported instead.
        let item = match &places.item {
            Some(place) => place.find(element)?.of(element),
            None => element,
        };
        items.push(body.slice_ref(item));
    }
    // Every page of the gateway has a level. An answer of the upstream that was only forwarded doesn't have a level, so
    // it isn't read as a page.
    let level = headers.get("cursorgate-level")?.to_str().ok()?.to_owned();
    let link = cursorgate_link::find_target(headers, "next");
    let next = link.map(|link| link.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default());
    let says = |name: &str| {
        let value = places.find(name).and_then(|place| place.find(body)).map(|span| span.of(body));
        value.is_some_and(|value| !matches!(value, b"null" | b"false" | b"\"\""))
    };
    // A link that is too long is left out of the header. Without this check, the page would look like the end of the
    // list.
    if next.is_none() && ["links.next", "next.cursor", "has_next", "has_more"].into_iter().any(says) {
        let detail = "the link to the next page did not fit into its header: raise link_length";
        return Some(Err(PageFault::Final(JobFault::new("link_missing", detail))));
    }
    Some(Ok(ExportPage {
        items,
        next,
        total: total(answer, convention),
        level,
        is_unproven: headers.contains_key("cursorgate-unproven"),
        is_end_unproven: headers.contains_key("cursorgate-end"),
        within: headers.get(WITHIN).and_then(|within| within.to_str().ok()?.parse().ok()),
    }))
}
