//! The page of a legacy request: its paging parameters, read through the dialect.

use crate::{
    downstream::{Code, ListRequest, Problem, RequestKind},
    gateway::{outcome::failure::Failure, routes::list::List},
};

/// The page that a legacy request asks for, as an offset and a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegacyPage {
    /// The number of items before it.
    pub offset: u64,
    /// The number of items that it has.
    pub limit: u32,
    /// Its number as the client counts; none of requests by offset.
    pub number: Option<u64>,
}

impl LegacyPage {
    /// Reads the paging parameters of a legacy request.
    ///
    /// # Errors
    ///
    /// Returns `page_invalid`, `parameter_conflict` or `too_deep`.
    pub(crate) fn read(list: &List, request: &ListRequest) -> Result<Self, Failure> {
        let pairs = match &request.kind {
            RequestKind::Legacy { pairs, .. } => pairs.as_slice(),
            RequestKind::Cursor | RequestKind::Unmarked => &[],
        };
        let Some(window) = list.dialect.legacy_window(pairs)? else {
            return Ok(Self { offset: 0, limit: request.limit, number: None });
        };
        let size = window.size.unwrap_or(list.page_size.default).max(1);
        let wanted = if request.limit_written.is_some() { request.limit } else { size };
        let limit = wanted.clamp(1, list.page_size.max);
        // A page of another size than the client asked for begins at a multiple of the new size, so that consecutive
        // pages skip nothing.
        let offset = match window.page {
            Some(_) => (window.offset / u64::from(size)).saturating_mul(u64::from(limit)),
            None => window.offset,
        };
        let most = list.budgets.offset;
        if offset > most {
            let said = format!("a request by page or offset can skip at most {most} items: continue by cursor");
            return Err(Problem::new(Code::TooDeep, said).into());
        }
        Ok(Self { offset, limit, number: window.page })
    }
}
