//! The difference of two pages as a JSON Patch (RFC 6902), found in their bytes: values are copied from the new page
//! byte for byte, so that numbers keep their digits.
//!
//! The items of a page are identified by their ids, so that an item that comes, goes or moves is one operation, and a
//! changed one has operations for its changed members. Other arrays of the same length are compared element by element;
//! in those of different lengths, elements are identified by their whole text.

use std::collections::HashMap;

use crate::json::{self, Pointer};

/// The deepest values that are compared. Deeper ones are replaced as a whole.
const DEPTH: u8 = 32;

/// The place of the items in a page, and that of the id in an element.
#[derive(Clone, Debug, Default)]
pub(super) struct ItemPlaces {
    /// A JSON Pointer; `None` if the envelope has no array of items.
    pub(super) items: Option<String>,
    /// `None` if elements have no id.
    pub(super) id: Option<Pointer>,
}

/// Returns the operations that turn one page into another, as the text of a JSON array. Returns `None` if they would
/// take more than `most` bytes.
pub(super) fn difference(from: &[u8], to: &[u8], places: &ItemPlaces, most: usize) -> Option<Vec<u8>> {
    let mut patch = PatchWriter { out: vec![b'['], most, places };
    patch.value(from, to, &mut String::new(), 0)?;
    patch.out.push(b']');
    Some(patch.out)
}

/// A patch that is being written. Each of its functions returns `None` once the patch is too long.
struct PatchWriter<'p> {
    out: Vec<u8>,
    most: usize,
    places: &'p ItemPlaces,
}

/// The identity of an element: its id or its whole text, and its rank among equal ones, so that duplicates differ.
type ElementName<'e> = (&'e [u8], usize);

impl PatchWriter<'_> {
    /// Writes the operations for the value at `path`.
    fn value(&mut self, from: &[u8], to: &[u8], path: &mut String, depth: u8) -> Option<()> {
        // Compared as text: clients may show `1.0` and `1.00` as they are. Test: `numbers_keep_their_digits`.
        if from == to {
            return Some(());
        }
        if depth < DEPTH {
            if let (Some(before), Some(after)) = (json::elements(from), json::elements(to)) {
                return self.array(&before, &after, path, depth);
            }
            if let (Some(before), Some(after)) = (json::members(from), json::members(to))
                && are_writable(&before, &after)
            {
                return self.object(&before, &after, path, depth);
            }
        }
        self.operation("replace", path, Some(to))
    }

    fn object(
        &mut self,
        before: &[json::Member<'_>],
        after: &[json::Member<'_>],
        path: &mut String,
        depth: u8,
    ) -> Option<()> {
        let known: HashMap<&[u8], &[u8]> = before.iter().map(|(name, value)| (&**name, *value)).collect();
        let stays: HashMap<&[u8], &[u8]> = after.iter().map(|(name, value)| (&**name, *value)).collect();
        let length = path.len();
        for (name, _) in before.iter().filter(|(name, _)| !stays.contains_key(&**name)) {
            push_step(path, name)?;
            self.operation("remove", path, None)?;
            path.truncate(length);
        }
        for (name, value) in after {
            push_step(path, name)?;
            match known.get(&**name) {
                Some(earlier) => self.value(earlier, value, path, depth + 1)?,
                None => self.operation("add", path, Some(value))?,
            }
            path.truncate(length);
        }
        Some(())
    }

    fn array(&mut self, before: &[&[u8]], after: &[&[u8]], path: &mut String, depth: u8) -> Option<()> {
        let are_items = self.places.items.as_ref() == Some(&*path);
        if !are_items && before.len() == after.len() {
            for (place, (earlier, value)) in before.iter().zip(after).enumerate() {
                self.at(place, path, |patch, path| patch.value(earlier, value, path, depth + 1))?;
            }
            return Some(());
        }
        let id = self.places.id.as_ref().filter(|_| are_items);
        let places: HashMap<ElementName<'_>, usize> = named(before, id).into_iter().zip(0..).collect();
        // The earlier index of each element; `None` if it is new.
        let origins: Vec<Option<usize>> = named(after, id).iter().map(|name| places.get(name).copied()).collect();
        let mut left = vec![false; before.len()];
        for origin in origins.iter().flatten() {
            left[*origin] = true;
        }
        // Removals go from the end, so that earlier indices stay valid; then moves, additions, and changes of members.
        for place in (0..before.len()).rev().filter(|place| !left[*place]) {
            self.at(place, path, |patch, path| patch.operation("remove", path, None))?;
        }
        self.moves(&left, &origins, path)?;
        for (place, value) in after.iter().enumerate().filter(|(place, _)| origins[*place].is_none()) {
            self.at(place, path, |patch, path| patch.operation("add", path, Some(value)))?;
        }
        for (place, value) in after.iter().enumerate() {
            let Some(earlier) = origins[place].map(|origin| before[origin]) else { continue };
            self.at(place, path, |patch, path| patch.value(earlier, value, path, depth + 1))?;
        }
        Some(())
    }

    /// Moves the remaining elements into their new order. Those of a longest increasing subsequence stay where they
    /// are, which needs the fewest moves; each other one moves to the place after its predecessor.
    fn moves(&mut self, left: &[bool], origins: &[Option<usize>], path: &mut String) -> Option<()> {
        let ordered: Vec<usize> = origins.iter().copied().flatten().collect();
        let stays = longest_run(&ordered);
        let mut standing: Vec<usize> = (0..left.len()).filter(|place| left[*place]).collect();
        let mut last: Option<usize> = None;
        for (rank, origin) in ordered.into_iter().enumerate() {
            if !stays[rank] {
                let place = |standing: &[usize], wanted: usize| standing.iter().position(|known| *known == wanted);
                let from = place(&standing, origin)?;
                standing.remove(from);
                let to = last.and_then(|last| place(&standing, last)).map_or(0, |place| place + 1);
                standing.insert(to, origin);
                // Moves before this one may have left the element in its place.
                if from != to {
                    let source = format!("{path}/{from}");
                    self.at(to, path, |patch, path| patch.movement(&source, path))?;
                }
            }
            last = Some(origin);
        }
        Some(())
    }

    /// Calls a function with the path of an element.
    fn at(
        &mut self,
        place: usize,
        path: &mut String,
        write: impl FnOnce(&mut Self, &mut String) -> Option<()>,
    ) -> Option<()> {
        let length = path.len();
        path.push_str(&format!("/{place}"));
        let written = write(self, path);
        path.truncate(length);
        written
    }

    fn movement(&mut self, from: &str, path: &str) -> Option<()> {
        self.begin("move");
        self.out.extend_from_slice(b",\"from\":");
        json::write::push_text(&mut self.out, from);
        self.end(path, None)
    }

    fn operation(&mut self, name: &str, path: &str, value: Option<&[u8]>) -> Option<()> {
        // The value is the largest part: it is not copied into a patch that is too long anyway.
        if value.is_some_and(|value| self.out.len() + value.len() > self.most) {
            return None;
        }
        self.begin(name);
        self.end(path, value)
    }

    fn begin(&mut self, name: &str) {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"op\":\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'"');
    }

    fn end(&mut self, path: &str, value: Option<&[u8]>) -> Option<()> {
        self.out.extend_from_slice(b",\"path\":");
        json::write::push_text(&mut self.out, path);
        if let Some(value) = value {
            self.out.extend_from_slice(b",\"value\":");
            self.out.extend_from_slice(value);
        }
        self.out.push(b'}');
        (self.out.len() < self.most).then_some(())
    }
}

/// Returns whether a patch may name the members of two objects. Libraries in JavaScript refuse paths with these names,
/// because they would change prototypes. Test: `values_that_no_patch_can_name_are_replaced_as_a_whole`.
fn are_writable(before: &[json::Member<'_>], after: &[json::Member<'_>]) -> bool {
    let is_refused = |(name, _): &json::Member<'_>| matches!(&**name, b"__proto__" | b"prototype" | b"constructor");
    !before.iter().chain(after).any(is_refused)
}

/// Appends a member to a JSON Pointer (RFC 6901 section 3). Returns `None` if its name is not UTF-8.
fn push_step(path: &mut String, name: &[u8]) -> Option<()> {
    path.push('/');
    path.push_str(&std::str::from_utf8(name).ok()?.replace('~', "~0").replace('/', "~1"));
    Some(())
}

/// Returns the identities of elements, all of which differ.
fn named<'e>(elements: &[&'e [u8]], id: Option<&Pointer>) -> Vec<ElementName<'e>> {
    let mut seen: HashMap<&[u8], usize> = HashMap::with_capacity(elements.len());
    // Ids are compared as text: large ones that are equal in floating point differ. Test: `numbers_keep_their_digits`.
    let name = |element: &'e [u8]| id.and_then(|id| Some(id.find(element)?.of(element))).unwrap_or(element);
    elements
        .iter()
        .map(|element| {
            let count = seen.entry(name(element)).or_default();
            *count += 1;
            (name(element), *count)
        })
        .collect()
}

/// Returns which of some different numbers belong to a longest increasing subsequence. Takes O(n log n) time.
fn longest_run(numbers: &[usize]) -> Vec<bool> {
    // For each length, the index of the least number that ends such a subsequence; for each number, that of its
    // predecessor.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (place, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(place);
        } else {
            ends[length] = place;
        }
    }
    let mut run = vec![false; numbers.len()];
    let mut at = ends.last().copied();
    while let Some(place) = at {
        run[place] = true;
        at = before[place];
    }
    run
}

#[cfg(test)]
mod tests;
