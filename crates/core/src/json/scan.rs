//! The one pass over a page that finds the places for which a dialect and an order ask.
//!
//! The pass descends only where its plan wants a place, and has the reader pass over all other values. So its recursion
//! is as deep as the longest pointer, for any input. There are two readers: pages are read by their outline
//! (`outline.rs`), and a page that the outline refuses is read once more in full, to find its fault.

use super::plan::{BODY, ELEMENT, Plan, PlanPlace, ValueUse};
use super::pointer::PointerStep;
use super::reader::{Elements, JsonReader, Read};
use super::scalar::{self, ScalarKind};
use super::{
    Pointer, Span,
    blocks::{WindowMarker, WindowMarks},
    outline::Outline,
};

/// The places that are looked for in a body.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The place of the array of items.
    pub items: Pointer,
    /// The part of an element that is served, from the element on; by default the element itself.
    pub item: Pointer,
    /// Places in an element, from the element on: one column each.
    pub columns: Vec<Pointer>,
    /// Places in the body. A place within the array's elements costs a second pass over the array.
    pub facts: Vec<Pointer>,
}

/// The bounds of a scan.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest depth of nested arrays and objects.
    pub depth: u16,
    /// The largest number of elements of the array.
    pub items: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 128, items: 100_000 }
    }
}

/// The result of a scan. All ranges are of the whole body and include no whitespace around a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSpans {
    /// The part of each element that is served; `None` if the array is missing or null.
    pub items: Option<Vec<Span>>,
    /// `columns.len()` ranges for each item, row after row; [`Span::ABSENT`] where an element lacks the place.
    pub columns: Vec<Span>,
    /// A range for each fact; [`Span::ABSENT`] if the body lacks the place.
    pub facts: Vec<Span>,
}

/// The result of a scan, or its fault.
pub(super) type ScanResult = Result<PageSpans, JsonError>;

/// The reason why a body can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// The body is not JSON (RFC 8259) in UTF-8, or is longer than 4 GiB.
    Malformed {
        /// The first byte that can't stand where it does.
        at: usize,
    },
    /// Arrays and objects are nested deeper than allowed.
    TooDeep,
    /// The array has more elements than allowed.
    TooManyItems,
    /// The value at the items' place is not an array.
    NotAnArray,
    /// An element lacks the part that is to be served.
    ItemMissing {
        /// The number of the element, counted from 0.
        index: usize,
    },
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed { at } => write!(formatter, "not JSON at byte {at}"),
            Self::TooDeep => formatter.write_str("nested too deep"),
            Self::TooManyItems => formatter.write_str("too many elements"),
            Self::NotAnArray => formatter.write_str("what stands at the items' place is no array"),
            Self::ItemMissing { index } => write!(formatter, "element {index} lacks what is to be served of it"),
        }
    }
}

impl std::error::Error for JsonError {}

/// Scans a body once: its items with their columns, and its facts.
///
/// The wanted places are read, and so is the text between them and the beginning of the body. Of the rest only the
/// outline is checked (`outline.rs`), and the inside of an item is served as it came. Of duplicate members the last one
/// counts, whatever the earlier one held. A byte order mark at the beginning is passed over.
///
/// # Errors
/// The first fault of a body whose outline has one, or that has another shape, found by reading all of it:
/// [`JsonError::Malformed`], [`JsonError::TooDeep`] and [`JsonError::TooManyItems`], wherever in the body they are,
/// before the others.
pub fn scan_page(body: &[u8], shape: &Shape, limits: Limits) -> Result<PageSpans, JsonError> {
    if u32::try_from(body.len()).is_ok()
        && let Some(found) = outline_page(WindowMarker::best(), body, shape, limits)
    {
        return Ok(found);
    }
    // The outline does not show which fault there is, and where.
    read_page(body, shape, limits)
}

/// Scans a body by its outline, marked by `marker`. Returns `None` if the body has to be refused, for any reason.
pub(super) fn outline_page(marker: WindowMarker, body: &[u8], shape: &Shape, limits: Limits) -> Option<PageSpans> {
    // Parts that are passed over are UTF-8, too. Test: `all_of_a_body_is_utf8_whatever_of_it_is_looked_at`.
    if !marker.judges_utf8() && std::str::from_utf8(body).is_err() {
        return None;
    }
    let plan = Plan::of_page(shape);
    let mut marks = WindowMarks::new();
    let reader = Outline::new(marker, &mut marks, body, limits.depth);
    let mut scan = Scan::new(reader, &plan, shape.columns.len(), shape.facts.len(), limits);
    scan.whole().ok()?;
    // A fault in a part that was passed over is noted, and refuses the body here.
    if scan.reader.is_sound() { scan.finish().ok() } else { None }
}

/// Scans a body byte by byte: all of it is read and checked.
pub(super) fn read_page(body: &[u8], shape: &Shape, limits: Limits) -> ScanResult {
    read(body, &Plan::of_page(shape), shape.columns.len(), shape.facts.len(), limits)
}

/// Scans a body once for places in it, and checks that all of it is well-formed. Returns a range for each place,
/// [`Span::ABSENT`] if the body lacks it.
///
/// # Errors
/// [`JsonError::Malformed`] and [`JsonError::TooDeep`], as of [`scan_page`].
pub fn scan_facts(body: &[u8], facts: &[Pointer], limits: Limits) -> Result<Vec<Span>, JsonError> {
    Ok(read(body, &Plan::of_facts(facts), 0, facts.len(), limits)?.facts)
}

/// Returns the range of a place in one value; `None` if it is missing or the value is not JSON.
pub(super) fn find(value: &[u8], pointer: &Pointer) -> Option<Span> {
    let limits = Limits { depth: u16::MAX, ..Limits::default() };
    let found = scan_facts(value, std::slice::from_ref(pointer), limits).ok()?;
    found.first().copied().filter(|span| !span.is_absent())
}

fn read(body: &[u8], plan: &Plan<'_>, columns: usize, facts: usize, limits: Limits) -> ScanResult {
    if u32::try_from(body.len()).is_err() {
        return Err(JsonError::Malformed { at: u32::MAX as usize });
    }
    if let Err(error) = std::str::from_utf8(body) {
        return Err(JsonError::Malformed { at: error.valid_up_to() });
    }
    let mut scan = Scan::new(JsonReader::new(body, limits.depth), plan, columns, facts, limits);
    scan.whole()?;
    scan.finish()
}

/// The size of an ordinary element in bytes, by which the number of a body's elements is estimated.
const ORDINARY_ELEMENT: usize = 128;

/// The value at the items' place, as far as it has been seen.
#[derive(Clone, Copy)]
enum ItemsPlace {
    /// No value, or null.
    Empty,
    /// An array.
    Array { first_without_item: Option<usize> },
    /// Another value.
    Other,
}

/// A pass over a body.
struct Scan<'p, R> {
    reader: R,
    plan: &'p Plan<'p>,
    found: PageSpans,
    items_place: ItemsPlace,
    /// The largest number of elements.
    most_items: usize,
    /// The number of columns of a row.
    width: usize,
    /// The first column of the current element's row.
    row: usize,
    /// The part of the current element that is served.
    item: Span,
}

impl<'a, 'p, R: Read<'a>> Scan<'p, R> {
    fn new(reader: R, plan: &'p Plan<'p>, columns: usize, facts: usize, limits: Limits) -> Self {
        Self {
            reader,
            plan,
            found: PageSpans { facts: vec![Span::ABSENT; facts], ..PageSpans::default() },
            items_place: ItemsPlace::Empty,
            most_items: limits.items,
            width: columns,
            row: 0,
            item: Span::ABSENT,
        }
    }

    /// Reads the whole text: one value, with whitespace around it.
    fn whole(&mut self) -> Result<(), JsonError> {
        self.value(BODY)?;
        self.reader.end()
    }

    /// Returns the ranges that were found, if the body has the wanted shape.
    fn finish(mut self) -> Result<PageSpans, JsonError> {
        match self.items_place {
            ItemsPlace::Empty => self.found.items = None,
            ItemsPlace::Array { first_without_item: None } => {}
            ItemsPlace::Array { first_without_item: Some(index) } => return Err(JsonError::ItemMissing { index }),
            ItemsPlace::Other => return Err(JsonError::NotAnArray),
        }
        Ok(self.found)
    }

    /// Reads the value at a place, whose first byte is the next.
    fn value(&mut self, place: PlanPlace) -> Result<(), JsonError> {
        let start = self.reader.at();
        let wanted_inside = self.plan.has_children(place);
        if wanted_inside && place != ELEMENT {
            // A later member of the same name replaces the places within the earlier one. The row of an element is new.
            self.forget_below(place);
        }
        match self.reader.byte() {
            b'[' if self.plan.is_items(place) => {
                self.items()?;
                if wanted_inside {
                    self.reader.return_to(start);
                    self.array(place)?;
                }
            }
            b'[' if wanted_inside => self.array(place)?,
            b'{' if wanted_inside => self.object(place)?,
            _ if self.plan.is_served(place) => self.reader.skip_item()?,
            _ => self.reader.read()?,
        }
        let span = self.reader.span_from(start);
        if self.plan.is_items(place) {
            self.note_items(scalar::kind(self.reader.since(start)));
        }
        for target in self.plan.targets(place) {
            self.note(target, span);
        }
        Ok(())
    }

    /// Reads an object that a place lies in.
    fn object(&mut self, place: PlanPlace) -> Result<(), JsonError> {
        let wanted = self.plan.wanted(place);
        let mut more = self.reader.enter(b'}')?;
        while more && let Some(name) = self.reader.name_of(wanted)? {
            match self.plan.member(place, name) {
                Some(child) if self.plan.is_leaf(child) => self.leaf(child)?,
                Some(child) => self.value(child)?,
                None => self.reader.skip()?,
            }
            more = self.reader.another()?;
        }
        Ok(())
    }

    /// Reads the value at a place that is a key or a fact, and in which no other place lies.
    #[inline]
    fn leaf(&mut self, place: PlanPlace) -> Result<(), JsonError> {
        let start = self.reader.at();
        self.reader.read()?;
        let span = self.reader.span_from(start);
        for target in self.plan.targets(place) {
            self.note(target, span);
        }
        Ok(())
    }

    /// Reads an array that a place lies in: elements by number as they pass, elements by a member in a second look.
    fn array(&mut self, place: PlanPlace) -> Result<(), JsonError> {
        let start = self.reader.at();
        let mut more = self.reader.enter(b']')?;
        let mut index = 0;
        while more {
            match self.plan.element(place, index) {
                Some(child) => self.value(child)?,
                None => self.reader.skip()?,
            }
            index += 1;
            more = self.reader.another()?;
        }
        let end = self.reader.at();
        for (child, step) in self.plan.children(place) {
            let PointerStep::Matching { member, value } = step else {
                continue;
            };
            self.reader.return_to(start);
            if let Some(element) = self.first_matching(member, value)? {
                self.reader.return_to(element);
                self.value(child)?;
            }
            self.reader.return_to(end);
        }
        Ok(())
    }

    /// Passes an array, and returns the place of its first object in which `member` is the string `value`.
    fn first_matching(&mut self, member: &str, value: &str) -> Result<Option<usize>, JsonError> {
        let mut found = None;
        let mut more = self.reader.enter(b']')?;
        while more {
            let element = self.reader.at();
            if self.reader.byte() == b'{' {
                let text = self.member(member)?.and_then(scalar::text);
                if text.is_some_and(|text| *text == *value.as_bytes()) {
                    found = found.or(Some(element));
                }
            } else {
                self.reader.skip()?;
            }
            more = self.reader.another()?;
        }
        Ok(found)
    }

    /// Passes an object, and returns the value of its last member of this name.
    fn member(&mut self, wanted: &str) -> Result<Option<&'a [u8]>, JsonError> {
        let mut last = None;
        let mut more = self.reader.enter(b'}')?;
        while more {
            if self.reader.name()?.is(wanted) {
                let start = self.reader.at();
                self.reader.read()?;
                last = Some(self.reader.since(start));
            } else {
                self.reader.skip()?;
            }
            more = self.reader.another()?;
        }
        Ok(last)
    }

    /// Reads the array of items.
    fn items(&mut self) -> Result<(), JsonError> {
        // A later array of the same name replaces the earlier one. Test: `the_last_of_two_members_counts_everywhere`.
        let mut items = self.found.items.take().unwrap_or_default();
        items.clear();
        self.found.columns.clear();
        // Room for as many elements of ordinary size as the body may have, so that the vectors seldom grow.
        let room = self.reader.left() / ORDINARY_ELEMENT;
        items.reserve(room);
        self.found.columns.reserve(room * self.width);
        let mut first_without_item = None;
        let mut more = self.reader.enter(b']')?;
        while more {
            if let Some(direct) = self.plan.direct() {
                let columns = std::mem::take(&mut self.found.columns);
                let mut elements = Elements { most: self.most_items, items, columns };
                more = self.reader.pass_elements(direct, &mut elements)?;
                (items, self.found.columns) = (elements.items, elements.columns);
                if !more {
                    break;
                }
            }
            if items.len() == self.most_items {
                return Err(JsonError::TooManyItems);
            }
            self.item = Span::ABSENT;
            self.row = self.found.columns.len();
            self.found.columns.resize(self.row + self.width, Span::ABSENT);
            self.value(ELEMENT)?;
            // A fault of the rest of the body is reported first. Test: `invalid_json_is_reported_before_another_shape`.
            if self.item.is_absent() {
                first_without_item = first_without_item.or(Some(items.len()));
            }
            items.push(self.item);
            more = self.reader.another()?;
        }
        self.found.items = Some(items);
        self.items_place = ItemsPlace::Array { first_without_item };
        Ok(())
    }

    /// Records the kind of the value at the items' place, after it has been passed.
    fn note_items(&mut self, kind: ScalarKind) {
        match kind {
            ScalarKind::Array => {}
            ScalarKind::Null => self.forget_items(ItemsPlace::Empty),
            _ => self.forget_items(ItemsPlace::Other),
        }
    }

    fn forget_items(&mut self, place: ItemsPlace) {
        self.items_place = place;
        self.found.columns.clear();
    }

    #[inline]
    fn note(&mut self, target: ValueUse, span: Span) {
        match target {
            ValueUse::Item => self.item = span,
            ValueUse::Column(number) => self.found.columns[self.row + number] = span,
            ValueUse::Fact(number) => self.found.facts[number] = span,
        }
    }

    /// Forgets the ranges that were found below a place.
    fn forget_below(&mut self, place: PlanPlace) {
        for (child, _) in self.plan.children(place) {
            for target in self.plan.targets(child) {
                self.note(target, Span::ABSENT);
            }
            if self.plan.is_items(child) {
                self.forget_items(ItemsPlace::Empty);
            }
            self.forget_below(child);
        }
    }
}

#[cfg(any(test, fuzzing))]
#[expect(clippy::expect_used, reason = "these are tests")]
#[doc(hidden)]
pub mod compare;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
