//! The cursors of one request. The client's cursor is opened and the response's cursors are sealed in the same context.
//! A cursor therefore works only for the list, filters and order for which it was made.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    context::PageContext,
    item_cursors::{self, ItemCursorWriter},
};
use crate::{
    outcome::failure::Failure,
    routes::list::List,
    shared::pivots::{KnownItem, PivotScope, PivotScopeParts, Pivots, SeenItem},
    store::handle::{SharedStore, StoredKind},
};
use cursorgate_config::settings::{AlsoAccepted, Mode, Role};
use cursorgate_core::pagination::{
    answer::Answer,
    fingerprint::fingerprint,
    key::KeyValue,
    mark::{Mark, Marker},
    order::{Kind, Order},
    page::Page,
    position::{Anchor, Hint, Item, Pivot, Position, Target},
    window::Offset,
};
use cursorgate_cursor::cursor::{
    self, AcceptedCursors, Claims, ContextParts, CursorContext, Expiry, ItemMint, Opened, RefusalReason, RefusedCursor,
    TooLong,
};
use cursorgate_translate::downstream::{
    Code, Parameters, Problem, RequestedPosition, response::caching::storing::PageStorage,
};

/// The context and keys of a request's cursors, and the caches of items that the cursors need.
pub struct RequestCursors<'a> {
    list: &'a List,
    parameters: &'a Parameters,
    order: &'a Order,
    /// `true` if page cursors contain only the id of their item (mode `seek`). The item's keys must then be looked up.
    seeks: bool,
    context: CursorContext,
    /// The scope of cached items; `None` if neither the route nor the convention needs them, or if the principal is
    /// unknown.
    scope: Option<PivotScope>,
    pivots: &'a Pivots,
    /// The shared store; `None` without `[caches.shared]`, and in modes other than `seek`.
    store: Option<&'a SharedStore>,
    /// The marker and the number of the key that signs new cursors.
    signing: NumberedMarker,
    /// The time of the request, in seconds since 1970.
    now: u64,
    instant: Instant,
}

/// The marker of a cursor key. Different keys make different marks, so the marks in a cursor are compared by the marker
/// of the cursor's own key.
#[derive(Clone)]
pub struct NumberedMarker {
    /// The number of the key in the configuration.
    pub number: u32,
    /// The marker for cursors of this key.
    pub marker: Marker,
}

/// The position that a request names, with or without a cursor, and the known keys of its pivot.
#[derive(Debug)]
pub struct ResolvedCursor {
    /// The position and its hint.
    pub target: Target,
    /// The keys of the position's pivot; `None` if there is no pivot, or if its keys aren't cached.
    pub pivot: Option<Vec<KeyValue>>,
}

/// The start and the size of a page.
pub struct PageStart {
    /// The position that the request names, with or without a cursor.
    pub cursor: ResolvedCursor,
    /// The limit of the page.
    pub limit: u32,
    /// The key of the client's cursor; `None` without a cursor, or if the key is also the key of new cursors.
    pub made_by: Option<NumberedMarker>,
}

impl From<Target> for ResolvedCursor {
    fn from(target: Target) -> Self {
        Self { target, pivot: None }
    }
}

impl<'a> RequestCursors<'a> {
    /// Computes the context of a request's cursors (the route, host, path, filters, order and bound headers), and the
    /// scope of cached items.
    #[must_use]
    pub fn new(context: &'a PageContext<'a>) -> Self {
        let PageContext { snapshot, asked, route, list, request, sorted, .. } = context;
        let parameters = context.parameters();
        let order = &*sorted.order;
        // Links may spell the path differently, so the normal form is used. Test:
        // `cursors_are_valid_for_every_encoding_of_their_path`.
        let path = asked.target.collection_path();
        // The upstream may serve a different tenant for each host, so cursors are bound to the host. Test:
        // `a_cursor_is_bound_to_the_host_that_the_upstream_gets`.
        let host = asked.target.host.as_deref().filter(|_| route.serves_by_host()).unwrap_or_default();
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        for name in &list.cursor.bind {
            headers.extend(asked.headers.get_all(name).iter().map(|value| (name.as_str(), value.as_bytes())));
        }
        let filters = &request.filters.canonical;
        let parts = ContextParts { route: &route.name, host, path, filters, order, headers: &headers };
        let remembers = list.remembers || context.chosen.convention.names_items();
        // Without a known principal, one client's item could be found by another client (`gateway::identity`),
        // so no items are cached. Test: `pages_of_callers_known_by_other_headers_are_not_shared`.
        let (client_headers, known) = asked.client_parts();
        let viewer = list.viewer(client_headers, known);
        let remembers = remembers && viewer.is_certain(list.principal.is_empty());
        let scope = remembers.then(|| {
            let filters = &request.filters.forwarded;
            let body = request.filters.body.as_deref();
            PivotScope::new(PivotScopeParts {
                route: &route.name,
                route_fingerprint: route.fingerprint,
                host,
                path,
                filters,
                body,
                order,
                viewer,
            })
        });
        let signing = NumberedMarker { number: list.keys.signing_number(), marker: list.keys.signing_marker() };
        let context = CursorContext::new(parts);
        let context = match &route.usual {
            Some(usual) => {
                let context = context.beside(&usual.load());
                context.next_usual(&list.keys).into_iter().for_each(|next| usual.store(next));
                context
            }
            None => context,
        };
        let (now, instant) = (asked.now, asked.began);
        let seeks = sorted.mode == Mode::Seek;
        let (pivots, store) = (&*snapshot.pivots, snapshot.store.as_deref().filter(|_| seeks));
        Self { list, parameters, order, seeks, context, scope, pivots, store, signing, now, instant }
    }

    /// Opens the client's cursor. A legacy page starts at its offset instead.
    ///
    /// # Errors
    ///
    /// Returns `cursor_invalid`, `cursor_mismatch` or `cursor_expired`.
    pub fn start(&self, context: &PageContext<'_>) -> Result<PageStart, Failure> {
        if let Some(page) = &context.legacy_page {
            return Ok(PageStart { cursor: at(Offset(page.offset)).into(), limit: page.limit, made_by: None });
        }
        if let Some(offset) = context.asked.part.at {
            return Ok(PageStart { cursor: at(Offset(offset)).into(), limit: context.request.limit, made_by: None });
        }
        let (cursor, made_by) = self.open(&context.request.place)?;
        Ok(PageStart { cursor, limit: context.request.limit, made_by })
    }

    /// Limits the time for which a page is cached, because the cursors in it expire. The new cursors must remain valid
    /// for a while after the page is served. Returns `None` if the page must not be cached, for example because the
    /// client's own cursor would expire while the page is cached.
    #[must_use]
    pub fn bound(&self, mut storage: PageStorage, context: &PageContext<'_>) -> Option<PageStorage> {
        let (Some(ttl), Some(cache)) = (self.list.cursor.ttl, &self.list.page_cache) else { return Some(storage) };
        // Fresh and stale together, a page is then cached for at most half of its cursors' lifetime.
        let most = ttl.as_secs() / 4;
        let settings = cache.settings;
        let fresh = storage.fresh.unwrap_or(u64::MAX).min(settings.ttl.as_secs()).min(most);
        let stale = settings.stale_while_revalidate.max(settings.stale_if_error).as_secs().min(most);
        storage.fresh = Some(fresh);
        storage.stale_while_revalidate = Some(storage.stale_while_revalidate.unwrap_or(most).min(most));
        storage.stale_if_error = Some(storage.stale_if_error.unwrap_or(most).min(most));
        let later = self.now.saturating_add(fresh + stale);
        let lasts = context.request.cursor().is_none_or(|token| self.open_at(token, later, Some(ttl)).is_ok());
        (fresh > 0 && lasts).then_some(storage)
    }

    /// Returns the marker of the key that signs new cursors.
    #[must_use]
    pub fn marker(&self) -> &Marker {
        &self.signing.marker
    }

    /// Returns the scope of cached items; `None` if no items are cached.
    #[must_use]
    pub fn scope(&self) -> Option<&PivotScope> {
        self.scope.as_ref()
    }

    /// Returns the position of a request, and the key of its cursor. The key is `None` without a cursor, or if new
    /// cursors have the same key.
    ///
    /// # Errors
    ///
    /// Returns `cursor_invalid`, `cursor_mismatch` or `cursor_expired`.
    pub fn open(&self, place: &RequestedPosition) -> Result<(ResolvedCursor, Option<NumberedMarker>), Failure> {
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
        let opened = self.open_at(token, self.now, self.list.cursor.ttl);
        let Opened { key, claims } = opened.map_err(|refused| Failure::cursor(refused, self.parameter(role)))?;
        let keys = &self.list.keys;
        // The marks in a cursor were made by the cursor's own key, so an older key needs its own marker. Test:
        // `marks_of_an_older_key_are_recognised`.
        let older = if keys.signs_with(key) { None } else { keys.marker(key) };
        let made_by = older.map(|marker| NumberedMarker { number: key, marker });
        let placed = match (role, claims) {
            (Role::Cursor, Claims::Page(target)) => self.placed(target),
            // A convention without a parameter for page cursors takes page cursors by `after` and `before`, depending
            // on their direction.
            (_, Claims::Page(target)) if target.position.is_backward() == (role == Role::Before) => self.placed(target),
            // A convention without parameters for items accepts the item cursors of other conventions.
            (_, Claims::Item(item)) => self.beside(item, role == Role::Before),
            _ => {
                let said = "the cursor was made for another parameter: start again at `restart`";
                return Err(Problem::new(Code::CursorInvalid, said).with_parameter(self.parameter(role)).into());
            }
        };
        Ok((placed, made_by))
    }

    /// Returns the item with which a part of the list ends, by the query of the page after the part; `None` if that page
    /// doesn't begin after an item with known keys.
    #[must_use]
    pub fn end_of_part(&self, until: &str) -> Option<Anchor> {
        let place = self.parameters.read_with(Some(until), None, true).ok()?.place;
        let (RequestedPosition::Cursor(token) | RequestedPosition::After(token)) = place else { return None };
        // A part can take longer than a cursor lasts. Its end grants nothing, so it doesn't expire.
        match self.open_at(&token, self.now, None).ok()?.claims {
            Claims::Page(Target { position: Position::After(anchor), .. }) => Some(anchor),
            _ => None,
        }
    }

    /// Opens a cursor at a time, in seconds since 1970. A cursor of another name of the route is accepted too. Without
    /// `ttl`, cursors don't expire.
    fn open_at(&self, token: &str, now: u64, ttl: Option<Duration>) -> Result<Opened, RefusedCursor> {
        let List { keys, cursor, .. } = self.list;
        let also = |form| cursor.accept.contains(&form);
        let accepted = AcceptedCursors {
            ttl: ttl.map(|ttl| ttl.as_secs()),
            longest: cursor.length,
            signed: !cursor.sealed || also(AlsoAccepted::Signed),
            sealed: cursor.sealed || also(AlsoAccepted::Sealed),
            undated: also(AlsoAccepted::Undated),
        };
        let opened = cursor::open_or_tell(keys, &self.context, token, now, accepted);
        if !matches!(&opened, Err(refused) if refused.reason == RefusalReason::Context) {
            return opened;
        }
        // If no name fits, the client is told what differs from the present name.
        let open_as = |name: &String| {
            let context = self.context.renamed(name);
            let tried = cursor::open_or_tell(keys, &context, token, now, accepted);
            Some(tried).filter(|tried| !matches!(tried, Err(refused) if refused.reason == RefusalReason::Context))
        };
        cursor.names.iter().find_map(open_as).unwrap_or(opened)
    }

    /// Returns the position of a page cursor, with the keys of its pivot if these are cached.
    fn placed(&self, target: Target) -> ResolvedCursor {
        let known = match &target.position {
            Position::AfterPivot(Pivot { id, fingerprint: Some(mark) })
            | Position::BeforePivot(Pivot { id, fingerprint: Some(mark) }) => self.known(id, *mark),
            _ => None,
        };
        ResolvedCursor { target, pivot: known.map(|known| known.keys.clone()) }
    }

    /// Returns the position before or after an item. If the item is cached, the position has a hint.
    fn beside(&self, item: Item, backward: bool) -> ResolvedCursor {
        match item {
            Item::Keyed(anchor) => {
                let known = self.known(&anchor.id, fingerprint(self.marker(), &anchor.keys));
                let hint = known.map(|known| known.hint(backward)).unwrap_or_default();
                let position = if backward { Position::Before(anchor) } else { Position::After(anchor) };
                Target { position, hint }.into()
            }
            Item::Marked(item) => item_cursors::beside(item, backward).into(),
        }
    }

    /// Returns the cached item with this id whose keys have this mark; `None` if there is no such item.
    pub fn known(&self, id: &KeyValue, mark: Mark) -> Option<Arc<KnownItem>> {
        self.pivots.find(self.scope.as_ref()?, id, mark, self.instant)
    }

    /// Returns the item with this id if another process has stored it, after caching the item. `mark` is the mark of
    /// its keys, by the key `made_by` of the client's cursor or else by the key of new cursors. Test:
    /// `marks_of_an_older_key_are_recognised`.
    pub async fn stored(&self, id: &KeyValue, mark: Mark, made_by: Option<&NumberedMarker>) -> Option<Arc<KnownItem>> {
        let (scope, store) = (self.scope.as_ref()?, self.store?);
        let NumberedMarker { number, marker } = made_by.unwrap_or(&self.signing);
        let found = store.get(StoredKind::Pivot, *number, &scope.digest(id, Some(mark)), self.now).await?;
        self.pivots.take_in(scope, id, mark, &found, marker, self.instant)
    }

    /// Returns the pivot for an id that a client sent as text. The id is a number if it looks like a number and the
    /// list may have numeric ids. The pivot has no mark, so the item may have any keys.
    fn pivot(&self, id: &str) -> Pivot {
        let is_number = matches!(self.order.id().kind, Kind::Number | Kind::Inferred) && is_plain_number(id);
        let id = if is_number { KeyValue::Number(id.to_owned()) } else { KeyValue::Text(id.as_bytes().to_vec()) };
        Pivot { id, fingerprint: None }
    }

    /// Seals a page cursor. In mode `seek`, the cursor contains the id of its item and a mark of the keys, instead of
    /// the keys.
    pub fn seal(&self, target: &Target) -> Result<String, TooLong> {
        let List { keys, cursor, .. } = self.list;
        let expiry = cursor.ttl.map(|ttl| Expiry { now: self.now, ttl: ttl.as_secs() });
        let pivot = |anchor: &Anchor| {
            let fingerprint = Some(fingerprint(self.marker(), &anchor.keys));
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

    /// Seals a page cursor that names an offset instead of an item.
    pub fn seal_offset(&self, offset: Offset) -> Result<String, TooLong> {
        self.seal(&at(offset))
    }

    /// Seals an item cursor; `None` if the cursor would be too long.
    pub fn seal_item(&self, item: &Item) -> Option<String> {
        let List { keys, cursor, .. } = self.list;
        cursor::seal_item(keys, &self.context, item, cursor.length, cursor.sealed).ok()
    }

    /// Returns the writer of the cursors of a page's items.
    #[must_use]
    pub fn of_items(&'a self, page: &'a Page) -> ItemCursorWriter<'a> {
        let List { keys, cursor, .. } = self.list;
        let mint = ItemMint::new(keys, &self.context, cursor.length, cursor.sealed);
        ItemCursorWriter::new(page, self.order, self.marker(), mint)
    }

    /// Caches the first and the last item of a page, at which its cursors continue the list.
    pub fn remember(&self, page: &Page) {
        let Some((Item::Keyed(first), Item::Keyed(last))) = &page.edges else { return };
        let hint = |offset, neighbour: &Option<Target>| match neighbour {
            Some(target) => target.hint,
            None => Hint { offset: Offset(offset), ..Hint::default() },
        };
        let ends = page.offset.saturating_add(page.items.len() as u64);
        self.see(first, &self.signing, hint(page.offset, &page.previous), true);
        self.see(last, &self.signing, hint(ends, &page.next), false);
    }

    /// Caches an item that was looked up for a cursor. The mark of its keys is made by the key `made_by` of that
    /// cursor, or else by the key of new cursors.
    pub fn remember_item(&self, id: &KeyValue, answer: &Answer, made_by: Option<&NumberedMarker>) {
        // The upstream may answer with another item, which isn't cached. Test:
        // `a_failed_look_up_is_one_failed_request`.
        if let Some(anchor) = item_cursors::anchor(answer, self.order, 0).filter(|anchor| anchor.id == *id) {
            self.see(&anchor, made_by.unwrap_or(&self.signing), Hint::default(), false);
        }
    }

    /// Caches an item under the mark that `key` makes of its sort keys. In mode `seek`, the item is also put into the
    /// shared store.
    fn see(&self, anchor: &Anchor, key: &NumberedMarker, hint: Hint, backward: bool) {
        let Some(scope) = &self.scope else { return };
        let fingerprint = fingerprint(&key.marker, &anchor.keys);
        let item = SeenItem { anchor, fingerprint, hint, backward };
        self.pivots.remember(scope, item, self.instant);
        if let Some(store) = self.store
            && let Some(bytes) = item.stored()
        {
            let of = scope.digest(&anchor.id, Some(fingerprint));
            store.put(StoredKind::Pivot, key.number, &of, &bytes, self.pivots.limits().ttl, self.now);
        }
    }

    /// Returns the client's name for a parameter, to be used in problems.
    fn parameter(&self, role: Role) -> &str {
        self.parameters.name(role).unwrap_or("cursor")
    }
}

/// Returns the position at an offset, with the offset as its hint. No item proves this position.
#[must_use]
pub fn at(offset: Offset) -> Target {
    Target { position: Position::At(offset), hint: Hint { offset, ..Hint::default() } }
}

/// Returns an id in the form in which clients send it; `None` if the id is null, a Boolean, or text that isn't UTF-8.
#[must_use]
pub fn id_text(id: &KeyValue) -> Option<String> {
    match id {
        KeyValue::Number(digits) => Some(digits.clone()),
        KeyValue::Text(text) => String::from_utf8(text.clone()).ok(),
        KeyValue::Null | KeyValue::Boolean(_) => None,
    }
}

/// Returns whether a string is an integer in JSON's syntax (RFC 8259 section 6), except for `-0`.
fn is_plain_number(text: &str) -> bool {
    // Other spellings, such as `007`, are textual ids. Test: `a_plain_number_is_an_integer_as_json_writes_it`.
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = matches!(digits.as_bytes(), [b'0'] | [b'1'..=b'9', ..]);
    is_plain && digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_number_is_an_integer_as_json_writes_it() {
        for text in ["0", "7", "-7", "10", "123456789012345678901234567890"] {
            assert!(is_plain_number(text), "{text}");
        }
        for text in ["", "-", "-0", "007", "1.0", "1e3", "+7", "7a", "0x7", "é", " 7"] {
            assert!(!is_plain_number(text), "{text}");
        }
    }
}
