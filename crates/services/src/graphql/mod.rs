//! GraphQL: a Relay connection (<https://relay.dev/graphql/connections.htm>) for each list.
//!
//! A query is checked as text before it is parsed, and as a document before it is validated (`guard`). Then each list
//! that the query selects is read by one inner request (`connection`). So limits, logs, credentials and proofs are the
//! same as for a request that the client sends itself. The schema (`schema`) is built once for each configuration.
//! Items are slices of pages (`value`), and are copied into the answer byte for byte (`response`).

mod connection;
mod guard;
mod page;
mod persisted;
mod request;
mod response;
mod schema;
mod selection;
mod value;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::Ordering},
};

use async_graphql::{ServerError, dynamic::Schema, parser::parse_query};
use async_trait::async_trait;
use http::{HeaderName, Method};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use tokio::sync::Semaphore;

use self::{
    connection::QueryRun,
    persisted::{PersistedQueries, QueryText},
    request::GraphqlRequest,
    response::{AnswerForm, coded, error_of},
};
use super::{caller::Caller, inner::InnerGateway, list_page::ListReader, per_snapshot::PerSnapshot};
use cursorgate_config::settings::GraphqlSettings;
use cursorgate_gateway::{
    Snapshot,
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
    session::{
        body::{self, BodyLimits},
        client_request::Client,
        service::{Service, ServiceAnswer, intended_method, is_for},
    },
};
use cursorgate_translate::downstream::{Code, CorsPolicy, Problem, Response};

/// The largest nesting depth of a request's body, which contains the variables. A deeper body is refused.
const BODY_DEPTH: u16 = 32;

/// The largest number of validation errors that a client gets. Further errors are left out.
const MOST_FAULTS: usize = 10;

/// Headers of GraphQL clients that concern only the query, so inner requests don't inherit them. This matters for
/// caching: an unknown header could be a credential, so pages of a request with an unknown header are never cached for
/// anonymous clients.
const OF_QUERIES: [&str; 8] = [
    "accept",
    "apollo-require-preflight",
    "apollographql-client-name",
    "apollographql-client-version",
    "graphql-require-preflight",
    "prefer",
    "x-apollo-operation-id",
    "x-apollo-operation-name",
];

pub(super) struct Graphql {
    inner: Arc<InnerGateway>,
    api: PerSnapshot<GraphqlApi>,
}

/// The GraphQL API of a configuration.
struct GraphqlApi {
    schema: Schema,
    /// The default and the largest number of items of a list's page, by the list's name.
    limits: HashMap<String, (u32, u32)>,
    persisted: PersistedQueries,
}

struct FinishedQuery {
    response: Response,
    /// The numbers of lists that were read and that failed, for the log, such as `lists: 2 read, 0 failed`.
    summary: String,
    run: Arc<QueryRun>,
}

/// The reason that a query doesn't run, or has no answer.
enum QueryRefusal {
    /// The errors with which a GraphQL answer reports the refusal.
    Errors(Vec<ServerError>),
    /// The gateway's own failure, which is answered with a problem.
    Failed(Failure),
}

impl From<Box<Problem>> for QueryRefusal {
    fn from(problem: Box<Problem>) -> Self {
        Self::Errors(vec![error_of(&problem)])
    }
}

#[async_trait]
impl Service for Graphql {
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool {
        let Some(settings) = &snapshot.services.graphql else { return false };
        is_for(head, &settings.path) && matches!(intended_method(head), Some(Method::GET | Method::POST))
    }

    fn policy(&self, snapshot: &Snapshot, _head: &RequestHeader) -> Option<Arc<CorsPolicy>> {
        snapshot.service_policies.of_lists.clone()
    }

    fn name(&self) -> &'static str {
        "graphql"
    }

    async fn answer(
        &self,
        session: &mut ServerSession,
        _client: &Client,
        snapshot: &Arc<Snapshot>,
        held: &MemoryShare,
        outcome: &mut Outcome,
    ) -> Result<Option<ServiceAnswer>, Failure> {
        // This doesn't happen: `takes` accepts a request only if this snapshot has the settings.
        let Some(settings) = &snapshot.services.graphql else { return Ok(None) };
        let head = session.req_header();
        let is_page =
            head.method == Method::GET && page::is_asked_for(head.uri.query().unwrap_or_default(), &head.headers);
        if settings.page && is_page {
            return Ok(Some(ServiceAnswer::Whole(page::response())));
        }
        let form = AnswerForm::of(&head.headers);
        let mut request = read(session, settings, held).await?;
        match self.serve(session, &mut request, snapshot, settings, form, outcome).await {
            Ok(Some(FinishedQuery { response, summary, run })) => {
                outcome.detail = Some(summary);
                // The memory of the pages is released before the answer's memory is counted.
                drop(run);
                // The lists have been read, so the answer is sent even if `server.memory` is used up in the meantime.
                let _ = held.take(response.body.len());
                Ok(Some(ServiceAnswer::Whole(response)))
            }
            Ok(None) => Ok(None),
            Err(QueryRefusal::Errors(errors)) => {
                outcome.code = errors.first().and_then(code_of);
                Ok(Some(ServiceAnswer::Whole(form.refused(&errors))))
            }
            Err(QueryRefusal::Failed(failure)) => Err(failure),
        }
    }
}

impl Graphql {
    pub(super) fn new(inner: Arc<InnerGateway>) -> Self {
        Self { inner, api: PerSnapshot::default() }
    }

    /// Returns the API of a snapshot, which is built for the first request under the snapshot.
    fn api(&self, snapshot: &Arc<Snapshot>, settings: &GraphqlSettings) -> Result<Arc<GraphqlApi>, Failure> {
        self.api.get(snapshot, || {
            let schema = schema::build(snapshot, settings).map_err(|fault| {
                Failure::logged(Code::Internal, "the gateway failed: report the request id", fault.to_string())
            })?;
            let limits = snapshot.described.graphql.iter().map(|list| (list.name.clone(), list.limits)).collect();
            Ok(GraphqlApi { schema, limits, persisted: PersistedQueries::new(settings.persisted_size) })
        })
    }

    /// Checks and runs a query. Returns `None` if the client has gone.
    async fn serve(
        &self,
        session: &mut ServerSession,
        request: &mut GraphqlRequest,
        snapshot: &Arc<Snapshot>,
        settings: &GraphqlSettings,
        form: AnswerForm,
        outcome: &Outcome,
    ) -> Result<Option<FinishedQuery>, QueryRefusal> {
        let api = self.api(snapshot, settings).map_err(QueryRefusal::Failed)?;
        let checked = api.check(request, settings)?;
        let gateway = Arc::clone(self.inner.gateway());
        let caller = caller(session, outcome);
        let most = settings.answer_size;
        let work = |wanted| {
            let run = QueryRun {
                reader: ListReader {
                    gateway,
                    snapshot: Arc::clone(snapshot),
                    caller,
                    timeout: settings.timeout,
                    room: most.into(),
                    held: snapshot.memory.share(),
                    wanted,
                    renamed: &[],
                },
                at_once: Semaphore::new(settings.at_once),
                pages: Mutex::default(),
                read: 0.into(),
                failed: 0.into(),
                faults: 0.into(),
            };
            async move { finish(&api, checked, Arc::new(run), form, most).await }
        };
        self.inner.run(session, work).await.map_err(QueryRefusal::Failed)?.transpose()
    }
}

impl GraphqlApi {
    /// Parses and checks a query, before any part of it runs.
    fn check(
        &self,
        request: &mut GraphqlRequest,
        settings: &GraphqlSettings,
    ) -> Result<async_graphql::Request, QueryRefusal> {
        let refused =
            |code: &str, message: &str| QueryRefusal::Errors(vec![coded(ServerError::new(message, None), code)]);
        // Clients recognise exactly these messages, and then send the text together with its hash.
        // Test: `a_persisted_query_is_stored_only_under_its_own_hash`.
        let text = match self.persisted.text(request) {
            QueryText::Text(text) => text,
            QueryText::Unknown => return Err(refused("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")),
            QueryText::Unsupported => {
                return Err(refused("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported"));
            }
            QueryText::Mismatched => {
                return Err(guard::invalid("the query has another hash than `sha256Hash` says").into());
            }
            QueryText::Missing => return Err(guard::invalid("there is no query: send it as `query`").into()),
        };
        // The text is scanned before it is parsed, because the parser follows nesting without a bound.
        // Test: `hostile_queries_are_refused_before_a_list_is_read`.
        guard::scan(&text, settings)?;
        let document = parse_query(&*text).map_err(|fault| {
            let fault = ServerError::from(fault);
            QueryRefusal::Errors(vec![coded(fault, Code::QueryInvalid.as_str())])
        })?;
        let variables = request.take_variables();
        // The document is measured before it is validated, because validation follows fragments without a bound.
        // Test: `hostile_queries_are_refused_before_a_list_is_read`.
        guard::measure(&document, &variables, settings, &self.limits)?;
        let mut checked = async_graphql::Request::new("").variables(variables);
        checked.operation_name = request.operation.take();
        checked.set_parsed_query(document);
        Ok(checked)
    }
}

/// Runs a query, and writes its answer. Refuses the query if the answer would be larger than about `most` bytes.
async fn finish(
    api: &GraphqlApi,
    checked: async_graphql::Request,
    run: Arc<QueryRun>,
    form: AnswerForm,
    most: usize,
) -> Result<FinishedQuery, QueryRefusal> {
    let answered = api.schema.execute(checked.data(Arc::clone(&run))).await;
    let async_graphql::Response { data, mut errors, .. } = answered;
    if data == async_graphql::Value::Null {
        // Validation failed and no field ran. A field that runs reports its faults beside the data, so the data isn't
        // null then.
        // A mutation breaks two rules of the validation, which say the same of the same place.
        errors.dedup_by(|one, other| one.message == other.message && one.locations == other.locations);
        errors.truncate(MOST_FAULTS);
        let errors = errors.into_iter().map(|error| coded(error, Code::QueryInvalid.as_str()));
        return Err(QueryRefusal::Errors(errors.collect()));
    }
    let faults = run.faults.load(Ordering::Relaxed);
    let Ok(body) = response::write_answer(&data, &errors, faults, &run.unproven_ends(), most) else {
        let detail = format!("the query is too large: its answer has more than {most} bytes");
        return Err(Box::new(Problem::new(Code::QueryTooComplex, detail)).into());
    };
    let summary =
        format!("lists: {} read, {} failed", run.read.load(Ordering::Relaxed), run.failed.load(Ordering::Relaxed));
    Ok(FinishedQuery { response: form.answer(body), summary, run })
}

/// Reads a request from the body of a POST, or from the query of a GET.
async fn read(
    session: &mut ServerSession,
    settings: &GraphqlSettings,
    held: &MemoryShare,
) -> Result<GraphqlRequest, Failure> {
    if session.req_header().method == Method::POST {
        let limits = BodyLimits { size: settings.size, depth: BODY_DEPTH, time: settings.timeout };
        return Ok(GraphqlRequest::of_body(body::read(session, limits, held).await?.bytes())?);
    }
    let head = session.req_header();
    let query = head.uri.query().unwrap_or_default();
    Ok(GraphqlRequest::of_query(query, &head.headers, settings.size)?)
}

/// Returns the client of a query for inner requests, without the headers that concern only the query.
fn caller(session: &ServerSession, outcome: &Outcome) -> Caller {
    let mut caller = Caller::of(session, outcome.client);
    for name in OF_QUERIES {
        caller.headers.remove(HeaderName::from_static(name));
    }
    caller
}

/// Returns the code of an error for the log; `None` if it isn't a code of the gateway.
fn code_of(error: &ServerError) -> Option<&'static str> {
    let async_graphql::Value::String(code) = error.extensions.as_ref()?.get("code")? else { return None };
    Code::ALL.iter().map(|known| known.as_str()).find(|known| known == code)
}
