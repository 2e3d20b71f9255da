//! The keys of a route's `rate_limit`, and of the limits and brownouts of its legacy requests.

use std::time::Duration;

use crate::{
    key::{
        Defaulted, Key,
        Literal::{Count, Text},
        Type, count, duration, table, text, word, words,
    },
    schema::SyntaxFault,
    settings::CountedBy,
    syntax,
};

/// The largest number of requests that a limit can have. A configuration with a larger number is refused.
const MOST: u64 = 1_000_000;

table! {
    /// The keys of `rate_limit` of a route.
    RATE_LIMIT: RateLimitKeys {
        /// The largest number of requests that a client may send in the time `per`. Further ones are answered with 429
        /// and cause no upstream request.
        requests: Key<u32> => count(1, MOST).example("100");

        /// The largest number of upstream requests that a client may cause in the time `per`. A client beyond the limit
        /// gets 429 until its limit has recovered.
        upstream_requests: Key<u32> => count(1, MOST).example("500");

        /// The time in which a fully used limit recovers, evenly: with `requests = 100` and "1m", by one request every
        /// 0.6 seconds.
        per: Defaulted<Duration> => duration("1s", "30d").default(Text("1m"));

        /// The largest number of requests that a client may send at once, at most `requests`. After that the limit
        /// recovers one request at a time. Default: `requests`.
        burst: Key<u32> => count(1, MOST).example("20");

        /// The property that identifies clients: "principal" for `identity` or the headers in `principal`, "address",
        /// or a header such as "header:X-Api-Key". Without such a header the address counts. A client that invents
        /// values has a new limit with each: to prevent this, use "address", or a header that the upstream checks.
        key: Defaulted<CountedBy> => COUNTED_BY.default(Text("principal"));
    }
}

table! {
    /// The keys of `legacy.rate_limit` of a route.
    LEGACY_RATE_LIMIT: LegacyRateLimitKeys {
        /// The largest number of legacy requests that a client may send in the time `per`. They also count for
        /// `rate_limit` of the route. Further ones are answered with 429 and a link to the list by cursor.
        requests: Key<u32> => count(1, MOST).sample("20");

        /// The time in which a fully used limit recovers, evenly: with `requests = 20` and "1m", by one request every 3
        /// seconds.
        per: Defaulted<Duration> => duration("1s", "30d").default(Text("1m"));

        /// The largest number of legacy requests that a client may send at once, at most `requests`. After that the
        /// limit recovers one request at a time. Default: `requests`.
        burst: Key<u32> => count(1, MOST).example("5");
    }
}

table! {
    /// The keys of an element of `legacy.brownouts` of a route.
    BROWNOUT: BrownoutKeys {
        /// The time at which the brownout begins, in the form of RFC 3339.
        from: Key<String> => text(syntax::moment).sample(r#""2036-11-02T08:00:00Z""#);

        /// The time at which the brownout ends, in the form of RFC 3339.
        until: Key<String> => text(syntax::moment).sample(r#""2036-11-02T16:00:00Z""#);

        /// The answer to legacy requests during the brownout.
        answer: Defaulted<BrownoutAnswer> => word().default(Text("limit"));

        /// The largest number of legacy requests that a client may send in the time `per`, with `answer = "limit"`.
        /// With 0, all legacy requests are answered with 429 until the brownout ends.
        requests: Defaulted<u32> => count(0, MOST).default(Count(0));

        /// The time in which a fully used limit recovers, evenly: with `requests = 5` and "1m", by one request every 12
        /// seconds.
        per: Defaulted<Duration> => duration("1s", "30d").default(Text("1m"));
    }
}

words! {
    /// The answer to legacy requests during a brownout.
    enum BrownoutAnswer {
        /// 429 to the requests of a client beyond `requests`.
        Limit = "limit",
        /// 410 to every request, as with the policy `reject`.
        Reject = "reject",
    }
}

/// The type of the property that identifies clients.
pub(super) const COUNTED_BY: Type<CountedBy> = text(key);

/// Accepts "principal", "address" or "header:" with the name of a header: the property that identifies clients.
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
