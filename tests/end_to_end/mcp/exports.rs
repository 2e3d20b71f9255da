//! Tests of exports that tools begin and follow.

use serde_json::json;

use super::{Tools, configured, problem};
use crate::harness::{
    Directory, eventually,
    gateway::Gateway,
    rows::{Row, Rows},
    upstream::Upstream,
};

const ONE: (&str, &str) = ("Authorization", "Bearer one");
const TWO: (&str, &str) = ("Authorization", "Bearer two");

fn start(rows: Rows) -> Tools {
    let directory = Directory::new();
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let exports = format!("[services.exports]\ndirectory = {:?}", directory.file("exports"));
    let gateway = Gateway::start(&configured(&upstream, &directory, "", &exports));
    Tools { gateway, upstream, directory }
}

#[test]
fn a_tool_begins_an_export_and_follows_it() {
    let rows = Rows::new([]);
    rows.change_of("Bearer one", |own| own.extend((1..=250).map(|id| Row::new(id, id * 10))));
    let tools = start(rows);
    let names: Vec<String> =
        tools.tools(&[]).iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect();
    assert_eq!(
        names,
        ["list_users", "export_users", "list_team-users", "export_team-users", "list_plain", "export_plain"]
    );
    let order = json!({ "format": "csv", "columns": ["id", "score"], "sort": ["id"], "score__gte": 1_010 });
    let begun = tools.call_as(&[ONE], "export_users", &order);
    let job = &begun["structuredContent"];
    assert_eq!((&begun["isError"], &job["format"]), (&json!(false), &json!("csv")), "{begun}");
    let ask = json!({ "export": job["id"] });
    let done = eventually("the end of the export", || {
        let said = tools.call_as(&[ONE], "export_users", &ask);
        Some(said["structuredContent"].clone()).filter(|job| job["state"] == "completed")
    });
    assert_eq!((&done["items"], &done["closing"]["complete"]), (&json!(150), &json!(true)), "{done}");
    let result = tools.gateway.send("GET", done["resultUrl"].as_str().expect("an address"), &[ONE], b"");
    let lines: Vec<&str> = result.text().lines().collect();
    assert_eq!((lines.len(), lines[0], lines[1], lines[150]), (151, "id,score", "101,1010", "250,2500"));
    // For all other clients, the export does not exist.
    let foreign = problem(&tools.call_as(&[TWO], "export_users", &ask));
    assert_eq!(foreign["code"], "export_not_found", "{foreign}");
    let elsewhere = problem(&tools.call_as(&[ONE], "export_plain", &ask));
    assert_eq!(elsewhere["code"], "export_not_found", "{elsewhere}");
    for (arguments, code) in [
        (json!({ "format": "xml" }), "body_invalid"),
        (json!({ "columns": ["a"] }), "body_invalid"),
        (json!({ "format": 7 }), "parameter_invalid"),
        (json!({ "columns": "id" }), "parameter_invalid"),
        (json!({ "limit": 7 }), "parameter_invalid"),
        (json!({ "export": "../../users" }), "parameter_invalid"),
        (json!({ "export": "0".repeat(32) }), "export_not_found"),
        (json!({ "sort": ["note"] }), "sort_invalid"),
    ] {
        let fault = problem(&tools.call_as(&[ONE], "export_users", &arguments));
        assert_eq!(fault["code"], code, "{arguments}: {fault}");
    }
}

#[test]
fn a_list_that_refuses_a_client_begins_no_export() {
    let directory = Directory::new();
    let upstream = Upstream::start(|exchange| exchange.reply("403 Forbidden", &[], b"no"));
    let exports = format!("[services.exports]\ndirectory = {:?}", directory.file("exports"));
    let gateway = Gateway::start(&configured(&upstream, &directory, "", &exports));
    let tools = Tools { gateway, upstream, directory };
    let fault = tools.fault("export_users", &json!({}));
    assert_eq!(fault["code"], "credentials_refused", "{fault}");
    assert_eq!(tools.gateway.get("/users/exports").json()["exports"], json!([]));
}
