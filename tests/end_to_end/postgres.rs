//! Tests of a legacy service on PostgreSQL, sorted by a column with ties, walked by `page=` and through the gateway, at
//! rest and while writers insert, delete and move: the items that each walk skips and repeats, side by side.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, Command},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::{
    harness::{Numbers, gateway::Gateway, http, scaled},
    third_party::{launch, python},
};

const CLIENTS: usize = 10;
const LIMIT: usize = 100;

pub(crate) const CONFIGURATION: &str = r#"
[upstreams.legacy]
peers = ["ADDRESS"]

[dialects.legacy]
request = { query = "page={page}&per_page={size}" }
size = { max = 500 }
response = { items = "/items", total = "/total" }
sort = { query = "sort={direction}{field}", ascending = "", descending = "-", max_keys = 1 }
filter = { gt = "{field}__gt={value}", gte = "{field}__gte={value}", lt = "{field}__lt={value}", lte = "{field}__lte={value}" }

[defaults]
old_clients = "none"
upstream = "legacy"
upstream_path = "/items"
dialect = "legacy"
order = ["-created_at", "id"]
sortable = ["created_at", "id"]
ties = "unordered"
fields = { created_at = { type = "datetime", nulls = "none", grain = "ms" } }
page_size = { default = 100, max = 250 }

[routes.offset]
path = "/offset"
mode = "offset"

[routes.keyset]
path = "/keyset"
mode = "keyset"
filterable = ["created_at"]
"#;

/// The legacy service, while it runs.
pub(crate) struct Legacy {
    pub(crate) address: SocketAddr,
    child: Child,
    input: Option<ChildStdin>,
}

/// An item as walks compare it: the same id with the same key is the same item.
pub(crate) type Key = (u64, String);

/// The items of one walk, and the number of its requests to the upstream.
struct Seen {
    items: Vec<Key>,
    upstream_requests: u64,
}

/// The way in which a list is walked.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// The pages `page=1`, `page=2`, … of the service itself.
    Direct,
    /// The pages of this route of the gateway, by `links.next`.
    Through(&'static str),
}

/// The number of items that walks skipped, and the number of repetitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Harm {
    skipped: usize,
    repeated: usize,
}

impl Legacy {
    /// Starts the service with these command-line arguments, and waits until it listens.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/upstreams/postgres/service.py");
        let (child, input, address) = launch(Command::new(python()).arg(source).args(arguments));
        Self { address, child, input: Some(input) }
    }

    /// Returns all items of the table.
    pub(crate) fn items(&self) -> HashSet<Key> {
        let all = http::get(self.address, "/all").json();
        all.as_array().expect("an array").iter().map(|row| key(&row[0], &row[1])).collect()
    }

    pub(crate) fn change(&self, changes: &Value) {
        let answer = http::send(self.address, "POST", "/changes", &[], changes.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        // The service drops its database when its standard input ends, so the input is closed before the wait.
        self.input = None;
        let _ = self.child.wait();
    }
}

fn key(id: &Value, created_at: &Value) -> Key {
    (id.as_u64().expect("an id"), created_at.as_str().expect("a timestamp").to_owned())
}

/// Walks the list to its end in one way.
fn walk(way: Way, legacy: &Legacy, gateway: &Gateway) -> Seen {
    let (address, member) = match way {
        Way::Direct => (legacy.address, "items"),
        Way::Through(_) => (gateway.public, "data"),
    };
    let mut connection = http::Connection::open(address).expect("it listens");
    let mut seen = Seen { items: Vec::new(), upstream_requests: 0 };
    let mut target = Some(match way {
        Way::Direct => format!("/items?page=1&per_page={LIMIT}"),
        Way::Through(route) => format!("/{route}?limit={LIMIT}"),
    });
    let mut page = 1;
    while let Some(next) = target {
        let answer = connection.request("GET", &next, &[], b"").expect("an answer");
        assert_eq!(answer.status, 200, "{way:?} {next}: {answer:?}");
        let body = answer.json();
        let items = body[member].as_array().expect("an array");
        seen.items.extend(items.iter().map(|item| key(&item["id"], &item["created_at"])));
        page += 1;
        target = match way {
            Way::Direct => (items.len() == LIMIT).then(|| format!("/items?page={page}&per_page={LIMIT}")),
            Way::Through(_) => {
                assert!(matches!(answer.header("cursorgate-level"), Some("exact" | "checked")), "{answer:?}");
                body["links"]["next"].as_str().map(|link| path_of(link).to_owned())
            }
        };
    }
    seen.upstream_requests = page;
    seen
}

/// Returns the path and the query of a link.
fn path_of(link: &str) -> &str {
    let rest = link.split_once("://").map_or(link, |(_, rest)| rest);
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// Returns the number of items that stayed but were skipped, and the number of repetitions.
fn harm(seen: &Seen, stayed: &HashSet<Key>) -> Harm {
    let mut times: HashMap<&Key, usize> = HashMap::new();
    for item in &seen.items {
        *times.entry(item).or_default() += 1;
    }
    Harm {
        skipped: stayed.iter().filter(|item| !times.contains_key(item)).count(),
        repeated: times.values().map(|count| count - 1).sum(),
    }
}

/// Makes ten walks at the same time. If `writers` is true, two threads change the table during the walks. Returns the
/// harm to all walks together, and the number of changes.
fn walks(way: Way, legacy: &Legacy, gateway: &Gateway, writers: bool) -> (Harm, u64) {
    let before = legacy.items();
    let touched: Mutex<HashSet<u64>> = Mutex::new(HashSet::new());
    let (finished, changes) = (AtomicBool::new(false), AtomicU64::new(0));
    let ids: Vec<u64> = before.iter().map(|(id, _)| *id).collect();
    let seen: Vec<Seen> = thread::scope(|scope| {
        for writer in 0..if writers { 2 } else { 0 } {
            let (touched, finished, changes, ids) = (&touched, &finished, &changes, &ids);
            scope.spawn(move || {
                let mut numbers = Numbers::new(77 + writer);
                while !finished.load(Ordering::Relaxed) {
                    let batch: Vec<Value> = (0..10).map(|_| draw(&mut numbers, ids, touched)).collect();
                    legacy.change(&json!(batch));
                    changes.fetch_add(10, Ordering::Relaxed);
                    thread::sleep(std::time::Duration::from_millis(20));
                }
            });
        }
        let walkers: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| walk(way, legacy, gateway))).collect();
        let walked: Vec<_> = walkers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        finished.store(true, Ordering::Relaxed);
        walked.into_iter().map(|seen| seen.expect("a walk to the end")).collect()
    });
    let touched = touched.into_inner().expect("nobody panicked");
    let stayed: HashSet<Key> = before.into_iter().filter(|(id, _)| !touched.contains(id)).collect();
    let mut all = Harm::default();
    for seen in &seen {
        let Harm { skipped, repeated } = harm(seen, &stayed);
        all.skipped += skipped;
        all.repeated += repeated;
    }
    (all, changes.load(Ordering::Relaxed))
}

/// Returns a random change of the table for the service. The id of a deleted or moved item is added to `touched`.
pub(crate) fn draw(numbers: &mut Numbers, ids: &[u64], touched: &Mutex<HashSet<u64>>) -> Value {
    let id = ids[numbers.below(ids.len())];
    // Most new items are the newest, as in most lists; some are added in the middle.
    let milliseconds = if numbers.below(3) == 0 { numbers.below(166) } else { 60_000 + numbers.below(1_000_000) };
    let time = format!(
        "2026-01-01T00:{:02}:{:02}.{:03}Z",
        milliseconds / 60_000 % 60,
        milliseconds / 1_000 % 60,
        milliseconds % 1_000
    );
    let takes = |what: Value| {
        touched.lock().expect("nobody panicked").insert(id);
        what
    };
    match numbers.below(10) {
        0..=3 => json!(["insert", time]),
        4..=6 => takes(json!(["delete", id])),
        7 | 8 => takes(json!(["move", id, time])),
        _ => json!(["edit", id]),
    }
}

#[test]
fn walks_through_the_gateway_neither_skip_nor_repeat_rows_that_stay() {
    let rows = scaled(20_000).max(4_000);
    let legacy = Legacy::start_with(&["--rows", &rows.to_string()]);
    let gateway = Gateway::start(&CONFIGURATION.replace("ADDRESS", &legacy.address.to_string()));
    let ways = [
        ("`page=`, directly", Way::Direct),
        ("through cursorgate, by offset", Way::Through("offset")),
        ("through cursorgate, by keyset", Way::Through("keyset")),
    ];
    println!("| {CLIENTS} walks over {rows} rows | at rest: skipped | repeated | with writers: skipped | repeated |");
    println!("| --- | --- | --- | --- | --- |");
    let mut results = Vec::new();
    for (name, way) in ways {
        let (still, _) = walks(way, &legacy, &gateway, false);
        let (moving, changes) = walks(way, &legacy, &gateway, true);
        println!(
            "| {name} | {} | {} | {} | {} | ({changes} changes)",
            still.skipped, still.repeated, moving.skipped, moving.repeated
        );
        results.push((way, still, moving));
    }
    for (way, still, moving) in results {
        match way {
            // The harness must be able to detect the harm that it looks for.
            Way::Direct => {
                assert!(still.skipped > 0 && still.repeated > 0 && moving.skipped > 0, "{still:?} {moving:?}");
            }
            Way::Through(_) => assert_eq!((still, moving), (Harm::default(), Harm::default()), "{way:?}"),
        }
    }
}
