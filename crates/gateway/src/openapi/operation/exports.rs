//! The operations of a list's exports, at paths below the list's own path, and the schemas of export documents.

use super::{DescribedRoute, responses::REQUEST_ID};
use cursorgate_core::json::Document;
use cursorgate_translate::downstream::envelope::schema;

/// The states of an export job.
const STATES: [&str; 6] = ["queued", "active", "waiting", "completed", "failed", "cancelled"];

/// The media types of export results.
const RESULTS: [&str; 5] =
    ["application/x-ndjson", "text/csv", "application/json", "application/gzip", "application/zstd"];

/// The name of the component for the body of a request that orders an export. All lists share this component.
const ORDER: &str = "ExportOrder";
const JOB: &str = "ExportJob";
const LIST: &str = "ExportList";

/// The names of the components for exports, which no component of a route may have.
pub(in crate::openapi) const NAMES: [&str; 3] = [ORDER, JOB, LIST];

impl DescribedRoute<'_> {
    /// Returns the paths for the exports of a list, each with its path item. `common` are the members that all path
    /// items of the route have.
    pub(in crate::openapi) fn exports(
        &self,
        path: &str,
        common: &[(&'static str, Document)],
    ) -> Vec<(String, Document)> {
        let collection = &self.list_settings.collection;
        let list = path.trim_end_matches('/');
        let job = job_parameter();
        let item = |operations, own: &[Document]| path_item(common, operations, own);
        let begin = self.export_operation(
            "export",
            format!("Begins an export of {collection}"),
            vec![answer(
                "202",
                "The job, whose address is in `Location` and `statusUrl`",
                &["Location", "Retry-After"],
                Some(JOB),
            )],
        );
        let parameters: Vec<Document> = self.export_parameters().into_iter().chain([key_parameter()]).collect();
        let begin = begin
            .with("parameters", parameters.into())
            .with("requestBody", Document::object([("content", content("application/json", reference(ORDER)))]));
        let all = self.export_operation(
            "listExportsOf",
            format!("The client's exports of {collection}"),
            vec![answer("200", "Up to 100 jobs, the newest first", &[], Some(LIST))],
        );
        let all = all.with("parameters", vec![before_parameter()].into());
        let one = self.export_operation(
            "getExportOf",
            "An export".to_owned(),
            vec![answer("200", "The job", &[], Some(JOB))],
        );
        let delete = self.export_operation(
            "deleteExportOf",
            "Cancels or removes an export".to_owned(),
            vec![
                answer("200", "The unfinished job, which is cancelled", &[], Some(JOB)),
                answer("204", "The finished job is removed with its result", &[], None),
            ],
        );
        let resume = self.export_operation(
            "resumeExportOf",
            "Continues a failed export after the pages that it has".to_owned(),
            vec![answer("202", "The job, which is queued", &["Location", "Retry-After"], Some(JOB))],
        );
        let result = self.export_operation(
            "getResultOf",
            "The result of an export".to_owned(),
            vec![
                result("200", "The whole result"),
                result("206", "A part of the result (RFC 9110, section 14)"),
                answer("304", "The result is the one that If-None-Match names", &["ETag"], None),
            ],
        );
        vec![
            (format!("{list}/exports"), item(vec![("get", all), ("post", begin)], &[])),
            (
                format!("{list}/exports/{{exportId}}"),
                item(vec![("get", one), ("delete", delete)], std::slice::from_ref(&job)),
            ),
            (format!("{list}/exports/{{exportId}}/result"), item(vec![("get", result)], std::slice::from_ref(&job))),
            (format!("{list}/exports/{{exportId}}/resume"), item(vec![("post", resume)], &[job])),
        ]
    }

    fn export_operation(&self, id: &str, summary: String, responses: Vec<(String, Document)>) -> Document {
        let problem = |status: &str, said: &str| {
            let (status, answer) = answer(status, said, &["Retry-After"], None);
            (status, answer.with("content", content("application/problem+json", reference("Problem"))))
        };
        let refusals = [
            problem("4XX", "The request is refused: by the list, or by the exports"),
            problem("5XX", "The gateway, its store, or the upstream of the list failed"),
        ];
        Document::object([
            ("operationId", Document::from(format!("{id}{}", self.stem))),
            ("summary", summary.into()),
            ("tags", Document::texts([self.settings.name.value.as_str()])),
            ("responses", Document::Object([responses, refusals.to_vec()].concat())),
        ])
    }

    /// Returns the parameters of the list for an export, without parameters for positions, limits and legacy clients.
    fn export_parameters(&self) -> Vec<Document> {
        let paging: Vec<&str> = self.paging_names().collect();
        let is_taken = |parameter: &Document| {
            let is_old = parameter.member("deprecated").is_some();
            let names = |name: &str| parameter.member("name") == Some(&Document::Text(name.to_owned()));
            !is_old && !paging.iter().any(|name| names(name))
        };
        self.parameters().into_iter().filter(is_taken).collect()
    }
}

/// Returns the header with which a client can repeat a request without beginning a second export.
fn key_parameter() -> Document {
    Document::object([
        ("name", "Idempotency-Key".into()),
        ("in", "header".into()),
        (
            "description",
            "A string in double quotes. A repeated request gets the export that the first one began".into(),
        ),
        ("schema", text()),
    ])
}

/// Returns the parameter with which a client gets older jobs than the newest.
fn before_parameter() -> Document {
    Document::object([
        ("name", "before".into()),
        ("in", "query".into()),
        ("description", "The id of a job: those that are older follow".into()),
        ("schema", text().with("pattern", "^[0-9a-f]{32}$".into())),
    ])
}

/// Returns the path parameter that names a job.
fn job_parameter() -> Document {
    Document::object([
        ("name", "exportId".into()),
        ("in", "path".into()),
        ("required", true.into()),
        ("schema", text().with("pattern", "^[0-9a-f]{32}$".into())),
    ])
}

/// Returns a path item with its operations. The item has the members in `common`, and also the parameters in `own`.
pub(super) fn path_item(
    common: &[(&'static str, Document)],
    operations: Vec<(&'static str, Document)>,
    own: &[Document],
) -> Document {
    let mut members: Vec<(&'static str, Document)> = Vec::new();
    let mut parameters: Vec<Document> = own.to_vec();
    for (name, value) in common {
        match (*name, value) {
            ("parameters", Document::Array(known)) => {
                parameters.splice(0..0, known.iter().cloned()).for_each(drop);
            }
            _ => members.push((name, value.clone())),
        }
    }
    if !parameters.is_empty() {
        members.push(("parameters", parameters.into()));
    }
    members.extend(operations);
    Document::object(members)
}

/// Returns the schemas of export documents, by name.
pub(in crate::openapi) fn schemas() -> Vec<(String, Document)> {
    let named = |names: &[&str]| text().with("enum", Document::texts(names.iter().copied()));
    let order = object(
        [
            ("format", named(&["ndjson", "csv", "json"]).with("default", "ndjson".into())),
            ("compression", named(&["none", "gzip", "zstd"]).with("default", "none".into())),
            ("priority", named(&["low", "normal", "high"]).with("default", "normal".into())),
            ("columns", list_of(text()).with("description", "The columns of csv, in their order".into())),
            ("formulas", named(&["kept", "escaped"]).with("default", "kept".into())),
        ],
        &[],
    );
    let order = order.with("additionalProperties", false.into());
    let fault = object([("code", text()), ("detail", text()), ("status", count())], &["code", "detail"]);
    let closing = object(
        [
            ("complete", schema::kind("boolean").with("description", COMPLETE.into())),
            ("level", nullable("string")),
            ("unprovenPages", count()),
            ("endUnproven", schema::kind("boolean")),
            ("items", count()),
            ("totalBefore", nullable("integer")),
            ("totalAfter", nullable("integer")),
            ("totalChanged", nullable("boolean")),
            ("columns", list_of(text())),
            ("omittedMembers", count()),
        ],
        &["complete", "level", "unprovenPages", "endUnproven", "items", "totalBefore", "totalAfter", "totalChanged"],
    );
    let members = [
        ("id", text()),
        ("state", named(&STATES)),
        ("path", text()),
        ("query", text()),
        ("format", text()),
        ("compression", text()),
        ("priority", text()),
        ("items", count()),
        ("total", nullable("integer")),
        ("progress", nullable("integer").with("description", "In per cent".into())),
        ("pages", count()),
        ("bytes", count()),
        ("level", nullable("string")),
        ("attempts", count()),
        ("createdAt", text().with("format", "date-time".into())),
        ("startedAt", time_or_null()),
        ("finishedAt", time_or_null()),
        ("expiresAt", time_or_null()),
        ("statusUrl", text()),
        ("resultUrl", nullable("string")),
    ];
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let job = object(members.clone().into_iter().chain([("error", fault), ("closing", closing)]), &required);
    let next = text().with("description", "The path of older jobs, if there may be any".into());
    let list = object([("exports", list_of(reference(JOB))), ("next", next)], &["exports"]);
    vec![(ORDER.to_owned(), order), (JOB.to_owned(), job), (LIST.to_owned(), list)]
}

const COMPLETE: &str = "Every item that was in the list throughout the export is in the result, once";

/// Describes an answer with these headers. If a component is named, the component is the answer's JSON document.
fn answer(status: &str, said: &str, headers: &[&str], component: Option<&str>) -> (String, Document) {
    let refer = |name: &&str| ((*name).to_owned(), referred(&format!("headers/{name}")));
    let headers = headers.iter().chain(&[REQUEST_ID]).map(refer).collect();
    let mut members = vec![("description", Document::from(said)), ("headers", Document::Object(headers))];
    members.extend(component.map(|name| ("content", content("application/json", reference(name)))));
    (status.to_owned(), Document::object(members))
}

/// Describes an answer with an export result. The media type depends on the format and the compression that the client
/// ordered.
fn result(status: &str, said: &str) -> (String, Document) {
    let (status, answer) = answer(status, said, &["ETag"], None);
    let contents = RESULTS.into_iter().map(|media_type| (media_type, Document::Object(Vec::new())));
    (status, answer.with("content", Document::object(contents)))
}

fn content(media_type: &str, of: Document) -> Document {
    Document::object([(media_type, Document::object([("schema", of)]))])
}

fn reference(component: &str) -> Document {
    referred(&format!("schemas/{component}"))
}

fn referred(component: &str) -> Document {
    Document::object([("$ref", Document::from(format!("#/components/{component}")))])
}

fn object(members: impl IntoIterator<Item = (&'static str, Document)>, required: &[&str]) -> Document {
    let object = schema::kind("object").with("properties", Document::object(members));
    if required.is_empty() { object } else { object.with("required", Document::texts(required.iter().copied())) }
}

fn text() -> Document {
    schema::kind("string")
}

fn count() -> Document {
    schema::integer(Some(0))
}

fn list_of(items: Document) -> Document {
    schema::kind("array").with("items", items)
}

fn nullable(kind: &str) -> Document {
    Document::object([("type", Document::texts([kind, "null"]))])
}

fn time_or_null() -> Document {
    nullable("string").with("format", "date-time".into())
}
