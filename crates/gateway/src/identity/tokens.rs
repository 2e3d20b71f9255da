//! The verification of bearer tokens: JSON Web Tokens (RFC 7519) whose signatures the keys of `server.tokens` verify.
//!
//! OpenSSL does the arithmetic, so that tokens are verified by the library that verifies certificates. Only keys from
//! the file or the URL of the configuration count: what a token says about keys (`jwk`, `jku`, `x5c`) is ignored.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    decode, decode_header,
    errors::{Error, ErrorKind},
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
    signature::{self, Verifier},
};
use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint},
    ecdsa::EcdsaSig,
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Public},
    rsa::{Padding, Rsa},
    sign::{self, RsaPssSaltlen},
};
use serde_json::{Map, Value};

use super::exact::is_exact;
use cursorgate_config::settings::{TokenAlgorithm, TokenKeySource, TokenSettings};

/// The largest number of keys in a set. The keys of a token without a key id are tried one after the other.
const MOST_KEYS: usize = 64;

/// Claims that say what the bearer may do, and through which application. They are a part of every name, because two
/// tokens of one user that differ in one of them may see different lists. Test: `a_token_with_less_rights_is_another_client`.
const OF_RIGHTS: [&str; 18] = [
    "act",
    "appid",
    "aud",
    "authorization_details",
    "azp",
    "cid",
    "client_id",
    "entitlements",
    "groups",
    "org_id",
    "permissions",
    "realm_access",
    "resource_access",
    "roles",
    "scope",
    "scp",
    "tenant",
    "tid",
];

/// The smallest size of an RSA key, in bits (RFC 7518, section 3.3).
const SMALLEST_RSA: i32 = 2048;

/// The keys that verify tokens, and what the tokens must say.
pub struct TokenVerifier {
    /// The keys; none before the first time that they are read from a URL.
    keys: ArcSwap<Vec<TokenKey>>,
    algorithms: Vec<Algorithm>,
    issuer: Option<String>,
    /// The checks of times and audiences. The algorithm is filled in for each token.
    checks: Validation,
}

struct TokenKey {
    id: Option<String>,
    /// The only algorithm of the key; `None` for all of its kind.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TokenVerifier({} keys)", self.count())
    }
}

impl TokenVerifier {
    /// Reads the keys, if they are in a file.
    ///
    /// # Errors
    ///
    /// Returns the fault of the file.
    pub fn compile(settings: &TokenSettings) -> Result<Arc<Self>, String> {
        // The provider belongs to the process. It is the same for each configuration, so a second installation may fail.
        let _ = PROVIDER.install_default();
        let keys = match &settings.keys {
            TokenKeySource::File(text) => {
                read_set(text).map_err(|fault| format!("{} {fault}", settings.written.value))?
            }
            TokenKeySource::Url(_) => Vec::new(),
        };
        let mut checks = Validation::new(Algorithm::RS256);
        let mut required = vec!["exp"];
        (checks.leeway, checks.validate_nbf) = (settings.leeway.as_secs(), true);
        checks.validate_aud = !settings.audience.is_empty();
        if checks.validate_aud {
            checks.set_audience(&settings.audience);
            required.push("aud");
        }
        checks.set_required_spec_claims(&required);
        let algorithms = settings.algorithms.iter().map(|known| algorithm(*known)).collect();
        Ok(Arc::new(Self { keys: ArcSwap::from_pointee(keys), algorithms, issuer: settings.issuer.clone(), checks }))
    }

    /// Returns the number of keys.
    pub fn count(&self) -> usize {
        self.keys.load().len()
    }

    /// Replaces the keys by those of a set, and returns whether the ids of the keys have changed.
    ///
    /// # Errors
    ///
    /// Returns the fault of the set. The keys then stay.
    pub fn renew(&self, text: &[u8]) -> Result<bool, String> {
        let keys = read_set(text)?;
        let before = self.keys.swap(Arc::new(keys));
        let now = self.keys.load();
        Ok(before.iter().map(|key| &key.id).ne(now.iter().map(|key| &key.id)))
    }

    /// Drops all keys, so no token is verified.
    pub fn forget(&self) {
        self.keys.store(Arc::default());
    }

    /// Takes over the keys of an earlier verifier of the same URL.
    pub fn continue_from(&self, earlier: &Self) {
        self.keys.store(earlier.keys.load_full());
    }

    /// Returns whether a bearer token names a key that isn't known, so it might be a new one.
    pub fn lacks_key(&self, authorization: &[u8]) -> bool {
        let Some(header) = bearer(authorization).and_then(|token| decode_header(token).ok()) else { return false };
        let keys = self.keys.load();
        let is_known = || keys.iter().any(|key| header.kid.is_none() || key.id == header.kid);
        self.algorithms.contains(&header.alg) && !is_known()
    }

    /// Returns what a verified token in the value of `Authorization` says by a claim, together with its issuer, because
    /// each issuer gives its own names, and with its rights. Returns `None` if the value is no bearer token, the token
    /// can't be verified, or the claim is neither a text nor a number nor a list.
    pub fn claim(&self, authorization: &[u8], claim: &str) -> Option<Vec<u8>> {
        let claims = self.verified(authorization)?;
        let value = claims.get(claim).filter(|value| match value {
            Value::String(text) => !text.is_empty(),
            Value::Array(values) => !values.is_empty(),
            value => value.is_number(),
        })?;
        let rights = OF_RIGHTS.map(|name| claims.get(name));
        if !is_exact(value) || !rights.into_iter().flatten().all(is_exact) {
            return None;
        }
        // As JSON, the number 1 and the text "1" differ, and each part ends where the next one begins.
        serde_json::to_vec(&(claims.get("iss"), rights, value)).ok()
    }

    /// Returns whether the tokens are of one configured issuer.
    pub fn names_issuer(&self) -> bool {
        self.issuer.is_some()
    }

    /// Returns a claim of a verified token as JSON, without its issuer and rights. `None` also without a configured
    /// issuer, because two issuers can give the same name to two clients.
    pub fn bare_claim(&self, authorization: &[u8], claim: &str) -> Option<Vec<u8>> {
        self.issuer.as_ref()?;
        let claims = self.verified(authorization)?;
        let value = claims.get(claim)?;
        let is_name = value.is_number() || value.as_str().is_some_and(|text| !text.is_empty());
        (is_name && is_exact(value)).then(|| value.to_string().into_bytes())
    }

    fn verified(&self, authorization: &[u8]) -> Option<Map<String, Value>> {
        let token = bearer(authorization)?;
        let header = decode_header(token).ok()?;
        // Extensions that a verifier must understand aren't understood (RFC 7515, section 4.1.11).
        if header.crit.is_some() || !self.algorithms.contains(&header.alg) {
            return None;
        }
        let is_meant = |key: &&TokenKey| {
            key.key.family() == header.alg.family()
                && key.algorithm.is_none_or(|only| only == header.alg)
                && header.kid.as_ref().is_none_or(|id| key.id.as_ref() == Some(id))
        };
        // The token's own algorithm is the only one that counts, and only with a key of its kind.
        // Test: `tokens_that_no_key_signed_are_refused`.
        let checks = Validation { algorithms: vec![header.alg], ..self.checks.clone() };
        let keys = self.keys.load();
        let mut meant = keys.iter().filter(is_meant);
        let claims = meant.find_map(|key| decode::<Map<String, Value>>(token, &key.key, &checks).ok())?.claims;
        let is_of_issuer = match &self.issuer {
            Some(issuer) => claims.get("iss").and_then(Value::as_str) == Some(issuer),
            None => claims.get("iss").is_none_or(Value::is_string),
        };
        is_of_issuer.then_some(claims)
    }
}

/// Returns the bearer token in the value of `Authorization`.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let at = authorization.iter().position(u8::is_ascii_whitespace)?;
    let (scheme, token) = (&authorization[..at], authorization[at..].trim_ascii());
    scheme.eq_ignore_ascii_case(b"bearer").then_some(token)
}

/// Reads a JSON Web Key Set. Keys of an unknown kind are left out (RFC 7517, section 5).
fn read_set(text: &[u8]) -> Result<Vec<TokenKey>, String> {
    #[derive(serde::Deserialize)]
    struct KeySet {
        keys: Vec<Value>,
    }
    let set: KeySet = serde_json::from_slice(text).map_err(|error| format!("is not a JSON Web Key Set: {error}"))?;
    if set.keys.len() > MOST_KEYS {
        return Err(format!("has more than {MOST_KEYS} keys"));
    }
    let known = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    let keys: Vec<TokenKey> = known.filter_map(|key| TokenKey::read(&key)).collect();
    if keys.is_empty() {
        let message = "has no public key that verifies tokens: RSA of at least 2048 bits, P-256, P-384 or Ed25519";
        return Err(message.to_owned());
    }
    Ok(keys)
}

impl TokenKey {
    /// Reads a key; `None` for a key that doesn't verify tokens, such as a secret or one for encryption.
    fn read(jwk: &Jwk) -> Option<Self> {
        if jwk.common.public_key_use.as_ref().is_some_and(|meant| *meant != PublicKeyUse::Signature) {
            return None;
        }
        let algorithm = match jwk.common.key_algorithm {
            Some(named) => Some(named.to_string().parse().ok()?),
            None => None,
        };
        // A key of another curve would have the right kind and the wrong length.
        let is_sound = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => true,
            AlgorithmParameters::EllipticCurve(key) => {
                matches!(key.curve, EllipticCurve::P256 | EllipticCurve::P384)
            }
            AlgorithmParameters::OctetKeyPair(key) => key.curve == EllipticCurve::Ed25519,
            _ => false,
        };
        let key = DecodingKey::from_jwk(jwk).ok().filter(|_| is_sound)?;
        // A key that OpenSSL refuses would verify nothing.
        public_key(&key).ok()?;
        Some(Self { id: jwk.common.key_id.clone(), algorithm, key })
    }
}

const fn algorithm(known: TokenAlgorithm) -> Algorithm {
    match known {
        TokenAlgorithm::Rs256 => Algorithm::RS256,
        TokenAlgorithm::Rs384 => Algorithm::RS384,
        TokenAlgorithm::Rs512 => Algorithm::RS512,
        TokenAlgorithm::Ps256 => Algorithm::PS256,
        TokenAlgorithm::Ps384 => Algorithm::PS384,
        TokenAlgorithm::Ps512 => Algorithm::PS512,
        TokenAlgorithm::Es256 => Algorithm::ES256,
        TokenAlgorithm::Es384 => Algorithm::ES384,
        TokenAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

/// The operations of `jsonwebtoken`, done by OpenSSL. The gateway makes no tokens.
static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: no_signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if key.family() != algorithm.family() || key.family() == AlgorithmFamily::Hmac {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let key = public_key(key).map_err(|_| Error::from(ErrorKind::InvalidKeyFormat))?;
    Ok(Box::new(OpensslVerifier { algorithm: *algorithm, key }))
}

fn public_key(key: &DecodingKey) -> Result<PKey<Public>, ErrorStack> {
    match (key.family(), key.kind()) {
        (_, DecodingKeyKind::RsaModulusExponent { n, e }) => {
            let key = Rsa::from_public_components(BigNum::from_slice(n)?, BigNum::from_slice(e)?)?;
            if key.n().num_bits() < SMALLEST_RSA {
                return Err(ErrorStack::get());
            }
            PKey::from_rsa(key)
        }
        (AlgorithmFamily::Ec, DecodingKeyKind::SecretOrDer(point)) => {
            let curve = if point.len() == 65 { Nid::X9_62_PRIME256V1 } else { Nid::SECP384R1 };
            let group = EcGroup::from_curve_name(curve)?;
            let mut context = BigNumContext::new()?;
            let point = EcPoint::from_bytes(&group, point, &mut context)?;
            let key = EcKey::from_public_key(&group, &point)?;
            // The point must be on the curve.
            key.check_key()?;
            PKey::from_ec_key(key)
        }
        (AlgorithmFamily::Ed, DecodingKeyKind::SecretOrDer(raw)) => PKey::public_key_from_raw_bytes(raw, Id::ED25519),
        _ => Err(ErrorStack::get()),
    }
}

struct OpensslVerifier {
    algorithm: Algorithm,
    key: PKey<Public>,
}

impl OpensslVerifier {
    fn holds(&self, message: &[u8], signature: &[u8]) -> Result<bool, ErrorStack> {
        if self.algorithm == Algorithm::EdDSA {
            return sign::Verifier::new_without_digest(&self.key)?.verify_oneshot(signature, message);
        }
        let digest = match self.algorithm {
            Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => MessageDigest::sha256(),
            Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => MessageDigest::sha384(),
            _ => MessageDigest::sha512(),
        };
        let mut verifier = sign::Verifier::new(digest, &self.key)?;
        match self.algorithm {
            Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => {
                verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                verifier.verify_oneshot(signature, message)
            }
            Algorithm::ES256 | Algorithm::ES384 => {
                let (length, bits) = if self.algorithm == Algorithm::ES256 { (32, 256) } else { (48, 384) };
                // The algorithm belongs to one curve (RFC 7518, section 3.4).
                if signature.len() != 2 * length || self.key.bits() != bits {
                    return Ok(false);
                }
                let (r, s) = signature.split_at(length);
                let signature =
                    EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()?;
                verifier.verify_oneshot(&signature, message)
            }
            _ => verifier.verify_oneshot(signature, message),
        }
    }
}

impl Verifier<Vec<u8>> for OpensslVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        if self.holds(message, signature).unwrap_or(false) { Ok(()) } else { Err(signature::Error::new()) }
    }
}

impl JwtVerifier for OpensslVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests;
