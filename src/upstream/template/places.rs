//! The kinds of places by which requests name a part of a list.

/// The way in which requests name the part of the list that they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// By offset.
    Offsets,
    /// By page number.
    Pages,
    /// By a token, a link or an item of the upstream's; or not at all, if each answer is the whole list.
    Tokens,
    /// Only by range filters: an answer begins where its range does.
    Ranges,
}
