//! A dialect, compiled: everything that is asked and read is decided when the configuration is loaded.

use std::sync::Arc;

use http::HeaderMap;

use super::{
    fields::Fields,
    legacy::{LegacyFault, LegacyReader, LegacyWindow},
    orders::Orders,
    paging::compile_paging,
    place::PlaceCompiler,
    query::{Ask, RequestTemplate},
    reading::{Reading, ReadingError},
    sort::{SortTemplate, Sorted},
};
use crate::{
    config::{
        diagnostic::Diagnostics,
        settings::{DialectSettings, ListSettings, SortTerm},
    },
    pagination::{answer::Answer, order::Direction, paging::Paging, window::Fetch},
};

/// How one route's upstream is asked and read.
#[derive(Debug)]
pub struct Dialect {
    name: String,
    paging: Arc<Paging>,
    request: RequestTemplate,
    reading: Reading,
    orders: Orders,
    sort_names: Vec<String>,
    legacy: LegacyReader,
    declared: Arc<Sorted>,
}

impl Dialect {
    /// Reports the faults of a dialect that show without a route.
    pub fn check(settings: &DialectSettings, diagnostics: &mut Diagnostics) {
        if let Some(request) = RequestTemplate::compile(&settings.request, diagnostics) {
            compile_paging(settings, &request, diagnostics);
        }
        let places = PlaceCompiler { collection: "items", facts: Vec::new(), diagnostics };
        Reading::compile(&settings.response, settings.request.first_page, places);
        if let Some(sort) = &settings.sort {
            SortTemplate::compile(sort, settings.at, diagnostics);
        }
    }

    /// Compiles a route's dialect. All its faults are reported; there is none where there was one.
    pub fn compile(list: &ListSettings, diagnostics: &mut Diagnostics) -> Option<Self> {
        let settings = &list.dialect;
        let request = RequestTemplate::compile(&settings.request, diagnostics);
        let paging = request.as_ref().and_then(|request| compile_paging(settings, request, diagnostics));
        let mut places = PlaceCompiler { collection: &list.collection, facts: Vec::new(), diagnostics };
        let fields = Fields::compile(list, &mut places);
        let reading = Reading::compile(&settings.response, settings.request.first_page, places);
        let sort = match &settings.sort {
            Some(sort) => SortTemplate::compile(sort, settings.at, diagnostics).map(Some),
            None => Some(None),
        };
        let (request, paging, fields, reading, sort) = (request?, paging?, fields?, reading?, sort?);
        let default_size = settings.size.default.as_ref().map(|size| size.value);
        let assumed_size = list.page_size.default;
        let legacy = LegacyReader::compile(&request, &paging, default_size, assumed_size, settings.at, diagnostics)?;
        let sort_names = sort.as_ref().map_or_else(Vec::new, SortTemplate::names);
        if let Some(name) = sort_names.iter().find(|name| legacy.names().contains(name)) {
            let help = "the upstream can't read one parameter as both";
            diagnostics.error(settings.at, format!("the parameter {name} both pages and sorts"), help);
            return None;
        }
        if sort.is_none()
            && let Some(field) = list.sortable.first()
        {
            let message =
                format!("the dialect {:?} can't be told an order, so clients can't choose one", settings.name);
            diagnostics.warning(field.at, message, "remove `sortable`, or give the dialect a [sort]");
        }
        let terms: Vec<SortTerm> = list.order.iter().map(|term| term.value.clone()).collect();
        let orders = Orders::new(sort, fields, &reading);
        let declared = Arc::new(orders.declared(&terms, list.id_direction, list.ties));
        let name = settings.name.clone();
        Some(Self { name, paging: Arc::new(paging), request, reading, orders, sort_names, legacy, declared })
    }

    /// The dialect's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the core decides with.
    #[must_use]
    pub fn paging(&self) -> &Arc<Paging> {
        &self.paging
    }

    /// The route's declared order.
    #[must_use]
    pub fn default_sorted(&self) -> &Arc<Sorted> {
        &self.declared
    }

    /// Whether the declared order is asked for, as far as the dialect can; else it is believed, and checked.
    #[must_use]
    pub fn asks_for_order(&self) -> bool {
        self.declared.asked > 0
    }

    /// Whether clients can choose an order: the dialect has a sort, and the route lists sortable fields.
    #[must_use]
    pub fn can_sort(&self) -> bool {
        self.orders.sort.is_some() && self.orders.fields.any_sortable()
    }

    /// An order that a client chose: strong keys, all of them in the route's `sortable`, without the id. Unless it is the
    /// declared order, it is asked for; the id too, where the endpoint can sort by it.
    #[must_use]
    pub fn sorted(&self, terms: &[SortTerm], id_direction: Direction) -> Sorted {
        self.orders.chosen(&self.declared, terms, id_direction)
    }

    /// A fetch as it goes on the wire. `filters` are the client's raw query pairs joined by `&`; they go first, byte for
    /// byte.
    #[must_use]
    pub fn ask(&self, sorted: &Sorted, fetch: Fetch, filters: &str) -> Ask {
        self.request.render(fetch, filters, &sorted.query)
    }

    /// Reads the response to a fetch that was asked in an order; its body may be nested `depth` levels deep.
    ///
    /// # Errors
    /// Where it is no list and not what the dialect knows as past the end.
    pub fn read(
        &self,
        sorted: &Sorted,
        fetch: Fetch,
        status: u16,
        headers: &HeaderMap,
        body: Vec<u8>,
        depth: u16,
    ) -> Result<Answer, ReadingError> {
        self.reading.read(&sorted.shape, fetch, status, headers, body, depth)
    }

    /// Decoded names of all parameters that page, of the query and of `also`: clients may not send them as filters, and
    /// they mark legacy requests.
    #[must_use]
    pub fn paging_names(&self) -> &[String] {
        self.legacy.names()
    }

    /// Decoded names of all parameters that sort. Where a name holds the field, what stands before its bracket.
    #[must_use]
    pub fn sort_names(&self) -> &[String] {
        &self.sort_names
    }

    /// The slice that a legacy request with these decoded pairs asks for; none where no parameter pages. Names are those
    /// of [`paging_names`](Self::paging_names).
    ///
    /// # Errors
    /// Where a paging parameter is no number, is out of range, or contradicts another.
    pub fn legacy_window(&self, pairs: &[(String, String)]) -> Result<Option<LegacyWindow>, LegacyFault> {
        self.legacy.window(pairs)
    }
}

#[cfg(test)]
mod tests;
