//! The lines of the summary about old and new clients of a list.

use std::fmt::Write as _;

use cursorgate_config::{
    diagnostic::Location,
    settings::{AfterSunset, KnownBy, LegacySettings, ListSettings, OldClients, Role},
};
use cursorgate_gateway::runtime::clock;
use cursorgate_translate::downstream::Parameters;

const DAY: u64 = 86_400;

/// Describes the requests of new clients: the first one, which has a mark, and the list's second path. Returns `None` if
/// there is no second path and every request is a new client's.
pub(super) fn new(list: &ListSettings, parameters: &Parameters) -> Option<String> {
    let second = list.new_clients.path.as_ref().map(|path| format!("every request at {}", path.value));
    let has_old = parameters.has_old_clients();
    let first = if has_old { first(parameters) } else { None };
    let named = list.new_clients.by.iter().filter(|_| has_old).map(|name| format!("with {}=", name.value));
    let preferred = list
        .new_clients
        .by_preference
        .filter(|_| has_old)
        .map(|_| format!("with `Prefer: envelope={}`, so all answers vary by Prefer", list.envelope.name));
    let said: Vec<String> = first.into_iter().chain(named).chain(preferred).chain(second).collect();
    (!said.is_empty()).then(|| said.join("; or "))
}

fn first(parameters: &Parameters) -> Option<String> {
    let places = [Role::Cursor, Role::After, Role::AfterId];
    let place = places.into_iter().find_map(|role| parameters.name(role))?;
    let start = parameters.first_cursor();
    Some(match (place.starts_with('/'), parameters.query_name(Role::Limit)) {
        (true, _) => format!("{start:?} at {place} of the body, then the cursor of each page"),
        (false, Some(limit)) => format!("?{place}={start}&{limit}=20, then the cursor of each page"),
        (false, None) => format!("?{place}={start}, then the cursor of each page"),
    })
}

/// Returns the place of the configuration that decides which requests are new clients'; `None` if nothing is written.
pub(super) fn marks_at(list: &ListSettings) -> Option<Location> {
    list.new_clients.by.first().map(|name| name.at).or(list.legacy.old_clients_at)
}

/// Describes the requests of old clients, and what they get.
pub(super) fn old(legacy: &LegacySettings, names: &[String], now: u64) -> String {
    let name = |name: &String| if name.starts_with('/') { name.clone() } else { format!("{name}=") };
    let names: Vec<String> = names.iter().map(name).collect();
    let mut text = every(legacy.old_clients, &names);
    if let Some(sunset) = legacy.sunset.and_then(|sunset| u64::try_from(sunset).ok()) {
        // The sunset counts as today during its whole day. Test: `the_sunset_is_shown_with_the_time_left`.
        let when = match (sunset / DAY).checked_sub(now / DAY) {
            Some(0) => "today".to_owned(),
            Some(1) => "tomorrow".to_owned(),
            Some(days) => format!("in {days} days"),
            None => "which has passed".to_owned(),
        };
        let _ = write!(text, "; sunset {}, {when}", clock::date(sunset));
        if legacy.after_sunset == AfterSunset::Reject {
            text.push_str(": refused from then on");
        }
    }
    match legacy.client.as_ref().map(|client| &client.known_by) {
        Some(KnownBy::Header(name)) => drop(write!(text, "; counted by {name}")),
        Some(KnownBy::Parameter(name)) => drop(write!(text, "; counted by {name}=")),
        Some(KnownBy::Identity) => text.push_str("; counted by identity"),
        None => {}
    }
    text
}

/// Describes what every request without a mark gets.
fn every(old_clients: OldClients, names: &[String]) -> String {
    let fate = match old_clients {
        OldClients::Pass => "passes",
        OldClients::Translate => "gets its page in the envelope, with cursors that lead on",
        OldClients::Redirect => "is redirected to its page by cursor",
        OldClients::Reject => "is refused",
        OldClients::None if names.is_empty() => return "none: every request is a page".to_owned(),
        OldClients::None => return format!("none: every request is a page; {} is refused", names.join(" or ")),
    };
    let included = if names.is_empty() { String::new() } else { format!(", {} included", names.join(" and ")) };
    format!("every request without a mark {fate}{included}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::settings::LegacyClient;

    #[test]
    fn the_sunset_is_shown_with_the_time_left() {
        const SUNSET: u64 = 1_798_675_200;
        let settings = LegacySettings {
            old_clients: OldClients::Pass,
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
            let expected = format!(
                "every request without a mark passes, page= and page_size= included; sunset 2026-12-31, {when}"
            );
            assert_eq!(old(&settings, &names, now), expected);
        }
        assert_eq!(
            old(&LegacySettings::default(), &names, 0),
            "none: every request is a page; page= or page_size= is refused"
        );
        let known_by = KnownBy::Header(http::HeaderName::from_static("x-api-key"));
        let client = LegacyClient { known_by, shows_value: false, names: Vec::new(), max: 100 };
        let settings = LegacySettings {
            old_clients: OldClients::Redirect,
            after_sunset: AfterSunset::Reject,
            client: Some(client),
            ..settings
        };
        assert_eq!(
            old(&settings, &names, SUNSET - 41 * DAY),
            "every request without a mark is redirected to its page by cursor, page= and page_size= included; sunset 2026-12-31, in 41 days: refused from then on; counted by x-api-key"
        );
    }
}
