//! Pages, envelopes and snapshots for tests.

use std::path::Path;

use super::envelope::{links::LinkSet, page_facts::Facts};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located},
    settings::{EnvelopeSettings, ErrorSettings},
    tree::{self, LocatedTree, Tree},
};
use cursorgate_core::{
    json::Span,
    pagination::{
        answer::Answer,
        page::{ItemPlace, Page},
    },
};

fn answer(items: &[(&str, Option<&str>)]) -> Answer {
    let mut body = Vec::new();
    let mut put = |text: &str| {
        let start = u32::try_from(body.len()).unwrap();
        body.extend_from_slice(text.as_bytes());
        Span { start, end: start + u32::try_from(text.len()).unwrap() }
    };
    let mut before = "[";
    let mut put_item = |item: &str| {
        put(std::mem::replace(&mut before, ","));
        put(item)
    };
    let spans = items.iter().map(|(item, _)| put_item(item)).collect();
    // Each item has two keys: a strong key that no test reads, and the id.
    let keys = items.iter().flat_map(|(_, id)| [Span::ABSENT, id.map_or(Span::ABSENT, &mut put)]).collect();
    Answer::listed(body, spans, keys)
}

/// Returns a page of `items`, each with its id if it has one. The first `in_first` items are from one answer, the
/// others from a second.
pub(super) fn page(items: &[(&str, Option<&str>)], in_first: usize) -> Page {
    let (one, other) = items.split_at(in_first.min(items.len()));
    let places = |answer: u32, count: usize| {
        (0..count).map(move |item| ItemPlace { answer, item: u32::try_from(item).unwrap() })
    };
    let items = places(0, one.len()).chain(places(1, other.len())).collect();
    Page::positional(vec![answer(one), answer(other)], items)
}

/// Returns the facts of a page in which every fact that can be unknown is unknown.
pub(super) fn facts(links: &LinkSet) -> Facts<'_> {
    Facts {
        limit: 20,
        path: "/api/users",
        level: "exact",
        now: Some("2026-01-15T00:00:00Z"),
        has_next: false,
        has_prev: false,
        has_more: false,
        total: None,
        page: None,
        pages: None,
        next_cursor: None,
        prev_cursor: None,
        start_cursor: None,
        end_cursor: None,
        links,
        request: &[],
        item_cursors: None,
    }
}

/// Reads an envelope from the JSON of its file. Members that no test uses are ignored.
pub(super) fn envelope(text: &str, diagnostics: &mut Diagnostics) -> EnvelopeSettings {
    let source = diagnostics.add_source("mine.json".to_owned(), text.to_owned());
    let file = tree::read(source, text, diagnostics).expect("the test's JSON is well formed");
    let at = file.at;
    let Tree::Object(members) = file.value else { panic!("an envelope is an object") };
    let member = |name: &str| members.iter().find(|(own, _)| own.value == name).map(|(_, value)| value.clone());
    let text = |tree: Option<LocatedTree>| match tree.map(|tree| tree.value) {
        Some(Tree::Text(text)) => Some(text),
        _ => None,
    };
    let texts = |tree: Option<LocatedTree>| match tree.map(|tree| tree.value) {
        Some(Tree::Object(members)) => members
            .into_iter()
            .map(|(name, value)| match value.value {
                Tree::Text(text) => (name, Located { value: text, at: value.at }),
                _ => panic!("a text"),
            })
            .collect(),
        _ => Vec::new(),
    };
    EnvelopeSettings {
        name: "mine".to_owned(),
        at,
        content_type: text(member("content_type")).unwrap_or_else(|| "application/json".to_owned()),
        headers: texts(member("headers")),
        body: member("body").expect("an envelope has a body"),
        error: member("error").map(|body| ErrorSettings {
            body,
            content_type: text(member("error_content_type")).unwrap_or_else(|| "application/json".to_owned()),
            types: texts(member("error_types")),
        }),
        ..EnvelopeSettings::default()
    }
}

/// The built-in envelope `standard`.
pub(super) const STANDARD: &str = include_str!("../../../../config/envelopes/standard.json");
/// The built-in envelope `bare`: only the array of items.
pub(super) const BARE: &str = include_str!("../../../../config/envelopes/bare.json");

/// Asserts that `text` equals the file `tests/snapshots/NAME`. If the variable `UPDATE_SNAPSHOTS` is set, `text` is
/// first written to that file.
pub(crate) fn assert_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let differing = text.lines().zip(expected.lines()).find(|(now, before)| now != before);
    assert_eq!(differing, None, "{name} (now, before): set UPDATE_SNAPSHOTS to accept what is rendered now");
    assert_eq!(text.len(), expected.len(), "{name}");
}
