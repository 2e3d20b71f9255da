//! One page, from top to bottom: what was asked, where that is, what the upstream says, what the client gets.

use std::sync::Arc;

use http::HeaderMap;

use super::{
    Gateway,
    access_log::Outcome,
    asked::Asked,
    clock,
    exchange::{Decision, Exchange},
    failure::Failure,
    snapshot::{List, Route, Snapshot},
    tokens::{Tokens, at},
};
use crate::{
    config::settings::TotalPolicy,
    cursor::TooLong,
    downstream::{
        Facts, LegacyDecision, LinkBase, LinkSet, ListRequest, RequestKind, Response, legacy,
        response::{PageResponse, level_word},
    },
    pagination::{
        order::Order,
        page::Page,
        position::{Position, Target},
        window::Offset,
    },
};

/// How a request for a list is answered.
#[derive(Debug)]
pub(super) enum Served {
    /// With this.
    Response(Response),
    /// By the upstream itself, byte for byte.
    Forward,
}

/// Serves one page of a list. Dropping the future cancels what it asked of the upstream.
pub(super) async fn serve(
    gateway: &Gateway,
    snapshot: &Snapshot,
    asked: &Asked,
    route: &Route,
    list: &List,
    outcome: &mut Outcome,
) -> Result<Served, Failure> {
    let mut request = list.parameters.read(asked.query())?;
    let base = asked.link_base(route, snapshot);
    let restart = || base.url(&list.parameters.link_query(&request, None));
    let legacy_page = match legacy::decide(&request.kind, &list.legacy, restart) {
        LegacyDecision::Serve => None,
        LegacyDecision::Pass => return Ok(Served::Forward),
        LegacyDecision::Translate => Some(LegacyPage::read(list, &request)?),
        LegacyDecision::Reject(problem) | LegacyDecision::Refuse(problem) => return Err(problem.into()),
    };
    if let Some(page) = &legacy_page {
        // A walk that begins with a page by number goes on with pages of its size.
        request.limit_written.get_or_insert_with(|| page.limit.to_string());
    }
    let links = Links { base, list, request: &request };
    let sorted = match &request.sort {
        Some(terms) => Arc::new(list.dialect.sorted(terms, request.id_direction)),
        None => Arc::clone(list.dialect.default_sorted()),
    };
    let tokens = Tokens::new(asked, route, list, &request, &sorted.order);
    let (target, limit) = match &legacy_page {
        Some(page) => (page.target(), page.limit),
        None => (tokens.open(&request.place)?, request.limit),
    };
    let backward = matches!(target.position, Position::End | Position::Before(_));

    let exchange = Exchange { gateway, asked, route, list, sorted: &sorted, filters: &request.filters.forwarded };
    let (page, headers) = match exchange.resolve(target, limit, outcome).await? {
        Decision::Serve(page, headers) => (page, headers),
        Decision::Refuse(refusal) => {
            let nearest = |offset| tokens.seal_offset(offset).ok().map(|cursor| links.to(Some(&cursor)));
            return Err(Failure::refusal(refusal, nearest));
        }
    };
    list.learning.add(page.learnt);
    outcome.level = Some(level_word(page.level));
    outcome.drift = page.drift;

    let written = Written { asked, list, order: &sorted.order, page: &page, headers: &headers };
    let response = written.render(&links, &tokens, limit, backward, legacy_page.as_ref())?;
    Ok(Served::Response(response.unless_matched(&asked.headers)))
}

/// The links of one request.
struct Links<'a> {
    base: LinkBase,
    list: &'a List,
    request: &'a ListRequest,
}

impl Links<'_> {
    /// The link to the page of a cursor; to the first one without.
    fn to(&self, cursor: Option<&str>) -> String {
        self.base.url(&self.list.parameters.link_query(self.request, cursor))
    }
}

/// The page that a request by page or offset asks for.
struct LegacyPage {
    offset: u64,
    limit: u32,
    /// As the client counts.
    number: Option<u64>,
}

impl LegacyPage {
    fn read(list: &List, request: &ListRequest) -> Result<Self, Failure> {
        let pairs = match &request.kind {
            RequestKind::Legacy { pairs, .. } => pairs.as_slice(),
            RequestKind::Cursor | RequestKind::Unmarked => &[],
        };
        let Some(window) = list.dialect.legacy_window(pairs)? else {
            return Ok(Self { offset: 0, limit: request.limit, number: None });
        };
        let size = window.size.unwrap_or(list.page_size.default).max(1);
        let wanted = if request.limit_written.is_some() { request.limit } else { size };
        let limit = wanted.clamp(1, list.page_size.max);
        // Pages of another size than was asked for begin elsewhere, so that page after page nothing is left out.
        let offset = match window.page {
            Some(_) => (window.offset / u64::from(size)).saturating_mul(u64::from(limit)),
            None => window.offset,
        };
        Ok(Self { offset, limit, number: window.page })
    }

    fn target(&self) -> Target {
        at(Offset(self.offset))
    }
}

/// A page on its way to the client.
struct Written<'a> {
    asked: &'a Asked,
    list: &'a List,
    order: &'a Order,
    page: &'a Page,
    headers: &'a [HeaderMap],
}

impl Written<'_> {
    fn render(
        &self,
        links: &Links<'_>,
        tokens: &Tokens<'_>,
        limit: u32,
        backward: bool,
        legacy_page: Option<&LegacyPage>,
    ) -> Result<Response, TooLong> {
        let Self { asked, list, page, .. } = *self;
        let seal = |target: &Option<Target>| target.as_ref().map(|target| tokens.seal(target)).transpose();
        let (next, prev) = (seal(&page.next)?, seal(&page.previous)?);
        let last = page.last.as_ref().and_then(|target| tokens.seal(target).ok());
        let first = links.to(None);
        let link_set = LinkSet {
            self_: Some(links.base.url(&links.request.self_query)),
            first: Some(first.clone()),
            prev: prev.as_deref().map(|cursor| links.to(Some(cursor))),
            next: next.as_deref().map(|cursor| links.to(Some(cursor))),
            last: last.as_deref().map(|cursor| links.to(Some(cursor))),
        };
        let needs = list.envelope.needs();
        let now = needs.now.then(|| clock::rfc3339(asked.now));
        let edges = page.edges.as_ref().filter(|_| needs.edge_cursors);
        let start_cursor = edges.and_then(|(first, _)| tokens.seal_item(first).ok());
        let end_cursor = edges.and_then(|(_, last)| tokens.seal_item(last).ok());
        let item_cursor = |index: usize| tokens.seal_nth(page, self.order, index);
        let total = page.total.filter(|_| list.total == TotalPolicy::Upstream);
        let number = legacy_page.and_then(|page| page.number);
        let exact = total.filter(|total| total.exact && number.is_some());
        let facts = Facts {
            limit,
            path: &asked.target.path,
            level: level_word(page.level),
            now: now.as_deref(),
            has_next: next.is_some(),
            has_prev: prev.is_some(),
            has_more: if backward { prev.is_some() } else { next.is_some() },
            total,
            page: number,
            pages: exact.map(|total| total.value.div_ceil(u64::from(limit))),
            next_cursor: next.as_deref(),
            prev_cursor: prev.as_deref(),
            start_cursor: start_cursor.as_deref(),
            end_cursor: end_cursor.as_deref(),
            links: &link_set,
            item_cursor: needs.item_cursors.then_some(&item_cursor),
        };
        let upstream: Vec<&HeaderMap> = self.headers.iter().collect();
        let (extra_links, legacy_headers) = match legacy_page {
            Some(_) => (legacy::links(list.legacy.documentation.as_deref(), &first), list.legacy_headers.as_slice()),
            None => (Vec::new(), &[][..]),
        };
        Ok(PageResponse {
            template: &list.envelope,
            facts: &facts,
            page,
            upstream: &upstream,
            protected: &list.protected,
            link_length: list.budgets.link_length,
            extra_links: &extra_links,
            legacy_headers,
        }
        .render())
    }
}
