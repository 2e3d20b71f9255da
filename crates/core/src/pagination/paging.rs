//! The requests that an upstream accepts, and the statements of its answers that can be trusted. The upstream's dialect
//! declares both.

use super::limits::PAGES_IN_VAIN;

/// The way in which a request names a place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// By offset and size. Any window is one request.
    Offset,
    /// By page number and size. Slices begin only at multiples of the size.
    Page,
    /// By a value that the upstream hands out: a token, the parameters of a link, or the id of an item.
    Token,
}

/// The behaviour of an upstream's tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// True if the upstream also hands out tokens that lead back.
    pub backward: bool,
    /// True if every item has its own token, which continues the list after that item
    /// ([`super::answer::Answer::item_tokens`]).
    pub by_item: bool,
    /// True if a token works only once, or expires soon. Then no upstream page is requested again.
    pub single_use: bool,
    /// True if an empty answer marks the end of the list. Otherwise an answer without a token does.
    pub ends_empty: bool,
}

/// The sizes that a request can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// Any size from `least` to `most`.
    Free {
        /// The least accepted size, at least 1.
        least: u32,
        /// The upstream's cap; `None` if it isn't known.
        most: Option<u32>,
    },
    /// Only the sizes in this list, which is ascending and not empty.
    Listed(Vec<u32>),
    /// Only this size, which the request doesn't name.
    Fixed(u32),
}

impl Sizes {
    /// Makes these sizes valid: every size is at least 1, a cap isn't below the least size, and a list is ascending and
    /// not empty.
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

/// The evidence of an end that the dialect vouches for. Evidence from the answers themselves counts in addition, such
/// as an answer that is shorter than an honoured size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndEvidence {
    /// The dialect vouches for no evidence.
    Unvouched,
    /// The answer's `more` is reliable: the upstream reads one item more than requested, and doesn't use a count.
    Flag,
    /// A short answer ends the list, because the upstream honours every size up to its cap.
    ShortPage,
    /// An answer without a token ends the list, whatever flags and counts say. Only for [`Family::Token`].
    Token,
}

/// The things that an upstream's totals count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountedThings {
    /// The dialect doesn't say.
    #[default]
    Unsaid,
    /// The items that the client can see: a walk that has passed as many items as the total is at the end.
    Items,
    /// Rows, including those that the upstream leaves out after it has applied the size.
    Rows,
    /// Neither exactly: the number is an estimate, and says nothing about the end.
    Estimate,
}

/// The facts of a dialect that the core's decisions depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Paging {
    /// The way in which a request names a place.
    pub family: Family,
    pub(super) sizes: Sizes,
    /// The largest sum of offset and size that the upstream answers; `None` for no bound.
    pub max_depth: Option<u64>,
    /// The largest offset at which a request may begin, whatever its size is; `None` for no bound.
    pub max_offset: Option<u64>,
    /// The evidence of an end that the dialect vouches for.
    pub end: EndEvidence,
    /// True if the upstream answers a request past the end with the last page.
    pub repeats_last_page: bool,
    /// True if the upstream hides items after it has applied the size. Offsets then count hidden items, and short or
    /// empty answers prove nothing.
    pub hidden: bool,
    /// True if the dialect vouches that the upstream never hides items after it has applied the size. An answer with
    /// fewer items than a size that the walk has seen honoured then ends the list.
    pub complete: bool,
    /// True once answers of the walk have shown that the upstream leaves out rows, although its dialect doesn't say so.
    pub(super) leaves_out: bool,
    /// The things that totals count.
    pub counted: CountedThings,
    /// The behaviour of tokens; used only for [`Family::Token`].
    pub tokens: Tokens,
}

impl Paging {
    /// Describes an upstream by its family and its sizes. A least or fixed size of 0 is raised to 1, and a cap below
    /// the least size is raised to that size. Listed sizes are sorted, and 0 and duplicates are removed; an empty list
    /// becomes the fixed size 1.
    #[must_use]
    pub fn new(family: Family, sizes: Sizes) -> Self {
        Self {
            family,
            sizes: sizes.made_valid(),
            max_depth: None,
            max_offset: None,
            end: EndEvidence::Unvouched,
            repeats_last_page: false,
            hidden: false,
            complete: false,
            leaves_out: false,
            counted: CountedThings::Unsaid,
            tokens: Tokens::default(),
        }
    }

    /// Returns whether totals can be compared with the number of items that a walk has passed.
    pub(super) fn counts_items(&self) -> bool {
        matches!(self.counted, CountedThings::Unsaid | CountedThings::Items)
    }

    /// Returns the sizes that a request can ask for.
    #[must_use]
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }
}

/// The limits of a route's upstream that earlier pages have shown in this process. They help to aim and prove nothing.
/// Merging takes the newest `cap` and `filters_in_vain`. A new `run` or `drift` replaces a smaller one, but a larger one
/// only shrinks a little: a list with one long run often has more, and one that has changed changes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpstreamProfile {
    /// A cap that the upstream applies silently: more items were requested, and more existed. `None` if none was seen.
    pub cap: Option<u32>,
    /// The number of items of the longest run of equal strong keys in the answers of a page; 0 if it isn't known.
    pub run: u32,
    /// The number of pages in a row for which a filter didn't help, or that were read without the filter for that
    /// reason.
    pub filters_in_vain: u8,
    /// The number of items between a page's boundary and the place that its hint names, in either direction; `None` if
    /// no page with a hint was read.
    pub drift: Option<u32>,
}

/// A page's use of a filter that didn't help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FutileFilter {
    /// The answers to the filter showed neither the cursor's item nor its ties, so the page was read from the whole
    /// list.
    InVain,
    /// The filter didn't help with this page either, and it is given up: the next pages are read without it.
    GivenUp,
    /// The page was read without the filter, because earlier pages had given it up.
    Spared,
}

impl UpstreamProfile {
    /// Returns how a page used a filter that didn't help; `None` if the filter helped, or if the page needed no filter.
    /// `self` is the profile after the page, `before` the profile when the page was requested.
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
