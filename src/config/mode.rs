//! Whether a route's pages can be found in a mode: what it takes, and what is missing.

use super::{
    settings::{DialectFilter, DialectSettings, DialectTerms, EndWord, FieldSettings, ListSettings, Quote, QuotedKind},
    tree::{LocatedTree, Tree},
};
use crate::pagination::order::{Kind, Nulls};

/// What the id is called in `order`, `sortable`, `filterable` and `fields`, wherever it stands.
const ID: &str = "id";

/// How a dialect names the part of a list that it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// By offset.
    Offsets,
    /// By page number.
    Pages,
    /// By what the upstream hands out: a token, a link, an item; or nothing, where each answer is the whole list.
    Tokens,
    /// Not at all: what is asked for begins where its range filter does.
    Ranges,
}

impl Places {
    /// What a dialect's request says; nothing where it never says which part of the list it wants.
    #[must_use]
    pub fn of(dialect: &DialectSettings) -> Option<Self> {
        if mentions(dialect, &["{page}"]) {
            return Some(Self::Pages);
        }
        if mentions(dialect, &["{offset}", "{end}", "{last}"]) {
            return Some(Self::Offsets);
        }
        let response = &dialect.response;
        if matches!(&response.end, Some(end) if end.value == EndWord::WholeList) {
            return Some(Self::Tokens);
        }
        let by_link = response.next_url.is_some() || response.next_params.is_some();
        let by_token = mentions(dialect, &["{token}", "{next_token}", "{prev_token}", "{after}", "{before}"]);
        if by_token || by_link {
            return Some(Self::Tokens);
        }
        dialect.filter.as_ref().map(|_| Self::Ranges)
    }
}

/// Whether the size of an answer can be asked for.
#[must_use]
pub fn size_is_asked(dialect: &DialectSettings) -> bool {
    mentions(dialect, &["{size}", "{end}", "{last}"])
}

fn mentions(dialect: &DialectSettings, variables: &[&str]) -> bool {
    let request = &dialect.request;
    variables.iter().any(|variable| {
        request.query.value.contains(variable)
            || request.headers.iter().any(|(_, value)| value.value.contains(variable))
            || request.body.as_ref().is_some_and(|body| mentioned_in(body, &variable[..variable.len() - 1]))
    })
}

/// Whether a text of a skeleton has a placeholder that begins like this, and ends or goes on with `|null`.
fn mentioned_in(tree: &LocatedTree, placeholder: &str) -> bool {
    match &tree.value {
        Tree::Text(text) => ["}", "|null}"].iter().any(|end| text.contains(&format!("{placeholder}{end}"))),
        Tree::Array(elements) => elements.iter().any(|element| mentioned_in(element, placeholder)),
        Tree::Object(members) => members.iter().any(|(_, value)| mentioned_in(value, placeholder)),
        Tree::Null | Tree::Boolean(_) | Tree::Number(_) => false,
    }
}

/// What keeps a mode from working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What it needs, as the end of a sentence: `range filters on created_at`.
    pub needs: String,
    /// What would be right.
    pub help: String,
}

impl Obstacle {
    fn new(needs: impl Into<String>, help: impl Into<String>) -> Self {
        Self { needs: needs.into(), help: help.into() }
    }
}

/// What keeps pages of an order from being found by range filters on its first key; `id` is the item's id, none stands
/// for no declared order.
#[must_use]
pub fn keyset_obstacle(list: &ListSettings, first: Option<&str>) -> Option<Obstacle> {
    let dialect = &list.dialect.name;
    if Places::of(&list.dialect) == Some(Places::Tokens) {
        let help = format!("{dialect} pages by what it hands out");
        return Some(Obstacle::new("places that can be asked for", help));
    }
    let Some(first) = first else {
        let help = "say what the list is sorted by: order = [\"-created_at\", \"id\"]";
        return Some(Obstacle::new("a declared order", help));
    };
    let needs = match Places::of(&list.dialect) {
        Some(Places::Ranges) => format!("range filters on {first}, for {dialect} is told no place"),
        _ => format!("range filters on {first}"),
    };
    let Some(filter) = &list.dialect.filter else {
        let help = format!("{dialect} has none: a dialect of your own that extends it may have a [filter]");
        return Some(Obstacle::new(needs, help));
    };
    if !list.filterable.iter().any(|field| field.value == first) {
        let help = match list.filterable.as_slice() {
            [] => format!("if the endpoint can filter by {first}, say filterable = [\"{first}\"]"),
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
    let terms = terms_for(filter, upstream_name(list, first));
    let Some(terms) = terms else {
        let names: Vec<&str> = filter.fields.iter().map(|(name, _)| name.value.as_str()).collect();
        return Some(Obstacle::new(needs, format!("{dialect} filters by {} only", names.join(", "))));
    };
    if !terms.is_exclusive() && !has_inclusive(filter, terms) {
        return Some(Obstacle::new(needs, format!("{dialect} has no words for less and for greater")));
    }
    field_obstacle(first, field, filter, terms, dialect)
}

/// What keeps cursors of an order from carrying ids alone: the keys of an item must be there to be looked up. Where its
/// first key can't be filtered by, its place is searched for.
#[must_use]
pub fn seek_obstacle(list: &ListSettings, first: Option<&str>) -> Option<Obstacle> {
    let dialect = &list.dialect.name;
    match first {
        _ if Places::of(&list.dialect) == Some(Places::Tokens) => {
            let help = format!("{dialect} pages by what it hands out");
            Some(Obstacle::new("places that can be asked for", help))
        }
        None => {
            let help = "say what the list is sorted by: order = [\"-created_at\", \"id\"]";
            Some(Obstacle::new("a declared order", help))
        }
        Some(ID) => None,
        Some(_) => {
            let help = format!("{dialect} has none: give it [item] path = \"{{path}}/{{id}}\"");
            list.dialect.item.is_none().then(|| Obstacle::new("a way to ask for one item", help))
        }
    }
}

/// Whether ranges of a field can be asked for that show the item which they are to begin after: because they hold their
/// own end, or because a value that lies just outside can be named.
#[must_use]
pub fn shows_its_end(list: &ListSettings, name: &str) -> bool {
    let Some(filter) = &list.dialect.filter else {
        return false;
    };
    let Some(terms) = terms_for(filter, upstream_name(list, name)) else {
        return false;
    };
    let kind = list.fields.iter().find(|field| field.name == name).map(|field| &field.kind);
    let has_neighbours = matches!(kind, Some(Kind::Number | Kind::NumberInString | Kind::Datetime));
    has_inclusive(filter, terms) || (has_neighbours && terms.is_exclusive())
}

/// Whether a range that holds its own end can be asked for, both ways.
fn has_inclusive(filter: &DialectFilter, terms: &DialectTerms) -> bool {
    let either = terms.eq.is_some() && alternatives(filter, terms);
    terms.is_inclusive()
        || ((terms.lte.is_some() || (terms.lt.is_some() && either))
            && (terms.gte.is_some() || (terms.gt.is_some() && either)))
        || (terms.is_exclusive() && either)
}

/// Whether one of two comparisons can be asked for.
fn alternatives(filter: &DialectFilter, terms: &DialectTerms) -> bool {
    filter.or.is_some()
        || [&terms.lt, &terms.gt, &terms.after, &terms.before]
            .into_iter()
            .flatten()
            .any(|term| term.value.contains("{group}"))
}

/// The words for a field, by what the upstream calls it.
fn terms_for<'a>(filter: &'a DialectFilter, upstream: &str) -> Option<&'a DialectTerms> {
    if filter.fields.is_empty() {
        return Some(&filter.terms);
    }
    filter.fields.iter().find(|(name, _)| name.value == upstream).map(|(_, terms)| terms)
}

/// What the upstream calls a field. The id goes by the last step of its place.
fn upstream_name<'a>(list: &'a ListSettings, name: &'a str) -> &'a str {
    let field = list.fields.iter().find(|field| field.name == name);
    if let Some(upstream) = field.and_then(|field| field.upstream.as_deref()) {
        return upstream;
    }
    if name != ID {
        return name;
    }
    let place =
        list.id.as_ref().or_else(|| field.and_then(|field| field.at.as_ref())).or(list.dialect.response.id.as_ref());
    place.and_then(|place| place.value.rsplit_once('/')).map_or(name, |(_, step)| step)
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
        let help = format!("say fields.{name}.type: {dialect} writes strings, dates and UUIDs in different ways");
        return Some(Obstacle::new(format!("to know what {name} is"), help));
    }
    if quotes && *kind == Kind::Text && quote_of(filter, QuotedKind::Text) == Quote::None {
        let help =
            format!("{dialect} has no quote = {{ string = … }}, and bare strings could be read as something else");
        return Some(Obstacle::new(format!("to write values of {name}"), help));
    }
    let nulls = field.map_or(Nulls::Unsaid, |field| field.nulls);
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
            Some(Obstacle::new(format!("to know where nulls stand in {name}"), help))
        }
        _ if filters_nulls => None,
        _ => Some(Obstacle::new(format!("filters on nulls of {name}"), format!("{dialect} has no words for null"))),
    }
}

/// Whether every kind of value that is a JSON string stands in an expression in the same way.
fn quotes_texts_alike(filter: &DialectFilter) -> bool {
    let text = quote_of(filter, QuotedKind::Text);
    let others = [QuotedKind::NumberInString, QuotedKind::Datetime, QuotedKind::Uuid];
    others.into_iter().all(|kind| quote_of(filter, kind) == text)
}

fn quote_of(filter: &DialectFilter, kind: QuotedKind) -> Quote {
    filter.quote.iter().find(|(known, _)| *known == kind).map_or(Quote::None, |(_, quote)| quote.value)
}
