//! The path of a page from the request to the response: open, resolve, render. Read this first.

use super::{
    context::{ListCall, PageContext},
    cursors::{RequestCursors, at},
    exchange::{
        Exchange, PageDecision,
        watched::{OpenedPage, PageRecord},
    },
    render::{ResolvedPage, render},
};
use http::HeaderMap;

use crate::{
    net::{
        fetch::{AskedPeer, Fetcher},
        memory::MemoryShare,
    },
    outcome::{access_log::Outcome, failure::Failure, trace::RequestTrace},
    session::list_part::WITHIN,
    shared::learning::LearntProfile,
};
use cursorgate_config::settings::WhenEndUnproven;
use cursorgate_core::pagination::{page::Page, refusal::Refusal};
use cursorgate_translate::downstream::{
    Response,
    response::caching::storing::{PageStorage, page_storage},
};

/// The result of serving a request for a list.
#[derive(Debug)]
pub enum Served {
    Response(Response),
    /// The request must be forwarded, because the client gets the upstream's own answer.
    Forward,
}

/// Serves one page of a list. `record` is given if the request is explained, and gets the page's requests and answers.
/// `made` is given if the request uses the page cache, and gets the facts for storing the page. With `made`, the whole
/// page is returned even to a conditional request. Dropping the future cancels its upstream requests.
///
/// # Errors
///
/// Returns the problem of the request, the failure of the upstream, or the refusal of a page that can't be proven.
pub async fn serve(
    call: ListCall<'_>,
    record: Option<&PageRecord>,
    made: Option<&mut MadePage>,
    fetcher: &Fetcher,
    held: &MemoryShare,
    outcome: &mut Outcome,
) -> Result<Served, Failure> {
    let trace = call.asked.trace.as_deref();
    // Open: list, parameters, order and position.
    let phase = RequestTrace::phase(trace, "plan");
    let Some(context) = PageContext::open(&call, outcome).await? else { return Ok(Served::Forward) };
    if let Some(record) = record {
        record.open(OpenedPage::of(&context, Some(&context.list.keys)));
    }
    let cursors = RequestCursors::new(&context);
    if let Some(response) = context.redirect(&cursors)? {
        return Ok(Served::Response(response));
    }
    let start = cursors.start(&context)?;
    let (limit, backward) = (start.limit, start.cursor.target.position.is_backward());
    if backward && !context.reads_back() {
        return Err(Failure::refusal(Refusal::Unsupported, |_| None));
    }
    drop(phase);

    // Resolve: the core names the fetches that it needs, until it serves or refuses the page.
    let (asked, phase) = (AskedPeer::default(), RequestTrace::phase(trace, "page"));
    let visit = call.route.upstream.visit(&call.asked.headers, &call.asked.target.normal_path, true).judging();
    let (made_by, learning) = (start.made_by.as_ref(), &context.list.learning);
    // The profile is read before this page adds to it. The difference shows whether a filter of this page helped.
    let scope = context.learning_scope();
    let known = context.learnt(scope);
    let exchange = Exchange {
        context: &context,
        cursors: &cursors,
        fetcher,
        visit: &visit,
        held,
        asked: &asked,
        phase: &phase,
        made_by,
        profile: known,
        record,
    };
    let resolved = exchange.resolve(start.cursor, limit, outcome).await;
    // The retries are counted before the result is checked, because the retries of a failed page count too.
    outcome.counted.upstream_requests += visit.retries();
    let (page, answers) = match resolved? {
        PageDecision::Serve(page, answers) => (page, answers),
        PageDecision::Refuse(refusal) => {
            let nearest = |offset| context.link_to(&at(offset), &cursors.seal_offset(offset).ok()?);
            return Err(Failure::refusal(refusal, nearest));
        }
    };
    drop(phase);
    let after = page.notes.profile;
    learning.add(scope, asked.address(), LearntProfile { before: known, after });
    if let (Some(peer), Some(cap)) = (asked.address(), after.cap.filter(|cap| known.cap != Some(*cap))) {
        outcome.tell_cap(peer, cap);
    }
    cursors.remember(&page);
    note_served(&page, &context, outcome)?;
    if call.asked.part.at.is_some() {
        // A service only looks for a place there, and no client gets the page, so operators aren't told of it.
        outcome.counted.unproven = None;
    }
    outcome.filtered(after.futile_filter(known));

    // Render: cursors and links, and the envelope around the items.
    let _phase = RequestTrace::phase(trace, "render");
    let resolved = ResolvedPage { page: *page, backward, limit, answers };
    let Some(made) = made else {
        let end = call.asked.part.until.as_deref().and_then(|until| cursors.end_of_part(until));
        let within = end.and_then(|end| resolved.page.count_through(&context.sorted.order, &end));
        let mut response = render(&context, &cursors, resolved, held)?;
        if let Some(within) = within {
            response.headers.insert(WITHIN, within.into());
        }
        return Ok(Served::Response(conditional(response, &context)));
    };
    made.note(&context, &cursors, &resolved);
    render(&context, &cursors, resolved, held).map(Served::Response)
}

/// Records the facts of a page.
///
/// # Errors
///
/// Returns `end_unproven` if the upstream contradicts the end that the page claims, and the route refuses such ends.
fn note_served(page: &Page, context: &PageContext<'_>, outcome: &mut Outcome) -> Result<(), Failure> {
    outcome.served(page);
    match page.doubted_end.filter(|_| context.list.unproven_end == WhenEndUnproven::Refuse) {
        None => Ok(()),
        Some(doubt) => {
            (outcome.counted.level, outcome.counted.refusal) = (None, Some("end_unproven"));
            Err(Failure::doubted_end(doubt))
        }
    }
}

/// Returns 304 in place of a page that the client already has. Only GET and HEAD requests can be conditional: a page
/// for POST has no validator.
fn conditional(response: Response, context: &PageContext<'_>) -> Response {
    match context.asked.body {
        None => response.unless_matched(&context.asked.headers),
        Some(_) => response,
    }
}

/// The facts of a page that decide whether it is cached. With these facts, the response always contains the whole page,
/// even if the client already has it, because the cache needs the whole page.
#[derive(Debug, Default)]
pub struct MadePage {
    /// The terms on which the page may be stored; `None` if it must not be stored.
    pub storage: Option<PageStorage>,
    /// The link to the next page; `None` without a next page, on routes without `prefetch`, and for pages that are read
    /// backward.
    pub next: Option<String>,
    /// `true` if the upstream validated each answer that lists items with a 304.
    pub is_validated: bool,
}

impl MadePage {
    /// Fills in the facts of a page.
    fn note(
        &mut self,
        context: &PageContext<'_>,
        cursors: &RequestCursors<'_>,
        ResolvedPage { page, backward, answers, .. }: &ResolvedPage,
    ) {
        self.is_validated = answers.validated > 0 && answers.validated == answers.listed.len();
        // The headers of a legacy page change at its sunset. A page that isn't proven or isn't full might be different
        // at the next request, and so might an end that the upstream contradicts. These pages aren't cached.
        let is_proven = page.unproven.is_none() && page.doubted_end.is_none();
        let is_sure = is_proven && !page.short && context.legacy_page.is_none();
        let Some(kept) = context.kept.filter(|_| is_sure) else { return };
        let all: Vec<&HeaderMap> = answers.listed.iter().chain(&answers.beside).collect();
        let storage = page_storage(&all, kept.policy, context.asked.now).ok();
        self.storage = storage.and_then(|storage| cursors.bound(storage, context));
        // This writes the link a second time, which takes time, so it's done only for routes with `prefetch`. A client
        // that walks backward already has the next page.
        let prefetches = context.list.page_cache.as_ref().is_some_and(|cache| cache.settings.prefetch);
        let is_needed = prefetches && !*backward;
        let next = page.next.as_ref().filter(|_| is_needed);
        self.next = next.and_then(|next| context.link_to(next, &cursors.seal(next).ok()?));
    }
}
