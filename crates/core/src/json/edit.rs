//! Copies of objects with a few members changed. All other members keep their bytes and their sequence. Whitespace
//! between members is left out.

use super::{
    reader::{JsonReader, Read},
    shape::JsonError,
    write::push_text,
};

/// A change of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The member gets this JSON value.
    Set(Vec<u8>),
    /// The member is removed.
    Remove,
    /// The member's own members are edited. If these edits set a value, a new object replaces a value that isn't an
    /// object, and is added for a missing member.
    Within(Vec<(String, Self)>),
}

/// Edits of an object's members, each with the name of its member.
pub type Edits = Vec<(String, Edit)>;

impl Edit {
    /// Returns whether this edit sets a value, itself or in an inner edit.
    fn sets(&self) -> bool {
        match self {
            Self::Set(_) => true,
            Self::Remove => false,
            Self::Within(edits) => edits.iter().any(|(_, edit)| edit.sets()),
        }
    }
}

/// Adds an edit of the member at a path of names, from the outermost to the innermost. Of two edits for the same
/// member, the first stays. An edit inside a member that is set or removed is dropped.
pub fn add_edit(edits: &mut Edits, names: &[&str], edit: Edit) {
    let [name, inner @ ..] = names else { return };
    let known = edits.iter().position(|(known, _)| known == name);
    match (known, inner) {
        (None, []) => edits.push(((*name).to_owned(), edit)),
        (Some(_), []) => {}
        (known, inner) => {
            let index = known.unwrap_or_else(|| {
                edits.push(((*name).to_owned(), Edit::Within(Vec::new())));
                edits.len() - 1
            });
            if let Some((_, Edit::Within(within))) = edits.get_mut(index) {
                add_edit(within, inner, edit);
            }
        }
    }
}

/// Returns a copy of an object with these edits. A member that is set but was absent is appended.
///
/// # Errors
/// [`JsonError::Malformed`] if `object` isn't a JSON object, and [`JsonError::TooDeep`] beyond 65,535 levels.
pub fn edited(object: &[u8], edits: &[(String, Edit)]) -> Result<Vec<u8>, JsonError> {
    let mut reader = JsonReader::new(object, u16::MAX);
    if reader.byte() != b'{' {
        return Err(JsonError::Malformed { at: reader.at() });
    }
    let mut out = Vec::with_capacity(object.len() + 64);
    edit_object(&mut reader, edits, &mut out)?;
    reader.end()?;
    Ok(out)
}

/// Copies the object that begins at the reader's next byte to `out`, with these edits.
fn edit_object(reader: &mut JsonReader<'_>, edits: &[(String, Edit)], out: &mut Vec<u8>) -> Result<(), JsonError> {
    let mut met = vec![false; edits.len()];
    out.push(b'{');
    let begins = out.len();
    let mut more = reader.enter(b'}')?;
    while more {
        let name = reader.name()?;
        let start = reader.at();
        let found = edits.iter().position(|(known, _)| name.is(known));
        let edit = found.map(|index| {
            met[index] = true;
            &edits[index].1
        });
        match edit {
            Some(Edit::Within(inner)) if reader.byte() == b'{' => {
                push_name(out, begins, name.quoted());
                edit_object(reader, inner, out)?;
            }
            // A member that is set keeps the spelling of its name. Test: `members_change_and_all_else_keeps_its_bytes`.
            Some(edit) if edit.sets() => {
                reader.skip()?;
                push_name(out, begins, name.quoted());
                push_set(edit, out)?;
            }
            Some(Edit::Remove) => reader.skip()?,
            // A value that isn't an object has no member to remove, so it is copied.
            Some(Edit::Set(_) | Edit::Within(_)) | None => {
                reader.skip()?;
                push_name(out, begins, name.quoted());
                out.extend_from_slice(reader.since(start));
            }
        }
        more = reader.another()?;
    }
    for ((name, edit), _) in edits.iter().zip(met).filter(|((_, edit), met)| !met && edit.sets()) {
        let mut quoted = Vec::with_capacity(name.len() + 2);
        push_text(&mut quoted, name);
        push_name(out, begins, &quoted);
        push_set(edit, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn push_name(out: &mut Vec<u8>, begins: usize, quoted: &[u8]) {
    if out.len() > begins {
        out.push(b',');
    }
    out.extend_from_slice(quoted);
    out.push(b':');
}

/// Writes the value that an edit sets, without regard to the member's earlier value.
fn push_set(edit: &Edit, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match edit {
        Edit::Set(value) => out.extend_from_slice(value),
        Edit::Within(edits) => edit_object(&mut JsonReader::new(b"{}", 1), edits, out)?,
        Edit::Remove => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> (String, Edit) {
        (name.to_owned(), Edit::Set(value.into()))
    }

    fn remove(name: &str) -> (String, Edit) {
        (name.to_owned(), Edit::Remove)
    }

    fn within(name: &str, edits: Edits) -> (String, Edit) {
        (name.to_owned(), Edit::Within(edits))
    }

    #[test]
    fn members_change_and_all_else_keeps_its_bytes() {
        for (object, edits, expected) in [
            ("{}", vec![], "{}"),
            (r#"{ "a" : 1.0 , "b" : [ 1 ] }"#, vec![], r#"{"a":1.0,"b":[ 1 ]}"#),
            (r#"{"a":1,"b":2}"#, vec![set("a", "3"), set("c", "4")], r#"{"a":3,"b":2,"c":4}"#),
            (r#"{"a":1,"b":2}"#, vec![remove("a"), remove("x")], r#"{"b":2}"#),
            (r#"{"\u0061":1,"b":2}"#, vec![set("a", "7")], r#"{"\u0061":7,"b":2}"#),
            (
                r#"{"p":{"cursor":"x","q": "y"},"z":0}"#,
                vec![within("p", vec![set("cursor", "null"), set("size", "5")])],
                r#"{"p":{"cursor":null,"q":"y","size":5},"z":0}"#,
            ),
            (r#"{"p":{"cursor":"x"}}"#, vec![within("p", vec![remove("cursor")])], r#"{"p":{}}"#),
            (r#"{"p":3}"#, vec![within("p", vec![remove("cursor")])], r#"{"p":3}"#),
            (r#"{"p":[3]}"#, vec![within("p", vec![set("a", "1")])], r#"{"p":{"a":1}}"#),
            ("{}", vec![within("p", vec![within("q", vec![set("a", "1")])])], r#"{"p":{"q":{"a":1}}}"#),
            ("{}", vec![within("p", vec![remove("a")])], "{}"),
        ] {
            let written = edited(object.as_bytes(), &edits).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), expected, "{object} {edits:?}");
        }
    }

    #[test]
    fn values_that_are_not_objects_are_not_edited() {
        for text in ["", "[]", "1", "{", r#"{"a":1,}"#, "{} x"] {
            assert!(edited(text.as_bytes(), &[]).is_err(), "{text}");
        }
    }
}
