//! The rules of a shared cache (RFC 9111) for pages made from several answers, and for the answers themselves: whether
//! they may be stored, for how long they are fresh, and by which request headers they differ. The strictest answer
//! decides.

use http::{
    HeaderMap, HeaderName,
    header::{CACHE_CONTROL, PRAGMA, SET_COOKIE, VARY},
};

use super::{Directives, PERMITS, age_of, expires_after};

/// The largest number of request headers that a stored page may differ by. A page that differs by more isn't stored.
const MOST_VARIED: usize = 16;

/// The largest number of tags of a stored page. A page with more isn't stored, because a purge by a tag that was
/// dropped would miss it.
const MOST_TAGS: usize = 64;

/// The largest number of bytes in a tag of a stored page. A page with a longer tag isn't stored.
const LONGEST_TAG: usize = 256;

/// Headers with the tags of an answer, and the separator of the tags: `Surrogate-Key` of Fastly and Varnish, and
/// `Cache-Tag` of Cloudflare and Akamai.
const TAGS: [(&str, char); 2] = [("surrogate-key", ' '), ("cache-tag", ',')];

/// Request headers that upstreams get from the gateway, not from the client, so answers don't differ by the client's
/// value.
const OWN: [&str; 1] = ["accept-encoding"];

/// The facts of a request and its route that decide which answers may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoringPolicy {
    /// `true` if the request has `Authorization`.
    pub is_authorized: bool,
    /// `true` if the request has a principal, and only requests of the same principal find the stored entry.
    pub keeps_private: bool,
}

/// The reason that an answer is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unstorable {
    /// An answer has `no-store`.
    NoStore,
    /// An answer has `private`, and the entry isn't kept for one principal.
    Private,
    /// An answer has `Set-Cookie`.
    Cookie,
    /// The request has `Authorization`, and an answer has no directive that permits storing it (RFC 9111, section 3.5).
    Authorized,
    /// `Vary` is `*`, can't be read, or has more names than a stored page may differ by.
    Varies,
    /// The tags can't be read, are too many, or include one that is too long.
    Tags,
    /// The page must be validated each time: an answer has `no-cache`, or isn't fresh any more.
    NotFresh,
}

/// The terms on which a page may be stored. Times are in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageStorage {
    /// The age of the oldest answer.
    pub age: u64,
    /// The shortest time for which the answers stay fresh from now on; `None` if no answer has a lifetime.
    pub fresh: Option<u64>,
    /// `true` if the page may be served after it is no longer fresh.
    pub may_be_stale: bool,
    /// The least `stale-while-revalidate` of the answers that have this directive; `None` if no answer has it.
    pub stale_while_revalidate: Option<u64>,
    /// The least `stale-if-error` of the answers that have this directive; `None` if no answer has it.
    pub stale_if_error: Option<u64>,
    /// The request headers that the answers differ by, sorted by name.
    pub varies: Vec<HeaderName>,
    /// The tags of the answers.
    pub tags: Vec<String>,
}

/// Returns the terms on which a page made from these answers may be stored; `now` is in seconds since 1970.
///
/// # Errors
///
/// Returns the reason that the page is not stored.
pub fn page_storage(answers: &[&HeaderMap], policy: StoringPolicy, now: u64) -> Result<PageStorage, Unstorable> {
    let mut storage = PageStorage { may_be_stale: true, ..PageStorage::default() };
    for answer in answers {
        check(answer, policy)?;
        let said = Directives::said(answer);
        if said.has("no-cache") {
            return Err(Unstorable::NotFresh);
        }
        // An invalid `Age` counts as 0.
        let age = age_of(answer).unwrap_or(0);
        storage.age = storage.age.max(age);
        if let Some(lifetime) = lifetime(answer, &said, now) {
            let left = lifetime.saturating_sub(age);
            if left == 0 {
                return Err(Unstorable::NotFresh);
            }
            storage.fresh = least(storage.fresh, Some(left));
        }
        // `s-maxage` implies `proxy-revalidate` (RFC 9111, section 5.2.2.10), so it also forbids stale pages.
        let strict = ["must-revalidate", "proxy-revalidate", "s-maxage"];
        storage.may_be_stale &= !strict.iter().any(|name| said.has(name));
        storage.stale_while_revalidate = least(storage.stale_while_revalidate, said.number("stale-while-revalidate"));
        storage.stale_if_error = least(storage.stale_if_error, said.number("stale-if-error"));
        add_tags(answer, &mut storage.tags)?;
    }
    storage.varies = varied(answers)?;
    Ok(storage)
}

/// Returns the request headers that an answer differs by, if it may be stored to be validated later.
///
/// # Errors
///
/// Returns the reason that the answer is not stored.
pub fn answer_storage(answer: &HeaderMap, policy: StoringPolicy) -> Result<Vec<HeaderName>, Unstorable> {
    check(answer, policy)?;
    varied(&[answer])
}

/// Checks that a shared cache may store an answer (RFC 9111 section 3).
fn check(answer: &HeaderMap, policy: StoringPolicy) -> Result<(), Unstorable> {
    let said = Directives::said(answer);
    if said.has("no-store") {
        return Err(Unstorable::NoStore);
    }
    if answer.contains_key(SET_COOKIE) {
        return Err(Unstorable::Cookie);
    }
    // `private="x-name"` forbids storing only that header (RFC 9111, section 5.2.2.7). Headers aren't removed from an
    // answer, so the directive applies to the whole answer. Test:
    // `the_strictest_answer_decides_whether_a_page_is_stored`.
    if said.has("private") && !policy.keeps_private {
        return Err(Unstorable::Private);
    }
    if policy.is_authorized && !policy.keeps_private && !PERMITS.iter().any(|name| said.has(name)) {
        return Err(Unstorable::Authorized);
    }
    Ok(())
}

/// Returns the lifetime of an answer for shared caches, in seconds from the moment at which it was made (RFC 9111,
/// section 4.2.1); `None` if its headers set no lifetime.
fn lifetime(answer: &HeaderMap, said: &Directives<'_>, now: u64) -> Option<u64> {
    said.number("s-maxage").or_else(|| said.number("max-age")).or_else(|| expires_after(answer, now))
}

/// Returns the names in `Vary`, sorted, without those in [`OWN`].
fn varied(answers: &[&HeaderMap]) -> Result<Vec<HeaderName>, Unstorable> {
    let mut names: Vec<HeaderName> = Vec::new();
    for value in answers.iter().flat_map(|answer| answer.get_all(VARY)) {
        for name in value.to_str().map_err(|_| Unstorable::Varies)?.split(',').map(str::trim) {
            if name.is_empty() {
                continue;
            }
            // `*` parses as a header's name, but means that the answer depends on more than headers, so nothing is
            // stored.
            let name = HeaderName::from_bytes(name.as_bytes()).ok().filter(|name| name != "*");
            let name = name.ok_or(Unstorable::Varies)?;
            if !OWN.contains(&name.as_str()) && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.len() > MOST_VARIED {
        return Err(Unstorable::Varies);
    }
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    Ok(names)
}

fn add_tags(answer: &HeaderMap, tags: &mut Vec<String>) -> Result<(), Unstorable> {
    for (name, separator) in TAGS {
        for value in answer.get_all(name) {
            let text = value.to_str().map_err(|_| Unstorable::Tags)?;
            for tag in text.split(separator).map(str::trim).filter(|tag| !tag.is_empty()) {
                if tag.len() > LONGEST_TAG || tags.len() >= MOST_TAGS {
                    return Err(Unstorable::Tags);
                }
                if !tags.iter().any(|known| known == tag) {
                    tags.push(tag.to_owned());
                }
            }
        }
    }
    Ok(())
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    [one, other].into_iter().flatten().min()
}

/// The directives of a request (RFC 9111, section 5.2.1). `max-stale` is ignored: the route sets how old a page may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// `no-store`: the page is neither taken from the cache nor stored.
    pub no_store: bool,
    /// `no-cache`, `max-age=0` or `Pragma: no-cache`: the page is requested from the upstream and stored again.
    pub reloads: bool,
    /// `only-if-cached`: no request is sent to the upstream.
    pub only_if_cached: bool,
    /// `max-age`: the greatest age that the client accepts, in seconds; `None` if it accepts any age.
    pub max_age: Option<u64>,
    /// `min-fresh`: the least time for which the page must stay fresh, in seconds; `None` without this directive.
    pub min_fresh: Option<u64>,
}

impl RequestDirectives {
    /// Reads `Cache-Control` of a request, or its `Pragma` if it has no `Cache-Control`.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        // `Pragma` counts only without `Cache-Control` (RFC 7234, section 5.4). Test:
        // `cache_directives_of_requests_are_read`.
        if !headers.contains_key(CACHE_CONTROL) {
            let says = |value: &http::HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"no-cache");
            return Self { reloads: headers.get_all(PRAGMA).iter().any(says), ..Self::default() };
        }
        let said = Directives::said(headers);
        let max_age = said.number("max-age");
        Self {
            no_store: said.has("no-store"),
            reloads: said.has("no-cache") || max_age == Some(0),
            only_if_cached: said.has("only-if-cached"),
            max_age,
            min_fresh: said.number("min-fresh"),
        }
    }

    /// Returns whether the client accepts a page of this age that stays fresh for `left`, both in seconds.
    #[must_use]
    pub fn accepts(self, age: u64, left: u64) -> bool {
        self.max_age.is_none_or(|most| age <= most) && self.min_fresh.is_none_or(|least| left >= least)
    }
}

#[cfg(test)]
mod tests;
