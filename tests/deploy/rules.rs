//! Tests of the recording rules and alerts for Prometheus.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{documents, file, metrics::Families, promtool, succeed, text};

const FILES: [&str; 2] = ["deploy/prometheus/recording.yml", "deploy/prometheus/alerts.yml"];

/// Returns all rules of both files.
pub(crate) fn rules() -> Vec<Value> {
    let documents = documents(&FILES);
    let groups = documents.iter().flat_map(|document| document["groups"].as_array().expect("groups"));
    groups.flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

#[test]
fn promtool_accepts_the_rules() {
    succeed(promtool().args(["check", "rules", "--lint=all", "--lint-fatal"]).args(FILES.map(file)));
}

#[test]
fn each_alert_fires_on_its_cause_alone() {
    succeed(promtool().args(["test", "rules"]).arg(file("deploy/prometheus/alerts_test.yml")));
}

#[test]
fn each_alert_has_a_test_and_says_what_to_do() {
    let tests = text("deploy/prometheus/alerts_test.yml");
    let mut count = 0;
    for rule in rules() {
        let Some(name) = rule["alert"].as_str() else { continue };
        count += 1;
        assert!(tests.contains(name), "{name} has no test");
        let severity = rule["labels"]["severity"].as_str().expect("a severity");
        assert!(["page", "ticket"].contains(&severity), "{name}: {severity}");
        for annotation in ["summary", "description"] {
            assert!(
                rule["annotations"][annotation].as_str().is_some_and(|text| text.len() > 15),
                "{name}: {annotation}"
            );
        }
    }
    assert!(count > 15, "{count}");
}

#[test]
fn rules_name_metrics_and_labels_that_exist() {
    let families = Families::scraped();
    let rules = rules();
    let recorded: BTreeSet<&str> = rules.iter().filter_map(|rule| rule["record"].as_str()).collect();
    for rule in &rules {
        let query = rule["expr"].as_str().expect("a query");
        assert_eq!(families.faults(query), [""; 0], "{query}");
        // Only names of recorded series contain colons, so each such name must be recorded.
        let words = query.split(|character: char| !character.is_ascii_alphanumeric() && !"_:".contains(character));
        for word in words.filter(|word| word.contains(':')) {
            assert!(recorded.contains(word), "{word} is not recorded");
        }
    }
}
