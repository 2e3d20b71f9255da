//! The requests of old clients that are compared: some 25 reads of a list and of what surrounds it.

use http::{HeaderName, HeaderValue, Method, header};
use serde_json::Value;

use super::ProvenRoute;
use cursorgate_config::settings::{OldClients, Role};
use cursorgate_learn::{after_scheme, unchanged::WholeAnswer};

/// A path that no service has.
pub(super) const UNKNOWN: &str = "/cursorgate-check-unknown-path";

/// A request of an old client.
#[derive(Clone, Debug)]
pub(in super::super) struct OldRead {
    pub(super) method: Method,
    /// The path and the query for the gateway.
    pub(super) target: String,
    /// The path and the query for the service.
    pub(super) direct: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<Vec<u8>>,
    /// What distinguishes the request, for messages; empty if its method and its target do.
    about: &'static str,
}

/// The source of the requests of a route.
pub(super) struct ReadSource<'s> {
    pub(super) of: ProvenRoute<'s>,
    /// The service's answer to the list without parameters.
    pub(super) first: &'s WholeAnswer,
    /// The body of requests by POST, and of GET requests with one.
    pub(super) body: Option<&'s Value>,
}

/// A path with its spellings for the gateway and for the service.
#[derive(Clone)]
pub(in super::super) struct ListPath {
    pub(super) target: String,
    pub(super) direct: String,
}

impl OldRead {
    pub(in super::super) fn get(about: &'static str, path: ListPath) -> Self {
        let ListPath { target, direct } = path;
        Self { method: Method::GET, target, direct, headers: Vec::new(), body: None, about }
    }

    /// Creates a request from a log.
    pub(in super::super) fn recorded(method: Method, target: String, direct: String) -> Self {
        Self { method, target, direct, headers: Vec::new(), body: None, about: "" }
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    fn by(self, method: Method) -> Self {
        Self { method, ..self }
    }

    fn with_body(self, body: &Value) -> Self {
        let typed = self.with(header::CONTENT_TYPE, "application/json");
        Self { body: Some(body.to_string().into_bytes()), ..typed }
    }

    /// Returns the request in a few words, without its headers.
    pub(super) fn name(&self) -> String {
        let about = if self.about.is_empty() { String::new() } else { format!(" ({})", self.about) };
        format!("{} {}{about}", self.method, self.target)
    }

    /// Returns whether the request is one of the list's own path.
    pub(super) fn is_of_list(&self, of: ProvenRoute<'_>) -> bool {
        let path = self.target.split('?').next().unwrap_or_default();
        path.trim_end_matches('/') == of.sample.path.trim_end_matches('/')
    }
}

/// Returns the path of the list in the spelling that the service answers.
pub(super) fn plain_path(of: ProvenRoute<'_>) -> ListPath {
    let base = of.compiled.upstream.base_path.as_str();
    let asked = of.compiled.target(&of.sample.path, &of.sample.parameters, "");
    let direct = asked.strip_prefix(base).unwrap_or(&asked).to_owned();
    let slash = if direct.ends_with('/') && direct != "/" { "/" } else { "" };
    ListPath { target: format!("{}{slash}", of.sample.path.trim_end_matches('/')), direct }
}

/// Returns the requests. Those for the list are left out if the route doesn't let old requests pass.
pub(super) fn of(source: &ReadSource<'_>) -> Vec<OldRead> {
    let of = source.of;
    let passes = of.route.observe.is_some() || of.list.legacy.old_clients == OldClients::Pass;
    let mut reads = Vec::new();
    if passes {
        let by_post = of.dialect.sends_bodies();
        if by_post {
            reads.extend(bodies(source));
        }
        reads.extend(queries(source));
        reads.extend(manners(source));
    }
    reads.extend(others(source));
    reads
}

fn at(path: &ListPath, query: &str) -> ListPath {
    let put = |path: &str| if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    ListPath { target: put(&path.target), direct: put(&path.direct) }
}

/// Returns requests for the list with the parameters that old clients may send.
fn queries(source: &ReadSource<'_>) -> Vec<OldRead> {
    let ProvenRoute { dialect, .. } = source.of;
    let path = plain_path(source.of);
    let sizes: Vec<String> =
        dialect.size_names().into_iter().filter(|name| dialect.paging_names().contains(name)).collect();
    let places: Vec<&String> = dialect.paging_names().iter().filter(|name| !sizes.contains(name)).collect();
    let mut queries = vec![String::new()];
    queries.extend(sizes.iter().map(|name| format!("{name}=3")));
    queries.extend(places.iter().map(|name| format!("{name}=2")));
    let all: Vec<String> =
        sizes.iter().map(|name| format!("{name}=3")).chain(places.iter().map(|name| format!("{name}=2"))).collect();
    queries.push(all.join("&"));
    if let Some(size) = sizes.first() {
        queries.extend(["0", "abc", "3&{}=4"].map(|value| format!("{size}={}", value.replace("{}", size))));
    }
    if let Some(place) = places.first() {
        queries.extend(["1", "100000"].map(|value| format!("{place}={value}")));
    }
    queries.push("page=1".to_owned());
    queries.extend(sort(source));
    queries.extend(filter(source));
    queries.extend(new_names(source.of));
    queries.extend(next(source));
    let mut reads: Vec<OldRead> = Vec::new();
    for query in queries.into_iter().take(24) {
        let read = OldRead::get("", at(&path, &query));
        if !reads.iter().any(|known| known.target == read.target) {
            reads.push(read);
        }
    }
    // Both spellings of the path: the service may redirect from one to the other.
    let other = |text: &str| text.strip_suffix('/').map_or_else(|| format!("{text}/"), str::to_owned);
    let identical = path.target == path.direct;
    if path.target != "/" && identical {
        reads.push(OldRead::get("", ListPath { target: other(&path.target), direct: other(&path.direct) }));
    }
    reads
}

/// Returns a query with the service's sort, by a field that it knows.
fn sort(source: &ReadSource<'_>) -> Option<String> {
    let ProvenRoute { list, dialect, .. } = source.of;
    let name = dialect.sort_names().first()?;
    let declared = list.order.first().map(|term| term.value.field.as_str());
    let field = list.sortable.first().map(|field| field.value.as_str()).or(declared).unwrap_or("id");
    Some(format!("{name}={field}"))
}

/// Returns a query with a filter by a member of the first item.
fn filter(source: &ReadSource<'_>) -> Option<String> {
    let item = first_item(source)?;
    let id = id_place(source.of);
    let members = item.as_object()?.iter().filter(|(name, _)| format!("/{name}") != id);
    let mut texts = members.filter_map(|(name, value)| match value {
        Value::Number(number) => Some((name, number.to_string())),
        Value::String(text) if text.len() < 60 => Some((name, text.clone())),
        _ => None,
    });
    let (name, value) = texts.next()?;
    Some(pair(name, &value))
}

fn pair(name: &str, value: &str) -> String {
    let encoded = |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
    format!("{}={}", encoded(name), encoded(value))
}

/// Returns requests with a name that marks new clients' requests.
pub(super) fn named(of: ProvenRoute<'_>, name: &str) -> [OldRead; 2] {
    ["3", "abc"].map(|value| OldRead::get("", at(&plain_path(of), &pair(name, value))))
}

/// Returns queries with the names of new clients' parameters, but without a mark: the service may use them itself.
fn new_names(of: ProvenRoute<'_>) -> Vec<String> {
    // Names that are marks are tried apart.
    let marks = |name: &String| of.list.new_clients.by.iter().any(|mark| mark.value == *name);
    let named = of.list.envelope.parameters.iter().chain(&of.list.parameters.renamed);
    let named = named.filter(|(_, name)| !marks(&name.value));
    let value = |role: Role| match role {
        Role::Limit | Role::LimitBackward => Some("3"),
        Role::Cursor | Role::After | Role::Before => Some("abc"),
        // An id may be any text, so every request with one is a new client's. `Sort` is the service's own, above.
        Role::AfterId | Role::BeforeId | Role::Sort => None,
    };
    let in_query = named.filter(|(_, name)| !name.value.starts_with('/') && !name.value.contains(':'));
    in_query.filter_map(|(role, name)| Some(format!("{}={}", name.value, value(*role)?))).collect()
}

/// Returns the query of the service's own link to the next page.
fn next(source: &ReadSource<'_>) -> Option<String> {
    let linked = cursorgate_link::find_target(&source.first.headers, "next");
    let body = source.first.json();
    let place = source.of.list.dialect.response.next_url.as_ref().map(|place| place.value.clone());
    let places =
        place.into_iter().chain(["/next", "/links/next", "/_links/next/href", "/paging/next"].map(str::to_owned));
    let in_body = || {
        let body = body.as_ref()?;
        places.into_iter().find_map(|place| body.pointer(&place)?.as_str().map(str::to_owned))
    };
    let link = linked.or_else(in_body)?;
    let rest = after_scheme(&link).and_then(|rest| rest.split_once('/')).map_or(link.as_str(), |(_, rest)| rest);
    rest.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default().to_owned())
}

/// Returns requests for the list by other methods and with other headers.
fn manners(source: &ReadSource<'_>) -> Vec<OldRead> {
    let (of, path) = (source.of, plain_path(source.of));
    let get = |about| OldRead::get(about, path.clone());
    let mut reads = vec![
        get("HEAD").by(Method::HEAD),
        get("with gzip").with(header::ACCEPT_ENCODING, "gzip"),
        get("Accept: text/html").with(header::ACCEPT, "text/html"),
        get("Accept: application/hal+json").with(header::ACCEPT, "application/hal+json"),
        get("Accept: application/json").with(header::ACCEPT, "application/json"),
    ];
    // Links of other hosts are other bytes, so the service's tag doesn't fit the answer through the gateway.
    if let Some(tag) = source.first.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok())
        && !of.compiled.rewrites_links
    {
        reads.push(get("If-None-Match").with(header::IF_NONE_MATCH, tag));
    }
    if of.route.cors.is_none() {
        let origin = "https://client.example";
        reads.push(get("Origin").with(header::ORIGIN, origin));
        let preflight = get("preflight").by(Method::OPTIONS).with(header::ORIGIN, origin);
        reads.push(preflight.with(header::ACCESS_CONTROL_REQUEST_METHOD, "GET"));
    }
    if let (Some(body), false) = (source.body, of.dialect.sends_bodies()) {
        reads.push(get("with a body").with_body(body));
    }
    reads
}

/// Returns requests by POST, for a list that is read by it.
fn bodies(source: &ReadSource<'_>) -> Vec<OldRead> {
    let path = plain_path(source.of);
    let body = source.body.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let post = |about, body: &Value| OldRead::get(about, path.clone()).by(Method::POST).with_body(body);
    let mut reads = vec![post("the body", &body)];
    for name in ["limit", "cursor", "page"] {
        let mut with = body.clone();
        if let Value::Object(members) = &mut with {
            members.insert(name.to_owned(), if name == "cursor" { "abc".into() } else { 3.into() });
        }
        reads.push(post(name, &with));
    }
    reads
}

/// Returns requests for other paths: an item, and one that the service doesn't have.
fn others(source: &ReadSource<'_>) -> Vec<OldRead> {
    let path = plain_path(source.of);
    // Behind another path the service's other paths have unknown ones.
    if path.target != path.direct {
        return Vec::new();
    }
    let mut reads = Vec::new();
    if let Some(id) = first_item(source).as_ref().and_then(|item| item.pointer(&id_place(source.of)).cloned()) {
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let id = percent_encoding::utf8_percent_encode(&id, percent_encoding::NON_ALPHANUMERIC).to_string();
        let slash = if path.target.ends_with('/') { "/" } else { "" };
        let item = format!("{}/{id}{slash}", path.target.trim_end_matches('/'));
        reads.push(OldRead::get("an item", ListPath { target: item.clone(), direct: item }));
    }
    let unknown = UNKNOWN.to_owned();
    reads.push(OldRead::get("another path", ListPath { target: unknown.clone(), direct: unknown }));
    reads
}

/// Returns the first item of the service's answer without parameters.
fn first_item(source: &ReadSource<'_>) -> Option<Value> {
    items(source.of, source.first)?.into_iter().next()
}

/// Returns the items of an answer of the list; `None` if it has none at the place of the dialect.
pub(super) fn items(of: ProvenRoute<'_>, answer: &WholeAnswer) -> Option<Vec<Value>> {
    let place = of.list.dialect.response.items.value.replace("{collection}", &of.list.collection);
    answer.json()?.pointer(&place)?.as_array().cloned()
}

/// Returns the ids of the items of an answer as JSON, in its order. An item without an id counts as a whole.
pub(super) fn sequence(of: ProvenRoute<'_>, answer: &WholeAnswer) -> Option<Vec<String>> {
    let place = id_place(of);
    Some(items(of, answer)?.iter().map(|item| item.pointer(&place).unwrap_or(item).to_string()).collect())
}

fn id_place(of: ProvenRoute<'_>) -> String {
    let list = of.list;
    let own = list.id.as_ref().or(list.dialect.response.id.as_ref());
    own.map_or_else(|| "/id".to_owned(), |id| id.value.clone())
}
