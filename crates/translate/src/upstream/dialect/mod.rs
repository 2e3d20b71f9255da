//! Dialects, compiled: all decisions about requests and responses are made when the configuration is loaded.

pub mod cost;
pub mod legacy;
pub mod observed;
pub mod paging;

use std::{borrow::Cow, sync::Arc};

use http::HeaderMap;

use super::{
    order::{
        fields::DialectFields,
        filter::FilterTemplate,
        guarantee::{Guarantee, Modes, guarantee},
        mode,
        orders::Orders,
        sort::{CompiledOrder, SortTemplate, Unsortable},
        warnings,
    },
    place::{PlaceCompiler, link_places::LinkPlaces},
    request::{
        query::{RequestExtras, RequestTemplate},
        resource::{CountTemplate, ItemTemplate},
    },
    response::{
        error::ReadingError,
        reading::{ResponseReader, witnesses::EndWitnesses},
        token,
    },
    template::places::Places,
    template::{
        ask::{Unaskable, UpstreamRequest},
        body::BodyTemplate,
        text::Variable,
    },
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located},
    settings::{DialectSettings, ListSettings, Settings, SortTerm},
    sort_form::SortForm,
};
use cursorgate_core::{
    json::{Edits, Pointer},
    pagination::{
        answer::Answer,
        fetch::{Fetch, Listing},
        filter::Filters,
        order::Direction,
        paging::{Family, Paging, Sizes},
        window::{Offset, PageSize},
    },
};
use legacy::LegacyFault;
use legacy::LegacyReader;
use legacy::LegacyWindow;
use paging::compile_paging;

/// The compiled dialect of one route.
#[derive(Debug)]
pub struct Dialect {
    name: String,
    paging: Arc<Paging>,
    places: Places,
    tokens: Option<token::TokenStyle>,
    request: RequestTemplate,
    item: Option<ItemTemplate>,
    count: Option<CountTemplate>,
    pub reading: ResponseReader,
    orders: Orders,
    sort_names: Vec<String>,
    pub legacy: LegacyReader,
    declared: Arc<CompiledOrder>,
    link_places: LinkPlaces,
}

/// The parts of a dialect that don't depend on the route, except for the name of its collection.
struct Parts {
    request: RequestTemplate,
    paging: Paging,
    places: Places,
    tokens: Option<token::TokenStyle>,
    sort: Option<SortTemplate>,
    filter: Option<FilterTemplate>,
    item: Option<ItemTemplate>,
    count: Option<CountTemplate>,
}

impl Parts {
    /// Compiles the parts. Reports all faults, and returns `None` if there are any.
    fn compile(settings: &DialectSettings, collection: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let request = RequestTemplate::compile(&settings.request, &settings.size, diagnostics);
        let paging = request.as_ref().and_then(|request| compile_paging(settings, request, diagnostics));
        let sort = settings.sort.as_ref().map(|sort| SortTemplate::compile(sort, settings.at, diagnostics));
        let filter = settings.filter.as_ref().map(|filter| FilterTemplate::compile(filter, diagnostics));
        let item = settings.item.as_ref().map(|item| ItemTemplate::compile(item, collection, diagnostics));
        let response = &settings.response;
        let count = settings.count.as_ref();
        let count = count.map(|count| CountTemplate::compile(count, response, collection, diagnostics));
        let paging = paging?;
        Some(Self {
            request: request?,
            paging: paging.paging,
            places: paging.places,
            tokens: paging.style,
            sort: whole(sort)?,
            filter: whole(filter)?,
            item: whole(item)?,
            count: whole(count)?,
        })
    }
}

/// Returns the first filterable field whose filter would use a parameter from `names`, and the name of that parameter;
/// `None` if there is no such field.
fn filter_that_pages<'a>(
    list: &'a ListSettings,
    filter: Option<&FilterTemplate>,
    fields: &DialectFields,
    names: &[String],
) -> Option<(&'a Located<String>, String)> {
    let filter = filter?;
    list.filterable.iter().find_map(|field| {
        let own = filter.names(fields.upstream_name(&field.value));
        own.into_iter().find(|name| names.contains(name)).map(|name| (field, name))
    })
}

/// Warns of `sortable` and `filterable` if the dialect has no parameters for sorts or filters.
fn warn_of_no_effect(list: &ListSettings, diagnostics: &mut Diagnostics) {
    let dialect = &list.dialect;
    if let (None, Some(field)) = (&dialect.sort, list.sortable.first()) {
        let message = format!("the dialect {:?} can't ask for an order, so clients can't choose one", dialect.name);
        diagnostics.warning(field.at, message, "remove `sortable`, or give the dialect a [sort]");
    }
    if let (None, Some(field)) = (&dialect.filter, list.filterable.first()) {
        let message = format!("the dialect {:?} has no filters, so `filterable` has no effect", dialect.name);
        diagnostics.warning(field.at, message, "remove `filterable`, or give the dialect a [filter]");
    }
}

/// Returns an optional part of a dialect: `None` if the part has faults, `Some(None)` if the dialect doesn't have the
/// part.
fn whole<T>(compiled: Option<Option<T>>) -> Option<Option<T>> {
    match compiled {
        Some(compiled) => compiled.map(Some),
        None => Some(None),
    }
}

impl Dialect {
    /// Reports the faults of a dialect that don't depend on a route.
    pub fn check(settings: &DialectSettings, diagnostics: &mut Diagnostics) {
        let parts = Parts::compile(settings, "items", diagnostics);
        let style = parts.and_then(|parts| parts.tokens);
        let places = PlaceCompiler { collection: "items", facts: Vec::new(), diagnostics };
        ResponseReader::compile(&settings.response, &settings.request, style, places);
    }

    /// Compiles all dialects of settings that already have errors. This reports the errors that only the compiler
    /// finds.
    pub fn check_all(settings: &Settings, diagnostics: &mut Diagnostics) {
        diagnostics.check_further(|diagnostics| {
            for list in settings.routes.iter().filter_map(|route| route.list.as_deref()) {
                let _ = Self::compile(list, diagnostics);
            }
            settings.own_dialects.iter().for_each(|dialect| Self::check(dialect, diagnostics));
        });
    }

    /// Compiles the dialect of a route. Reports all faults, and returns `None` if there are any.
    pub fn compile(list: &ListSettings, diagnostics: &mut Diagnostics) -> Option<Self> {
        let settings = &list.dialect;
        let parts = Parts::compile(settings, &list.collection, diagnostics);
        let mut places = PlaceCompiler { collection: &list.collection, facts: Vec::new(), diagnostics };
        let fields = DialectFields::compile(list, &mut places);
        let style = parts.as_ref().and_then(|parts| parts.tokens);
        let reading = ResponseReader::compile(&settings.response, &settings.request, style, places);
        // Links have a separate compiler, whose facts are only their places.
        let places = PlaceCompiler { collection: &list.collection, facts: Vec::new(), diagnostics };
        let link_places = LinkPlaces::compile(&settings.response, places);
        let mode_is_sound = parts.as_ref().is_none_or(|parts| mode::check(list, parts.places, diagnostics));
        // All parts are compiled before the first fault returns, so all faults are reported. Test:
        // `all_faults_are_reported_at_once`.
        let (parts, fields, reading) = (parts?, fields?, reading?);
        if !mode_is_sound {
            return None;
        }
        let default_size = settings.size.default.as_ref().map(|size| size.value);
        let assumed_size = list.page_size.default;
        let (request, paging) = (parts.request, parts.paging);
        let legacy = LegacyReader::compile(&request, &paging, default_size, assumed_size, settings.at, diagnostics)?;
        let sort_names = parts.sort.as_ref().map_or_else(Vec::new, SortTemplate::names);
        // The upstream could read a client's `page=2` as a sort, and the gateway's sort as a page, so a shared
        // parameter is a fault. Test: `faults_in_sorts_are_reported`.
        if let Some(name) = sort_names.iter().find(|name| legacy.names().contains(name)) {
            let help = "the upstream can't read one parameter as both";
            diagnostics.error(settings.at, format!("the parameter {name} both pages and sorts"), help);
            return None;
        }
        // A client's filter would replace the page or the sort, so such a field is refused. Test:
        // `a_filter_cant_be_a_paging_or_sort_parameter`.
        if let Some((field, name)) =
            filter_that_pages(list, parts.filter.as_ref(), &fields, &[legacy.names(), &sort_names].concat())
        {
            let message = format!("a filter on {} would be the parameter {name}, which pages or sorts", field.value);
            diagnostics.error(field.at, message, "leave this out: the upstream can't read one parameter as both");
            return None;
        }
        warn_of_no_effect(list, diagnostics);
        let orders = Orders::new(parts.sort, fields, parts.filter, Modes::new(list, parts.places), &reading);
        let declared = Arc::new(orders.declared(list));
        warnings::warn(list, &orders.fields, orders.sort.is_some(), &declared, diagnostics);
        Some(Self {
            name: settings.name.clone(),
            paging: Arc::new(paging),
            places: parts.places,
            tokens: parts.tokens,
            request,
            item: parts.item,
            count: parts.count,
            reading,
            orders,
            sort_names,
            legacy,
            declared,
            link_places,
        })
    }

    /// Returns the name of the dialect, as the configuration has it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether requests name a place in the list by page number, rather than by item number or token.
    #[must_use]
    pub fn counts_pages(&self) -> bool {
        self.places == Places::Pages
    }

    /// Returns the size of pages with which a whole list takes the fewest requests; `None` if the dialect declares no
    /// largest size.
    #[must_use]
    pub fn cheapest_page_size(&self) -> Option<u32> {
        let most = match self.paging.sizes() {
            Sizes::Free { most, .. } => (*most)?,
            Sizes::Listed(sizes) => *sizes.last()?,
            Sizes::Fixed(size) => *size,
        };
        // By offset, one answer also has room for the items before and after the page, which prove it. Most pages by
        // number take two answers whatever their size is.
        let around = if self.paging.family == Family::Offset { 2 } else { 0 };
        Some(most.saturating_sub(around).max(1))
    }

    /// Returns the number of the upstream's first page, usually 0 or 1.
    #[must_use]
    pub fn first_page(&self) -> u64 {
        self.request.first_page
    }

    /// Returns the name of the query parameter or the JSON Pointer of the body member that states the start of a slice;
    /// `None` if requests state no page and no offset.
    #[must_use]
    pub fn place_name(&self) -> Option<String> {
        [Variable::Page, Variable::Offset].into_iter().find_map(|variable| self.request.name_of(variable))
    }

    /// Returns the name of the query parameter or the JSON Pointer of the body member that has the token of the page, or
    /// the item after which to continue; `None` if requests state neither.
    #[must_use]
    pub fn token_name(&self) -> Option<String> {
        [Variable::Token, Variable::NextToken, Variable::After].into_iter().find_map(|used| self.request.name_of(used))
    }

    /// Returns the name of the query parameter or the JSON Pointer of the body member that states the number of items
    /// or the end of the slice; `None` if requests state neither.
    #[must_use]
    pub fn size_name(&self) -> Option<String> {
        [Variable::Size, Variable::End, Variable::Last].into_iter().find_map(|variable| self.request.name_of(variable))
    }

    /// Returns the places where answers contain links to other pages.
    #[must_use]
    pub fn link_places(&self) -> &LinkPlaces {
        &self.link_places
    }

    /// Returns the facts about paging that the core needs.
    #[must_use]
    pub fn paging(&self) -> &Arc<Paging> {
        &self.paging
    }

    /// Returns the route's declared order; for a route without one, an order that only names the id.
    #[must_use]
    pub fn default_sorted(&self) -> &Arc<CompiledOrder> {
        &self.declared
    }

    /// Returns whether requests ask for the declared order. Otherwise the upstream's order is assumed and checked.
    #[must_use]
    pub fn asks_for_order(&self) -> bool {
        self.declared.asked > 0
    }

    /// Returns whether clients can choose an order: the dialect has a sort, and the route lists sortable fields.
    #[must_use]
    pub fn can_sort(&self) -> bool {
        self.orders.sort.is_some() && self.orders.fields.any_sortable()
    }

    /// Compiles an order that a client chose: strong keys from the route's `sortable`, without the id. Unless the order
    /// is the declared one, requests ask for it, and also for the id if the endpoint can sort by the id.
    ///
    /// # Errors
    /// Returns [`Unsortable`] if no page of the order could be found or proven, or if the upstream can't be asked for
    /// the order.
    pub fn sorted(&self, terms: &[SortTerm], id_direction: Direction) -> Result<CompiledOrder, Unsortable> {
        self.orders.chosen(&self.declared, terms, id_direction)
    }

    /// Returns the filters on keys that the core may add to requests with these filters of the client (raw query pairs
    /// joined by `&`). They are [`CompiledOrder::filters`]. Returns `None` without such filters, or if a key filter
    /// would use a parameter that the client also sends and the dialect can't combine the two.
    #[must_use]
    pub fn filters_for(&self, sorted: &CompiledOrder, client_filters: &str) -> Option<Arc<Filters>> {
        self.orders.filters_beside(sorted, client_filters)
    }

    /// Describes the filter for the items after a given item, as it is written before encoding: by itself and, if it is
    /// an expression, combined with a client's filter. Returns `None` if pages aren't found by filters.
    #[must_use]
    pub fn shown_filters(&self) -> Option<String> {
        let filters = self.declared.filters.as_ref()?;
        self.orders.filter.as_ref()?.shown(filters, &self.declared.order, &self.orders.fields)
    }

    /// Returns the way in which requests name a part of the list.
    #[must_use]
    pub fn places(&self) -> Places {
        self.places
    }

    /// Returns whether pages of an order can be requested backward. Without offsets, only filters can show the items
    /// before an item. In a list by token, the tokens decide instead.
    #[must_use]
    pub fn reads_back(&self, sorted: &CompiledOrder) -> bool {
        self.places != Places::Ranges || sorted.filters_back
    }

    /// Returns the guarantee of a route with these settings for the pages of an order.
    #[must_use]
    pub fn guarantee(&self, sorted: &CompiledOrder, list: &ListSettings) -> Guarantee {
        guarantee(list, &self.paging, self.places, sorted)
    }

    /// Builds the request of a fetch. `filters` are the client's raw query pairs joined by `&`. They come first and
    /// unchanged, except for an expression that is combined with a key filter. `path` is the list's path at the
    /// upstream.
    ///
    /// # Errors
    /// Returns [`Unaskable::Gone`] for a token or an id that no upstream can have, and for every id if the dialect has
    /// no `[item]`. Returns [`Unaskable::Filter`] if a key's value can't be written in a filter; the page must then be
    /// found without filters. Returns [`Unaskable::Beyond`] for a slice after the first if requests name no place.
    pub fn ask(
        &self,
        sorted: &CompiledOrder,
        fetch: &Fetch,
        filters: &str,
        path: &str,
    ) -> Result<UpstreamRequest, Unaskable> {
        match fetch {
            // An upstream whose requests name no place always answers from the first item on, so a later slice is
            // refused.
            Fetch::Slice(slice, _) if slice.begins() > Offset(0) && !self.request.says_place() => {
                Err(Unaskable::Beyond)
            }
            Fetch::Slice(slice, listing) => {
                let filters = match (&listing.filter, &self.orders.filter) {
                    (None, _) => Cow::Borrowed(filters),
                    (Some(_), None) => return Err(Unaskable::Filter),
                    (Some(filter), Some(template)) => {
                        let fields = &self.orders.fields;
                        Cow::Owned(template.write(filter, &sorted.order, fields, filters, listing.flipped)?)
                    }
                };
                let (sort, sort_edits) = (sorted.sort(listing), sorted.sort_edits(listing));
                let beside = RequestExtras { path, filters: &filters, sort, sort_edits };
                self.request.ask_slice(fetch.clone(), *slice, beside)
            }
            Fetch::Token(token) => {
                // A token continues the list in the order in which the token was made, so the list is never flipped.
                let sort_edits = sorted.sort_edits(&Listing::default());
                let beside = RequestExtras { path, filters, sort: &sorted.query, sort_edits };
                self.request.ask_token(self.tokens.unwrap_or(token::TokenStyle::Plain), token, beside)
            }
            Fetch::Item(id) => match &self.item {
                Some(item) => item.ask(id, path),
                None => Err(Unaskable::Gone),
            },
            Fetch::Count => match &self.count {
                Some(count) => count.ask(path, filters),
                None => {
                    let beside = RequestExtras { path, filters, sort: "", sort_edits: &Edits::new() };
                    self.request.ask_first(self.least_size(), beside)
                }
            },
        }
    }

    /// Reads the response to a request. The body may be nested at most `depth` levels deep.
    ///
    /// # Errors
    /// Returns [`ReadingError`] for a response that isn't a list and doesn't match the dialect's `past_end` or `gone`.
    /// For an item or a count, returns it for a response that is neither this item or count nor gone.
    pub fn read(
        &self,
        sorted: &CompiledOrder,
        ask: &UpstreamRequest,
        status: u16,
        headers: &HeaderMap,
        body: Vec<u8>,
        depth: u16,
    ) -> Result<Answer, ReadingError> {
        match (&ask.fetch, &self.item, &self.count) {
            (Fetch::Item(_), Some(item), _) => {
                let columns = &sorted.shape.columns[..sorted.order.columns()];
                item.read(columns, &sorted.shape.item, status, headers, body, depth)
            }
            (Fetch::Count, _, Some(count)) => count.read(status, headers, body, depth),
            // Without `[count]`, the smallest page was requested only for its total. Test:
            // `the_smallest_page_has_the_total_without_a_count_request`.
            (Fetch::Count, _, None) => {
                let list = self.reading.read(&sorted.shape, ask, status, headers, body, depth)?;
                Ok(Answer::counted(list.total))
            }
            _ => self.reading.read(&sorted.shape, ask, status, headers, body, depth),
        }
    }

    /// Returns what the answer to a request says about the end of its list, each fact by itself. `headers` are those of
    /// the response that `answer` was read from.
    #[must_use]
    pub fn witnesses(&self, ask: &UpstreamRequest, headers: &HeaderMap, answer: &Answer) -> EndWitnesses {
        self.reading.witnesses(ask, headers, answer)
    }

    /// Returns the place of the array of items in an answer's body.
    #[must_use]
    pub fn items_place(&self) -> &Pointer {
        &self.reading.items
    }

    /// Returns the place of the item in an element of the array; the root if the element is the item.
    #[must_use]
    pub fn item_place(&self) -> &Pointer {
        &self.reading.item
    }

    /// Returns the place of the id in an item as it is served; `None` if the id is outside the item, elsewhere in its
    /// element.
    #[must_use]
    pub fn id_place(&self) -> Option<Pointer> {
        let CompiledOrder { order, shape, .. } = &*self.declared;
        let (id, item) = (shape.columns.get(order.strong().len())?.to_string(), shape.item.to_string());
        // `/node_id` isn't a place within `/node`, so the rest must be empty or begin with a slash.
        let inner = id.strip_prefix(&item).filter(|inner| inner.is_empty() || inner.starts_with('/'))?;
        Pointer::parse(inner).ok()
    }

    /// Returns the smallest size that requests may ask for.
    pub fn least_size(&self) -> PageSize {
        PageSize(match self.paging.sizes() {
            Sizes::Free { least, .. } => *least,
            Sizes::Listed(sizes) => sizes.first().copied().unwrap_or(1),
            Sizes::Fixed(size) => *size,
        })
    }

    /// Returns the decoded names of all paging parameters in `query` and `also`. Clients can't send these parameters as
    /// filters, and a request with one of them is a legacy request.
    #[must_use]
    pub fn paging_names(&self) -> &[String] {
        self.legacy.names()
    }

    /// Returns the decoded names of the paging parameters, and the pointers to members of bodies, that state only the
    /// size of a page.
    #[must_use]
    pub fn size_names(&self) -> Vec<String> {
        self.legacy.size_names()
    }

    /// Returns the decoded names of all sort parameters. If a name contains the field, as `$sort[{field}]`, only
    /// `$sort` is returned.
    #[must_use]
    pub fn sort_names(&self) -> &[String] {
        &self.sort_names
    }

    /// Returns the decoded names of the parameters by which the dialect filters on the route's fields.
    #[must_use]
    pub fn filter_names(&self, list: &ListSettings) -> Vec<String> {
        self.orders.filter_names(list)
    }

    /// Returns JSON Pointers to the paging members of request bodies.
    #[must_use]
    pub fn paging_places(&self) -> Vec<String> {
        self.request.body.as_ref().map(BodyTemplate::places).unwrap_or_default()
    }

    /// Returns JSON Pointers to the sort members of request bodies.
    #[must_use]
    pub fn sort_places(&self) -> Vec<String> {
        self.orders.sort.as_ref().map(SortTemplate::places).unwrap_or_default()
    }

    /// Returns whether lists are requested by POST, with the client's body.
    #[must_use]
    pub fn sends_bodies(&self) -> bool {
        self.request.sends_bodies()
    }

    /// Returns the form for reading the upstream's own sort parameters in a client's query; `None` if the dialect has
    /// no sort.
    #[must_use]
    pub fn sort_form(&self) -> Option<SortForm> {
        self.orders.form()
    }

    /// Returns the window of a legacy request with these decoded pairs, under the names in
    /// [`paging_names`](Self::paging_names); `None` if no pair is a paging parameter.
    ///
    /// # Errors
    /// Returns [`LegacyFault`] if a paging parameter isn't a number, is out of range, contradicts another one, or is a
    /// token.
    pub fn legacy_window(&self, pairs: &[(String, String)]) -> Result<Option<LegacyWindow>, LegacyFault> {
        self.legacy.window(pairs)
    }
}

#[cfg(test)]
mod tests;
