//! Permits: signed permissions to have requests explained. A permit is for one path of a route, and ends at a fixed
//! time.
//!
//! ```text
//! permit = base64url(end tag)        RFC 4648, section 5, without padding
//! end    = 8 bytes: the end in seconds since 1970, big-endian
//! tag    = HMAC-SHA-256 of the end, the route and the path
//! ```
//!
//! HKDF-SHA-256 (RFC 5869) derives the signing key from a secret, with a salt that is used only for permits. Even if
//! the same secret is configured for cursors by mistake, a cursor is never a valid permit. A permit contains only its
//! end; the route and the path are signed but not contained. A leaked permit is useful for only one path, and for at
//! most [`LONGEST_PERMIT`] seconds.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The longest lifetime of a permit, in seconds. A permit that ends later than this from now is refused, even if its
/// signature is valid.
pub const LONGEST_PERMIT: u64 = 15 * 60;

/// The salt of the key derivation, which separates permits from other uses of the same secret.
const SALT: &[u8] = b"cursorgate permit";

/// The size of the encoded end, in bytes.
const END: usize = 8;

/// The size of the tag, in bytes.
const TAG: usize = 32;

/// The length of every permit, in characters.
const LENGTH: usize = ((END + TAG) * 4).div_ceil(3);

/// The key that signs and verifies permits. It is never printed.
#[derive(Clone)]
pub struct PermitKey(Hmac<Sha256>);

/// The requests that a permit allows to be explained.
#[derive(Clone, Copy, Debug)]
pub struct PermitScope<'a> {
    /// The name of the route.
    pub route: &'a str,
    /// The normalised path of the request.
    pub path: &'a str,
}

impl PermitKey {
    /// Derives the key from a secret of any length.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        #[expect(
            clippy::expect_used,
            reason = "HKDF-SHA-256 gives up to 8,160 bytes, and HMAC takes keys of any length"
        )]
        let state = {
            let source = Hkdf::<Sha256>::new(Some(SALT), secret);
            source.expand(b"explain", key.as_mut_slice()).expect("a subkey is within HKDF's length");
            Hmac::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length")
        };
        Self(state)
    }

    /// Makes a permit that ends at `until`, in seconds since 1970.
    #[must_use]
    pub fn sign(&self, scope: PermitScope<'_>, until: u64) -> String {
        let end = until.to_be_bytes();
        let tag = self.state(scope, end).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&end[..], &tag[..]].concat())
    }

    /// Returns whether a text is a valid permit for `scope` at `now`, in seconds since 1970. The tag is compared in
    /// constant time.
    #[must_use]
    pub fn permits(&self, text: &[u8], scope: PermitScope<'_>, now: u64) -> bool {
        // All permits have the same length, so a text of another length isn't even decoded.
        if text.len() != LENGTH {
            return false;
        }
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(text) else { return false };
        let (Some(end), Some(tag)) = (bytes.first_chunk::<END>(), bytes.last_chunk::<TAG>()) else { return false };
        let until = u64::from_be_bytes(*end);
        let is_signed = self.state(scope, *end).verify_slice(tag).is_ok();
        // A permit with too long a lifetime is refused even if its signature is valid. Test:
        // `a_permit_is_for_one_route_and_path_until_its_end`.
        is_signed && now < until && until - now <= LONGEST_PERMIT
    }

    /// Returns the HMAC state over the end, the route and the path. The lengths of the two texts are included, because
    /// the same characters could otherwise be divided between them in another way.
    fn state(&self, scope: PermitScope<'_>, end: [u8; END]) -> Hmac<Sha256> {
        let length = |text: &str| u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes();
        let state = self.0.clone().chain_update(end).chain_update(length(scope.route)).chain_update(scope.route);
        state.chain_update(length(scope.path)).chain_update(scope.path)
    }
}

impl std::fmt::Debug for PermitKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PermitKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: PermitScope<'_> = PermitScope { route: "users", path: "/users" };
    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_permit_is_for_one_route_and_path_until_its_end() {
        let key = PermitKey::new(&[7; 32]);
        let permit = key.sign(SCOPE, NOW + 60);
        assert_eq!(permit.len(), LENGTH);
        let permits = |key: &PermitKey, scope, now| key.permits(permit.as_bytes(), scope, now);
        assert!(permits(&key, SCOPE, NOW) && permits(&key, SCOPE, NOW + 59));
        for (key, scope, now) in [
            (&key, SCOPE, NOW + 60),
            (&key, PermitScope { route: "orders", ..SCOPE }, NOW),
            (&key, PermitScope { path: "/users/", ..SCOPE }, NOW),
            // The same characters as in `SCOPE`, divided between route and path in another way.
            (&key, PermitScope { route: "users/", path: "users" }, NOW),
            (&PermitKey::new(&[8; 32]), SCOPE, NOW),
        ] {
            assert!(!permits(key, scope, now), "{scope:?} {now}");
        }
        assert!(!key.permits(key.sign(SCOPE, NOW + LONGEST_PERMIT + 1).as_bytes(), SCOPE, NOW), "it ends too late");
        assert!(key.permits(key.sign(SCOPE, NOW + LONGEST_PERMIT).as_bytes(), SCOPE, NOW));
    }

    #[test]
    fn a_changed_permit_is_refused() {
        let key = PermitKey::new(&[7; 32]);
        let permit = key.sign(SCOPE, NOW + 60);
        for at in 0..permit.len() {
            let mut changed = permit.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(!key.permits(&changed, SCOPE, NOW), "character {at}");
        }
        for text in ["", "A", &permit[1..], &format!("{permit}A"), &format!("{permit}=="), "\u{e9}"] {
            assert!(!key.permits(text.as_bytes(), SCOPE, NOW), "{text:?}");
        }
    }

    /// Row: A35
    #[test]
    fn the_debug_output_hides_the_permit_key() {
        assert_eq!(format!("{:?}", PermitKey::new(&[7; 32])), "PermitKey(…)");
    }
}
