//! What a route that serves a list needs beside its path.

use super::{
    Context,
    dialect::Dialects,
    envelope::{self, Envelopes, ROLES},
    field, legacy, mode, principal,
};
use crate::{
    config::{
        diagnostic::{Located, Location},
        settings::{
            Budgets, CursorSettings, DialectSettings, EnvelopeSettings, ListSettings, Mode, PageSizeSettings,
            ParameterSettings, Role, SortTerm,
        },
        syntax,
        written::{Value, Written},
    },
    pagination::{
        order::{Direction, Ties},
        resolver::{ShortPages, Totals, Verify, WhenUnproven},
    },
};

/// A route with its defaults merged in.
pub(super) struct Route<'a> {
    pub(super) name: &'a str,
    pub(super) at: Location,
    pub(super) written: &'a Written,
}

/// A declared order: the strong keys, and which way the id runs.
type Order = (Vec<Located<SortTerm>>, Direction);

impl Route<'_> {
    /// `collection` is what the path calls the list; the route may say another name.
    pub(super) fn read(
        &self,
        collection: Option<String>,
        dialects: &mut Dialects<'_>,
        envelopes: &mut Envelopes,
        root: &Written,
        context: &mut Context<'_>,
    ) -> Option<ListSettings> {
        let dialect = self.dialect(dialects, context);
        let default = Located { value: "standard".into(), at: self.at };
        let errors = self.written.text("errors");
        let envelope = match self.written.find("envelope") {
            Some(_) => {
                self.written.text("envelope").and_then(|name| envelopes.of_route(&name, errors.as_ref(), context))
            }
            None => envelopes.of_route(&default, errors.as_ref(), context),
        };
        let offered = self.offered(envelope.as_ref(), envelopes, context);
        let id = self.written.text("id");
        let order = self.order(id.as_ref(), dialect.as_ref(), context);
        let page_size = self.page_size(dialect.as_ref(), context);
        let budgets = self.budgets(context);
        let parameters = self.parameters();
        let paging = legacy::paging_names(dialect.as_ref(), envelope.as_ref(), &parameters);
        let takes_cursors = envelope.as_ref().is_none_or(|envelope| {
            let roles = envelope.parameters.iter().chain(&parameters.renamed);
            roles.into_iter().any(|(role, _)| matches!(role, Role::Cursor | Role::After))
        });
        let legacy = legacy::legacy(self.written, &paging, takes_cursors, context);
        let collection = self.written.string("collection").or(collection);
        let fields = field::fields(self.written, context);
        let declared = self.written.find("order").is_some();
        let (order, id_direction) = if declared { order? } else { (Vec::new(), Direction::Ascending) };
        field::check_opaque(&order, &fields, context);
        let list = ListSettings {
            dialect: dialect?,
            envelope: envelope?,
            envelopes: offered,
            collection: collection?,
            declared,
            order,
            id_direction,
            id,
            ties: self.word("ties", &[("unordered", Ties::Unordered), ("ordered", Ties::Ordered)]),
            fields,
            sortable: self.written.texts("sortable"),
            filterable: self.written.texts("filterable"),
            mode: self.mode(),
            verify: self.verify(context),
            unproven: self
                .word("unproven", &[("refuse", WhenUnproven::Refuse), ("flag", WhenUnproven::Flag)])
                .unwrap_or(WhenUnproven::Refuse),
            short_pages: self
                .word("short_pages", &[("refuse", ShortPages::Refuse), ("serve", ShortPages::Serve)])
                .unwrap_or(ShortPages::Refuse),
            page_size,
            total: self
                .word("total", &[("omit", Totals::Omit), ("count", Totals::Count), ("first-page", Totals::FirstPage)])
                .unwrap_or(Totals::Upstream),
            principal: principal::principal(self.written),
            cursor: self.cursor(root),
            parameters,
            legacy,
            budgets,
        };
        mode::check(&list, self.written, context);
        principal::check(&list, self.written, context);
        Some(list)
    }

    /// The envelopes that clients can ask for, without the route's own.
    fn offered(
        &self,
        own: Option<&EnvelopeSettings>,
        envelopes: &mut Envelopes,
        context: &mut Context<'_>,
    ) -> Vec<EnvelopeSettings> {
        let errors = self.written.text("errors");
        let names = self.written.texts("envelopes");
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

    fn mode(&self) -> Located<Mode> {
        let said = self.word("mode", &Mode::WORDS);
        let at = self.written.find("mode").map_or(self.at, |written| written.at);
        Located { value: said.unwrap_or(Mode::Auto), at }
    }

    fn verify(&self, context: &mut Context<'_>) -> Verify {
        let verify = self.word("verify", &[("when-cheap", Verify::WhenCheap), ("never", Verify::Never)]);
        if verify == Some(Verify::Never) {
            let at = self.written.find("verify").map_or(self.at, |written| written.at);
            let help = "items are skipped and repeated as they are by page=; \"when-cheap\" proves what costs nothing";
            context.diagnostics.warning(at, "nothing is proven: pages are served by their offsets", help);
        }
        verify.unwrap_or(Verify::Always)
    }

    fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let written = self.written.string(key)?;
        words.iter().find(|(word, _)| *word == written).map(|(_, value)| *value)
    }

    fn dialect(&self, dialects: &mut Dialects<'_>, context: &mut Context<'_>) -> Option<DialectSettings> {
        let Some(name) = self.written.text("dialect") else {
            if self.written.find("dialect").is_none() {
                let message = format!("routes.{} names no dialect", self.name);
                let help = "dialect = \"NAME\" says how its upstream pages: `cursorgate dialects` lists them";
                context.missing(self.at, message, help);
            }
            return None;
        };
        dialects.find(&name, context)
    }

    fn order(
        &self,
        id: Option<&Located<String>>,
        dialect: Option<&DialectSettings>,
        context: &mut Context<'_>,
    ) -> Option<Order> {
        let written = self.written.find("order")?;
        let terms = self.written.texts("order");
        let Value::List(elements) = &written.value else {
            return None;
        };
        if elements.is_empty() {
            let help = "[\"id\"] is sorted by the id; remove `order` where it is not known how the list is sorted";
            context.diagnostics.error(written.at, "this order is empty", help);
            return None;
        }
        if terms.len() < elements.len() || terms.iter().any(|term| syntax::sort_term(&term.value).is_err()) {
            return None;
        }
        let mut strong: Vec<Located<SortTerm>> = Vec::new();
        for (index, term) in terms.iter().enumerate() {
            let (field, direction) = syntax::read_sort_term(&term.value);
            if strong.iter().any(|known| known.value.field == field) {
                context.diagnostics.error(
                    term.at,
                    format!("{field} stands in the order twice"),
                    "the first one decides: remove this",
                );
                return None;
            }
            if field == "id" && index + 1 == terms.len() {
                return Some((strong, direction));
            }
            if field == "id" {
                let message = "nothing can follow the id in an order";
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
        let help = format!("items with equal {last} would have no order: add \"id\" (the id is at {id})");
        context.diagnostics.error(written.at, "the order doesn't end in the id", help);
        None
    }

    fn page_size(&self, dialect: Option<&DialectSettings>, context: &mut Context<'_>) -> PageSizeSettings {
        let table = self.written.table("page_size");
        let default = table.located_count::<u32>("default");
        let said_max = table.count::<u32>("max");
        let max = said_max.unwrap_or(100);
        if let Some(default) = default.as_ref().filter(|default| default.value > max) {
            let message = format!("page_size.default is {}, and page_size.max {max}", default.value);
            context.diagnostics.error(default.at, message, format!("lower this to {max}, or raise page_size.max"));
        }
        let default = default.map_or_else(|| max.min(20), |default| default.value);
        let at = table.find("max").map(|max| max.at).or_else(|| dialect.map(|dialect| dialect.at));
        PageSizeSettings { default, max, over_max: envelope::over_max(&table), at: at.unwrap_or(self.at) }
    }

    fn budgets(&self, context: &mut Context<'_>) -> Budgets {
        let table = self.written.table("budgets");
        let usual = Budgets::default();
        let upstream_requests = table.count("upstream_requests").unwrap_or(usual.upstream_requests);
        let search = table.located_count::<u32>("search_requests");
        if let Some(search) = search.as_ref().filter(|search| (1..upstream_requests).contains(&search.value)) {
            let message = format!(
                "budgets.search_requests is {}, and budgets.upstream_requests {upstream_requests}",
                search.value
            );
            let help = "a page whose place must be searched for may take more requests than others, not fewer";
            context.diagnostics.error(search.at, message, help);
        }
        Budgets {
            time: table.duration("time").unwrap_or(usual.time),
            upstream_requests,
            search_requests: search.map_or(usual.search_requests, |search| search.value).max(upstream_requests),
            search_items: table.count("search_items").unwrap_or(usual.search_items),
            offset: table.count("offset").unwrap_or(usual.offset),
            answer_size: table.size("answer_size").unwrap_or(usual.answer_size),
            answer_depth: table.count("answer_depth").unwrap_or(usual.answer_depth),
            link_length: table.size("link_length").unwrap_or(usual.link_length),
            body_size: table.size("body_size").unwrap_or(usual.body_size),
            body_depth: table.count("body_depth").unwrap_or(usual.body_depth),
        }
    }

    fn cursor(&self, root: &Written) -> CursorSettings {
        let table = self.written.table("cursor");
        let global = root.table("cursor");
        CursorSettings {
            sealed: if table.find("sealed").is_some() { table.boolean("sealed") } else { global.boolean("sealed") },
            ttl: table.duration("ttl").or_else(|| global.duration("ttl")),
            bind: table.header_names("bind"),
            length: table.count("length").unwrap_or(CursorSettings::LENGTH),
        }
    }

    fn parameters(&self) -> ParameterSettings {
        let table = self.written.table("parameters");
        let renamed: Vec<(Role, Located<String>)> =
            ROLES.iter().filter_map(|(key, role)| Some((*role, table.text(key)?))).collect();
        ParameterSettings {
            renamed,
            private: table.strings("private"),
            ignored: table.strings("ignored"),
            query: table.text_members("query"),
        }
    }
}
