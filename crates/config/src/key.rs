//! The definition of a configuration key.
//!
//! A key is defined once, by a line of a `table!` in [`super::keys`]: its name, the type of its value, the values that
//! it accepts, its default or an example, and its documentation. Everything else is derived from that definition:
//! [`super::schema`] checks a file against it, the struct of settings has a field for it, [`super::check`] reads values
//! through it, and [`super::reference`] and [`super::json_schema`] print it. The words of an enum are defined in the
//! same way, by [`words!`].

use std::{net::SocketAddr, time::Duration};

use super::{
    diagnostic::{Located, Location},
    schema::{Schema, SyntaxFault},
    spanned::{Spanned, Value},
    tree::LocatedTree,
    units,
};

/// The definition of a key without the type of its value, as [`Schema::Table`] lists it.
#[derive(Clone, Copy)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    /// The documentation comment of the key: lines of Markdown, each with a space at its beginning.
    pub(super) documentation: &'static str,
    pub(super) schema: Schema,
    pub(super) shown: Shown,
}

/// The presentation of a key in the reference file. Examples are in TOML.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    /// A line with the default.
    Default(Literal),
    /// A comment with an example, for a key without a default.
    Example(&'static str),
    /// A line with an example, for a key that the reference file needs in order to load.
    Sample(&'static str),
    /// A table with its own header and all of its keys.
    Section,
    /// The same as `Section`, but commented out, for a table whose presence has an effect.
    OptionalSection,
    /// A table with only these lines, because its keys are shown at another table.
    Excerpt(&'static str),
    /// A table of named tables. One of them is shown in full, with the first string as its name; the second string has
    /// further examples.
    Named(&'static str, &'static str),
}

/// The default of a key, as its definition contains it.
#[derive(Clone, Copy)]
pub(super) enum Literal {
    Boolean(bool),
    Count(u64),
    Text(&'static str),
    Texts(&'static [&'static str]),
}

impl Literal {
    /// Returns the default as if it were written at this location.
    fn at(self, at: Location) -> Spanned {
        let value = match self {
            Self::Boolean(value) => Value::Boolean(value),
            Self::Count(number) => Value::Number(number.to_string()),
            Self::Text(text) => Value::Text(text.to_owned()),
            Self::Texts(texts) => Value::List(texts.iter().map(|text| Self::Text(text).at(at)).collect()),
        };
        Spanned { value, at }
    }

    /// Returns the default in TOML, which is also JSON for these types.
    pub(super) fn toml(self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Count(number) => number.to_string(),
            Self::Text(text) => format!("{text:?}"),
            Self::Texts(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
                format!("[{}]", texts.join(", "))
            }
        }
    }
}

/// A key with the type of its value. A `DEFAULTED` key has a default, so reading it always returns a value.
pub(super) struct Key<T: 'static, const DEFAULTED: bool = false> {
    pub(super) definition: Definition,
    value: fn(&Spanned) -> Option<T>,
}

/// A key with a default.
pub(super) type Defaulted<T> = Key<T, true>;

impl<T, const DEFAULTED: bool> Key<T, DEFAULTED> {
    /// Adds the name and the documentation of a key, as the last step of `table!`.
    pub(super) const fn documented(self, name: &'static str, documentation: &'static str) -> Self {
        let Definition { schema, shown, .. } = self.definition;
        Self { definition: Definition { name, documentation, schema, shown }, value: self.value }
    }

    /// Returns the value of this key in a table, whatever its type; `None` if the table doesn't have the key.
    pub(super) fn find<'t>(&self, table: &'t Spanned) -> Option<&'t Spanned> {
        #[cfg(test)]
        reads::record(&self.definition);
        table.find(self.definition.name)
    }

    /// Returns the value in a table. Returns `None` if the table doesn't have the key, or has a value of another type,
    /// which [`super::schema`] has reported.
    pub(super) fn written(&self, table: &Spanned) -> Option<T> {
        self.find(table).and_then(self.value)
    }

    /// Returns the value in a table, with its location. Returns `None` in the same cases as [`Self::written`].
    pub(super) fn located(&self, table: &Spanned) -> Option<Located<T>> {
        let found = self.find(table)?;
        Some(Located { value: (self.value)(found)?, at: found.at })
    }

    /// Returns the name of this key as it is written in a table, with its location; `None` if the table doesn't have
    /// the key.
    pub(super) fn name_in<'t>(&self, table: &'t Spanned) -> Option<&'t Located<String>> {
        table.members().iter().map(|(name, _)| name).find(|name| name.value == self.definition.name)
    }
}

impl<T> Key<T> {
    /// Returns the value in a table; `None` in the same cases as [`Self::written`].
    pub(super) fn read(&self, table: &Spanned) -> Option<T> {
        self.written(table)
    }
}

impl<T> Defaulted<T> {
    /// Returns the value in a table, or the default, with its location. A default has the location of the table.
    pub(super) fn placed(&self, table: &Spanned) -> Located<T> {
        let at = self.find(table).map_or(table.at, |written| written.at);
        Located { value: self.read(table), at }
    }

    /// Returns the value in a table, or the default where [`Self::written`] returns `None`.
    pub(super) fn read(&self, table: &Spanned) -> T {
        self.written(table).unwrap_or_else(|| self.default_at(table.at))
    }

    /// Returns the default of this key.
    pub(super) fn default(&self) -> T {
        self.default_at(Location::default())
    }

    #[expect(clippy::expect_used, reason = "`defaults_are_values_of_their_keys` reads every default")]
    fn default_at(&self, at: Location) -> T {
        let default = match self.definition.shown {
            Shown::Default(literal) => (self.value)(&literal.at(at)),
            _ => None,
        };
        default.expect("a default is a value of its key")
    }
}

impl<T: Default> Key<T> {
    /// Returns the value in a table, or an empty one where [`Self::written`] returns `None`.
    pub(super) fn or_empty(&self, table: &Spanned) -> T {
        self.written(table).unwrap_or_default()
    }
}

impl Key<String> {
    /// Returns the text in a table without slashes at its end.
    pub(super) fn without_final_slash(&self, table: &Spanned) -> Option<String> {
        Some(self.read(table)?.trim_end_matches('/').to_owned())
    }
}

impl Key<Spanned> {
    /// Returns the table under this key, or an empty one if the key is missing or isn't a table.
    pub(super) fn table(&self, table: &Spanned) -> Spanned {
        self.written(table).unwrap_or_else(|| Spanned::empty(table.at))
    }

    /// Returns the settings in the table under this key.
    pub(super) fn settings<S: TableSettings>(&self, table: &Spanned) -> S {
        S::read(&self.table(table))
    }

    /// Returns the settings in the table under this key; `None` if the key is missing.
    pub(super) fn settings_if_written<S: TableSettings>(&self, table: &Spanned) -> Option<S> {
        self.find(table).map(S::read)
    }
}

/// The type of a value: its schema, and the function that reads a value.
pub(super) struct Type<T: 'static> {
    schema: Schema,
    value: fn(&Spanned) -> Option<T>,
}

impl<T> Type<T> {
    const fn key<const DEFAULTED: bool>(self, shown: Shown) -> Key<T, DEFAULTED> {
        let definition = Definition { name: "", documentation: "", schema: self.schema, shown };
        Key { definition, value: self.value }
    }

    /// Returns a key that has this default.
    pub(super) const fn default(self, literal: Literal) -> Defaulted<T> {
        self.key(Shown::Default(literal))
    }

    /// Returns a key without a default, for which the reference shows an example.
    pub(super) const fn example(self, example: &'static str) -> Key<T> {
        self.key(Shown::Example(example))
    }

    /// Returns a key without a default, for which the reference file needs this example in order to load.
    pub(super) const fn sample(self, example: &'static str) -> Key<T> {
        self.key(Shown::Sample(example))
    }

    /// Returns the key of a table that the reference shows in full.
    pub(super) const fn section(self) -> Key<T> {
        self.key(Shown::Section)
    }

    /// Returns the key of a table whose presence has an effect. The reference shows it commented out.
    pub(super) const fn optional_section(self) -> Key<T> {
        self.key(Shown::OptionalSection)
    }

    /// Returns the key of a table that the reference shows with these lines, because its keys are shown at another
    /// table.
    pub(super) const fn excerpt(self, lines: &'static str) -> Key<T> {
        self.key(Shown::Excerpt(lines))
    }

    /// Returns the key of a table of named tables. The reference shows one of them in full, with the name `name`,
    /// followed by `further`.
    pub(super) const fn named(self, name: &'static str, further: &'static str) -> Key<T> {
        self.key(Shown::Named(name, further))
    }
}

pub(super) const fn flag() -> Type<bool> {
    Type {
        schema: Schema::Boolean,
        value: |written| match written.value {
            Value::Boolean(value) => Some(value),
            _ => None,
        },
    }
}

/// A type of whole numbers in settings.
pub(super) trait Whole: TryFrom<u64> {
    const MAX: u64;
}

impl Whole for u16 {
    const MAX: u64 = 0xFFFF;
}

impl Whole for u32 {
    const MAX: u64 = 0xFFFF_FFFF;
}

impl Whole for u64 {
    const MAX: Self = Self::MAX;
}

impl Whole for usize {
    const MAX: u64 = Self::MAX as u64;
}

/// Returns the type of a whole number between two bounds, both included.
pub(super) const fn count<N: Whole>(least: u64, most: u64) -> Type<N> {
    // Each number that the schema accepts must fit into the type: a number that doesn't would be read as the default,
    // without an error.
    assert!(least <= most && most <= N::MAX);
    Type { schema: Schema::Count(least, most), value: Spanned::as_count }
}

pub(super) const fn counts(element: &'static Schema) -> Type<Vec<u32>> {
    Type { schema: Schema::List(element), value: |written| Some(elements(written, Spanned::as_count)) }
}

pub(super) const fn duration(least: &'static str, most: &'static str) -> Type<Duration> {
    Type {
        schema: Schema::Quantity(&units::DURATION, least, most),
        value: |written| units::duration(&written.as_text()?.value),
    }
}

pub(super) const fn size(least: &'static str, most: &'static str) -> Type<usize> {
    Type {
        schema: Schema::Quantity(&units::SIZE, least, most),
        value: |written| usize::try_from(units::size(&written.as_text()?.value)?).ok(),
    }
}

/// Returns the type of a day. Its value is the time at which the day begins in UTC, in seconds since 1970.
pub(super) const fn day() -> Type<i64> {
    Type {
        schema: Schema::Day,
        value: |written| match written.value {
            Value::Day(midnight) => midnight,
            _ => None,
        },
    }
}

/// A text of a key: the text alone, or with its location.
pub(super) trait FromText {
    fn from_text(text: Located<String>) -> Self;
}

impl FromText for String {
    fn from_text(text: Located<String>) -> Self {
        text.value
    }
}

impl FromText for Located<String> {
    fn from_text(text: Self) -> Self {
        text
    }
}

pub(super) const fn text<T: FromText>(check: fn(&str) -> Result<(), SyntaxFault>) -> Type<T> {
    Type { schema: Schema::Text(check), value: |written| written.as_text().map(T::from_text) }
}

pub(super) const fn texts<T: FromText>(element: &'static Schema) -> Type<Vec<T>> {
    Type {
        schema: Schema::List(element),
        value: |written| Some(elements(written, |element| element.as_text().map(T::from_text))),
    }
}

/// Returns the type of a list of texts whose case doesn't matter. Its values are in lower case.
pub(super) const fn caseless_texts(element: &'static Schema) -> Type<Vec<String>> {
    Type {
        schema: Schema::List(element),
        value: |written| Some(elements(written, |element| Some(element.as_text()?.value.to_lowercase()))),
    }
}

pub(super) const fn socket_addresses(element: &'static Schema) -> Type<Vec<SocketAddr>> {
    Type {
        schema: Schema::List(element),
        value: |written| Some(elements(written, |element| element.as_text()?.value.parse().ok())),
    }
}

pub(super) const fn header_names(element: &'static Schema) -> Type<Vec<http::HeaderName>> {
    Type { schema: Schema::List(element), value: |written| Some(elements(written, as_header_name)) }
}

pub(super) const fn header_name(check: fn(&str) -> Result<(), SyntaxFault>) -> Type<http::HeaderName> {
    Type { schema: Schema::Text(check), value: as_header_name }
}

fn as_header_name(written: &Spanned) -> Option<http::HeaderName> {
    http::HeaderName::from_bytes(written.as_text()?.value.as_bytes()).ok()
}

pub(super) const fn secret() -> Type<String> {
    Type { schema: Schema::Secret, value: |written| written.as_text().map(|text| text.value) }
}

/// Returns the type of a table that maps names of the operator's choice to texts. `help` is reported if a list is
/// written instead.
pub(super) const fn named_texts(element: &'static Schema, help: &'static str) -> Type<NamedTexts> {
    Type { schema: Schema::Named(element, help), value: |written| Some(written.text_members()) }
}

/// Names with texts, both with their locations.
pub(super) type NamedTexts = Vec<(Located<String>, Located<String>)>;

pub(super) const fn sent_headers() -> Type<NamedTexts> {
    Type { schema: Schema::SentHeaders, value: |written| Some(written.text_members()) }
}

pub(super) const fn json() -> Type<LocatedTree> {
    Type { schema: Schema::Json, value: |written| written.as_json().ok() }
}

/// Names with JSON values, both with their locations.
pub(super) type NamedJson = Vec<(Located<String>, LocatedTree)>;

pub(super) const fn json_members() -> Type<NamedJson> {
    Type {
        schema: Schema::JsonMembers,
        value: |written| {
            let members = written.members().iter();
            Some(members.filter_map(|(name, value)| Some((name.clone(), value.as_json().ok()?))).collect())
        },
    }
}

/// Returns the type of a table with these keys.
pub(super) const fn sub_table(keys: &'static [&'static Definition]) -> Type<Spanned> {
    Type { schema: Schema::Table(keys), value: as_table }
}

/// Returns the type of a table that maps names of the operator's choice to tables. `help` is reported if a list is
/// written instead.
pub(super) const fn named_tables(element: &'static Schema, help: &'static str) -> Type<Spanned> {
    Type { schema: Schema::Named(element, help), value: as_table }
}

/// Returns the type of a list of tables.
pub(super) const fn list_of_tables(element: &'static Schema) -> Type<Vec<Spanned>> {
    Type { schema: Schema::List(element), value: |written| Some(elements(written, |element| Some(element.clone()))) }
}

fn as_table(written: &Spanned) -> Option<Spanned> {
    matches!(written.value, Value::Table(_)).then(|| written.clone())
}

fn elements<T>(written: &Spanned, value: fn(&Spanned) -> Option<T>) -> Vec<T> {
    written.elements().iter().filter_map(value).collect()
}

/// A word that a key accepts, without the value that it stands for, as [`Schema::Word`] lists it.
#[derive(Clone, Copy)]
pub(super) struct WordDefinition {
    pub(super) word: &'static str,
    /// The documentation comment of the variant.
    pub(super) documentation: &'static str,
}

/// An enum whose values are written as words. Implement it with [`words!`].
pub(super) trait Word: Copy + 'static {
    /// Every word, in the order in which they are listed to operators.
    const WORDS: &'static [WordDefinition];
    /// The value of each word, in the same order.
    const VALUES: &'static [Self];

    /// Returns the word for a value; an empty string if the value has no word.
    fn word(self) -> &'static str
    where
        Self: PartialEq,
    {
        let known = Self::VALUES.iter().zip(Self::WORDS).find(|(value, _)| **value == self);
        known.map_or("", |(_, definition)| definition.word)
    }
}

/// Returns the type of a key that accepts a word of an enum.
pub(super) const fn word<W: Word>() -> Type<W> {
    Type { schema: Schema::Word(W::WORDS), value: as_word }
}

/// A flag, or a word of an enum.
pub(super) enum FlagOrWord<W> {
    Flag(bool),
    Word(W),
}

/// Returns the type of a flag for which a word of an enum may be written too.
pub(super) const fn flag_or_word<W: Word>() -> Type<FlagOrWord<W>> {
    Type {
        schema: Schema::BooleanOrWord(W::WORDS),
        value: |written| match written.value {
            Value::Boolean(value) => Some(FlagOrWord::Flag(value)),
            _ => as_word(written).map(FlagOrWord::Word),
        },
    }
}

/// Returns the type of a list of words of an enum.
pub(super) const fn list_of_words<W: Word>(element: &'static Schema) -> Type<Vec<W>> {
    Type { schema: Schema::List(element), value: |written| Some(elements(written, as_word)) }
}

fn as_word<W: Word>(written: &Spanned) -> Option<W> {
    let text = written.as_text()?.value;
    let index = W::WORDS.iter().position(|known| known.word == text)?;
    W::VALUES.get(index).copied()
}

/// Defines the keys of a table: a struct with a [`Key`] for each, a static with their definitions, and `KEYS`, which
/// lists them for [`Schema::Table`]. A key whose name isn't a Rust identifier has its name in parentheses.
///
/// `TABLE: Keys => Settings { … }` also defines the public struct of the table's settings, with their documentation,
/// and `Settings::read`, which reads them. The `Default` are the settings of an empty table.
///
/// | entry | field of the settings |
/// | --- | --- |
/// | `key: Key<T> => …;` | none: code of `check` reads the key |
/// | `pub key: Key<T> => …;` | `Option<T>` |
/// | `pub key: Defaulted<T> => …;` | `T` |
/// | `pub key: Key<T> as S = reader => …;` | `S`, by `reader(&key, table)` |
/// | `pub key: Key<T> as S => …;` | `S`, by code of `check`; `S::default()` until then |
/// | `pub field: S;` or `pub field: S = value;` | the same, for no key |
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $table:ident: $type:ident $(=> $(#[$attribute:meta])* $settings:ident)? { $($entries:tt)+ }
    ) => {
        $crate::key::table! {
            @entries [$(#[doc = $doc])+ $table $type] [$($(#[$attribute])* $settings)?] {} {} $($entries)+
        }
    };

    (@entries $table:tt $settings:tt {$($keys:tt)*} {$($fields:tt)*}
        $(#[doc = $doc:literal])+ pub $key:ident $(($name:literal))?: $kind:ident<$value:ty> => $definition:expr;
        $($rest:tt)*
    ) => {
        $crate::key::table! { @entries $table $settings
            {$($keys)* $(#[doc = $doc])+ $key $(($name))? ($kind<$value>) $definition;}
            {$($fields)* $(#[doc = $doc])+ $key ($crate::key::setting!($kind<$value>)) (read $key);}
            $($rest)*
        }
    };
    (@entries $table:tt $settings:tt {$($keys:tt)*} {$($fields:tt)*}
        $(#[doc = $doc:literal])+
        pub $key:ident $(($name:literal))?: $kind:ident<$value:ty> as $type:ty $(= $reader:expr)? => $definition:expr;
        $($rest:tt)*
    ) => {
        $crate::key::table! { @entries $table $settings
            {$($keys)* $(#[doc = $doc])+ $key $(($name))? ($kind<$value>) $definition;}
            {$($fields)* $(#[doc = $doc])+ $key ($type) ($($reader, $key)?);}
            $($rest)*
        }
    };
    (@entries $table:tt $settings:tt $keys:tt {$($fields:tt)*}
        $(#[doc = $doc:literal])+ pub $field:ident: $type:ty $(= $value:expr)?; $($rest:tt)*
    ) => {
        $crate::key::table! { @entries $table $settings $keys
            {$($fields)* $(#[doc = $doc])+ $field ($type) ($(value $value)?);}
            $($rest)*
        }
    };
    (@entries $table:tt $settings:tt {$($keys:tt)*} $fields:tt
        $(#[doc = $doc:literal])+ $key:ident $(($name:literal))?: $type:ty => $definition:expr; $($rest:tt)*
    ) => {
        $crate::key::table! { @entries $table $settings
            {$($keys)* $(#[doc = $doc])+ $key $(($name))? ($type) $definition;}
            $fields $($rest)*
        }
    };

    (@entries
        [$(#[doc = $table_doc:literal])+ $table:ident $type:ident] $settings:tt
        {$( $(#[doc = $doc:literal])+ $key:ident $(($name:literal))? ($key_type:ty) $definition:expr; )+} $fields:tt
    ) => {
        $(#[doc = $table_doc])+
        pub(crate) struct $type {
            $( $(#[doc = $doc])+ pub(crate) $key: $key_type, )+
        }
        $(#[doc = $table_doc])+
        pub(crate) static $table: $type = $type {
            $( $key: $definition.documented(
                $crate::key::name!($key $($name)?),
                concat!($($doc, "\n"),+),
            ), )+
        };
        impl $type {
            pub(crate) const KEYS: &'static [&'static $crate::key::Definition] =
                &[$(&$table.$key.definition),+];
        }
        $crate::key::table! { @settings [$(#[doc = $table_doc])+ $table] $settings $fields }
    };

    (@settings $table:tt [] {}) => {};
    (@settings
        [$(#[doc = $table_doc:literal])+ $table:ident] [$(#[$attribute:meta])* $settings:ident]
        {$( $(#[doc = $doc:literal])+ $field:ident ($type:ty) ($($read:tt)*); )+}
    ) => {
        $(#[doc = $table_doc])+
        $(#[$attribute])*
        pub struct $settings {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }
        impl $crate::key::TableSettings for $settings {
            fn read(table: &$crate::spanned::Spanned) -> Self {
                Self { $( $field: $crate::key::read!(table $table $($read)*), )+ }
            }
        }
        impl Default for $settings {
            fn default() -> Self {
                $crate::key::TableSettings::read(&$crate::spanned::Spanned::empty(Default::default()))
            }
        }
    };
}

/// Expands to the type of a setting, for the type of its key.
macro_rules! setting {
    (Key<$value:ty>) => { Option<$value> };
    (Defaulted<$value:ty>) => { $value };
}

/// Expands to the value of a setting.
macro_rules! read {
    ($written:ident $table:ident) => {
        Default::default()
    };
    ($written:ident $table:ident read $key:ident) => {
        $table.$key.read($written)
    };
    ($written:ident $table:ident value $value:expr) => {
        $value
    };
    ($written:ident $table:ident $reader:expr, $key:ident) => {
        $crate::key::read_by(&$table.$key, $written, $reader)
    };
}

/// Reads a setting by the reader of its key.
pub(super) fn read_by<T, const DEFAULTED: bool, S>(
    key: &Key<T, DEFAULTED>,
    table: &Spanned,
    reader: impl FnOnce(&Key<T, DEFAULTED>, &Spanned) -> S,
) -> S {
    reader(key, table)
}

/// The settings of a table, which `table!` implements.
pub(super) trait TableSettings: Sized {
    /// Reads the settings. Those that code of `check` reads have their defaults.
    fn read(table: &Spanned) -> Self;
}

/// Concatenates the keys of two tables. `N` must be the number of keys of both together.
pub(super) const fn joined<const N: usize>(
    first: &[&'static Definition],
    second: &[&'static Definition],
) -> [&'static Definition; N] {
    let mut keys = [first[0]; N];
    let mut index = 0;
    while index < N {
        keys[index] = if index < first.len() { first[index] } else { second[index - first.len()] };
        index += 1;
    }
    keys
}

/// Expands to the name of a key: its identifier, or the literal in parentheses.
macro_rules! name {
    ($key:ident) => {
        stringify!($key)
    };
    ($key:ident $name:literal) => {
        $name
    };
}

/// Connects the variants of an enum with the words that operators write, each with its documentation.
///
/// `words! { enum … }` also defines the enum, and for a `pub enum` a method `word`. `words! { Enum { … } }` is for an
/// enum of another module. It must list all variants; those without a word follow after `without`.
macro_rules! words {
    (@enum [$visibility:vis] $(#[doc = $enum_doc:literal])+ $name:ident {
        $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )+
    }) => {
        $(#[doc = $enum_doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $name { $( $(#[doc = $doc])+ $variant, )+ }

        $crate::key::words! { $name { $( $(#[doc = $doc])+ $variant = $word, )+ } }
    };
    ($(#[doc = $enum_doc:literal])+ pub enum $name:ident { $($variants:tt)+ }) => {
        $crate::key::words! { @enum [pub] $(#[doc = $enum_doc])+ $name { $($variants)+ } }

        impl $name {
            /// Returns the word for the value in a configuration.
            #[must_use]
            pub fn word(self) -> &'static str {
                $crate::key::Word::word(self)
            }
        }
    };
    ($(#[doc = $enum_doc:literal])+ enum $name:ident { $($variants:tt)+ }) => {
        $crate::key::words! { @enum [pub(crate)] $(#[doc = $enum_doc])+ $name { $($variants)+ } }
    };
    ($name:ident { $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )+ } $(without $($other:ident),+)?) => {
        impl $crate::key::Word for $name {
            const WORDS: &'static [$crate::key::WordDefinition] = &[
                $( $crate::key::WordDefinition { word: $word, documentation: concat!($($doc, "\n"),+) }, )+
            ];
            const VALUES: &'static [Self] = &[$(Self::$variant),+];
        }

        // The match is exhaustive, so a variant without a word is a compile error.
        const _: fn($name) = |value| match value { $($name::$variant => {})+ $($($name::$other => {})+)? };
    };
}

pub(super) use {name, read, setting, table, words};

/// The keys that the tests of this thread have read. A test finds the keys that no code reads.
#[cfg(test)]
pub(super) mod reads {
    use std::{cell::RefCell, collections::HashSet};

    use super::Definition;

    thread_local! {
        static READ: RefCell<HashSet<*const Definition>> = RefCell::default();
    }

    pub(super) fn record(definition: &Definition) {
        READ.with_borrow_mut(|read| read.insert(std::ptr::from_ref(definition)));
    }

    /// Returns whether a key was read by this thread.
    pub(crate) fn include(definition: &Definition) -> bool {
        READ.with_borrow(|read| read.contains(&std::ptr::from_ref(definition)))
    }
}
