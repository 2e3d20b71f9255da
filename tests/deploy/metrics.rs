//! The families of metrics that the program exports, and the check of queries against them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    harness::{
        eventually,
        gateway::Gateway,
        list::{PLAIN, Setup, serve, users},
        upstream::Upstream,
    },
    text,
};

/// Labels that Prometheus adds to each series of a scrape.
const OF_THE_SCRAPE: [&str; 2] = ["job", "instance"];
/// The words of PromQL that are followed by a list of labels.
const GROUPING: [&str; 5] = ["by", "without", "on", "ignoring", "group_left"];

/// The metrics of a running gateway: their names with suffixes, the labels of each, and the text of the scrape.
#[derive(Debug)]
pub(crate) struct Families {
    labels: BTreeMap<String, BTreeSet<String>>,
    scrape: String,
}

/// A selector in a query: the metric, and the labels and values that it matches.
#[derive(Debug, PartialEq, Eq)]
struct Selector<'q> {
    metric: &'q str,
    matchers: Vec<(&'q str, &'q str)>,
}

impl Families {
    /// Returns the families of a gateway that has served a page, refused a request in a brownout, and failed to serve a
    /// page.
    pub(crate) fn scraped() -> Self {
        let upstream = Upstream::start(serve(users(60)));
        let setup = Setup {
            route: "old_clients = \"translate\"\nlegacy = { brownouts = [\
                    { from = \"2026-01-01T00:00:00Z\", until = \"2126-01-01T00:00:00Z\" }] }",
            ..PLAIN
        };
        let gateway = Gateway::start(&setup.configuration(upstream.address));
        assert_eq!(gateway.get("/users?cursor=start&limit=5").status, 200);
        assert_eq!(gateway.get("/users?offset=5").outcome(), "429 rate_limited", "the brownout is on");
        upstream.answer(|exchange| exchange.reply("500 Oops", &[], b"oops"));
        assert_eq!(gateway.get("/users?cursor=start&limit=5").status, 502);
        // Requests are counted after their answers, in any order, so the test waits for all counts.
        let scrape = eventually("the three requests are counted", || {
            let scrape = gateway.metrics().text().to_owned();
            let counts = ["status=\"2xx\"", "policy=\"brownout\"", "status=\"4xx\"", "status=\"5xx\""];
            counts.iter().all(|count| scrape.contains(count)).then_some(scrape)
        });
        Self { labels: documented(&scrape), scrape }
    }

    /// Returns the faults of a query: unknown metrics, and labels or values that a metric does not have.
    pub(crate) fn faults(&self, query: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let mut known: BTreeSet<&str> = OF_THE_SCRAPE.into();
        for selector in selectors(query) {
            let Some(labels) = self.labels.get(selector.metric) else {
                faults.push(format!("no metric is called {}", selector.metric));
                continue;
            };
            known.extend(labels.iter().map(String::as_str));
            for (label, value) in selector.matchers {
                let is_variable = value.contains(['$', '*', '+', '|']);
                if !labels.contains(label) && !OF_THE_SCRAPE.contains(&label) {
                    faults.push(format!("{} has no label {label}", selector.metric));
                } else if !is_variable && !self.scrape.contains(&format!("{label}=\"{value}\"")) {
                    faults.push(format!("{} was never seen with {label}=\"{value}\"", selector.metric));
                }
            }
        }
        let strange = groupings(query).filter(|label| !known.contains(label));
        faults.extend(strange.map(|label| format!("grouped by {label}, which none of its metrics has")));
        faults
    }
}

/// Returns the labels of each metric. The names come from a scrape, and the labels from docs/observability.md, which a
/// test of the program keeps up to date: in a scrape, a family without series shows no labels.
fn documented(scrape: &str) -> BTreeMap<String, BTreeSet<String>> {
    let page = text("docs/observability.md");
    let mut found = BTreeMap::new();
    for line in scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        let row = format!("| `{name}` | ");
        let cells = page.lines().find_map(|line| line.strip_prefix(&row)).unwrap_or_else(|| panic!("no row of {name}"));
        let labels = cells.split(" | ").next().expect("labels").split(", ");
        let labels: BTreeSet<String> =
            labels.map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect();
        if kind == "histogram" {
            let mut with_bound = labels.clone();
            with_bound.insert("le".to_owned());
            found.insert(format!("{name}_bucket"), with_bound);
            found.insert(format!("{name}_count"), labels.clone());
            found.insert(format!("{name}_sum"), labels);
        } else {
            found.insert(name.to_owned(), labels);
        }
    }
    // Prometheus adds the metric `up` itself, so queries may contain it.
    found.insert("up".to_owned(), BTreeSet::new());
    found
}

/// Returns whether a character may be in the name of a metric. Names of recording rules contain colons.
fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | ':')
}

/// Returns the words of a query, each with the text after it. Quoted texts are left out.
fn words(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = query;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches(|character: char| !is_word(character) && character != '"');
            if let Some(quoted) = rest.strip_prefix('"') {
                rest = &quoted[quoted.find('"').map_or(quoted.len(), |end| end + 1)..];
                continue;
            }
            let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
            if end == 0 {
                return None;
            }
            let (word, after) = rest.split_at(end);
            rest = after;
            return Some((word, after));
        }
    })
}

/// Returns the selectors in a query that are of the program's metrics or of `up`.
fn selectors(query: &str) -> Vec<Selector<'_>> {
    let is_metric = |word: &str| word.starts_with("cursorgate_") || word.starts_with("process_") || word == "up";
    words(query)
        .filter(|(word, _)| is_metric(word))
        .map(|(metric, after)| {
            let inside =
                after.strip_prefix('{').and_then(|inside| inside.split_once('}')).map_or("", |(inside, _)| inside);
            let matchers = inside.split(", ").filter_map(|matcher| {
                let (label, value) = matcher.split_once(['=', '!'])?;
                Some((label.trim(), value.trim_start_matches(['=', '~']).trim_matches('"')))
            });
            Selector { metric, matchers: matchers.collect() }
        })
        .collect()
}

/// Returns the labels by which a query groups or matches.
fn groupings(query: &str) -> impl Iterator<Item = &str> {
    words(query)
        .filter(|(word, _)| GROUPING.contains(word))
        .filter_map(|(_, after)| Some(after.trim_start().strip_prefix('(')?.split_once(')')?.0))
        .flat_map(|inside| inside.split(',').map(str::trim))
}

#[test]
fn selectors_and_groupings_of_a_query_are_read() {
    let query =
        "sum by (job, route) (rate(cursorgate_requests_total{job=~\"$job\", status=\"5xx\"}[5m])) / on (job) up";
    let matchers = vec![("job", "$job"), ("status", "5xx")];
    assert_eq!(
        selectors(query),
        [Selector { metric: "cursorgate_requests_total", matchers }, Selector { metric: "up", matchers: vec![] }]
    );
    assert_eq!(groupings(query).collect::<Vec<_>>(), ["job", "route", "job"]);
}

#[test]
fn a_query_with_a_wrong_name_is_found() {
    let families = Families::scraped();
    assert_eq!(families.faults("rate(cursorgate_requests_total{status=\"5xx\"}[5m])"), [""; 0]);
    for query in [
        "cursorgate_request_total",
        "cursorgate_requests_total{code=\"200\"}",
        "cursorgate_requests_total{status=\"500\"}",
        "sum by (upstream) (cursorgate_requests_total)",
        "cursorgate_request_duration_seconds",
    ] {
        assert_eq!(families.faults(query).len(), 1, "{query}");
    }
}
