//! The body of a response: its own bytes, and optionally a part of another body between them, which is not copied.
//!
//! A long run of items is sent from the upstream's answer. Short runs are copied, because each part costs a write.

use bytes::Bytes;

/// A body in up to three parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    own: Bytes,
    /// The inserted part, and the number of own bytes before it; `None` without such a part.
    inserted: Option<(usize, Bytes)>,
}

impl From<Vec<u8>> for Content {
    fn from(own: Vec<u8>) -> Self {
        Self { own: own.into(), inserted: None }
    }
}

impl From<Bytes> for Content {
    fn from(own: Bytes) -> Self {
        Self { own, inserted: None }
    }
}

impl Content {
    /// Creates a body of `own` bytes with `inserted` after the first `at` of them.
    #[must_use]
    pub fn around(own: Vec<u8>, at: usize, inserted: Bytes) -> Self {
        Self { own: own.into(), inserted: Some((at, inserted)) }
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.len() + self.inserted.as_ref().map_or(0, |(_, bytes)| bytes.len())
    }

    /// Returns whether the body is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the parts in order; some may be empty.
    #[must_use]
    pub fn into_parts(mut self) -> [Bytes; 3] {
        let Some((at, inserted)) = self.inserted.take() else { return [self.own, Bytes::new(), Bytes::new()] };
        // `split_off` panics beyond the end, so a larger index counts as the end.
        let rest = self.own.split_off(at.min(self.own.len()));
        [self.own, inserted, rest]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inserted_part_is_sent_at_its_place() {
        let whole = |content: Content| content.into_parts().concat();
        assert_eq!(whole(Content::from(b"abc".to_vec())), b"abc");
        for at in 0..=3 {
            let content = Content::around(b"abc".to_vec(), at, Bytes::from_static(b"--"));
            assert_eq!((content.len(), content.is_empty()), (5, false));
            let expected = [&b"abc"[..at], b"--", &b"abc"[at..]].concat();
            assert_eq!(whole(content), expected);
        }
        assert!(Content::default().is_empty());
    }
}
