//! What a route that serves a list needs, compiled.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    config::{
        Diagnostics,
        settings::{Budgets, CursorSettings, EnvelopeSettings, LegacySettings, ListSettings, Mode, PageSizeSettings},
    },
    cursor::KeyRing,
    downstream::{
        Convention, Conventions, EnvelopeTemplate, Parameters,
        response::{caching::Varies, legacy},
    },
    gateway::{outcome::migration::Usage, runtime::clock, shared::learning::Learning},
    pagination::{
        page::Level,
        paging::{Family, Sizes},
        resolver::{ShortPages, Totals, Verify, WhenUnproven},
    },
    upstream::{Costs, Dialect},
};

/// What serving a list needs, compiled.
#[derive(Debug)]
pub struct List {
    /// How the upstream is asked and read.
    pub dialect: Dialect,
    /// What clients send and get.
    pub conventions: Conventions,
    /// The keys of its cursors.
    pub keys: Arc<KeyRing>,
    /// Items on the edges of pages are remembered: cursors carry ids alone, and their keys are looked up, or items have
    /// cursors of their own, which don't say where they stand.
    pub remembers: bool,
    /// How much is to be proven.
    pub verify: Verify,
    /// What is done where a page can't be proven.
    pub unproven: WhenUnproven,
    /// What is done where a page can't be filled.
    pub short_pages: ShortPages,
    /// The limits of clients.
    pub page_size: PageSizeSettings,
    /// What is said about the size of the collection.
    pub total: Totals,
    /// The upstream can be asked for a count.
    pub counts: bool,
    /// The upstream's lists say how many items there are.
    pub tells_total: bool,
    /// The principal's headers and those that cursors are bound to: no client may have them dropped on the way.
    pub protected: Vec<HeaderName>,
    /// What pages vary by: those, and the headers by which clients choose what they get.
    pub varies: Varies,
    /// How cursors are made.
    pub cursor: CursorSettings,
    /// What becomes of requests by page or offset.
    pub legacy: LegacySettings,
    /// `Deprecation` and `Sunset` of legacy answers.
    pub legacy_headers: Vec<(HeaderName, HeaderValue)>,
    /// Bounds.
    pub budgets: Budgets,
    /// What was learnt of the upstream. Shared with the next snapshot, where the route stays the same.
    pub learning: Arc<Learning>,
    /// Who sends legacy requests. Shared with the next snapshot, where they are counted alike.
    pub usage: Arc<Usage>,
}

impl List {
    /// Compiles what a route says of its list; `learning` is what is known already, `usage` what was counted. Gives nothing
    /// where there was an error.
    pub(crate) fn compile(
        settings: &ListSettings,
        keys: Option<&Arc<KeyRing>>,
        learning: Arc<Learning>,
        usage: Option<&Arc<Usage>>,
        costs: &mut Costs,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let dialect = Dialect::compile(settings, diagnostics);
        let conventions = conventions(settings, dialect.as_ref(), diagnostics);
        let (dialect, conventions) = (dialect?, conventions?);
        warn(&dialect, settings, diagnostics);
        costs.check(&dialect, settings, diagnostics);
        warn_of_cursors(&dialect, settings, &conventions, diagnostics);
        let names_items = |convention: &Convention| {
            let needs = convention.envelope.needs();
            needs.item_cursors || needs.edge_cursors
        };
        let seeks = settings.mode.value == Mode::Seek;
        let tells_total = settings.dialect.response.total.is_some();
        let mut protected = settings.principal.clone();
        protected.extend(settings.cursor.bind.iter().cloned());
        let varies = Varies::new(protected.iter().cloned().chain(conventions.varies_by()).collect());
        let (keys, client) = (keys?, settings.legacy.client.as_ref());
        let usage = usage.filter(|usage| usage.counts_like(client, keys)).map(Arc::clone);
        Some(Self {
            dialect,
            keys: Arc::clone(keys),
            remembers: seeks || conventions.all().any(names_items),
            conventions,
            verify: settings.verify,
            unproven: settings.unproven,
            short_pages: settings.short_pages,
            page_size: settings.page_size,
            total: settings.total,
            counts: settings.dialect.count.is_some() || tells_total,
            tells_total,
            protected,
            varies,
            cursor: settings.cursor.clone(),
            legacy_headers: legacy::headers(&settings.legacy),
            legacy: settings.legacy.clone(),
            budgets: settings.budgets,
            learning,
            usage: usage.unwrap_or_else(|| Arc::new(Usage::new(client, keys, clock::unix_seconds()))),
        })
    }

    /// Says in a legacy answer that it is one; `successor` is the first page of the same list by cursor.
    pub(crate) fn mark_legacy(&self, headers: &mut HeaderMap, successor: &str) {
        for (name, value) in &self.legacy_headers {
            headers.insert(name.clone(), value.clone());
        }
        legacy::add_links(headers, self.legacy.documentation.as_deref(), successor);
    }
}

/// The route's own convention, and those that its clients may choose. Only its own parameters can be renamed: who asks for
/// another convention by its name means that one's words.
fn conventions(
    settings: &ListSettings,
    dialect: Option<&Dialect>,
    diagnostics: &mut Diagnostics,
) -> Option<Conventions> {
    let names = |names: fn(&Dialect) -> &[String]| dialect.map_or(&[][..], names);
    let (paging, sorting) = (names(Dialect::paging_names), names(Dialect::sort_names));
    let form = dialect.and_then(Dialect::sort_form);
    let places = |places: fn(&Dialect) -> Vec<String>| dialect.map(places).unwrap_or_default();
    let (paging_places, sort_places) = (places(Dialect::paging_places), places(Dialect::sort_places));
    let mut compile = |envelope: &EnvelopeSettings, renamed| {
        let template = EnvelopeTemplate::compile(envelope, &settings.collection, diagnostics);
        let parameters = Parameters::compile(settings, envelope, renamed, paging, (sorting, form.clone()), diagnostics);
        let parameters = parameters.and_then(|parameters| {
            parameters.reserve_places(settings, envelope, &paging_places, &sort_places, diagnostics)
        });
        Some(Convention { name: envelope.name.clone(), parameters: parameters?, envelope: template? })
    };
    let own = compile(&settings.envelope, &settings.parameters.renamed);
    let others: Vec<Option<Convention>> = settings.envelopes.iter().map(|other| compile(other, &[])).collect();
    Some(Conventions::new(own?, others.into_iter().collect::<Option<_>>()?))
}

/// Says where items have no cursors: what an upstream hands out leads to a page, and an item says nothing of it.
fn warn_of_cursors(
    dialect: &Dialect,
    settings: &ListSettings,
    conventions: &Conventions,
    diagnostics: &mut Diagnostics,
) {
    if dialect.paging().family != Family::Token {
        return;
    }
    let envelopes = std::iter::once(&settings.envelope).chain(&settings.envelopes);
    for (envelope, convention) in envelopes.zip(conventions.all()) {
        if convention.envelope.needs().item_cursors {
            let said = format!(
                "items have no cursors of their own in a list that {} pages by token: {{item.cursor}} of {} is unknown",
                settings.dialect.name, envelope.name
            );
            let help = "pages lead on all the same; {start.cursor} and {end.cursor} are those of the page";
            diagnostics.warning(envelope.at, said, help);
        }
    }
}

/// Says where a route promises less than its order makes one think.
fn warn(dialect: &Dialect, settings: &ListSettings, diagnostics: &mut Diagnostics) {
    let sorted = dialect.default_sorted();
    let promise = dialect.promise(sorted, settings);
    let Some(why) = promise.keeps_from_next.filter(|_| sorted.order.declared) else { return };
    let fixed = matches!(dialect.paging().sizes, Sizes::Fixed(_));
    match promise.level {
        Level::Anchored if dialect.paging().family != Family::Token => {
            let at = settings.order.last().map_or(settings.dialect.at, |term| term.at);
            diagnostics.warning(at, why, "where the two disagree, the level falls to anchored");
        }
        Level::Checked if fixed && dialect.paging().family == Family::Page => {
            let help = "if the upstream takes a size, or can be asked for the order from its end, say so in a dialect of your own";
            diagnostics.warning(settings.dialect.at, why, help);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
