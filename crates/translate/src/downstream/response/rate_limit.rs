//! The header fields with the limits of a client and what is left of them: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-11, structured fields of RFC 9651).

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};

use cursorgate_config::settings::QuotaSettings;

/// The field with the limits of a client, and their periods.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The field with the number of units that are left of each limit, and the time until it is reset.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// A limit and its state, as a client sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitStanding {
    /// The name of the limit, such as `requests`.
    pub policy: &'static str,
    /// The unit that the limit counts; `None` if it counts requests of the client.
    pub unit: Option<&'static str>,
    /// The limit: the number of units, the period, and the burst.
    pub quota: QuotaSettings,
    /// The number of units that are left.
    pub remaining: u32,
    /// The time after which the whole limit is left, or after which a refused request is allowed, in seconds.
    pub reset: u64,
}

/// Writes both fields, and replaces those of an upstream. Without `standings`, the upstream's fields stay.
pub fn write(headers: &mut HeaderMap, standings: &[LimitStanding]) {
    // The upstream's own fields pass if the gateway has no limit. Test: `limits_are_lists_of_structured_fields`.
    if standings.is_empty() {
        return;
    }
    let (mut policies, mut limits) = (String::with_capacity(96), String::with_capacity(64));
    for LimitStanding { policy, unit, quota, remaining, reset } in standings {
        for text in [&mut policies, &mut limits] {
            if !text.is_empty() {
                text.push_str(", ");
            }
        }
        let QuotaSettings { requests, per, burst } = quota;
        let window = per.as_secs() + u64::from(per.subsec_nanos() > 0);
        // Writing to a string doesn't fail, so the result is ignored.
        let _ = write!(policies, "\"{policy}\";q={requests}");
        if let Some(unit) = unit {
            let _ = write!(policies, ";qu=\"{unit}\"");
        }
        let _ = write!(policies, ";w={window}");
        if burst < requests {
            // The draft requires a prefix for parameters that it doesn't define (section 3).
            let _ = write!(policies, ";cursorgate-burst={burst}");
        }
        let _ = write!(limits, "\"{policy}\";r={remaining};t={reset}");
    }
    for (name, value) in [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, limits)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn limits_are_lists_of_structured_fields() {
        let quota =
            |requests, milliseconds, burst| QuotaSettings { requests, per: Duration::from_millis(milliseconds), burst };
        let standings = [
            LimitStanding { policy: "requests", unit: None, quota: quota(100, 60_000, 20), remaining: 7, reset: 8 },
            LimitStanding {
                policy: "upstream-requests",
                unit: Some("upstream-requests"),
                quota: quota(500, 1_500, 500),
                remaining: 0,
                reset: 2,
            },
        ];
        let mut headers = HeaderMap::from_iter([(RATE_LIMIT, HeaderValue::from_static("limit=1"))]);
        write(&mut headers, &[]);
        assert_eq!(headers[RATE_LIMIT], "limit=1", "without limits of its own the gateway passes the upstream's on");
        write(&mut headers, &standings);
        assert_eq!(
            headers[RATE_LIMIT_POLICY],
            "\"requests\";q=100;w=60;cursorgate-burst=20, \"upstream-requests\";q=500;qu=\"upstream-requests\";w=2"
        );
        assert_eq!(headers[RATE_LIMIT], "\"requests\";r=7;t=8, \"upstream-requests\";r=0;t=2");
        assert_eq!(headers.get_all(RATE_LIMIT).iter().count(), 1);
    }
}
