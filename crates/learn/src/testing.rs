//! Simulated upstreams for tests: rows in a vector, and a function that answers requests for them.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::{
    Learnt, ProbeAnswer, ProbeLimits, ProbeOutcome, ProbeRequest, ProbeTarget, ProberStep, WrittenUpstream, begin,
    configuration, paging::token::query_of, route_name,
};
use cursorgate_config::{self as config, Environment, settings::ListSettings};
use cursorgate_gateway::Snapshot;

/// A request as a simulated upstream sees it.
#[derive(Clone, Debug)]
pub(super) struct SimulatedRequest {
    pub(super) path: String,
    pub(super) pairs: Vec<(String, String)>,
    pub(super) body: Value,
    pub(super) without: Option<HeaderName>,
    /// The `Host`, if it isn't the upstream's own.
    pub(super) host: Option<String>,
}

impl SimulatedRequest {
    /// Returns the value of a parameter; `None` if the request lacks it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a parameter; `None` if it isn't a whole number.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.text(name)?.parse().ok()
    }
}

/// An answer of a simulated upstream.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Value,
    pub(super) elapsed: Duration,
}

impl Answered {
    pub(super) fn new(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body, elapsed: Duration::from_millis(10) }
    }

    pub(super) fn refused(status: u16, body: Value) -> Self {
        Self { status, ..Self::new(body) }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The result of learning a simulated upstream.
pub(super) struct LearntCase {
    pub(super) learnt: Learnt,
    pub(super) requests: Vec<ProbeRequest>,
    /// The configuration that was written for the list. It loads without errors.
    pub(super) text: String,
}

/// Returns the target of the list at `/api/items`.
pub(super) fn target() -> ProbeTarget {
    ProbeTarget { path: "/api/items".to_owned(), host: "legacy.test".to_owned(), ..ProbeTarget::default() }
}

/// Learns the list of a simulated upstream. Panics if no list is learnt, if more requests are sent than allowed, or if
/// none of the written configurations loads without an error.
pub(super) fn learn(answer: impl Fn(&SimulatedRequest) -> Answered) -> LearntCase {
    learn_as(target(), ProbeLimits::default(), answer)
}

pub(super) fn learn_as(
    target: impl Into<Box<ProbeTarget>>,
    limits: ProbeLimits,
    answer: impl Fn(&SimulatedRequest) -> Answered,
) -> LearntCase {
    let target = *target.into();
    let (learnt, requests) = attempt(target.clone(), limits, answer);

    let learnt = *learnt.unwrap_or_else(|fault| panic!("{fault}"));
    assert!(requests.len() <= limits.requests, "{} requests", requests.len());
    let upstream = WrittenUpstream { peer: "127.0.0.1:9".to_owned(), tls: false };
    let most = [100, 50, 30, 20, 10, 5, 2, 1];
    let mut faults = String::new();
    for most in most {
        let text = configuration(&learnt, &target, &target.path, &upstream, most, None);
        match load(&text) {
            Ok(_) => return LearntCase { learnt, requests, text },
            Err(fault) => faults = format!("{fault}\n{text}"),
        }
    }
    panic!("{faults}");
}

/// Runs a prober against a simulated upstream to its end. Returns the result and all requests.
pub(super) fn attempt(
    target: ProbeTarget,
    limits: ProbeLimits,
    answer: impl Fn(&SimulatedRequest) -> Answered,
) -> (Result<Box<Learnt>, String>, Vec<ProbeRequest>) {
    let mut requests = Vec::new();
    let result = drive(begin(target, limits), |request| {
        requests.push(request.clone());
        Ok(answer_to(request, &answer))
    });
    (result, requests)
}

/// Runs a prober to its end, with answers from a function.
pub(super) fn drive<T>(mut step: ProberStep<T>, mut answer: impl FnMut(&ProbeRequest) -> ProbeOutcome) -> T {
    loop {
        match step {
            ProberStep::Send(request, prober) => step = prober.resume(answer(&request)),
            ProberStep::Done(result) => return result,
        }
    }
}

/// Returns the answer of a simulated upstream to a request.
pub(super) fn answer_to(request: &ProbeRequest, answer: &impl Fn(&SimulatedRequest) -> Answered) -> ProbeAnswer {
    let body = request.body.as_deref().map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
    let asked = SimulatedRequest {
        path: request.path.clone(),
        pairs: query_of(&format!("?{}", request.query)),
        body,
        without: request.without.clone(),
        host: request.headers.iter().find(|(name, _)| *name == http::header::HOST).map(|(_, host)| host.clone()),
    };
    let Answered { status, headers, body, elapsed } = answer(&asked);
    let mut map = HeaderMap::new();
    map.insert("content-type", HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        map.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
    }
    ProbeAnswer { status, headers: map, body: body.to_string().into_bytes(), elapsed }
}

/// Returns the settings of the first list of a configuration, and its path at the upstream. `routes` is the
/// configuration without its upstream and its keys.
pub(super) fn list_of(routes: &str) -> (ListSettings, String) {
    let text = format!(
        "version = 1\n[cursor]\nsigning_key = 1\nkeys = {{ 1 = \"env:CURSORGATE_KEY\" }}\n[upstreams.service]\n\
         peers = [\"127.0.0.1:9\"]\n{routes}"
    );
    let (settings, diagnostics) = config::load_text("live.toml", &text, &OneKey);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
    let route = settings.unwrap().routes.remove(0);
    let moved = route.upstream_path.map(|path| path.value.replace("{path}", &route.path.value));
    (*route.list.unwrap(), moved.unwrap_or(route.path.value))
}

struct OneKey;

impl Environment for OneKey {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "CURSORGATE_KEY").then(|| "aOyTwFgPs5hzOuP-NkYfh2ErSvXeas9O1nm-EUXTEMI".to_owned())
    }

    fn read(&self, _: &std::path::Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Loads and compiles a configuration, as `check` does. Returns the settings of the list at `/api/items`, or the report
/// of the faults.
pub(super) fn load(text: &str) -> Result<ListSettings, String> {
    let (settings, mut diagnostics) = config::load_text("learnt.toml", text, &OneKey);
    let settings = settings.ok_or_else(|| diagnostics.render(false))?;
    let built = Snapshot::build(&settings, None, &mut diagnostics);
    if built.is_none() || diagnostics.has_errors() {
        return Err(diagnostics.render(false));
    }
    let route = settings.routes.iter().find(|route| route.name.value == route_name("/api/items")).unwrap();
    Ok(*route.list.clone().unwrap())
}

/// Returns a pseudo-random number from a seed (splitmix64).
pub(super) fn scatter(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Capitalised and lower-case names, some with accents, spaces, hyphens or an apostrophe.
pub(super) const WORDS: [&str; 16] = [
    "Zoe", "adam", "Berta", "cäsar", "Äpfel", "dora-lee", "Dora", "emil", "von Holt", "Vonberg", "O'Brien", "obrecht",
    "éclair", "Edda", "zander", "mu",
];

/// Rows with ids from 1, a name, a time that up to four rows share, a score, a kind and a nullable note.
pub(super) fn rows(count: usize) -> Vec<Value> {
    (1..=count)
        .map(|id| {
            let number = id as u64;
            let time = 1_700_000_000 + (number / 4) * 3_600;
            let time = chrono::DateTime::from_timestamp(time.try_into().unwrap(), 0).unwrap();
            let word = WORDS[(scatter(number) % 16) as usize];
            let kind = ["low", "normal", "high"][(scatter(number * 3) % 3) as usize];
            json!({
                "id": id,
                "name": format!("{word} {}", scatter(number) % 97),
                "created_at": time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                "score": scatter(number * 7) % 10_000,
                "kind": kind,
                "note": if scatter(number * 5).is_multiple_of(4) { Value::Null } else { json!(format!("n{}", scatter(number) % 9)) },
            })
        })
        .collect()
}

/// Sorts rows by a field of numbers, or of strings by their bytes. The sort is stable.
pub(super) fn sorted(mut rows: Vec<Value>, field: &str, descending: bool) -> Vec<Value> {
    rows.sort_by(|left, right| {
        let (left, right) = (&left[field], &right[field]);
        let ordering = match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => left.as_str().cmp(&right.as_str()),
        };
        if descending { ordering.reverse() } else { ordering }
    });
    rows
}

/// Returns up to `size` rows, from the index `from` on.
pub(super) fn slice(rows: &[Value], from: usize, size: usize) -> Vec<Value> {
    rows.iter().skip(from).take(size).cloned().collect()
}
