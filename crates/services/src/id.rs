//! Random ids, for example for export jobs and deliveries of webhooks.

/// Returns a new id: 128 random bits as 32 hexadecimal digits. Returns `None` if the system has no random bytes.
pub(super) fn new_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("{:032x}", u128::from_le_bytes(bytes)))
}
