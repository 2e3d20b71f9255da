//! The mapping of failures to problems. Details that only an operator may see are written to the log.

use std::fmt::Write as _;

use http::{HeaderMap, header::RETRY_AFTER};

use super::metrics::STRAY_CURSOR;
use crate::{
    net::{error::FetchError, memory::MemoryExhausted},
    runtime::clock,
    shared::{
        clients::route_limits::{LimitPolicy, RateRefusal},
        concurrency::ConcurrencyLimit,
        slots::Occupied,
    },
};
use cursorgate_config::settings::QuotaSettings;
use cursorgate_core::pagination::{
    fetch::{Fetch, Listing, TokenFetch},
    page::DoubtedEnd,
    refusal::Refusal,
    unsorted::{Cause, Unsorted},
    window::Offset,
};
use cursorgate_cursor::cursor::{CursorError, RefusedCursor, TooLong};
use cursorgate_translate::{
    downstream::{Code, Problem, Response},
    upstream::HeaderRefusal,
    upstream::LegacyFault,
    upstream::ReadingError,
};

/// The text for the client of an `overloaded` that is caused by a lack of memory.
const NO_ROOM: &str = "the gateway has no memory left for this request: try again in a moment";

/// The statuses with which upstreams refuse invalid parameters.
const OF_PARAMETERS: [u16; 3] = [400, 416, 422];

/// The reason that a request gets no page.
#[derive(Debug)]
pub enum Failure {
    /// The gateway refuses the request.
    Refused {
        /// The problem that the client gets.
        problem: Box<Problem>,
        /// The detail for the log; `None` if the log needs only the problem's code.
        detail: Option<String>,
    },
    /// The upstream refused the request. Its answer passes to the client unchanged.
    Passed(Box<Response>),
}

impl Failure {
    /// Creates a refusal with the text `said` for the client, and `detail` for the log.
    pub fn logged(code: Code, said: &str, detail: String) -> Self {
        Self::Refused { problem: Box::new(Problem::new(code, said)), detail: Some(detail) }
    }

    /// Adds the link to the first page (`restart`). An upstream's refusal that passes to the client gets no link.
    #[must_use]
    pub fn with_restart(mut self, url: String) -> Self {
        if let Self::Refused { problem, .. } = &mut self {
            problem.restart = Some(url);
        }
        self
    }

    /// Removes the links, which answers to POST don't have. `cursor` is the name of the client's cursor parameter;
    /// `None` if the convention has no such parameter.
    #[must_use]
    pub fn without_links(mut self, cursor: Option<(&str, &str)>) -> Self {
        if let Self::Refused { problem, .. } = &mut self {
            problem.leave_out_links(cursor);
        }
        self
    }

    /// Returns a short description for the log: the detail, or else the problem code.
    pub fn summary(&self) -> &str {
        match self {
            Self::Refused { problem, detail } => detail.as_deref().unwrap_or(problem.code.as_str()),
            Self::Passed(_) => "the upstream refused",
        }
    }

    /// Returns the failure for a response that can't be read as an answer of the list. `status` and `headers` belong to
    /// the response. `protected` are the headers that a passed refusal must name in `Vary`. An upstream's 503 or 504
    /// keeps its status, so clients and load balancers handle it as they would without the gateway.
    pub fn reading(error: ReadingError, status: u16, headers: &HeaderMap, protected: &[http::HeaderName]) -> Self {
        let detail = error.to_string();
        let (code, said) = match error {
            // An upstream's 4xx passes to the client unchanged. Test: `client_errors_pass_as_they_are`.
            ReadingError::Failed { status, body } => {
                return Self::Passed(Box::new(Response::upstream_refusal(status, headers, body, protected)));
            }
            ReadingError::Unavailable(_) if status == 504 => {
                (Code::UpstreamTimeout, "the upstream got no answer in time from a service that it asked")
            }
            ReadingError::Unavailable(_) => (Code::UpstreamUnavailable, "the upstream failed"),
            // Redirects aren't followed, because they may lead to another server. Test: `redirects_are_not_followed`.
            ReadingError::Redirected { location, .. } => {
                let detail = match location {
                    Some(location) => format!("{detail} to {location}: is upstream_path right?"),
                    None => detail,
                };
                return Self::logged(Code::UpstreamRedirected, "the upstream answered with a redirect", detail);
            }
            ReadingError::Malformed(_) => (Code::UpstreamMalformed, "the upstream's answer is not the expected list"),
            ReadingError::TooManyItems(_) => (Code::UpstreamTooLarge, "the upstream's answer has too many items"),
            ReadingError::TooDeep(_) => (Code::UpstreamMalformed, "the upstream's answer is nested too deeply"),
        };
        let mut problem = Problem::new(code, said);
        // An upstream's 503 stays a 503, but its 500 becomes a 502. Test:
        // `a_failure_of_the_upstream_keeps_its_status_and_its_retry_after`.
        if code.has_status(status) {
            problem.status = status;
        }
        // Only the upstream can estimate when it will be available again, so its `Retry-After` is kept. Test:
        // `a_server_errors_retry_after_is_kept`.
        problem.retry_after = headers.get(RETRY_AFTER).cloned();
        Self::Refused { problem: Box::new(problem), detail: Some(detail) }
    }

    /// Replaces an upstream's refusal (400, 416 or 422) that is caused by the gateway's own paging: the client neither
    /// chose the refused place nor can correct it. The caller makes sure that the upstream has answered for another
    /// part of the same list. A 409 there is replaced too, because some clients take it for the end of the list. Other
    /// failures are returned unchanged.
    #[must_use]
    pub fn of_own_paging(self, fetch: &Fetch) -> Self {
        let Self::Passed(response) = &self else { return self };
        let status = response.status;
        // Octokit takes any 409 for an empty last page. Test: `octokit_reports_a_conflict_within_a_list`.
        if status == 409 {
            let said = "the upstream refused to continue the list";
            return Self::logged(
                Code::UpstreamUnavailable,
                said,
                format!("the upstream answered {status} within a list"),
            );
        }
        if !OF_PARAMETERS.contains(&status) {
            return self;
        }
        // The first slice or page, an item and a count name no place in the list that the upstream could refuse, so
        // refusals of these pass to the client. Test: `a_refusal_of_the_gateways_own_paging_has_a_link_to_start_again`.
        let (code, said) = match fetch {
            Fetch::Slice(slice, Listing { filter: None, flipped: false, .. }) if slice.begins() > Offset(0) => (
                Code::TooDeep,
                "the upstream refuses this place of the list: narrow the list by a filter, or start again at \
                 `restart`; a smaller page helps only if the refused page begins within the upstream's depth",
            ),
            Fetch::Slice(_, Listing { filter: None, flipped: false, .. }) | Fetch::Item(_) | Fetch::Count => {
                return self;
            }
            Fetch::Slice(..) => (
                Code::PositionLost,
                "the upstream refuses to continue the list from this position: start again at `restart`",
            ),
            Fetch::Token(TokenFetch { token: None, .. }) => return self,
            Fetch::Token(_) => {
                (Code::CursorGone, "the upstream no longer knows this position: start again at `restart`")
            }
        };
        let asked = match fetch {
            Fetch::Slice(slice, _) => format!(", by {} items from offset {} on", slice.size().0, slice.begins().0),
            _ => String::new(),
        };
        Self::logged(code, said, format!("the upstream answered {status} to the gateway's own paging{asked}"))
    }

    /// Returns the failure for a refusal of the core. `nearest` returns the link to an estimated offset, or `None` if
    /// the client's convention can't express that link.
    pub fn refusal(refusal: Refusal, nearest: impl FnOnce(Offset) -> Option<String>) -> Self {
        let with_nearest = |code, said: &str, place| {
            let mut problem = Problem::new(code, said);
            problem.nearest = nearest(place);
            Self::from(problem)
        };
        match refusal {
            Refusal::PositionLost { nearest } => with_nearest(
                Code::PositionLost,
                "this position can't be found: the list is changing, or its answers contradict one another; try again, then \
                 start again at `restart`, or continue at `nearest`, where items may be skipped or repeated",
                nearest,
            ),
            Refusal::TieRun { nearest } => with_nearest(
                Code::TieRun,
                "more items share their sort keys at this position than one answer of the upstream can hold: start again at \
                 `restart` with another sort, or continue at `nearest`, where items may be skipped or repeated",
                nearest,
            ),
            Refusal::TooDeep => {
                Problem::new(Code::TooDeep, "the upstream does not answer for offsets this large").into()
            }
            Refusal::BudgetExceeded => {
                Problem::new(Code::BudgetExceeded, "the page needs more upstream requests than the route allows").into()
            }
            Refusal::Unsorted(Unsorted { cause, said }) => {
                Self::logged(Code::UpstreamUnsorted, unsorted(cause).1, said)
            }
            Refusal::Stuck => {
                Problem::new(Code::UpstreamStuck, "the upstream returned the same items for different positions").into()
            }
            Refusal::EndContradicted { passed, total } => Self::logged(
                Code::UpstreamStuck,
                "the upstream has no token that leads on, and its total says that more items follow",
                format!(
                    "after {passed} items a full answer has no token that leads on, twice, and the last total that was said \
                     is {total}: does every answer have response.next_token or next_url at its place? If tokens are right \
                     and the total isn't, leave out response.total"
                ),
            ),
            Refusal::PivotGone { nearest } => with_nearest(
                Code::CursorGone,
                "the item that this cursor names is gone or has changed, and its sort keys are no longer known: start \
                 again at `restart`, or continue at `nearest`, where items may be skipped or repeated",
                nearest,
            ),
            Refusal::TokenGone => {
                Problem::new(Code::CursorGone, "the upstream no longer knows this position: start again at `restart`")
                    .into()
            }
            Refusal::Unsupported => {
                Problem::new(Code::RangeUnsupported, "this list can't be read in this direction from this position")
                    .into()
            }
            Refusal::NoList => Problem::new(Code::UpstreamMalformed, "the upstream returned no list").into(),
        }
    }

    /// Returns the failure for an end that the upstream contradicts, on a route that refuses such ends.
    pub fn doubted_end(doubt: DoubtedEnd) -> Self {
        let said = doubted_text(doubt);
        Self::Refused { problem: Box::new(Problem::new(Code::EndUnproven, said.clone())), detail: Some(said) }
    }

    /// Returns the failure for a cursor that can't be used. `parameter` is the name of the parameter that contained the
    /// cursor.
    pub fn cursor(refused: RefusedCursor, parameter: &str) -> Self {
        let RefusedCursor { error, reason, key } = refused;
        let (code, said) = match &error {
            CursorError::Invalid => (
                Code::CursorInvalid,
                "the cursor is not valid (unknown, modified or truncated): start again at `restart`".to_owned(),
            ),
            CursorError::Expired => {
                (Code::CursorExpired, "the cursor has expired: start again at `restart`".to_owned())
            }
            CursorError::Mismatch { differs } => {
                let parts: Vec<String> = differs.iter().map(ToString::to_string).collect();
                let other = match parts.is_empty() {
                    true => "belongs to another list: use it there".to_owned(),
                    false => {
                        format!(
                            "belongs to a list that differs in its {}: repeat the request with the same",
                            parts.join(" and ")
                        )
                    }
                };
                let said = format!("the cursor {other}, or start again at `restart`");
                (Code::CursorMismatch, said)
            }
        };
        let mut problem = Problem::new(code, said).with_parameter(parameter);
        if let CursorError::Mismatch { differs } = error {
            problem.differs = differs.into_iter().map(cursorgate_cursor::cursor::ContextPart::name).collect();
        }
        problem.cursor = Some(reason.word());
        let mut detail = format!("the cursor: {}", reason.word());
        if let Some(key) = key {
            let _ = write!(detail, ", key {key}");
        }
        if !problem.differs.is_empty() {
            let _ = write!(detail, ", other {}", problem.differs.join(" and "));
        }
        Self::Refused { problem: Box::new(problem), detail: Some(detail) }
    }

    /// Returns the failure for a cursor in a parameter that isn't one of cursors. `own` is the parameter for cursors;
    /// `None` if the list has none in the query.
    pub fn stray_cursor(parameter: &str, own: Option<&str>) -> Self {
        let remedy = own.map(|own| format!("send it as {own}, or ")).unwrap_or_default();
        let said = format!(
            "{parameter} contains a cursor, which this list does not take there: {remedy}start again at \
                            `restart`"
        );
        let mut problem = Problem::new(Code::CursorMismatch, said).with_parameter(parameter);
        problem.cursor = Some(STRAY_CURSOR);
        Self::Refused { problem: Box::new(problem), detail: Some(format!("the cursor: {STRAY_CURSOR}")) }
    }
}

/// Describes an end that the upstream contradicts, with both numbers.
pub fn doubted_text(DoubtedEnd { reached, said }: DoubtedEnd) -> String {
    match said {
        Some(said) => format!("the list ends after {reached} items, and the upstream says that it has {said}"),
        None => format!("the list ends after {reached} items, and the upstream says that more follow"),
    }
}

/// Returns the label of a refusal in metrics and the log.
pub const fn cause(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::PositionLost { .. } => "position_lost",
        Refusal::TieRun { .. } => "tie_run",
        Refusal::TooDeep => "too_deep",
        Refusal::BudgetExceeded => "budget_exceeded",
        Refusal::Unsorted(Unsorted { cause, .. }) => unsorted(*cause).0,
        Refusal::Stuck => "stuck",
        Refusal::EndContradicted { .. } => "end_contradicted",
        Refusal::PivotGone { .. } => "pivot_gone",
        Refusal::TokenGone => "token_gone",
        Refusal::Unsupported => "unsupported",
        Refusal::NoList => "no_list",
    }
}

/// Returns the label of a cause of disorder, and the text for the client. The log gets the items that prove the
/// disorder.
pub const fn unsorted(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::NoObject => ("unsorted_no_object", "the upstream's items are not objects, so they have no sort keys"),
        Cause::NoId => ("unsorted_no_id", "the upstream's items have no id"),
        Cause::NoKey => ("unsorted_no_key", "the upstream's items lack a sort key"),
        Cause::Null => {
            ("unsorted_null", "a sort key of the upstream's items is null, and the order has no position for null")
        }
        Cause::Kind => ("unsorted_kind", "the sort keys of the upstream's items have types that can't be compared"),
        Cause::Digits => (
            "unsorted_digits",
            "the upstream's list is not in its declared order: strings seem to be sorted as numbers",
        ),
        Cause::Text => {
            ("unsorted_text", "the upstream's list is not in its declared order: strings are sorted by other rules")
        }
        Cause::Order => ("unsorted_order", "the upstream's list is not in its declared order"),
        Cause::Ties => (
            "unsorted_ties",
            "the upstream's list is not in its declared order: items with equal keys are not sorted by their id",
        ),
        Cause::Twice => ("unsorted_twice", "the upstream's answers contain an id twice"),
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused { problem: Box::new(problem), detail: None }
    }
}

impl From<Box<Problem>> for Failure {
    fn from(problem: Box<Problem>) -> Self {
        Self::Refused { problem, detail: None }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let (code, said) = match &error {
            FetchError::Unavailable(_) | FetchError::Lost(_) => {
                (Code::UpstreamUnavailable, "the upstream can't be reached, or gave no answer")
            }
            // The gateway lacks resources; the upstream hasn't failed. Test:
            // `without_descriptors_the_gateway_is_overloaded`.
            FetchError::Exhausted(_) => (Code::Overloaded, "the gateway has no connection left for this request"),
            FetchError::Timeout(_) => (Code::UpstreamTimeout, "the upstream did not answer in time"),
            FetchError::TooLarge(_) => (Code::UpstreamTooLarge, "the upstream's answer is larger than allowed"),
            FetchError::Cut(_) => (Code::UpstreamTruncated, "the upstream's answer broke off"),
            FetchError::NotHttp(_) | FetchError::Malformed(_) => {
                (Code::UpstreamMalformed, "the upstream's answer can't be read")
            }
            FetchError::Overloaded(_) => (Code::Overloaded, NO_ROOM),
        };
        Self::logged(code, said, error.to_string())
    }
}

impl From<MemoryExhausted> for Failure {
    fn from(error: MemoryExhausted) -> Self {
        Self::logged(Code::Overloaded, NO_ROOM, error.to_string())
    }
}

impl From<ConcurrencyLimit> for Failure {
    fn from(limit: ConcurrencyLimit) -> Self {
        let (code, said, detail) = match limit {
            ConcurrencyLimit::Route => (
                Code::Overloaded,
                "the limit of concurrent requests is reached here: try again in a moment",
                "concurrency.requests of the route limits its concurrent requests",
            ),
            ConcurrencyLimit::Client => (
                Code::RateLimited,
                "you have as many requests in flight here as one client may: wait for the response to one of them",
                "concurrency.per_client of the route limits the concurrent requests of a client",
            ),
        };
        Self::logged(code, said, detail.to_owned())
    }
}

impl From<RateRefusal> for Failure {
    fn from(refusal: RateRefusal) -> Self {
        let RateRefusal { policy, quota: QuotaSettings { requests, per, burst }, retry_after, until } = refusal;
        let at_once = if burst < requests { format!(", {burst} at once") } else { String::new() };
        let (quota, again) = (format!("{requests} in {}{at_once}", seconds(per.as_secs())), seconds(retry_after));
        let until = until.map(clock::rfc3339).unwrap_or_default();
        let (said, key) = match policy {
            LimitPolicy::Requests => (
                format!("you have reached the limit of requests here, {quota}: try again in {again}"),
                "rate_limit.requests",
            ),
            LimitPolicy::UpstreamRequests => (
                format!("you have reached the limit of upstream requests here, {quota}: try again in {again}"),
                "rate_limit.upstream_requests",
            ),
            LimitPolicy::Legacy => (
                format!(
                    "you have reached the limit of requests by page or offset here, {quota}: try again in {again}, or \
                     {BY_CURSOR}"
                ),
                "legacy.rate_limit",
            ),
            LimitPolicy::Brownout if requests == 0 => {
                (format!("requests by page or offset are not answered until {until}: {BY_CURSOR}"), "legacy.brownouts")
            }
            LimitPolicy::Brownout => (
                format!(
                    "until {until} a client may send no more than {quota} by page or offset here: try again in {again}, or \
                     {BY_CURSOR}"
                ),
                "legacy.brownouts",
            ),
        };
        let mut problem = Problem::new(Code::RateLimited, said);
        problem.retry_after = Some(retry_after.into());
        Self::Refused { problem: Box::new(problem), detail: Some(format!("{key} of the route limits its clients")) }
    }
}

/// The remedy for a client that pages by number or offset. For an answer without links, `Problem::leave_out_links`
/// replaces the part after the colon.
const BY_CURSOR: &str = "page by cursor: start at `restart` and follow its links";

/// Returns a number of seconds as text, such as `1 second` or `5 seconds`.
fn seconds(number: u64) -> String {
    if number == 1 { "1 second".to_owned() } else { format!("{number} seconds") }
}

impl From<Occupied> for Failure {
    fn from(occupied: Occupied) -> Self {
        let said = "the upstream has all the requests that it may have at once, and others are waiting: try again after \
                    `Retry-After`";
        let detail = if occupied.is_adaptive {
            "no free slot: the upstream answers late, so it gets fewer requests at once; connections sets a fixed number"
        } else {
            "no free slot: connections of the upstream limits its concurrent requests"
        };
        let mut problem = Problem::new(Code::Overloaded, said);
        problem.retry_after = Some(occupied.retry_after.into());
        Self::Refused { problem: Box::new(problem), detail: Some(detail.to_owned()) }
    }
}

impl From<TooLong> for Failure {
    fn from(error: TooLong) -> Self {
        // Without its next cursor, the page would look like the last one, so it's refused. Upstreams cause long cursors
        // with their tokens or the ids of items. Test: `tokens_too_long_for_a_cursor_are_refused`.
        let said = "the upstream's continuation token, or the id of an item, does not fit into a cursor";
        Self::logged(Code::UpstreamTooLarge, said, format!("{error}: cursor.length of the route allows more"))
    }
}

impl From<HeaderRefusal> for Failure {
    fn from(refusal: HeaderRefusal) -> Self {
        Problem::new(Code::RequestInvalid, refusal.to_string()).into()
    }
}

impl From<LegacyFault> for Failure {
    fn from(fault: LegacyFault) -> Self {
        let code = if fault.conflict { Code::ParameterConflict } else { Code::PageInvalid };
        Problem::new(code, fault.to_string()).with_parameter(fault.parameter).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::metrics::FAMILIES;
    use cursorgate_cursor::cursor::{ContextPart, RefusalReason};

    fn code(failure: Failure) -> (&'static str, Option<String>) {
        match failure {
            Failure::Refused { problem, .. } => (problem.code.as_str(), problem.nearest),
            Failure::Passed(_) => ("passed", None),
        }
    }

    #[test]
    fn each_failure_has_its_code() {
        let nearest = |Offset(at): Offset| Some(format!("/users?cursor={at}"));
        let lost = Failure::refusal(Refusal::PositionLost { nearest: Offset(7) }, nearest);
        assert_eq!(code(lost), ("position_lost", Some("/users?cursor=7".to_owned())));
        let run = Failure::refusal(Refusal::TieRun { nearest: Offset(8) }, nearest);
        assert_eq!(code(run), ("tie_run", Some("/users?cursor=8".to_owned())));
        for (failure, expected) in [
            (Failure::refusal(Refusal::TooDeep, nearest), "too_deep"),
            (Failure::refusal(Refusal::BudgetExceeded, nearest), "budget_exceeded"),
            (Failure::refusal(Refusal::Stuck, nearest), "upstream_stuck"),
            (Failure::refusal(Refusal::EndContradicted { passed: 100, total: 1_003 }, nearest), "upstream_stuck"),
            (Failure::doubted_end(DoubtedEnd { reached: 100, said: Some(257) }), "end_unproven"),
            (FetchError::Unavailable(String::new()).into(), "upstream_unavailable"),
            (FetchError::Exhausted(String::new()).into(), "overloaded"),
            (FetchError::Timeout(String::new()).into(), "upstream_timeout"),
            (FetchError::TooLarge(String::new()).into(), "upstream_too_large"),
            (FetchError::Cut(String::new()).into(), "upstream_truncated"),
            (FetchError::Malformed(String::new()).into(), "upstream_malformed"),
            (refused_cursor(CursorError::Invalid, RefusalReason::KeyUnknown), "cursor_invalid"),
            (refused_cursor(CursorError::Expired, RefusalReason::Expired), "cursor_expired"),
            (Failure::reading(ReadingError::TooDeep(128), 200, &HeaderMap::new(), &[]), "upstream_malformed"),
        ] {
            assert_eq!(code(failure), (expected, None));
        }
    }

    #[test]
    fn each_cause_of_disorder_has_its_own_word_and_sentence() {
        for cause in Cause::ALL {
            let refusal = Refusal::Unsorted(Unsorted { cause, said: "item 3 of an answer".to_owned() });
            let word = super::cause(&refusal);
            assert!(word.starts_with("unsorted_"), "{word}");
            let Failure::Refused { problem, detail } = Failure::refusal(refusal, |_| None) else { panic!() };
            assert_eq!((problem.code, detail.as_deref()), (Code::UpstreamUnsorted, Some("item 3 of an answer")));
            let same = |other: &&Cause| unsorted(**other).0 == word || unsorted(**other).1 == unsorted(cause).1;
            assert_eq!(Cause::ALL.iter().filter(same).count(), 1, "{word}");
        }
    }

    #[test]
    fn each_cause_of_a_refusal_is_counted() {
        let nearest = Offset(7);
        let disorders = Cause::ALL.map(|cause| Refusal::Unsorted(Unsorted { cause, said: String::new() }));
        let others = [
            Refusal::PositionLost { nearest },
            Refusal::TieRun { nearest },
            Refusal::TooDeep,
            Refusal::BudgetExceeded,
            Refusal::Stuck,
            Refusal::EndContradicted { passed: 100, total: 1_003 },
            Refusal::NoList,
            Refusal::PivotGone { nearest },
            Refusal::TokenGone,
            Refusal::Unsupported,
        ];
        let family = FAMILIES.iter().find(|family| family.name == "cursorgate_refusals_total").expect("the family");
        for refusal in disorders.into_iter().chain(others) {
            let word = cause(&refusal);
            assert!(family.labels[0].1.contains(&word), "{word}");
        }
    }

    fn refused_cursor(error: CursorError, reason: RefusalReason) -> Failure {
        Failure::cursor(RefusedCursor { error, reason, key: Some(7) }, "cursor")
    }

    #[test]
    fn a_cursor_of_another_list_says_what_differs() {
        let mismatch = CursorError::Mismatch { differs: vec![ContextPart::Filters, ContextPart::Order] };
        let failure = refused_cursor(mismatch, RefusalReason::Context);
        let Failure::Refused { problem, detail } = failure else { panic!() };
        assert_eq!((problem.code, problem.differs), (Code::CursorMismatch, vec!["filters", "order"]));
        assert_eq!(detail.as_deref(), Some("the cursor: context, key 7, other filters and order"));
        assert_eq!(problem.parameter.as_deref(), Some("cursor"));
    }

    #[test]
    fn a_failure_of_the_upstream_keeps_its_status_and_its_retry_after() {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static("7"))]);
        for (status, expected) in [
            (500, (Code::UpstreamUnavailable, 502)),
            (503, (Code::UpstreamUnavailable, 503)),
            (504, (Code::UpstreamTimeout, 504)),
        ] {
            let failure = Failure::reading(ReadingError::Unavailable("it failed".into()), status, &headers, &[]);
            let Failure::Refused { problem, detail } = failure else { panic!() };
            assert_eq!((problem.code, problem.status), expected);
            assert_eq!(problem.retry_after, headers.get(RETRY_AFTER).cloned());
            assert_eq!(detail.as_deref(), Some("it failed"));
        }
    }
}
