//! `rate_limit` of a route, and the limits and brownouts of its legacy requests.

use std::time::Duration;

use crate::config::{
    key::{
        Defaulted, Key,
        Literal::{Count, Text},
        count, duration, table, text, word, words,
    },
    schema::SyntaxFault,
    syntax,
};

/// The largest number of requests in a limit.
const MOST: u64 = 1_000_000;

table! {
    /// `rate_limit` of a route
    RATE_LIMIT: RateLimitKeys {
        /// The requests that a client may send in the time `per`. Further ones are answered with 429, and the upstream is
        /// not asked.
        requests: Key<u32> => count(1, MOST).example("100");

        /// The requests to the upstream that those of a client may take in the time `per`. A page is charged with as many
        /// as it took, so that a client pays for its expensive searches. A client that has used them up is answered with
        /// 429.
        upstream_requests: Key<u32> => count(1, MOST).example("500");

        /// The time in which a client that has used up a limit gets it back, evenly.
        per: Defaulted<Duration> => duration("1s", "30d").default(Text("1m"));

        /// The requests that a client may send at once, at most `requests`. Default: `requests`.
        burst: Key<u32> => count(1, MOST).example("20");

        /// The property by which clients are told apart: "principal" for the headers in `principal`, "address", or a header
        /// such as "header:X-Api-Key". A request without the header counts for its address, as a trusted proxy says it, of
        /// IPv6 its /64. A client that makes up values of a header has a limit for each of them: name a header that the
        /// upstream checks, or "address".
        key: Defaulted<String> => text(key).default(Text("principal"));
    }
}

table! {
    /// `legacy.rate_limit` of a route
    LEGACY_RATE_LIMIT: LegacyRateLimitKeys {
        /// The legacy requests that a client may send in the time `per`, which count for `rate_limit` as well. Further ones
        /// are answered with 429 and the link to the list by cursor.
        requests: Key<u32> => count(1, MOST).sample("20");

        /// The time in which a client that has used up the limit gets it back, evenly.
        per: Defaulted<Duration> => duration("1s", "30d").default(Text("1m"));

        /// The requests that a client may send at once, at most `requests`. Default: `requests`.
        burst: Key<u32> => count(1, MOST).example("5");
    }
}

table! {
    /// An element of `legacy.brownouts` of a route
    BROWNOUT: BrownoutKeys {
        /// The time at which it begins (RFC 3339).
        from: Key<String> => text(syntax::moment).sample(r#""2036-11-02T08:00:00Z""#);

        /// The time at which it ends.
        until: Key<String> => text(syntax::moment).sample(r#""2036-11-02T16:00:00Z""#);

        /// The answer to legacy requests in that time.
        answer: Defaulted<BrownoutAnswer> => word().default(Text("limit"));

        /// The legacy requests that a client may send in the time `per`, with `answer = "limit"`.
        requests: Defaulted<u32> => count(0, MOST).default(Count(0));

        /// The time in which a client that has used up the limit gets it back, evenly.
        per: Defaulted<Duration> => duration("1s", "30d").default(Text("1m"));
    }
}

words! {
    /// The answer to legacy requests in a brownout.
    enum BrownoutAnswer {
        /// 429 beyond `requests`, until the brownout is over.
        Limit = "limit",
        /// 410, as with the policy `reject`.
        Reject = "reject",
    }
}

/// Accepts the property by which clients are told apart.
fn key(text: &str) -> Result<(), SyntaxFault> {
    match text.strip_prefix("header:") {
        Some(name) => syntax::header_name(name),
        None if matches!(text, "principal" | "address") => Ok(()),
        None => {
            let help = "write \"principal\", \"address\", or a header such as \"header:X-Api-Key\"";
            Err(SyntaxFault::new(format!("{text:?} tells no clients apart"), help))
        }
    }
}
