//! The description of a live page: its target, and the key of its group.

/// A hash of all that determines a page and is known before the answer: the client, the base of links, the target, and
/// the headers that negotiate the form of the answer.
pub(super) type GroupKey = [u8; 32];

/// A page that is polled.
#[derive(Clone, Debug)]
pub(super) struct LiveWindow {
    pub(super) host: Option<String>,
    /// The path by which the route is found.
    pub(super) normal_path: String,
    /// The path of the list, as the client wrote it.
    pub(super) path: String,
    /// The target of the requests, as the client wrote it: links in the page repeat its spelling.
    pub(super) target: String,
    /// The part of the query that names the list.
    pub(super) list_query: String,
    /// True if the query has parameters that may be credentials.
    pub(super) has_private: bool,
    /// The key of the group. Requests with the same key get the same page, unless `Vary` of the answer names another
    /// header.
    pub(super) key: GroupKey,
}
