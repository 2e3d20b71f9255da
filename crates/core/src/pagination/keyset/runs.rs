//! Runs that are too long for an answer: met while a part is read, looked for where that is not enough, and read by
//! themselves where the endpoint can give them.

use std::{cmp::Ordering, sync::Arc};

use super::{
    gather::{after, last_of},
    legs,
    look::{Look, begins_at_start},
    range::Part,
    reading::Reading,
};
use crate::pagination::{
    answer::Answer,
    key::KeyValue,
    position::{Anchor, Position},
    refusal::Refusal,
    resolver::{Machine, Pending, Step},
    rows,
    window::Offset,
};

/// A look at the boundary is awaited; and what comes of the part's own answers, where it shows no run.
#[derive(Debug)]
struct Looking(Box<Reading>, Look, Option<(Pending, Vec<Answer>)>);

impl Machine for Looking {
    fn resume(self: Box<Self>, mut answers: Vec<Answer>) -> Step {
        let Self(reading, look, instead) = *self;
        let seen = answers.pop().and_then(|answer| reading.seen(look, &answer));
        match (seen, instead) {
            (Some(seen), _) => reading.read_run(seen),
            (None, Some((inner, answers))) => reading.follow(inner.resume(answers)),
            (None, None) => {
                let nearest = reading.request.target.hint.offset;
                reading.refused(Refusal::TieRun { nearest })
            }
        }
    }
}

/// One run of fewer items says nothing of how many an answer can hold.
const NOT_FEW: usize = 10;

/// What is known of a run that fills an answer.
#[derive(Debug)]
pub(super) enum Run {
    /// It holds the boundary, or begins there.
    Here(Beyond),
    /// It stands somewhere else.
    Elsewhere,
}

/// What comes after a boundary near a run.
#[derive(Debug)]
pub(super) struct Beyond {
    /// How many items stand between the boundary and the run, and the last of them.
    before: Option<(u32, Anchor)>,
    /// The parts from the run on, or from the boundary on where that is in the run.
    parts: Vec<Part>,
}

impl Reading {
    /// A run that fills the largest answer there can be, or one that filled answers before, as there may be a cap of
    /// which nothing is known; where the endpoint can give it by itself.
    pub(super) fn run_among(&mut self, answers: &[Answer]) -> Option<Run> {
        if self.looked || !self.can_give_runs() {
            return None;
        }
        let order = Arc::clone(&self.request.order);
        let order = order.as_ref();
        let longest = legs::longest_answer(&self.request.paging, self.request.learnt) as usize;
        let is_one_run = |answer: &&Answer| {
            let count = answer.items.len();
            count >= longest.clamp(2, NOT_FEW)
                && rows::compare_strong(answer, order, 0, count - 1).is_some_and(Ordering::is_eq)
        };
        let (at, answer) = answers.iter().enumerate().find(|(_, answer)| is_one_run(answer))?;
        self.one_runs += 1;
        if answer.items.len() < longest && self.one_runs < 2 {
            return None;
        }
        let (keys, id) = match self.anchor() {
            Some(anchor) if rows::relate(answer, order, 0, anchor)?.strong == Ordering::Equal => {
                (anchor.keys.clone(), Some(&anchor.id))
            }
            None if at == 0 && self.asked.is_some_and(|slice| begins_at_start(slice, answer)) => {
                (Anchor::of(answer, order, 0)?.keys, None)
            }
            _ => return Some(Run::Elsewhere),
        };
        self.parts_from(&keys, id).map(|parts| Run::Here(Beyond { before: None, parts }))
    }

    /// Leaves the part for a run that an answer to it has shown.
    pub(super) fn turn_to(mut self: Box<Self>, run: Run, inner: Pending, answers: Vec<Answer>) -> Step {
        self.looked = true;
        match run {
            Run::Here(beyond) => self.read_run(beyond),
            Run::Elsewhere => self.look(Some((inner, answers)), Refusal::BudgetExceeded),
        }
    }

    /// A run is too long for an answer: looks where it begins, where the endpoint can give it by itself.
    pub(super) fn too_long(mut self: Box<Self>, refusal: Refusal) -> Step {
        if self.is_full() {
            // Whether there is more is all that was asked; a filter that is ignored shows what was read before.
            if !self.goes_on {
                return self.lost();
            }
            if let Some(page) = &mut self.page {
                page.next = last_of(page).map(after);
            }
            return self.finish();
        }
        if !self.can_give_runs() {
            return self.refused(refusal);
        }
        self.looked = true;
        self.look(None, refusal)
    }

    fn look(mut self: Box<Self>, instead: Option<(Pending, Vec<Answer>)>, refusal: Refusal) -> Step {
        let request = &self.request;
        let (before, run) = match &self.part.position {
            Position::After(_) if self.part.filter.is_none() => (request.target.hint.offset.0, request.target.hint.run),
            Position::After(_) => (self.part.before, request.target.hint.run),
            _ => (0, 0),
        };
        let look = Look::new(&request.paging, request.learnt, before, run);
        let Some((look, fetch)) = look.filter(|_| self.requests < request.search_budget) else {
            return match instead {
                Some((inner, answers)) => self.follow(inner.resume(answers)),
                None => self.refused(refusal),
            };
        };
        let fetch = self.narrowed(fetch);
        self.requests += 1;
        Step::Fetch(vec![fetch], Pending(Box::new(Looking(self, look, instead))))
    }

    /// What a look shows of a run.
    fn seen(&self, look: Look, answer: &Answer) -> Option<Beyond> {
        let found = look.find(answer, &self.request.order, self.anchor())?;
        let id = self.anchor().map(|anchor| &anchor.id).filter(|_| found.holds_anchor);
        Some(Beyond { parts: self.parts_from(&found.keys, id)?, before: found.before })
    }

    /// Reads what stands before a run, and then from the run on.
    fn read_run(mut self: Box<Self>, beyond: Beyond) -> Step {
        self.rest = beyond.parts.into();
        self.before_run = beyond.before;
        if self.before_run.is_none()
            && let Some(run) = self.rest.pop_front()
        {
            self.part = run;
        }
        self.begin()
    }

    fn parts_from(&self, keys: &[KeyValue], id: Option<&KeyValue>) -> Option<Vec<Part>> {
        let (request, filters) = (&self.request, self.request.filters.as_ref()?);
        legs::parts_from_run(&request.order, filters, keys, id, request.target.hint.run)
    }

    /// Whether runs of the part that is read can be read by themselves.
    pub(super) fn can_give_runs(&self) -> bool {
        let filters = self.request.filters.as_ref();
        self.part.run.is_none()
            && !self.gave_up
            && matches!(self.part.position, Position::Start | Position::At(Offset(0)) | Position::After(_))
            && filters.is_some_and(|filters| legs::can_give_runs(&self.request.order, filters))
    }

    fn anchor(&self) -> Option<&Anchor> {
        match &self.part.position {
            Position::After(anchor) => Some(anchor),
            _ => None,
        }
    }
}
