//! One page, from top to bottom: what was asked, where that is, what the upstream says, what the client gets.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::{
    cursors::{Tokens, at, id_text},
    exchange::{Decision, Exchange, Heads},
};
use crate::{
    config::settings::{Mode, Role},
    cursor::TooLong,
    downstream::{
        Chosen, Code, EnvelopeTemplate, Facts, ItemCursors, LegacyDecision, LinkBase, LinkSet, LinkTo, ListRequest,
        Parameters, Problem, RequestKind, Response,
        response::{PageDraft, PageResponse, legacy, level_word},
    },
    gateway::{
        lifecycle::snapshot::Snapshot,
        outcome::{access_log::Outcome, failure::Failure},
        routes::{list::List, route::Route},
        runtime::clock,
        session::{client_request::Asked, context::Gateway},
    },
    pagination::{
        page::Page,
        paging::Family,
        position::{Item, Position, Target},
        window::Offset,
    },
    upstream::{Unsortable, net::memory::Held},
};

/// How a request for a list is answered.
#[derive(Debug)]
pub(crate) enum Served {
    /// With this.
    Response(Response),
    /// By the upstream itself, byte for byte.
    Forward,
}

/// Serves one page of a list. Dropping the future cancels what it asked of the upstream.
pub(crate) async fn serve(
    gateway: &Gateway,
    snapshot: &Snapshot,
    asked: &Asked,
    route: &Route,
    list: &List,
    chosen: &Chosen<'_>,
    (held, outcome): (&Held, &mut Outcome),
) -> Result<Served, Failure> {
    let parameters = &chosen.convention.parameters;
    let mut request = parameters.read_with(asked.query(), asked.body.as_ref())?;
    let preferred = parameters.prefer(&mut request, &chosen.preferences);
    let base = asked.link_base(route, snapshot);
    let restart = || base.url(&parameters.link_query(&request, None));
    let decision = legacy::decide(&request.kind, &list.legacy, asked.now, restart);
    note(list, asked, &request.kind, outcome);
    let redirects = decision == LegacyDecision::Redirect;
    let legacy_page = match decision {
        LegacyDecision::Serve => None,
        LegacyDecision::Pass => return Ok(Served::Forward),
        LegacyDecision::Translate | LegacyDecision::Redirect => Some(LegacyPage::read(list, &request)?),
        LegacyDecision::Reject(problem) | LegacyDecision::Refuse(problem) => return Err(problem.into()),
    };
    if let Some(problem) = &chosen.refused {
        return Err(problem.clone().into());
    }
    if let Some(page) = &legacy_page {
        // A walk that begins with a page by number goes on with pages of its size.
        request.limit_written.get_or_insert_with(|| page.limit.to_string());
    }
    let links = Links { base, parameters, request: &request };
    let sorted = match &request.sort {
        Some(terms) => match list.dialect.sorted(terms, request.id_direction) {
            Ok(sorted) => Arc::new(sorted),
            Err(unsortable) => return Err(parameters.unsortable(&request, &detail(&unsortable)).into()),
        },
        None => Arc::clone(list.dialect.default_sorted()),
    };
    let pivots = &*snapshot.pivots;
    let tokens = Tokens::new(asked, route, list, parameters, &request, &sorted, pivots);
    // Where only tokens lead to places, no cursor would: the page itself says that it can't be had.
    let leads = |page: &&LegacyPage| page.offset == 0 || sorted.mode != Mode::Token;
    if let Some(page) = legacy_page.as_ref().filter(|page| redirects && leads(page))
        && let Some(response) = redirected(list, &links, &tokens, Offset(page.offset))?
    {
        return Ok(Served::Response(response));
    }
    let ((placed, made_by), limit) = match &legacy_page {
        Some(page) => ((at(Offset(page.offset)).into(), None), page.limit),
        None => (tokens.open(&request.place)?, request.limit),
    };
    let backward = placed.target.position.is_backward();

    let filters = &request.filters.forwarded;
    let body = request.filters.body.as_deref();
    let exchange = Exchange {
        gateway,
        pivots,
        asked,
        route,
        list,
        sorted: &sorted,
        filters,
        body,
        tokens: &tokens,
        held,
        made_by: made_by.as_ref(),
    };
    let (page, heads) = match exchange.resolve(placed, limit, outcome).await? {
        Decision::Serve(page, heads) => (page, heads),
        Decision::Refuse(refusal) => {
            return Err(Failure::refusal(refusal, |offset| links.to(&at(offset), &tokens.seal_offset(offset).ok()?)));
        }
    };
    let known = list.learning.read(exchange.view());
    list.learning.add(exchange.view(), page.learnt);
    tokens.remember(&page);
    outcome.served(&page);
    outcome.filtered(page.learnt.futile_filter(known));

    let preferred = chosen.preference_applied(preferred.as_deref());
    let envelope = &chosen.convention.envelope;
    let written = Written { asked, list, envelope, preferred, page: &page, heads: &heads };
    let draft = written.render(&links, &tokens, limit, backward, legacy_page.as_ref())?;
    held.take(draft.own_size())?;
    let keeps = draft.size_held(&page.answers);
    let response = draft.finish(page.answers);
    held.keep(keeps);
    // A validator is of what GET would give (RFC 9110 section 8.8), and conditions are for GET and HEAD.
    Ok(Served::Response(match asked.body {
        None => response.unless_matched(&asked.headers),
        Some(_) => response.without_validator(),
    }))
}

/// Remembers how a request pages, and, of an old client's, whose it is.
pub(crate) fn note(list: &List, asked: &Asked, kind: &RequestKind, outcome: &mut Outcome) {
    outcome.counted.paging = Some(match kind {
        RequestKind::Cursor => "cursor",
        RequestKind::Legacy { .. } => "legacy",
        RequestKind::Unmarked => "unmarked",
    });
    if legacy::is_legacy(kind, &list.legacy) {
        list.usage.count(&asked.headers, asked.query().unwrap_or_default(), &list.keys, asked.now);
    }
}

/// The way from a page by number to the same page by cursor; none where the client's parameters can't say it.
fn redirected(
    list: &List,
    links: &Links<'_>,
    tokens: &Tokens<'_>,
    offset: Offset,
) -> Result<Option<Response>, TooLong> {
    let location = links.to(&at(offset), &tokens.seal_offset(offset)?);
    let mut response = location.and_then(|location| legacy::redirect(&location));
    if let Some(response) = &mut response {
        list.mark_legacy(&mut response.headers, &links.first());
    }
    Ok(response)
}

/// Why the upstream can't be asked for an order, for the client.
fn detail(unsortable: &Unsortable) -> String {
    match unsortable {
        Unsortable::Opaque(field) => {
            format!("this list is sorted by `{field}` in a way of its own: it is the last field of a sort")
        }
        Unsortable::TooManyKeys(1) => "this list can be sorted by one field at a time".to_owned(),
        Unsortable::TooManyKeys(most) => format!("this list can be sorted by {most} fields at a time"),
        Unsortable::OneOrder => "this list has one order, which can be turned round and no more".to_owned(),
        Unsortable::Unplaced(field) => format!("this list can't be paged in an order that begins with `{field}`"),
    }
}

/// The links of one request.
struct Links<'a> {
    base: LinkBase,
    parameters: &'a Parameters,
    request: &'a ListRequest,
}

impl Links<'_> {
    /// The link to the first page.
    fn first(&self) -> String {
        self.written(None)
    }

    fn written(&self, to: Option<LinkTo<'_>>) -> String {
        let place = match to {
            Some(LinkTo::Cursor { token, .. }) => token.len(),
            Some(LinkTo::Id { id, .. }) => id.len(),
            Some(LinkTo::Last) | None => 0,
        };
        // Names, signs, limit and sort; filters and sorts that are long grow.
        let link = self.base.begin(self.request.filters.links.len() + place + 64);
        self.parameters.link(link, self.request, to)
    }

    /// The link to the page at a place, which a cursor says; none where the client's parameters can't say it.
    fn to(&self, target: &Target, token: &str) -> Option<String> {
        let backward = target.position.is_backward();
        let id;
        let to = match &target.position {
            _ if self.parameters.takes_cursors_in_body() => return None,
            _ if self.parameters.takes_cursors() => LinkTo::Cursor { token, backward },
            Position::After(anchor) | Position::Before(anchor) => {
                id = id_text(&anchor.id)?;
                LinkTo::Id { id: &id, backward }
            }
            Position::End if self.parameters.name(Role::LimitBackward).is_some() => LinkTo::Last,
            _ => return None,
        };
        Some(self.written(Some(to)))
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
        let most = list.budgets.offset;
        if offset > most {
            let said = format!("a request by page or offset begins at most {most} items deep: read on by cursor");
            return Err(Problem::new(Code::TooDeep, said).into());
        }
        Ok(Self { offset, limit, number: window.page })
    }
}

/// A page on its way to the client.
struct Written<'a> {
    asked: &'a Asked,
    list: &'a List,
    envelope: &'a EnvelopeTemplate,
    /// `Preference-Applied`.
    preferred: Option<HeaderValue>,
    page: &'a Page,
    heads: &'a Heads,
}

impl Written<'_> {
    fn render(
        &self,
        links: &Links<'_>,
        tokens: &Tokens<'_>,
        limit: u32,
        backward: bool,
        legacy_page: Option<&LegacyPage>,
    ) -> Result<PageDraft, TooLong> {
        let Self { asked, list, envelope, page, .. } = *self;
        let seal = |target: &Option<Target>| target.as_ref().map(|target| tokens.seal(target)).transpose();
        let (next, prev) = (seal(&page.next)?, seal(&page.previous)?);
        let last = page.last.as_ref().and_then(|target| tokens.seal(target).ok());
        let link = |target: &Option<Target>, token: &Option<String>| {
            target.as_ref().zip(token.as_deref()).and_then(|(target, token)| links.to(target, token))
        };
        let first = links.first();
        // No link leads where a body does.
        let link_set = if asked.body.is_some() {
            LinkSet::default()
        } else {
            LinkSet {
                self_: Some(links.base.url(&links.request.self_query)),
                first: Some(first.clone()),
                prev: link(&page.previous, &prev),
                next: link(&page.next, &next),
                last: link(&page.last, &last),
            }
        };
        let echoed = asked.body.as_ref().map(|body| body.find(envelope.request_places())).unwrap_or_default();
        let needs = envelope.needs();
        let now = needs.now.then(|| clock::rfc3339(asked.now));
        // An item says nothing of the token that leads to it.
        let has_item_cursors = list.dialect.paging().family != Family::Token;
        let edges = page.edges.as_ref().filter(|_| needs.edge_cursors && has_item_cursors);
        let edge = |item: Option<&Item>, beyond: &Option<String>| match item {
            Some(item) => tokens.seal_item(item),
            // Where items have no cursors of their own, the page's leads on from its edge just as well.
            None => beyond.clone().filter(|_| needs.edge_cursors && !page.items.is_empty()),
        };
        let start_cursor = edge(edges.map(|(first, _)| first), &prev);
        let end_cursor = edge(edges.map(|(_, last)| last), &next);
        let item_cursors = (needs.item_cursors && has_item_cursors).then(|| tokens.of_items(page));
        let total = page.total;
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
            request: &echoed,
            item_cursors: item_cursors.as_ref().map(|cursors| cursors as &dyn ItemCursors),
        };
        let upstream: Vec<&HeaderMap> = self.heads.listed.iter().collect();
        let beside: Vec<&HeaderMap> = self.heads.beside.iter().collect();
        let (extra_links, legacy_headers) = match legacy_page {
            Some(_) if asked.body.is_some() => (Vec::new(), list.legacy_headers.as_slice()),
            Some(_) => (legacy::links(list.legacy.documentation.as_deref(), &first), list.legacy_headers.as_slice()),
            None => (Vec::new(), &[][..]),
        };
        Ok(PageResponse {
            template: envelope,
            facts: &facts,
            page,
            upstream: &upstream,
            beside: &beside,
            varies: &list.varies,
            preference_applied: self.preferred.as_ref(),
            link_length: list.budgets.link_length,
            extra_links: &extra_links,
            legacy_headers,
        }
        .render())
    }
}
