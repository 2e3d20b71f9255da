//! Tests of reading an OpenAPI document, and of learning with a correct document and with a wrong one.

use std::rc::Rc;

use http::Method;
use serde_json::{Value, json};

use super::{DocumentedList, DocumentedType};
use crate::{
    Certainty, ProbeLimits, ProbeTarget,
    findings::PlaceForm,
    prober::session::ProbeSlot,
    testing::{Answered, LearntCase, SimulatedRequest, attempt, learn_as, rows, slice, sorted, target},
};

/// The document of a service whose parameters have unusual names.
fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "servers": [{ "url": "https://legacy.test/{base}", "variables": { "base": { "default": "api" } } }],
        "security": [{ "key": [] }],
        "paths": {
            "/items": {
                "parameters": [{ "$ref": "#/components/parameters/Seite" }],
                "get": {
                    "parameters": [
                        { "name": "anzahl", "in": "query", "schema": { "type": "integer", "maximum": 80, "default": 20 } },
                        { "name": "ordnung_nach", "in": "query", "schema": { "type": "array", "items": {
                            "type": "string", "enum": ["createdAt", "-createdAt", "score", "-score", "id", "-id"]
                        } } },
                        { "name": "id_from", "in": "query", "schema": { "type": "integer" } },
                        { "name": "id_to", "in": "query", "schema": { "type": "integer" } },
                        { "name": "X-Trace", "in": "header", "schema": { "type": "string" } },
                    ],
                    "responses": { "200": { "content": { "application/json": { "schema": { "allOf": [
                        { "$ref": "#/components/schemas/Envelope" },
                        { "properties": { "liste": { "type": "array", "items": { "$ref": "#/components/schemas/Item" } } } },
                    ] } } } } },
                },
            },
            "/items/{id}": { "get": { "responses": {} } },
            "/{kind}": { "get": { "parameters": [{ "name": "wrong", "in": "query" }], "responses": {} } },
            "/orders": { "get": { "responses": {} } },
        },
        "components": {
            "parameters": { "Seite": { "name": "blatt", "in": "query", "schema": { "type": "integer", "minimum": 1 } } },
            "securitySchemes": { "key": { "type": "apiKey", "in": "header", "name": "X-Key" } },
            "schemas": {
                "Envelope": { "properties": { "meta": { "type": "object" } } },
                "Item": { "properties": {
                    "id": { "type": "integer" },
                    "created_at": { "type": ["string", "null"], "format": "date-time" },
                    "kind": { "type": "string", "enum": ["none", "low", "normal", "high"] },
                } },
            },
        },
    })
}

fn described(document: &Value) -> ProbeTarget {
    let documented = DocumentedList::read(document, &Method::GET, "/api/items").unwrap();
    ProbeTarget { documented: Some(Rc::new(documented)), ..target() }
}

/// The service of the document. It refuses unknown parameters.
fn service(asked: &SimulatedRequest, all: &[Value]) -> Answered {
    const KNOWN: [&str; 5] = ["anzahl", "blatt", "ordnung_nach", "id_from", "id_to"];
    if let Some((name, _)) = asked.pairs.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
        return Answered::refused(400, json!({ "message": format!("{name} is not known") }));
    }
    let mut rows = all.to_vec();
    for term in asked.text("ordnung_nach").into_iter().flat_map(|sort| sort.split(',').rev()) {
        let (field, descending) = term.strip_prefix('-').map_or((term, false), |field| (field, true));
        let field = if field == "createdAt" { "created_at" } else { field };
        rows = sorted(rows, field, descending);
    }
    let id = |row: &Value| row["id"].as_u64().and_then(|id| usize::try_from(id).ok());
    rows.retain(|row| asked.number("id_from").is_none_or(|from| id(row) >= Some(from)));
    rows.retain(|row| asked.number("id_to").is_none_or(|to| id(row) <= Some(to)));
    let size = asked.number("anzahl").unwrap_or(20).clamp(1, 80);
    let from = (asked.number("blatt").unwrap_or(1).max(1) - 1) * size;
    Answered::new(json!({ "liste": slice(&rows, from, size), "meta": { "total": rows.len() } }))
}

/// Returns the contradictions between the document and the answers.
fn contradictions(outcome: &LearntCase) -> Vec<String> {
    let found = outcome.learnt.findings.iter().filter(|finding| finding.about == "contradiction");
    found.map(|finding| format!("{}: {}", finding.found, finding.evidence)).collect()
}

#[test]
fn parameters_of_a_list_are_read_from_an_openapi_document() {
    let list = DocumentedList::read(&document(), &Method::GET, "/api/items").unwrap();
    assert_eq!(list.operation, "GET /items");
    let names: Vec<&str> = list.parameters.iter().map(|own| own.name.as_str()).collect();
    assert_eq!(names, ["anzahl", "ordnung_nach", "id_from", "id_to", "blatt"]);
    assert_eq!((list.parameters[0].maximum, list.parameters[0].default.as_deref()), (Some(80), Some("20")));
    assert_eq!(list.parameters[1].choices.len(), 6);
    assert_eq!((list.items.as_deref(), list.credentials.as_slice()), (Some("/liste"), &["X-Key".to_owned()][..]));
    let kinds: Vec<(&str, DocumentedType)> =
        list.fields.iter().map(|field| (field.pointer.as_str(), field.kind)).collect();
    let expected =
        [("/created_at", DocumentedType::Datetime), ("/id", DocumentedType::Integer), ("/kind", DocumentedType::Text)];
    assert_eq!(kinds, expected);
}

#[test]
fn a_path_is_found_by_servers_templates_and_its_end() {
    let found = |path: &str| DocumentedList::read(&document(), &Method::GET, path).map(|list| list.operation);
    assert_eq!(found("/api/items/").unwrap(), "GET /items");
    assert_eq!(found("/items").unwrap(), "GET /items");
    // A proxy adds a prefix to the path.
    assert_eq!(found("/people/v2/orders").unwrap(), "GET /orders");
    let fault = found("/api/nothing").unwrap_err();
    assert!(fault.contains("no GET of /api/nothing") && fault.contains("/items, /orders"), "{fault}");
    let old = DocumentedList::read(&json!({ "swagger": "2.0" }), &Method::GET, "/items").unwrap_err();
    assert!(old.contains("version 3"), "{old}");
}

#[test]
fn references_in_a_circle_end() {
    let node = json!({ "allOf": [{ "$ref": "#/components/schemas/Node" }], "properties": {
        "nodes": { "type": "array", "items": { "$ref": "#/components/schemas/Node" } }
    } });
    let answer =
        json!({ "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Node" } } } } });
    let loops = json!({
        "openapi": "3.0.3",
        "paths": { "/items": { "get": { "responses": answer, "parameters": [{ "$ref": "#/components/parameters/A" }] } } },
        "components": {
            "schemas": { "Node": node },
            "parameters": { "A": { "$ref": "#/components/parameters/B" }, "B": { "$ref": "#/components/parameters/A" } },
        },
    });
    let list = DocumentedList::read(&loops, &Method::GET, "/items").unwrap();
    assert!(list.parameters.is_empty() && list.items.is_some());
}

#[test]
fn parameters_of_a_document_are_tried_first_and_verified_by_answers() {
    let all = rows(403);
    let outcome = learn_as(described(&document()), ProbeLimits::default(), |asked| service(asked, &all));
    let learnt = &outcome.learnt;
    let page = ProbeSlot::Query("blatt".to_owned());
    assert_eq!(learnt.place, Some(PlaceForm::Page { slot: page, first: 1 }), "{}", outcome.text);
    let size = learnt.size.as_ref().unwrap();
    assert_eq!((size.slot.name(), size.max), ("anzahl", Some(80)));
    let sort = learnt.sort.as_ref().unwrap_or_else(|| panic!("{}", outcome.text));
    assert_eq!((sort.query.as_str(), sort.join.as_deref()), ("ordnung_nach={direction}{field}", Some(",")));
    assert!(["id", "created_at", "score"].iter().all(|name| sort.fields.iter().any(|own| own == name)), "{sort:?}");
    assert!(outcome.text.contains("upstream = \"createdAt\""), "{}", outcome.text);
    let ranges = learnt.ranges.as_ref().unwrap_or_else(|| panic!("{}", outcome.text));
    assert!(ranges.terms.iter().any(|(_, template)| template == "{field}_from={value}"), "{ranges:?}");
    assert_eq!(contradictions(&outcome), Vec::<String>::new());
    // Without the document, these names are not found.
    let (without, _) = attempt(target(), ProbeLimits::default(), |asked| service(asked, &all));
    assert_eq!(without.unwrap().place, None);
}

#[test]
fn fewer_requests_are_sent_with_a_document() {
    let all = rows(403);
    let answer = |asked: &SimulatedRequest| {
        let (from, size) = (asked.number("start").unwrap_or(0), asked.number("n").unwrap_or(20).min(100));
        let rows = match asked.text("sort_by") {
            Some(field) => sorted(all.clone(), field, asked.text("sort_dir") == Some("DESC")),
            None => all.clone(),
        };
        Answered::new(json!({ "items": slice(&rows, from, size), "total": all.len() }))
    };
    let parameter = |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    let document = json!({ "openapi": "3.0.0", "paths": { "/api/items": { "get": { "responses": {}, "parameters": [
        parameter("start", json!({ "type": "integer" })),
        parameter("n", json!({ "type": "integer" })),
        parameter("sort_by", json!({ "type": "string", "enum": ["name", "score", "id"] })),
        parameter("sort_dir", json!({ "type": "string", "enum": ["ASC", "DESC"] })),
    ] } } } });
    let with = learn_as(described(&document), ProbeLimits::default(), answer);
    let form = with.learnt.sort.as_ref().unwrap_or_else(|| panic!("{}", with.text));
    assert_eq!((form.query.as_str(), form.descending.as_str()), ("sort_by={field}&sort_dir={direction}", "DESC"));
    let limits = ProbeLimits { requests: 100, ..ProbeLimits::default() };
    let without = learn_as(target(), limits, answer);
    assert_eq!(with.learnt.place, without.learnt.place);
    assert!(with.requests.len() + 5 < without.requests.len(), "{} {}", with.requests.len(), without.requests.len());
}

#[test]
fn a_wrong_openapi_document_is_reported_and_not_followed() {
    let all = rows(403);
    let outcome = learn_as(described(&document()), ProbeLimits::default(), |asked| {
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("anzahl").unwrap_or(25).min(50));
        let rows: Vec<Value> = slice(&all, from, size)
            .into_iter()
            .map(|row| json!({ "id": row["id"].to_string(), "created_at": "01.02.2024" }))
            .collect();
        Answered::new(json!({ "items": rows, "meta": { "total": all.len() } }))
    });
    assert_eq!(outcome.learnt.size.as_ref().and_then(|form| form.max), Some(50));
    let offset = ProbeSlot::Query("offset".to_owned());
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Offset { slot: offset, first: 0 }), "{}", outcome.text);
    let expected = [
        "default size: the document says 20, the answers show 25",
        "largest size: the document says 80, the answers show 50",
        "next page: the document says nothing about such a parameter, the answers show that offset is read",
        "items: the document says \"/liste\", the answers show \"/items\"",
        "fields: the document says /created_at is date-time, the answers show a string of another kind",
        "fields: the document says /id is integer, the answers show a string of another kind",
        "fields: the document says /kind is a field, the answers show no item that has it",
        "sort: the document says ordnung_nach, the answers show no effect of it",
    ];
    assert_eq!(contradictions(&outcome), expected);
}

#[test]
fn a_rank_is_completed_by_the_values_that_are_described() {
    let mut all = rows(120);
    let rank = |row: &Value| ["low", "normal", "high"].iter().position(|kind| row["kind"] == *kind);
    all.sort_by_key(|row| (rank(row), row["id"].as_u64()));
    let outcome = learn_as(described(&document()), ProbeLimits::default(), |asked| {
        let (from, size) = (asked.number("blatt").unwrap_or(1) - 1, asked.number("anzahl").unwrap_or(20).min(80));
        Answered::new(json!({ "liste": slice(&all, from * size, size), "meta": { "total": all.len() } }))
    });
    assert!(outcome.text.contains("ranks = [\"none\", \"low\", \"normal\", \"high\"]"), "{}", outcome.text);
    let ranks = outcome.learnt.findings.iter().find(|finding| finding.about == "ranks").unwrap();
    assert_eq!(ranks.certainty, Certainty::Likely);
}

#[test]
fn required_parameters_and_credentials_are_named_where_the_upstream_refuses() {
    let mut own = document();
    own["paths"]["/items"]["get"]["parameters"][2]["required"] = json!(true);
    let refused =
        |status| attempt(described(&own), ProbeLimits::default(), move |_| Answered::refused(status, json!({})));
    let fault = refused(400).0.unwrap_err();
    assert!(fault.contains("id_from must be given"), "{fault}");
    let fault = refused(401).0.unwrap_err();
    assert!(fault.contains("--header 'X-Key: …'"), "{fault}");
}

#[test]
fn a_required_page_parameter_is_sent_from_the_first_request_on() {
    let all = rows(203);
    let parameter =
        |name: &str, schema: Value| json!({ "name": name, "in": "query", "required": true, "schema": schema });
    let document = json!({ "openapi": "3.0.0", "paths": { "/api/items": { "get": { "responses": {}, "parameters": [
        parameter("page", json!({ "type": "integer", "minimum": 0 })),
        parameter("size", json!({ "type": "integer", "default": 10 })),
    ] } } } });
    let outcome = learn_as(described(&document), ProbeLimits::default(), |asked| {
        let (Some(page), Some(size)) = (asked.number("page"), asked.number("size")) else {
            return Answered::refused(400, json!({ "error": "page and size are required" }));
        };
        Answered::new(json!({ "content": slice(&all, page * size.min(50), size.min(50)), "totalElements": all.len() }))
    });
    let page = ProbeSlot::Query("page".to_owned());
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Page { slot: page, first: 0 }), "{}", outcome.text);
}
