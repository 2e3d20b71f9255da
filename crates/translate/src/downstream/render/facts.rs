//! Placeholders: their names, types, scopes, and whether their values are always known.

use cursorgate_core::pagination::page::Page;

/// The meaning of a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Item,
    ItemFields,
    ItemReserved,
    ItemId,
    ItemCursor,
    Count,
    Limit,
    Path,
    Level,
    Now,
    HasNext,
    HasPrev,
    HasMore,
    Total,
    TotalAtLeast,
    Page,
    Pages,
    NextCursor,
    PrevCursor,
    StartCursor,
    EndCursor,
    LinkSelf,
    LinkFirst,
    LinkPrev,
    LinkNext,
    LinkLast,
    Status,
    Code,
    Reason,
    Title,
    Phrase,
    Detail,
    RequestId,
    Retryable,
    Type,
    Parameter,
    Restart,
    Nearest,
    MaxLimit,
    /// A member of the request's body; the number is its index among the repeated members.
    Request(u16),
}

/// The part of an envelope in which a placeholder is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the element of an array of items.
    Item,
    /// In the body and the headers of a page.
    Page,
    /// In an error body.
    Error,
}

/// A row of the table of placeholders.
#[derive(Clone, Copy, Debug)]
pub struct Placeholder {
    pub slot: Slot,
    pub name: &'static str,
    pub scope: Scope,
    /// `true` if the value is JSON from the upstream or the request, which other text can contain only as
    /// `{NAME:string}`.
    pub json: bool,
    /// `true` if the value is always known.
    pub certain: bool,
}

const fn row(slot: Slot, name: &'static str, scope: Scope, certain: bool) -> Placeholder {
    let json = matches!(slot, Slot::Item | Slot::ItemFields | Slot::ItemReserved | Slot::ItemId);
    Placeholder { slot, name, scope, json, certain }
}

/// All placeholders but `{request/…}` and `{collection}`. `{collection}` is resolved when a skeleton is compiled.
const PLACEHOLDERS: [Placeholder; 39] = [
    row(Slot::Item, "item", Scope::Item, true),
    row(Slot::ItemFields, "item.fields", Scope::Item, false),
    row(Slot::ItemReserved, "item.reserved", Scope::Item, false),
    row(Slot::ItemId, "item.id", Scope::Item, false),
    row(Slot::ItemCursor, "item.cursor", Scope::Item, false),
    row(Slot::Count, "count", Scope::Page, true),
    row(Slot::Limit, "limit", Scope::Page, true),
    row(Slot::Path, "path", Scope::Page, true),
    row(Slot::Level, "level", Scope::Page, true),
    row(Slot::Now, "now", Scope::Page, true),
    row(Slot::HasNext, "has_next", Scope::Page, true),
    row(Slot::HasPrev, "has_prev", Scope::Page, true),
    row(Slot::HasMore, "has_more", Scope::Page, true),
    row(Slot::Total, "total", Scope::Page, false),
    row(Slot::TotalAtLeast, "total_at_least", Scope::Page, false),
    row(Slot::Page, "page", Scope::Page, false),
    row(Slot::Pages, "pages", Scope::Page, false),
    row(Slot::NextCursor, "next.cursor", Scope::Page, false),
    row(Slot::PrevCursor, "prev.cursor", Scope::Page, false),
    row(Slot::StartCursor, "start.cursor", Scope::Page, false),
    row(Slot::EndCursor, "end.cursor", Scope::Page, false),
    row(Slot::LinkSelf, "links.self", Scope::Page, false),
    row(Slot::LinkFirst, "links.first", Scope::Page, false),
    row(Slot::LinkPrev, "links.prev", Scope::Page, false),
    row(Slot::LinkNext, "links.next", Scope::Page, false),
    row(Slot::LinkLast, "links.last", Scope::Page, false),
    row(Slot::Status, "status", Scope::Error, true),
    row(Slot::Code, "code", Scope::Error, true),
    row(Slot::Reason, "reason", Scope::Error, true),
    row(Slot::Title, "title", Scope::Error, true),
    row(Slot::Phrase, "phrase", Scope::Error, true),
    row(Slot::Detail, "detail", Scope::Error, true),
    row(Slot::RequestId, "request_id", Scope::Error, true),
    row(Slot::Retryable, "retryable", Scope::Error, true),
    row(Slot::Type, "type", Scope::Error, false),
    row(Slot::Parameter, "parameter", Scope::Error, false),
    row(Slot::Restart, "restart", Scope::Error, false),
    row(Slot::Nearest, "nearest", Scope::Error, false),
    row(Slot::MaxLimit, "max_limit", Scope::Error, false),
];

/// Returns the placeholder of a member of the request's body; `number` is its index among the repeated members.
pub const fn of_request(number: u16) -> Placeholder {
    Placeholder { slot: Slot::Request(number), name: "request", scope: Scope::Page, json: true, certain: false }
}

/// Returns the placeholder with this name, whatever its scope.
pub fn find(name: &str) -> Option<Placeholder> {
    PLACEHOLDERS.into_iter().find(|placeholder| placeholder.name == name)
}

/// Returns the names of the placeholders of these scopes, and `collection`, which every scope has.
pub fn names(scopes: &[Scope]) -> impl Iterator<Item = &'static str> {
    PLACEHOLDERS.into_iter().filter(|row| scopes.contains(&row.scope)).map(|row| row.name).chain(["collection"])
}

/// The value of a placeholder, before it is written as JSON or text.
#[derive(Clone, Copy, Debug)]
pub enum RenderedValue<'a> {
    Number(u64),
    Boolean(bool),
    Text(&'a str),
    /// A text that needs no escapes in JSON, such as a link or a cursor.
    Inert(&'a str),
    /// A JSON value, as its original bytes.
    Json(&'a [u8]),
}

/// A source of values for a skeleton: a page, or a problem.
pub trait ValueSource {
    /// Returns whether the placeholder has a value; `item` is the index of the current item.
    fn knows(&self, slot: Slot, item: usize) -> bool;

    /// Calls `write` with the value of the placeholder, if it has one.
    fn tell(&self, slot: Slot, item: usize, write: &mut dyn FnMut(RenderedValue<'_>));

    /// Appends the cursor of an item, which is base64url and needs no escapes. Returns `false` and appends nothing if
    /// the item has no cursor.
    fn push_cursor(&self, item: usize, out: &mut Vec<u8>) -> bool;

    /// Returns the page; `None` if the source is a problem.
    fn page(&self) -> Option<&Page>;
}

/// Alternatives: the condition is met if all slots of one alternative are known. Example: `[[Total], [Page, Pages]]` is
/// met if the total is known, or both the page and the number of pages.
pub type Condition = Vec<Vec<Slot>>;

/// The condition under which a part is rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    Always,
    If(Condition),
}

impl Presence {
    pub fn or(self, other: Self) -> Self {
        let (Self::If(mut condition), Self::If(more)) = (self, other) else {
            return Self::Always;
        };
        for alternative in more {
            if !condition.contains(&alternative) {
                condition.push(alternative);
            }
        }
        Self::If(condition)
    }
}
