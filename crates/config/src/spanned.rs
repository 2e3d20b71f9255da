//! A tree of TOML or JSON values in which every part has its location, and the merge of defaults. Values are read
//! through the definitions of their keys ([`super::key::Key`]).

use super::{
    diagnostic::{Located, Location},
    tree::{LocatedTree, Tree},
};

/// A value with its location in the file.
pub(super) type Spanned = Located<Value>;

/// The names and values of a table, in the order of the file.
pub(super) type Members = Vec<(Located<String>, Spanned)>;

/// A TOML or JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// The `null` of JSON.
    Null,
    Boolean(bool),
    /// A number as it was written, in decimal and without underscores. It may be `inf` or `nan`, which JSON doesn't
    /// have.
    Number(String),
    Text(String),
    /// A date: the time at which the day begins in UTC, in seconds since 1970. `None` if a time of day was also
    /// written.
    Day(Option<i64>),
    List(Vec<Spanned>),
    Table(Members),
    /// A text that could not be filled in, because a variable isn't set or its syntax is faulty. The fault was
    /// reported.
    Unknown,
}

impl Value {
    /// Returns the noun for the type, with its article if it has one.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::Day(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Unknown => "an unknown string",
        }
    }
}

impl Spanned {
    /// Returns an empty table, in place of a table that isn't written.
    pub(super) fn empty(at: Location) -> Self {
        Self { value: Value::Table(Vec::new()), at }
    }

    /// Returns the members of a table; an empty slice for other values.
    pub(super) fn members(&self) -> &[(Located<String>, Self)] {
        match &self.value {
            Value::Table(members) => members,
            _ => &[],
        }
    }

    /// Returns the members that are tables. Other members have been reported by the schema.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&Located<String>, &Self)> {
        let is_table = |(_, value): &(&Located<String>, &Self)| matches!(value.value, Value::Table(_));
        self.members().iter().map(|(name, value)| (name, value)).filter(is_table)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(key, _)| key.value == name).map(|(_, value)| value)
    }

    /// Returns the elements of a list; an empty slice for other values.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// Returns the members of a table whose values are texts; other members are left out.
    pub(super) fn text_members(&self) -> Vec<(Located<String>, Located<String>)> {
        self.members().iter().filter_map(|(key, value)| Some((key.clone(), value.as_text()?))).collect()
    }

    pub(super) fn as_text(&self) -> Option<Located<String>> {
        match &self.value {
            Value::Text(text) => Some(Located { value: text.clone(), at: self.at }),
            _ => None,
        }
    }

    pub(super) fn as_count<N: TryFrom<u64>>(&self) -> Option<N> {
        match &self.value {
            Value::Number(spelling) => spelling.parse::<u64>().ok().and_then(|count| N::try_from(count).ok()),
            _ => None,
        }
    }

    /// Returns the value as JSON. If a part of the value can't be written in JSON, such as a date, returns the location
    /// and the name of the first such part.
    pub(super) fn as_json(&self) -> Result<LocatedTree, (Location, &'static str)> {
        let value = match &self.value {
            Value::Null | Value::Unknown => Tree::Null,
            Value::Boolean(value) => Tree::Boolean(*value),
            Value::Number(spelling) if spelling.ends_with("inf") || spelling.ends_with("nan") => {
                return Err((self.at, "infinities and nan"));
            }
            Value::Number(spelling) => Tree::Number(spelling.clone()),
            Value::Text(text) => Tree::Text(text.clone()),
            Value::Day(_) => return Err((self.at, "dates")),
            Value::List(elements) => Tree::Array(elements.iter().map(Self::as_json).collect::<Result<_, _>>()?),
            Value::Table(members) => {
                let member = |(key, value): &(Located<String>, Self)| Ok((key.clone(), value.as_json()?));
                Tree::Object(members.iter().map(member).collect::<Result<_, (Location, &'static str)>>()?)
            }
        };
        Ok(Located { value, at: self.at })
    }

    /// Merges `nearer` over this value. Tables are merged key by key, except the tables with a name in `whole`; all
    /// other values are replaced.
    pub(super) fn under(&self, nearer: &Self, whole: &[&str]) -> Self {
        let (Value::Table(base), Value::Table(over)) = (&self.value, &nearer.value) else {
            // A list is replaced, not extended. Test: `the_nearer_default_wins_and_tables_merge_key_by_key`.
            return nearer.clone();
        };
        let mut merged = base.clone();
        for (key, value) in over {
            match merged.iter_mut().find(|(known, _)| known.value == key.value) {
                Some((known, held)) => {
                    // Faults are reported at the nearer value, because it is the effective one.
                    *known = key.clone();
                    *held = if whole.contains(&key.value.as_str()) { value.clone() } else { held.under(value, whole) };
                }
                None => merged.push((key.clone(), value.clone())),
            }
        }
        Self { value: Value::Table(merged), at: nearer.at }
    }

    /// Returns the table without one of its members.
    pub(super) fn without(mut self, name: &str) -> Self {
        if let Value::Table(members) = &mut self.value {
            members.retain(|(key, _)| key.value != name);
        }
        self
    }
}

impl From<LocatedTree> for Spanned {
    fn from(tree: LocatedTree) -> Self {
        let value = match tree.value {
            Tree::Null => Value::Null,
            Tree::Boolean(value) => Value::Boolean(value),
            Tree::Number(spelling) => Value::Number(spelling),
            Tree::Text(text) => Value::Text(text),
            Tree::Array(elements) => Value::List(elements.into_iter().map(Self::from).collect()),
            Tree::Object(members) => {
                Value::Table(members.into_iter().map(|(key, value)| (key, Self::from(value))).collect())
            }
        };
        Self { value, at: tree.at }
    }
}
