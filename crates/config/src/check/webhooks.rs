//! The check of `[services.webhooks]`.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::HeaderName;

use super::{Context, identity, keyring, services::DurableService, tls, upstream};
use crate::{
    diagnostic::Located,
    key::{Key, TableSettings as _, Word as _},
    keys::{
        FILE, ROUTE, SERVER, TOKENS, WEBHOOK_CLIENTS, WEBHOOK_EMIT, WEBHOOK_ENDPOINT, WEBHOOK_TYPE, WEBHOOK_WATCH,
        WEBHOOKS,
    },
    outgoing::{EndpointUrl, OutgoingRules},
    secret::Secret,
    settings::{
        EmitAnswerSettings, EmitRequestSettings, EmitSettings, EndpointFilter, EndpointPace, EventSchema, EventType,
        FilterFault, IdentityWord, OwnEventType, RouteSettings, WatchSettings, WebhookClientSettings,
        WebhookEndpointSettings, WebhookSettings,
    },
    spanned::Spanned,
    syntax,
};

/// The only permitted port of endpoints if `ports` isn't set.
const USUAL_PORT: u16 = 443;

/// The permitted lengths of a decoded secret, in bytes
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>, section "Signature
/// scheme").
const SECRET_LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The smallest length of a token, in bytes.
const SHORTEST_TOKEN: usize = 32;

pub(super) fn webhooks(
    written: &Spanned,
    root: &Spanned,
    routes: &[RouteSettings],
    context: &mut Context<'_>,
) -> Option<WebhookSettings> {
    if FILE.cursor.find(root).is_none() {
        let help = "add [cursor] with keys: they seal the secrets of endpoints";
        context.missing(written.at, "services.webhooks needs the keys of cursors", help);
    }
    let rules = rules(written, context);
    let pace = EndpointPace { at_once: WEBHOOKS.at_once.read(written), per_second: WEBHOOKS.per_second.read(written) };
    let types = WEBHOOKS.types.table(written);
    let types: Vec<_> = types.tables().filter_map(|(name, written)| own_type(name, written, context)).collect();
    let emit = WEBHOOKS.emit.find(written).and_then(|written| emit(written, root, context));
    let endpoints = WEBHOOKS.endpoints.table(written);
    let endpoints: Vec<_> =
        endpoints.tables().filter_map(|(name, written)| endpoint(name, written, &rules, pace, context)).collect();
    let clients = WEBHOOKS.clients.find(written).and_then(|written| clients(written, root, routes, context));
    if clients.is_none() && WEBHOOKS.clients.find(written).is_none() && WEBHOOKS.endpoints.find(written).is_none() {
        let help = "add [services.webhooks.endpoints.NAME], or [services.webhooks.clients]";
        context.diagnostics.warning(
            written.at,
            "services.webhooks has no endpoint, and no client can register one",
            help,
        );
    }
    let watches = WEBHOOKS.watches.table(written);
    let watches: Vec<_> = watches.tables().filter_map(|(name, written)| watch(name, written, context)).collect();
    check_types(written, &types, context);
    check_told(written, &endpoints, clients.as_ref(), context);
    if let Some(clients) = clients.as_ref().filter(|_| emit.is_some()) {
        check_issuer(written, root, &types, clients, context);
    }
    let service = DurableService {
        name: "services.webhooks",
        content: "endpoints and deliveries",
        directory: &WEBHOOKS.directory,
        postgres: &WEBHOOKS.postgres,
    };
    Some(WebhookSettings {
        store: service.store(written, context)?,
        rules,
        pace,
        ca: WEBHOOKS.ca.located(written).map(|ca| tls::opened(&ca, context)),
        endpoints,
        types,
        emit,
        watches,
        clients,
        ..WebhookSettings::read(written)
    })
}

fn own_type(name: &Located<String>, written: &Spanned, context: &mut Context<'_>) -> Option<OwnEventType> {
    context.check_name(name);
    let of = format!("services.webhooks.types.{}", name.value);
    let kind = context.required(&WEBHOOK_TYPE.kind, written, format!("{of} has no type"), "type = \"order.paid\"");
    let help = "schema = \"schemas/order.paid.json\"";
    let schema = context.required(&WEBHOOK_TYPE.schema, written, format!("{of} has no schema"), help);
    let (kind, schema) = (kind?, schema?);
    if EventType::WORDS.iter().any(|known| known.word == kind.value) {
        let message = format!("{} is a type of the gateway itself", kind.value);
        context.diagnostics.error(kind.at, message, "name another type");
    }
    let text = match schema.value.trim_start().starts_with('{') {
        true => Ok(schema.value.clone().into_bytes()),
        false => context.file(&schema.value, schema.at),
    };
    let compiled = text.and_then(|text| {
        let wrong =
            |fault| (format!("this is not a JSON Schema: {fault}"), "write a schema of json-schema.org".to_owned());
        EventSchema::compile(&text).map_err(wrong)
    });
    match compiled {
        Ok(schema) => Some(OwnEventType { kind: kind.value, version: WEBHOOK_TYPE.version.read(written), schema }),
        Err((message, help)) => {
            context.diagnostics.error(schema.at, message, help);
            None
        }
    }
}

fn emit(written: &Spanned, root: &Spanned, context: &mut Context<'_>) -> Option<EmitSettings> {
    let routes = WEBHOOK_EMIT.routes.read(written).unwrap_or_default();
    if WEBHOOK_EMIT.token.find(written).is_none() && routes.is_empty() {
        let help = "token = \"env:EMIT_TOKEN\", or routes = [\"NAME\"]";
        context.missing(written.at, "services.webhooks.emit has neither a token nor routes", help);
        return None;
    }
    let tables = FILE.routes.table(root);
    for name in &routes {
        if !tables.members().iter().any(|(known, _)| known.value == name.value) {
            let message = format!("there is no route {}", name.value);
            context.diagnostics.error(name.at, message, "write the NAME of [routes.NAME]");
        }
    }
    let header = HeaderName::from_bytes(WEBHOOK_EMIT.header.read(written).as_bytes()).ok()?;
    let routes: Vec<String> = routes.into_iter().map(|name| name.value).collect();
    let answers = (!routes.is_empty()).then_some(EmitAnswerSettings { header, routes });
    let requests = match WEBHOOK_EMIT.token.located(written) {
        Some(reference) => Some(emit_requests(written, &reference, context)?),
        None => None,
    };
    Some(EmitSettings { requests, answers })
}

fn emit_requests(
    written: &Spanned,
    reference: &Located<String>,
    context: &mut Context<'_>,
) -> Option<EmitRequestSettings> {
    let help = "token = \"env:EMIT_TOKEN\", with at least 32 characters";
    let token = context.secret(reference, &format!("; {help}"))?;
    if token.reveal().len() < SHORTEST_TOKEN || keyring::is_guessable(token.reveal()) {
        context.diagnostics.error(reference.at, "this token is too short, or it can be guessed", help);
        return None;
    }
    Some(EmitRequestSettings { path: WEBHOOK_EMIT.path.read(written), token })
}

/// Reports types of events that endpoints or clients name and nobody declares, and types that are declared twice.
fn check_types(written: &Spanned, types: &[OwnEventType], context: &mut Context<'_>) {
    let endpoints = WEBHOOKS.endpoints.table(written);
    let mut named: Vec<Located<String>> = Vec::new();
    for (_, endpoint) in endpoints.tables() {
        named.extend(WEBHOOK_ENDPOINT.events.or_empty(endpoint));
    }
    if let Some(clients) = WEBHOOKS.clients.find(written) {
        named.extend(WEBHOOK_CLIENTS.events.located(clients).map(|events| events.value).unwrap_or_default());
    }
    // A type with faults is missing from `types`. Its faults have been reported.
    let declared = WEBHOOKS.types.table(written);
    let declared: Vec<_> = declared.tables().filter_map(|(_, table)| WEBHOOK_TYPE.kind.read(table)).collect();
    let own = declared.iter().map(|kind| kind.value.as_str());
    let known: Vec<&str> = EventType::WORDS.iter().map(|known| known.word).chain(own).collect();
    for event in named.iter().filter(|event| !known.contains(&event.value.as_str()) && context.whole) {
        let message = format!("there is no type of events {:?}", event.value);
        context.diagnostics.error(event.at, message, format!("types: {}", known.join(", ")));
    }
    for (place, own) in types.iter().enumerate() {
        if types[..place].iter().any(|other| other.kind == own.kind) {
            let message = format!("the type {} is declared twice", own.kind);
            context.diagnostics.error(written.at, message, "remove one of [services.webhooks.types]");
        }
    }
}

/// Warns of watches if no endpoint gets their event, `collection.changed`.
fn check_told(
    written: &Spanned,
    endpoints: &[WebhookEndpointSettings],
    clients: Option<&WebhookClientSettings>,
    context: &mut Context<'_>,
) {
    let tells = |events: &[String]| events.iter().any(|event| event == EventType::CollectionChanged.word());
    let is_told = endpoints.iter().any(|endpoint| tells(&endpoint.events))
        || clients.is_some_and(|clients| tells(&clients.events));
    if let Some(watches) = WEBHOOKS.watches.find(written).filter(|_| !is_told) {
        let help = "add \"collection.changed\" to the events of an endpoint";
        context.diagnostics.warning(watches.at, "no endpoint asks for what is watched", help);
    }
}

/// Warns of tokens without a configured issuer if services emit events: none of these can then be for a single client.
fn check_issuer(
    written: &Spanned,
    root: &Spanned,
    types: &[OwnEventType],
    clients: &WebhookClientSettings,
    context: &mut Context<'_>,
) {
    let server = FILE.server.table(root);
    // Tokens without their table have been reported.
    let Some(tokens) = SERVER.tokens.find(&server).filter(|tokens| TOKENS.issuer.find(tokens).is_none()) else {
        return;
    };
    let is_emitted = types.iter().any(|own| clients.events.contains(&own.kind));
    if is_emitted && matches!(clients.identity.first(), Some(IdentityWord::Claim(_))) {
        let message = "no event of services.webhooks.types can be for a single client by jwt: without \
                       server.tokens.issuer: an event with `client` is refused";
        let help = "issuer = \"https://login.example.com\", because two issuers can give two clients the same name";
        let at = WEBHOOKS.clients.find(written).map_or(tokens.at, |clients| clients.at);
        context.diagnostics.warning(at, message, help);
    }
}

fn watch(name: &Located<String>, written: &Spanned, context: &mut Context<'_>) -> Option<WatchSettings> {
    context.check_name(name);
    let message = format!("services.webhooks.watches.{} has no path", name.value);
    let path = context.required(&WEBHOOK_WATCH.path, written, message, "path = \"/users?status=open&limit=50\"");
    let headers = upstream::headers(WEBHOOK_WATCH.headers.read(written), "host", context);
    Some(WatchSettings { name: name.value.clone(), path: path?, headers, ..WatchSettings::read(written) })
}

fn rules(written: &Spanned, context: &mut Context<'_>) -> OutgoingRules {
    let ports = WEBHOOKS.ports.read(written);
    let ports = ports.map(|ports| ports.into_iter().filter_map(|port| u16::try_from(port).ok()).collect());
    let mut networks = Vec::new();
    for text in WEBHOOKS.networks.read(written) {
        if text.value == "unix" {
            let help = "write a network such as \"10.1.2.0/24\"";
            context.diagnostics.error(text.at, "webhooks can't go to a unix socket", help);
            continue;
        }
        // A text that isn't a network has been reported by the schema.
        let Some(network) = syntax::read_network(&text.value) else { continue };
        if network.prefix == 0 {
            let message =
                format!("{:?} permits every address, also those of this machine and of its cloud", text.value);
            context.diagnostics.warning(text.at, message, "name only the networks of the receivers");
        }
        networks.push(network);
    }
    OutgoingRules { http: WEBHOOKS.http.read(written), ports: ports.unwrap_or_else(|| vec![USUAL_PORT]), networks }
}

fn endpoint(
    name: &Located<String>,
    written: &Spanned,
    rules: &OutgoingRules,
    pace: EndpointPace,
    context: &mut Context<'_>,
) -> Option<WebhookEndpointSettings> {
    context.check_name(name);
    let of = format!("services.webhooks.endpoints.{}", name.value);
    let help = "url = \"https://hooks.example.com/cursorgate\"";
    let url = context.required(&WEBHOOK_ENDPOINT.url, written, format!("{of} has no url"), help);
    let help = "events = [\"export.failed\"]";
    let events = context.required(&WEBHOOK_ENDPOINT.events, written, format!("{of} has no events"), help);
    context.required(&WEBHOOK_ENDPOINT.secret, written, format!("{of} has no secret"), "secret = \"env:NAME\"");
    let url = url.and_then(|text| {
        let read = EndpointUrl::parse(&text.value);
        let help = "`http`, `ports` and `networks` of services.webhooks say what is permitted";
        match read {
            Ok(url) => match rules.refusal(&url) {
                None => return Some(url),
                Some(reason) => {
                    context.diagnostics.error(text.at, format!("no event can go to this URL: {reason}"), help);
                }
            },
            Err(help) => {
                context.diagnostics.error(text.at, format!("{:?} is not the URL of an endpoint", text.value), help);
            }
        }
        None
    });
    if events.as_ref().is_some_and(Vec::is_empty) {
        context.diagnostics.warning(written.at, format!("{of} has no events"), "events = [\"export.failed\"]");
    }
    let filter = WEBHOOK_ENDPOINT.filter.read(written).map(|tree| (tree.at, EndpointFilter::of(&tree.value)));
    let filter = filter.and_then(|(at, filter)| {
        let fault = |FilterFault { place, detail }| {
            context.diagnostics.error(at, format!("{of} has an invalid filter at {place}"), detail);
        };
        filter.map_err(fault).ok()
    });
    let keys = [&WEBHOOK_ENDPOINT.secret, &WEBHOOK_ENDPOINT.previous_secret];
    let secrets: Vec<Secret> = keys.iter().filter_map(|key| secret(key, written, context)).collect();
    Some(WebhookEndpointSettings {
        name: name.value.clone(),
        url: url?,
        events: events?.into_iter().map(|event| event.value).collect(),
        filter: filter.unwrap_or_default(),
        // Each event is signed, so an endpoint needs a secret.
        secrets: Some(secrets).filter(|secrets| !secrets.is_empty())?,
        pace: EndpointPace {
            at_once: WEBHOOK_ENDPOINT.at_once.read(written).unwrap_or(pace.at_once),
            per_second: WEBHOOK_ENDPOINT.per_second.read(written).unwrap_or(pace.per_second),
        },
    })
}

/// Reads and decodes the secret of a key. Returns `None` if the key isn't written. Also returns `None` for a secret
/// that can't be opened, has another form or can be guessed, and reports it.
fn secret(key: &Key<String>, written: &Spanned, context: &mut Context<'_>) -> Option<Secret> {
    let help =
        "write \"whsec_\" and 24 to 64 random bytes in base64: `echo whsec_$(openssl rand -base64 32)` makes one";
    let reference = key.located(written)?;
    let opened = context.secret(&reference, &format!("; {help}"))?;
    // Base64 occurs with and without its padding (`=`), so both forms are accepted.
    let padding = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = opened.reveal();
    let bytes = GeneralPurpose::new(&STANDARD, padding).decode(text.strip_prefix(b"whsec_").unwrap_or(text)).ok();
    match bytes.map(Secret::new) {
        Some(secret) if SECRET_LENGTHS.contains(&secret.reveal().len()) && !keyring::is_guessable(secret.reveal()) => {
            Some(secret)
        }
        _ => {
            context.diagnostics.error(reference.at, "this is not a secret of webhooks, or it can be guessed", help);
            None
        }
    }
}

fn clients(
    written: &Spanned,
    root: &Spanned,
    routes: &[RouteSettings],
    context: &mut Context<'_>,
) -> Option<WebhookClientSettings> {
    let path = WEBHOOK_CLIENTS.path.read(written);
    for route in routes {
        let own = route.path.value.trim_end_matches('/');
        // `/webhooks-old` isn't below `/webhooks`, so the rest of the path must be empty or begin with a slash.
        if own.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            let message = format!("requests for {path} and below go to services.webhooks, and not to this route");
            context.diagnostics.warning(route.path.at, message, "give services.webhooks.clients another path");
        }
    }
    let help = "authorize = \"/users?limit=1\", a path that only clients with rights can ask for";
    let message = "services.webhooks.clients does not say who may register endpoints";
    let authorize = context.required(&WEBHOOK_CLIENTS.authorize, written, message, help)?;
    Some(WebhookClientSettings {
        authorize,
        identity: identity::of_webhooks(root, written, context),
        impersonal: ROUTE.impersonal.read(&FILE.defaults.table(root)),
        events: WEBHOOK_CLIENTS.events.read(written).into_iter().map(|event| event.value).collect(),
        ..WebhookClientSettings::read(written)
    })
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use crate::{Environment, load_text};

    /// An environment with valid and invalid secrets. Each variable's name describes its secret.
    struct Secrets;

    impl Environment for Secrets {
        fn variable(&self, name: &str) -> Option<String> {
            let secret = match name {
                "GOOD" => "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "BARE" => "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "SHORT" => "whsec_C2FVsBQIhrscChlQ",
                "GUESSED" => "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                "TEXT" => "not base64 at all, whatever its length",
                _ => "nXwGm3k9Zp0sVb2Qe7LrTyUa5HdJf8Cx1oWiKvN4MgE",
            };
            Some(secret.to_owned())
        }

        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Returns the report on a configuration with these keys in `[services.webhooks]`, and with `cursor` as its
    /// `[cursor]`.
    fn said(keys: &str, cursor: &str) -> String {
        let text = format!(
            "version = 1\nlisteners.public = {{ address = \"127.0.0.1:0\" }}\n{cursor}\n\
             upstreams.people = {{ peers = [\"127.0.0.1:1\"] }}\n\
             routes.rest = {{ path = \"/webhooks/{{*rest}}\", upstream = \"people\", action = \"forward\" }}\n\
             [services.webhooks]\n{keys}\n"
        );
        load_text("a.toml", &text, &Secrets).1.render(false)
    }

    const CURSOR: &str = "cursor = { signing_key = 1, keys = { 1 = \"env:KEY\" } }";
    const DIRECTORY: &str = "directory = \"/d\"";

    fn endpoint(url: &str, secret: &str, keys: &str) -> String {
        format!(
            "{DIRECTORY}\n{keys}\n[services.webhooks.endpoints.audit]\nurl = {url:?}\nevents = [\"export.failed\"]\n\
             secret = \"env:{secret}\"\n"
        )
    }

    #[test]
    fn faults_of_webhooks_are_reported() {
        let good = |keys: &str| endpoint("https://a.example/", "GOOD", keys);
        let of_url = |url: &str| endpoint(url, "GOOD", "");
        let of_secret = |secret: &str| endpoint("https://a.example/", secret, "");
        for (keys, expected) in [
            (good(""), ""),
            (of_secret("BARE"), ""),
            (good("networks = [\"0.0.0.0/0\"]"), "permits every address"),
            (good("networks = [\"::/0\"]"), "permits every address"),
            (good("networks = [\"unix\"]"), "webhooks can't go to a unix socket"),
            (good("").replace(DIRECTORY, ""), "services.webhooks has no directory"),
            (DIRECTORY.to_owned(), "services.webhooks has no endpoint"),
            (of_url("http://a.example/"), "must begin with https://"),
            (of_url("https://a.example:8443/"), "the port 8443 is not permitted"),
            (of_url("https://127.0.0.1/"), "the address is not a public one"),
            (of_url("https://1.1.1.1/"), "an address has no name to compare with its certificate"),
            (of_url("https://user@a.example/"), "is not the URL of an endpoint"),
            (endpoint("http://127.0.0.1/", "GOOD", "http = true\nports = [80]\nnetworks = [\"127.0.0.1\"]"), ""),
            (of_secret("SHORT"), "this is not a secret of webhooks"),
            (of_secret("GUESSED"), "or it can be guessed"),
            (of_secret("TEXT"), "this is not a secret of webhooks"),
            (good("").replace("secret =", "previous_secret ="), "has no secret"),
            (good("attempts = 2"), "attempts"),
            (format!("{DIRECTORY}\n[services.webhooks.clients]\n"), "does not say who may register endpoints"),
            (good("[services.webhooks.watches.a]\npath = \"/webhooks/a\""), "no endpoint asks for what is watched"),
            (good("[services.webhooks.watches.a]\ninterval = \"1m\""), "services.webhooks.watches.a has no path"),
            (good("watches.a = { path = \"/a\", headers = { Host = \"env:A\" } }"), "is written by the gateway"),
            (good("watches.a = { path = \"/a\", interval = \"1ms\" }"), "interval"),
            (
                format!("{DIRECTORY}\n[services.webhooks.clients]\nauthorize = \"/users\"\n"),
                "requests for /webhooks and below go to services.webhooks",
            ),
        ] {
            let said = said(&keys, CURSOR);
            let is_silent = said.is_empty() || !said.contains("services.webhooks") && !said.contains("secret");
            assert!(
                if expected.is_empty() { is_silent } else { said.contains(expected) },
                "{keys}\n{expected}:\n{said}"
            );
        }
        assert!(said(&good(""), "").contains("needs the keys of cursors"));
    }
}
