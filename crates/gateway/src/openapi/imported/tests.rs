//! Imports from an upstream's document, and the faults of documents.

use serde_json::{Value, json};

use crate::openapi::{
    DocumentReader,
    tests::{built, document},
};

fn route(openapi: &str, more: &str) -> String {
    format!(
        "[routes.users]\nold_clients = \"none\"\npath = \"/users\"\ndialect = \"own\"\nopenapi = {openapi}\n[dialects.own]\nextends = \"offset-limit\"\n{more}"
    )
}

/// Returns an OpenAPI document with one path, whose answer has this schema.
fn people(version: &str, schema: &Value, components: &Value) -> String {
    json!({
        "openapi": version,
        "paths": { "/users": { "get": { "responses": { "2XX": { "$ref": "#/components/responses/Users" } } } } },
        "components": {
            "responses": { "Users": { "content": { "application/hal+json": { "schema": schema } } } },
            "schemas": components,
        },
    })
    .to_string()
}

const BY_OPERATION: &str = "{ file = \"people.json\", operation = \"GET /users\" }";

/// Returns the schema of an item in the gateway's document, and that document's components.
fn imported(openapi: &str, more: &str, people: &str) -> (Value, Value) {
    let document = document(&route(openapi, more), &[("people.json", people)], None);
    let schemas = document["components"]["schemas"].clone();
    (schemas["UsersPage"]["properties"]["data"]["items"].clone(), schemas)
}

#[test]
fn items_are_found_where_the_dialect_reads_them() {
    let item = json!({ "type": "object", "properties": { "id": { "type": "integer" } } });
    let list = json!({ "type": "array", "items": { "$ref": "#/components/schemas/User" } });
    let named = json!({ "$ref": "#/components/schemas/People_User" });
    let within = |schema: Value| json!({ "type": "object", "properties": { "page": { "type": "object", "properties": { "rows": schema } } } });
    for (items, schema) in [
        ("", list.clone()),
        ("/page/rows", within(list.clone())),
        ("/page/rows", json!({ "allOf": [{ "type": "object" }, within(list.clone())] })),
        ("/page/rows", within(json!({ "$ref": "#/components/schemas/Users" }))),
    ] {
        let text = people("3.1.0", &schema, &json!({ "User": item, "Users": list }));
        let more = format!("response = {{ items = {items:?} }}");
        let (found, schemas) = imported(BY_OPERATION, &more, &text);
        assert_eq!(found, named, "{items}");
        assert_eq!(schemas["People_User"], item, "{items}");
        assert!(schemas.get("People_Users").is_none(), "what items don't reach stays behind");
    }
    // An item that is a member of the array element, and a schema that the route names by its place in the document.
    let wrapped = json!({ "type": "array", "items": { "properties": { "resource": item } } });
    let text = people("3.1.0", &wrapped, &json!({}));
    let (found, schemas) = imported(BY_OPERATION, "response = { items = \"\", item = \"/resource\" }", &text);
    assert_eq!((found, &schemas["UsersItem"]), (json!({ "$ref": "#/components/schemas/UsersItem" }), &item));
    let (found, _) = imported(
        "{ file = \"people.json\", schema = \"#/components/schemas/User\" }",
        "",
        &people("3.0.1", &json!({}), &json!({ "User": item })),
    );
    assert_eq!(found, named);
}

#[test]
fn schemas_of_3_0_become_json_schema() {
    let user = json!({
        "type": "object",
        "x-internal": true,
        "properties": {
            "nullable": { "type": "string", "nullable": true, "enum": ["a", "b"], "example": { "nullable": 1 } },
            "age": { "type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false },
            "boss": { "$ref": "#/components/schemas/User", "description": "counts for nothing here" },
            "pet": {
                "oneOf": [{ "$ref": "#/components/schemas/Big%20Cat" }],
                "discriminator": { "propertyName": "kind", "mapping": { "cat": "#/components/schemas/Big%20Cat" } },
                "nullable": true,
            },
        },
        "additionalProperties": false,
    });
    let text = people(
        "3.0.3",
        &json!({ "type": "array", "items": { "$ref": "#/components/schemas/User" } }),
        &json!({ "User": user, "Big Cat": { "type": "object" } }),
    );
    let (_, schemas) = imported(BY_OPERATION, "response = { items = \"\" }", &text);
    let cat = "#/components/schemas/People_Big_20Cat";
    assert_eq!(
        schemas["People_User"],
        json!({
            "type": "object",
            "properties": {
                "nullable": { "type": ["string", "null"], "enum": ["a", "b", null], "example": { "nullable": 1 } },
                "age": { "type": "number", "exclusiveMinimum": 0, "maximum": 9 },
                "boss": { "$ref": "#/components/schemas/People_User" },
                "pet": { "anyOf": [
                    { "oneOf": [{ "$ref": cat }], "discriminator": { "propertyName": "kind", "mapping": { "cat": cat } } },
                    { "type": "null" },
                ] },
            },
            "additionalProperties": false,
        })
    );
    assert_eq!(schemas["People_Big_20Cat"], json!({ "type": "object" }));
}

#[test]
fn references_out_of_the_document_are_warned_of_and_allow_any_value() {
    let user = json!({ "properties": { "a": { "$ref": "https://elsewhere.example/a.json" }, "b": { "$ref": "#/components/schemas/B" } } });
    let text = people("3.1.0", &json!({ "type": "array", "items": user }), &json!({}));
    let (snapshot, said) = built(&route(BY_OPERATION, "response = { items = \"\" }"), &[("people.json", &text)]);
    assert_eq!(said.matches("warning: people.json").count(), 2, "{said}");
    assert!(said.contains("https://elsewhere.example/a.json") && said.contains("#/components/schemas/B"), "{said}");
    let document: Value =
        serde_json::from_str(&snapshot.unwrap().openapi.render(DocumentReader::Operator(None))).unwrap();
    assert_eq!(document["components"]["schemas"]["UsersItem"], json!({ "properties": { "a": {}, "b": {} } }));
}

#[test]
fn a_schema_that_is_not_found_is_an_error_with_a_remedy() {
    let list = json!({ "type": "array", "items": {} });
    let good = people("3.1.0", &list, &json!({}));
    let circle = json!({ "A": { "$ref": "#/components/schemas/B" }, "B": { "$ref": "#/components/schemas/A" } });
    for (openapi, people, expected) in [
        (BY_OPERATION, good.replace("3.1.0", "2.0"), "is not an OpenAPI document of version 3.0 or 3.1"),
        (BY_OPERATION, good.clone(), "describes no array at \"/items\" of GET /users"),
        (BY_OPERATION, people("3.1.0", &json!({ "$ref": "#/components/schemas/A" }), &circle), "describes no array"),
        (BY_OPERATION, good.replace("\"schema\"", "\"schemas\""), "does not describe the answer to GET /users"),
        ("{ file = \"people.json\", operation = \"GET /user\" }", good.clone(), "did you mean \"/users\"?"),
        ("{ file = \"people.json\", operation = \"post /users\" }", good.clone(), "has no POST /users"),
        ("{ file = \"people.json\", operation = \"/users\" }", good.clone(), "is not an operation"),
        ("{ file = \"people.json\", schema = \"#/x\" }", good.clone(), "has nothing at \"#/x\""),
        ("{ file = \"people.json\", schema = \"User\" }", good.clone(), "write \"#/components/schemas/User\""),
        ("{ file = \"people.json\" }", good.clone(), "names neither an operation nor a schema"),
        ("{ schema = \"#/x\" }", good.clone(), "openapi names no file"),
        ("{ file = \"others.json\", schema = \"#/x\" }", good.clone(), "can't be read"),
        ("{ file = \"people.json\", schema = \"#/x\" }", "{".to_owned(), "people.json:1:"),
    ] {
        let (snapshot, said) = built(&route(openapi, "response = { items = \"/items\" }"), &[("people.json", &people)]);
        assert!(snapshot.is_none() && said.contains(expected), "{openapi}: {expected} in\n{said}");
    }
}

#[test]
fn the_schemas_that_items_reach_are_bounded() {
    let reference = |number: usize| json!({ "$ref": format!("#/components/schemas/S{number}") });
    let chain: serde_json::Map<String, Value> = (0..1_100)
        .map(|number| (format!("S{number}"), json!({ "properties": { "next": reference(number + 1) } })))
        .collect();
    let text = people("3.1.0", &json!({ "type": "array", "items": reference(0) }), &Value::Object(chain));
    let (snapshot, said) = built(&route(BY_OPERATION, "response = { items = \"\" }"), &[("people.json", &text)]);
    assert!(snapshot.is_none() && said.contains("the items reach more than"), "{said}");
}

/// Such a document of 14 KB held `check`, the start and each reload for hours.
#[test]
fn a_schema_that_contains_itself_many_times_is_given_up() {
    let users = json!({ "$ref": "#/components/schemas/Users" });
    let text = people("3.1.0", &users, &json!({ "Users": { "allOf": vec![users.clone(); 400] } }));
    let (snapshot, said) = built(&route(BY_OPERATION, ""), &[("people.json", &text)]);
    assert!(snapshot.is_none() && said.contains("describes no array"), "{said}");
}
