//! `cursorgate check`: what a configuration means, for whoever wrote it.

use std::{fmt::Write as _, path::Path, time::Duration};

use super::{
    Failure, report,
    run::{Built, read},
};
use crate::{
    config::settings::{
        LegacyPolicy, LegacySettings, ListSettings, OverMax, Role, RouteSettings, Settings, SortTerm, TotalPolicy,
        Unmarked,
    },
    gateway::{self, clock, snapshot::Route},
    pagination::{
        order::{Direction, Order, Ties},
        paging::{Family, Paging, Sizes},
        resolver::WhenUnproven,
    },
};

const DAY: u64 = 86_400;

/// Prints what a configuration means, or everything that is wrong with it.
pub(super) fn run(path: &Path) -> Result<(), Failure> {
    let Built { settings, snapshot, warnings } = read(path)?;
    for listener in &settings.listeners {
        gateway::certificate(listener).map_err(|error| Failure::mistaken(error.to_string()))?;
    }
    let now = clock::unix_seconds();
    let mut text = String::new();
    for (route, compiled) in settings.routes.iter().zip(&snapshot.routes) {
        describe(&mut text, &settings, route, compiled, now);
    }
    let routes = report::count(settings.routes.len(), "route");
    let _ = writeln!(text, "\n{routes}, {}, no errors", report::count(warnings, "warning"));
    report::output(&text)
}

fn describe(out: &mut String, settings: &Settings, route: &RouteSettings, compiled: &Route, now: u64) {
    let upstream = &settings.upstreams[route.upstream];
    let path = &route.path.value;
    let asked = match &route.upstream_path {
        Some(template) => template.value.replace("{path}", path.strip_suffix('/').unwrap_or(path)),
        None => path.clone(),
    };
    let methods = if route.list.is_some() { "GET" } else { "every method" };
    let hosts = if route.hosts.is_empty() { String::new() } else { format!("{} ", route.hosts.join(" ")) };
    let name = &route.name.value;
    let _ = writeln!(out, "{name:<16} {methods} {hosts}{path} → {} {}{asked}", upstream.name, upstream.base_path);
    match (&route.list, &compiled.list) {
        (Some(list), Some(serving)) => {
            let by_host = compiled.serves_by_host();
            let dialect = &serving.dialect;
            let order = &dialect.default_sorted().order;
            line(out, "asks", &asks(list, dialect.paging(), dialect.paging_names()));
            line(out, "promises", &promises(list, dialect.paging(), order, dialect.asks_for_order()));
            line(out, "costs", &costs(list, dialect.paging()));
            line(out, "clients", &clients(list, |role| serving.parameters.name(role).map(str::to_owned)));
            line(out, "cursors", &cursors(list, by_host));
            if let Some(legacy) = legacy(&list.legacy, dialect.paging_names(), now) {
                line(out, "legacy", &legacy);
            }
        }
        _ => line(out, "forwards", "everything, untouched"),
    }
}

fn line(out: &mut String, word: &str, text: &str) {
    let _ = writeln!(out, "  {word:<9} {text}");
}

fn asks(list: &ListSettings, paging: &Paging, names: &[String]) -> String {
    let family = match paging.family {
        Family::Page => "page",
        Family::Offset => "offset",
    };
    let sizes = match &paging.sizes {
        Sizes::Free { most: Some(most), .. } => format!("at most {most} at a time"),
        Sizes::Free { most: None, .. } => "any number at a time".to_owned(),
        Sizes::Listed(sizes) => {
            let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
            format!("{} at a time", sizes.join(" or "))
        }
        Sizes::Fixed(size) => format!("always {size} at a time"),
    };
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    format!("{} by {family}{names}, {sizes}", list.dialect.name)
}

fn promises(list: &ListSettings, paging: &Paging, order: &Order, asked: bool) -> String {
    let level = match paging.sizes {
        Sizes::Fixed(_) => "checked: none skipped, none repeated, unless changes cancel out between two answers",
        Sizes::Free { .. } | Sizes::Listed(_) => "exact: none skipped, none repeated",
    };
    let seams = match (&paging.sizes, paging.family) {
        (Sizes::Listed(sizes), Family::Page) => {
            let place = sizes.iter().fold(1, |multiple, size| least_common_multiple(multiple, u64::from(*size)));
            format!("; checked at every {place}th item, where no page of these sizes shows both sides")
        }
        _ => String::new(),
    };
    let mut terms: Vec<SortTerm> = list.order.iter().map(|term| term.value.clone()).collect();
    terms.push(SortTerm { field: "id".to_owned(), direction: list.id_direction });
    let how = if asked { "asked for" } else { "believed, and checked" };
    let ties = match order.ties {
        Ties::Unordered if !order.strong.is_empty() => "; equal keys only as whole runs",
        _ => "",
    };
    let unproven = match list.unproven {
        WhenUnproven::Refuse => "",
        WhenUnproven::Flag => "; what can't be proven is served flagged",
    };
    format!("{level}, in order {} ({how}){ties}{seams}{unproven}", terms_text(&terms))
}

/// The smallest place that both divide.
fn least_common_multiple(left: u64, right: u64) -> u64 {
    let (mut greatest, mut rest) = (left.max(1), right.max(1));
    while rest > 0 {
        (greatest, rest) = (rest, greatest % rest);
    }
    (left / greatest).saturating_mul(right)
}

fn terms_text(terms: &[SortTerm]) -> String {
    let terms = terms.iter().map(|term| match term.direction {
        Direction::Ascending => term.field.clone(),
        Direction::Descending => format!("-{}", term.field),
    });
    terms.collect::<Vec<_>>().join(", ")
}

/// How many upstream requests a page takes while nothing moves: an offset's window has one item more on each side than
/// the page, an aligned page that holds it is up to two and a half times as large.
fn costs(list: &ListSettings, paging: &Paging) -> String {
    let largest = u64::from(list.page_size.max);
    let cap = match &paging.sizes {
        Sizes::Free { most, .. } => most.map(u64::from),
        Sizes::Listed(sizes) => sizes.last().copied().map(u64::from),
        Sizes::Fixed(size) => Some(u64::from(*size)),
    };
    let one = "1 upstream request a page without drift";
    let Some(cap) = cap else { return one.to_owned() };
    let within = match (paging.family, &paging.sizes) {
        (Family::Offset, _) => cap.saturating_sub(2),
        (Family::Page, Sizes::Listed(_)) => 0,
        (Family::Page, _) => cap * 2 / 5,
    };
    let budget = list.budgets.upstream_requests;
    match (within >= largest, within) {
        (true, _) => one.to_owned(),
        (false, 0) => format!("1 to {budget} upstream requests a page"),
        (false, _) => format!("1 upstream request a page of up to {within} items without drift, at most {budget}"),
    }
}

fn clients(list: &ListSettings, name: impl Fn(Role) -> Option<String>) -> String {
    let roles = [Role::Limit, Role::LimitBackward, Role::Cursor, Role::After, Role::Before];
    let mut parts: Vec<String> = roles.into_iter().filter_map(&name).collect();
    if let Some(sort) = name(Role::Sort).filter(|_| !list.sortable.is_empty()) {
        let fields: Vec<&str> = list.sortable.iter().map(|field| field.value.as_str()).collect();
        parts.push(format!("{sort} by {}", fields.join(" ")));
    }
    let over = match list.page_size.over_max.unwrap_or(list.envelope.over_max) {
        OverMax::Clamp => "lowered",
        OverMax::Reject => "refused",
    };
    let total = match list.total {
        TotalPolicy::Upstream => "",
        TotalPolicy::Omit => "; without totals",
    };
    format!(
        "{}; {} items, at most {} (above: {over}); envelope {}{total}",
        parts.join(", "),
        list.page_size.default,
        list.page_size.max,
        list.envelope.name
    )
}

fn cursors(list: &ListSettings, by_host: bool) -> String {
    let life = list.cursor.ttl.map_or_else(|| "for as long as its key".to_owned(), duration);
    let mut bound = vec!["path", "filters", "order"];
    if by_host {
        bound.insert(0, "host");
    }
    bound.extend(list.cursor.bind.iter().map(http::HeaderName::as_str));
    format!("signed, {life}; bound to {}", bound.join(", "))
}

/// What becomes of old clients; nothing where their requests are simply refused.
fn legacy(legacy: &LegacySettings, names: &[String], now: u64) -> Option<String> {
    let policy = match legacy.policy? {
        LegacyPolicy::Passthrough => "passed through",
        LegacyPolicy::Translate => "translated",
        LegacyPolicy::Reject => "refused",
    };
    let neither = match legacy.unmarked {
        Unmarked::New => "new",
        Unmarked::Legacy => "legacy",
    };
    let mut text = format!("{}: {policy}; neither: {neither}", names.join(", "));
    if let Some(sunset) = legacy.sunset.and_then(|sunset| u64::try_from(sunset).ok()) {
        let (year, month, day) = clock::date(sunset);
        let when = match (sunset / DAY).checked_sub(now / DAY) {
            Some(0) => "today".to_owned(),
            Some(1) => "tomorrow".to_owned(),
            Some(days) => format!("in {days} days"),
            None => "which has passed".to_owned(),
        };
        let _ = write!(text, "; sunset {year:04}-{month:02}-{day:02}, {when}");
    }
    Some(text)
}

/// A duration in the largest unit that has no rest.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (unit, word) in [(DAY, "d"), (3_600, "h"), (60, "m")] {
        if seconds >= unit && seconds.is_multiple_of(unit) && (unit != DAY || seconds > DAY) {
            return format!("{}{word}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_people_write() {
        for (seconds, text) in [(86_400, "24h"), (172_800, "2d"), (90, "90s"), (300, "5m"), (7_200, "2h"), (1, "1s")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn the_sunset_says_how_long_there_is() {
        const SUNSET: u64 = 1_798_675_200;
        let settings = LegacySettings {
            policy: Some(LegacyPolicy::Passthrough),
            sunset: i64::try_from(SUNSET).ok(),
            ..LegacySettings::default()
        };
        let names = ["page".to_owned(), "page_size".to_owned()];
        for (now, when) in [
            (SUNSET - 41 * DAY, "in 41 days"),
            (SUNSET - 1, "tomorrow"),
            (SUNSET + 5, "today"),
            (SUNSET + DAY, "which has passed"),
        ] {
            let expected = format!("page, page_size: passed through; neither: new; sunset 2026-12-31, {when}");
            assert_eq!(legacy(&settings, &names, now).unwrap(), expected);
        }
        assert_eq!(legacy(&LegacySettings::default(), &names, 0), None);
    }
}
