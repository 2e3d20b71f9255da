//! What a route that serves a list means.

use std::time::Duration;

use super::{DialectSettings, EnvelopeSettings, LegacySettings};
use crate::{
    config::{
        diagnostic::{Located, Location},
        key::{Word, words},
        keys,
        spanned::Spanned,
    },
    pagination::{
        order::{Direction, Grain, Kind, Nulls, Ties},
        resolver::{ShortPages, Totals, Verify, WhenUnproven},
    },
};

/// What serving a list needs.
#[derive(Debug)]
pub struct ListSettings {
    /// How the upstream is asked and read, with `extends` followed.
    pub dialect: DialectSettings,
    /// What clients get.
    pub envelope: EnvelopeSettings,
    /// What clients can ask for instead.
    pub envelopes: Vec<EnvelopeSettings>,
    /// The collection's name: said, or the last fixed segment of the path.
    pub collection: String,
    /// Whether the route declares an order. Else `order` is empty, and nothing is known of how the list is sorted.
    pub declared: bool,
    /// The strong keys of the declared order, in sequence, without the id.
    pub order: Vec<Located<SortTerm>>,
    /// Which way the id runs: the last term of `order`; ascending where there is none.
    pub id_direction: Direction,
    /// The place of the id in an element, as the route says it instead of the dialect.
    pub id: Option<Located<String>>,
    /// Whether ties are ordered, where the route says it.
    pub ties: Option<Ties>,
    /// What is known of fields.
    pub fields: Vec<FieldSettings>,
    /// Fields that this endpoint can sort by; `id` is the item's id.
    pub sortable: Vec<Located<String>>,
    /// Fields by which this endpoint can be asked for ranges; `id` is the item's id.
    pub filterable: Vec<Located<String>>,
    /// How pages are found; it points at the route where it is not said.
    pub mode: Located<Mode>,
    /// How much is to be proven.
    pub verify: Verify,
    /// What is done where a page can't be proven.
    pub unproven: WhenUnproven,
    /// What is done where a page can't be filled.
    pub short_pages: ShortPages,
    /// The limits of clients.
    pub page_size: PageSizeSettings,
    /// What is said about the size of the collection.
    pub total: Totals,
    /// Headers that say whose view an answer is; lower case.
    pub principal: Vec<http::HeaderName>,
    /// How cursors are made.
    pub cursor: CursorSettings,
    /// What the client's parameters are called, where not as the envelope says, and how others are treated.
    pub parameters: ParameterSettings,
    /// What becomes of requests by page or offset.
    pub legacy: LegacySettings,
    /// Bounds.
    pub budgets: Budgets,
}

words! {
    /// How pages are found.
    pub enum Mode {
        /// The strongest of the following that takes one request a page; `check` says which and why.
        Auto = "auto",
        /// By offset or page number, proven by the items around them.
        Offset = "offset",
        /// By range filters on the sort keys, which are in the cursor.
        Keyset = "keyset",
        /// By range filters on the sort keys, which are looked up: cursors hold the id alone.
        Seek = "seek",
        /// By the tokens or links that the upstream returns.
        Token = "token",
    }
}

impl Mode {
    /// Returns the word by which a configuration names the mode.
    #[must_use]
    pub fn word(self) -> &'static str {
        Word::word(self)
    }
}

/// One term of an order or a sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortTerm {
    /// The field, or `id`.
    pub field: String,
    /// Which way.
    pub direction: Direction,
}

/// `fields.NAME`.
#[derive(Debug, Clone)]
pub struct FieldSettings {
    /// Its name.
    pub name: String,
    /// How its values compare.
    pub kind: Kind,
    /// The language by whose rules the upstream sorts it, where the route says one; the kind is then [`Kind::Opaque`].
    pub collation: Option<String>,
    /// How coarsely it is shown, where it is sorted more finely.
    pub grain: Option<Grain>,
    /// Where nulls stand.
    pub nulls: Nulls,
    /// Its place in an element; `/NAME` where it is not said.
    pub at: Option<Located<String>>,
    /// What the upstream's sort and filters call it, where that is another name.
    pub upstream: Option<String>,
}

/// `page_size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSizeSettings {
    /// The limit where the client says none; 20.
    pub default: u32,
    /// The largest limit; 100.
    pub max: u32,
    /// What becomes of larger ones, where the route says it instead of the envelope.
    pub over_max: Option<OverMax>,
    /// Where the largest limit is said, or what gave the route its dialect.
    pub at: Location,
}

words! {
    /// The answer to a limit above the largest.
    pub enum OverMax {
        /// The largest limit is used.
        Clamp = "clamp",
        /// 400, with the code limit_too_large.
        Reject = "reject",
    }
}

/// `cursor` of a route.
#[derive(Debug, Clone)]
pub struct CursorSettings {
    /// Whether cursors are sealed: nothing in them can be read. Else they are signed only.
    pub sealed: bool,
    /// How long cursors live; for ever where it is not said.
    pub ttl: Option<Duration>,
    /// Request headers that a cursor is bound to.
    pub bind: Vec<http::HeaderName>,
    /// The longest cursor minted and accepted, in characters; 2,048.
    pub length: usize,
}

impl Default for CursorSettings {
    fn default() -> Self {
        Self { sealed: false, ttl: None, bind: Vec::new(), length: keys::CURSOR.length.default() }
    }
}

/// `parameters` of a route. Names are as decoded.
#[derive(Debug, Clone, Default)]
pub struct ParameterSettings {
    /// Renamed roles, as `limit = "count"`.
    pub renamed: Vec<(Role, Located<String>)>,
    /// Forwarded, and in no link, log or context.
    pub private: Vec<String>,
    /// Forwarded, and no part of the context.
    pub ignored: Vec<String>,
    /// Parameters of the upstream's query, and where in the body of a request by POST their values stand.
    pub query: Vec<(Located<String>, Located<String>)>,
}

/// What a client's parameter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// How many items.
    Limit,
    /// How many items, read backward from the end or from `before`.
    LimitBackward,
    /// A page cursor.
    Cursor,
    /// After this item.
    After,
    /// Before this item.
    Before,
    /// After the item with this id.
    AfterId,
    /// Before the item with this id.
    BeforeId,
    /// The order.
    Sort,
}

/// `budgets` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// The whole client request; 30 s.
    pub time: Duration,
    /// Upstream requests for one client request; 8.
    pub upstream_requests: u32,
    /// Upstream requests for one client request whose place must be searched for; 40.
    pub search_requests: u32,
    /// Without a declared order a place is searched for among so many items each way; 1,000.
    pub search_items: u32,
    /// How many items may stand before the page of a request by page or offset; 10,000,000.
    pub offset: u64,
    /// The largest upstream answer, decoded, in bytes; 10 MiB.
    pub answer_size: usize,
    /// How deep an answer may be nested; 128.
    pub answer_depth: u16,
    /// The longest `Link` line, in bytes; 4 KiB.
    pub link_length: usize,
    /// The largest body of a request, in bytes; 1 MiB.
    pub body_size: usize,
    /// How deep a request's body may be nested; 64.
    pub body_depth: u16,
}

impl Budgets {
    /// Reads the table as it was written.
    pub(in crate::config) fn read(table: &Spanned) -> Self {
        let keys = &keys::BUDGETS;
        Self {
            time: keys.time.read(table),
            upstream_requests: keys.upstream_requests.read(table),
            search_requests: keys.search_requests.read(table),
            search_items: keys.search_items.read(table),
            offset: keys.offset.read(table),
            answer_size: keys.answer_size.read(table),
            answer_depth: keys.answer_depth.read(table),
            link_length: keys.link_length.read(table),
            body_size: keys.body_size.read(table),
            body_depth: keys.body_depth.read(table),
        }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self::read(&Spanned::empty(Location { source: 0, start: 0, end: 0 }))
    }
}
