//! Finding the place of a cursor in the sheet that its token leads to, and in those around it.

use std::cmp::Ordering;

use super::{
    Walk,
    chain::{Around, Sighting},
    sheet::{Basis, Lead, Passed, Sheet, Way},
};
use crate::pagination::{
    fetch::Token,
    machine::{Step, Verify},
    mark::Mark,
    page::Unproven,
    position::Loop,
    refusal::Refusal,
    rows,
    window::Offset,
};

/// On which side of what was read a sheet lies, in the direction of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It comes next.
    Onward,
    /// It comes before.
    Back,
}

/// A place that is looked for.
#[derive(Debug)]
pub(super) struct Seek {
    /// Amid these marks; none: beyond the anchor.
    around: Option<Around>,
    /// The sheet was handed out as the one that begins at the place.
    aligned: bool,
    /// How many items lay between where the token leads and the place when the cursor was made.
    depth: usize,
    /// What was read in vain, in the direction of reading.
    window: Vec<Sheet>,
    /// Which of these the token of the cursor led to.
    origin: usize,
    /// The anchor is looked for among ties, some of which were served.
    in_ties: bool,
    /// The anchor is not in view, and its ties go on beyond what was read.
    ties_go_on: bool,
    /// Where the place is if the anchor is gone, or the next sheet shows no more marks: in which sheet, after so many items;
    /// and whether that is amid ties.
    unless_seen: Option<((usize, usize), bool)>,
    /// How many items were looked at, onward and back.
    looked_at: [u32; 2],
}

impl Seek {
    #[must_use]
    pub(super) fn new(around: Option<Around>, depth: usize, same_way: bool) -> Self {
        // Of a place amid marks there are marks ahead, if it is in a sheet that was read.
        let aligned = around.as_ref().map_or(same_way && depth == 0, |around| around.ahead.is_empty());
        Self {
            around,
            aligned,
            depth,
            window: Vec::new(),
            origin: 0,
            in_ties: false,
            ties_go_on: false,
            unless_seen: None,
            looked_at: [0; 2],
        }
    }

    /// How many items of a sheet come before the place as it was.
    fn believed(&self, sheet: usize, way: Way) -> usize {
        let sheet = &self.window[sheet];
        sheet.depth(way, self.depth.min(sheet.len()))
    }
}

impl Walk {
    /// Looks for the place in a sheet that was just read.
    pub(super) fn look_for_place(self: Box<Self>, mut seek: Seek, sheet: Sheet) -> Result<Step, Refusal> {
        let items = u32::try_from(sheet.len()).unwrap_or(u32::MAX);
        let latest = match self.side {
            Side::Onward => {
                seek.looked_at[0] = seek.looked_at[0].saturating_add(items);
                seek.window.push(sheet);
                seek.window.len() - 1
            }
            Side::Back => {
                seek.looked_at[1] = seek.looked_at[1].saturating_add(items);
                seek.window.insert(0, sheet);
                seek.origin += 1;
                0
            }
        };
        match seek.around.take() {
            Some(around) => self.look_for_marks(seek, around, latest),
            None if self.keyed => self.look_for_anchor(seek, latest),
            None => {
                let place = seek.believed(latest, self.way);
                self.found(seek, latest, place)
            }
        }
    }

    fn look_for_anchor(mut self: Box<Self>, mut seek: Seek, latest: usize) -> Result<Step, Refusal> {
        let sheet = &seek.window[latest];
        let aligned = seek.aligned && latest == seek.origin;
        let order = &self.request.order;
        let passed = self.anchor.as_ref().and_then(|anchor| sheet.passed(self.way, order, anchor, self.run, aligned));
        let Some(passed) = passed else {
            let strange = self.anchor.as_ref().map(|anchor| rows::strange_anchor(&sheet.answer, order, anchor));
            if let Some(strange) = strange {
                self.contradicted(strange)?;
            }
            let place = seek.believed(latest, self.way);
            return self.found(seek, latest, place);
        };
        // What begins with the item that was next has lost nothing between; nor has what shows it behind others that come
        // after the anchor, which are new.
        let guessed = matches!(passed.basis, Basis::Guess { .. });
        let within = if guessed { sheet.len().min(1) } else { sheet.len() };
        let shows_next = (guessed || passed.count == 0) && self.shows_next(&seek, latest, within);
        if shows_next {
            // Read against its token, the sheet may be the one before the anchor's: no answer showed the two together.
            let together = seek.window[latest].asked.way == self.way;
            self.leave_open(passed.amid_ties || guessed || !together);
            return self.found(seek, latest, 0);
        }
        let first = seek.window.first().unwrap_or(sheet);
        let lead = first.lead(self.way.reversed(), self.tokens(), self.request.paging.end);
        let may_ask = self.request.verify == Verify::Always;
        let onward = match sheet.lead(self.way, self.tokens(), self.request.paging.end) {
            Lead::Token(token) if self.side == Side::Onward && self.may_look_onward(&seek) => Some(token),
            _ => None,
        };
        if self.side == Side::Onward {
            seek.ties_go_on = passed.basis == Basis::Unseen;
        }
        match (passed.basis, lead) {
            _ if seek.unless_seen.is_some() => self.found_by_keys(seek, latest, passed),
            // The anchor may be among the ties in the sheet before.
            (Basis::Guess { from_edge: true, .. }, Lead::Token(token)) if may_ask => {
                seek.in_ties = true;
                self.ask_back(seek, token)
            }
            (Basis::Keys, _) if seek.in_ties => self.lost(seek, Unproven::TieRun),
            // Or in the one that comes next.
            (Basis::Guess { to_edge, .. }, _) => match onward.filter(|_| to_edge) {
                Some(token) => {
                    seek.in_ties = true;
                    self.look_onward(seek, token)
                }
                None => self.lost(seek, Unproven::TieRun),
            },
            (_, lead) if passed.count > 0 || seek.aligned || lead == Lead::Edge => {
                self.found_by_keys(seek, latest, passed)
            }
            // The sheet held the anchor, and does not reach back to it any more. What stood between may have moved out.
            (_, Lead::Token(token)) if may_ask => self.ask_back(seek, token),
            _ => self.lost(seek, Unproven::Position),
        }
    }

    /// Whether a sheet shows, among the first of its items, the one that was next when the cursor was made, and no other sheet
    /// one that comes before it and after the anchor.
    fn shows_next(&self, seek: &Seek, latest: usize, within: usize) -> bool {
        let (Some(ahead), Some(anchor)) = (self.request.target.hint.ahead, &self.anchor) else { return false };
        let (order, marker, sheet) = (&self.request.order, self.request.marker_of_target(), &seek.window[latest]);
        let index = |place| self.way.index(place, sheet.len());
        let next = (0..within).map(index).find(|index| sheet.fingerprint(order, marker, *index) == ahead);
        let Some(next) = next.and_then(|index| sheet.anchor(order, index).ok()) else { return false };
        let mut others = seek.window.iter().enumerate().filter(|(number, _)| *number != latest);
        !others.any(|(_, other)| other.shows_between(self.way, order, anchor, &next))
    }

    /// The place is in this sheet, unless the anchor is found in its run beyond it: what came before that since stands
    /// before the place, and the anchor would be served once more behind it.
    fn found_by_keys(mut self: Box<Self>, mut seek: Seek, sheet: usize, passed: Passed) -> Result<Step, Refusal> {
        if passed.basis == Basis::Sight {
            self.leave_open(passed.amid_ties || !self.shows_seam(&seek.window[sheet], passed.count));
            return self.found(seek, sheet, passed.count);
        }
        let amid_ties = passed.amid_ties || seek.ties_go_on;
        let (place, amid_ties) = *seek.unless_seen.get_or_insert(((sheet, passed.count), amid_ties));
        let onward = seek.window.last().map(|last| last.lead(self.way, self.tokens(), self.request.paging.end));
        let may_ask = self.may_look_onward(&seek);
        if let Some(Lead::Token(token)) = onward.filter(|_| seek.ties_go_on && may_ask) {
            return self.look_onward(seek, token);
        }
        self.leave_open(amid_ties || !self.shows_seam(&seek.window[place.0], place.1));
        self.found(seek, place.0, place.1)
    }

    fn may_look_onward(&self, seek: &Seek) -> bool {
        self.request.verify == Verify::Always
            && seek.looked_at[0] < self.request.search_items
            && self.requests + 1 < self.request.search_budget
    }

    fn look_onward(mut self: Box<Self>, seek: Seek, token: Token) -> Result<Step, Refusal> {
        self.searching = true;
        self.seek = Some(seek);
        let way = self.way;
        Ok(self.ask(Some(token), way, Side::Onward, 0))
    }

    fn look_for_marks(mut self: Box<Self>, mut seek: Seek, around: Around, latest: usize) -> Result<Step, Refusal> {
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        // Sheets may be too short to show enough of the marks.
        let first = seek.unless_seen.map_or(latest, |((sheet, _), _)| sheet);
        let sheets = &seek.window[first..=latest];
        let marks: Vec<Mark> = sheets.iter().flat_map(|sheet| sheet.marks(order, marker, self.way)).collect();
        let sighting = match seek.aligned {
            true => around.find_from_start(&marks),
            false => around.find(&marks, seek.believed(latest, self.way)),
        };
        match sighting {
            Sighting::At { passed: 0, .. }
                if seek.aligned
                    && first == latest
                    && around.goes_on_behind(&marks)
                    && self.may_look_onward(&seek)
                    && let Lead::Token(token) = sheets[0].lead(self.way, self.tokens(), self.request.paging.end) =>
            {
                (seek.around, seek.unless_seen) = (Some(around), Some(((first, 0), false)));
                return self.look_onward(seek, token);
            }
            Sighting::At { passed, stragglers } => {
                self.stragglers = stragglers;
                let gone_by = sheets[0].len();
                return match passed.checked_sub(gone_by) {
                    Some(passed @ 1..) if first < latest => self.found(seek, latest, passed),
                    _ => self.found(seek, first, passed),
                };
            }
            Sighting::Disagreed => return self.lost(seek, Unproven::Position),
            Sighting::Nowhere => {}
        }
        seek.around = Some(around);
        let bound = self.request.search_items;
        let lead =
            |sheet: Option<&Sheet>, way| sheet.map(|sheet| sheet.lead(way, self.tokens(), self.request.paging.end));
        // What was inserted before the place has moved it onward, what was deleted, back.
        if self.side == Side::Onward
            && seek.looked_at[0] < bound
            && let Some(Lead::Token(token)) = lead(seek.window.last(), self.way)
        {
            return self.look_onward(seek, token);
        }
        match lead(seek.window.first(), self.way.reversed()) {
            Some(Lead::Token(token)) if seek.looked_at[1] < bound => self.ask_back(seek, token),
            _ => self.lost(seek, Unproven::Position),
        }
    }

    fn ask_back(mut self: Box<Self>, seek: Seek, token: Token) -> Result<Step, Refusal> {
        if let [latest, before, ..] = &seek.window[..]
            && self.side == Side::Back
            && !self.leads_back(latest, before)
        {
            return Err(Refusal::Stuck);
        }
        self.searching = true;
        self.seek = Some(seek);
        let way = self.way.reversed();
        Ok(self.ask(Some(token), way, Side::Back, 0))
    }

    /// Whether a sheet lies before another, as it should, or goes round.
    fn leads_back(&self, sheet: &Sheet, before: &Sheet) -> bool {
        if sheet.is_empty() || before.is_empty() {
            return true;
        }
        let order = &self.request.order;
        let first = before.anchor(order, self.way.index(0, before.len())).ok().filter(|_| self.keyed);
        match first.and_then(|first| sheet.begins(self.way, order, &first)) {
            Some(Ordering::Less) => true,
            Some(Ordering::Greater) => false,
            _ => sheet.hash(order, &self.request.marker) != before.hash(order, &self.request.marker),
        }
    }

    /// The place is not to be found: the page is refused, or served from where it was believed to be, flagged.
    fn lost(mut self: Box<Self>, seek: Seek, unproven: Unproven) -> Result<Step, Refusal> {
        if !self.may_flag() {
            let nearest = Offset(0);
            return Err(match unproven {
                Unproven::TieRun => Refusal::TieRun { nearest },
                _ => Refusal::PositionLost { nearest },
            });
        }
        self.flagged = Some(unproven);
        let (origin, place) = (seek.origin, seek.believed(seek.origin, self.way));
        self.found(seek, origin, place)
    }

    /// The place is in this sheet, after so many of its items: what was read beyond it comes next.
    fn found(mut self: Box<Self>, seek: Seek, sheet: usize, passed: usize) -> Result<Step, Refusal> {
        let mut window = seek.window;
        if sheet < seek.origin {
            // What was read on the way here is read again, and no circle.
            self.circle = Loop::default();
        }
        self.ahead = window.split_off(sheet + 1);
        self.ahead.reverse();
        let Some(sheet) = window.pop() else {
            return Err(Refusal::PositionLost { nearest: Offset(0) });
        };
        self.sheets = window;
        self.take(sheet, passed)
    }
}
