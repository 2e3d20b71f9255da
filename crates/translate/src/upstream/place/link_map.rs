//! Links of an upstream to itself, mapped to the address at which clients reach the gateway.
//!
//! Only absolute links to a host of the upstream are mapped, and only if the route leads to their path. All other links
//! stay as they are.

use percent_encoding::percent_decode_str;

/// The mapping of links in the answer to one request.
#[derive(Clone, Debug)]
pub struct LinkMap {
    /// The authorities of the upstream, in lower case and without the ports 80 and 443.
    pub authorities: Vec<String>,
    /// The start of the upstream's paths that [`Self::to`] replaces, in whole segments. Links to other paths aren't
    /// mapped.
    pub from: String,
    /// The start of mapped links, which replaces scheme, authority and [`Self::from`].
    pub to: String,
}

impl LinkMap {
    /// Normalizes an authority for comparison: lower case, without the ports 80 and 443.
    #[must_use]
    pub fn authority(text: &str) -> String {
        let text = text.to_ascii_lowercase();
        let without_usual = [":80", ":443"].into_iter().find_map(|port| text.strip_suffix(port));
        without_usual.unwrap_or(&text).to_owned()
    }

    /// Returns the link for clients; `None` if the link isn't mapped.
    #[must_use]
    pub fn mapped(&self, link: &str) -> Option<String> {
        let rest = link.trim();
        let rest = without_scheme(rest)?.strip_prefix("//")?;
        let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // The whole authority is compared: `people.internal@evil.example` is another host. Test:
        // `links_to_the_upstream_lead_to_the_gateway`.
        if !self.authorities.contains(&Self::authority(authority)) {
            return None;
        }
        let (path, query) = target.split_at(target.find(['?', '#']).unwrap_or(target.len()));
        let below = self.below(path)?;
        let to = if below.is_empty() { self.to.as_str() } else { self.to.trim_end_matches('/') };
        Some([to, below, query].concat())
    }

    /// Returns the part of a path after [`Self::from`], which is empty or begins with a slash; `None` for other paths.
    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let from = self.from.strip_suffix('/').unwrap_or(&self.from);
        // `/api/usersx` is not below `/api/users`, so the rest must be empty or begin with a slash. Test:
        // `links_to_the_upstream_lead_to_the_gateway`.
        if let Some(below) = path.strip_prefix(from)
            && (below.is_empty() || below.starts_with('/'))
        {
            // The final slash belongs to the upstream's spelling of the path, not to the client's, so it is dropped.
            let is_same = below == "/" && self.from.ends_with('/');
            return Some(if is_same { "" } else { below });
        }
        // The path may be the same in another spelling, such as `us%65rs` for `users`, so the decoded paths are
        // compared.
        let plain = |path: &str| percent_decode_str(path.trim_end_matches('/')).collect::<Vec<u8>>();
        (plain(path) == plain(from)).then_some("")
    }

    /// Returns a `Link` field (RFC 8288 section 3) with its targets mapped; `None` if no target is mapped.
    #[must_use]
    pub fn mapped_field(&self, field: &str) -> Option<String> {
        let mut out = String::with_capacity(field.len() + 64);
        let (mut kept, mut is_quoted, mut is_escaped) = (0, false, false);
        for (at, byte) in field.bytes().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                // A backslash escapes only in quoted strings (RFC 9110 section 5.6.4).
                b'\\' => is_escaped = is_quoted,
                b'"' => is_quoted = !is_quoted,
                // A `<` in a quoted parameter doesn't begin a target. Test:
                // `targets_of_fields_are_mapped_and_all_else_keeps_its_bytes`.
                b'<' if !is_quoted && at >= kept => {
                    let start = at + 1;
                    let Some(length) = field[start..].find('>') else { break };
                    if let Some(link) = self.mapped(&field[start..start + length]) {
                        out.push_str(&field[kept..start]);
                        out.push_str(&link);
                        kept = start + length;
                    }
                }
                _ => {}
            }
        }
        let is_changed = kept > 0;
        out.push_str(&field[kept..]);
        is_changed.then_some(out)
    }
}

/// Removes `http:` or `https:` from a link. A link that begins with `//` is returned unchanged; all other links return
/// `None`.
fn without_scheme(link: &str) -> Option<&str> {
    if link.starts_with("//") {
        return Some(link);
    }
    let (scheme, rest) = link.split_once(':')?;
    ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(from: &str, to: &str) -> LinkMap {
        let authorities = ["people.internal", "10.0.0.1:8000"].map(LinkMap::authority).to_vec();
        LinkMap { authorities, from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn links_to_the_upstream_lead_to_the_gateway() {
        let list = map("/api/users/", "https://api.example.com/v2/users");
        let any = map("", "https://api.example.com");
        let base = map("/v1", "/shop");
        for (map, link, mapped) in [
            (&list, "http://people.internal/api/users/?page=2", Some("https://api.example.com/v2/users?page=2")),
            (
                &list,
                "https://PEOPLE.internal:443/api/users?page=2#x",
                Some("https://api.example.com/v2/users?page=2#x"),
            ),
            (&list, "//10.0.0.1:8000/api/users/7/", Some("https://api.example.com/v2/users/7/")),
            (&list, "http://people.internal/api/us%65rs/?page=2", Some("https://api.example.com/v2/users?page=2")),
            (&list, "http://people.internal/api/usersx", None),
            (&list, "http://people.internal/login", None),
            (&any, "http://people.internal", Some("https://api.example.com")),
            (&any, "http://people.internal?a", Some("https://api.example.com?a")),
            (&any, "http://people.internal/a/b/?c", Some("https://api.example.com/a/b/?c")),
            (&any, "http://people.internal.evil.example/a", None),
            (&any, "http://people.internal@evil.example/a", None),
            (&any, "http://evil.example/people.internal", None),
            (&any, "http://people.internal:81/a", None),
            (&any, "ftp://people.internal/a", None),
            (&any, "/a?page=2", None),
            (&any, "?page=2", None),
            (&any, "", None),
            (&base, "http://people.internal/v1/users", Some("/shop/users")),
            (&base, "http://people.internal/v2/users", None),
        ] {
            assert_eq!(map.mapped(link).as_deref(), mapped, "{link}");
        }
    }

    #[test]
    fn targets_of_fields_are_mapped_and_all_else_keeps_its_bytes() {
        let map = map("", "https://x.example");
        for (field, mapped) in [
            (
                "<http://people.internal/a?page=2>; rel=\"next\" ,  </b>;rel=prev, <http://people.internal/c>; rel=last",
                Some("<https://x.example/a?page=2>; rel=\"next\" ,  </b>;rel=prev, <https://x.example/c>; rel=last"),
            ),
            ("<http://other/a>; title=\"<http://people.internal/a>\"", None),
            ("<http://other/a>; title=\"\\\"<http://people.internal/a>\"", None),
            ("<http://people.internal/a", None),
            ("", None),
        ] {
            assert_eq!(map.mapped_field(field).as_deref(), mapped, "{field}");
        }
    }
}
