//! The list of a route, compiled.

pub mod page_cache;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    identity::{KnownClient, Viewer},
    outcome::{
        metrics::Counted,
        migration::{CountedClient, Usage},
    },
    runtime::clock,
    shared::learning::Learning,
};
use cursorgate_config::{
    Diagnostics,
    settings::{
        Budgets, CursorSettings, EnvelopeSettings, LegacySettings, ListSettings, Mode, NewClients, PageSizeSettings,
        WhenEndUnproven,
    },
};
use cursorgate_core::pagination::{
    page::Level,
    paging::{Family, Sizes},
    resolver::{ShortPages, Totals, Verify, WhenUnproven},
};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_translate::{
    downstream::{
        Convention, Conventions, DialectNames, EnvelopeTemplate, Parameters, RequestKind,
        request::query::ReservedNames,
        response::{caching::Varies, legacy},
    },
    upstream::{Costs, Dialect, Guarantee},
};
use page_cache::RoutePages;

/// The list of a route, compiled from its settings.
#[derive(Debug)]
pub struct List {
    /// The description of the upstream's requests and responses.
    pub dialect: Dialect,
    /// The mode, and the best level that pages in the route's own order can have.
    pub guarantee: Guarantee,
    /// The parameters and envelopes that clients can choose.
    pub conventions: Conventions,
    /// The keys that sign or seal cursors.
    pub keys: Arc<KeyRing>,
    /// `true` if the keys of items at the edges of pages are cached. They are needed in mode `seek`, because page
    /// cursors then contain only ids, and for conventions with item cursors, because these contain keys without a hint.
    pub remembers: bool,
    /// The condition under which ends and boundaries are verified.
    pub verify: Verify,
    /// The treatment of pages that can't be proven.
    pub unproven: WhenUnproven,
    /// The treatment of ends that the upstream contradicts.
    pub unproven_end: WhenEndUnproven,
    /// The treatment of pages that can't be filled.
    pub short_pages: ShortPages,
    /// The default limit and the largest limit of pages.
    pub page_size: PageSizeSettings,
    /// The kind of total that pages have.
    pub total: Totals,
    /// `true` if the upstream can be asked for a count.
    pub counts: bool,
    /// `true` if the upstream's answers contain totals.
    pub tells_total: bool,
    /// The headers that identify clients.
    pub principal: Vec<HeaderName>,
    /// Further headers that say nothing about a person.
    pub impersonal: Vec<HeaderName>,
    /// The headers of the principal and of cursor contexts. A client's `Connection` header must not remove them.
    pub protected: Vec<HeaderName>,
    /// The headers by which pages vary.
    pub varies: Varies,
    /// The settings of cursors, such as their lifetime and their maximum length.
    pub cursor: CursorSettings,
    /// The treatment of requests by page or offset.
    pub legacy: LegacySettings,
    /// The requests that are new clients' without the value of a cursor.
    pub new_clients: NewClients,
    /// The headers `Deprecation` and `Sunset` of answers to legacy requests.
    pub legacy_headers: Vec<(HeaderName, HeaderValue)>,
    /// The limits of upstream requests, of time, and of sizes.
    pub budgets: Budgets,
    /// The page cache; `None` if pages aren't cached.
    pub page_cache: Option<RoutePages>,
    /// The upstream's limits that its answers have shown. The next snapshot shares them if the route stays the same.
    pub learning: Arc<Learning>,
    /// The counts of legacy requests. The next snapshot shares the counts if it counts in the same way.
    pub usage: Arc<Usage>,
}

impl List {
    /// Compiles the list of a route. `learning` and `usage` come from the same route in the previous snapshot. Returns
    /// `None` if there are errors, which are reported in `diagnostics`.
    pub fn compile(
        settings: &ListSettings,
        keys: Option<&Arc<KeyRing>>,
        learning: Arc<Learning>,
        usage: Option<&Arc<Usage>>,
        costs: &mut Costs,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let dialect = Dialect::compile(settings, diagnostics);
        let conventions = conventions(settings, dialect.as_ref(), keys, diagnostics);
        // Both are compiled before a missing one ends the compilation, to report the faults of both.
        let (dialect, conventions) = (dialect?, conventions?);
        let guarantee = dialect.guarantee(dialect.default_sorted(), settings);
        warn(&dialect, &guarantee, settings, diagnostics);
        costs.check(&dialect, settings, diagnostics);
        warn_of_cursors(&dialect, settings, &conventions, diagnostics);
        let seeks = settings.mode.value == Mode::Seek;
        let tells_total = settings.dialect.response.total.is_some();
        let mut protected = settings.principal.clone();
        protected.extend(settings.cursor.bind.iter().cloned());
        let varies = Varies::new(protected.iter().cloned().chain(conventions.varies_by()).collect());
        let (keys, client) = (keys?, settings.legacy.client.as_ref());
        // With another key or header, the counts would belong to other clients, so counting starts again. Test:
        // `counts_are_kept_as_long_as_clients_are_identified_alike`.
        let usage = usage.filter(|usage| usage.counts_like(client, keys)).map(Arc::clone);
        Some(Self {
            dialect,
            guarantee,
            keys: Arc::clone(keys),
            remembers: seeks || conventions.all().any(Convention::names_items),
            conventions,
            verify: settings.verify,
            unproven: settings.unproven,
            unproven_end: settings.unproven_end,
            short_pages: settings.short_pages,
            page_size: settings.page_size,
            total: settings.total,
            counts: settings.dialect.count.is_some() || tells_total,
            tells_total,
            principal: settings.principal.clone(),
            impersonal: settings.impersonal.clone(),
            protected,
            varies,
            cursor: settings.cursor.clone(),
            legacy_headers: legacy::headers(&settings.legacy),
            legacy: settings.legacy.clone(),
            new_clients: settings.new_clients.clone(),
            budgets: settings.budgets,
            page_cache: None,
            learning,
            usage: usage.unwrap_or_else(|| Arc::new(Usage::new(client, keys, clock::unix_seconds()))),
        })
    }

    /// Returns the client of a request for this list, as the list tells its clients apart.
    pub fn viewer<'r>(&'r self, headers: &'r HeaderMap, known: Option<&'r KnownClient>) -> Viewer<'r> {
        Viewer {
            headers,
            known,
            told_apart_by: &self.protected,
            bound: &self.cursor.bind,
            impersonal: &self.impersonal,
        }
    }

    /// Compiles only the conventions of a list that isn't served; `None` if the list has faults, which aren't reported.
    pub fn conventions(
        settings: &ListSettings,
        keys: Option<&Arc<KeyRing>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Conventions> {
        let compiled = diagnostics.unreported(|diagnostics| {
            let dialect = Dialect::compile(settings, diagnostics);
            conventions(settings, dialect.as_ref(), keys, diagnostics)
        });
        compiled.flatten()
    }

    /// Counts a request by its paging. A legacy request is also counted for its client. `now` is in seconds since 1970.
    pub fn note_paging(&self, kind: &RequestKind, client: CountedClient<'_>, now: u64, counted: &mut Counted) {
        let word = match kind {
            RequestKind::Cursor => "cursor",
            RequestKind::Legacy { .. } => "legacy",
            RequestKind::Unmarked => "unmarked",
        };
        counted.paging = Some(word);
        self.usage.count_paging(word, now);
        if legacy::is_legacy(kind, &self.legacy) {
            let is_unmarked = matches!(kind, RequestKind::Unmarked);
            self.usage.count(client, &self.keys, is_unmarked, now);
        }
    }

    /// Counts a request that gets a cached page, with the paging of the request that made the page. The request isn't
    /// counted for a legacy client. `now` is in seconds since 1970.
    pub fn note_kept(&self, paging: &'static str, now: u64, counted: &mut Counted) {
        counted.paging = Some(paging);
        self.usage.count_paging(paging, now);
    }

    /// Returns whether answers to legacy requests announce the change to clients: by a date, or by documentation.
    pub fn announces(&self) -> bool {
        !self.legacy_headers.is_empty() || self.legacy.documentation.is_some()
    }

    /// Adds the headers for a legacy answer, if the route announces the change. `successor` is the link to the first
    /// page by cursor.
    pub fn mark_legacy(&self, headers: &mut HeaderMap, successor: &str) {
        // Simple clients take every `Link` for a further page, so there is none without an announcement. Test:
        // `an_old_answer_without_an_announcement_has_no_link`.
        if !self.announces() {
            return;
        }
        for (name, value) in &self.legacy_headers {
            headers.insert(name.clone(), value.clone());
        }
        legacy::add_links(headers, self.legacy.documentation.as_deref(), successor);
    }
}

/// The suffix in the name of a service's convention whose pages have the same total as the route's own pages. Without
/// the suffix, pages have no total that needs a count.
pub const COUNTED: &str = "+total";

/// Compiles the route's own convention, the conventions that clients may choose, and those of services. Parameters can
/// be renamed only in the own convention: a client that chooses another convention by name expects that convention's
/// names.
fn conventions(
    settings: &ListSettings,
    dialect: Option<&Dialect>,
    keys: Option<&Arc<KeyRing>>,
    diagnostics: &mut Diagnostics,
) -> Option<Conventions> {
    let names = |names: fn(&Dialect) -> &[String]| dialect.map_or(&[][..], names);
    let sizes = dialect.map(Dialect::size_names).unwrap_or_default();
    let form = dialect.and_then(Dialect::sort_form);
    check_marks(settings, dialect, diagnostics);
    let places = |places: fn(&Dialect) -> Vec<String>| dialect.map(places).unwrap_or_default();
    let (paging_places, sort_places) = (places(Dialect::paging_places), places(Dialect::sort_places));
    let by_token = dialect.is_some_and(|dialect| dialect.paging().family == Family::Token);
    let in_query = DialectNames { paging: names(Dialect::paging_names), sorting: names(Dialect::sort_names), by_token };
    let in_body = DialectNames { paging: &paging_places, sorting: &sort_places, by_token };
    let filters = dialect.map(|dialect| dialect.filter_names(settings)).unwrap_or_default();
    let mut compile = |envelope: &EnvelopeSettings, renamed, total| {
        let template = EnvelopeTemplate::compile(envelope, &settings.collection, diagnostics);
        let parameters = Parameters::compile(settings, envelope, renamed, in_query, form.clone(), diagnostics);
        let parameters =
            parameters.and_then(|parameters| parameters.reserve_places(settings, envelope, in_body, diagnostics));
        let parameters = parameters.and_then(|parameters| parameters.refuse_foreign(settings, &filters, diagnostics));
        let parameters = parameters.map(|parameters| parameters.with_sizes(&sizes));
        let parameters = match keys {
            Some(keys) => parameters.map(|parameters| parameters.with_keys(keys, settings.cursor.length)),
            None => parameters,
        };
        Some(Convention { name: envelope.name.clone(), parameters: parameters?, envelope: template?, total })
    };
    let own = compile(&settings.envelope, &settings.parameters.renamed, settings.total);
    let others: Vec<Option<Convention>> =
        settings.envelopes.iter().map(|other| compile(other, &[], settings.total)).collect();
    // A count may cost an upstream request. A service's pages are therefore counted only if the service's client
    // selects the total. Test: `a_total_is_counted_only_where_it_is_selected`.
    let uncounted = if settings.total == Totals::Count { Totals::Upstream } else { settings.total };
    let inner = settings.inner.iter().flat_map(|inner| {
        let counted = EnvelopeSettings { name: format!("{}{COUNTED}", inner.name), ..inner.clone() };
        [(inner.clone(), uncounted), (counted, settings.total)]
    });
    let inner: Vec<Option<Convention>> = inner.map(|(inner, total)| compile(&inner, &[], total)).collect();
    let (others, inner) = (others.into_iter().collect::<Option<_>>()?, inner.into_iter().collect::<Option<_>>()?);
    let marks_by_preference = settings.new_clients.by_preference.is_some();
    Some(Conventions::new(own?, others, inner).marking_by_preference(marks_by_preference))
}

/// Reports names in `new_clients.by` that old clients may send too: those that the dialect knows, filters, and all names
/// on a list whose upstream gives it whole, where old clients send `limit` without an effect.
fn check_marks(settings: &ListSettings, dialect: Option<&Dialect>, diagnostics: &mut Diagnostics) {
    let Some(dialect) = dialect else { return };
    let help = "old requests could not be told from new ones: remove it; new clients send a first cursor";
    let is_whole = dialect.paging_names().is_empty() && dialect.paging_places().is_empty();
    let of_dialect = ReservedNames::new(&[dialect.paging_names(), dialect.sort_names()].concat());
    let parameters = &settings.parameters;
    let declared =
        parameters.filters.iter().map(|name| &name.value).chain(&parameters.private).chain(&parameters.ignored);
    let filters: Vec<String> = declared.cloned().chain(dialect.filter_names(settings)).collect();
    for name in &settings.new_clients.by {
        let message = if is_whole {
            format!(
                "{} gives the list whole, so old clients may send `{}` without an effect",
                settings.dialect.name, name.value
            )
        } else if dialect.paging_places().contains(&name.value) || of_dialect.find(name.value.as_bytes()).is_some() {
            format!("`{}` is a parameter of the dialect `{}` as well", name.value, settings.dialect.name)
        } else if filters.contains(&name.value) {
            format!("`{}` is a filter of this list", name.value)
        } else {
            continue;
        };
        diagnostics.error(name.at, message, help);
    }
}

/// Warns if an envelope has item cursors on a list that is paged by tokens, because a token leads to a page, not to an
/// item.
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
            let help = "pages still lead on; {start.cursor} and {end.cursor} are those of the page";
            diagnostics.warning(envelope.at, said, help);
        }
    }
}

/// Warns if the route guarantees less than its declared order suggests.
fn warn(dialect: &Dialect, guarantee: &Guarantee, settings: &ListSettings, diagnostics: &mut Diagnostics) {
    let sorted = dialect.default_sorted();
    let Some(why) = guarantee.keeps_from_next.as_ref().filter(|_| sorted.order.is_declared()) else { return };
    let fixed = matches!(dialect.paging().sizes(), Sizes::Fixed(_));
    match guarantee.level {
        Level::Anchored if dialect.paging().family != Family::Token => {
            let at = settings.order.last().map_or(settings.dialect.at, |term| term.at);
            diagnostics.warning(at, why, "where the two disagree, the level falls to anchored");
        }
        Level::Checked if fixed && dialect.paging().family == Family::Page => {
            let help = "if the upstream takes a size, or can be asked for the order from its end, declare that in a \
                        dialect of your own";
            diagnostics.warning(settings.dialect.at, why, help);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
