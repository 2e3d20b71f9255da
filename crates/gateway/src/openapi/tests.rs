//! The rendered document, and its choice among several routes on one path.

use std::path::Path;

use super::{DocumentReader, path_parameters, pattern};
use crate::lifecycle::snapshot::Snapshot;
use cursorgate_config::{Environment, load_text};

/// An environment with these files. Every variable contains the same signing key.
pub(super) struct Files<'a>(pub(super) &'a [(&'a str, &'a str)]);

impl Environment for Files<'_> {
    fn variable(&self, _name: &str) -> Option<String> {
        Some("8mEJ0qzKcQ1nH7vXwY2rT5uB9dFgLpZaSxC3kVtNjRo".to_owned())
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let file = self.0.iter().find(|(name, _)| path == Path::new(name));
        file.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
}

/// The part of the configuration that precedes the routes.
const HEAD: &str = "version = 1\nother_paths = \"refuse\"\n[listeners.public]\naddress = \"127.0.0.1:0\"\n\
                    [cursor]\nsigning_key = 1\nkeys = { 1 = \"env:KEY\" }\n\
                    [upstreams.people]\npeers = [\"127.0.0.1:1\"]\n[defaults]\nold_clients = \"none\"\nupstream = \"people\"\n";

/// Returns the snapshot of these routes, or `None` if it can't be built, and the diagnostics.
pub(super) fn built(routes: &str, files: &[(&str, &str)]) -> (Option<Snapshot>, String) {
    let (settings, mut diagnostics) = load_text("a.toml", &format!("{HEAD}{routes}"), &Files(files));
    let snapshot = settings.and_then(|settings| Snapshot::build(&settings, None, &mut diagnostics));
    (snapshot, diagnostics.render(false))
}

/// Returns the OpenAPI document of these routes, for one host or for all.
pub(super) fn document(routes: &str, files: &[(&str, &str)], host: Option<&str>) -> serde_json::Value {
    let (snapshot, said) = built(routes, files);
    let snapshot = snapshot.unwrap_or_else(|| panic!("{said}"));
    serde_json::from_str(&snapshot.openapi.render(DocumentReader::Operator(host))).unwrap()
}

const ROUTES: &str = r#"
[routes.users]
path = "/users"
dialect = "drf-page"
order = ["-created_at", "id"]
sortable = ["created_at", "id"]
page_size = { default = 20, max = 40, over_max = "reject" }
cursor = { ttl = "1h" }
old_clients = "translate"
legacy = { deprecation = 2026-01-15, sunset = 2026-12-31 }
openapi = { file = "people.openapi.json", operation = "GET /api/users/" }

[routes.user_orders]
path = "/users/{user}/orders"
dialect = "offset-limit"
envelope = "house"
order = ["id"]
short_pages = "serve"

[routes.watched]
path = "/watched"
dialect = "offset-limit"
action = "observe"

[routes.files]
path = "/files/{*rest}"
action = "forward"

[envelopes.house]
content_type = "application/vnd.house+json"
parameters = { limit = "first", limit_backward = "last", after = "after", before = "before" }
zero_limit = "default"
headers = { X-Total = "{total}" }
body = { edges = [{ cursor = "{item.cursor}", node = "{item}" }], total = "{total}", at = "{now}" }
error = { statusCode = "{status}", message = "{detail}", error = "{code}" }
"#;

const PEOPLE: &str = r##"{
  "openapi": "3.0.3",
  "paths": {
    "/api/users/": {
      "get": {
        "responses": { "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/PaginatedUserList" } } } } }
      }
    }
  },
  "components": {
    "schemas": {
      "PaginatedUserList": {
        "type": "object",
        "properties": { "count": { "type": "integer" }, "results": { "type": "array", "items": { "$ref": "#/components/schemas/User" } } }
      },
      "User": {
        "type": "object",
        "required": ["id", "name"],
        "properties": {
          "id": { "type": "integer", "minimum": 0, "exclusiveMinimum": true },
          "name": { "type": "string", "nullable": true, "maxLength": 200 },
          "manager": { "nullable": true, "allOf": [{ "$ref": "#/components/schemas/User" }] }
        }
      }
    }
  }
}"##;

#[test]
fn limits_of_clients_are_described_where_there_are_any() {
    let route = |limit: &str| {
        let routes =
            format!("[routes.users]\npath = \"/users\"\ndialect = \"offset-limit\"\norder = [\"id\"]\n{limit}");
        document(&routes, &[], None)["paths"]["/users"]["get"]["responses"].clone()
    };
    let (limited, free) = (route("rate_limit = { requests = 5 }"), route(""));
    for (status, header) in
        [("200", "RateLimit"), ("304", "RateLimit-Policy"), ("429", "RateLimit"), ("429", "Retry-After")]
    {
        assert!(limited[status]["headers"][header].is_object(), "{status} {header}: {limited}");
        assert!(free[status]["headers"][header].is_null(), "{status} {header}: {free}");
    }
}

/// `info`, `servers` and the security schemes follow the configuration. Without security schemes in the configuration,
/// the document has none.
#[test]
fn the_api_is_named_as_it_is_configured() {
    let routes = r#"
        [routes.users]
        path = "/users"
        dialect = "offset-limit"
        [openapi]
        title = "Directory"
        version = "2.1"
        description = "People."
        servers = ["https://api.example.com/", "https://staging.example.com"]
        [openapi.security_schemes.token]
        type = "http"
        scheme = "bearer"
        bearer_format = "JWT"
        [openapi.security_schemes.key]
        type = "apiKey"
        name = "X-Api-Key"
        in = "header"
        description = "For scripts"
        [openapi.security_schemes.certificate]
        type = "mutualTLS"
        [openapi.security_schemes.id]
        type = "openIdConnect"
        open_id_connect_url = "https://id.example.com/.well-known/openid-configuration"
        [openapi.security_schemes.oauth]
        type = "oauth2"
        [openapi.security_schemes.oauth.flows]
        password = { token_url = "https://id.example.com/token", authorization_url = "https://id.example.com/unused" }
        authorization_code = { authorization_url = "https://id.example.com/authorize", token_url = "https://id.example.com/token", scopes = { "users:read" = "Read users" } }
    "#;
    let document = document(routes, &[], None);
    assert_eq!(
        document["info"],
        serde_json::json!({ "title": "Directory", "version": "2.1", "description": "People." })
    );
    let servers = serde_json::json!([{ "url": "https://api.example.com" }, { "url": "https://staging.example.com" }]);
    assert_eq!(document["servers"], servers);
    let one_of =
        serde_json::json!([{ "token": [] }, { "key": [] }, { "certificate": [] }, { "id": [] }, { "oauth": [] }]);
    assert_eq!(document["security"], one_of);
    let token = "https://id.example.com/token";
    let expected = serde_json::json!({
        "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
        "key": { "type": "apiKey", "name": "X-Api-Key", "in": "header", "description": "For scripts" },
        "certificate": { "type": "mutualTLS" },
        "id": { "type": "openIdConnect", "openIdConnectUrl": "https://id.example.com/.well-known/openid-configuration" },
        "oauth": { "type": "oauth2", "flows": {
            "password": { "tokenUrl": token, "scopes": {} },
            "authorizationCode": { "authorizationUrl": "https://id.example.com/authorize", "tokenUrl": token,
                                   "scopes": { "users:read": "Read users" } },
        } },
    });
    assert_eq!(document["components"]["securitySchemes"], expected);
    let plain = self::document("[routes.users]\npath = \"/users\"\ndialect = \"offset-limit\"\n", &[], None);
    assert_eq!(plain.get("security"), None);
    assert_eq!(plain["components"].get("securitySchemes"), None);
}

#[test]
fn the_document_equals_its_snapshot() {
    let (snapshot, said) = built(ROUTES, &[("people.openapi.json", PEOPLE)]);
    let snapshot = snapshot.unwrap_or_else(|| panic!("{said}"));
    let text = snapshot.openapi.render(DocumentReader::Operator(None));
    assert_eq!(text, snapshot.openapi.render(DocumentReader::Operator(None)), "the same bytes each time");
    let version = format!("\"version\": {:?}", env!("CARGO_PKG_VERSION"));
    let text = text.replacen(&version, "\"version\": \"VERSION\"", 1);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/snapshots/openapi.json");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "UPDATE_SNAPSHOTS=1 accepts it");
}

#[test]
fn each_host_sees_its_own_of_several_routes_on_one_path() {
    let routes = r#"
        [routes.eu]
        path = "/users/{id}/orders"
        hosts = ["eu.example"]
        dialect = "offset-limit"
        [routes.all]
        path = "/users/{user}/orders"
        dialect = "offset-limit"
        [routes.us]
        path = "/users/{id}/orders"
        hosts = ["us.example"]
        dialect = "offset-limit"
    "#;
    for (host, path, operation, others) in [
        (None, "/users/{user}/orders", "listAll", 2),
        (Some("eu.example"), "/users/{id}/orders", "listEu", 1),
        (Some("us.example"), "/users/{id}/orders", "listUs", 1),
        (Some("elsewhere.example"), "/users/{user}/orders", "listAll", 0),
    ] {
        let document = document(routes, &[], host);
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.keys().collect::<Vec<_>>(), [path], "{host:?}");
        assert_eq!(paths[path]["get"]["operationId"], operation, "{host:?}");
        assert_eq!(paths[path]["parameters"][0]["in"], "path");
        let told = document["info"]["description"].as_str().unwrap().matches("Another route").count();
        assert_eq!(told, others, "{host:?}");
    }
}

#[test]
fn similar_names_of_routes_get_different_operation_ids() {
    let routes = "[routes.user-list]\npath = \"/a\"\ndialect = \"offset-limit\"\n\
                  [routes.user_list]\npath = \"/b\"\ndialect = \"offset-limit\"\n";
    let document = document(routes, &[], None);
    assert_eq!(document["paths"]["/a"]["get"]["operationId"], "listUserList");
    assert_eq!(document["paths"]["/b"]["get"]["operationId"], "listUserList2");
    assert!(document["components"]["schemas"]["UserListPage"].is_object());
    assert!(document["components"]["schemas"]["UserList2Page"].is_object());
}

/// The description has the members of the request's body, including those that the answer repeats.
#[test]
fn a_route_by_post_is_described_by_its_body() {
    let routes = r#"
        [routes.courses]
        path = "/batch/courses"
        methods = ["POST"]
        dialect = "offset-limit"
        envelope = "batch"
        page_size = { default = 10, max = 50 }
        budgets = { body_size = "4KiB" }
        old_clients = "redirect"
        parameters = { query = { team = "/payload/team" } }
    "#;
    let document = document(routes, &[], None);
    let item = &document["paths"]["/batch/courses"];
    assert_eq!(item.get("get"), None);
    let operation = &item["post"];
    assert_eq!(operation["operationId"], "batchCourses");
    let names: Vec<_> = operation["parameters"].as_array().unwrap().iter().map(|own| &own["name"]).collect();
    assert_eq!(names, ["offset", "limit", "filters"], "what stands in the body is no parameter");
    let body = &operation["requestBody"];
    assert!(body["description"].as_str().unwrap().contains("4096 bytes"), "{body}");
    assert_eq!(body["required"], true);
    let asked = &document["components"]["schemas"]["CoursesRequest"]["properties"]["payload"];
    let size = &asked["properties"]["page_size"];
    assert_eq!((&size["maximum"], &size["default"]), (&50.into(), &10.into()));
    assert_eq!(asked["properties"]["cursor"]["type"], serde_json::json!(["string", "null"]));
    assert!(asked["properties"]["team"]["description"].as_str().unwrap().contains("`team`"));
    let echoed = &document["components"]["schemas"]["CoursesPage"]["properties"]["payload"];
    assert_eq!(echoed["properties"]["cursor"]["type"], serde_json::json!(["string", "null"]));
    assert_eq!(echoed["properties"]["page_size"].get("maximum"), None, "it comes back as it came");
    let responses = operation["responses"].as_object().unwrap();
    for (status, is_described) in [("413", true), ("415", true), ("304", false), ("307", false)] {
        assert_eq!(responses.contains_key(status), is_described, "{status}");
    }
    assert!(responses["400"]["description"].as_str().unwrap().contains("body_invalid"));
    let headers = responses["200"]["headers"].as_object().unwrap();
    assert!(!headers.contains_key("Link") && !headers.contains_key("ETag"));
}

#[test]
fn redirects_and_the_end_of_legacy_requests_are_described() {
    let routes = r#"
        [routes.moved]
        path = "/moved"
        dialect = "offset-limit"
        old_clients = "redirect"
        legacy = { deprecation = 2026-01-15 }
        [routes.ended]
        path = "/ended"
        dialect = "offset-limit"
        old_clients = "translate"
        legacy = { sunset = 2026-01-15, after_sunset = "reject" }
    "#;
    let document = document(routes, &[], None);
    let of = |path: &str, status: &str| document["paths"][path]["get"]["responses"][status].clone();
    let moved = of("/moved", "307");
    let headers: Vec<_> = moved["headers"].as_object().unwrap().keys().collect();
    assert_eq!(headers, ["Deprecation", "Link", "Location", "X-Request-Id"]);
    assert!(of("/moved", "410").is_null() && of("/ended", "307").is_null());
    assert!(of("/ended", "410")["headers"].get("Sunset").is_some());
}

/// A generated client doesn't know of marks. Without one, it would get the old answer. Where clients choose an envelope,
/// the first cursor has several names, and none of them is required.
#[test]
fn the_first_cursor_is_required_where_old_clients_are() {
    let routes = r#"
        [routes.old]
        path = "/old"
        dialect = "offset-limit"
        old_clients = "pass"
        [routes.chosen]
        path = "/chosen"
        dialect = "offset-limit"
        envelopes = ["relay"]
        old_clients = "pass"
        [routes.new]
        path = "/new"
        dialect = "offset-limit"
    "#;
    let document = document(routes, &[], None);
    let of = |path: &str, name: &str| {
        let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        parameters.iter().find(|parameter| parameter["name"] == name).unwrap().clone()
    };
    let cursor = of("/old", "cursor");
    assert_eq!((&cursor["required"], &cursor["schema"]["default"]), (&true.into(), &"start".into()), "{cursor}");
    assert_ne!(of("/old", "limit")["required"], true);
    for name in ["cursor", "after"] {
        let offered = of("/chosen", name);
        assert_ne!(offered["required"], true, "{offered}");
        assert_eq!(offered["schema"]["default"], "start", "{offered}");
    }
    let new = of("/new", "cursor");
    assert!(new["required"] != true && new["schema"]["default"].is_null(), "{new}");
}

#[test]
fn paths_are_templates() {
    assert_eq!(pattern("/a/{x}/b/{rest}"), "/a/{}/b/{}");
    assert_eq!(pattern("/a"), "/a");
    let names: Vec<String> = path_parameters("/a/{x}/{*rest}")
        .iter()
        .filter_map(|parameter| parameter.member("name").cloned())
        .map(|name| name.render())
        .collect();
    assert_eq!(names, ["\"x\"\n", "\"rest\"\n"]);
}
