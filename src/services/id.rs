//! Ids of what services store.

/// Returns a new id, which can't be guessed; `None` if the system has no random bytes.
pub(super) fn new_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("{:032x}", u128::from_le_bytes(bytes)))
}
