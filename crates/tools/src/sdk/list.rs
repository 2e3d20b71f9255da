//! The description of a list, independent of the client's language: its requests, the places of facts in its answers,
//! and the schema of its items.

use super::{
    input::SdkInput,
    samples::{ListSamples, sample},
    spec::SpecValue,
};
use cursorgate_config::settings::{EnvelopeSettings, ListSettings, Role, RouteSettings};
use cursorgate_core::json::{Document, Pointer};
use cursorgate_gateway::{
    List, Route,
    openapi::{Names, item_schema},
};
use cursorgate_translate::downstream::envelope::{places::EnvelopePlaces, schema};

/// A list for which a client has a method.
#[derive(Debug)]
pub(super) struct SdkList {
    /// The name of the list's route, from which the client's method gets its name.
    pub(super) name: String,
    pub(super) summary: String,
    pub(super) post: bool,
    /// The path from the configuration, with `{name}` for a parameter.
    pub(super) path: String,
    /// The names of the path's parameters, in their order.
    pub(super) path_parameters: Vec<String>,
    pub(super) cursor: SdkInput,
    /// The first cursor.
    start: String,
    pub(super) limit: Option<SdkInput>,
    pub(super) max_limit: u32,
    pub(super) sort: Option<SdkInput>,
    /// The terms that a sort can have: each field without and with a minus sign, such as `name` and `-name`.
    pub(super) sort_terms: Vec<String>,
    /// The names of the filters in the configuration.
    pub(super) filters: Vec<String>,
    /// The description of an item; `None` if no schema describes the items.
    pub(super) item: Option<SdkItem>,
    pub(super) samples: ListSamples,
    /// The preferences in the `Prefer` header (RFC 7240) of each request.
    prefer: Vec<String>,
    places: ListPlaces,
}

/// The JSON Schema of an item, with everything to which it refers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SdkItem {
    pub(super) schema: Document,
    /// The names and schemas of the components to which the schema refers.
    pub(super) components: Vec<(String, Document)>,
}

/// The places of the facts in an answer.
#[derive(Debug)]
struct ListPlaces {
    items: Pointer,
    /// The place of the item in an element of `items`; `None` if elements consist of parts of an item.
    item: Option<Pointer>,
    next: NextPlace,
    /// The place of the flag that says whether more items follow; `None` if answers don't have the flag.
    more: Option<Pointer>,
    /// The place of the list's total; `None` if answers don't have a total.
    total: Option<Pointer>,
    /// The places of [`ERROR_FACTS`] in errors, by the name of the fact; `None` if errors are problem documents.
    error: Option<Vec<(&'static str, Pointer)>>,
}

/// The place at which an answer has the next page's cursor, or the link that contains it.
#[derive(Debug)]
enum NextPlace {
    Cursor(Pointer),
    Link(Pointer),
    LinkHeader,
}

/// The facts that a client reads from an error: their placeholders in an envelope, and their names in a problem.
const ERROR_FACTS: [(&str, &str); 7] = [
    ("code", "code"),
    ("reason", "reason"),
    ("title", "title"),
    ("detail", "detail"),
    ("parameter", "parameter"),
    ("request_id", "requestId"),
    ("restart", "restart"),
];

impl SdkList {
    /// Creates the description of a list. The client uses the route's own envelope.
    ///
    /// # Errors
    ///
    /// Returns the reason if a client can't walk the list.
    pub(super) fn describe(route: &RouteSettings, settings: &ListSettings, list: &List) -> Result<Self, String> {
        let convention = list.conventions.own();
        let envelope = &settings.envelope;
        let post = !route.methods.get;
        let cursor = [Role::Cursor, Role::After, Role::AfterId].into_iter();
        let cursor = cursor.filter_map(|role| Some((role, SdkInput::of(convention, role)?)));
        let Some((role, cursor)) = cursor.into_iter().find(|(_, input)| input.fits(post)) else {
            return Err(format!("the envelope {} has no parameter for cursors", envelope.name));
        };
        let places = ListPlaces::find(envelope, &settings.collection, role, &cursor, post)?;
        let item = match &places.item {
            Some(_) => item_schema(route, list, &mut Names::default()),
            None => element_schema(envelope, &settings.collection, &places.items).map(|schema| (schema, Vec::new())),
        };
        let input = |role| SdkInput::of(convention, role).filter(|input| input.fits(post));
        let sorts = list.dialect.can_sort();
        let terms = settings.sortable.iter().flat_map(|field| [field.value.clone(), format!("-{}", field.value)]);
        let prefers = !settings.envelopes.is_empty();
        let path = route.path.value.clone();
        Ok(Self {
            name: route.name.value.clone(),
            summary: format!("The list of {}.", settings.collection),
            post,
            path_parameters: path_parameters(&path),
            samples: sample(convention, &cursor, &path, settings.page_size.default)?,
            path,
            cursor,
            start: convention.parameters.first_cursor().to_owned(),
            limit: input(Role::Limit),
            max_limit: settings.page_size.max,
            sort: input(Role::Sort).filter(|_| sorts),
            sort_terms: if sorts { terms.collect() } else { Vec::new() },
            filters: settings.parameters.filters.iter().map(|name| name.value.clone()).collect(),
            item: item.map(|(schema, components)| SdkItem { schema, components }),
            prefer: prefers.then(|| format!("envelope={}", envelope.name)).into_iter().collect(),
            places,
        })
    }

    /// Returns the constant of type `ListSpec` that describes requests and answers in the generated code.
    pub(super) fn spec(&self) -> SpecValue {
        let input = |input: &Option<SdkInput>| input.as_ref().map_or(SpecValue::Nothing, SdkInput::spec);
        let ListPlaces { items, item, next, more, total, error } = &self.places;
        let (source, at) = match next {
            NextPlace::Cursor(at) => ("cursor", Some(at)),
            NextPlace::Link(at) => ("link", Some(at)),
            NextPlace::LinkHeader => ("header", None),
        };
        let at = at.map_or_else(|| SpecValue::List(Vec::new()), |at| SpecValue::place(Some(at)));
        let error = error.as_ref().map_or(SpecValue::Nothing, |facts| {
            SpecValue::Record(facts.iter().map(|(name, place)| (*name, SpecValue::place(Some(place)))).collect())
        });
        SpecValue::Record(vec![
            ("method", SpecValue::text(if self.post { "POST" } else { "GET" })),
            ("path", SpecValue::text(&self.path)),
            ("cursor", self.cursor.spec()),
            ("start", SpecValue::text(&self.start)),
            ("limit", input(&self.limit)),
            ("sort", input(&self.sort)),
            ("prefer", SpecValue::texts(self.prefer.iter().map(String::as_str))),
            ("items", SpecValue::place(Some(items))),
            ("item", SpecValue::place(Some(&item.clone().unwrap_or_default()))),
            ("next", SpecValue::Record(vec![("source", SpecValue::text(source)), ("at", at)])),
            ("more", SpecValue::place(more.as_ref())),
            ("total", SpecValue::place(total.as_ref())),
            ("error", error),
        ])
    }
}

impl ListPlaces {
    fn find(
        envelope: &EnvelopeSettings,
        collection: &str,
        role: Role,
        cursor: &SdkInput,
        post: bool,
    ) -> Result<Self, String> {
        let found = EnvelopePlaces::of_body(&envelope.body, collection);
        let place = |name| found.find(name).cloned();
        let more = place("has_next").or_else(|| place("has_more"));
        // The cursor of the last item also leads to the next page. But the last page has this cursor too, so it is used
        // only if a flag shows whether more items follow.
        let of_item = || place("end.cursor").filter(|_| role == Role::After && more.is_some());
        // A parameter for ids doesn't accept the cursor of a page, so a client walks the list by links.
        // Test: `a_client_in_typescript_is_strictly_typed_and_walks_every_envelope`.
        let of_page = || place("next.cursor").filter(|_| role != Role::AfterId);
        // Answers to POST requests don't have links, so the cursor must be in the body.
        let by_link = || (!post && matches!(cursor, SdkInput::Query(_))).then(|| place("links.next"));
        let next = match (of_page().or_else(of_item), by_link()) {
            (Some(at), _) => NextPlace::Cursor(at),
            (None, Some(Some(at))) => NextPlace::Link(at),
            (None, Some(None)) => NextPlace::LinkHeader,
            // A client that stopped after one page would lose items without an error, so the list is left out.
            // Test: `a_list_that_can_not_be_walked_is_left_out_and_named`.
            (None, None) => return Err(format!("answers by POST in the envelope {} have no cursor", envelope.name)),
        };
        let error = envelope.error.as_ref().map(|error| {
            let found = EnvelopePlaces::of_error(&error.body, collection);
            let found = |(slot, name)| Some((name, found.find(slot)?.clone()));
            ERROR_FACTS.into_iter().filter_map(found).collect()
        });
        let items = found.items.clone().ok_or_else(|| format!("the envelope {} has no items", envelope.name))?;
        let item = found.item.clone();
        Ok(Self { items, item, next, more, total: place("total"), error })
    }
}

/// Returns the schema of elements that consist of parts of items; `None` if the envelope doesn't have the elements.
fn element_schema(envelope: &EnvelopeSettings, collection: &str, items: &Pointer) -> Option<Document> {
    let mut schema = schema::of_body(&envelope.body, collection, &schema::any(), None);
    for name in items.names()? {
        schema = schema.member("properties")?.member(name)?.clone();
    }
    schema.member("items").cloned()
}

/// Returns the names of a path's parameters. The path of a list never contains the wildcard `{*rest}`.
fn path_parameters(path: &str) -> Vec<String> {
    let named = path.split('{').skip(1).filter_map(|tail| tail.split_once('}'));
    named.map(|(name, _)| name.to_owned()).collect()
}

/// Returns the descriptions of a configuration's lists, and a sentence with the reason for each list that is left out.
pub(super) fn describe_all(
    routes: &[RouteSettings],
    compiled: &[std::sync::Arc<Route>],
) -> (Vec<SdkList>, Vec<String>) {
    let (mut lists, mut left_out) = (Vec::new(), Vec::new());
    for settings in routes {
        let list =
            compiled.iter().find(|route| route.name == settings.name.value).and_then(|route| route.list.as_ref());
        let (Some(of_list), Some(list)) = (&settings.list, list) else { continue };
        match SdkList::describe(settings, of_list, list) {
            Ok(list) => lists.push(list),
            Err(reason) => left_out.push(format!("route {} is left out: {reason}", settings.name.value)),
        }
    }
    (lists, left_out)
}
