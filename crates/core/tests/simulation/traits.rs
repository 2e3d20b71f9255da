//! How a legacy API behaves, as plain data.

use std::sync::Arc;

use cursorgate_core::pagination::{
    filter::Filters,
    paging::{EndEvidence, Family, Paging, Sizes},
    window::Slice,
};

use crate::broken::Lie;

/// When the upstream counts, relative to the slice it gives; the collection may change in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    Before,
    Together,
    After,
    /// It counts once in so many queries, and tells that number until then.
    Cached(u32),
}

/// What it says of the size of the collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Nothing,
    Exactly,
    AtLeast,
}

/// Where its word on whether there is more comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    Nothing,
    Slice,
    Count,
}

/// What it answers past its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    Empty,
    Status,
    /// The last page, or the last so many items, once more.
    Repeat,
}

/// What it repeats of the offset or page and the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echoes {
    Nothing,
    /// What it used.
    Used,
    /// What it was asked for, whatever it used.
    Asked,
    /// Anything.
    Nonsense,
}

/// What it does with items that stand too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// Its past-the-end status.
    Status,
    /// It gives what is less deep, and its total tells of the rest.
    Truncates,
}

/// How deep it answers.
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
    /// One answer in so many.
    Often(u32),
    /// From one query on, for so many.
    While(u64, u64),
}

/// How it takes filters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Filtering {
    /// What the dialect and the route say that can be asked.
    pub(crate) filters: Arc<Filters>,
    /// Unknown parameters: the whole list comes whatever is asked for.
    pub(crate) ignored: bool,
}

/// How an upstream behaves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Traits {
    pub(crate) family: Family,
    /// Which sizes the dialect says can be asked for.
    pub(crate) sizes: Sizes,
    /// The caps that it really has, declared or not: one after the other, each for so many queries.
    pub(crate) caps: Vec<u32>,
    pub(crate) cap_lasts: u64,
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
    /// Answers may show an earlier state than the one before.
    pub(crate) lags: bool,
    /// Fetches of one step are answered in any order.
    pub(crate) reorders: bool,
    /// So many items more than were asked for.
    pub(crate) surplus: u32,
    /// One row in so many is dropped after the limit; 0: none.
    pub(crate) hidden: u32,
    /// The list can be asked for in the flipped order.
    pub(crate) flips: bool,
    pub(crate) filtering: Option<Filtering>,
    /// Items have a resource of their own.
    pub(crate) has_items: bool,
    /// Decides tie orders, lags and outages.
    pub(crate) salt: u64,
    pub(crate) lie: Option<Lie>,
}

impl Traits {
    /// An upstream that does what it is asked for, up to a cap that everybody knows.
    pub(crate) fn plain(family: Family, cap: u32) -> Self {
        Self {
            family,
            sizes: Sizes::Free { least: 1, most: Some(cap) },
            caps: vec![cap],
            cap_lasts: 1,
            counts: Counts::Together,
            total: Says::Exactly,
            more: More::Nothing,
            past: Past::Empty,
            repeats: false,
            end: EndEvidence::Unvouched,
            echoes: Echoes::Nothing,
            ceiling: None,
            outage: Outage::Never,
            lags: false,
            reorders: false,
            surplus: 0,
            hidden: 0,
            flips: false,
            filtering: None,
            has_items: true,
            salt: 0,
            lie: None,
        }
    }

    pub(crate) fn paging(&self) -> Paging {
        Paging {
            max_depth: self.ceiling.filter(|ceiling| ceiling.declared).map(|ceiling| ceiling.at),
            end: self.end,
            repeats_last_page: self.repeats,
            hidden: self.hidden > 0,
            ..Paging::new(self.family, self.sizes.clone())
        }
    }

    /// The cap as far as the dialect says it.
    pub(crate) fn declared_cap(&self) -> Option<u32> {
        match &self.sizes {
            Sizes::Free { most, .. } => *most,
            Sizes::Listed(sizes) => sizes.last().copied(),
            Sizes::Fixed(size) => Some(*size),
        }
    }

    /// The cap at a query.
    pub(crate) fn cap_at(&self, query: u64) -> u32 {
        let turn = (query / self.cap_lasts.max(1)) as usize;
        self.caps[turn.min(self.caps.len() - 1)]
    }

    pub(crate) fn least_cap(&self) -> u32 {
        self.caps.iter().min().copied().unwrap_or(1)
    }

    pub(crate) fn greatest_cap(&self) -> u32 {
        self.caps.iter().max().copied().unwrap_or(1)
    }

    /// Whether what it says of itself leaves a way to the truth: where nothing does, no core could keep its promises.
    pub(crate) fn gives_evidence(&self) -> bool {
        let flag = self.more == More::Slice && self.end == EndEvidence::Flag;
        let sized = self.echoes == Echoes::Used && self.end == EndEvidence::Unvouched;
        let capped = self.caps.len() == 1 || flag || sized;
        let counted = self.total == Says::Exactly && self.counts == Counts::Together;
        let truncates = self.ceiling.is_some_and(|ceiling| ceiling.beyond == Beyond::Truncates);
        let cut = !truncates || (counted && self.end == EndEvidence::Unvouched);
        let told = self.declared_cap() == Some(self.caps[0]) && self.caps.len() == 1;
        let hidden = self.hidden == 0 || (told && self.end == EndEvidence::Unvouched && self.more == More::Nothing);
        capped && cut && hidden
    }

    /// Whether a past-the-end status may come of places where there are items.
    pub(crate) fn misleads(&self) -> bool {
        self.outage != Outage::Never || self.ceiling.is_some()
    }

    /// What is wrong with a slice, by the dialect.
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
