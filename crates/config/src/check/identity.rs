//! The check of `identity` of routes and services, and of `server.tokens` and `server.identity_answer`.

use http::HeaderName;

use super::{Context, upstream};
use crate::{
    diagnostic::Located,
    key::TableSettings as _,
    keys::{FILE, IDENTITY_ANSWER, ROUTE, SERVER, TOKENS, WEBHOOK_CLIENTS},
    outgoing::{EndpointHost, EndpointUrl},
    settings::{
        IdentityAnswerSettings, IdentityWord, ListSettings, RouteSettings, TokenKeySource, TokenKeyUrl, TokenSettings,
        UpstreamSettings,
    },
    spanned::{Spanned, Value},
};

/// The name of the upstream of `server.tokens.keys`, which no `[upstreams.NAME]` has.
const URL_OF_KEYS: &str = "server.tokens";

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
    let settings = IdentityAnswerSettings::read(table);
    let help = "upstream = \"NAME\" of the [upstreams.NAME] that knows who a client is";
    let message = "server.identity_answer names no upstream";
    let upstream = context.required(&IDENTITY_ANSWER.upstream, table, message, help);
    let help = "path = \"/me\", which answers with the user of the credentials";
    let path = context.required(&IDENTITY_ANSWER.path, table, "server.identity_answer has no path", help);
    let upstream = context.upstream(&upstream?, root)?;
    if settings.credentials.is_empty() {
        let help = "credentials = [\"Authorization\"], the headers that your upstream checks";
        context.diagnostics.error(table.at, "server.identity_answer sends no credentials", help);
    }
    Some(IdentityAnswerSettings { upstream, path: path?, ..settings })
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
/// clients. Each upstream has one warning, which names all its routes but those of a large majority.
pub(super) fn compare(routes: &[RouteSettings], upstreams: &[UpstreamSettings], context: &mut Context<'_>) {
    for (index, upstream) in upstreams.iter().enumerate() {
        let mut means: Vec<SharedMeans<'_>> = Vec::new();
        for route in routes.iter().filter(|route| route.upstream == index && !is_public(route)) {
            let (words, headers) = (route.identity.as_slice(), principal(route));
            match means.iter_mut().find(|known| known.words == words && known.headers == headers) {
                Some(known) => known.routes.push(route),
                None => means.push(SharedMeans { words, headers, routes: vec![route] }),
            }
        }
        let most = means.iter().map(|known| known.routes.len()).max().unwrap_or_default();
        let Some(at) = means.iter().position(|known| known.routes.len() == most) else { continue };
        let majority = means.remove(at);
        let Some(first) = means.first().map(|known| known.routes[0]) else { continue };
        let has_one_principal = means.iter().chain([&majority]).filter(|known| known.words.is_empty()).count() == 1;
        let others = if most > NAMED { format!("the {most} others") } else { majority.names() };
        let said: Vec<String> = means
            .iter()
            .map(|known| format!("{} by {}", known.names(), known.means(has_one_principal)))
            .chain([format!("{others} by {}", majority.means(has_one_principal))])
            .collect();
        let message =
            format!("routes of upstreams.{} identify clients by different means: {}", upstream.name, said.join("; "));
        let key = if means.iter().all(|known| known.words == majority.words) { "principal" } else { "identity" };
        let help = format!(
            "a client of two of them is two clients: write one `{key}` in [upstreams.{}.defaults]",
            upstream.name
        );
        context.diagnostics.warning(first.name.at, message, help);
    }
}

/// The largest number of routes with the means of the majority that a warning names one by one.
const NAMED: usize = 3;

/// Routes of one upstream that identify their clients by the same means.
struct SharedMeans<'r> {
    words: &'r [IdentityWord],
    /// The headers that identify clients, sorted; empty if `words` do.
    headers: Vec<&'r str>,
    /// At least one route.
    routes: Vec<&'r RouteSettings>,
}

impl SharedMeans<'_> {
    fn names(&self) -> String {
        let names: Vec<String> = self.routes.iter().map(|route| format!("routes.{}", route.name.value)).collect();
        listed(&names)
    }

    /// Returns the means in words. `has_one_principal` tells whether no other routes identify clients by headers of
    /// `principal`, so that these needn't be listed.
    fn means(&self, has_one_principal: bool) -> String {
        match self.words {
            [] if has_one_principal => "`principal`".to_owned(),
            [] => listed(&self.headers),
            words => listed(&words.iter().map(ToString::to_string).collect::<Vec<_>>()),
        }
    }
}

/// Returns the words as "a", "a and b" or "a, b and c".
fn listed(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => words.concat(),
    }
}

/// Returns the headers that identify the clients of a route, sorted; none if `identity` does.
fn principal(route: &RouteSettings) -> Vec<&str> {
    let list = route.list.as_ref().filter(|_| route.identity.is_empty());
    let mut names: Vec<&str> = list.into_iter().flat_map(|list| &list.principal).map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
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
    let help = "keys = \"/etc/cursorgate/jwks.json\"";
    let file = context.required(&TOKENS.keys, table, "server.tokens names no keys", help)?;
    let is_url = ["http://", "https://"].iter().any(|scheme| file.value.starts_with(scheme));
    let keys = if is_url { url_of_keys(&file, table, context)? } else { file_of_keys(&file, table, context)? };
    Some(TokenSettings { written: file, keys, ..TokenSettings::read(table) })
}

fn file_of_keys(file: &Located<String>, table: &Spanned, context: &mut Context<'_>) -> Option<TokenKeySource> {
    let of_url = [TOKENS.ca.find(table), TOKENS.refresh.find(table), TOKENS.keep.find(table)];
    // The reference has the defaults of all keys.
    let is_default = |key: &&Spanned| {
        let defaults =
            [TOKENS.refresh.read(table) == TOKENS.refresh.default(), TOKENS.keep.read(table) == TOKENS.keep.default()];
        defaults == [true; 2] && TOKENS.ca.find(table).is_none_or(|ca| ca.at != key.at)
    };
    if let Some(key) = of_url.into_iter().flatten().find(|key| !is_default(key)) {
        context.diagnostics.warning(key.at, "this has no effect on a file", "remove it, or write a URL in `keys`");
    }
    match context.file(&file.value, file.at) {
        Ok(keys) => Some(TokenKeySource::File(keys)),
        Err((message, help)) => {
            context.diagnostics.error(file.at, message, help);
            None
        }
    }
}

/// Reads the URL of keys as an upstream of its own, which has the defaults of all other keys.
fn url_of_keys(written: &Located<String>, table: &Spanned, context: &mut Context<'_>) -> Option<TokenKeySource> {
    let url = match EndpointUrl::parse(&written.value) {
        Ok(url) => url,
        Err(help) => {
            context.diagnostics.error(written.at, "this is not a URL of keys", help);
            return None;
        }
    };
    let is_loopback = match &url.host {
        EndpointHost::Address(address) => address.is_loopback(),
        EndpointHost::Name(name) => name == "localhost",
    };
    // Whoever can change the keys can be every client.
    if !url.is_secure && !is_loopback {
        context.diagnostics.error(written.at, "keys from another machine need TLS", "write https://");
        return None;
    }
    let at = written.at;
    let text = |value: String| Spanned { value: Value::Text(value), at };
    let member = |name: &str, value: Spanned| (Located { value: name.to_owned(), at }, value);
    let peer = text(format!("{}:{}", url.host, url.port));
    let mut members = vec![
        member("peers", Spanned { value: Value::List(vec![peer]), at }),
        member("host_header", text(url.authority())),
    ];
    if url.is_secure {
        let ca = TOKENS.ca.find(table).map(|ca| member("ca", ca.clone()));
        let name = member("server_name", text(url.host.to_string()));
        members.push(member("tls", Spanned { value: Value::Table([name].into_iter().chain(ca).collect()), at }));
    }
    let upstream = upstream::upstream(URL_OF_KEYS, &Spanned { value: Value::Table(members), at }, context);
    let (refresh, keep) = (TOKENS.refresh.read(table), TOKENS.keep.read(table));
    if keep < refresh {
        let place = TOKENS.keep.find(table).or_else(|| TOKENS.refresh.find(table)).map_or(at, |key| key.at);
        let help = "write at least a few times `refresh`, so that an issuer may be away for a while";
        context.diagnostics.error(place, "`keep` is shorter than `refresh`", help);
    }
    Some(TokenKeySource::Url(Box::new(TokenKeyUrl { upstream, target: url.target, refresh, keep })))
}
