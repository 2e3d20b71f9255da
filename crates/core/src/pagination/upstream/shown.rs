//! The items that the answers of a page show beyond its place, and the check that the page contains them.
//!
//! Some answers may prove a page that other answers of the same page refute. The flipped list of an upstream that
//! gives nulls first, although the order declares them last, shows items before the place; an answer from the start of
//! the list then shows a null, which belongs after the place, and seems to prove that nothing comes before it. Each
//! answer is in order by itself. An item that was deleted between two answers looks the same, so the answer that shows
//! the item is read again before the page is refused.

use std::{
    borrow::Cow,
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::pagination::{
    answer::{Answer, Total},
    direction::Way,
    fetch::{Fetch, Listing},
    judge::evidence::loose_at,
    order::Order,
    page::{ItemPlace, Page},
    position::{Anchor, Position},
    request::PageRequest,
    rows,
};

/// The items that the answers of a page show beyond its place in the direction of reading.
#[derive(Debug)]
pub(in crate::pagination) struct ShownItems {
    order: Arc<Order>,
    way: Way,
    /// The item after or before which the page is read; `None` for a page at the start or the end of the list.
    anchor: Option<Anchor>,
    /// The largest number of items that are kept of an answer: the limit of the page, because items farther from the
    /// place are on no page.
    most: usize,
    /// The number of answers that the page has received.
    count: u32,
    /// The fetch of the page's first answer, until the answer is noted; `None` if several were requested at once. Most
    /// pages are made of their first answer, so it is noted only if the page doesn't use it.
    first: Option<Fetch>,
    /// The slices, each with the keys of the items that its answer shows nearest beyond the place.
    answers: Vec<(Fetch, Answer)>,
}

/// The items that a page lacks although they were shown, by their ids, and the last fetch whose answer shows one.
#[derive(Debug)]
pub(in crate::pagination) struct LeftOut {
    pub(in crate::pagination) fetch: Fetch,
    /// The length of the list by the answer to that fetch.
    pub(in crate::pagination) length: Option<Total>,
    items: HashMap<Vec<u8>, Anchor>,
}

/// Returns the length of the list by an answer: its total, or its number of items if it has all of the list; `None` if it
/// says neither.
pub(in crate::pagination) fn length_of(fetch: &Fetch, answer: &Answer) -> Option<Total> {
    let Fetch::Slice(slice, Listing { filter: None, .. }) = fetch else { return None };
    let count = answer.items.len() as u64;
    let is_all = slice.begins().0 == 0 && count < u64::from(slice.size().0);
    answer.total.or_else(|| is_all.then_some(Total { value: count, exact: true }))
}

impl ShownItems {
    /// Returns an empty set of items for a page; `None` if the page is read by its offset or by marks.
    pub(in crate::pagination) fn of(request: &PageRequest) -> Option<Self> {
        let anchor = match &request.target.position {
            Position::Start | Position::End => None,
            Position::After(anchor) | Position::Before(anchor) => Some(anchor.clone()),
            _ => return None,
        };
        let way = Way::of(request.target.position.is_backward());
        let (order, most) = (Arc::clone(&request.order), request.limit as usize);
        Some(Self { order, way, anchor, most, count: 0, first: None, answers: Vec::new() })
    }

    /// Numbers the answers to the fetches, and notes their items, unless there is only one answer so far.
    pub(super) fn receive(&mut self, asked: &[Fetch], answers: &mut [Answer]) {
        for answer in answers.iter_mut() {
            answer.number = self.count;
            self.count = self.count.saturating_add(1);
        }
        if self.count == 1 {
            self.first = asked.first().cloned();
            return;
        }
        asked.iter().zip(answers).for_each(|(fetch, answer)| self.note(fetch, answer));
    }

    /// Notes the items of an answer that the page doesn't use, if it is the page's first answer. The others were noted
    /// when they came.
    pub(in crate::pagination) fn note_unused(&mut self, answer: &Answer) {
        if answer.number == 0
            && let Some(fetch) = self.first.take()
        {
            self.note(&fetch, answer);
        }
    }

    fn note(&mut self, fetch: &Fetch, answer: &Answer) {
        let Fetch::Slice(_, listing) = fetch else { return };
        // The flipped list, read forward, is in the direction in which a page is read backward.
        let way = Way::of(listing.flipped != self.way.is_backward());
        let count = answer.items.len();
        let Some(first) = (0..count).find(|place| self.is_beyond(answer, way.index(*place, count))) else { return };
        let places = first..count.min(first.saturating_add(self.most));
        let kept = rows::keys_of(answer, &self.order, places.map(|place| way.index(place, count)));
        let total = length_of(fetch, answer);
        self.answers.push((fetch.clone(), Answer { number: answer.number, total, ..kept }));
    }

    /// Returns the shown items that belong between the place and the far end of the page, and aren't on it; `None` if
    /// there are none. Among unordered ties, items with the keys of one of these two ends don't count.
    pub(in crate::pagination) fn left_out_of(&self, page: &Page) -> Option<LeftOut> {
        // An item that only a later answer shows may have been inserted after the page's answers. A page without items
        // has no answers, so all answers count.
        let used = page.answers.iter().map(|answer| answer.number).min().unwrap_or(u32::MAX);
        let earlier = || self.answers.iter().filter(|(_, answer)| answer.number < used);
        earlier().next()?;
        let (far, goes_on) = match self.way {
            Way::Forward => (page.items.last(), page.next.is_some()),
            Way::Backward => (page.items.first(), page.previous.is_some()),
        };
        let anchor_of =
            |place: &ItemPlace| page.answers[place.answer as usize].anchor(&self.order, place.item as usize);
        // A page at the end of the list has no far end.
        let far = if goes_on { Some(far.and_then(anchor_of)?) } else { None };
        let id_of = |place: &ItemPlace| page.answers[place.answer as usize].identity(&self.order, place.item as usize);
        let on_page: HashSet<Cow<'_, [u8]>> = page.items.iter().filter_map(id_of).collect();
        let is_left_out = |answer: &Answer, item: usize| {
            let is_within = far.as_ref().is_none_or(|far| self.stands(answer, item, far) == Some(Ordering::Less));
            let is_elsewhere = || answer.identity(&self.order, item).is_some_and(|id| !on_page.contains(&id));
            is_within && self.is_beyond(answer, item) && is_elsewhere()
        };
        let (mut shown, mut items) = (None, HashMap::new());
        for (asked, answer) in earlier() {
            for item in (0..answer.items.len()).filter(|item| is_left_out(answer, *item)) {
                if let Some((id, anchor)) = answer.identity(&self.order, item).zip(answer.anchor(&self.order, item)) {
                    items.insert(id.into_owned(), anchor);
                    shown = Some((asked.clone(), answer.total));
                }
            }
        }
        let (fetch, length) = shown?;
        Some(LeftOut { fetch, length, items })
    }

    fn is_beyond(&self, answer: &Answer, item: usize) -> bool {
        self.anchor.as_ref().is_none_or(|anchor| self.stands(answer, item, anchor) == Some(Ordering::Greater))
    }

    /// Compares an item with an anchor in the direction of reading; `None` if they can't be compared.
    fn stands(&self, answer: &Answer, item: usize, anchor: &Anchor) -> Option<Ordering> {
        let relation = rows::relate(answer, &self.order, item, anchor)?;
        Some(self.way.read(if loose_at(&self.order, anchor) { relation.strong } else { relation.whole }))
    }
}

impl LeftOut {
    /// Returns whether another answer to the fetch shows one of the items, with the same keys.
    pub(in crate::pagination) fn is_shown_by(&self, answer: &Answer, order: &Order) -> bool {
        (0..answer.items.len()).any(|item| {
            let left_out = answer.identity(order, item).and_then(|id| self.items.get(&*id));
            let relation = left_out.and_then(|anchor| rows::relate(answer, order, item, anchor));
            relation.is_some_and(|relation| relation.whole.is_eq())
        })
    }
}
