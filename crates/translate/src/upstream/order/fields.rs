//! The fields of a route's items: their places, kinds, and upstream names.

use crate::upstream::place::PlaceCompiler;
use cursorgate_config::{
    diagnostic::Located,
    settings::{FieldSettings, ListSettings, SortTerm},
};
use cursorgate_core::{
    json::Pointer,
    pagination::order::{Direction, Grain, Kind, Nulls, Order, SortKey, Ties},
};

/// The name of the id in `order`, `sortable` and `fields`, whatever its place.
const ID: &str = "id";

/// All fields that an order of the route can name.
#[derive(Clone, Debug)]
pub struct DialectFields {
    id: DialectField,
    others: Vec<DialectField>,
    sortable: Vec<String>,
    filterable: Vec<String>,
}

#[derive(Clone, Debug)]
struct DialectField {
    name: String,
    kind: Kind,
    nulls: Nulls,
    grain: Option<Grain>,
    /// The field's name in the upstream's sort and filters.
    upstream: String,
    /// The place of the field in an element.
    at: Pointer,
}

impl DialectFields {
    /// Compiles the id and the fields that the order or `sortable` names, with their settings in `fields`. Reports
    /// faults, and returns `None` if there are any.
    pub fn compile(list: &ListSettings, places: &mut PlaceCompiler<'_>) -> Option<Self> {
        let sortable: Vec<String> = list.sortable.iter().map(|name| name.value.clone()).collect();
        let mut names: Vec<Located<&str>> = Vec::new();
        let ordered = list.order.iter().map(|term| Located { value: term.value.field.as_str(), at: term.at });
        let sorted = list.sortable.iter().map(|name| Located { value: name.value.as_str(), at: name.at });
        for name in ordered.chain(sorted).filter(|name| name.value != ID) {
            if names.iter().all(|known| known.value != name.value) {
                names.push(name);
            }
        }
        let settings_of = |name: &str| list.fields.iter().find(|field| field.name == name);
        let id = compile_id(list, settings_of(ID), places);
        let others: Vec<Option<DialectField>> =
            names.iter().map(|name| DialectField::compile(name, settings_of(name.value), places)).collect();
        let filterable = list.filterable.iter().map(|name| name.value.clone()).collect();
        Some(Self { id: id?, others: others.into_iter().collect::<Option<_>>()?, sortable, filterable })
    }

    /// Returns whether the endpoint can sort by any field.
    pub fn any_sortable(&self) -> bool {
        !self.sortable.is_empty()
    }

    /// Returns the fields that the endpoint can sort by, each with the position of its nulls.
    pub fn sortable(&self) -> impl Iterator<Item = (&str, Nulls)> {
        self.sortable.iter().map(|name| (name.as_str(), self.field(name).nulls))
    }

    /// Returns whether the endpoint can sort by this field.
    pub fn can_sort_by(&self, field: &str) -> bool {
        self.sortable.iter().any(|name| name == field)
    }

    /// Returns whether the endpoint can sort by the id.
    pub fn can_sort_by_id(&self) -> bool {
        self.can_sort_by(ID)
    }

    /// Returns whether the endpoint can filter by ranges of this field.
    pub fn can_filter_by(&self, field: &str) -> bool {
        self.filterable.iter().any(|name| name == field)
    }

    /// Returns the name of a field in the upstream's sort and filters; by default the field's own name.
    pub fn upstream_name<'a>(&'a self, name: &'a str) -> &'a str {
        match self.others.iter().find(|field| field.name == name) {
            Some(field) => &field.upstream,
            None if name == ID => &self.id.upstream,
            None => name,
        }
    }

    /// Returns the place of a field in an element.
    pub fn pointer(&self, name: &str) -> Pointer {
        self.field(name).at.clone()
    }

    /// Returns the order of a list without a declared order. Its only key is the id, which distinguishes items.
    pub fn no_order(&self) -> Order {
        Order::undeclared(self.id.key(Direction::Ascending))
    }

    /// Returns the order of these terms. Terms after the id have no effect and are dropped.
    pub fn order(&self, terms: &[SortTerm], id_direction: Direction) -> Order {
        let id_term = terms.iter().position(|term| term.field == ID);
        // Ids differ, so terms after the id decide nothing. Test: `clients_choose_an_order`.
        let strong = &terms[..id_term.unwrap_or(terms.len())];
        let id_direction = id_term.map_or(id_direction, |at| terms[at].direction);
        let strong = strong.iter().map(|term| self.field(&term.field).key(term.direction)).collect();
        Order::declared(strong, self.id.key(id_direction), Ties::Unordered)
    }

    /// Returns a field by its name. An unknown name would return the id, but `order` and `sortable` contain only known
    /// names.
    fn field(&self, name: &str) -> &DialectField {
        let found = self.others.iter().find(|field| field.name == name);
        debug_assert!(found.is_some() || name == ID, "terms come from the route's own names");
        found.unwrap_or(&self.id)
    }
}

impl DialectField {
    fn compile(name: &Located<&str>, settings: Option<&FieldSettings>, places: &mut PlaceCompiler<'_>) -> Option<Self> {
        let at = match settings.and_then(|settings| settings.at.as_ref()) {
            Some(at) => places.pointer(at)?,
            None => places.pointer(&Located { value: member(name.value), at: name.at })?,
        };
        Some(Self {
            name: name.value.to_owned(),
            kind: settings.map_or(Kind::Inferred, |settings| settings.kind.clone()),
            nulls: settings.map_or(Nulls::Unsaid, |settings| settings.nulls),
            grain: settings.and_then(|settings| settings.grain),
            upstream: settings.and_then(|settings| settings.upstream.clone()).unwrap_or_else(|| name.value.to_owned()),
            at,
        })
    }

    fn key(&self, direction: Direction) -> SortKey {
        SortKey { name: self.name.clone(), direction, kind: self.kind.clone(), nulls: self.nulls, grain: self.grain }
    }
}

/// Compiles the id. Its place is the first of these that is stated: the route's `id`, `fields.id.at`, the dialect's
/// place; otherwise `/id`. Returns `None` if the place is invalid. The id's upstream name is `fields.id.upstream`, or
/// else the last step of the place.
fn compile_id(
    list: &ListSettings,
    settings: Option<&FieldSettings>,
    places: &mut PlaceCompiler<'_>,
) -> Option<DialectField> {
    let said = list.id.as_ref();
    let said = said.or_else(|| settings.and_then(|settings| settings.at.as_ref()));
    let place = said.or(list.dialect.response.id.as_ref());
    let text = place.map_or("/id", |place| place.value.as_str());
    let at = match place {
        Some(place) => places.pointer(place)?,
        None => places.pointer(&Located { value: text.to_owned(), at: list.dialect.at })?,
    };
    Some(DialectField {
        name: ID.to_owned(),
        kind: settings.map_or(Kind::Inferred, |settings| settings.kind.clone()),
        // An id is never null, so no setting is needed.
        nulls: Nulls::None,
        grain: None,
        upstream: settings.and_then(|settings| settings.upstream.clone()).unwrap_or_else(|| last_step(text)),
        at,
    })
}

/// Returns the name of the member that a pointer leads to, or `id` if the pointer has no step.
pub(super) fn last_step(pointer: &str) -> String {
    // `~1` is replaced before `~0`, so `~01` becomes `~1` and not a slash (RFC 6901 section 4).
    pointer.rsplit_once('/').map_or(ID, |(_, step)| step).replace("~1", "/").replace("~0", "~")
}

/// Returns the pointer to a member, as a template. Braces in the name are doubled because they are literal.
fn member(name: &str) -> String {
    // `~` is escaped first. Otherwise the `~` of an escaped slash would be escaped again.
    let escaped = name.replace('~', "~0").replace('/', "~1").replace('{', "{{").replace('}', "}}");
    format!("/{escaped}")
}
