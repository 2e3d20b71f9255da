//! Tests of generated clients for unusual configurations: names that clash, lists that can't be walked, and schemas of
//! every form.

use std::path::Path;

use super::{Sdk, SdkLanguage, is_package_name, write};
use cursorgate_config::{Environment, load_text};
use cursorgate_gateway::Snapshot;

/// An environment in which every variable is a signing key, and every file contains this OpenAPI document.
struct Files(String);

impl Environment for Files {
    fn variable(&self, _name: &str) -> Option<String> {
        Some("8mEJ0qzKcQ1nH7vXwY2rT5uB9dFgLpZaSxC3kVtNjRo".to_owned())
    }

    fn read(&self, _path: &Path) -> std::io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}

fn client(routes: &str, item: &str, language: SdkLanguage) -> Sdk {
    let head = "version = 1\n[listeners.public]\naddress = \"127.0.0.1:0\"\n[cursor]\nsigning_key = 1\n\
                keys = { 1 = \"env:KEY\" }\n[upstreams.people]\npeers = [\"127.0.0.1:1\"]\n\
                [defaults]\nold_clients = \"none\"\nupstream = \"people\"\ndialect = \"offset-limit\"\norder = [\"id\"]\n";
    let document = format!(
        r##"{{"openapi":"3.1.0","paths":{{}},"components":{{"schemas":{{"Item":{item},"Base":{{"type":"object","required":["id"],"properties":{{"id":{{"type":"string"}}}}}},"2FAMethod":{{"type":"object","properties":{{"x":{{"type":"string"}}}}}}}}}}}}"##
    );
    let (settings, mut diagnostics) = load_text("a.toml", &format!("{head}{routes}"), &Files(document));
    let settings = settings.unwrap_or_else(|| panic!("{}", diagnostics.render(false)));
    let snapshot = Snapshot::build(&settings, None, &mut diagnostics);
    let snapshot = snapshot.unwrap_or_else(|| panic!("{}", diagnostics.render(false)));
    write(&settings, &snapshot, language, "api-client")
}

fn text(sdk: &Sdk, path: &str) -> String {
    sdk.files.iter().find(|file| file.path == path).map(|file| file.text.clone()).unwrap()
}

#[test]
fn names_are_unique_and_no_reserved_words() {
    let routes = "[routes.class]\npath = \"/a\"\n[routes.user-list]\npath = \"/b\"\n[routes.user_list]\npath = \"/c/{in}/{limit}\"\n";
    let python = text(&client(routes, "{}", SdkLanguage::Python), "api_client/__init__.py");
    for line in [
        "def class_(",
        "def user_list(",
        "def user_list2(",
        "in_: str,",
        "limit2: str,",
        "{\"in\": in_, \"limit\": limit2}",
    ] {
        assert!(python.contains(line), "{line}: {python}");
    }
    let typescript = text(&client(routes, "{}", SdkLanguage::TypeScript), "src/index.ts");
    for line in
        ["class_(options", "userList(options", "userList2(path: { readonly in: string; readonly limit: string }"]
    {
        assert!(typescript.contains(line), "{line}: {typescript}");
    }
}

/// A client that stopped after one page would lose items without an error, so a list that can't be walked is left out.
#[test]
fn a_list_that_can_not_be_walked_is_left_out_and_named() {
    let routes =
        "[routes.posted]\npath = \"/a\"\nmethods = [\"POST\"]\nenvelope = \"drf\"\n[routes.users]\npath = \"/b\"\n";
    let sdk = client(routes, "{}", SdkLanguage::Python);
    assert_eq!(sdk.lists, ["users"]);
    assert_eq!(sdk.left_out.len(), 1);
    assert!(sdk.left_out[0].contains("posted") && sdk.left_out[0].contains("drf"), "{:?}", sdk.left_out);
}

#[test]
fn schemas_of_every_form_have_types() {
    let route =
        "[routes.users]\npath = \"/a\"\nopenapi = { file = \"people.json\", schema = \"#/components/schemas/Item\" }\n";
    let item = r##"{"allOf":[{"$ref":"#/components/schemas/Base"},{"type":"object","required":["kind"],"properties":{
        "kind":{"enum":["a",1,null]},"one":{"const":true},"self":{"$ref":"#/components/schemas/Item"},
        "any":{},"never":false,"many":{"type":"array"},"either":{"anyOf":[{"type":"string"},{"type":["null","integer"]}]},
        "map":{"type":"object","additionalProperties":{"type":"number"}},"open":{"type":"object"},
        "in it":{"type":["object","null"],"properties":{"x":{"type":"boolean"}}}}}]}"##;
    let typescript = text(&client(route, item, SdkLanguage::TypeScript), "src/index.ts");
    for line in [
        "export type Item = (Base) & ({",
        "kind: \"a\" | 1 | null;",
        "one?: true;",
        "self?: Item;",
        "any?: unknown;",
        "never?: never;",
        "many?: Array<unknown>;",
        "either?: string | null | number;",
        "map?: Record<string, number>;",
        "open?: Record<string, unknown>;",
        "users(options: UsersOptions = {}): Listing<Item>",
    ] {
        assert!(typescript.contains(line), "{line}: {typescript}");
    }
    let python = text(&client(route, item, SdkLanguage::Python), "api_client/__init__.py");
    for line in [
        "\"id\": \"str\",",
        "\"kind\": \"Literal[\\\"a\\\"] | Literal[1] | None\",",
        "\"one\": NotRequired[\"Literal[True]\"],",
        "\"self\": NotRequired[\"Item\"],",
        "\"any\": NotRequired[\"Any\"],",
        "\"many\": NotRequired[\"list[Any]\"],",
        "\"either\": NotRequired[\"str | None | int\"],",
        "\"map\": NotRequired[\"dict[str, float]\"],",
        "\"open\": NotRequired[\"dict[str, Any]\"],",
        "\"in it\": NotRequired[\"ItemInIt | None\"],",
        "ItemInIt = TypedDict(",
        ") -> Listing[Item]:",
    ] {
        assert!(python.contains(line), "{line}: {python}");
    }
}

#[test]
fn a_type_whose_schema_begins_with_a_digit_has_a_name_that_parses() {
    let route =
        "[routes.users]\npath = \"/a\"\nopenapi = { file = \"people.json\", schema = \"#/components/schemas/Item\" }\n";
    let item = r##"{"type":"object","properties":{"method":{"$ref":"#/components/schemas/2FAMethod"}}}"##;
    let python = text(&client(route, item, SdkLanguage::Python), "api_client/__init__.py");
    assert!(python.contains("\"method\": NotRequired[\"_2"), "{python}");
    assert!(!python.lines().any(|line| line.starts_with(|first: char| first.is_ascii_digit())), "{python}");
    let typescript = text(&client(route, item, SdkLanguage::TypeScript), "src/index.ts");
    assert!(typescript.contains("export type _2"), "{typescript}");
}

#[test]
fn the_readme_shows_a_call_for_each_list() {
    let routes = "[routes.users]\npath = \"/a\"\n[routes.notes]\npath = \"/users/{user_id}/notes\"\n";
    let typescript = text(&client(routes, "{}", SdkLanguage::TypeScript), "README.md");
    for part in [
        "# api-client\n",
        "import { Client } from \"api-client\";",
        "| `/users/{user_id}/notes` | `client.notes({ user_id: \"…\" }, { limit: 100 })` |",
        ") {\n  console.log(item);\n}\n```\n",
    ] {
        assert!(typescript.contains(part), "{part}: {typescript}");
    }
    let python = text(&client(routes, "{}", SdkLanguage::Python), "README.md");
    for part in [
        "from api_client import Client\n",
        "| `/users/{user_id}/notes` | `client.notes(\"…\", limit=100)` |",
        ":\n    print(item)\n```\n",
    ] {
        assert!(python.contains(part), "{part}: {python}");
    }
}

#[test]
fn a_title_may_end_in_a_quote() {
    let title = "[openapi]\ntitle = 'The \"people\"'\n[routes.users]\npath = \"/a\"\n";
    let package = text(&client(title, "{}", SdkLanguage::TypeScript), "package.json");
    let package: serde_json::Value = serde_json::from_str(&package).unwrap();
    assert_eq!(package["description"], "A client of The \"people\"");
}

#[test]
fn a_package_has_a_name_that_both_registries_take() {
    for (name, expected) in
        [("api-client", true), ("a_2", true), ("2a", false), ("A", false), ("", false), ("../a", false)]
    {
        assert_eq!(is_package_name(name), expected, "{name}");
    }
}
