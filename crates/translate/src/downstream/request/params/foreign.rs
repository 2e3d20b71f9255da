//! Names of parameters by which other APIs page and sort, and which a list therefore refuses.
//!
//! As filters, such parameters would pass to the upstream. If the upstream ignores them, the client gets another order
//! or another number of items than it wanted. If the upstream sorts by them, the list has an order that the gateway
//! doesn't know. The client would get 200 in both cases, so these names are refused. Test:
//! `paging_and_sort_parameters_of_other_apis_are_refused`.
//!
//! The tables have the names of the built-in dialects and envelopes, and of other widespread APIs. Words by which APIs
//! filter just as often are left out: `after`, `before`, `size`, `start`. Such a word is refused only if another
//! envelope of the route has a parameter with this name. docs/parameters.md lists all names.

use super::{Parameters, ParsedQuery};
use crate::downstream::{
    problem::{Code, Problem, shown},
    request::{query::Pair, sort},
};
use cursorgate_config::{
    diagnostic::Diagnostics,
    settings::{EnvelopeSettings, KnownBy, ListSettings, Role},
};

/// Names of parameters that page. The following are from APIs without a built-in dialect or envelope:
///
/// - `pageNumber`, `pageIndex`, `perPage`, `take`, `skip`: ASP.NET and its query libraries
///   (<https://learn.microsoft.com/aspnet/core/data/ef-mvc/sort-filter-page>), `LoopBack` and Prisma;
/// - `startIndex`: SCIM (RFC 7644, section 3.4.2.4) and `OpenSearch`; `maxResults`, `nextToken`: Google and AWS;
/// - `itemsPerPage`: API Platform; `pagination`: Strapi; `pagelen`: Bitbucket; `firstResult`: JPA and Camunda;
/// - `continuationToken`, `nextPageToken`: Azure and Google;
/// - `afterKey`, `lastId`, `lastKey`: the last item of the page before, in services of their own.
const PAGING: [&str; 48] = [
    "$limit",
    "$offset",
    "$skip",
    "$skiptoken",
    "$top",
    "_end",
    "_limit",
    "_next",
    "_offset",
    "_page",
    "_per_page",
    "_size",
    "_start",
    "after_key",
    "continuation_token",
    "continue",
    "cursor",
    "cursor_mark",
    "ending_before",
    "first",
    "first_result",
    "items_per_page",
    "last",
    "last_id",
    "last_key",
    "limit",
    "max_results",
    "next_page_token",
    "next_token",
    "offset",
    "page",
    "page_index",
    "page_info",
    "page_limit",
    "page_no",
    "page_number",
    "page_size",
    "page_token",
    "pagelen",
    "pagination",
    "per_page",
    "rows",
    "skip",
    "start_at",
    "start_cursor",
    "start_index",
    "starting_after",
    "take",
];

/// Names of parameters that sort. The following are from APIs without a built-in dialect or envelope: `sortOrder` of
/// SCIM (RFC 7644, section 3.4.2.3) and of many tables in browsers, with its variants; `sorting` of ABP.
const SORTING: [&str; 19] = [
    "$order",
    "$orderby",
    "$sort",
    "_order",
    "_sort",
    "order",
    "order_by",
    "order_dir",
    "order_direction",
    "ordering",
    "sort",
    "sort_by",
    "sort_dir",
    "sort_direction",
    "sort_field",
    "sort_key",
    "sort_order",
    "sorting",
    "sorts",
];

/// Names of parameters that sort if their value is `asc` or `desc`, such as `direction` of GitHub. With any other value
/// they are filters.
const DIRECTIONS: [&str; 2] = ["dir", "direction"];

/// The meaning of a parameter in other APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForeignUse {
    /// The position or the number of items.
    Paging,
    /// The order.
    Sorting,
    /// The direction of the order, if the value is `asc` or `desc`.
    Direction,
}

/// The names of parameters that a list refuses, because other APIs page or sort by them.
#[derive(Clone, Debug, Default)]
pub(super) struct ForeignNames {
    /// The names in the form of [`plain`], each with its meaning.
    names: Vec<(String, ForeignUse)>,
}

impl ForeignNames {
    /// Returns the names in the tables and in the other envelopes of the route, without those that `filters` declares.
    fn of<'l>(list: &'l ListSettings, filters: impl Iterator<Item = &'l str>) -> Self {
        let tables = [
            (&PAGING[..], ForeignUse::Paging),
            (&SORTING[..], ForeignUse::Sorting),
            (&DIRECTIONS[..], ForeignUse::Direction),
        ];
        let known = tables.into_iter().flat_map(|(names, usage)| names.iter().map(move |name| (*name, usage)));
        let envelopes = list.envelopes.iter().flat_map(names_of);
        // A declared filter counts in every spelling: `Order[]` for `order`. Test: `declared_names_are_filters`.
        let filters: Vec<String> = filters.map(|name| plain(name.as_bytes())).collect();
        let mut names: Vec<(String, ForeignUse)> = Vec::new();
        for (name, usage) in known.chain(envelopes) {
            let name = plain(name.as_bytes());
            if !filters.contains(&name) && names.iter().all(|(other, _)| *other != name) {
                names.push((name, usage));
            }
        }
        Self { names }
    }

    /// Returns the meaning of a parameter in other APIs; `None` for a filter.
    fn usage(&self, pair: &Pair<'_>) -> Option<ForeignUse> {
        let is_direction = || pair.text().is_some_and(|value| sort::direction(&value).is_some());
        // `direction=north` is a filter, so the name counts only with a direction as its value. Test:
        // `paging_and_sort_parameters_of_other_apis_are_refused`.
        self.find(&pair.name()).filter(|usage| *usage != ForeignUse::Direction || is_direction())
    }

    /// Returns the meaning of a decoded name in other APIs. A name with a bracket is also found by the part before the
    /// bracket: `page[number]` by `page`. Returns `None` if the route doesn't refuse the name.
    fn find(&self, name: &[u8]) -> Option<ForeignUse> {
        let whole = plain(name);
        let outer = whole.split('[').next().unwrap_or_default();
        // An envelope's `filter[size]` is known only as a whole, so `filter[colour]` stays a filter. Test:
        // `names_of_other_envelopes_are_refused`.
        self.names.iter().find(|(known, _)| *known == whole || known == outer).map(|(_, usage)| *usage)
    }
}

/// Returns the names of an envelope's query parameters, each with its meaning.
fn names_of(envelope: &EnvelopeSettings) -> impl Iterator<Item = (&str, ForeignUse)> {
    // Members of bodies and preferences aren't query parameters, so their names are left out.
    let in_query = |name: &&str| !name.starts_with('/') && !name.starts_with("prefer:");
    envelope.parameters.iter().filter_map(move |(role, name)| {
        let usage = if *role == Role::Sort { ForeignUse::Sorting } else { ForeignUse::Paging };
        Some(name.value.as_str()).filter(in_query).map(|name| (name, usage))
    })
}

/// Returns the form in which names are compared: `perPage`, `per-page` and `per_page` are equal. A separator at the
/// beginning counts: `_start` pages, but `start` may be a date.
fn plain(name: &[u8]) -> String {
    let mut plain = String::with_capacity(name.len());
    for (at, letter) in String::from_utf8_lossy(name).chars().enumerate() {
        if at == 0 || !matches!(letter, '_' | '-' | '.' | ' ') {
            plain.push(letter.to_ascii_lowercase());
        }
    }
    plain
}

impl Parameters {
    /// Makes the route refuse parameters by which other APIs page or sort, except those that the route or its dialect
    /// declares. `dialect_filters` are the decoded names of the dialect's filters. Reports a declared filter that pages
    /// or sorts this list, and returns `None` in this case.
    pub fn refuse_foreign(
        mut self,
        list: &ListSettings,
        dialect_filters: &[String],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut sound = true;
        for name in &list.parameters.filters {
            let text = name.value.as_bytes();
            let own = self.roles.iter().any(|(_, own)| *own == name.value);
            if own || self.paging.find(text).is_some() || self.sorting.covers(text) {
                let message = format!("`{}` pages or sorts this list, and is not a filter", name.value);
                diagnostics.error(
                    name.at,
                    message,
                    "remove it, or choose another name for the parameter under `parameters`",
                );
                sound = false;
            }
        }
        let declared = &list.parameters;
        // The parameter that identifies legacy clients is declared too, whatever it means in other APIs.
        let client = list.legacy.client.as_ref().and_then(|client| match &client.known_by {
            KnownBy::Parameter(name) => Some(name),
            KnownBy::Header(_) | KnownBy::Identity => None,
        });
        let filters = declared.filters.iter().chain(&list.filterable).map(|name| &name.value);
        let filters = filters.chain(declared.query.iter().map(|(name, _)| &name.value));
        // If the route declares a parameter private or ignored, its clients send it, so it isn't refused. Test:
        // `declared_names_are_filters`.
        let filters = filters.chain(&declared.private).chain(&declared.ignored).chain(dialect_filters).chain(client);
        self.foreign = ForeignNames::of(list, filters.map(String::as_str));
        sound.then_some(self)
    }

    /// Refuses a query with a parameter by which other APIs page or sort. The problem names the parameters of this
    /// list.
    pub(super) fn check_foreign(&self, sifted: &ParsedQuery<'_>) -> Result<(), Box<Problem>> {
        let found = sifted.filters.iter().find_map(|pair| Some((pair.name(), self.foreign.usage(pair)?)));
        let Some((name, usage)) = found else { return Ok(()) };
        let name = String::from_utf8_lossy(&name).into_owned();
        let name = shown(&name);
        let taken = match usage {
            ForeignUse::Sorting | ForeignUse::Direction => match self.sort_name() {
                Some(own) => format!("which is sorted by `{own}`"),
                None => "which has one order only".to_owned(),
            },
            ForeignUse::Paging => format!("which is paged by {}", self.paging_names()),
        };
        let detail = format!("`{name}` is not a parameter of this list, {taken}");
        Err(Box::new(Problem::new(Code::ParameterInvalid, detail).with_parameter(name)))
    }

    /// Returns whether a query has a sort parameter of another API, which makes its order unknown.
    pub(super) fn sorts_elsewhere(&self, sifted: &ParsedQuery<'_>) -> bool {
        sifted.filters.iter().any(|pair| self.foreign.usage(pair).is_some_and(|usage| usage != ForeignUse::Paging))
    }

    /// Returns the parameter that sorts the list: the client's own, or else the dialect's; `None` if the list has one
    /// order.
    fn sort_name(&self) -> Option<&str> {
        let sortable = !self.sorting.sortable.is_empty();
        let dialects = || self.sorting.form.keys.first()?.pairs.first().map(|(name, _)| name.as_str());
        // A list with one order has no parameter to send instead. Test: `a_refusal_names_the_parameter_to_send`.
        self.name(Role::Sort).or_else(dialects).filter(|_| sortable)
    }

    /// Returns the parameters that page the list, for the detail of a problem, such as "`limit` and `cursor`".
    pub(super) fn paging_names(&self) -> String {
        let place = [Role::Cursor, Role::After, Role::AfterId].into_iter().find_map(|role| self.name(role));
        let limit = self.name(Role::Limit).or_else(|| self.preferred_limit());
        let names: Vec<String> = limit.into_iter().chain(place).map(|name| format!("`{name}`")).collect();
        names.join(" and ")
    }
}

#[cfg(test)]
mod tests;
