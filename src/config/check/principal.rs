//! By what a route's callers are told apart: nothing that was seen for one of them is found by another.

use super::Context;
use crate::config::{
    keys::{LEGACY, LEGACY_CLIENT, ROUTE},
    settings::{KnownBy, ListSettings},
    spanned::Spanned,
};

/// Whether a header or a parameter is called like one by which clients prove who they are.
pub(super) fn is_credential(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["authoriz", "authent", "-auth", "cookie", "key", "token", "secret", "password", "session"]
        .iter()
        .any(|word| lower.contains(word))
}

/// Reports what tells the clients of a route apart, and is not treated so.
pub(super) fn check(list: &ListSettings, route: &Spanned, context: &mut Context<'_>) {
    let Some(client) = &list.legacy.client else { return };
    let written = LEGACY.client.table(&ROUTE.legacy.table(route));
    match &client.known_by {
        KnownBy::Header(name) if is_credential(name.as_str()) => {
            if !list.principal.iter().chain(&list.cursor.bind).any(|known| known == name) {
                let at = LEGACY_CLIENT.header.find(&written).map_or(written.at, |header| header.at);
                let message = format!("clients are told apart by {name}, which is not in `principal`");
                let help = format!("add \"{name}\" to `principal`: what is kept for one client is for no other");
                context.diagnostics.warning(at, message, help);
            }
        }
        KnownBy::Parameter(name) if is_credential(name) && !list.parameters.private.contains(name) => {
            let at = LEGACY_CLIENT.parameter.find(&written).map_or(written.at, |parameter| parameter.at);
            let message = format!("{name} looks like a secret, and stands in the links of pages");
            let help = format!("parameters = {{ private = [\"{name}\"] }} keeps it out of links and cursors");
            context.diagnostics.warning(at, message, help);
        }
        KnownBy::Header(_) | KnownBy::Parameter(_) => {}
    }
}
