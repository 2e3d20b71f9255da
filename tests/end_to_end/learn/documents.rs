//! Tests of lists that are learnt with the OpenAPI document of their service.

use serde_json::{Value, json};

use super::{Asked, How, Reply, Rows, learn, ok, serve, slice, walk};
use crate::harness::{
    Directory,
    gateway::{Gateway, command},
};

/// Answers as a service whose parameters have unusual names. It refuses all other parameters.
fn words_of_its_own(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let names = asked.exchange.request.query().split('&').filter_map(|pair| pair.split_once('=')).map(|(name, _)| name);
    if let Some(name) = names.into_iter().find(|name| !["blatt", "anzahl"].contains(name)) {
        return ("400 Bad Request", Vec::new(), json!({ "message": format!("unknown parameter {name}") }));
    }
    let size = asked.number("anzahl").unwrap_or(20).clamp(1, 40);
    let from = asked.number("blatt").unwrap_or(0) * size;
    ok(json!({ "liste": slice(rows, from, size), "gesamt": rows.len() }))
}

#[test]
fn parameters_that_cannot_be_guessed_are_learnt_from_a_document() {
    let (rows, directory) = (Rows::new(240), Directory::new());
    let upstream = serve(&rows, words_of_its_own);
    let url = format!("http://{}/api/items", upstream.address);
    let parameter = |name: &str, maximum: u64| json!({ "name": name, "in": "query", "schema": { "type": "integer", "maximum": maximum } });
    let list = json!({ "parameters": [parameter("anzahl", 100), parameter("blatt", 9_999)], "responses": {} });
    let document = json!({ "openapi": "3.1.0", "paths": { "/items": { "get": list } } }).to_string();
    // A JSON document is also a YAML document, so the same text is read from both files.
    for name in ["openapi.json", "openapi.yaml"] {
        let file = directory.file(name);
        std::fs::write(&file, &document).expect("it is written");
        let (text, said) = learn(&url, &["--verbose", "--openapi", file.to_str().expect("UTF-8")]);
        assert!(said.contains("the document says 100, the answers show 40"), "{said}");
        let gateway = Gateway::start_as_written(&text);
        assert!(walk(&gateway, &rows, &How::default(), name).contains("exact"));
    }
    let (other, list) = (directory.file("other.json"), json!({ "get": {} }));
    std::fs::write(&other, json!({ "openapi": "3.0.0", "paths": { "/users": list } }).to_string())
        .expect("it is written");
    for (file, expected) in [(other, "describes no GET of /api/items"), (directory.file("none.json"), "can't be read")]
    {
        let output = command().args(["learn", &url, "--openapi"]).arg(&file).output().expect("the binary starts");
        let fault = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && fault.contains(expected), "{fault}");
    }
}
