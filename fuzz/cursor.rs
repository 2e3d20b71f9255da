//! Cursors from clients, and claims that a cursor of the gateway could contain. No input causes a panic, no cursor
//! opens that was not made here, and a cursor that opens has the same claims after it is made again.
#![no_main]

use std::sync::LazyLock;

use cursorgate_core::pagination::order::{Direction, Kind, Nulls, Order, SortKey, Ties};
use cursorgate_cursor::cursor::{
    Claims, CursorContext, ContextParts, KeyRing, inspect, open, seal, seal_item, sign_anything,
};
use libfuzzer_sys::fuzz_target;

const LONGEST: usize = 4_096;

static KEYS: LazyLock<KeyRing> =
    LazyLock::new(|| KeyRing::new(1, &[(1, b"a key of the fuzzer, and of nothing else")]).expect("it is long enough"));

fuzz_target!(|input: &[u8]| {
    let key = |name: &str| SortKey {
        name: name.to_owned(),
        direction: Direction::Ascending,
        kind: Kind::Inferred,
        nulls: Nulls::Unsaid,
        grain: None,
    };
    let order = Order::declared(vec![key("at")], key("id"), Ties::Ordered);
    let parts = ContextParts { route: "r", host: "", path: "/", filters: b"", order: &order, headers: &[] };
    let context = CursorContext::new(parts);
    if let Ok(text) = std::str::from_utf8(input) {
        _ = inspect(Some(&KEYS), text);
        // An input is never signed with this key, so it must not open.
        assert!(open(&KEYS, &context, text, 0, None, LONGEST, false).is_err(), "{text}");
    }
    let Some(ours) = sign_anything(&KEYS, &context, input) else { return };
    let Ok(opened) = open(&KEYS, &context, &ours, 0, None, usize::MAX, false) else { return };
    let again = match &opened.claims {
        Claims::Page(target) => seal(&KEYS, &context, target, None, usize::MAX, false),
        Claims::Item(item) => seal_item(&KEYS, &context, item, usize::MAX, false),
    };
    let again = again.expect("no length is too long");
    assert_eq!(open(&KEYS, &context, &again, 0, None, usize::MAX, false).as_ref(), Ok(&opened), "{again}");
});
