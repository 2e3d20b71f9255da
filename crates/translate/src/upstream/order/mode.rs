//! The check of a route's mode: whether the pages of the route can be found in this mode with the compiled dialect.

use std::borrow::Cow;

use super::fields::last_step;
use crate::upstream::template::places::Places;
use cursorgate_config::{
    diagnostic::Diagnostics,
    settings::{
        DialectFilter, DialectTerms, FieldSettings, ListSettings, Mode, OldClients, Quote, QuotedKind, SortTerm,
    },
};
use cursorgate_core::pagination::order::{Direction, Kind, Nulls};

/// The name of the id in `order`, `sortable`, `filterable` and `fields`.
const ID: &str = "id";

/// Reports an error if the route's pages can't be found in its mode, or if its legacy policy needs places that requests
/// don't name. Returns `false` if there is an error.
pub fn check(list: &ListSettings, places: Places, diagnostics: &mut Diagnostics) -> bool {
    let name = &list.dialect.name;
    let first = list.order.first().map(|term| term.value.clone());
    let first = first.unwrap_or_else(|| SortTerm { field: ID.to_owned(), direction: list.id_direction });
    let first = list.declared.then_some(&first);
    let mode = list.mode.value;
    let obstacle = match mode {
        Mode::Keyset => keyset_obstacle(list, places, first),
        Mode::Seek => seek_obstacle(list, places, first),
        // Requests of such a dialect can name only ranges, so `auto` needs the same as `keyset`.
        Mode::Auto if places == Places::Ranges => keyset_obstacle(list, places, first),
        Mode::Auto | Mode::Offset | Mode::Token => None,
    };
    let mut faults = Vec::new();
    if let Some(obstacle) = obstacle {
        faults.push((list.mode.at, format!("mode = {:?} needs {}", mode.word(), obstacle.needs), obstacle.help));
    }
    if mode == Mode::Token && places != Places::Tokens {
        let by = match places {
            Places::Pages => "page number",
            Places::Ranges => "range",
            Places::Offsets | Places::Tokens => "offset",
        };
        let message = format!("mode = \"token\" needs tokens, and {name} asks by {by}");
        let help = "remove `mode`, or name a dialect whose upstream returns tokens";
        faults.push((list.mode.at, message, help.to_owned()));
    }
    let names_no_place = matches!(places, Places::Tokens | Places::Ranges);
    if mode == Mode::Offset && names_no_place {
        let pages = if places == Places::Tokens { "by token or link" } else { "by range" };
        let message = format!("mode = \"offset\" needs offsets or page numbers, and {name} asks {pages}");
        faults.push((list.mode.at, message, "remove `mode`, or name a dialect with {offset} or {page}".to_owned()));
    }
    let translates = matches!(list.legacy.old_clients, OldClients::Translate | OldClients::Redirect);
    if translates && names_no_place {
        let message = format!("requests of {name} name no offset or page number that could be translated");
        let at = list.legacy.old_clients_at.unwrap_or(list.dialect.at);
        faults.push((at, message, "old_clients = \"pass\" or \"reject\"".to_owned()));
    }
    let is_sound = faults.is_empty();
    for (at, message, help) in faults {
        diagnostics.error(at, message, help);
    }
    is_sound
}

/// The reason why the pages of a route can't be found in a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The requirement, as the rest of the sentence `mode = "keyset" needs …`: `range filters on created_at`.
    pub needs: String,
    pub help: String,
}

impl Obstacle {
    fn new(needs: impl Into<String>, help: impl Into<String>) -> Self {
        Self { needs: needs.into(), help: help.into() }
    }
}

/// Returns the reason why the pages of an order can't be found by range filters on its first key; `None` if they can.
/// `first` is `None` if no order is declared. Its field is `id` for the item's id.
pub fn keyset_obstacle(list: &ListSettings, places: Places, first: Option<&SortTerm>) -> Option<Obstacle> {
    let dialect = &list.dialect.name;
    if places == Places::Tokens {
        let help = format!("{dialect} pages by token or link");
        return Some(Obstacle::new("offsets or page numbers", help));
    }
    let Some(SortTerm { field: first, direction }) = first else {
        let help = "write the order of the list: order = [\"-created_at\", \"id\"]";
        return Some(Obstacle::new("a declared order", help));
    };
    let (first, direction) = (first.as_str(), *direction);
    let needs = match places {
        Places::Ranges => format!("range filters on {first}, since {dialect} takes no offset or page number"),
        _ => format!("range filters on {first}"),
    };
    let Some(filter) = &list.dialect.filter else {
        let help = format!(
            "{dialect} describes none; if the service can filter by {first}, extend {dialect} with a [filter], and list \
             {first} in filterable"
        );
        return Some(Obstacle::new(needs, help));
    };
    if !list.filterable.iter().any(|field| field.value == first) {
        let help = match list.filterable.as_slice() {
            [] => format!("if the endpoint can filter by {first}, write filterable = [\"{first}\"]"),
            fields => {
                let names: Vec<&str> = fields.iter().map(|field| field.value.as_str()).collect();
                format!(
                    "filterable names {} only; if the endpoint can filter by {first}, add it there",
                    names.join(", ")
                )
            }
        };
        return Some(Obstacle::new(needs, help));
    }
    let field = list.fields.iter().find(|field| field.name == first);
    let terms = terms_for(filter, &upstream_name(list, first));
    let Some(terms) = terms else {
        let names: Vec<&str> = filter.fields.iter().map(|(name, _)| name.value.as_str()).collect();
        return Some(Obstacle::new(needs, format!("{dialect} filters by {} only", names.join(", "))));
    };
    // The words of the other direction are only needed for pages backward. Test:
    // `a_filter_in_one_direction_is_used_in_that_direction`.
    if !terms.has_after(direction) && !terms.has_from_on(direction) {
        let words = if direction == Direction::Ascending { "gte or gt" } else { "lte or lt" };
        return Some(Obstacle::new(
            needs,
            format!("{dialect} has no {words} for what follows a {first} in this order"),
        ));
    }
    field_obstacle(first, field, filter, terms, dialect)
}

/// Returns the reason why the cursors of an order can't contain only ids; `None` if they can. The keys of a cursor's
/// item are looked up by its id, which needs the dialect's `[item]` unless the id is the first key. A first key without
/// filters isn't an obstacle, because the place is then searched for.
fn seek_obstacle(list: &ListSettings, places: Places, first: Option<&SortTerm>) -> Option<Obstacle> {
    let dialect = &list.dialect.name;
    match first.map(|term| term.field.as_str()) {
        _ if places == Places::Tokens => {
            let help = format!("{dialect} pages by token or link");
            Some(Obstacle::new("offsets or page numbers", help))
        }
        None => {
            let help = "write the order of the list: order = [\"-created_at\", \"id\"]";
            Some(Obstacle::new("a declared order", help))
        }
        Some(ID) => None,
        Some(_) => {
            let help = format!("{dialect} has none: give it [item] path = \"{{path}}/{{id}}\"");
            list.dialect.item.is_none().then(|| Obstacle::new("a way to ask for one item", help))
        }
    }
}

/// Returns whether the range at the start of a page can include the item of the cursor. It can if ranges include their
/// own end (`x >= 10`), or begin at a neighbouring value (`x > 9`), which numbers and date-times have.
pub fn shows_its_end(list: &ListSettings, first: &SortTerm) -> bool {
    let SortTerm { field: name, direction } = first;
    let Some(filter) = &list.dialect.filter else {
        return false;
    };
    let Some(terms) = terms_for(filter, &upstream_name(list, name)) else {
        return false;
    };
    let kind = list.fields.iter().find(|field| field.name == *name).map(|field| &field.kind);
    let has_neighbours = matches!(kind, Some(Kind::Number | Kind::NumberInString | Kind::Datetime));
    let with_equal = terms.eq.is_some() && alternatives(filter, terms);
    terms.has_from_on(*direction) || (terms.has_after(*direction) && (has_neighbours || with_equal))
}

/// Returns whether alternatives can be written, that is, two comparisons of which one must hold.
fn alternatives(filter: &DialectFilter, terms: &DialectTerms) -> bool {
    filter.or.is_some()
        || [&terms.lt, &terms.gt, &terms.after, &terms.before]
            .into_iter()
            .flatten()
            .any(|term| term.value.contains("{group}"))
}

/// Returns the words for comparisons with a field, which has this upstream name; `None` if the dialect can't filter by
/// it.
fn terms_for<'a>(filter: &'a DialectFilter, upstream: &str) -> Option<&'a DialectTerms> {
    if filter.fields.is_empty() {
        return Some(&filter.terms);
    }
    filter.fields.iter().find(|(name, _)| name.value == upstream).map(|(_, terms)| terms)
}

/// Returns the upstream name of a field; for the id, by default the last step of its place.
fn upstream_name<'a>(list: &'a ListSettings, name: &'a str) -> Cow<'a, str> {
    let field = list.fields.iter().find(|field| field.name == name);
    if let Some(upstream) = field.and_then(|field| field.upstream.as_deref()) {
        return Cow::Borrowed(upstream);
    }
    if name != ID {
        return Cow::Borrowed(name);
    }
    let place =
        list.id.as_ref().or_else(|| field.and_then(|field| field.at.as_ref())).or(list.dialect.response.id.as_ref());
    place.map_or(Cow::Borrowed(name), |place| Cow::Owned(last_step(&place.value)))
}

fn field_obstacle(
    name: &str,
    field: Option<&FieldSettings>,
    filter: &DialectFilter,
    terms: &DialectTerms,
    dialect: &str,
) -> Option<Obstacle> {
    let kind = field.map_or(&Kind::Inferred, |field| &field.kind);
    if matches!(kind, Kind::Opaque | Kind::Rank(_)) {
        let help = "its values are sorted by rules of the upstream's, and a filter may compare them by others";
        return Some(Obstacle::new(format!("a first key that compares as it is written, and {name} does not"), help));
    }
    let quotes = filter.query.is_some() || !filter.quote.is_empty();
    if quotes && *kind == Kind::Inferred && !quotes_texts_alike(filter) {
        let help = format!("set fields.{name}.type: {dialect} writes strings, dates and UUIDs in different ways");
        return Some(Obstacle::new(format!("to know what {name} is"), help));
    }
    if quotes && *kind == Kind::Text && quote_of(filter, QuotedKind::Text) == Quote::None {
        let help =
            format!("{dialect} has no quote = {{ string = … }}, and bare strings could be read as something else");
        return Some(Obstacle::new(format!("to write values of {name}"), help));
    }
    let nulls = field.map_or(Nulls::Unsaid, |field| field.nulls);
    // An id is never null, so nulls are no obstacle.
    if name == ID || nulls == Nulls::None {
        return None;
    }
    let filters_nulls = terms.null.is_some() && terms.not_null.is_some();
    match nulls {
        Nulls::Unsaid => {
            let help = match filters_nulls {
                true => format!(
                    "fields.{name}.nulls = \"none\" where there are none, else \"first\", \"last\", \"smallest\" or \"largest\""
                ),
                false => format!("fields.{name}.nulls = \"none\" where there are none; {dialect} can't filter by them"),
            };
            Some(Obstacle::new(format!("to know where nulls are in {name}"), help))
        }
        _ if filters_nulls => None,
        _ => Some(Obstacle::new(
            format!("filters on nulls of {name}"),
            format!("{dialect} has no comparisons with null"),
        )),
    }
}

/// Returns whether the filter quotes texts, numbers in strings, times and UUIDs in the same way. All of these are JSON
/// strings, so an answer doesn't distinguish them.
fn quotes_texts_alike(filter: &DialectFilter) -> bool {
    let text = quote_of(filter, QuotedKind::Text);
    let others = [QuotedKind::NumberInString, QuotedKind::Datetime, QuotedKind::Uuid];
    others.into_iter().all(|kind| quote_of(filter, kind) == text)
}

fn quote_of(filter: &DialectFilter, kind: QuotedKind) -> Quote {
    filter.quote.iter().find(|(known, _)| *known == kind).map_or(Quote::None, |(_, quote)| quote.value)
}
