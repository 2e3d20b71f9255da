//! Scans of any body by one of five shapes. A full scan accepts the bodies that serde_json accepts, apart from bounds.
//! In these, a scan by the outline finds the same, with and without vector instructions. In other bodies, no item
//! extends beyond its place.
#![no_main]

use std::sync::LazyLock;

use cursorgate_core::json::{ItemsObject, Pointer, Shape, scan::compare};
use libfuzzer_sys::fuzz_target;

static SHAPES: LazyLock<[Shape; 5]> = LazyLock::new(|| {
    [
        shape("/data", "", &["/id", "/at"], &["/total"]),
        shape("", "", &["/id"], &[]),
        shape("/a", "/node", &["/node/id", "/cursor"], &["/n/o", "/links/[rel=next]/href"]),
        shape("/a", "", &["/a", "/0", "/é", "/"], &["/0/[a=a]/a", "/a/a"]),
        shape("/0/a", "", &[], &["/0/a/1", ""]),
    ]
});

fn shape(items: &str, item: &str, columns: &[&str], facts: &[&str]) -> Shape {
    let pointer = |text: &&str| Pointer::parse(text).expect("a pointer");
    Shape {
        items: pointer(&items),
        item: pointer(&item),
        columns: columns.iter().map(pointer).collect(),
        facts: facts.iter().map(pointer).collect(),
        object: ItemsObject::Refused,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let shape = &SHAPES[usize::from(*choice) % SHAPES.len()];
    compare::compare_verdicts(body, shape);
    compare::compare_ways(body, shape);
});
