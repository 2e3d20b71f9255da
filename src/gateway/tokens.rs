//! The cursors of one request: what its tokens open to, and what is sealed for its answer, all in one context.

use super::{
    asked::Asked,
    failure::Failure,
    snapshot::{List, Route},
};
use crate::{
    config::settings::Role,
    cursor::{self, Context, ContextParts, Expiry, Opened, TooLong},
    downstream::{Code, ListRequest, Place, Problem},
    pagination::{
        key::KeyValue,
        order::Order,
        page::Page,
        position::{Anchor, Hint, Position, Target},
        window::Offset,
    },
};

/// Opens and seals the cursors of one request.
pub(super) struct Tokens<'a> {
    list: &'a List,
    context: Context,
    now: u64,
}

impl<'a> Tokens<'a> {
    /// The context of a request: everything that decides which list it is, and in which order.
    #[must_use]
    pub(super) fn new(asked: &Asked, route: &Route, list: &'a List, request: &ListRequest, order: &Order) -> Self {
        let path = &asked.target.normal_path;
        let mut headers: Vec<(&str, &[u8])> = Vec::new();
        for name in &list.cursor.bind {
            headers.extend(asked.headers.get_all(name).iter().map(|value| (name.as_str(), value.as_bytes())));
        }
        let context = Context::new(ContextParts {
            route: &route.name,
            host: asked.target.host.as_deref().filter(|_| route.serves_by_host()).unwrap_or_default(),
            path: path.strip_suffix('/').unwrap_or(path),
            filters: &request.filters.canonical,
            order,
            headers: &headers,
        });
        Self { list, context, now: asked.now }
    }

    /// Where a request wants its page.
    ///
    /// # Errors
    ///
    /// `cursor_invalid`, `cursor_mismatch`, `cursor_expired`.
    pub(super) fn open(&self, place: &Place) -> Result<Target, Failure> {
        let (role, token) = match place {
            Place::First => return Ok(Target { position: Position::Start, hint: Hint::default() }),
            Place::Cursor(token) => (Role::Cursor, token),
            Place::After(token) => (Role::After, token),
            Place::Before(token) => (Role::Before, token),
        };
        let ttl = self.list.cursor.ttl.map(|ttl| ttl.as_secs());
        let longest = self.list.cursor.length;
        let opened = cursor::open(&self.list.keys, &self.context, token, self.now, ttl, longest);
        let position = match (role, opened) {
            (Role::Cursor, Ok(Opened::Page(target))) => return Ok(target),
            (Role::After, Ok(Opened::Item(anchor))) => Position::After(anchor),
            (Role::Before, Ok(Opened::Item(anchor))) => Position::Before(anchor),
            (_, Ok(_)) => {
                let said = "this cursor is ours, and made for another parameter: begin again at `restart`";
                return Err(Problem::new(Code::CursorInvalid, said).with_parameter(self.parameter(role)).into());
            }
            (_, Err(error)) => return Err(Failure::cursor(error, self.parameter(role))),
        };
        Ok(Target { position, hint: Hint::default() })
    }

    /// A page cursor.
    pub(super) fn seal(&self, target: &Target) -> Result<String, TooLong> {
        let expiry = self.list.cursor.ttl.map(|ttl| Expiry { now: self.now, ttl: ttl.as_secs() });
        cursor::seal(&self.list.keys, &self.context, target, expiry, self.list.cursor.length)
    }

    /// A page cursor that says an offset alone.
    pub(super) fn seal_offset(&self, offset: Offset) -> Result<String, TooLong> {
        self.seal(&at(offset))
    }

    /// An item cursor.
    pub(super) fn seal_item(&self, anchor: &Anchor) -> Result<String, TooLong> {
        cursor::seal_item(&self.list.keys, &self.context, anchor, self.list.cursor.length)
    }

    /// The item cursor of the item at an index of a page; empty where its keys can't be read or are too long.
    #[must_use]
    pub(super) fn seal_nth(&self, page: &Page, order: &Order, index: usize) -> String {
        let anchor = anchor(page, order, index);
        anchor.and_then(|anchor| self.seal_item(&anchor).ok()).unwrap_or_default()
    }

    fn parameter(&self, role: Role) -> &str {
        self.list.parameters.name(role).unwrap_or("cursor")
    }
}

/// An offset as a target, with nothing to prove it.
#[must_use]
pub(super) fn at(offset: Offset) -> Target {
    Target { position: Position::At(offset), hint: Hint { offset, ..Hint::default() } }
}

/// The keys and id of an item of a page.
fn anchor(page: &Page, order: &Order, index: usize) -> Option<Anchor> {
    let place = page.items.get(index)?;
    let answer = page.answers.get(place.answer as usize)?;
    let columns = order.columns();
    let row = answer.keys.get(place.item as usize * columns..)?.get(..columns)?;
    let (id, strong) = row.split_last()?;
    let kinds = order.strong.iter().map(|key| &key.kind);
    let keys = strong.iter().zip(kinds).map(|(span, kind)| KeyValue::of_strong(kind, span.of(&answer.body)));
    let keys = keys.collect::<Option<Vec<_>>>()?;
    Some(Anchor { keys, id: KeyValue::of_id(id.of(&answer.body))? })
}
