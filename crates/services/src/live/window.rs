//! The description of a live page: the target that is polled, and the key of its group.

use http::HeaderName;

use cursorgate_gateway::Snapshot;

/// A hash of everything that determines a page and is known before the answer: the client, the base of links, the
/// target, and the headers for content negotiation.
pub(super) type GroupKey = [u8; 32];

/// A page of a list that is polled.
#[derive(Clone, Debug)]
pub(super) struct LiveWindow {
    pub(super) host: Option<String>,
    /// The normalized path of the list, by which its route is found.
    pub(super) normal_path: String,
    /// The path of the list, as the client wrote it.
    pub(super) path: String,
    /// The target of the requests, spelled as the client wrote it, because links in the page repeat the spelling.
    pub(super) target: String,
    /// The part of the query that names the list: the filters and the sort.
    pub(super) list_query: String,
    /// True if the query has private parameters, which can be credentials.
    pub(super) has_private: bool,
    /// The headers in which clients of the same key may differ, although `Vary` names them: the client's name contains
    /// what matters of them.
    pub(super) covered: Vec<HeaderName>,
    /// The key of the group. Requests with the same key get the same page, unless the answer's `Vary` names a header in
    /// which they differ.
    pub(super) key: GroupKey,
}

/// A list: the name of its route, and its own path, normalized and without a final slash.
pub(super) struct ListPlace {
    pub(super) route: String,
    pub(super) path: String,
}

impl LiveWindow {
    /// Returns the list of the page; `None` if no route has it any more.
    pub(super) fn list(&self, snapshot: &Snapshot) -> Option<ListPlace> {
        let found = snapshot.table.find(self.host.as_deref(), &self.normal_path)?;
        // The second path of a list leads to the same list.
        let path = found.route.list_path(&found.parameters).unwrap_or_else(|| self.normal_path.clone());
        Some(ListPlace { route: found.route.name.clone(), path: path.trim_end_matches('/').to_owned() })
    }
}
