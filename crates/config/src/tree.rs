//! JSON values with the location of each of their parts, read from JSON files or from TOML: skeletons, documents, and
//! values to compare with. The members of an object are in the order of the file.

mod read;

pub use read::read;

use std::hash::{Hash, Hasher};

use super::diagnostic::Located;

/// A value with its location.
pub type LocatedTree = Located<Tree>;

/// A JSON value. A number is the text that was written, so all of its digits are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tree {
    /// The value `null`.
    #[default]
    Null,
    /// The value `true` or `false`.
    Boolean(bool),
    /// A number as it was written.
    Number(String),
    /// A string, with its escapes decoded.
    Text(String),
    /// An array of values.
    Array(Vec<LocatedTree>),
    /// An object with its members. No name occurs twice.
    Object(Vec<(Located<String>, LocatedTree)>),
}

impl Tree {
    /// Adds the value to a hash, without its locations.
    pub fn hash_value(&self, hasher: &mut impl Hasher) {
        std::mem::discriminant(self).hash(hasher);
        match self {
            Self::Null => {}
            Self::Boolean(value) => value.hash(hasher),
            Self::Number(text) | Self::Text(text) => text.hash(hasher),
            Self::Array(elements) => elements.iter().for_each(|element| element.value.hash_value(hasher)),
            Self::Object(members) => members.iter().for_each(|(name, value)| {
                name.value.hash(hasher);
                value.value.hash_value(hasher);
            }),
        }
    }
}
