//! The difference between two pages as a JSON Patch (RFC 6902). Values are copied from the new page byte for byte, so
//! numbers keep all their digits.
//!
//! The items of a page are identified by their ids. An item that is added, removed or moved is one operation, and a
//! changed item has an operation for each changed member. Other arrays are compared element by element if they have the
//! same length. If their lengths differ, an element is identified by its whole text.

use std::collections::HashMap;

use cursorgate_core::json::{self, Pointer};

/// The largest nesting depth at which values are compared. Deeper values are replaced as a whole.
const DEPTH: u8 = 32;

/// The place of the items in a page, and the place of the id in an item.
#[derive(Clone, Debug, Default)]
pub(super) struct ItemPlaces {
    /// The JSON Pointer of the array of items; `None` if the envelope has no such array.
    pub(super) items: Option<String>,
    /// The place of the id in an element of the array; `None` if elements have no id.
    pub(super) id: Option<Pointer>,
}

/// Returns the operations that turn one page into another, as a JSON array. Returns `None` if the array would have more
/// than `most` bytes.
pub(super) fn difference(from: &[u8], to: &[u8], places: &ItemPlaces, most: usize) -> Option<Vec<u8>> {
    let mut patch = PatchWriter { out: vec![b'['], most, places };
    patch.value(from, to, &mut String::new(), 0)?;
    patch.out.push(b']');
    Some(patch.out)
}

/// A patch that is being written. Each method that returns an `Option` returns `None` once the patch is too long.
struct PatchWriter<'p> {
    out: Vec<u8>,
    most: usize,
    places: &'p ItemPlaces,
}

/// The identity of an element: its id or its whole text, and a number. The number counts the elements with the same id
/// or text, so duplicates have different identities.
type ElementName<'e> = (&'e [u8], usize);

impl PatchWriter<'_> {
    /// Writes the operations that turn the value at `path` from `from` into `to`.
    fn value(&mut self, from: &[u8], to: &[u8], path: &mut String, depth: u8) -> Option<()> {
        // Values are compared as text, because clients might show `1.0` and `1.00` as they are written.
        // Test: `numbers_keep_their_digits`.
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
        // The earlier index of each element; `None` if the element is new.
        let origins: Vec<Option<usize>> = named(after, id).iter().map(|name| places.get(name).copied()).collect();
        let mut left = vec![false; before.len()];
        for origin in origins.iter().flatten() {
            left[*origin] = true;
        }
        // Elements are removed from the end, because the indices of earlier elements then stay valid. Moves, additions,
        // and changes of members follow.
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

    /// Moves the remaining elements into their new order. The elements of a longest increasing subsequence stay where
    /// they are, which needs the fewest moves. Each other element moves to the place after its new predecessor.
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
                // Earlier moves might have brought the element to its new place already.
                if from != to {
                    let source = format!("{path}/{from}");
                    self.at(to, path, |patch, path| patch.movement(&source, path))?;
                }
            }
            last = Some(origin);
        }
        Some(())
    }

    /// Calls `write` with the path of the element at index `place`.
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
        // The value is the largest part, so it isn't copied if the patch would be too long.
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

/// Returns whether a patch can name the members of two objects. JavaScript libraries refuse paths with the names below,
/// because these would change prototypes. Test: `values_that_no_patch_can_name_are_replaced_as_a_whole`.
fn are_writable(before: &[json::Member<'_>], after: &[json::Member<'_>]) -> bool {
    let is_refused = |(name, _): &json::Member<'_>| matches!(&**name, b"__proto__" | b"prototype" | b"constructor");
    !before.iter().chain(after).any(is_refused)
}

/// Appends the name of a member to a JSON Pointer (RFC 6901 section 3). Returns `None` if the name isn't UTF-8.
fn push_step(path: &mut String, name: &[u8]) -> Option<()> {
    path.push('/');
    path.push_str(&std::str::from_utf8(name).ok()?.replace('~', "~0").replace('/', "~1"));
    Some(())
}

/// Returns the identities of elements. No two identities are equal.
fn named<'e>(elements: &[&'e [u8]], id: Option<&Pointer>) -> Vec<ElementName<'e>> {
    let mut seen: HashMap<&[u8], usize> = HashMap::with_capacity(elements.len());
    // Ids are compared as text, because large numbers that differ can be equal in floating point.
    // Test: `numbers_keep_their_digits`.
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

/// Returns for each number whether it belongs to a longest increasing subsequence. No number occurs twice. Takes O(n
/// log n) time.
fn longest_run(numbers: &[usize]) -> Vec<bool> {
    // `ends` contains, for each length, the index of the least number that ends an increasing subsequence of that
    // length. `before` contains, for each number, the index of its predecessor in its subsequence.
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
