//! Bodies for legacy clients, in which the links at known places are mapped to the gateway's address.
//!
//! A body is rewritten while it streams. Between two pieces, only a string that may be a link is held back, up to
//! `LONGEST_LINK` bytes. All other bytes are passed on unchanged. If a body isn't JSON, it is unchanged from the fault
//! on.

use crate::upstream::place::link_map::LinkMap;
use cursorgate_core::json::{Pointer, pointer::PointerStep, scalar, write::push_text};

/// The largest number of bytes in a string that is treated as a link. A longer string is passed on unchanged.
const LONGEST_LINK: usize = 16 << 10;

/// The largest number of bytes in a member name on the path to a place. After a longer name, the rest of the body is
/// passed on unchanged.
const LONGEST_NAME: usize = 1 << 10;

/// The rewriter of one body, which arrives in pieces.
#[derive(Debug)]
pub struct BodyRewriter {
    places: Vec<Pointer>,
    map: LinkMap,
    /// The open containers on the path to a place, outermost first; at most as many as a pointer has steps.
    open: Vec<Container>,
    state: RewritingState,
    /// The string that is being read, beginning with its opening quote.
    held: Vec<u8>,
}

/// An open object or array that may contain a place.
#[derive(Debug)]
struct Container {
    /// The indices of the places whose first steps lead to this container.
    places: Vec<usize>,
    is_object: bool,
    /// The index of the current element, if the container is an array.
    index: usize,
}

/// The position in the JSON between two bytes.
#[derive(Debug)]
enum RewritingState {
    /// A value comes next. The indices are of the places whose steps lead to it.
    Value(Vec<usize>),
    /// A member's name, a comma or the end of a container comes next.
    Between,
    /// Within a member's name.
    Name { is_escaped: bool },
    /// After a member's name: a colon comes next.
    Colon,
    /// Within a string that may be a link.
    Link { is_escaped: bool },
    /// Within a value that contains no place.
    Other { depth: usize, is_quoted: bool, is_escaped: bool },
    /// The rest of the body is passed on unchanged.
    Rest,
}

impl BodyRewriter {
    /// Creates a rewriter of the links at these places.
    #[must_use]
    pub fn new(places: Vec<Pointer>, map: LinkMap) -> Self {
        let state = RewritingState::Value((0..places.len()).collect());
        Self { places, map, open: Vec::new(), state, held: Vec::new() }
    }

    /// Rewrites the next piece of the body, and returns the bytes that are ready to be sent.
    #[must_use]
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + self.held.len() + 64);
        let mut at = 0;
        // A step that takes no byte changes the state, and one of the next two steps takes the byte.
        while at < piece.len() {
            at += match &mut self.state {
                RewritingState::Rest => {
                    out.extend_from_slice(&piece[at..]);
                    piece.len() - at
                }
                RewritingState::Other { depth, is_quoted, is_escaped } => {
                    let (taken, ended) = skip(&piece[at..], depth, is_quoted, is_escaped);
                    out.extend_from_slice(&piece[at..at + taken]);
                    if ended {
                        self.state = self.after_value();
                    }
                    taken
                }
                RewritingState::Link { is_escaped } => {
                    let ended = in_string(piece[at], is_escaped);
                    let is_escaped = *is_escaped;
                    self.held.push(piece[at]);
                    self.link(ended, is_escaped, &mut out);
                    1
                }
                RewritingState::Name { is_escaped } => {
                    let ended = in_string(piece[at], is_escaped);
                    // A name is passed on unchanged. It is also copied, to be compared with the places.
                    self.held.push(piece[at]);
                    out.push(piece[at]);
                    self.name(ended);
                    1
                }
                RewritingState::Value(_) | RewritingState::Between | RewritingState::Colon => {
                    self.token(piece[at], &mut out)
                }
            };
        }
        out
    }

    /// Returns the bytes that are still held back at the end of the body.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        match self.state {
            RewritingState::Link { .. } => std::mem::take(&mut self.held),
            _ => Vec::new(),
        }
    }

    /// Processes a byte outside of strings and skipped values. Returns the number of bytes taken: 1, or 0 if the byte
    /// belongs to the next state.
    fn token(&mut self, byte: u8, out: &mut Vec<u8>) -> usize {
        let state = std::mem::replace(&mut self.state, RewritingState::Rest);
        self.state = match (state, byte) {
            // A byte order mark may precede the body, so its bytes are passed on like spaces.
            (state, b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf) => state,
            (RewritingState::Value(places), b'{' | b'[') if self.leads_on(&places) => {
                self.open.push(Container { places, is_object: byte == b'{', index: 0 });
                if byte == b'{' { RewritingState::Between } else { RewritingState::Value(self.element()) }
            }
            (RewritingState::Value(places), b'"') if self.is_place(&places) => {
                self.held.push(byte);
                self.state = RewritingState::Link { is_escaped: false };
                return 1;
            }
            (RewritingState::Value(_), b']') => self.close(),
            (RewritingState::Value(_), _) => {
                // The byte is the first one of the value to be skipped.
                self.state = RewritingState::Other { depth: 0, is_quoted: false, is_escaped: false };
                return 0;
            }
            (RewritingState::Between, b'}' | b']') => self.close(),
            (RewritingState::Between, b',') => match self.open.last_mut() {
                Some(container) if !container.is_object => {
                    container.index += 1;
                    RewritingState::Value(self.element())
                }
                Some(_) => RewritingState::Between,
                None => RewritingState::Rest,
            },
            (RewritingState::Between, b'"') if self.open.last().is_some_and(|container| container.is_object) => {
                self.held.push(byte);
                RewritingState::Name { is_escaped: false }
            }
            (RewritingState::Colon, b':') => {
                let name = std::mem::take(&mut self.held);
                RewritingState::Value(self.member(&name))
            }
            // The body isn't JSON, so the rest is passed on unchanged. Test:
            // `any_body_without_links_to_change_is_passed_on_unchanged`.
            _ => RewritingState::Rest,
        };
        out.push(byte);
        1
    }

    /// Updates the state after a byte of a string that may be a link. `ended` is `true` if the byte was the closing
    /// quote.
    fn link(&mut self, ended: bool, is_escaped: bool, out: &mut Vec<u8>) {
        if ended {
            let string = std::mem::take(&mut self.held);
            self.push_link(&string, out);
            self.state = self.after_value();
        } else if self.held.len() > LONGEST_LINK {
            // A string of this size isn't a link, and memory is limited, so its bytes are passed on unchanged. Test:
            // `links_at_their_places_change_and_no_other_byte`.
            out.append(&mut self.held);
            self.state = RewritingState::Other { depth: 0, is_quoted: true, is_escaped };
        }
    }

    /// Updates the state after a byte of a member's name. `ended` is `true` if the byte was the closing quote.
    fn name(&mut self, ended: bool) {
        if ended {
            self.state = RewritingState::Colon;
        } else if self.held.len() > LONGEST_NAME {
            // Without the complete name, the places below it are unknown, so the rest is passed on unchanged.
            self.held.clear();
            self.state = RewritingState::Rest;
        }
    }

    fn push_link(&self, string: &[u8], out: &mut Vec<u8>) {
        let text = scalar::text(string).and_then(|text| String::from_utf8(text.into_owned()).ok());
        let Some(mapped) = text.and_then(|text| self.map.mapped(&text)) else { return out.extend_from_slice(string) };
        let start = out.len();
        push_text(out, &mapped);
        // PHP's encoder escapes slashes, and a client that reads raw bytes may rely on this, so the mapped link is
        // escaped in the same way.
        if memchr::memmem::find(string, b"\\/").is_some() {
            let written = out.split_off(start);
            for byte in written {
                if byte == b'/' {
                    out.push(b'\\');
                }
                out.push(byte);
            }
        }
    }

    /// Returns whether one of these places is inside the value.
    fn leads_on(&self, places: &[usize]) -> bool {
        places.iter().any(|place| self.places[*place].steps().len() > self.open.len())
    }

    /// Returns whether one of these places is the value itself.
    fn is_place(&self, places: &[usize]) -> bool {
        places.iter().any(|place| self.places[*place].steps().len() == self.open.len())
    }

    /// Returns the places of the innermost container whose next step is `is_step`.
    fn step(&self, is_step: impl Fn(&PointerStep) -> bool) -> Vec<usize> {
        let Some(container) = self.open.last() else { return Vec::new() };
        let leads = |place: &&usize| self.places[**place].steps().get(self.open.len() - 1).is_some_and(&is_step);
        container.places.iter().filter(leads).copied().collect()
    }

    fn member(&self, quoted: &[u8]) -> Vec<usize> {
        let name = scalar::text(quoted).unwrap_or_default();
        self.step(|step| matches!(step, PointerStep::Member(member) if member.as_bytes() == &*name))
    }

    /// Returns the places to which the next element of the innermost array leads. A step that looks for an element by a
    /// member leads to every element, because the links in the other elements are also links to the upstream.
    fn element(&self) -> Vec<usize> {
        let index = self.open.last().map_or(0, |container| container.index);
        self.step(|step| match step {
            PointerStep::Member(member) => member.parse() == Ok(index),
            PointerStep::Matching { .. } => true,
        })
    }

    fn close(&mut self) -> RewritingState {
        self.open.pop();
        self.after_value()
    }

    fn after_value(&self) -> RewritingState {
        if self.open.is_empty() { RewritingState::Rest } else { RewritingState::Between }
    }
}

/// Processes a byte of a string; returns whether the byte ends the string.
fn in_string(byte: u8, is_escaped: &mut bool) -> bool {
    if std::mem::take(is_escaped) {
        return false;
    }
    *is_escaped = byte == b'\\';
    byte == b'"'
}

/// Skips a value; returns the number of its bytes in this piece, and whether the value ended. The byte after a number
/// or a word isn't taken.
fn skip(piece: &[u8], depth: &mut usize, is_quoted: &mut bool, is_escaped: &mut bool) -> (usize, bool) {
    for (at, byte) in piece.iter().enumerate() {
        if *is_quoted {
            *is_quoted = !in_string(*byte, is_escaped);
            if !*is_quoted && *depth == 0 {
                return (at + 1, true);
            }
            continue;
        }
        match byte {
            b'"' => *is_quoted = true,
            b'{' | b'[' => *depth += 1,
            b'}' | b']' | b',' if *depth == 0 => return (at, true),
            b'}' | b']' => {
                *depth -= 1;
                if *depth == 0 {
                    return (at + 1, true);
                }
            }
            _ => {}
        }
    }
    (piece.len(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(places: &[&str], body: &str, size: usize) -> String {
        let map = LinkMap {
            authorities: vec!["people.internal".to_owned()],
            from: String::new(),
            to: "https://x.example".to_owned(),
        };
        let places = places.iter().map(|place| Pointer::parse(place).unwrap()).collect();
        let mut rewriter = BodyRewriter::new(places, map);
        let mut out = Vec::new();
        for piece in body.as_bytes().chunks(size) {
            out.extend(rewriter.push(piece));
        }
        out.extend(rewriter.finish());
        String::from_utf8(out).unwrap()
    }

    /// Whatever the size of a body's pieces, the links at the places change and no other byte does.
    #[test]
    fn links_at_their_places_change_and_no_other_byte() {
        let long = format!(
            "{{\"next\":\"http://people.internal/{}\\\\\",\"previous\":\"http://people.internal/a\"}}",
            "a".repeat(LONGEST_LINK)
        );
        let long_mapped = long.replace("http://people.internal/a\"", "https://x.example/a\"");
        for (places, body, expected) in [
            (
                &["/next", "/previous"][..],
                "\u{feff} { \"count\" : 3 , \"next\" : \"http://people.internal/a?page=2\",\"previous\":null, \"results\":[{\"next\":\"http://people.internal/b\"}] }\n",
                "\u{feff} { \"count\" : 3 , \"next\" : \"https://x.example/a?page=2\",\"previous\":null, \"results\":[{\"next\":\"http://people.internal/b\"}] }\n",
            ),
            (
                &["/next"],
                r#"{"a":"\"}","next":"http:\/\/people.internal\/a"}"#,
                r#"{"a":"\"}","next":"https:\/\/x.example\/a"}"#,
            ),
            (
                &["/next"],
                r#"{"\u006eext":"http\u003a//people.internal/a?b=1\u0026c"}"#,
                r#"{"\u006eext":"https://x.example/a?b=1&c"}"#,
            ),
            (
                &["/next"],
                r#"{"next":{"next":"http://people.internal/a"}}"#,
                r#"{"next":{"next":"http://people.internal/a"}}"#,
            ),
            (
                &["/links/[rel=next]/href", "/links/[rel=prev]/href"],
                r#"{"links":[{"href":"http://people.internal/a","rel":"next"},1,[],{"rel":"x","href":"http://other/"}],"x":[1,{"links":[]}]}"#,
                r#"{"links":[{"href":"https://x.example/a","rel":"next"},1,[],{"rel":"x","href":"http://other/"}],"x":[1,{"links":[]}]}"#,
            ),
            (
                &["/1/u", "/u"],
                r#"[{"u":"http://people.internal/"},{"u":"http://people.internal/"}]"#,
                r#"[{"u":"http://people.internal/"},{"u":"https://x.example/"}]"#,
            ),
            (&[""], r#" "http://people.internal/a" "#, r#" "https://x.example/a" "#),
            (
                &["/a/next"],
                r#"{"b":{},"a":{"x":-1.5e3,"y":[true,null,"]"],"next":"http://people.internal/a"},"c":1}"#,
                r#"{"b":{},"a":{"x":-1.5e3,"y":[true,null,"]"],"next":"https://x.example/a"},"c":1}"#,
            ),
            (&["/next"], "[]", "[]"),
            (&["/next"], "{}", "{}"),
            (&["/next"], "", ""),
            (&["/next"], "<html>\"next\":\"http://people.internal/a\"", "<html>\"next\":\"http://people.internal/a\""),
            (&["/next"], r#"{"next":"http://people.internal/a"#, r#"{"next":"http://people.internal/a"#),
            (&["/next"], r#"{"nex"#, r#"{"nex"#),
            (&["/next"], r#"{"next" "http://people.internal/a"}"#, r#"{"next" "http://people.internal/a"}"#),
            (
                &["/next"],
                r#"{"a":1]],"next":"http://people.internal/a"}"#,
                r#"{"a":1]],"next":"http://people.internal/a"}"#,
            ),
            (&["/next", "/previous"], &long, &long_mapped),
        ] {
            for size in [1, 2, 3, 7, 1_000, 1 << 20] {
                assert_eq!(rewritten(places, body, size), expected, "{places:?} in pieces of {size}");
            }
        }
    }

    /// Without a link to the upstream, all bytes are passed on unchanged.
    #[test]
    fn any_body_without_links_to_change_is_passed_on_unchanged() {
        let pieces: Vec<&str> =
            "{ } [ ] : , \" \\ \\\" next \"next\" 1 null \"http://other/\" \u{feff} \n x".split(' ').collect();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..20_000 {
            let mut body = String::new();
            for _ in 0..12 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                body.push_str(pieces[usize::try_from(state >> 8).unwrap() % pieces.len()]);
            }
            let size = 1 + usize::try_from(state >> 40).unwrap() % 9;
            assert_eq!(rewritten(&["/next", "/next/next", "/0/next", ""], &body, size), body);
        }
    }
}
