//! Tests of stores with TLS and users, of stores that sentinels watch, and of clusters.

use super::{Flavour, Rows, StoreServer, ids, look_ups, next, questions, serve, server, start, status, wait_until_up};
use crate::{
    harness::{
        Directory, eventually,
        gateway::{Gateway, Keys, free_port},
        upstream::Upstream,
    },
    rate_limits,
    tls::authority::{ALWAYS, Authority},
};

/// Serves a first page by the first gateway and the next page by the second one, which finds the cursor's item in the
/// store. The filter of these pages is new, so no process remembers their items.
fn share(first: &Gateway, second: &Gateway, upstream: &Upstream) {
    // The first page's item may arrive late in the store, so the attempt is repeated.
    eventually("the other process finds the item", || {
        let (known, asked) = (questions(second, "hit"), look_ups(upstream));
        let page = first.get(&format!("/users?limit=10&share={}", upstream.count()));
        assert_eq!(page.outcome(), "200", "{page:?}");
        let page = second.get(&next(&page));
        assert_eq!(ids(&page), (21..=30).rev().collect::<Vec<_>>(), "{page:?}");
        let (known, asked) = (questions(second, "hit") - known, look_ups(upstream) - asked);
        assert!([(1, 0), (0, 1)].contains(&(known, asked)), "{known} {asked}");
        (known == 1).then_some(())
    });
}

/// The gateway uses a store with certificates on both sides, as a user with only the rights of docs/shared-store.md. It
/// refuses a server whose certificate has another name or another authority.
#[test]
fn a_store_with_certificates_on_both_sides_is_verified() {
    const NAME: &str = "store.people.test";
    let (root, stranger, folder) = (Authority::new("root"), Authority::new("stranger"), Directory::new());
    let ca = root.file(&folder, "ca.pem");
    let (certificate, key) = root.issue(&[NAME], ALWAYS).files(&folder, "server");
    let (own, own_key) = root.issue(&["gateway.people.test"], ALWAYS).files(&folder, "gateway");
    let rights = server::documented_rights().replace(">PASSWORD", ">hunter2-hunter2-hunter2");
    let server = StoreServer::start_with(Flavour::Redis, |port, _| {
        format!(
            "port 0\ntls-port {port}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\ntls-auth-clients yes\n\
             user default off\n{rights}\n",
            certificate.display(),
            key.display(),
            ca.display()
        )
    });
    let password = folder.file("password");
    std::fs::write(&password, "hunter2-hunter2-hunter2\n").expect("a file");
    let shared = |ca: &std::path::Path, name: &str| {
        format!(
            "{}\nusername = \"cursorgate\"\npassword = \"file:{}\"\ntls = {{ server_name = \"{name}\", ca = {ca:?}, \
             certificate = {own:?}, key = \"file:{}\" }}",
            super::at(&server),
            password.display(),
            own_key.display()
        )
    };
    let rows = Rows::count(40);
    let upstream = serve(&rows);
    let [first, second] = [(); 2].map(|()| start(Keys::One, &upstream, &shared(&ca, NAME)));
    share(&first, &second, &upstream);
    let unknown = stranger.file(&folder, "stranger.pem");
    for shared in [shared(&ca, "other.people.test"), shared(&unknown, NAME)] {
        let third = Gateway::start(&super::text(&upstream, &shared));
        eventually("it is down", || status(&third)["servers"][0]["reason"].as_str().map(str::to_owned));
        assert_eq!(third.get("/users?limit=10").outcome(), "200");
        assert_eq!(third.metric("cursorgate_shared_store_servers{standing=\"up\"}"), Some(0));
    }
}

/// After the master has died, the gateway uses the successor that the sentinels name.
#[test]
fn the_successor_of_a_master_is_found_by_its_sentinels() {
    let mut master = StoreServer::start(Flavour::Redis);
    let from = master.port;
    let replica = StoreServer::start_with(Flavour::Redis, |_, _| format!("replicaof 127.0.0.1 {from}"));
    let sentinel = StoreServer::sentinel(master.port);
    eventually("the replica is known", || {
        let known: Vec<redis::Value> =
            redis::cmd("SENTINEL").arg("REPLICAS").arg("shared").query(&mut sentinel.client()).expect("replicas");
        (!known.is_empty()).then_some(())
    });
    let shared = format!(
        "addresses = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]\nkind = \"sentinel\"\nmaster = \"shared\"\n{}",
        free_port(),
        sentinel.port,
        super::PATIENT
    );
    let upstream = serve(&Rows::count(40));
    let [first, second] = [(); 2].map(|()| start(Keys::One, &upstream, &shared));
    share(&first, &second, &upstream);
    assert!(!master.keys().is_empty());
    master.kill();
    for gateway in [&first, &second] {
        eventually("the loss is noticed", || (status(gateway)["degraded"] == true).then_some(()));
    }
    [&first, &second].into_iter().for_each(wait_until_up);
    eventually("the successor has what is served", || {
        assert_eq!(first.get("/users?limit=7").outcome(), "200");
        (!replica.keys_of("pivot1").is_empty()).then_some(())
    });
    share(&second, &first, &upstream);
}

/// The first and the last slot of each node of a cluster.
const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];

/// Starts a cluster of three nodes.
pub(super) fn start_cluster() -> [StoreServer; 3] {
    let node = || {
        StoreServer::start_with(Flavour::Redis, |_, _| {
            format!(
                "cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-port {}\n\
                 cluster-require-full-coverage no\ncluster-node-timeout 2000\n",
                free_port()
            )
        })
    };
    let nodes = [node(), node(), node()];
    for (node, (first, last)) in nodes.iter().zip(SLOTS) {
        let () = redis::cmd("CLUSTER")
            .arg("ADDSLOTSRANGE")
            .arg(first)
            .arg(last)
            .query(&mut node.client())
            .expect("slots are given");
    }
    for node in &nodes[1..] {
        let bus: String = redis::cmd("CONFIG")
            .arg("GET")
            .arg("cluster-port")
            .query::<Vec<String>>(&mut node.client())
            .expect("a setting")
            .remove(1);
        let () = redis::cmd("CLUSTER")
            .arg("MEET")
            .arg("127.0.0.1")
            .arg(node.port)
            .arg(bus)
            .query(&mut nodes[0].client())
            .expect("they meet");
    }
    for node in &nodes {
        eventually("the cluster is whole", || {
            let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut node.client()).expect("info");
            let is_whole = info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384");
            (is_whole && info.contains("cluster_known_nodes:3")).then_some(())
        });
    }
    nodes
}

/// Returns the lines of `[caches.shared]` for a cluster. The first address has no server.
pub(super) fn at_cluster(nodes: &[StoreServer; 3]) -> String {
    format!(
        "addresses = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]\nkind = \"cluster\"\n{}",
        free_port(),
        nodes[0].port,
        super::PATIENT
    )
}

/// Entries are spread over the nodes of a cluster, and only the entries of a dead node are lost. Slots that move to
/// another node are found there.
#[test]
fn the_nodes_of_a_cluster_are_asked_for_their_slots() {
    let mut nodes = start_cluster();
    let shared = at_cluster(&nodes);
    let rows = Rows::count(200);
    let upstream = serve(&rows);
    let limited = format!("{}\nrate_limit = {{ requests = 100_000, per = \"30d\" }}", super::SEEKING);
    let text = super::text(&upstream, &shared).replace(super::SEEKING, &limited);
    let [first, second] = [(); 2].map(|()| Gateway::start_with(Keys::One, &text));
    [&first, &second].into_iter().for_each(wait_until_up);
    assert_eq!(status(&first)["servers"].as_array().map(Vec::len), Some(3));
    for client in 0..12 {
        let name = format!("client-{client}");
        let page = |gateway: &Gateway| gateway.send("GET", "/users?limit=5", &[("Authorization", &name)], b"");
        let rest = [&first, &second].map(|gateway| rate_limits::left(&page(gateway), "requests").map(|left| left.0));
        assert_eq!(rest, [Some(99_999), Some(99_998)], "{name}");
    }
    let walk = |limit: usize| {
        let mut target = Some(format!("/users?limit={limit}"));
        let (mut seen, mut turn) = (Vec::new(), 0);
        while let Some(asked) = target {
            let page = [&first, &second][turn % 2].get(&asked);
            assert_eq!(page.outcome(), "200", "{page:?}");
            seen.extend(ids(&page));
            target = page.link("next");
            turn += 1;
        }
        assert_eq!(seen, (1..=200).rev().collect::<Vec<_>>());
    };
    walk(5);
    eventually("the names are spread", || nodes.iter().all(|node| !node.keys().is_empty()).then_some(()));
    // All slots of the second node move to the first one.
    let own: String = redis::cmd("CLUSTER").arg("MYID").query(&mut nodes[0].client()).expect("an id");
    let moved = |node: &StoreServer| {
        let mut moves = redis::pipe();
        for slot in SLOTS[1].0..=SLOTS[1].1 {
            moves.cmd("CLUSTER").arg("SETSLOT").arg(slot).arg("NODE").arg(&own).ignore();
        }
        moves.query::<()>(&mut node.client())
    };
    // A node gives away no slot with keys, and the gateways may store an entry after the node was emptied.
    eventually("the slots move", || {
        let () = redis::cmd("FLUSHALL").query(&mut nodes[1].client()).expect("it is empty");
        moved(&nodes[1]).ok()
    });
    [&nodes[0], &nodes[2]].into_iter().for_each(|node| moved(node).expect("the slots are known"));
    eventually("the gateways follow", || {
        walk(7);
        let servers = [&first, &second].map(|gateway| status(gateway)["servers"].as_array().map(Vec::len));
        (servers == [Some(2), Some(2)]).then_some(())
    });
    let known = questions(&first, "hit");
    walk(9);
    assert!(questions(&first, "hit") > known);
    nodes[2].kill();
    walk(11);
    eventually("the loss is noticed", || (status(&first)["degraded"] == true).then_some(()));
    let known = questions(&first, "hit");
    walk(13);
    assert!(questions(&first, "hit") > known, "the other node is asked all the same");
}
