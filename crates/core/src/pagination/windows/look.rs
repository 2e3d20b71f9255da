//! What answers give: to the page, and to what is known of the upstream.

use super::{
    Asked, Bracket, Next, Reader, Turn,
    confirm::{Doubt, Short},
    seam::Held,
};
use crate::pagination::{
    answer::{Answer, Standing},
    direction::{Side, Way},
    judge::confirmation::ListTerms,
    judge::draft::Ground,
    judge::draft::{Cut, Progress},
    judge::evidence::Evidence,
    paging::{EndEvidence, Family},
    refusal::Refusal,
    rules::{Rule, holds},
    unsorted::Unsorted,
    upstream::UpstreamPort,
    window::Slice,
};

/// A count may say so much more than there is, where the list changed between the count and the slice.
const OVERTAKEN: u64 = 2;

/// So often is a boundary of which an answer tells nothing looked for beside that answer.
const APART: u32 = 4;

/// So many places that a count says to be in the list are asked for in vain before they are taken to stand deeper than the
/// upstream answers. A count of rows that nobody is shown looks the same, until halving has come down to what is shown.
const CEILINGS: u32 = 6;

/// Answers that are looked at.
#[derive(Debug)]
pub(super) struct Look {
    /// What was asked for, and what came: in the order of asking.
    pub(super) views: Vec<(Asked, Result<Evidence, Unsorted>)>,
    /// They were asked for to confirm an end.
    pub(super) confirming: bool,
}

impl Look {
    /// One answer.
    pub(super) fn at(asked: Asked, view: Evidence) -> Turn {
        Turn::Look(Self { views: vec![(asked, Ok(view))], confirming: false })
    }
}

impl Reader {
    /// Takes in what answers teach whatever becomes of them.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoList`] and [`Refusal::TooDeep`], by what the first of them says of its place.
    pub(super) fn learn(&mut self, pairs: &[(Asked, Answer)]) -> Result<(), Refusal> {
        for (Asked { slice, .. }, answer) in pairs {
            self.ledger.enter(*slice, answer, &self.request.paging);
            self.sizes.learn(*slice, answer, &self.request.paging, &self.ledger);
        }
        // Further answers are speculation: where they are needed, they are asked for again and come first.
        if let Some((Asked { slice, .. }, answer)) = pairs.first()
            && answer.standing == Standing::PastEnd
            && holds(Rule::StatusesOnlyAim)
        {
            let begins = slice.begins().0;
            if begins == 0 {
                return Err(Refusal::NoList);
            }
            self.ceilings += u32::from(self.ledger.total().is_some_and(|total| total > begins));
            if self.ceilings > CEILINGS {
                return Err(Refusal::TooDeep);
            }
        }
        Ok(())
    }

    /// Looks at answers in turn. The first must prove the boundary, each further one the last item taken before it. What
    /// fails there was speculation, and is asked again from where the page stands.
    pub(super) async fn look(&mut self, up: &mut UpstreamPort, look: Look) -> Next {
        let Look { views, confirming } = look;
        let mut used_any = false;
        let mut unended = None;
        for (fetch, view) in views {
            let mut view = match view {
                Ok(view) => view,
                // Out of order by itself, whatever it is needed for: no change to the list explains that.
                Err(unsorted) if !used_any || unsorted.cause.is_disorder() => return Err(self.contradicted(unsorted)),
                Err(_) => break,
            };
            if self.request.leaves_out_costly_proofs() {
                self.assume_end_of(&mut view);
            }
            self.suspect(&view, confirming);
            self.note(&view);
            let (short, way) = (Short::of(&view, fetch.slice), self.draft.way());
            if self.may_be_repeated(&view) {
                return self.missed(up, Box::new(view), fetch, Side::Before).await;
            }
            if !confirming && let Some(short) = self.misplaced(&view, fetch) {
                if used_any {
                    break;
                }
                return self.doubt(up, short, short.last, Held::Here(Box::new(view))).await;
            }
            if !used_any && let Some(side) = self.unwitnessed_edge(&view) {
                return self.witness(up, fetch, view, side).await;
            }
            let progress = match self.draft.take(view) {
                Ok(progress) => progress,
                Err(_) if used_any => break,
                Err(unsorted) => return Err(self.contradicted(unsorted)),
            };
            match progress {
                Progress::Done => return Ok(Turn::Serve { cut_off: false }),
                Progress::More => {
                    used_any = true;
                    self.progressed();
                    self.seams.taken_from = Some(fetch.slice).filter(|_| fetch.flipped.is_none());
                    unended = short.filter(|_| way == Way::Forward);
                }
                Progress::Cut(..) | Progress::Missed(..) | Progress::Apart(..) if used_any => break,
                Progress::Cut(cut, view) => return self.cut(up, cut, short, (fetch.slice, view)).await,
                Progress::Missed(view, side) => return self.missed(up, view, fetch, side).await,
                Progress::Apart(view, Some(side)) if self.ground == Ground::Whole && self.seams.apart < APART => {
                    self.seams.apart += 1;
                    return self.missed(up, view, fetch, side).await;
                }
                Progress::Apart(..) => return Err(self.lost()),
            }
        }
        match unended {
            Some(short) if self.may_doubt(&short) => {
                let from = self.draft.offset().saturating_sub(1);
                self.doubt(up, short, from, Held::Taken).await
            }
            _ => Ok(Turn::Window),
        }
    }

    /// Whether a total makes pages the end of the list, and they show nothing of what they were asked for: where a cap
    /// fell, they are other pages, from before the boundary, and the total says nothing of what follows them.
    pub(super) fn is_another_place(&self, view: &Evidence) -> bool {
        let paging = &self.request.paging;
        let by_count = view.answer().more.is_none() && view.answer().total.is_some();
        let believed = paging.family == Family::Page && paging.end == EndEvidence::Unvouched;
        view.ends() && !view.is_from_start() && by_count && believed && self.draft.is_behind(view)
    }

    /// Such a page as one that is to be confirmed.
    fn misplaced(&self, view: &Evidence, asked: Asked) -> Option<Short> {
        let is_short = view.len() < asked.slice.size().0 as usize && asked.flipped.is_none();
        let last = view.behind().checked_sub(1).filter(|_| is_short && self.is_another_place(view))?;
        let short = Short { slice: asked.slice, count: view.len(), last };
        self.may_doubt(&short).then_some(short)
    }

    /// Where no request is spent on it, a short answer is taken to be the end, and so is nothing behind an item that came.
    fn assume_end_of(&self, view: &mut Evidence) {
        let came = self.draft.last_view().is_some() || self.search.bracket.is_at(view.begins());
        let more =
            view.answer().more == Some(true) || view.answer().total.is_some_and(|total| total.value > view.begins());
        if view.short() && !view.capped() {
            view.assume_end();
        } else if view.is_empty() && view.assumed().left && came && !more && !self.request.paging.hidden {
            view.assume_nothing_beyond();
        }
    }

    /// Whether an answer may be the last page that comes again, asked for from behind the end while the end is searched
    /// for: it would be taken for a place where it is not.
    fn may_be_repeated(&self, view: &Evidence) -> bool {
        let room = match view.answer().total {
            Some(_) => view.begins() == 0 && !view.is_from_start(),
            None => self.search.bracket.leaves_room_before(view.begins()),
        };
        room && view.ends() && self.ledger.repeats() && self.draft.seeks_the_end() && self.draft.len() == 0
    }

    /// Where the list is believed to end, and how long its runs of ties are.
    pub(super) fn note(&mut self, view: &Evidence) {
        self.sizes.profile.run = self.sizes.profile.run.max(view.longest_run());
        if !view.is_empty() && !view.short() {
            // Where a page of another size than was asked for stands, nothing says.
            self.ending.seen_to = self.ending.seen_to.max(view.behind());
        }
        if !view.is_empty() && (view.ends() || view.short()) && !view.capped() {
            self.ending.seen = Some(view.behind());
        } else if view.is_empty() && !self.request.paging.hidden {
            self.ending.seen = Some(self.ending.seen.unwrap_or(u64::MAX).min(view.begins()));
        }
    }

    /// A cap that is applied in silence: an answer is short although there is more, as it says or as is seen.
    fn suspect(&mut self, view: &Evidence, confirming: bool) {
        let capped = |count: usize| u32::try_from(count.max(2)).ok();
        // A count that a change has overtaken is off by a little.
        let counted = view.answer().total.is_none_or(|total| total.value > view.behind() + OVERTAKEN);
        if view.capped() && counted && !confirming {
            self.sizes.cap = capped(view.len().max(self.ledger.honoured().by_page() as usize));
        }
        if let Some(Doubt { short, .. }) =
            self.ending.doubted.filter(|it| confirming && view.behind() > it.short.last + 1)
        {
            self.refute_cap();
            self.sizes.cap = capped(short.count.max(self.ledger.honoured().by_page() as usize));
            self.ledger.fell_to(u32::try_from(short.count).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn views(&self, pairs: Vec<(Asked, Answer)>) -> Vec<(Asked, Result<Evidence, Unsorted>)> {
        pairs.into_iter().map(|(asked, answer)| (asked, self.view(answer, asked))).collect()
    }

    pub(super) fn view(&self, answer: Answer, asked: Asked) -> Result<Evidence, Unsorted> {
        let Asked { slice, flipped, assumed } = asked;
        let mut view = match flipped {
            Some(total) => Evidence::of_flipped(slice, answer, total, self.terms(), &self.ledger)?,
            None => Evidence::of(slice, answer, self.terms(), &self.ledger)?,
        };
        if let Some(side) = assumed.filter(|_| !self.draft.is_unchecked()) {
            view.assume_edge(side);
        }
        Ok(view)
    }

    /// The list that evidence is of.
    pub(super) fn terms(&self) -> ListTerms<'_> {
        ListTerms { order: &self.request.order, paging: &self.request.paging, unchecked: self.draft.is_unchecked() }
    }

    /// A run of ties is cut by an edge of the answer. Where that is short, it may be the end, which closes its last run.
    async fn cut(
        &mut self,
        up: &mut UpstreamPort,
        cut: Cut,
        short: Option<Short>,
        seen: (Slice, Box<Evidence>),
    ) -> Next {
        if cut.right && self.request.paging.hidden {
            return self.cut_among_hidden(&cut, seen.0);
        }
        if cut.right
            && !cut.left
            && let Some(short) = short.filter(|short| self.may_doubt(short))
        {
            (self.cut, self.effort.searching) = (None, true);
            return self.doubt(up, short, cut.needed.start, Held::Here(seen.1)).await;
        }
        if self.cut.as_ref() == Some(&cut) {
            return self.tie_run(&cut, Some(seen));
        }
        self.widen(cut)
    }

    /// Asks for the whole of a run of ties that was cut.
    pub(super) fn widen(&mut self, cut: Cut) -> Next {
        if self.cut.as_ref() == Some(&cut) {
            return self.tie_run(&cut, None);
        }
        self.effort.searching = true;
        self.search.bracket = Bracket::default();
        self.cut = Some(cut);
        Ok(Turn::Window)
    }
}
