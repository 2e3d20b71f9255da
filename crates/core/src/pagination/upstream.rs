//! The access of a page to its upstream. All requests go through one [`UpstreamPort`]: it knows which form of the list
//! is read, counts the requests, and examines each answer for the facts that concern the page as a whole.

mod keys;
mod runs;
mod sequences;

use std::{cmp::Ordering, sync::Arc};

pub(super) use keys::KeyWatch;
pub(super) use runs::{Beyond, RunWatch, look};
pub(super) use sequences::ShownSequences;

use super::{
    answer::{Answer, Standing, Total},
    fetch::{Fetch, Listing},
    filter::Filter,
    order::Order,
    port::Port,
    position::Anchor,
    refusal::Refusal,
    rows,
    unsorted::Unsorted,
    window::Slice,
};

/// The reason why a way of reading a page ends without a page.
#[derive(Debug)]
pub(super) enum Stop {
    /// The page is refused, if no other way shows it.
    Refused(Refusal),
    /// The keys of the items can't be used. With the slices that came so far.
    Marks(Box<Unkeyed>),
    /// The upstream can't be asked by a filter that the page needs.
    Unaskable,
    /// A run of ties that fills answers was met: it is read by itself.
    Run(Box<Beyond>),
}

/// The answers whose keys can't be used.
#[derive(Debug)]
pub(super) struct Unkeyed {
    /// The fault of the keys.
    pub(super) why: Unsorted,
    /// The slices of the whole list, in its own order, that came; empty if any answer was of another form.
    pub(super) came: Vec<(Slice, Answer)>,
}

impl Stop {
    /// Returns the refusal of a page for which no other way is left.
    pub(super) fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            // These are raised only under a watch, whose setter handles them.
            Self::Marks(unkeyed) => Refusal::Unsorted(unkeyed.why),
            Self::Unaskable | Self::Run(_) => Refusal::Unsupported,
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The facts that answers of the unfiltered list show while a shorter way to a page is tried.
#[derive(Debug)]
pub(super) struct Noted {
    /// The order of the list.
    pub(super) order: Arc<Order>,
    /// The length of the list, as its last answer stated it.
    pub(super) total: Option<u64>,
    /// True if an answer of the flipped list contradicts the flipped order.
    contradicts_flipped: bool,
    /// True if an answer of the flipped list contradicts the order of the list, so that the direction was not ignored.
    contradicts_order: bool,
}

/// The access of a page to its upstream.
///
/// `flipped` and `part` are the form of the list that slices are cut from. The five fields after these are watches: a
/// way of reading that needs a fact of every answer, whichever strategy below it asks for that, sets its watch, reads,
/// and takes the watch back. Each watch has one setter, which is named with it.
#[derive(Debug)]
pub(super) struct UpstreamPort {
    port: Port,
    /// The number of requests that the page took, without counts.
    pub(super) requests: u32,
    /// A count that goes out beside the first fetches.
    count: Option<CountBeside>,
    /// The result of that count.
    pub(super) counted: Option<Option<Total>>,
    /// True if the list is read from its other end (`keyset::read_flipped`).
    pub(super) flipped: bool,
    /// The part of the list that is read (`keyset::reading`); `None` for the whole list.
    pub(super) part: Option<PartOf>,
    /// The check that keys can be compared. Set by `lowered`, which reads by marks where they can't.
    pub(super) keys: Option<KeyWatch>,
    /// The length of the whole list, and its disorder. Set by `keyset` while it tries a filter, for the refusal if
    /// nothing helps.
    pub(super) noted: Option<Noted>,
    /// Runs of ties that fill answers. Set by `keyset::reading`, which then reads such a run by itself.
    pub(super) runs: Option<RunWatch>,
    /// The end of a full page, and whether an answer showed an item after it. Set by `keyset::reading`, for its next
    /// part.
    pub(super) beyond: Option<PageEnd>,
    /// The sequences in which answers show items, where keys can't decide their order. Set by `read`.
    pub(super) sequences: Option<ShownSequences>,
}

/// The last item of a full page, of which only whether an item follows is still asked.
#[derive(Debug)]
pub(super) struct PageEnd {
    pub(super) last: Anchor,
    pub(super) order: Arc<Order>,
    /// True if an answer showed an item that comes after it.
    pub(super) was_seen: bool,
}

impl PageEnd {
    fn shows_more(&self, answer: &Answer) -> bool {
        (0..answer.items.len()).any(|item| {
            rows::relate(answer, &self.order, item, &self.last)
                .is_some_and(|relation| relation.whole == Ordering::Greater)
        })
    }
}

/// The condition for a count beside the first fetches: none of their answers will have the total.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountBeside {
    /// True if answers that list the whole collection contain its total.
    pub(super) tells_total: bool,
    /// True if the list is mostly read through filters, whose answers do not have the total of the list.
    pub(super) filters: bool,
}

/// The part of a list that is read.
#[derive(Clone, Debug)]
pub(super) struct PartOf {
    /// The filter of the part; `None` for the whole list.
    pub(super) filter: Option<Arc<Filter>>,
    /// True if the part is sorted by the id alone.
    pub(super) by_id: bool,
}

impl UpstreamPort {
    pub(super) fn new(port: Port) -> Self {
        Self {
            port,
            requests: 0,
            count: None,
            counted: None,
            flipped: false,
            part: None,
            keys: None,
            noted: None,
            runs: None,
            beyond: None,
            sequences: None,
        }
    }

    /// Goes back to the whole list in its own order, and drops all watches but those of keys and sequences.
    pub(super) fn reset(&mut self) {
        (self.flipped, self.part, self.noted, self.runs, self.beyond) = (false, None, None, None, None);
    }

    /// Adds a count to the next fetches, unless their answers will have the total.
    pub(super) fn count_beside(&mut self, beside: CountBeside) {
        self.count = Some(beside);
    }

    /// Asks for the number of items of the list.
    pub(super) async fn count(&mut self) -> Option<Total> {
        let answer = self.port.fetch(vec![Fetch::Count]).await.pop();
        *self.counted.insert(answer.and_then(|answer| answer.total))
    }

    /// Asks for slices of the list, in the form that is read. The answers come in the same order.
    ///
    /// # Errors
    ///
    /// [`Stop::Marks`] and [`Stop::Run`] where the answers show that the page must be read in another way, and
    /// [`Stop::Unaskable`] where the dialect can't ask for a slice.
    pub(super) async fn slices(
        &mut self,
        mut slices: impl Iterator<Item = (Slice, bool)> + Clone,
    ) -> Result<Vec<Answer>, Stop> {
        let listed = slices.clone().map(|(slice, flipped)| self.listed(slice, flipped)).collect();
        let answers = self.fetch(listed).await?;
        if let Some(passed) = &mut self.beyond {
            passed.was_seen |= answers.iter().any(|answer| passed.shows_more(answer));
        }
        // The start of the flipped list is the end of this one: only slices of this one can show a run at its start.
        let first = slices.next().filter(|(_, flipped)| !flipped).map(|(slice, _)| slice);
        runs::watch(self, first, &answers).await?;
        Ok(answers)
    }

    /// Sends requests of any kind, and returns their answers in the same order.
    ///
    /// # Errors
    ///
    /// [`Stop::Unaskable`] where the upstream can't be asked by a filter, [`Stop::Marks`] where an answer shows keys
    /// that are of no use.
    pub(super) async fn fetch(&mut self, mut fetches: Vec<Fetch>) -> Result<Vec<Answer>, Stop> {
        self.requests = self.requests.saturating_add(u32::try_from(fetches.len()).unwrap_or(u32::MAX));
        let counts = self.count.take().is_some_and(|count| !count.will_be_told(&fetches));
        if counts {
            fetches.push(Fetch::Count);
        }
        // Only watches need the fetches afterwards.
        let is_watched = self.keys.is_some() || self.noted.is_some() || self.sequences.is_some();
        let asked = if is_watched { fetches.clone() } else { Vec::new() };
        let count = fetches.len();
        let mut answers = self.port.fetch(fetches).await;
        debug_assert_eq!(answers.len(), count, "one answer for each fetch");
        if counts {
            self.counted = Some(answers.pop().and_then(|answer| answer.total));
        }
        let unasked = |answer: &&Answer| matches!(answer.standing, Standing::Unaskable | Standing::Known(_));
        let unasked = answers.iter().filter(unasked).count();
        debug_assert!(self.requests as usize >= unasked, "these requests were counted just now");
        // A fetch that the caller answered itself was no request: it costs no budget. Test:
        // `a_filter_that_cannot_be_asked_for_leaves_the_rest_of_the_budget_to_the_whole_list`.
        self.requests -= u32::try_from(unasked).unwrap_or(0);
        if answers.iter().any(|answer| answer.standing == Standing::Unaskable) {
            return Err(Stop::Unaskable);
        }
        if let Some(keys) = &self.keys
            && let Some(why) = asked.iter().zip(&answers).find_map(|(fetch, answer)| keys.fault(fetch, answer))
        {
            return Err(Stop::Marks(Box::new(Unkeyed { why, came: plain(&asked[..answers.len()], answers) })));
        }
        if let Some(noted) = &mut self.noted {
            asked.iter().zip(&answers).for_each(|(fetch, answer)| noted.note(fetch, answer));
        }
        if let Some(sequences) = &mut self.sequences {
            asked.iter().zip(&answers).for_each(|(fetch, answer)| sequences.note(fetch, answer));
        }
        Ok(answers)
    }

    fn listed(&self, slice: Slice, flipped: bool) -> Fetch {
        debug_assert!(slice.size().0 > 0, "a slice has at least one item");
        let (filter, by_id) = self.part.as_ref().map_or((None, false), |part| (part.filter.clone(), part.by_id));
        Fetch::Slice(slice, Listing { filter, by_id, flipped: flipped != self.flipped })
    }
}

impl CountBeside {
    /// Returns whether the answer to one of these fetches will have the length of the whole list.
    fn will_be_told(self, fetches: &[Fetch]) -> bool {
        let lists_all = |fetch: &Fetch| match fetch {
            // A filtered answer counts only its own items. Test: `a_filtered_answer_tells_no_total_of_the_list`.
            Fetch::Slice(_, Listing { filter, .. }) => filter.is_none(),
            Fetch::Token(_) => true,
            Fetch::Item(_) => !self.filters,
            Fetch::Count => false,
        };
        self.tells_total && fetches.iter().any(lists_all)
    }
}

impl Noted {
    pub(super) fn new(order: Arc<Order>) -> Self {
        Self { order, total: None, contradicts_flipped: false, contradicts_order: false }
    }

    fn note(&mut self, fetch: &Fetch, answer: &Answer) {
        let whole = match fetch {
            Fetch::Slice(_, Listing { filter: None, by_id: false, flipped }) => Some(*flipped),
            _ => None,
        };
        if let Some(total) = answer.total.filter(|total| whole.is_some() && total.exact) {
            self.total = Some(total.value);
        }
        if whole == Some(true) {
            self.contradicts_flipped |= rows::contradicts(answer, &self.order.flipped());
            self.contradicts_order |= rows::contradicts(answer, &self.order);
        }
    }

    /// Returns whether the answers of the flipped list are out of order in both directions: then no way of reading
    /// proves anything. Two answers may show that together, each in order in one direction:
    /// `regressions/nulls-on-the-other-side-of-a-flipped-list.txt`.
    pub(super) fn is_disordered(&self) -> bool {
        self.contradicts_flipped && self.contradicts_order
    }
}

/// Returns the slices and their answers if all of these are slices of the whole list in its own order; else none.
fn plain(fetches: &[Fetch], answers: Vec<Answer>) -> Vec<(Slice, Answer)> {
    let plain = |fetch: &Fetch| match fetch {
        Fetch::Slice(slice, listing) if *listing == Listing::default() => Some(*slice),
        _ => None,
    };
    let slices: Vec<Slice> = fetches.iter().map_while(plain).collect();
    if slices.len() == answers.len() { slices.into_iter().zip(answers).collect() } else { Vec::new() }
}
