//! Tests of explanations at a running gateway: a header with a permit makes the gateway explain a request to operators.
//! Without a valid permit, the header has no visible effect.

use std::{
    fs,
    process::Output,
    time::{SystemTime, UNIX_EPOCH},
};

use cursorgate_cursor::permit::{PermitKey, PermitScope};
use serde_json::Value;

use crate::harness::{
    eventually,
    gateway::{Gateway, KEY, command},
    http::{self, Response},
    rows::{self, BY_OFFSET, Rows},
    upstream::Upstream,
};

const TOKEN: &str = "a-token-of-the-tests";
const PERMITS: &str = "pR7vQ2xW9zKc4mNf8bLd3sHj6tYg1aUe5oXi0rVq";
const HEADER: &str = "Cursorgate-Explain";

const ROUTE: &str = "order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\npage_size = { default = 20, max = 40 }\n\
                     old_clients = \"pass\"\nparameters = { private = [\"pass\"] }";

const OTHERS: &str = "[routes.other]\npath = \"/users/{id}\"\nupstream = \"legacy\"\naction = \"forward\"\n";

/// A gateway that explains requests, and its upstream.
struct Explaining {
    gateway: Gateway,
    upstream: Upstream,
}

impl Explaining {
    /// Starts a gateway without a key for permits.
    fn off() -> Self {
        let rows = Rows::count(57);
        let upstream = Upstream::start(move |exchange| rows.answer(exchange));
        let gateway = Gateway::start(&(rows::configuration(upstream.address, BY_OFFSET, ROUTE) + OTHERS));
        fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
        fs::write(gateway.file("permits"), PERMITS).expect("a file of the test");
        Self { gateway, upstream }
    }

    fn start() -> Self {
        let explaining = Self::off();
        let hosts = "hosts = [\"gateway.test\"]";
        let with = format!("{hosts}, token = \"file:token\", explain_key = \"file:permits\"");
        let text = explaining.gateway.configuration().replace(hosts, &with);
        explaining.gateway.rewrite_raw(&text);
        explaining.gateway.signal("HUP");
        eventually("requests are explained", || (explaining.admin("/explanations").status == 200).then_some(()));
        explaining
    }

    /// Sends a GET to the admin listener, with the token.
    fn admin(&self, path: &str) -> Response {
        let bearer = format!("Bearer {TOKEN}");
        http::send(self.gateway.admin, "GET", path, &[("Authorization", &bearer)], b"")
    }

    fn sign(&self, arguments: &[&str]) -> Output {
        let file = self.gateway.file("cursorgate.toml");
        let mut command = command();
        command.arg("explain").args(arguments).arg("--sign").arg("--config").arg(file).env("CURSORGATE_KEY_1", KEY);
        command.output().expect("the binary starts")
    }

    /// Returns a permit for a URL, which the command line signs.
    fn permit(&self, url: &str) -> String {
        let output = self.sign(&["GET", url]);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let (name, permit) = text.trim_end().split_once(": ").expect("a header");
        assert_eq!((name, output.status.code()), (HEADER, Some(0)));
        permit.to_owned()
    }

    fn ask(&self, target: &str, permit: &str) -> Response {
        self.gateway.send("GET", target, &[(HEADER, permit)], b"")
    }

    /// Returns the ids of the requests whose explanations are kept.
    fn kept(&self) -> Vec<String> {
        let list = self.admin("/explanations").json();
        let rows = list["explanations"].as_array().expect("a list").clone();
        rows.iter().map(|row| row["request_id"].as_str().expect("an id").to_owned()).collect()
    }

    /// Waits for the explanation of a request, and returns it.
    fn explained(&self, response: &Response) -> Value {
        let id = response.header("x-request-id").expect("an id");
        eventually("its explanation", || {
            let explanation = self.admin(&format!("/explanations/{id}"));
            (explanation.status == 200).then(|| explanation.json())
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "a permit ends by the gateway's own clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn a_page_with_a_permit_is_explained_and_stays_as_it_is() {
    let explaining = Explaining::start();
    let permit = explaining.permit("/users");
    let target = "/users?cursor=start&limit=5&team=a&pass=canary-1&api_key=canary-2";
    let plain = explaining.gateway.get(target);
    let first = explaining.ask(target, &permit);
    assert_eq!((first.status, first.text()), (200, plain.text()));
    let names = |response: &Response| response.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&first), names(&plain), "no header tells");
    let facts = explaining.explained(&first);
    assert_eq!(facts["request"]["path"], "/users", "{facts}");
    assert_eq!(
        facts["request"]["parameters"],
        serde_json::json!(["cursor", "limit", "team", "pass", "api_key"]),
        "{facts}"
    );
    assert_eq!(facts["route"]["name"], "users", "{facts}");
    assert!(facts["others"][0]["why"].as_str().is_some_and(|why| why.contains("longer")), "{facts}");
    assert_eq!((&facts["promise"]["mode"], &facts["promise"]["level"]), (&"offset".into(), &"exact".into()), "{facts}");
    assert!(facts["promise"]["mode_reason"].as_str().is_some_and(|why| why.contains("keyset")), "{facts}");
    let live = &facts["treatment"]["live"];
    assert_eq!(facts["treatment"]["action"], "page", "{facts}");
    assert_eq!((&live["page"]["items"], &live["page"]["level"]), (&5.into(), &"exact".into()), "{facts}");
    assert_eq!(live["page"]["checker"], "follows", "{facts}");
    assert!(live["page"]["proof"].as_array().is_some_and(|lines| !lines.is_empty()), "{facts}");
    let sent = live["requests"][0]["target"].as_str().expect("a target");
    assert!(sent.contains("team=a") && sent.contains("pass=…") && sent.contains("api_key=…"), "{sent}");
    assert!(live["requests"][0]["milliseconds"].as_f64().is_some_and(|time| time > 0.0), "{facts}");
    assert_eq!(live["requests"][0]["answer"]["total"], 57, "{facts}");
    assert_eq!((&facts["outcome"]["status"], &facts["outcome"]["outcome"]), (&200.into(), &"page".into()), "{facts}");
    assert_eq!(facts["outcome"]["upstream_requests"].as_u64(), live["requests"].as_array().map(|all| all.len() as u64));
    // The permit is for the path, so it is also valid for requests with a cursor.
    let cursor = first.json()["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let second = explaining.ask(&format!("/users?limit=5&team=a&cursor={cursor}"), &permit);
    let facts = explaining.explained(&second);
    assert_eq!(facts["treatment"]["place"], "the place of the cursor", "{facts}");
    assert!(facts["treatment"]["cursor"].to_string().contains("good"), "{facts}");
    assert!(!facts.to_string().contains(&cursor), "a cursor is what its holder may do: {facts}");
    let log = eventually("a line of the log", || {
        Some(explaining.gateway.log().join("\n")).filter(|log| log.contains("was explained"))
    });
    let all = explaining.admin("/explanations").text().to_owned() + &facts.to_string() + &log;
    for secret in ["canary", permit.as_str(), TOKEN, PERMITS, KEY] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    // Explanations can only be read with the token.
    for path in ["/explanations".to_owned(), format!("/explanations/{}", first.header("x-request-id").expect("an id"))]
    {
        assert_eq!(http::get(explaining.gateway.admin, &path).status, 401, "{path}");
    }
    assert_eq!(explaining.admin("/explanations/none").status, 404);
}

#[test]
fn refusals_and_forwarded_requests_are_explained_too() {
    let explaining = Explaining::start();
    let permit = explaining.permit("/users");
    let facts = explaining.explained(&explaining.ask("/users?cursor=start&limit=0", &permit));
    assert_eq!(facts["treatment"]["action"], "refuse", "{facts}");
    assert_eq!(facts["outcome"]["outcome"], "limit_invalid", "{facts}");
    let facts = explaining.explained(&explaining.ask("/users?offset=10&team=canary", &permit));
    assert_eq!(facts["treatment"]["action"], "forward", "{facts}");
    assert_eq!(facts["treatment"]["parameters"], serde_json::json!(["offset", "team"]), "{facts}");
    assert_eq!((&facts["outcome"]["outcome"], &facts["outcome"]["upstream"]), (&"forwarded".into(), &"legacy".into()));
    let of_item = explaining.permit("/users/7");
    let facts = explaining.explained(&explaining.ask("/users/7", &of_item));
    assert_eq!(
        (&facts["route"]["name"], &facts["treatment"]["action"]),
        (&"other".into(), &"forward".into()),
        "{facts}"
    );
    assert!(!facts.to_string().contains("canary"), "{facts}");
    explaining.upstream.answer(|exchange| exchange.reply("500 Internal Server Error", &[], b"{}"));
    let facts = explaining.explained(&explaining.ask("/users?cursor=start&limit=5", &permit));
    assert!(facts["treatment"]["live"]["refused"].as_str().is_some_and(|why| why.contains("upstream_unavailable")));
    assert!(facts["treatment"]["live"]["requests"][0]["answer"]["fault"].is_string(), "{facts}");
    assert_eq!(facts["outcome"]["status"], 502, "{facts}");
}

/// An invalid permit is ignored, and the answer is the same as without a permit. No permit is forwarded or logged.
///
/// Row: A48
#[test]
fn an_invalid_permit_is_ignored_and_no_permit_is_forwarded_or_logged() {
    let explaining = Explaining::start();
    let permit = explaining.permit("/users");
    let of_item = explaining.permit("/users/7");
    let key = PermitKey::new(PERMITS.as_bytes());
    let scope = PermitScope { route: "users", path: "/users" };
    let mut tampered = permit.clone().into_bytes();
    tampered[20] = if tampered[20] == b'A' { b'B' } else { b'A' };
    let cases = [
        ("none at all", "nonsense".to_owned()),
        ("tampered", String::from_utf8(tampered).expect("ASCII")),
        ("of another path", of_item),
        ("expired", key.sign(scope, now() - 1)),
        ("too long", key.sign(scope, now() + 3_600)),
        ("of another key", PermitKey::new(&[7; 32]).sign(scope, now() + 60)),
        ("of another route", key.sign(PermitScope { route: "other", ..scope }, now() + 60)),
    ];
    let plain = explaining.gateway.get("/users?cursor=start&limit=5");
    for (name, permit) in &cases {
        let response = explaining.ask("/users?cursor=start&limit=5", permit);
        assert_eq!((response.status, response.text()), (200, plain.text()), "{name}");
    }
    // The last request has a valid permit. Once its explanation is there, explanations of earlier requests would also
    // be there.
    let explained = explaining.ask("/users?cursor=start&limit=5", &permit);
    explaining.explained(&explained);
    assert_eq!(explaining.kept(), [explained.header("x-request-id").expect("an id")]);
    // The same applies to forwarded requests, and to a header name that CGI reads in the same way.
    explaining.ask("/users?offset=5", &permit);
    explaining.ask("/users/7", &permit);
    explaining.gateway.send("GET", "/users/7", &[("cursorgate_explain", &permit)], b"");
    let log = explaining.gateway.log().join("\n");
    for (name, permit) in cases.iter().map(|(name, permit)| (*name, permit)).chain([("a good one", &permit)]) {
        assert!(!log.contains(permit.as_str()), "{name} in the log");
        for request in explaining.upstream.requests() {
            let said = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>();
            let said = said.join("\n").to_lowercase();
            assert!(!said.contains("explain") && !said.contains(&permit.to_lowercase()), "{name}: {said}");
        }
    }
}

#[test]
fn no_request_is_explained_without_a_key_of_permits() {
    let off = Explaining::off();
    let output = off.sign(&["GET", "/users"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("admin.explain_key"), "{said}");
    let scope = PermitScope { route: "users", path: "/users" };
    let permit = PermitKey::new(PERMITS.as_bytes()).sign(scope, now() + 60);
    let plain = off.gateway.get("/users?cursor=start&limit=5");
    let response = off.ask("/users?cursor=start&limit=5", &permit);
    assert_eq!(response.text(), plain.text());
    assert_eq!(off.admin("/explanations").status, 404);
    let is_there = |name: &str| off.upstream.requests().iter().any(|request| request.header(name).is_some());
    assert!(!is_there(HEADER), "it goes nowhere, configured or not");
    // A key for permits without a token for the admin listener is a fault of the configuration, since nobody could read
    // the explanations safely.
    let hosts = "hosts = [\"gateway.test\"]";
    let text = off.gateway.configuration().replace(hosts, &format!("{hosts}, explain_key = \"file:permits\""));
    off.gateway.rewrite_raw(&text);
    let mut check = command();
    check.arg("check").arg(off.gateway.file("cursorgate.toml")).env("CURSORGATE_KEY_1", KEY);
    let output = check.output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("needs admin.token"), "{said}");
}
