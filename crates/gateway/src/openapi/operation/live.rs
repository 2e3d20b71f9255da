//! The operation that opens a live page of a list.

use super::{DescribedRoute, exports::path_item};
use cursorgate_core::json::Document;
use cursorgate_translate::downstream::envelope::schema;

impl DescribedRoute<'_> {
    /// Returns the path of a list's live pages, and its path item. `operation` is common to all lists; `common` are the
    /// members that all path items of the route have.
    pub(in crate::openapi) fn live(
        &self,
        operation: &Document,
        path: &str,
        common: &[(&'static str, Document)],
    ) -> (String, Document) {
        let mut parameters = self.parameters();
        parameters.retain(|parameter| parameter.member("deprecated").is_none());
        parameters.push(Document::object([
            ("name", "Last-Event-ID".into()),
            ("in", "header".into()),
            ("description", "The id of the page that the client has; it gets the changes since".into()),
            ("schema", schema::kind("string")),
        ]));
        let operation = operation
            .clone()
            .with("operationId", format!("watch{}", self.stem).into())
            .with("tags", Document::texts([self.settings.name.value.as_str()]))
            .with("parameters", parameters.into());
        (format!("{}/live", path.trim_end_matches('/')), path_item(common, vec![("get", operation)], &[]))
    }
}
