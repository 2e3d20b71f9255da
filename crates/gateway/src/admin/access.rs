//! Access to the admin listener: the host names for which it answers, and the requests that may change state.
//!
//! At a loopback address, any client may read reports, except explanations and the diagnostics of a reload, which need
//! the token. At every other address, all reports need a token, unless `admin.open` says otherwise. A change needs the
//! token too, and must not be sent by a page of another site in an operator's browser (cross-site request forgery). The
//! token alone does not prevent that, because a proxy may add it to every request of a browser.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderMap, StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::request::target::host_of;
use cursorgate_config::{
    secret::Secret,
    settings::{AdminSettings, OpenReports},
};

/// The refusal of a request: the status, and the reason or the remedy as text.
pub(super) type Denial = (StatusCode, &'static str);

/// The content type of reports and of requests.
pub(super) const JSON: &str = "application/json";

/// The header in which browsers send the relation between the origin of a request and its target (W3C Fetch Metadata).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The shortest time between two lines of the log about refused requests. Anybody can send requests without a token, so
/// a line for each would let strangers fill the log.
const INTERVAL: Duration = Duration::from_secs(1);

/// The reasons for refusals, by their statuses.
const REASONS: [(StatusCode, &str); 5] = [
    (StatusCode::UNAUTHORIZED, "token"),
    (StatusCode::METHOD_NOT_ALLOWED, "no_token_configured"),
    (StatusCode::FORBIDDEN, "other_site"),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type"),
    (StatusCode::MISDIRECTED_REQUEST, "host"),
];

/// The number of refused requests by reason.
#[derive(Debug, Default)]
pub(super) struct RefusedRequests {
    counts: [AtomicU64; REASONS.len()],
    /// The number of refusals without a line of the log.
    untold: AtomicU64,
    /// The time of the last line; `None` before the first one.
    told: Mutex<Option<Instant>>,
}

impl RefusedRequests {
    /// Counts a refusal. Returns the number of refusals that the log doesn't have, if this one is to be logged.
    pub(super) fn count(&self, status: StatusCode, now: Instant) -> Option<u64> {
        if let Some(index) = REASONS.iter().position(|(known, _)| *known == status) {
            self.counts[index].fetch_add(1, Ordering::Relaxed);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| now.saturating_duration_since(told) < INTERVAL) {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        *told = Some(now);
        Some(self.untold.swap(0, Ordering::Relaxed))
    }

    /// Returns the number of refusals by reason.
    pub(super) fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        REASONS.iter().zip(&self.counts).map(|((_, reason), count)| (*reason, count.load(Ordering::Relaxed)))
    }
}

/// Refuses a request for a report without a token, unless the report is open. `is_local` is true if only processes of
/// this machine can reach the listener.
pub(super) fn check_read(
    headers: &HeaderMap,
    admin: Option<&AdminSettings>,
    is_metrics: bool,
    is_local: bool,
) -> Result<(), Denial> {
    let open = admin.and_then(|admin| admin.open).unwrap_or(match is_local {
        true => OpenReports::All,
        false => OpenReports::None,
    });
    if open == OpenReports::All || open == OpenReports::Metrics && is_metrics {
        return Ok(());
    }
    let tokens = [admin.and_then(|admin| admin.token.as_ref()), admin.and_then(|admin| admin.read_token.as_ref())];
    match tokens {
        [None, None] => Err((
            StatusCode::UNAUTHORIZED,
            "reports need a token at this address, and none is configured: set admin.read_token, or admin.open\n",
        )),
        tokens if tokens.iter().any(|token| is_authorized(headers, *token)) => Ok(()),
        _ => Err((
            StatusCode::UNAUTHORIZED,
            "send Authorization: Bearer with the token of admin.read_token or admin.token\n",
        )),
    }
}

/// Refuses a request whose host isn't an IP address, `localhost` or one of `names`. A page of another site can make an
/// operator's browser send requests to this listener under a host name of that site (DNS rebinding).
pub(super) fn check_host(authority: Option<&str>, names: &[String]) -> Result<(), Denial> {
    // Browsers always send a host, so a request without one does not come from a page, and is accepted. Test:
    // `requests_under_foreign_names_are_refused`.
    if authority.is_some_and(|authority| !is_own(authority, names)) {
        return Err((
            StatusCode::MISDIRECTED_REQUEST,
            "ask by an address or localhost, or add this name to admin.hosts\n",
        ));
    }
    Ok(())
}

/// Refuses a request that must not change state: there is no configured token (405), a page of another site sent it
/// (403), its content type isn't JSON (415), or it lacks the token (401). `authority` is the host of the request.
pub(super) fn check_change(headers: &HeaderMap, authority: Option<&str>, token: Option<&Secret>) -> Result<(), Denial> {
    if token.is_none() {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "GET only: there is no admin.token\n"));
    }
    // The origin is checked even if the request has the token, which a proxy may add to every request of a browser.
    // Test: `requests_by_pages_of_other_sites_are_refused`.
    if is_cross_site(headers, authority) {
        return Err((StatusCode::FORBIDDEN, "a page of another site can't change anything here\n"));
    }
    // A page of another site can send forms and plain text without a preflight, but not JSON, so other content types
    // are refused. Test: `requests_by_pages_of_other_sites_are_refused`.
    let types = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    if types.is_some_and(|text| !text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JSON)) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "send no body, or application/json\n"));
    }
    if !is_authorized(headers, token) {
        return Err((StatusCode::UNAUTHORIZED, "send Authorization: Bearer with the token of admin.token\n"));
    }
    Ok(())
}

/// Returns whether a request has the token. The time for the comparison does not depend on the number of equal bytes.
pub(super) fn is_authorized(headers: &HeaderMap, token: Option<&Secret>) -> bool {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked(7));
    let sent = sent.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer ")).map(|(_, token)| token);
    match (sent, token) {
        // Digests are compared, because the position at which two digests differ reveals nothing about the token.
        (Some(sent), Some(token)) => Sha256::digest(sent) == Sha256::digest(token.reveal()),
        _ => false,
    }
}

/// Returns whether a page of another site sent the request, by `Sec-Fetch-Site` and `Origin`. Clients other than
/// browsers usually send neither header.
fn is_cross_site(headers: &HeaderMap, authority: Option<&str>) -> bool {
    let site = headers.get(SEC_FETCH_SITE).map(http::HeaderValue::as_bytes);
    // `none` is a request of the user, such as one from the address bar. `same-site` is refused, because it is another
    // origin, such as another port. Test: `requests_by_pages_of_other_sites_are_refused`.
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    // Sandboxed pages and local files send `null`, which has no host and is refused. Test:
    // `requests_by_pages_of_other_sites_are_refused`.
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    !matches!((host, authority), (Some(host), Some(own)) if host.eq_ignore_ascii_case(own))
}

/// Returns whether an authority has an IP address, `localhost`, or one of these names as its host.
fn is_own(authority: &str, names: &[String]) -> bool {
    let host = host_of(authority);
    let address = host.trim_start_matches('[').trim_end_matches(']');
    // Any IP address is accepted, since it can't be rebound to another host, unlike a name. Test:
    // `requests_under_foreign_names_are_refused`.
    address.parse::<IpAddr>().is_ok() || host == "localhost" || names.contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "sixteen-or-more-characters";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    /// A request is authorised only if its header contains the whole token, with the scheme `Bearer`.
    ///
    /// Row: A44
    #[test]
    fn a_token_is_compared_as_a_whole() {
        let token = Secret::new(TOKEN.as_bytes().to_vec());
        for (sent, known, authorized) in [
            ("Bearer sixteen-or-more-characters", Some(&token), true),
            ("bearer sixteen-or-more-characters", Some(&token), true),
            ("Bearer sixteen-or-more-character", Some(&token), false),
            ("Bearer ", Some(&token), false),
            ("Basic sixteen-or-more-characters", Some(&token), false),
            ("sixteen-or-more-characters", Some(&token), false),
            ("", Some(&token), false),
            ("Bearer ", None, false),
        ] {
            assert_eq!(is_authorized(&headers(&[("authorization", sent)]), known), authorized, "{sent:?}");
        }
        assert!(!is_authorized(&HeaderMap::new(), Some(&token)));
    }

    /// Reports are open at a loopback address, and need one of the tokens at others, unless `admin.open` says otherwise.
    ///
    /// Row: A38
    #[test]
    fn reports_need_a_token_where_other_machines_can_read_them() {
        let secret = |text: &str| Some(Secret::new(text.as_bytes().to_vec()));
        let settings = |token: Option<Secret>, read_token: Option<Secret>, open| AdminSettings {
            address: "127.0.0.1:1".parse().unwrap(),
            hosts: Vec::new(),
            tls: None,
            token,
            read_token,
            open,
            histograms: None,
            explain_key: None,
        };
        let reader = "another-token-for-reading";
        let both = |open| settings(secret(TOKEN), secret(reader), open);
        let [none, metrics, all] = [OpenReports::None, OpenReports::Metrics, OpenReports::All].map(Some);
        for (admin, sent, is_metrics, is_local, is_read) in [
            (both(None), None, false, true, true),
            (both(None), None, false, false, false),
            (both(None), Some(TOKEN), false, false, true),
            (both(None), Some(reader), false, false, true),
            (both(None), Some("a-third-token-of-nobody"), false, false, false),
            (both(None), None, true, false, false),
            (both(metrics), None, true, false, true),
            (both(metrics), None, false, false, false),
            (both(metrics), None, false, true, false),
            (both(none), None, false, true, false),
            (both(all), None, false, false, true),
            (settings(None, None, None), Some(TOKEN), false, false, false),
            (settings(None, None, None), Some(""), false, false, false),
            (settings(None, None, None), None, false, true, true),
            (settings(None, secret(reader), None), Some(reader), false, false, true),
        ] {
            let sent = sent.map(|token| headers(&[("authorization", &format!("Bearer {token}"))])).unwrap_or_default();
            let checked = check_read(&sent, Some(&admin), is_metrics, is_local);
            assert_eq!(checked.is_ok(), is_read, "{sent:?} {:?} {is_metrics} {is_local}", admin.open);
        }
        // A reload that removes `[admin]` leaves the listener open, so it opens nothing.
        assert!(check_read(&HeaderMap::new(), None, true, false).is_err());
    }

    #[test]
    fn refusals_are_counted_and_logged_at_most_once_a_second() {
        let (refused, now) = (RefusedRequests::default(), crate::runtime::clock::instant());
        assert_eq!(refused.count(StatusCode::UNAUTHORIZED, now), Some(0));
        assert_eq!(refused.count(StatusCode::UNAUTHORIZED, now + INTERVAL / 2), None);
        assert_eq!(refused.count(StatusCode::FORBIDDEN, now + INTERVAL / 2), None);
        assert_eq!(refused.count(StatusCode::UNAUTHORIZED, now + INTERVAL), Some(2));
        let counts: Vec<_> = refused.by_reason().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counts, [("token", 3), ("other_site", 1)]);
    }

    /// Requests that a page of another site may have sent, as their `Origin`, `Sec-Fetch-Site` or content type shows,
    /// are refused.
    ///
    /// Row: A46
    #[test]
    fn requests_by_pages_of_other_sites_are_refused() {
        let token = Secret::new(TOKEN.as_bytes().to_vec());
        let bearer = format!("Bearer {TOKEN}");
        for (more, status) in [
            (&[][..], None),
            (&[("origin", "http://localhost:9180"), ("sec-fetch-site", "same-origin")], None),
            (&[("origin", "http://LOCALHOST:9180")], None),
            (&[("sec-fetch-site", "none")], None),
            (&[("content-type", "application/json; charset=utf-8")], None),
            (&[("origin", "http://localhost:9181")], Some(403)),
            (&[("origin", "http://evil.example")], Some(403)),
            (&[("origin", "null")], Some(403)),
            (&[("sec-fetch-site", "same-site")], Some(403)),
            (&[("sec-fetch-site", "cross-site")], Some(403)),
            (&[("origin", "http://localhost:9180"), ("sec-fetch-site", "cross-site")], Some(403)),
            (&[("content-type", "text/plain")], Some(415)),
            (&[("content-type", "application/x-www-form-urlencoded")], Some(415)),
            (&[("content-type", "multipart/form-data; boundary=application/json")], Some(415)),
        ] {
            let mut sent = headers(more);
            sent.insert(header::AUTHORIZATION, bearer.parse().unwrap());
            let checked = check_change(&sent, Some("localhost:9180"), Some(&token));
            assert_eq!(checked.err().map(|denial| denial.0.as_u16()), status, "{more:?}");
        }
        let checked = |token| check_change(&HeaderMap::new(), Some("localhost:9180"), token);
        assert_eq!(checked(Some(&token)).unwrap_err().0, 401);
        assert_eq!(checked(None).unwrap_err().0, 405);
    }

    /// Requests are answered only under an address, `localhost` or a configured name, or without a host. This protects
    /// against DNS rebinding.
    ///
    /// Row: A38
    #[test]
    fn requests_under_foreign_names_are_refused() {
        let names = ["gateway.internal".to_owned()];
        for (authority, is_known) in [
            (None, true),
            (Some("127.0.0.1:9180"), true),
            (Some("[::1]:9180"), true),
            (Some("localhost"), true),
            (Some("Gateway.Internal:9180"), true),
            (Some("localhost.evil.example"), false),
            (Some("127.0.0.1.evil.example:9180"), false),
            (Some(""), false),
        ] {
            assert_eq!(check_host(authority, &names).is_ok(), is_known, "{authority:?}");
        }
    }
}
