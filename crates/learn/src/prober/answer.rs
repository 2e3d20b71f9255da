//! The answers that the steps of learning read, and the lookup of values at places in an answer.

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use crate::prober::port::ProbeAnswer;

/// The largest number of elements of an array that are searched for a relation. Later elements are ignored.
const MOST_LINKS: usize = 32;

/// The maximum depth at which objects with indexes as names are searched.
const DEPTH: usize = 4;

/// The status of the substitute for an answer that is not recorded. No server sends this status, so no step confuses
/// the substitute with a list or a refusal.
const NOT_RECORDED: u16 = 0;

/// An answer of the upstream, or the substitute for an answer that is not recorded.
#[derive(Debug)]
pub(crate) struct SeenAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The parsed body; `None` if it isn't JSON. Objects whose members are objects with numbers as names are arrays
    /// here, as in `{"0": {}, "2": {}}`.
    pub(crate) json: Option<Value>,
    /// The places of these objects.
    pub(crate) indexed: Vec<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) elapsed: Duration,
}

impl SeenAnswer {
    pub(crate) fn read(answer: ProbeAnswer) -> Self {
        let ProbeAnswer { status, headers, mut body, elapsed } = answer;
        // The gateway reads a body with a byte order mark, too. Test: `a_byte_order_mark_is_skipped`.
        if body.starts_with(b"\xEF\xBB\xBF") {
            body.drain(..3);
        }
        let (mut json, mut indexed) = (serde_json::from_slice(&body).ok(), Vec::new());
        if let Some(json) = &mut json {
            unfold(json, String::new(), 0, &mut indexed);
        }
        Self { status, headers, json, indexed, body, elapsed }
    }

    /// Returns the substitute for an answer that is not recorded, without headers and body.
    pub(crate) fn not_recorded() -> Self {
        let (headers, elapsed) = (HeaderMap::new(), Duration::ZERO);
        Self { status: NOT_RECORDED, headers, json: None, indexed: Vec::new(), body: Vec::new(), elapsed }
    }

    /// Returns `false` for the substitute for an answer that is not recorded, and `true` for an answer of the upstream.
    pub(crate) fn is_recorded(&self) -> bool {
        self.status != NOT_RECORDED
    }

    /// Returns whether an answer with this status can contain a list.
    pub(crate) fn is_success(&self) -> bool {
        // Upstreams that page by `Range`, such as PostgREST, send a part of a list with 206, so 206 is a success.
        matches!(self.status, 200 | 203 | 206)
    }

    /// Returns whether the answer has an object with numbers as names at a place, which is an array in `json`.
    pub(crate) fn is_indexed(&self, place: &str) -> bool {
        self.indexed.iter().any(|known| known == place)
    }

    /// Returns the value of a header; `None` if it is missing or not ASCII text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the URL of a relation, such as `next`, in `Link` headers; `None` if there is none.
    pub(crate) fn link(&self, relation: &str) -> Option<String> {
        cursorgate_link::find_target(&self.headers, relation)
    }

    /// Returns the value at a place: a JSON Pointer, `header:NAME`, `link:REL`, `link:REL;NAME=VALUE` or
    /// `content-range:total`. Returns `None` if the answer has no value there.
    pub(crate) fn at(&self, place: &str) -> Option<Value> {
        if let Some(link) = place.strip_prefix("link:") {
            let parameter = link.split_once(';').and_then(|(relation, rest)| Some((relation, rest.split_once('=')?)));
            let target = match parameter {
                Some((relation, parameter)) => cursorgate_link::find_target_where(&self.headers, relation, parameter),
                None => self.link(link),
            };
            return target.map(Value::String);
        }
        if let Some(name) = place.strip_prefix("header:") {
            let text = self.header(name)?.trim();
            // Headers have no types, so digits are read as a number, as in `X-Total-Count`.
            return Some(text.parse::<u64>().map_or_else(|_| Value::String(text.to_owned()), Value::from));
        }
        if place == "content-range:total" {
            let (_, total) = self.header("content-range")?.rsplit_once('/')?;
            // An unknown length is `*` (RFC 9110, section 14.4), for which `None` is returned.
            return total.trim().parse::<u64>().ok().map(Value::from);
        }
        step_into(self.json.as_ref()?, place).cloned()
    }

    /// Returns the whole number at a place; `None` if the value is something else. The number may be written as a
    /// string.
    pub(crate) fn number(&self, place: &str) -> Option<u64> {
        whole(&self.at(place)?)
    }
}

/// Replaces objects whose members are objects with numbers as names by arrays, in the order of these numbers, and adds
/// their places. PHP writes such objects for arrays whose indexes have gaps. Test:
/// `an_array_with_gaps_is_learnt_from_its_indexes`.
fn unfold(value: &mut Value, at: String, depth: usize, found: &mut Vec<String>) {
    let Value::Object(members) = value else { return };
    let index = |name: &str| name.parse::<u64>().ok().filter(|_| name.bytes().all(|byte| byte.is_ascii_digit()));
    if !members.is_empty() && members.iter().all(|(name, member)| index(name).is_some() && member.is_object()) {
        let mut elements: Vec<(String, Value)> = std::mem::take(members).into_iter().collect();
        elements.sort_by_key(|(name, _)| index(name));
        *value = Value::Array(elements.into_iter().map(|(_, element)| element).collect());
        return found.push(at);
    }
    if depth < DEPTH {
        members.iter_mut().for_each(|(name, member)| unfold(member, format!("{at}{}", step(name)), depth + 1, found));
    }
}

/// Returns a value as a whole number, which may be written as a string; `None` for other values.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Returns the value at a JSON Pointer; `None` if there is none. A step such as `[rel=next]` leads to the element of
/// an array whose member `rel` is `next`.
pub(crate) fn step_into<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    let mut found = value;
    for step in pointer.split('/').skip(1) {
        let relation = step.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')?.split_once('='));
        found = match (relation, found) {
            (Some((name, wanted)), Value::Array(elements)) => {
                elements.iter().take(MOST_LINKS).find(|element| element[name] == wanted)?
            }
            (None, Value::Object(members)) => members.get(&step.replace("~1", "/").replace("~0", "~"))?,
            (None, Value::Array(elements)) => elements.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(found)
}

/// Returns the step of a JSON Pointer that leads to a member, with `~` and `/` escaped: `/a~1b` for `a/b`.
pub(crate) fn step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Returns the place and the text of a member that identifies an error; `None` if the body has no such member. The
/// text has at most 80 bytes and no digits, so it is probably the same for every page.
pub(crate) fn telling_member(seen: &SeenAnswer) -> Option<(String, String)> {
    fn find(value: &Value, at: String, depth: usize) -> Option<(String, String)> {
        match value {
            Value::String(text)
                if !text.is_empty() && text.len() <= 80 && !text.contains(|letter: char| letter.is_ascii_digit()) =>
            {
                Some((at, text.clone()))
            }
            Value::Object(members) if depth < 3 => {
                let ranked = ["code", "error", "type", "message", "detail", "title"];
                let rank = |name: &String| ranked.iter().position(|known| known == name).unwrap_or(ranked.len());
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(name, _)| rank(name));
                members.into_iter().find_map(|(name, member)| find(member, format!("{at}{}", step(name)), depth + 1))
            }
            _ => None,
        }
    }
    find(seen.json.as_ref()?, String::new(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let body = b"\xEF\xBB\xBF[{\"id\":1}]".to_vec();
        let answer = ProbeAnswer { status: 200, headers: HeaderMap::new(), body, elapsed: Duration::ZERO };
        assert!(SeenAnswer::read(answer).json.is_some_and(|json| json.is_array()));
    }
}
