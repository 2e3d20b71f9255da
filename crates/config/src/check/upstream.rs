//! The check of `[upstreams]`.

use std::time::Duration;

use super::{Context, tls};
use crate::{
    diagnostic::Located,
    key::{Defaulted, NamedTexts, TableSettings as _},
    keys::{FILE, HEALTH_CHECK, RETRIES, TIMEOUTS, UPSTREAM},
    secret::Secret,
    settings::{Balance, HealthCheckSettings, RetrySettings, Timeouts, UpstreamSettings},
    spanned::{Spanned, Value},
};

/// Headers that belong to the connection, or that the gateway itself writes. They are refused among the headers of the
/// configuration.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "content-encoding",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn upstreams(root: &Spanned, context: &mut Context<'_>) -> Vec<UpstreamSettings> {
    let table = FILE.upstreams.table(root);
    table.tables().map(|(name, written)| upstream(&name.value, written, context)).collect()
}

/// Reads an upstream.
pub(super) fn upstream(name: &str, written: &Spanned, context: &mut Context<'_>) -> UpstreamSettings {
    let mut peers = UPSTREAM.peers.or_empty(written);
    let nothing = match UPSTREAM.peers.find(written) {
        None => Some(written.at),
        Some(list) => (list.value == Value::List(Vec::new())).then_some(list.at),
    };
    if let Some(at) = nothing {
        context.missing(at, format!("upstreams.{name} has no peers"), "peers = [\"host:port\"]");
    }
    let backups = UPSTREAM.backups.or_empty(written);
    let number = backups.len();
    peers.extend(backups);
    let weights = weights(written, &peers, context);
    let settings = UpstreamSettings::read(written);
    if let Some(headers) = UPSTREAM.balance_headers.find(written)
        && settings.balance != Balance::Hash
        // The default value isn't a fault together with another `balance`, because the reference file contains both.
        // Test: `the_reference_loads_without_a_diagnostic`.
        && settings.balance_headers != UPSTREAM.balance_headers.default()
    {
        let help = "write balance = \"hash\", or remove this";
        context.diagnostics.warning(headers.at, "`balance_headers` has no effect with this `balance`", help);
    }
    UpstreamSettings {
        name: name.to_owned(),
        peers,
        backups: number,
        weights,
        health_check: UPSTREAM.health_check.find(written).and_then(|check| health_check(name, check, context)),
        retries: retries(written, context),
        tls: UPSTREAM.tls.find(written).map(|tls| tls::upstream(&format!("upstreams.{name}"), tls, context)),
        headers: headers(UPSTREAM.headers.read(written), "host_header", context),
        timeouts: timeouts(written, context),
        ..settings
    }
}

/// Reads the weight of each peer, and reports weights of peers that there aren't.
fn weights(written: &Spanned, peers: &[Located<String>], context: &mut Context<'_>) -> Vec<u32> {
    let table = UPSTREAM.weights.read(written);
    let named = table.iter().flat_map(Spanned::members);
    let mut weights = vec![1; peers.len()];
    for (name, weight) in named {
        let Some(weight) = weight.as_count() else { continue };
        let mut of_name = peers.iter().zip(&mut weights).filter(|(peer, _)| peer.value == name.value).peekable();
        if of_name.peek().is_none() {
            let message = format!("there is no peer {:?}", name.value);
            context.diagnostics.error(name.at, message, "write it as in `peers`");
        }
        of_name.for_each(|(_, own)| *own = weight);
    }
    weights
}

fn health_check(name: &str, table: &Spanned, context: &mut Context<'_>) -> Option<HealthCheckSettings> {
    let settings = HealthCheckSettings::read(table);
    let help = "a check ends before the next one: raise `interval`, or lower this";
    let timeout = within(&HEALTH_CHECK.timeout, table, "interval", settings.interval, help, context);
    let Some(path) = HEALTH_CHECK.path.read(table) else {
        context.missing(table.at, format!("upstreams.{name}.health_check has no path"), "path = \"/health\"");
        return None;
    };
    Some(HealthCheckSettings { path, timeout, ..settings })
}

fn retries(written: &Spanned, context: &mut Context<'_>) -> RetrySettings {
    let table = UPSTREAM.retries.table(written);
    let settings = RetrySettings::read(&table);
    let (most, help) = (settings.longest_pause, "raise `longest_pause`, or lower this");
    let pause = within(&RETRIES.pause, &table, "longest_pause", most, help, context);
    RetrySettings { pause, ..settings }
}

/// Reads a duration that another key bounds. Reports a longer one. A longer default isn't a fault, and becomes as long as
/// the bound. Test: `the_nearer_default_wins_and_tables_merge_key_by_key`.
fn within(
    key: &Defaulted<Duration>,
    table: &Spanned,
    bound: &str,
    most: Duration,
    help: &str,
    context: &mut Context<'_>,
) -> Duration {
    let own = key.located(table);
    if let Some(own) = own.as_ref().filter(|own| own.value > most) {
        let message = format!("`{}` is longer than `{bound}`", key.definition.name);
        context.diagnostics.error(own.at, message, help);
    }
    own.map_or_else(|| key.default().min(most), |own| own.value)
}

/// Reads the headers that the gateway adds to requests, and opens the references in their values. `host` is the key
/// that the help names in place of a header `Host`.
pub(super) fn headers(
    written: Option<NamedTexts>,
    host: &str,
    context: &mut Context<'_>,
) -> Vec<(http::HeaderName, Secret)> {
    let mut headers = Vec::new();
    for (name, value) in written.unwrap_or_default() {
        let Ok(header) = http::HeaderName::from_bytes(name.value.as_bytes()) else {
            let message = format!("{:?} is not a header", name.value);
            context.diagnostics.error(name.at, message, "write a name such as X-Api-Key");
            continue;
        };
        if RESERVED.contains(&header.as_str()) {
            let help = if header == "host" {
                format!("write {host} = \"…\"")
            } else {
                "remove it: it belongs to the connection".to_owned()
            };
            context.diagnostics.error(name.at, format!("the header `{}` is written by the gateway", name.value), help);
            continue;
        }
        // Names that differ by case are one header (RFC 9110, section 5.1), so the second one is refused.
        if headers.iter().any(|(known, _)| *known == header) {
            context.diagnostics.error(name.at, format!("duplicate header `{header}`"), "remove one of them");
            continue;
        }
        let Some(secret) = context.text(&value, "") else { continue };
        // A line end in a secret would begin another header (request splitting), so control characters are refused.
        if http::HeaderValue::from_bytes(secret.reveal()).is_err() {
            let message = format!("the value of `{}` is not a header value", name.value);
            context.diagnostics.error(value.at, message, "it has a line end or another control character");
            continue;
        }
        headers.push((header, secret));
    }
    headers
}

/// Reads `timeouts`. If a written `whole` is shorter than the default of `connect` or `first_byte`, it replaces that
/// default. A written `connect` or `first_byte` must not be longer than a written `whole`. Without a written `whole`,
/// the default of `whole` is raised to the longer of the two.
fn timeouts(written: &Spanned, context: &mut Context<'_>) -> Timeouts {
    let table = UPSTREAM.timeouts.table(written);
    let whole = TIMEOUTS.whole.written(&table);
    let most = whole.unwrap_or(Duration::MAX);
    let help = "`whole` includes it: raise `whole`, or lower this";
    let connect = within(&TIMEOUTS.connect, &table, "whole", most, help, context);
    let first_byte = within(&TIMEOUTS.first_byte, &table, "whole", most, help, context);
    // If `connect` or `first_byte` is longer than the default of `whole`, the longer one of them replaces that default.
    let least = connect.max(first_byte).max(TIMEOUTS.whole.default());
    // Who writes a limit for all requests wants no longer one for some of them.
    let is_bounded = whole.is_some() || TIMEOUTS.first_byte.written(&table).is_some();
    let usual = if is_bounded { first_byte } else { TIMEOUTS.forwarded.default() };
    let forwarded = TIMEOUTS.forwarded.written(&table).unwrap_or(usual);
    Timeouts { connect, first_byte, forwarded, whole: whole.unwrap_or(least) }
}
