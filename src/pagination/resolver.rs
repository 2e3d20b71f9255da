//! The loop: ask, look, ask again, serve or refuse.
//!
//! [`resolve`] begins a page, [`Pending::resume`] goes on with the answers. A `Pending` is consumed by its answers, so
//! the contract with whoever fetches is checked by the compiler; dropping it is cancelling. Every turn spends budget, so
//! the loop ends.

mod seam;

use std::sync::Arc;

use seam::Seam;

use super::{
    answer::{Answer, Standing},
    collector::{Collector, Progress, Verdict},
    end::Belief,
    order::Order,
    page::{Page, Unproven},
    paging::{Family, Learnt, Paging},
    plan::{self, Growth},
    position::{Position, Target},
    proof::{View, loose},
    refusal::Refusal,
    rows::Unsorted,
    window::{Fetch, Offset, PageNumber},
};

/// What a route wants done where a page can't be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnproven {
    /// Refuse it.
    Refuse,
    /// Serve it by its hint, flagged.
    Flag,
}

/// What a route wants done where the budget ends before the page is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortPages {
    /// Refuse it.
    Refuse,
    /// Serve what there is, at least one item.
    Serve,
}

/// One page wanted.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Where, and what helps to aim.
    pub target: Target,
    /// How many items, at least 1.
    pub limit: u32,
    /// The order that the list is declared to have.
    pub order: Arc<Order>,
    /// What the upstream can be asked.
    pub paging: Arc<Paging>,
    /// What was learnt of it so far.
    pub learnt: Learnt,
    /// At most so many upstream requests.
    pub budget: u32,
    /// What to do where the page can't be proven.
    pub unproven: WhenUnproven,
    /// What to do where the page can't be filled.
    pub short_pages: ShortPages,
}

/// What is to be done next.
#[derive(Debug)]
pub enum Step {
    /// Fetch these, at once if you can, and give the answers in the same order to [`Pending::resume`].
    Fetch(Vec<Fetch>, Pending),
    /// Serve this page.
    Serve(Box<Page>),
    /// No page can be served.
    Refuse(Refusal),
}

/// A page under way.
#[derive(Debug)]
pub struct Pending(Box<State>);

/// Why requests were made, and so how their answers are looked at.
#[derive(Debug)]
enum Purpose {
    /// To cover the window: a chain of answers, each proven against the last item of the one before.
    Window,
    /// To learn whether a short answer was the end.
    Confirm,
    /// To see a seam that no single page shows: the earlier page, the later, the earlier again.
    Seam(Box<Seam>),
    /// To learn whether an answer that lies elsewhere is what the upstream always gives.
    Start(Box<View>),
}

#[derive(Debug)]
struct State {
    request: PageRequest,
    collector: Collector,
    asked: Vec<Fetch>,
    purpose: Purpose,
    requests: u32,
    learnt: Learnt,
    /// The cap believed in this request.
    cap: Option<u32>,
    /// A run of ties was cut by the edge of an answer, and the window was widened so often.
    widened: u32,
    /// Windows asked in vain since the last progress.
    misses: u32,
    /// The smallest page that should have held the boundary did not: a wider one was asked for.
    strayed: bool,
    /// How many items a short answer had, until more come from behind it: then that number is a silent cap.
    suspected_cap: Option<u32>,
    /// The greatest total that an answer of this request told.
    total_seen: Option<u64>,
    /// Why the page is served by offset alone.
    flagged: Option<Unproven>,
}

/// Begins a page.
#[must_use]
pub fn resolve(request: PageRequest) -> Step {
    let collector = Collector::new(Arc::clone(&request.order), &request.target, request.limit.max(1));
    let state = State {
        // The first page is asked for in full every time: a cap that was misread, or has been lifted, is forgotten.
        cap: request.learnt.cap.filter(|_| !collector.is_at_start()),
        collector,
        learnt: request.learnt,
        asked: Vec::new(),
        purpose: Purpose::Window,
        requests: 0,
        widened: 0,
        misses: 0,
        strayed: false,
        suspected_cap: None,
        total_seen: None,
        flagged: asks_by_offset(&request).then_some(Unproven::Position),
        request,
    };
    Box::new(state).ask_window()
}

impl Pending {
    /// Goes on with the answers to the fetches that this came with, one for each, in their order.
    #[must_use]
    pub fn resume(self, answers: Vec<Answer>) -> Step {
        self.0.resume(answers)
    }
}

impl State {
    fn resume(mut self: Box<Self>, answers: Vec<Answer>) -> Step {
        let asked = std::mem::take(&mut self.asked);
        let mut pairs: Vec<(Fetch, Answer)> = asked.into_iter().zip(answers).collect();
        for (fetch, answer) in &pairs {
            self.learn(*fetch, answer);
        }
        // Further answers are speculation: where they are needed, they are asked for again and come first.
        if let Some((fetch, answer)) = pairs.first()
            && answer.standing == Standing::PastEnd
        {
            let begins = fetch.begins().0;
            if begins == 0 {
                return Step::Refuse(Refusal::NoList);
            }
            if self.total_seen.is_some_and(|total| total > begins) {
                return Step::Refuse(Refusal::TooDeep);
            }
        }
        match std::mem::replace(&mut self.purpose, Purpose::Window) {
            Purpose::Window => self.examine(pairs, false),
            Purpose::Confirm => self.examine(pairs, true),
            Purpose::Seam(seam) => match pairs.pop() {
                Some((_, answer)) => self.sew(*seam, answer),
                None => self.lost(),
            },
            Purpose::Start(elsewhere) => {
                let start = pairs.pop().and_then(|(fetch, start)| self.view(start, fetch, false).ok());
                let always_the_same = start.is_some_and(|start| elsewhere.same_items(&start));
                if always_the_same { Step::Refuse(Refusal::Stuck) } else { self.lost() }
            }
        }
    }

    /// What answers teach whatever becomes of them: the sizes that are honoured, the cap that they tell of themselves.
    fn learn(&mut self, fetch: Fetch, answer: &Answer) {
        let count = u32::try_from(answer.items.len()).unwrap_or(u32::MAX);
        let asked = fetch.size().0;
        if count == answer.size.unwrap_or(asked).min(asked) {
            self.learnt.honoured = self.learnt.honoured.max(count);
        }
        if self.learnt.cap.is_some_and(|cap| cap < count) {
            self.learnt.cap = None;
        }
        if let Some(size) = answer.size
            && (1..asked).contains(&size)
        {
            self.cap = Some(size);
            self.learnt.cap = Some(size);
        }
        self.total_seen = self.total_seen.max(answer.total.map(|total| total.value));
    }

    /// Looks at answers in turn. The first must prove the boundary, each further one the last item taken before it. What
    /// fails there was speculation, and is asked again from where the page stands.
    fn examine(mut self: Box<Self>, pairs: Vec<(Fetch, Answer)>, confirming: bool) -> Step {
        let mut used_any = false;
        let mut unended = None;
        for (fetch, answer) in pairs {
            let view = match self.view(answer, fetch, confirming) {
                Ok(view) => view,
                Err(unsorted) => return self.contradicted(unsorted),
            };
            let (count, short) = (view.len() as u64, view.short);
            let last = view.begins.saturating_add(count.saturating_sub(1));
            let (taken, growth) = (self.collector.len(), self.collector.growth());
            let progress = match self.collector.take(view) {
                Ok(progress) => progress,
                Err(unsorted) => return self.contradicted(unsorted),
            };
            if growth == Growth::Rightward
                && self.collector.len() > taken
                && let Some(cap) = self.suspected_cap.take()
            {
                self.cap = Some(cap);
            }
            match progress {
                Progress::Done => return self.serve(false),
                Progress::More => {
                    (used_any, self.misses, self.widened) = (true, 0, 0);
                    unended = short.then_some((fetch, last));
                    self.suspected_cap = if short { u32::try_from(count).ok() } else { None };
                }
                Progress::Cut | Progress::Missed(_) if used_any => break,
                Progress::Cut => return self.widen(fetch, last, short),
                Progress::Missed(view) => return self.missed(*view, fetch),
            }
        }
        match unended {
            Some((fetch, last)) => self.confirm(fetch, last),
            None => self.ask_window(),
        }
    }

    fn view(&self, answer: Answer, fetch: Fetch, confirming: bool) -> Result<View, Unsorted> {
        let belief = Belief { learnt: self.learnt, honoured_before: self.request.learnt.honoured, confirming };
        if self.collector.is_unchecked() {
            return Ok(View::unchecked(answer, fetch, &self.request.paging, belief));
        }
        View::new(answer, fetch, &self.request.order, &self.request.paging, belief)
    }

    /// Asks for the window around the boundary.
    fn ask_window(self: Box<Self>) -> Step {
        let paging = Arc::clone(&self.request.paging);
        let window = self.collector.window(paging.family == Family::Offset || self.strayed, self.widened);
        let left = self.request.budget.saturating_sub(self.requests);
        let fetches = plan::plan(&paging, self.cap, window, self.collector.growth(), left as usize);
        if let Some(last) = self.collector.seam()
            && fetches.first().is_some_and(|fetch| !plan::shows_both_sides(*fetch, last))
            && let Some((earlier, later)) = plan::seam(&paging, self.cap, last, self.collector.need() + 1)
        {
            return self.ask(vec![earlier], Purpose::Seam(Seam::new(earlier, later)));
        }
        self.ask(fetches, Purpose::Window)
    }

    /// Asks whether a short answer was the end: by a small request at its end whose size is known to be honoured, or by
    /// reading on and reading again, where no page can show that, or the small answer would cut a run of ties.
    fn confirm(self: Box<Self>, fetch: Fetch, last: u64) -> Step {
        let paging = Arc::clone(&self.request.paging);
        match plan::confirmation(&paging, self.cap, self.learnt.honoured, last) {
            Some(small) if !loose(&self.request.order) => self.ask(vec![small], Purpose::Confirm),
            _ => self.read_on(fetch, last),
        }
    }

    /// The boundary is not in the answer that was asked for it.
    fn missed(mut self: Box<Self>, view: View, fetch: Fetch) -> Step {
        if self.collector.aim_tail(view.answer.total.map(|total| total.value), view.begins) {
            return self.ask_window();
        }
        let count = u32::try_from(view.len()).unwrap_or(u32::MAX);
        let first_miss = self.misses == 0;
        self.misses += 1;
        if first_miss && view.is_empty() && view.from_start {
            // Nothing came of the very start, and a count says that there is something: asked again, the list decides.
            return self.ask(vec![fetch], Purpose::Confirm);
        }
        if first_miss && count > 0 && (view.short || self.cap.is_some_and(|cap| cap < fetch.size().0)) {
            let last = view.begins.saturating_add(u64::from(count) - 1);
            let placed = self.request.paging.family == Family::Offset || fetch.begins().0 == 0;
            if placed && self.collector.offset() <= last + 1 {
                // The boundary is believed to be right here: what is missing lies behind the answer's end, or nothing.
                self.suspected_cap = Some(count);
                return self.confirm(fetch, last);
            }
            // Under a silent cap a page is another page, of another size; and a wide slice ends before its boundary.
            self.cap = Some(count.max(2));
            return self.ask_window();
        }
        if first_miss && count > 0 && self.request.paging.family == Family::Page {
            // The smallest page that holds a window leaves no room for changes: a wider one is asked for, once.
            self.strayed = true;
            return self.ask_window();
        }
        let whole = !view.short && count > 1 && fetch.begins().0 > 0 && !self.request.paging.repeats_last_page;
        if whole && self.requests < self.request.budget {
            let start = match fetch {
                Fetch::Slice { size, .. } => Fetch::Slice { from: Offset(0), size },
                Fetch::Page { size, .. } => Fetch::Page { number: PageNumber(0), size },
            };
            return self.ask(vec![start], Purpose::Start(Box::new(view)));
        }
        self.again()
    }

    /// Asks for the same window once more where the page has begun: what moved between two of its answers may have
    /// settled. A boundary that was never found is lost.
    fn again(mut self: Box<Self>) -> Step {
        self.misses += 1;
        if self.collector.len() > 0 && self.misses <= 2 { self.ask_window() } else { self.lost() }
    }

    fn lost(self: Box<Self>) -> Step {
        let nearest = self.nearest();
        self.flag(Unproven::Position, false, Refusal::PositionLost { nearest })
    }

    /// A run of ties is cut by the edge of the answer: asks for the most that one answer can hold, ahead and then around; and whether a
    /// short answer was the end, which closes its last run.
    fn widen(mut self: Box<Self>, fetch: Fetch, last: u64, short: bool) -> Step {
        if self.widened < 2 {
            self.widened += 1;
            return self.ask_window();
        }
        if short { self.read_on(fetch, last) } else { self.tie_run() }
    }

    fn tie_run(self: Box<Self>) -> Step {
        let nearest = self.nearest();
        self.flag(Unproven::TieRun, true, Refusal::TieRun { nearest })
    }

    /// Where a page begins that is served by offset instead: where the cursor's place is believed to be, and never behind
    /// the end that a total tells.
    fn nearest(&self) -> Offset {
        let nearest = self.collector.nearest();
        Offset(match self.total_seen {
            Some(total) if total <= nearest => total.saturating_sub(u64::from(self.request.limit)),
            _ => nearest,
        })
    }

    fn contradicted(self: Box<Self>, Unsorted(reason): Unsorted) -> Step {
        self.flag(Unproven::Order, true, Refusal::Unsorted(reason))
    }

    /// What can't be proven is refused, or served by its offset and flagged, as the route says.
    fn flag(mut self: Box<Self>, reason: Unproven, unchecked: bool, refusal: Refusal) -> Step {
        if self.request.unproven == WhenUnproven::Refuse || self.collector.is_unchecked() {
            return Step::Refuse(refusal);
        }
        let unchecked = unchecked || self.flagged == Some(reason);
        self.flagged = Some(reason);
        self.widened = 0;
        let nearest = self.nearest();
        self.collector.restart_at(nearest.0, unchecked);
        self.ask_window()
    }

    fn ask(mut self: Box<Self>, mut fetches: Vec<Fetch>, purpose: Purpose) -> Step {
        let left = self.request.budget.saturating_sub(self.requests) as usize;
        if left == 0 {
            let serve = self.request.short_pages == ShortPages::Serve
                && self.collector.len() > 0
                && !self.collector.seeks_the_end();
            return if serve { self.serve(true) } else { Step::Refuse(Refusal::BudgetExceeded) };
        }
        fetches.truncate(left);
        if fetches.is_empty() {
            // A plan without a request would go on for ever.
            return Step::Refuse(Refusal::BudgetExceeded);
        }
        if let Some(depth) = self.request.paging.max_depth {
            for fetch in &mut fetches {
                let Some(shallow) = plan::within(&self.request.paging, *fetch, depth) else {
                    return Step::Refuse(Refusal::TooDeep);
                };
                *fetch = shallow;
            }
        }
        self.requests += u32::try_from(fetches.len()).unwrap_or(u32::MAX);
        self.purpose = purpose;
        self.asked.clone_from(&fetches);
        Step::Fetch(fetches, Pending(self))
    }

    /// Serves the page as it stands: complete, or `cut_off` by the budget.
    fn serve(mut self: Box<Self>, cut_off: bool) -> Step {
        // An insertion behind a short last page looks like a cap, once; a cap is a size that answers then fill.
        if self.cap == Some(self.learnt.honoured) {
            self.learnt.cap = self.cap;
        }
        if self.collector.is_nothing_by_offset() && !asks_by_offset(&self.request) {
            // What is served instead of a place that can't be found must not end the list: nothing shows that it does.
            return Step::Refuse(Refusal::PositionLost { nearest: self.nearest() });
        }
        let verdict = Verdict { unproven: self.flagged, cut_off, learnt: self.learnt, requests: self.requests };
        match self.collector.finish(verdict) {
            Ok(page) => Step::Serve(Box::new(page)),
            Err(unsorted) => self.contradicted(unsorted),
        }
    }
}

/// Whether the client itself asks by offset, other than the start.
fn asks_by_offset(request: &PageRequest) -> bool {
    matches!(request.target.position, Position::At(offset) if offset.0 > 0)
}
