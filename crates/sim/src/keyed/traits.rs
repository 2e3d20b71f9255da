//! The behaviour of a legacy API, as plain data.

use std::sync::Arc;

use cursorgate_core::pagination::{
    filter::Filters,
    paging::{EndEvidence, Family, Paging, Sizes},
    window::Slice,
};

use crate::keyed::broken::Lie;

/// When the upstream counts, relative to the slice it gives; the collection may change in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    Before,
    Together,
    After,
    /// The upstream counts once in so many queries, and tells that number until then.
    Cached(u32),
}

/// The size of the collection, as answers state it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Nothing,
    Exactly,
    AtLeast,
}

/// The source of the statement that more items follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    Nothing,
    Slice,
    Count,
}

/// The answer past the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    Empty,
    Status,
    /// The last page, or the last so many items, once more.
    Repeat,
}

/// The offset or page and the size that an answer repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echoes {
    Nothing,
    /// The values that were used.
    Used,
    /// The values that were asked for, whatever was used.
    Asked,
    /// Anything.
    Nonsense,
}

/// The treatment of items that stand too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// Its past-the-end status.
    Status,
    /// The less deep items are given, and the total tells of the rest.
    Truncates,
}

/// The depth of answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ceiling {
    pub(crate) at: u64,
    /// The dialect knows it.
    pub(crate) declared: bool,
    pub(crate) beyond: Beyond,
}

/// When it gives its past-the-end status for no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    Never,
    /// Every so many answers, an answer fails.
    Often(u32),
    /// From one query on, for so many.
    While(u64, u64),
}

/// The reason, apart from caps, why answers are cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cuts {
    Never,
    /// As many items come as fit so many bytes, and at least one.
    Bytes(u32),
    /// Every so many answers, an answer has half of the size, as where a query runs out of time.
    Half(u32),
}

/// The age of the states that answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lag {
    Never,
    /// Every fourth answer shows any earlier state.
    AnyState,
    /// Every other request is answered by a replica that is so many states late, from the first request on.
    Replica(u32),
}

/// The items that answers from the very start hold beside the first ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sticky {
    Nothing,
    /// So many items more than on any other page.
    More(u32),
    /// So many items of anywhere in the list on top, which come in their places too.
    Pinned(u32),
}

impl Sticky {
    pub(crate) fn count(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::More(count) | Self::Pinned(count) => count,
        }
    }
}

/// The reading of the values in filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    AsTold,
    /// Of a date-time the date alone, of a number the tens.
    Coarsely,
    /// In a zone of its own.
    Shifted,
}

/// The treatment of filters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filtering {
    pub(crate) reads: Reads,
    /// The filters that the dialect and the route declare.
    pub(crate) filters: Arc<Filters>,
    /// Unknown parameters: the whole list comes whatever is asked for.
    pub(crate) ignored: bool,
}

/// The behaviour of an upstream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Traits {
    pub(crate) family: Family,
    /// Which sizes the dialect says can be asked for.
    pub(crate) sizes: Sizes,
    /// The caps that it really has, declared or not: one after the other, each for so many queries.
    pub(crate) caps: Vec<u32>,
    pub(crate) cap_lasts: u64,
    /// The caps that it has for other principals.
    pub(crate) other_caps: Vec<u32>,
    /// The cap that it has where a list is filtered.
    pub(crate) filtered_cap: Option<u32>,
    pub(crate) cuts: Cuts,
    pub(crate) sticky: Sticky,
    /// All its counts are off by so much.
    pub(crate) off: i64,
    pub(crate) counts: Counts,
    pub(crate) total: Says,
    pub(crate) more: More,
    pub(crate) past: Past,
    /// The dialect knows that the last page comes again.
    pub(crate) repeats: bool,
    pub(crate) end: EndEvidence,
    pub(crate) echoes: Echoes,
    pub(crate) ceiling: Option<Ceiling>,
    pub(crate) outage: Outage,
    pub(crate) lag: Lag,
    /// Fetches of one step are answered in any order.
    pub(crate) reorders: bool,
    /// So many items more than were asked for.
    pub(crate) surplus: u32,
    /// Every so many rows, a row is dropped after the limit; 0: never.
    pub(crate) hidden: u32,
    /// The dialect does not know that.
    pub(crate) hidden_unsaid: bool,
    /// The list can be asked for in the flipped order.
    pub(crate) flips: bool,
    pub(crate) filtering: Option<Filtering>,
    /// Items have a resource of their own.
    pub(crate) has_items: bool,
    /// That resource gives the item after the one that was asked for.
    pub(crate) mistakes_items: bool,
    /// Decides tie orders, lags and outages.
    pub(crate) salt: u64,
    pub(crate) lie: Option<Lie>,
}

impl Traits {
    /// Returns an upstream that does what it is asked for, up to a cap that everybody knows.
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

    pub(crate) fn paging(&self) -> Paging {
        let mut paging = Paging::new(self.family, self.sizes.clone());
        paging.max_depth = self.ceiling.filter(|ceiling| ceiling.declared).map(|ceiling| ceiling.at);
        (paging.end, paging.repeats_last_page) = (self.end, self.repeats);
        paging.hidden = self.hidden > 0 && !self.hidden_unsaid;
        paging
    }

    /// Returns the cap as far as the dialect says it.
    pub(crate) fn declared_cap(&self) -> Option<u32> {
        match &self.sizes {
            Sizes::Free { most, .. } => *most,
            Sizes::Listed(sizes) => sizes.last().copied(),
            Sizes::Fixed(size) => Some(*size),
        }
    }

    /// Returns whether pages have another cap than the dialect names, or one that it does not name.
    pub(crate) fn caps_pages_in_silence(&self) -> bool {
        self.family == Family::Page && self.declared_cap() != Some(self.least_cap())
    }

    /// Returns how many times as far on an item may seem to stand, by the sizes that are asked for, as it does: where the
    /// dialect names no size, a thousand items are asked for.
    pub(crate) fn stretch(&self) -> u64 {
        let asked = if self.caps_pages_in_silence() { self.declared_cap().unwrap_or(1_000) } else { 1 };
        u64::from(asked.div_ceil(self.least_cap().max(1)).max(1))
    }

    /// Returns the cap at a query of the client whose walk it is, or of another principal.
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

    /// Returns whether the upstream does what its dialect says: it gives each size up to the cap that the dialect names,
    /// hides no row, and answers the same past its end.
    pub(crate) fn is_plain(&self) -> bool {
        let repeats = self.past != Past::Repeat || self.repeats;
        !self.is_strange() && self.has_one_cap() && self.declared_cap() == Some(self.least_cap()) && repeats
    }

    /// Returns whether each answer states its size, or that more items follow.
    pub(crate) fn tells_sizes(&self) -> bool {
        let flag = self.more == More::Slice && self.end == EndEvidence::Flag;
        flag || (self.echoes == Echoes::Used && self.end == EndEvidence::Unvouched)
    }

    pub(crate) fn lags(&self) -> bool {
        self.lag != Lag::Never
    }

    /// Returns the reading of the values in filters.
    pub(crate) fn reads(&self) -> Reads {
        self.filtering.as_ref().map_or(Reads::AsTold, |filtering| filtering.reads)
    }

    /// Returns whether the dialect states nothing untrue: that is a [`Lie`], and no world.
    pub(crate) fn is_as_declared(&self) -> bool {
        let honours = self.has_one_cap() && self.hidden == 0 && self.declared_cap() == Some(self.caps[0]);
        let vouched = self.end != EndEvidence::ShortPage || honours;
        let flagged = self.end != EndEvidence::Flag || self.more == More::Slice;
        let truncates = self.ceiling.is_some_and(|ceiling| ceiling.beyond == Beyond::Truncates);
        // A list that is cut at a depth of which nothing at all tells is a list of that length.
        let counted = self.total == Says::Exactly && self.counts == Counts::Together && self.off == 0;
        vouched && flagged && (!truncates || (counted && self.end == EndEvidence::Unvouched))
    }

    /// Returns whether the answers are not what the dialect makes of them, and no single answer shows it. Two readings
    /// that agree may then be wrong together, so `checked` pages are counted and bounded. An `exact` page is exact here
    /// too.
    pub(crate) fn deceives(&self) -> bool {
        let several = self.filtered_cap.is_some() || self.sticky != Sticky::Nothing || self.off != 0;
        self.answers_deceive() || self.caps.len() > 1 || several || matches!(self.lag, Lag::Replica(_))
    }

    /// Returns whether single answers leave rows out, or show them out of place, and nothing in them tells.
    pub(crate) fn answers_deceive(&self) -> bool {
        let cut = self.cuts != Cuts::Never || (self.caps.len() > 1 && !self.tells_sizes());
        let hides = self.hidden > 0 && self.hidden_unsaid;
        cut || hides || self.reads() != Reads::AsTold || matches!(self.sticky, Sticky::Pinned(_))
    }

    /// Returns whether a past-the-end status may come for places where there are items.
    pub(crate) fn misleads(&self) -> bool {
        self.outage != Outage::Never || self.ceiling.is_some()
    }

    /// Returns the fault of a slice, by the dialect.
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
