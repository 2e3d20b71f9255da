//! Places in a JSON body (RFC 6901), compiled once.
//!
//! The step `[rel=next]` is an extension of RFC 6901: it selects the first element of an array that is an object whose
//! member `rel` is the string `next`. Links are often listed in this way (HATEOAS, FHIR bundles). Because of such
//! steps, a pointer can't name a member whose name begins with `[`.

use std::fmt;

/// The largest number of steps of a pointer, which bounds the recursion of a scan. Longer pointers are refused; no real
/// answer is nested so deep.
const MAX_STEPS: usize = 64;

/// A compiled JSON Pointer. The default is the pointer to the whole body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer {
    pub(crate) steps: Vec<PointerStep>,
}

/// A step of a pointer, with its escapes decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PointerStep {
    /// The member of an object with this name. In an array, the element with this index, if the name is a number.
    Member(String),
    /// The first element of an array that is an object in which `member` is the string `value`.
    Matching {
        /// The member's name.
        member: String,
        /// The string that the member's value must be.
        value: String,
    },
}

/// The fault of a pointer's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointerError {
    /// The correction, such as `for this member write "/data"`. It is worded to come after the name of the setting with
    /// the pointer.
    pub message: String,
}

impl fmt::Display for PointerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for PointerError {}

impl Pointer {
    /// Compiles a pointer such as `"/a/b"`. The pointer `""` is the whole body.
    ///
    /// # Errors
    /// [`PointerError`] if the text isn't a JSON Pointer or has more than 64 steps. The message states the correction,
    /// if possible with the pointer that was probably meant.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let Some(steps) = text.strip_prefix('/') else {
            return Err(PointerError { message: suggestion(text) });
        };
        if steps.split('/').count() > MAX_STEPS {
            return Err(PointerError { message: format!("a pointer has at most {MAX_STEPS} steps") });
        }
        let steps = steps.split('/').map(PointerStep::parse).collect::<Result<_, _>>()?;
        Ok(Self { steps })
    }

    /// Returns the steps from the whole body to the place.
    #[must_use]
    pub fn steps(&self) -> &[PointerStep] {
        &self.steps
    }

    /// Returns this pointer followed by the steps of `further`.
    #[must_use]
    pub fn then(&self, further: &Self) -> Self {
        Self { steps: self.steps.iter().chain(&further.steps).cloned().collect() }
    }

    /// Returns the names of all steps; `None` if a step is [`PointerStep::Matching`].
    #[must_use]
    pub fn names(&self) -> Option<Vec<&str>> {
        self.steps
            .iter()
            .map(|step| match step {
                PointerStep::Member(name) => Some(name.as_str()),
                PointerStep::Matching { .. } => None,
            })
            .collect()
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |text: &str| text.replace('~', "~0").replace('/', "~1");
        for step in &self.steps {
            match step {
                PointerStep::Member(name) => write!(formatter, "/{}", escaped(name))?,
                PointerStep::Matching { member, value } => {
                    write!(formatter, "/[{}={}]", escaped(member), escaped(value))?;
                }
            }
        }
        Ok(())
    }
}

impl PointerStep {
    fn parse(text: &str) -> Result<Self, PointerError> {
        let Some(condition) = text.strip_prefix('[') else {
            return Ok(Self::Member(unescaped(text)?));
        };
        match condition.strip_suffix(']').and_then(|condition| condition.split_once('=')) {
            Some((member, value)) if !member.is_empty() => {
                Ok(Self::Matching { member: unescaped(member)?, value: unescaped(value)? })
            }
            _ => Err(PointerError {
                message: format!(
                    "write \"{text}\" like \"[rel=next]\", which takes the first element with that member, or as a \
                     number, counted from 0"
                ),
            }),
        }
    }

    /// Returns the index of the array element that this step names; `None` if the step isn't an index.
    pub(super) fn index(&self) -> Option<usize> {
        let Self::Member(name) = self else { return None };
        // An index has no leading zeros (RFC 6901, section 4).
        let canonical = name == "0" || !name.starts_with(['0', '+']);
        if canonical { name.parse().ok() } else { None }
    }
}

/// Decodes the escapes `~0` and `~1` of a step.
fn unescaped(text: &str) -> Result<String, PointerError> {
    if text.replace("~0", "").replace("~1", "").contains('~') {
        return Err(PointerError {
            message: format!("write \"~\" as \"~0\" and \"/\" inside a name as \"~1\" in \"{text}\" (JSON Pointer)"),
        });
    }
    // `~0` must be decoded last, so `~01` becomes `~1` and not `/` (RFC 6901, section 4).
    Ok(text.replace("~1", "/").replace("~0", "~"))
}

/// Returns a message with the pointer that was probably meant by a text in another notation, such as `data.users`,
/// `$.data[0]`, `#/data` or `data/users`.
fn suggestion(text: &str) -> String {
    let path = text.trim().trim_start_matches(['$', '#']);
    let mut pointer = String::new();
    for step in
        path.split(['.', '/', '[', ']']).map(|step| step.trim_matches(['"', '\''])).filter(|step| !step.is_empty())
    {
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0"));
    }
    if pointer.is_empty() {
        return "write \"\" for the whole body, \"/name\" for a member (JSON Pointer)".to_owned();
    }
    format!("for this member write \"{pointer}\" (JSON Pointer); \"\" is the whole body")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(pointer: &str, value: &'a str) -> Option<&'a str> {
        let span = Pointer::parse(pointer).unwrap().find(value.as_bytes())?;
        Some(&value[span.start as usize..span.end as usize])
    }

    #[test]
    fn a_pointer_is_displayed_as_it_was_written() {
        for text in
            ["", "/", "/a", "/a/b", "/a~1b/~0/0", "/links/[rel=next]/href", "/[rel=http:~1~1x]", "/a/", "//", "/é"]
        {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(pointer.to_string(), text);
            assert_eq!(pointer.steps().is_empty(), text.is_empty());
        }
    }

    #[test]
    fn a_mistaken_pointer_is_refused_with_its_correction() {
        let cases = [
            ("data.users", r#"for this member write "/data/users" (JSON Pointer); "" is the whole body"#),
            ("users", r#"for this member write "/users" (JSON Pointer); "" is the whole body"#),
            ("data/users", r#"for this member write "/data/users" (JSON Pointer); "" is the whole body"#),
            ("$.data[0]['x']", r#"for this member write "/data/0/x" (JSON Pointer); "" is the whole body"#),
            ("#/data/users", r#"for this member write "/data/users" (JSON Pointer); "" is the whole body"#),
            ("$", r#"write "" for the whole body, "/name" for a member (JSON Pointer)"#),
            ("/a~b", r#"write "~" as "~0" and "/" inside a name as "~1" in "a~b" (JSON Pointer)"#),
            ("/~", r#"write "~" as "~0" and "/" inside a name as "~1" in "~" (JSON Pointer)"#),
            ("/~~1", r#"write "~" as "~0" and "/" inside a name as "~1" in "~~1" (JSON Pointer)"#),
            (
                "/links/[next]",
                r#"write "[next]" like "[rel=next]", which takes the first element with that member, or as a number, counted from 0"#,
            ),
        ];
        for (text, message) in cases {
            assert_eq!(Pointer::parse(text).unwrap_err().message, message, "{text}");
        }
        assert!(Pointer::parse(&"/a".repeat(MAX_STEPS)).is_ok());
        assert!(Pointer::parse(&"/a".repeat(MAX_STEPS + 1)).is_err());
    }

    /// The document and the table of examples in RFC 6901, section 5.
    #[test]
    fn pointers_find_the_values_of_the_examples_in_rfc_6901() {
        let document = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5,
            "k\"l": 6, " ": 7, "m~n": 8 }"#;
        let cases = [
            ("", Some(document)),
            ("/foo", Some(r#"["bar", "baz"]"#)),
            ("/foo/0", Some(r#""bar""#)),
            ("/", Some("0")),
            ("/a~1b", Some("1")),
            ("/c%d", Some("2")),
            ("/e^f", Some("3")),
            ("/g|h", Some("4")),
            ("/i\\j", Some("5")),
            ("/k\"l", Some("6")),
            ("/ ", Some("7")),
            ("/m~0n", Some("8")),
            ("/foo/2", None),
            ("/foo/01", None),
            ("/foo/-", None),
            ("/foo/+1", None),
            ("/foo/0/0", None),
            ("/bar", None),
        ];
        for (pointer, expected) in cases {
            assert_eq!(found(pointer, document), expected, "{pointer}");
        }
    }

    #[test]
    fn a_matching_step_finds_the_first_object_with_a_member() {
        let links =
            r#"[1, null, {"rel":"self","href":"/a"}, {"href":"/b","rel":"ne\u0078t"}, {"rel":"next","href":"/c"}]"#;
        assert_eq!(found("/[rel=next]/href", links), Some("\"/b\""));
        assert_eq!(found("/[rel=self]/href", links), Some("\"/a\""));
        assert_eq!(found("/[rel=prev]/href", links), None);
        assert_eq!(found("/[rel=next]/missing", links), None, "the first match is the one that is looked into");
        let twice = r#"[{"rel":"next","rel":"prev","n":1},{"rel":"prev","rel":"next","n":2}]"#;
        assert_eq!(found("/[rel=next]/n", twice), Some("2"), "the last of two members counts");
        assert_eq!(found("/[rel=next]", r#"{"rel":"next"}"#), None, "an object is not a list");
        assert_eq!(found("/[rel=1]", r#"[{"rel":1}]"#), None, "a number is not a string");
        assert_eq!(found("/[a=x]/l/[b=y]/v", r#"[{"a":"x","l":[{"b":"y","v":[7]}]}]"#), Some("[7]"));
    }

    #[test]
    fn the_last_duplicate_member_is_used_at_each_step_of_a_pointer() {
        assert_eq!(found("/a", r#"{"a":1,"a":2}"#), Some("2"));
        assert_eq!(found("/a", r#"{"a":1,"\u0061":2}"#), Some("2"));
        assert_eq!(found("/a/b", r#"{"a":{"b":1},"a":{"b":2}}"#), Some("2"));
        assert_eq!(found("/a/b", r#"{"a":{"b":1},"a":{}}"#), None);
        assert_eq!(found("/a/b", r#"{"a":{"b":1},"a":null}"#), None);
    }

    #[test]
    fn text_that_is_not_json_has_no_values() {
        for value in ["", "<html>", r#"{"a":1"#, r#"{"a":1} x"#, r#"{"a":1,}"#] {
            assert_eq!(found("/a", value), None, "{value}");
        }
        assert_eq!(found("", " 1 "), Some("1"));
    }
}
