//! The place of a client in a collection.

use super::{answer::Total, fetch::Token, key::KeyValue, mark::Mark, window::Offset};

/// The item that a position refers to: its keys and id as they were served. It need not exist any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The strong keys, in the order's sequence.
    pub keys: Vec<KeyValue>,
    /// The id.
    pub id: KeyValue,
}

/// An anchor without its keys, which are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pivot {
    /// The id.
    pub id: KeyValue,
    /// The mark of the keys as they were served: values with another mark are not used. `None`: the item's place is
    /// that of its keys now.
    pub fingerprint: Option<Mark>,
}

/// The items around a place where no order is declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The items before the place, in the list's order, the nearest last; at most [`Marks::PASSED`].
    pub before: Vec<Mark>,
    /// The items after it, the nearest first; at most [`Marks::PASSED`].
    pub after: Vec<Mark>,
}

impl Marks {
    /// The number of marked items that have been served.
    pub const PASSED: usize = 3;
    /// The number of marked items that have been seen and not yet served.
    pub const AHEAD: usize = 2;
}

/// An item of a list without a declared order, its neighbours, and its offset: without that, an item deep in a long
/// list could not be found again, because no keys guide a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedItem {
    /// The mark of the item.
    pub item: Mark,
    /// The marks of its neighbours, before it and after it.
    pub around: Marks,
    /// The offset at which it is believed to stand.
    pub offset: Offset,
}

/// An item as an item cursor names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The item is named by its keys and its id.
    Keyed(Anchor),
    /// The item is named by its mark and those of its neighbours.
    Marked(MarkedItem),
}

/// A place within a page of the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceInPage {
    /// The place is before its first item in the direction of reading.
    Whole,
    /// The place is beyond this item, in the direction of reading.
    Keys(Anchor),
    /// The place is amid the items with these marks.
    Marks(Marks),
}

/// The state that detects whether an upstream's tokens go round in a circle: two numbers and a hash of the ids at the
/// ends of its pages, by Brent's algorithm. It begins anew when the direction changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loop {
    /// The number of pages after which the hash is replaced; 0: no page was read in this direction yet.
    pub power: u32,
    /// The number of pages since it was replaced.
    pub steps: u32,
    /// The hash of the first and the last id of the page that is kept for comparison.
    pub hash: u64,
}

/// A place in a list that the upstream pages by token. The offset of its hint is the number of items between the place
/// to which the token leads and this place: 0 if the token was handed out for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPlace {
    /// The token that leads to the upstream page with the place; `None`: the first page.
    pub token: Option<Token>,
    /// True if the token leads back: it came as a previous one.
    pub token_backward: bool,
    /// True if the client's page is read backward from the place.
    pub backward: bool,
    /// The place within that page.
    pub within: PlaceInPage,
    /// The state that detects a circle.
    pub circle: Loop,
}

/// A place between items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before the first item; the page reads forward.
    Start,
    /// After the last item; the page reads backward.
    End,
    /// Right after this item; the page reads forward.
    After(Anchor),
    /// Right before this item; the page reads backward.
    Before(Anchor),
    /// Right after the item with this id; the page reads forward.
    AfterPivot(Pivot),
    /// Right before the item with this id; the page reads backward.
    BeforePivot(Pivot),
    /// Amid these items; the page reads forward.
    AfterMarks(Marks),
    /// Amid these items; the page reads backward.
    BeforeMarks(Marks),
    /// In an upstream page; [`TokenPlace::backward`] has the direction.
    Token(Box<TokenPlace>),
    /// At this offset, as the upstream counts. Only offset 0 can be proven. The page reads forward.
    At(Offset),
}

impl Position {
    /// Returns whether a page from here is read backward.
    #[must_use]
    pub fn is_backward(&self) -> bool {
        match self {
            Self::End | Self::Before(_) | Self::BeforePivot(_) | Self::BeforeMarks(_) => true,
            Self::Token(place) => place.backward,
            Self::Start | Self::After(_) | Self::AfterPivot(_) | Self::AfterMarks(_) | Self::At(_) => false,
        }
    }
}

/// An estimate that helps to aim and never proves.
///
/// The hints of a page's neighbours are made where the page is put together: in `judge::draft::assembly` by keys, in
/// `anchored::assembly` by marks, in `token::assembly` by token. `keyset::reading` and `Page::turned` restate them for
/// the whole list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// The believed offset of the boundary: of the first item after it.
    pub offset: Offset,
    /// True if the offset is counted from the end of the list: it is that of the first item before the boundary, and
    /// the last item has offset 0.
    pub from_end: bool,
    /// The number of items beside the boundary, on the anchor's side and including it, that share the anchor's strong
    /// keys; 0 if ties are ordered. A window must begin (or end) beyond all of them to show the whole run.
    pub run: u32,
    /// The number of items on the anchor's side, including it, that have its first strong key at its grain (without
    /// strong keys its id, so 1): the place of the boundary in the list filtered by that key. 0 if it is not known,
    /// `LONG_RUN` if it is more than an answer holds.
    pub within: u32,
    /// The collection's total when the page was served.
    pub total: Option<u64>,
    /// The collection's total on the first page of the walk, where the route keeps that.
    pub first_total: Option<Total>,
    /// For a place in an upstream page, in a declared order: the mark of the keys and the id of the item right beyond
    /// it, if an answer showed the two together. A page that begins with that item has lost no item in between, even if
    /// the anchor was deleted.
    pub ahead: Option<Mark>,
    /// The largest size that an answer of this walk filled: sizes up to it are honoured, for this principal and with
    /// these filters, as far as the walk has seen. If the route asks for filters by the order's keys, only answers of
    /// filtered lists count, because the whole list may be capped otherwise. Item cursors belong to no walk and carry
    /// 0.
    pub honoured: u32,
}

impl Hint {
    /// The value of `within` for an anchor in a run of equal strong keys that is longer than an answer and was read by
    /// itself.
    pub(in crate::pagination) const LONG_RUN: u32 = u32::MAX;

    /// Returns the place counted from the start of the list; unchanged if no total gives the length of the list.
    #[must_use]
    pub(super) fn counted_from_start(self, total: Option<u64>) -> Self {
        match total {
            Some(total) if self.from_end => {
                Self { offset: Offset(total.saturating_sub(self.offset.0)), from_end: false, ..self }
            }
            _ => self,
        }
    }

    /// Returns the place so many items further on in the list.
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

/// A position and the estimate of its place: the content of a page cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The position.
    pub position: Position,
    /// The estimate of its place.
    pub hint: Hint,
}

impl Target {
    /// Returns this target of a list as one of the flipped list. A place counted from the end becomes one from the
    /// start, if a total is known.
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
