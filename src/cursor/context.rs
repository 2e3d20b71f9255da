//! What a cursor is bound to: it opens only where it was made.
//!
//! A cursor carries a keyed fingerprint of its context, 64 bits of the whole and 8 bits of each part. The whole
//! decides whether it belongs; the parts only tell a client what it changed.

use std::sync::{Arc, OnceLock};

use super::keyring::{KeyRing, RingKey};
use crate::pagination::order::{Direction, Kind, Nulls, Order, SortKey};

/// A part of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextPart {
    /// The route, by its name.
    Route,
    /// The host that was asked.
    Host,
    /// The path, parameters included.
    Path,
    /// The filters.
    Filters,
    /// The order.
    Order,
    /// The bound headers.
    Headers,
}

impl ContextPart {
    /// All parts, in the sequence in which a cursor carries their fingerprints.
    pub const ALL: [Self; 6] = [Self::Route, Self::Host, Self::Path, Self::Filters, Self::Order, Self::Headers];

    /// The word for clients.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Host => "host",
            Self::Path => "path",
            Self::Filters => "filters",
            Self::Order => "order",
            Self::Headers => "headers",
        }
    }
}

impl std::fmt::Display for ContextPart {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The parts of a context, each in one canonical spelling: what is spelt differently is another context.
#[derive(Clone, Copy)]
pub struct ContextParts<'a> {
    /// The route's name.
    pub route: &'a str,
    /// The host that was asked, in lower case; empty where one list is served under any name.
    pub host: &'a str,
    /// The path that was asked, parameters filled in, without the final slash that routes ignore.
    pub path: &'a str,
    /// The filters, as bytes that are the same for every spelling of the same filters.
    pub filters: &'a [u8],
    /// The order that the client gets. How its upstream treats ties is not part of a cursor's meaning.
    pub order: &'a Order,
    /// The headers that cursors are bound to, in the sequence of the configuration: one entry for each value that was
    /// received, names in lower case. A header that is not there has no entry.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// What a cursor is bound to. It may hold credentials, and is never printed.
#[derive(Clone)]
pub struct CursorContext {
    /// The parts, one after the other.
    bytes: Vec<u8>,
    /// Where each part ends in `bytes`.
    ends: [usize; ContextPart::ALL.len()],
    /// A request opens one cursor and seals a few, nearly always with one key: its fingerprint is computed once.
    remembered: OnceLock<Computed>,
    /// What it has in common with this one need not be computed at all.
    usual: Option<Arc<Self>>,
}

/// What was computed with a key.
#[derive(Clone, Copy)]
struct Computed {
    /// Which key that was.
    identity: [u8; 16],
    digests: [[u8; 32]; ContextPart::ALL.len()],
    fingerprint: Fingerprint,
}

impl CursorContext {
    /// The context of these parts.
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

    /// The context that most requests of a route share, for [`Self::beside`]: its fingerprint under the key that signs is
    /// computed at once.
    #[must_use]
    pub fn usual(parts: ContextParts<'_>, keys: &KeyRing) -> Arc<Self> {
        let usual = Self::new(parts);
        usual.fingerprint(keys.signing());
        Arc::new(usual)
    }

    /// The same context, beside the usual one of its route: what the two have in common is not computed again.
    #[must_use]
    pub fn beside(self, usual: &Arc<Self>) -> Self {
        Self { usual: Some(Arc::clone(usual)), ..self }
    }

    /// The fingerprint of this context under a key.
    pub(super) fn fingerprint(&self, key: &RingKey) -> Fingerprint {
        let computed = self.remembered.get_or_init(|| self.compute(key));
        if computed.identity == key.identity { computed.fingerprint } else { self.compute(key).fingerprint }
    }

    fn compute(&self, key: &RingKey) -> Computed {
        const WHOLE: u8 = u8::MAX;
        let usual = self.usual.as_deref().and_then(|usual| Some((usual, usual.remembered.get()?)));
        let usual = usual.filter(|(_, computed)| computed.identity == key.identity);
        let mut is_usual = usual.is_some();
        let digests = std::array::from_fn(|part| match usual {
            Some((usual, computed)) if usual.part(part) == self.part(part) => computed.digests[part],
            _ => {
                is_usual = false;
                // A label for each part: their numbers are below 6.
                key.fingerprint(u8::try_from(part).unwrap_or(WHOLE), self.part(part))
            }
        });
        if let (Some((_, computed)), true) = (usual, is_usual) {
            return *computed;
        }
        // The whole is taken over the digests: they have one length, so no part can be mistaken for its neighbour.
        let mut whole = [0; 8];
        whole.copy_from_slice(&key.fingerprint(WHOLE, digests.as_flattened())[..8]);
        let fingerprint = Fingerprint { whole, parts: digests.map(|digest: [u8; 32]| digest[0]) };
        Computed { identity: key.identity, digests, fingerprint }
    }

    /// The bytes of a part, by its place in [`ContextPart::ALL`].
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

/// The fingerprint of a context, as a cursor carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    whole: [u8; 8],
    parts: [u8; ContextPart::ALL.len()],
}

impl Fingerprint {
    /// How many bytes it takes in a cursor.
    pub(super) const SIZE: usize = 8 + ContextPart::ALL.len();

    /// Reads one back.
    pub(super) fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut fingerprint = Self { whole: [0; 8], parts: [0; ContextPart::ALL.len()] };
        let (whole, parts) = bytes.split_at(8);
        fingerprint.whole.copy_from_slice(whole);
        fingerprint.parts.copy_from_slice(parts);
        fingerprint
    }

    /// Appends it to a cursor.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.whole);
        out.extend_from_slice(&self.parts);
    }

    /// The parts that differ. One part in 256 that differs is not seen, so this may be empty where the contexts are
    /// not the same.
    pub(super) fn differs(&self, other: &Self) -> Vec<ContextPart> {
        ContextPart::ALL
            .into_iter()
            .zip(self.parts.iter().zip(&other.parts))
            .filter_map(|(part, (own, theirs))| (own != theirs).then_some(part))
            .collect()
    }

    /// A number that differs between contexts.
    pub(super) fn number(&self) -> u64 {
        u64::from_le_bytes(self.whole)
    }
}

fn write_order(out: &mut Vec<u8>, order: &Order) {
    for key in order.strong.iter().chain(std::iter::once(&order.id)) {
        write_key(out, key);
    }
    // Without a declared order positions are marks, which mean nothing where there is one, and the other way round.
    if !order.declared {
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
