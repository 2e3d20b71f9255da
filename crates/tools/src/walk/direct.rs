//! Walks by a dialect: page after page, as clients of the upstream read a list without the gateway.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::Method;

use super::page::{WalkPlace, WalkedPage, refusal};
use cursorgate_core::pagination::{
    answer::{Answer, Standing},
    fetch::{Fetch, Listing, Token, TokenFetch},
    paging::{Family, Sizes},
    window::{Offset, PageNumber, PageSize, Slice},
};
use cursorgate_learn::{ProbeAnswer, ProbeRequest};
use cursorgate_translate::upstream::{Dialect, UpstreamRequest};

/// The maximum depth of an answer that is read.
const DEPTH: u16 = 128;

/// The largest number of empty pages in a row that are passed if the dialect says that rows are left out, or if each
/// page has a token of its own.
pub(super) const MOST_EMPTY: u32 = 16;

/// A walk by a dialect.
#[derive(Debug)]
pub struct DirectPager<'d> {
    pub(super) dialect: &'d Dialect,
    /// The path at the upstream.
    path: String,
    /// The parameters of every request apart from paging, encoded and joined by `&`.
    filters: String,
    pub(super) size: u32,
    /// A hash of the items of the previous page; `None` before the first page.
    before: Option<u64>,
    /// True once a page had other items than the one before it.
    moves: bool,
    /// The number of empty pages in a row.
    empty: u32,
}

impl<'d> DirectPager<'d> {
    /// Starts a walk of the list at a path. Of the parameters in `query`, the size is used, those that every request has
    /// by itself, such as the place, are ignored, and all others are filters. Without a size, pages have `usual` items.
    /// The size is limited to the sizes that the dialect allows.
    #[must_use]
    pub fn new(dialect: &'d Dialect, path: String, query: &str, usual: u32) -> Self {
        let pairs = cursorgate_learn::query_of(&format!("?{query}"));
        let size_name = dialect.size_name();
        let said = pairs.iter().find(|(name, _)| Some(name) == size_name.as_ref());
        let asked = said.and_then(|(_, value)| value.parse().ok()).unwrap_or(usual);
        let size = match dialect.paging().sizes() {
            Sizes::Free { least, most } => asked.clamp(*least, most.unwrap_or(u32::MAX)),
            Sizes::Listed(sizes) => {
                let largest = sizes.iter().rev().find(|size| **size <= asked).or_else(|| sizes.first());
                largest.copied().unwrap_or(asked)
            }
            Sizes::Fixed(size) => *size,
        };
        let (filters, size) = (String::new(), size.max(1));
        let mut pager = Self { dialect, path, filters, size, before: None, moves: false, empty: 0 };
        let first = pager.ask(&pager.start()).map(|ask| cursorgate_learn::query_of(&format!("?{}", ask.query)));
        let own: Vec<String> = first.unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        // A place, a size or a sort in the query would contradict those of each request, so they are left out. Tests:
        // `the_command_walk_follows_link_headers_and_dialects`, `a_parameter_of_each_request_is_no_filter`.
        let is_filter = |pair: &&str| {
            let name = cursorgate_learn::query_of(&format!("?{pair}"));
            name.first().is_none_or(|(name, _)| !dialect.paging_names().contains(name) && !own.contains(name))
        };
        let raw = query.split('&').filter(|pair| !pair.is_empty());
        pager.filters = raw.filter(is_filter).collect::<Vec<_>>().join("&");
        pager
    }

    pub(super) fn start(&self) -> WalkPlace {
        match self.dialect.paging().family {
            Family::Page => WalkPlace::Page(0),
            Family::Offset => WalkPlace::Offset(0),
            Family::Token => WalkPlace::Token(None),
        }
    }

    pub(super) fn ask(&self, place: &WalkPlace) -> Result<UpstreamRequest, String> {
        let size = PageSize(if matches!(place, WalkPlace::Row(_)) { 1 } else { self.size });
        let slice = |slice| Fetch::Slice(slice, Listing::default());
        let fetch = match place {
            WalkPlace::Page(number) => slice(Slice::Page { number: PageNumber(*number), size }),
            WalkPlace::Offset(from) => slice(Slice::Offset { from: Offset(*from), size }),
            WalkPlace::Row(index) if self.dialect.paging().family == Family::Page => {
                slice(Slice::Page { number: PageNumber(*index), size })
            }
            WalkPlace::Row(index) => slice(Slice::Offset { from: Offset(*index), size }),
            WalkPlace::Token(token) => {
                let token = token.as_deref().map(|text| Token(text.into()));
                Fetch::Token(TokenFetch { token, backward: false, size })
            }
            WalkPlace::Target(_) => return Err("the walk was begun by links: go on with the same options".to_owned()),
        };
        let sorted = self.dialect.default_sorted();
        self.dialect.ask(sorted, &fetch, &self.filters, &self.path).map_err(|error| error.to_string())
    }

    pub(super) fn request(&self, place: &WalkPlace) -> Result<ProbeRequest, String> {
        let ask = self.ask(place)?;
        // A POST may change data, so a walk does not send it. Test:
        // `the_command_walk_follows_link_headers_and_dialects`.
        if ask.method != Method::GET || ask.edits.is_some() {
            return Err(format!(
                "the dialect {} asks by {}, and a walk sends only GET",
                self.dialect.name(),
                ask.method
            ));
        }
        let header =
            |(name, value): (http::HeaderName, http::HeaderValue)| Some((name, value.to_str().ok()?.to_owned()));
        let headers = ask.headers.into_iter().filter_map(header).collect();
        Ok(ProbeRequest { headers, ..ProbeRequest::get(ask.path, ask.query) })
    }

    /// Reads the answer to a request.
    pub(super) fn read_answer(&self, ask: &UpstreamRequest, answer: ProbeAnswer) -> Result<Answer, String> {
        let ProbeAnswer { status, headers, body, .. } = answer;
        let refused = refusal(status, &body);
        let read = self.dialect.read(self.dialect.default_sorted(), ask, status, &headers, body, DEPTH);
        read.map_err(|error| if status >= 400 { refused } else { error.to_string() })
    }

    /// Returns whether an answer has the same items as the one before, and at least one. Keeps it as the one before.
    pub(super) fn repeats(&mut self, answer: &Answer) -> bool {
        let shown = shown(answer);
        !answer.items().is_empty() && self.goes_on_to(shown)
    }

    /// Notes the hash of a page's items. Returns whether the page has the items of the one before it.
    fn goes_on_to(&mut self, shown: u64) -> bool {
        let before = self.before.replace(shown);
        self.moves |= before.is_some_and(|before| before != shown);
        before == Some(shown)
    }

    /// Describes a page that came twice in a row, although the dialect says that the last page doesn't come again.
    pub(super) fn twice(&self) -> String {
        let help = match self.moves {
            true => "if it gives its last page for all pages after it, write response.repeats_last_page = true",
            false => "does it take other parameters than the dialect says?",
        };
        format!("the upstream gave the same page twice in a row: {help}")
    }

    pub(super) fn read(&mut self, place: &WalkPlace, answer: ProbeAnswer) -> Result<WalkedPage, String> {
        let answer = self.read_answer(&self.ask(place)?, answer)?;
        let (items, shown) = (answer.items().len(), shown(&answer));
        let total = answer.total.map(|total| total.value);
        let next = self.next(place, &answer);
        // A page that is empty may be followed by others, but too many empty pages in a row that promise more end the
        // walk with an error. Test: `a_walk_passes_more_empty_pages_where_rows_are_left_out`.
        self.empty = if items == 0 { self.empty + 1 } else { 0 };
        let paging = self.dialect.paging();
        let most = if paging.hidden || paging.family == Family::Token { MOST_EMPTY } else { 1 };
        if self.empty > most && next.is_some() {
            return Err(format!("{} empty pages in a row say that more follows", self.empty));
        }
        if items > 0 && self.before == Some(shown) {
            // Some upstreams answer every page after the end with the last page. If the total shows that items follow,
            // however, the upstream ignores the parameter of the page.
            let passed = self.begins(place).unwrap_or_default();
            if self.dialect.paging().repeats_last_page || total.is_some_and(|total| total <= passed) {
                return Ok(WalkedPage { answer: Answer::without_items(Standing::PastEnd), next: None });
            }
            return Err(self.twice());
        }
        self.goes_on_to(shown);
        Ok(WalkedPage { answer, next })
    }

    /// Returns the number of items before a place; `None` for a token or a link, which don't show the number.
    pub(super) fn begins(&self, place: &WalkPlace) -> Option<u64> {
        match place {
            WalkPlace::Page(number) => Some(number.saturating_mul(u64::from(self.size))),
            WalkPlace::Offset(from) | WalkPlace::Row(from) => Some(*from),
            WalkPlace::Token(_) | WalkPlace::Target(_) => None,
        }
    }

    /// Returns the place after an answer. Returns `None` at the end: a flag that denies more items without a token, or a
    /// missing token shows it, and without a flag, an exact total or an empty answer.
    fn next(&self, place: &WalkPlace, answer: &Answer) -> Option<WalkPlace> {
        let items = answer.items().len() as u64;
        let begins = self.begins(place);
        // A flag without the dialect's word may be wrong, so a token beside it is tried, unless the answer is empty. A
        // dialect that vouches for its flag reads no token beside it.
        let tries_token = begins.is_none() && items > 0 && !self.dialect.paging().tokens.by_item;
        if answer.standing != Standing::Listed || (answer.more == Some(false) && !tries_token) {
            return None;
        }
        let Some(begins) = begins else {
            if items == 0 && self.dialect.paging().tokens.ends_empty {
                return None;
            }
            return answer.next.as_ref().map(|token| WalkPlace::Token(Some(token.0.to_string())));
        };
        let counted = answer.total.filter(|total| total.exact).map(|total| begins + items < total.value);
        let more = answer.more.unwrap_or_else(|| items > 0 && counted != Some(false));
        let next = match place {
            WalkPlace::Page(number) => WalkPlace::Page(number + 1),
            // The offset is increased by the number of items, which may be smaller than the requested size. An empty
            // answer is passed: by a row, or as a whole page if its rows are left out.
            _ if items == 0 && self.dialect.paging().hidden => WalkPlace::Offset(begins + u64::from(self.size)),
            _ => WalkPlace::Offset(begins + items.max(1)),
        };
        // A dialect for whole lists can't write a request for another place, so the walk ends.
        (more && self.ask(&next).is_ok()).then_some(next)
    }
}

/// Returns a hash of an answer's items, by which an upstream that repeats a page is noticed.
fn shown(answer: &Answer) -> u64 {
    let mut hasher = DefaultHasher::new();
    (0..answer.items().len()).for_each(|index| answer.item(index).hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path, time::Duration};

    use super::{super::ListingPager, *};
    use cursorgate_config::{Environment, diagnostic::Diagnostics, load_text};

    struct OneKey;

    impl Environment for OneKey {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "KEY").then(|| "aOyTwFgPs5hzOuP-NkYfh2ErSvXeas9O1nm-EUXTEMI".to_owned())
        }

        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Returns a dialect whose `[response]` also has these words.
    fn dialect(words: &str) -> Dialect {
        dialect_by("offset={offset}", words)
    }

    fn dialect_by(place: &str, words: &str) -> Dialect {
        let text = "version = 1\n[cursor]\nsigning_key = 1\nkeys = { 1 = \"env:KEY\" }\n[upstreams.service]\n\
                    peers = [\"127.0.0.1:9\"]\n[routes.list]\nold_clients = \"none\"\npath = \"/items\"\nupstream = \"service\"\n\
                    dialect = \"own\"\n[dialects.own]\nrequest = { query = \"offset={offset}&limit={size}\" }\n\
                    response = { items = \"/data\", has_more = \"/more\", past_end = [{ status = 404 }]WORDS }\n";
        let (settings, diagnostics) =
            load_text("direct.toml", &text.replace("offset={offset}", place).replace("WORDS", words), &OneKey);
        assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
        let list = settings.unwrap().routes.remove(0).list.unwrap();
        Dialect::compile(&list, &mut Diagnostics::default()).unwrap()
    }

    fn answer(status: u16, body: &str) -> ProbeAnswer {
        let (headers, body) = (http::HeaderMap::new(), body.as_bytes().to_vec());
        ProbeAnswer { status, headers, body, elapsed: Duration::ZERO }
    }

    const EMPTY: &str = r#"{"data":[],"more":true}"#;

    #[test]
    fn a_parameter_of_each_request_is_no_filter() {
        let dialect = dialect_by("sort=-id&offset={offset}", "");
        let pager = DirectPager::new(&dialect, "/items".to_owned(), "sort=id&state=open&offset=40&limit=5", 10);
        let query = pager.request(&pager.start()).unwrap().query;
        assert!(query.contains("sort=-id") && query.contains("state=open") && query.contains("limit=5"), "{query}");
        assert!(!query.contains("sort=id") && !query.contains("offset=40"), "{query}");
    }

    /// An empty page may be followed by others, for example if all of its items are hidden. A second empty page ends
    /// the walk, with an error if it promises more items.
    #[test]
    fn a_walk_ends_with_the_second_of_two_empty_pages() {
        let dialect = dialect("");
        for (status, body, ends) in [(200, r#"{"data":[],"more":false}"#, true), (404, "{}", true), (200, EMPTY, false)]
        {
            let mut pager = DirectPager::new(&dialect, "/items".to_owned(), "", 10);
            let first = pager.read(&WalkPlace::Offset(0), answer(200, EMPTY)).unwrap();
            let second = pager.read(&first.next.unwrap(), answer(status, body));
            match second {
                Ok(page) => assert!(ends && page.next.is_none(), "{status} {body}: {:?}", page.next),
                Err(fault) => assert!(!ends && fault.contains("2 empty pages"), "{status} {body}: {fault}"),
            }
        }
    }

    #[test]
    fn a_walk_passes_more_empty_pages_where_rows_are_left_out() {
        let dialect = dialect(", hidden = true");
        let mut pager = DirectPager::new(&dialect, "/items".to_owned(), "", 10);
        let mut place = WalkPlace::Offset(0);
        for _ in 0..MOST_EMPTY {
            place = pager.read(&place, answer(200, EMPTY)).unwrap().next.unwrap();
        }
        assert_eq!(place, WalkPlace::Offset(u64::from(MOST_EMPTY) * 10), "an empty page is passed as a whole");
        let fault = pager.read(&place, answer(200, EMPTY)).unwrap_err();
        assert!(fault.contains("17 empty pages"), "{fault}");
    }

    #[test]
    fn a_page_that_comes_twice_is_the_last_one_or_any() {
        let dialect = dialect("");
        let page = |ids: [u64; 2]| answer(200, &format!(r#"{{"data":[{{"id":{}}},{{"id":{}}}]}}"#, ids[0], ids[1]));
        for (second, named) in [([3, 4], "response.repeats_last_page = true"), ([1, 2], "other parameters")] {
            let mut pager = DirectPager::new(&dialect, "/items".to_owned(), "", 2);
            let mut place = WalkPlace::Offset(0);
            let faults: Vec<String> = [[1, 2], second, [3, 4]]
                .into_iter()
                .filter_map(|ids| match pager.read(&place, page(ids)) {
                    Ok(read) => {
                        place = read.next.unwrap();
                        None
                    }
                    Err(fault) => Some(fault),
                })
                .collect();
            assert!(faults[0].contains(named), "{faults:?}");
        }
    }

    /// Lists an upstream by offset whose rows are ids from 1. Returns the ending, and the number of requests.
    fn listed(dialect: &Dialect, count: u64, counts: bool, is_shown: impl Fn(u64, u64) -> bool) -> (u64, Vec<String>) {
        let mut pager = ListingPager::new(DirectPager::new(dialect, "/items".to_owned(), "", 20));
        let mut place = Some(pager.start());
        // A listing of so few rows has far fewer windows.
        for _ in 0..200 {
            let Some(own) = place else { break };
            let query = pager.request(&own).unwrap().query;
            let number = |name: &str| {
                let pairs = cursorgate_learn::query_of(&format!("?{query}"));
                pairs.iter().find(|(own, _)| own == name).and_then(|(_, value)| value.parse::<u64>().ok())
            };
            let size = number("limit").unwrap();
            let from = number("offset").unwrap_or_else(|| (number("page").unwrap() - 1) * size);
            let ids = (from + 1..=from.saturating_add(size).min(count)).filter(|id| is_shown(*id, *id - from));
            let items: Vec<String> = ids.map(|id| format!("{{\"id\":{id}}}")).collect();
            let counted = format!(",\"total\":{count},\"pages\":{}", count.div_ceil(size));
            let counted = if counts { &counted } else { "" };
            let body = format!("{{\"data\":[{}],\"more\":false{counted}}}", items.join(","));
            place = pager.read(&own, answer(200, &body)).unwrap().next;
        }
        assert_eq!(place, None);
        let ending = pager.ending();
        (ending.items, ending.review(0).doubts)
    }

    #[test]
    fn items_behind_rows_that_are_left_out_are_listed() {
        let dialect = dialect("");
        for (count, dropped) in [(115, 61..=90), (400, 201..=240), (300, 151..=175), (300, 101..=250)] {
            let left = count - dropped.clone().count() as u64;
            let (items, doubts) = listed(&dialect, count, false, |id, _| !dropped.contains(&id));
            assert_eq!((items, doubts), (left, Vec::new()), "{count} {dropped:?}");
        }
    }

    /// With the dialect's word, a total of all rows is no doubt, unless a cap explains the difference, too.
    #[test]
    fn a_total_that_counts_rows_explains_the_items_that_are_left_out() {
        let words = ", hidden = true, total = \"/total\", total_counts = \"rows\"";
        for place in ["offset={offset}", "page={page}"] {
            let dialect = dialect_by(place, words);
            for each in [3, 7] {
                let (_, doubts) = listed(&dialect, 120, true, |id, _| id % each != 2);
                assert_eq!(doubts, Vec::<String>::new(), "{place} {each}");
            }
        }
        let (_, doubts) = listed(&dialect_by("page={page}", words), 120, true, |_, place| place <= 15);
        assert_eq!(doubts.len(), 1, "{doubts:?}");
    }

    #[test]
    fn a_number_of_pages_beyond_the_items_is_a_doubt() {
        for place in ["offset={offset}", "page={page}"] {
            let said = dialect_by(place, ", last_page = \"/pages\"");
            for count in [1, 20, 21, 257] {
                assert_eq!(listed(&said, count, true, |_, _| true), (count, Vec::new()), "{place} {count}");
            }
            let (_, doubts) = listed(&said, 257, true, |id, _| id <= 100);
            assert!(doubts.iter().any(|doubt| doubt.contains("the list has 13 pages, and 100 items")), "{doubts:?}");
            let hidden = dialect_by(place, ", last_page = \"/pages\", hidden = true");
            assert_eq!(listed(&hidden, 257, true, |id, _| id % 3 != 2).1, Vec::<String>::new(), "{place}");
        }
    }
}
