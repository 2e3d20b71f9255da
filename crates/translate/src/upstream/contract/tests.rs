//! A contract that its dialect fulfils, and each kind of difference.

use std::{io, path::Path};

use super::*;
use cursorgate_config::{Environment, load_contract};

/// An environment whose files are a contract, which the value contains, and a configuration.
struct Files(String);

impl Environment for Files {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("tests/rows.toml") => Ok(self.0.clone().into_bytes()),
            Some("cursorgate.toml") => Ok(CONFIGURATION.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

const CONFIGURATION: &str = r#"
version = 1
[dialects.rows]
extends = "page-limit"
request.headers = { X-Version = "2" }
response.past_end = [{ status = 404 }]
"#;

const CONTRACT: &str = r#"route = '''
order = ["name", "id"]
sortable = ["name", "id"]
'''

[facts]
family = "page"
sizes = "1 or more"
end = "unvouched"
asks_for_order = true
ties_ordered = true
flips = true
paging_names = ["page", "limit"]
sort_names = ["sort"]

[[exchange]]
name = "first"
page = 0
size = 2
filters = "q=x"
query = "q=x&page=1&limit=2&sort=name,id"
headers = { X-Version = "2" }
[exchange.answer]
status = 200
body = '{"data":[{"id":1,"name":"a"}],"total":1,"page":1,"limit":2}'
[exchange.reading]
items = ['{"id":1,"name":"a"}']
last_keys = ['"a"', '1']
total = 1
page = 0
size = 2

[[exchange]]
name = "refused"
page = 0
size = 2
query = "page=1&limit=2&sort=name,id"
headers = { X-Version = "2" }
[exchange.answer]
status = 403
body = '{}'
[exchange.reading]
error = "refused"
"#;

/// Returns the result of a contract, and the line and the text of each reported fault.
fn held(contract: String) -> (Option<HeldContract>, Vec<(usize, String)>) {
    let environment = Files(contract);
    let configuration = Some(Path::new("cursorgate.toml"));
    let (contract, mut diagnostics) = load_contract(Path::new("tests/rows.toml"), configuration, &environment);
    let held = contract.and_then(|contract| hold(&contract, &mut diagnostics));
    let told = diagnostics
        .iter()
        .map(|fault| (diagnostics.place(fault.at).1, format!("{}; {}", fault.message, fault.help)))
        .collect();
    (held, told)
}

#[test]
fn a_contract_that_holds_reports_nothing() {
    let held = held(CONTRACT.to_owned());
    assert_eq!(held, (Some(HeldContract { exchanges: 2, differing: 0, facts_differ: false }), Vec::new()));
}

#[test]
fn each_difference_has_its_line_and_both_values() {
    for (from, to, line, told) in [
        ("end = \"unvouched\"", "end = \"flag\"", 9, "facts: the proof of the end is \"unvouched\"; expected \"flag\""),
        (
            "flips = true\n",
            "",
            6,
            "facts: the fact flips is true; the contract has none; where it is right, write flips = true",
        ),
        (
            "ties_ordered = true",
            "hidden = true\nties_ordered = true",
            11,
            "facts: there is no fact hidden; expected true",
        ),
        (
            "query = \"q=x&page=1",
            "query = \"q=x&page=0",
            21,
            "first: the query is \"q=x&page=1&limit=2&sort=name,id\"; expected \"q=x&page=0&limit=2&sort=name,id\"",
        ),
        (
            "filters = \"q=x\"",
            "method = \"POST\"\nfilters = \"q=x\"",
            20,
            "first: the method is \"GET\"; expected \"POST\"",
        ),
        (
            "limit=2&sort=name,id\"\nheaders = { X-Version = \"2\" }\n[exchange.answer]\nstatus = 200",
            "limit=2&sort=name,id\"\n[exchange.answer]\nstatus = 200",
            17,
            "first: the header x-version is \"2\"; the contract has none",
        ),
        (
            "headers = { X-Version = \"2\" }\n[exchange.answer]\nstatus = 200",
            "headers = { X-Version = \"3\" }\n[exchange.answer]\nstatus = 200",
            22,
            "first: the header X-Version is \"2\"; expected \"3\"",
        ),
        (
            "items = ['{\"id\":1,\"name\":\"a\"}']",
            "items = []",
            27,
            "first: the list of items is ['{\"id\":1,\"name\":\"a\"}']; the contract has none; where it is right, write items = ['{\"id\":1,\"name\":\"a\"}']",
        ),
        (
            "last_keys = ['\"a\"', '1']",
            "last_keys = ['\"a\"', '2']",
            28,
            "first: the list of the last item's keys is ['\"a\"', \"1\"]; expected ['\"a\"', \"2\"]",
        ),
        ("total = 1\n", "total = 2\n", 29, "first: the total is 1; expected 2"),
        (
            "size = 2\n\n[[",
            "size = 2\nmore = true\n\n[[",
            32,
            "first: there is no statement on further items; expected true",
        ),
        (
            "error = \"refused\"",
            "items = []",
            42,
            "refused: the answer can't be read: the upstream answered 403; if this answer is not a list, write error = \"refused\"",
        ),
        ("status = 403", "status = 404", 43, "refused: there is no error; expected \"refused\""),
        ("status = 403", "status = 503", 43, "refused: the error is \"unavailable\"; expected \"refused\""),
    ] {
        assert_eq!(CONTRACT.matches(from).count(), 1, "{from}");
        let (held, found) = held(CONTRACT.replace(from, to));
        assert!(!held.unwrap().holds(), "{to}");
        let told = (line, told.to_owned());
        assert!(found.contains(&told), "{told:?} in {found:#?}");
    }
}

#[test]
fn a_contract_that_can_not_be_read_says_why() {
    for (from, to, line, told) in [
        (
            "sortable = [\"name\", \"id\"]",
            "sortible = []",
            3,
            "unknown key `sortible` in routes.items; did you mean `sortable`?",
        ),
        (
            "size = 2\nfilters",
            "sise = 2\nfilters",
            16,
            "the exchange does not say what is fetched; write page and size",
        ),
        ("status = 403", "", 39, "the answer has no status"),
        ("error = \"refused\"", "filters = 1", 43, "unknown key `filters` in exchange.reading"),
        ("route = '''", "dialect = \"row\"\nroute = '''", 1, "there is no dialect \"row\"; did you mean \"rows\"?"),
        ("filters = \"q=x\"", "filter = [\"0 ~ 7\"]", 20, "\"0 ~ 7\" is not a comparison"),
        (
            "route = '''\norder = [\"name\", \"id\"]\nsortable = [\"name\", \"id\"]\n'''",
            "# in a line\nroute = 'sortible = []'",
            2,
            "unknown key `sortible` in routes.items",
        ),
    ] {
        assert_eq!(CONTRACT.matches(from).count(), 1, "{from}");
        let (held, found) = held(CONTRACT.replace(from, to));
        assert_eq!(held, None, "{to}: {found:?}");
        assert!(found.iter().any(|(at, text)| *at == line && text.starts_with(told)), "{line}, {told} in {found:#?}");
    }
}
