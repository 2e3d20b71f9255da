//! The description of a route's page cache.

use std::{fmt::Write as _, time::Duration};

use super::durations::duration;
use cursorgate_config::settings::PageCacheSettings;

/// Describes which pages are stored, and for how long. Each time is at most a quarter of `life`, the lifetime of
/// cursors. If `life` is `None`, cursors don't expire, and the times aren't limited.
pub(super) fn kept(cache: &PageCacheSettings, life: Option<Duration>) -> String {
    let bounded = |time: Duration| {
        let most = life.map_or(u64::MAX, |life| life.as_secs() / 4);
        duration(Duration::from_secs(time.as_secs().min(most)))
    };
    let mut text = format!("pages are fresh for {}", bounded(cache.ttl));
    let after =
        [(cache.stale_while_revalidate, "while new ones are made"), (cache.stale_if_error, "if the upstream fails")];
    let after: Vec<String> = after
        .into_iter()
        .filter(|(time, _)| !time.is_zero())
        .map(|(time, when)| format!("for {} {when}", bounded(time)))
        .collect();
    if !after.is_empty() {
        let _ = write!(text, ", then served {}", after.join(" and "));
    }
    text.push_str(match cache.private {
        true => "; those for one client are kept only for it",
        false => "; those for one client are not kept",
    });
    if cache.prefetch {
        text.push_str("; the next page is made ahead");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_is_on_is_described() {
        let seconds = Duration::from_secs;
        let plain = PageCacheSettings {
            ttl: seconds(60),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            private: false,
            prefetch: false,
        };
        assert_eq!(kept(&plain, None), "pages are fresh for 1m; those for one client are not kept");
        let on_error = PageCacheSettings { stale_if_error: seconds(3_600), ..plain };
        assert_eq!(
            kept(&on_error, None),
            "pages are fresh for 1m, then served for 1h if the upstream fails; those for one client are not kept"
        );
        let all = PageCacheSettings { stale_while_revalidate: seconds(300), private: true, prefetch: true, ..on_error };
        assert_eq!(
            kept(&all, Some(seconds(600))),
            "pages are fresh for 1m, then served for 150s while new ones are made and for 150s if the upstream fails; \
             those for one client are kept only for it; the next page is made ahead"
        );
    }
}
