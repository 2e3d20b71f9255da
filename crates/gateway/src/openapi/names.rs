//! Names of components. Each name is unique and has only characters that every tool accepts (OpenAPI 3.1, section
//! 4.8.7.1).

use std::collections::BTreeSet;

/// The names of components that are in use.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// Claims a name and returns it. If the name is in use, claims and returns the first free name of `wanted2`,
    /// `wanted3` and so on.
    pub fn claim(&mut self, wanted: &str) -> String {
        let numbered = |number: usize| if number == 1 { wanted.to_owned() } else { format!("{wanted}{number}") };
        // `user-list` and `user_list` produce the same name. Test:
        // `similar_names_of_routes_get_different_operation_ids`.
        let free = (1..).map(numbered).find(|name| !self.0.contains(name)).unwrap_or_default();
        self.0.insert(free.clone());
        free
    }
}

/// Converts `user_orders` to `UserOrders`. Characters other than ASCII letters and digits separate words. The result is
/// never empty.
pub fn pascal(text: &str) -> String {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect();
    if name.is_empty() { "Unnamed".to_owned() } else { name }
}

/// Replaces characters that aren't allowed in a component's name with `_`. The result is never empty.
pub(super) fn component(text: &str) -> String {
    let taken = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_');
    let name: String = text.chars().map(|character| if taken(character) { character } else { '_' }).collect();
    if name.is_empty() { "Unnamed".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claimed_names_are_unique() {
        let mut names = Names::default();
        let given = ["users", "users", "users2", "users"].map(|name| names.claim(name));
        assert_eq!(given, ["users", "users2", "users22", "users3"]);
        for (text, name) in [("user_orders", "UserOrders"), ("2-x", "2X"), ("é", "Unnamed"), ("", "Unnamed")] {
            assert_eq!(pascal(text), name);
        }
        assert_eq!(component("Page[User]"), "Page_User_");
    }
}
