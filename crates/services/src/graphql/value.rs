//! Values of items, as slices of the upstream's answer. A value is a [`Value::Binary`] that contains JSON. `response`
//! copies it byte for byte, so numbers keep all their digits.

use async_graphql::{Value, dynamic::FieldValue};
use bytes::Bytes;

use crate::item_types::ValueType;
use cursorgate_core::json::{
    self,
    scalar::{self, ScalarKind},
};

/// An object from which its fields take their values.
#[derive(Debug)]
pub(super) struct ObjectValue {
    /// The decoded names and the JSON values of the members; `None` for a null object.
    members: Option<Vec<(Vec<u8>, Bytes)>>,
}

/// The value that marks a field of a null object. A list of objects can't contain a null in `async-graphql`, so a null
/// is an object whose fields have this value, except for lists (see `absent`). `response` writes an object of this kind
/// as null.
pub(super) const ABSENT: Bytes = Bytes::new();

/// The reason that a value doesn't have the type that its schema states.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValueMismatch(pub(super) String);

impl ObjectValue {
    fn read(bytes: &Bytes) -> Result<Self, ValueMismatch> {
        let members = json::members(bytes).ok_or_else(|| mismatch("an object with at most 1,000 members"))?;
        let members = members.into_iter().map(|(name, value)| (name.into_owned(), bytes.slice_ref(value)));
        Ok(Self { members: Some(members.collect()) })
    }

    /// Returns the value of the field for `member`; `None` if the member is null or missing. A field of a null object
    /// has the value that `absent` returns.
    ///
    /// # Errors
    ///
    /// Returns the reason if the member doesn't have the field's type.
    pub(super) fn field(&self, member: &str, value: &ValueType) -> Result<Option<FieldValue<'static>>, ValueMismatch> {
        let Some(members) = &self.members else { return Ok(absent(value)) };
        match members.iter().find(|(name, _)| name == member.as_bytes()) {
            Some((_, bytes)) => convert(bytes, value),
            None => Ok(None),
        }
    }
}

/// Converts valid JSON to a value of the type `value`; `None` for null.
///
/// # Errors
///
/// Returns the reason if the JSON doesn't have this type.
pub(super) fn convert(bytes: &Bytes, value: &ValueType) -> Result<Option<FieldValue<'static>>, ValueMismatch> {
    if bytes.as_ref() == b"null" {
        return Ok(None);
    }
    let raw = || Ok(Some(FieldValue::value(Value::Binary(bytes.clone()))));
    let kind = scalar::kind(bytes);
    let is_integer = || bytes.strip_prefix(b"-").unwrap_or(bytes).iter().all(u8::is_ascii_digit);
    match value {
        ValueType::Json => raw(),
        ValueType::Text if kind == ScalarKind::Text => raw(),
        // Numbers and booleans become strings, which the specification permits for results of `String` (section 3.5.3).
        // Test: `graphql_values_keep_their_bytes_and_wrong_types_are_null`.
        ValueType::Text if matches!(kind, ScalarKind::Number | ScalarKind::Boolean(_)) => {
            let quoted = [b"\"", bytes.as_ref(), b"\""].concat();
            Ok(Some(FieldValue::value(Value::Binary(quoted.into()))))
        }
        ValueType::Text => Err(mismatch("a string")),
        ValueType::Boolean if matches!(kind, ScalarKind::Boolean(_)) => raw(),
        ValueType::Boolean => Err(mismatch("true or false")),
        ValueType::Number if kind == ScalarKind::Number => raw(),
        ValueType::Number => Err(mismatch("a number")),
        ValueType::BigInteger if kind == ScalarKind::Number && is_integer() => raw(),
        ValueType::BigInteger => Err(mismatch("an integer")),
        // `Int` has 32 bits. A value that doesn't fit is an error of its field (section 3.5.1 of the specification).
        ValueType::Integer => match std::str::from_utf8(bytes).map(str::parse::<i32>) {
            Ok(Ok(_)) => raw(),
            _ => Err(mismatch("an integer of 32 bits")),
        },
        ValueType::Object(_) => Ok(Some(FieldValue::owned_any(ObjectValue::read(bytes)?))),
        ValueType::List(element) => {
            let elements = json::elements(bytes).ok_or_else(|| mismatch("a list with at most 1,000 elements"))?;
            let converted = elements.into_iter().map(|one| match convert(&bytes.slice_ref(one), element)? {
                Some(value) => Ok(value),
                None if matches!(**element, ValueType::List(_)) => Err(mismatch("a list of lists without nulls")),
                None if matches!(**element, ValueType::Object(_)) => {
                    Ok(FieldValue::owned_any(ObjectValue { members: None }))
                }
                None => Ok(FieldValue::NULL),
            });
            let converted: Result<Vec<FieldValue<'static>>, ValueMismatch> = converted.collect();
            Ok(Some(FieldValue::list(converted?)))
        }
    }
}

/// Returns the value of a null object's field: [`ABSENT`], or another null object if the field is an object. A field
/// that is a list is null, because `response` doesn't search lists for the mark.
fn absent(value: &ValueType) -> Option<FieldValue<'static>> {
    match value {
        ValueType::Object(_) => Some(FieldValue::owned_any(ObjectValue { members: None })),
        ValueType::List(_) => None,
        _ => Some(FieldValue::value(Value::Binary(ABSENT))),
    }
}

fn mismatch(expected: &str) -> ValueMismatch {
    ValueMismatch(format!("the upstream's value is not {expected}, as its document says"))
}
