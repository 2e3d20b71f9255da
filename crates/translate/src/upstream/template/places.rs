//! The ways in which requests name a part of a list.

/// The way in which requests name the part of the list that they ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// By offset.
    Offsets,
    /// By page number.
    Pages,
    /// By a token, a link or an item of the upstream. Also used if each answer is the whole list, so requests name no
    /// part.
    Tokens,
    /// Only by range filters: an answer begins where its range begins.
    Ranges,
}
