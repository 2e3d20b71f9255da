//! The check of a route that serves or observes a list.

use super::{
    Context, dialect::Dialects, envelope::Envelopes, field, legacy, mode, page_cache, parameter_names, principal,
    services,
};
use crate::{
    diagnostic::{Located, Location},
    key::TableSettings as _,
    keys::{BUDGETS, CURSOR, CURSOR_KEYS, FILE, PAGE_SIZE, ROUTE, ROUTE_PARAMETERS},
    settings::{
        Budgets, CursorSettings, DialectSettings, EnvelopeSettings, ListSettings, NewClients, PageSizeSettings,
        ParameterSettings, Role, SortTerm,
    },
    spanned::{Spanned, Value},
    syntax,
};
use cursorgate_core::pagination::{order::Direction, resolver::Verify};

/// A route with its defaults merged in.
pub(super) struct Route<'a> {
    pub(super) name: &'a str,
    pub(super) at: Location,
    pub(super) written: &'a Spanned,
}

/// A declared order: the keys before the id, and the direction of the id.
type Order = (Vec<Located<SortTerm>>, Direction);

impl Route<'_> {
    /// Reads the settings of the list. Returns `None` if a required part is missing or faulty, which is reported.
    /// `collection` is the last fixed segment of the path, which the key `collection` of the route replaces.
    pub(super) fn read(
        &self,
        collection: Option<String>,
        dialects: &mut Dialects<'_>,
        envelopes: &mut Envelopes,
        root: &Spanned,
        context: &mut Context<'_>,
    ) -> Option<ListSettings> {
        let dialect = self.dialect(dialects, context);
        let errors = ROUTE.errors.located(self.written);
        let envelope = self.envelope().and_then(|name| envelopes.of_route(&name, errors.as_ref(), context));
        let offered = self.offered(envelope.as_ref(), envelopes, context);
        let id = ROUTE.id.read(self.written);
        let order = self.order(id.as_ref(), dialect.as_ref(), context);
        let (page_size, budgets) = (self.page_size(dialect.as_ref(), context), self.budgets(context));
        let parameters = self.parameters();
        // A faulty envelope has been reported. Its parameters aren't known, so it is assumed to have one for cursors.
        let takes_cursors = envelope.as_ref().is_none_or(|envelope| {
            let roles = envelope.parameters.iter().chain(&parameters.renamed);
            roles.into_iter().any(|(role, _)| matches!(role, Role::Cursor | Role::After))
        });
        let legacy = legacy::legacy(self.written, takes_cursors, context);
        let collection = ROUTE.collection.read(self.written).or(collection);
        let fields = field::fields(self.written, context);
        let declared = ROUTE.order.find(self.written).is_some();
        // A list with a faulty order isn't checked further: without an order it would count as a list whose order isn't
        // declared, and get misleading faults.
        let (order, id_direction) = if declared { order? } else { (Vec::new(), Direction::Ascending) };
        field::check_opaque(&order, &fields, context);
        self.warn_of_offsets(context);
        // All parts are read before a missing one ends the function, so the faults of all are reported.
        let list = ListSettings {
            dialect: dialect?,
            envelope: envelope?,
            envelopes: offered,
            inner: services::reads_lists(root).then(|| Envelopes::of_services(self.at, context)).flatten(),
            collection: collection?,
            declared,
            order,
            id_direction,
            fields,
            page_size,
            principal: principal::read(root, self.written),
            impersonal: principal::impersonal(root, self.written, context),
            cursor: self.cursor(root),
            parameters,
            legacy,
            new_clients: self.new_clients(),
            page_cache: page_cache::read(self.written),
            budgets,
            ..ListSettings::read(self.written)
        };
        page_cache::check(&list, self.written, context);
        mode::check(&list, self.written, context);
        principal::check(&list, self.written, context);
        principal::check_subject(root, self.written, context);
        Some(list)
    }

    /// Returns the name of the route's envelope. Returns `None` for a value of another type, which has been reported
    /// and must not become the default.
    fn envelope(&self) -> Option<Located<String>> {
        match ROUTE.envelope.find(self.written) {
            Some(_) => ROUTE.envelope.located(self.written),
            None => Some(Located { value: ROUTE.envelope.default(), at: self.at }),
        }
    }

    /// Reads the further envelopes that clients can choose, without the route's own one.
    fn offered(
        &self,
        own: Option<&EnvelopeSettings>,
        envelopes: &mut Envelopes,
        context: &mut Context<'_>,
    ) -> Vec<EnvelopeSettings> {
        let errors = ROUTE.errors.located(self.written);
        let names = ROUTE.envelopes.or_empty(self.written);
        let mut offered = Vec::new();
        for (index, name) in names.iter().enumerate() {
            if names[..index].iter().any(|other| other.value == name.value) {
                let message = format!("the envelope {:?} is offered twice", name.value);
                context.diagnostics.error(name.at, message, "remove one of them");
            } else if own.is_none_or(|own| own.name != name.value) {
                offered.extend(envelopes.of_route(name, errors.as_ref(), context));
            }
        }
        offered
    }

    fn warn_of_offsets(&self, context: &mut Context<'_>) {
        let verify = ROUTE.verify.placed(self.written);
        if verify.value == Verify::Never {
            let help = "items are skipped and repeated as they are by page=; \"when-cheap\" proves pages that take no further request";
            context.diagnostics.warning(verify.at, "pages are served by their offsets, unproven", help);
        }
    }

    fn new_clients(&self) -> NewClients {
        let settings: NewClients = ROUTE.new_clients.settings(self.written);
        let (preference, by) = settings.by.into_iter().partition::<Vec<_>, _>(|name| name.value == "prefer");
        NewClients { by, by_preference: preference.first().map(|word| word.at), ..settings }
    }

    fn dialect(&self, dialects: &mut Dialects<'_>, context: &mut Context<'_>) -> Option<DialectSettings> {
        let message = format!("routes.{} names no dialect", self.name);
        let help = "dialect = \"NAME\", the way in which its upstream pages: `cursorgate dialects` lists them";
        let name = context.required(&ROUTE.dialect, self.written, message, help)?;
        dialects.find(&name, context)
    }

    fn order(
        &self,
        id: Option<&Located<String>>,
        dialect: Option<&DialectSettings>,
        context: &mut Context<'_>,
    ) -> Option<Order> {
        let written = ROUTE.order.find(self.written)?;
        let terms = ROUTE.order.or_empty(self.written);
        let Value::List(elements) = &written.value else {
            return None;
        };
        if elements.is_empty() {
            let help = "write [\"id\"] if the list is sorted by the id; remove `order` if its order is not known";
            context.diagnostics.error(written.at, "the order is empty", help);
            return None;
        }
        // Faulty terms have been reported, and without them the order isn't known.
        if terms.len() < elements.len() || terms.iter().any(|term| syntax::sort_term(&term.value).is_err()) {
            return None;
        }
        let mut strong: Vec<Located<SortTerm>> = Vec::new();
        for (index, term) in terms.iter().enumerate() {
            let (field, direction) = syntax::read_sort_term(&term.value);
            // A second occurrence of a field decides nothing, in either direction: the items that it compares have
            // equal values. Test: `the_report_on_each_case_matches_its_snapshot` (tests/config/orders.toml).
            if strong.iter().any(|known| known.value.field == field) {
                context.diagnostics.error(term.at, format!("{field} is in the order twice"), "remove this one");
                return None;
            }
            if field == "id" && index + 1 == terms.len() {
                return Some((strong, direction));
            }
            if field == "id" {
                let message = "the id must be the last key of an order";
                context.diagnostics.error(
                    term.at,
                    message,
                    "no two items have the same id: move it to the end, or remove the rest",
                );
                return None;
            }
            strong.push(Located { value: SortTerm { field: field.to_owned(), direction }, at: term.at });
        }
        let id = id.or_else(|| dialect.and_then(|dialect| dialect.response.id.as_ref()));
        let id = id.map_or("/id", |id| id.value.as_str());
        let last = strong.last().map_or("", |term| term.value.field.as_str());
        // The last key may be the id under its name in items, unless `fields` describes a field with that name.
        let is_the_id = ROUTE.fields.table(self.written).find(last).is_none() && id.strip_prefix('/') == Some(last);
        let help = if is_the_id {
            let own = terms.iter().map(|term| format!("{:?}", term.value.replace(last, "id")));
            format!(
                "{last} is the id here, and named by its role: write order = [{}]",
                own.collect::<Vec<_>>().join(", ")
            )
        } else {
            format!("items with equal {last} would have no order: add \"id\" (the id is at {id})")
        };
        context.diagnostics.error(written.at, "the order doesn't end in the id", help);
        None
    }

    fn page_size(&self, dialect: Option<&DialectSettings>, context: &mut Context<'_>) -> PageSizeSettings {
        let table = ROUTE.page_size.table(self.written);
        // 0 has been reported as out of range, so the default replaces it.
        let max = Some(PAGE_SIZE.max.read(&table)).filter(|max| *max > 0).unwrap_or_else(|| PAGE_SIZE.max.default());
        let default = PAGE_SIZE.default.located(&table);
        if let Some(default) = default.as_ref().filter(|default| default.value > max) {
            let message = format!("page_size.default is {}, and page_size.max {max}", default.value);
            context.diagnostics.error(default.at, message, format!("lower this to {max}, or raise page_size.max"));
        }
        // A `max` below the built-in default isn't a fault, and lowers that default.
        let default = default.map_or_else(|| max.min(PAGE_SIZE.default.default()), |default| default.value);
        let at = PAGE_SIZE.max.find(&table).map(|max| max.at).or_else(|| dialect.map(|dialect| dialect.at));
        PageSizeSettings { default, max, at: at.unwrap_or(self.at), ..PageSizeSettings::read(&table) }
    }

    fn budgets(&self, context: &mut Context<'_>) -> Budgets {
        let table = ROUTE.budgets.table(self.written);
        let mut budgets = Budgets::read(&table);
        let requests = budgets.upstream_requests;
        // 0 has been reported as out of range, so it isn't compared with `upstream_requests`. Test:
        // `the_report_on_each_case_matches_its_snapshot` (tests/config/budgets.toml).
        let search = BUDGETS.search_requests.located(&table);
        if let Some(search) = search.filter(|search| (1..requests).contains(&search.value)) {
            let message =
                format!("budgets.search_requests is {}, and budgets.upstream_requests {requests}", search.value);
            let help = "a page that must be searched for may take more requests than others, not fewer";
            context.diagnostics.error(search.at, message, help);
        }
        // The built-in default may be less than `upstream_requests`, and a search must have at least as many requests.
        budgets.search_requests = budgets.search_requests.max(requests);
        budgets
    }

    fn cursor(&self, root: &Spanned) -> CursorSettings {
        let own = ROUTE.cursor.table(self.written);
        let common = FILE.cursor.table(root);
        let sealed = CURSOR.sealed.find(&own).map(|_| CURSOR.sealed.read(&own).unwrap_or(false));
        CursorSettings {
            sealed: sealed.unwrap_or_else(|| CURSOR_KEYS.sealed.read(&common)),
            ttl: CURSOR.ttl.read(&own).or_else(|| CURSOR_KEYS.ttl.read(&common)),
            accept: CURSOR.accept.read(&own).unwrap_or_else(|| CURSOR_KEYS.accept.read(&common)),
            names: ROUTE.was.or_empty(self.written),
            ..CursorSettings::read(&own)
        }
    }

    fn parameters(&self) -> ParameterSettings {
        let table = ROUTE.parameters.table(self.written);
        ParameterSettings { renamed: parameter_names!(&ROUTE_PARAMETERS, &table), ..ParameterSettings::read(&table) }
    }
}
