//! Tests of queries that are refused before a list is read.

use serde_json::json;

use super::{JSON, Lists, OWN, code};
use crate::harness::rows::Rows;

#[test]
fn hostile_queries_are_refused_before_a_list_is_read() {
    let lists = Lists::start(Rows::count(30), "", "introspection = true");
    let deep = |levels: usize, inner: &str| format!("{}{inner}{}", "{ above ".repeat(levels), "}".repeat(levels));
    let aliases: String =
        (0..1_000).map(|number| format!("a{number}: users {{ edges {{ node {} }} }} ", deep(50, "{ id }"))).collect();
    let wide: String = (0..51).map(|number| format!("a{number}: cursor ")).collect();
    let lists_of: String = (0..21).map(|number| format!("a{number}: users {{ totalCount }} ")).collect();
    let doubling: String = (0..18)
        .map(|level| format!("fragment F{level} on Row {{ above {{ ...F{0} }} kin {{ ...F{0} }} }} ", level + 1))
        .collect();
    let doubled = format!("{{ users {{ edges {{ node {{ ...F0 }} }} }} }} {doubling} fragment F18 on Row {{ id }}");
    let flat: String =
        (0..18).map(|level| format!("fragment F{level} on Row {{ ...F{0} ...F{0} ...F{0} }} ", level + 1)).collect();
    let flat = format!(
        "query A {{ users {{ totalCount }} }} query B {{ users {{ edges {{ node {{ ...F0 }} }} }} }} {flat} fragment F18 on Row {{ id }}"
    );
    let circle =
        "{ users { edges { node { ...A } } } } fragment A on Row { above { ...B } } fragment B on Row { ...A }";
    let brackets = format!("{{ users(first: {}1{}) {{ totalCount }} }}", "[".repeat(30_000), "]".repeat(30_000));
    let braces = "{a".repeat(30_000);
    let hidden = format!("{{ users(after: \"{}\") {}", "}".repeat(25), "{a".repeat(25));
    let introspection = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
    let names: String = "id ".repeat(300);
    let values = format!("{{ a: users(first: 400) {{ edges {{ node {{ {names} }} }} }} }}");
    for (query, expected) in [
        (format!("{{ {aliases} }}"), "body_too_large"),
        (format!("{{ {} }}", aliases.split_at(20_000).0), "query_too_complex"),
        (format!("{{ users {{ edges {{ node {} }} }} }}", deep(50, "{ id }")), "query_too_complex"),
        (format!("{{ users {{ edges {{ {wide} }} }} }}"), "query_too_complex"),
        (format!("{{ {lists_of} }}"), "query_too_complex"),
        (doubled, "query_too_complex"),
        (flat.clone(), "query_too_complex"),
        (circle.to_owned(), "query_invalid"),
        (brackets, "query_too_complex"),
        (braces, "query_too_complex"),
        (hidden, "query_too_complex"),
        (introspection.to_owned(), "query_too_complex"),
        (values, "query_too_complex"),
        ("{ users { edges { node { id".to_owned(), "query_invalid"),
        ("{ users(after: \"".to_owned(), "query_invalid"),
        ("{ nothing }".to_owned(), "query_invalid"),
        ("mutation { users { totalCount } }".to_owned(), "query_invalid"),
        ("subscription { users { totalCount } }".to_owned(), "query_invalid"),
        ("{ users(first: \"x\") { totalCount } }".to_owned(), "query_invalid"),
        ("query($f: Int) { users(first: $g) { totalCount } }".to_owned(), "query_invalid"),
        (String::new(), "query_invalid"),
    ] {
        let answer = lists
            .post(&[OWN], &json!({ "query": query, "operationName": query.starts_with("query A").then_some("A") }));
        let shown: String = query.chars().take(60).collect();
        let body = answer.json();
        let found =
            if answer.status == 413 { body["code"].as_str().unwrap_or_default() } else { code(&body["errors"][0]) };
        assert_eq!(found, expected, "{shown}: {answer:?}");
        assert!(matches!(answer.status, 400 | 413) && body.get("data").is_none(), "{shown}: {answer:?}");
    }
    assert_eq!(lists.upstream.count(), 0, "no list was read");
    let twice = lists.post(&[OWN], &json!({ "query": "mutation { x }" })).json();
    assert_eq!(twice["errors"].as_array().map(Vec::len), Some(1), "{twice}");
    // A batch is an array instead of an object, so it is refused.
    let batch = lists.gateway.send("POST", "/graphql", &[JSON], b"[{\"query\":\"{ users { totalCount } }\"}]");
    assert_eq!(batch.outcome(), "400 body_invalid");
    // The limits permit the introspection query of tools, and a page of full size.
    let wide = "id score note above { id } kin { id } tags address { street } _own odd_name";
    lists.data(&format!("{{ users(first: 400) {{ edges {{ cursor node {{ {wide} }} }} }} }}"));
}

#[test]
fn introspection_of_graphql_is_refused_by_default() {
    let lists = Lists::start(Rows::count(3), "", "");
    for query in ["{ __schema { types { name } } }", "{ __type(name: \"Row\") { name } }"] {
        let answer = lists.ask(query);
        assert_eq!(code(&answer["errors"][0]), "query_invalid", "{answer}");
    }
    let misspelt = lists.ask("{ user { totalCount } }")["errors"][0]["message"].to_string();
    assert!(!misspelt.contains("users"), "nothing is suggested: {misspelt}");
    assert_eq!(
        lists.data("{ __typename users { __typename } }"),
        json!({ "__typename": "Query", "users": { "__typename": "UsersConnection" } })
    );
}
