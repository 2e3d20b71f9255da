//! The response headers about the cache: `Age` (RFC 9111 section 5.1) and `Cache-Status` (RFC 9211).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header::AGE};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The way in which the cache was used for a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// A fresh page. The value is the time for which it stays fresh.
    Hit(Duration),
    /// A stale page, while a new one is made. The value is the time since it was last fresh.
    Stale(Duration),
    /// An old page, because the upstream failed. The value is the failure's code.
    OnError(&'static str),
    /// A page that a concurrent request made.
    Collapsed,
    /// A page that was made for this request.
    Made(MadeBecause, Kept),
    /// A response without use of the cache, because the request must not use it.
    Bypass,
}

/// The reason that a page was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeBecause {
    /// The cache has no page.
    Miss,
    /// The kept page is too old for the request.
    Old,
    /// The client requested a new page (`Cache-Control: no-cache`, for example).
    Asked,
}

/// The properties of a page that was made for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    pub is_stored: bool,
    /// `true` if the upstream validated each answer that lists items with a 304.
    pub is_validated: bool,
}

impl CacheUse {
    /// Returns the value for the log and for metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hit(_) => "hit",
            Self::Stale(_) => "stale",
            Self::OnError(_) => "stale_if_error",
            Self::Collapsed => "collapsed",
            Self::Made(MadeBecause::Miss, _) => "miss",
            Self::Made(MadeBecause::Old, _) => "expired",
            Self::Made(MadeBecause::Asked, _) => "reload",
            Self::Bypass => "bypass",
        }
    }

    /// Returns the value of `Cache-Status`; `None` if the failure's code can't be part of a header.
    fn value(self) -> Option<HeaderValue> {
        let text = match self {
            Self::Hit(left) => format!("cursorgate; hit; ttl={}", left.as_secs()),
            // A negative time shows that the page is stale (RFC 9211 section 2.4).
            Self::Stale(over) => format!("cursorgate; hit; ttl=-{}", over.as_secs()),
            Self::OnError(reason) => format!("cursorgate; fwd=stale; detail={reason}"),
            Self::Collapsed => return Some(HeaderValue::from_static("cursorgate; fwd=miss; collapsed")),
            Self::Bypass => return Some(HeaderValue::from_static("cursorgate; fwd=bypass")),
            Self::Made(because, Kept { is_stored, is_validated }) => {
                let reason = match because {
                    MadeBecause::Miss => "miss",
                    MadeBecause::Old => "stale",
                    MadeBecause::Asked => "request",
                };
                let status = if is_validated { "; fwd-status=304" } else { "" };
                let stored = if is_stored { "; stored" } else { "" };
                format!("cursorgate; fwd={reason}{status}{stored}")
            }
        };
        HeaderValue::try_from(text).ok()
    }

    /// Adds the header `Cache-Status`. Values from caches between the gateway and the upstream stay before it (RFC 9211
    /// section 2).
    pub fn write(self, headers: &mut HeaderMap) {
        if let Some(value) = self.value() {
            headers.append(CACHE_STATUS, value);
        }
    }
}

/// Writes `Age`, in seconds, and replaces any other value.
pub fn write_age(headers: &mut HeaderMap, seconds: u64) {
    headers.insert(AGE, HeaderValue::from(seconds));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_status_header_follows_rfc_9211() {
        let kept = Kept { is_stored: true, is_validated: false };
        for (used, text, word) in [
            (CacheUse::Hit(Duration::from_millis(9_900)), "cursorgate; hit; ttl=9", "hit"),
            (CacheUse::Stale(Duration::from_secs(2)), "cursorgate; hit; ttl=-2", "stale"),
            (CacheUse::OnError("upstream_timeout"), "cursorgate; fwd=stale; detail=upstream_timeout", "stale_if_error"),
            (CacheUse::Collapsed, "cursorgate; fwd=miss; collapsed", "collapsed"),
            (CacheUse::Bypass, "cursorgate; fwd=bypass", "bypass"),
            (CacheUse::Made(MadeBecause::Miss, kept), "cursorgate; fwd=miss; stored", "miss"),
            (
                CacheUse::Made(MadeBecause::Old, Kept { is_validated: true, ..kept }),
                "cursorgate; fwd=stale; fwd-status=304; stored",
                "expired",
            ),
            (
                CacheUse::Made(MadeBecause::Asked, Kept { is_stored: false, ..kept }),
                "cursorgate; fwd=request",
                "reload",
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_STATUS, HeaderValue::from_static("origin; hit"));
            used.write(&mut headers);
            let all: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
            assert_eq!(
                (all.as_slice(), used.word()),
                (&[&HeaderValue::from_static("origin; hit"), &HeaderValue::from_static(text)][..], word)
            );
        }
    }
}
