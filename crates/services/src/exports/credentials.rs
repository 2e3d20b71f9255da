//! The credentials of a job: its client and its private parameters. They are sealed by the keys that sign cursors, and
//! bound to the job's id.

use crate::caller::Caller;
use cursorgate_cursor::cursor::KeyRing;

/// The service's name in logs and metrics. The names under which the service seals values with the cursor keys begin
/// with it.
pub(super) const NAME: &str = "exports";

/// Seals the credentials of a job by the key that signs cursors. The plain bytes are the length of the private
/// parameters (four bytes, little-endian), the private parameters, and the client. Returns `None` if sealing fails.
pub(super) fn sealed(keys: &KeyRing, id: &str, caller: &Caller, private: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&u32::try_from(private.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(private.as_bytes());
    bytes.extend(caller.to_bytes());
    keys.seal_stored(keys.signing_number(), &seal_name(id), &bytes)
}

/// Opens the credentials of a job. Returns `None` if their key has been removed, if they belong to another job, or if
/// they are malformed.
pub(super) fn unsealed(keys: &KeyRing, id: &str, sealed: &[u8]) -> Option<(Caller, String)> {
    let bytes = keys.open_stored(&seal_name(id), sealed)?;
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (private, caller) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((Caller::of_bytes(caller)?, String::from_utf8(private.to_vec()).ok()?))
}

fn seal_name(id: &str) -> String {
    // With the id in the name, the credentials of one job can't be opened for another job.
    // Test: `credentials_open_for_their_own_job`.
    format!("{NAME}:1:credentials:{id}")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::*;

    #[test]
    fn credentials_open_for_their_own_job() {
        let keys = KeyRing::new(1, &[(1, &[7; 32][..])]).unwrap();
        let other = KeyRing::new(1, &[(1, &[8; 32][..])]).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer canary"));
        let mut caller = Caller::of_bytes(br#"{"address":null,"client":null,"tls":null,"headers":[]}"#).unwrap();
        caller.headers = headers;
        let closed = sealed(&keys, "a", &caller, "key=canary").unwrap();
        assert!(!closed.windows(6).any(|part| part == b"canary"));
        let (opened, private) = unsealed(&keys, "a", &closed).unwrap();
        assert_eq!((opened.headers, private.as_str()), (caller.headers, "key=canary"));
        assert!(unsealed(&keys, "b", &closed).is_none() && unsealed(&other, "a", &closed).is_none());
    }
}
