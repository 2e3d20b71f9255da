//! Requests of legacy clients, read as if the gateway had made them. This way their answers can be judged although they
//! aren't served from here.

use super::{Dialect, legacy::LegacyFault};
use crate::upstream::{order::sort::CompiledOrder, template::ask::UpstreamRequest};
use cursorgate_core::pagination::{
    answer::Answer,
    fetch::{Fetch, Listing, TokenFetch},
    observed::AskedFor,
    paging::Family,
    window::{Offset, PageNumber, PageSize, Slice},
};

/// A legacy request, as the gateway would have made it.
#[derive(Clone, Debug)]
pub struct ObservedRequest {
    /// The request that the gateway would have made for the same items.
    pub ask: UpstreamRequest,
    /// The window of the legacy request.
    pub asked: AskedFor,
}

impl Dialect {
    /// Reads a legacy request. `pairs` are its paging parameters, decoded; `filters` are its other parameters, raw.
    /// `path` is the list's path at the upstream. `chosen` is `true` if the request itself asks for the order of
    /// `sorted`.
    ///
    /// # Errors
    ///
    /// Returns [`LegacyFault`] if a paging parameter isn't a number, is out of range, or contradicts another one, or if
    /// the dialect can't request the window.
    pub fn observed(
        &self,
        sorted: &CompiledOrder,
        chosen: bool,
        pairs: &[(String, String)],
        filters: &str,
        path: &str,
    ) -> Result<ObservedRequest, LegacyFault> {
        let numbers = self.legacy.without_tokens(pairs);
        let window = self.legacy_window(&numbers)?;
        let taken = window.and_then(|window| window.size);
        // The window may contain an assumed size that the request doesn't state. Answers aren't checked against such a
        // size.
        let said = taken.filter(|_| self.legacy.says_size(&numbers));
        let size = said.or_else(|| self.legacy.default_size()).map(PageSize);
        let asked_size = size.or_else(|| taken.map(PageSize)).unwrap_or_else(|| self.least_size());
        let begins = Offset(window.map_or(0, |window| window.offset)).believed();
        let fetch = match self.paging().family {
            Family::Page => {
                let number = PageNumber(begins.0 / u64::from(asked_size.0.max(1)));
                Fetch::Slice(Slice::Page { number, size: asked_size }, Listing::default())
            }
            Family::Offset => Fetch::Slice(Slice::Offset { from: begins, size: asked_size }, Listing::default()),
            Family::Token => Fetch::Token(TokenFetch { token: None, backward: false, size: asked_size }),
        };
        let ask = self.ask(sorted, &fetch, filters, path).map_err(|_| LegacyFault {
            parameter: numbers.first().map(|(name, _)| name.clone()).unwrap_or_default(),
            detail: "asks for what the dialect can't".to_owned(),
            conflict: false,
        })?;
        // Without sort parameters, the upstream may use an order other than the one that the gateway requests. So the
        // order counts only if the request asks for it, or if the gateway requests none.
        let in_order = chosen || sorted.asked == 0;
        Ok(ObservedRequest { ask, asked: AskedFor { begins, size, in_order } })
    }

    /// Returns the key of a fact that the dialect promises for every list but that this answer lacks; `None` if no such
    /// fact is missing.
    #[must_use]
    pub fn untold(&self, answer: &Answer) -> Option<&'static str> {
        self.reading.untold(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::testing::compile;

    fn asked(dialect: &Dialect, pairs: &[(&str, &str)]) -> Option<(u64, Option<u32>)> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let observed = dialect.observed(dialect.default_sorted(), false, &pairs, "q=1", "/items").ok()?;
        assert_eq!(observed.ask.path, "/items");
        Some((observed.asked.begins.0, observed.asked.size.map(|size| size.0)))
    }

    #[test]
    fn the_window_of_a_legacy_request_follows_from_its_parameters() {
        let dialect = compile(|_| {});
        assert_eq!(asked(&dialect, &[]), Some((0, None)));
        assert_eq!(asked(&dialect, &[("page", "3"), ("limit", "10")]), Some((20, Some(10))));
        assert_eq!(asked(&dialect, &[("page", "x")]), None);
        // The upstream's default size is unknown, so the offset is an estimate and the size is not checked.
        assert_eq!(asked(&dialect, &[("page", "1")]), Some((0, None)));
    }
}
