//! Tests of watches of several machines that share a cache or a database: one of them reads a watched list for all.

use serde_json::Value;

use super::{
    CLIENTS, active,
    receiver::{self, Receiver},
    receivers, services,
};
use crate::{
    exports::place::Place,
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

/// What machines share.
#[derive(Clone, Copy)]
enum Shared<'s> {
    Cache(&'s StoreServer),
    Database(&'s Place),
}

/// A gateway on a machine of its own, with its own upstream for the same rows, which counts the requests.
struct Machine {
    upstream: Upstream,
    gateway: Gateway,
    _directory: Directory,
}

impl Machine {
    fn start(rows: &Rows, shared: Shared<'_>, receiver: &Receiver) -> Self {
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
        let route = configuration(upstream.address, BY_OFFSET, BY_SCORE);
        let gateway = match shared {
            Shared::Cache(store) => {
                let services = services(&directory, &[receiver.port()], "", &tables);
                let port = store.port;
                let shared = format!("[caches.shared]\naddresses = [\"127.0.0.1:{port}\"]\ntimeout = \"1s\"\n");
                let gateway = Gateway::start(&format!("{shared}{route}{services}"));
                eventually("the store is up", || {
                    (http::get(gateway.admin, "/status").json()["shared_store"]["degraded"] == false).then_some(())
                });
                gateway
            }
            Shared::Database(place) => {
                let services = place.webhooks(&receivers(&[receiver.port()]));
                Gateway::start(&format!("{route}{services}{tables}"))
            }
        };
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
    let start = || Machine::start(&rows, Shared::Cache(&store), &receiver);
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

/// Machines with one database take each interval's turn of a watch there, so the list is read once in it, by whichever
/// machine. A change is one event, for the endpoints of all clients, and none is lost when a machine dies.
#[test]
fn machines_with_one_database_read_a_watched_list_once() {
    let place = Place::postgres();
    let receiver = Receiver::start();
    let rows = Rows::default();
    rows.change_of(WATCH.1, |own| own.extend((1..=9).map(|id| Row::new(id, id * 10))));
    let [one, other] = [(); 2].map(|()| Machine::start(&rows, Shared::Database(&place), &receiver));
    let Place::Postgres(server) = &place else { panic!("it is one") };
    let made = "SELECT to_regclass('cursorgate_webhooks.windows') IS NOT NULL";
    eventually("the tables", || (server.ask(made) == ["t"]).then_some(()));
    server.ask(
        "CREATE TABLE cursorgate_webhooks.turns (until bigint);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
             $$ BEGIN INSERT INTO cursorgate_webhooks.turns VALUES (NEW.not_before); RETURN NEW; END $$;
         CREATE TRIGGER note AFTER UPDATE OF not_before ON cursorgate_webhooks.windows
             FOR EACH ROW WHEN (NEW.not_before > OLD.not_before) EXECUTE FUNCTION note()",
    );
    active(&other.gateway, &[WATCH, ("Host", "localhost")], &receiver.url("/client"), &["collection.changed"]);
    let of = |path: &str| -> Vec<String> {
        let events = receiver.events();
        let own = events.iter().filter(|event| event.request.target == path);
        own.map(|event| event.request.header("webhook-id").expect("an id").to_owned()).collect()
    };
    // A change before the first turn has read the list is part of the list as it was first seen.
    let turned = "SELECT count(*) >= 2 FROM cursorgate_webhooks.turns";
    eventually("the second turn", || (server.ask(turned) == ["t"]).then_some(()));
    let before = [&one, &other].map(|machine| machine.upstream.count());
    for id in 10..13 {
        rows.change_of(WATCH.1, |own| own.push(Row::new(id, id * 50)));
        let count = usize::try_from(id - 9).expect("a small number");
        eventually("one event for each endpoint", || {
            (of("/audit").len() == count && of("/client").len() == count).then_some(())
        });
    }
    assert_eq!(of("/audit"), of("/client"), "one id");
    let after = [&one, &other].map(|machine| machine.upstream.count());
    let turns = server.ask("SELECT until FROM cursorgate_webhooks.turns ORDER BY until");
    let turns: Vec<u64> = turns.iter().map(|until| until.parse().expect("a number")).collect();
    assert!(turns.len() >= 3 && turns.windows(2).all(|pair| pair[1] - pair[0] >= 1_000), "{turns:?}");
    let reads = after[0] + after[1] - before[0] - before[1];
    assert!(reads <= turns.len() + 1, "{reads} reads in {} turns", turns.len());

    drop(one.gateway);
    rows.change_of(WATCH.1, |own| own.push(Row::new(13, 900)));
    eventually("the other machine goes on", || (of("/audit").len() == 4 && of("/client").len() == 4).then_some(()));
    assert_eq!(of("/audit"), of("/client"));
}
