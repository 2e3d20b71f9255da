//! Compression of responses. Bodies are compressed piece by piece, so a large body doesn't occupy a worker thread for
//! long.
//!
//! A body is compressed as a whole before its head is written. So HEAD states the length that GET has, a body that
//! doesn't shrink is sent unchanged, and a slow reader holds only the memory of the compressed body. Pingora's own
//! compression has none of these properties, ignores the weights of `Accept-Encoding`, and doesn't count memory.
//!
//! An answer that passes through with other links keeps the upstream's gzip: it is decoded, and encoded again, while it
//! is sent ([`RecodedStream`]).

use std::io::{self, Write};

use brotli::CompressorWriter;
use flate2::write::{GzEncoder, MultiGzDecoder};
use zstd::stream::write::Encoder as ZstdEncoder;

use crate::net::memory::MemoryShare;
use cursorgate_config::settings::ContentCoding;
use cursorgate_translate::downstream::Content;

/// The number of bytes that are compressed before other tasks may run: at most a millisecond of work.
const PIECE: usize = 64 << 10;

/// The memory of an encoder whose body has more than one piece, in bytes, by measurement: zstd takes 1.1 MB, Brotli
/// 1.4 MB. The encoder of a single piece is not counted: it lives within one poll of its task, so there is at most one
/// for each worker thread.
const ENCODER: usize = 3 << 19;

/// The largest window that is searched for repetitions, as an exponent of two: 128 KiB.
const WINDOW: u32 = 17;

/// The level of zstd. It shrinks lists of JSON objects to a sixth, at 400 MB/s. Higher levels save at most a tenth of
/// the compressed size, for twice the time.
const ZSTD_LEVEL: i32 = 1;
/// The level of Brotli, chosen like the level of zstd. Brotli then compresses 90 MB/s.
const BROTLI_QUALITY: u32 = 3;
/// The level of gzip, chosen like the level of zstd. Gzip then compresses 130 MB/s.
const GZIP_LEVEL: u32 = 4;

/// Compresses a body. Returns `None` if the body does not shrink, or if no memory is left. `held` counts the memory of
/// the compressed body and, during the call, the memory of the encoder.
pub async fn compress(body: &Content, coding: ContentCoding, held: &MemoryShare) -> Option<Vec<u8>> {
    let length = body.len();
    let state = if length > PIECE { ENCODER } else { 0 };
    // An uncompressed response is better than none, so a lack of memory isn't an error. Test:
    // `without_memory_a_body_is_left_as_it_is`.
    held.take(state).ok()?;
    let output = CompressedBody { bytes: Vec::new(), most: length.saturating_sub(1), held, is_broken: false };
    let compressed = match Encoder::new(coding, length, output) {
        Ok(encoder) => compress_pieces(body, encoder).await,
        Err(fault) => Err(fault),
    };
    held.give(state);
    compressed.ok()
}

async fn compress_pieces(body: &Content, mut encoder: Encoder<CompressedBody<'_>>) -> io::Result<Vec<u8>> {
    let mut is_first = true;
    for part in body.clone().into_parts() {
        for piece in part.chunks(PIECE) {
            // Other tasks of the thread may run between two pieces.
            if !is_first {
                tokio::task::yield_now().await;
            }
            is_first = false;
            encoder.write_all(piece)?;
        }
    }
    let output = encoder.finish()?;
    // Brotli's encoder hides the failure of its last write, so the output records failures itself. Test:
    // `the_end_of_a_body_is_never_lost`.
    if output.is_broken { Err(io::ErrorKind::StorageFull.into()) } else { Ok(output.bytes) }
}

/// A gzip body whose text is changed as it streams.
#[derive(Debug)]
pub struct RecodedStream {
    decoder: MultiGzDecoder<Vec<u8>>,
    encoder: GzEncoder<Vec<u8>>,
    /// True until a byte of the body arrives.
    is_empty: bool,
}

impl Default for RecodedStream {
    fn default() -> Self {
        let encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
        Self { decoder: MultiGzDecoder::new(Vec::new()), encoder, is_empty: true }
    }
}

impl RecodedStream {
    /// The memory of both coders and of the text of one piece, in bytes.
    pub const MEMORY: usize = 512 << 10;

    /// The number of coded bytes that are decoded at once. Their text has at most 130 KiB, because deflate shrinks
    /// nothing below a thousandth.
    const PIECE: usize = 128;

    /// Returns the coded bytes that are ready after a part of the body. `change` is called with the text of the part,
    /// piece by piece.
    pub async fn push(&mut self, part: &[u8], mut change: impl FnMut(&[u8]) -> Vec<u8>) -> io::Result<Vec<u8>> {
        let mut coded = Vec::new();
        for piece in part.chunks(Self::PIECE) {
            self.is_empty = false;
            self.decoder.write_all(piece)?;
            let text = std::mem::take(self.decoder.get_mut());
            self.encoder.write_all(&change(&text))?;
            coded.append(self.encoder.get_mut());
            // Other tasks of the thread may run after much text.
            if text.len() > PIECE {
                tokio::task::yield_now().await;
            }
        }
        Ok(coded)
    }

    /// Returns the last coded bytes. `change` is called with the last text. Fails if the body ends too early.
    pub fn finish(self, change: impl FnOnce(&[u8]) -> Vec<u8>) -> io::Result<Vec<u8>> {
        let Self { decoder, mut encoder, is_empty } = self;
        // A body may name a coding and have no bytes.
        if is_empty {
            return Ok(Vec::new());
        }
        encoder.write_all(&change(&decoder.finish()?))?;
        encoder.finish()
    }
}

/// The buffer for a compressed body. Writes fail if the buffer would reach the size of the uncompressed body. `held`
/// counts its memory.
struct CompressedBody<'a> {
    bytes: Vec<u8>,
    /// The largest useful size: one byte less than the body.
    most: usize,
    held: &'a MemoryShare,
    /// True if a write failed. Brotli's encoder doesn't report the failure of its last write.
    is_broken: bool,
}

impl Write for CompressedBody<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shrinks = bytes.len() <= self.most - self.bytes.len();
        // Bytes without repetitions don't shrink. Their compression ends before it takes more memory than the body.
        // Test: `bodies_that_do_not_shrink_are_left_as_they_are`.
        if !shrinks || self.held.reserve(&mut self.bytes, bytes.len(), self.most).is_err() {
            self.is_broken = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Encoder<W: Write> {
    Zstd(ZstdEncoder<'static, W>),
    Brotli(Box<CompressorWriter<W>>),
    Gzip(GzEncoder<W>),
}

impl<W: Write> Encoder<W> {
    /// Creates an encoder for a body with this uncompressed length.
    fn new(coding: ContentCoding, length: usize, output: W) -> io::Result<Self> {
        Ok(match coding {
            ContentCoding::Zstd => {
                let mut encoder = ZstdEncoder::new(output, ZSTD_LEVEL)?;
                // The encoder allocates memory by the length, and the client's decoder by the window, so both are set.
                encoder.set_pledged_src_size(u64::try_from(length).ok())?;
                encoder.window_log(WINDOW)?;
                Self::Zstd(encoder)
            }
            ContentCoding::Brotli => {
                let window = (usize::BITS - length.leading_zeros()).clamp(10, WINDOW);
                Self::Brotli(Box::new(CompressorWriter::new(output, 4 << 10, BROTLI_QUALITY, window)))
            }
            ContentCoding::Gzip => Self::Gzip(GzEncoder::new(output, flate2::Compression::new(GZIP_LEVEL))),
        })
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Brotli(encoder) => encoder.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    /// Writes the end of the compressed body, and returns the output.
    fn finish(self) -> io::Result<W> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use bytes::Bytes;

    use super::*;
    use crate::net::memory::Memory;

    const ALL: [ContentCoding; 3] = [ContentCoding::Zstd, ContentCoding::Brotli, ContentCoding::Gzip];

    /// Bytes without repetitions (xorshift64).
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        (0..count).map(|_| next()).collect()
    }

    #[tokio::test]
    async fn bodies_that_do_not_shrink_are_left_as_they_are() {
        let memory = Memory::new(64 << 20);
        for length in [0, 1, 2, 20, 1_000, PIECE, 3 * PIECE + 1] {
            for coding in ALL {
                let share = memory.share();
                assert_eq!(compress(&noise(length).into(), coding, &share).await, None, "{coding:?} {length}");
            }
        }
        assert_eq!(memory.held(), 0);
    }

    /// A compressed body is either complete or not used, even if only its last bytes make it too long. Brotli's encoder
    /// doesn't report that it failed to write these bytes.
    #[tokio::test]
    async fn the_end_of_a_body_is_never_lost() {
        let memory = Memory::new(64 << 20);
        for text in (1..80).map(|count| [b"abcdefgh".repeat(count), noise(200)].concat()) {
            for coding in ALL {
                let Some(coded) = compress(&text.clone().into(), coding, &memory.share()).await else { continue };
                assert!(coded.len() < text.len());
                let mut plain = Vec::new();
                let coded = coded.as_slice();
                match coding {
                    ContentCoding::Zstd => zstd::stream::copy_decode(coded, &mut plain).unwrap(),
                    ContentCoding::Brotli => {
                        io::copy(&mut brotli::Decompressor::new(coded, 512), &mut plain).unwrap();
                    }
                    ContentCoding::Gzip => {
                        io::copy(&mut flate2::read::GzDecoder::new(coded), &mut plain).unwrap();
                    }
                }
                assert_eq!(plain, text, "{coding:?}");
            }
        }
    }

    /// A body arrives in parts of any size, has several members or none, and can be a bomb.
    #[tokio::test]
    async fn a_stream_is_changed_as_a_whole_or_fails() {
        let gzip = |text: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let upper = |text: &[u8]| text.to_ascii_uppercase();
        let text = [b"{\"id\":1,\"name\":\"a user\"},".repeat(2_000), noise(3_000)].concat();
        let bomb = vec![b'a'; 4 << 20];
        for (text, body) in [
            (text.clone(), gzip(&text)),
            (text.clone(), [gzip(&text[..5_000]), gzip(&text[5_000..])].concat()),
            (bomb.clone(), gzip(&bomb)),
            (Vec::new(), Vec::new()),
        ] {
            for size in [1, 7, 1_000, body.len().max(1)] {
                let (mut stream, mut coded) = (RecodedStream::default(), Vec::new());
                for part in body.chunks(size) {
                    coded.extend(stream.push(part, upper).await.unwrap());
                }
                coded.extend(stream.finish(upper).unwrap());
                let mut plain = Vec::new();
                if !coded.is_empty() {
                    flate2::read::MultiGzDecoder::new(&coded[..]).read_to_end(&mut plain).unwrap();
                }
                assert!(plain == text.to_ascii_uppercase(), "{size}");
            }
        }
        let body = gzip(&text);
        let mut stream = RecodedStream::default();
        stream.push(&body[..body.len() - 9], upper).await.unwrap();
        assert!(stream.finish(upper).is_err(), "the end is missing");
        assert!(RecodedStream::default().push(b"no gzip, and longer than a header", upper).await.is_err());
    }

    #[tokio::test]
    async fn without_memory_a_body_is_left_as_it_is() {
        let text = b"{\"id\":1,\"name\":\"a user\"},".repeat(40_000);
        let body = Content::around(text.clone(), 5, Bytes::from(text));
        for coding in ALL {
            let memory = Memory::new(8 << 20);
            let other = memory.share();
            other.take(5 << 20).unwrap();
            let share = memory.share();
            assert_eq!(compress(&body, coding, &share).await, None, "{coding:?}");
            drop(other);
            let compressed = compress(&body, coding, &share).await.unwrap();
            assert!(compressed.len() * 10 < body.len(), "{coding:?}");
            share.keep(compressed.capacity());
            assert!(memory.held() < 256 << 10, "{coding:?}: {}", memory.held());
        }
    }
}
