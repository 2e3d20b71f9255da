//! The response with a page: cursors, links and facts for the envelope, and headers for caches and legacy clients.

use http::HeaderMap;

use super::{context::PageContext, cursors::RequestCursors, exchange::AnswerHeaders};
use crate::{net::memory::MemoryShare, outcome::failure::Failure, runtime::clock};
use cursorgate_core::pagination::{
    page::Page,
    paging::{CountedThings, Family},
    position::{Item, Target},
};
use cursorgate_cursor::cursor::TooLong;
use cursorgate_translate::downstream::{
    Facts, ItemCursors, LinkSet, Response,
    response::{PageDraft, PageResponse, legacy, level_word},
};

/// A page that a request gets.
pub struct ResolvedPage {
    pub page: Page,
    /// `true` if the page is read backward.
    pub backward: bool,
    /// The limit of the request.
    pub limit: u32,
    /// The headers of the answers from which the page was made.
    pub answers: AnswerHeaders,
}

/// Renders a page as a response, and adds its memory to the request's share (`held`).
///
/// # Errors
///
/// Returns an error if a cursor is longer than the route allows, or if no memory is left.
pub fn render(
    context: &PageContext<'_>,
    cursors: &RequestCursors<'_>,
    resolved: ResolvedPage,
    held: &MemoryShare,
) -> Result<Response, Failure> {
    let draft = draft(context, cursors, &resolved)?;
    held.take(draft.own_size())?;
    let keeps = draft.size_held(&resolved.page.answers);
    let response = draft.finish(resolved.page.into_facts().answers);
    held.keep(keeps);
    // Only responses to GET and HEAD have a validator (RFC 9110 section 8.8).
    Ok(match context.asked.body {
        None => response,
        Some(_) => response.without_validator(),
    })
}

/// The sealed cursors of the next, the previous and the last page.
struct NeighbourCursors {
    next: Option<String>,
    /// The cursor of the previous page; `None` if there is none, or if the list can't be read backward.
    previous: Option<String>,
    /// The cursor of the last page; `None` if the last page is unknown, the list can't be read backward, or the cursor
    /// would be too long. A page doesn't need a link to the last page.
    last: Option<String>,
}

impl NeighbourCursors {
    fn seal(context: &PageContext<'_>, cursors: &RequestCursors<'_>, page: &Page) -> Result<Self, TooLong> {
        let seal = |target: &Target| cursors.seal(target);
        let next = page.next.as_ref().map(seal).transpose()?;
        if !context.reads_back() {
            return Ok(Self { next, previous: None, last: None });
        }
        let last = page.last.as_ref().and_then(|target| seal(target).ok());
        Ok(Self { next, previous: page.previous.as_ref().map(seal).transpose()?, last })
    }
}

/// Returns the links of a page. A POST request gets no links, because a link can't repeat the request's body.
fn links(context: &PageContext<'_>, page: &Page, sealed: &NeighbourCursors, first: &str) -> LinkSet {
    if context.asked.body.is_some() {
        return LinkSet::default();
    }
    let link = |target: &Option<Target>, cursor: &Option<String>| {
        target.as_ref().zip(cursor.as_deref()).and_then(|(target, cursor)| context.link_to(target, cursor))
    };
    LinkSet {
        self_: Some(context.self_link()),
        first: Some(first.to_owned()),
        prev: link(&page.previous, &sealed.previous),
        next: link(&page.next, &sealed.next),
        last: link(&page.last, &sealed.last),
    }
}

/// Writes a page into the envelope that the request chose.
fn draft(
    context: &PageContext<'_>,
    cursors: &RequestCursors<'_>,
    resolved: &ResolvedPage,
) -> Result<PageDraft, TooLong> {
    let ResolvedPage { page, limit, .. } = resolved;
    let PageContext { asked, list, chosen, .. } = context;
    let envelope = &chosen.convention.envelope;
    let needs = envelope.needs();
    let sealed = NeighbourCursors::seal(context, cursors, page)?;
    let first = context.first_link();
    let link_set = links(context, page, &sealed, &first);
    let echoed = asked.body.as_ref().map(|body| body.find(envelope.request_places())).unwrap_or_default();
    let now = needs.now.then(|| clock::rfc3339(asked.now));
    // A token leads only to a whole page, so the items of a list by tokens have no cursors. Test:
    // `items_of_a_list_by_token_have_no_cursors`.
    let has_item_cursors = list.dialect.paging().family != Family::Token;
    let edges = page.edges.as_ref().filter(|_| needs.edge_cursors && has_item_cursors);
    let edge = |item: Option<&Item>, beyond: &Option<String>| match item {
        Some(item) => cursors.seal_item(item),
        // Without item cursors, the cursor of the neighbouring page is used, because it continues from the same edge.
        None => beyond.clone().filter(|_| needs.edge_cursors && !page.items.is_empty()),
    };
    let start_cursor = edge(edges.map(|(first, _)| first), &sealed.previous);
    let end_cursor = edge(edges.map(|(_, last)| last), &sealed.next);
    let item_cursors = (needs.item_cursors && has_item_cursors).then(|| cursors.of_items(page));
    let number = context.legacy_page.and_then(|page| page.number);
    let exact = page.total.filter(|total| total.exact && number.is_some());
    let (has_next, has_prev) = (sealed.next.is_some(), sealed.previous.is_some());
    let facts = Facts {
        limit: *limit,
        path: &asked.target.path,
        level: level_word(page.level()),
        now: now.as_deref(),
        has_next,
        has_prev,
        has_more: if resolved.backward { has_prev } else { has_next },
        // An estimate may be too high, so it isn't a lower bound either. Test:
        // `an_estimated_total_is_not_sent_to_clients`.
        total: page.total.filter(|total| total.exact || list.dialect.paging().counted != CountedThings::Estimate),
        page: number,
        pages: exact.map(|total| total.value.div_ceil(u64::from(*limit))),
        next_cursor: sealed.next.as_deref(),
        prev_cursor: sealed.previous.as_deref(),
        start_cursor: start_cursor.as_deref(),
        end_cursor: end_cursor.as_deref(),
        links: &link_set,
        request: &echoed,
        item_cursors: item_cursors.as_ref().map(|cursors| cursors as &dyn ItemCursors),
    };
    Ok(respond(context, &facts, resolved, &first))
}

/// Renders the facts of a page, and adds the headers: from the upstream's answers, for preferences, and for legacy
/// requests.
fn respond(
    context: &PageContext<'_>,
    facts: &Facts<'_>,
    ResolvedPage { page, answers, .. }: &ResolvedPage,
    first: &str,
) -> PageDraft {
    let PageContext { asked, list, chosen, .. } = context;
    let upstream: Vec<&HeaderMap> = answers.listed.iter().collect();
    let beside: Vec<&HeaderMap> = answers.beside.iter().collect();
    let preferred = chosen.preference_applied(context.preferred.as_deref());
    let (extra_links, legacy_headers) = match context.legacy_page {
        Some(_) if asked.body.is_some() || !list.announces() => (Vec::new(), list.legacy_headers.as_slice()),
        Some(_) => (legacy::links(list.legacy.documentation.as_deref(), first), list.legacy_headers.as_slice()),
        None => (Vec::new(), &[][..]),
    };
    let service_links = context.service_links();
    PageResponse {
        template: &chosen.convention.envelope,
        facts,
        page,
        upstream: &upstream,
        beside: &beside,
        varies: &list.varies,
        preference_applied: preferred.as_ref(),
        link_length: list.budgets.link_length,
        extra_links: &extra_links,
        service_links: &service_links,
        legacy_headers,
    }
    .render()
}
