//! Scenarios as text. Every later version of the simulator can walk a scenario that failed once.
//!
//! A text consists of words with white space between them; `#` begins a comment that ends with its line. A record is `{
//! field value … }`, a list is `[ value … ]`, and `*9 value` in a list means nine equal values. An absent option is
//! `-`.
//!
//! A record contains only the fields that differ from its defaults. So a field that is added later needs a default with
//! which older scenarios keep their meaning, and a default never changes. A field or a word that is renamed in the code
//! keeps its name in the files: `cargo test` reads all of `regressions/`, and fails if a name is lost.

mod core;
mod page;

pub(crate) use page::Page;

/// A value that can be written as words and read again.
pub(crate) trait Text: Sized {
    fn write(&self, page: &mut Page);
    fn read(words: &mut Words<'_>) -> Result<Self, String>;
}

/// The words of a text that are still to be read.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    words: Vec<(usize, &'a str)>,
    next: usize,
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut words = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let told = line.split('#').next().unwrap_or_default();
            words.extend(told.split_whitespace().map(|word| (index + 1, word)));
        }
        Self { words, next: 0 }
    }

    /// Returns the next word without taking it.
    pub(crate) fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).map(|(_, word)| *word)
    }

    pub(crate) fn next(&mut self) -> Result<&'a str, String> {
        let word = self.peek().ok_or("the text ends too early")?;
        self.next += 1;
        Ok(word)
    }

    /// Takes the next word if it is this one, and returns whether it was.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let taken = self.peek() == Some(word);
        self.next += usize::from(taken);
        taken
    }

    pub(crate) fn expect(&mut self, word: &str) -> Result<(), String> {
        if self.take(word) { Ok(()) } else { Err(self.fault(&[word])) }
    }

    /// Takes the remaining words of the line that contains the last word taken.
    pub(crate) fn line(&mut self) -> String {
        let line = self.next.checked_sub(1).map(|before| self.words[before].0);
        let rest = self.words[self.next..].iter().take_while(|(number, _)| Some(*number) == line);
        let rest: Vec<&str> = rest.map(|(_, word)| *word).collect();
        self.next += rest.len();
        rest.join(" ")
    }

    /// Returns a message that the next word, or the end of the text, was found instead of one of the wanted words.
    pub(crate) fn fault(&self, wanted: &[&str]) -> String {
        let wanted = wanted.join(", ");
        match self.words.get(self.next) {
            Some((line, word)) => format!("line {line}: found `{word}` instead of {wanted}"),
            None => format!("the text ends before {wanted}"),
        }
    }
}

/// Reads a whole text as one value.
#[cfg(test)]
pub(crate) fn read<T: Text>(text: &str) -> Result<T, String> {
    let mut words = Words::new(text);
    let value = T::read(&mut words)?;
    if words.peek().is_some() { Err(words.fault(&["the end"])) } else { Ok(value) }
}

/// Writes a value as a text of lines.
#[cfg(test)]
pub(crate) fn write<T: Text>(value: &T) -> String {
    let mut page = Page::default();
    value.write(&mut page);
    page.render()
}

/// Implements [`Text`] for a type with named fields: a record that leaves out the fields that equal the default.
macro_rules! record {
    ($name:ty, $default:expr, { $($field:ident),* $(,)? }) => {
        impl $crate::text::Text for $name {
            fn write(&self, page: &mut $crate::text::Page) {
                let default: Self = $default;
                // The pattern has no `..`, so a type with a field that is missing here does not compile.
                let Self { $($field),* } = self;
                page.group('{', |page| {
                    $(if *$field != default.$field {
                        page.line(|page| {
                            page.word(stringify!($field));
                            $crate::text::Text::write($field, page);
                        });
                    })*
                });
            }

            fn read(words: &mut $crate::text::Words<'_>) -> Result<Self, String> {
                let mut record: Self = $default;
                words.expect("{")?;
                while !words.take("}") {
                    match words.peek() {
                        $(Some(stringify!($field)) => {
                            words.next()?;
                            record.$field = $crate::text::Text::read(words)?;
                        })*
                        _ => return Err(words.fault(&[$(stringify!($field),)* "}"])),
                    }
                }
                Ok(record)
            }
        }
    };
}
pub(crate) use record;

/// Implements [`Text`] for an enum: a word for each variant, followed by the variant's values.
macro_rules! words {
    ($name:ty { $($variant:ident $(($($part:ident),+))? $({ $($field:ident),+ })? = $word:literal),* $(,)? }) => {
        impl $crate::text::Text for $name {
            fn write(&self, page: &mut $crate::text::Page) {
                match self {
                    $(Self::$variant $(($($part),+))? $({ $($field),+ })? => {
                        page.word($word);
                        $($($crate::text::Text::write($part, page);)+)?
                        $($($crate::text::Text::write($field, page);)+)?
                    })*
                }
            }

            fn read(words: &mut $crate::text::Words<'_>) -> Result<Self, String> {
                match words.peek() {
                    $(Some($word) => {
                        words.next()?;
                        $($(let $part = $crate::text::Text::read(words)?;)+)?
                        $($(let $field = $crate::text::Text::read(words)?;)+)?
                        Ok(Self::$variant $(($($part),+))? $({ $($field),+ })?)
                    })*
                    _ => Err(words.fault(&[$($word),*])),
                }
            }
        }
    };
}
pub(crate) use words;

macro_rules! numbers {
    ($($name:ty),*) => {
        $(impl Text for $name {
            fn write(&self, page: &mut Page) {
                page.word(&self.to_string());
            }

            fn read(words: &mut Words<'_>) -> Result<Self, String> {
                let number = words.peek().and_then(|word| word.parse().ok()).ok_or_else(|| words.fault(&["a number"]))?;
                words.next()?;
                Ok(number)
            }
        })*
    };
}

numbers!(u8, u32, u64, i32, i64);

impl Text for bool {
    fn write(&self, page: &mut Page) {
        page.word(if *self { "yes" } else { "no" });
    }

    fn read(words: &mut Words<'_>) -> Result<Self, String> {
        match words.peek() {
            Some(word @ ("yes" | "no")) => words.next().map(|_| word == "yes"),
            _ => Err(words.fault(&["yes", "no"])),
        }
    }
}

/// A string is one word, so it contains neither white space nor `#`.
impl Text for String {
    fn write(&self, page: &mut Page) {
        page.word(self);
    }

    fn read(words: &mut Words<'_>) -> Result<Self, String> {
        words.next().map(Self::from)
    }
}

impl<T: Text> Text for Option<T> {
    fn write(&self, page: &mut Page) {
        match self {
            Some(value) => value.write(page),
            None => page.word("-"),
        }
    }

    fn read(words: &mut Words<'_>) -> Result<Self, String> {
        if words.take("-") { Ok(None) } else { T::read(words).map(Some) }
    }
}

impl<T: Text> Text for Box<T> {
    fn write(&self, page: &mut Page) {
        (**self).write(page);
    }

    fn read(words: &mut Words<'_>) -> Result<Self, String> {
        T::read(words).map(Self::new)
    }
}

/// The largest number of equal values that `*` may state. A larger number is a fault of the text; no scenario has that
/// many.
const MOST_EQUAL: usize = 10_000;

impl<T: Text + Clone + PartialEq> Text for Vec<T> {
    fn write(&self, page: &mut Page) {
        page.group('[', |page| {
            for equal in self.chunk_by(|one, other| one == other) {
                page.line(|page| {
                    if equal.len() > 1 {
                        page.word(&format!("*{}", equal.len()));
                    }
                    equal[0].write(page);
                });
            }
        });
    }

    fn read(words: &mut Words<'_>) -> Result<Self, String> {
        let mut list = Self::new();
        words.expect("[")?;
        while !words.take("]") {
            let mut times = 1;
            if let Some(number) = words.peek().and_then(|word| word.strip_prefix('*')) {
                // Without a bound, a few digits in a file would fill the memory. Test: `faults_name_their_line`.
                let number = number.parse().ok().filter(|times| (1..=MOST_EQUAL).contains(times));
                times = number.ok_or_else(|| words.fault(&["* and how many there are"]))?;
                words.next()?;
            }
            let value = T::read(words)?;
            list.extend(std::iter::repeat_n(value, times));
        }
        Ok(list)
    }
}

impl<T: Text, const N: usize> Text for [T; N] {
    fn write(&self, page: &mut Page) {
        page.group('[', |page| self.iter().for_each(|value| page.line(|page| value.write(page))));
    }

    fn read(words: &mut Words<'_>) -> Result<Self, String> {
        words.expect("[")?;
        let values: Vec<T> = (0..N).map(|_| T::read(words)).collect::<Result<_, _>>()?;
        words.expect("]")?;
        values.try_into().map_err(|_| "a list of another length".to_owned())
    }
}

impl<T: Text, U: Text> Text for (T, U) {
    fn write(&self, page: &mut Page) {
        self.0.write(page);
        self.1.write(page);
    }

    fn read(words: &mut Words<'_>) -> Result<Self, String> {
        Ok((T::read(words)?, U::read(words)?))
    }
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Row {
        id: u32,
        keys: [Option<i64>; 2],
        hidden: bool,
    }

    record!(Row, Self::default(), { id, keys, hidden });

    #[test]
    fn only_fields_that_differ_from_the_default_are_written() {
        let row = Row { id: 3, keys: [Some(-1), None], hidden: false };
        assert_eq!(write(&row), "{ id 3 keys [ -1 - ] }\n");
        assert_eq!(read(&write(&row)), Ok(row));
        assert_eq!(read::<Row>("{ # nothing\n}"), Ok(Row::default()));
    }

    #[test]
    fn equal_values_are_counted() {
        let list: Vec<Vec<u32>> = vec![vec![], vec![], vec![], vec![7]];
        assert_eq!(write(&list), "[ *3 [ ] [ 7 ] ]\n");
        assert_eq!(read(&write(&list)), Ok(list));
    }

    #[test]
    fn faults_name_their_line() {
        let fault = |text: &str| read::<Vec<Row>>(text).unwrap_err();
        assert_eq!(fault("[\n{ id x }\n]"), "line 2: found `x` instead of a number");
        assert_eq!(fault("[ { name 3 } ]"), "line 1: found `name` instead of id, keys, hidden, }");
        assert_eq!(fault("[ *99999999999 { } ]"), "line 1: found `*99999999999` instead of * and how many there are");
        assert_eq!(fault("[ { id 1"), "the text ends before id, keys, hidden, }");
        assert_eq!(fault("[ ] ]"), "line 1: found `]` instead of the end");
    }
}
