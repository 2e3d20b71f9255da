//! The parameters of a request for a list: limit, position, order and filters.

mod body;
mod foreign;
mod limit;
mod marks;
mod observed;
mod place;
mod sorting;

use super::{
    body::RequestBody,
    filters,
    preference::Preferences,
    query::{self, LinkQuery, Pair, ReservedNames},
};
use crate::downstream::problem::{Code, Problem, shown};
pub use crate::downstream::request::filters::RequestFilters;
use body::BodyPlaces;
use cursorgate_config::{
    diagnostic::{Diagnostics, Located, Location},
    settings::{
        EmptyCursor, EnvelopeSettings, LegacySettings, ListSettings, Mode, OldClients, OverMax, Role, SortTerm,
        ZeroLimit,
    },
    sort_form::SortForm,
};
use cursorgate_core::pagination::order::Direction;
use foreign::ForeignNames;
use marks::CursorKeys;
pub use marks::END;
pub use observed::{LegacyQuery, LegacySort};
pub use place::{LinkTo, RequestedPosition};
use sorting::{RequestedSort, Sorting};

/// The parameters that a route reads, compiled.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// The client's own parameters: names in the query, or pointers into the body.
    roles: Vec<(Role, String)>,
    /// The preference (`Prefer`) that sets the limit; `None` if no preference does.
    preferred_limit: Option<String>,
    in_body: BodyPlaces,
    /// The dialect's paging parameters, in every spelling that the upstream might accept.
    paging: ReservedNames,
    /// The dialect's names in `paging` that state only the size of a page.
    sizes: Vec<String>,
    /// The keys by which cursors without a mark are recognised; `None` if none are.
    keys: Option<CursorKeys>,
    sorting: Sorting,
    /// Parameters that are left out of links, logs and cursor contexts.
    private: ReservedNames,
    ignored: Vec<String>,
    /// Parameters that are refused because other APIs page or sort by them.
    foreign: ForeignNames,
    id_direction: Direction,
    default_limit: u32,
    max_limit: u32,
    over_max: OverMax,
    zero_limit_is_default: bool,
    empty_cursor_is_first_page: bool,
    /// The first cursor.
    first: String,
    /// The names of parameters that mark a request as a new client's.
    marking: Vec<String>,
    /// `true` if the list has the mode `seek`, in which a request can name an item by its id.
    seeks: bool,
    legacy: LegacySettings,
}

/// The way in which a request pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A request that pages by the client's convention.
    Cursor,
    /// A request with a paging parameter of the dialect that isn't also the client's own parameter.
    Legacy {
        /// The name of the first such parameter, as the client wrote it, decoded.
        parameter: String,
        /// All paging parameters of the dialect in the request, decoded, in order, under the dialect's names. The
        /// client's own limit is among these parameters if the dialect's size has the same name.
        pairs: Vec<(String, String)>,
    },
    /// A request without paging parameters.
    Unmarked,
}

/// A request for a list, as its query and body were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// The kind of the request: by cursor, by page, or without paging parameters.
    pub kind: RequestKind,
    /// The largest number of items of the page, at least 1.
    pub limit: u32,
    /// The limit as the client wrote it, decoded, for links; `None` for a request without a limit.
    pub limit_written: Option<String>,
    /// The position at which the page begins or ends.
    pub place: RequestedPosition,
    /// The strong keys of the client's sort, without the id; `None` for a request without a sort.
    pub sort: Option<Vec<SortTerm>>,
    /// The direction of the id: the client's sort sets it, or else the route's order.
    pub id_direction: Direction,
    /// The sort as the client wrote it: names and values, decoded, for links.
    pub sort_written: Vec<(String, String)>,
    /// The filters: all parameters that have no other meaning.
    pub filters: RequestFilters,
    /// The query of the `self` link: the request's query, encoded for links, without private parameters.
    pub self_query: String,
}

impl ListRequest {
    /// Returns the request's cursor as the client sent it; `None` if the position isn't set by a cursor.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        match &self.place {
            RequestedPosition::Cursor(token) | RequestedPosition::After(token) | RequestedPosition::Before(token) => {
                Some(token)
            }
            _ => None,
        }
    }

    /// Returns whether this is a legacy request that pages by members of its body.
    #[must_use]
    pub fn pages_in_body(&self) -> bool {
        let RequestKind::Legacy { pairs, .. } = &self.kind else { return false };
        self.filters.body.is_some() && pairs.iter().any(|(name, _)| name.starts_with('/'))
    }
}

/// A query, split by the meaning of its parameters.
#[derive(Default)]
struct ParsedQuery<'q> {
    /// The client's own parameters in the query.
    own: Vec<(Role, Pair<'q>)>,
    /// The client's own parameters in the body.
    in_body: Vec<(Role, String)>,
    /// The pairs of [`RequestKind::Legacy`].
    paging: Vec<(String, String)>,
    /// The parameter of [`RequestKind::Legacy`]; `None` for a request that isn't a legacy one. In a marked request, a
    /// size isn't such a parameter.
    legacy: Option<String>,
    /// The first paging parameter of the dialect that isn't the client's own.
    any_paging: Option<String>,
    /// The dialect's parameters that state the size of the page, with their values. In a marked request, they are its
    /// limit.
    sizes: Vec<(String, String)>,
    /// `true` if an old client's paging parameter has another spelling, such as `page[size]` for `page`. Upstreams
    /// differ on whether they read it.
    is_misspelt: bool,
    /// `true` if a parameter has the first cursor, which is `start` by default.
    starts: bool,
    /// `true` if a parameter has the first cursor backward, [`END`].
    ends: bool,
    /// `true` if the query has a parameter whose name is a mark.
    is_marked_by_name: bool,
    sorts: Vec<Pair<'q>>,
    filters: Vec<Pair<'q>>,
}

impl ParsedQuery<'_> {
    /// Returns whether the client's parameter for a role is present, in the query or in the body.
    fn gives(&self, role: Role) -> bool {
        self.own.iter().any(|&(own, _)| own == role) || self.in_body.iter().any(|&(own, _)| own == role)
    }
}

/// The names by which a dialect pages and sorts: parameters, decoded, or the places of members of the body.
#[derive(Clone, Copy, Debug)]
pub struct DialectNames<'d> {
    /// The names by which the dialect pages.
    pub paging: &'d [String],
    /// The names by which the dialect sorts.
    pub sorting: &'d [String],
    /// `true` if the dialect pages by token.
    pub by_token: bool,
}

impl Parameters {
    /// Compiles a route's parameters for an envelope; `renamed` replaces the envelope's names of some roles.
    /// `sort_form` reads the sorts of the dialect. The client's limit or sort may share a name with the dialect, and so
    /// may its cursor if the dialect pages by token. Any other shared name would be ambiguous. Returns `None` if there
    /// are faults.
    pub fn compile(
        list: &ListSettings,
        envelope: &EnvelopeSettings,
        renamed: &[(Role, Located<String>)],
        dialect: DialectNames<'_>,
        sort_form: Option<SortForm>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut named: Vec<(Role, &str, Location)> = Vec::new();
        let kept = envelope.parameters.iter().filter(|(role, _)| renamed.iter().all(|(other, _)| other != role));
        let mut preferred_limit = None;
        for (role, name) in kept.chain(renamed) {
            match name.value.strip_prefix("prefer:") {
                Some(preference) => preferred_limit = Some(preference.to_owned()),
                None => named.push((*role, &name.value, name.at)),
            }
        }
        let sound = check_names(list, envelope, &named, dialect, diagnostics);
        let in_body = BodyPlaces::compile(list, &named, diagnostics);
        let sorts_in_body = list.dialect.sort.as_ref().is_some_and(|sort| sort.body.is_some());
        if !sound {
            return None;
        }
        let own_sort = named.iter().find(|(role, name, _)| *role == Role::Sort && !name.starts_with('/'));
        let own_sort = own_sort.map(|&(_, name, _)| name.to_owned());
        let others = named.iter().filter(|(role, ..)| *role != Role::Sort).map(|&(_, name, _)| name);
        let taken: Vec<&str> = others.chain(dialect.paging.iter().map(String::as_str)).collect();
        let sortable = list
            .sortable
            .iter()
            .filter(|_| !dialect.sorting.is_empty() || sorts_in_body)
            .map(|field| field.value.clone())
            .collect();
        let reserved = ReservedNames::new(dialect.sorting);
        Some(Self {
            in_body: in_body?,
            sorting: Sorting::new(own_sort, sortable, reserved, sort_form.unwrap_or_default(), &taken),
            roles: named.into_iter().map(|(role, name, _)| (role, name.to_owned())).collect(),
            preferred_limit,
            paging: ReservedNames::new(dialect.paging),
            sizes: Vec::new(),
            keys: None,
            private: ReservedNames::new(&list.parameters.private),
            ignored: list.parameters.ignored.clone(),
            foreign: ForeignNames::default(),
            id_direction: list.id_direction,
            default_limit: list.page_size.default,
            max_limit: list.page_size.max,
            over_max: list.page_size.over_max.unwrap_or(envelope.over_max),
            zero_limit_is_default: envelope.zero_limit == ZeroLimit::Default,
            empty_cursor_is_first_page: envelope.empty_cursor == EmptyCursor::FirstPage,
            seeks: list.mode.value == Mode::Seek,
            first: list.new_clients.start.clone(),
            marking: list.new_clients.by.iter().map(|name| name.value.clone()).collect(),
            legacy: list.legacy.clone(),
        })
    }

    /// Returns whether a request can have a page cursor. Otherwise a request names an item by its id.
    #[must_use]
    pub fn takes_cursors(&self) -> bool {
        self.name(Role::Cursor).or_else(|| self.name(Role::After)).is_some()
    }

    /// Returns whether page cursors are members of the body, so no link can contain a cursor.
    #[must_use]
    pub fn takes_cursors_in_body(&self) -> bool {
        self.name(Role::Cursor).or_else(|| self.name(Role::After)).is_some_and(|name| name.starts_with('/'))
    }

    /// Returns the preference that sets the limit (RFC 7240); `None` if no preference does.
    #[must_use]
    pub fn preferred_limit(&self) -> Option<&str> {
        self.preferred_limit.as_deref()
    }

    /// Applies the client's preferred limit, up to the maximum, if limits are preferences. A request without paging
    /// parameters then becomes one by cursor, unless it is an old client's. Returns the value for `Preference-Applied`;
    /// `None` if the preference is ignored: it is invalid, or the request is a legacy one or has a limit.
    pub fn prefer(&self, request: &mut ListRequest, preferences: &Preferences) -> Option<String> {
        let name = self.preferred_limit()?;
        let asked = preferences.number(name).filter(|&limit| limit > 0)?;
        if request.kind == RequestKind::Unmarked && !self.has_old_clients() {
            request.kind = RequestKind::Cursor;
        }
        if request.kind != RequestKind::Cursor || request.limit_written.is_some() {
            return None;
        }
        request.limit = asked.min(self.max_limit);
        Some(format!("{name}={}", request.limit))
    }

    /// Returns the client's parameter for a role: a name in the query, or a pointer into the body; `None` without one.
    #[must_use]
    pub fn name(&self, role: Role) -> Option<&str> {
        self.roles.iter().find(|(own, _)| *own == role).map(|(_, name)| name.as_str())
    }

    /// Returns the name of a role's parameter in the query; `None` if the parameter is in the body or missing.
    #[must_use]
    pub fn query_name(&self, role: Role) -> Option<&str> {
        self.name(role).filter(|name| !name.starts_with('/'))
    }

    /// Returns whether clients can set an order by `sort_by` and `order_by`.
    #[must_use]
    pub fn takes_sort_pair(&self) -> bool {
        self.sorting.takes_pair()
    }

    /// Reads a query.
    ///
    /// If the gateway doesn't page the request itself (the request passes through, or is refused as a whole), an
    /// invalid limit, an invalid sort or a parameter of another API isn't an error.
    ///
    /// # Errors
    ///
    /// Returns the problem, which names the parameter at fault.
    pub fn read(&self, query: Option<&str>) -> Result<ListRequest, Box<Problem>> {
        self.read_with(query, None, false)
    }

    /// Reads a query and an optional body, by the rules of [`Self::read`]. `is_new` is `true` for a request that is a
    /// new client's without a mark in its query or body: a service sends it, or its preference is a mark.
    ///
    /// # Errors
    ///
    /// Returns the problem, which names the parameter at fault.
    pub fn read_with(
        &self,
        query: Option<&str>,
        body: Option<&RequestBody>,
        is_new: bool,
    ) -> Result<ListRequest, Box<Problem>> {
        let text = query.unwrap_or_default();
        let mut sifted = self.sift(text);
        let says_so = is_new;
        let is_new = is_new || self.is_new(&sifted, body);
        if !is_new && self.legacy.old_clients == OldClients::Pass {
            return Ok(self.read_old(text, body));
        }
        let is_marked = says_so || self.marks(&sifted, body);
        if !is_marked {
            sifted.sizes.clear();
            sifted.legacy = sifted.any_paging.take();
        }
        if let Some(body) = body {
            self.sift_body(body, is_marked, &mut sifted)?;
        }
        if says_so && let Some(name) = sifted.legacy.as_deref().map(shown) {
            let detail = format!("`{name}` is not a parameter of this list, which is paged by {}", self.paging_names());
            return Err(Box::new(Problem::new(Code::ParameterInvalid, detail).with_parameter(name)));
        }
        let place = self.place(&sifted)?;
        let mut filters = self.write_filters(&sifted);
        if let Some(body) = body {
            self.in_body.add_filters(body, &mut filters)?;
        }
        let self_query = filters::public_query(text, &self.private, |name| self.is_own(name));
        let kind = self.kind(&sifted, body.is_some(), is_new);
        let foreign = self.check_foreign(&sifted);
        let read = foreign.and_then(|()| Ok((self.limit(&sifted)?, self.sort(&sifted)?)));
        let ((limit, limit_written), sort) = match read {
            Ok(read) => read,
            Err(problem) if self.pages_itself(&kind) => return Err(problem),
            // The upstream judges a request that passes. Test: `faults_of_requests_that_pass_are_left_to_the_upstream`.
            Err(_) => (self.limit(&sifted).unwrap_or((self.default_limit, None)), None),
        };
        let (sort_written, sort) = sort.unzip();
        let sort_written = sort_written.unwrap_or_default();
        let id_direction = sort.as_ref().map_or(self.id_direction, |sort| sort.id_direction);
        let sort = sort.map(|sort| sort.strong);
        Ok(ListRequest { kind, limit, limit_written, place, sort, id_direction, sort_written, filters, self_query })
    }

    /// Adds the parameters in a body to those of the query. `is_marked` is `true` for the request of a new client.
    fn sift_body(&self, body: &RequestBody, is_marked: bool, sifted: &mut ParsedQuery<'_>) -> Result<(), Box<Problem>> {
        sifted.in_body = self.in_body.own(body)?;
        sifted.in_body.retain(|(role, text)| {
            let is_first = self.is_first(*role, text);
            sifted.ends |= is_first && matches!(role, Role::Before | Role::BeforeId);
            sifted.starts |= is_first && !matches!(role, Role::Before | Role::BeforeId);
            !is_first
        });
        let mut paged = self.in_body.paged(body);
        if is_marked && self.name(Role::Limit).is_some() {
            sifted.sizes.extend(paged.extract_if(.., |(place, _)| self.sizes.contains(place)));
        }
        sifted.legacy = sifted.legacy.take().or_else(|| paged.first().map(|(place, _)| place.clone()));
        sifted.paging.extend(paged);
        self.in_body.check_sorting(body, self.name(Role::Sort))?;
        // Misplaced members of an old client pass. Test: `parameters_of_the_query_are_refused_in_the_body`.
        if sifted.legacy.is_none() {
            self.in_body.check_misplaced(body)?;
        }
        Ok(())
    }

    fn kind(&self, sifted: &ParsedQuery<'_>, has_body: bool, is_new: bool) -> RequestKind {
        if let Some(parameter) = &sifted.legacy {
            return RequestKind::Legacy { parameter: parameter.clone(), pairs: sifted.paging.clone() };
        }
        let says_page = sifted.starts || sifted.ends || !sifted.own.is_empty() || (has_body && self.reads_bodies());
        if is_new && (self.has_old_clients() || says_page) { RequestKind::Cursor } else { RequestKind::Unmarked }
    }

    /// Returns the query of the link to the first page, with the filters, sort and limit of `query` as far as these can
    /// be read. The link `restart` of a problem has this query if [`Self::read`] fails.
    #[must_use]
    pub fn restart_query(&self, query: Option<&str>) -> String {
        let sifted = self.sift(query.unwrap_or_default());
        let sort = self.sort(&sifted).ok().flatten().map(|(written, _)| written).unwrap_or_default();
        let limit = self.limit(&sifted).ok().and_then(|(_, written)| written);
        let filters = self.write_filters(&sifted).links;
        self.write_link(LinkQuery::after(String::new()), &filters, &sort, limit.as_deref(), None)
    }

    /// Returns the query of a link: the request's filters, sort and limit, then the position (`None`: the first page).
    #[must_use]
    pub fn link_query(&self, request: &ListRequest, to: Option<LinkTo<'_>>) -> String {
        self.link(LinkQuery::after(String::new()), request, to)
    }

    /// Appends the query of [`Self::link_query`] to the start of a link, and returns the link.
    #[must_use]
    pub fn link(&self, link: LinkQuery, request: &ListRequest, to: Option<LinkTo<'_>>) -> String {
        self.write_link(link, &request.filters.links, &request.sort_written, request.limit_written.as_deref(), to)
    }

    /// Returns whether the parameter with this decoded name is private: in no link, log or cursor.
    #[must_use]
    pub fn is_private(&self, name: &[u8]) -> bool {
        self.private.find(name).is_some()
    }

    fn write_filters(&self, sifted: &ParsedQuery<'_>) -> RequestFilters {
        RequestFilters::write(&sifted.filters, &self.private, &self.ignored)
    }

    fn write_link(
        &self,
        mut link: LinkQuery,
        filters: &str,
        sort: &[(String, String)],
        limit: Option<&str>,
        to: Option<LinkTo<'_>>,
    ) -> String {
        link.push_pairs(filters);
        for (name, value) in sort {
            link.push_written(name, value);
        }
        let marked = (to == Some(LinkTo::Last) && limit.is_none()).then(|| self.default_limit.to_string());
        let limit = limit.or(marked.as_deref());
        let backward = to.is_some_and(LinkTo::is_backward);
        let limit_role = match backward && self.name(Role::LimitBackward).is_some() {
            true => Role::LimitBackward,
            false => Role::Limit,
        };
        let (place_role, place) = match to {
            Some(LinkTo::Cursor { token, backward }) => match (self.name(Role::Cursor), backward) {
                (Some(_), _) => (Role::Cursor, Some(token)),
                (None, false) => (Role::After, Some(token)),
                (None, true) => (Role::Before, Some(token)),
            },
            Some(LinkTo::Id { id, backward: false }) => (Role::AfterId, Some(id)),
            Some(LinkTo::Id { id, backward: true }) => (Role::BeforeId, Some(id)),
            Some(LinkTo::Last) => (Role::Before, self.has_old_clients().then_some(END)),
            None => (Role::Cursor, None),
        };
        for (role, value) in [(limit_role, limit), (place_role, place)] {
            if let (Some(name), Some(value)) = (self.query_name(role), value) {
                link.push_written(name, value);
            }
        }
        // On a route with old clients, the first page needs a mark too. Test:
        // `links_of_the_gateway_never_lead_to_legacy_answers`.
        if let Some(name) = self.start_name().filter(|_| to.is_none() && self.has_old_clients()) {
            link.push_written(name, &self.first);
        }
        link.into_text()
    }

    /// Returns whether the gateway pages a request itself, and therefore reports its invalid parameters.
    fn pages_itself(&self, kind: &RequestKind) -> bool {
        match kind {
            RequestKind::Cursor => true,
            RequestKind::Unmarked if !self.has_old_clients() => true,
            RequestKind::Unmarked | RequestKind::Legacy { .. } => {
                matches!(self.legacy.old_clients, OldClients::Translate | OldClients::Redirect)
            }
        }
    }

    /// Returns whether a decoded name in the query is one of the client's own parameters: of paging, or of the order.
    #[must_use]
    pub fn is_own(&self, name: &[u8]) -> bool {
        self.own(name).is_some() || self.sorting.covers(name)
    }

    /// Returns the role of a decoded name in the query, apart from the sort; `None` if it isn't the client's own.
    fn own(&self, name: &[u8]) -> Option<Role> {
        // Only the exact spelling is the client's own: the upstream may read another spelling as its parameter. Test:
        // `requests_are_classified_as_legacy_unmarked_or_by_cursor`.
        let is_own = |role: Role, own: &str| role != Role::Sort && own.as_bytes() == name && !own.starts_with('/');
        self.roles.iter().find(|(role, own)| is_own(*role, own)).map(|(role, _)| *role)
    }

    fn sift<'q>(&self, query: &'q str) -> ParsedQuery<'q> {
        let mut sifted = ParsedQuery::default();
        for pair in query::pairs(query) {
            let name = pair.name();
            sifted.is_marked_by_name |= self.marking.iter().any(|marking| marking.as_bytes() == &*name);
            let own = self.own(&name);
            if let Some(role) = own
                && pair.text().is_some_and(|text| self.is_first(role, &text))
            {
                // Beside a position, the first cursor has no effect: some clients send it with every request.
                match role {
                    Role::Before | Role::BeforeId => sifted.ends = true,
                    _ => sifted.starts = true,
                }
                continue;
            }
            let pages = self.paging.find(&name);
            if let Some(dialect_name) = pages {
                // A name that is also the client's own, such as `limit`, doesn't make a request a legacy one.
                if own.is_none() {
                    let name = || String::from_utf8_lossy(&name).into_owned();
                    sifted.any_paging.get_or_insert_with(name);
                    if self.query_name(Role::Limit).is_some() && self.sizes.iter().any(|size| size == dialect_name) {
                        // A value that can't be decoded is no number either.
                        sifted.sizes.push((name(), pair.text().unwrap_or_else(|| pair.raw_value.to_owned())));
                    } else {
                        sifted.legacy.get_or_insert_with(name);
                    }
                }
                let value = String::from_utf8_lossy(&pair.value()).into_owned();
                sifted.paging.push((dialect_name.to_owned(), value));
            }
            if let Some(role) = own {
                sifted.own.push((role, pair));
            } else if pages.is_none() {
                let into = if self.sorting.covers(&name) { &mut sifted.sorts } else { &mut sifted.filters };
                into.push(pair);
            }
        }
        sifted
    }

    /// Returns a role's decoded value; `None` without one. Equal duplicates count once. `code` is for malformed values.
    fn value(&self, sifted: &ParsedQuery<'_>, role: Role, code: Code) -> Result<Option<String>, Box<Problem>> {
        if let Some((_, value)) = sifted.in_body.iter().find(|(own, _)| *own == role) {
            return Ok(Some(value.clone()));
        }
        let mut values = sifted.own.iter().filter(|&&(own, _)| own == role).map(|(_, pair)| pair);
        let Some(first) = values.next() else { return Ok(None) };
        let name = self.name(role).unwrap_or_default();
        if values.any(|other| other.value() != first.value()) {
            let detail = format!("`{name}` is given twice, with different values: give it once");
            return Err(Box::new(Problem::new(Code::ParameterConflict, detail).with_parameter(name)));
        }
        match first.text() {
            Some(text) => Ok(Some(text)),
            None => {
                let detail = format!(
                    "`{name}` can't be decoded: after each `%` come two hexadecimal digits, and the whole is UTF-8"
                );
                Err(Box::new(Problem::new(code, detail).with_parameter(name)))
            }
        }
    }

    /// Returns the client's sort: its parameters as the client wrote them, and their meaning; `None` without a sort.
    fn sort(&self, sifted: &ParsedQuery<'_>) -> Result<Option<RequestedSort>, Box<Problem>> {
        match sifted.in_body.iter().find(|(role, _)| *role == Role::Sort) {
            Some((_, written)) => {
                let sort = self.sorting.read_body(written, self.name(Role::Sort).unwrap_or("sort"), &sifted.sorts)?;
                Ok(Some((Vec::new(), sort)))
            }
            None => self.sorting.read(&sifted.sorts),
        }
    }

    /// Returns `sort_invalid`, with the allowed fields, for an order that can't be sent to the upstream.
    #[must_use]
    pub fn unsortable(&self, request: &ListRequest, detail: &str) -> Box<Problem> {
        let said = request.sort_written.first().map(|(name, _)| name.as_str());
        self.sorting.refuse(detail, said.or(self.sorting.own.as_deref()).unwrap_or("sort"))
    }
}

/// Reports a parameter without a name, with two roles, or with a name that only the dialect may have, and an envelope
/// without a parameter for the next page. Returns whether all names are valid.
fn check_names(
    list: &ListSettings,
    envelope: &EnvelopeSettings,
    named: &[(Role, &str, Location)],
    dialect: DialectNames<'_>,
    diagnostics: &mut Diagnostics,
) -> bool {
    let mut sound = true;
    let mut fault = |at: Location, message: String, help: &str| {
        sound = false;
        diagnostics.error(at, message, help);
    };
    for (index, &(role, name, at)) in named.iter().enumerate() {
        if name.is_empty() {
            fault(at, "a parameter needs a name".to_owned(), "write the name of a query parameter");
        }
        if named[..index].iter().any(|&(_, other, _)| other == name) {
            fault(at, format!("`{name}` is used for two roles"), "each role needs a parameter of its own");
        }
        let taken = |names: &[String]| names.iter().any(|other| other == name);
        // A cursor may share the name with a token of the upstream, because cursors are signed.
        let says_place = matches!(role, Role::Cursor | Role::After | Role::Before);
        let may_share = role == Role::Limit || (says_place && dialect.by_token);
        if (taken(dialect.paging) && !may_share) || (taken(dialect.sorting) && role != Role::Sort) {
            let message = format!("`{name}` is a parameter of the dialect `{}` as well", list.dialect.name);
            fault(at, message, "old requests could not be told from new ones: choose another name");
        }
    }
    let seeks = list.mode.value == Mode::Seek;
    let leads_on = |role| matches!(role, Role::Cursor | Role::After) || (seeks && role == Role::AfterId);
    if !named.iter().any(|&(role, ..)| leads_on(role)) {
        let message = format!("the envelope `{}` has no parameter to go on with", envelope.name);
        let help = match named.iter().any(|&(role, ..)| role == Role::AfterId) {
            true => "ids are taken only in mode = \"seek\": choose that, or name a parameter for `cursor`",
            false => "among its `parameters`, name one for `cursor`",
        };
        fault(envelope.at, message, help);
    }
    sound
}

#[cfg(test)]
mod tests;
