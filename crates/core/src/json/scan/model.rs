//! Random bodies and shapes: the result of a scan is compared with the tree that serde_json builds.

use serde_json::Value;

use super::super::pointer::PointerStep;
use super::compare::{compare_ways, serde_json_accepts};
use super::*;

/// Marsaglia's xorshift generator, which gives the same numbers on every platform.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// Appends a random value with blanks, duplicate members and escaped names. Its numbers count up from `count`, so a
/// wrong range is noticed.
fn push_value(out: &mut String, random: &mut Random, depth: usize, count: &mut usize) {
    let blank = |random: &mut Random| random.one_of(&["", "", "", " ", "\n\t", "\r "]);
    let kind = match depth {
        0 => random.below(3),
        1..4 => random.below(10),
        _ => 3 + random.below(7),
    };
    match kind {
        0 | 1 => {
            *count += 1;
            out.push_str(&count.to_string());
        }
        2 if random.below(12) == 0 => {
            // Long strings extend over several blocks, and sometimes over several windows.
            let piece = random.one_of(&["x", "é", "\\\\", "\\\"]", "{\\n", "\\u005c"]);
            let most = [40, 40, 40, 700][random.below(4)];
            let count = random.below(most);
            out.push_str(&format!("\"{}\"", piece.repeat(count)));
        }
        2 => out.push_str(random.one_of(&[
            "null",
            "true",
            "\"next\"",
            "\"n\\u0065xt\"",
            "\"\\\\\\\"]\"",
            "-0.5e1",
            "\"é,]}\"",
        ])),
        3..=6 => {
            out.push('[');
            for number in 0..random.below(4) {
                out.push_str(if number == 0 { "" } else { "," });
                out.push_str(blank(random));
                push_value(out, random, depth - 1, count);
                out.push_str(blank(random));
            }
            out.push(']');
        }
        _ => {
            out.push('{');
            for number in 0..random.below(5) {
                out.push_str(if number == 0 { "" } else { "," });
                out.push_str(blank(random));
                out.push_str(random.one_of(&["\"a\"", "\"b\"", "\"\\u0061\"", "\"rel\"", "\"\"", "\"0\"", "\"ab\""]));
                out.push_str(blank(random));
                out.push(':');
                out.push_str(blank(random));
                push_value(out, random, depth - 1, count);
                out.push_str(blank(random));
            }
            out.push('}');
        }
    }
}

fn pointer(random: &mut Random, longest: usize) -> Pointer {
    let steps =
        (0..random.below(longest + 1)).map(|_| random.one_of(&["/a", "/a", "/b", "/0", "/1", "/", "/[rel=next]"]));
    Pointer::parse(&steps.collect::<String>()).unwrap()
}

fn look<'v>(value: &'v Value, pointer: &Pointer) -> Option<&'v Value> {
    pointer.steps.iter().try_fold(value, |value, step| match (step, value) {
        (PointerStep::Member(name), Value::Object(members)) => members.get(name),
        (PointerStep::Member(name), Value::Array(elements)) if !name.starts_with('0') || name == "0" => {
            elements.get(name.parse::<usize>().ok()?)
        }
        (PointerStep::Matching { member, value: wanted }, Value::Array(elements)) => {
            elements.iter().find(|element| element.get(member).and_then(Value::as_str) == Some(wanted))
        }
        _ => None,
    })
}

/// Asserts that a span contains exactly this value, or is absent if `expected` is `None`.
#[track_caller]
fn assert_holds(body: &[u8], span: Span, expected: Option<&Value>) {
    let slice = span.of(body);
    assert_eq!(slice.trim_ascii(), slice);
    assert_eq!(serde_json::from_slice::<Value>(slice).ok().as_ref(), expected, "{}", String::from_utf8_lossy(body));
}

/// Compares a scan with the tree. Returns `false` if serde_json can't build a tree, because the body isn't JSON or has
/// values that a tree can't represent.
fn compare(body: &[u8], shape: &Shape) -> bool {
    let scanned = read_page(body, shape, Limits::default());
    let malformed = matches!(scanned, Err(JsonError::Malformed { .. }));
    assert_eq!(!malformed, serde_json_accepts(body), "{:?}", String::from_utf8_lossy(body));
    let Ok(tree) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    let elements = match look(&tree, &shape.items) {
        None | Some(Value::Null) => None,
        Some(Value::Array(elements)) => Some(elements),
        Some(_) => {
            assert_eq!(scanned.err(), Some(JsonError::NotAnArray));
            return true;
        }
    };
    let missing =
        elements.and_then(|elements| elements.iter().position(|element| look(element, &shape.item).is_none()));
    if let Some(index) = missing {
        assert_eq!(scanned.err(), Some(JsonError::ItemMissing { index }));
        return true;
    }
    let found = scanned.unwrap();
    let rows = elements.map_or(0, Vec::len);
    assert_eq!(found.items.as_ref().map(Vec::len), elements.map(Vec::len), "{}", String::from_utf8_lossy(body));
    assert_eq!((found.columns.len(), found.facts.len()), (rows * shape.columns.len(), shape.facts.len()));
    for (row, element) in elements.into_iter().flatten().enumerate() {
        assert_holds(body, found.items.as_ref().unwrap()[row], look(element, &shape.item));
        for (number, column) in shape.columns.iter().enumerate() {
            assert_holds(body, found.columns[row * shape.columns.len() + number], look(element, column));
        }
    }
    for (span, fact) in found.facts.iter().zip(&shape.facts) {
        assert_holds(body, *span, look(&tree, fact));
        assert_eq!(fact.find(body), Some(*span).filter(|span| !span.is_absent()));
    }
    true
}

#[test]
fn random_pages_and_their_mutations_are_read_as_a_tree_is() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut pages, mut rows, mut mutants, mut unread) = (0, 0, 0, 0);
    for _ in 0..20_000 {
        let mut text = String::new();
        push_value(&mut text, &mut random, 5, &mut 100);
        let shape = Shape {
            items: pointer(&mut random, 2),
            item: if random.below(3) > 0 { Pointer::default() } else { pointer(&mut random, 1) },
            columns: (0..random.below(4)).map(|_| pointer(&mut random, 3)).collect(),
            facts: (0..random.below(4)).map(|_| pointer(&mut random, 4)).collect(),
            object: ItemsObject::Refused,
        };
        // A tree has no duplicate members, so with an object for the items only the two readers are compared.
        let objects = [ItemsObject::Element, ItemsObject::Elements].map(|object| Shape { object, ..shape.clone() });
        let mut body = text.into_bytes();
        assert!(compare(&body, &shape));
        assert_eq!(compare_ways(&body, &shape), None);
        assert_eq!(objects.each_ref().map(|shape| compare_ways(&body, shape)), [None, None]);
        pages += 1;
        rows +=
            scan_page(&body, &shape, Limits::default()).map_or(0, |found| found.items.map_or(0, |items| items.len()));
        for _ in 0..3 {
            let place = random.below(body.len());
            match random.below(4) {
                0 => drop(body.remove(place)),
                1 => body.insert(place, b"{}[],:\"\\ \n0a\x1f\xc3-.e"[random.below(17)]),
                2 => body[place] = u8::try_from(random.below(256)).unwrap(),
                _ => {
                    let end = place + random.below(body.len() - place + 1);
                    body.extend_from_within(place..end);
                    body[place..].rotate_right(end - place);
                }
            }
            if body.is_empty() {
                break;
            }
            mutants += usize::from(compare(&body, &shape));
            unread += usize::from(compare_ways(&body, &shape).is_some_and(|items| items > 0));
        }
    }
    assert!(
        pages > 10_000 && rows > 5_000 && mutants > 5_000 && unread > 500,
        "{pages} pages, {rows} rows, {mutants} well-formed mutants, {unread} with faults in what is not read"
    );
}
