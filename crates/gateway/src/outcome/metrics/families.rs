//! The families of metrics for each route, and the closed sets of their label values.

use crate::{identity::headers::COUNTED, shared::clients::route_limits::LimitPolicy};
use cursorgate_cursor::cursor::RefusalReason;
use cursorgate_translate::downstream::Code;

/// The verdicts on an observed answer: servable, or the first reason against it.
pub(super) const VERDICTS: [&str; 12] = [
    SERVABLE,
    "status",
    "encoding",
    "too_large",
    "shape",
    "facts",
    "ids",
    "kinds",
    "order",
    "size",
    "parameters",
    "failed",
];

/// The reasons for which an answer isn't observed.
pub(super) const REASONS: [&str; 7] = ["request", "body", "sort", "unchanged", "sample", "busy", "cut"];

/// The reason of a refusal because a cursor is in a parameter that isn't one of cursors.
pub const STRAY_CURSOR: &str = "parameter";

/// The verdict for an answer from which the gateway could have served the list.
pub const SERVABLE: &str = "servable";

/// The reasons for which cursors are refused: those of [`RefusalReason`], and a cursor in a parameter that isn't one of
/// cursors.
const CURSOR_REASONS: [&str; 9] = {
    let [one, two, three, four, five, six, seven, eight] = RefusalReason::WORDS;
    [one, two, three, four, five, six, seven, eight, STRAY_CURSOR]
};

/// The outcomes that aren't problem codes.
const PLAIN_OUTCOMES: [&str; 17] = [
    "page",
    "not_modified",
    "passed",
    "forwarded",
    "redirected",
    "preflight",
    "bulk",
    "contract",
    "jobs",
    "exports",
    "webhooks",
    "graphql",
    "live",
    "mcp",
    "client_gone",
    "client_stalled",
    "panicked",
];

/// All label values of `outcome`: the plain outcomes and the problem codes.
const OUTCOMES: [&str; PLAIN_OUTCOMES.len() + Code::ALL.len()] = {
    let mut words = [""; PLAIN_OUTCOMES.len() + Code::ALL.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = match index.checked_sub(PLAIN_OUTCOMES.len()) {
            Some(code) => Code::ALL[code].as_str(),
            None => PLAIN_OUTCOMES[index],
        };
        index += 1;
    }
    words
};

/// Returns whether an outcome is a problem code.
pub fn is_refusal(outcome: &str) -> bool {
    !PLAIN_OUTCOMES.contains(&outcome)
}

/// The classes of statuses. `none` is for requests to which no status was sent, and for upstream requests without a
/// complete answer.
pub const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", NO_ANSWER];

/// The class of requests without an answer, because the client has left or the upstream didn't answer.
const NO_ANSWER: &str = "none";

/// Returns the index of a status in [`CLASSES`]. Numbers outside of 100 to 599, such as 0, have the class `none`.
pub(super) fn class(status: u16) -> usize {
    match status {
        100..600 => usize::from(status / 100) - 1,
        _ => CLASSES.len() - 1,
    }
}

/// The content codings with which the gateway compresses responses.
pub(super) const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

/// A family of counters that every route has.
#[derive(Clone, Copy, Debug)]
pub struct MetricFamily {
    pub name: &'static str,
    pub help: &'static str,
    /// The labels apart from `route`, each with its possible values.
    pub labels: &'static [(&'static str, &'static [&'static str])],
}

impl MetricFamily {
    /// Returns the number of counters, one for each combination of label values.
    pub(super) fn width(&self) -> usize {
        self.labels.iter().map(|(_, values)| values.len()).product()
    }

    /// Returns the label values of a counter from its index in the family.
    pub fn values(&self, index: usize) -> Vec<&'static str> {
        let mut rest = index;
        let mut values: Vec<&str> = Vec::with_capacity(self.labels.len());
        // As in `index`, the last label varies fastest.
        for (_, known) in self.labels.iter().rev() {
            values.push(known[rest % known.len()]);
            rest /= known.len();
        }
        values.reverse();
        values
    }

    /// Returns the index of a counter from its label values; `None` if a value isn't one of the label's values.
    pub(super) fn index(&self, values: &[&str]) -> Option<usize> {
        self.labels.iter().zip(values).try_fold(0, |index, ((_, known), value)| {
            // Only the known values have a counter, so clients can't add counters by choosing values. Test:
            // `client_keys_leave_the_number_of_series_bounded`.
            let at = known.iter().position(|known| known == value);
            debug_assert!(at.is_some(), "{value} is not a value of {}", self.name);
            Some(index * known.len() + at?)
        })
    }
}

/// All metric families of a route, in the order in which they are written.
pub const FAMILIES: [MetricFamily; 25] = [
    MetricFamily {
        name: "cursorgate_requests_total",
        help: "Requests by outcome (page, forwarded, or the code of the problem) and class of the status.",
        labels: &[("outcome", &OUTCOMES), ("status", &CLASSES)],
    },
    MetricFamily {
        name: "cursorgate_pages_total",
        help: "Pages served, by level.",
        labels: &[("level", &["exact", "checked", "anchored", "positional"])],
    },
    MetricFamily {
        name: "cursorgate_pages_unproven_total",
        help: "Pages served without a proof of their position, by reason.",
        labels: &[("reason", &["position", "order", "tie-run", "pivot", "seam"])],
    },
    MetricFamily {
        name: "cursorgate_pages_lowered_total",
        help: "Pages read by marks, by the reason that the declared order could not be used.",
        labels: &[(
            "cause",
            &["unsorted_no_object", "unsorted_no_id", "unsorted_no_key", "unsorted_kind", "unsorted_text"],
        )],
    },
    MetricFamily {
        name: "cursorgate_futile_filters_total",
        help: "Pages whose range filter returned neither the item of the cursor nor its ties; after three in a row \
               the filter is not sent for 32 pages.",
        labels: &[("outcome", &["in_vain", "given_up", "spared"])],
    },
    MetricFamily {
        name: "cursorgate_refusals_total",
        help: "Pages refused after requests to the upstream, by cause.",
        labels: &[(
            "cause",
            &[
                "position_lost",
                "tie_run",
                "too_deep",
                "budget_exceeded",
                "unsorted_no_object",
                "unsorted_no_id",
                "unsorted_no_key",
                "unsorted_null",
                "unsorted_kind",
                "unsorted_digits",
                "unsorted_text",
                "unsorted_order",
                "unsorted_ties",
                "unsorted_twice",
                "stuck",
                "end_contradicted",
                "end_unproven",
                "pivot_gone",
                "token_gone",
                "unsupported",
                "no_list",
            ],
        )],
    },
    MetricFamily {
        name: "cursorgate_drifted_pages_total",
        help: "Pages found at another offset than the estimate in their cursor.",
        labels: &[],
    },
    MetricFamily {
        name: "cursorgate_drift_items_total",
        help: "Sum of the distances in items between the estimated and the actual offsets of drifted pages.",
        labels: &[],
    },
    MetricFamily {
        name: "cursorgate_stragglers_total",
        help: "Cursor marks found out of order and ignored in favour of the majority.",
        labels: &[],
    },
    MetricFamily { name: "cursorgate_upstream_requests_total", help: "Requests to the upstream.", labels: &[] },
    MetricFamily {
        name: "cursorgate_pivots_total",
        help: "Look-ups of the sort keys of a cursor's item, by source.",
        labels: &[("source", &["cache", "store", "upstream", "shared"])],
    },
    MetricFamily {
        name: "cursorgate_observed_total",
        help: "Answers observed, by verdict: servable, or the first cause against it.",
        labels: &[("verdict", &VERDICTS)],
    },
    MetricFamily {
        name: "cursorgate_unobserved_total",
        help: "Answers not observed on routes that observe, by reason.",
        labels: &[("reason", &REASONS)],
    },
    MetricFamily {
        name: "cursorgate_list_requests_total",
        help: "Requests for lists, by cursors, by the upstream's parameters, or by neither.",
        labels: &[("paging", &["cursor", "legacy", "unmarked"])],
    },
    MetricFamily {
        name: "cursorgate_response_body_bytes_total",
        help: "Bytes of response bodies as they were sent.",
        labels: &[],
    },
    MetricFamily {
        name: "cursorgate_compression_input_bytes_total",
        help: "Bytes of the gateway's own responses before compression, by coding.",
        labels: &[("coding", &CODINGS)],
    },
    MetricFamily {
        name: "cursorgate_compression_output_bytes_total",
        help: "Bytes of the gateway's own responses after compression, by coding.",
        labels: &[("coding", &CODINGS)],
    },
    MetricFamily {
        name: "cursorgate_rate_limited_total",
        help: "Requests refused because their client had used up a limit, by the limit.",
        labels: &[("policy", &LimitPolicy::WORDS)],
    },
    MetricFamily {
        name: "cursorgate_page_cache_total",
        help: "Responses of routes with page_cache, by the use of the cache (docs/caching.md).",
        labels: &[(
            "use",
            &["hit", "stale", "stale_if_error", "collapsed", "miss", "expired", "reload", "bypass", "not_cached"],
        )],
    },
    MetricFamily { name: "cursorgate_page_cache_stored_total", help: "Pages stored.", labels: &[] },
    MetricFamily {
        name: "cursorgate_validated_answers_total",
        help: "Answers that the upstream validated with 304.",
        labels: &[],
    },
    MetricFamily {
        name: "cursorgate_background_pages_total",
        help: "Pages made while no request waited for them, by reason and end; dropped ones were not begun.",
        labels: &[("work", &["refresh", "prefetch"]), ("end", &["stored", "not_stored", "failed", "dropped"])],
    },
    MetricFamily {
        name: "cursorgate_ends_unproven_total",
        help: "Ends of lists, served or refused, after which the upstream says that more items follow.",
        labels: &[],
    },
    MetricFamily {
        name: "cursorgate_cursors_refused_total",
        help: "Cursors refused, by reason (docs/incidents.md).",
        labels: &[("reason", &CURSOR_REASONS)],
    },
    MetricFamily {
        name: "cursorgate_unidentified_requests_total",
        help: "Requests whose pages are not kept, because this header might identify the client.",
        labels: &[("header", &COUNTED)],
    },
];

pub(super) const REQUESTS: usize = 0;
pub(super) const PAGES: usize = 1;
pub(super) const UNPROVEN: usize = 2;
pub(super) const LOWERED: usize = 3;
pub(super) const FUTILE_FILTERS: usize = 4;
pub(super) const REFUSALS: usize = 5;
pub(super) const DRIFTED: usize = 6;
pub(super) const DRIFT: usize = 7;
pub(super) const STRAGGLERS: usize = 8;
pub(super) const UPSTREAM_REQUESTS: usize = 9;
pub(super) const PIVOTS: usize = 10;
pub(super) const OBSERVED: usize = 11;
pub(super) const UNOBSERVED: usize = 12;
pub(super) const PAGING: usize = 13;
pub(super) const BODY_BYTES: usize = 14;
pub(super) const COMPRESSION_INPUT: usize = 15;
pub(super) const COMPRESSION_OUTPUT: usize = 16;
pub(super) const RATE_LIMITED: usize = 17;
pub(super) const CACHE: usize = 18;
pub(super) const STORED: usize = 19;
pub(super) const VALIDATED: usize = 20;
pub(super) const BACKGROUND: usize = 21;
pub(super) const ENDS_UNPROVEN: usize = 22;
pub(super) const CURSORS_REFUSED: usize = 23;
pub(super) const UNIDENTIFIED: usize = 24;
