//! JSON values with the location of each of their parts, read from JSON files or from TOML: skeletons, documents, and
//! values to compare with. Members keep the order of the file.

mod read;

pub use read::read;

use std::hash::{Hash, Hasher};

use super::diagnostic::Located;

/// A value with its location.
pub type LocatedTree = Located<Tree>;

/// A JSON value. Numbers keep their spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// `null`
    Null,
    /// `true`, `false`
    Boolean(bool),
    /// A number as written.
    Number(String),
    /// A string, decoded.
    Text(String),
    /// An array.
    Array(Vec<LocatedTree>),
    /// An object, in which no name occurs twice.
    Object(Vec<(Located<String>, LocatedTree)>),
}

impl Tree {
    /// Hashes the value without its locations.
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
