//! Parameters in the body of a POST request. The rest of the body is a filter.

use super::{DialectNames, Parameters, RequestFilters};
use crate::downstream::{
    problem::{Code, Problem, shown},
    request::{body::RequestBody, query},
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located, Location},
    settings::{EnvelopeSettings, ListSettings, Role},
};
use cursorgate_core::json::{
    Edit, Edits, JsonError, Pointer, Span, add_edit, canonical, edited,
    scalar::{self, ScalarKind},
};

/// The places in a body that the gateway reads or removes, compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyPlaces {
    /// The client's own parameters: their roles, and their places in the body.
    roles: Vec<(Role, Pointer)>,
    /// The objects that contain the client's own parameters, outermost first.
    parents: Vec<Pointer>,
    /// The paging members of the dialect that are not the client's own.
    paging: Vec<Pointer>,
    /// The paging members of the dialect that are also the client's own limit.
    shared: Vec<Pointer>,
    /// The sort members of the dialect that are not the client's own.
    sorting: Vec<Pointer>,
    /// Members that a body must not have, because they have the names of the client's query parameters.
    misplaced: Vec<Pointer>,
    /// The members that become query parameters of the upstream, each with the parameter's name.
    query: Vec<(String, Pointer)>,
    /// The edits that remove the client's own parameters.
    without_own: Edits,
    /// The edits that also remove private and ignored members, which aren't part of a cursor's context.
    counted: Edits,
}

impl BodyPlaces {
    /// Compiles the places. `named` are all parameters of the client; names that begin with a slash are places. Reports
    /// faults, and returns `None` if there are any.
    pub(super) fn compile(
        list: &ListSettings,
        named: &[(Role, &str, Location)],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut places = Self::default();
        let mut sound = true;
        for &(role, text, at) in named.iter().filter(|(_, text, _)| text.starts_with('/')) {
            let Some(pointer) = member(text, at, diagnostics) else {
                sound = false;
                continue;
            };
            // If one member is within another, removing the outer one would also remove the inner one, so the two
            // places are refused. Test: `ambiguous_places_of_parameters_in_bodies_are_reported`.
            let other = places.roles.iter().find(|(_, other)| holds(other, &pointer) || holds(&pointer, other));
            if let Some((_, other)) = other {
                let message = format!("one of `{text}` and `{other}` is within the other");
                diagnostics.error(at, message, "each role needs a member of its own");
                sound = false;
            }
            places.roles.push((role, pointer));
        }
        for (name, place) in &list.parameters.query {
            match member(&place.value, place.at, diagnostics) {
                Some(pointer) => places.query.push((name.value.clone(), pointer)),
                None => sound = false,
            }
        }
        for &(_, name, _) in named.iter().filter(|(_, name, _)| !name.starts_with('/')) {
            let pointer = Pointer::parse(&format!("/{}", escaped(name))).ok();
            // A member with the name of a query parameter is allowed if another parameter is read from it: `/sort` may
            // be the place of `state`. Test: `parameters_of_the_query_are_refused_in_the_body`.
            let is_used = |pointer: &Pointer| {
                let own = places.roles.iter().map(|(_, place)| place);
                own.chain(places.query.iter().map(|(_, place)| place)).any(|place| holds(pointer, place))
            };
            places.misplaced.extend(pointer.filter(|pointer| !is_used(pointer)));
        }
        for (_, pointer) in &places.roles {
            let names = pointer.names().unwrap_or_default();
            add_edit(&mut places.without_own, &names, Edit::Remove);
            for end in 1..names.len() {
                let text = names[..end].iter().map(|name| format!("/{}", escaped(name))).collect::<String>();
                places.parents.extend(Pointer::parse(&text).ok().filter(|parent| !places.parents.contains(parent)));
            }
        }
        places.counted = places.without_own.clone();
        let uncounted = list.parameters.private.iter().chain(&list.parameters.ignored);
        for pointer in uncounted.filter(|text| text.starts_with('/')).filter_map(|text| Pointer::parse(text).ok()) {
            add_edit(&mut places.counted, &pointer.names().unwrap_or_default(), Edit::Remove);
        }
        sound.then_some(places)
    }

    /// Returns whether the body has any place for the client's own parameters.
    pub(super) fn has_roles(&self) -> bool {
        !self.roles.is_empty()
    }

    /// Returns the client's own parameters in a body, with their values as a query would contain them. Null counts as
    /// absent.
    pub(super) fn own(&self, body: &RequestBody) -> Result<Vec<(Role, String)>, Box<Problem>> {
        // If a parent isn't an object, the parameters in it would be ignored without notice, so the body is refused.
        // Test: `problems_of_a_body_name_their_place`.
        for (parent, found) in self.parents.iter().zip(body.find(&self.parents)) {
            let kind = found.map_or(ScalarKind::Null, scalar::kind);
            if !matches!(kind, ScalarKind::Null | ScalarKind::Object) {
                let detail = format!("`{parent}` is not an object: the members for the page are in it");
                return refuse(Code::BodyInvalid, detail, &parent.to_string());
            }
        }
        let pointers: Vec<Pointer> = self.roles.iter().map(|(_, pointer)| pointer.clone()).collect();
        let mut own = Vec::with_capacity(pointers.len());
        for ((role, pointer), raw) in self.roles.iter().zip(body.find(&pointers)) {
            if let Some(raw) = raw.filter(|raw| scalar::kind(raw) != ScalarKind::Null) {
                own.push((*role, text_of(*role, pointer, raw)?));
            }
        }
        Ok(own)
    }

    /// Returns the client's own parameters in a body that are strings. Faults are left to [`Self::own`].
    pub(super) fn texts(&self, body: &RequestBody) -> Vec<(Role, String)> {
        let pointers: Vec<Pointer> = self.roles.iter().map(|(_, pointer)| pointer.clone()).collect();
        let found = self.roles.iter().zip(body.find(&pointers));
        let text = |raw: &[u8]| String::from_utf8(scalar::text(raw)?.into_owned()).ok();
        found.filter_map(|((role, _), raw)| Some((*role, text(raw?)?))).collect()
    }

    /// Returns the paging members of the dialect in a body: their pointers, and their values as text. The result is
    /// empty if the body has only members that are also the client's own. Null counts as absent.
    pub(super) fn paged(&self, body: &RequestBody) -> Vec<(String, String)> {
        let own = present(body, &self.paging);
        if own.is_empty() {
            return own;
        }
        [own, present(body, &self.shared)].concat()
    }

    /// Refuses sort members of the dialect that aren't the client's own. `sort` is the client's sort parameter, which
    /// the problem names.
    pub(super) fn check_sorting(&self, body: &RequestBody, sort: Option<&str>) -> Result<(), Box<Problem>> {
        if let Some((place, _)) = present(body, &self.sorting).into_iter().next() {
            let detail = match sort {
                Some(own) => format!("`{place}` is not a member of this list, which is sorted by `{own}`"),
                None => format!("`{place}` is not a member of this list"),
            };
            return refuse(Code::SortInvalid, detail, &place);
        }
        Ok(())
    }

    /// Refuses members that have the names of query parameters. As filters, such members would have no effect on the
    /// page. Test: `parameters_of_the_query_are_refused_in_the_body`.
    pub(super) fn check_misplaced(&self, body: &RequestBody) -> Result<(), Box<Problem>> {
        let Some((place, _)) = present(body, &self.misplaced).into_iter().next() else { return Ok(()) };
        let name = place.trim_start_matches('/');
        refuse(
            Code::ParameterInvalid,
            format!("`{name}` belongs in the query of this request, not in its body"),
            &place,
        )
    }

    /// Adds a body, without the client's own parameters, to the filters of the query.
    pub(super) fn add_filters(&self, body: &RequestBody, filters: &mut RequestFilters) -> Result<(), Box<Problem>> {
        let unreadable = |_| Box::new(Problem::new(Code::BodyInvalid, "the body can't be read"));
        // The upstream gets private and ignored members, although they aren't part of a cursor's context. Test:
        // `the_rest_of_a_body_is_a_filter_in_any_spelling`.
        let left = edited(body.bytes(), &self.without_own).map_err(unreadable)?;
        let mut counted = edited(body.bytes(), &self.counted).map_err(unreadable)?;
        if !self.paged(body).is_empty() {
            // The cursors of a legacy page lead to pages by cursor, whose bodies have no paging members. Both need the
            // same filters, so these members don't count. Test: `paging_members_in_a_body_make_a_legacy_request`.
            counted = self.without_page(counted).map_err(unreadable)?;
        }
        counted = self.with_parents(counted).map_err(unreadable)?;
        // `RequestBody::read` has bounded the nesting, so no limit is needed here.
        let spelling = canonical(&counted, u16::MAX).map_err(|_| unreadable(JsonError::TooDeep))?;
        // No name in a query is as long as this number, so no query equals a body.
        filters.canonical.extend_from_slice(&u64::MAX.to_le_bytes());
        filters.canonical.extend_from_slice(&spelling);
        let pointers: Vec<Pointer> = self.query.iter().map(|(_, pointer)| pointer.clone()).collect();
        for ((name, pointer), raw) in self.query.iter().zip(body.find(&pointers)) {
            for value in raw.map(|raw| values(pointer, raw)).transpose()?.unwrap_or_default() {
                query::push_written(&mut filters.forwarded, name, &value);
            }
        }
        filters.body = Some(left);
        Ok(())
    }
}

impl BodyPlaces {
    /// Adds the objects that contain the client's own parameters, where they are missing: a request with a cursor has
    /// them, and needs the same filters as the one before it. Test:
    /// `a_cursor_continues_a_body_without_the_object_for_it`.
    fn with_parents(&self, mut body: Vec<u8>) -> Result<Vec<u8>, JsonError> {
        for parent in &self.parents {
            if parent.find(&body).is_none_or(|span| span.of(&body) == b"null") {
                let mut edits = Edits::new();
                add_edit(&mut edits, &parent.names().unwrap_or_default(), Edit::Set(b"{}".to_vec()));
                body = edited(&body, &edits)?;
            }
        }
        Ok(body)
    }

    /// Removes the paging members of the dialect, and the objects that are empty without these members. An object for
    /// the client's own parameters stays even if it is empty, as in requests by cursor.
    fn without_page(&self, mut body: Vec<u8>) -> Result<Vec<u8>, JsonError> {
        for place in &self.paging {
            let names = place.names().unwrap_or_default();
            // The member is removed first, then each object around it that is empty without it.
            for end in (1..=names.len()).rev() {
                let is_whole = end == names.len();
                let text = names[..end].iter().map(|name| format!("/{}", escaped(name))).collect::<String>();
                let Ok(pointer) = Pointer::parse(&text) else { break };
                let is_empty = |span: Span| span.of(&body).iter().all(|byte| b"{} \t\r\n".contains(byte));
                if !is_whole && (self.parents.contains(&pointer) || !pointer.find(&body).is_some_and(is_empty)) {
                    break;
                }
                let mut edits = Edits::new();
                add_edit(&mut edits, &names[..end], Edit::Remove);
                body = edited(&body, &edits)?;
            }
        }
        Ok(body)
    }
}

/// Returns the members at these places, with their values as text. Members that are absent or null are left out.
fn present(body: &RequestBody, places: &[Pointer]) -> Vec<(String, String)> {
    let found = places.iter().zip(body.find(places));
    let values = found.filter_map(|(place, raw)| {
        let raw = raw.filter(|raw| scalar::kind(raw) != ScalarKind::Null)?;
        // A value may be an array or an object, which is kept as JSON text, because the dialect decides about it. Test:
        // `paging_members_in_a_body_make_a_legacy_request`.
        let text = scalar::text(raw).map_or_else(|| raw.to_vec(), std::borrow::Cow::into_owned);
        Some((place.to_string(), String::from_utf8_lossy(&text).into_owned()))
    });
    values.collect()
}

impl Parameters {
    /// Reserves the places of the dialect's paging and sort members. A parameter of the client may have such a place
    /// only if both mean the same: the limit, the sort, or the cursor if the dialect pages by token, because a cursor's signature
    /// distinguishes it from the upstream's token. Reports other conflicts, and members that would become paging or
    /// sort parameters of the dialect. Returns `None` if there are any.
    pub fn reserve_places(
        mut self,
        list: &ListSettings,
        envelope: &EnvelopeSettings,
        dialect: DialectNames<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let places =
            |texts: &[String]| -> Vec<Pointer> { texts.iter().filter_map(|text| Pointer::parse(text).ok()).collect() };
        let (paging, sorting) = (places(dialect.paging), places(dialect.sorting));
        let mut sound = true;
        for (role, own) in &self.in_body.roles {
            let may_page = *role == Role::Limit || (*role == Role::Cursor && dialect.by_token);
            if (paging.contains(own) && !may_page) || (sorting.contains(own) && *role != Role::Sort) {
                let message =
                    format!("`{own}` is a member by which the dialect `{}` pages or sorts", list.dialect.name);
                diagnostics.error(envelope.at, message, "choose another place for it under `parameters`");
                sound = false;
            }
        }
        let is_limit = |place: &&Pointer| {
            let mut limits = self.in_body.roles.iter().filter(|(role, _)| *role == Role::Limit);
            limits.any(|(_, own)| own == *place)
        };
        self.in_body.shared = paging.iter().filter(is_limit).cloned().collect();
        let others = |places: Vec<Pointer>| -> Vec<Pointer> {
            let is_own = |place: &Pointer| self.in_body.roles.iter().any(|(_, own)| own == place);
            places.into_iter().filter(|place| !is_own(place)).collect()
        };
        let (paging, sorting) = (others(paging), others(sorting));
        // The dialect's members aren't misplaced: a paging member makes the request an old client's, and a sort member
        // is refused by `check_sorting`.
        let is_read = |place: &Pointer| paging.iter().chain(&sorting).any(|other| holds(place, other));
        self.in_body.misplaced.retain(|place| !is_read(place));
        (self.in_body.paging, self.in_body.sorting) = (paging, sorting);
        for (name, _) in &list.parameters.query {
            let Located { value, at } = name;
            if self.paging.find(value.as_bytes()).or_else(|| self.sorting.reserved.find(value.as_bytes())).is_some() {
                let message =
                    format!("`{value}` is a parameter by which the dialect `{}` pages or sorts", list.dialect.name);
                diagnostics.error(*at, message, "remove it: the gateway sets the page and the order itself");
                sound = false;
            }
        }
        sound.then_some(self)
    }
}

/// Parses the pointer to a member of a body. Reports a fault and returns `None` if it is invalid.
fn member(text: &str, at: Location, diagnostics: &mut Diagnostics) -> Option<Pointer> {
    let fault = match Pointer::parse(text) {
        // A step such as `[a=b]` names no member that can be removed, so the pointer is refused. Test:
        // `ambiguous_places_of_parameters_in_bodies_are_reported`.
        Ok(pointer) if pointer.names().is_some_and(|names| !names.is_empty()) => return Some(pointer),
        Ok(_) => "write a place such as \"/payload/cursor\" (JSON Pointer)".to_owned(),
        Err(error) => error.message,
    };
    diagnostics.error(at, format!("{text:?} is not a member of a body"), fault);
    None
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Returns whether `inner` is inside `outer` or equal to it.
fn holds(outer: &Pointer, inner: &Pointer) -> bool {
    let (outer, inner) = (outer.names().unwrap_or_default(), inner.names().unwrap_or_default());
    inner.starts_with(&outer)
}

/// Returns the value of a role's parameter as a query would contain it. A string is accepted for every role, and a
/// number for limits and ids; other values are refused.
fn text_of(role: Role, pointer: &Pointer, raw: &[u8]) -> Result<String, Box<Problem>> {
    let text = || scalar::text(raw).and_then(|text| String::from_utf8(text.into_owned()).ok());
    let number = || String::from_utf8_lossy(raw).into_owned();
    let takes_numbers = matches!(role, Role::Limit | Role::LimitBackward | Role::AfterId | Role::BeforeId);
    let said = match scalar::kind(raw) {
        ScalarKind::Text => text(),
        // The spelling stays: `7.5` is refused as a limit, and a large id keeps its digits. Test:
        // `problems_of_a_body_name_their_place`.
        ScalarKind::Number if takes_numbers => Some(number()),
        _ => None,
    };
    if let Some(said) = said {
        return Ok(said);
    }
    let (code, wanted) = match role {
        Role::Limit | Role::LimitBackward => (Code::LimitInvalid, "a whole number"),
        Role::AfterId | Role::BeforeId => (Code::ParameterInvalid, "an id"),
        Role::Sort => (Code::SortInvalid, "a string"),
        Role::Cursor | Role::After | Role::Before => (Code::CursorInvalid, "a string, or null for the first page"),
    };
    let raw = number();
    refuse(code, format!("`{pointer}` is `{}`: write {wanted}", shown(&raw)), &pointer.to_string())
}

/// Returns the values of a query parameter from a member of the body. An array has a value for each element, and null
/// has no value. Objects and nested arrays are refused.
fn values(pointer: &Pointer, raw: &[u8]) -> Result<Vec<String>, Box<Problem>> {
    let wrong = || {
        let detail = format!(
            "`{pointer}` is passed on as a parameter: write a string, a number, true or false, or a list of them"
        );
        Box::new(Problem::new(Code::ParameterInvalid, detail).with_parameter(pointer.to_string()))
    };
    match scalar::kind(raw) {
        ScalarKind::Null => Ok(Vec::new()),
        ScalarKind::Text => {
            let text = scalar::text(raw).and_then(|text| String::from_utf8(text.into_owned()).ok());
            Ok(vec![text.ok_or_else(wrong)?])
        }
        ScalarKind::Number | ScalarKind::Boolean(_) => Ok(vec![String::from_utf8_lossy(raw).into_owned()]),
        ScalarKind::Array => {
            let elements = cursorgate_core::json::elements(raw).ok_or_else(wrong)?;
            let simple = |raw: &[u8]| match scalar::kind(raw) {
                // Null counts as absent for a member, and an element can't be absent, so it is refused. Test:
                // `parameters_of_the_query_are_taken_from_the_body`.
                ScalarKind::Array | ScalarKind::Object | ScalarKind::Null => Err(wrong()),
                _ => values(pointer, raw),
            };
            let values: Result<Vec<Vec<String>>, _> = elements.into_iter().map(simple).collect();
            Ok(values?.concat())
        }
        ScalarKind::Object => Err(wrong()),
    }
}

fn refuse<T>(code: Code, detail: String, place: &str) -> Result<T, Box<Problem>> {
    Err(Box::new(Problem::new(code, detail).with_parameter(place)))
}

#[cfg(test)]
mod tests;
