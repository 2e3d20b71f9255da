//! Tests of deliveries as receivers verify them, with the public libraries of Standard Webhooks from npm and PyPI.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{
    CLIENTS, ONE, active, export, post,
    receiver::{Received, Receiver},
    schema, services,
};
use crate::{
    harness::{
        Directory, eventually,
        gateway::Gateway,
        list::{PLAIN, serve, users},
        schema::faults,
        upstream::{Exchange, Upstream},
    },
    third_party::environment,
};

fn request(received: &Received, secret: &str) -> Value {
    let header = |name: &str| (name.to_owned(), json!(received.request.header(name).expect("a header")));
    let headers: serde_json::Map<_, _> =
        ["webhook-id", "webhook-timestamp", "webhook-signature"].into_iter().map(header).collect();
    json!({ "secret": secret, "headers": headers, "body": received.body })
}

#[test]
fn the_libraries_of_the_standard_accept_genuine_deliveries_alone() {
    let list = serve(users(30));
    let upstream = Upstream::start(move |exchange: &mut Exchange| match exchange.request.path() {
        "/reports" => match exchange.body()?.as_slice() {
            b"{}" => exchange.reply("200 OK", &[("Content-Type", "application/json")], b"[]"),
            _ => exchange.reply("422 Unprocessable Content", &[], b""),
        },
        _ => list(exchange),
    });
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let tables = format!(
        "{CLIENTS}[services.jobs.queues.reports]\nrequest = \"POST /reports\"\n\
         [routes.reports]\npath = \"/reports\"\nupstream = \"legacy\"\naction = \"forward\"\n"
    );
    let services = services(&directory, &[receiver.port()], "", &tables);
    let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
    let kinds = ["export.completed", "job.completed", "job.failed"];
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &kinds);
    let rotated = post(&gateway, &format!("{}/rotate", endpoint.path), &[ONE], &Value::Null);
    let newer = rotated.json()["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(newer, endpoint.secret);
    export(&gateway, &[ONE]);
    for order in [json!({}), json!({ "fails": true })] {
        assert_eq!(post(&gateway, "/jobs/reports", &[ONE], &order).status, 202);
    }
    let events = eventually("the events", || Some(receiver.events()).filter(|events| events.len() == 3));
    let of = |kind: &str| events.iter().find(|event| event.json()["type"] == kind).expect("an event").clone();
    let event = of("export.completed");
    let (ended, failed) = (of("job.completed"), of("job.failed"));
    for (kind, event) in [("job.completed", &ended), ("job.failed", &failed)] {
        assert_eq!(faults(&schema(&gateway, kind), &event.json()), Vec::<String>::new(), "{event:?}");
        assert_eq!(event.json()["data"]["queue"], "reports");
    }
    let challenge = &receiver.received()[0];
    let (good, old) = (request(&event, &newer), request(&event, &endpoint.secret));
    let mut cases = vec![(good.clone(), true), (old, true), (request(challenge, &endpoint.secret), true)];
    cases.extend([(request(&ended, &newer), true), (request(&failed, &newer), true)]);
    cases.push((request(challenge, &newer), false));
    for (place, change) in [
        ("/body", event.body.replacen("completed", "forgotten", 1)),
        ("/body", format!("{} ", event.body)),
        ("/headers/webhook-id", "evt_another".to_owned()),
        ("/headers/webhook-timestamp", {
            let at: u64 = good["headers"]["webhook-timestamp"].as_str().expect("a time").parse().expect("a number");
            (at - 1).to_string()
        }),
        ("/headers/webhook-signature", "v1,AAAA".to_owned()),
    ] {
        let mut tampered = good.clone();
        *tampered.pointer_mut(place).expect("the place") = change.into();
        cases.push((tampered, false));
    }
    let file = directory.file("requests.json");
    let requests: Vec<&Value> = cases.iter().map(|(request, _)| request).collect();
    std::fs::write(&file, serde_json::to_string(&requests).expect("JSON")).expect("a file");
    let script = |name: &str| format!("{}/tests/end_to_end/webhooks/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut node = Command::new("node");
    let source = std::fs::File::open(script("verify.mjs")).expect("the script");
    node.args(["--input-type=module", "-"]).arg(&file).current_dir(environment("webhooks")).stdin(Stdio::from(source));
    let mut python = Command::new(environment("python/bin/python"));
    python.arg(script("verify.py")).arg(&file);
    for mut command in [node, python] {
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let verdicts: Vec<bool> = said.lines().map(|line| line == "ok").collect();
        let expected: Vec<bool> = cases.iter().map(|(_, is_good)| *is_good).collect();
        assert_eq!(verdicts, expected, "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
}
