//! Tests of the ends of lists, as verifiers judge them: `walk --verify`, `check --live`, and the closing of an export
//! never take a list for complete if an answer of the upstream says otherwise.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{
    gateway::{Gateway, KEY, command},
    rows::{ids, walk},
    upstream::{Exchange, Upstream},
};

/// A list, and the parts of its dialect.
struct World {
    name: &'static str,
    /// The number of rows, and the most that one answer has.
    rows: usize,
    dialect: &'static str,
    answer: fn(&Exchange, Asked) -> Value,
}

/// The rows that an answer has, and their place in the list.
struct Asked {
    from: usize,
    items: Vec<Value>,
    /// The number of rows in the list.
    all: usize,
}

impl Asked {
    fn end(&self) -> usize {
        self.from + self.items.len()
    }

    /// The token of the next page; null on the last one.
    fn token(&self) -> Value {
        if self.end() < self.all { json!(self.end().to_string()) } else { Value::Null }
    }
}

const MOST: usize = 100;

impl World {
    fn serve(&self) -> Upstream {
        let (rows, answer) = (self.rows, self.answer);
        Upstream::start(move |exchange| {
            let number = |name| exchange.request.parameter(name).and_then(|text| text.parse::<usize>().ok());
            let size = number("limit").unwrap_or(20).min(MOST);
            let from = number("page").map(|page| page * size).or_else(|| number("offset").or_else(|| number("cursor")));
            let from = from.unwrap_or(0).min(rows);
            let items = (from..(from + size).min(rows)).map(|id| json!({ "id": id + 1, "name": format!("row {id}") }));
            let body = answer(exchange, Asked { from, items: items.collect(), all: rows }).to_string();
            exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
        })
    }

    fn gateway(&self, upstream: &Upstream) -> Gateway {
        Gateway::start(&self.configuration(upstream))
    }

    fn configuration(&self, upstream: &Upstream) -> String {
        format!(
            "[upstreams.legacy]\npeers = [\"{}\"]\n[routes.rows]\npath = \"/rows\"\nupstream = \"legacy\"\ndialect = \"own\"\n\
             order = [\"id\"]\nfields = {{ id = {{ type = \"number\" }} }}\npage_size = {{ default = 20, max = 50 }}\n\
             [routes.rest]\npath = \"/{{*rest}}\"\nupstream = \"legacy\"\naction = \"forward\"\n\
             [dialects.own]\nsize = {{ max = 100 }}\n{}\n",
            upstream.address, self.dialect
        )
    }
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = command();
    let Output { status, stdout, stderr } =
        command.args(arguments).env("CURSORGATE_KEY_1", KEY).output().expect("the binary starts");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

fn verified(gateway: &Gateway, upstream: &Upstream) -> (Option<i32>, String) {
    let (file, direct) = (gateway.file("cursorgate.toml"), format!("http://{}/rows", upstream.address));
    let file = file.to_str().expect("UTF-8");
    run(&["walk", &gateway.url("/rows?limit=20"), "--verify", &direct, "--config", file])
}

fn checked(gateway: &Gateway) -> (Option<i32>, String) {
    let file = gateway.file("cursorgate.toml");
    run(&["check", file.to_str().expect("UTF-8"), "--live", "--delay", "0"])
}

/// Joins a request with a response, as text that is known when the test is compiled.
macro_rules! dialect {
    ($request:literal, $response:literal) => {
        concat!("request = ", $request, "\nresponse = { items = \"/data\"", $response, " }")
    };
}

/// The list ends silently after 100 rows, and every answer says that there are 257.
const WINDOW: World = World {
    name: "silent window",
    rows: 257,
    dialect: dialect!("{ query = \"page={page}&limit={size}\", first_page = 0 }", ", total = \"/hits\""),
    answer: |_, asked| {
        let shown: Vec<&Value> = asked.items.iter().take(100_usize.saturating_sub(asked.from)).collect();
        json!({ "data": shown, "hits": asked.all })
    },
};

/// The total is said to count rows that are left out, but nothing is shown behind the first 100.
const WINDOW_OF_ROWS: World = World {
    name: "silent window beside a total of rows",
    dialect: dialect!(
        "{ query = \"page={page}&limit={size}\", first_page = 0 }",
        ", total = \"/hits\", total_counts = \"rows\", hidden = true"
    ),
    ..WINDOW
};

/// Requests for 100 rows give 25, silently, so a request for the last row that is shown seems to reach the last of all.
const CAPPED_WINDOW_OF_ROWS: World = World {
    name: "silent window under a silent cap beside a total of rows",
    rows: 120,
    dialect: dialect!(
        "{ query = \"offset={offset}&limit={size}\" }",
        ", total = \"/hits\", total_counts = \"rows\", hidden = true"
    ),
    answer: |_, asked| {
        let shown: Vec<&Value> = asked.items.iter().take(75_usize.saturating_sub(asked.from).min(25)).collect();
        json!({ "data": shown, "hits": asked.all })
    },
};

/// Pages of 20 rows give 15, silently, so the listing by page leaves holes, and yet it has the last row.
const CAPPED_PAGES_OF_ROWS: World = World {
    name: "a silent cap of pages beside a total of rows",
    rows: 105,
    dialect: dialect!(
        "{ query = \"page={page}&limit={size}\", first_page = 0 }",
        ", total = \"/hits\", total_counts = \"rows\", hidden = true"
    ),
    answer: |_, asked| {
        let shown: Vec<&Value> = asked.items.iter().take(15).collect();
        json!({ "data": shown, "hits": asked.all })
    },
};

/// A boolean that has nothing to do with the list is declared as its flag.
const TRUNCATED: World = World {
    name: "truncated: false beside tokens",
    rows: 250,
    dialect: dialect!(
        "{ query = \"cursor={next_token}&limit={size}\" }",
        ", next_token = \"/next\", has_more = \"/truncated\", end = \"flag\""
    ),
    answer: |_, asked| json!({ "data": asked.items, "truncated": false, "next": asked.token() }),
};

const FLAG_AND_TOTAL_BY_TOKEN: World = World {
    name: "a flag that is always false beside tokens and a total",
    rows: 250,
    dialect: dialect!(
        "{ query = \"cursor={next_token}&limit={size}\" }",
        ", next_token = \"/next\", has_more = \"/more\", total = \"/total\", end = \"flag\""
    ),
    answer: |_, asked| json!({ "data": asked.items, "more": false, "total": asked.all, "next": asked.token() }),
};

const FLAG_AND_TOTAL_BY_OFFSET: World = World {
    name: "a flag that is always false beside a total",
    rows: 250,
    dialect: dialect!("{ query = \"offset={offset}&limit={size}\" }", ", has_more = \"/more\", total = \"/total\""),
    answer: |_, asked| json!({ "data": asked.items, "more": false, "total": asked.all }),
};

const TOTAL_OF_THE_PAGE: World = World {
    name: "a total of the page",
    rows: 250,
    dialect: dialect!("{ query = \"offset={offset}&limit={size}\" }", ", total = \"/total\""),
    answer: |_, asked| json!({ "data": asked.items, "total": asked.items.len() }),
};

/// The members about paging are missing from every answer, so no answer after the first can be asked for.
const NO_PAGINATION: World = World {
    name: "no pagination object",
    rows: 250,
    dialect: dialect!(
        "{ query = \"cursor={next_token}&limit={size}\" }",
        ", next_token = \"/pagination/next\", has_more = \"/pagination/more\", total = \"/pagination/total\", end = \"flag\""
    ),
    answer: |_, asked| json!({ "data": asked.items }),
};

/// The second page has the token with which it was asked for.
const CONSTANT_TOKEN: World = World {
    name: "a constant token",
    rows: 250,
    dialect: dialect!(
        "{ query = \"cursor={next_token}&limit={size}\" }",
        ", next_token = \"/next\", has_more = \"/more\", end = \"flag\""
    ),
    answer: |_, asked| json!({ "data": asked.items, "more": true, "next": "20" }),
};

const ALWAYS_MORE: World = World {
    name: "a flag that is always true beside tokens",
    rows: 250,
    dialect: dialect!(
        "{ query = \"cursor={next_token}&limit={size}\" }",
        ", next_token = \"/next\", has_more = \"/more\", end = \"flag\""
    ),
    answer: |_, asked| json!({ "data": asked.items, "more": true, "next": asked.token() }),
};

/// The first twenty rows are taken for the whole list.
const FIRST_PAGE_AS_WHOLE: World = World {
    name: "a first page as the whole list",
    rows: 250,
    dialect: dialect!("{ query = \"\" }", ", end = \"whole-list\""),
    answer: |_, asked| json!({ "data": asked.items, "moreItemsInServer": true }),
};

const TOTAL_TOO_HIGH: World = World {
    name: "a total that is 5 too high",
    rows: 250,
    dialect: dialect!("{ query = \"offset={offset}&limit={size}\" }", ", total = \"/total\""),
    answer: |_, asked| json!({ "data": asked.items, "total": asked.all + 5 }),
};

/// Lists whose facts are right.
const HONEST: [World; 5] = [
    World {
        name: "a total of rows, some of which are left out",
        rows: 250,
        dialect: dialect!(
            "{ query = \"offset={offset}&limit={size}\" }",
            ", total = \"/total\", total_counts = \"rows\", hidden = true"
        ),
        answer: |_, asked| {
            let is_shown = |item: &&Value| item["id"].as_u64().unwrap_or(0) % 5 != 3;
            json!({ "data": asked.items.iter().filter(is_shown).collect::<Vec<_>>(), "total": asked.all })
        },
    },
    World {
        name: "a total by page",
        rows: 240,
        dialect: dialect!("{ query = \"page={page}&limit={size}\", first_page = 0 }", ", total = \"/total\""),
        answer: |_, asked| json!({ "data": asked.items, "total": asked.all }),
    },
    World {
        name: "a flag by offset",
        rows: 250,
        dialect: dialect!("{ query = \"offset={offset}&limit={size}\" }", ", has_more = \"/more\""),
        answer: |_, asked| json!({ "data": asked.items, "more": asked.end() < asked.all }),
    },
    World {
        name: "tokens with a flag and a total",
        rows: 250,
        dialect: dialect!(
            "{ query = \"cursor={next_token}&limit={size}\" }",
            ", next_token = \"/next\", has_more = \"/more\", total = \"/total\", end = \"flag\""
        ),
        answer: |_, asked| {
            let (total, more) = (asked.all, asked.end() < asked.all);
            json!({ "data": asked.items, "more": more, "total": total, "next": asked.token() })
        },
    },
    World {
        name: "an empty list",
        rows: 0,
        dialect: dialect!("{ query = \"offset={offset}&limit={size}\" }", ", total = \"/total\""),
        answer: |_, asked| json!({ "data": asked.items, "total": asked.all }),
    },
];

/// Returns the number of items in the line of a report that begins with `way`.
fn items(report: &str, way: &str) -> usize {
    let line = report.lines().find(|line| line.starts_with(way)).unwrap_or_default();
    let number = line[way.len().min(line.len())..].split_whitespace().next().unwrap_or_default();
    number.replace(',', "").parse().unwrap_or(0)
}

#[test]
fn a_walk_is_not_lossless_where_an_answer_says_that_more_follows() {
    let mut faults = Vec::new();
    for (world, numbers) in [
        (&WINDOW, &["257", "100"][..]),
        (&WINDOW_OF_ROWS, &["257", "100"]),
        (&CAPPED_WINDOW_OF_ROWS, &["120", "75"]),
        (&TOTAL_TOO_HIGH, &["255", "250"]),
        (&NO_PAGINATION, &["response.total", "20 items"]),
        (&FIRST_PAGE_AS_WHOLE, &["/moreItemsInServer", "20 items"]),
        // The gateway may refuse the last page of this list. Then there is no report.
        (&ALWAYS_MORE, &[]),
    ] {
        let upstream = world.serve();
        let gateway = world.gateway(&upstream);
        let (code, report) = verified(&gateway, &upstream);
        let names = numbers.iter().all(|number| report.contains(number));
        if code != Some(1) || report.contains("No item was lost") || !names {
            faults.push(format!("{}: {code:?} {report}", world.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Both readings and the walk between them are by the dialect, and have the same holes.
#[test]
fn a_listing_with_holes_confirms_no_walk() {
    let upstream = CAPPED_PAGES_OF_ROWS.serve();
    let gateway = CAPPED_PAGES_OF_ROWS.gateway(&upstream);
    let (file, direct) = (gateway.file("cursorgate.toml"), format!("http://{}/rows", upstream.address));
    let (code, report) = run(&["walk", &direct, "--verify", &direct, "--config", file.to_str().expect("UTF-8")]);
    assert!(code == Some(1) && report.contains("105") && !report.contains("No item was lost"), "{code:?} {report}");
}

/// The gateway may believe the flag or the total, or not: its walk is lossless only if it has every row.
#[test]
fn a_walk_is_compared_with_everything_that_the_upstream_has() {
    let mut faults = Vec::new();
    for world in [&TRUNCATED, &FLAG_AND_TOTAL_BY_TOKEN, &FLAG_AND_TOTAL_BY_OFFSET, &TOTAL_OF_THE_PAGE] {
        let upstream = world.serve();
        let gateway = world.gateway(&upstream);
        let (code, report) = verified(&gateway, &upstream);
        let walked = items(&report, "by cursor");
        let is_right = match walked {
            250 => code == Some(0) && report.lines().next().is_some_and(|line| line.contains("none lost")),
            _ => code == Some(3) && report.contains(&format!("{} lost", 250 - walked)),
        };
        if !is_right || walked < 250 && report.contains("No item was lost") {
            faults.push(format!("{}: {code:?} {report}", world.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Rows are hidden after the limit was applied, more than a page in a row. The total counts them, so it names a place
/// after the gap. The list is walked by the dialect only, which ends at the gap.
#[test]
fn a_listing_goes_on_behind_empty_answers_to_the_place_that_the_total_names() {
    let gap = World {
        name: "a gap of hidden rows",
        rows: 250,
        dialect: dialect!("{ query = \"offset={offset}&limit={size}\" }", ", total = \"/total\""),
        answer: |_, asked| {
            let is_shown = |item: &&Value| !(61..=180).contains(&item["id"].as_u64().unwrap_or(0));
            json!({ "data": asked.items.iter().filter(is_shown).collect::<Vec<_>>(), "total": asked.all })
        },
    };
    let upstream = gap.serve();
    let gateway = gap.gateway(&upstream);
    let (file, direct) = (gateway.file("cursorgate.toml"), format!("http://{}/rows", upstream.address));
    let (code, report) = run(&["walk", &direct, "--verify", &direct, "--config", file.to_str().expect("UTF-8")]);
    assert!(code == Some(3) && report.contains("130 stayed") && report.contains("70 lost"), "{code:?} {report}");
}

/// Nothing says that the list goes on behind the gap. The direct readings look behind it, as the gateway does.
#[test]
fn a_direct_reading_looks_behind_rows_that_are_left_out() {
    let gap = World {
        name: "a gap of hidden rows, and no fact",
        rows: 250,
        dialect: dialect!("{ query = \"page={page}&limit={size}\", first_page = 0 }", ""),
        answer: |_, asked| {
            let is_shown = |item: &&Value| !(61..=90).contains(&item["id"].as_u64().unwrap_or(0));
            json!({ "data": asked.items.iter().filter(is_shown).collect::<Vec<_>>() })
        },
    };
    let upstream = gap.serve();
    let gateway = gap.gateway(&upstream);
    let (code, report) = verified(&gateway, &upstream);
    assert_eq!(items(&report, "by cursor"), 220, "{report}");
    assert!(code == Some(0) && report.contains("220 stayed and are judged"), "{code:?} {report}");
    assert!(report.contains("No item was lost"), "{report}");
}

#[test]
fn honest_lists_are_lossless_and_look_as_configured() {
    for world in &HONEST {
        let upstream = world.serve();
        let gateway = world.gateway(&upstream);
        let (code, report) = verified(&gateway, &upstream);
        assert_eq!(code, Some(0), "{}: {report}", world.name);
        assert!(report.contains("No item was lost"), "{}: {report}", world.name);
        let (code, report) = checked(&gateway);
        assert!(code == Some(0) && report.contains("looks as configured"), "{}: {report}", world.name);
    }
}

#[test]
fn facts_that_contradict_each_other_are_found_by_the_live_check() {
    let mut faults = Vec::new();
    for (world, words) in [
        (&WINDOW, &["257", "100", "request.max_depth"][..]),
        (&TRUNCATED, &["/truncated", "/next"]),
        (&FLAG_AND_TOTAL_BY_TOKEN, &["/more", "/next"]),
        (&FLAG_AND_TOTAL_BY_OFFSET, &["/more", "250"]),
        (&TOTAL_OF_THE_PAGE, &["/total", "items of the page"]),
        (&NO_PAGINATION, &["/pagination/total"]),
        (&CONSTANT_TOKEN, &["/next", "the token with which it was asked for"]),
        (&ALWAYS_MORE, &["/more", "/next"]),
        (&TOTAL_TOO_HIGH, &["/total", "255", "250"]),
        (&FIRST_PAGE_AS_WHOLE, &["/moreItemsInServer", "20 items"]),
    ] {
        let upstream = world.serve();
        let gateway = world.gateway(&upstream);
        let (code, report) = checked(&gateway);
        if code == Some(0) || !words.iter().all(|word| report.contains(word)) {
            faults.push(format!("{}: {code:?} {report}", world.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A count that is too high for good can't be told from a list of which only the beginning is shown. So the end is
/// served with a mark.
#[test]
fn an_end_that_a_total_contradicts_is_marked() {
    let upstream = TOTAL_TOO_HIGH.serve();
    let gateway = TOTAL_TOO_HIGH.gateway(&upstream);
    let pages = walk(&gateway, "/rows?limit=20", "next", &[], |_, _| {});
    let delivered: Vec<u64> = pages.iter().flat_map(ids).collect();
    assert_eq!(delivered, (1..=250).collect::<Vec<_>>());
    let (last, others) = pages.split_last().expect("a page");
    assert_eq!(last.header("cursorgate-end"), Some("unproven"), "{last:?}");
    assert!(others.iter().all(|page| page.header("cursorgate-end").is_none()));
}

/// The dialect doesn't declare the status of places past the end. The query names it, and the number of rows.
#[test]
fn a_list_whose_upstream_refuses_places_past_its_end_is_read() {
    let mut faults = Vec::new();
    for dialect in [
        dialect!("{ query = \"page={page}&limit={size}\", first_page = 0 }", ""),
        dialect!("{ query = \"page={page}&limit={size}\", first_page = 0 }", ", total = \"/total\""),
        dialect!("{ query = \"offset={offset}&limit={size}\" }", ""),
        dialect!("{ query = \"offset={offset}&limit={size}\" }", ", total = \"/total\""),
    ] {
        let upstream = Upstream::start(|exchange| {
            let number = |name| exchange.request.parameter(name).and_then(|text| text.parse::<usize>().ok());
            let (size, rows) = (number("limit").unwrap_or(20).min(MOST), number("rows").expect("a number of rows"));
            let from = number("page").map(|page| page * size).or_else(|| number("offset")).unwrap_or(0);
            if from >= rows {
                let status = format!("{} No", number("status").expect("a status"));
                return exchange.reply(&status, &[], b"");
            }
            let items = (from..(from + size).min(rows)).map(|id| json!({ "id": id + 1 }));
            let body = json!({ "data": items.collect::<Vec<_>>(), "total": rows }).to_string();
            exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
        });
        let world = World { name: "refusals", rows: 0, dialect, answer: |_, _| Value::Null };
        let filters = "[routes.rows]\nparameters = { filters = [\"rows\", \"status\"] }";
        let gateway = Gateway::start(
            &world.configuration(&upstream).replace("[routes.rows]", filters).replace("max = 50", "max = 100"),
        );
        for status in [204, 404] {
            for (rows, limit) in
                [3, 90, 95, 190].into_iter().flat_map(|rows| [7, 50, 90, 100].map(|limit| (rows, limit)))
            {
                let mut target = Some(format!("/rows?limit={limit}&rows={rows}&status={status}"));
                let mut delivered = Vec::new();
                while let Some(asked) = target {
                    let page = gateway.get(&asked);
                    if page.status != 200 {
                        faults.push(format!("{dialect}: {status}, {rows} by {limit}: {}", page.outcome()));
                        break;
                    }
                    delivered.extend(ids(&page));
                    target = page.link("next");
                }
                if delivered != (1..=rows).collect::<Vec<_>>() {
                    faults.push(format!("{dialect}: {status}, {rows} by {limit}: {delivered:?}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Clients of services see the mark as clients of the list do, and tools for people name it.
#[test]
fn services_and_explanations_pass_on_the_mark_of_an_end() {
    for (world, is_marked) in [(World { rows: 45, ..TOTAL_TOO_HIGH }, true), (World { rows: 45, ..HONEST[0] }, false)] {
        let upstream = world.serve();
        let services = "[services.graphql]\n[services.mcp]\n";
        let gateway = Gateway::start(&format!("{}{services}", world.configuration(&upstream)));
        let json = ("Content-Type", "application/json");
        let query = |text: &str| {
            let body = json!({ "query": text }).to_string();
            gateway.send("POST", "/graphql", &[json], body.as_bytes()).json()
        };
        let answer = query("{ rows(first: 50) { guarantee endUnproven pageInfo { hasNextPage } } }");
        assert_eq!(answer["data"]["rows"]["pageInfo"]["hasNextPage"], false, "{answer}");
        assert_eq!(answer["data"]["rows"]["endUnproven"], is_marked, "{answer}");
        // A client that doesn't select the field sees the mark too.
        let answer = query(
            "{ all: rows(first: 50) { pageInfo { hasNextPage } } few: rows(first: 5) { pageInfo { hasNextPage } } }",
        );
        let expected = if is_marked { json!({ "unprovenEnds": ["all"] }) } else { Value::Null };
        assert_eq!(answer["extensions"], expected, "{answer}");

        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "list_rows", "arguments": { "limit": 50 } },
        });
        let headers = [json, ("Accept", "application/json, text/event-stream")];
        let answer = gateway.send("POST", "/mcp", &headers, call.to_string().as_bytes());
        let result = &answer.json()["result"];
        assert_eq!(result["structuredContent"]["nextCursor"], Value::Null, "{answer:?}");
        let words = [&result["structuredContent"]["endUnproven"], &result["content"][0]["text"]];
        assert!(
            words.iter().all(|said| said.as_str().is_some_and(|said| said.contains("more follow")) == is_marked),
            "{answer:?}"
        );

        let file = gateway.file("cursorgate.toml");
        let file = file.to_str().expect("UTF-8");
        let explain = |form: &str| {
            run(&["explain", "GET", &gateway.url("/rows?limit=50"), "--live", "--format", form, "--config", file]).1
        };
        let text = explain("text");
        let line = text.lines().find(|line| line.trim_start().starts_with("end ")).unwrap_or_default();
        assert_eq!(line.contains("not proven") && line.contains("50") && line.contains("45"), is_marked, "{text}");
        let document: Value = serde_json::from_str(&explain("json")).expect("JSON");
        let said = &document["treatment"]["live"]["page"]["end_unproven"];
        assert_eq!(said.as_str().is_some_and(|said| said.contains("45 items")), is_marked, "{document}");
    }
}
