//! Queries that clients name by the SHA-256 of their text. A client sends only the hash. If the process doesn't know
//! the hash, the client sends the hash together with the text. A text is kept only under its own hash, so a client
//! can't change the query of another client.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};
use sha2::{Digest as _, Sha256};

use super::request::{GraphqlRequest, PersistedQuery};

/// An estimate of the bytes that an entry takes in addition to its text.
const BESIDE: u64 = 128;

/// The texts of queries by their hashes. The sum of their sizes is bounded.
pub(super) struct PersistedQueries {
    /// The texts that are kept; `None` if the configuration doesn't keep texts.
    texts: Option<Cache<[u8; 32], Arc<str>, TextWeighter>>,
}

/// The function that weighs an entry by its bytes.
#[derive(Clone)]
struct TextWeighter;

impl Weighter<[u8; 32], Arc<str>> for TextWeighter {
    fn weight(&self, _hash: &[u8; 32], text: &Arc<str>) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(BESIDE)
    }
}

/// The text of a request's query, or the reason that there is no text.
#[derive(Debug)]
pub(super) enum QueryText {
    Text(Arc<str>),
    /// The request has only a hash, which is unknown.
    Unknown,
    /// The configuration doesn't keep texts, or the version of the protocol isn't 1.
    Unsupported,
    /// The hash in the request isn't the hash of the text.
    Mismatched,
    /// The request has neither a text nor a hash.
    Missing,
}

impl PersistedQueries {
    /// Creates an empty store that keeps up to `size` bytes. With 0, the store keeps nothing.
    pub(super) fn new(size: usize) -> Self {
        let most = u64::try_from(size).unwrap_or(u64::MAX);
        let entries = size / 1_024 + 1;
        Self { texts: (size > 0).then(|| Cache::with_weighter(entries, most, TextWeighter)) }
    }

    /// Returns the text of a request's query. If the request has both the text and its hash, the text is kept.
    pub(super) fn text(&self, request: &mut GraphqlRequest) -> QueryText {
        let persisted = request.persisted().cloned();
        match (request.query.take(), persisted) {
            (None, None) => QueryText::Missing,
            (Some(text), None) => QueryText::Text(text.into()),
            (text, Some(PersistedQuery { version, hash })) => {
                let (Some(texts), 1) = (&self.texts, version) else { return QueryText::Unsupported };
                match text {
                    None => match unhex(&hash).and_then(|hash| texts.get(&hash)) {
                        Some(known) => QueryText::Text(known),
                        None => QueryText::Unknown,
                    },
                    Some(text) => {
                        let own: [u8; 32] = Sha256::digest(text.as_bytes()).into();
                        // If the text were kept under another hash, it would become the query of every client that
                        // sends that hash. Test: `a_persisted_query_is_stored_only_under_its_own_hash`.
                        if unhex(&hash) != Some(own) {
                            return QueryText::Mismatched;
                        }
                        let text: Arc<str> = text.into();
                        texts.insert(own, Arc::clone(&text));
                        QueryText::Text(text)
                    }
                }
            }
        }
    }
}

/// Parses a hash of 64 hexadecimal digits; `None` if the string has another form.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let (digits, mut out) = (text.as_bytes(), [0; 32]);
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(queries: &PersistedQueries, query: Option<&str>, hash: &str) -> String {
        let query = query.map(|query| format!(r#""query":"{query}","#)).unwrap_or_default();
        let body = format!(r#"{{{query}"extensions":{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}}}"#);
        let mut request = GraphqlRequest::of_body(body.as_bytes()).unwrap();
        format!("{:?}", queries.text(&mut request))
    }

    #[test]
    fn a_persisted_query_is_stored_only_under_its_own_hash() {
        let queries = PersistedQueries::new(1_024);
        let own = Sha256::digest(b"{a}");
        let own: String = own.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(ask(&queries, None, &own), "Unknown");
        assert_eq!(ask(&queries, Some("{b}"), &own), "Mismatched");
        assert_eq!(ask(&queries, None, &own), "Unknown", "nothing is kept of it");
        assert_eq!(ask(&queries, Some("{a}"), &own.to_uppercase()), "Text(\"{a}\")");
        assert_eq!(ask(&queries, None, &own), "Text(\"{a}\")");
        for wrong in ["", "xyz", &own[1..], &own.replace(&own[..1], "g")] {
            assert_eq!(ask(&queries, None, wrong), "Unknown", "{wrong}");
        }
        assert_eq!(ask(&PersistedQueries::new(0), None, &own), "Unsupported");
        for number in 0..100 {
            let text = format!("{{a{number}}}");
            let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            ask(&queries, Some(&text), &hash);
        }
        let kept = queries.texts.as_ref().map_or(0, Cache::weight);
        assert!(kept <= 1_024, "{kept}");
    }
}
