//! The page of a legacy request. The upstream's dialect reads the paging parameters.

use crate::{outcome::failure::Failure, routes::list::List};
use cursorgate_translate::downstream::{Code, ListRequest, Problem, RequestKind};

/// The page that a legacy request asks for, as an offset and a limit.
#[derive(Clone, Copy, Debug)]
pub struct LegacyPage {
    /// The number of items before the page.
    pub offset: u64,
    /// The number of items to serve.
    pub limit: u32,
    /// The number of the page, as the client counts pages; `None` for requests by offset.
    pub number: Option<u64>,
}

impl LegacyPage {
    /// Reads the paging parameters of a legacy request. Without any parameters, the result is the first page.
    ///
    /// # Errors
    ///
    /// Returns `page_invalid`, `parameter_conflict` or `too_deep`.
    pub fn read(list: &List, request: &ListRequest) -> Result<Self, Failure> {
        let pairs = match &request.kind {
            RequestKind::Legacy { pairs, .. } => pairs.as_slice(),
            RequestKind::Cursor | RequestKind::Unmarked => &[],
        };
        let Some(window) = list.dialect.legacy_window(pairs)? else {
            return Ok(Self { offset: 0, limit: request.limit, number: None });
        };
        // The size is at least 1, because the offset is divided by it.
        let size = window.size.unwrap_or(list.page_size.default).max(1);
        let wanted = if request.limit_written.is_some() { request.limit } else { size };
        let limit = wanted.clamp(1, list.page_size.max);
        // If the page has another size than the client requested, it begins at a multiple of its own size, so
        // consecutive pages skip no items. For example, page 3 of 500 items, reduced to 100 items, begins at offset
        // 200.
        let offset = match window.page {
            Some(_) => (window.offset / u64::from(size)).saturating_mul(u64::from(limit)),
            None => window.offset,
        };
        let most = list.budgets.offset;
        // A page that is too deep is refused before any upstream request. Test:
        // `the_depth_of_a_page_by_number_is_bounded`.
        if offset > most {
            let said = format!("a request by page or offset can skip at most {most} items: continue by cursor");
            return Err(Problem::new(Code::TooDeep, said).into());
        }
        Ok(Self { offset, limit, number: window.page })
    }
}
