//! What a route that serves a list needs, compiled.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::learning::Learning;
use crate::{
    config::{
        Diagnostics,
        settings::{Budgets, CursorSettings, LegacySettings, ListSettings, Mode, PageSizeSettings},
    },
    cursor::KeyRing,
    downstream::{EnvelopeTemplate, Parameters, legacy},
    pagination::{
        page::Level,
        paging::{Family, Sizes},
        resolver::{ShortPages, Totals, Verify, WhenUnproven},
    },
    upstream::Dialect,
};

/// What serving a list needs, compiled.
#[derive(Debug)]
pub struct List {
    /// How the upstream is asked and read.
    pub dialect: Dialect,
    /// What a query means.
    pub parameters: Parameters,
    /// What clients get.
    pub envelope: EnvelopeTemplate,
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
    /// The principal's headers and those that cursors are bound to: answers vary by them, and no client may have them
    /// dropped on the way.
    pub protected: Vec<HeaderName>,
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
}

impl List {
    /// Compiles what a route says of its list; `learning` is what is known already. Gives nothing where there was an error.
    pub(super) fn compile(
        settings: &ListSettings,
        keys: Option<&Arc<KeyRing>>,
        learning: Arc<Learning>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let dialect = Dialect::compile(settings, diagnostics);
        let envelope = EnvelopeTemplate::compile(&settings.envelope, &settings.collection, diagnostics);
        let names = |names: fn(&Dialect) -> &[String]| dialect.as_ref().map_or(&[][..], names);
        let parameters =
            Parameters::compile(settings, names(Dialect::paging_names), names(Dialect::sort_names), diagnostics);
        let (dialect, envelope, parameters) = (dialect?, envelope?, parameters?);
        warn(&dialect, settings, diagnostics);
        let needs = envelope.needs();
        let seeks = settings.mode.value == Mode::Seek;
        let tells_total = settings.dialect.response.total.is_some();
        let mut protected = settings.principal.clone();
        protected.extend(settings.cursor.bind.iter().cloned());
        Some(Self {
            dialect,
            parameters,
            envelope,
            keys: Arc::clone(keys?),
            remembers: seeks || needs.item_cursors || needs.edge_cursors,
            verify: settings.verify,
            unproven: settings.unproven,
            short_pages: settings.short_pages,
            page_size: settings.page_size,
            total: settings.total,
            counts: settings.dialect.count.is_some() || tells_total,
            tells_total,
            protected,
            cursor: settings.cursor.clone(),
            legacy_headers: legacy::headers(&settings.legacy),
            legacy: settings.legacy.clone(),
            budgets: settings.budgets,
            learning,
        })
    }
}

/// Says where a route promises less than its order makes one think.
fn warn(dialect: &Dialect, settings: &ListSettings, diagnostics: &mut Diagnostics) {
    let sorted = dialect.default_sorted();
    let promise = dialect.promise(sorted, settings);
    let Some(why) = promise.keeps_from_next.filter(|_| sorted.order.declared) else { return };
    let fixed = matches!(dialect.paging().sizes, Sizes::Fixed(_));
    match promise.level {
        Level::Anchored => {
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
