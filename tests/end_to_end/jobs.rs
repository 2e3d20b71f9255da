//! Tests of the jobs of queues: the gateway sends a request to the upstream and follows its work to the end, for a
//! client that asks only the gateway.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::{
    exports::place::{Place, over_each_store},
    harness::{
        eventually,
        gateway::Gateway,
        http::{self, Response},
        list::PLAIN,
        upstream::{After, Exchange, Gate, Upstream},
    },
    openapi,
};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const ONE: (&str, &str) = ("Authorization", "Bearer one");
const TWO: (&str, &str) = ("Authorization", "Bearer two");
const TOKEN: &str = "an-admin-token-of-32-characters!";

/// The route of all paths but `/users`.
const FORWARDED: &str = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";

over_each_store!(
    a_job_follows_the_work_of_its_upstream,
    a_job_goes_on_when_its_process_is_killed,
    a_queue_has_its_number_of_jobs_at_work,
    a_job_is_that_of_its_client,
    a_request_that_was_cut_off_is_repeated_only_if_it_may_be,
);

/// Returns a configuration with a queue `reports`. `queue` are lines of its table.
fn configuration(upstream: &Upstream, place: &Place, queue: &str) -> String {
    format!(
        "{}{}\n{FORWARDED}\n[services.jobs.queues.reports]\nrequest = \"POST /reports\"\ninterval = \"100ms\"\n{queue}\n",
        PLAIN.configuration(upstream.address),
        place.table("")
    )
}

fn post(gateway: &Gateway, target: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    gateway.send("POST", target, &[headers, &[JSON]].concat(), body.to_string().as_bytes())
}

/// Begins a job, and returns the path of its status.
fn begun(gateway: &Gateway, headers: &[(&str, &str)], body: &Value) -> String {
    let answer = post(gateway, "/jobs/reports", headers, body);
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("location").expect("a location").to_owned()
}

fn status(gateway: &Gateway, job: &str) -> Value {
    let answer = gateway.send("GET", job, &[ONE], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn finished(gateway: &Gateway, job: &str) -> Value {
    eventually("the end of the job", || {
        Some(status(gateway, job)).filter(|document| document["finishedAt"].is_string())
    })
}

/// Answers like a service of reports: a POST begins the work, whose status is running until the gate is open.
fn reports(exchange: &mut Exchange, gate: &Gate, begun: &AtomicUsize) -> std::io::Result<After> {
    match exchange.request.path() {
        "/reports" => {
            let body = exchange.body()?;
            assert_eq!(exchange.request.header("content-type"), Some("application/json"));
            let number = begun.fetch_add(1, Ordering::SeqCst) + 1;
            let place = format!("/reports/{number}/status?of={}", body.len());
            exchange.reply("202 Accepted", &[("Location", &place)], b"")
        }
        path if path.ends_with("/status") && gate.is_open() => {
            exchange.reply("303 See Other", &[("Location", ".")], b"")
        }
        path if path.ends_with("/status") => exchange.reply("202 Accepted", &[JSON], br#"{"done":42}"#),
        _ => exchange.reply("200 OK", &[JSON], br#"{"rows":3}"#),
    }
}

/// Starts an upstream with reports. Returns it with its gate and the number of reports that were begun.
fn upstream() -> (Upstream, Gate, Arc<AtomicUsize>) {
    let (gate, count) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    let (open, begun) = (gate.clone(), Arc::clone(&count));
    (Upstream::start(move |exchange| reports(exchange, &open, &begun)), gate, count)
}

fn a_job_follows_the_work_of_its_upstream(place: &Place) {
    let (upstream, gate, _) = upstream();
    let gateway = Gateway::start(&configuration(&upstream, place, "progress = \"/done\""));
    let order = json!({ "type": "users", "filters": { "status": "open" } });
    let answer = post(&gateway, "/jobs/reports", &[ONE, ("Idempotency-Key", "\"a\"")], &order);
    assert_eq!((answer.status, answer.header("retry-after")), (202, Some("2")), "{}", answer.text());
    let job = answer.header("location").expect("a location").to_owned();
    let again = post(&gateway, "/jobs/reports", &[ONE, ("Idempotency-Key", "\"a\"")], &order);
    assert_eq!(again.header("location"), Some(job.as_str()));
    let other = post(&gateway, "/jobs/reports", &[ONE, ("Idempotency-Key", "\"a\"")], &json!({}));
    assert_eq!(other.outcome(), "422 idempotency_key_reused");
    let running =
        eventually("the progress", || Some(status(&gateway, &job)).filter(|document| document["progress"] == 42));
    assert_eq!((&running["state"], &running["queue"]), (&json!("active"), &json!("reports")), "{running}");
    let early = gateway.send("GET", &format!("{job}/result"), &[ONE], b"");
    assert_eq!(early.outcome(), "409 job_without_result");
    gate.open();
    let document = finished(&gateway, &job);
    assert_eq!((&document["state"], &document["progress"]), (&json!("completed"), &json!(100)), "{document}");
    assert_eq!(document["resultUrl"], format!("{job}/result"));
    let result = gateway.send("GET", &format!("{job}/result"), &[ONE], b"");
    assert_eq!((result.text(), result.header("content-type")), (r#"{"rows":3}"#, Some("application/json")));
    let requests = upstream.requests();
    let first = requests.iter().find(|request| request.method == "POST").expect("the request");
    let id = format!("\"{}\"", document["id"].as_str().expect("an id"));
    assert_eq!((first.header("authorization"), first.header("idempotency-key")), (Some(ONE.1), Some(id.as_str())));
    let asked = requests.iter().find(|request| request.path() == "/reports/1/status").expect("a question");
    assert_eq!(
        (asked.header("authorization"), asked.query()),
        (Some(ONE.1), format!("of={}", order.to_string().len()).as_str())
    );
}

fn a_job_goes_on_when_its_process_is_killed(place: &Place) {
    let (upstream, gate, count) = upstream();
    let configuration = configuration(&upstream, place, "");
    let mut gateway = Gateway::start(&configuration);
    let job = begun(&gateway, &[ONE], &json!({}));
    for round in 0..4 {
        let asked = upstream.count();
        eventually("more questions", || (upstream.count() > asked + 1).then_some(()));
        match round {
            // A successor takes over, also in the middle of a request.
            2 => {
                gateway.succeed();
            }
            // The process is killed at whatever point of the job it has reached.
            _ => {
                drop(gateway);
                gateway = Gateway::start(&configuration);
            }
        }
    }
    gate.open();
    let document = finished(&gateway, &job);
    assert_eq!((&document["state"], count.load(Ordering::SeqCst)), (&json!("completed"), 1), "{document}");
}

fn a_queue_has_its_number_of_jobs_at_work(place: &Place) {
    let (upstream, gate, count) = upstream();
    let configuration = configuration(&upstream, place, "at_once = 2\nper_client = 4\n");
    let (gateway, other) = (Gateway::start(&configuration), Gateway::start(&configuration));
    let jobs: Vec<String> = (0..4).map(|number| begun(&gateway, &[ONE], &json!({ "number": number }))).collect();
    let refused = post(&other, "/jobs/reports", &[ONE], &json!({}));
    assert_eq!(refused.outcome(), "429 job_limit");
    let asked = upstream.count();
    eventually("many questions", || (upstream.count() > asked + 12).then_some(()));
    assert_eq!(count.load(Ordering::SeqCst), 2, "the others wait");
    let waiting = jobs.iter().filter(|job| status(&gateway, job)["state"] == "queued").count();
    assert_eq!(waiting, 2);
    gate.open();
    for job in &jobs {
        assert_eq!(finished(&other, job)["state"], "completed");
    }
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

/// Thousands of jobs that wait for a place of their queue cost each step of a job at work no more than a look at each.
#[test]
fn jobs_go_on_while_thousands_wait() {
    const WAITING: usize = 3_000;
    let (upstream, gate, _) = upstream();
    let place = Place::postgres();
    let gateway = Gateway::start(&configuration(&upstream, &place, "at_once = 1\nunfinished = 10000\n"));
    let job = begun(&gateway, &[ONE], &json!({}));
    eventually("the work", || (status(&gateway, &job)["state"] == "active").then_some(()));
    let waiting = begun(&gateway, &[ONE], &json!({}));
    let waiting = waiting.rsplit('/').next().expect("an id");
    let Place::Postgres(server) = &place else { panic!("it is one") };
    server.ask(&format!(
        "INSERT INTO cursorgate_exports
             (id, owner, state, priority, created, definition, progress, credentials, queue)
         SELECT md5(copy::text), owner || copy % 50, state, priority, created, definition, progress, credentials, queue
         FROM cursorgate_exports, generate_series(1, {WAITING}) AS copy
         WHERE id = '{waiting}'"
    ));
    server.ask("SELECT pg_stat_reset()");
    let asked = upstream.count();
    let read = || -> usize {
        let read = "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables
                    WHERE relname = 'cursorgate_exports'";
        server.ask(read)[0].parse().expect("a number")
    };
    // The statistics come about a second late.
    eventually("further steps", || (upstream.count() > asked + 2 && read() > WAITING).then_some(()));
    // A look each second reads a row a few times. Counting the jobs for each of them took 9 million rows a look.
    let read = read();
    assert!(read < 1_000 * WAITING, "{read} rows");
    gate.open();
    assert_eq!(finished(&gateway, &job)["state"], "completed");
}

fn a_job_is_that_of_its_client(place: &Place) {
    let (upstream, _gate, _) = upstream();
    let gateway = Gateway::start(&configuration(&upstream, place, ""));
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    gateway.rewrite_raw(&gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\"")));
    gateway.signal("HUP");
    let bearer = format!("Bearer {TOKEN}");
    let token = [("Authorization", bearer.as_str()), JSON];
    let change =
        |path: &str, body: &Value| http::send(gateway.admin, "POST", path, &token, body.to_string().as_bytes());
    eventually("the token is in force", || (change("/exports/cancel", &json!({})).status == 400).then_some(()));
    assert_eq!(post(&gateway, "/jobs/reports", &[], &json!({})).outcome(), "400 request_invalid");
    assert_eq!(post(&gateway, "/jobs/others", &[ONE], &json!({})).outcome(), "404 job_not_found");
    let job = begun(&gateway, &[ONE], &json!({ "secret": "canary" }));
    for (method, target) in [
        ("GET", job.clone()),
        ("DELETE", job.clone()),
        ("GET", format!("{job}/result")),
        ("POST", format!("{job}/resume")),
    ] {
        let body = if method == "POST" { "{}" } else { "" };
        let answer = gateway.send(method, &target, &[TWO, JSON], body.as_bytes());
        assert_eq!(answer.outcome(), "404 job_not_found", "{method} {target}");
    }
    let of = |client| gateway.send("GET", "/jobs", &[client], b"").json()["jobs"].as_array().expect("a list").len();
    assert_eq!((of(ONE), of(TWO)), (1, 0));
    // It is no export of a list, whatever its id.
    let id = job.rsplit('/').next().expect("an id");
    assert_eq!(gateway.send("GET", &format!("/users/exports/{id}"), &[ONE], b"").outcome(), "404 export_not_found");
    let report = http::send(gateway.admin, "GET", "/exports", &token, b"").json();
    let listed = &report["exports"][0];
    assert_eq!((&listed["queue"], &listed["path"]), (&json!("reports"), &json!("/reports")), "{report}");
    let cancelled = change("/exports/cancel", &json!({ "export": id }));
    assert_eq!((cancelled.status, cancelled.json()["state"].as_str()), (200, Some("cancelled")));
    assert_eq!(gateway.send("DELETE", &job, &[ONE], b"").status, 204);
    assert_eq!(of(ONE), 0);
}

fn a_request_that_was_cut_off_is_repeated_only_if_it_may_be(place: &Place) {
    let (upstream, gate, count) = upstream();
    gate.open();
    let (open, begun_count) = (gate.clone(), Arc::clone(&count));
    let faults = Arc::new(AtomicUsize::new(2));
    let left = Arc::clone(&faults);
    upstream.answer(move |exchange| {
        let is_first = exchange.request.path() == "/reports";
        if is_first && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            exchange.body()?;
            begun_count.fetch_add(1, Ordering::SeqCst);
            return exchange.reply(
                "504 Gateway Timeout",
                &[JSON],
                br#"{"type":"/late","title":"Late","detail":"no answer"}"#,
            );
        }
        reports(exchange, &open, &begun_count)
    });
    let gateway = Gateway::start(&configuration(&upstream, place, ""));
    let job = begun(&gateway, &[ONE], &json!({ "a": 1 }));
    let document = finished(&gateway, &job);
    let error = &document["error"];
    assert_eq!((&document["state"], count.load(Ordering::SeqCst)), (&json!("failed"), 1), "{document}");
    assert_eq!([&error["type"], &error["title"], &error["status"]], [&json!("/late"), &json!("Late"), &json!(504)]);
    let other = post(&gateway, &format!("{job}/resume"), &[ONE], &json!({ "a": 2 }));
    assert_eq!(other.outcome(), "400 body_invalid");
    faults.store(0, Ordering::SeqCst);
    assert_eq!(post(&gateway, &format!("{job}/resume"), &[ONE], &json!({ "a": 1 })).status, 202);
    assert_eq!(finished(&gateway, &job)["state"], "completed");
    drop(gateway);
    faults.store(2, Ordering::SeqCst);
    let gateway = Gateway::start(&configuration(&upstream, place, "repeat = true"));
    let job = begun(&gateway, &[ONE], &json!({}));
    let document = finished(&gateway, &job);
    assert_eq!((&document["state"], &document["attempts"]), (&json!("completed"), &json!(3)), "{document}");
}

/// The OpenAPI description contains the paths of jobs, and their answers conform to it.
#[test]
fn jobs_are_described() {
    let (upstream, gate, _) = upstream();
    gate.open();
    let place = Place::directory();
    let gateway = Gateway::start(&configuration(&upstream, &place, ""));
    let order = json!({ "a": 1 });
    let answer = post(&gateway, "/jobs/reports", &[ONE], &order);
    let mut samples = vec![openapi::sample_of_post("/jobs/reports", &order, &answer, true)];
    let job = answer.header("location").expect("a location");
    finished(&gateway, job);
    let failed = json!({ "a": 2 });
    upstream.answer(|exchange| {
        exchange.body()?;
        exchange.reply("409 Conflict", &[JSON], br#"{"type":"/taken","title":"Taken"}"#)
    });
    finished(&gateway, &begun(&gateway, &[ONE], &failed));
    for (path, target) in [("/jobs", "/jobs"), ("/jobs/{jobId}", job)] {
        samples.push(openapi::sample(path, &gateway.send("GET", target, &[ONE], b""), true));
    }
    assert_eq!(samples[1]["body"]["jobs"][0]["error"]["type"], "/taken");
    openapi::validate(&openapi::described(&gateway.file("cursorgate.toml")), &samples);
}

/// A place at another host, or of another upstream, is never asked: a client's credentials stay where they belong.
#[test]
fn a_job_is_followed_at_no_other_host() {
    let other = Upstream::start(|exchange| exchange.reply("200 OK", &[JSON], b"{}"));
    let (place, address) = (Place::directory(), other.address);
    let upstream = Upstream::start(move |exchange| match exchange.request.path() {
        "/reports" => {
            let body = String::from_utf8(exchange.body()?).unwrap_or_default();
            let asked: Value = serde_json::from_str(&body).unwrap_or_default();
            exchange.reply("202 Accepted", &[("Location", asked["to"].as_str().unwrap_or_default())], b"")
        }
        "/own" => exchange.reply("200 OK", &[JSON], br#"{"status":"Failed","error":{"message":"no rows"}}"#),
        _ => exchange.reply("302 Found", &[("Location", "/again")], b""),
    });
    let own = upstream.address;
    let tables = format!(
        "state = \"/status\"\n\n[upstreams.other]\npeers = [\"{address}\"]\n\n[routes.other]\npath = \"/other/{{*rest}}\"\n\
         upstream = \"other\"\naction = \"forward\"\n"
    );
    let gateway = Gateway::start(&configuration(&upstream, &place, &tables));
    for (to, code) in [
        (format!("http://{address}/status"), "status_elsewhere"),
        ("//evil.example/status".to_owned(), "status_elsewhere"),
        ("/other/status".to_owned(), "status_elsewhere"),
        ("ftp://evil.example/".to_owned(), "status_elsewhere"),
        ("/again".to_owned(), "redirected"),
        ("/own".to_owned(), "job_failed"),
        (format!("http://{own}/own"), "job_failed"),
        (String::new(), "status_unknown"),
    ] {
        let document = finished(&gateway, &begun(&gateway, &[ONE], &json!({ "to": to })));
        assert_eq!(
            (&document["state"], &document["error"]["code"]),
            (&json!("failed"), &json!(code)),
            "{to}: {document}"
        );
        if code == "job_failed" {
            assert_eq!(document["error"]["detail"], "no rows");
        }
    }
    assert_eq!(other.count(), 0);
}
