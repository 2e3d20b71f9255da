//! Marks: the values by which a request says that it comes from a new client.
//!
//! The gateway can't know the names of parameters that a service and its old clients use, so no name marks a request: a
//! service may have a `cursor` of its own, filter by `after`, or ignore `limit`. Only a value does: a cursor that this
//! gateway made, or the first cursor in its place, which is `start` by default or, backward, [`END`]. On a route with old
//! clients, every other request is theirs. Test: `only_values_mark_a_request`.

use std::sync::Arc;

use super::{ListRequest, OldClients, Parameters, ParsedQuery, RequestKind, RequestedPosition, Role};
use crate::downstream::request::{body::RequestBody, filters, query};
use cursorgate_cursor::cursor::{self, KeyRing};

/// The first cursor of a walk backward: the position after the last item.
pub const END: &str = "end";

/// The means to recognise cursors of this gateway.
#[derive(Clone, Debug)]
pub(super) struct CursorKeys {
    keys: Arc<KeyRing>,
    /// The largest length of the route's cursors.
    longest: usize,
}

impl Parameters {
    /// Makes the parameters recognise cursors from before the mark of cursors was introduced, by their signatures.
    #[must_use]
    pub fn with_keys(self, keys: &Arc<KeyRing>, longest: usize) -> Self {
        Self { keys: Some(CursorKeys { keys: Arc::clone(keys), longest }), ..self }
    }

    /// Sets the dialect's parameters that state only the size of a page. In a request of a new client, they are its
    /// limit.
    #[must_use]
    pub fn with_sizes(self, names: &[String]) -> Self {
        Self { sizes: names.to_vec(), ..self }
    }

    /// Returns whether a request with this query and body is marked as a new client's.
    #[must_use]
    pub fn is_marked(&self, query: Option<&str>, body: Option<&RequestBody>) -> bool {
        self.marks(&self.sift(query.unwrap_or_default()), body)
    }

    /// Returns the name that marks a query in which no value is a mark; `None` for all other queries.
    #[must_use]
    pub fn marking_name(&self, query: Option<&str>) -> Option<&str> {
        let query = query.unwrap_or_default();
        let mut sifted = self.sift(query);
        let by_name = std::mem::take(&mut sifted.is_marked_by_name) && !self.marks(&sifted, None);
        let is_there = |name: &&String| query::pairs(query).any(|pair| pair.name() == name.as_bytes());
        self.marking.iter().filter(|_| by_name).find(is_there).map(String::as_str)
    }

    /// Returns whether the route has old clients, whose requests are all that have no mark.
    #[must_use]
    pub fn has_old_clients(&self) -> bool {
        self.legacy.old_clients != OldClients::None
    }

    /// Returns whether the client's parameters can be members of a body, so that a mark can be there too.
    #[must_use]
    pub fn reads_bodies(&self) -> bool {
        self.in_body.has_roles()
    }

    /// Returns the kind of a request by POST that passes to the upstream unless its body has a mark; `None` for all
    /// others, such as a request with a cursor of the client's own in the query.
    #[must_use]
    pub fn passed(&self, query: Option<&str>) -> Option<RequestKind> {
        if self.legacy.old_clients != OldClients::Pass {
            return None;
        }
        let text = query.unwrap_or_default();
        (!self.marks(&self.sift(text), None)).then(|| self.old_kind(text))
    }

    /// Returns whether a request is a new client's. Without old clients, all are.
    pub(super) fn is_new(&self, sifted: &ParsedQuery<'_>, body: Option<&RequestBody>) -> bool {
        if !self.has_old_clients() || self.marks(sifted, body) {
            return true;
        }
        // Requests that the gateway pages itself are never passed on, so a position that it can't read is refused, and
        // not ignored. Test: `only_values_mark_a_request`.
        let says_place = |role| !matches!(role, Role::Limit | Role::Sort);
        let in_body = || body.is_some_and(|body| self.in_body.texts(body).iter().any(|(role, _)| says_place(*role)));
        self.legacy.old_clients != OldClients::Pass
            && (sifted.own.iter().any(|&(role, _)| says_place(role)) || in_body())
    }

    /// Returns whether a request has a mark.
    pub(super) fn marks(&self, sifted: &ParsedQuery<'_>, body: Option<&RequestBody>) -> bool {
        let marks = |role: Role, text: &str| match role {
            Role::Cursor | Role::After | Role::Before => self.is_ours(text),
            // A walk by the ids of items continues by an id, which the gateway didn't make.
            Role::AfterId | Role::BeforeId => self.seeks,
            Role::Limit | Role::LimitBackward | Role::Sort => false,
        };
        let in_query = || sifted.own.iter().any(|(role, pair)| pair.text().is_some_and(|text| marks(*role, &text)));
        let in_body = |body| {
            let texts = self.in_body.texts(body);
            let by_name = |role| self.name(role).is_some_and(|name| self.marking.iter().any(|marking| marking == name));
            texts.iter().any(|(role, text)| self.is_first(*role, text) || marks(*role, text) || by_name(*role))
        };
        sifted.starts || sifted.ends || sifted.is_marked_by_name || in_query() || body.is_some_and(in_body)
    }

    fn is_ours(&self, text: &str) -> bool {
        let by_keys = |known: &CursorKeys| cursor::is_ours(&known.keys, text, known.longest);
        self.keys.as_ref().is_some_and(by_keys)
    }

    /// Returns the kind of an old client's request. The names of new clients' parameters have no meaning in it.
    pub(super) fn old_kind(&self, text: &str) -> RequestKind {
        let sifted = self.sift_old(text);
        match sifted.any_paging {
            Some(parameter) => RequestKind::Legacy { parameter, pairs: sifted.paging },
            None => RequestKind::Unmarked,
        }
    }

    /// Reads an old client's request that passes to the upstream, which judges it: no parameter is refused here.
    pub(super) fn read_old(&self, text: &str, body: Option<&RequestBody>) -> ListRequest {
        let paged = body.map(|body| self.in_body.paged(body)).unwrap_or_default();
        let mut kind = self.old_kind(text);
        match (&mut kind, paged.first()) {
            (RequestKind::Legacy { pairs, .. }, _) => pairs.extend(paged),
            (_, Some((place, _))) => kind = RequestKind::Legacy { parameter: place.clone(), pairs: paged },
            (_, None) => {}
        }
        ListRequest {
            kind,
            limit: self.default_limit,
            limit_written: None,
            place: RequestedPosition::First,
            sort: None,
            id_direction: self.id_direction,
            sort_written: Vec::new(),
            filters: self.write_filters(&self.sift_old(text)),
            self_query: filters::public_query(text, &self.private, |_| false),
        }
    }

    /// Splits an old client's query, in which only the upstream's parameters have a meaning.
    pub(super) fn sift_old<'q>(&self, query: &'q str) -> ParsedQuery<'q> {
        let mut sifted = ParsedQuery::default();
        for pair in query::pairs(query) {
            let name = pair.name();
            if let Some(dialect_name) = self.paging.find(&name) {
                sifted.is_misspelt |= *name != *dialect_name.as_bytes();
                sifted.any_paging.get_or_insert_with(|| String::from_utf8_lossy(&name).into_owned());
                let value = String::from_utf8_lossy(&pair.value()).into_owned();
                sifted.paging.push((dialect_name.to_owned(), value));
            } else {
                let into = if self.sorting.covers(&name) { &mut sifted.sorts } else { &mut sifted.filters };
                into.push(pair);
            }
        }
        sifted
    }

    /// Returns the first cursor, with which new clients begin a list.
    #[must_use]
    pub fn first_cursor(&self) -> &str {
        &self.first
    }

    /// Returns the parameter in which links to the first page have the first cursor; `None` if links can't have one.
    #[must_use]
    pub fn start_name(&self) -> Option<&str> {
        [Role::Cursor, Role::After, Role::AfterId].into_iter().find_map(|role| self.query_name(role))
    }

    /// Returns whether a value is the first cursor of a role.
    pub(super) fn is_first(&self, role: Role, text: &str) -> bool {
        match role {
            Role::Cursor | Role::After | Role::AfterId => text == self.first,
            Role::Before | Role::BeforeId => text == END,
            Role::Limit | Role::LimitBackward | Role::Sort => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downstream::{Code, request::params::tests::parameters};
    use cursorgate_config::settings::LegacySettings;

    fn with(old_clients: OldClients, roles: &[(Role, &str)]) -> Parameters {
        Parameters {
            legacy: LegacySettings { old_clients, ..LegacySettings::default() },
            roles: roles.iter().map(|&(role, name)| (role, name.to_owned())).collect(),
            keys: Some(CursorKeys { keys: Arc::new(KeyRing::new(1, &[(1, &[7; 32])]).unwrap()), longest: 2_048 }),
            ..parameters()
        }
    }

    const ONE: [(Role, &str); 3] = [(Role::Limit, "limit"), (Role::Cursor, "cursor"), (Role::Sort, "sort")];
    const TWO: [(Role, &str); 4] =
        [(Role::Limit, "first"), (Role::LimitBackward, "last"), (Role::After, "after"), (Role::Before, "before")];
    const BY_ID: [(Role, &str); 3] =
        [(Role::Limit, "limit"), (Role::AfterId, "starting_after"), (Role::BeforeId, "ending_before")];

    #[test]
    fn only_values_mark_a_request() {
        let passing = |roles| with(OldClients::Pass, roles);
        let (one, two) = (passing(&ONE), passing(&TWO));
        let by_id = Parameters { seeks: true, ..passing(&BY_ID) };
        for (known, query) in [
            (&one, ""),
            (&one, "limit=50"),
            (&one, "limit=0"),
            (&one, "limit=abc"),
            (&one, "limit=5&limit=6"),
            (&one, "cursor=abc"),
            (&one, "cursor="),
            (&one, "cursor=a&cursor=b"),
            (&one, "page=2&cursor=null"),
            (&one, "page=2&limit=5"),
            (&one, "Cursor=start"),
            (&one, "cursor=START"),
            (&one, "cursor=end"),
            (&one, "q=start&sort=nothing&per_page=x"),
            (&one, "cursor=AQHx4Bf-F3vMBS7zU0q3iDLbk4bLBhQB6wcBVDIwMjYtMDEtMTVUMTA6MzA6MDBaA-sHfBNr9ydABGeZHnfitLVGXA"),
            (&two, "after=2026-01-01"),
            (&two, "after=a&before=b"),
            (&two, "first=20"),
            (&two, "last=3&first=20"),
            (&two, "before=start"),
            (&by_id, "limit=10"),
        ] {
            let read = known.read(Some(query)).unwrap();
            assert_ne!(read.kind, RequestKind::Cursor, "{query}");
            assert_eq!((read.place, read.limit), (RequestedPosition::First, 20), "{query}");
            assert!(!known.is_marked(Some(query), None) && known.passed(Some(query)).is_some(), "{query}");
        }
        let text = str::to_owned;
        for (known, query, place) in [
            (&one, "cursor=start", RequestedPosition::First),
            (&one, "limit=5&c%75rsor=st%61rt", RequestedPosition::First),
            (&one, "cursor=~abc", RequestedPosition::Cursor(text("~abc"))),
            (&one, "cursor=%7Eabc&cursor=start", RequestedPosition::Cursor(text("~abc"))),
            (&two, "after=start&first=3", RequestedPosition::First),
            (&two, "before=end&last=3", RequestedPosition::Last),
            (&two, "before=end", RequestedPosition::Last),
            (&two, "after=start&before=~abc", RequestedPosition::Before(text("~abc"))),
            (&by_id, "starting_after=start", RequestedPosition::First),
            (&by_id, "starting_after=7", RequestedPosition::AfterId(text("7"))),
            (&by_id, "ending_before=end", RequestedPosition::Last),
        ] {
            let read = known.read(Some(query)).unwrap();
            assert_eq!((read.kind, read.place), (RequestKind::Cursor, place), "{query}");
            assert!(known.is_marked(Some(query), None) && known.passed(Some(query)).is_none(), "{query}");
        }
        // Marks are taken on routes without old clients too.
        let read = with(OldClients::None, &ONE).read(Some("cursor=start")).unwrap();
        assert_eq!((read.kind, read.place), (RequestKind::Cursor, RequestedPosition::First));
        // A position that can't be read is refused where the gateway pages old requests itself.
        let translating = with(OldClients::Translate, &ONE);
        for (query, kind) in [
            ("cursor=abc", RequestKind::Cursor),
            ("limit=5", RequestKind::Unmarked),
            ("", RequestKind::Unmarked),
            ("cursor=start", RequestKind::Cursor),
        ] {
            assert_eq!(translating.read(Some(query)).unwrap().kind, kind, "{query}");
        }
    }

    /// A new client that still sends the size under the service's name gets that many items. It can't also send the
    /// service's page.
    #[test]
    fn in_a_marked_request_the_services_size_is_the_limit() {
        let roles = [(Role::Limit, "limit"), (Role::Cursor, "cursor")];
        let known = Parameters {
            paging: super::super::ReservedNames::new(&["page".to_owned(), "per_page".to_owned()]),
            ..with(OldClients::Pass, &roles).with_sizes(&["per_page".to_owned()])
        };
        for (query, limit) in [("per_page=7&cursor=start", 7), ("per_page=7&limit=7&cursor=~a", 7)] {
            let read = known.read(Some(query)).unwrap();
            assert_eq!((read.kind, read.limit), (RequestKind::Cursor, limit), "{query}");
        }
        let read = known.read(Some("per_page=7&cursor=start&a=1")).unwrap();
        assert_eq!(known.link_query(&read, None), "a=1&limit=7&cursor=start");
        for (query, code, name) in [
            ("per_page=7&limit=8&cursor=start", Code::ParameterConflict, "per_page"),
            ("per_page=0&cursor=start", Code::LimitInvalid, "per_page"),
            ("page=2&cursor=start", Code::ParameterConflict, "page"),
            ("page=2&cursor=~a", Code::ParameterConflict, "page"),
        ] {
            let problem = known.read(Some(query)).unwrap_err();
            assert_eq!((problem.code, problem.parameter.as_deref()), (code, Some(name)), "{query}");
        }
        let old = known.read(Some("per_page=7&limit=8")).unwrap();
        assert_eq!(
            old.kind,
            RequestKind::Legacy {
                parameter: "per_page".to_owned(),
                pairs: vec![("per_page".to_owned(), "7".to_owned())]
            }
        );
        assert_eq!(known.restart_query(Some("per_page=7&page=3")), "limit=7&cursor=start");
    }

    #[test]
    fn links_to_the_ends_of_a_list_with_old_clients_have_a_mark() {
        for (roles, query, first) in [
            (&ONE[..], "limit=5&a=1&cursor=~a", "a=1&limit=5&cursor=start"),
            (&TWO, "first=5&after=~a", "first=5&after=start"),
            (&BY_ID, "starting_after=start", "starting_after=start"),
        ] {
            let known = with(OldClients::Pass, roles);
            assert_eq!(known.link_query(&known.read(Some(query)).unwrap(), None), first);
            let without = with(OldClients::None, roles);
            let read = without.read(Some(query)).unwrap();
            assert!(!without.link_query(&read, None).contains("start"), "every request is new there");
        }
        let known = with(OldClients::Pass, &TWO);
        let last = known.link_query(&known.read(Some("after=start")).unwrap(), Some(super::super::LinkTo::Last));
        assert_eq!(last, "last=20&before=end");
    }
}
