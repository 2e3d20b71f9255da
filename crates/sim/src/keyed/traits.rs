//! The behaviour of a legacy API, as plain data, with the declarations that its dialect makes.

use std::sync::Arc;

use cursorgate_core::pagination::{
    filter::Filters,
    paging::{EndEvidence, Family, Paging, Sizes},
    window::Slice,
};

use crate::keyed::broken::Lie;

/// The moment at which the upstream counts, relative to its slice. The list may change in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    Before,
    Together,
    After,
    /// Once in this many queries. Until the next count, answers repeat the last one.
    Cached(u32),
}

/// The total that answers state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Nothing,
    Exactly,
    AtLeast,
}

/// The source of an answer's flag that more items follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    Nothing,
    /// The slice itself, as with a query for one row more.
    Slice,
    /// A count, which may be of another moment.
    Count,
}

/// The answer to a request past the end of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    Empty,
    Status,
    /// The last page once more; by offset, as many of the last items as were requested.
    Repeat,
}

/// The offset or page number and the size that an answer states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echoes {
    Nothing,
    /// The values that the upstream used.
    Used,
    /// The values that were requested, even if the upstream used other values.
    Asked,
    /// Random values.
    Nonsense,
}

/// The answer to a request beyond the ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// The past-the-end status.
    Status,
    /// The items up to the ceiling, while the total counts all items.
    Truncates,
}

/// The depth beyond which the upstream gives no items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ceiling {
    /// The offset of the ceiling.
    pub(crate) at: u64,
    /// True if the dialect declares the ceiling.
    pub(crate) declared: bool,
    pub(crate) beyond: Beyond,
}

/// The times at which the upstream gives its past-the-end status falsely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    Never,
    /// For a random share of answers: one in this many.
    Often(u32),
    /// From the query with the first number on, for the second number of queries.
    While(u64, u64),
}

/// The ways in which answers are cut, apart from caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cuts {
    Never,
    /// An answer has as many items as fit into this number of bytes, and at least one.
    Bytes(u32),
    /// A share of the answers, one in this many, has half of the size, as if a query ran out of time.
    Half(u32),
}

/// The age of the states that answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lag {
    Never,
    /// A quarter of the answers, chosen at random, show any of the states so far.
    AnyState,
    /// A replica that is this number of states late answers every other request, from the first request on.
    Replica(u32),
}

/// The additional items in answers to requests without a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sticky {
    Nothing,
    /// This number of items more than the used size, in answers that begin at the start of the list.
    More(u32),
    /// This number of the list's items, before the first one, in answers that begin at the start of the list. They also
    /// occur at their own places.
    Pinned(u32),
    /// This number of the list's first items, before the others of every answer. Places count the others alone.
    OnTop(u32),
}

impl Sticky {
    pub(crate) fn count(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::More(count) | Self::Pinned(count) | Self::OnTop(count) => count,
        }
    }
}

/// The way in which the upstream reads values in filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    AsTold,
    /// Rounded down to a multiple of four steps, as if only the date of a date-time were read.
    Coarsely,
    /// Shifted by two steps, as if date-times were read in another time zone.
    Shifted,
}

/// The range filters of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filtering {
    pub(crate) reads: Reads,
    /// The filters that the dialect and the route declare.
    pub(crate) filters: Arc<Filters>,
    /// True if the endpoint ignores filters as unknown parameters, and gives the whole list.
    pub(crate) ignored: bool,
}

/// The behaviour of an upstream and the declarations of its dialect.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Traits {
    pub(crate) family: Family,
    /// The sizes that can be requested, as the dialect declares them.
    pub(crate) sizes: Sizes,
    /// The true caps, one after the other, declared or not. The last one stays in force.
    pub(crate) caps: Vec<u32>,
    /// The number of queries for which each cap is in force.
    pub(crate) cap_lasts: u64,
    /// The caps for other principals, one for each principal.
    pub(crate) other_caps: Vec<u32>,
    /// The cap of filtered lists; `None` if the other caps apply.
    pub(crate) filtered_cap: Option<u32>,
    pub(crate) cuts: Cuts,
    pub(crate) sticky: Sticky,
    /// The error of all counts; negative if they are too low.
    pub(crate) off: i64,
    pub(crate) counts: Counts,
    pub(crate) total: Says,
    pub(crate) more: More,
    pub(crate) past: Past,
    /// True if the dialect declares that the upstream repeats its last page past the end.
    pub(crate) repeats: bool,
    pub(crate) end: EndEvidence,
    pub(crate) echoes: Echoes,
    pub(crate) ceiling: Option<Ceiling>,
    pub(crate) outage: Outage,
    pub(crate) lag: Lag,
    /// True if the upstream may answer the fetches of one step in reverse order.
    pub(crate) reorders: bool,
    /// The number of items that answers have beyond the requested size.
    pub(crate) surplus: u32,
    /// The share of rows that are dropped after the limit has been applied: one row in this many; 0 for no row.
    pub(crate) hidden: u32,
    /// True if the dialect does not declare hidden rows.
    pub(crate) hidden_unsaid: bool,
    /// True if the list can be requested in the opposite order.
    pub(crate) flips: bool,
    pub(crate) filtering: Option<Filtering>,
    /// True if each item has its own resource, by which it can be looked up.
    pub(crate) has_items: bool,
    /// True if the resource of an item gives the item after it.
    pub(crate) mistakes_items: bool,
    /// The seed of tie orders, lags, cuts and outages.
    pub(crate) salt: u64,
    pub(crate) lie: Option<Lie>,
}

impl Traits {
    /// Returns an upstream without peculiarities: it has a declared cap, and exact totals of the slice's moment.
    pub(crate) fn plain(family: Family, cap: u32) -> Self {
        Self {
            family,
            sizes: Sizes::Free { least: 1, most: Some(cap) },
            caps: vec![cap],
            cap_lasts: 1,
            other_caps: Vec::new(),
            filtered_cap: None,
            cuts: Cuts::Never,
            sticky: Sticky::Nothing,
            off: 0,
            counts: Counts::Together,
            total: Says::Exactly,
            more: More::Nothing,
            past: Past::Empty,
            repeats: false,
            end: EndEvidence::Unvouched,
            echoes: Echoes::Nothing,
            ceiling: None,
            outage: Outage::Never,
            lag: Lag::Never,
            reorders: false,
            surplus: 0,
            hidden: 0,
            hidden_unsaid: false,
            flips: false,
            filtering: None,
            has_items: true,
            mistakes_items: false,
            salt: 0,
            lie: None,
        }
    }

    /// Returns the declarations of the dialect, as the core gets them.
    pub(crate) fn paging(&self) -> Paging {
        let mut paging = Paging::new(self.family, self.sizes.clone());
        paging.max_depth = self.ceiling.filter(|ceiling| ceiling.declared).map(|ceiling| ceiling.at);
        (paging.end, paging.repeats_last_page) = (self.end, self.repeats);
        // Not every dialect declares the hidden rows of its upstream (`Unsaid::HiddenUnderACap`).
        paging.hidden = self.hidden > 0 && !self.hidden_unsaid;
        paging
    }

    /// Returns the cap that the dialect declares; `None` if it declares no cap.
    pub(crate) fn declared_cap(&self) -> Option<u32> {
        match &self.sizes {
            Sizes::Free { most, .. } => *most,
            Sizes::Listed(sizes) => sizes.last().copied(),
            Sizes::Fixed(size) => Some(*size),
        }
    }

    /// Returns whether page numbers count pages of another size than the requested one, because the dialect declares a
    /// wrong cap or no cap.
    pub(crate) fn caps_pages_in_silence(&self) -> bool {
        self.family == Family::Page && self.declared_cap() != Some(self.least_cap())
    }

    /// Returns the largest factor by which an item's offset may seem too large. Under a silent cap, the core takes page
    /// numbers to count pages of the requested size, but the upstream's pages are smaller. If the dialect names no
    /// size, a thousand items are requested.
    pub(crate) fn stretch(&self) -> u64 {
        let asked = if self.caps_pages_in_silence() { self.declared_cap().unwrap_or(1_000) } else { 1 };
        u64::from(asked.div_ceil(self.least_cap().max(1)).max(1))
    }

    /// Returns the cap that is in force at a query. Principal 0 is the client that walks.
    pub(crate) fn cap_at(&self, query: u64, principal: usize, filtered: bool) -> u32 {
        if let Some(other) = principal.checked_sub(1) {
            return self.other_caps[other];
        }
        if let Some(cap) = self.filtered_cap.filter(|_| filtered) {
            return cap;
        }
        let turn = (query / self.cap_lasts.max(1)) as usize;
        self.caps[turn.min(self.caps.len() - 1)]
    }

    fn all_caps(&self) -> impl Iterator<Item = u32> {
        self.caps.iter().chain(&self.other_caps).copied().chain(self.filtered_cap)
    }

    pub(crate) fn least_cap(&self) -> u32 {
        self.all_caps().min().unwrap_or(1)
    }

    pub(crate) fn greatest_cap(&self) -> u32 {
        self.all_caps().max().unwrap_or(1)
    }

    /// Returns whether one cap applies to all requests, and nothing else cuts an answer.
    pub(crate) fn has_one_cap(&self) -> bool {
        self.all_caps().count() == 1 && self.cuts == Cuts::Never && self.sticky == Sticky::Nothing
    }

    /// Returns whether the upstream keeps to its dialect in full: it gives each size up to the declared cap, hides no
    /// row, and answers past its end as declared.
    pub(crate) fn is_plain(&self) -> bool {
        let repeats = self.past != Past::Repeat || self.repeats;
        !self.is_strange() && self.has_one_cap() && self.declared_cap() == Some(self.least_cap()) && repeats
    }

    /// Returns whether each answer shows by itself that it was cut: by the size that was used, or by a flag of the
    /// slice.
    pub(crate) fn tells_sizes(&self) -> bool {
        let flag = self.more == More::Slice && self.end == EndEvidence::Flag;
        flag || (self.echoes == Echoes::Used && self.end == EndEvidence::Unvouched)
    }

    pub(crate) fn lags(&self) -> bool {
        self.lag != Lag::Never
    }

    /// Returns the way in which the upstream reads values in filters.
    pub(crate) fn reads(&self) -> Reads {
        self.filtering.as_ref().map_or(Reads::AsTold, |filtering| filtering.reads)
    }

    /// Returns whether all declarations of the dialect are true. The guarantees assume true declarations, so only a
    /// [`Lie`] may make an untrue one.
    pub(crate) fn is_as_declared(&self) -> bool {
        let honours = self.has_one_cap() && self.hidden == 0 && self.declared_cap() == Some(self.caps[0]);
        let vouched = self.end != EndEvidence::ShortPage || honours;
        let flagged = self.end != EndEvidence::Flag || self.more == More::Slice;
        let truncates = self.ceiling.is_some_and(|ceiling| ceiling.beyond == Beyond::Truncates);
        // If neither a declaration nor a total shows the depth at which a list is truncated, the list can't be
        // distinguished from a list of that length.
        let counted = self.total == Says::Exactly && self.counts == Counts::Together && self.off == 0;
        vouched && flagged && (!truncates || (counted && self.end == EndEvidence::Unvouched))
    }

    /// Returns whether the upstream does not behave as its dialect declares, and no single answer shows that. Two
    /// readings that agree may then be wrong together. So wrong `checked` pages are counted and bounded
    /// (`Bounds::deceived`). An `exact` page must still be right, unless [`Self::answers_deceive`].
    pub(crate) fn deceives(&self) -> bool {
        let several = self.filtered_cap.is_some() || self.sticky != Sticky::Nothing || self.off != 0;
        // Both readings of one replica agree, whatever the other replica shows.
        self.answers_deceive() || self.caps.len() > 1 || several || matches!(self.lag, Lag::Replica(_))
    }

    /// Returns whether single answers leave rows out or show them out of place, and no field of the answers shows that.
    /// The guarantees exclude such upstreams (docs/guarantees.md, "Limits"). So even a wrong `exact` page is excused if
    /// the checker derives its claim (`Exchange::is_beyond_knowing`).
    pub(crate) fn answers_deceive(&self) -> bool {
        let cut = self.cuts != Cuts::Never || (self.caps.len() > 1 && !self.tells_sizes());
        let hides = self.hidden > 0 && self.hidden_unsaid;
        let tops = matches!(self.sticky, Sticky::Pinned(_) | Sticky::OnTop(_));
        cut || hides || tops || self.reads() != Reads::AsTold
    }

    /// Returns whether a past-the-end status may be false.
    pub(crate) fn misleads(&self) -> bool {
        self.outage != Outage::Never || self.ceiling.is_some()
    }

    /// Returns the fault of a slice that the dialect doesn't allow; `None` if the slice is allowed.
    pub(crate) fn forbids(&self, slice: Slice) -> Option<String> {
        let size = slice.size().0;
        let allowed = match &self.sizes {
            Sizes::Free { least, most } => size >= *least && most.is_none_or(|most| size <= most),
            Sizes::Listed(sizes) => sizes.contains(&size),
            Sizes::Fixed(fixed) => size == *fixed,
        };
        if !allowed {
            return Some(format!("asked for a size of {size}, where the dialect says {:?}", self.sizes));
        }
        let family = if matches!(slice, Slice::Page { .. }) { Family::Page } else { Family::Offset };
        if family != self.family {
            return Some(format!("asked for {slice:?} by {:?}", self.family));
        }
        let depth = slice.begins().0 + u64::from(size);
        let ceiling = self.ceiling.filter(|ceiling| ceiling.declared)?.at;
        (depth > ceiling).then(|| format!("asked as deep as {depth}, where the dialect says {ceiling}"))
    }
}
