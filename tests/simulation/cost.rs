//! What a page may cost.

use cursorgate::pagination::paging::{EndEvidence, Family, Sizes};

use crate::{
    aim::Bound,
    promises::{Exchange, Kept, require},
    upstream::More,
};

impl Exchange<'_> {
    /// One request a page, where one can do: nothing changes, the order is complete, the cap is known and leaves room.
    pub(crate) fn cost(&self) -> Kept {
        let plain = self.undisturbed && self.shape.is_orderly() && !self.traits.lags && self.traits.lie.is_none();
        let known = self.traits.declared_cap() == Some(self.traits.cap)
            && self.traits.ceiling.is_none()
            && self.traits.outages == 0;
        if !plain || !known || self.answers == 1 {
            return Ok(());
        }
        let ends = self.aim.bound.is_forward() && self.page.next.is_none();
        let vouched = match self.traits.end {
            EndEvidence::ShortPage => true,
            EndEvidence::Flag => self.traits.more == More::Slice,
            EndEvidence::Unvouched => self.before.honoured >= self.traits.cap,
        };
        let (hint, limit) = (self.aim.target.hint.offset.0, u64::from(self.limit));
        let window = match self.aim.bound {
            Bound::Start => 0..limit + 1,
            Bound::After(_) => hint.saturating_sub(1)..hint + limit + 1,
            Bound::Before(_) => hint.saturating_sub(limit + 1)..hint + 1,
            Bound::End | Bound::At(_) => return Ok(()),
        };
        let one_can_do = self.one_request_holds(window.start, window.end - window.start);
        require(!one_can_do || (ends && !vouched), "cost", || {
            let Self { answers, limit, traits, before, .. } = self;
            format!(
                "{answers} requests for limit {limit}, {window:?}, cap {}, sizes {:?}, {before:?}",
                traits.cap, traits.sizes
            )
        })
    }

    fn one_request_holds(&self, from: u64, need: u64) -> bool {
        let holds = |size: u64| match self.traits.family {
            Family::Offset => need <= size,
            Family::Page => from % size + need <= size,
        };
        match &self.traits.sizes {
            Sizes::Free { least, .. } => (u64::from(*least)..=u64::from(self.traits.cap)).any(holds),
            Sizes::Listed(sizes) => sizes.iter().any(|&size| holds(u64::from(size))),
            Sizes::Fixed(_) => false,
        }
    }
}
