//! Objects that are copied with some of their members changed. All other members keep their bytes and their sequence;
//! whitespace between members is left out.

use super::{
    JsonError,
    reader::{JsonReader, Read},
    write::push_text,
};

/// A change of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The member gets this JSON value.
    Set(Vec<u8>),
    /// The member is removed.
    Remove,
    /// The member's own members are edited. A value that is no object is replaced by one, if anything is set in it.
    Within(Vec<(String, Self)>),
}

/// Changes of the members with these names. All other members stay as they are.
pub type Edits = Vec<(String, Edit)>;

impl Edit {
    /// Returns whether this sets a value.
    fn sets(&self) -> bool {
        match self {
            Self::Set(_) => true,
            Self::Remove => false,
            Self::Within(edits) => edits.iter().any(|(_, edit)| edit.sets()),
        }
    }
}

/// Adds an edit of the member to which these names lead, each within the one before. Of two edits of one member the
/// first counts.
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

/// Returns an object with these edits. Members that are set and were absent are appended.
///
/// # Errors
/// [`JsonError::Malformed`] if `object` is no object, and [`JsonError::TooDeep`].
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

/// Copies the object whose first byte is the next, with its edits.
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
            // A value that is no object has no member to remove.
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

/// Writes the value that an edit sets for an absent member.
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
    fn values_that_are_no_objects_are_not_edited() {
        for text in ["", "[]", "1", "{", r#"{"a":1,}"#, "{} x"] {
            assert!(edited(text.as_bytes(), &[]).is_err(), "{text}");
        }
    }
}
