//! The settings of a route that serves or observes a list.

use std::time::Duration;

use super::{DialectSettings, EnvelopeSettings, LegacySettings};
use crate::{
    config::{
        diagnostic::{Located, Location},
        key::words,
        keys,
        spanned::Spanned,
    },
    pagination::{
        order::{Direction, Grain, Kind, Nulls, Ties},
        resolver::{ShortPages, Totals, Verify, WhenUnproven},
    },
};

/// The settings of a list.
#[derive(Clone, Debug)]
pub struct ListSettings {
    /// With `extends` followed.
    pub dialect: DialectSettings,
    pub envelope: EnvelopeSettings,
    /// The further envelopes that clients can request.
    pub envelopes: Vec<EnvelopeSettings>,
    /// The envelope of inner requests; `None` if no service needs it.
    pub inner: Option<EnvelopeSettings>,
    pub collection: String,
    /// True if the route declares an order. If not, `order` is empty.
    pub declared: bool,
    /// The declared order without the id.
    pub order: Vec<Located<SortTerm>>,
    /// The direction of the id, the last term of the order; ascending if none is declared.
    pub id_direction: Direction,
    pub id: Option<Located<String>>,
    pub ties: Option<Ties>,
    pub fields: Vec<FieldSettings>,
    pub sortable: Vec<Located<String>>,
    pub filterable: Vec<Located<String>>,
    /// The mode, with the location of the route if it is not written.
    pub mode: Located<Mode>,
    pub verify: Verify,
    pub unproven: WhenUnproven,
    pub short_pages: ShortPages,
    pub page_size: PageSizeSettings,
    pub total: Totals,
    /// The headers that identify the principal.
    pub principal: Vec<http::HeaderName>,
    pub cursor: CursorSettings,
    pub parameters: ParameterSettings,
    pub legacy: LegacySettings,
    /// `None` if no page is kept.
    pub page_cache: Option<PageCacheSettings>,
    pub budgets: Budgets,
}

/// `page_cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCacheSettings {
    pub ttl: Duration,
    pub stale_while_revalidate: Duration,
    pub stale_if_error: Duration,
    /// True if pages for requests with credentials are kept, for each client apart.
    pub private: bool,
    /// True if the next page is made in advance, after a page was served.
    pub prefetch: bool,
}

words! {
    /// The strategy by which pages are found.
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

/// A term of an order or a sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortTerm {
    pub field: String,
    pub direction: Direction,
}

/// `fields.NAME`.
#[derive(Debug, Clone)]
pub struct FieldSettings {
    pub name: String,
    /// [`Kind::Opaque`] for a field with a collation.
    pub kind: Kind,
    pub collation: Option<String>,
    pub grain: Option<Grain>,
    pub nulls: Nulls,
    pub at: Option<Located<String>>,
    pub upstream: Option<String>,
}

/// `page_size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSizeSettings {
    pub default: u32,
    pub max: u32,
    /// `None` for the behaviour of the envelope.
    pub over_max: Option<OverMax>,
    /// The location of `max`, or of the dialect's name if it is not written.
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
    pub sealed: bool,
    /// `None` for the lifetime of the key.
    pub ttl: Option<Duration>,
    pub bind: Vec<http::HeaderName>,
    pub length: usize,
}

impl Default for CursorSettings {
    fn default() -> Self {
        Self { sealed: false, ttl: None, bind: Vec::new(), length: keys::CURSOR.length.default() }
    }
}

/// `parameters` of a route. All names are decoded.
#[derive(Debug, Clone, Default)]
pub struct ParameterSettings {
    /// The parameters with names other than those of the envelope, such as `limit = "count"`.
    pub renamed: Vec<(Role, Located<String>)>,
    pub private: Vec<String>,
    pub ignored: Vec<String>,
    /// Parameters that are filters, although other APIs use their names to page or to sort.
    pub filters: Vec<Located<String>>,
    /// The parameters of the upstream's query, with the pointers to their values in the client's body.
    pub query: Vec<(Located<String>, Located<String>)>,
}

/// The role of a client's parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The number of items.
    Limit,
    /// The number of items, read backward from the end of the list or from `before`.
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
    pub time: Duration,
    pub upstream_requests: u32,
    pub search_requests: u32,
    pub search_items: u32,
    pub offset: u64,
    /// In bytes.
    pub answer_size: usize,
    pub answer_depth: u16,
    /// In bytes.
    pub link_length: usize,
    /// In bytes.
    pub body_size: usize,
    pub body_depth: u16,
}

impl Budgets {
    /// Reads the table, with defaults for the keys that are not written.
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
