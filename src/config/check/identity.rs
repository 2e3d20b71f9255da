//! The check of `identity` of routes and services, and of `server.tokens` and `server.identity_answer`.

use http::HeaderName;

use super::{Context, route::unknown_upstream};
use crate::config::{
    diagnostic::Located,
    keys::{FILE, IDENTITY_ANSWER, ROUTE, SERVER, TOKENS, WEBHOOK_CLIENTS},
    settings::{
        IdentityAnswerSettings, IdentityWord, ListSettings, RouteSettings, TokenSettings, UpstreamSettings,
    },
    spanned::Spanned,
};

/// Reads `identity` of a merged route; empty if the route identifies clients by `principal`. Reports a route with both
/// keys, and claims of tokens without keys that verify them.
pub(super) fn of_route(root: &Spanned, route: &Spanned, context: &mut Context<'_>) -> Vec<IdentityWord> {
    let written = ROUTE.identity.read(route);
    if let (Some(first), Some(principal)) = (written.first(), ROUTE.principal.find(route)) {
        let place = context.diagnostics.place_seen_from(principal.at, first.at);
        let help = format!("the other one is in {place}: remove it, or write identity = [] to have `principal` alone");
        context.diagnostics.error(first.at, "both `identity` and `principal` say who a client is", help);
    }
    words(&written, root, context)
}

/// Reads `identity` of a service; without one, that of `[defaults]`.
pub(super) fn of_service(
    written: Option<Vec<Located<String>>>,
    root: &Spanned,
    context: &mut Context<'_>,
) -> Vec<IdentityWord> {
    let written = written.unwrap_or_else(|| ROUTE.identity.read(&FILE.defaults.table(root)));
    words(&written, root, context)
}

/// Reads `identity` of `services.webhooks.clients`. With a `principal` of their own, these don't have that of
/// `[defaults]`.
pub(super) fn of_webhooks(root: &Spanned, clients: &Spanned, context: &mut Context<'_>) -> Vec<IdentityWord> {
    let written = WEBHOOK_CLIENTS.identity.read(clients);
    let principal = WEBHOOK_CLIENTS.principal.find(clients);
    if let (Some(first), Some(_)) = (written.as_ref().and_then(|written| written.first()), principal) {
        let help = "remove one of them";
        context.diagnostics.error(first.at, "both `identity` and `principal` say who a client is", help);
    }
    let written = if principal.is_some() { Some(written.unwrap_or_default()) } else { written };
    of_service(written, root, context)
}

fn words(written: &[Located<String>], root: &Spanned, context: &mut Context<'_>) -> Vec<IdentityWord> {
    let server = FILE.server.table(root);
    let has_tokens = SERVER.tokens.find(&server).is_some();
    let has_answer = SERVER.identity_answer.find(&server).is_some();
    let mut words = Vec::new();
    for text in written {
        let Some(word) = IdentityWord::read(&text.value) else { continue };
        if matches!(word, IdentityWord::Claim(_)) && !has_tokens {
            let message = format!("{:?} needs keys that verify tokens", text.value);
            let help =
                "server.tokens = { keys = \"/etc/cursorgate/jwks.json\", issuer = \"https://login.example.com\" }";
            context.missing(text.at, message, help);
        }
        if matches!(word, IdentityWord::Answer(_)) && !has_answer {
            let message = format!("{:?} needs a request whose answer says who the client is", text.value);
            context.missing(text.at, message, "server.identity_answer = { upstream = \"NAME\", path = \"/me\" }");
        }
        if words.contains(&word) {
            context.diagnostics.error(text.at, format!("{:?} is listed twice", text.value), "remove one of them");
            continue;
        }
        words.push(word);
    }
    words
}

/// Returns the headers by which the clients of an `identity` are told apart, also those that it doesn't name.
pub(super) fn headers(root: &Spanned, identity: &[Located<String>]) -> Vec<HeaderName> {
    let words = || identity.iter().filter_map(|text| IdentityWord::read(&text.value));
    let mut headers: Vec<HeaderName> = words().filter_map(|word| word.header()).collect();
    if words().any(|word| matches!(word, IdentityWord::Answer(_)))
        && let Some(answer) = SERVER.identity_answer.find(&FILE.server.table(root))
    {
        headers.extend(IDENTITY_ANSWER.credentials.read(answer));
    }
    headers
}

/// Reads `server.identity_answer`; `None` without the table, or if its upstream or its path is at fault, which is
/// reported.
pub(super) fn answer(root: &Spanned, context: &mut Context<'_>) -> Option<IdentityAnswerSettings> {
    let server = FILE.server.table(root);
    let table = SERVER.identity_answer.find(&server)?;
    let upstreams = FILE.upstreams.table(root);
    let upstream = IDENTITY_ANSWER.upstream.located(table);
    if IDENTITY_ANSWER.upstream.find(table).is_none() {
        let help = "upstream = \"NAME\" of the [upstreams.NAME] that knows who a client is";
        context.missing(table.at, "server.identity_answer names no upstream", help);
    }
    if IDENTITY_ANSWER.path.find(table).is_none() {
        let help = "path = \"/me\", which answers with the user of the credentials";
        context.missing(table.at, "server.identity_answer has no path", help);
    }
    let upstream = upstream?;
    let Some(index) = upstreams.tables().position(|(known, _)| known.value == upstream.value) else {
        unknown_upstream(&upstream, &upstreams, context);
        return None;
    };
    let credentials = IDENTITY_ANSWER.credentials.read(table);
    if credentials.is_empty() {
        let help = "credentials = [\"Authorization\"], the headers that your upstream checks";
        context.diagnostics.error(table.at, "server.identity_answer sends no credentials", help);
    }
    Some(IdentityAnswerSettings {
        upstream: index,
        path: IDENTITY_ANSWER.path.located(table)?,
        credentials,
        ttl: IDENTITY_ANSWER.ttl.read(table),
    })
}

/// Reports a header of the upstream that replaces the client's credentials: all clients would have one name.
pub(super) fn check_answer(
    answer: Option<&IdentityAnswerSettings>,
    upstreams: &[UpstreamSettings],
    context: &mut Context<'_>,
) {
    let Some((answer, upstream)) = answer.and_then(|answer| Some((answer, upstreams.get(answer.upstream)?))) else {
        return;
    };
    for (name, _) in upstream.headers.iter().filter(|(name, _)| answer.credentials.contains(name)) {
        let message = format!("upstreams.{} replaces {name} of clients, so all clients get one answer", upstream.name);
        let help = "leave the header out of `credentials`, and list those that the upstream checks";
        context.diagnostics.error(answer.path.at, message, help);
    }
}

/// Reports parameters of `identity` that aren't private: links would show them.
pub(super) fn check_parameters(
    words: &[IdentityWord],
    list: &ListSettings,
    route: &Spanned,
    context: &mut Context<'_>,
) {
    for text in ROUTE.identity.read(route) {
        let Some(IdentityWord::Parameter(name)) = IdentityWord::read(&text.value) else { continue };
        if words.iter().any(|word| matches!(word, IdentityWord::Parameter(known) if *known == name))
            && !list.parameters.private.contains(&name)
        {
            let message = format!("{name} identifies clients, and appears in links of pages");
            let help = format!("parameters = {{ private = [\"{name}\"] }} keeps it out of links and cursors");
            context.diagnostics.error(text.at, message, help);
        }
    }
}

/// Warns of routes of one upstream that identify their clients by different means, because a client of both is then two
/// clients.
pub(super) fn compare(routes: &[RouteSettings], upstreams: &[UpstreamSettings], context: &mut Context<'_>) {
    for (index, upstream) in upstreams.iter().enumerate() {
        let mut of_upstream = routes.iter().filter(|route| route.upstream == index && !is_public(route));
        let Some(first) = of_upstream.next() else { continue };
        let Some(other) = of_upstream.find(|route| route.identity != first.identity) else { continue };
        let said = |route: &RouteSettings| match route.identity.as_slice() {
            [] => "`principal`".to_owned(),
            words => words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "),
        };
        let message = format!(
            "routes.{} identifies clients by {}, and routes.{} by {}",
            other.name.value,
            said(other),
            first.name.value,
            said(first)
        );
        let help =
            format!("a client of both is two clients: write one `identity` in [upstreams.{}.defaults]", upstream.name);
        context.diagnostics.warning(other.name.at, message, help);
    }
}

/// Returns whether all clients of a route see the same list, so nobody needs to be identified.
fn is_public(route: &RouteSettings) -> bool {
    route.identity.is_empty() && route.list.as_ref().is_none_or(|list| list.principal.is_empty())
}

/// Reads `server.tokens`, and the file with the keys; `None` without the table, or if the file can't be read, which is
/// reported.
pub(super) fn tokens(root: &Spanned, context: &mut Context<'_>) -> Option<TokenSettings> {
    let server = FILE.server.table(root);
    let table = SERVER.tokens.find(&server)?;
    let Some(file) = TOKENS.keys.located(table) else {
        if TOKENS.keys.find(table).is_none() {
            context.missing(table.at, "server.tokens names no keys", "keys = \"/etc/cursorgate/jwks.json\"");
        }
        return None;
    };
    let keys = match context.file(&file.value, file.at) {
        Ok(keys) => keys,
        Err((message, help)) => {
            context.diagnostics.error(file.at, message, help);
            return None;
        }
    };
    Some(TokenSettings {
        file: Located { value: file.value, at: file.at },
        keys,
        issuer: TOKENS.issuer.read(table),
        audience: TOKENS.audience.read(table).into_iter().map(|audience| audience.value).collect(),
        algorithms: TOKENS.algorithms.read(table),
        leeway: TOKENS.leeway.read(table),
    })
}
