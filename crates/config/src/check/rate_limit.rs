//! The check of `rate_limit` of a route, and of the limits and brownouts of its legacy requests.

use std::time::Duration;

use super::{Context, principal};
use crate::{
    diagnostic::Located,
    key::Key,
    keys::{BROWNOUT, BrownoutAnswer, LEGACY, LEGACY_RATE_LIMIT, RATE_LIMIT, ROUTE},
    settings::{BrownoutEffect, BrownoutSettings, Budgets, CountedBy, OldClients, QuotaSettings, RateLimitSettings},
    spanned::Spanned,
    syntax,
};

/// Reads `rate_limit` of a merged route.
pub(super) fn rate_limit(root: &Spanned, route: &Spanned, context: &mut Context<'_>) -> RateLimitSettings {
    let table = ROUTE.rate_limit.table(route);
    let (per, key) = (RATE_LIMIT.per.read(&table), RATE_LIMIT.key.read(&table));
    let requests = RATE_LIMIT.requests.read(&table);
    let upstream_requests = RATE_LIMIT.upstream_requests.located(&table);
    if let (None, Some(burst)) = (RATE_LIMIT.requests.find(&table), RATE_LIMIT.burst.find(&table)) {
        context.missing(burst.at, "`burst` needs `requests`", "requests = 100, or remove `burst`");
    }
    // A table without limits is allowed if `legacy` has limits or brownouts, because its `key` identifies clients for
    // these.
    let limits_legacy = ROUTE
        .legacy
        .find(route)
        .is_some_and(|legacy| LEGACY.rate_limit.find(legacy).is_some() || LEGACY.brownouts.find(legacy).is_some());
    let is_empty = RATE_LIMIT.requests.find(&table).is_none() && RATE_LIMIT.upstream_requests.find(&table).is_none();
    if let Some(written) = ROUTE.rate_limit.find(route).filter(|_| is_empty && !limits_legacy) {
        context.missing(written.at, "`rate_limit` limits nothing", "requests = 100, or upstream_requests = 500");
    }
    RateLimitSettings {
        requests: requests.and_then(|requests| quota(requests, per, RATE_LIMIT.burst.located(&table), context)),
        upstream_requests: upstream_requests.map(|most| {
            let quota = QuotaSettings { requests: most.value, per, burst: most.value };
            Located { value: quota, at: most.at }
        }),
        by_identity: key == CountedBy::Principal,
        clients: match key {
            CountedBy::Header(name) => vec![name],
            CountedBy::Address => Vec::new(),
            CountedBy::Principal => principal::read(root, route),
        },
    }
}

/// Warns if a single page can exceed the limit of upstream requests.
pub(super) fn check_cost(limits: &RateLimitSettings, budgets: Budgets, context: &mut Context<'_>) {
    let (most, Some(limit)) = (budgets.search_requests, &limits.upstream_requests) else { return };
    let allowed = limit.value.requests;
    // The requests of a page are counted after it is made, so a page can exceed the limit. Test:
    // `check_tells_of_limits_that_a_page_exceeds`.
    if allowed < most {
        let message =
            format!("a page may take up to {most} upstream requests, and rate_limit.upstream_requests is {allowed}");
        let help = format!(
            "after such a page its client waits for longer than `per`; write at least {most}, or lower budgets.search_requests"
        );
        context.diagnostics.warning(limit.at, message, help);
    }
}

/// Returns the limit with its burst, by default as many requests as are allowed. Returns `None` for a limit of 0 requests.
fn quota(
    requests: u32,
    per: Duration,
    burst: Option<Located<u32>>,
    context: &mut Context<'_>,
) -> Option<QuotaSettings> {
    // 0 is out of the range of the key, which has been reported, and no burst fits into it. Test:
    // `a_limit_of_no_requests_is_out_of_range`.
    if requests == 0 {
        return None;
    }
    if let Some(burst) = burst.as_ref().filter(|burst| burst.value > requests) {
        let message = format!("`burst` is {}, and `requests` {requests}", burst.value);
        context.diagnostics.error(burst.at, message, format!("write at most {requests}, or remove `burst`"));
    }
    Some(QuotaSettings { requests, per, burst: burst.map_or(requests, |burst| burst.value.clamp(1, requests)) })
}

/// Reads `legacy.rate_limit` of a route. `legacy` is its table `legacy`.
pub(super) fn of_legacy(legacy: &Spanned, context: &mut Context<'_>) -> Option<QuotaSettings> {
    let table = LEGACY.rate_limit.find(legacy)?;
    let per = LEGACY_RATE_LIMIT.per.read(table);
    if LEGACY_RATE_LIMIT.requests.find(table).is_none() {
        context.missing(table.at, "`legacy.rate_limit` has no number of requests", "requests = 20");
    }
    let requests = LEGACY_RATE_LIMIT.requests.read(table)?;
    quota(requests, per, LEGACY_RATE_LIMIT.burst.located(table), context)
}

/// Reads `legacy.brownouts` of a route, sorted by their beginnings. Reports brownouts that overlap, and brownouts of a
/// route that refuses all legacy requests anyway.
pub(super) fn brownouts(legacy: &Spanned, old_clients: OldClients, context: &mut Context<'_>) -> Vec<BrownoutSettings> {
    let mut brownouts: Vec<Located<BrownoutSettings>> = Vec::new();
    for written in LEGACY.brownouts.or_empty(legacy) {
        let Some(brownout) = brownout(&written, context) else { continue };
        let meets =
            |other: &&Located<BrownoutSettings>| other.value.from < brownout.until && brownout.from < other.value.until;
        if let Some(other) = brownouts.iter().find(meets) {
            let place = context.diagnostics.place_seen_from(other.at, written.at);
            let help = format!("the other one is in {place}: one answer holds at a time");
            context.diagnostics.error(written.at, "two brownouts overlap", help);
        }
        brownouts.push(Located { value: brownout, at: written.at });
    }
    if let Some(first) = brownouts.first()
        // Where every legacy request is refused anyway, brownouts have no effect.
        && matches!(old_clients, OldClients::Reject | OldClients::None)
    {
        let help = "old_clients = \"pass\", \"translate\" or \"redirect\"; or remove `brownouts`";
        context.diagnostics.error(first.at, "legacy requests are refused at all times", help);
    }
    brownouts.sort_by_key(|brownout| brownout.value.from);
    brownouts.into_iter().map(|brownout| brownout.value).collect()
}

fn brownout(written: &Spanned, context: &mut Context<'_>) -> Option<BrownoutSettings> {
    let mut moment = |key: &Key<String>, name: &str| {
        if key.find(written).is_none() {
            context.missing(
                written.at,
                format!("a brownout has no `{name}`"),
                format!("{name} = \"2036-11-02T08:00:00Z\""),
            );
        }
        syntax::read_moment(&key.read(written)?)
    };
    let (from, until) = (moment(&BROWNOUT.from, "from"), moment(&BROWNOUT.until, "until"));
    let (from, until) = (from?, until?);
    if until <= from {
        let at = BROWNOUT.until.find(written).map_or(written.at, |until| until.at);
        context.diagnostics.error(at, "the brownout ends before it begins", "`until` is the time of its end");
        return None;
    }
    let (requests, per) = (BROWNOUT.requests.read(written), BROWNOUT.per.read(written));
    let limits = BROWNOUT.requests.find(written).or_else(|| BROWNOUT.per.find(written));
    let effect = match (BROWNOUT.answer.read(written), requests) {
        (BrownoutAnswer::Reject, _) => {
            if let Some(limits) = limits {
                let help = "remove this, or write answer = \"limit\"";
                context.diagnostics.error(limits.at, "a brownout that rejects has no limit", help);
            }
            BrownoutEffect::Reject
        }
        (BrownoutAnswer::Limit, 0) => BrownoutEffect::Pause,
        (BrownoutAnswer::Limit, requests) => BrownoutEffect::Slow(QuotaSettings { requests, per, burst: requests }),
    };
    Some(BrownoutSettings { from, until, effect })
}

#[cfg(test)]
mod tests {
    use crate::{Diagnostics, ProcessEnvironment, WithoutSecrets, load_text, settings::Settings};

    /// Loads a configuration whose only route has these keys.
    fn loaded(keys: &str) -> (Settings, Diagnostics) {
        let text = format!(
            "version = 1\ncursor = {{ signing_key = 1, keys = {{ 1 = \"env:KEY\" }} }}\n\
             server = {{ client_subject = \"X-Client-Subject\", forwarded_headers = [\"X-Client-Subject\"] }}\n\
             upstreams.people = {{ peers = [\"127.0.0.1:1\"] }}\n\
             [routes.users]\nold_clients = \"none\"\npath = \"/users\"\nupstream = \"people\"\ndialect = \"page-limit\"\norder = [\"id\"]\n\
             {keys}\n"
        );
        let (settings, diagnostics) = load_text("a.toml", &text, &WithoutSecrets(&ProcessEnvironment::default()));
        (settings.expect("settings"), diagnostics)
    }

    #[test]
    fn a_limit_of_no_requests_is_out_of_range() {
        for keys in
            ["rate_limit = { requests = 0, burst = 5 }", "legacy = { rate_limit = { requests = 0, burst = 5 } }"]
        {
            let (_, diagnostics) = loaded(keys);
            let messages: Vec<&str> = diagnostics.iter().map(|fault| fault.message.as_str()).collect();
            assert!(messages.contains(&"0 is out of range"), "{keys}: {messages:?}");
            assert!(!messages.iter().any(|message| message.contains("burst")), "{keys}: {messages:?}");
        }
    }

    #[test]
    fn limits_identify_clients_by_certificate_unless_a_principal_is_set() {
        for (principal, expected) in [("", true), ("principal = [\"X-Api-Key\"]\n", false)] {
            let keys = format!("{principal}rate_limit = {{ requests = 5 }}\nconcurrency = {{ per_client = 5 }}");
            let (settings, _) = loaded(&keys);
            let route = &settings.routes[0];
            let concurrency = route.concurrency.as_ref().expect("a limit");
            for names in [&route.rate_limit.clients, &concurrency.principal] {
                assert_eq!(names.iter().any(|name| name == "x-client-subject"), expected, "{principal}{names:?}");
            }
        }
    }
}
