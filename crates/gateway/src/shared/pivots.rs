//! The cache of pivots: the sort keys and hints of items at the edges of served pages. A cursor that contains only an
//! id needs the keys of the item to find its place, and a cursor that is made for a single item needs the hint.
//!
//! An entry is found only by requests that could have seen the item: for the same route, filters, order and
//! credentials. Its keys are the keys that were served. If the entry is lost, the current keys are looked up at the
//! upstream. If the item was changed or deleted in the meantime, the cursor is then refused, and no wrong page is made.

mod stored;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::HeaderMap;
use quick_cache::{Weighter, sync::Cache};
use sha2::{Digest, Sha256};

use super::single_flight::SingleFlight;
use crate::{identity::Viewer, store::handle::StoredValue};
use cursorgate_core::pagination::{
    self,
    answer::Answer,
    key::KeyValue,
    mark::{Mark, Marker},
    order::{Direction, Order},
    position::{Anchor, Hint},
    window::Offset,
};

/// The approximate size of an entry without its keys, in bytes.
const OVERHEAD: usize = 192;

/// The limits of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PivotLimits {
    /// The largest size in bytes.
    pub size: usize,
    /// The time for which items are kept.
    pub ttl: Duration,
}

/// The cache of a process, and the look-ups of items in flight.
#[derive(Debug)]
pub struct Pivots {
    limits: PivotLimits,
    known: Cache<u128, Arc<KnownItem>, Weight>,
    pub look_ups: SingleFlight<u128, ItemResource>,
}

/// The answer of the upstream to the look-up of an item at its own resource.
#[derive(Debug)]
pub struct ItemResource {
    pub answer: Answer,
    pub headers: HeaderMap,
}

/// A cached item.
#[derive(Debug)]
pub struct KnownItem {
    /// The strong keys of the item as they were served.
    pub keys: Vec<KeyValue>,
    /// The hint of the item's cursor; the default hint for an item that was looked up.
    hint: Hint,
    /// True if the hint belongs to the position before the item, not to the one after it.
    backward: bool,
    /// The time at which the entry expires.
    until: Instant,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<u128, Arc<KnownItem>> for Weight {
    fn weight(&self, _key: &u128, known: &Arc<KnownItem>) -> u64 {
        let keys = known.keys.iter().map(|key| size_of::<KeyValue>() + bytes(key).1.len());
        u64::try_from(keys.sum::<usize>() + OVERHEAD).unwrap_or(u64::MAX)
    }
}

impl Pivots {
    /// Creates an empty cache.
    #[must_use]
    pub fn new(limits: PivotLimits) -> Self {
        let weight = u64::try_from(limits.size).unwrap_or(u64::MAX);
        let items = limits.size / (2 * OVERHEAD);
        Self { limits, known: Cache::with_weighter(items, weight, Weight), look_ups: SingleFlight::default() }
    }

    /// Returns the limits of the cache.
    #[must_use]
    pub fn limits(&self) -> PivotLimits {
        self.limits
    }

    /// Returns the approximate size of all entries in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.known.weight()
    }

    /// Returns the item with this id whose keys had this fingerprint, if it has not expired by `now`.
    pub fn find(&self, scope: &PivotScope, id: &KeyValue, fingerprint: Mark, now: Instant) -> Option<Arc<KnownItem>> {
        // The cache itself evicts only by size, so expired items are left out here. Test:
        // `items_are_forgotten_by_time_and_by_size`.
        self.known.get(&scope.key(id, Some(fingerprint))).filter(|known| now < known.until)
    }

    /// Caches an item for the time `ttl` of the settings.
    pub fn remember(&self, scope: &PivotScope, item: SeenItem<'_>, now: Instant) {
        let SeenItem { anchor, fingerprint, hint, backward } = item;
        let Some(until) = now.checked_add(self.limits.ttl) else { return };
        let known = KnownItem { keys: anchor.keys.clone(), hint, backward, until };
        self.known.insert(scope.key(&anchor.id, Some(fingerprint)), Arc::new(known));
    }

    /// Caches an item that another process has stored as `value`, for the time that the value has left, and returns it.
    /// Returns `None` if the bytes are malformed, or the keys do not have this fingerprint by this marker.
    pub fn take_in(
        &self,
        scope: &PivotScope,
        id: &KeyValue,
        fingerprint: Mark,
        value: &StoredValue,
        marker: &Marker,
        now: Instant,
    ) -> Option<Arc<KnownItem>> {
        // The process that stored the item may keep items for longer than this process does, so the shorter time
        // counts.
        let until = now.checked_add(value.left.min(self.limits.ttl))?;
        let known = stored::read(&value.bytes, until)?;
        // With keys other than the item had when its cursor was made, the cursor would lead to another place, so the
        // item isn't used.
        if pagination::fingerprint::fingerprint(marker, &known.keys) != fingerprint {
            return None;
        }
        let known = Arc::new(known);
        self.known.insert(scope.key(id, Some(fingerprint)), Arc::clone(&known));
        Some(known)
    }
}

/// An item at the edge of a page.
#[derive(Clone, Copy, Debug)]
pub struct SeenItem<'a> {
    pub anchor: &'a Anchor,
    /// The fingerprint of the item's keys.
    pub fingerprint: Mark,
    /// The hint of the cursor that leads on from the item.
    pub hint: Hint,
    /// True if the hint belongs to the position before the item, not to the one after it.
    pub backward: bool,
}

impl SeenItem<'_> {
    /// Returns the form of the item in the shared store; `None` if it has too many keys or too many bytes.
    pub fn stored(&self) -> Option<Vec<u8>> {
        stored::write(self)
    }
}

impl KnownItem {
    /// Returns the hint of the position before (`backward`) or after the item. If the cached hint belongs to the other
    /// side, the facts about that side are left out and the offset is shifted by the item itself: offset 7 after the
    /// item is offset 6 before it.
    pub fn hint(&self, backward: bool) -> Hint {
        let Hint { offset, from_end, .. } = self.hint;
        if backward == self.backward {
            return self.hint;
        }
        // Counted from the end of the list, the position before an item has the greater offset.
        // Test: `an_item_is_found_from_both_of_its_sides`.
        let offset = match backward == from_end {
            true => offset.0.saturating_add(1),
            false => offset.0.saturating_sub(1),
        };
        Hint { offset: Offset(offset), run: 0, within: 0, ahead: None, ..self.hint }
    }
}

/// The scope of an entry: a hash of everything that decides whether a client may see the item. An entry of one scope
/// isn't found from another scope.
#[derive(Clone, Copy)]
pub struct PivotScope([u8; 32]);

impl std::fmt::Debug for PivotScope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Scope(…)")
    }
}

#[derive(Clone, Copy)]
pub struct PivotScopeParts<'a> {
    pub route: &'a str,
    /// A hash of the route's settings, which a reload may have changed.
    pub route_fingerprint: u64,
    /// The host of the request if the route serves by host; otherwise empty.
    pub host: &'a str,
    pub path: &'a str,
    /// The client's filters as they are sent to the upstream, private ones included.
    pub filters: &'a str,
    /// The part of the request's body that is sent to the upstream.
    pub body: Option<&'a [u8]>,
    pub order: &'a Order,
    /// The client for whom items are remembered.
    pub viewer: Viewer<'a>,
}

impl PivotScope {
    /// Computes the scope of these parts.
    pub fn new(parts: PivotScopeParts<'_>) -> Self {
        let mut hash = Sha256::new();
        // Each part is preceded by its length, so different lists of parts never have the same bytes.
        let mut add = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        add(parts.route.as_bytes());
        add(&parts.route_fingerprint.to_le_bytes());
        for text in [parts.host, parts.path, parts.filters] {
            add(text.as_bytes());
        }
        add(parts.body.unwrap_or_default());
        for key in parts.order.keys() {
            add(key.name.as_bytes());
            add(&[u8::from(key.direction == Direction::Descending)]);
        }
        // The client is hashed, so an item of one client is never used for another. Test:
        // `pivots_of_one_principal_are_never_used_for_another`.
        parts.viewer.parts(add);
        Self(hash.finalize().into())
    }

    /// Returns the key of an item in this scope, with or without a fingerprint of its sort keys.
    pub fn key(&self, id: &KeyValue, fingerprint: Option<Mark>) -> u128 {
        let mut key = [0; 16];
        key.copy_from_slice(&self.digest(id, fingerprint)[..16]);
        u128::from_le_bytes(key)
    }

    /// Returns all bytes of the hash of which [`Self::key`] returns the first 16, for the shared store.
    pub fn digest(&self, id: &KeyValue, fingerprint: Option<Mark>) -> [u8; 32] {
        let (kind, bytes) = bytes(id);
        // `u64::MAX` stands for no fingerprint: marks have 40 bits.
        let fingerprint = fingerprint.map_or(u64::MAX, Mark::number);
        let mut hash = Sha256::new_with_prefix(self.0);
        hash.update(fingerprint.to_le_bytes());
        hash.update([kind]);
        hash.update(bytes);
        hash.finalize().into()
    }
}

/// Returns the kind of a value, which distinguishes `1` from `"1"`, and its bytes.
fn bytes(value: &KeyValue) -> (u8, &[u8]) {
    match value {
        KeyValue::Null => (0, &[]),
        KeyValue::Boolean(false) => (1, &[]),
        KeyValue::Boolean(true) => (2, &[]),
        KeyValue::Number(digits) => (3, digits.as_bytes()),
        KeyValue::Text(text) => (4, text),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderName;

    use super::*;
    use cursorgate_core::pagination::order::{Kind, Nulls, SortKey, Ties};

    const LIMITS: PivotLimits = PivotLimits { size: 64 << 10, ttl: Duration::from_secs(600) };

    fn order(direction: Direction) -> Order {
        let key = |name: &str| SortKey {
            name: name.to_owned(),
            direction,
            kind: Kind::Inferred,
            nulls: Nulls::None,
            grain: None,
        };
        Order::declared(vec![key("name")], key("id"), Ties::Ordered)
    }

    fn anchor(id: u64, name: &str) -> Anchor {
        let keys = vec![KeyValue::Text(name.as_bytes().to_vec())];
        Anchor { keys, id: KeyValue::Number(id.to_string()) }
    }

    fn seen(anchor: &Anchor, fingerprint: u64) -> SeenItem<'_> {
        let hint = Hint { offset: Offset(7), run: 2, total: Some(9), ..Hint::default() };
        SeenItem { anchor, fingerprint: Mark::of(fingerprint), hint, backward: false }
    }

    fn viewer<'r>(headers: &'r HeaderMap, told_apart_by: &'r [HeaderName]) -> Viewer<'r> {
        Viewer { headers, known: None, told_apart_by, bound: &[], impersonal: &[] }
    }

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// Every part that decides what a client may see changes the scope.
    ///
    /// Row: A22
    #[test]
    fn an_item_is_found_from_its_own_scope_alone() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, value.parse().unwrap());
            }
            headers
        };
        let principal = [http::header::AUTHORIZATION, http::header::COOKIE];
        let (up, down) = (order(Direction::Ascending), order(Direction::Descending));
        let none = HeaderMap::new();
        let base = PivotScopeParts {
            route: "one",
            route_fingerprint: 7,
            host: "a",
            path: "/one",
            filters: "b=1",
            body: None,
            order: &up,
            viewer: viewer(&none, &principal),
        };
        let views = [
            headers(&[("authorization", "x")]),
            headers(&[("cookie", "x")]),
            headers(&[("authorization", "cookie")]),
            headers(&[("cookie", "cookie")]),
            headers(&[("cookie", "x"), ("cookie", "x")]),
            headers(&[("authorization", "x"), ("cookie", "x")]),
        ];
        let mut scopes = vec![
            base,
            PivotScopeParts { route: "other", ..base },
            PivotScopeParts { route_fingerprint: 8, ..base },
            PivotScopeParts { host: "", ..base },
            PivotScopeParts { path: "/oneb", filters: "=1", ..base },
            PivotScopeParts { body: Some(b"{}"), ..base },
            PivotScopeParts { body: Some(br#"{"a":1}"#), ..base },
            PivotScopeParts { filters: "b=2", ..base },
            PivotScopeParts { order: &down, ..base },
        ];
        scopes.extend(views.iter().map(|view| PivotScopeParts { viewer: viewer(view, &principal), ..base }));
        let (by_key, by_user) = ([HeaderName::from_static("x-key")], [HeaderName::from_static("x-user")]);
        let same = headers(&[("x-key", "x"), ("x-user", "x")]);
        scopes.extend([&by_key, &by_user].map(|names| PivotScopeParts { viewer: viewer(&same, names), ..base }));
        let (pivots, item, now) = (Pivots::new(LIMITS), anchor(1, "a"), now());
        for (index, parts) in scopes.iter().enumerate() {
            let scope = PivotScope::new(*parts);
            assert!(pivots.find(&scope, &item.id, Mark::of(1), now).is_none(), "{index} is like one before it");
            pivots.remember(&scope, seen(&item, 1), now);
            assert!(pivots.find(&scope, &item.id, Mark::of(1), now).is_some());
            assert!(pivots.find(&scope, &item.id, Mark::of(2), now).is_none());
            assert!(pivots.find(&scope, &KeyValue::Text(b"1".to_vec()), Mark::of(1), now).is_none());
        }
        let unlike = headers(&[("accept", "x")]);
        let scope = PivotScope::new(PivotScopeParts { viewer: viewer(&unlike, &principal), ..base });
        assert!(
            pivots.find(&scope, &item.id, Mark::of(1), now).is_some(),
            "a header that is not a credential decides nothing"
        );
    }

    /// Row: F52
    #[test]
    fn items_are_forgotten_by_time_and_by_size() {
        let (pivots, scope, begin) = (Pivots::new(LIMITS), PivotScope([0; 32]), now());
        let item = anchor(1, "a");
        pivots.remember(&scope, seen(&item, 1), begin);
        let found = |after| pivots.find(&scope, &item.id, Mark::of(1), begin + Duration::from_secs(after)).is_some();
        assert_eq!((found(0), found(599), found(600)), (true, true, false));
        for id in 0..10_000 {
            pivots.remember(&scope, seen(&anchor(id, &"long".repeat(20)), 1), begin);
        }
        assert!(pivots.size() <= LIMITS.size as u64 && pivots.size() > LIMITS.size as u64 / 2, "{}", pivots.size());
    }

    #[test]
    fn an_item_is_found_from_both_of_its_sides() {
        let known = |offset, from_end, backward| KnownItem {
            keys: Vec::new(),
            hint: Hint { offset: Offset(offset), from_end, run: 3, total: Some(9), ..Hint::default() },
            backward,
            until: now(),
        };
        for (offset, from_end, backward, other) in
            [(7, false, false, 6), (7, false, true, 8), (7, true, false, 8), (7, true, true, 6), (0, false, false, 0)]
        {
            let known = known(offset, from_end, backward);
            assert_eq!(known.hint(backward), known.hint);
            let hint = known.hint(!backward);
            assert_eq!((hint.offset, hint.from_end, hint.run, hint.total), (Offset(other), from_end, 0, Some(9)));
        }
    }
}
