//! The page made of what was collected: items, neighbours, and how sure it is.

use super::{Collector, Taken, anchor};
use crate::pagination::{
    page::{ItemPlace, Level, Page, Unproven},
    paging::Learnt,
    plan::Growth,
    position::{Anchor, Hint, Position, Target},
    rows::Unsorted,
    window::Offset,
};

/// How a page is served.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct Verdict {
    /// Why it is not proven.
    pub(in crate::pagination) unproven: Option<Unproven>,
    /// The budget ended before it was complete.
    pub(in crate::pagination) cut_off: bool,
    /// What is known of the upstream now.
    pub(in crate::pagination) learnt: Learnt,
    /// How many upstream requests it took.
    pub(in crate::pagination) requests: u32,
}

impl Collector {
    /// The page as it stands.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] where the keys of its first or last item can't be kept.
    pub(in crate::pagination) fn finish(&mut self, verdict: Verdict) -> Result<Page, Unsorted> {
        if verdict.cut_off {
            match self.growth() {
                Growth::Rightward => self.more_behind = Some(true),
                Growth::Leftward => self.more_before = Some(true),
            }
        }
        let total = self.total;
        let counted = total.filter(|total| total.exact).map(|total| total.value);
        let end = Target { position: Position::End, hint: Hint { total: counted, ..self.hint } };
        let first = self.taken.first().map(|first| self.before(*first, counted)).transpose()?;
        let last = self.taken.last().map(|last| self.after(*last, counted)).transpose()?;
        let start = Target { position: Position::Start, hint: Hint::default() };
        let items = self.taken.iter().map(|taken| ItemPlace {
            answer: u32::try_from(taken.view).unwrap_or(u32::MAX),
            item: u32::try_from(self.views[taken.view].item(taken.place)).unwrap_or(u32::MAX),
        });
        let level = if verdict.unproven.is_some() {
            Level::Positional
        } else if self.views.iter().any(|view| view.checked) {
            Level::Checked
        } else {
            Level::Exact
        };
        Ok(Page {
            items: items.collect(),
            edges: edge(first.as_ref()).zip(edge(last.as_ref())),
            offset: self.taken.first().map_or(self.offset, |first| self.offset_of(*first)),
            next: (self.more_behind == Some(true)).then(|| last.unwrap_or(start)),
            previous: (self.more_before == Some(true)).then(|| first.unwrap_or_else(|| end.clone())),
            last: counted.filter(|total| *total > 0).map(|_| end),
            total,
            level,
            unproven: verdict.unproven,
            short: verdict.cut_off && !self.is_full(),
            drift: self.drift,
            learnt: verdict.learnt,
            requests: verdict.requests,
            answers: std::mem::take(&mut self.views).into_iter().map(|view| view.answer).collect(),
        })
    }

    /// The position right before an item.
    fn before(&self, taken: Taken, total: Option<u64>) -> Result<Target, Unsorted> {
        let offset = self.offset_of(taken);
        if self.unchecked {
            let offset = Offset(offset.saturating_sub(self.limit as u64));
            return Ok(Target { position: Position::At(offset), hint: Hint { offset, run: 0, total } });
        }
        let view = &self.views[taken.view];
        let run = view.run_from(&self.order, taken.place);
        let position = Position::Before(anchor(view, &self.order, taken.place)?);
        Ok(Target { position, hint: Hint { offset: Offset(offset), run, total } })
    }

    /// The position right after an item.
    fn after(&self, taken: Taken, total: Option<u64>) -> Result<Target, Unsorted> {
        let offset = Offset(self.offset_of(taken) + 1);
        if self.unchecked {
            return Ok(Target { position: Position::At(offset), hint: Hint { offset, run: 0, total } });
        }
        let view = &self.views[taken.view];
        let run = view.run_through(&self.order, taken.place);
        let position = Position::After(anchor(view, &self.order, taken.place)?);
        Ok(Target { position, hint: Hint { offset, run, total } })
    }

    fn offset_of(&self, taken: Taken) -> u64 {
        self.views[taken.view].begins + taken.place as u64
    }
}

/// The anchor of an edge.
fn edge(target: Option<&Target>) -> Option<Anchor> {
    match &target?.position {
        Position::After(anchor) | Position::Before(anchor) => Some(anchor.clone()),
        Position::Start | Position::End | Position::At(_) => None,
    }
}
