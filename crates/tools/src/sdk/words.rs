//! Names in generated code, which must be unique and must not be reserved words.

use cursorgate_gateway::openapi::{Names, pascal};

/// Words that can't be names in TypeScript or in Python, or that would shadow a type or function of one of these
/// languages.
const RESERVED: [&str; 76] = [
    "False",
    "None",
    "True",
    "and",
    "any",
    "arguments",
    "as",
    "assert",
    "async",
    "await",
    "boolean",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "constructor",
    "continue",
    "debugger",
    "def",
    "default",
    "del",
    "delete",
    "do",
    "elif",
    "else",
    "enum",
    "eval",
    "except",
    "export",
    "extends",
    "finally",
    "for",
    "from",
    "function",
    "global",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "is",
    "lambda",
    "let",
    "match",
    "new",
    "nonlocal",
    "not",
    "null",
    "number",
    "object",
    "or",
    "package",
    "pass",
    "private",
    "protected",
    "public",
    "raise",
    "return",
    "self",
    "static",
    "string",
    "super",
    "switch",
    "symbol",
    "this",
    "throw",
    "try",
    "typeof",
    "undefined",
    "unknown",
    "var",
    "while",
    "with",
    "yield",
];

/// Converts a name to camel case: `user_orders` becomes `userOrders`.
pub(super) fn camel(text: &str) -> String {
    let name = snake(text);
    let name = pascal(&name);
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}

/// Converts a name to snake case: `user-orders` and `userOrders` become `user_orders`. Returns `unnamed` if no letter
/// or digit is left.
pub(super) fn snake(text: &str) -> String {
    let mut name = String::with_capacity(text.len() + 4);
    let mut was_small = false;
    for letter in text.chars() {
        if !letter.is_ascii_alphanumeric() {
            was_small = false;
            if !name.is_empty() && !name.ends_with('_') {
                name.push('_');
            }
            continue;
        }
        if letter.is_ascii_uppercase() && was_small {
            name.push('_');
        }
        // An uppercase letter after a digit begins a new word, as after a lowercase letter: `v2Users` becomes
        // `v2_users`.
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        name.push(letter.to_ascii_lowercase());
    }
    let name = name.trim_matches('_');
    if name.is_empty() { "unnamed".to_owned() } else { name.to_owned() }
}

/// Claims a unique name that isn't a reserved word and doesn't begin with a digit. Examples: `class` becomes `class_`,
/// `2x` becomes `_2x`.
pub(super) fn claim(names: &mut Names, wanted: &str) -> String {
    let wanted = match wanted {
        word if RESERVED.contains(&word) => format!("{word}_"),
        word if word.starts_with(|first: char| first.is_ascii_digit()) => format!("_{word}"),
        word => word.to_owned(),
    };
    names.claim(&wanted)
}

/// Returns the name for a component's type, without the prefix that names the component's file: `Api_User` becomes
/// `User`.
pub(super) fn type_name(component: &str) -> String {
    pascal(component.split_once('_').map_or(component, |(_, name)| name))
}

/// Returns whether a string is an identifier in both languages. Reserved words count as identifiers.
pub(super) fn is_identifier(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && !text.starts_with(|first: char| first.is_ascii_digit()) && text.bytes().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_the_languages() {
        for (text, small, mixed) in [
            ("user_orders", "user_orders", "userOrders"),
            ("user-orders", "user_orders", "userOrders"),
            ("userOrders", "user_orders", "userOrders"),
            ("HTTPLogs", "httplogs", "httplogs"),
            ("v2.users", "v2_users", "v2Users"),
            ("-", "unnamed", "unnamed"),
        ] {
            assert_eq!((snake(text), camel(text)), (small.to_owned(), mixed.to_owned()), "{text}");
        }
        let mut names = Names::default();
        let claimed = ["class", "users", "users", "2x"].map(|name| claim(&mut names, name));
        assert_eq!(claimed, ["class_", "users", "users2", "_2x"]);
        assert_eq!(type_name("people_User"), "User");
    }
}
