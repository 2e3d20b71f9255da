//! Places in a response: a JSON Pointer into its body, `header:NAME`, `link:REL`, `link:REL;NAME=VALUE`,
//! `content-range:PART`.

pub mod content_range;
pub mod link_map;
pub mod link_places;
pub mod matching;

use std::borrow::Cow;

use cursorgate_link::{find_target, find_target_where};
use http::{HeaderMap, HeaderName};

use super::template::text::{TemplateText, Variable};
use content_range::ContentRange;
use content_range::RangePart;
use content_range::integer;
use cursorgate_config::diagnostic::{Diagnostics, Located, nearest};
use cursorgate_core::json::{Pointer, Span, scalar};

/// A place in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponsePlace {
    /// A place in the body, as an index into the facts of a scan.
    Fact(usize),
    Header(HeaderName),
    /// The target of a link.
    Link(LinkPlace),
    ContentRange(RangePart),
}

/// A link in the header `Link`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPlace {
    relation: String,
    /// The name and the value of a parameter that the link must have; `None` for any link of the relation.
    parameter: Option<(String, String)>,
}

impl LinkPlace {
    /// Parses the text after `link:`, such as `next` or `next;results=true`; `None` if it is malformed.
    fn parse(text: &str) -> Option<Self> {
        let (relation, parameter) = match text.split_once(';') {
            None => (text, None),
            Some((relation, parameter)) => {
                let (name, value) = parameter.split_once('=')?;
                (relation, Some((name.to_owned(), value.to_owned())))
            }
        };
        let is_whole = !relation.is_empty() && parameter.as_ref().is_none_or(|(name, _)| !name.is_empty());
        is_whole.then(|| Self { relation: relation.to_owned(), parameter })
    }

    /// Returns the target of the link; `None` if there is no such link.
    fn find(&self, headers: &HeaderMap) -> Option<String> {
        match &self.parameter {
            None => find_target(headers, &self.relation),
            Some((name, value)) => find_target_where(headers, &self.relation, (name, value)),
        }
    }
}

/// A compiler of places. It collects the places in the body, whose facts are read in one scan.
pub struct PlaceCompiler<'a> {
    /// The value of `{collection}`.
    pub collection: &'a str,
    /// The places in the body, each once. A fact's index is its position here.
    pub facts: Vec<Pointer>,
    pub diagnostics: &'a mut Diagnostics,
}

impl PlaceCompiler<'_> {
    /// Compiles a place of any kind. Reports a fault and returns `None` if it is invalid.
    pub fn place(&mut self, source: &Located<String>) -> Option<ResponsePlace> {
        let text = source.value.as_str();
        if text.is_empty() || text.starts_with('/') {
            return self.fact(source).map(ResponsePlace::Fact);
        }
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        match scheme {
            "header" => self.header(source, rest).map(ResponsePlace::Header),
            "link" if !rest.is_empty() => match LinkPlace::parse(rest) {
                Some(link) => Some(ResponsePlace::Link(link)),
                None => {
                    let help = "write link:REL, or link:REL;NAME=VALUE for a parameter that the link must have";
                    self.refuse(source, help.to_owned())
                }
            },
            "content-range" => self.content_range(source, rest).map(ResponsePlace::ContentRange),
            _ => {
                let schemes = ["header", "link", "content-range"];
                let help = match nearest(scheme, schemes).filter(|_| text.contains(':')) {
                    Some("link") if rest.is_empty() => "write link: and a relation, as link:next".to_owned(),
                    Some(scheme) => format!("did you mean {scheme}:{rest}?"),
                    None => pointer_help(text),
                };
                self.refuse(source, help)
            }
        }
    }

    /// Compiles a place in the body and returns the index of its fact. Reports a fault and returns `None` if the place
    /// is invalid.
    pub fn fact(&mut self, source: &Located<String>) -> Option<usize> {
        let pointer = self.pointer(source)?;
        if let Some(known) = self.facts.iter().position(|fact| *fact == pointer) {
            return Some(known);
        }
        self.facts.push(pointer);
        Some(self.facts.len() - 1)
    }

    /// Compiles a JSON Pointer, which may contain `{collection}`. Reports a fault and returns `None` if it is invalid.
    pub fn pointer(&mut self, source: &Located<String>) -> Option<Pointer> {
        let text = source.value.as_str();
        if text == "/" {
            let help = "write \"\" for the whole body, \"/name\" for a member";
            return self.refuse_as(source, "\"/\" is the member with the empty name".to_owned(), help.to_owned());
        }
        let template = TemplateText::parse(text, source, &[Variable::Collection], self.diagnostics)?;
        // The collection is a single step of the pointer, whatever characters its name contains, so `~` and `/` are
        // escaped.
        let collection = self.collection.replace('~', "~0").replace('/', "~1");
        let rendered = template.render(&|_| Some(collection.as_str().into())).unwrap_or_default();
        match Pointer::parse(&rendered) {
            Ok(pointer) => Some(pointer),
            Err(error) => self.refuse(source, error.message),
        }
    }

    fn header(&mut self, source: &Located<String>, name: &str) -> Option<HeaderName> {
        let parsed = HeaderName::from_bytes(name.trim().as_bytes()).ok();
        if parsed.is_none() {
            return self.refuse(source, "write header: and a header's name, as header:X-Total-Count".to_owned());
        }
        parsed
    }

    fn content_range(&mut self, source: &Located<String>, part: &str) -> Option<RangePart> {
        let found = RangePart::NAMES.iter().find(|(name, _)| *name == part);
        if found.is_none() {
            let help = "write content-range:start, content-range:end or content-range:total";
            return self.refuse(source, help.to_owned());
        }
        found.map(|(_, part)| *part)
    }

    fn refuse<T>(&mut self, source: &Located<String>, help: String) -> Option<T> {
        self.refuse_as(source, format!("{:?} is not a place in an answer", source.value), help)
    }

    fn refuse_as<T>(&mut self, source: &Located<String>, message: String, help: String) -> Option<T> {
        self.diagnostics.error(source.at, message, help);
        None
    }
}

/// Returns the remedy for a place that isn't a JSON Pointer.
fn pointer_help(text: &str) -> String {
    Pointer::parse(text).err().map_or_else(String::new, |error| error.message)
}

/// A response from which places are read.
#[derive(Clone, Copy, Debug)]
pub struct ResponseView<'a> {
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// The facts of the body; empty or incomplete if the body couldn't be scanned.
    pub facts: &'a [Span],
}

impl ResponseView<'_> {
    /// Returns the bytes of a fact; empty if the fact is missing.
    pub fn fact(&self, index: usize) -> &[u8] {
        self.facts.get(index).map_or(&[], |span| span.of(self.body))
    }

    /// Returns a number such as a total; `None` if it is missing, negative, malformed or beyond 64 bits.
    pub fn number(&self, place: &ResponsePlace) -> Option<u64> {
        match place {
            // A total of -1 or 3.5 counts as missing. Test: `totals_are_whole_numbers_or_absent`.
            ResponsePlace::Fact(index) => scalar::unsigned(self.fact(*index)),
            ResponsePlace::Header(name) => integer(self.header(name)?),
            ResponsePlace::Link(_) => None,
            ResponsePlace::ContentRange(part) => ContentRange::of(self.headers).part(*part),
        }
    }

    /// Returns a flag; `None` if it is missing. In headers a flag is `true` or `false`, in any letter case.
    pub fn boolean(&self, place: &ResponsePlace) -> Option<bool> {
        match place {
            // `is_last: false` means that the list continues; a missing flag means nothing. Test:
            // `has_more_and_is_last_flags_are_read`.
            ResponsePlace::Fact(index) => scalar::boolean(self.fact(*index)),
            ResponsePlace::Header(name) => {
                let text = self.header(name)?;
                let is = |word: &str| text.eq_ignore_ascii_case(word);
                if is("true") { Some(true) } else { is("false").then_some(false) }
            }
            ResponsePlace::Link(_) | ResponsePlace::ContentRange(_) => None,
        }
    }

    /// Returns whether the place has a value other than null and the empty string.
    pub fn says_something(&self, place: &ResponsePlace) -> bool {
        match place {
            ResponsePlace::Fact(index) => {
                let raw = self.fact(*index);
                // A 0 is a value: some upstreams count pages from 0. Test:
                // `a_null_missing_or_empty_next_link_means_the_end`.
                scalar::kind(raw) != scalar::ScalarKind::Null && !scalar::is_empty_text(raw)
            }
            ResponsePlace::Header(name) => self.header(name).is_some_and(|text| !text.is_empty()),
            ResponsePlace::Link(link) => link.find(self.headers).is_some_and(|target| !target.is_empty()),
            ResponsePlace::ContentRange(part) => ContentRange::of(self.headers).part(*part).is_some(),
        }
    }

    /// Returns the value as text: strings decoded, other values as written. Returns `None` for null, an empty or a
    /// missing value.
    pub fn text(&self, place: &ResponsePlace) -> Option<Cow<'_, str>> {
        let text = match place {
            ResponsePlace::Fact(index) => {
                let raw = self.fact(*index);
                match scalar::kind(raw) {
                    scalar::ScalarKind::Null => return None,
                    scalar::ScalarKind::Text => match scalar::text(raw)? {
                        Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
                        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
                    },
                    _ => Cow::Borrowed(std::str::from_utf8(raw).ok()?),
                }
            }
            ResponsePlace::Header(name) => Cow::Borrowed(self.header(name)?),
            ResponsePlace::Link(link) => Cow::Owned(link.find(self.headers)?),
            ResponsePlace::ContentRange(part) => Cow::Owned(ContentRange::of(self.headers).part(*part)?.to_string()),
        };
        Some(text).filter(|text| !text.is_empty())
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }
}
