//! A model of the page cache of a gateway: pages as they were made, by the request that they answer.
//!
//! The model is written from docs/caching.md, not from the gateway's code. A `Fault` makes it break a promise there.

use std::{collections::HashMap, rc::Rc};

use cursorgate_core::pagination::{page::Level, position::Target};

use crate::keyed::walk::Made;

/// The settings of a cache. Times are in ticks; the share of anything is one in so many, 0: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) ttl: u32,
    pub(crate) while_revalidate: u32,
    pub(crate) if_error: u32,
    /// The page after one that was served is made at once.
    pub(crate) prefetch: bool,
    /// The share of look-ups that find their entry gone.
    pub(crate) loses: u32,
    /// The number of processes, each with entries of its own.
    pub(crate) processes: u32,
    /// The share of changes to the list that are writes through one of the processes.
    pub(crate) writes: u32,
    /// The share of requests that the upstream fails.
    pub(crate) fails: u32,
    pub(crate) fault: Option<Fault>,
}

/// A fault of a cache: proof that the simulator notices it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The key lacks the place in the list.
    PlaceLeftOut,
    /// The key lacks the limit.
    LimitLeftOut,
    /// The key lacks the filter.
    FilterLeftOut,
    /// The key lacks the direction: the page before an item is that after it.
    DirectionLeftOut,
    /// Writes drop nothing.
    WritesForgotten,
    /// A page is kept that was being made while a write dropped the pages of its list.
    KeptAmidAWrite,
    /// A page is as old as the last request for it.
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
    /// The filter of the list.
    pub(crate) view: usize,
    pub(crate) limit: u32,
    /// The position with its hints, as the cursor has them.
    pub(crate) target: Target,
}

/// A page in the cache.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) made: Rc<Made>,
    /// The ticks when its making began.
    pub(crate) began: usize,
    /// The number of the list's moment by which purges know it.
    stamp: usize,
    /// The walker for whom it was made.
    pub(crate) by: usize,
    /// No client had asked for it when it was made.
    pub(crate) ahead: bool,
}

/// The use of an entry at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Fresh,
    /// Served while a new page is made.
    Stale,
    /// Served if no new page can be made.
    OnError,
}

/// The end of a look-up.
pub(crate) enum Found {
    Entry(Entry, Use),
    /// A write dropped it.
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

    /// Returns the greatest age of a page that a client gets.
    pub(crate) fn oldest(&self) -> usize {
        (self.ttl + self.while_revalidate.max(self.if_error)) as usize
    }

    fn key(&self, request: &Request) -> String {
        let Request { process, view, limit, target } = request;
        let position = match self.fault {
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
    pub(crate) fn new(made: Rc<Made>, began: usize, stamp: usize, (by, ahead): (usize, bool)) -> Self {
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
    /// Looks for the page of a request. `written` is the number of the moment that the last write made.
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

    /// Returns whether a fresh page of a request is kept.
    pub(crate) fn is_kept(&self, request: &Request, now: usize, settings: &Settings) -> bool {
        let entry = self.entries.get(&settings.key(request));
        entry.is_some_and(|entry| entry.use_at(now, settings) == Some(Use::Fresh))
    }

    /// Loses the entry of a request; whether there was one.
    pub(crate) fn lose(&mut self, request: &Request, settings: &Settings) -> bool {
        self.entries.remove(&settings.key(request)).is_some()
    }

    /// Keeps a page that is proven and full, unless it was made while a write passed. Returns whether it is kept.
    pub(crate) fn keep(&mut self, request: &Request, entry: Entry, written: usize, settings: &Settings) -> bool {
        let page = &entry.made.page;
        let is_proven = page.level() >= Level::Checked && page.unproven.is_none() && !page.short;
        let is_new = entry.stamp >= written || settings.fault == Some(Fault::KeptAmidAWrite);
        if is_proven && is_new {
            let stamp = entry.stamp.max(written);
            self.entries.insert(settings.key(request), Entry { stamp, ..entry });
        }
        is_proven && is_new
    }

    /// Returns whether a page is kept for a request but for one part of it, which `other` changes.
    pub(crate) fn has_beside(&self, request: &Request, settings: &Settings, other: impl FnOnce(&mut Request)) -> bool {
        let mut beside = request.clone();
        other(&mut beside);
        self.entries.contains_key(&settings.key(&beside))
    }
}
