//! Tokens that are what they say, and tokens that only seem to be.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use openssl::pkey::Private;
use serde_json::json;

use super::*;
use crate::config::diagnostic::{Located, Location};

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

struct Issuer {
    rsa: PKey<Private>,
    ec: PKey<Private>,
    ed: PKey<Private>,
}

impl Issuer {
    fn new() -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        Self {
            rsa: PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
            ec: PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap(),
            ed: PKey::generate_ed25519().unwrap(),
        }
    }

    fn keys(&self) -> Value {
        let rsa = self.rsa.rsa().unwrap();
        let ec = self.ec.ec_key().unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        ec.public_key().affine_coordinates(ec.group(), &mut x, &mut y, &mut context).unwrap();
        let coordinate = |number: &BigNum| encoded(number.to_vec_padded(32).unwrap());
        json!({ "keys": [
            { "kty": "RSA", "kid": "r", "use": "sig", "n": encoded(rsa.n().to_vec()), "e": encoded(rsa.e().to_vec()) },
            { "kty": "EC", "kid": "e", "crv": "P-256", "x": coordinate(&x), "y": coordinate(&y) },
            { "kty": "OKP", "kid": "d", "crv": "Ed25519", "x": encoded(self.ed.raw_public_key().unwrap()) },
            { "kty": "oct", "kid": "o", "k": encoded("a secret that everybody knows") },
        ] })
    }

    /// Makes a token with the key that belongs to the algorithm.
    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = match header["alg"].as_str().unwrap() {
            "ES256" => {
                let mut signer = sign::Signer::new(MessageDigest::sha256(), &self.ec).unwrap();
                let der = signer.sign_oneshot_to_vec(message.as_bytes()).unwrap();
                let signature = EcdsaSig::from_der(&der).unwrap();
                [signature.r(), signature.s()].map(|number| number.to_vec_padded(32).unwrap()).concat()
            }
            "EdDSA" => {
                let mut signer = sign::Signer::new_without_digest(&self.ed).unwrap();
                signer.sign_oneshot_to_vec(message.as_bytes()).unwrap()
            }
            "PS256" => {
                let mut signer = sign::Signer::new(MessageDigest::sha256(), &self.rsa).unwrap();
                signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
                signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
                signer.sign_oneshot_to_vec(message.as_bytes()).unwrap()
            }
            _ => {
                let mut signer = sign::Signer::new(MessageDigest::sha256(), &self.rsa).unwrap();
                signer.sign_oneshot_to_vec(message.as_bytes()).unwrap()
            }
        };
        format!("{message}.{}", encoded(signature))
    }
}

fn verifier_of(keys: &Value) -> Result<Arc<TokenVerifier>, String> {
    TokenVerifier::compile(&TokenSettings {
        written: Located { value: "jwks.json".to_owned(), at: Location { source: 0, start: 0, end: 0 } },
        keys: TokenKeySource::File(keys.to_string().into_bytes()),
        issuer: Some("https://login".to_owned()),
        audience: vec!["api".to_owned()],
        algorithms: vec![TokenAlgorithm::Rs256, TokenAlgorithm::Ps256, TokenAlgorithm::Es256, TokenAlgorithm::EdDsa],
        leeway: std::time::Duration::from_secs(30),
    })
}

fn claims(sub: &str, expires_in: i64) -> Value {
    let now = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap();
    json!({ "iss": "https://login", "aud": "api", "sub": sub, "exp": now + expires_in, "jti": expires_in })
}

fn subject(verifier: &TokenVerifier, token: &str) -> Option<Vec<u8>> {
    verifier.claim(format!("Bearer {token}").as_bytes(), "sub")
}

#[test]
fn a_token_says_who_its_client_is_however_it_is_signed_and_renewed() {
    let issuer = Issuer::new();
    let verifier = verifier_of(&issuer.keys()).unwrap();
    let headers = [
        json!({ "alg": "RS256", "kid": "r" }),
        json!({ "alg": "PS256", "kid": "r" }),
        json!({ "alg": "ES256", "kid": "e", "typ": "at+jwt" }),
        json!({ "alg": "EdDSA", "kid": "d" }),
        json!({ "alg": "RS256" }),
    ];
    let mut seen = Vec::new();
    for header in &headers {
        for expires_in in [900, 1800] {
            seen.push(subject(&verifier, &issuer.token(header, &claims("alice", expires_in))));
        }
    }
    assert!(seen[0].is_some());
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    let bob = subject(&verifier, &issuer.token(&headers[0], &claims("bob", 900)));
    assert!(bob.is_some() && bob != seen[0]);
    let token = issuer.token(&headers[0], &claims("alice", 900));
    assert_eq!(verifier.claim(format!("bEARER\t {token} ").as_bytes(), "sub"), seen[0]);
    assert!(subject(&verifier, &issuer.token(&headers[0], &claims("alice", -10))).is_some(), "within the leeway");
    let mut several = claims("alice", 900);
    several["aud"] = json!(["other", "api"]);
    assert!(subject(&verifier, &issuer.token(&headers[0], &several)).is_some());
}

#[test]
fn a_token_with_less_rights_is_another_client() {
    let issuer = Issuer::new();
    let verifier = verifier_of(&issuer.keys()).unwrap();
    let of = |name: &str, value: Value| {
        let mut claims = claims("alice", 900);
        claims[name] = value;
        subject(&verifier, &issuer.token(&json!({ "alg": "EdDSA", "kid": "d" }), &claims)).expect("it is valid")
    };
    let plain = of("jti", json!("1"));
    assert_eq!(plain, of("iat", json!(1)), "what changes with each token says nothing");
    let mut seen = std::collections::HashSet::from([plain]);
    for (name, value) in [
        ("scope", json!("read")),
        ("scope", json!("read write")),
        ("scp", json!(["read"])),
        ("azp", json!("app")),
        ("client_id", json!("app")),
        ("roles", json!(["admin"])),
        ("act", json!({ "sub": "bob" })),
        ("tid", json!("1")),
    ] {
        assert!(seen.insert(of(name, value.clone())), "{name}: {value}");
    }
}

#[test]
fn tokens_that_no_key_signed_are_refused() {
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let verifier = verifier_of(&issuer.keys()).unwrap();
    let header = json!({ "alg": "RS256", "kid": "r" });
    let valid = issuer.token(&header, &claims("alice", 900));
    assert!(subject(&verifier, &valid).is_some());
    let parts: Vec<&str> = valid.split('.').collect();
    let signed_by = |secret: &[u8], alg: &str| {
        let key = PKey::hmac(secret).unwrap();
        let header = json!({ "alg": alg, "kid": "r" });
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims("alice", 900).to_string()));
        let mut signer = sign::Signer::new(MessageDigest::sha256(), &key).unwrap();
        let signature = signer.sign_oneshot_to_vec(message.as_bytes()).unwrap();
        format!("{message}.{}", encoded(signature))
    };
    let public = issuer.rsa.rsa().unwrap();
    let unsigned = |alg: &str| {
        format!("{}.{}.", encoded(json!({ "alg": alg }).to_string()), encoded(claims("alice", 900).to_string()))
    };
    let bob = encoded(claims("bob", 900).to_string());
    let mut own_key = header.clone();
    own_key["jwk"] = other.keys()["keys"][0].clone();
    let mut critical = header.clone();
    critical["crit"] = json!(["exp"]);
    let forged = [
        ("another payload", format!("{}.{bob}.{}", parts[0], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{valid}.{}", parts[2])),
        ("a signature of another length", format!("{}.{}.{}", parts[0], parts[1], encoded("x"))),
        ("a foreign key", other.token(&header, &claims("alice", 900))),
        ("a foreign key in the header", other.token(&own_key, &claims("alice", 900))),
        ("a foreign key without an id", other.token(&json!({ "alg": "RS256" }), &claims("alice", 900))),
        ("none", unsigned("none")),
        ("None", unsigned("None")),
        ("an empty algorithm", unsigned("")),
        ("the public key as a secret, DER", signed_by(&public.public_key_to_der().unwrap(), "HS256")),
        ("the public key as a secret, PEM", signed_by(&public.public_key_to_pem().unwrap(), "HS256")),
        ("the modulus as a secret", signed_by(&public.n().to_vec(), "HS256")),
        ("the secret of the file", signed_by(b"a secret that everybody knows", "HS256")),
        ("an algorithm of another key", issuer.token(&json!({ "alg": "RS256", "kid": "e" }), &claims("alice", 900))),
        ("an unknown key id", issuer.token(&json!({ "alg": "RS256", "kid": "x" }), &claims("alice", 900))),
        ("an algorithm that isn't listed", issuer.token(&json!({ "alg": "RS384", "kid": "r" }), &claims("alice", 900))),
        ("an extension that isn't understood", issuer.token(&critical, &claims("alice", 900))),
    ];
    for (what, token) in &forged {
        assert_eq!(subject(&verifier, token), None, "{what}");
    }
    for value in [valid.clone(), format!("Basic {valid}"), format!("Bearer {valid} {valid}"), "Bearer".to_owned()] {
        assert_eq!(verifier.claim(value.as_bytes(), "sub"), None, "{value}");
    }
}

#[test]
fn tokens_of_another_time_issuer_or_audience_are_refused() {
    let issuer = Issuer::new();
    let verifier = verifier_of(&issuer.keys()).unwrap();
    let header = json!({ "alg": "ES256", "kid": "e" });
    let with = |name: &str, value: Value| {
        let mut changed = claims("alice", 900);
        if value.is_null() {
            changed.as_object_mut().unwrap().remove(name);
        } else {
            changed[name] = value;
        }
        subject(&verifier, &issuer.token(&header, &changed))
    };
    assert!(with("jti", json!("x")).is_some());
    let now = jsonwebtoken::get_current_timestamp();
    for (name, value) in [
        ("exp", json!(now - 60)),
        ("exp", Value::Null),
        ("exp", json!("tomorrow")),
        ("nbf", json!(now + 60)),
        ("iss", json!("https://evil")),
        ("iss", json!(["https://login", "https://evil"])),
        ("iss", Value::Null),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!([])),
        ("sub", json!({ "alice": 1 })),
        ("sub", json!(true)),
    ] {
        assert_eq!(with(name, value.clone()), None, "{name}: {value}");
    }
    assert_ne!(with("sub", json!(1)), with("sub", json!("1")));
}

#[test]
fn a_file_without_a_usable_key_is_refused() {
    let short = Rsa::generate(1024).unwrap();
    let short = json!({ "kty": "RSA", "n": encoded(short.n().to_vec()), "e": encoded(short.e().to_vec()) });
    for keys in [
        json!({}),
        json!({ "keys": [] }),
        json!({ "keys": [{ "kty": "oct", "k": encoded("secret") }] }),
        json!({ "keys": [short] }),
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": encoded([1; 32]), "y": encoded([1; 32]) }] }),
        json!({ "keys": [{ "kty": "EC", "crv": "secp256k1", "x": encoded([1; 32]), "y": encoded([1; 32]) }] }),
    ] {
        assert!(verifier_of(&keys).is_err(), "{keys}");
    }
}
