//! `[cursor]`: the keys that sign and verify cursors. A client that guesses a key can forge cursors, so keys that are
//! short or plainly not random are refused.

use zeroize::Zeroizing;

use super::Context;
use crate::{
    keys::{CURSOR_KEYS, FILE},
    secret::Secret,
    settings::CursorKeySettings,
    spanned::{Spanned, Value},
};

/// The smallest number of bytes in a key. A shorter key is refused.
const LENGTH_MIN: usize = 32;
/// The smallest number of different bytes in a key. A key with fewer is refused as guessable. About one in 10⁹ keys of
/// 32 random hexadecimal digits has fewer.
const DIFFERENT_MIN: usize = 8;

pub(crate) fn keys(root: &Spanned, context: &mut Context<'_>) -> Option<CursorKeySettings> {
    let cursor = FILE.cursor.find(root)?;
    let mut keys: Vec<(u32, Secret)> = Vec::new();
    let mut ids = Vec::new();
    let written = CURSOR_KEYS.keys.find(cursor);
    for (name, value) in written.map_or(&[][..], Spanned::members) {
        // `01` and `+1` would be parsed as 1, so key 1 would have several names. Such names are refused.
        let Some(id) = name.value.parse::<u32>().ok().filter(|id| id.to_string() == name.value) else {
            let message = format!("{:?} is not a key number", name.value);
            context.diagnostics.error(name.at, message, "write keys = { 1 = \"env:NAME\" }");
            continue;
        };
        // The id counts as known even if its key can't be opened, so a `signing_key` with this id isn't a second fault.
        // Test: `the_report_on_each_case_matches_its_snapshot` (tests/config/keys.toml).
        ids.push(id);
        let Some(reference) = value.as_text() else { continue };
        let Some(key) = context.secret(&reference, "; `cursorgate keygen` makes a key") else {
            continue;
        };
        if let Some(fault) = weakness(key.reveal()) {
            context.diagnostics.error(value.at, format!("cursor key {id} {fault}"), "`cursorgate keygen` makes one");
        } else if let Some((other, _)) = keys.iter().find(|(_, other)| other.reveal() == key.reveal()) {
            let message = format!("cursor keys {other} and {id} are the same");
            context.diagnostics.error(value.at, message, "`cursorgate keygen` makes another");
        }
        keys.push((id, key));
    }
    let signing_key = CURSOR_KEYS.signing_key.find(cursor);
    if ids.is_empty() {
        let nothing_written = written.is_none_or(|keys| keys.value == Value::Table(Vec::new()));
        if nothing_written && signing_key.is_some() {
            let help = "keys = { 1 = \"env:NAME\" }; `cursorgate keygen` makes one";
            context.missing(cursor.at, "[cursor] has no keys", help);
        }
        return None;
    }
    let Some(signing_key) = signing_key else {
        let newest = ids.iter().max().copied().unwrap_or(1);
        context.missing(cursor.at, "[cursor] has no signing_key", format!("signing_key = {newest}"));
        return None;
    };
    let id = signing_key.as_count::<u32>()?;
    if !ids.contains(&id) {
        let known = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        context.diagnostics.error(signing_key.at, format!("there is no cursor key {id}"), format!("keys: {known}"));
    }
    Some(CursorKeySettings { signing_key: id, keys })
}

/// Returns the fault of a key that is too short or can be guessed, as the end of a sentence; `None` for other keys.
pub(super) fn weakness(key: &[u8]) -> Option<String> {
    if key.len() < LENGTH_MIN {
        return Some(format!("has {} bytes, {LENGTH_MIN} are needed", key.len()));
    }
    is_guessable(key).then(|| "can be guessed: it is not random".to_owned())
}

/// Returns whether a key is plainly not random: it has few different bytes, repeats a piece of at most half its length,
/// is mostly a sequence such as `abcd…`, or contains a word such as `password` or `changeme`.
pub(super) fn is_guessable(key: &[u8]) -> bool {
    let mut seen = [false; 256];
    key.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let different = seen.iter().filter(|seen| **seen).count();
    let repeats =
        (1..=key.len() / 2).any(|piece| key.iter().skip(piece).zip(key).all(|(later, earlier)| later == earlier));
    let steps = key.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) == 1 || pair[0].wrapping_sub(pair[1]) == 1);
    let is_row = steps.count() * 4 >= key.len() * 3;
    // The copy of the key is in `Zeroizing`, so it is also wiped from memory. Test: `no_key_stays_in_memory_as_text`.
    let text = Zeroizing::new(key.to_ascii_lowercase());
    let words = [
        "changeme",
        "change-me",
        "change_me",
        "password",
        "example",
        "insecure",
        "yoursecret",
        "your-secret",
        "your_secret",
    ];
    different < DIFFERENT_MIN
        || repeats
        || is_row
        || words.iter().any(|word| text.windows(word.len()).any(|part| part == word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys with a pattern, with repeated words or with a placeholder count as guessable, and random ones don't.
    ///
    /// Row: A06
    #[test]
    fn keys_that_are_not_random_are_recognised() {
        let guessable = [
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdef0123456789abcdef",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "correct-horse-correct-horse-correct-horse",
            "please-ChangeMe-before-you-go-live-ok",
            "00000000000000000000000000000001",
        ];
        for key in guessable {
            assert!(is_guessable(key.as_bytes()), "{key}");
        }
        let random = [
            "nXwGm3k9Zp0sVb2Qe7LrTyUa5HdJf8Cx1oWiKvN4MgE",
            "9f86d081884c7d659a2feaa0c55ad015",
            "d41d8cd98f00b204e9800998ecf8427e",
        ];
        for key in random {
            assert!(!is_guessable(key.as_bytes()), "{key}");
        }
    }
}
