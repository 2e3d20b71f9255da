//! The settings of a route that serves or observes a list.

use std::time::Duration;

use super::{DialectSettings, EnvelopeSettings, LegacySettings, NewClients};
use crate::{
    diagnostic::{Located, Location},
    key::words,
    keys,
    spanned::Spanned,
};
use cursorgate_core::pagination::{
    order::{Direction, Grain, Kind, Nulls, Ties},
    resolver::{ShortPages, Totals, Verify, WhenUnproven},
};

/// The settings of a route's list.
#[derive(Clone, Debug)]
pub struct ListSettings {
    /// The dialect of the upstream, with `extends` followed.
    pub dialect: DialectSettings,
    pub envelope: EnvelopeSettings,
    /// The further envelopes that clients can choose.
    pub envelopes: Vec<EnvelopeSettings>,
    /// The envelope of requests that services make through the gateway; `None` if no service reads lists.
    pub inner: Option<EnvelopeSettings>,
    pub collection: String,
    /// True if the route declares an order. Otherwise `order` is empty.
    pub declared: bool,
    /// The declared order without the id.
    pub order: Vec<Located<SortTerm>>,
    /// The direction of the id, which is the last term of the order; ascending if no order is declared.
    pub id_direction: Direction,
    pub id: Option<Located<String>>,
    pub ties: Option<Ties>,
    pub fields: Vec<FieldSettings>,
    pub sortable: Vec<Located<String>>,
    pub filterable: Vec<Located<String>>,
    /// The mode; its location is that of the route if the route doesn't set it.
    pub mode: Located<Mode>,
    pub verify: Verify,
    pub unproven: WhenUnproven,
    pub unproven_end: WhenEndUnproven,
    pub short_pages: ShortPages,
    pub page_size: PageSizeSettings,
    pub total: Totals,
    /// The headers that identify the principal.
    pub principal: Vec<http::HeaderName>,
    pub impersonal: Vec<http::HeaderName>,
    pub cursor: CursorSettings,
    pub parameters: ParameterSettings,
    pub legacy: LegacySettings,
    pub new_clients: NewClients,
    /// The page cache; `None` if no page is stored.
    pub page_cache: Option<PageCacheSettings>,
    pub budgets: Budgets,
}

/// The `page_cache` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCacheSettings {
    pub ttl: Duration,
    pub stale_while_revalidate: Duration,
    pub stale_if_error: Duration,
    /// True if pages for requests with credentials are stored, separately for each client.
    pub private: bool,
    /// True if the next page is made in the background after a page was served.
    pub prefetch: bool,
}

words! {
    /// The treatment of an end of a list that the upstream contradicts.
    pub enum WhenEndUnproven {
        /// The page with the end, with the header `Cursorgate-End: unproven`.
        Flag = "flag",
        /// An error, 502 `end_unproven`.
        Refuse = "refuse",
    }
}

words! {
    /// The way in which pages are found.
    pub enum Mode {
        /// The strongest of the other modes that takes one request for a page. `cursorgate check` shows the mode and
        /// the reason.
        Auto = "auto",
        /// By offset or page number. The items around a page prove its place.
        Offset = "offset",
        /// By range filters on the sort keys. Cursors contain these keys.
        Keyset = "keyset",
        /// By range filters on the sort keys. Cursors contain only the id of an item, and its keys are looked up.
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

/// A field of a route (`fields.NAME`).
#[derive(Debug, Clone)]
pub struct FieldSettings {
    pub name: String,
    /// The comparison of the field's values; [`Kind::Opaque`] for a field with a collation.
    pub kind: Kind,
    pub collation: Option<String>,
    pub grain: Option<Grain>,
    pub nulls: Nulls,
    pub at: Option<Located<String>>,
    pub upstream: Option<String>,
}

/// The `page_size` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSizeSettings {
    pub default: u32,
    pub max: u32,
    /// The treatment of a limit above `max`; `None` for the treatment that the envelope declares.
    pub over_max: Option<OverMax>,
    /// The location of `max`, or of the dialect's name if the route doesn't set `max`.
    pub at: Location,
}

words! {
    /// The treatment of a request for more items than the largest limit.
    pub enum OverMax {
        /// The page has the largest number of items.
        Clamp = "clamp",
        /// The request is refused with 400 `limit_too_large`.
        Reject = "reject",
    }
}

words! {
    /// Cursors that are accepted beside those that a route makes.
    pub enum AlsoAccepted {
        /// Signed cursors.
        Signed = "signed",
        /// Sealed cursors.
        Sealed = "sealed",
        /// Page cursors without a time, although the route has a lifetime.
        Undated = "undated",
    }
}

/// The settings of `cursor` of a route.
#[derive(Debug, Clone)]
pub struct CursorSettings {
    pub sealed: bool,
    /// The lifetime of a cursor; `None` if cursors are valid as long as their key.
    pub ttl: Option<Duration>,
    /// The cursors that are accepted beside those that the route makes.
    pub accept: Vec<AlsoAccepted>,
    /// The other names of the route whose cursors are accepted.
    pub names: Vec<String>,
    pub bind: Vec<http::HeaderName>,
    pub length: usize,
}

impl Default for CursorSettings {
    fn default() -> Self {
        Self {
            sealed: false,
            ttl: None,
            accept: Vec::new(),
            names: Vec::new(),
            bind: Vec::new(),
            length: keys::CURSOR.length.default(),
        }
    }
}

/// The `parameters` of a route. All names are decoded.
#[derive(Debug, Clone, Default)]
pub struct ParameterSettings {
    /// The parameters that the route names itself, such as `limit = "count"`. Each of these names replaces the
    /// envelope's.
    pub renamed: Vec<(Role, Located<String>)>,
    pub private: Vec<String>,
    pub ignored: Vec<String>,
    /// The filters whose names other APIs use to page or to sort.
    pub filters: Vec<Located<String>>,
    /// The parameters of the upstream's query that are taken from the client's body, with pointers to their values
    /// there.
    pub query: Vec<(Located<String>, Located<String>)>,
}

/// The role of a client's parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The number of items of a page.
    Limit,
    /// The number of items of a page that is read backward, from the end of the list or from `before`.
    LimitBackward,
    /// The cursor of a page.
    Cursor,
    /// The cursor of an item after which the page begins.
    After,
    /// The cursor of an item before which the page ends.
    Before,
    /// The id of an item after which the page begins.
    AfterId,
    /// The id of an item before which the page ends.
    BeforeId,
    /// The order of the list.
    Sort,
}

/// The settings of `budgets` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    pub time: Duration,
    pub upstream_requests: u32,
    pub search_requests: u32,
    pub search_items: u32,
    pub offset: u64,
    /// The largest answer of the upstream, uncompressed, in bytes.
    pub answer_size: usize,
    pub answer_depth: u16,
    /// The longest `Link` header, in bytes.
    pub link_length: usize,
    /// The largest body of a request, in bytes.
    pub body_size: usize,
    pub body_depth: u16,
}

impl Budgets {
    /// Reads the table `budgets`. A key that isn't written has its default.
    pub(crate) fn read(table: &Spanned) -> Self {
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
