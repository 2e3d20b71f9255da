//! The description of services: bulk requests, GraphQL, jobs of queues, live pages, tools for agents, and webhooks with
//! their events. The operations and schemas are data, in the files beside this one. Exports are described with each list.

use serde_json::{Value, json};

use super::names::{Names, pascal};
use cursorgate_config::settings::{EventType, JobSettings, OwnEventType, ServiceSettings, WebhookSettings};
use cursorgate_core::json::Document;

/// The descriptions of the services whose settings are in a configuration.
#[derive(Debug, Default)]
pub(super) struct DescribedServices {
    /// The names of the components, which no component of a route may have, each with its schema.
    pub(super) schemas: Vec<(String, Document)>,
    /// The paths, each with its path item.
    pub(super) paths: Vec<(String, Document)>,
    /// The events, each with a path item for the request that an endpoint gets (OpenAPI 3.1, section 4.8.1).
    pub(super) webhooks: Vec<(String, Document)>,
    /// The operation that opens a live page, without parameters; `None` if no page is live.
    pub(super) live: Option<Document>,
}

/// Returns a member of a file that describes a service: its `schemas`, or its `paths` by the part of the path after that
/// of the service.
fn part(file: &Document, name: &str) -> Vec<(String, Document)> {
    if let Some(Document::Object(members)) = file.member(name) { members.clone() } else { Vec::new() }
}

impl DescribedServices {
    pub(super) fn of(settings: &ServiceSettings) -> Self {
        let mut described = Self::default();
        if let Some(bulk) = &settings.bulk {
            described.add(&bulk.path, include_str!("services/bulk.json"));
        }
        if let Some(graphql) = &settings.graphql {
            described.add(&graphql.path, include_str!("services/graphql.json"));
        }
        if let Some(mcp) = &settings.mcp {
            described.add(&mcp.path, include_str!("services/mcp.json"));
        }
        if let Some(jobs) = &settings.jobs {
            described.jobs(jobs);
        }
        if let Some(webhooks) = &settings.webhooks
            && let Some(clients) = &webhooks.clients
        {
            described.add(&clients.path, include_str!("services/webhooks.json"));
            let schema = |event: &String| Some((event.clone(), sent(event, document(event_schema(webhooks, event)?))));
            described.webhooks = clients.events.iter().filter_map(schema).collect();
        }
        if settings.live.is_some() {
            let file = parsed(include_str!("services/live.json"));
            described.schemas.extend(part(&file, "schemas"));
            described.live = file.member("operation").cloned().map(with_refusals);
        }
        described
    }

    /// Adds the operations on jobs, and for each queue the operation that begins one.
    fn jobs(&mut self, jobs: &JobSettings) {
        let file = self.add(&jobs.path, include_str!("services/jobs.json"));
        let Some(operation) = file.member("operation").cloned().map(with_refusals) else { return };
        let mut names = Names::default();
        for queue in &jobs.queues {
            let begin = Document::object([
                ("operationId", Document::from(names.claim(&format!("begin{}Job", pascal(&queue.name))))),
                ("summary", format!("Begins a job of the queue {}", queue.name).into()),
            ]);
            let operation = Document::Object([members(begin), members(operation.clone())].concat());
            self.paths.push((format!("{}/{}", jobs.path, queue.name), Document::object([("post", operation)])));
        }
    }

    /// Adds the schemas of a file, and its paths below that of the service. Returns the file.
    fn add(&mut self, path: &str, file: &str) -> Document {
        let file = parsed(file);
        self.schemas.extend(part(&file, "schemas"));
        for (rest, item) in part(&file, "paths") {
            let members = members(item).into_iter().map(|(name, value)| (name, with_refusals(value)));
            self.paths.push((format!("{path}{rest}"), Document::Object(members.collect())));
        }
        file
    }
}

/// Returns the JSON Schema of the bodies of events of a type; `None` if there is no such type.
#[must_use]
pub fn event_schema(webhooks: &WebhookSettings, kind: &str) -> Option<Value> {
    let Some(OwnEventType { version, schema, .. }) = webhooks.types.iter().find(|own| own.kind == kind) else {
        return serde_json::from_str(built_in_schema(EventType::of(kind)?)).ok();
    };
    // A configured schema is that of `data`.
    let mut properties = json!({
        "type": { "const": kind }, "timestamp": { "type": "string", "format": "date-time" }, "data": *schema.text,
    });
    if let Some(version) = version {
        properties["version"] = json!({ "const": version });
    }
    Some(json!({ "type": "object", "required": ["type", "timestamp", "data"], "properties": properties }))
}

/// Returns the JSON Schema of the bodies of events of a type.
#[must_use]
pub const fn built_in_schema(event: EventType) -> &'static str {
    match event {
        EventType::CollectionChanged => include_str!("events/collection.changed.json"),
        EventType::EndpointDisabled => include_str!("events/endpoint.disabled.json"),
        EventType::ExportCompleted => include_str!("events/export.completed.json"),
        EventType::ExportFailed => include_str!("events/export.failed.json"),
        EventType::JobCompleted => include_str!("events/job.completed.json"),
        EventType::JobFailed => include_str!("events/job.failed.json"),
        EventType::SunsetApproaching => include_str!("events/legacy.sunset_approaching.json"),
    }
}

/// Describes the request by which an endpoint gets an event of a type, whose bodies have this schema.
fn sent(event: &str, schema: Document) -> Document {
    let schema = members(schema).into_iter().filter(|(name, _)| name != "$schema");
    let content = Document::object([("schema", Document::Object(schema.collect()))]);
    let body = Document::object([
        ("required", Document::Boolean(true)),
        ("content", Document::object([("application/json", content)])),
    ]);
    let header = |name: &str| {
        Document::object([
            ("name", name.into()),
            ("in", "header".into()),
            ("required", true.into()),
            ("schema", Document::object([("type", "string".into())])),
        ])
    };
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(header);
    let taken = Document::object([("description", "The event has arrived".into())]);
    let post = Document::object([
        ("operationId", Document::from(format!("on{}", pascal(event)))),
        ("summary", "Sent to the client's endpoint, signed by Standard Webhooks".into()),
        ("tags", Document::texts(["webhooks"])),
        ("parameters", Document::Array(headers.to_vec())),
        ("requestBody", body),
        ("responses", Document::object([("2XX", taken)])),
    ]);
    Document::object([("post", post)])
}

/// Adds the problems that an operation may be answered with. Returns other members of a path item unchanged.
fn with_refusals(member: Document) -> Document {
    let problem = |said: &str| {
        let schema = Document::object([("$ref", "#/components/schemas/Problem".into())]);
        let content = Document::object([("application/problem+json", Document::object([("schema", schema)]))]);
        Document::object([("description", said.into()), ("content", content)])
    };
    let Document::Object(mut members) = member else { return member };
    if let Some((_, Document::Object(responses))) = members.iter_mut().find(|(name, _)| name == "responses") {
        responses.push(("4XX".to_owned(), problem("The request is refused")));
        responses.push(("5XX".to_owned(), problem("The gateway or an upstream failed")));
    }
    Document::Object(members)
}

fn members(document: Document) -> Vec<(String, Document)> {
    if let Document::Object(members) = document { members } else { Vec::new() }
}

/// Parses one of the files that are part of the program; `null` if it isn't JSON.
fn parsed(text: &str) -> Document {
    document(serde_json::from_str(text).unwrap_or_default())
}

fn document(value: Value) -> Document {
    match value {
        Value::Null => Document::Null,
        Value::Bool(is) => Document::Boolean(is),
        Value::Number(number) => Document::Number(number.to_string()),
        Value::String(text) => Document::Text(text),
        Value::Array(elements) => Document::Array(elements.into_iter().map(document).collect()),
        Value::Object(members) => {
            Document::Object(members.into_iter().map(|(name, value)| (name, document(value))).collect())
        }
    }
}
