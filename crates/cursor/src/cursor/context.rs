//! The context of a cursor, which binds the cursor to the list for which it was made.
//!
//! A cursor contains a keyed fingerprint of its context: 64 bits of the whole context, and 8 bits of each part. The 64
//! bits decide whether the cursor belongs to the list. The bits of the parts only help a refusal to name the part that
//! differs.

use std::sync::{Arc, OnceLock};

use super::{
    context_part::ContextPart,
    keyring::{KeyRing, RingKey},
};
use crate::pagination::order::{Direction, Kind, Nulls, Order, SortKey};

/// The parts of a context. Each part must be in a canonical spelling, because another spelling makes another context.
#[derive(Clone, Copy)]
pub struct ContextParts<'a> {
    /// The name of the route.
    pub route: &'a str,
    /// The host of the request in lower case; empty if the route serves the same list under every host name.
    pub host: &'a str,
    /// The path of the request with its parameters, without the optional final slash.
    pub path: &'a str,
    /// The filters in a canonical form.
    pub filters: &'a [u8],
    /// The order of the page. The upstream's treatment of ties and the grains of keys aren't part of the context.
    pub order: &'a Order,
    /// The bound headers in the order of the configuration, with names in lower case. A header has an entry for each
    /// value that was received, so an absent header has none.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// The context of cursors. It may contain credentials, so it is never printed.
#[derive(Clone)]
pub struct CursorContext {
    /// The bytes of all parts, one after the other.
    bytes: Vec<u8>,
    /// The end offset of each part in `bytes`, in the order of [`ContextPart::ALL`].
    ends: [usize; ContextPart::ALL.len()],
    /// The fingerprint under the first key that was used. Most requests open and make cursors with the same key.
    remembered: OnceLock<Computed>,
    /// The default context of the route, whose digests are reused for equal parts; `None` without [`Self::beside`].
    usual: Option<Arc<Self>>,
}

/// A fingerprint, with the digests of the parts from which it was computed.
#[derive(Clone, Copy)]
struct Computed {
    /// The [`RingKey::identity`] of the key of this fingerprint.
    identity: [u8; 16],
    digests: [[u8; 32]; ContextPart::ALL.len()],
    fingerprint: Fingerprint,
}

impl CursorContext {
    /// Creates a context from its parts. The fingerprint is computed only when it is needed.
    #[must_use]
    pub fn new(parts: ContextParts<'_>) -> Self {
        let mut bytes = Vec::with_capacity(256);
        let mut ends = [0; ContextPart::ALL.len()];
        for (part, end) in ContextPart::ALL.into_iter().zip(&mut ends) {
            match part {
                ContextPart::Route => bytes.extend_from_slice(parts.route.as_bytes()),
                ContextPart::Host => bytes.extend_from_slice(parts.host.as_bytes()),
                ContextPart::Path => bytes.extend_from_slice(parts.path.as_bytes()),
                ContextPart::Filters => bytes.extend_from_slice(parts.filters),
                ContextPart::Order => write_order(&mut bytes, parts.order),
                ContextPart::Headers => {
                    // The lengths separate the end of a name from its value. Test:
                    // `the_part_of_the_context_that_differs_is_named`.
                    for &(name, value) in parts.headers {
                        write_prefixed(&mut bytes, name.as_bytes());
                        write_prefixed(&mut bytes, value);
                    }
                }
            }
            *end = bytes.len();
        }
        Self { bytes, ends, remembered: OnceLock::new(), usual: None }
    }

    /// Creates the default context of a route for [`Self::beside`], and computes its fingerprint under the signing key.
    #[must_use]
    pub fn usual(parts: ContextParts<'_>, keys: &KeyRing) -> Arc<Self> {
        let usual = Self::new(parts);
        usual.fingerprint(keys.signing());
        Arc::new(usual)
    }

    /// Sets the default context of the route. Parts that are equal in both contexts aren't hashed again.
    #[must_use]
    pub fn beside(self, usual: &Arc<Self>) -> Self {
        Self { usual: Some(Arc::clone(usual)), ..self }
    }

    /// Returns the default context for the next requests of the route: this one, if only its host, its path or its
    /// order differ from the default. Most requests of a route come by one host. Returns `None` for a context with
    /// filters or headers, which are the client's own, and for the default context itself.
    #[must_use]
    pub fn next_usual(&self, keys: &KeyRing) -> Option<Arc<Self>> {
        let usual = self.usual.as_deref()?;
        let own = [ContextPart::Filters, ContextPart::Headers];
        if own.into_iter().any(|part| !self.part(part as usize).is_empty()) || self.has_bytes_of(usual) {
            return None;
        }
        self.fingerprint(keys.signing());
        Some(Arc::new(Self { usual: None, ..self.clone() }))
    }

    fn has_bytes_of(&self, other: &Self) -> bool {
        self.ends == other.ends && self.bytes == other.bytes
    }

    /// Returns the same context of a route with another name.
    #[must_use]
    pub fn renamed(&self, route: &str) -> Self {
        // The route is the first part, so the other parts only move.
        let kept = self.ends[0];
        let ends = self.ends.map(|end| end - kept + route.len());
        let bytes = [route.as_bytes(), &self.bytes[kept..]].concat();
        Self { bytes, ends, remembered: OnceLock::new(), usual: None }
    }

    /// Returns the fingerprint under a key. Only the fingerprint under the first key is kept for later calls.
    pub(super) fn fingerprint(&self, key: &RingKey) -> Fingerprint {
        let computed = self.remembered.get_or_init(|| self.compute(key));
        // After a rotation, cursors are opened and made with different keys. The fingerprint under the second key is
        // computed anew. Test: `keys_rotate_in_two_steps`.
        if computed.identity == key.identity { computed.fingerprint } else { self.compute(key).fingerprint }
    }

    fn compute(&self, key: &RingKey) -> Computed {
        const WHOLE: u8 = u8::MAX;
        let usual = self.usual.as_deref().and_then(|usual| Some((usual, usual.remembered.get()?)));
        // The digests of the default context can be reused only under the same key.
        let usual = usual.filter(|(_, computed)| computed.identity == key.identity);
        let mut is_usual = usual.is_some();
        let digests = std::array::from_fn(|part| match usual {
            Some((usual, computed)) if usual.part(part) == self.part(part) => computed.digests[part],
            _ => {
                is_usual = false;
                // The label of a part is its index, 0 to 5.
                key.fingerprint(u8::try_from(part).unwrap_or(WHOLE), self.part(part))
            }
        });
        if let (Some((_, computed)), true) = (usual, is_usual) {
            return *computed;
        }
        // The whole is a hash of digests of equal length, so moving bytes from one part to the next changes the
        // fingerprint. Test: `parts_do_not_run_into_their_neighbours`.
        let mut whole = [0; 8];
        whole.copy_from_slice(&key.fingerprint(WHOLE, digests.as_flattened())[..8]);
        let fingerprint = Fingerprint { whole, parts: digests.map(|digest: [u8; 32]| digest[0]) };
        Computed { identity: key.identity, digests, fingerprint }
    }

    /// Returns the bytes of the part at this index in [`ContextPart::ALL`].
    fn part(&self, part: usize) -> &[u8] {
        let start = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[part]]
    }
}

impl std::fmt::Debug for CursorContext {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Context(…)")
    }
}

/// The keyed fingerprint of a context, as a cursor contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    whole: [u8; 8],
    parts: [u8; ContextPart::ALL.len()],
}

impl Fingerprint {
    /// The size of a fingerprint in a cursor, in bytes: 8 for the whole context, and one for each part.
    pub(super) const SIZE: usize = 8 + ContextPart::ALL.len();

    pub(super) fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut fingerprint = Self { whole: [0; 8], parts: [0; ContextPart::ALL.len()] };
        let (whole, parts) = bytes.split_at(8);
        fingerprint.whole.copy_from_slice(whole);
        fingerprint.parts.copy_from_slice(parts);
        fingerprint
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.whole);
        out.extend_from_slice(&self.parts);
    }

    /// Returns the parts that differ. The difference of a part goes unnoticed in 1 of 256 cases, so the result may be
    /// empty for different contexts.
    pub(super) fn differs(&self, other: &Self) -> Vec<ContextPart> {
        ContextPart::ALL
            .into_iter()
            .zip(self.parts.iter().zip(&other.parts))
            .filter_map(|(part, (own, theirs))| (own != theirs).then_some(part))
            .collect()
    }

    /// Returns the 64 bits of the whole context as a number.
    pub(super) fn number(&self) -> u64 {
        u64::from_le_bytes(self.whole)
    }
}

/// Appends all properties of an order that decide the sequence of items. The treatment of ties and the grains are left
/// out, because they only change how answers are read. Test:
/// `every_property_that_changes_the_order_is_part_of_the_context`.
fn write_order(out: &mut Vec<u8>, order: &Order) {
    for key in order.keys() {
        write_key(out, key);
    }
    // Positions in a list without a declared order are marks, which have no meaning if an order is declared. The
    // converse is true for keys.
    if !order.is_declared() {
        out.push(0);
    }
}

fn write_key(out: &mut Vec<u8>, key: &SortKey) {
    write_prefixed(out, key.name.as_bytes());
    out.push(match key.direction {
        Direction::Ascending => 0,
        Direction::Descending => 1,
    });
    out.push(match key.nulls {
        Nulls::Unsaid => 0,
        Nulls::None => 1,
        Nulls::Smallest => 2,
        Nulls::Largest => 3,
        Nulls::First => 4,
        Nulls::Last => 5,
    });
    let ranks: &[String] = match &key.kind {
        Kind::Rank(ranks) => ranks,
        _ => &[],
    };
    out.push(match key.kind {
        Kind::Inferred => 0,
        Kind::Number => 1,
        Kind::NumberInString => 2,
        Kind::Text => 3,
        Kind::Datetime => 4,
        Kind::Boolean => 5,
        Kind::Uuid => 6,
        Kind::Rank(_) => 7,
        Kind::Opaque => 8,
    });
    // The number of ranks is included, so an additional rank can't be taken for the next key.
    write_length(out, ranks.len());
    for rank in ranks {
        write_prefixed(out, rank.as_bytes());
    }
}

fn write_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    write_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&(length as u64).to_le_bytes());
}
