//! A model of a gateway's page cache: pages as they were made, under the request that they answer.
//!
//! The model is written from docs/caching.md and shares no code with the gateway, so it states the contract of a cache
//! independently of the gateway. A [`Fault`] makes the model break that contract; the simulator must notice each fault.

use std::{collections::HashMap, rc::Rc};

use cursorgate_core::pagination::{page::Level, position::Target};

use crate::keyed::walk::Made;

/// The settings of a cache. Times are in ticks. A share of `n` means one in `n`; a share of 0 means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) ttl: u32,
    pub(crate) while_revalidate: u32,
    pub(crate) if_error: u32,
    /// True if the page after a served page is made at once, before a client requests it.
    pub(crate) prefetch: bool,
    /// The share of look-ups before which the cache loses the entry.
    pub(crate) loses: u32,
    /// The number of processes. Each has its own entries, and knows only the writes that passed through it.
    pub(crate) processes: u32,
    /// The share of changes to the list that are writes through one of the processes. Such a write drops the pages that
    /// the process made before the write.
    pub(crate) writes: u32,
    /// The share of requests for which the upstream fails.
    pub(crate) fails: u32,
    pub(crate) fault: Option<Fault>,
}

/// A planted fault of a cache, which the simulator must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The key lacks the place in the list.
    PlaceLeftOut,
    /// The key lacks the limit.
    LimitLeftOut,
    /// The key lacks the filter.
    FilterLeftOut,
    /// The key lacks the direction: the page before an item is served as the page after it, and the other way round.
    DirectionLeftOut,
    /// Writes drop no page.
    WritesForgotten,
    /// A page is kept although a write dropped the pages of its list while the page was being made.
    KeptAmidAWrite,
    /// Each request for a page resets its age.
    AgeRenewed,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] = [
        Self::PlaceLeftOut,
        Self::LimitLeftOut,
        Self::FilterLeftOut,
        Self::DirectionLeftOut,
        Self::WritesForgotten,
        Self::KeptAmidAWrite,
        Self::AgeRenewed,
    ];
}

/// The request that a page answers.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) process: u32,
    /// The index of the list's filter; 0 is the whole list.
    pub(crate) view: usize,
    pub(crate) limit: u32,
    /// The position with its hint, as the cursor contains them.
    pub(crate) target: Target,
}

/// A page in the cache.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) made: Rc<Made>,
    /// The tick at which the making of the page began; its age counts from this tick.
    pub(crate) began: usize,
    /// The number of the list's moment at which the making of the page began. Each write begins a new moment, and drops
    /// the entries with smaller numbers than that moment's.
    stamp: usize,
    /// The index of the walker for which the page was made.
    pub(crate) by: usize,
    /// True if the page was made in the background: ahead of a request for it, or to replace an old page.
    pub(crate) ahead: bool,
}

/// The permitted use of an entry by its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Fresh,
    /// Served while a new page is made.
    Stale,
    /// Served if no new page can be made.
    OnError,
}

/// The result of a look-up.
pub(crate) enum Found {
    Entry(Entry, Use),
    /// An entry existed, but a write has passed since, so it is dropped.
    Dropped,
    Nothing,
}

#[derive(Default)]
pub(crate) struct Cache {
    entries: HashMap<String, Entry>,
}

impl Settings {
    pub(crate) const fn plain() -> Self {
        Self {
            ttl: 100,
            while_revalidate: 0,
            if_error: 0,
            prefetch: false,
            loses: 0,
            processes: 1,
            writes: 0,
            fails: 0,
            fault: None,
        }
    }

    /// Returns the age, in ticks, from which on a page can't be served for any reason.
    pub(crate) fn oldest(&self) -> usize {
        (self.ttl + self.while_revalidate.max(self.if_error)) as usize
    }

    /// Returns the key of a request: process, filter, limit and position with its hint, without the part that the
    /// planted fault leaves out.
    fn key(&self, request: &Request) -> String {
        let Request { process, view, limit, target } = request;
        let position = match self.fault {
            // The direction stays in the key, because `DirectionLeftOut` is a separate fault.
            Some(Fault::PlaceLeftOut) => format!("{}", target.position.is_backward()),
            Some(Fault::DirectionLeftOut) => format!("{:?}", target.position).replace("Before", "After"),
            _ => format!("{target:?}"),
        };
        let view = if self.fault == Some(Fault::FilterLeftOut) { 0 } else { *view };
        let limit = if self.fault == Some(Fault::LimitLeftOut) { 0 } else { *limit };
        format!("{process} {view} {limit} {position}")
    }
}

impl Entry {
    pub(crate) fn new(made: Rc<Made>, began: usize, stamp: usize, by: usize, ahead: bool) -> Self {
        Self { made, began, stamp, by, ahead }
    }

    fn use_at(&self, now: usize, settings: &Settings) -> Option<Use> {
        let (age, ttl) = (now - self.began, settings.ttl as usize);
        if age < ttl {
            Some(Use::Fresh)
        } else if age < ttl + settings.while_revalidate as usize {
            Some(Use::Stale)
        } else {
            (age < ttl + settings.if_error as usize).then_some(Use::OnError)
        }
    }
}

impl Cache {
    /// Looks up the page of a request. `written` is the number of the moment that the last write through the process
    /// began.
    pub(crate) fn find(&mut self, request: &Request, now: usize, written: usize, settings: &Settings) -> Found {
        let key = settings.key(request);
        let Some(entry) = self.entries.get_mut(&key) else { return Found::Nothing };
        if entry.stamp < written && settings.fault != Some(Fault::WritesForgotten) {
            self.entries.remove(&key);
            return Found::Dropped;
        }
        let Some(used) = entry.use_at(now, settings) else { return Found::Nothing };
        if settings.fault == Some(Fault::AgeRenewed) {
            entry.began = now;
        }
        Found::Entry(entry.clone(), used)
    }

    /// Returns whether the cache has a fresh page for a request.
    pub(crate) fn is_kept(&self, request: &Request, now: usize, settings: &Settings) -> bool {
        let entry = self.entries.get(&settings.key(request));
        entry.is_some_and(|entry| entry.use_at(now, settings) == Some(Use::Fresh))
    }

    /// Removes the entry of a request, like a cache that runs out of space. Returns whether the entry existed.
    pub(crate) fn lose(&mut self, request: &Request, settings: &Settings) -> bool {
        self.entries.remove(&settings.key(request)).is_some()
    }

    /// Keeps a page if it is proven and was not cut short, unless a write passed while the page was made: its answers
    /// may then show a state before the write. Returns whether the page is kept.
    pub(crate) fn keep(&mut self, request: &Request, entry: Entry, written: usize, settings: &Settings) -> bool {
        let page = &entry.made.page;
        let is_proven = page.level() >= Level::Checked && page.unproven.is_none() && !page.short;
        let is_new = entry.stamp >= written || settings.fault == Some(Fault::KeptAmidAWrite);
        if is_proven && is_new {
            // With `Fault::KeptAmidAWrite` the entry must survive the write, or the fault would have no effect.
            let stamp = entry.stamp.max(written);
            self.entries.insert(settings.key(request), Entry { stamp, ..entry });
        }
        is_proven && is_new
    }

    /// Returns whether a page is kept for the request that `other` makes of this one, for example by changing its
    /// limit.
    pub(crate) fn has_beside(&self, request: &Request, settings: &Settings, other: impl FnOnce(&mut Request)) -> bool {
        let mut beside = request.clone();
        other(&mut beside);
        self.entries.contains_key(&settings.key(&beside))
    }
}
