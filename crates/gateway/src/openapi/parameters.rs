//! The parameters of an operation, under the names that the envelope and the route give them.

use super::described::{DescribedRoute, ROLES, term};
use cursorgate_config::settings::{EnvelopeSettings, Mode, OldClients, OverMax, Role, SortTerm, ZeroLimit};
use cursorgate_core::{
    json::Document,
    pagination::{order::Direction, paging::Family},
};
use cursorgate_translate::downstream::{Parameters, envelope::schema};

impl DescribedRoute<'_> {
    /// Returns the query parameters and the header `Prefer`.
    pub(super) fn parameters(&self) -> Vec<Document> {
        let mut parameters: Vec<(String, Document)> = Vec::new();
        for (envelope, own) in self.conventions() {
            let mut named = Vec::new();
            self.push_own(envelope, own, &mut named);
            for (name, parameter) in named {
                // If two conventions use the same name for different parameters, the first convention is described, and
                // the route's own comes first.
                if !parameters.iter().any(|(known, _)| *known == name) {
                    parameters.push((name, parameter));
                }
            }
        }
        self.push_upstream_sorts(&mut parameters);
        let mut parameters: Vec<Document> = parameters.into_iter().map(|(_, parameter)| parameter).collect();
        self.push_legacy(&mut parameters);
        parameters.extend(self.preferences());
        for name in &self.list_settings.parameters.filters {
            let text = "A filter, which passes to the upstream".to_owned();
            parameters.push(in_query(&name.value, text, false, schema::kind("string")));
        }
        parameters.push(filters());
        parameters
    }

    /// Returns the names of the query parameters for positions and limits.
    pub(super) fn paging_names(&self) -> impl Iterator<Item = &str> {
        let roles = || ROLES.into_iter().filter(|role| *role != Role::Sort);
        self.conventions().flat_map(move |(_, own)| roles().filter_map(|role| own.query_name(role)))
    }

    /// Adds the query parameters of one convention.
    fn push_own(&self, envelope: &EnvelopeSettings, own: &Parameters, named: &mut Vec<(String, Document)>) {
        for role in ROLES {
            let Some(name) = own.query_name(role) else { continue };
            let Some((mut text, mut schema)) = self.parameter(role, envelope) else { continue };
            // A client that doesn't know of marks would get the old answer, so the description requires one. Test:
            // `the_first_cursor_is_required_where_old_clients_are`.
            let is_first = own.has_old_clients() && own.start_name() == Some(name);
            if is_first {
                let start = own.first_cursor();
                text = format!("{}; `{start}` for the first page", text.replace("; none for the first page", ""));
                schema = schema.with("default", start.into());
            }
            let parameter = in_query(name, text, false, schema);
            let is_required = is_first && !self.offers_envelopes();
            named
                .push((name.to_owned(), if is_required { parameter.with("required", true.into()) } else { parameter }));
        }
        if self.list.dialect.can_sort() && own.takes_sort_pair() {
            let fields = self.sortable().map(str::to_owned).collect();
            let text = "The sort fields, the first one first; `order_by` has their directions";
            named.push(("sort_by".to_owned(), in_query("sort_by", text.to_owned(), false, some_of(fields))));
            // The schema has a pattern instead of an enum. Together with an envelope's own parameter `orderBy`,
            // generated code would otherwise have two enums with the same name.
            let direction = schema::kind("string").with("pattern", "^(asc|desc)$".into());
            let directions = schema::kind("array").with("items", direction).with("minItems", 1_u32.into());
            let text = "The directions of the fields of `sort_by`, or one for all of them";
            named.push(("order_by".to_owned(), in_query("order_by", text.to_owned(), false, directions)));
        }
    }

    /// Returns the description and the schema of a parameter; `None` if the list doesn't take the parameter.
    pub(super) fn parameter(&self, role: Role, envelope: &EnvelopeSettings) -> Option<(String, Document)> {
        let length = Document::Number(self.list_settings.cursor.length.to_string());
        let token = schema::kind("string").with("maxLength", length);
        let seeks = self.list_settings.mode.value == Mode::Seek;
        // Tokens have no end to begin at.
        let from_end =
            if self.list.dialect.paging().family == Family::Token { "" } else { "; `end` for the last page" };
        let (text, schema) = match role {
            Role::Before | Role::BeforeId | Role::LimitBackward if !self.reads_back() => return None,
            Role::Limit | Role::LimitBackward => return Some(self.limit(role, envelope)),
            Role::Cursor => ("A cursor of this list; none for the first page", token),
            Role::After => ("The items after this one: a cursor of this list", token),
            Role::Before => {
                return Some((format!("The items before this one: a cursor of this list{from_end}"), token));
            }
            Role::AfterId | Role::BeforeId if !seeks => return None,
            Role::AfterId => ("The items after the one with this id", schema::kind("string")),
            Role::BeforeId => {
                let text = format!("The items before the one with this id{from_end}");
                return Some((text, schema::kind("string")));
            }
            Role::Sort => return self.list.dialect.can_sort().then(|| self.sort()),
        };
        Some((text.to_owned(), schema))
    }

    /// Returns whether the list can be read backward in its own order, or in one by a field that clients can choose.
    fn reads_back(&self) -> bool {
        let dialect = &self.list.dialect;
        let sorts_back = |field: &str, direction| {
            let terms = [SortTerm { field: field.to_owned(), direction }];
            dialect.sorted(&terms, direction).is_ok_and(|sorted| dialect.reads_back(&sorted))
        };
        let by = |field| [Direction::Ascending, Direction::Descending].iter().any(|way| sorts_back(field, *way));
        dialect.reads_back(dialect.default_sorted()) || (dialect.can_sort() && self.sortable().any(by))
    }

    fn limit(&self, role: Role, envelope: &EnvelopeSettings) -> (String, Document) {
        let size = &self.list_settings.page_size;
        let over = match size.over_max.unwrap_or(envelope.over_max) {
            OverMax::Clamp => "lowered to that number",
            OverMax::Reject => "refused",
        };
        let backward = if role == Role::LimitBackward { ", read backward" } else { "" };
        let text = format!("The number of items{backward}; more than {} are {over}", size.max);
        let least = u32::from(envelope.zero_limit == ZeroLimit::Reject);
        let mut schema = schema::integer(Some(least)).with("maximum", size.max.into());
        if role == Role::Limit {
            schema = schema.with("default", size.default.into());
        }
        (text, schema)
    }

    /// Returns the fields by which clients may sort.
    fn sortable(&self) -> impl Iterator<Item = &str> {
        self.list_settings.sortable.iter().map(|field| field.value.as_str())
    }

    fn sort(&self) -> (String, Document) {
        let schema = some_of(self.sortable().flat_map(|field| [field.to_owned(), format!("-{field}")]).collect());
        let mut text = "The sort fields, the first one first; `-` is descending, and so are \
                        `desc(field)`, `field.desc` and `field desc`"
            .to_owned();
        if self.list_settings.declared {
            let terms = self.list_settings.order.iter().map(|term| (&*term.value.field, term.value.direction));
            let terms = terms.chain([("id", self.list_settings.id_direction)]);
            let terms: Vec<String> = terms.map(|(field, direction)| term(field, direction)).collect();
            text.push_str(&format!(". Without it: {}", terms.join(",")));
        }
        (text, schema)
    }

    /// Describes the header `Prefer` (RFC 7240); `None` if the route reads no preference.
    fn preferences(&self) -> Option<Document> {
        let limit = self.list.conventions.all().find_map(|convention| convention.parameters.preferred_limit());
        let limit = limit.map(|limit| format!("`{limit}=N`: the number of items"));
        let names: Vec<&str> = self.list.conventions.all().map(|convention| convention.name.as_str()).collect();
        let envelope =
            (names.len() > 1).then(|| format!("`envelope=NAME`: the envelope of the answer, {}", names.join(", ")));
        let texts: Vec<String> = envelope.into_iter().chain(limit).collect();
        (!texts.is_empty()).then(|| {
            Document::object([
                ("name", "Prefer".into()),
                ("in", "header".into()),
                ("description", texts.join("; ").into()),
                ("schema", schema::kind("string")),
            ])
        })
    }

    /// Adds the parameters of legacy requests, unless the route refuses these requests.
    fn push_legacy(&self, parameters: &mut Vec<Document>) {
        let text = match self.list_settings.legacy.old_clients {
            OldClients::None | OldClients::Reject => return,
            OldClients::Pass => "For legacy clients: the upstream's own answer",
            OldClients::Redirect if self.redirects() => "For legacy clients: a redirect (307) to that page by cursor",
            OldClients::Redirect | OldClients::Translate => "For legacy clients: that page, with cursors that lead on",
        };
        let kind = match self.list.dialect.paging().family {
            Family::Token => schema::kind("string"),
            Family::Page | Family::Offset => schema::integer(Some(0)),
        };
        let own: Vec<&str> =
            self.conventions().flat_map(|(_, own)| ROLES.into_iter().filter_map(|role| own.query_name(role))).collect();
        let names = self.list.dialect.paging_names().iter().filter(|name| !own.contains(&name.as_str()));
        for name in names {
            parameters.push(in_query(name, text.to_owned(), true, kind.clone()));
        }
    }

    /// Adds the upstream's own sort parameters, which the gateway also reads.
    fn push_upstream_sorts(&self, parameters: &mut Vec<(String, Document)>) {
        let Some(form) = self.list.dialect.sort_form().filter(|_| self.list.dialect.can_sort()) else { return };
        let text = "The upstream's own sort parameter, read as the order that it means";
        for (name, _) in form.keys.iter().flat_map(|key| &key.pairs) {
            if !parameters.iter().any(|(known, _)| known == name) {
                let schema = schema::kind("string");
                parameters.push((name.clone(), in_query(name, text.to_owned(), true, schema)));
            }
        }
    }
}

/// Returns the schema of a non-empty array of these words, which a query parameter writes with commas.
fn some_of(words: Vec<String>) -> Document {
    let items = schema::kind("string").with("enum", Document::texts(words));
    schema::kind("array").with("items", items).with("minItems", 1_u32.into())
}

/// Describes a query parameter. An array is written as one parameter with commas.
fn in_query(name: &str, text: String, deprecated: bool, schema: Document) -> Document {
    let mut members = vec![("name", name.into()), ("in", "query".into()), ("description", text.into())];
    if deprecated {
        members.push(("deprecated", true.into()));
    }
    if schema.member("items").is_some() {
        members.extend([("style", "form".into()), ("explode", false.into())]);
    }
    members.push(("schema", schema));
    Document::object(members)
}

/// Describes all other query parameters, as an object in which each member is a parameter (`explode`).
fn filters() -> Document {
    let values = Document::object([("type", "string".into())]);
    let text = "All other parameters are filters, which pass to the upstream, but for names by which other APIs sort or \
                page, such as `orderBy` and `per_page`: those are `parameter_invalid`";
    // Without the example, pages such as Swagger UI make up filters, which a strict upstream refuses.
    Document::object([
        ("name", "filters".into()),
        ("in", "query".into()),
        ("description", text.into()),
        ("style", "form".into()),
        ("explode", true.into()),
        ("example", Document::Object(Vec::new())),
        ("schema", schema::kind("object").with("additionalProperties", values)),
    ])
}
