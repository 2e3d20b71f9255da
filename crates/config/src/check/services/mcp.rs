//! The check of `[services.mcp]`.

use super::{super::Context, offered::Offering};
use crate::{
    key::TableSettings as _,
    keys::MCP,
    settings::{McpSettings, RouteSettings},
    spanned::Spanned,
    syntax,
};

const OFFERING: Offering = Offering {
    table: "services.mcp",
    place: "MCP",
    part: "tool",
    sample: "a_name",
    name: plain,
    syntax: syntax::tool_name,
};

pub(super) fn read(written: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> McpSettings {
    context.warn_of_hidden(routes, &MCP.path.read(written), "", "mcp");
    McpSettings {
        lists: OFFERING.read(
            written,
            routes,
            &MCP.names.or_empty(written),
            &MCP.except.read(written),
            &MCP.descriptions.or_empty(written),
            context,
        ),
        ..McpSettings::read(written)
    }
}

/// Replaces characters that the names of tools can't have with `_`: `v2.user orders` becomes `v2_user_orders`.
fn plain(name: &str) -> String {
    let taken = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    name.chars().map(|character| if taken(character) { character } else { '_' }).collect()
}
