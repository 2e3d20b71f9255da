//! Tests of watches of several machines that share a store: one of them reads a watched list for all.

use serde_json::Value;

use super::{
    CLIENTS, active,
    receiver::{self, Receiver},
    services,
};
use crate::{
    harness::{
        Directory, eventually,
        gateway::Gateway,
        http,
        rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration},
        upstream::Upstream,
    },
    store::server::{Flavour, StoreServer},
};

/// The credentials of the watch, which a client has too.
const WATCH: (&str, &str) = ("Authorization", "Bearer watch");

/// A gateway on a machine of its own, with its own upstream for the same rows, which counts the requests.
struct Machine {
    upstream: Upstream,
    gateway: Gateway,
    _directory: Directory,
}

impl Machine {
    fn start(rows: &Rows, store: &StoreServer, receiver: &Receiver) -> Self {
        let own = rows.clone();
        let upstream = Upstream::start(move |exchange| own.answer(exchange));
        let directory = Directory::new();
        let (secret, credentials) = (directory.file("secret"), directory.file("credentials"));
        std::fs::write(&secret, receiver::SECRET).expect("a file");
        std::fs::write(&credentials, WATCH.1).expect("a file");
        let tables = format!(
            "[services.webhooks.endpoints.audit]\nurl = {:?}\nevents = [\"collection.changed\"]\nsecret = \"file:{}\"\n\
             [services.webhooks.watches.top]\npath = \"/users?limit=5\"\ninterval = \"1s\"\ntimeout = \"1s\"\n\
             headers = {{ Authorization = \"file:{}\" }}\n{CLIENTS}",
            receiver.url("/audit"),
            secret.display(),
            credentials.display()
        );
        let services = services(&directory, &[receiver.port()], "", &tables);
        let shared = format!("[caches.shared]\naddresses = [\"127.0.0.1:{}\"]\ntimeout = \"1s\"\n", store.port);
        let route = configuration(upstream.address, BY_OFFSET, BY_SCORE);
        let gateway = Gateway::start(&format!("{shared}{route}{services}"));
        eventually("the store is up", || {
            (http::get(gateway.admin, "/status").json()["shared_store"]["degraded"] == false).then_some(())
        });
        Self { upstream, gateway, _directory: directory }
    }
}

/// Waits until exactly one of two machines reads the list, and returns it, and then the other one.
fn turns(machines: [Machine; 2]) -> (Machine, Machine) {
    let count = |machines: &[Machine; 2]| [machines[0].upstream.count(), machines[1].upstream.count()];
    // Before the first answers of the store, each machine reads the list itself.
    let reads = eventually("one machine reads the list", || {
        let before = count(&machines);
        eventually("three requests", || {
            let now = count(&machines);
            (now[0] + now[1] >= before[0] + before[1] + 3).then_some(())
        });
        let now = count(&machines);
        let has_read = [now[0] > before[0], now[1] > before[1]];
        (has_read[0] != has_read[1]).then_some(has_read[0])
    });
    let [one, other] = machines;
    if reads { (one, other) } else { (other, one) }
}

/// Each change of a watched list is one event with one id, for the operator once and for the clients of each machine.
/// When the machine that reads the list dies, the other one takes over, and no change is lost.
#[test]
fn one_machine_reads_a_watched_list_for_all() {
    let store = StoreServer::start(Flavour::Redis);
    let receiver = Receiver::start();
    let rows = Rows::default();
    rows.change_of(WATCH.1, |own| own.extend((1..=9).map(|id| Row::new(id, id * 10))));
    let start = || Machine::start(&rows, &store, &receiver);
    let (reading, other) = turns([start(), start()]);
    active(&other.gateway, &[WATCH, ("Host", "localhost")], &receiver.url("/client"), &["collection.changed"]);
    let of = |path: &str| -> Vec<String> {
        let events = receiver.events();
        let own = events.iter().filter(|event| event.request.target == path);
        own.map(|event| event.request.header("webhook-id").expect("an id").to_owned()).collect()
    };
    assert_eq!(of("/audit"), Vec::<String>::new(), "the list is as it was first seen");
    let before = other.upstream.count();
    rows.change_of(WATCH.1, |own| own.push(Row::new(10, 500)));
    eventually("events", || (!of("/audit").is_empty() && !of("/client").is_empty()).then_some(()));
    assert_eq!(of("/audit"), of("/client"), "one id");
    // A registration asks the upstream of its machine, and a watch doesn't.
    assert_eq!(other.upstream.count(), before, "the other machine asks the store");

    drop(reading.gateway);
    rows.change_of(WATCH.1, |own| own.push(Row::new(11, 600)));
    eventually("the other machine takes over", || (of("/audit").len() == 2 && of("/client").len() == 2).then_some(()));
    assert_eq!(of("/audit"), of("/client"));
    let payloads: Vec<Value> = receiver.events().iter().map(receiver::Received::json).collect();
    assert!(payloads.iter().all(|payload| payload["data"]["watch"] == "top"), "{payloads:?}");
}
