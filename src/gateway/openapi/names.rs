//! Names in a description: each once, and of letters that every tool takes (OpenAPI 3.1, section 4.8.7.1).

use std::collections::BTreeSet;

/// The names given so far.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// This name, or the first of its numbered forms that is free.
    pub(super) fn claim(&mut self, wanted: &str) -> String {
        let numbered = |number: usize| if number == 1 { wanted.to_owned() } else { format!("{wanted}{number}") };
        let free = (1..).map(numbered).find(|name| !self.0.contains(name)).unwrap_or_default();
        self.0.insert(free.clone());
        free
    }
}

/// `user_orders` as `UserOrders`: what is no letter or digit divides words. Never empty.
pub(super) fn pascal(text: &str) -> String {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect();
    if name.is_empty() { "Unnamed".to_owned() } else { name }
}

/// The same name with `_` for what a component's name can't hold.
pub(super) fn component(text: &str) -> String {
    let taken = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_');
    let name: String = text.chars().map(|character| if taken(character) { character } else { '_' }).collect();
    if name.is_empty() { "Unnamed".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once() {
        let mut names = Names::default();
        let given = ["users", "users", "users2", "users"].map(|name| names.claim(name));
        assert_eq!(given, ["users", "users2", "users22", "users3"]);
        for (text, name) in [("user_orders", "UserOrders"), ("2-x", "2X"), ("é", "Unnamed"), ("", "Unnamed")] {
            assert_eq!(pascal(text), name);
        }
        assert_eq!(component("Page[User]"), "Page_User_");
    }
}
