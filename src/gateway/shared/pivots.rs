//! Keys of items, remembered from the pages on whose edges they stood: what a cursor that names its item by the id alone
//! needs to be found again, and where an item stood whose cursor says nothing of that.
//!
//! What is remembered is found only by who could have seen it: on the same route, with the same filters and order, with
//! the same credentials. It is what was served, not what is there now: a look-up finds that. So losing it costs a request,
//! and with a changed or deleted item the cursor; never a wrong page.

use std::{sync::Arc, time::Instant};

use http::HeaderMap;
use quick_cache::{Weighter, sync::Cache};
use sha2::{Digest, Sha256};

use super::single_flight::SingleFlight;
use crate::{
    config::settings::PivotCacheSettings,
    pagination::{
        answer::Answer,
        key::KeyValue,
        mark::Mark,
        order::{Direction, Order},
        position::{Anchor, Hint},
        window::Offset,
    },
};

/// About what an entry takes beside its keys, in bytes.
const OVERHEAD: usize = 192;

/// What is remembered of items, for all routes of a process, and which of them are being looked up.
#[derive(Debug)]
pub struct Pivots {
    settings: PivotCacheSettings,
    known: Cache<u128, Arc<KnownItem>, Weight>,
    /// Look-ups under way.
    pub(crate) flights: SingleFlight<u128, ItemResource>,
}

/// An item's own resource, as the upstream gave it.
#[derive(Debug)]
pub(crate) struct ItemResource {
    /// What it says.
    pub(crate) answer: Answer,
    /// Its headers.
    pub(crate) headers: HeaderMap,
}

/// What is remembered of an item.
#[derive(Debug)]
pub(crate) struct KnownItem {
    /// Its strong keys, as they were served.
    pub(crate) keys: Vec<KeyValue>,
    /// The hint that came with it, where it stood on the edge of a page.
    hint: Hint,
    /// The hint is that of the place before the item; else of the place after it.
    backward: bool,
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
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(settings: PivotCacheSettings) -> Self {
        let weight = u64::try_from(settings.size).unwrap_or(u64::MAX);
        let items = settings.size / (2 * OVERHEAD);
        Self { settings, known: Cache::with_weighter(items, weight, Weight), flights: SingleFlight::default() }
    }

    /// How much may be remembered, and for how long.
    #[must_use]
    pub fn settings(&self) -> PivotCacheSettings {
        self.settings
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.known.weight()
    }

    /// What is known of the item with an id that had keys with this fingerprint.
    pub(crate) fn find(
        &self,
        scope: &PivotScope,
        id: &KeyValue,
        fingerprint: Mark,
        now: Instant,
    ) -> Option<Arc<KnownItem>> {
        self.known.get(&scope.key(id, Some(fingerprint))).filter(|known| now < known.until)
    }

    /// Remembers an item: `hint` is that of the place before it (`backward`) or after it.
    pub(crate) fn remember(&self, scope: &PivotScope, item: SeenItem<'_>, now: Instant) {
        let SeenItem { anchor, fingerprint, hint, backward } = item;
        let Some(until) = now.checked_add(self.settings.ttl) else { return };
        let known = KnownItem { keys: anchor.keys.clone(), hint, backward, until };
        self.known.insert(scope.key(&anchor.id, Some(fingerprint)), Arc::new(known));
    }
}

/// An item that was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeenItem<'a> {
    /// The item.
    pub(crate) anchor: &'a Anchor,
    /// The mark of its keys.
    pub(crate) fingerprint: Mark,
    /// Where it stood.
    pub(crate) hint: Hint,
    /// The hint is that of the place before it.
    pub(crate) backward: bool,
}

impl KnownItem {
    /// What helps to find the place before the item (`backward`), or after it. Of the other one the offset alone is known,
    /// by the one item between them.
    pub(crate) fn hint(&self, backward: bool) -> Hint {
        let Hint { offset, from_end, .. } = self.hint;
        if backward == self.backward {
            return self.hint;
        }
        // Counted from the end, the place before an item is the greater one.
        let offset = match backward == from_end {
            true => offset.0.saturating_add(1),
            false => offset.0.saturating_sub(1),
        };
        Hint { offset: Offset(offset), run: 0, within: 0, ahead: None, ..self.hint }
    }
}

/// Whose view of which list something was seen in. What was seen in one scope is not found in another.
#[derive(Clone, Copy)]
pub(crate) struct PivotScope([u8; 32]);

impl std::fmt::Debug for PivotScope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Scope(…)")
    }
}

/// What makes a scope.
#[derive(Clone, Copy)]
pub(crate) struct PivotScopeParts<'a> {
    /// The name of the route.
    pub(crate) route: &'a str,
    /// A hash of the route's settings, which a reload may have changed.
    pub(crate) route_fingerprint: u64,
    /// The host that was asked, where it decides.
    pub(crate) host: &'a str,
    /// The path that was asked.
    pub(crate) path: &'a str,
    /// The client's filters, private ones too, as they go upstream.
    pub(crate) filters: &'a str,
    /// What of the body goes upstream.
    pub(crate) body: Option<&'a [u8]>,
    /// The order.
    pub(crate) order: &'a Order,
    /// The request's headers.
    pub(crate) headers: &'a HeaderMap,
    /// Those that say whose view it is.
    pub(crate) principal: &'a [http::HeaderName],
}

impl PivotScope {
    /// The scope of these parts.
    pub(crate) fn new(parts: PivotScopeParts<'_>) -> Self {
        let mut hash = Sha256::new();
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
        for key in parts.order.strong.iter().chain([&parts.order.id]) {
            add(key.name.as_bytes());
            add(&[u8::from(key.direction == Direction::Descending)]);
        }
        for name in parts.principal {
            let values = parts.headers.get_all(name);
            add(&(values.iter().count() as u64).to_le_bytes());
            values.iter().for_each(|value| add(value.as_bytes()));
        }
        Self(hash.finalize().into())
    }

    /// What stands for an item in this scope, with keys of a fingerprint or whatever they are now.
    pub(crate) fn key(&self, id: &KeyValue, fingerprint: Option<Mark>) -> u128 {
        let (kind, bytes) = bytes(id);
        let fingerprint = fingerprint.map_or(u64::MAX, Mark::number);
        let mut hash = Sha256::new_with_prefix(self.0);
        hash.update(fingerprint.to_le_bytes());
        hash.update([kind]);
        hash.update(bytes);
        let digest = hash.finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        u128::from_le_bytes(key)
    }
}

/// The kind of a value, and its bytes.
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

    use super::*;
    use crate::pagination::order::{Kind, Nulls, SortKey, Ties};

    const SETTINGS: PivotCacheSettings = PivotCacheSettings { size: 64 << 10, ttl: Duration::from_secs(600) };

    fn order(direction: Direction) -> Order {
        let key = |name: &str| SortKey {
            name: name.to_owned(),
            direction,
            kind: Kind::Inferred,
            nulls: Nulls::None,
            grain: None,
        };
        Order { strong: vec![key("name")], id: key("id"), ties: Ties::Ordered, declared: true }
    }

    fn anchor(id: u64, name: &str) -> Anchor {
        let keys = vec![KeyValue::Text(name.as_bytes().to_vec())];
        Anchor { keys, id: KeyValue::Number(id.to_string()) }
    }

    fn seen(anchor: &Anchor, fingerprint: u64) -> SeenItem<'_> {
        let hint = Hint { offset: Offset(7), run: 2, total: Some(9), ..Hint::default() };
        SeenItem { anchor, fingerprint: Mark::of(fingerprint), hint, backward: false }
    }

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// What differs in anything that decides what a client may see is another scope.
    ///
    /// Row: A22
    #[test]
    fn nothing_is_found_from_another_scope() {
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
            headers: &none,
            principal: &principal,
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
        scopes.extend(views.iter().map(|headers| PivotScopeParts { headers, ..base }));
        let (pivots, item, now) = (Pivots::new(SETTINGS), anchor(1, "a"), now());
        for (index, parts) in scopes.iter().enumerate() {
            let scope = PivotScope::new(*parts);
            assert!(pivots.find(&scope, &item.id, Mark::of(1), now).is_none(), "{index} is like one before it");
            pivots.remember(&scope, seen(&item, 1), now);
            assert!(pivots.find(&scope, &item.id, Mark::of(1), now).is_some());
            assert!(pivots.find(&scope, &item.id, Mark::of(2), now).is_none());
            assert!(pivots.find(&scope, &KeyValue::Text(b"1".to_vec()), Mark::of(1), now).is_none());
        }
        let unlike = headers(&[("accept", "x")]);
        let scope = PivotScope::new(PivotScopeParts { headers: &unlike, ..base });
        assert!(pivots.find(&scope, &item.id, Mark::of(1), now).is_some(), "what is no credential decides nothing");
    }

    /// Row: F52
    #[test]
    fn it_forgets_by_time_and_by_size() {
        let (pivots, scope, begin) = (Pivots::new(SETTINGS), PivotScope([0; 32]), now());
        let item = anchor(1, "a");
        pivots.remember(&scope, seen(&item, 1), begin);
        let found = |after| pivots.find(&scope, &item.id, Mark::of(1), begin + Duration::from_secs(after)).is_some();
        assert_eq!((found(0), found(599), found(600)), (true, true, false));
        for id in 0..10_000 {
            pivots.remember(&scope, seen(&anchor(id, &"long".repeat(20)), 1), begin);
        }
        assert!(pivots.size() <= SETTINGS.size as u64 && pivots.size() > SETTINGS.size as u64 / 2, "{}", pivots.size());
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
