//! Runs of ties that are longer than an answer. The answers to a part of a list reveal them, and each can then be read
//! separately.

use std::{cmp::Ordering, num::NonZeroU32, sync::Arc};

use super::{Stop, UpstreamPort};
use crate::pagination::{
    answer::Answer,
    filter::{Filter, Filters},
    judge::parts_page::SliceOfPart,
    key::KeyValue,
    limits::TELLING_RUN,
    order::Order,
    paging::{Paging, UpstreamProfile},
    parts::{legs, look::BoundaryLook, range::Part},
    plan,
    position::Anchor,
    rows,
    window::Slice,
};

/// The list after a boundary near a long run, divided at the run.
#[derive(Debug)]
pub(in crate::pagination) struct Beyond {
    /// The number of items between the boundary and the run; `None` if there are none.
    pub(in crate::pagination) before: Option<NonZeroU32>,
    /// The parts from the run on, or from the boundary on if the boundary is in the run.
    pub(in crate::pagination) parts: Vec<Part>,
    /// The slice whose answer shows every item between the boundary and the run. `None` if an answer that the run fills
    /// has shown that the boundary is in the run.
    pub(in crate::pagination) shown: Option<Box<SliceOfPart>>,
}

/// A run that fills an answer.
enum FilledRun {
    /// The run contains the boundary, or begins at it.
    Here(Beyond),
    /// The run is somewhere else.
    Elsewhere,
}

/// A watch over the answers to a part, for runs that fill an answer. Only used if the upstream can return a run
/// separately.
#[derive(Debug)]
pub(in crate::pagination) struct RunWatch {
    pub(in crate::pagination) order: Arc<Order>,
    pub(in crate::pagination) filters: Arc<Filters>,
    pub(in crate::pagination) paging: Arc<Paging>,
    pub(in crate::pagination) profile: UpstreamProfile,
    /// The item after which the part is read; `None` if it is read from its start.
    pub(in crate::pagination) anchor: Option<Anchor>,
    /// The number of items of the part that are expected before the boundary.
    pub(in crate::pagination) before: u64,
    /// The number of these items that tie with the anchor.
    pub(in crate::pagination) tied: u32,
    /// The number of answers that consisted of a single run, of at least [`TELLING_RUN`] items or as many as an answer
    /// can have.
    pub(in crate::pagination) one_runs: u32,
    /// The number of upstream requests, including those before this page, from which on no look is made.
    pub(in crate::pagination) last_request: u32,
    /// True if the boundary was looked at, or if a run was found there. Answers are then no longer watched.
    pub(in crate::pagination) looked: bool,
}

/// Examines the answers to slices of a part. `first` is the first slice.
///
/// # Errors
///
/// [`Stop::Run`] if the answers show a run that must be read separately.
pub(super) async fn watch(up: &mut UpstreamPort, first: Option<Slice>, answers: &[Answer]) -> Result<(), Stop> {
    let Some(watch) = up.runs.as_mut().filter(|watch| !watch.looked) else { return Ok(()) };
    let filter = up.part.as_ref().and_then(|part| part.filter.clone());
    let Some(run) = watch.run_among(first, filter, answers) else { return Ok(()) };
    watch.looked = true;
    let seen = match run {
        FilledRun::Here(beyond) => Some(beyond),
        FilledRun::Elsewhere => look(up).await?,
    };
    seen.map_or(Ok(()), |beyond| Err(Stop::Run(Box::new(beyond))))
}

/// Reads one answer at the boundary, as large as possible, which shows where the run begins, and the items before it.
/// `None` if no look can be made, or if the answer shows no such run.
///
/// # Errors
///
/// As [`UpstreamPort::fetch`].
pub(in crate::pagination) async fn look(up: &mut UpstreamPort) -> Result<Option<Beyond>, Stop> {
    let look = up.runs.as_ref().and_then(|watch| watch.look(up));
    let Some(look) = look else { return Ok(None) };
    let fetch = up.listed(look.slice(), false, up.probing);
    let answer = up.fetch(vec![fetch]).await?.pop();
    let filter = up.part.as_ref().and_then(|part| part.filter.clone());
    Ok(up.runs.as_ref().zip(answer).and_then(|(watch, answer)| watch.seen(look, filter, answer)))
}

impl RunWatch {
    /// Returns whether a look at the boundary can be requested.
    pub(in crate::pagination) fn can_look(&self, up: &UpstreamPort) -> bool {
        self.look(up).is_some()
    }

    fn look(&self, up: &UpstreamPort) -> Option<BoundaryLook> {
        let tied = if self.anchor.is_some() { self.tied } else { 0 };
        let look = BoundaryLook::new(&self.paging, self.profile, self.before, tied);
        look.filter(|_| up.requests < self.last_request)
    }

    /// Returns a run that fills the largest possible answer, or the second run that fills a smaller answer, because the
    /// upstream may have an unknown cap. A single small answer may be one run by chance. `None` if the answers show no
    /// such run, or if it can't be read separately.
    fn run_among(
        &mut self,
        first: Option<Slice>,
        filter: Option<Arc<Filter>>,
        answers: &[Answer],
    ) -> Option<FilledRun> {
        let order = Arc::clone(&self.order);
        let order = order.as_ref();
        let longest = usize::try_from(plan::most(&self.paging, self.profile.cap)).unwrap_or(usize::MAX);
        let is_one_run = |answer: &&Answer| {
            let count = answer.items.len();
            count >= longest.clamp(2, TELLING_RUN)
                && rows::compare_strong(answer, order, 0, count - 1).is_some_and(Ordering::is_eq)
        };
        let (at, answer) = answers.iter().enumerate().find(|(_, answer)| is_one_run(answer))?;
        debug_assert!(answer.items.len() > 1, "a run that fills an answer has more than one item");
        self.one_runs += 1;
        if answer.items.len() < longest && self.one_runs < 2 {
            return None;
        }
        let (keys, id, shown) = match (&self.anchor, first) {
            (Some(anchor), _) if rows::relate(answer, order, 0, anchor)?.strong == Ordering::Equal => {
                (anchor.keys.clone(), Some(&anchor.id), None)
            }
            (None, Some(slice)) if at == 0 && answer.begins_list(slice) => (
                answer.anchor(order, 0)?.keys,
                None,
                Some(Box::new(SliceOfPart { slice, filter, answer: answer.clone() })),
            ),
            _ => return Some(FilledRun::Elsewhere),
        };
        self.parts_from(&keys, id).map(|parts| FilledRun::Here(Beyond { before: None, parts, shown }))
    }

    /// Returns the list after the boundary, divided at the run that a look shows; `None` if it shows no run.
    fn seen(&self, look: BoundaryLook, filter: Option<Arc<Filter>>, answer: Answer) -> Option<Beyond> {
        let found = look.find(&answer, &self.order, self.anchor.as_ref())?;
        let id = self.anchor.as_ref().map(|anchor| &anchor.id).filter(|_| found.holds_anchor);
        let parts = self.parts_from(&found.keys, id)?;
        Some(Beyond {
            before: found.before,
            parts,
            shown: Some(Box::new(SliceOfPart { slice: look.slice(), filter, answer })),
        })
    }

    fn parts_from(&self, keys: &[KeyValue], id: Option<&KeyValue>) -> Option<Vec<Part>> {
        legs::parts_from_run(&self.order, &self.filters, keys, id, self.tied)
    }
}
