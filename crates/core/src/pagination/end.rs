//! Whether an answer ends the collection: only the evidence of its own statement counts.

use super::{
    answer::{Answer, Standing},
    paging::{EndEvidence, Learnt, Paging},
    rules::{Rule, holds},
    window::Slice,
};

/// Two items are taken to be asked for honestly by any upstream: a size of 2 counts as honoured without having been seen.
const HONOURED_UNSEEN: usize = 2;

/// What is believed of sizes when an answer is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Belief {
    /// What was learnt so far, this answer included.
    pub(super) learnt: Learnt,
    /// The largest size that was honoured in all requests before this one.
    pub(super) honoured_before: u32,
    /// A short answer at this place was asked about before, so that what counts say no longer weighs against it.
    pub(super) confirming: bool,
}

/// What an answer says about the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// It ends the collection.
    pub(super) ends: bool,
    /// It has fewer items than were asked for, and that proves nothing.
    pub(super) short: bool,
    /// So it seems that its size was capped: it is said that there is more.
    pub(super) capped: bool,
    /// It ends the collection although a count said otherwise, also when asked again.
    pub(super) checked: bool,
}

impl End {
    /// Whether an answer ends the collection.
    ///
    /// An end is proven only by evidence of the statement that made the answer: fewer items than a size that this upstream
    /// has been seen to honour or that its dialect vouches for, or a flag that the dialect marks as coming from the slice
    /// itself. Totals, a `next` computed from a count, a past-the-end status, and an empty answer that was not asked from
    /// the start only say where to look; they may say that there is more, never that there is no more.
    pub(super) fn judge(
        answer: &Answer,
        fetch: Slice,
        begins: u64,
        from_start: bool,
        paging: &Paging,
        belief: Belief,
    ) -> Self {
        let count = answer.items.len();
        if answer.standing == Standing::PastEnd {
            return Self::proven(!holds(Rule::StatusesOnlyAim));
        }
        if count == 0 && !from_start {
            return Self::proven(false);
        }
        let reached = begins.saturating_add(count as u64);
        let counted_out = answer.more == Some(false) || answer.total.is_some_and(|total| total.value <= reached);
        if (paging.end == EndEvidence::Flag && answer.more == Some(false))
            || (counted_out && !holds(Rule::CountsOnlyAim))
        {
            return Self::proven(true);
        }
        if paging.hidden {
            // How many were hidden, nobody tells.
            return Self::proven(false);
        }
        let used = answer.size.unwrap_or(u32::MAX).min(fetch.size().0) as usize;
        let honoured = match paging.end {
            EndEvidence::ShortPage => usize::MAX,
            _ if !holds(Rule::ShortProvesNothing) => usize::MAX,
            EndEvidence::Unvouched | EndEvidence::Flag => HONOURED_UNSEEN.max(belief.learnt.honoured as usize),
        };
        // A count made by another statement may be off by what changed in between, never by more than was asked for.
        let asked_for = begins.saturating_add(used.min(honoured) as u64);
        let counted = answer.total.map_or(0, |total| total.value);
        let more_is_said = answer.more == Some(true) || counted > reached;
        let overruled =
            belief.confirming && paging.end == EndEvidence::Unvouched && counted > reached && counted <= asked_for;
        let ends = count < used.min(honoured) && (!more_is_said || overruled);
        let short = count < used && !ends;
        Self { ends, short, capped: short && count > 0 && more_is_said, checked: ends && more_is_said }
    }

    fn proven(ends: bool) -> Self {
        Self { ends, short: false, capped: false, checked: false }
    }
}
