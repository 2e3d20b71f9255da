//! The stable codes of problems, on which clients branch.

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $text:literal, $status:literal, $title:literal;)*) => {
        /// The stable code of a problem. Clients branch on the code, so its text and meaning don't change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$meta])* $name,)*
        }

        impl Code {
            /// All codes, ordered by status, with the code for the gateway's own fault last.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the code as clients read it, such as `cursor_expired`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Returns the HTTP status of problems with this code. [`Code::has_status`] describes the exceptions.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }

            /// Returns the title, which is the same for every problem with this code.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }
        }
    };
}

codes! {
    /// The limit isn't a whole number, or is 0.
    LimitInvalid = "limit_invalid", 400, "Invalid limit";
    /// The limit exceeds the maximum, and neither the route nor the envelope lowers such a limit to the maximum.
    LimitTooLarge = "limit_too_large", 400, "Limit too large";
    /// The sort can't be read, or names a field that the list can't be sorted by.
    SortInvalid = "sort_invalid", 400, "Invalid sort";
    /// A page or offset of a legacy request can't be read.
    PageInvalid = "page_invalid", 400, "Invalid page";
    /// Two parameters, or two values of the same parameter, contradict each other.
    ParameterConflict = "parameter_conflict", 400, "Conflicting parameters";
    /// The route doesn't take this parameter, or doesn't take it with this value.
    ParameterInvalid = "parameter_invalid", 400, "Unsupported parameter";
    /// The request asks for a range: it has a position for each end, such as `after` and `before`, or a position for
    /// one end and a limit that counts from the other, such as `after` and `last`.
    RangeUnsupported = "range_unsupported", 400, "Range not supported";
    /// The cursor can't be verified: it is truncated, modified, empty, or signed with a removed key.
    CursorInvalid = "cursor_invalid", 400, "Invalid cursor";
    /// The cursor is valid, but belongs to another list.
    CursorMismatch = "cursor_mismatch", 400, "Cursor of another list";
    /// The upstream refuses offsets as large as the one that the page needs.
    TooDeep = "too_deep", 400, "Offset too large for the upstream";
    /// The body of a request can't be read.
    BodyInvalid = "body_invalid", 400, "Invalid body";
    /// An operation of a bulk request can't be sent as it is written.
    OperationInvalid = "operation_invalid", 400, "Invalid operation";
    /// A GraphQL query can't be parsed, or doesn't match the schema.
    QueryInvalid = "query_invalid", 400, "Invalid query";
    /// A GraphQL query exceeds a limit.
    QueryTooComplex = "query_too_complex", 400, "Query too complex";
    /// The idempotency key isn't a quoted string.
    IdempotencyKeyInvalid = "idempotency_key_invalid", 400, "Invalid idempotency key";
    /// The framing, the path or the headers of the request are malformed, or a GET request has a body.
    RequestInvalid = "request_invalid", 400, "Invalid request";
    /// The upstream refuses the credentials, or has revoked them.
    CredentialsRefused = "credentials_refused", 401, "Credentials refused";
    /// Scripts of this origin aren't allowed to open a WebSocket or to use tools.
    OriginRefused = "origin_refused", 403, "Origin refused";
    /// The path has no route.
    RouteNotFound = "route_not_found", 404, "Path not found";
    /// The export does not exist, or belongs to another client.
    ExportNotFound = "export_not_found", 404, "Export not found";
    /// The job does not exist, or belongs to another client; or there is no such queue.
    JobNotFound = "job_not_found", 404, "Job or queue not found";
    /// The endpoint of webhooks or its delivery does not exist, or belongs to another client.
    WebhookNotFound = "webhook_not_found", 404, "Webhook endpoint or delivery not found";
    /// The requested envelope is not offered.
    EnvelopeUnknown = "envelope_unknown", 406, "Unknown envelope";
    /// The export hasn't failed, so there is nothing to resume.
    ExportNotFailed = "export_not_failed", 409, "Export not failed";
    /// The job hasn't failed, so there is nothing to resume.
    JobNotFailed = "job_not_failed", 409, "Job not failed";
    /// The job is waiting, running, failed or cancelled, so it has no result.
    JobWithoutResult = "job_without_result", 409, "Job without a result";
    /// A request with the same idempotency key is under way.
    IdempotencyKeyInUse = "idempotency_key_in_use", 409, "Idempotency key in use";
    /// A request with the same idempotency key has run, and its result is not kept.
    IdempotencyResultLost = "idempotency_result_lost", 409, "Result of the idempotency key lost";
    /// The endpoint of webhooks does not answer its challenge, or is not active.
    WebhookUnverified = "webhook_unverified", 409, "Webhook endpoint not verified";
    /// The client has as many endpoints of webhooks as it may have.
    WebhookLimit = "webhook_limit", 409, "Too many webhook endpoints";
    /// The export is waiting, running, failed or cancelled, so it has no result.
    ExportWithoutResult = "export_without_result", 409, "Export without a result";
    /// The lifetime of the cursor is over.
    CursorExpired = "cursor_expired", 410, "Expired cursor";
    /// The upstream no longer knows the cursor's position: its item is gone, or its token isn't accepted any more.
    CursorGone = "cursor_gone", 410, "Item of the cursor gone";
    /// Requests by page or offset are no longer answered.
    LegacyRejected = "legacy_rejected", 410, "Requests by page not supported";
    /// The body is larger than allowed.
    BodyTooLarge = "body_too_large", 413, "Body too large";
    /// The request line is longer than allowed.
    TargetTooLong = "target_too_long", 414, "Request target too long";
    /// The media type of the body is not supported.
    MediaTypeUnsupported = "media_type_unsupported", 415, "Unsupported media type";
    /// The requested range of bytes is outside of the result.
    RangeUnsatisfiable = "range_unsatisfiable", 416, "Range outside of the result";
    /// The gateway doesn't send webhooks to this URL.
    WebhookUrlRefused = "webhook_url_refused", 422, "Webhook URL refused";
    /// The upstream knows the client by its certificate, which an export doesn't have after a restart.
    ExportUnsupported = "export_unsupported", 422, "Export not supported";
    /// The result of a tool would be too large: because of its first item, or because its items have no cursors.
    ResultTooLarge = "result_too_large", 422, "Result too large";
    /// The idempotency key belongs to a request with another body.
    IdempotencyKeyReused = "idempotency_key_reused", 422, "Idempotency key of another request";
    /// A tie run is longer than any answer of the upstream.
    TieRun = "tie_run", 422, "Too many items with equal sort keys";
    /// The client has as many unfinished exports as it may have.
    ExportLimit = "export_limit", 429, "Too many unfinished exports";
    /// The client has as many unfinished jobs of the queue as it may have.
    JobLimit = "job_limit", 429, "Too many unfinished jobs";
    /// The client has as many live pages as it may have.
    LiveLimit = "live_limit", 429, "Too many live pages";
    /// The client has used up a limit on requests, or a brownout is on.
    RateLimited = "rate_limited", 429, "Too many requests";
    /// The headers are larger than allowed.
    HeadersTooLarge = "headers_too_large", 431, "Headers too large";
    /// The upstream can't be reached, or failed.
    UpstreamUnavailable = "upstream_unavailable", 502, "Upstream unavailable";
    /// The upstream's answer broke off.
    UpstreamTruncated = "upstream_truncated", 502, "Incomplete upstream response";
    /// The upstream's answer does not match its dialect.
    UpstreamMalformed = "upstream_malformed", 502, "Unreadable upstream response";
    /// The upstream's answer is larger than allowed.
    UpstreamTooLarge = "upstream_too_large", 502, "Upstream response too large";
    /// The upstream answered with a redirect.
    UpstreamRedirected = "upstream_redirected", 502, "Redirect by the upstream";
    /// The upstream repeats its pages, or ignores its paging parameter.
    UpstreamStuck = "upstream_stuck", 502, "Repeated upstream page";
    /// The list ends, although the upstream says that more items follow, and the route refuses such ends.
    EndUnproven = "end_unproven", 502, "Unproven end of the list";
    /// The upstream's items contradict the declared order.
    UpstreamUnsorted = "upstream_unsorted", 502, "Unsorted upstream list";
    /// A limit of connections, memory or concurrent requests is reached.
    Overloaded = "overloaded", 503, "Gateway overloaded";
    /// The route only forwards the requests for its list for now, so it has no pages.
    NotPaged = "not_paged", 503, "Pages by cursor not available";
    /// The store of a service can't be reached, or does not answer.
    StoreUnavailable = "store_unavailable", 503, "Store unavailable";
    /// The position of the cursor can't be found in the list: answers contradict one another, or the list changes fast.
    PositionLost = "position_lost", 503, "Position not found";
    /// The page was not found or filled within the requests and time allowed.
    BudgetExceeded = "budget_exceeded", 503, "Too many upstream requests";
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout", 504, "Upstream timeout";
    /// An operation of a bulk request took too long.
    OperationTimeout = "operation_timeout", 504, "Operation timeout";
    /// The client sent `only-if-cached`, and no stored page answers its request.
    NotCached = "not_cached", 504, "Page not cached";
    /// The request has passed this gateway before: an upstream leads back to it.
    LoopDetected = "loop_detected", 508, "Request loop";
    /// A fault of the gateway.
    Internal = "internal", 500, "Internal error";
}

impl Code {
    /// Returns whether a problem with this code can have a status: the code's own, for `upstream_unavailable` also 503 and
    /// for `credentials_refused` also 403, if the upstream answered so.
    #[must_use]
    pub const fn has_status(self, status: u16) -> bool {
        self.status() == status
            || (matches!(self, Self::UpstreamUnavailable) && status == 503)
            || (matches!(self, Self::CredentialsRefused) && status == 403)
    }

    /// Returns the value of `retryable` in problems with this code: `true` if clients should send the same request
    /// again later, because the cause is usually temporary.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::ExportLimit
                | Self::JobLimit
                | Self::LiveLimit
                | Self::UpstreamUnavailable
                | Self::UpstreamTruncated
                | Self::Overloaded
                | Self::NotPaged
                | Self::StoreUnavailable
                | Self::PositionLost
                | Self::BudgetExceeded
                | Self::UpstreamTimeout
        )
    }

    /// Returns whether a problem with this code has a link to the first page, except in answers to POST requests. Such
    /// codes concern the position of a request, or refuse requests by page.
    #[must_use]
    pub const fn restarts(self) -> bool {
        matches!(
            self,
            Self::CursorInvalid
                | Self::CursorMismatch
                | Self::CursorExpired
                | Self::CursorGone
                | Self::PositionLost
                | Self::TieRun
                | Self::TooDeep
                | Self::LegacyRejected
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_retryable_ones_are_429_or_faults_of_a_server() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(!code.retryable() || code.status() == 429 || code.status() > 500, "{code:?}");
            assert!(!code.restarts() || code.status() < 500 || code.retryable(), "{code:?}");
            // Octokit takes any 409 to a request for a page for the end of the list.
            assert!(!code.restarts() || code.status() != 409, "{code:?}");
        }
    }
}
