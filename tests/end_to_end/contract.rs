//! Tests of the public contract: the document, the catalog and the entry for clients, and the links of pages to services.

use serde_json::{Value, json};

use super::{browser::look, command_line::accepted_by_check, openapi};
use crate::harness::{
    Directory,
    gateway::Gateway,
    http,
    list::{PLAIN, Setup, serve, users},
    upstream::{Exchange, Upstream},
};

/// A service with a list, which has a document of its own.
fn service() -> Upstream {
    let list = serve(users(60));
    Upstream::start(move |exchange: &mut Exchange| match exchange.request.path() {
        "/users" | "/teams/7/members" | "/secret" | "/elsewhere" => list(exchange),
        path => {
            let body = format!("the service's own {path}");
            exchange.reply("200 OK", &[("Content-Type", "text/plain")], body.as_bytes())
        }
    })
}

const ROUTES: &str = r#"
[routes.members]
path = "/teams/{team}/members"
upstream = "legacy"
dialect = "scripted"
order = ["id"]
old_clients = "none"

[routes.secret]
path = "/secret"
upstream = "legacy"
dialect = "scripted"
order = ["id"]
old_clients = "none"

[routes.elsewhere]
path = "/elsewhere"
hosts = ["other.example"]
upstream = "legacy"
dialect = "scripted"
order = ["id"]
old_clients = "none"

[routes.rest]
path = "/{*rest}"
upstream = "legacy"
action = "forward"
"#;

/// Returns a configuration with these services.
fn configured(upstream: &Upstream, services: &str) -> String {
    let setup = Setup { route: "old_clients = \"pass\"\nlegacy = { deprecation = 2026-01-15 }", ..PLAIN };
    format!("{}{ROUTES}{services}", setup.configuration(upstream.address))
}

const CONTRACT: &str = r#"
[services.contract]
document = "/openapi.json"
catalog = true
entry = "/api"
documentation = "https://docs.example.com/api"
except = ["secret"]
"#;

const EVENTS: [&str; 8] = [
    "collection.changed",
    "endpoint.disabled",
    "export.completed",
    "export.failed",
    "job.completed",
    "job.failed",
    "legacy.sunset_approaching",
    "order.paid",
];

fn all_services(directory: &Directory) -> String {
    format!(
        "{CONTRACT}[services.bulk]\n[services.graphql]\n[services.mcp]\n[services.live]\nroutes = [\"users\"]\n\
         [services.exports]\ndirectory = {:?}\n[services.jobs.queues]\nreports = {{ request = \"POST /reports\" }}\n\
         other-reports = {{ request = \"POST /reports\" }}\nother_reports = {{ request = \"POST /reports\" }}\n\
         [services.webhooks]\ndirectory = {:?}\ntypes.order = {{ type = \"order.paid\", version = \"2\", schema = '{{}}' }}\n\
         clients = {{ authorize = \"/users?limit=1\", events = {EVENTS:?} }}\n",
        directory.file("exports"),
        directory.file("webhooks"),
    )
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[test]
fn clients_get_a_document_of_lists_and_services() {
    let (upstream, directory) = (service(), Directory::new());
    let gateway = Gateway::start(&configured(&upstream, &all_services(&directory)));
    let answer = gateway.get("/openapi.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    openapi::validate(answer.text(), &[]);
    let document = answer.json();
    let paths = names(&document["paths"]);
    for path in [
        "/users",
        "/users/exports",
        "/users/live",
        "/teams/{team}/members",
        "/bulk",
        "/graphql",
        "/jobs",
        "/jobs/reports",
        "/jobs/{jobId}/result",
        "/mcp",
        "/webhooks",
        "/webhooks/{endpointId}/deliveries/{deliveryId}/redeliver",
    ] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    assert_eq!(names(&document["webhooks"]), EVENTS);
    let of_own = &document["webhooks"]["order.paid"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(of_own["properties"]["version"]["const"], "2", "{of_own}");
    let hidden = ["/secret", "/elsewhere", "{rest}", "other.example", &upstream.address.to_string(), "legacy\""];
    for text in hidden {
        assert!(!answer.text().contains(text), "{text} is nothing for clients");
    }
    // Under its own host, a list is described, and the other routes too.
    let other = gateway.send("GET", "/openapi.json", &[("Host", "other.example")], b"").json();
    let paths = names(&other["paths"]);
    assert!(paths.contains(&"/elsewhere") && paths.contains(&"/users"), "{paths:?}");
    // Operators get everything.
    let whole = http::get(gateway.admin, "/openapi.json");
    for text in ["/secret", "/elsewhere", "\"/bulk\"", "\"webhooks\": {"] {
        assert!(whole.text().contains(text), "{text}");
    }

    let tag = answer.header("etag").expect("a tag").to_owned();
    let again = gateway.send("GET", "/openapi.json", &[("If-None-Match", &tag)], b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    let head = gateway.send("HEAD", "/openapi.json", &[], b"");
    assert_eq!((head.status, head.header("etag")), (200, Some(tag.as_str())));
    // A path of the contract is only taken by GET and HEAD.
    assert_eq!(gateway.send("POST", "/openapi.json", &[], b"").text(), "the service's own /openapi.json");
}

#[test]
fn a_client_finds_all_lists_from_the_entry_and_the_catalog() {
    let (upstream, directory) = (service(), Directory::new());
    let text = configured(&upstream, &all_services(&directory));
    let gateway = Gateway::start(&text);
    let entry = gateway.get("/api");
    assert_eq!((entry.status, entry.header("content-type")), (200, Some("application/hal+json")));
    let links = entry.json()["_links"].clone();
    assert_eq!(links["self"]["href"], "/api");
    assert_eq!(links["service-desc"]["href"], "/openapi.json");
    assert_eq!(links["service-doc"]["href"], "https://docs.example.com/api");
    let items = json!([
        { "name": "users", "href": "/users?cursor=start" },
        { "name": "members", "href": "/teams/{team}/members", "templated": true },
    ]);
    assert_eq!(links["item"], items, "{links}");
    let services = links["related"].as_array().expect("services").iter().map(|link| link["href"].as_str());
    assert_eq!(services.flatten().collect::<Vec<_>>(), ["/bulk", "/graphql", "/jobs", "/mcp", "/webhooks"]);
    let first = gateway.get(links["item"][0]["href"].as_str().expect("a link"));
    assert_eq!((first.status, first.header("cursorgate-level")), (200, Some("exact")), "{}", first.text());

    let catalog = gateway.get("/.well-known/api-catalog");
    let media_type = catalog.header("content-type").expect("a type");
    assert!(media_type.starts_with("application/linkset+json"), "{media_type}");
    assert_eq!(catalog.link("api-catalog").as_deref(), Some("/.well-known/api-catalog"));
    let linkset = catalog.json()["linkset"].clone();
    assert_eq!(linkset[0]["anchor"], "/api");
    assert_eq!(linkset[0]["service-desc"][0]["href"], "/openapi.json");
    assert_eq!(linkset[0]["item"], json!([{ "title": "users", "href": "/users?cursor=start" }]), "{linkset}");
    let other = gateway.send("GET", "/api", &[("Host", "other.example")], b"").json()["_links"]["item"].clone();
    assert_eq!(other.as_array().map(Vec::len), Some(3), "{other}");

    let public = Gateway::start(&format!("[server]\npublic_url = \"https://api.example.com/v1\"\n{text}"));
    let links = public.get("/api").json()["_links"].clone();
    assert_eq!(links["service-desc"]["href"], "https://api.example.com/v1/openapi.json");
    assert_eq!(links["item"][1]["href"], "https://api.example.com/v1/teams/{team}/members");
}

/// A page has links to the services of its list. An old client's answer has none.
#[test]
fn pages_have_links_to_the_description_and_to_services() {
    let (upstream, directory) = (service(), Directory::new());
    let gateway = Gateway::start(&configured(&upstream, &all_services(&directory)));
    let page = gateway.get("/users?cursor=start&limit=5");
    assert_eq!(page.link("service-desc").as_deref(), Some("/openapi.json"));
    assert_eq!(page.link("monitor").as_deref(), Some("/users/live?cursor=start&limit=5"));
    assert_eq!(page.link("related").as_deref(), Some("/users/exports"));
    assert!(page.link("next").is_some());
    let second = gateway.get(&page.link("next").expect("a next page"));
    assert!(second.link("monitor").is_some_and(|link| link.starts_with("/users/live?")), "{second:?}");
    let members = gateway.get("/teams/7/members?limit=5");
    assert_eq!(members.link("related").as_deref(), Some("/teams/7/members/exports"));
    assert_eq!(members.link("monitor"), None, "this list has no live pages");
    let undescribed = gateway.get("/secret?limit=5");
    assert_eq!((undescribed.link("service-desc"), undescribed.link("related")), (None, None));
    // The page of the list is followed by its links alone: its exports, and the description.
    assert_eq!(gateway.send("GET", "/users/exports", &[("Authorization", "Bearer one")], b"").status, 200);
    let old = gateway.get("/users?offset=5&limit=5");
    assert_eq!(old.status, 200);
    for relation in ["service-desc", "monitor", "related"] {
        assert_eq!(old.link(relation), None, "{old:?}");
    }
}

/// Without the table, the paths are the service's own; with it, only the paths that it names aren't.
#[test]
fn only_paths_that_are_written_down_are_taken() {
    let upstream = service();
    for (services, taken) in [
        ("", &[][..]),
        ("[services.contract]\ndocument = \"/description.json\"\n", &["/description.json"][..]),
        (CONTRACT, &["/openapi.json", "/.well-known/api-catalog", "/api"][..]),
        ("[services.contract]\ndocument = \"/openapi.json\"\nentry = \"/\"\n", &["/openapi.json", "/"][..]),
    ] {
        let gateway = Gateway::start(&configured(&upstream, services));
        for path in ["/openapi.json", "/description.json", "/.well-known/api-catalog", "/api", "/"] {
            let answer = gateway.get(path);
            let own = format!("the service's own {path}");
            assert_eq!(answer.text() == own, !taken.contains(&path), "{services} {path}: {answer:?}");
        }
        let page = gateway.get("/users?cursor=start&limit=5");
        assert_eq!(page.link("service-desc").is_some(), !taken.is_empty(), "{page:?}");
    }
}

/// Swagger UI shows the document and sends requests, with files from the gateway alone.
#[test]
fn people_read_the_document_on_the_reference_page() {
    let upstream = service();
    let table = "[services.contract]\ndocument = \"/v1/openapi.json\"\nentry = \"/api\"\nreference = \"/v1/docs\"\n\
                 [openapi]\ntitle = \"People & <Teams>\"\n";
    let gateway = Gateway::start(&configured(&upstream, table));
    let page = gateway.get("/v1/docs");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    let tag = page.header("etag").expect("a tag").to_owned();
    assert_eq!(gateway.send("GET", "/v1/docs", &[("If-None-Match", &tag)], b"").status, 304);
    for (file, media_type) in [
        ("reference.js", "text/javascript; charset=utf-8"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("swagger-ui.css", "text/css; charset=utf-8"),
    ] {
        let path = format!("/v1/docs/{file}");
        let whole = gateway.get(&path);
        assert_eq!((whole.status, whole.header("content-type")), (200, Some(media_type)), "{file}");
        assert_eq!(whole.header("content-encoding"), None);
        let compressed = gateway.send("GET", &path, &[("Accept-Encoding", "gzip")], b"");
        if whole.body.len() > 10_000 {
            assert_eq!(
                (compressed.header("content-encoding"), compressed.header("vary")),
                (Some("gzip"), whole.header("vary"))
            );
            assert!(compressed.body.len() * 3 < whole.body.len() && whole.text().contains("swagger"), "{file}");
        }
    }
    for path in ["/v1/docs/", "/v1/docs/index.html", "/v1/docs2", "/docs"] {
        assert_eq!(gateway.get(path).text(), format!("the service's own {path}"));
    }
    assert_eq!(gateway.get("/api").json()["_links"]["service-doc"]["href"], "/v1/docs");
    let saw = look("reference.mjs", &[&gateway.url("/v1/docs")], "reference-page");
    assert_eq!((&saw["title"], &saw["status"]), (&json!("People & <Teams>"), &json!("200")), "{saw}");
    assert!(saw["heading"].as_str().is_some_and(|text| text.starts_with("People & <Teams>")), "{saw}");
    assert!(saw["paths"].as_array().is_some_and(|paths| paths.contains(&json!("/users"))), "{saw}");
    let origin = gateway.url("/");
    assert_eq!((&saw["complaints"], &saw["origins"]), (&json!([]), &json!([origin.trim_end_matches('/')])), "{saw}");
}

#[test]
fn check_reports_the_paths_of_the_contract() {
    let route = "[upstreams.people]\npeers = [\"127.0.0.1:1\"]\n[routes.own]\npath = \"/api\"\nupstream = \"people\"\n\
                 action = \"forward\"\n[routes.users]\npath = \"/users\"\nupstream = \"people\"\n\
                 dialect = \"page-limit\"\norder = [\"id\"]\n[routes.secret]\npath = \"/secret\"\n\
                 upstream = \"people\"\ndialect = \"page-limit\"\norder = [\"id\"]\n";
    let said = accepted_by_check(&format!("{route}{CONTRACT}"));
    assert!(said.contains("requests by GET for /api go to services.contract, and not to this route"), "{said}");
    let told = "GET /openapi.json, /.well-known/api-catalog, /api";
    assert!(said.contains(told), "{said}");
    for (table, fault) in [
        ("[services.contract]\n", "services.contract has no document"),
        ("[services.contract]\ndocument = \"/a\"\nentry = \"/a\"\n", "would answer /a with two documents"),
        (
            "[services.contract]\ndocument = \"/a\"\nentry = \"/b\"\nreference = \"/b\"\n",
            "would answer /b with two documents",
        ),
        ("[services.contract]\ndocument = \"/a\"\nexcept = [\"usrs\"]\n", "did you mean \"users\"?"),
    ] {
        let said = super::command_line::refused_by_check(&format!("{route}{table}"));
        assert!(said.contains(fault), "{fault} in:\n{said}");
    }
}
