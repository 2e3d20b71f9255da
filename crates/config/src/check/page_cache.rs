//! The check of `page_cache` of a route.

use http::header::AUTHORIZATION;

use super::Context;
use crate::{
    key::TableSettings as _,
    keys::{PAGE_CACHE, ROUTE},
    settings::{ListSettings, PageCacheSettings},
    spanned::Spanned,
};

/// Reads `page_cache` of a merged route; `None` if the route stores no pages.
pub(super) fn read(route: &Spanned) -> Option<PageCacheSettings> {
    let written = ROUTE.page_cache.find(route)?;
    let settings = PageCacheSettings { prefetch: ROUTE.prefetch.read(route), ..PageCacheSettings::read(written) };
    // With "0s" a route turns off the cache of its `defaults`, so the route has no cache.
    (!settings.ttl.is_zero()).then_some(settings)
}

/// Checks the cache against the rest of the route. Warns of `prefetch` without a cache, and of a cache that may stay
/// empty because clients send `Authorization`. Reports private pages on a route whose clients all see the same lists.
/// Also reports a dialect with single-use tokens, because a client with a stored page could not read the next one.
pub(super) fn check(list: &ListSettings, route: &Spanned, context: &mut Context<'_>) {
    if let Some(prefetch) =
        ROUTE.prefetch.find(route).filter(|_| list.page_cache.is_none() && ROUTE.prefetch.read(route))
    {
        let message = "the next page is to be made ahead, and there is no page_cache to keep it";
        context.diagnostics.warning(prefetch.at, message, "page_cache = { ttl = \"60s\" }");
    }
    let (Some(cache), Some(written)) = (list.page_cache, ROUTE.page_cache.find(route)) else { return };
    if list.dialect.request.single_use {
        let message =
            "pages are kept, and each token of the dialect can be used once: whoever gets a kept page can't go on";
        let help = "leave page_cache out, or request.single_use if the tokens can be used again";
        context.diagnostics.error(written.at, message, help);
    }
    let told_apart = list.principal.contains(&AUTHORIZATION);
    // A shared cache may store the answer to a request with `Authorization` only if the answer permits it (RFC 9111,
    // section 3.5). Without `private`, the cache may therefore stay empty.
    if told_apart && !cache.private && PAGE_CACHE.private.find(written).is_none() {
        let message = "pages for requests with Authorization are kept only where the upstream says public, s-maxage or \
                       must-revalidate";
        let help = "private = true stores them for each client separately; private = false accepts this";
        context.diagnostics.warning(written.at, message, help);
    }
    if let Some(private) = PAGE_CACHE.private.find(written).filter(|_| cache.private && list.principal.is_empty()) {
        let message = "pages for one client are kept, and principal = [] says that every client sees the same list";
        let help = "name in `principal` the headers that tell clients apart, or leave `private` out";
        context.diagnostics.error(private.at, message, help);
    }
}
