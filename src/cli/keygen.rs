//! `cursorgate keygen`: prints a new key for cursors.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Failure, report};

/// Prints a new key for cursors.
pub(super) fn run() -> Result<(), Failure> {
    report::output(&(new_key()? + "\n"))
}

/// Returns 32 random bytes as 43 characters of base64url.
pub(super) fn new_key() -> Result<String, Failure> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| Failure::failed(format!("the system gives no random bytes: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_43_characters_and_differ() {
        let (one, other) = (new_key().unwrap(), new_key().unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
    }
}
