//! Direct listings, which a walk is compared with: by a dialect, until nothing shows that more follows.
//!
//! A listing that ends too early would confirm a walk that ends too early in the same way. So a listing shares with the
//! gateway how requests are written and answers are read, but not the rule by which a list ends:
//!
//! - By page and offset it goes on to an answer without new items, whatever a total or a flag says, and past some of them
//!   if the dialect says that rows are left out. Then it requests
//!   the window that the total calls the last, one far beyond, and unless a total says that all items were read, some
//!   windows behind the end, at growing distances. If one has a new item, it goes on without a hole.
//!   Where totals count rows that are left out, it requests the last row alone.
//! - By token it follows every token, whatever a flag beside it says, to an answer without one or without new items.
//!
//! Afterwards, [`ListingPager::ending`] compares everything that the last answers said with what was read.

use std::{collections::HashSet, time::Duration};

use super::{
    comparison::WalkedItem,
    direct::{DirectPager, MOST_EMPTY},
    ending::{ListingEnd, WitnessAnswer},
    page::{WalkPlace, WalkedPage, refusal},
};
use cursorgate_core::pagination::{
    answer::{Answer, Standing},
    paging::{CountedThings, Family, Sizes},
};
use cursorgate_learn::{ProbeAnswer, ProbeRequest, live::undeclared_rest};

/// The place of the window far beyond the end, in items, unless twice the end is farther.
const FAR: u64 = 1 << 20;

/// The largest number of answers without new items in a row that are passed: pages of a list that is pushed on by new
/// items can repeat items only.
const MOST_IDLE: u32 = 3;

/// The distances of the windows behind the end, in windows: rows may be left out there although the dialect doesn't say
/// so, and a strategy that believes in the end would confirm it. Test: `items_behind_rows_that_are_left_out_are_listed`.
const BEHIND: [u64; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64];

/// The number of windows whose last row is requested alone, to show that no cap makes windows shorter.
const ROWS: u64 = 3;

/// The statuses with which upstreams refuse a place after the end of a list.
const REFUSED: [u16; 5] = [400, 404, 410, 416, 422];

/// The window that a listing reads next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListingStage {
    /// The next window of the list.
    Reading,
    /// The next window on the way to a place that is known to have items: the index of an item.
    Crossing(u64),
    /// The window that the total calls the last.
    LastPlace,
    /// A window far beyond the end.
    FarBeyond,
    /// A window behind the end, at the distance of [`BEHIND`] with this index.
    Behind(usize),
    /// One of the last rows of one of [`ROWS`] windows, alone.
    WindowRow,
    /// The row that the total calls the last, alone.
    LastRow,
}

/// A listing by a dialect.
#[derive(Debug)]
pub struct ListingPager<'d> {
    direct: DirectPager<'d>,
    stage: ListingStage,
    /// The ids of the items so far.
    seen: HashSet<Box<str>>,
    /// The tokens so far.
    tokens: HashSet<Box<str>>,
    /// The id of the last item of the newest answer with new items.
    newest: Option<Box<str>>,
    /// The largest number of items of an answer.
    most: u64,
    /// The number of answers without new items since the last one with new items.
    idle: u32,
    /// The places, as indices of items, that were looked at beyond an end.
    looked_at: HashSet<u64>,
    /// The number of windows of which a row near the end came alone and was known.
    windows_shown: u64,
    /// The rows at the end of the next window that were requested alone, and are left out.
    rows_passed: u64,
    end: ListingEnd,
}

impl<'d> ListingPager<'d> {
    /// Starts a listing of the list that `direct` walks.
    #[must_use]
    pub fn new(direct: DirectPager<'d>) -> Self {
        Self {
            direct,
            stage: ListingStage::Reading,
            seen: HashSet::new(),
            tokens: HashSet::new(),
            newest: None,
            most: 1,
            idle: 0,
            looked_at: HashSet::new(),
            windows_shown: 0,
            rows_passed: 0,
            end: ListingEnd::default(),
        }
    }

    pub(super) fn start(&self) -> WalkPlace {
        self.direct.start()
    }

    pub(super) fn request(&self, place: &WalkPlace) -> Result<ProbeRequest, String> {
        self.direct.request(place)
    }

    /// Returns what the answers said about the end, and what was read.
    #[must_use]
    pub fn ending(&self) -> &ListingEnd {
        &self.end
    }

    /// Continues after a request beyond the end that got no answer. Returns `None` if the request wasn't beyond the
    /// end: then the listing fails.
    pub(super) fn without_answer(&mut self) -> Option<WalkedPage> {
        let is_beyond = !matches!(self.stage, ListingStage::Reading | ListingStage::Crossing(_));
        is_beyond.then(|| WalkedPage { answer: Answer::default(), next: self.after_look() })
    }

    pub(super) fn read(&mut self, place: &WalkPlace, answer: ProbeAnswer) -> Result<WalkedPage, String> {
        let ask = self.direct.ask(place)?;
        let (status, headers) = (answer.status, answer.headers.clone());
        let refused = refusal(status, &answer.body);
        let answer = match self.direct.read_answer(&ask, answer) {
            Ok(answer) => answer,
            Err(error) => {
                if let Some(page) = self.without_answer() {
                    return Ok(page);
                }
                // After items, such a status is how many upstreams answer past the end, or to a token beside a flag
                // that denies more items. What they said before decides.
                if !REFUSED.contains(&status) || self.seen.is_empty() {
                    return Err(if status >= 400 { refused } else { error });
                }
                Answer::without_items(Standing::PastEnd)
            }
        };
        let witness = WitnessAnswer {
            begins: self.direct.begins(place).unwrap_or_default(),
            items: answer.items().len() as u64,
            is_listed: answer.standing == Standing::Listed,
            said: self.direct.dialect.witnesses(&ask, &headers, &answer),
        };
        if witness.is_listed {
            self.end.untold = self.direct.dialect.untold(&answer).filter(|_| witness.items > 0);
        }
        // A dialect for whole lists declares no fact that could refute it, so others are looked for.
        if place == &WalkPlace::Token(None) && witness.said.token.is_none() && witness.said.claims.is_empty() {
            let (items, count) = (self.direct.dialect.items_place().to_string(), witness.items);
            let shown = ProbeAnswer { status, headers, body: answer.body().to_vec(), elapsed: Duration::ZERO };
            self.end.undeclared = undeclared_rest(shown, &items, count);
        }
        match place {
            WalkPlace::Token(_) => self.read_token(answer, witness),
            _ => self.read_window(place, answer, witness),
        }
    }

    /// Adds the items of an answer. Returns whether one of them is new.
    fn add(&mut self, answer: &Answer) -> bool {
        let new = WalkedItem::all(answer).filter(|item| self.seen.insert(item.id.clone())).count();
        self.end.items = self.seen.len() as u64;
        self.most = self.most.max(answer.items().len() as u64);
        // By number, a page counts as one whatever its items are. Elsewhere a cap may make pages smaller than requested.
        self.end.page_size = match self.direct.start() {
            WalkPlace::Page(_) => u64::from(self.direct.size),
            _ => self.most,
        };
        self.idle = if new > 0 { 0 } else { self.idle + 1 };
        if new > 0 {
            self.newest = WalkedItem::all(answer).last().map(|item| item.id);
        }
        new > 0
    }

    fn read_token(&mut self, answer: Answer, witness: WitnessAnswer) -> Result<WalkedPage, String> {
        let is_new = self.add(&answer);
        let (denied, empty) = (witness.said.deny(), witness.items == 0);
        let agrees = denied || answer.next.is_none();
        let next = witness.said.token.clone();
        let is_repeated = !empty && !is_new;
        // By token nothing says where an answer begins, so its place is the number of items so far.
        // An answer that is declared to be the end may have a link or a token.
        let ends = empty && self.direct.dialect.paging().tokens.ends_empty;
        let is_listed = witness.is_listed && !ends;
        self.end.note(WitnessAnswer { begins: self.end.items, items: 0, is_listed, ..witness }, is_new);
        self.end.open_token = false;
        let Some(next) = next else { return Ok(WalkedPage { answer, next: None }) };
        let leads_back = !self.tokens.insert(next.0.as_ref().into());
        if is_repeated || leads_back {
            // A token that leads nowhere new is the end where the answer says so itself. Otherwise nothing is known
            // about the items after it.
            return match agrees {
                true => Ok(WalkedPage { answer, next: None }),
                false if is_repeated => Err("the upstream gave items that it gave before, and says that more follow: \
                                             does it read the token?"
                    .to_owned()),
                false => Err("the next page is one that was read before: the list leads round in a circle".to_owned()),
            };
        }
        if empty && (denied || self.idle > MOST_EMPTY) {
            self.end.open_token = !denied && !ends;
            return Ok(WalkedPage { answer, next: None });
        }
        Ok(WalkedPage { answer, next: Some(WalkPlace::Token(Some(next.0.to_string()))) })
    }

    fn read_window(&mut self, place: &WalkPlace, answer: Answer, witness: WitnessAnswer) -> Result<WalkedPage, String> {
        if !matches!(self.stage, ListingStage::Reading | ListingStage::Crossing(_)) {
            let has_new = WalkedItem::all(&answer).any(|item| !self.seen.contains(&item.id));
            if self.stage == ListingStage::FarBeyond {
                self.end.far = Some(witness.clone());
            }
            if self.stage == ListingStage::WindowRow {
                match witness.items {
                    0 => self.rows_passed += 1,
                    _ if has_new => {}
                    _ => self.pass_window(),
                }
            }
            if self.stage == ListingStage::LastRow {
                let row = WalkedItem::all(&answer).next().map(|item| item.id);
                self.end.rows = self.end.total().filter(|_| row.is_some() && row == self.newest);
            }
            // The items between have to be read too, so the listing goes on where it had ended.
            let next = if has_new {
                // A new row of a window that was read shows that windows lack items, and no other window has them.
                let is_lacking = self.stage == ListingStage::WindowRow;
                if self.stage == ListingStage::FarBeyond {
                    self.end.far = None;
                }
                if is_lacking {
                    return Ok(WalkedPage { answer: Answer::default(), next: None });
                }
                self.stage = ListingStage::Crossing(witness.begins);
                self.end.behind = None;
                self.place_from(self.end.reached())
            } else {
                self.after_look()
            };
            return Ok(WalkedPage { answer: Answer::default(), next });
        }
        let repeats = self.direct.repeats(&answer);
        let (begins, items) = (witness.begins, witness.items);
        let total = witness.said.total;
        let is_new = self.add(&answer);
        self.end.note(witness, is_new);
        if let ListingStage::Crossing(to) = self.stage
            && begins >= to
        {
            self.stage = ListingStage::Reading;
        }
        let crosses = self.stage != ListingStage::Reading;
        // Where rows are left out, windows in a row may have the same items, or none.
        let is_hidden = self.direct.dialect.paging().hidden;
        if repeats && !crosses && !is_hidden {
            let is_passed = total.is_some_and(|total| total.value <= begins);
            if !self.direct.dialect.paging().repeats_last_page && !is_passed {
                return Err(self.direct.twice());
            }
        }
        let may_go_on = if is_hidden { self.idle < MOST_EMPTY } else { items > 0 && !repeats && self.idle < MOST_IDLE };
        let goes_on = is_new || crosses || may_go_on;
        let step = if items > 0 { items } else { self.most };
        let next = match place {
            WalkPlace::Page(number) => WalkPlace::Page(number + 1),
            _ => WalkPlace::Offset(begins.saturating_add(step)),
        };
        // A dialect for whole lists can't write a request for another place.
        let next = match goes_on && self.direct.ask(&next).is_ok() {
            true => Some(next),
            false => self.look(),
        };
        Ok(WalkedPage { answer, next })
    }

    /// Returns the place of the window from an item on.
    fn place_from(&self, from: u64) -> Option<WalkPlace> {
        let place = match self.direct.start() {
            WalkPlace::Page(_) => WalkPlace::Page(from / u64::from(self.direct.size)),
            WalkPlace::Offset(_) => WalkPlace::Offset(from),
            WalkPlace::Token(_) | WalkPlace::Target(_) | WalkPlace::Row(_) => return None,
        };
        self.direct.ask(&place).is_ok().then_some(place)
    }

    /// Looks beyond the end for the first time: returns the window that the total or the number of pages calls the
    /// last, if that is after the window without new items; otherwise a window far beyond.
    fn look(&mut self) -> Option<WalkPlace> {
        let (size, end) = (u64::from(self.direct.size), self.end.reached());
        let by_total = self.end.total().map(|total| match self.direct.start() {
            WalkPlace::Page(_) => total.saturating_sub(1) / size * size,
            _ => total.saturating_sub(size),
        });
        let by_pages = self.end.pages().map(|pages| pages.saturating_sub(1).saturating_mul(size));
        let last = by_total.max(by_pages).filter(|last| *last > end && !self.looked_at.contains(last));
        if let Some(place) = last.and_then(|last| self.place_from(last)) {
            self.looked_at.extend(last);
            self.stage = ListingStage::LastPlace;
            return Some(place);
        }
        self.look_far().or_else(|| self.look_behind(0))
    }

    fn look_far(&mut self) -> Option<WalkPlace> {
        let size = u64::from(self.direct.size);
        let far = self.end.reached().saturating_mul(2).max(FAR) / size * size;
        let place = self.place_from(far).filter(|_| self.looked_at.insert(far))?;
        self.stage = ListingStage::FarBeyond;
        Some(place)
    }

    /// Returns the place after a look beyond the end that found nothing.
    fn after_look(&mut self) -> Option<WalkPlace> {
        match self.stage {
            ListingStage::LastPlace => self.look_far().or_else(|| self.look_behind(0)),
            ListingStage::FarBeyond => self.look_behind(0),
            ListingStage::Behind(index) => self.look_behind(index + 1),
            ListingStage::WindowRow => self.look_at_last_row(),
            ListingStage::Reading | ListingStage::Crossing(_) | ListingStage::LastRow => None,
        }
    }

    /// Returns the next window behind the end; the last row of the list after all of them, and if a total says that all
    /// items were read, or the upstream refuses the places after the end.
    fn look_behind(&mut self, from: usize) -> Option<WalkPlace> {
        let (size, end) = (u64::from(self.direct.size), self.end.reached());
        let is_counted = self.end.total() == Some(self.end.items);
        let is_refused = self.end.behind.as_ref().is_some_and(|behind| !behind.is_listed);
        let answers_anything = self.end.far.as_ref().is_some_and(|far| far.items > 0);
        for (index, distance) in BEHIND.into_iter().enumerate().skip(from) {
            if is_counted || is_refused || answers_anything {
                break;
            }
            let place = end.saturating_add(distance.saturating_mul(size));
            if let Some(window) = self.place_from(place).filter(|_| self.looked_at.insert(place)) {
                self.stage = ListingStage::Behind(index);
                return Some(window);
            }
        }
        self.look_at_last_row()
    }

    /// Returns the row that the total calls the last, if the dialect says that totals count rows that are left out, too.
    /// The row is requested alone, so that a silent cap can't pass for left-out rows. A cap also leaves holes between
    /// pages by number, unless an answer has shown that their size is honoured: a full one, or the last rows of some
    /// windows alone. An upstream that gives items far beyond the end would give some here as well, so its answer would
    /// show nothing.
    fn look_at_last_row(&mut self) -> Option<WalkPlace> {
        let paging = self.direct.dialect.paging();
        let total = self.end.total().filter(|total| *total > self.end.items)?;
        let is_shown = self.end.far.as_ref().is_some_and(|far| far.items == 0);
        let is_one = match paging.sizes() {
            Sizes::Free { least, .. } => *least <= 1,
            Sizes::Listed(sizes) => sizes.contains(&1),
            Sizes::Fixed(size) => *size == 1,
        };
        if paging.counted != CountedThings::Rows || !is_shown || !is_one {
            return None;
        }
        let is_whole = paging.family == Family::Offset || self.most >= u64::from(self.direct.size);
        if !is_whole && self.windows_shown < ROWS {
            return self.look_at_window_row(total);
        }
        let place = WalkPlace::Row(total - 1);
        if self.direct.ask(&place).is_err() {
            return None;
        }
        self.stage = ListingStage::LastRow;
        Some(place)
    }

    /// Returns a row near the end of one of [`ROWS`] windows, alone: its item has come with its window, unless a cap made
    /// the window shorter. Returns `None` if the row before was new, or if all rows of a window are left out.
    fn look_at_window_row(&mut self, total: u64) -> Option<WalkPlace> {
        let size = u64::from(self.direct.size);
        let (window, passed) = (self.windows_shown, self.rows_passed);
        let full = total / size;
        if full == 0 || passed >= size {
            return None;
        }
        let number = full.saturating_sub(1) * window / (ROWS - 1);
        let row = number * size + size - 1 - passed;
        // Few windows have the same row.
        if !self.looked_at.insert(row) && passed == 0 && window > 0 {
            self.pass_window();
            return self.look_at_last_row();
        }
        let place = WalkPlace::Row(row);
        self.direct.ask(&place).ok()?;
        self.stage = ListingStage::WindowRow;
        Some(place)
    }

    fn pass_window(&mut self) {
        self.windows_shown += 1;
        self.rows_passed = 0;
    }
}
