//! The access of a page to its upstream. All requests of a page pass through one [`UpstreamPort`]. It records which
//! form of the list is read, counts the requests, and examines each answer for facts that concern the whole page.

mod keys;
mod runs;
mod sequences;
mod shown;

use std::{cmp::Ordering, sync::Arc};

pub(super) use keys::KeyWatch;
pub(super) use runs::{Beyond, RunWatch, look};
pub(super) use sequences::ShownSequences;
pub(super) use shown::{LeftOut, ShownItems, length_of};

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

/// The reason why an attempt to read a page ends without a page.
#[derive(Debug)]
pub(super) enum Stop {
    /// The attempt ends with this refusal. The caller may still try to read the page in another way.
    Refused(Refusal),
    /// The keys of the items can't be used. Contains the answers so far.
    Marks(Box<Unkeyed>),
    /// The dialect can't write a filter that the page needs.
    Unaskable,
    /// A run of ties fills whole answers, so it must be read separately.
    Run(Box<Beyond>),
}

/// The fault of keys that can't be used, and the answers so far.
#[derive(Debug)]
pub(super) struct Unkeyed {
    /// The fault of the keys.
    pub(super) why: Unsorted,
    /// The slices of the whole list, in its own order, with their answers. Empty if any fetch was of another form.
    pub(super) came: Vec<(Slice, Answer)>,
}

impl Stop {
    /// Returns the refusal of a page that can't be read in any other way.
    pub(super) fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            // The setter of a watch handles the other reasons, so they don't reach this point.
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

/// The facts that answers of the unfiltered list show while a shortcut to the page is tried.
#[derive(Debug)]
pub(super) struct Noted {
    /// The order of the list.
    pub(super) order: Arc<Order>,
    /// The latest exact total that an answer stated; `None` if no answer stated one.
    pub(super) total: Option<u64>,
    /// True if an answer of the flipped list contradicts the flipped order.
    contradicts_flipped: bool,
    /// True if an answer of the flipped list contradicts the order of the list itself. If not, the upstream may have
    /// ignored the direction.
    contradicts_order: bool,
}

/// The access of a page to its upstream: the form of the list that is read, the counts, and the watches.
///
/// `flipped` and `part` are the form of the list from which slices are cut. The six fields after them are watches. A
/// strategy that needs a fact from every answer of the strategies that it calls sets a watch, reads the page, and
/// removes the watch. Each watch has a single setter, which its comment names.
#[derive(Debug)]
pub(super) struct UpstreamPort {
    port: Port,
    /// The number of requests of the page so far, without the count.
    pub(super) requests: u32,
    /// The condition for a count that is sent together with the first fetches; `None` without such a count.
    count: Option<CountBeside>,
    /// The answer to the count: `None` before a count was made, `Some(None)` if the count gave no total.
    pub(super) counted: Option<Option<Total>>,
    /// True while slices are requested that only show whether more items follow (`windows::ends`).
    pub(super) probing: bool,
    /// True if a slice has shown items, after which the list may end.
    has_items: bool,
    /// True while the flipped list is read (`keyset::read_flipped`).
    pub(super) flipped: bool,
    /// The part of the list that is read (`keyset::reading`); `None` for the whole list.
    pub(super) part: Option<PartOf>,
    /// The check that keys can be compared. Set by `lowered`, which reads the page by marks if the check fails.
    pub(super) keys: Option<KeyWatch>,
    /// The length of the whole list, and its disorder. Set by `keyset` while it tries a shortcut, for the refusal if
    /// the page can't be read.
    pub(super) noted: Option<Noted>,
    /// The watch for runs of ties that fill answers. Set by `keyset::reading`, which reads such a run separately.
    pub(super) runs: Option<RunWatch>,
    /// The end of a full page, and whether an answer showed an item after it. Set by `keyset::reading` for the next
    /// part of the list.
    pub(super) beyond: Option<PageEnd>,
    /// The sequences in which answers show items whose order keys can't decide. Set by `read`.
    pub(super) sequences: Option<ShownSequences>,
    /// The items that answers show beyond the place of the page. Set by `keyset`, which refuses a page that lacks one.
    pub(super) shown: Option<ShownItems>,
}

/// The last item of a full page. The only open question is whether an item follows.
#[derive(Debug)]
pub(super) struct PageEnd {
    pub(super) last: Anchor,
    pub(super) order: Arc<Order>,
    /// True if an answer has shown an item that comes after `last`.
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

/// The condition for a count that is sent together with the first fetches: no answer to these fetches will have the
/// total.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountBeside {
    /// True if answers that list the whole collection contain its total.
    pub(super) tells_total: bool,
    /// True if the page is probably read through filters, whose answers don't have the total of the list.
    pub(super) filters: bool,
}

/// The part of a list that is read.
#[derive(Clone, Debug)]
pub(super) struct PartOf {
    /// The filter of the part; `None` for the whole list.
    pub(super) filter: Option<Arc<Filter>>,
    /// True if the part is sorted only by the id.
    pub(super) by_id: bool,
}

impl UpstreamPort {
    pub(super) fn new(port: Port) -> Self {
        Self {
            port,
            requests: 0,
            count: None,
            counted: None,
            probing: false,
            has_items: false,
            flipped: false,
            part: None,
            keys: None,
            noted: None,
            runs: None,
            beyond: None,
            sequences: None,
            shown: None,
        }
    }

    /// Returns to the whole list in its own order. Removes all watches except `keys`, `sequences` and `shown`.
    pub(super) fn reset(&mut self) {
        (self.flipped, self.part, self.noted, self.runs, self.beyond) = (false, None, None, None, None);
    }

    /// Sends a count together with the next fetches, unless their answers will have the total.
    pub(super) fn count_beside(&mut self, beside: CountBeside) {
        self.count = Some(beside);
    }

    /// Requests the number of items of the list. Records the total in `counted` and returns it; `None` if the answer
    /// has no total.
    pub(super) async fn count(&mut self) -> Option<Total> {
        let answer = self.port.fetch(vec![Fetch::Count]).await.pop();
        *self.counted.insert(answer.and_then(|answer| answer.total))
    }

    /// Requests slices of the present form of the list; `true` in a pair flips that form for the slice. Returns the
    /// answers in the same order.
    ///
    /// # Errors
    ///
    /// [`Stop::Marks`] or [`Stop::Run`] if the answers show that the page must be read in another way.
    /// [`Stop::Unaskable`] if the dialect can't write the filter.
    pub(super) async fn slices(
        &mut self,
        mut slices: impl Iterator<Item = (Slice, bool)> + Clone,
    ) -> Result<Vec<Answer>, Stop> {
        // Only the first slice of a page is needed. The others may begin after the end, where the upstream may refuse
        // them. Test: `a_refusal_past_the_end_fails_no_page`.
        let listed: Vec<Fetch> = (slices.clone().enumerate())
            .map(|(place, (slice, flipped))| self.listed(slice, flipped, self.probing || self.has_items || place > 0))
            .collect();
        let mut answers = self.fetch(listed).await?;
        let is_refused = answers.first().is_some_and(|answer| answer.standing == Standing::Refused);
        if let Some((slice, flipped)) = slices.clone().next().filter(|_| is_refused && !self.probing) {
            // The page goes on from this slice, so it fails with the upstream's refusal. Test:
            // `a_refusal_in_the_middle_ends_no_list`.
            let needed = self.listed(slice, flipped, false);
            answers[0] = self.fetch(vec![needed]).await?.pop().unwrap_or_default();
        }
        self.has_items |= answers.iter().any(|answer| !answer.items.is_empty());
        if let Some(passed) = &mut self.beyond {
            passed.was_seen |= answers.iter().any(|answer| passed.shows_more(answer));
        }
        // The start of the flipped list is the end of this list, so only slices of this list can show a run at its
        // start.
        let first = slices.next().filter(|(_, flipped)| !flipped).map(|(slice, _)| slice);
        runs::watch(self, first, &answers).await?;
        Ok(answers)
    }

    /// Makes fetches of any kind, and returns their answers in the same order.
    ///
    /// # Errors
    ///
    /// [`Stop::Unaskable`] if the dialect can't write a filter. [`Stop::Marks`] if an answer shows keys that can't be
    /// used.
    pub(super) async fn fetch(&mut self, mut fetches: Vec<Fetch>) -> Result<Vec<Answer>, Stop> {
        self.requests = self.requests.saturating_add(u32::try_from(fetches.len()).unwrap_or(u32::MAX));
        let counts = self.count.take().is_some_and(|count| !count.will_be_told(&fetches));
        if counts {
            fetches.push(Fetch::Count);
        }
        // Only watches need the fetches after the answers have arrived.
        let is_watched =
            self.keys.is_some() || self.noted.is_some() || self.sequences.is_some() || self.shown.is_some();
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
        // A fetch that the caller answered without a request costs no budget. Test:
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
        if let Some(shown) = &mut self.shown {
            shown.receive(&asked, &mut answers);
        }
        Ok(answers)
    }

    fn listed(&self, slice: Slice, flipped: bool, is_probe: bool) -> Fetch {
        debug_assert!(slice.size().0 > 0, "a slice has at least one item");
        let (filter, by_id) = self.part.as_ref().map_or((None, false), |part| (part.filter.clone(), part.by_id));
        Fetch::Slice(slice, Listing { filter, by_id, flipped: flipped != self.flipped, is_probe })
    }
}

impl CountBeside {
    /// Returns whether the total of the whole list will be known without a count: from the answer to one of these
    /// fetches, or, after a look-up of an item, from the answer to the next fetch.
    fn will_be_told(self, fetches: &[Fetch]) -> bool {
        let lists_all = |fetch: &Fetch| match fetch {
            // A filtered answer states only the total of the filtered list. Test:
            // `the_total_of_a_filtered_answer_is_not_reported_for_the_list`.
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
            Fetch::Slice(_, Listing { filter: None, by_id: false, flipped, .. }) => Some(*flipped),
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

    /// Returns whether the answers of the flipped list contradict both the list's order and the flipped order. Then no
    /// other way of reading can prove the page. Two answers, each sorted in another direction, can show that together:
    /// `regressions/nulls-on-the-other-side-of-a-flipped-list.txt`.
    pub(super) fn is_disordered(&self) -> bool {
        self.contradicts_flipped && self.contradicts_order
    }
}

/// Pairs slices with their answers, if all fetches are slices of the whole list in its own order. Otherwise returns no
/// pairs.
fn plain(fetches: &[Fetch], answers: Vec<Answer>) -> Vec<(Slice, Answer)> {
    let plain = |fetch: &Fetch| match fetch {
        Fetch::Slice(slice, Listing { filter: None, by_id: false, flipped: false, .. }) => Some(*slice),
        _ => None,
    };
    let slices: Vec<Slice> = fetches.iter().map_while(plain).collect();
    if slices.len() == answers.len() { slices.into_iter().zip(answers).collect() } else { Vec::new() }
}
