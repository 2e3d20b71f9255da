//! Pages that are asked for at intervals.

/// The hash of all that a page follows from, as far as it is known before the answer.
pub(super) type GroupKey = [u8; 32];

/// A page that is asked for at intervals.
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
    /// The query has parameters that may be credentials.
    pub(super) has_private: bool,
    /// Requests with the same key get the same page.
    pub(super) key: GroupKey,
}
