//! The cursors of one request: what its tokens open to, and what is sealed for its answer, all in one context.

use std::{sync::Arc, time::Instant};

use super::{
    context::PageContext,
    item_cursors::{self, ItemCursorWriter},
};
use crate::{
    config::settings::{Mode, Role},
    cursor::{self, Claims, ContextParts, CursorContext, Expiry, ItemMint, Opened, TooLong},
    downstream::{Code, Parameters, Problem, RequestedPosition},
    gateway::{
        outcome::failure::Failure,
        request::caller,
        routes::list::List,
        shared::pivots::{KnownItem, PivotScope, PivotScopeParts, Pivots, SeenItem},
    },
    pagination::{
        answer::Answer,
        fingerprint::fingerprint,
        key::KeyValue,
        mark::{Mark, Marker},
        order::{Kind, Order},
        page::Page,
        position::{Anchor, Hint, Item, Pivot, Position, Target},
        window::Offset,
    },
};

/// Opens and seals the cursors of one request.
pub(crate) struct RequestCursors<'a> {
    list: &'a List,
    parameters: &'a Parameters,
    order: &'a Order,
    /// Page cursors carry the id of their item alone; its keys are looked up.
    seeks: bool,
    context: CursorContext,
    /// Whose view of which list this is, where items are remembered and it is known whose.
    scope: Option<PivotScope>,
    pivots: &'a Pivots,
    marker: Marker,
    now: u64,
    instant: Instant,
}

/// Where a request wants its page, and what is known of that place.
#[derive(Debug)]
pub(crate) struct ResolvedCursor {
    /// Where.
    pub(crate) target: Target,
    /// The keys of its pivot, where they are remembered.
    pub(crate) pivot: Option<Vec<KeyValue>>,
}

/// The start of a page.
pub(crate) struct PageStart {
    /// The position of the client's cursor.
    pub cursor: ResolvedCursor,
    /// The number of items.
    pub limit: u32,
    /// The marker of the client's cursor, where new cursors have another one.
    pub made_by: Option<Marker>,
}

impl From<Target> for ResolvedCursor {
    fn from(target: Target) -> Self {
        Self { target, pivot: None }
    }
}

impl<'a> RequestCursors<'a> {
    /// The context of a request: everything that decides which list it is, and in which order.
    #[must_use]
    pub(crate) fn new(context: &'a PageContext<'a>) -> Self {
        let PageContext { asked, route, list, request, sorted, pivots, .. } = context;
        let parameters = context.parameters();
        let order = &*sorted.order;
        let path = &asked.target.normal_path;
        let path = path.strip_suffix('/').unwrap_or(path);
        let host = asked.target.host.as_deref().filter(|_| route.serves_by_host()).unwrap_or_default();
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        for name in &list.cursor.bind {
            headers.extend(asked.headers.get_all(name).iter().map(|value| (name.as_str(), value.as_bytes())));
        }
        let filters = &request.filters.canonical;
        let parts = ContextParts { route: &route.name, host, path, filters, order, headers: &headers };
        let remembers = list.remembers && caller::is_known(&asked.headers, &list.protected);
        let scope = remembers.then(|| {
            let (filters, headers) = (&request.filters.forwarded, &asked.headers);
            let body = request.filters.body.as_deref();
            PivotScope::new(PivotScopeParts {
                route: &route.name,
                route_fingerprint: route.fingerprint,
                host,
                path,
                filters,
                body,
                order,
                headers,
                principal: &list.protected,
            })
        });
        let marker = list.keys.signing_marker();
        let context = CursorContext::new(parts);
        let context = match &route.usual {
            Some(usual) => context.beside(usual),
            None => context,
        };
        let (now, instant) = (asked.now, asked.began);
        let seeks = sorted.mode == Mode::Seek;
        Self { list, parameters, order, seeks, context, scope, pivots, marker, now, instant }
    }

    /// Opens the client's cursor, or takes the offset of a legacy page.
    ///
    /// # Errors
    ///
    /// `cursor_invalid`, `cursor_mismatch`, `cursor_expired`.
    pub(crate) fn start(&self, context: &PageContext<'_>) -> Result<PageStart, Failure> {
        if let Some(page) = &context.legacy_page {
            return Ok(PageStart { cursor: at(Offset(page.offset)).into(), limit: page.limit, made_by: None });
        }
        let (cursor, made_by) = self.open(&context.request.place)?;
        Ok(PageStart { cursor, limit: context.request.limit, made_by })
    }

    /// What makes the marks of new cursors.
    #[must_use]
    pub(crate) fn marker(&self) -> &Marker {
        &self.marker
    }

    /// Whose view of which list this is, where items are remembered.
    #[must_use]
    pub(crate) fn scope(&self) -> Option<&PivotScope> {
        self.scope.as_ref()
    }

    /// Where a request wants its page, and what made the marks in its cursor, where that is not what makes new ones.
    ///
    /// # Errors
    ///
    /// `cursor_invalid`, `cursor_mismatch`, `cursor_expired`.
    pub(crate) fn open(&self, place: &RequestedPosition) -> Result<(ResolvedCursor, Option<Marker>), Failure> {
        let unaimed = |position| Ok((Target { position, hint: Hint::default() }.into(), None));
        let (role, token) = match place {
            RequestedPosition::First => return unaimed(Position::Start),
            RequestedPosition::Last => return unaimed(Position::End),
            RequestedPosition::AfterId(id) => return unaimed(Position::AfterPivot(self.pivot(id))),
            RequestedPosition::BeforeId(id) => return unaimed(Position::BeforePivot(self.pivot(id))),
            RequestedPosition::Cursor(token) => (Role::Cursor, token),
            RequestedPosition::After(token) => (Role::After, token),
            RequestedPosition::Before(token) => (Role::Before, token),
        };
        let List { keys, cursor, .. } = self.list;
        let ttl = cursor.ttl.map(|ttl| ttl.as_secs());
        let opened = cursor::open(keys, &self.context, token, self.now, ttl, cursor.length, cursor.sealed);
        let Opened { key, claims } = opened.map_err(|error| Failure::cursor(error, self.parameter(role)))?;
        let marker = if keys.signs_with(key) { None } else { keys.marker(key) };
        let placed = match (role, claims) {
            (Role::Cursor, Claims::Page(target)) => self.placed(target),
            // Where there is no parameter for page cursors, `after` and `before` take them, each in its own direction.
            (_, Claims::Page(target)) if target.position.is_backward() == (role == Role::Before) => self.placed(target),
            // A convention without a parameter for items reads on from one that another convention named.
            (_, Claims::Item(item)) => self.beside(item, role == Role::Before),
            _ => {
                let said = "this cursor is ours, and made for another parameter: begin again at `restart`";
                return Err(Problem::new(Code::CursorInvalid, said).with_parameter(self.parameter(role)).into());
            }
        };
        Ok((placed, marker))
    }

    /// A place that a page cursor says, and what is remembered of its pivot.
    fn placed(&self, target: Target) -> ResolvedCursor {
        let known = match &target.position {
            Position::AfterPivot(Pivot { id, fingerprint: Some(mark) })
            | Position::BeforePivot(Pivot { id, fingerprint: Some(mark) }) => self.known(id, *mark),
            _ => None,
        };
        ResolvedCursor { target, pivot: known.map(|known| known.keys.clone()) }
    }

    /// The place beside an item, aimed at by what is remembered of it.
    fn beside(&self, item: Item, backward: bool) -> ResolvedCursor {
        match item {
            Item::Keyed(anchor) => {
                let known = self.known(&anchor.id, fingerprint(&self.marker, &anchor.keys));
                let hint = known.map(|known| known.hint(backward)).unwrap_or_default();
                let position = if backward { Position::Before(anchor) } else { Position::After(anchor) };
                Target { position, hint }.into()
            }
            Item::Marked(item) => item_cursors::beside(item, backward).into(),
        }
    }

    /// What is remembered of an item whose keys had this mark.
    pub(crate) fn known(&self, id: &KeyValue, mark: Mark) -> Option<Arc<KnownItem>> {
        self.pivots.find(self.scope.as_ref()?, id, mark, self.instant)
    }

    /// The item with an id that a client sent as text: a number where ids are numbers.
    fn pivot(&self, id: &str) -> Pivot {
        let is_number = matches!(self.order.id.kind, Kind::Number | Kind::Inferred) && is_plain_number(id);
        let id = if is_number { KeyValue::Number(id.to_owned()) } else { KeyValue::Text(id.as_bytes().to_vec()) };
        Pivot { id, fingerprint: None }
    }

    /// A page cursor. On routes that look up keys it carries the id of its item alone, and a mark of the keys.
    pub(crate) fn seal(&self, target: &Target) -> Result<String, TooLong> {
        let List { keys, cursor, .. } = self.list;
        let expiry = cursor.ttl.map(|ttl| Expiry { now: self.now, ttl: ttl.as_secs() });
        let pivot = |anchor: &Anchor| {
            let fingerprint = Some(fingerprint(&self.marker, &anchor.keys));
            Pivot { id: anchor.id.clone(), fingerprint }
        };
        let position = match &target.position {
            Position::After(anchor) if self.seeks => Some(Position::AfterPivot(pivot(anchor))),
            Position::Before(anchor) if self.seeks => Some(Position::BeforePivot(pivot(anchor))),
            _ => None,
        };
        let by_id = position.map(|position| Target { position, hint: target.hint });
        let target = by_id.as_ref().unwrap_or(target);
        cursor::seal(keys, &self.context, target, expiry, cursor.length, cursor.sealed)
    }

    /// A page cursor that says an offset alone.
    pub(crate) fn seal_offset(&self, offset: Offset) -> Result<String, TooLong> {
        self.seal(&at(offset))
    }

    /// An item cursor; none where it is too long.
    pub(crate) fn seal_item(&self, item: &Item) -> Option<String> {
        let List { keys, cursor, .. } = self.list;
        cursor::seal_item(keys, &self.context, item, cursor.length, cursor.sealed).ok()
    }

    /// What makes the cursors of a page's items.
    #[must_use]
    pub(crate) fn of_items(&'a self, page: &'a Page) -> ItemCursorWriter<'a> {
        let List { keys, cursor, .. } = self.list;
        let mint = ItemMint::new(keys, &self.context, cursor.length, cursor.sealed);
        ItemCursorWriter::new(page, self.order, &self.marker, mint)
    }

    /// Remembers the items on the edges of a page, which cursors lead on from.
    pub(crate) fn remember(&self, page: &Page) {
        let Some((Item::Keyed(first), Item::Keyed(last))) = &page.edges else { return };
        let hint = |offset, neighbour: &Option<Target>| match neighbour {
            Some(target) => target.hint,
            None => Hint { offset: Offset(offset), ..Hint::default() },
        };
        let ends = page.offset.saturating_add(page.items.len() as u64);
        self.see(first, &self.marker, hint(page.offset, &page.previous), true);
        self.see(last, &self.marker, hint(ends, &page.next), false);
    }

    /// Remembers the item with an id that was looked up for a cursor whose marks `made_by` made.
    pub(crate) fn remember_item(&self, id: &KeyValue, answer: &Answer, made_by: Option<&Marker>) {
        if let Some(anchor) = item_cursors::anchor(answer, self.order, 0).filter(|anchor| anchor.id == *id) {
            self.see(&anchor, made_by.unwrap_or(&self.marker), Hint::default(), false);
        }
    }

    fn see(&self, anchor: &Anchor, marker: &Marker, hint: Hint, backward: bool) {
        let Some(scope) = &self.scope else { return };
        let fingerprint = fingerprint(marker, &anchor.keys);
        self.pivots.remember(scope, SeenItem { anchor, fingerprint, hint, backward }, self.instant);
    }

    fn parameter(&self, role: Role) -> &str {
        self.parameters.name(role).unwrap_or("cursor")
    }
}

/// An offset as a target, with nothing to prove it.
#[must_use]
pub(crate) fn at(offset: Offset) -> Target {
    Target { position: Position::At(offset), hint: Hint { offset, ..Hint::default() } }
}

/// An id as a client sends it; none where it is neither a text nor a number.
#[must_use]
pub(crate) fn id_text(id: &KeyValue) -> Option<String> {
    match id {
        KeyValue::Number(digits) => Some(digits.clone()),
        KeyValue::Text(text) => String::from_utf8(text.clone()).ok(),
        KeyValue::Null | KeyValue::Boolean(_) => None,
    }
}

/// Whether this is a whole number as JSON writes it.
fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = matches!(digits.as_bytes(), [b'0'] | [b'1'..=b'9', ..]);
    is_plain && digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_json_writes_as_such() {
        for text in ["0", "7", "-7", "10", "123456789012345678901234567890"] {
            assert!(is_plain_number(text), "{text}");
        }
        for text in ["", "-", "-0", "007", "1.0", "1e3", "+7", "7a", "0x7", "é", " 7"] {
            assert!(!is_plain_number(text), "{text}");
        }
    }
}
