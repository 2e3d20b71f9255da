//! Tests of the Docker Compose file, and of the configuration that it mounts.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::{
    documents, file,
    harness::{
        eventually,
        gateway::{self, Gateway, free_port},
        http,
    },
    installed, seconds, succeed, table, text, time_to_stop,
};

const FILE: &str = "deploy/compose/compose.yaml";
const CONFIGURATION: &str = "deploy/compose/cursorgate.toml";

fn services() -> Value {
    documents(&[FILE]).remove(0)["services"].clone()
}

/// A running `cursorgate demo`, whose legacy API replaces the one in the Compose file. Dropping it ends the process.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the mounted configuration with its upstream at `legacy`, and without the tables that the harness adds.
fn elsewhere(legacy: SocketAddr) -> String {
    let mut configuration = table(&text(CONFIGURATION));
    let configuration = configuration.as_object_mut().expect("a table");
    for key in ["version", "listeners", "admin", "cursor"] {
        configuration.remove(key).expect("a key of the file");
    }
    configuration["upstreams"]["legacy"]["peers"] = vec![legacy.to_string()].into();
    configuration.iter().map(|(key, value)| format!("{key} = {}\n", in_line(value))).collect()
}

/// Writes a value as inline TOML.
fn in_line(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let members: Vec<_> = table.iter().map(|(key, value)| format!("{key} = {}", in_line(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(in_line).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[test]
fn dclint_accepts_the_compose_file() {
    succeed(
        installed("deploy/node/node_modules/.bin/dclint")
            .arg("--config")
            .arg(file("tests/deploy/dclint.json"))
            .arg(file(FILE)),
    );
}

#[test]
fn mounted_files_exist() {
    let services = services();
    let mut count = 0;
    for (name, service) in services.as_object().expect("services") {
        for mount in service["volumes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let source = mount.split(':').next().expect("a source");
            if source.starts_with('.') {
                count += 1;
                assert!(file("deploy/compose").join(source).exists(), "{name}: {mount}");
            }
        }
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn prometheus_reads_the_rules_and_finds_the_gateway() {
    let settings = documents(&["deploy/compose/prometheus.yml"]).remove(0);
    let services = services();
    let mounts: Vec<_> =
        services["prometheus"]["volumes"].as_array().expect("volumes").iter().filter_map(Value::as_str).collect();
    for rules in settings["rule_files"].as_array().expect("rules") {
        let rules = rules.as_str().expect("a file");
        let mount = format!("../prometheus/{rules}:/etc/prometheus/{rules}:ro");
        assert!(mounts.contains(&mount.as_str()), "{mount}");
    }
    let job = &settings["scrape_configs"][0];
    assert!(job["job_name"].as_str().is_some_and(|name| name.starts_with("cursorgate")), "the alerts look for it");
    let (host, port) =
        job["static_configs"][0]["targets"][0].as_str().and_then(|target| target.split_once(':')).expect("a target");
    assert!(services[host].is_object(), "{host} is no service");
    let admin = table(&text(CONFIGURATION))["admin"].clone();
    assert_eq!(admin["address"].as_str(), Some(format!("0.0.0.0:{port}").as_str()));
    assert!(admin["hosts"].as_array().expect("names").iter().any(|name| name.as_str() == Some(host)));
}

#[test]
fn the_grace_period_of_the_container_exceeds_the_time_to_stop() {
    let grace = services()["gateway"]["stop_grace_period"].as_str().map(seconds).expect("a time");
    assert!(time_to_stop(&text(CONFIGURATION)) < grace);
}

#[test]
fn the_demo_is_served_by_cursor() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let command: Vec<_> = {
        let command = services()["legacy"]["command"].clone();
        command.as_array().expect("arguments").iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    assert_eq!(command, ["demo", "--listen", "0.0.0.0:8081"]);
    let mut demo = gateway::command();
    demo.args(["demo", "--listen", &address.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let _demo = Demo(demo.spawn().expect("it starts"));
    let gateway = Gateway::start(&elsewhere(address));
    let page = eventually("the demo answers", || {
        let page = gateway.get("/users?cursor=start&limit=5");
        (page.status == 200).then_some(page)
    });
    assert_eq!(page.header("Cursorgate-Level"), Some("exact"));
    assert_eq!(page.json()["data"].as_array().map(Vec::len), Some(5));
    let next = page.json()["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let page = gateway.get(&format!("/users?limit=5&cursor={next}"));
    assert_eq!((page.status, page.header("Cursorgate-Level")), (200, Some("exact")));
    // Requests of legacy clients are also answered.
    assert_eq!(gateway.get("/users?page=2&limit=5").status, 200);
    assert_eq!(http::get(gateway.admin, "/readyz").status, 200);
}
