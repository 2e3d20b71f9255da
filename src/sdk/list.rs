//! The description of a list, independent of the language of a client: the request, the places in its answers, and the
//! schema of its items.

use super::{
    samples::{ListSamples, sample},
    spec::SpecValue,
};
use crate::{
    config::settings::{EnvelopeSettings, ListSettings, Role, RouteSettings},
    downstream::{
        Convention,
        envelope::{places::EnvelopePlaces, schema},
    },
    gateway::{
        List, Route,
        openapi::{Names, item_schema},
    },
    json::{Document, Pointer},
};

/// A list for which a client is written.
#[derive(Debug)]
pub(super) struct SdkList {
    /// The name of the route.
    pub(super) name: String,
    pub(super) summary: String,
    pub(super) post: bool,
    /// The path in the configuration, with `{name}` for a parameter.
    pub(super) path: String,
    /// The names of the path's parameters.
    pub(super) path_parameters: Vec<String>,
    pub(super) cursor: SdkInput,
    pub(super) limit: Option<SdkInput>,
    pub(super) max_limit: u32,
    pub(super) sort: Option<SdkInput>,
    /// The terms of a sort: each field, without and with a minus sign.
    pub(super) sort_terms: Vec<String>,
    /// The filters that the configuration names.
    pub(super) filters: Vec<String>,
    /// The items; `None` if no schema describes them.
    pub(super) item: Option<SdkItem>,
    pub(super) samples: ListSamples,
    /// The preferences that each request sends in `Prefer` (RFC 7240).
    prefer: Vec<String>,
    places: ListPlaces,
}

/// The description of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SdkItem {
    pub(super) schema: Document,
    /// The schemas that it refers to, by name.
    pub(super) components: Vec<(String, Document)>,
}

/// A parameter of requests.
#[derive(Clone, Debug)]
pub(super) enum SdkInput {
    Query(String),
    Body(Pointer),
    Preference(String),
}

/// The places of facts in answers.
#[derive(Debug)]
struct ListPlaces {
    items: Pointer,
    /// The place of the item in an element; `None` if elements consist of parts of an item.
    item: Option<Pointer>,
    next: NextPlace,
    more: Option<Pointer>,
    total: Option<Pointer>,
    /// The places of facts in errors, by the names of placeholders; `None` if errors are problem documents.
    error: Option<Vec<(&'static str, Pointer)>>,
}

/// The source of the next page's cursor or link.
#[derive(Debug)]
enum NextPlace {
    Cursor(Pointer),
    Link(Pointer),
    LinkHeader,
}

/// The facts of errors that a client reads.
const ERROR_FACTS: [&str; 7] = ["code", "reason", "title", "detail", "parameter", "request_id", "restart"];

impl SdkInput {
    fn of(convention: &Convention, role: Role) -> Option<Self> {
        let parameters = &convention.parameters;
        let preferred = parameters.preferred_limit().filter(|_| role == Role::Limit);
        match parameters.name(role) {
            Some(name) if name.starts_with('/') => Pointer::parse(name).ok().map(Self::Body),
            Some(name) => Some(Self::Query(name.to_owned())),
            None => preferred.map(|name| Self::Preference(name.to_owned())),
        }
    }

    pub(super) fn spec(&self) -> SpecValue {
        let (place, name) = match self {
            Self::Query(name) => ("query", SpecValue::texts([name.as_str()])),
            Self::Body(place) => ("body", SpecValue::place(Some(place))),
            Self::Preference(name) => ("prefer", SpecValue::texts([name.as_str()])),
        };
        SpecValue::Record(vec![("place", SpecValue::text(place)), ("name", name)])
    }

    /// Returns whether the parameter can be sent with the method: GET requests have no body.
    fn fits(&self, post: bool) -> bool {
        post || !matches!(self, Self::Body(_))
    }
}

impl SdkList {
    /// Describes a list in the route's own envelope.
    ///
    /// # Errors
    ///
    /// Returns the reason if no client can walk the list.
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

    /// Returns the description of requests and answers for the generated code: a `ListSpec`.
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
        // The cursor of the last item leads to the next page as well. The last page has one too, so that a flag must
        // show whether more items follow.
        let of_item = || place("end.cursor").filter(|_| role == Role::After && more.is_some());
        // A parameter for ids does not take the cursor of a page, so that such lists are walked by their links. Test:
        // `a_client_in_typescript_is_strictly_typed_and_walks_every_envelope`.
        let of_page = || place("next.cursor").filter(|_| role != Role::AfterId);
        // Answers to requests by POST have no links.
        let by_link = || (!post && matches!(cursor, SdkInput::Query(_))).then(|| place("links.next"));
        let next = match (of_page().or_else(of_item), by_link()) {
            (Some(at), _) => NextPlace::Cursor(at),
            (None, Some(Some(at))) => NextPlace::Link(at),
            (None, Some(None)) => NextPlace::LinkHeader,
            // A client that stops after one page would lose items without an error, so that the list is left out. Test:
            // `a_list_that_can_not_be_walked_is_left_out_and_named`.
            (None, None) => return Err(format!("answers by POST in the envelope {} have no cursor", envelope.name)),
        };
        let error = envelope.error.as_ref().map(|error| {
            let found = EnvelopePlaces::of_error(&error.body, collection);
            ERROR_FACTS.into_iter().filter_map(|name| Some((name, found.find(name)?.clone()))).collect()
        });
        let items = found.items.clone().ok_or_else(|| format!("the envelope {} has no items", envelope.name))?;
        let item = found.item.clone();
        Ok(Self { items, item, next, more, total: place("total"), error })
    }
}

/// Returns the schema of elements that consist of parts of items.
fn element_schema(envelope: &EnvelopeSettings, collection: &str, items: &Pointer) -> Option<Document> {
    let mut schema = schema::of_body(&envelope.body, collection, &schema::any(), None);
    for name in items.names()? {
        schema = schema.member("properties")?.member(name)?.clone();
    }
    schema.member("items").cloned()
}

/// Returns the names of a path's parameters. The path of a list never has the wildcard `{*rest}`.
fn path_parameters(path: &str) -> Vec<String> {
    let named = path.split('{').skip(1).filter_map(|tail| tail.split_once('}'));
    named.map(|(name, _)| name.to_owned()).collect()
}

/// Returns the descriptions of a configuration's lists, and the reasons for those that are left out.
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
