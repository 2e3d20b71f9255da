//! The parts of a list that services read at the same time.

use http::HeaderName;

/// The header with the number of items of a page that are at or before the end of their part of the list
/// ([`ListPart::until`]). Without it, the keys don't show the number. Only inner requests for parts get it.
pub const WITHIN: HeaderName = HeaderName::from_static("cursorgate-within");

/// The part of a list to which the page of an inner request belongs. A list can be read in parts at the same time: each
/// begins after an item, and ends with the item after which the next part begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPart {
    /// The number of items of the page, in place of the client's limit. It may be larger than clients may ask for.
    pub limit: Option<u32>,
    /// The offset of the page, to find a place where a part can begin. Offsets prove nothing, so the page is
    /// `positional`.
    pub at: Option<u64>,
    /// The query of the page right after the part, as a link has it. The answer then has [`WITHIN`].
    pub until: Option<String>,
}

impl ListPart {
    /// Returns the value of the header `FORM` of services for a page of this part. `cause` is its first word.
    #[must_use]
    pub fn form(&self, cause: &str) -> String {
        let limit = self.limit.map(|limit| format!(";limit={limit}")).unwrap_or_default();
        let at = self.at.map(|at| format!(";at={at}")).unwrap_or_default();
        let until = self.until.as_deref().map(|until| format!(";until={until}")).unwrap_or_default();
        format!("{cause}{limit}{at}{until}")
    }

    /// Reads a value of the header.
    #[must_use]
    pub fn read(form: &str) -> Self {
        // A query can contain any character, so it is last.
        let (form, until) = form.split_once(";until=").map_or((form, None), |(form, until)| (form, Some(until)));
        let word = |name: &str| form.split(';').find_map(|word| word.strip_prefix(name));
        let limit = word("limit=").and_then(|limit| limit.parse().ok());
        let at = word("at=").and_then(|at| at.parse().ok());
        Self { limit, at, until: until.map(str::to_owned) }
    }

    /// Returns whether the page is like any other, so that the page cache can have it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_page_is_read_as_it_was_written() {
        for (limit, at, until) in [
            (None, None, None),
            (None, Some(7), None),
            (Some(998), None, Some("a=;at=1&cursor=x")),
            (Some(1), Some(0), Some("cursor=;limit=2")),
        ] {
            let part = ListPart { limit, at, until: until.map(str::to_owned) };
            let form = part.form("job");
            assert_eq!((ListPart::read(&form), form.split(';').next()), (part, Some("job")), "{form}");
        }
    }
}
