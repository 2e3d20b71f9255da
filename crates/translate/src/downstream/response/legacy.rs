//! Legacy requests: the decision about them, and the headers of their answers.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, LINK, LOCATION},
};

use super::Response;
use crate::downstream::{
    envelope::links::LinkSet,
    problem::{Code, Problem, shown},
    request::params::RequestKind,
};
use cursorgate_config::settings::{AfterSunset, BrownoutEffect, BrownoutSettings, LegacySettings, OldClients};

/// The way in which a request is answered, by what old clients of the route get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacyDecision {
    /// The request isn't a legacy request, so it gets its page by cursor.
    Serve,
    /// The request is forwarded, and the upstream's answer passes byte for byte.
    Pass,
    /// The page at the request's offset is served in the client's envelope.
    Translate,
    /// The request is redirected (307) to the same page by cursor.
    Redirect,
    /// The request is rejected with 410 `legacy_rejected`.
    Reject(Box<Problem>),
    /// The request is refused with 400 `parameter_invalid`, because the route has no old clients.
    Refuse(Box<Problem>),
}

/// Returns whether a request counts as a legacy client's.
#[must_use]
pub fn is_legacy(kind: &RequestKind, settings: &LegacySettings) -> bool {
    match kind {
        RequestKind::Cursor => false,
        RequestKind::Unmarked => settings.old_clients != OldClients::None,
        RequestKind::Legacy { .. } => true,
    }
}

/// Returns whether the sunset has passed; `false` without a sunset. `now` is in seconds since 1970.
#[must_use]
pub fn is_past_sunset(settings: &LegacySettings, now: u64) -> bool {
    settings.sunset.is_some_and(|sunset| i64::try_from(now).unwrap_or(i64::MAX) >= sunset)
}

/// Returns whether old clients get the service's own responses now. `now` is in seconds since 1970.
#[must_use]
pub fn passes(settings: &LegacySettings, now: u64) -> bool {
    in_force(settings, now) == OldClients::Pass
}

/// Returns what old clients get now, which is `reject` after the sunset or in a brownout, if the settings say so. `now`
/// is in seconds since 1970.
fn in_force(settings: &LegacySettings, now: u64) -> OldClients {
    let rejects = |brownout: &BrownoutSettings| brownout.effect == BrownoutEffect::Reject && brownout.is_on(now);
    let ends = settings.after_sunset == AfterSunset::Reject && is_past_sunset(settings, now)
        || settings.brownouts.iter().any(rejects);
    // Without old clients, requests by page are refused both before and after the sunset. Test:
    // `after_the_sunset_requests_end_only_if_the_route_says_so`.
    let ends = ends && settings.old_clients != OldClients::None;
    if ends { OldClients::Reject } else { settings.old_clients }
}

/// Decides how a request is answered; `now` is in seconds since 1970. `restart` returns the link to the first page with
/// the same filters.
pub fn decide(
    kind: &RequestKind,
    settings: &LegacySettings,
    now: u64,
    restart: impl FnOnce() -> String,
) -> LegacyDecision {
    let parameter = match kind {
        RequestKind::Cursor => return LegacyDecision::Serve,
        // The request has no paging parameter, so the problem names none.
        RequestKind::Unmarked => None,
        // The client chose the name, so it can have any length. The problem repeats only the beginning.
        RequestKind::Legacy { parameter, .. } => Some(shown(parameter)),
    };
    let named = |mut problem: Problem| {
        problem.parameter = parameter.as_deref().map(str::to_owned);
        Box::new(problem.with_restart(restart()))
    };
    match (in_force(settings, now), &parameter) {
        (OldClients::Pass, _) => LegacyDecision::Pass,
        (OldClients::Translate, _) => LegacyDecision::Translate,
        (OldClients::Redirect, _) => LegacyDecision::Redirect,
        (OldClients::Reject, Some(name)) => LegacyDecision::Reject(named(Problem::new(
            Code::LegacyRejected,
            format!("this list no longer supports `{name}`: start at `restart` and follow its links"),
        ))),
        (OldClients::Reject, None) => LegacyDecision::Reject(named(Problem::new(
            Code::LegacyRejected,
            "this list is read by cursor: start at `restart` and follow its links",
        ))),
        (OldClients::None, Some(name)) => LegacyDecision::Refuse(named(Problem::new(
            Code::ParameterInvalid,
            format!(
                "`{name}` is not a parameter of this list, which is paged by cursor: start at `restart` and follow its links"
            ),
        ))),
        // Without old clients, only requests with a paging parameter of the dialect are legacy.
        (OldClients::None, None) => LegacyDecision::Serve,
    }
}

/// Returns the headers of a legacy answer: `Deprecation` (RFC 9745: a structured date) and `Sunset` (RFC 8594: an HTTP
/// date).
#[must_use]
pub fn headers(settings: &LegacySettings) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::with_capacity(2);
    let deprecation = settings.deprecation.and_then(|at| HeaderValue::from_str(&format!("@{at}")).ok());
    if let Some(value) = deprecation {
        headers.push((HeaderName::from_static("deprecation"), value));
    }
    if let Some(value) = settings.sunset.and_then(http_date) {
        headers.push((HeaderName::from_static("sunset"), value));
    }
    headers
}

/// Formats an HTTP date; `None` for years that it can't express: before 1970 or after 9999.
fn http_date(seconds: i64) -> Option<HeaderValue> {
    const END_OF_9999: u64 = 253_402_300_799;
    let seconds = u64::try_from(seconds).ok().filter(|&seconds| seconds <= END_OF_9999)?;
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    HeaderValue::from_str(&httpdate::fmt_http_date(time)).ok()
}

/// Returns a 307 to the same page by cursor; `None` if `location` isn't a valid header value. Clients keep the method,
/// and caches don't store the answer, because the list changes.
#[must_use]
pub fn redirect(location: &str) -> Option<Response> {
    let mut response = Response::new(307, Vec::new());
    response.headers.insert(LOCATION, HeaderValue::from_str(location).ok()?);
    response.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

/// Returns the links of a legacy answer: the documentation of the change, and the same list by cursor (`successor` is
/// its first page).
#[must_use]
pub fn links<'a>(documentation: Option<&'a str>, successor: &'a str) -> Vec<(&'static str, &'a str)> {
    documentation.map(|url| ("deprecation", url)).into_iter().chain([("successor-version", successor)]).collect()
}

/// Adds the links of a legacy answer to the `Link` line of its headers.
pub fn add_links(headers: &mut HeaderMap, documentation: Option<&str>, successor: &str) {
    if let Some(line) = LinkSet::default().header(usize::MAX, &links(documentation, successor), &[]) {
        append_link(headers, &line);
    }
}

/// Appends `ours` to the `Link` line of a forwarded answer; the bytes of the upstream's links stay. Several lines
/// become one, because many clients read only the first.
pub fn append_link(headers: &mut HeaderMap, ours: &str) {
    let mut line = Vec::new();
    // An upstream's links may have bytes that aren't text, so the lines are joined as bytes. Test:
    // `links_go_after_the_upstreams_in_one_line`.
    for value in headers.get_all(LINK).iter().map(HeaderValue::as_bytes).chain([ours.as_bytes()]) {
        if !line.is_empty() && !value.is_empty() {
            line.extend_from_slice(b", ");
        }
        line.extend_from_slice(value);
    }
    // Every part is a valid header value, so the line is valid too.
    if let Ok(value) = HeaderValue::from_bytes(&line) {
        headers.insert(LINK, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legacy_policy_determines_the_answer_to_each_kind_of_request() {
        use OldClients::{Pass, Redirect, Reject, Translate};
        let legacy =
            RequestKind::Legacy { parameter: "Page".to_owned(), pairs: vec![("page".to_owned(), "2".to_owned())] };
        let cases = [
            (&RequestKind::Cursor, Reject, "serve"),
            (&RequestKind::Unmarked, Pass, "pass"),
            (&RequestKind::Unmarked, Translate, "translate"),
            (&RequestKind::Unmarked, Redirect, "redirect"),
            (&RequestKind::Unmarked, Reject, "legacy_rejected 410"),
            (&RequestKind::Unmarked, OldClients::None, "serve"),
            (&legacy, Pass, "pass"),
            (&legacy, Translate, "translate"),
            (&legacy, Redirect, "redirect"),
            (&legacy, Reject, "legacy_rejected 410 Page"),
            (&legacy, OldClients::None, "parameter_invalid 400 Page"),
        ];
        for (kind, old_clients, expected) in cases {
            let settings = LegacySettings { old_clients, ..LegacySettings::default() };
            assert_eq!(said(kind, &settings, 0), expected, "{kind:?} {old_clients:?}");
            let is_new = expected == "serve";
            assert_eq!(is_legacy(kind, &settings), !is_new, "{kind:?} {old_clients:?}");
        }
    }

    fn said(kind: &RequestKind, settings: &LegacySettings, now: u64) -> String {
        match decide(kind, settings, now, || "/users".to_owned()) {
            LegacyDecision::Serve => "serve".to_owned(),
            LegacyDecision::Pass => "pass".to_owned(),
            LegacyDecision::Translate => "translate".to_owned(),
            LegacyDecision::Redirect => "redirect".to_owned(),
            LegacyDecision::Reject(problem) | LegacyDecision::Refuse(problem) => {
                assert_eq!(problem.restart.as_deref(), Some("/users"));
                [problem.code.as_str(), &problem.status.to_string(), &problem.parameter.unwrap_or_default()]
                    .join(" ")
                    .trim()
                    .to_owned()
            }
        }
    }

    /// From the time of the sunset on, legacy requests are rejected, but only if the route says so.
    #[test]
    fn after_the_sunset_requests_end_only_if_the_route_says_so() {
        const SUNSET: u64 = 1_798_675_200;
        let legacy = RequestKind::Legacy { parameter: "page".to_owned(), pairs: Vec::new() };
        let settings = |old_clients, after_sunset| LegacySettings {
            old_clients,
            after_sunset,
            sunset: i64::try_from(SUNSET).ok(),
            ..LegacySettings::default()
        };
        for old_clients in [OldClients::Pass, OldClients::Translate, OldClients::Redirect] {
            let (same, reject) = (settings(old_clients, AfterSunset::Same), settings(old_clients, AfterSunset::Reject));
            let before = said(&legacy, &reject, SUNSET - 1);
            assert_eq!(said(&legacy, &same, SUNSET + 1), before);
            assert_eq!(said(&legacy, &reject, SUNSET), "legacy_rejected 410 page");
            assert_eq!(said(&RequestKind::Unmarked, &reject, SUNSET), "legacy_rejected 410");
            assert_eq!(said(&RequestKind::Cursor, &reject, SUNSET), "serve");
        }
        let unset = settings(OldClients::None, AfterSunset::Reject);
        assert_eq!(said(&legacy, &unset, SUNSET), "parameter_invalid 400 page");
        assert!(is_past_sunset(&unset, SUNSET) && !is_past_sunset(&unset, SUNSET - 1));
        assert!(!is_past_sunset(&LegacySettings::default(), u64::MAX));
    }

    #[test]
    fn a_redirect_has_no_body() {
        let response = redirect("/users?limit=20&cursor=x").unwrap();
        assert_eq!((response.status, response.body.len()), (307, 0));
        assert_eq!(response.headers[LOCATION], "/users?limit=20&cursor=x");
    }

    #[test]
    fn deprecation_is_a_structured_date_and_sunset_an_http_date() {
        let at = |deprecation, sunset| {
            headers(&LegacySettings { deprecation, sunset, ..LegacySettings::default() })
                .into_iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            at(Some(1_768_435_200), Some(1_798_675_200)),
            ["deprecation: @1768435200", "sunset: Thu, 31 Dec 2026 00:00:00 GMT"]
        );
        assert_eq!(at(Some(-1), Some(-1)), ["deprecation: @-1"]);
        assert_eq!(at(None, Some(i64::MAX)), Vec::<String>::new());
    }

    #[test]
    fn links_go_after_the_upstreams_in_one_line() {
        let mut upstream = HeaderMap::new();
        append_link(&mut upstream, "</new>; rel=\"successor-version\"");
        assert_eq!(upstream[LINK], "</new>; rel=\"successor-version\"");
        let mut upstream = HeaderMap::new();
        upstream.append(LINK, HeaderValue::from_static("<http://u/?page=3>; rel=next"));
        upstream.append(LINK, HeaderValue::from_bytes(b"<http://u/\xff>; rel=\"last\"").unwrap());
        append_link(&mut upstream, "</new>; rel=\"successor-version\"");
        let lines: Vec<_> = upstream.get_all(LINK).iter().map(HeaderValue::as_bytes).collect();
        let expected: &[u8] =
            b"<http://u/?page=3>; rel=next, <http://u/\xff>; rel=\"last\", </new>; rel=\"successor-version\"";
        assert_eq!(lines, [expected]);
    }
}
