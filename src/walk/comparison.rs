//! The comparison of a walk with direct listings before and after it.
//!
//! The list may change while it is walked, and the direct listings page by number or offset, so that they lose and
//! repeat items themselves. An item is therefore judged only if both listings have it with the same bytes: it was there
//! all the time, wherever it stood. An item that only one listing has came, left, or was lost by the other listing, and
//! is not judged.
//!
//! - *Lost*: an item that is judged, and that the walk does not have.
//! - *Repeated*: an item that the walk has twice with the same bytes. With other bytes it has changed in between, and
//!   may have moved to a place that was still ahead.
//! - *Altered*: an item that is judged, and that the walk has with other bytes.
//! - *Out of order*: two items that are judged stand in one order in both listings, and in the other one in the walk.
//!   Items with equal sort keys may stand in any order, and sort keys are known only from a configuration.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use crate::{json::scalar, pagination::answer::Answer};

/// The most ids that are named of each kind of fault.
const EXAMPLES: usize = 10;

/// An item of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedItem {
    /// The id as text; the bytes of an item without an id.
    pub id: Box<str>,
    /// A hash of its bytes.
    pub bytes: u64,
    /// A hash of its strong keys; `None` where no order is declared.
    pub keys: Option<u64>,
}

impl WalkedItem {
    /// Returns the items of an answer.
    pub fn all(answer: &Answer) -> impl Iterator<Item = Self> {
        (0..answer.items().len()).map(|index| {
            let bytes = answer.item(index);
            let row = answer.row(index).unwrap_or_default();
            // The last key is the id, with which no two items would tie.
            let strong = &row[..row.len().saturating_sub(1)];
            let values = || hash(strong.iter().map(|key| key.of(answer.body())).collect::<Vec<_>>());
            let keys = (!strong.is_empty()).then(values);
            Self { id: identity(answer.id(index), bytes), bytes: hash(bytes), keys }
        })
    }
}

/// Returns the text of an id. A number and a text with its digits are the same id, because envelopes that take items
/// apart, such as JSON:API, write the number as a text.
fn identity(id: &[u8], item: &[u8]) -> Box<str> {
    let raw = if id.is_empty() || id == b"null" { item } else { id };
    let text = scalar::text(raw).unwrap_or_else(|| raw.into());
    String::from_utf8_lossy(&text).into()
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The cost of a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkCost {
    /// The requests that were sent, retries among them.
    pub requests: u64,
    /// The bytes of the bodies that came.
    pub bytes: u64,
    /// The time of its requests.
    pub elapsed: Duration,
}

/// The items of one walk, in its order, and its cost.
#[derive(Clone, Debug, Default)]
pub struct WalkedList {
    /// The items.
    pub items: Vec<WalkedItem>,
    /// The cost.
    pub cost: WalkCost,
}

/// A number of items, and the ids of the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemCount {
    /// The number.
    pub count: usize,
    /// The first ids, at most ten.
    pub examples: Vec<String>,
}

impl ItemCount {
    fn add(&mut self, id: &str) {
        const LONGEST: usize = 80;
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(id.chars().take(LONGEST).collect());
        }
    }
}

/// The changes of a list from one direct listing to the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListChanges {
    /// Items that both listings have with the same bytes: those that are judged.
    pub stayed: usize,
    /// Items that only the second listing has.
    pub came: usize,
    /// Items that only the first listing has.
    pub left: usize,
    /// Items that both listings have with different bytes.
    pub changed: usize,
}

/// The findings about a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalkComparison {
    /// The items of the walk.
    pub items: usize,
    /// Items that stayed and that the walk does not have.
    pub lost: ItemCount,
    /// Items that the walk has more than once; each further time counts.
    pub repeated: ItemCount,
    /// Items that stayed and that the walk has with other bytes.
    pub altered: ItemCount,
    /// Items that the walk has after another item, though both listings have them before it; the keys of the two
    /// differ.
    pub misplaced: ItemCount,
    /// The same, where the keys are not known, so that they may be equal.
    pub unexplained: ItemCount,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkVerdict {
    /// Every item that stayed is in the walk, once, with the same bytes, in order.
    Lossless,
    /// Items are lost, repeated, altered or out of order.
    Lossy,
    /// No item was judged, or the order could not be judged.
    Open,
}

/// Direct listings before and after a walk.
#[derive(Debug)]
pub struct DirectListings {
    before: HashMap<Box<str>, (WalkedItem, usize)>,
    after: HashMap<Box<str>, (WalkedItem, usize)>,
}

fn indexed(list: WalkedList) -> HashMap<Box<str>, (WalkedItem, usize)> {
    let mut index = HashMap::with_capacity(list.items.len());
    for (at, item) in list.items.into_iter().enumerate() {
        // Of an item that a listing repeats, the first place counts.
        index.entry(item.id.clone()).or_insert((item, at));
    }
    index
}

impl DirectListings {
    /// Indexes both listings by the ids of their items.
    #[must_use]
    pub fn new(before: WalkedList, after: WalkedList) -> Self {
        Self { before: indexed(before), after: indexed(after) }
    }

    /// Returns an item that both listings have with the same bytes, and its places in them; `None` for all others.
    fn stayed(&self, id: &str) -> Option<(&WalkedItem, usize, usize)> {
        let ((before, first), (after, second)) = (self.before.get(id)?, self.after.get(id)?);
        (before.bytes == after.bytes).then_some((before, *first, *second))
    }

    /// Returns the changes of the list between the listings.
    #[must_use]
    pub fn changes(&self) -> ListChanges {
        let both = self.before.keys().filter(|id| self.after.contains_key(*id)).count();
        let stayed = self.before.keys().filter(|id| self.stayed(id).is_some()).count();
        let (came, left) = (self.after.len() - both, self.before.len() - both);
        ListChanges { stayed, came, left, changed: both - stayed }
    }

    /// Compares a walk with the listings. `keeps_items` says that its envelope keeps the bytes of items, so that these
    /// can be compared.
    #[must_use]
    pub fn compare(&self, walk: &WalkedList, keeps_items: bool) -> WalkComparison {
        let mut found = WalkComparison { items: walk.items.len(), ..WalkComparison::default() };
        let mut seen: HashMap<&str, HashSet<u64>> = HashMap::with_capacity(walk.items.len());
        let mut before: Option<(&WalkedItem, usize, usize)> = None;
        for item in &walk.items {
            let versions = seen.entry(&item.id).or_default();
            let is_first = versions.is_empty();
            // Items that are taken apart contain cursors, so that their bytes differ each time. Test:
            // `items_that_are_taken_apart_are_compared_by_their_ids`.
            if !versions.insert(item.bytes) || !keeps_items && !is_first {
                found.repeated.add(&item.id);
            }
            let Some(stayed) = self.stayed(&item.id).filter(|_| is_first) else { continue };
            if keeps_items && stayed.0.bytes != item.bytes {
                found.altered.add(&item.id);
            }
            // Both listings must agree on the order of the two: an upstream without an order lists them in any. Test:
            // `losses_are_distinguished_from_changes`.
            if let Some(earlier) = before
                && earlier.1 > stayed.1
                && earlier.2 > stayed.2
            {
                match (earlier.0.keys, stayed.0.keys) {
                    (Some(one), Some(other)) if one == other => {}
                    (Some(_), Some(_)) => found.misplaced.add(&item.id),
                    _ => found.unexplained.add(&item.id),
                }
            }
            before = Some(stayed);
        }
        let mut lost: Vec<(usize, &str)> = self
            .before
            .iter()
            .filter(|(id, _)| self.stayed(id).is_some() && !seen.contains_key(&***id))
            .map(|(id, (_, at))| (*at, &**id))
            .collect();
        lost.sort_unstable();
        lost.into_iter().for_each(|(_, id)| found.lost.add(id));
        found
    }

    /// Returns the verdict on a walk.
    #[must_use]
    pub fn verdict(&self, found: &WalkComparison) -> WalkVerdict {
        let faults = [&found.lost, &found.repeated, &found.altered, &found.misplaced];
        if faults.iter().any(|fault| fault.count > 0) {
            return WalkVerdict::Lossy;
        }
        let is_empty = self.before.is_empty() && self.after.is_empty();
        // A list that is empty both times has no item to lose. Test: `losses_are_distinguished_from_changes`.
        match found.unexplained.count > 0 || !is_empty && self.changes().stayed == 0 {
            true => WalkVerdict::Open,
            false => WalkVerdict::Lossless,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, bytes: u64, keys: Option<u64>) -> WalkedItem {
        WalkedItem { id: id.into(), bytes, keys }
    }

    /// Returns a list of ids; `b'` is b with other bytes, and the digit after a colon its key.
    fn list(text: &str) -> WalkedList {
        let items = text.split_whitespace().map(|word| {
            let (word, key) = word.split_once(':').map_or((word, None), |(word, key)| (word, key.parse().ok()));
            item(word.trim_end_matches('\''), word.matches('\'').count() as u64, key)
        });
        WalkedList { items: items.collect(), cost: WalkCost::default() }
    }

    #[test]
    fn losses_are_distinguished_from_changes() {
        // The walk, the listings before and after, and what is found: lost, repeated, altered, misplaced, unexplained.
        for (walk, before, after, expected, verdict) in [
            ("a b c", "a b c", "a b c", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            ("a c", "a b c", "a b c", [1, 0, 0, 0, 0], WalkVerdict::Lossy),
            ("a b b c", "a b c", "a b c", [0, 1, 0, 0, 0], WalkVerdict::Lossy),
            // b left, d came: neither can be lost.
            ("a c", "a b c", "a c d", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            // b changed, so it may have moved past its reader.
            ("a c", "a b c", "a b' c", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            ("a b c b'", "a b c", "a c b'", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            ("a b' c", "a b c", "a b c", [0, 0, 1, 0, 0], WalkVerdict::Lossy),
            ("a:1 c:3 b:2", "a:1 b:2 c:3", "a:1 b:2 c:3", [0, 0, 0, 1, 0], WalkVerdict::Lossy),
            ("a:1 c:2 b:2", "a:1 b:2 c:2", "a:1 b:2 c:2", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            ("a c b", "a b c", "a b c", [0, 0, 0, 0, 1], WalkVerdict::Open),
            // The listings have them in one order each: the upstream does not order them.
            ("a c b", "a b c", "a c b", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            ("x", "a", "b", [0, 0, 0, 0, 0], WalkVerdict::Open),
            ("", "", "", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
        ] {
            let listings = DirectListings::new(list(before), list(after));
            let found = listings.compare(&list(walk), true);
            let counts = [&found.lost, &found.repeated, &found.altered, &found.misplaced, &found.unexplained];
            assert_eq!(counts.map(|fault| fault.count), expected, "{walk} of {before} and {after}");
            assert_eq!(listings.verdict(&found), verdict, "{walk} of {before} and {after}");
        }
    }

    #[test]
    fn items_that_are_taken_apart_are_compared_by_their_ids() {
        let listings = DirectListings::new(list("a b"), list("a b"));
        let found = listings.compare(&list("a' b'' a'''"), false);
        assert_eq!((found.altered.count, found.repeated.count, found.lost.count), (0, 1, 0));
    }
}
