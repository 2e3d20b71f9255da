//! The tools of a configuration. Each list has a tool that reads it and, if exports are configured, a tool that exports
//! it.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};

use super::{schema, tool_list::ToolList};
use crate::item_types::TypeCatalog;
use cursorgate_gateway::{Snapshot, lifecycle::snapshot::DescribedList};

/// The largest number of tools in an answer to `tools/list`. Further tools are in the next answers.
const PAGE: usize = 50;

/// The largest number of characters of a list's own description that a tool's description contains. The rest is cut
/// off.
const LONGEST: usize = 2_000;

/// The tools of a configuration, in the order of the configuration file.
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
    /// Creates the tools of a snapshot. `items` is the largest number of items in a result. With `exports`, each list
    /// also has a tool that exports it.
    pub(super) fn new(snapshot: &Snapshot, items: u32, exports: bool) -> Self {
        let mut tools = Vec::new();
        for described in &snapshot.described.mcp {
            let list = Arc::new(ToolList::of(described, items));
            tools.push(Arc::new(reading(described, &list)));
            // Without exports, each call of an export tool would be refused, so there are no such tools.
            if exports {
                tools.push(Arc::new(exporting(described, &list)));
            }
        }
        Self { tools }
    }

    /// Returns up to [`PAGE`] tools for the lists that `host` serves. The tools begin after the tool with the name
    /// `after`. If more tools follow, also returns the name after which the next answer continues. Returns `None` if
    /// there is no tool with the name `after`.
    pub(super) fn page(
        &self,
        snapshot: &Snapshot,
        host: Option<&str>,
        after: Option<&str>,
    ) -> Option<(Vec<Tool>, Option<String>)> {
        let begin = match after {
            // An unknown cursor is refused. If it led to the first tool again, a client that follows cursors would
            // never reach the end. Test: `many_tools_come_in_pages`.
            Some(name) => self.tools.iter().position(|tool| tool.definition.name == name)? + 1,
            None => 0,
        };
        let mut served = self.tools[begin..].iter().filter(|tool| tool.list.is_served(snapshot, host));
        let page: Vec<Tool> = served.by_ref().take(PAGE).map(|tool| tool.definition.clone()).collect();
        // The page has a cursor only if another tool follows, so the last answer doesn't have one.
        // Test: `many_tools_come_in_pages`.
        let next = served.next().and_then(|_| page.last()).map(|tool| tool.name.clone().into_owned());
        Some((page, next))
    }

    /// Returns the tool with this name; `None` if there is no such tool, or if the host doesn't serve the tool's list.
    pub(super) fn find(&self, snapshot: &Snapshot, host: Option<&str>, name: &str) -> Option<&Arc<McpTool>> {
        let found = self.tools.iter().find(|tool| tool.definition.name == name);
        found.filter(|tool| tool.list.is_served(snapshot, host))
    }
}

fn reading(described: &DescribedList, list: &Arc<ToolList>) -> McpTool {
    let (default, most) = list.limits;
    let how = format!(
        "Returns items of the list of {}: {default}, or `limit` of them, up to {most}. While `nextCursor` is a \
         string, more items follow: call this tool again with the same arguments and that string as `cursor`.",
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
    // An export stores a file, so it isn't read-only, but it doesn't change or remove items.
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

/// Returns the description of a tool: the list's own description, if there is one, and then `how`.
fn with_own(described: &DescribedList, how: &str) -> String {
    let Some(own) = &described.description else { return how.to_owned() };
    // The models of clients read every description, so a long description would fill their context. The rest of it is
    // cut off.
    let mut shown: String = own.chars().take(LONGEST).collect();
    if shown.len() < own.len() {
        shown.push('…');
    }
    format!("{shown}\n\n{how}")
}
