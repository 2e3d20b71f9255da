//! Compiled skeletons: the JSON of an envelope as a sequence of literals and values, with conditions on parts that are
//! rendered only if something in them is known.
//!
//! A comma is part of a literal if a member before it is always present. Otherwise it has the condition that one of the
//! members before it is present. The output is therefore valid JSON for every combination of known values.

use super::{
    facts::{Condition, Presence, RenderedValue, Scope, Slot, ValueSource},
    output::Output,
    placeholder::{PlaceholderText, TextPart, ValueForm},
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located, Location},
    tree::{LocatedTree, Tree},
};
use cursorgate_core::{
    json::{
        Pointer,
        write::{push_number, push_text},
    },
    pagination::page::Page,
};

/// A step of rendering.
#[derive(Debug, PartialEq, Eq)]
pub enum SkeletonSegment {
    Literal(Vec<u8>),
    /// The value of a placeholder. If the value is unknown, a whole JSON value is `null`, and other forms are empty.
    Value(Slot, ValueForm),
    /// Steps that are rendered only under a condition.
    If(Condition, Vec<Self>),
    /// Steps for each item that meets the condition, separated by commas.
    Items(Presence, Vec<Self>),
}

impl SkeletonSegment {
    /// Returns whether this step writes the items with only commas between them.
    fn is_bare_items(&self) -> bool {
        matches!(self, Self::Items(Presence::Always, inner) if matches!(inner[..], [Self::Value(Slot::Item, ValueForm::Typed)]))
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Skeleton {
    pub segments: Vec<SkeletonSegment>,
}

impl Skeleton {
    /// Compiles the body of an envelope, which must contain an array of items. The repeated places in the request's
    /// body are added to `requests`. Reports faults, and returns `None` if there are any.
    pub fn compile_body(
        tree: &LocatedTree,
        collection: &str,
        requests: &mut Vec<Pointer>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut compiler =
            SkeletonCompiler { collection, requests, diagnostics, scopes: &[Scope::Page], sound: true, arrays: 0 };
        let CompiledPart { segments, .. } = compiler.node(tree);
        if compiler.sound && compiler.arrays == 0 {
            compiler.fault(tree.at, "the body has no place for the items", "write [\"{item}\"] where their array goes");
        }
        compiler.sound.then_some(Self { segments })
    }

    /// Compiles the error body of an envelope. At least a part of the body must always be known. Reports faults, and
    /// returns `None` if there are any.
    pub fn compile_error(tree: &LocatedTree, collection: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let requests = &mut Vec::new();
        let mut compiler =
            SkeletonCompiler { collection, requests, diagnostics, scopes: &[Scope::Error], sound: true, arrays: 0 };
        let CompiledPart { presence, segments, .. } = compiler.node(tree);
        if compiler.sound && presence != Presence::Always {
            let help = "add something that is always known: {code}, {status}, {title}, {detail} or {request_id}";
            compiler.fault(tree.at, "the error body may be empty", help);
        }
        compiler.sound.then_some(Self { segments })
    }

    /// Compiles a header's value, and the condition under which the header is sent. Reports faults, and returns `None`
    /// if there are any.
    pub fn compile_header(
        text: &Located<String>,
        collection: &str,
        requests: &mut Vec<Pointer>,
        diagnostics: &mut Diagnostics,
    ) -> Option<(Presence, Self)> {
        let read = PlaceholderText::parse(&text.value, text.at, collection, &[Scope::Page], requests, diagnostics)?;
        if read.or_null {
            diagnostics.error(
                text.at,
                "a header can't be null",
                "without `|null` the header is left out where its value is unknown",
            );
            return None;
        }
        let mut segments = Vec::new();
        for part in &read.parts {
            match part {
                TextPart::Literal(literal) => push_literal(&mut segments, literal.as_bytes()),
                TextPart::Value(placeholder, _) => {
                    segments.push(SkeletonSegment::Value(placeholder.slot, ValueForm::Plain));
                }
            }
        }
        Some((read.presence(), Self { segments }))
    }

    /// Returns whether a placeholder occurs anywhere in the skeleton.
    pub fn uses(&self, slot: Slot) -> bool {
        fn within(segments: &[SkeletonSegment], slot: Slot) -> bool {
            segments.iter().any(|segment| match segment {
                SkeletonSegment::Literal(_) => false,
                SkeletonSegment::Value(used, _) => *used == slot,
                SkeletonSegment::If(_, inner) | SkeletonSegment::Items(_, inner) => within(inner, slot),
            })
        }
        within(&self.segments, slot)
    }

    /// Returns whether the items are written with only commas between them.
    pub fn has_bare_items(&self) -> bool {
        fn within(segments: &[SkeletonSegment]) -> bool {
            segments.iter().any(|segment| match segment {
                SkeletonSegment::If(_, inner) => within(inner),
                other => other.is_bare_items(),
            })
        }
        within(&self.segments)
    }

    /// Returns the number of literal bytes around each item, including a comma.
    pub fn size_around_items(&self) -> usize {
        fn literals(segments: &[SkeletonSegment], in_items: bool) -> usize {
            let size = |segment: &SkeletonSegment| match segment {
                SkeletonSegment::Literal(bytes) if in_items => bytes.len(),
                SkeletonSegment::Literal(_) | SkeletonSegment::Value(..) => 0,
                SkeletonSegment::If(_, inner) => literals(inner, in_items),
                SkeletonSegment::Items(_, inner) => literals(inner, true) + 1,
            };
            segments.iter().map(size).sum()
        }
        literals(&self.segments, false)
    }

    pub fn render(&self, source: &dyn ValueSource, out: &mut Output) {
        render(&self.segments, source, 0, out);
    }
}

fn render(segments: &[SkeletonSegment], source: &dyn ValueSource, item: usize, out: &mut Output) {
    for segment in segments {
        match segment {
            SkeletonSegment::Literal(bytes) => out.bytes.extend_from_slice(bytes),
            SkeletonSegment::Value(slot, form) => push_value(*slot, *form, source, item, out),
            SkeletonSegment::If(condition, inner) => {
                if holds(condition, source, item) {
                    render(inner, source, item, out);
                }
            }
            // Items with only commas between them are written in runs: neighbouring items of one answer, with the
            // commas between them.
            bare if bare.is_bare_items() => {
                if let Some(page) = source.page() {
                    push_items(page, out);
                }
            }
            SkeletonSegment::Items(presence, inner) => {
                // Items of which nothing is known are left out. So a comma depends on the items that have been written,
                // not on the index.
                let mut first = true;
                for index in 0..source.page().map_or(0, |page| page.items.len()) {
                    if let Presence::If(condition) = presence
                        && !holds(condition, source, index)
                    {
                        continue;
                    }
                    if !first {
                        out.bytes.push(b',');
                    }
                    first = false;
                    render(inner, source, index, out);
                }
            }
        }
    }
}

/// Appends the items of a page, run by run.
fn push_items(page: &Page, out: &mut Output) {
    let mut index = 0;
    while index < page.items.len() {
        if index > 0 {
            out.bytes.push(b',');
        }
        let run = page.run(index);
        index += run.items;
        out.push_run(page, run);
    }
}

pub fn holds(condition: &Condition, source: &dyn ValueSource, item: usize) -> bool {
    condition.iter().any(|all| all.iter().all(|&slot| source.knows(slot, item)))
}

fn push_value(slot: Slot, form: ValueForm, source: &dyn ValueSource, item: usize, out: &mut Output) {
    match (slot, form) {
        // An item is copied byte for byte: a parsed one would lose digits. Test: `items_are_copied_byte_for_byte`.
        (Slot::Item, ValueForm::Typed) if let Some(page) = source.page() => {
            return out.bytes.extend_from_slice(page.item(item));
        }
        (Slot::ItemCursor, _) => return push_cursor(form, source, item, &mut out.bytes),
        _ => {}
    }
    let start = out.bytes.len();
    let mut told = false;
    source.tell(slot, item, &mut |value| {
        told = true;
        push_formed(value, form, &mut out.bytes);
    });
    // `null` is written only for a whole value: a longer text with an unknown value is left out.
    if !told && matches!(form, ValueForm::Typed | ValueForm::Text) {
        out.bytes.extend_from_slice(b"null");
    }
    // The tag of a page doesn't depend on the time, so the range of the time is recorded. Test:
    // `the_etag_does_not_depend_on_the_time`.
    if slot == Slot::Now {
        out.times.push(start..out.bytes.len());
    }
}

/// Writes the cursor of an item directly into the body.
fn push_cursor(form: ValueForm, source: &dyn ValueSource, item: usize, out: &mut Vec<u8>) {
    if !matches!(form, ValueForm::Typed | ValueForm::Text) {
        source.push_cursor(item, out);
        return;
    }
    let start = out.len();
    out.push(b'"');
    if source.push_cursor(item, out) {
        out.push(b'"');
    } else {
        // The quote was written before the item turned out to have no cursor, so the quote is removed.
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

fn push_formed(value: RenderedValue<'_>, form: ValueForm, out: &mut Vec<u8>) {
    match (form, value) {
        (ValueForm::Typed | ValueForm::Plain, RenderedValue::Number(number)) => push_number(out, number),
        (ValueForm::Typed | ValueForm::Plain, RenderedValue::Boolean(flag)) => {
            out.extend_from_slice(if flag { "true" } else { "false" }.as_bytes());
        }
        (ValueForm::Typed, RenderedValue::Json(json)) => out.extend_from_slice(json),
        // A JSON string is already quoted, and quoting it again would change it. Test:
        // `a_body_has_exactly_the_known_facts`.
        (ValueForm::Text, RenderedValue::Json(json @ [b'"', ..])) => out.extend_from_slice(json),
        (ValueForm::Inside, RenderedValue::Json([b'"', inner @ .., b'"'])) => out.extend_from_slice(inner),
        (ValueForm::Typed | ValueForm::Text, RenderedValue::Text(text)) => push_text(out, text),
        (ValueForm::Typed | ValueForm::Text, RenderedValue::Inert(text)) => {
            out.push(b'"');
            out.extend_from_slice(text.as_bytes());
            out.push(b'"');
        }
        (ValueForm::Plain, RenderedValue::Text(text))
        | (ValueForm::Plain | ValueForm::Inside, RenderedValue::Inert(text)) => {
            out.extend_from_slice(text.as_bytes());
        }
        (ValueForm::Plain, RenderedValue::Json(json)) => out.extend_from_slice(json),
        (ValueForm::Text | ValueForm::Inside, value) => {
            let text = match value {
                RenderedValue::Number(number) => number.to_string(),
                RenderedValue::Boolean(flag) => flag.to_string(),
                RenderedValue::Text(text) | RenderedValue::Inert(text) => text.to_owned(),
                RenderedValue::Json(json) => String::from_utf8_lossy(json).into_owned(),
            };
            let mut quoted = Vec::with_capacity(text.len() + 2);
            push_text(&mut quoted, &text);
            let inside = &quoted[1..quoted.len() - 1];
            out.extend_from_slice(if form == ValueForm::Text { &quoted } else { inside });
        }
    }
}

/// Appends bytes to the last segment if it is a literal, or else adds a literal.
fn push_literal(segments: &mut Vec<SkeletonSegment>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    // Adjacent literals become one step, so rendering has fewer steps. Test:
    // `facts_that_are_always_known_add_no_conditions`.
    match segments.last_mut() {
        Some(SkeletonSegment::Literal(literal)) => literal.extend_from_slice(bytes),
        _ => segments.push(SkeletonSegment::Literal(bytes.to_vec())),
    }
}

fn append(segments: &mut Vec<SkeletonSegment>, more: Vec<SkeletonSegment>) {
    for segment in more {
        match segment {
            SkeletonSegment::Literal(bytes) => push_literal(segments, &bytes),
            other => segments.push(other),
        }
    }
}

struct SkeletonCompiler<'a> {
    collection: &'a str,
    /// The places in the request's body whose values are repeated.
    requests: &'a mut Vec<Pointer>,
    diagnostics: &'a mut Diagnostics,
    /// The scopes of placeholders; [`Scope::Item`] is added inside an array of items.
    scopes: &'static [Scope],
    sound: bool,
    /// The number of arrays of items so far.
    arrays: usize,
}

impl SkeletonCompiler<'_> {
    fn fault(&mut self, at: Location, message: impl Into<String>, help: impl Into<String>) {
        self.sound = false;
        self.diagnostics.error(at, message, help);
    }

    fn node(&mut self, tree: &LocatedTree) -> CompiledPart {
        let literal = |text: &str| CompiledPart::literal(vec![SkeletonSegment::Literal(text.as_bytes().to_vec())]);
        match &tree.value {
            Tree::Null => literal("null"),
            Tree::Boolean(flag) => literal(if *flag { "true" } else { "false" }),
            Tree::Number(spelling) => literal(spelling),
            Tree::Text(text) => self.text(text, tree.at),
            Tree::Array(elements) if self.repeats(elements) => self.items(elements),
            Tree::Array(elements) => {
                let parts = elements.iter().map(|element| (Vec::new(), self.node(element))).collect();
                joined(b'[', parts, b']')
            }
            Tree::Object(members) => {
                let mut names: Vec<String> = Vec::with_capacity(members.len());
                let mut parts = Vec::with_capacity(members.len());
                for (name, value) in members {
                    let Some(text) = self.name(name, &names) else { continue };
                    let mut written = Vec::new();
                    push_text(&mut written, &text);
                    written.push(b':');
                    names.push(text);
                    parts.push((written, self.node(value)));
                }
                joined(b'{', parts, b'}')
            }
        }
    }

    /// Compiles a member's name, in which `{collection}` is the only placeholder. `before` are the names of the members
    /// before it. Returns `None` if the name can't be parsed.
    fn name(&mut self, name: &Located<String>, before: &[String]) -> Option<String> {
        let Some(text) =
            PlaceholderText::parse(&name.value, name.at, self.collection, &[], self.requests, self.diagnostics)
        else {
            self.sound = false;
            return None;
        };
        let text = text.literal();
        // `{collection}` may become the name of another member, and JSON readers differ in which of two equal members
        // they take, so a repeated name is a fault. Test: `faults_of_envelopes_point_at_their_text`.
        if before.contains(&text) {
            let message = format!("the member `{text}` is repeated here");
            self.fault(
                name.at,
                message,
                format!("{{collection}} is `{}` here: name one of the two differently", self.collection),
            );
        }
        Some(text)
    }

    fn text(&mut self, text: &str, at: Location) -> CompiledPart {
        let Some(text) =
            PlaceholderText::parse(text, at, self.collection, self.scopes, self.requests, self.diagnostics)
        else {
            self.sound = false;
            return CompiledPart::literal(Vec::new());
        };
        let mut segments = Vec::new();
        if let [TextPart::Value(placeholder, form)] = text.parts[..] {
            segments.push(SkeletonSegment::Value(placeholder.slot, form));
        } else {
            push_literal(&mut segments, b"\"");
            for part in &text.parts {
                match part {
                    TextPart::Literal(literal) => {
                        let mut quoted = Vec::new();
                        push_text(&mut quoted, literal);
                        push_literal(&mut segments, &quoted[1..quoted.len() - 1]);
                    }
                    TextPart::Value(placeholder, _) => {
                        segments.push(SkeletonSegment::Value(placeholder.slot, ValueForm::Inside));
                    }
                }
            }
            push_literal(&mut segments, b"\"");
        }
        let says = if text.parts.iter().any(|part| matches!(part, TextPart::Value(..))) {
            PartContent::Facts
        } else {
            PartContent::Literals
        };
        CompiledPart { presence: text.presence(), says, segments }
    }

    /// Returns whether an array is an array of items: it has a placeholder of an item, and isn't inside another array
    /// of items.
    fn repeats(&self, elements: &[LocatedTree]) -> bool {
        self.scopes == [Scope::Page] && elements.iter().any(mentions_item)
    }

    fn items(&mut self, elements: &[LocatedTree]) -> CompiledPart {
        self.arrays += 1;
        if let [_, second, ..] = elements {
            let help = "an array with an item in it is repeated for every item: leave its one element";
            self.fault(second.at, "an array of items has a second element", help);
        }
        let outside = std::mem::replace(&mut self.scopes, &[Scope::Page, Scope::Item]);
        let element = elements.iter().map(|element| self.node(element)).next();
        self.scopes = outside;
        let mut segments = vec![SkeletonSegment::Literal(b"[".to_vec())];
        // An element with literals is rendered for each item, even if none of the item's facts are known, so no item is
        // lost.
        segments.extend(element.map(|element| match element.says {
            PartContent::Facts => SkeletonSegment::Items(element.presence, element.segments),
            PartContent::Both | PartContent::Literals => SkeletonSegment::Items(Presence::Always, element.segments),
        }));
        segments.push(SkeletonSegment::Literal(b"]".to_vec()));
        // An array without items is rendered as `[]`, so the part is always present.
        CompiledPart { presence: Presence::Always, says: PartContent::Facts, segments }
    }
}

fn mentions_item(tree: &LocatedTree) -> bool {
    match &tree.value {
        Tree::Text(text) => PlaceholderText::mentions_item(text),
        Tree::Array(elements) => elements.iter().any(mentions_item),
        Tree::Object(members) => members.iter().any(|(_, value)| mentions_item(value)),
        Tree::Null | Tree::Boolean(_) | Tree::Number(_) => false,
    }
}

/// A compiled part of a skeleton: its condition, content and steps.
struct CompiledPart {
    presence: Presence,
    says: PartContent,
    segments: Vec<SkeletonSegment>,
}

/// The content of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartContent {
    /// Literals, which don't depend on the page: the part is rendered with its neighbours.
    Literals,
    /// Facts, whose values depend on the page.
    Facts,
    /// Literals and facts.
    Both,
}

impl PartContent {
    /// Returns the content of several parts together.
    pub fn of(mut parts: impl Iterator<Item = Self>) -> Self {
        let Some(first) = parts.next() else { return Self::Literals };
        if parts.all(|part| part == first) { first } else { Self::Both }
    }
}

impl CompiledPart {
    fn literal(segments: Vec<SkeletonSegment>) -> Self {
        Self { presence: Presence::Always, says: PartContent::Literals, segments }
    }
}

/// Compiles an object or array of parts, each with its prefix (a member's name). The whole is rendered if a part with
/// facts is. Literals beside such parts don't count, because they would describe something that is absent. Example:
/// `{"unit": "items", "total": "{total}"}` is left out if the total is unknown.
fn joined(open: u8, parts: Vec<(Vec<u8>, CompiledPart)>, close: u8) -> CompiledPart {
    let mut segments = vec![SkeletonSegment::Literal(vec![open])];
    // `before` is the condition that one of the parts so far is rendered. No part is rendered before the first.
    let mut before = Presence::If(Vec::new());
    let mut whole = Presence::If(Vec::new());
    let mut first = true;
    let facts = parts.iter().filter(|(_, part)| part.says != PartContent::Literals).count();
    let says = PartContent::of(parts.iter().map(|(_, part)| part.says));
    for (prefix, CompiledPart { presence, says, segments: value }) in parts {
        let mut part = Vec::new();
        match &before {
            Presence::Always => push_literal(&mut part, b","),
            Presence::If(_) if first => {}
            Presence::If(condition) => {
                part.push(SkeletonSegment::If(condition.clone(), vec![SkeletonSegment::Literal(b",".to_vec())]));
            }
        }
        first = false;
        push_literal(&mut part, &prefix);
        append(&mut part, value);
        match &presence {
            Presence::Always => append(&mut segments, part),
            // The only part with facts has the condition of the whole, so it needs no condition of its own.
            Presence::If(_) if facts == 1 => append(&mut segments, part),
            Presence::If(condition) => segments.push(SkeletonSegment::If(condition.clone(), part)),
        }
        if says != PartContent::Literals {
            whole = whole.or(presence.clone());
        }
        before = if facts == 1 { Presence::Always } else { before.or(presence) };
    }
    push_literal(&mut segments, &[close]);
    CompiledPart { presence: if facts == 0 { Presence::Always } else { whole }, says, segments }
}
