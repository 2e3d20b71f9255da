//! Tests of the types that are inferred from items.

use std::{rc::Rc, time::Duration};

use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{MOST_NAMES, MOST_PLACES, SeenItems, is_name};
use crate::{
    ProbeAnswer, ProbeLimits, ProbeTarget, configuration,
    prober::answer::SeenAnswer,
    shape::ListShape,
    testing::{Answered, attempt, learn, rows, slice, target},
    types_document,
    write::WrittenUpstream,
};

/// Infers the types of items, of which each answer has some, and asserts that the order of the items and of the answers
/// makes no difference.
fn inferred(items: &[Value]) -> Value {
    let answer = |items: &[&Value]| {
        let body = json!({ "data": items }).to_string().into_bytes();
        let answer = ProbeAnswer { status: 200, headers: HeaderMap::new(), body, elapsed: Duration::ZERO };
        Rc::new(SeenAnswer::read(answer))
    };
    let shape = ListShape { items: "/data".to_owned(), ..ListShape::default() };
    let infer = |items: &[&Value], size| {
        let answers: Vec<_> = items.chunks(size).map(answer).collect();
        SeenItems::infer(&shape, &answers)
    };
    let forward: Vec<&Value> = items.iter().collect();
    let backward: Vec<&Value> = items.iter().rev().chain(items).collect();
    let seen = infer(&forward, 3);
    assert_eq!(infer(&backward, 5), seen);
    seen.schema
}

/// Infers the type of a member that two items have with these values.
fn of_values(values: &[Value]) -> Value {
    let items: Vec<Value> = values.iter().enumerate().map(|(id, value)| json!({ "id": id, "own": value })).collect();
    inferred(&items)["properties"]["own"].take()
}

#[test]
fn types_are_what_no_seen_value_contradicts() {
    let text = || json!({ "type": ["string", "null"] });
    for (values, schema) in [
        (json!(["a", "b"]), text()),
        (json!(["a", null]), text()),
        (json!([null, null]), json!({})),
        (json!([1, 2]), json!({ "type": ["integer", "null"], "format": "int64" })),
        (json!([1, 4_294_967_296_i64]), json!({ "type": ["integer", "null"], "format": "int64" })),
        (json!([1, 1.5]), json!({ "type": ["number", "null"] })),
        (json!([1, 18_446_744_073_709_551_615_u64]), json!({ "type": ["number", "null"] })),
        (json!([true, false]), json!({ "type": ["boolean", "null"] })),
        (json!([1, "1"]), json!({})),
        (json!([{}, []]), json!({})),
        (json!(["2024-01-01T10:00:00Z", "2024-01-02T10:00:00Z"]), text()),
        (json!([[], []]), json!({ "type": ["array", "null"] })),
        (json!([[], ["a"]]), json!({ "type": ["array", "null"], "items": { "type": "string" } })),
        (json!([[null], ["a"]]), json!({ "type": ["array", "null"], "items": text() })),
        (json!([["a"], [1]]), json!({ "type": ["array", "null"], "items": {} })),
        (
            json!([[[1]], [[2.5], []]]),
            json!({ "type": ["array", "null"], "items": { "type": "array", "items": { "type": "number" } } }),
        ),
        (
            json!([{ "city": "a", "zip": 1 }, { "city": null, "zip": 2 }, null]),
            json!({ "type": ["object", "null"], "properties": {
                "city": text(), "zip": { "type": ["integer", "null"], "format": "int64" },
            } }),
        ),
        (
            json!([[{ "city": "a" }, { "city": "b" }], []]),
            json!({ "type": ["array", "null"], "items": { "type": "object", "properties": { "city": text() } } }),
        ),
    ] {
        let values = values.as_array().expect("values");
        assert_eq!(of_values(values), schema, "{values:?}");
    }
}

/// A member that only some items have is a member of the type. A name that a single item has may be a value.
#[test]
fn members_of_all_items_are_merged() {
    let items = [
        json!({ "id": 1, "a": "x" }),
        json!({ "id": 2, "b": true, "a": "y" }),
        json!({ "id": 3, "b": false, "once": 1 }),
        json!({ "id": 4, "ada@example.com": 1 }),
    ];
    let names: Vec<String> = inferred(&items)["properties"].as_object().expect("members").keys().cloned().collect();
    assert_eq!(names, ["a", "b", "id"]);
    assert_eq!(inferred(&items[..1])["properties"].as_object().map(Map::len), Some(2), "of one item");
    assert_eq!(inferred(&[json!("a"), json!("b")]), json!({ "type": "string" }));
}

#[test]
fn items_of_several_kinds_have_common_members() {
    let items: Vec<Value> = (0..60).map(|id| json!({ "id": id, "at": "x", format!("of_{}", id % 20): 1 })).collect();
    assert_eq!(inferred(&items)["properties"].as_object().map(Map::len), Some(2));
}

#[test]
fn names_of_maps_are_not_written() {
    let open = json!({ "type": ["object", "null"] });
    let people = ["ada", "bob", "cleo", "dora", "emil", "fred", "gus", "hal", "ida", "jon", "kay", "leo"];
    let of_people = |id: usize| json!({ people[id % 12]: "rw", people[(id * 5 + 1) % 12]: "r" });
    let maps: [&dyn Fn(usize) -> Value; 6] = [
        &of_people,
        &|id| json!({ format!("person-{id}"): { "name": "Ada", "age": id } }),
        &|id| json!({ "name": "x", format!("{id}"): 1 }),
        &|id| json!({ format!("p{id}@example.com"): 1, "name": 1 }),
        &|_| json!({ "3fa85f64-5717-4562-b3fc-2c963f66afa6": 1 }),
        &|_| json!({ "2024-01-01": 1 }),
    ];
    for (at, map) in maps.iter().enumerate() {
        let values: Vec<Value> = (0..24).map(map).collect();
        assert_eq!(of_values(&values), open, "{at}");
    }
    // The maps of two items that share a name, and the map of one item.
    for values in [json!([{ "ada": 1, "bob": 2 }, { "ada": 1, "cleo": 2 }]), json!([{ "ada": 1 }, null])] {
        assert_eq!(of_values(values.as_array().expect("values")), open, "{values}");
    }
    // Names that most objects have are those of an object.
    let translations: Vec<Value> =
        (0..9).map(|id| json!({ "de": "a", "en": "b", ["fr", "it"][id % 2]: "c" })).collect();
    assert_eq!(of_values(&translations)["properties"].as_object().map(Map::len), Some(4));
}

/// The prober reads such an object as an array.
#[test]
fn an_object_with_numbers_as_names_is_open() {
    let values: Vec<Value> = (0..4).map(|id| json!({ "0": { "a": id }, "1": { "a": id } })).collect();
    assert_eq!(of_values(&values), json!({ "type": ["object", "null"] }));
}

#[test]
fn names_that_look_like_values_are_not_written() {
    for name in [
        "id",
        "createdAt",
        "_links",
        "@odata.id",
        "$ref",
        "#text",
        "odd name",
        "Preis (EUR)",
        "straße",
        "x86_64",
        "customfield_100200",
        "xsi:type",
        "spec.node",
        "line1",
    ] {
        assert!(is_name(name), "{name}");
    }
    for name in [
        "",
        "7",
        "24h",
        "ada@example.com",
        "/orders/7",
        "https://example.com",
        "+49 30 1234567",
        "tel.03012345678",
        "a3bb189e-8bf9-3888-9912-ace4bf4bd8a2",
        "deadbeefdeadbeef",
        "a\u{202e}b",
        "2024-01-01T10:00:00Z",
    ] {
        assert!(!is_name(name), "{name}");
    }
    assert!(!is_name(&"a".repeat(65)));
}

#[test]
fn types_are_bounded() {
    let wide = |id: usize, most: usize| {
        let members = (0..most).map(|at| (format!("m{id}x{at}"), json!(at)));
        Value::Object(std::iter::once(("id".to_owned(), json!(id))).chain(members).collect())
    };
    let counted = |schema: &Value| schema["properties"].as_object().map_or(0, Map::len);
    let same: Vec<Value> = (0..3).map(|id| json!({ "id": id, "own": wide(0, MOST_NAMES + 9) })).collect();
    assert_eq!(inferred(&same)["properties"]["own"], json!({ "type": ["object", "null"] }));
    // The last objects are left without a name.
    let many: Vec<Value> = (0..3)
        .map(|id| {
            let members = (0..30).map(|at| (format!("a{at:02}"), wide(at, MOST_NAMES - 1)));
            Value::Object(std::iter::once(("id".to_owned(), json!(id))).chain(members).collect())
        })
        .collect();
    let schema = inferred(&many);
    let members = schema["properties"].as_object().expect("members");
    let total: usize = members.values().map(counted).sum();
    assert!(total + members.len() <= MOST_PLACES && total > MOST_PLACES / 2, "{total}");
    let mut deep = json!("x");
    for _ in 0..60 {
        deep = json!([{ "a": deep }]);
    }
    let schema = of_values(&[deep.clone(), deep]);
    assert!(schema.to_string().len() < 1_000, "{schema}");
}

/// The document has no value of an item, and describes the items where the dialect reads them.
#[test]
fn a_document_is_written_for_a_learnt_list() {
    let all = rows(60);
    let answer = |asked: &crate::testing::SimulatedRequest| {
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
        let edges: Vec<Value> = slice(&all, from, size).iter().map(|row| json!({ "node": row })).collect();
        Answered::new(json!({ "users": { "edges": edges }, "total": all.len() }))
    };
    let learnt = learn(answer).learnt;
    assert_eq!(learnt.items.count, 60);
    let text = types_document(&learnt, &target(), "/api/items");
    assert!(
        text.starts_with("{\n  \"info\": {\n    \"description\": \"Inferred from 60 items of GET /api/items. "),
        "{text}"
    );
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let schema = document
        .pointer(
            "/paths/~1api~1items/get/responses/200/content/application~1json/schema/properties/users/properties/edges",
        )
        .unwrap_or_else(|| panic!("{text}"));
    let item = &schema["items"]["properties"]["node"];
    assert_eq!(*item, learnt.items.schema);
    for (name, value) in all[0].as_object().expect("a row") {
        assert!(item["properties"].get(name).is_some(), "{name}: {text}");
        assert!(!value.is_string() || !text.contains(&value.to_string()), "{value}: {text}");
    }
    let upstream = WrittenUpstream { peer: "127.0.0.1:9".to_owned(), tls: false };
    let written = configuration(&learnt, &target(), "/api/items", &upstream, 20, Some("items.types.json"));
    let line = "openapi = { file = \"items.types.json\", operation = \"GET /api/items\" }";
    assert!(written.contains(line), "{written}");
    let by_post = ProbeTarget { body: Some(json!({})), ..target() };
    assert!(types_document(&learnt, &by_post, "/api/items").contains("\"post\": {"));
    // Two runs write the same document.
    let (again, _) = attempt(target(), ProbeLimits::default(), answer);
    assert_eq!(types_document(&again.expect("learnt"), &target(), "/api/items"), text);
}
