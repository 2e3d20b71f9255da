//! Places in a collection, as cursors contain them.

use super::{answer::Total, fetch::Token, key::KeyValue, mark::Mark, window::Offset};

/// The item that a position refers to, by the keys and the id with which it was served. The item might no longer exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The strong keys, most significant first.
    pub keys: Vec<KeyValue>,
    /// The item's id, whole.
    pub id: KeyValue,
}

/// An item that is named only by its id. Its keys are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pivot {
    /// The item's id.
    pub id: KeyValue,
    /// The mark of the keys with which the item was served; keys with another mark aren't used. `None` for an id that
    /// the client itself named; the item's present keys then give the place.
    pub fingerprint: Option<Mark>,
}

/// The items around a place in a list without a declared order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The marks of the items before the place, in the list's order, so the nearest item is last. At most
    /// [`Marks::PASSED`].
    pub before: Vec<Mark>,
    /// The marks of the items after the place, in the list's order, so the nearest item is first. At most
    /// [`Marks::PASSED`].
    pub after: Vec<Mark>,
}

impl Marks {
    /// The largest number of marked items on the side of the place that was served.
    pub const PASSED: usize = 3;
    /// The largest number of marked items that have been seen but not yet served.
    pub const AHEAD: usize = 2;
}

/// An item of a list without a declared order, with its neighbours and its offset. The offset is needed because no keys
/// can guide the search for an item deep in a long list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedItem {
    /// The mark of the item.
    pub item: Mark,
    /// The marks of the items before and after it.
    pub around: Marks,
    /// The believed offset of the item.
    pub offset: Offset,
}

/// An item as an item cursor names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An item of a list with a declared order, by its keys and its id.
    Keyed(Anchor),
    /// An item of a list without a declared order, by its mark and the marks of its neighbours.
    Marked(MarkedItem),
}

/// A place within an upstream page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceInPage {
    /// The place is before the page's first item in the direction of reading.
    Whole,
    /// The place is beyond this item, in the direction of reading.
    Keys(Anchor),
    /// The place is between the items with these marks.
    Marks(Marks),
}

/// The state of Brent's algorithm, which detects whether an upstream's tokens go round in a circle. The state is reset
/// when the direction changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loop {
    /// The number of upstream pages after which the hash is replaced; 0 if no page was read in this direction yet.
    pub power: u32,
    /// The number of upstream pages since the hash was replaced.
    pub steps: u32,
    /// The hash of the first and the last id of an earlier upstream page, with which each new page is compared.
    pub hash: u64,
}

/// A place in a list that the upstream pages by token. The offset of its hint is the number of items between the place
/// to which the token leads and this place; 0 if the token leads directly here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPlace {
    /// The token that leads to the upstream page with the place; `None` for the first page.
    pub token: Option<Token>,
    /// True if the upstream handed out the token as its *previous* token.
    pub token_backward: bool,
    /// True if the client's page is read backward from the place.
    pub backward: bool,
    /// The place within the upstream page.
    pub within: PlaceInPage,
    /// The state that detects tokens that go round in a circle.
    pub circle: Loop,
}

/// A place between items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before the first item; the page reads forward.
    Start,
    /// After the last item; the page reads backward.
    End,
    /// Directly after this item; the page reads forward.
    After(Anchor),
    /// Directly before this item; the page reads backward.
    Before(Anchor),
    /// Directly after the item with this id; the page reads forward.
    AfterPivot(Pivot),
    /// Directly before the item with this id; the page reads backward.
    BeforePivot(Pivot),
    /// Between the items with these marks; the page reads forward.
    AfterMarks(Marks),
    /// Between the items with these marks; the page reads backward.
    BeforeMarks(Marks),
    /// In an upstream page; [`TokenPlace::backward`] gives the direction.
    Token(Box<TokenPlace>),
    /// At this offset in the upstream's list; the page reads forward. Only offset 0 can be proven.
    At(Offset),
}

impl Position {
    /// Returns whether a page at this position is read backward.
    #[must_use]
    pub fn is_backward(&self) -> bool {
        match self {
            Self::End | Self::Before(_) | Self::BeforePivot(_) | Self::BeforeMarks(_) => true,
            Self::Token(place) => place.backward,
            Self::Start | Self::After(_) | Self::AfterPivot(_) | Self::AfterMarks(_) | Self::At(_) => false,
        }
    }
}

/// An estimate of a position's place. A hint is used only to aim, and never proves anything.
///
/// The hints of the links to neighbouring pages are made when a page is put together: in `judge::draft::assembly` (by
/// keys), `anchored::assembly` (by marks) and `token::assembly` (by token). `keyset::reading` and `Page::turned`
/// convert hints of a filtered or flipped list into hints of the whole list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// The believed offset of the boundary, which is the offset of the first item after it.
    pub offset: Offset,
    /// True if `offset` is counted from the end of the list: the last item has offset 0, and `offset` is the offset of
    /// the first item before the boundary.
    pub from_end: bool,
    /// The number of items next to the boundary, on the anchor's side and with the anchor, that share the anchor's
    /// strong keys; 0 if ties are ordered. A window must reach past all these items to show the whole run.
    pub run: u32,
    /// The place of the boundary in the list filtered by the anchor's first strong key: the number of items on the
    /// anchor's side, with the anchor, that show the same value of that key (1 without strong keys). 0 if the number
    /// isn't known, `u32::MAX` if it is more than an answer holds.
    pub within: u32,
    /// The collection's total when the page was served; `None` if it isn't known.
    pub total: Option<u64>,
    /// The collection's total on the first page of the walk; `None` if the route doesn't keep it.
    pub first_total: Option<Total>,
    /// The mark of the keys and the id of the item directly beyond the place; `None` if no answer showed that item
    /// together with the anchor. Only for a place in an upstream page, in a declared order. A page that begins with
    /// that item has lost no item, even if the anchor was deleted.
    pub ahead: Option<Mark>,
    /// The largest size that an answer of this walk has filled. The upstream honours sizes up to it, for this principal
    /// and with these filters. If the route filters by the order's keys, only answers of filtered lists count, because
    /// the whole list may have another cap. 0 in an item cursor, which belongs to no walk.
    pub honoured: u32,
    /// The facts about the end of the list that the walk has met. Empty in an item cursor.
    pub walk: WalkFacts,
}

/// The facts that a walk has met on its way, by which the claims of its last answers are judged (`ends`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalkFacts {
    /// The number of items from the start of the list to the boundary; `None` if the walk didn't begin at the start.
    pub passed: Option<u64>,
    /// The sum by which exact totals have grown during the walk; for lists that are read by tokens, also the sum by
    /// which they have fallen.
    pub grown: u64,
    /// The most items that one answer of the walk had.
    pub most: u32,
    /// The number of rows after the boundary that were looked at without finding an item.
    pub reach: u64,
    /// The number of empty answers in a row before the boundary's next item, for lists that are read by tokens.
    pub empty: u32,
    /// True if an answer said that more items follow.
    pub more_said: bool,
    /// True if an answer that had fewer items than were requested said that more items follow. So the claim doesn't
    /// only say that the answer is full.
    pub more_said_when_short: bool,
    /// True if a total differed from the number of items beside it. So the total doesn't only count its own answer.
    pub counts_beyond_answer: bool,
    /// True if items came after an answer that had fewer items than were requested: the upstream leaves out rows.
    pub rows_left_out: bool,
    /// The mark of the list's first item, by which an answer that begins the list again is suspected; `None` for lists
    /// with an order, whose keys show it.
    pub first: Option<Mark>,
}

impl Hint {
    /// The value of `within` for an anchor in a run of equal strong keys that is longer than an answer, so it is read
    /// separately.
    pub(in crate::pagination) const LONG_RUN: u32 = u32::MAX;

    /// Returns this hint with its offset counted from the start of the list. The hint stays unchanged without a total,
    /// or if it is already counted from the start.
    #[must_use]
    pub(super) fn counted_from_start(self, total: Option<u64>) -> Self {
        match total {
            Some(total) if self.from_end => {
                Self { offset: Offset(total.saturating_sub(self.offset.0)), from_end: false, ..self }
            }
            _ => self,
        }
    }

    /// Returns this hint for a boundary that is `items` items later in the list.
    #[must_use]
    pub(super) fn moved_on(self, items: usize) -> Self {
        let offset = self.offset.believed().0;
        debug_assert!(offset.checked_add(items as u64).is_some(), "believed offsets leave room for counts");
        let offset = match self.from_end {
            true => offset.saturating_sub(items as u64),
            false => offset.saturating_add(items as u64),
        };
        Self { offset: Offset(offset), ..self }
    }
}

/// A position and the estimate of its place. A page cursor contains a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The position, which decides where the page begins.
    pub position: Position,
    /// The estimate of the position's place.
    pub hint: Hint,
}

impl Target {
    /// Converts this target into a target of the flipped list. A hint counted from the end is then counted from the
    /// start if `total` is known. Marks, tokens and offsets keep their position.
    #[must_use]
    pub(super) fn turned(self, total: Option<u64>) -> Self {
        let Self { position, hint } = self;
        let position = match position {
            Position::Start => Position::End,
            Position::End => Position::Start,
            Position::After(anchor) => Position::Before(anchor),
            Position::Before(anchor) => Position::After(anchor),
            Position::AfterPivot(pivot) => Position::BeforePivot(pivot),
            Position::BeforePivot(pivot) => Position::AfterPivot(pivot),
            same => same,
        };
        let hint = match position {
            Position::Start | Position::End => {
                Hint { total: hint.total, first_total: hint.first_total, honoured: hint.honoured, ..Hint::default() }
            }
            _ => Hint { from_end: !hint.from_end, ..hint }.counted_from_start(total),
        };
        Self { position, hint }
    }
}
