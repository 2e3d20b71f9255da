//! Queries that clients name by the SHA-256 of their text. A client sends only the hash; if the process does not know
//! it, the client sends the text with it once. A text is kept only under its own hash, so that no client can change
//! the query of another one.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};
use sha2::{Digest as _, Sha256};

use super::request::{GraphqlRequest, PersistedQuery};

/// The bytes that an entry takes beside its text.
const BESIDE: u64 = 128;

/// The texts by their hashes, bounded in bytes.
pub(super) struct PersistedQueries {
    /// `None` if the configuration keeps none.
    texts: Option<Cache<[u8; 32], Arc<str>, TextWeighter>>,
}

/// The weight of an entry: its bytes.
#[derive(Clone)]
struct TextWeighter;

impl Weighter<[u8; 32], Arc<str>> for TextWeighter {
    fn weight(&self, _hash: &[u8; 32], text: &Arc<str>) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(BESIDE)
    }
}

/// The text of a request's query, or the reason that there is none.
#[derive(Debug)]
pub(super) enum QueryText {
    Text(Arc<str>),
    /// The hash is not known.
    Unknown,
    /// Queries are not kept.
    Unsupported,
    /// The text has another hash.
    Mismatched,
    /// There is neither a text nor a hash.
    Missing,
}

impl PersistedQueries {
    /// Creates an empty store of this size in bytes; with 0, one that keeps none.
    pub(super) fn new(size: usize) -> Self {
        let most = u64::try_from(size).unwrap_or(u64::MAX);
        let entries = size / 1_024 + 1;
        Self { texts: (size > 0).then(|| Cache::with_weighter(entries, most, TextWeighter)) }
    }

    /// Returns the text of a request, and keeps it if the request has its hash too.
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
                        // Under another hash it would be the query of every client that sends that hash.
                        // Test: `a_hash_stands_for_its_text_alone`.
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

/// Reads a hash in hexadecimal digits.
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
    fn a_hash_stands_for_its_text_alone() {
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
