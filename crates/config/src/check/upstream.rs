//! The check of `[upstreams]`.

use std::time::Duration;

use super::{Context, tls};
use crate::{
    diagnostic::Located,
    key::{Defaulted, NamedTexts},
    keys::{FILE, HEALTH_CHECK, PathCase, RETRIES, TIMEOUTS, UPSTREAM},
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
    let mut peers = UPSTREAM.peers.read(written).unwrap_or_default();
    let nothing = match UPSTREAM.peers.find(written) {
        None => Some(written.at),
        Some(list) => (list.value == Value::List(Vec::new())).then_some(list.at),
    };
    if let Some(at) = nothing {
        context.missing(at, format!("upstreams.{name} has no peers"), "peers = [\"host:port\"]");
    }
    let backups = UPSTREAM.backups.read(written).unwrap_or_default();
    let number = backups.len();
    peers.extend(backups);
    let weights = weights(written, &peers, context);
    let resolvers = UPSTREAM.resolvers.read(written).unwrap_or_default();
    let balance_headers = UPSTREAM.balance_headers.read(written);
    if let Some(headers) = UPSTREAM.balance_headers.find(written)
        && UPSTREAM.balance.read(written) != Balance::Hash
        // The default value isn't a fault together with another `balance`, because the reference file contains both.
        // Test: `the_reference_loads_without_a_diagnostic`.
        && balance_headers != UPSTREAM.balance_headers.default()
    {
        let help = "write balance = \"hash\", or remove this";
        context.diagnostics.warning(headers.at, "`balance_headers` has no effect with this `balance`", help);
    }
    UpstreamSettings {
        name: name.to_owned(),
        peers,
        backups: number,
        weights,
        slow_start: UPSTREAM.slow_start.read(written),
        resolvers: resolvers.iter().filter_map(|address| address.value.parse().ok()).collect(),
        balance: UPSTREAM.balance.read(written),
        balance_headers,
        health_check: UPSTREAM.health_check.find(written).and_then(|check| health_check(name, check, context)),
        eject_after: UPSTREAM.eject_after.read(written),
        retries: retries(written, context),
        host_header: UPSTREAM.host_header.read(written),
        base_path: UPSTREAM.base_path.read(written).unwrap_or_default().trim_end_matches('/').to_owned(),
        ignores_case: UPSTREAM.paths.read(written) == PathCase::Insensitive,
        tls: UPSTREAM.tls.find(written).map(|tls| tls::upstream(&format!("upstreams.{name}"), tls, context)),
        http2: UPSTREAM.http2.read(written),
        headers: headers(UPSTREAM.headers.read(written), "host_header", context),
        timeouts: timeouts(written, context),
        connections: UPSTREAM.connections.read(written),
        compression: UPSTREAM.compression.read(written),
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
    let interval = HEALTH_CHECK.interval.read(table);
    // If `interval` is shorter than the default timeout, the timeout is `interval`. A written timeout must not be
    // longer than `interval`.
    let timeout = HEALTH_CHECK.timeout.written(table).unwrap_or_else(|| HEALTH_CHECK.timeout.default().min(interval));
    if let Some(own) = HEALTH_CHECK.timeout.located(table).filter(|own| own.value > interval) {
        let help = "a check ends before the next one: raise `interval`, or lower this";
        context.diagnostics.error(own.at, "`timeout` is longer than `interval`", help);
    }
    let Some(path) = HEALTH_CHECK.path.read(table) else {
        context.missing(table.at, format!("upstreams.{name}.health_check has no path"), "path = \"/health\"");
        return None;
    };
    Some(HealthCheckSettings {
        path,
        interval,
        timeout,
        unhealthy_after: HEALTH_CHECK.unhealthy_after.read(table),
        healthy_after: HEALTH_CHECK.healthy_after.read(table),
    })
}

fn retries(written: &Spanned, context: &mut Context<'_>) -> RetrySettings {
    let table = UPSTREAM.retries.table(written);
    let longest_pause = RETRIES.longest_pause.read(&table);
    // If `longest_pause` is shorter than the default pause, the pause is `longest_pause`. A written pause must not be
    // longer than `longest_pause`.
    let pause = RETRIES.pause.written(&table).unwrap_or_else(|| RETRIES.pause.default().min(longest_pause));
    if let Some(own) = RETRIES.pause.located(&table).filter(|own| own.value > longest_pause) {
        let help = "raise `longest_pause`, or lower this";
        context.diagnostics.error(own.at, "`pause` is longer than `longest_pause`", help);
    }
    RetrySettings {
        most: RETRIES.most.read(&table),
        share: RETRIES.share.read(&table),
        pause,
        longest_pause,
        longest_retry_after: RETRIES.longest_retry_after.read(&table),
    }
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
    let mut within = |key: &Defaulted<Duration>| {
        let own = key.located(&table);
        if let (Some(own), Some(whole)) = (&own, whole)
            && own.value > whole
        {
            let help = "`whole` includes it: raise `whole`, or lower this";
            context.diagnostics.error(own.at, format!("`{}` is longer than `whole`", key.definition.name), help);
        }
        // The default of a part may be longer than `whole`. Test:
        // `the_nearer_default_wins_and_tables_merge_key_by_key`.
        own.map_or_else(|| whole.map_or_else(|| key.default(), |whole| whole.min(key.default())), |own| own.value)
    };
    let connect = within(&TIMEOUTS.connect);
    let first_byte = within(&TIMEOUTS.first_byte);
    // If `connect` or `first_byte` is longer than the default of `whole`, the longer one of them replaces that default.
    let least = connect.max(first_byte).max(TIMEOUTS.whole.default());
    // Who writes a limit for all requests wants no longer one for some of them.
    let is_bounded = whole.is_some() || TIMEOUTS.first_byte.written(&table).is_some();
    let usual = if is_bounded { first_byte } else { TIMEOUTS.forwarded.default() };
    let forwarded = TIMEOUTS.forwarded.written(&table).unwrap_or(usual);
    Timeouts { connect, first_byte, forwarded, whole: whole.unwrap_or(least) }
}
