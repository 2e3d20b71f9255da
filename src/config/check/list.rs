//! What a route that serves a list needs beside its path.

use std::time::Duration;

use super::{
    Context, cost,
    dialect::Dialects,
    envelope::{self, Envelopes, ROLES},
    legacy,
};
use crate::{
    config::{
        diagnostic::{Located, Location},
        settings::{
            Budgets, CursorSettings, DialectSettings, FieldSettings, ListSettings, PageSizeSettings, ParameterSettings,
            Role, SortTerm, TotalPolicy,
        },
        syntax,
        written::{Value, Written},
    },
    pagination::{
        order::{Direction, Kind, Nulls, Ties},
        resolver::{ShortPages, WhenUnproven},
    },
};

/// A route with its defaults merged in.
pub(super) struct Route<'a> {
    pub(super) name: &'a str,
    pub(super) at: Location,
    pub(super) written: &'a Written,
}

/// An order: the strong keys, and which way the id runs.
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
        let envelope = match self.written.find("envelope") {
            Some(_) => self.written.text("envelope").and_then(|name| envelopes.find(&name, context)),
            None => envelopes.find(&default, context),
        };
        let id = self.written.text("id");
        let order = self.order(id.as_ref(), dialect.as_ref(), context);
        let page_size = self.page_size(context);
        let budgets = self.budgets();
        if let Some(dialect) = &dialect {
            let written = self.written.table("page_size").find("max").map(|max| max.at);
            cost::check(written.unwrap_or(dialect.at), page_size, dialect, budgets, context);
        }
        let parameters = self.parameters();
        let paging = legacy::paging_names(dialect.as_ref(), envelope.as_ref(), &parameters);
        let legacy = legacy::legacy(self.written, &paging, context);
        let collection = self.written.string("collection").or(collection);
        let fields = self.fields(context);
        let (order, id_direction) = order?;
        Some(ListSettings {
            dialect: dialect?,
            envelope: envelope?,
            collection: collection?,
            order,
            id_direction,
            id,
            ties: self.word("ties", &[("unordered", Ties::Unordered), ("ordered", Ties::Ordered)]),
            fields,
            sortable: self.written.texts("sortable"),
            unproven: self
                .word("unproven", &[("refuse", WhenUnproven::Refuse), ("flag", WhenUnproven::Flag)])
                .unwrap_or(WhenUnproven::Refuse),
            short_pages: self
                .word("short_pages", &[("refuse", ShortPages::Refuse), ("serve", ShortPages::Serve)])
                .unwrap_or(ShortPages::Refuse),
            page_size,
            total: self
                .word("total", &[("upstream", TotalPolicy::Upstream), ("omit", TotalPolicy::Omit)])
                .unwrap_or(TotalPolicy::Upstream),
            principal: self.principal(),
            cursor: self.cursor(root),
            parameters,
            legacy,
            budgets,
        })
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
        let dialect = dialects.find(&name, context)?;
        if cost::places(&dialect) == cost::Places::Pages && !cost::size_is_asked(&dialect) {
            let message = format!(
                "{:?} has pages of a fixed size, and what proves the seams between them comes with a later version",
                name.value
            );
            let query = &dialect.request.query.value;
            let help = format!(
                "if the upstream takes a size, say so: [dialects.NAME] extends = {:?}, request = {{ query = \"{query}&per_page={{size}}\" }}",
                name.value
            );
            context.diagnostics.error(name.at, message, help);
        }
        Some(dialect)
    }

    fn order(
        &self,
        id: Option<&Located<String>>,
        dialect: Option<&DialectSettings>,
        context: &mut Context<'_>,
    ) -> Option<Order> {
        let later = "lists without a declared order come with a later version";
        let help = "say what the list is sorted by: order = [\"-created_at\", \"id\"]";
        let Some(written) = self.written.find("order") else {
            context.missing(self.at, format!("routes.{} declares no order, and {later}", self.name), help);
            return None;
        };
        let terms = self.written.texts("order");
        let Value::List(elements) = &written.value else {
            return None;
        };
        if elements.is_empty() {
            context.diagnostics.error(written.at, format!("this order is empty, and {later}"), help);
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

    fn fields(&self, context: &mut Context<'_>) -> Vec<FieldSettings> {
        let table = self.written.table("fields");
        table.members().iter().map(|(name, field)| read_field(name, field, context)).collect()
    }

    fn page_size(&self, context: &mut Context<'_>) -> PageSizeSettings {
        let table = self.written.table("page_size");
        let default = table.located_count::<u32>("default");
        let said_max = table.count::<u32>("max");
        let max = said_max.unwrap_or(100);
        if let Some(default) = default.as_ref().filter(|default| default.value > max) {
            let message = format!("page_size.default is {}, and page_size.max {max}", default.value);
            context.diagnostics.error(default.at, message, format!("lower this to {max}, or raise page_size.max"));
        }
        let default = default.map_or_else(|| max.min(20), |default| default.value);
        PageSizeSettings { default, max, over_max: envelope::over_max(&table) }
    }

    fn budgets(&self) -> Budgets {
        let table = self.written.table("budgets");
        Budgets {
            time: table.duration("time").unwrap_or(Duration::from_secs(30)),
            upstream_requests: table.count("upstream_requests").unwrap_or(8),
            answer_size: table.size("answer_size").unwrap_or(10 << 20),
            answer_depth: table.count("answer_depth").unwrap_or(128),
            link_length: table.size("link_length").unwrap_or(4 << 10),
        }
    }

    fn principal(&self) -> Vec<http::HeaderName> {
        match self.written.find("principal") {
            Some(_) => header_names(self.written, "principal"),
            None => vec![http::header::AUTHORIZATION, http::header::COOKIE],
        }
    }

    fn cursor(&self, root: &Written) -> CursorSettings {
        let table = self.written.table("cursor");
        CursorSettings {
            ttl: table.duration("ttl").or_else(|| root.table("cursor").duration("ttl")),
            bind: header_names(&table, "bind"),
            length: table.count("length").unwrap_or(2_048),
        }
    }

    fn parameters(&self) -> ParameterSettings {
        let table = self.written.table("parameters");
        let renamed: Vec<(Role, Located<String>)> =
            ROLES.iter().filter_map(|(key, role)| Some((*role, table.text(key)?))).collect();
        ParameterSettings { renamed, private: table.strings("private"), ignored: table.strings("ignored") }
    }
}

fn read_field(name: &Located<String>, field: &Written, context: &mut Context<'_>) -> FieldSettings {
    let kind = field.string("type");
    let ranks = field.find("ranks");
    match (kind.as_deref(), ranks) {
        (Some("rank"), None) => {
            context.missing(
                field.at,
                format!("the ranks of {} are not said", name.value),
                "ranks = [\"low\", \"high\"]",
            );
        }
        (kind, Some(ranks)) if kind != Some("rank") => {
            let help = "write type = \"rank\", or remove `ranks`";
            context.diagnostics.error(ranks.at, format!("{} is no rank", name.value), help);
        }
        _ => {}
    }
    FieldSettings {
        name: name.value.clone(),
        kind: match kind.as_deref() {
            Some("number") => Kind::Number,
            Some("number-in-string") => Kind::NumberInString,
            Some("string") => Kind::Text,
            Some("datetime") => Kind::Datetime,
            Some("boolean") => Kind::Boolean,
            Some("uuid") => Kind::Uuid,
            Some("rank") => Kind::Rank(field.strings("ranks")),
            _ => Kind::Inferred,
        },
        nulls: match field.string("nulls").as_deref() {
            Some("none") => Nulls::None,
            Some("smallest") => Nulls::Smallest,
            Some("largest") => Nulls::Largest,
            Some("first") => Nulls::First,
            Some("last") => Nulls::Last,
            _ => Nulls::Unsaid,
        },
        at: field.text("at"),
        upstream: field.string("upstream"),
    }
}

fn header_names(table: &Written, key: &str) -> Vec<http::HeaderName> {
    table.strings(key).iter().filter_map(|name| http::HeaderName::from_bytes(name.as_bytes()).ok()).collect()
}
