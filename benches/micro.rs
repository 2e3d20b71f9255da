//! The cost of single steps of a page, each alone and without I/O: slicing, cursors, envelopes, routes, configuration.
//!
//!     cargo bench --bench micro [FILTER]
//!
//! Fixtures come from a configuration, as in the binary: its snapshot's own dialect, order and envelopes are measured.
#![expect(clippy::expect_used, reason = "a fixture that can't be made ends the benchmark")]

use std::{cell::RefCell, fmt::Write as _, hint::black_box, path::Path, sync::Arc};

use cursorgate_config::{Environment, load_text, settings::ContentCoding};
use cursorgate_core::{
    json::{ItemsObject, Limits, Pointer, Shape, scan_page},
    pagination::{
        answer::Answer,
        key::KeyRef,
        page::Page,
        position::{Hint, Item, Position, Target},
        resolver::{Limit, PageRequest, Step, resolve},
    },
};
use cursorgate_cursor::cursor::{self, ContextParts, CursorContext, ItemMint};
use cursorgate_gateway::{List, Live, Route, Snapshot, compress, net::memory::Memory};
use cursorgate_translate::{
    downstream::{
        Content, EnvelopeTemplate, Facts, ItemCursors, LinkSet, render::output::Output, response::PageResponse,
    },
    upstream::CompiledOrder,
};
use divan::{Bencher, counter::BytesCount};
use http::{HeaderMap, HeaderValue};

fn main() {
    divan::main();
}

/// The sizes of the measured upstream answers, as `items_of` names them.
const SIZES: [&str; 3] = ["5k", "100k", "1m"];
const ENVELOPES: [&str; 3] = ["standard", "page-info", "relay"];

/// An environment with one key for every variable, and without files.
struct OneKey;

impl Environment for OneKey {
    fn variable(&self, _name: &str) -> Option<String> {
        Some("a-key-of-the-benchmark-and-of-nothing-else".to_owned())
    }

    fn read(&self, _path: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

/// Returns a configuration of `routes` list routes, alternately with a fixed path and with a parameter in the path.
fn configuration(routes: usize, envelope: &str) -> String {
    let mut text = format!(
        "version = 1\n\
         cursor = {{ signing_key = 1, keys = {{ 1 = \"env:KEY\" }} }}\n\
         [upstreams.legacy]\npeers = [\"127.0.0.1:9\"]\nhost_header = \"legacy\"\n\
         [dialects.legacy]\nsize = {{ max = 1000 }}\n\
         request = {{ query = \"offset={{offset}}&limit={{size}}\" }}\n\
         response = {{ items = \"/data\", total = \"/total\" }}\n\
         [defaults]\nupstream = \"legacy\"\ndialect = \"legacy\"\norder = [\"id\"]\nenvelope = \"{envelope}\"\n\
         fields = {{ id = {{ type = \"number\" }} }}\npage_size = {{ default = 20, max = 998 }}\n"
    );
    for route in 0..routes {
        let parameter = if route % 2 == 0 { "" } else { "/{tenant}" };
        write!(text, "[routes.r{route}]\npath = \"/api/v1/resource-{route}{parameter}/items\"\n")
            .expect("a string takes all");
    }
    text
}

fn snapshot(text: &str) -> Snapshot {
    let (settings, mut diagnostics) = load_text("bench.toml", text, &OneKey);
    let built = settings.and_then(|settings| Snapshot::build(&settings, None, &mut diagnostics));
    built.expect("the configuration is a good one")
}

/// Returns the number of items in the upstream's answer, and the approximate size of each in bytes.
fn items_of(size: &str) -> (usize, usize) {
    match size {
        "5k" => (20, 250),
        "100k" => (100, 1_000),
        _ => (1_000, 1_000),
    }
}

/// Returns an upstream's answer as typical APIs write it: numbers, text with escapes, nesting.
fn body(size: &str) -> Vec<u8> {
    let (count, about) = items_of(size);
    let mut text = String::from("{\"data\":[");
    for item in 0..count {
        let id = 100_000 + item;
        let comma = if item == 0 { "" } else { "," };
        let start = text.len();
        write!(
            text,
            "{comma}{{\"id\":{id},\"created_at\":\"2026-01-01T00:01:40.{:03}Z\",\"name\":\"User \u{e9} \\\"{id}\\\"\",\
             \"email\":\"user{id}@example.com\",\"active\":true,\"balance\":{id}.25,\
             \"address\":{{\"street\":\"Main Street 9\",\"city\":\"Berlin\",\"geo\":[52.5,13.4]}}",
            item % 1_000
        )
        .expect("a string takes all");
        let short = about.saturating_sub(text.len() - start + 12);
        if short > 0 {
            let sentence = "The quick brown fox \\\\ jumps / over the lazy dog. ";
            let notes = sentence.repeat(short / sentence.len() + 1);
            write!(text, ",\"notes\":\"{}\"", &notes[..short / sentence.len() * sentence.len()])
                .expect("a string takes all");
        }
        text.push('}');
    }
    text.push_str("],\"total\":1000000}");
    text.into_bytes()
}

/// A list route, the limit of a page, and the upstream's answer from which the page is made.
struct Fixture {
    snapshot: Snapshot,
    limit: u32,
    body: Vec<u8>,
}

impl Fixture {
    fn new(size: &str, envelope: &str) -> Self {
        // With two items to spare, one answer makes the page. Test: `pages_take_at_most_the_requests_in_the_table`.
        let limit = u32::try_from(items_of(size).0 - 2).expect("pages are small");
        Self { snapshot: snapshot(&configuration(1, envelope)), limit, body: body(size) }
    }

    fn route(&self) -> &Arc<Route> {
        self.snapshot.routes.first().expect("there is one route")
    }

    fn list(&self) -> &List {
        self.route().list.as_ref().expect("the route serves a list")
    }

    fn sorted(&self) -> &Arc<CompiledOrder> {
        self.list().dialect.default_sorted()
    }

    fn envelope(&self) -> &EnvelopeTemplate {
        &self.list().conventions.own().envelope
    }

    fn context(&self) -> CursorContext {
        let order = &*self.sorted().order;
        CursorContext::new(ContextParts { route: "r0", host: "", path: "/", filters: b"", order, headers: &[] })
    }

    /// Computes a page from the bytes of the upstream's answer. This is all of the gateway's work between its two
    /// sockets, apart from rendering.
    fn page(&self, body: Vec<u8>) -> Box<Page> {
        let (list, sorted) = (self.list(), self.sorted());
        let target = Target { position: Position::Start, hint: Hint::default() };
        let (order, paging) = (Arc::clone(&sorted.order), Arc::clone(list.dialect.paging()));
        let mut step = resolve(PageRequest::new(
            target,
            Limit::at_least_one(self.limit),
            order,
            paging,
            list.keys.signing_marker(),
        ));
        let mut body = Some(body);
        loop {
            match step {
                Step::Serve(page) => return page,
                Step::Fetch(fetches, pending) => {
                    let answers = fetches.iter().map(|fetch| {
                        let ask = list.dialect.ask(sorted, fetch, "", "/").expect("slices can be asked for");
                        let body = body.take().expect("one answer makes a page");
                        self.read(&ask, body)
                    });
                    let answers = answers.collect();
                    step = pending.resume(answers);
                }
                Step::Refuse(refusal) => unreachable!("{refusal:?}"),
            }
        }
    }

    fn read(&self, ask: &cursorgate_translate::upstream::UpstreamRequest, body: Vec<u8>) -> Answer {
        let read = self.list().dialect.read(self.sorted(), ask, 200, &HeaderMap::new(), body, 128);
        read.expect("the answer is a list")
    }
}

/// Returns the facts of a page with typical links.
fn facts<'a>(links: &'a LinkSet, item_cursors: Option<&'a dyn ItemCursors>) -> Facts<'a> {
    let token = Some("AQHmzoimPTlCHc4ePJ2rZ6ICEwABwIQ9AAOyjQaRr78lQasYUQrNe2cuzbv5");
    Facts {
        limit: 100,
        path: "/api/v1/resource-0/items",
        level: "exact",
        now: None,
        has_next: true,
        has_prev: true,
        has_more: true,
        total: None,
        page: None,
        pages: None,
        next_cursor: token,
        prev_cursor: token,
        start_cursor: token,
        end_cursor: token,
        links,
        request: &[],
        item_cursors,
    }
}

fn links() -> LinkSet {
    let link = |token: &str| Some(format!("/api/v1/resource-0/items?limit=100{token}"));
    let cursor = "&cursor=AQHmzoimPTlCHc4ePJ2rZ6ICEwABwIQ9AAOyjQaRr78lQasYUQrNe2cuzbv5";
    LinkSet { self_: link(cursor), first: link(""), prev: link(cursor), next: link(cursor), last: link(cursor) }
}

/// Makes cursors of items by their ids, like the gateway for an order by id.
struct Mint<'a> {
    page: &'a Page,
    mint: RefCell<ItemMint<'a>>,
}

impl ItemCursors for Mint<'_> {
    fn push(&self, index: usize, out: &mut Vec<u8>) -> bool {
        let place = self.page.items[index];
        let answer = &self.page.answers[place.answer as usize];
        let id = answer.id(place.item as usize);
        self.mint.borrow_mut().push_keyed(0, std::iter::once(KeyRef::of_id(id)), out)
    }
}

/// A single pass over a body, which finds items, ids and the total.
#[divan::bench(args = SIZES)]
fn slice(bencher: Bencher<'_, '_>, size: &str) {
    let body = body(size);
    let place = |text| Pointer::parse(text).expect("a pointer");
    let shape = Shape {
        items: place("/data"),
        item: Pointer::default(),
        columns: vec![place("/id")],
        facts: vec![place("/total")],
        object: ItemsObject::Refused,
    };
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| scan_page(black_box(&body), &shape, Limits::default()).expect("the body is well-formed"));
}

/// The computation of a page from the bytes of an answer.
#[divan::bench(args = SIZES)]
fn prove(bencher: Bencher<'_, '_>, size: &str) {
    let fixture = Fixture::new(size, "standard");
    bencher
        .counter(BytesCount::new(fixture.body.len()))
        .with_inputs(|| fixture.body.clone())
        .bench_values(|body| fixture.page(body));
}

/// Rendering of a page's body in its envelope, with the cursors of items if the envelope has them.
#[divan::bench(args = ENVELOPES)]
fn envelope_of_100_items(bencher: Bencher<'_, '_>, envelope: &str) {
    let fixture = Fixture::new(SIZES[1], envelope);
    let (page, links, context) = (fixture.page(fixture.body.clone()), links(), fixture.context());
    let mut room = Vec::with_capacity(2 * fixture.body.len());
    bencher.bench_local(|| {
        let mint = RefCell::new(ItemMint::new(&fixture.list().keys, &context, 2_048, false));
        let cursors = Mint { page: &page, mint };
        let needs = fixture.envelope().needs();
        let cursors = needs.item_cursors.then_some(&cursors as &dyn ItemCursors);
        // The buffer is used again, so its growth is not measured.
        let mut out = Output::from(std::mem::take(&mut room));
        out.bytes.clear();
        fixture.envelope().render(&facts(&links, cursors), black_box(&page), &mut out);
        room = out.bytes;
        black_box(room.len())
    });
}

/// The whole response: body, validator, `Link`, headers.
#[divan::bench(args = SIZES)]
fn response(bencher: Bencher<'_, '_>, size: &str) {
    let fixture = Fixture::new(size, "standard");
    let (page, links) = (fixture.page(fixture.body.clone()), links());
    let mut upstream = HeaderMap::new();
    upstream.insert("content-type", HeaderValue::from_static("application/json"));
    upstream.insert("date", HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT"));
    let facts = facts(&links, None);
    bencher.counter(BytesCount::new(fixture.body.len())).bench_local(|| {
        PageResponse {
            template: fixture.envelope(),
            facts: &facts,
            page: black_box(&page),
            upstream: &[&upstream],
            beside: &[],
            varies: &fixture.list().varies,
            preference_applied: None,
            link_length: 4_096,
            extra_links: &[],
            service_links: &[],
            legacy_headers: &[],
        }
        .render()
    });
}

/// Compression of a body by a content coding.
#[divan::bench(args = [ContentCoding::Zstd, ContentCoding::Brotli, ContentCoding::Gzip], consts = [0, 1, 2])]
fn compressed<const SIZE: usize>(bencher: Bencher<'_, '_>, coding: &ContentCoding) {
    let memory = Memory::new(1 << 30);
    let body = Content::from(body(SIZES[SIZE]));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    bencher
        .counter(BytesCount::new(body.len()))
        .bench_local(|| runtime.block_on(compress(black_box(&body), *coding, &memory.share())));
}

/// Sealing of a page cursor. A page in the middle of a list has one for each direction.
#[divan::bench]
fn cursor_sign(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new(SIZES[0], "standard");
    let next = fixture.page(fixture.body.clone()).into_facts().next.expect("there is a next page");
    let context = fixture.context();
    bencher.bench_local(|| cursor::seal(&fixture.list().keys, &context, black_box(&next), None, 2_048, false));
}

/// Verification and reading of a page cursor, with a context that has just been made.
#[divan::bench]
fn cursor_verify(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new(SIZES[0], "standard");
    let next = fixture.page(fixture.body.clone()).into_facts().next.expect("there is a next page");
    let keys = &fixture.list().keys;
    let token = cursor::seal(keys, &fixture.context(), &next, None, 2_048, false).expect("a short cursor");
    // A context remembers its fingerprint, so each iteration has a new context, like each request.
    bencher.with_inputs(|| fixture.context()).bench_local_refs(|context| {
        cursor::open(keys, context, black_box(&token), 0, None, 2_048, false).expect("our own cursor")
    });
}

/// Sealing of the cursor of one item. An envelope with cursors of items needs one for each item of a page.
#[divan::bench]
fn cursor_of_an_item(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new(SIZES[0], "relay");
    let page = fixture.page(fixture.body.clone());
    let (first, _): &(Item, Item) = page.edges.as_ref().expect("the page has items");
    let context = fixture.context();
    let mut mint = ItemMint::new(&fixture.list().keys, &context, 2_048, false);
    let mut out = Vec::with_capacity(256);
    bencher.bench_local(|| {
        out.clear();
        assert!(mint.push(black_box(first), &mut out), "a short cursor");
    });
}

/// Search for a request's route among 200: by a fixed path, by a path with a parameter, and for a path without a route.
#[divan::bench(args = ["/api/v1/resource-120/items", "/api/v1/resource-121/acme/items", "/api/v2/nothing"])]
fn route_match(bencher: Bencher<'_, '_>, path: &str) {
    let snapshot = snapshot(&configuration(200, "standard"));
    bencher.bench(|| snapshot.table.find(black_box(Some("api.example.com")), black_box(path)));
}

/// Pinning of the snapshot, with which each request begins: one load of a pointer.
#[divan::bench]
fn snapshot_pin(bencher: Bencher<'_, '_>) {
    let live = Live::new(snapshot(&configuration(200, "standard")));
    bencher.bench(|| live.pin());
}

/// The cost of a reload: reading, checking and compiling a configuration of `routes` routes.
#[divan::bench(args = [1, 10, 200], sample_count = 20)]
fn snapshot_load(bencher: Bencher<'_, '_>, routes: usize) {
    let text = configuration(routes, "standard");
    bencher.bench(|| snapshot(black_box(&text)));
}
