//! The requests that an upstream accepts, and the parts of its answers that can be believed: facts of its dialect.

use super::limits::PAGES_IN_VAIN;

/// The way in which a place is named to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// By offset and size: any window is one request.
    Offset,
    /// By page number and size: only aligned slices.
    Page,
    /// By a value that the upstream hands out: a token, the parameters of a link, or an item.
    Token,
}

/// The behaviour of an upstream's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// True if there are tokens that lead back.
    pub backward: bool,
    /// True if every item has a token of its own, which continues the list after it
    /// ([`super::answer::Answer::item_tokens`]).
    pub by_item: bool,
    /// True if a token works only once, or expires soon: no upstream page is asked for again.
    pub single_use: bool,
    /// True if the end is an empty answer; else it is an answer without a token.
    pub ends_empty: bool,
}

/// The sizes that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Any size in a range; `most` is the upstream's cap, where it is known.
    Free {
        /// The least size that is accepted, at least 1.
        least: u32,
        /// The cap.
        most: Option<u32>,
    },
    /// The sizes in this list, ascending, at least one.
    Listed(Vec<u32>),
    /// This size alone, which the request does not name.
    Fixed(u32),
}

impl Sizes {
    /// Returns these sizes made valid: none is 0, and there is at least one.
    fn made_valid(self) -> Self {
        match self {
            Self::Free { least, most } => {
                let least = least.max(1);
                Self::Free { least, most: most.map(|most| most.max(least)) }
            }
            Self::Listed(mut sizes) => {
                sizes.retain(|size| *size > 0);
                sizes.sort_unstable();
                sizes.dedup();
                if sizes.is_empty() { Self::Fixed(1) } else { Self::Listed(sizes) }
            }
            Self::Fixed(size) => Self::Fixed(size.max(1)),
        }
    }
}

/// The evidence of an end that the dialect vouches for, beside a short answer against a size that was seen to be
/// honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndEvidence {
    /// The dialect vouches for none.
    Unvouched,
    /// The answer's `more` comes from the slice itself (limit + 1), not from a count.
    Flag,
    /// A short answer: the upstream always honours every size up to its cap, so that an answer with fewer items ends
    /// the list.
    ShortPage,
}

/// The facts of a dialect that the core decides with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paging {
    /// The way in which a place is named.
    pub family: Family,
    pub(super) sizes: Sizes,
    /// The largest offset + size that the upstream answers.
    pub max_depth: Option<u64>,
    /// The evidence of an end.
    pub end: EndEvidence,
    /// True if past the end the last page comes again.
    pub repeats_last_page: bool,
    /// True if the upstream leaves items out after it has applied the limit: offsets count them, and short or empty
    /// answers prove nothing.
    pub hidden: bool,
    /// The behaviour of tokens, for [`Family::Token`].
    pub tokens: Tokens,
}

impl Paging {
    /// Describes an upstream of which nothing else is known. A least or fixed size of 0 is raised to 1, and a cap below
    /// the least size to that size. Listed sizes are sorted, without 0 and duplicates; an empty list becomes the fixed
    /// size 1.
    #[must_use]
    pub fn new(family: Family, sizes: Sizes) -> Self {
        Self {
            family,
            sizes: sizes.made_valid(),
            max_depth: None,
            end: EndEvidence::Unvouched,
            repeats_last_page: false,
            hidden: false,
            tokens: Tokens::default(),
        }
    }

    /// Returns the sizes that can be asked for.
    #[must_use]
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }
}

/// The limits of a route's upstream that its pages have shown in this process, for all clients. They help to aim and
/// prove nothing. Merging takes the newest `cap` and `filters_in_vain`. Of `run` it takes the newest, or a little less
/// than the known one if that is more: long runs are seldom alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamProfile {
    /// A cap that the upstream applies in silence: more items were asked for, and more were there.
    pub cap: Option<u32>,
    /// The number of items of the longest run of equal strong keys in the answers of a page; 0 if it is not known.
    pub run: u32,
    /// The number of pages in a row that a filter did not help with, or that were read without it for that reason.
    pub filters_in_vain: u8,
}

/// A page's use of a filter that did not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FutileFilter {
    /// The answers to the filter showed neither the item of the cursor nor its ties, and the page was read from the
    /// whole list.
    InVain,
    /// The same, and the next pages are read without the filter.
    GivenUp,
    /// The page was read without the filter, which had been given up.
    Spared,
}

impl UpstreamProfile {
    /// Returns how the page used a filter that did not help; `None` if the filter helped, or the page needed none.
    /// `before` is the profile when the page was asked for.
    #[must_use]
    pub fn futile_filter(self, before: Self) -> Option<FutileFilter> {
        match self.filters_in_vain {
            0 => None,
            vain if vain == before.filters_in_vain => None,
            vain if vain < PAGES_IN_VAIN => Some(FutileFilter::InVain),
            PAGES_IN_VAIN => Some(FutileFilter::GivenUp),
            _ => Some(FutileFilter::Spared),
        }
    }
}
