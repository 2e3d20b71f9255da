//! The principal of a route: the headers that identify its clients. Clients with different principals share no pages.

use http::{
    HeaderName,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION},
};

use super::{Context, identity};
use crate::config::{
    keys::{CURSOR, FILE, LEGACY, LEGACY_CLIENT, ROUTE, SERVER},
    settings::{KnownBy, ListSettings},
    spanned::Spanned,
};

/// Returns whether a header or a parameter with this name is probably a credential, because the name contains a word
/// such as `token`.
pub(super) fn is_credential(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["authoriz", "authent", "-auth", "cookie", "key", "token", "secret", "password", "session"]
        .iter()
        .any(|word| lower.contains(word))
}

/// Returns the headers of the principal. If the route has no `principal`, they include `server.client_subject` and the
/// headers of `identity`.
pub(super) fn read(root: &Spanned, route: &Spanned) -> Vec<HeaderName> {
    let mut names = ROUTE.principal.read(route);
    if ROUTE.principal.find(route).is_none() {
        names.extend(SERVER.client_subject.read(&FILE.server.table(root)));
        // They identify clients that `identity` doesn't name, such as one whose token isn't valid.
        for name in identity::headers(root, &ROUTE.identity.read(route)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Reads `impersonal` of a merged route, and reports headers in it that identify clients.
pub(super) fn impersonal(root: &Spanned, route: &Spanned, context: &mut Context<'_>) -> Vec<HeaderName> {
    let Some(names) = ROUTE.impersonal.located(route) else { return Vec::new() };
    let bound = CURSOR.bind.read(&ROUTE.cursor.table(route));
    let identifying = [read(root, route), bound, vec![AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION]].concat();
    if let Some(name) = names.value.iter().find(|name| identifying.contains(name)) {
        let message = format!("{name} identifies clients, and `impersonal` says that it doesn't");
        context.diagnostics.error(names.at, message, "remove it here, or from what identifies clients");
    } else if let Some(name) = names.value.iter().find(|name| is_credential(name.as_str())) {
        let message = format!("{name} looks like a credential: clients that differ in it share pages");
        context.diagnostics.warning(names.at, message, "is it really the same for all clients?");
    }
    names.value
}

/// Warns if `principal` of the route lacks `server.client_subject`, the header with the subject of a client's
/// certificate.
pub(super) fn check_subject(root: &Spanned, route: &Spanned, context: &mut Context<'_>) {
    let (Some(subject), Some(names)) =
        (SERVER.client_subject.read(&FILE.server.table(root)), ROUTE.principal.located(route))
    else {
        return;
    };
    // With an empty list, all clients see the same lists, so it may lack the header.
    if !names.value.is_empty() && !names.value.contains(&subject) {
        let message = format!("clients with certificates are told apart by {subject}, which is not in `principal`");
        let help = format!("add \"{subject}\" to `principal`: these clients then share nothing");
        context.diagnostics.warning(names.at, message, help);
    }
}

/// Warns if `legacy.client` identifies clients by a credential that other settings don't treat as one: a header that is
/// neither in `principal` nor in `cursor.bind`, or a parameter that isn't private.
pub(super) fn check(list: &ListSettings, route: &Spanned, context: &mut Context<'_>) {
    let Some(client) = &list.legacy.client else { return };
    let written = LEGACY.client.table(&ROUTE.legacy.table(route));
    match &client.known_by {
        KnownBy::Header(name) if is_credential(name.as_str()) => {
            if !list.principal.iter().chain(&list.cursor.bind).any(|known| known == name) {
                let at = LEGACY_CLIENT.header.find(&written).map_or(written.at, |header| header.at);
                let message = format!("clients are told apart by {name}, which is not in `principal`");
                let help = format!("add \"{name}\" to `principal`: these clients then share nothing");
                context.diagnostics.warning(at, message, help);
            }
        }
        KnownBy::Parameter(name) if is_credential(name) && !list.parameters.private.contains(name) => {
            let at = LEGACY_CLIENT.parameter.find(&written).map_or(written.at, |parameter| parameter.at);
            let message = format!("{name} looks like a secret, and appears in links of pages");
            let help = format!("parameters = {{ private = [\"{name}\"] }} keeps it out of links and cursors");
            context.diagnostics.warning(at, message, help);
        }
        KnownBy::Header(_) | KnownBy::Parameter(_) | KnownBy::Identity => {}
    }
}
