//! The comparison of a walk with direct listings before and after it.
//!
//! The list may change while it is walked, and the direct listings page by number or offset, so they lose and repeat
//! items themselves. An item is therefore judged only if both listings contain it with the same bytes: it was in the
//! list all the time, at whatever place. An item in only one listing was added, removed, or lost by the other listing,
//! and is not judged.
//!
//! - *Lost*: a judged item that the walk does not contain.
//! - *Repeated*: an item that the walk contains twice with the same bytes. An item with different bytes has changed in
//!   between, and may have moved to a later place.
//! - *Altered*: a judged item that the walk contains with other bytes.
//! - *Out of order*: a judged item that follows another one in the walk, and precedes it in both listings. Items with
//!   equal sort keys may be in any order, and sort keys are known only from a configuration.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use cursorgate_core::{json::scalar, pagination::answer::Answer};

/// The largest number of ids that are listed for each kind of fault.
const EXAMPLES: usize = 10;

/// An item of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkedItem {
    /// The id as text; for an item without an id, its JSON.
    pub id: Box<str>,
    /// A hash of the item's bytes.
    pub bytes: u64,
    /// A hash of the strong keys; `None` if no order is declared.
    pub keys: Option<u64>,
}

impl WalkedItem {
    /// Returns the items of an answer.
    pub fn all(answer: &Answer) -> impl Iterator<Item = Self> {
        (0..answer.items().len()).map(|index| {
            let bytes = answer.item(index);
            let row = answer.row(index).unwrap_or_default();
            // The last key is the id, which is left out: with it, no two items would be equal.
            let strong = &row[..row.len().saturating_sub(1)];
            let values = || hash(strong.iter().map(|key| key.of(answer.body())).collect::<Vec<_>>());
            let keys = (!strong.is_empty()).then(values);
            Self { id: identity(answer.id(index), bytes), bytes: hash(bytes), keys }
        })
    }
}

/// Returns the text of an id. A number and a string with its digits are the same id, because some envelopes, such as
/// JSON:API, write numbers as strings.
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
    /// The number of requests that were sent, including retries.
    pub requests: u64,
    /// The size of the bodies in bytes.
    pub bytes: u64,
    /// The total time of the requests.
    pub elapsed: Duration,
}

/// The items of a walk in its order, and its cost.
#[derive(Clone, Debug, Default)]
pub struct WalkedList {
    /// The items, in the order in which the walk read them.
    pub items: Vec<WalkedItem>,
    /// The cost of the requests.
    pub cost: WalkCost,
}

/// A number of items, and the ids of the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemCount {
    /// The number of items.
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
    /// The number of items in both listings with the same bytes. Only these items are judged.
    pub stayed: usize,
    /// The number of items only in the second listing.
    pub came: usize,
    /// The number of items only in the first listing.
    pub left: usize,
    /// The number of items in both listings with different bytes.
    pub changed: usize,
}

/// The findings about a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalkComparison {
    /// The number of items in the walk.
    pub items: usize,
    /// Judged items that the walk does not contain.
    pub lost: ItemCount,
    /// Items that the walk contains more than once: with the same bytes, or with any bytes if the envelope doesn't
    /// keep them. Each repetition counts.
    pub repeated: ItemCount,
    /// Judged items that the walk contains with other bytes.
    pub altered: ItemCount,
    /// Items that both listings have before the previous judged item of the walk, although the strong keys of the two
    /// items differ.
    pub misplaced: ItemCount,
    /// Items that are out of order in the same way, but whose strong keys are unknown and may therefore be equal.
    pub unexplained: ItemCount,
}

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkVerdict {
    /// No judged item is lost, altered or out of order, and no item is repeated.
    Lossless,
    /// Items are lost, repeated, altered or out of order.
    Lossy,
    /// No item could be judged, or the order could not be judged.
    Open,
}

/// Direct listings before and after a walk.
#[derive(Debug)]
pub struct DirectListings {
    before: HashMap<Box<str>, (WalkedItem, usize)>,
    after: HashMap<Box<str>, (WalkedItem, usize)>,
    /// The number of items that a listing has more than once, of both listings the larger one.
    repeated: usize,
}

fn indexed(list: WalkedList) -> HashMap<Box<str>, (WalkedItem, usize)> {
    let mut index = HashMap::with_capacity(list.items.len());
    for (at, item) in list.items.into_iter().enumerate() {
        // A listing may repeat an item; only the item's first place is kept.
        index.entry(item.id.clone()).or_insert((item, at));
    }
    index
}

impl DirectListings {
    /// Indexes two listings by the ids of their items.
    #[must_use]
    pub fn new(before: WalkedList, after: WalkedList) -> Self {
        let counts = [before.items.len(), after.items.len()];
        let (before, after) = (indexed(before), indexed(after));
        let repeated = (counts[0] - before.len()).max(counts[1] - after.len());
        Self { before, after, repeated }
    }

    /// Returns the number of items of a walk that neither listing has, if the listings can't have missed them by
    /// chance: then the listings ended too early, and can't show that nothing is lost. A listing by number misses an
    /// item for each one that it repeats, and for each change of the list. Test:
    /// `items_that_no_listing_has_leave_the_walk_unjudged`.
    #[must_use]
    pub fn unlisted(&self, walk: &WalkedList) -> Option<u64> {
        let is_listed = |id: &str| self.before.contains_key(id) || self.after.contains_key(id);
        let ids: HashSet<&str> = walk.items.iter().map(|item| &*item.id).filter(|id| !is_listed(id)).collect();
        let ListChanges { came, left, .. } = self.changes();
        (ids.len() > self.repeated + came + left).then_some(ids.len() as u64)
    }

    /// Returns an item that both listings contain with the same bytes, and its indices in them; `None` for other items.
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

    /// Compares a walk with the listings. `keeps_items` is true if the envelope of the walk keeps the bytes of items.
    /// Only then can the bytes be compared.
    #[must_use]
    pub fn compare(&self, walk: &WalkedList, keeps_items: bool) -> WalkComparison {
        let mut found = WalkComparison { items: walk.items.len(), ..WalkComparison::default() };
        let mut seen: HashMap<&str, HashSet<u64>> = HashMap::with_capacity(walk.items.len());
        let mut before: Option<(&WalkedItem, usize, usize)> = None;
        for item in &walk.items {
            let versions = seen.entry(&item.id).or_default();
            let is_first = versions.is_empty();
            // Envelopes that take items apart add cursors to them, so the bytes of an item differ each time. Test:
            // `items_whose_bytes_may_differ_are_compared_by_their_ids`.
            if !versions.insert(item.bytes) || !keeps_items && !is_first {
                found.repeated.add(&item.id);
            }
            let Some(stayed) = self.stayed(&item.id).filter(|_| is_first) else { continue };
            if keeps_items && stayed.0.bytes != item.bytes {
                found.altered.add(&item.id);
            }
            // Both listings must agree on the order of two items: an upstream without an order lists them in any order.
            // Test: `losses_are_distinguished_from_changes`.
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
        // An empty list has no item to lose, so its walk is lossless. Test: `losses_are_distinguished_from_changes`.
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

    /// Returns the list of these ids. `b'` is `b` with other bytes, and a number after a colon is a key.
    fn list(text: &str) -> WalkedList {
        let items = text.split_whitespace().map(|word| {
            let (word, key) = word.split_once(':').map_or((word, None), |(word, key)| (word, key.parse().ok()));
            item(word.trim_end_matches('\''), word.matches('\'').count() as u64, key)
        });
        WalkedList { items: items.collect(), cost: WalkCost::default() }
    }

    #[test]
    fn losses_are_distinguished_from_changes() {
        // The columns are the walk, the listings before and after it, and the counts: lost, repeated, altered,
        // misplaced, unexplained.
        for (walk, before, after, expected, verdict) in [
            ("a b c", "a b c", "a b c", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            ("a c", "a b c", "a b c", [1, 0, 0, 0, 0], WalkVerdict::Lossy),
            ("a b b c", "a b c", "a b c", [0, 1, 0, 0, 0], WalkVerdict::Lossy),
            // `b` was removed and `d` was added, so neither is judged.
            ("a c", "a b c", "a c d", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            // `b` changed, so it might have moved to a place that was already read.
            ("a c", "a b c", "a b' c", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            ("a b c b'", "a b c", "a c b'", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            ("a b' c", "a b c", "a b c", [0, 0, 1, 0, 0], WalkVerdict::Lossy),
            ("a:1 c:3 b:2", "a:1 b:2 c:3", "a:1 b:2 c:3", [0, 0, 0, 1, 0], WalkVerdict::Lossy),
            ("a:1 c:2 b:2", "a:1 b:2 c:2", "a:1 b:2 c:2", [0, 0, 0, 0, 0], WalkVerdict::Lossless),
            ("a c b", "a b c", "a b c", [0, 0, 0, 0, 1], WalkVerdict::Open),
            // The listings disagree on the order, so the upstream does not sort these items.
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
    fn items_that_no_listing_has_leave_the_walk_unjudged() {
        for (walk, before, after, unlisted) in [
            ("a b c d", "a b", "a b", Some(2)),
            ("a b c", "a b c", "a b c", None),
            // By number, `c` was missed when `b` came twice, and either of two changes can move an item.
            ("a b c", "a b b", "a b b", None),
            ("a b c d", "a b", "a x", None),
            ("a b c d e", "a b", "a x", Some(3)),
        ] {
            let listings = DirectListings::new(list(before), list(after));
            assert_eq!(listings.unlisted(&list(walk)), unlisted, "{walk} of {before} and {after}");
        }
    }

    #[test]
    fn items_whose_bytes_may_differ_are_compared_by_their_ids() {
        let listings = DirectListings::new(list("a b"), list("a b"));
        let found = listings.compare(&list("a' b'' a'''"), false);
        assert_eq!((found.altered.count, found.repeated.count, found.lost.count), (0, 1, 0));
    }
}
