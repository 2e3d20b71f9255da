//! Tests of exports by processes that share only a database. Exports are started at one process and fetched at another,
//! are taken over, and survive failures of the database.

use serde_json::{Value, json};

use super::{
    JSON, ONE, Permits, begin, begun, completed, finished,
    place::Place,
    postgres_server::{PASSWORD, PostgresServer},
    result, start, status,
};
use crate::{
    harness::{
        Directory, eventually,
        gateway::Gateway,
        http,
        list::{PLAIN, body, serve, users},
        metric,
        upstream::Upstream,
    },
    tls::authority::{ALWAYS, Authority},
};

/// Starts an upstream with a list of `count` items, in which each page except the first one takes a permit.
fn gated(count: usize) -> (Upstream, Vec<String>, Permits) {
    let (items, permits) = (users(count), Permits::default());
    let (served, gate) = (items.clone(), permits.clone());
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.parameter("offset") != Some("0") {
            gate.take_once(&exchange.request.target);
        }
        let page = body(exchange, &served);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    (upstream, items, permits)
}

#[test]
fn a_job_is_found_and_its_result_fetched_at_any_process() {
    let items = users(20_000);
    let upstream = Upstream::start(serve(items.clone()));
    let place = Place::postgres();
    // If processes start at the same time, one of them creates the tables.
    let (here, there) = std::thread::scope(|scope| {
        let other = scope.spawn(|| start(&upstream, &place, ""));
        (start(&upstream, &place, ""), other.join().expect("a gateway"))
    });
    let job = begun(&here, "/users/exports", &[ONE], &json!({}));
    completed(&there, &job, &items);
    let whole = result(&here, &job, &[ONE]).body;
    let (length, part) = (whole.len(), 64 << 10);
    assert!(length > 4 * part, "{length} bytes have parts");
    let Place::Postgres(server) = &place else { panic!("it is one") };
    let rows = server.ask("SELECT length(bytes) FROM cursorgate_export_parts ORDER BY place");
    let lengths: Vec<usize> = rows.iter().map(|length| length.parse().expect("a number")).collect();
    assert!(lengths.len() > 16 && lengths.iter().all(|length| *length <= part));
    let second_parts = server.ask("SELECT job FROM cursorgate_export_parts WHERE place >= 1::bigint << 50");
    assert!(!second_parts.is_empty(), "the list was read in parts");
    let mut border = 0;
    for length_before in &lengths[..lengths.len() - 1] {
        border += length_before;
        for (first, last) in [(border - 1, border), (border, border), (border - 1, length - 1), (0, border)] {
            let range = format!("bytes={first}-{last}");
            let answer = there.send("GET", &format!("{job}/result"), &[ONE, ("Range", &range)], b"");
            assert_eq!(answer.status, 206, "{range}");
            assert!(answer.body == whole[first..=last], "{range}");
        }
    }
    eventually("both count the job", || {
        let sample = "cursorgate_export_jobs{state=\"completed\"}";
        [&here, &there].into_iter().all(|gateway| metric(gateway, sample) == 1).then_some(())
    });
    assert_eq!(there.send("DELETE", &job, &[ONE], b"").status, 204);
    assert_eq!(here.send("GET", &job, &[ONE], b"").outcome(), "404 export_not_found");
    eventually("its parts are removed", || (place.results() == 0).then_some(()));
}

/// A stopped process loses its job to another process. When the stopped process continues, it does not change the
/// result.
#[test]
fn a_process_that_stood_still_repeats_no_item() {
    let (upstream, items, permits) = gated(900);
    let place = Place::postgres();
    let first = start(&upstream, &place, "");
    permits.give(2);
    let job = begun(&first, "/users/exports", &[ONE], &json!({}));
    eventually("the middle of the export", || (status(&first, &job, &[ONE])["items"] == 600).then_some(()));
    let asked = eventually("its next page is asked for", || Some(upstream.count()).filter(|count| *count >= 5));
    first.signal("STOP");
    let second = start(&upstream, &place, "");
    eventually("the job is taken over", || (upstream.count() > asked).then_some(()));
    first.signal("CONT");
    // Both processes now get the page that each of them has requested.
    permits.give(100);
    completed(&second, &job, &items);
    completed(&first, &job, &items);
    let pages = |gateway: &Gateway| {
        let log = gateway.access_log();
        log.iter().filter(|line| line["route"] == "users" && line["status"] == 200).count()
    };
    assert!(pages(&second) >= 2, "it has read the rest");
}

#[test]
fn jobs_wait_for_a_database_that_is_away() {
    let (upstream, items, permits) = gated(900);
    let mut server = PostgresServer::start();
    let table = format!("[services.exports]\n{}", server.table("lease = \"1s\"\ntimeout = \"2s\""));
    let configuration = format!("{}{table}", PLAIN.configuration(upstream.address));
    let gateway = Gateway::start(&configuration);
    permits.give(1);
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    eventually("the middle of the export", || (status(&gateway, &job, &[ONE])["items"] == 400).then_some(()));
    server.stop();
    // The answer arrives while the database is down, so the page can't be stored.
    permits.give(1);
    for (method, target) in
        [("GET", job.as_str()), ("DELETE", job.as_str()), ("GET", "/users/exports"), ("POST", "/users/exports")]
    {
        let refused = gateway.send(method, target, &[ONE, JSON], b"{}");
        assert_eq!(refused.outcome(), "503 store_unavailable", "{method} {target}");
        assert!(refused.header("retry-after").is_some() && refused.json()["retryable"] == true);
    }
    assert_eq!(gateway.send("GET", "/users?limit=10", &[ONE], b"").status, 200, "a page needs no store");
    // A process can start without the database.
    let other = Gateway::start(&configuration);
    assert_eq!(other.send("GET", "/users?limit=10", &[ONE], b"").status, 200);
    assert_eq!(begin(&other, "/users/exports", &[ONE], &json!({})).outcome(), "503 store_unavailable");
    let says = |gateway: &Gateway, text: &str| gateway.log().iter().any(|line| line.contains(text)).then_some(());
    for gateway in [&gateway, &other] {
        eventually("the log says that exports wait", || says(gateway, "the store of exports is unavailable"));
    }
    permits.give(100);
    server.start_again();
    eventually("the database is asked again", || (gateway.send("GET", &job, &[ONE], b"").status == 200).then_some(()));
    completed(&gateway, &job, &items);
    completed(&other, &job, &items);
    for gateway in [&gateway, &other] {
        eventually("the log says that exports go on", || says(gateway, "the store of exports is available again"));
        assert!(!gateway.log().iter().any(|line| line.contains(PASSWORD)));
    }
}

/// On a full disk, the database takes changes of rows, but no pages. The store then counts as down, and no attempt counts
/// against the job.
#[test]
fn jobs_wait_for_a_database_without_room() {
    let (upstream, items, permits) = gated(900);
    let place = Place::postgres();
    let gateway = start(&upstream, &place, "");
    let Place::Postgres(server) = &place else { panic!("it is one") };
    permits.give(1);
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    eventually("the middle of the export", || (status(&gateway, &job, &[ONE])["items"] == 400).then_some(()));
    server.ask(
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER no_room BEFORE INSERT ON cursorgate_export_parts EXECUTE FUNCTION no_room()",
    );
    permits.give(100);
    let is_up = |value| metric(&gateway, "cursorgate_store_up{store=\"exports\"}") == value;
    // A late database is down too, so the reason is awaited.
    let told = || http::get(gateway.admin, "/status").text().contains("No space left on device");
    eventually("the store is down", || (is_up(0) && told()).then_some(()));
    // The lease of the job is over several times.
    let since = || {
        server.ask("SELECT coalesce(extract(epoch FROM now() - lease_until) > 2, false)::text FROM cursorgate_exports")
    };
    eventually("no process works on the job", || (since() == ["true"]).then_some(()));
    assert_eq!(server.ask("SELECT interruptions FROM cursorgate_exports"), ["0"]);
    assert!(is_up(0));
    server.ask("DROP TRIGGER no_room ON cursorgate_export_parts");
    completed(&gateway, &job, &items);
    eventually("the store is up", || is_up(1).then_some(()));
}

/// The credentials of a job are sealed in the database, and deleted at the end of the job. Other clients can't read the
/// job.
///
/// Row: A24
#[test]
fn credentials_are_sealed_in_the_database_too() {
    let (upstream, _, permits) = gated(600);
    let place = Place::postgres();
    let gateway = start(&upstream, &place, "");
    let secret = ("Authorization", "Bearer canary-of-the-test");
    let job = begun(&gateway, "/users/exports", &[secret], &json!({}));
    let Place::Postgres(server) = &place else { panic!("it is one") };
    let row =
        || server.ask("SELECT job::text || encode(credentials, 'escape') FROM cursorgate_exports AS job").concat();
    assert!(row().len() > 100 && !row().contains("canary"));
    permits.give(100);
    assert_eq!(finished(&gateway, &job, &[secret])["state"], "completed");
    assert_eq!(server.ask("SELECT count(credentials) FROM cursorgate_exports"), ["0"]);
    let stranger = gateway.send("GET", &job, &[ONE], b"");
    assert_eq!(stranger.outcome(), "404 export_not_found");
}

/// The gateway refuses a connection to the database if the certificate is of another authority or for another name.
///
/// Row: A24
#[test]
fn the_certificate_of_the_database_is_verified() {
    let upstream = Upstream::start(serve(users(30)));
    let (root, stranger, folder) = (Authority::new("root"), Authority::new("stranger"), Directory::new());
    let (ca, other) = (root.file(&folder, "ca.pem"), stranger.file(&folder, "other.pem"));
    let (certificate, key) = root.issue(&["db.test"], ALWAYS).pem();
    let server = PostgresServer::start_with(|data| {
        let (certificate_file, key_file) = (data.join("server.crt"), data.join("server.key"));
        std::fs::write(&certificate_file, &certificate).expect("a file in its folder");
        std::fs::write(&key_file, &key).expect("a file in its folder");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key_file, mode).expect("it is ours");
        ["ssl=on".to_owned(), "ssl_cert_file=server.crt".to_owned(), "ssl_key_file=server.key".to_owned()].to_vec()
    });
    let begin_with = |tls: &str| {
        let [exports, webhooks] =
            ["exports", "webhooks"].map(|service| server.table_of(service, &format!("tls = {tls}")));
        let tables = format!(
            "[services.exports]\n{exports}[services.webhooks]\n{webhooks}\
             [services.webhooks.clients]\nauthorize = \"/users\"\n"
        );
        let gateway = Gateway::start(&format!("{}{tables}", PLAIN.configuration(upstream.address)));
        let begun = begin(&gateway, "/users/exports", &[ONE], &json!({})).outcome();
        (begun, gateway.send("GET", "/webhooks", &[ONE], b"").outcome())
    };
    let refused = "503 store_unavailable";
    for (tls, outcome) in [
        (format!("{{ ca = {ca:?}, server_name = \"db.test\" }}"), ["202", "200"]),
        (format!("{{ ca = {ca:?}, server_name = \"db.test\", min_version = \"1.3\" }}"), ["202", "200"]),
        (format!("{{ ca = {ca:?} }}"), [refused; 2]),
        (format!("{{ ca = {other:?}, server_name = \"db.test\" }}"), [refused; 2]),
        ("{ server_name = \"db.test\" }".to_owned(), [refused; 2]),
    ] {
        let (begun, listed) = begin_with(&tls);
        assert_eq!([begun.as_str(), &listed], outcome, "{tls}");
    }
}

/// A later program goes on with the jobs of an earlier one, whose tables it brings up to date.
#[test]
fn tables_of_an_earlier_version_are_brought_up_to_date() {
    let (upstream, items, permits) = gated(900);
    let place = Place::postgres();
    let gateway = start(&upstream, &place, "");
    permits.give(1);
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    eventually("the middle of the export", || (status(&gateway, &job, &[ONE])["items"] == 400).then_some(()));
    drop(gateway);
    let Place::Postgres(server) = &place else { panic!("it is one") };
    for column in ["started", "counted", "network"] {
        server.ask(&format!("ALTER TABLE cursorgate_exports DROP COLUMN {column}"));
    }
    server.ask("UPDATE cursorgate_version SET version = 5");
    let gateway = start(&upstream, &place, "");
    permits.give(100);
    completed(&gateway, &job, &items);
    assert_eq!(server.ask("SELECT version FROM cursorgate_version"), ["6"]);
    assert_eq!(server.ask("SELECT started::text FROM cursorgate_exports"), ["true"]);
}

#[test]
fn tables_of_a_later_version_are_left_alone() {
    let upstream = Upstream::start(serve(users(30)));
    let place = Place::postgres();
    let gateway = start(&upstream, &place, "");
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    finished(&gateway, &job, &[ONE]);
    let Place::Postgres(server) = &place else { panic!("it is one") };
    assert_eq!(server.ask("SELECT version FROM cursorgate_version"), ["6"]);
    server.ask("UPDATE cursorgate_version SET version = 99");
    let earlier = start(&upstream, &place, "");
    assert_eq!(begin(&earlier, "/users/exports", &[ONE], &json!({})).outcome(), "503 store_unavailable");
    let lines = earlier.log();
    let said = lines.iter().find(|line| line.contains("which a later cursorgate has made")).expect("a line");
    assert!(said.contains("the version 99"), "{said}");
    assert_eq!(earlier.send("GET", "/users?limit=10", &[ONE], b"").status, 200);
    let own: Value = gateway.send("GET", "/users/exports", &[ONE], b"").json();
    assert_eq!(own["exports"].as_array().map(Vec::len), Some(1), "one that knew the tables goes on");
}
