//! What was written: a tree of TOML or JSON values in which every part knows its place. It is merged here, as tables
//! wherever there are defaults, and read by name and type; what has another type than asked for reads as nothing, since
//! [`super::form`] has reported it before.

use std::time::Duration;

use super::{
    diagnostic::{Located, Location},
    tree::{LocatedTree, Tree},
    units,
};

/// A value and where it was written.
pub(super) type Written = Located<Value>;

/// Members in the order of the file.
pub(super) type Members = Vec<(Located<String>, Written)>;

/// A TOML or JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// JSON's `null`.
    Null,
    Boolean(bool),
    /// Its spelling: decimal, without underscores. `inf` and `nan` are no JSON.
    Number(String),
    Text(String),
    /// Midnight UTC in seconds since 1970; nothing where a time was written as well.
    Day(Option<i64>),
    List(Vec<Written>),
    Table(Members),
}

impl Value {
    /// What it is, for a sentence.
    pub(super) fn noun(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::Day(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Written {
    /// An empty table, for what was not written.
    pub(super) fn nothing(at: Location) -> Self {
        Self { value: Value::Table(Vec::new()), at }
    }

    /// The members of a table; none of anything else.
    pub(super) fn members(&self) -> &[(Located<String>, Self)] {
        match &self.value {
            Value::Table(members) => members,
            _ => &[],
        }
    }

    /// The members that are tables themselves: what else stands there has been reported.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&Located<String>, &Self)> {
        let is_table = |(_, value): &(&Located<String>, &Self)| matches!(value.value, Value::Table(_));
        self.members().iter().map(|(name, value)| (name, value)).filter(is_table)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|(key, _)| key.value == name).map(|(_, value)| value)
    }

    /// The table of this name, or an empty one at this place.
    pub(super) fn table(&self, name: &str) -> Self {
        match self.find(name) {
            Some(found) if matches!(found.value, Value::Table(_)) => found.clone(),
            _ => Self::nothing(self.at),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<Located<String>> {
        self.find(name).and_then(Self::as_text)
    }

    pub(super) fn string(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.value)
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        matches!(self.find(name), Some(Self { value: Value::Boolean(true), .. }))
    }

    pub(super) fn count<N: TryFrom<u64>>(&self, name: &str) -> Option<N> {
        self.find(name).and_then(Self::as_count)
    }

    pub(super) fn located_count<N: TryFrom<u64>>(&self, name: &str) -> Option<Located<N>> {
        let found = self.find(name)?;
        Some(Located { value: found.as_count()?, at: found.at })
    }

    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        units::duration(&self.string(name)?)
    }

    pub(super) fn size(&self, name: &str) -> Option<usize> {
        usize::try_from(units::size(&self.string(name)?)?).ok()
    }

    pub(super) fn day(&self, name: &str) -> Option<Located<i64>> {
        match self.find(name)? {
            Self { value: Value::Day(Some(seconds)), at } => Some(Located { value: *seconds, at: *at }),
            _ => None,
        }
    }

    /// The elements of a list; none of anything else.
    pub(super) fn list(&self, name: &str) -> &[Self] {
        match self.find(name) {
            Some(Self { value: Value::List(elements), .. }) => elements,
            _ => &[],
        }
    }

    /// The texts of a list.
    pub(super) fn texts(&self, name: &str) -> Vec<Located<String>> {
        self.list(name).iter().filter_map(Self::as_text).collect()
    }

    /// The texts of a list, without their places.
    pub(super) fn strings(&self, name: &str) -> Vec<String> {
        self.texts(name).into_iter().map(|text| text.value).collect()
    }

    /// The header names of a list; what is none has been reported before.
    pub(super) fn header_names(&self, name: &str) -> Vec<http::HeaderName> {
        self.strings(name).iter().filter_map(|name| http::HeaderName::from_bytes(name.as_bytes()).ok()).collect()
    }

    /// The names of a table with the texts that stand there.
    pub(super) fn text_members(&self, name: &str) -> Vec<(Located<String>, Located<String>)> {
        let table = self.find(name).map_or(&[][..], Self::members);
        table.iter().filter_map(|(key, value)| Some((key.clone(), value.as_text()?))).collect()
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

    /// The same as JSON; the place and the name of what JSON does not have, where there is such a thing.
    pub(super) fn as_json(&self) -> Result<LocatedTree, (Location, &'static str)> {
        let value = match &self.value {
            Value::Null => Tree::Null,
            Value::Boolean(value) => Tree::Boolean(*value),
            Value::Number(spelling) if spelling.ends_with("inf") || spelling.ends_with("nan") => {
                return Err((self.at, "infinities and nan"));
            }
            Value::Number(spelling) => Tree::Number(spelling.clone()),
            Value::Text(text) => Tree::Text(text.clone()),
            Value::Day(_) => return Err((self.at, "dates")),
            Value::List(elements) => Tree::Array(elements.iter().map(Self::as_json).collect::<Result<_, _>>()?),
            Value::Table(members) => {
                Tree::Object(members.iter().map(|(key, value)| Ok((key.clone(), value.as_json()?))).collect::<Result<
                    _,
                    (Location, &'static str),
                >>(
                )?)
            }
        };
        Ok(Located { value, at: self.at })
    }

    /// What holds where `nearer` was written over this: tables merge key by key, everything else is replaced, and so
    /// are the tables named in `whole`.
    pub(super) fn under(&self, nearer: &Self, whole: &[&str]) -> Self {
        let (Value::Table(base), Value::Table(over)) = (&self.value, &nearer.value) else {
            return nearer.clone();
        };
        let mut merged = base.clone();
        for (key, value) in over {
            match merged.iter_mut().find(|(known, _)| known.value == key.value) {
                Some((known, held)) => {
                    *known = key.clone();
                    *held = if whole.contains(&key.value.as_str()) { value.clone() } else { held.under(value, whole) };
                }
                None => merged.push((key.clone(), value.clone())),
            }
        }
        Self { value: Value::Table(merged), at: nearer.at }
    }

    /// The same without this member.
    pub(super) fn without(mut self, name: &str) -> Self {
        if let Value::Table(members) = &mut self.value {
            members.retain(|(key, _)| key.value != name);
        }
        self
    }
}

impl From<LocatedTree> for Written {
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
