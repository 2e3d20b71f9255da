//! The tools of a configuration: each list has one that reads it and, with exports, one that exports it.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};

use super::{schema, tool_list::ToolList};
use crate::{
    gateway::{Snapshot, lifecycle::snapshot::DescribedList},
    services::item_types::TypeCatalog,
};

/// The most tools in an answer to `tools/list`.
const PAGE: usize = 50;

/// The most characters of a list's own description that are shown.
const LONGEST: usize = 2_000;

/// The tools of a configuration, in the order of its file.
pub(super) struct ToolSet {
    tools: Vec<Arc<McpTool>>,
}

pub(super) struct McpTool {
    pub(super) definition: Tool,
    pub(super) kind: ToolKind,
    pub(super) list: Arc<ToolList>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolKind {
    List,
    Export,
}

impl ToolSet {
    /// Makes the tools of a snapshot. `items` is the largest number of items in a result; `exports` adds tools that
    /// export.
    pub(super) fn new(snapshot: &Snapshot, items: u32, exports: bool) -> Self {
        let mut tools = Vec::new();
        for described in &snapshot.described.mcp {
            let list = Arc::new(ToolList::of(described, items));
            tools.push(Arc::new(reading(described, &list)));
            // Without exports each call of such a tool would be refused.
            if exports {
                tools.push(Arc::new(exporting(described, &list)));
            }
        }
        Self { tools }
    }

    /// Returns up to [`PAGE`] tools that a host serves after the tool with the name `after`, and the name after which
    /// the next answer continues, if more follow. Returns `None` if there is no tool with the name `after`.
    pub(super) fn page(
        &self,
        (snapshot, host): (&Snapshot, Option<&str>),
        after: Option<&str>,
    ) -> Option<(Vec<Tool>, Option<String>)> {
        let begin = match after {
            // An unknown cursor is refused: a walk that began at the first tool again would have no end.
            // Test: `many_tools_come_in_pages`.
            Some(name) => self.tools.iter().position(|tool| tool.definition.name == name)? + 1,
            None => 0,
        };
        let mut served = self.tools[begin..].iter().filter(|tool| tool.list.is_served(snapshot, host));
        let page: Vec<Tool> = served.by_ref().take(PAGE).map(|tool| tool.definition.clone()).collect();
        // The tool after the page is looked up, so that the last answer has no cursor.
        // Test: `many_tools_come_in_pages`.
        let next = served.next().and_then(|_| page.last()).map(|tool| tool.name.clone().into_owned());
        Some((page, next))
    }

    /// Returns the tool with this name, if the host serves its list.
    pub(super) fn find(&self, (snapshot, host): (&Snapshot, Option<&str>), name: &str) -> Option<&Arc<McpTool>> {
        let found = self.tools.iter().find(|tool| tool.definition.name == name);
        found.filter(|tool| tool.list.is_served(snapshot, host))
    }
}

fn reading(described: &DescribedList, list: &Arc<ToolList>) -> McpTool {
    let (default, most) = list.limits;
    let how = format!(
        "Returns items of the list of {}: {default}, or `limit` of them, up to {most}. While `nextCursor` is a text, more items \
         follow: call this tool again with the same arguments and that text as `cursor`.",
        described.collection
    );
    let title = format!("List {}", described.collection);
    let hints = ToolAnnotations::with_title(title.clone()).read_only(true).open_world(false);
    let item = described.item.as_ref().map(|item| {
        let mut types = TypeCatalog::new(&[]);
        let value = types.add(item, "Item");
        schema::of_value(&value, &types)
    });
    let definition =
        Tool::new(format!("list_{}", described.name), with_own(described, &how), schema::of_reading(described, list))
            .with_title(title)
            .with_raw_output_schema(Arc::new(schema::of_page(item)))
            .with_annotations(hints);
    McpTool { definition, kind: ToolKind::List, list: Arc::clone(list) }
}

fn exporting(described: &DescribedList, list: &Arc<ToolList>) -> McpTool {
    let how = format!(
        "Begins an export of the whole list of {} into a file, or with `export` asks for the state of one. A completed export \
         has its address in `resultUrl`, which is fetched by GET with the same credentials as this tool.",
        described.collection
    );
    let title = format!("Export {}", described.collection);
    // An export stores a file, but changes and removes no item.
    let hints = ToolAnnotations::with_title(title.clone()).read_only(false).destructive(false).open_world(false);
    let definition = Tool::new(
        format!("export_{}", described.name),
        with_own(described, &how),
        schema::of_exporting(described, list),
    )
    .with_title(title)
    .with_raw_output_schema(Arc::new(schema::of_job()))
    .with_annotations(hints);
    McpTool { definition, kind: ToolKind::Export, list: Arc::clone(list) }
}

/// Returns a text with the list's own description, if there is one, before it.
fn with_own(described: &DescribedList, how: &str) -> String {
    let Some(own) = &described.description else { return how.to_owned() };
    // The models of clients read each description, so that a long one would fill their context.
    let mut shown: String = own.chars().take(LONGEST).collect();
    if shown.len() < own.len() {
        shown.push('…');
    }
    format!("{shown}\n\n{how}")
}
