use serde_json::{Value, json};

use super::*;

fn places() -> ItemPlaces {
    ItemPlaces { items: Some("/data".to_owned()), id: Pointer::parse("/id").ok() }
}

/// Returns the difference between two pages, and checks that applying it to `from` gives `to`.
fn patched(from: &str, to: &str, places: &ItemPlaces) -> String {
    let text = String::from_utf8(difference(from.as_bytes(), to.as_bytes(), places, usize::MAX).unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_str(&text).unwrap();
    let mut page: Value = serde_json::from_str(from).unwrap();
    json_patch::patch(&mut page, &patch).unwrap_or_else(|fault| panic!("{fault}: {text} on {from}"));
    assert_eq!(page, serde_json::from_str::<Value>(to).unwrap(), "{text}\non {from}");
    text
}

#[test]
fn an_item_that_comes_goes_or_moves_is_one_operation() {
    let page = |ids: &[u32]| {
        let items: Vec<String> = ids.iter().map(|id| format!(r#"{{"id":{id},"name":"user {id}"}}"#)).collect();
        format!(r#"{{"data":[{}]}}"#, items.join(","))
    };
    for (from, to, expected) in [
        (&[1, 2, 3][..], &[1, 3][..], json!([{ "op": "remove", "path": "/data/1" }])),
        (&[1, 2], &[9, 1, 2], json!([{ "op": "add", "path": "/data/0", "value": { "id": 9, "name": "user 9" } }])),
        (&[7, 1, 2, 3], &[1, 2, 3, 7], json!([{ "op": "move", "from": "/data/0", "path": "/data/3" }])),
        (&[1, 2, 3, 7], &[7, 1, 2, 3], json!([{ "op": "move", "from": "/data/3", "path": "/data/0" }])),
        (&[1, 2], &[1, 2], json!([])),
        (
            // A new row at the start of a full page.
            &[3, 2, 1],
            &[4, 3, 2],
            json!([
                { "op": "remove", "path": "/data/2" },
                { "op": "add", "path": "/data/0", "value": { "id": 4, "name": "user 4" } },
            ]),
        ),
    ] {
        let text = patched(&page(from), &page(to), &places());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected, "{from:?} {to:?}");
    }
}

#[test]
fn members_that_change_have_operations_of_their_own() {
    let from = r#"{"data":[{"id":1,"a/b":1,"~":{"x":[1,2]},"gone":null}],"next":"c1"}"#;
    let to = r#"{"next":"c2", "data":[{"id":1,"a/b":2,"~":{"x":[1,3]},"new":[]}]}"#;
    let expected = json!([
        { "op": "replace", "path": "/next", "value": "c2" },
        { "op": "remove", "path": "/data/0/gone" },
        { "op": "replace", "path": "/data/0/a~1b", "value": 2 },
        { "op": "replace", "path": "/data/0/~0/x/1", "value": 3 },
        { "op": "add", "path": "/data/0/new", "value": [] },
    ]);
    assert_eq!(serde_json::from_str::<Value>(&patched(from, to, &places())).unwrap(), expected);
}

#[test]
fn numbers_keep_their_digits() {
    let most = usize::MAX;
    let of = |from: &str, to: &str| {
        String::from_utf8(difference(from.as_bytes(), to.as_bytes(), &places(), most).unwrap()).unwrap()
    };
    let number = "123456789012345678901234567890.10";
    let from = r#"{"data":[{"id":18446744073709551617,"n":1.0}]}"#;
    assert_eq!(
        of(from, &from.replace("1.0", number)),
        format!(r#"[{{"op":"replace","path":"/data/0/n","value":{number}}}]"#)
    );
    // Two ids that are equal as floating-point numbers still identify two items.
    assert_eq!(
        of(from, &from.replace("51617", "51618")),
        r#"[{"op":"remove","path":"/data/0"},{"op":"add","path":"/data/0","value":{"id":18446744073709551618,"n":1.0}}]"#
    );
    // Clients might show a number as it is written, so another spelling is a change.
    assert_eq!(of(from, &from.replace("1.0", "1.00")), r#"[{"op":"replace","path":"/data/0/n","value":1.00}]"#);
}

#[test]
fn values_that_no_patch_can_name_are_replaced_as_a_whole() {
    for (from, to) in [
        (r#"{"a":{"__proto__":1,"b":1}}"#, r#"{"a":{"__proto__":2,"b":1}}"#),
        (r#"{"a":{"\ud800":1,"b":1}}"#, r#"{"a":{"\ud800":1,"b":2}}"#),
        (r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#),
        (r#"{"a":"1"}"#, r#"{"a":1}"#),
    ] {
        let text = difference(from.as_bytes(), to.as_bytes(), &places(), usize::MAX).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with(r#"[{"op":"replace","path":"/a","value":"#), "{text}");
    }
    let deep = |end: &str| format!("{}{end}{}", "[".repeat(2_000), "]".repeat(2_000));
    assert!(patched_size(&deep("1"), &deep("2")) > 3_000, "the depth is bounded");
}

fn patched_size(from: &str, to: &str) -> usize {
    difference(from.as_bytes(), to.as_bytes(), &places(), usize::MAX).unwrap().len()
}

#[test]
fn a_patch_longer_than_the_page_is_not_made() {
    let page = |from: u32| {
        let items: Vec<String> = (from..from + 20).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
        format!(r#"{{"data":[{}]}}"#, items.join(","))
    };
    let (one, other) = (page(1), page(100));
    assert_eq!(difference(one.as_bytes(), other.as_bytes(), &places(), other.len()), None);
    let near = page(2);
    assert!(difference(one.as_bytes(), near.as_bytes(), &places(), near.len()).is_some());
}

/// A generator of pseudo-random numbers (xorshift64*), which are the same in each run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).unwrap() % bound
    }
}

/// Makes a random change to a list: inserts, removes, moves, swaps or changes rows, or adds or removes a member.
fn change(rows: &mut Vec<Value>, draws: &mut Draws, number: usize) {
    let place = draws.below(rows.len() + 1);
    let row = json!({ "id": number, "n": draws.below(5), "tags": [draws.below(3), "x"], "at": { "a/b~": null } });
    match (draws.below(8), rows.len()) {
        (0 | 1, length) if length < 60 => rows.insert(place, row),
        (2, 2..) => {
            rows.remove(place % rows.len());
        }
        (3, 2..) => {
            let moved = rows.remove(place % rows.len());
            let to = draws.below(rows.len() + 1);
            rows.insert(to, moved);
        }
        (4, 2..) => {
            let other = draws.below(rows.len());
            let place = place % rows.len();
            rows.swap(place, other);
        }
        (5, 1..) => {
            let length = rows.len();
            let row = &mut rows[place % length];
            row["tags"].as_array_mut().unwrap().push(json!(draws.below(3)));
        }
        (6, 1..) => {
            let length = rows.len();
            let row = rows[place % length].as_object_mut().unwrap();
            if row.remove("at").is_none() {
                row.insert("at".to_owned(), json!([draws.below(9)]));
            }
        }
        (_, 1..) => {
            let length = rows.len();
            rows[place % length]["n"] = json!(draws.below(1_000));
        }
        _ => rows.push(row),
    }
}

/// Whatever changes between two pages, the patch from one to the next gives exactly the next page.
#[test]
fn ten_thousand_random_changes_are_followed() {
    let mut draws = Draws(0x9E37_79B9_7F4A_7C15);
    let (mut rows, mut page) = (Vec::new(), json!({ "data": [], "total": 0 }));
    let (mut patches, mut pages) = (0_usize, 0_usize);
    let mut changes = 0;
    while changes < 10_000 {
        // Between two polls there can be several changes.
        for _ in 0..=draws.below(4) {
            changes += 1;
            change(&mut rows, &mut draws, changes);
        }
        // The page contains only the first 20 rows of the list.
        let shown: Vec<&Value> = rows.iter().take(20).collect();
        let next = json!({ "data": shown, "total": rows.len(), "next": rows.get(19).map(|row| &row["id"]) });
        let (from, to) = (page.to_string(), next.to_string());
        for places in [places(), ItemPlaces { id: None, ..places() }, ItemPlaces::default()] {
            patched(&from, &to, &places);
        }
        patches += difference(from.as_bytes(), to.as_bytes(), &places(), usize::MAX).unwrap().len();
        pages += to.len();
        page = next;
    }
    assert!(patches * 3 < pages, "patches of {patches} bytes in place of pages of {pages}");
}
