//! The top-level members of an item, as slices of its bytes.

/// Appends an object without the top-level members in `names`. The other members keep their bytes, but spaces between
/// members are removed. Only [the outline](cursorgate_core::json) of the object was checked before. If it isn't valid JSON, its
/// members can't be separated, and it is appended unchanged.
pub fn push_without(out: &mut Vec<u8>, object: &[u8], names: &[&str]) {
    let start = out.len();
    out.push(b'{');
    for member in members(object) {
        // An object that is cut at a wrong place would unbalance the brackets of the whole response, so the object is
        // written unchanged. Test: `an_object_that_is_not_valid_json_is_written_unchanged`.
        let Some((name, member)) = member else {
            out.truncate(start);
            return out.extend_from_slice(object);
        };
        if names.iter().any(|other| is_named(name, other)) {
            continue;
        }
        if out.len() > start + 1 {
            out.push(b',');
        }
        out.extend_from_slice(member);
    }
    out.push(b'}');
}

/// Appends an object with only the top-level members in `names`, except for those with the value `but`. Returns `false`
/// and appends nothing if no member is left, or if the members can't be separated.
pub fn push_only(out: &mut Vec<u8>, object: &[u8], names: &[&str], but: Option<&[u8]>) -> bool {
    let start = out.len();
    for member in members(object) {
        let Some((name, member)) = member else {
            out.truncate(start);
            return false;
        };
        let value = member[name.len()..].trim_ascii_start().strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        if but == Some(value) || !names.iter().any(|other| is_named(name, other)) {
            continue;
        }
        out.push(if out.len() == start { b'{' } else { b',' });
        out.extend_from_slice(member);
    }
    let found = out.len() > start;
    if found {
        out.push(b'}');
    }
    found
}

/// Returns whether a JSON string, with its quotes, equals `name`.
fn is_named(string: &[u8], name: &str) -> bool {
    // A name may be written with escapes: `"\u0069d"` is `id`. So only a name without a backslash is compared as it is.
    // Test: `members_are_left_out_and_the_others_keep_their_bytes`.
    if !string.contains(&b'\\') {
        return string.len() == name.len() + 2 && &string[1..string.len() - 1] == name.as_bytes();
    }
    serde_json::from_slice::<String>(string).is_ok_and(|decoded| decoded == name)
}

/// A member's name with its quotes, and the whole member from its name to the end of its value.
type ItemMember<'o> = (&'o [u8], &'o [u8]);

/// Returns the members of an object. If the rest of the object can't be separated into members, the last element is
/// `None`. Other values have no members.
fn members(object: &[u8]) -> impl Iterator<Item = Option<ItemMember<'_>>> {
    let mut left = object.strip_prefix(b"{").map(|_| 1);
    std::iter::from_fn(move || {
        let at = left?;
        let start = object[at..].iter().position(|byte| !b" \t\r\n,".contains(byte)).map(|blanks| at + blanks);
        if start.is_some_and(|start| object[start..] == *b"}") {
            left = None;
            return None;
        }
        let found = start.filter(|start| object[*start] == b'"').and_then(|start| {
            let name_end = string_end(object, start)?;
            let end = value_end(object, name_end)?;
            Some((end, (&object[start..name_end], object[start..end].trim_ascii_end())))
        });
        left = found.map(|(end, _)| end);
        Some(found.map(|(_, member)| member))
    })
}

/// Returns the index after the closing quote of the string that begins at `start`; `None` if the string isn't closed.
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            // The step may pass the end, where `get` finds no byte, so the string counts as not closed. Test:
            // `malformed_objects_do_not_panic`.
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Returns the index of the comma or brace that ends a member's value; `None` if brackets aren't balanced or the text
/// ends first. `from` is the index after the member's name.
fn value_end(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    let mut depth = 0_usize;
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b',' | b'}' if depth == 0 => return Some(at),
            // A bracket without an opening one makes the object malformed, so the value has no end.
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_left_out_and_the_others_keep_their_bytes() {
        let cases: [(&str, &str); 8] = [
            (r#"{}"#, r#"{}"#),
            (r#"{"id":1}"#, r#"{}"#),
            (r#"{ "id" : 1 , "a" : 25.0 }"#, r#"{"a" : 25.0}"#),
            (r#"{"a":{"id":1,"b":[{"id":2}]},"id":3}"#, r#"{"a":{"id":1,"b":[{"id":2}]}}"#),
            (r#"{"a":"\",\"id\":1","type":"x","b":"}"}"#, r#"{"a":"\",\"id\":1","b":"}"}"#),
            (r#"{"\u0069d":1,"ID":2,"idx":3}"#, r#"{"ID":2,"idx":3}"#),
            (r#"{"a":1,"a":2,"id":1,"id":2}"#, r#"{"a":1,"a":2}"#),
            (r#"{"a\\":"\\","id":"\\"}"#, r#"{"a\\":"\\"}"#),
        ];
        for (object, kept) in cases {
            let mut out = Vec::new();
            push_without(&mut out, object.as_bytes(), &["id", "type"]);
            assert_eq!(String::from_utf8_lossy(&out), kept, "{object}");
        }
    }

    #[test]
    fn members_that_are_left_out_can_be_written_alone() {
        let cases: [(&str, Option<&str>, &str); 6] = [
            (r#"{"id":1,"a":2}"#, Some("1"), ""),
            (r#"{"id":1,"a":2}"#, None, r#"{"id":1}"#),
            (r#"{"id" : 1, "type": "x", "a":1}"#, Some("1"), r#"{"type": "x"}"#),
            (r#"{"type":"x","id":7,"uuid":"u"}"#, Some("\"u\""), r#"{"type":"x","id":7}"#),
            (r#"{"a":{"type":1}}"#, None, ""),
            (r#"{}"#, None, ""),
        ];
        for (object, id, said) in cases {
            let mut out = Vec::new();
            let found = push_only(&mut out, object.as_bytes(), &["id", "type"], id.map(str::as_bytes));
            assert_eq!((String::from_utf8_lossy(&out).as_ref(), found), (said, !said.is_empty()), "{object}");
        }
    }

    /// If the members of an object can't be separated, `push_without` appends the whole object, and `push_only`
    /// nothing.
    #[test]
    fn an_object_that_is_not_valid_json_is_written_unchanged() {
        for object in [r#"{"id":1,["x"],"c":3}"#, r#"{["id"],"a":1}"#, r#"{"a":1,[{"id":2}]}"#, "{1}"] {
            let mut out = b"[".to_vec();
            push_without(&mut out, object.as_bytes(), &["id"]);
            assert_eq!(String::from_utf8_lossy(&out[1..]), object);
            out.truncate(1);
            assert!(!push_only(&mut out, object.as_bytes(), &["id"], None) && out == b"[", "{object}");
        }
    }

    #[test]
    fn malformed_objects_do_not_panic() {
        for text in
            ["", "{", "{\"", "{\"a", "{\"a\"", "{\"a\\", "{\"a\":", "{\"a\":[", "{\"a\":\"\\", "1", "]", "{\"a\":]]}"]
        {
            let mut out = Vec::new();
            push_only(&mut Vec::new(), text.as_bytes(), &["id", "a", ""], None);
            push_without(&mut out, text.as_bytes(), &["id"]);
            assert_eq!(out.first(), Some(&b'{'), "{text}");
        }
    }
}
