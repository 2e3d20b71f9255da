//! The memory of the gateways in front of the upstream: the learnt limits of the upstream, and the keys of items that
//! were served, by id. Each replica has its own memory.

use std::collections::{BTreeMap, HashMap};

use cursorgate_core::pagination::{
    fingerprint::fingerprint,
    key::KeyValue,
    mark::{Mark, Marker},
    page::Page,
    paging::UpstreamProfile,
    position::{Anchor, Item, Pivot, Position, Target},
};

use crate::{dice::mix, keyed::client::Client};

/// The learnt limits of an upstream, merged over all clients of a gateway as in `gateway::shared::learning`: caps for
/// each view (the principal), everything else for all views together.
#[derive(Debug, Default)]
struct Learning {
    caps: BTreeMap<usize, u32>,
    run: u32,
    drift: u32,
    filters_in_vain: u8,
}

impl Learning {
    fn read(&self, view: usize) -> UpstreamProfile {
        let Self { caps, run, drift, filters_in_vain } = self;
        UpstreamProfile {
            cap: caps.get(&view).copied(),
            run: *run,
            drift: Some(*drift),
            filters_in_vain: *filters_in_vain,
        }
    }

    fn add(&mut self, view: usize, profile: UpstreamProfile) {
        match profile.cap {
            Some(cap) => self.caps.insert(view, cap),
            // A page that finds no cap removes the known cap, which may have been misread.
            None => self.caps.remove(&view),
        };
        self.filters_in_vain = profile.filters_in_vain;
        // The longest run shrinks by an eighth with each page that meets no run of that length, and so does the drift.
        let faded = |known: u32| known - known.div_ceil(8);
        self.run = profile.run.max(faded(self.run));
        self.drift = profile.drift.map_or(self.drift, |drift| drift.max(faded(self.drift)));
    }
}

#[derive(Debug, Default)]
pub(crate) struct Gateway {
    learning: Learning,
    pivots: HashMap<String, Vec<KeyValue>>,
}

/// All gateway processes, and the index of the process that answers now.
pub(crate) struct Gateways {
    all: Vec<Gateway>,
    turn: usize,
    pub(crate) marker: Marker,
}

impl Gateways {
    pub(crate) fn new(client: &Client) -> Self {
        let marker = Marker::new(|bytes| Mark::of(bytes.iter().fold(7, |sum, byte| mix(sum, u64::from(*byte)))));
        Self { all: (0..client.replicas).map(|_| Gateway::default()).collect(), turn: 0, marker }
    }

    /// Chooses the gateway that answers a request, as a balancer does. One in `Client::forgets` requests reaches a
    /// process that has just started.
    pub(crate) fn choose(&mut self, client: &Client, salt: u64, request: u64) -> &mut Gateway {
        self.turn = mix(salt, request) as usize % self.all.len();
        let forgets = client.forgets > 0 && mix(!salt, request).is_multiple_of(u64::from(client.forgets));
        if forgets {
            self.all[self.turn] = Gateway::default();
        }
        self.now()
    }

    pub(crate) fn now(&mut self) -> &mut Gateway {
        &mut self.all[self.turn]
    }

    /// Returns a target as the cursor of a route in seek mode contains it: the id and a fingerprint in place of the
    /// keys.
    pub(crate) fn stripped(&self, target: &Target) -> Target {
        let pivot = |anchor: &Anchor| Pivot {
            id: anchor.id.clone(),
            fingerprint: Some(fingerprint(&self.marker, &anchor.keys)),
        };
        let position = match &target.position {
            Position::After(anchor) => Position::AfterPivot(pivot(anchor)),
            Position::Before(anchor) => Position::BeforePivot(pivot(anchor)),
            other => other.clone(),
        };
        Target { position, hint: target.hint }
    }
}

impl Gateway {
    /// Returns the keys of a target's pivot; `None` if they aren't remembered.
    pub(crate) fn pivot(&self, target: &Target) -> Option<Vec<KeyValue>> {
        match &target.position {
            Position::AfterPivot(pivot) | Position::BeforePivot(pivot) => {
                self.pivots.get(&format!("{:?}", pivot.id)).cloned()
            }
            _ => None,
        }
    }

    /// Returns the learnt limits for a view.
    pub(crate) fn profile(&self, view: usize) -> UpstreamProfile {
        self.learning.read(view)
    }

    /// Remembers the limits that a page has shown and, in seek mode, the keys of its first, last and looked-up items.
    pub(crate) fn remember(&mut self, page: &Page, view: usize, seeks: bool) {
        self.learning.add(view, page.notes.profile);
        // Only cursors with ids need the keys of served items.
        if !seeks {
            return;
        }
        let edges = page.edges.iter().flat_map(|(first, last)| [first, last]);
        let served = edges.filter_map(|item| if let Item::Keyed(anchor) = item { Some(anchor) } else { None });
        for anchor in served.chain(&page.notes.looked_up) {
            self.pivots.insert(format!("{:?}", anchor.id), anchor.keys.clone());
        }
    }
}
