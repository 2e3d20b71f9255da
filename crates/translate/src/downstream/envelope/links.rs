//! Links: the URLs in a body, and the `Link` header (RFC 8288) with the same URLs.

use crate::downstream::request::{
    public_address::PublicAddress,
    query::{self, LinkQuery},
};

/// The prefix of a request's links: an optional origin and the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkBase {
    /// Scheme, authority and path, percent-encoded.
    prefix: String,
}

impl LinkBase {
    /// Joins the public address of a route and the path of a request's target. The path is percent-encoded.
    #[must_use]
    pub fn new(address: &PublicAddress, path: &str) -> Self {
        let start = address.as_str();
        let mut prefix = String::with_capacity(start.len() + path.len() + 1);
        prefix.push_str(start);
        // If no scheme and host come first, a second slash would turn the path into an authority, so all leading
        // slashes are removed. Test: `no_path_becomes_the_host_of_a_link`.
        let path = if start.is_empty() { path.trim_start_matches('/') } else { path.strip_prefix('/').unwrap_or(path) };
        prefix.push('/');
        query::push_path(&mut prefix, path);
        Self { prefix }
    }

    /// Returns the link with this encoded query. If the query is empty, the link has no `?`.
    #[must_use]
    pub fn url(&self, query: &str) -> String {
        if query.is_empty() {
            return self.prefix.clone();
        }
        [self.prefix.as_str(), "?", query].concat()
    }

    /// Returns the start of a link whose query has about `size` bytes.
    #[must_use]
    pub fn begin(&self, size: usize) -> LinkQuery {
        let mut text = String::with_capacity(self.prefix.len() + size);
        text.push_str(&self.prefix);
        LinkQuery::after(text)
    }
}

/// The links of a page, as complete encoded URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkSet {
    /// The link to this page: the request's target without private parameters; `None` if the page has no such link.
    pub self_: Option<String>,
    /// The link to the first page; `None` if the page has no such link.
    pub first: Option<String>,
    /// The link to the previous page; `None` if the page has no such link.
    pub prev: Option<String>,
    /// The link to the next page; `None` if the page has no such link.
    pub next: Option<String>,
    /// The link to the last page; `None` if the page has no such link.
    pub last: Option<String>,
}

impl LinkSet {
    /// Returns the value of the `Link` header: `next`, `prev`, `first`, `last`, `extra` and `services` (relation, URL),
    /// each with a quoted `rel` as its first parameter. If the line would exceed `max_length` bytes, the links in
    /// `services` are dropped first, then the page's own links, in the order `last`, `first`, `prev`, `next`. Links in
    /// `extra` are dropped only if they don't fit on their own, the last one first. Returns `None` if no link is left.
    #[must_use]
    pub fn header(&self, max_length: usize, extra: &[(&str, &str)], services: &[(&str, String)]) -> Option<String> {
        let paging = [("next", &self.next), ("prev", &self.prev), ("first", &self.first), ("last", &self.last)];
        let paging = paging.into_iter().filter_map(|(rel, url)| Some((rel, url.as_deref()?)));
        let extra: Vec<(&str, String)> = extra.iter().map(|(rel, url)| (*rel, query::encoded_url(url))).collect();
        let extra = extra.iter().map(|(rel, url)| (*rel, url.as_str()));
        // Links are dropped from the end, so a beginning of the list is kept.
        let extra = extra.clone().take(fitting(extra, max_length));
        let room =
            extra.clone().fold(max_length, |room, (rel, url)| room.saturating_sub(size(rel, url) + SEPARATOR.len()));
        let services = services.iter().map(|(rel, url)| (*rel, url.as_str()));
        // The links to services come last, so they are the first that don't fit.
        let own = paging.chain(services);
        let links = own.clone().take(fitting(own, room)).chain(extra);
        let mut line = String::with_capacity(links.clone().map(|(rel, url)| size(rel, url) + SEPARATOR.len()).sum());
        for (rel, url) in links {
            let separator = if line.is_empty() { "" } else { SEPARATOR };
            line.extend([separator, "<", url, ">; rel=\"", rel, "\""]);
        }
        (!line.is_empty()).then_some(line)
    }
}

const SEPARATOR: &str = ", ";

/// Returns the length of a link in a `Link` field, in bytes.
fn size(rel: &str, url: &str) -> usize {
    url.len() + rel.len() + "<>; rel=\"\"".len()
}

/// Returns the number of links, from the first on, that fit into `room` bytes.
fn fitting<'l>(links: impl Iterator<Item = (&'l str, &'l str)>, room: usize) -> usize {
    let mut length = 0;
    let fits = |(rel, url): &(&str, &str)| {
        length += size(rel, url) + SEPARATOR.len();
        length - SEPARATOR.len() <= room
    };
    links.take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row: A13
    #[test]
    fn no_path_becomes_the_host_of_a_link() {
        for (url, path, expected) in [
            ("https://x.example", "/a", "https://x.example/a"),
            ("https://x.example/base/", "/a/", "https://x.example/base/a/"),
            ("https://x.example", "//a", "https://x.example//a"),
            ("", "/a", "/a"),
            ("", "//evil.example/a", "/evil.example/a"),
            ("", "/\\evil", "/%5Cevil"),
            ("", "/a,b;c/%2C/%zz/\u{e9}", "/a%2Cb;c/%2C/%25zz/%C3%A9"),
            ("", "/a?b#c", "/a%3Fb%23c"),
            ("", "", "/"),
        ] {
            let base = LinkBase::new(&PublicAddress::configured(url), path);
            assert_eq!(base.url(""), expected, "{url:?} {path}");
            assert_eq!(base.url("b=1"), format!("{expected}?b=1"));
        }
    }

    fn set() -> LinkSet {
        let url = |name: &str| Some(format!("/a?cursor={name}"));
        LinkSet { self_: url("self"), first: url("first"), prev: url("prev"), next: url("next"), last: url("last") }
    }

    #[test]
    fn a_line_has_next_first_and_one_relation_for_each_link() {
        let extra = [("deprecation", "https://docs.example/x"), ("successor-version", "/a")];
        let expected = "</a?cursor=next>; rel=\"next\", </a?cursor=prev>; rel=\"prev\", </a?cursor=first>; rel=\"first\", \
                        </a?cursor=last>; rel=\"last\", <https://docs.example/x>; rel=\"deprecation\", \
                        </a>; rel=\"successor-version\"";
        assert_eq!(set().header(4096, &extra, &[]).unwrap(), expected);
        assert_eq!(LinkSet::default().header(4096, &[], &[]), None);
        let documentation = [("deprecation", "https://d.example/é,1#why")];
        let encoded = "<https://d.example/%C3%A9%2C1#why>; rel=\"deprecation\"";
        assert_eq!(LinkSet::default().header(4096, &documentation, &[]).unwrap(), encoded);
        assert_eq!(
            LinkSet { next: None, prev: None, ..set() }.header(4096, &[], &[]).unwrap().matches("rel=").count(),
            2
        );
    }

    #[test]
    fn a_long_line_loses_last_first_prev_and_next_in_this_order() {
        let relations = |max: usize, extra: &[(&str, &str)]| {
            let line = set().header(max, extra, &[]).unwrap_or_default();
            assert!(line.len() <= max, "{} > {max}", line.len());
            line.split("rel=\"")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap().to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let whole = set().header(4096, &[], &[]).unwrap().len();
        let mut seen = Vec::new();
        for max in (0..=whole).rev() {
            let kept = relations(max, &[]);
            if seen.last() != Some(&kept) {
                seen.push(kept);
            }
        }
        assert_eq!(seen, ["next prev first last", "next prev first", "next prev", "next", ""]);
        assert_eq!(relations(60, &[("deprecation", "/d")]), "next deprecation");
        assert_eq!(relations(40, &[("deprecation", "/d")]), "deprecation");
        assert_eq!(relations(30, &[("deprecation", "/d"), ("successor-version", "/a")]), "deprecation");
        let services = [("service-desc", "/openapi.json".to_owned())];
        let all = set().header(4096, &[], &services).unwrap();
        assert!(all.ends_with("</openapi.json>; rel=\"service-desc\""), "{all}");
        assert_eq!(set().header(all.len() - 1, &[], &services), set().header(4096, &[], &[]));
    }

    /// Whatever target a client sends, the line is visible ASCII. Readers that split at commas and semicolons find the
    /// same links as readers that follow RFC 8288. Paths with a semicolon aren't tested, because splitting there is
    /// wrong.
    ///
    /// Row: A14
    #[test]
    fn any_target_makes_a_line_that_reads_back() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            let mut text = || -> String {
                let length = random() % 12;
                let letter = |bits: u64| match bits % 4 {
                    0 => char::from_u32(u32::try_from(bits >> 8 & 0x1ff).unwrap()).unwrap(),
                    1 => {
                        ['<', '>', '"', ',', ';', '%', '\\', ' ', '\r', '\n'][usize::try_from(bits >> 8).unwrap() % 10]
                    }
                    _ => char::from_u32(u32::try_from(0x20 + (bits >> 8) % 0x5f).unwrap()).unwrap(),
                };
                (0..length).map(|_| letter(random())).collect()
            };
            let base = LinkBase::new(&PublicAddress::default(), &text().replace(';', ""));
            let mut url = || {
                let mut query = String::new();
                query::push_linked(&mut query, &text());
                query::push_written(&mut query, &text(), &text());
                Some(base.url(&query))
            };
            let set = LinkSet { self_: url(), first: url(), prev: url(), next: url(), last: url() };
            let line = set.header(usize::MAX, &[], &[]).unwrap();
            assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line:?}");
            let expected = [("next", set.next), ("prev", set.prev), ("first", set.first), ("last", set.last)];
            let links: Vec<&str> = line.split(',').map(str::trim).collect();
            assert_eq!(links.len(), expected.len(), "{line:?}");
            for (link, (rel, url)) in links.into_iter().zip(expected) {
                let (found, rest) = link.split_once(';').unwrap();
                assert_eq!(
                    found.strip_prefix('<').and_then(|found| found.strip_suffix('>')),
                    url.as_deref(),
                    "{line:?}"
                );
                assert_eq!(rest.trim(), format!("rel=\"{rel}\""));
                let uri: http::Uri = url.unwrap().parse().unwrap();
                assert!(uri.host().is_none(), "{uri}");
            }
        }
    }
}
