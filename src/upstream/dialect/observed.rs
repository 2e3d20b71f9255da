//! Requests that an old client makes by itself, as if the gateway had made them: what they ask for, so that their answers
//! can be read and judged without being served.

use super::{Dialect, legacy::LegacyFault};
use crate::{
    pagination::{
        answer::Answer,
        fetch::{Fetch, Listing, TokenFetch},
        observed::AskedFor,
        paging::Family,
        window::{Offset, PageNumber, PageSize, Slice},
    },
    upstream::{order::sort::CompiledOrder, template::ask::UpstreamRequest},
};

/// A legacy request, understood.
#[derive(Clone, Debug)]
pub struct ObservedRequest {
    /// The request that the gateway would have made for the same items.
    pub ask: UpstreamRequest,
    /// What it asks for.
    pub asked: AskedFor,
}

impl Dialect {
    /// What a legacy request asks for. `pairs` are its paging parameters, decoded, `filters` its other ones, raw, and
    /// `path` is the list's path at the upstream; `chosen` says that it asks for the order of `sorted` itself.
    ///
    /// # Errors
    ///
    /// Where a paging parameter says no place: no number, out of range, or in contradiction to another.
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
        // An order that the gateway asks for is not what comes unasked.
        let in_order = chosen || sorted.asked == 0;
        Ok(ObservedRequest { ask, asked: AskedFor { begins, size, in_order } })
    }

    /// What the dialect says that every list tells, and this one did not; the key that says so.
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
    fn what_a_request_asks_for_is_known_as_far_as_it_says() {
        let dialect = compile(|_| {});
        assert_eq!(asked(&dialect, &[]), Some((0, None)));
        assert_eq!(asked(&dialect, &[("page", "3"), ("limit", "10")]), Some((20, Some(10))));
        assert_eq!(asked(&dialect, &[("page", "x")]), None);
        // How many come unasked is not known: the place is a belief, and nothing is held against the size.
        assert_eq!(asked(&dialect, &[("page", "1")]), Some((0, None)));
    }
}
