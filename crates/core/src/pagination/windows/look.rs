//! What answers give: to the page, and to what is known of the upstream.

use super::{Asked, Doubt, Ground, Purpose, Search, Short, State, Step, seam::Held};
use crate::pagination::{
    answer::{Answer, Standing},
    collector::{Cut, Progress, Side},
    end::{Belief, Witness},
    paging::{EndEvidence, Family},
    plan::Growth,
    proof::View,
    refusal::Refusal,
    resolver::Verify,
    rules::{Rule, holds},
    unsorted::Unsorted,
    window::Slice,
};

/// A count may say so much more than there is, where the list changed between the count and the slice.
const OVERTAKEN: u64 = 2;

/// So often is a boundary of which an answer tells nothing looked for beside that answer.
const APART: u32 = 4;

/// So many places that a count says to be in the list are asked for in vain before they are taken to stand deeper than the
/// upstream answers. A count of rows that nobody is shown looks the same, until halving has come down to what is shown.
const CEILINGS: u32 = 6;

impl State {
    pub(super) fn look(mut self: Box<Self>, answers: Vec<Answer>) -> Step {
        let asked = std::mem::take(&mut self.asked);
        let mut pairs: Vec<(Asked, Answer)> = asked.into_iter().zip(answers).collect();
        for (fetch, answer) in &pairs {
            self.learn(fetch.slice, answer);
        }
        // Further answers are speculation: where they are needed, they are asked for again and come first.
        if let Some((fetch, answer)) = pairs.first()
            && answer.standing == Standing::PastEnd
            && holds(Rule::StatusesOnlyAim)
        {
            let begins = fetch.slice.begins().0;
            if begins == 0 {
                return Step::Refuse(Refusal::NoList);
            }
            self.ceilings += u32::from(self.total.is_some_and(|total| total > begins));
            if self.ceilings > CEILINGS {
                return Step::Refuse(Refusal::TooDeep);
            }
        }
        match std::mem::replace(&mut self.purpose, Purpose::Window) {
            Purpose::Window => {
                let views = self.views(pairs, Witness::None);
                self.examine(views, false)
            }
            Purpose::Confirm(confirm) => self.confirmed(&confirm, pairs),
            Purpose::Seam(seam) => self.sew(*seam, pairs),
            Purpose::Witness(edge) => self.witnessed(*edge, pairs),
            Purpose::Contradiction(contradicted) => self.was_read_again(&contradicted, pairs),
            Purpose::Start(near) => {
                let start = pairs.pop().and_then(|(fetch, start)| self.view(start, fetch, Witness::None).ok());
                if start.is_some_and(|start| near.view.same_items(&start) && !start.ends) {
                    return Step::Refuse(Refusal::Stuck);
                }
                self.repeats = true;
                self.ends_before(near)
            }
        }
    }

    /// What answers teach whatever becomes of them: the sizes that are honoured, the cap that they tell of themselves.
    fn learn(&mut self, fetch: Slice, answer: &Answer) {
        let count = u32::try_from(answer.items.len()).unwrap_or(u32::MAX);
        let asked = fetch.size().0;
        self.honoured.learn(answer, fetch, &self.request.paging);
        if self.learnt.cap.is_some_and(|cap| cap < count) {
            self.learnt.cap = None;
        }
        if let Some(size) = answer.size
            && (1..asked).contains(&size)
        {
            self.cap = Some(size);
            self.learnt.cap = Some(size);
        }
        let is_most = count >= self.honoured.by_page;
        let may_be_capped = is_most && answer.size.is_none() && (2..asked).contains(&count) && !self.repeats;
        if may_be_capped && !self.request.paging.hidden {
            let begins = fetch.begins().0;
            // One answer may be short because the list ends, or because it was cut by bytes or by time. A cap gives the same
            // number twice, at different places.
            if self.last_short.is_some_and(|(other, same)| other != begins && same == count) {
                self.learnt.cap = Some(count);
            }
            self.last_short = Some((begins, count));
        }
        if let Some(total) = answer.total.filter(|total| total.exact) {
            self.recounted = self.total.is_some_and(|before| before != total.value);
            self.total = Some(total.value);
        }
    }

    /// Looks at answers in turn. The first must prove the boundary, each further one the last item taken before it. What
    /// fails there was speculation, and is asked again from where the page stands.
    pub(super) fn examine(mut self: Box<Self>, views: Vec<(Asked, Result<View, Unsorted>)>, confirming: bool) -> Step {
        let mut used_any = false;
        let mut unended = None;
        for (fetch, view) in views {
            let mut view = match view {
                Ok(view) => view,
                // Out of order by itself, whatever it is needed for: no change to the list explains that.
                Err(unsorted) if !used_any || unsorted.cause.is_disorder() => return self.contradicted(unsorted),
                Err(_) => break,
            };
            if self.request.verify == Verify::WhenCheap {
                self.assume_end_of(&mut view);
            }
            self.suspect(&view, confirming);
            self.note(&view);
            let (short, growth) = (Short::of(&view, fetch.slice), self.collector.growth());
            if self.may_be_repeated(&view) {
                return self.missed(Box::new(view), fetch, Side::Left);
            }
            if !confirming && let Some(short) = self.misplaced(&view, fetch) {
                if used_any {
                    break;
                }
                return self.doubt(short, short.last, Held::Here(Box::new(view)));
            }
            if !used_any && let Some(side) = self.unwitnessed_edge(&view) {
                return self.witness(fetch, view, side);
            }
            let progress = match self.collector.take(view) {
                Ok(progress) => progress,
                Err(_) if used_any => break,
                Err(unsorted) => return self.contradicted(unsorted),
            };
            match progress {
                Progress::Done => return self.serve(false),
                Progress::More => {
                    used_any = true;
                    self.progressed();
                    self.taken_from = Some(fetch.slice).filter(|_| fetch.flipped.is_none());
                    unended = short.filter(|_| growth == Growth::Rightward);
                }
                Progress::Cut(..) | Progress::Missed(..) | Progress::Apart(..) if used_any => break,
                Progress::Cut(cut, view) => return self.cut(cut, short, (fetch.slice, view)),
                Progress::Missed(view, side) => return self.missed(view, fetch, side),
                Progress::Apart(view, Some(side)) if self.ground == Ground::Whole && self.apart < APART => {
                    self.apart += 1;
                    return self.missed(view, fetch, side);
                }
                Progress::Apart(..) => return self.lost(),
            }
        }
        match unended {
            Some(short) if self.may_doubt(&short) => {
                let from = self.collector.offset().saturating_sub(1);
                self.doubt(short, from, Held::Taken)
            }
            _ => self.ask_window(),
        }
    }

    /// Whether a total makes pages the end of the list, and they show nothing of what they were asked for: where a cap
    /// fell, they are other pages, from before the boundary, and the total says nothing of what follows them.
    pub(super) fn is_another_place(&self, view: &View) -> bool {
        let paging = &self.request.paging;
        let by_count = view.answer.more.is_none() && view.answer.total.is_some();
        let believed = paging.family == Family::Page && paging.end == EndEvidence::Unvouched;
        view.ends && !view.from_start && by_count && believed && self.collector.is_behind(view)
    }

    /// Such a page as one that is to be confirmed.
    fn misplaced(&self, view: &View, asked: Asked) -> Option<Short> {
        let is_short = view.len() < asked.slice.size().0 as usize && asked.flipped.is_none();
        let last = view.behind().checked_sub(1).filter(|_| is_short && self.is_another_place(view))?;
        let short = Short { slice: asked.slice, count: view.len(), last };
        self.may_doubt(&short).then_some(short)
    }

    /// Where no request is spent on it, a short answer is taken to be the end, and so is nothing behind an item that came.
    fn assume_end_of(&self, view: &mut View) {
        let came = self.collector.last_view().is_some() || self.search.is_at(view.begins);
        let more = view.answer.more == Some(true) || view.answer.total.is_some_and(|total| total.value > view.begins);
        if view.short && !view.capped {
            view.assume_end();
        } else if view.is_empty() && view.assumed.left && came && !more && !self.request.paging.hidden {
            view.ends = true;
        }
    }

    /// Whether an answer may be the last page that comes again, asked for from behind the end while the end is searched
    /// for: it would be taken for a place where it is not.
    fn may_be_repeated(&self, view: &View) -> bool {
        let room = match view.answer.total {
            Some(_) => view.begins == 0 && !view.from_start,
            None => self.search.leaves_room_before(view.begins),
        };
        room && view.ends && self.repeats && self.collector.seeks_the_end() && self.collector.len() == 0
    }

    /// Where the list is believed to end, and how long its runs of ties are.
    pub(super) fn note(&mut self, view: &View) {
        self.learnt.run = self.learnt.run.max(view.longest_run);
        if !view.is_empty() && !view.short {
            // Where a page of another size than was asked for stands, nothing says.
            self.seen_to = self.seen_to.max(view.behind());
        }
        if !view.is_empty() && (view.ends || view.short) && !view.capped {
            self.end_seen = Some(view.behind());
        } else if view.is_empty() && !self.request.paging.hidden {
            self.end_seen = Some(self.end_seen.map_or(view.begins, |end| end.min(view.begins)));
        }
    }

    /// A cap that is applied in silence: an answer is short although there is more, as it says or as is seen.
    fn suspect(&mut self, view: &View, confirming: bool) {
        let capped = |count: usize| u32::try_from(count.max(2)).ok();
        // A count that a change has overtaken is off by a little.
        let counted = view.answer.total.is_none_or(|total| total.value > view.behind() + OVERTAKEN);
        if view.capped && counted && !confirming {
            self.cap = capped(view.len().max(self.honoured.by_page as usize));
        }
        if let Some(Doubt { short, .. }) = self.doubted.filter(|it| confirming && view.behind() > it.short.last + 1) {
            self.refute_cap();
            self.cap = capped(short.count.max(self.honoured.by_page as usize));
            self.honoured.fell_to(u32::try_from(short.count).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn views(&self, pairs: Vec<(Asked, Answer)>, witness: Witness) -> Vec<(Asked, Result<View, Unsorted>)> {
        pairs.into_iter().map(|(asked, answer)| (asked, self.view(answer, asked, witness))).collect()
    }

    pub(super) fn view(&self, answer: Answer, asked: Asked, witness: Witness) -> Result<View, Unsorted> {
        let belief = Belief { honoured: self.honoured, honoured_before: self.request.target.hint.honoured, witness };
        let Asked { slice, flipped, assumed } = asked;
        let (order, paging) = (&self.request.order, &self.request.paging);
        if self.collector.is_unchecked() {
            return Ok(View::unchecked(answer, slice, paging, belief));
        }
        let mut view = match flipped {
            Some(total) => View::flipped(answer, slice, order, paging, belief, total)?,
            None => View::new(answer, slice, order, paging, belief)?,
        };
        if let Some(side) = assumed {
            view.assume_edge(side);
        }
        Ok(view)
    }

    /// A run of ties is cut by an edge of the answer. Where that is short, it may be the end, which closes its last run.
    fn cut(mut self: Box<Self>, cut: Cut, short: Option<Short>, seen: (Slice, Box<View>)) -> Step {
        if cut.right && self.request.paging.hidden {
            return self.cut_among_hidden(&cut, seen.0);
        }
        if cut.right
            && !cut.left
            && let Some(short) = short.filter(|short| self.may_doubt(short))
        {
            (self.cut, self.searching) = (None, true);
            return self.doubt(short, cut.needed.start, Held::Here(seen.1));
        }
        if self.cut.as_ref() == Some(&cut) {
            return self.tie_run(&cut, Some(seen));
        }
        self.widen(cut)
    }

    /// Asks for the whole of a run of ties that was cut.
    pub(super) fn widen(mut self: Box<Self>, cut: Cut) -> Step {
        if self.cut.as_ref() == Some(&cut) {
            return self.tie_run(&cut, None);
        }
        self.searching = true;
        self.search = Search::default();
        self.cut = Some(cut);
        self.ask_window()
    }
}

impl Short {
    /// An answer that is short without ending the list.
    pub(super) fn of(view: &View, slice: Slice) -> Option<Self> {
        let last = view.behind().checked_sub(1)?;
        view.short.then_some(Self { slice, count: view.len(), last })
    }
}
