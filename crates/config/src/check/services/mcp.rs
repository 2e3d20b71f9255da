//! The check of `[services.mcp]`.

use super::{super::Context, offered::Offering};
use crate::{
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
    let path = MCP.path.read(written);
    for route in routes.iter().filter(|route| route.path.value.trim_end_matches('/') == path) {
        let message = format!("requests for {path} go to services.mcp, and not to this route");
        context.diagnostics.warning(route.path.at, message, "give services.mcp another path");
    }
    McpSettings {
        path,
        lists: OFFERING.read(
            written,
            routes,
            &MCP.names.read(written).unwrap_or_default(),
            &MCP.except.read(written),
            &MCP.descriptions.read(written).unwrap_or_default(),
            context,
        ),
        origins: MCP.origins.read(written).into_iter().map(|origin| origin.value.to_ascii_lowercase()).collect(),
        size: MCP.size.read(written),
        items: MCP.items.read(written),
        result_size: MCP.result_size.read(written),
        timeout: MCP.timeout.read(written),
    }
}

/// Replaces characters that the names of tools can't have with `_`: `v2.user orders` becomes `v2_user_orders`.
fn plain(name: &str) -> String {
    let taken = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    name.chars().map(|character| if taken(character) { character } else { '_' }).collect()
}
