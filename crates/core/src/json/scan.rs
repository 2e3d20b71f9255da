//! The single pass over a body that finds the places which a dialect and an order name.
//!
//! The pass descends only into values that contain a wanted place; the reader passes over all others. For any input,
//! its recursion is therefore only as deep as the longest pointer. There are two readers. A page is first read by its
//! outline (`outline.rs`). A page that the outline refuses is read again in full, to find its fault.

use super::plan::{BODY, ELEMENT, Plan, PlanPlace, ValueUse};
use super::pointer::PointerStep;
use super::reader::{Elements, JsonReader, Read};
use super::scalar::{self, ScalarKind};
use super::{
    blocks::WindowMarker,
    outline::Outline,
    pointer::Pointer,
    shape::{ItemsObject, JsonError, Limits, PageSpans, Shape},
    span::Span,
    window::WindowMarks,
};

/// The result of a scan, or its fault.
pub(super) type ScanResult = Result<PageSpans, JsonError>;

/// Scans a body once, and returns the ranges of its items, their columns, and its facts.
///
/// The values at wanted places are checked in full. Of all other text, also inside items, only the outline is checked
/// (`outline.rs`). If a member comes twice, the last one counts, whatever the earlier one contained. A byte order mark
/// at the beginning is skipped.
///
/// # Errors
/// The first fault that a full reading finds, if the outline has a fault or the body has another shape.
/// [`JsonError::NotAnArray`] and [`JsonError::ItemMissing`] are reported only if the body has no other fault.
pub fn scan_page(body: &[u8], shape: &Shape, limits: Limits) -> Result<PageSpans, JsonError> {
    if u32::try_from(body.len()).is_ok()
        && let Some(found) = outline_page(WindowMarker::best(), body, shape, limits)
    {
        return Ok(found);
    }
    // The outline doesn't show the kind and the place of a fault, so the body is read again in full.
    read_page(body, shape, limits)
}

impl Pointer {
    /// Returns the range of this place in a JSON value, relative to the start of `value`. If a member comes twice, the
    /// last one counts. `None` if the place is missing or `value` isn't JSON.
    ///
    /// This method finds a single place. [`scan_page`] finds all places of a page together.
    #[must_use]
    pub fn find(&self, value: &[u8]) -> Option<Span> {
        find(value, self)
    }
}

/// Scans a body by its outline, which `marker` marks. Returns `None` if the body has any fault.
pub(super) fn outline_page(marker: WindowMarker, body: &[u8], shape: &Shape, limits: Limits) -> Option<PageSpans> {
    // The whole body must be UTF-8, even the parts that are passed over. Test:
    // `invalid_utf8_is_refused_anywhere_in_a_body`.
    if !marker.judges_utf8() && std::str::from_utf8(body).is_err() {
        return None;
    }
    let plan = Plan::of_page(shape);
    let mut marks = WindowMarks::new();
    let reader = Outline::new(marker, &mut marks, body, limits.depth);
    let mut scan = Scan::new(reader, &plan, shape.columns.len(), shape.facts.len(), limits);
    scan.whole().ok()?;
    // The reader only records a fault in a part that it passes over. Such a body is refused here.
    if scan.reader.is_sound() { scan.finish().ok() } else { None }
}

/// Scans a body in full: every byte is checked.
pub(super) fn read_page(body: &[u8], shape: &Shape, limits: Limits) -> ScanResult {
    read(body, &Plan::of_page(shape), shape.columns.len(), shape.facts.len(), limits)
}

/// Scans a body for places, and checks that the whole body is well-formed. Returns a range for each place, or
/// [`Span::ABSENT`] if the body lacks the place.
///
/// # Errors
/// [`JsonError::Malformed`] or [`JsonError::TooDeep`], as for [`scan_page`].
pub fn scan_facts(body: &[u8], facts: &[Pointer], limits: Limits) -> Result<Vec<Span>, JsonError> {
    Ok(read(body, &Plan::of_facts(facts), 0, facts.len(), limits)?.facts)
}

/// Returns the range of a place in a value; `None` if the place is missing or the value isn't JSON.
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

/// The assumed size of an element in bytes, from which the number of a body's elements is estimated.
const ORDINARY_ELEMENT: usize = 128;

/// The latest value at the items' place.
#[derive(Clone, Copy)]
enum ItemsPlace {
    /// No value so far, or null.
    Empty,
    /// An array, with the index of its first element that lacks the served part, if any does.
    Array { first_without_item: Option<usize> },
    /// A value that is neither an array nor null.
    Other,
}

/// A single pass over a body.
struct Scan<'p, R> {
    reader: R,
    plan: &'p Plan<'p>,
    found: PageSpans,
    items_place: ItemsPlace,
    /// The largest number of elements of the items array.
    most_items: usize,
    /// The number of columns of a row.
    width: usize,
    /// The index in `found.columns` at which the current element's row begins.
    row: usize,
    /// The range of the served part of the current element.
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

    /// Reads the whole text, which is a single value with whitespace around it.
    fn whole(&mut self) -> Result<(), JsonError> {
        self.value(BODY)?;
        self.reader.end()
    }

    /// Returns the ranges that were found, or an error if the body has another shape.
    fn finish(mut self) -> Result<PageSpans, JsonError> {
        match self.items_place {
            ItemsPlace::Empty => self.found.items = None,
            ItemsPlace::Array { first_without_item: None } => {}
            ItemsPlace::Array { first_without_item: Some(index) } => return Err(JsonError::ItemMissing { index }),
            ItemsPlace::Other => return Err(JsonError::NotAnArray),
        }
        Ok(self.found)
    }

    /// Reads the value at a place. The next byte must be the value's first byte.
    fn value(&mut self, place: PlanPlace) -> Result<(), JsonError> {
        let start = self.reader.at();
        let wanted_inside = self.plan.has_children(place);
        if wanted_inside && place != ELEMENT {
            // If this member comes a second time, the ranges within the earlier value no longer count. An element's row
            // is new, so nothing has to be forgotten.
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
            b'{' if self.plan.is_items(place) && self.plan.items_object() != ItemsObject::Refused => {
                self.items_of_object()?;
                if wanted_inside {
                    self.reader.return_to(start);
                    self.object(place)?;
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

    /// Reads an object that contains wanted places.
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

    /// Reads the value of a column or fact that contains no other wanted place.
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

    /// Reads an array that contains wanted places. Elements that are named by an index are read in the first pass; each
    /// step that names an element by a member takes another pass.
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

    /// Passes an array. Returns the offset of its first object in which `member` is the string `value`; `None` if it
    /// has no such object.
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

    /// Passes an object. Returns the raw value of its last member with this name; `None` if it has no such member.
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
        let mut items = self.begin_items();
        // Space is reserved for elements of the assumed size, so the vectors seldom grow.
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
            self.element(&mut items, &mut first_without_item)?;
            more = self.reader.another()?;
        }
        self.found.items = Some(items);
        self.items_place = ItemsPlace::Array { first_without_item };
        Ok(())
    }

    /// Reads the object at the place of the array of items, as its only element or as the values of its members.
    fn items_of_object(&mut self) -> Result<(), JsonError> {
        let mut items = self.begin_items();
        let mut first_without_item = None;
        if self.plan.items_object() == ItemsObject::Element {
            self.element(&mut items, &mut first_without_item)?;
        } else {
            let mut more = self.reader.enter(b'}')?;
            while more {
                self.reader.name()?;
                self.element(&mut items, &mut first_without_item)?;
                more = self.reader.another()?;
            }
        }
        self.found.items = Some(items);
        self.items_place = ItemsPlace::Array { first_without_item };
        Ok(())
    }

    /// Returns an empty list for the elements. If the items' array comes twice, the later array replaces the earlier
    /// one. Test: `the_last_duplicate_member_is_used_around_and_inside_items`.
    fn begin_items(&mut self) -> Vec<Span> {
        let mut items = self.found.items.take().unwrap_or_default();
        items.clear();
        self.found.columns.clear();
        items
    }

    /// Reads an element and adds it to `items`.
    #[inline]
    fn element(&mut self, items: &mut Vec<Span>, first_without_item: &mut Option<usize>) -> Result<(), JsonError> {
        if items.len() == self.most_items {
            return Err(JsonError::TooManyItems);
        }
        self.item = Span::ABSENT;
        self.row = self.found.columns.len();
        self.found.columns.resize(self.row + self.width, Span::ABSENT);
        self.value(ELEMENT)?;
        // The index is only recorded, because a fault in the rest of the body must be reported first. Test:
        // `invalid_json_is_reported_before_another_shape`.
        if self.item.is_absent() {
            *first_without_item = first_without_item.or(Some(items.len()));
        }
        items.push(self.item);
        Ok(())
    }

    /// Records the kind of the value at the items' place, after the value was passed.
    fn note_items(&mut self, kind: ScalarKind) {
        match kind {
            ScalarKind::Array => {}
            ScalarKind::Object if self.plan.items_object() != ItemsObject::Refused => {}
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

    /// Resets the ranges of all wanted places below a place.
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
