//! The public contract: the OpenAPI document of lists and services, the catalog of the API, and the entry, from which a
//! client finds all lists. All three contain only what the client can reach under the host of its request. The
//! reference page shows the document to people.

mod reference;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use serde_json::{Map, Value, json};

use self::reference::ReferencePart;
use super::per_snapshot::PerSnapshot;
use cursorgate_config::settings::{CATALOG_PATH, PublicContractSettings, ServiceSettings};
use cursorgate_gateway::{
    Snapshot,
    net::memory::MemoryShare,
    openapi::DocumentReader,
    outcome::{access_log::Outcome, failure::Failure},
    request::target::{self, RequestTarget},
    session::{
        client_request::Client,
        service::{Service, ServiceAnswer, intended_method, is_for},
    },
};
use cursorgate_translate::downstream::{CorsPolicy, LinkBase, Response, response::etag};

/// The largest number of hosts whose document is kept. A host without routes of its own shares one document with all
/// such hosts.
const MOST_DOCUMENTS: usize = 16;

const JSON: &str = "application/json";
/// HAL (draft-kelly-json-hal).
const HAL: &str = "application/hal+json";
/// RFC 9727, section 4.2.
const CATALOG: &str = "application/linkset+json; profile=\"https://www.rfc-editor.org/info/rfc9727\"";

#[derive(Default)]
pub(super) struct PublicContract {
    documents: PerSnapshot<Documents>,
}

/// The rendered documents of a configuration, by host, the oldest first.
#[derive(Default)]
struct Documents(Mutex<Vec<(Option<String>, Bytes)>>);

impl Documents {
    /// Returns the document of a host. Requests wait while a document is rendered.
    fn of(&self, host: Option<&str>, snapshot: &Snapshot, contract: &PublicContractSettings) -> Bytes {
        // Any client can name a host, so only hosts of routes have a document of their own.
        let is_known = |host: &&str| snapshot.routes.iter().any(|route| route.hosts.iter().any(|own| own == host));
        let host = host.filter(is_known);
        // A poisoned lock is safe to take, because a document is added only as a whole.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, document)) = known.iter().find(|(of, _)| of.as_deref() == host) {
            return document.clone();
        }
        let document = Bytes::from(snapshot.openapi.render(DocumentReader::Client(host, contract)));
        if known.len() == MOST_DOCUMENTS {
            known.remove(0);
        }
        known.push((host.map(str::to_owned), document.clone()));
        document
    }
}

#[async_trait]
impl Service for PublicContract {
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool {
        let Some(contract) = &snapshot.services.contract else { return false };
        (contract.paths().any(|path| is_for(head, path)) || reference::part(contract, head).is_some())
            && matches!(intended_method(head), Some(Method::GET | Method::HEAD))
    }

    fn policy(&self, snapshot: &Snapshot, _head: &RequestHeader) -> Option<Arc<CorsPolicy>> {
        snapshot.service_policies.of_lists.clone()
    }

    fn name(&self) -> &'static str {
        "contract"
    }

    async fn answer(
        &self,
        session: &mut ServerSession,
        client: &Client,
        snapshot: &Arc<Snapshot>,
        held: &MemoryShare,
        _outcome: &mut Outcome,
    ) -> Result<Option<ServiceAnswer>, Failure> {
        // This doesn't happen: `takes` accepts a request only if this snapshot has the settings.
        let Some(contract) = &snapshot.services.contract else { return Ok(None) };
        let head = session.req_header();
        let call = ContractCall { snapshot, contract, client, head, target: target::read(head)? };
        if let Some(part) = reference::part(contract, head) {
            let response = call.reference(&part);
            held.take(response.body.len())?;
            return Ok(Some(ServiceAnswer::Whole(response.unless_matched(&head.headers))));
        }
        let (media_type, body) = if is_for(head, &contract.document) {
            let documents = self.documents.get(snapshot, || Ok::<_, Failure>(Documents::default()))?;
            (JSON, documents.of(call.target.host.as_deref(), snapshot, contract))
        } else if is_for(head, CATALOG_PATH) {
            (CATALOG, call.catalog())
        } else {
            (HAL, call.entry())
        };
        held.take(body.len())?;
        let mut response = Response::new(200, Vec::new());
        let headers = &mut response.headers;
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(header::ETAG, etag::weak(&[&body]));
        // The document changes with the configuration, so it is asked for again, which costs only a 304.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if contract.catalog
            && let Ok(link) = HeaderValue::try_from(format!("<{}>; rel=\"api-catalog\"", call.own(CATALOG_PATH)))
        {
            headers.insert(header::LINK, link);
        }
        response.body = body.into();
        Ok(Some(ServiceAnswer::Whole(response.unless_matched(&session.req_header().headers))))
    }
}

/// A request for a part of the contract.
struct ContractCall<'c> {
    snapshot: &'c Snapshot,
    contract: &'c PublicContractSettings,
    client: &'c Client,
    head: &'c RequestHeader,
    target: RequestTarget,
}

impl ContractCall<'_> {
    /// Returns the link to a path of a service, which every host has.
    fn own(&self, path: &str) -> String {
        let address = self.client.service_address(&self.target, &self.head.headers, self.snapshot);
        LinkBase::new(&address, path).url("")
    }

    /// Returns the link to the page about the API for people; `None` if there is none.
    fn documentation(&self) -> Option<String> {
        let PublicContractSettings { documentation, reference, .. } = self.contract;
        documentation.clone().or_else(|| reference.as_deref().map(|path| self.own(path)))
    }

    /// Returns a part of the reference page.
    fn reference(&self, part: &ReferencePart) -> Response {
        let PublicContractSettings { document, reference, .. } = self.contract;
        match part {
            ReferencePart::Page => {
                let (path, described) = (reference.as_deref().unwrap_or_default(), &self.snapshot.openapi);
                reference::page(path, document, described.title(), described.servers())
            }
            ReferencePart::File(number) => reference::file(*number, &self.head.headers),
        }
    }

    /// Returns the names of the lists that the client can reach, each with the link to its first page. The link of a
    /// path with parameters is a template (RFC 6570).
    fn lists(&self) -> impl Iterator<Item = (&str, String)> {
        let starts = self.snapshot.openapi.lists(DocumentReader::Client(self.target.host.as_deref(), self.contract));
        starts.filter_map(|start| {
            let route = self.snapshot.routes.iter().find(|route| route.name == start.route)?;
            let address = self.client.public_address(&self.target, &self.head.headers, route, self.snapshot);
            let link = LinkBase::new(&address, &start.path).url(&start.query);
            let link = link.replace("%7B", "{").replace("%7D", "}").replace("{*", "{+").replace("{%2A", "{+");
            Some((start.route.as_str(), link))
        })
    }

    /// Returns the catalog (RFC 9727): the description of the API, and its lists without parameters in their paths.
    fn catalog(&self) -> Bytes {
        let PublicContractSettings { document, entry, .. } = self.contract;
        let mut api = Map::new();
        api.insert("anchor".to_owned(), self.own(entry.as_deref().unwrap_or("/")).into());
        api.insert("service-desc".to_owned(), json!([{ "href": self.own(document), "type": JSON }]));
        if let Some(page) = self.documentation() {
            api.insert("service-doc".to_owned(), json!([{ "href": page, "type": "text/html" }]));
        }
        let lists = self.lists().filter(|(_, link)| !link.contains('{'));
        api.insert("item".to_owned(), lists.map(|(name, link)| json!({ "href": link, "title": name })).collect());
        written(&json!({ "linkset": [api] }))
    }

    /// Returns the entry: links to all lists and services.
    fn entry(&self) -> Bytes {
        let PublicContractSettings { document, catalog, entry, .. } = self.contract;
        let mut links = Map::new();
        let mut add = |relation: &str, link: Value| links.insert(relation.to_owned(), link);
        add("self", json!({ "href": self.own(entry.as_deref().unwrap_or("/")) }));
        add("service-desc", json!({ "href": self.own(document), "type": JSON }));
        if let Some(page) = self.documentation() {
            add("service-doc", json!({ "href": page, "type": "text/html" }));
        }
        if *catalog {
            add("api-catalog", json!({ "href": self.own(CATALOG_PATH) }));
        }
        let item = |(name, link): (&str, String)| match link.contains('{') {
            true => json!({ "name": name, "href": link, "templated": true }),
            false => json!({ "name": name, "href": link }),
        };
        add("item", self.lists().map(item).collect());
        let services: Vec<Value> = services(&self.snapshot.services)
            .map(|(name, path)| json!({ "name": name, "href": self.own(path) }))
            .collect();
        if !services.is_empty() {
            add("related", services.into());
        }
        written(&json!({ "_links": links }))
    }
}

/// Returns the names and the paths of the services that have a path of their own.
fn services(settings: &ServiceSettings) -> impl Iterator<Item = (&'static str, &str)> {
    let ServiceSettings { bulk, graphql, jobs, mcp, webhooks, .. } = settings;
    let clients = webhooks.as_ref().and_then(|webhooks| webhooks.clients.as_ref());
    let named = [
        bulk.as_ref().map(|bulk| ("bulk", bulk.path.as_str())),
        graphql.as_ref().map(|graphql| ("graphql", graphql.path.as_str())),
        jobs.as_ref().map(|jobs| ("jobs", jobs.path.as_str())),
        mcp.as_ref().map(|mcp| ("mcp", mcp.path.as_str())),
        clients.map(|clients| ("webhooks", clients.path.as_str())),
    ];
    named.into_iter().flatten()
}

fn written(document: &Value) -> Bytes {
    Bytes::from(format!("{document}\n"))
}
