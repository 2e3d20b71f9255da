//! What a route that serves a list means.

use std::time::Duration;

use super::{DialectSettings, EnvelopeSettings, LegacySettings};
use crate::{
    config::diagnostic::{Located, Location},
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

/// `mode` of a route: how pages are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In the strongest way that takes one request a page.
    Auto,
    /// By place: offsets or page numbers.
    Offset,
    /// By range filters on the keys, which cursors carry.
    Keyset,
    /// By range filters on the keys, which are looked up: cursors carry the id alone.
    Seek,
    /// By what the upstream hands out.
    Token,
}

impl Mode {
    /// All of them, by their words.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("offset", Self::Offset),
        ("keyset", Self::Keyset),
        ("seek", Self::Seek),
        ("token", Self::Token),
    ];

    /// How it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Offset => "offset",
            Self::Keyset => "keyset",
            Self::Seek => "seek",
            Self::Token => "token",
        }
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

/// `over_max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverMax {
    /// Lowered.
    Clamp,
    /// Refused with `limit_too_large`.
    Reject,
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

impl CursorSettings {
    /// The longest cursor where the route says nothing.
    pub const LENGTH: usize = 2_048;
}

impl Default for CursorSettings {
    fn default() -> Self {
        Self { sealed: false, ttl: None, bind: Vec::new(), length: Self::LENGTH }
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

impl Default for Budgets {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30),
            upstream_requests: 8,
            search_requests: 40,
            search_items: 1_000,
            offset: 10_000_000,
            answer_size: 10 << 20,
            answer_depth: 128,
            link_length: 4 << 10,
            body_size: 1 << 20,
            body_depth: 64,
        }
    }
}
