//! Tests of the Grafana dashboard.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use serde_json::Value;

use crate::{documents, harness::Directory, metrics::Families, promtool, succeed, text};

/// The width of a dashboard in Grafana's units.
const WIDTH: u64 = 24;

fn dashboard() -> Value {
    serde_json::from_str(&text("deploy/grafana/cursorgate.json")).expect("JSON")
}

/// Returns the panels of a dashboard, without the headings of its rows.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row")
}

/// Returns each query with the title of its panel.
fn queries(dashboard: &Value) -> Vec<(&str, &str)> {
    let of_panels = panels(dashboard).flat_map(|panel| {
        let title = panel["title"].as_str().expect("a title");
        panel["targets"]
            .as_array()
            .expect("queries")
            .iter()
            .map(move |target| (title, target["expr"].as_str().expect("a query")))
    });
    let marks = dashboard["annotations"]["list"].as_array().expect("annotations");
    let of_marks = marks.iter().map(|mark| ("annotation", mark["expr"].as_str().expect("a query")));
    of_panels.chain(of_marks).collect()
}

#[test]
fn panels_show_metrics_that_exist() {
    let families = Families::scraped();
    let dashboard = dashboard();
    for (title, query) in queries(&dashboard) {
        assert_eq!(families.faults(query), [""; 0], "{title}: {query}");
    }
    for variable in dashboard["templating"]["list"].as_array().expect("variables") {
        let Some(query) = variable["definition"].as_str() else { continue };
        let (metric, label) =
            query.strip_prefix("label_values(").and_then(|query| query.rsplit_once(", ")).expect("two values");
        let query = format!("sum by ({}) ({metric})", label.trim_end_matches(')'));
        assert_eq!(families.faults(&query), [""; 0], "{query}");
    }
}

#[test]
fn promtool_accepts_the_queries() {
    let dashboard = dashboard();
    let mut rules = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (index, (_, query)) in queries(&dashboard).into_iter().enumerate() {
        let query = query.replace("$__rate_interval", "5m").replace("$__range", "3h");
        write!(rules, "  - record: query:{index}\n    expr: {}\n", Value::from(query))
            .expect("it is written to memory");
    }
    let directory = Directory::new();
    let path = directory.file("queries.yml");
    fs::write(&path, rules).expect("a file of the test");
    succeed(promtool().args(["check", "rules"]).arg(path));
}

#[test]
fn panels_are_legible() {
    let dashboard = dashboard();
    let (mut ids, mut taken, mut titles) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{title}: its id is another panel's");
        assert!(titles.insert(title), "two panels are called {title}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().expect("a place"));
        assert!(x + w <= WIDTH, "{title} is too wide");
        let is_free = (x..x + w).all(|x| (y..y + h).all(|y| taken.insert((x, y))));
        assert!(is_free, "{title} lies on another panel");
    }
    for panel in panels(&dashboard) {
        let title = &panel["title"];
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = panel["targets"].as_array().expect("queries");
        assert!(targets.iter().all(|target| target["datasource"]["uid"] == "${datasource}"), "{title}");
        if panel["type"] == "timeseries" {
            let is_named = |target: &Value| target["legendFormat"].as_str().is_some_and(|legend| !legend.is_empty());
            assert!(targets.iter().all(is_named), "{title}: a line has no name");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        }
    }
}

#[test]
fn grafana_finds_the_dashboard_and_its_data() {
    let compose = documents(&["deploy/compose/compose.yaml"]).remove(0);
    let provider = documents(&["deploy/compose/grafana/provisioning/dashboards/cursorgate.yaml"]).remove(0);
    let folder = provider["providers"][0]["options"]["path"].as_str().expect("a folder");
    let mounts = compose["services"]["grafana"]["volumes"].as_array().expect("volumes");
    assert!(mounts.contains(&Value::from(format!("../grafana:{folder}:ro"))), "{mounts:?}");
    let home = &compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert_eq!(home, &Value::from(format!("{folder}/cursorgate.json")));
    let source = documents(&["deploy/compose/grafana/provisioning/datasources/prometheus.yaml"]).remove(0);
    assert_eq!(source["datasources"][0]["type"], dashboard()["templating"]["list"][0]["query"]);
    let address = source["datasources"][0]["url"].as_str().expect("an address");
    let host = address.trim_start_matches("http://").split(':').next().expect("a host");
    assert!(compose["services"][host].is_object(), "{address} is no service");
}
