//! The forms of results: lines of JSON, a table, or an array, each plain or compressed.
//!
//! The bytes of each page are complete in themselves: with compression they are a member of gzip (RFC 1952 section 2.2)
//! or a frame of zstd (RFC 8878 section 3.1), of which a file can hold any number. So a result can be cut after any
//! page, and the next page appended there.

use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

/// The level at which zstd compresses: its default.
const ZSTD_LEVEL: i32 = 3;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ExportFormat {
    /// A line for each item.
    #[default]
    Ndjson,
    /// A table whose first line has the names of the columns (RFC 4180).
    Csv,
    /// An array of all items.
    Json,
}

impl ExportFormat {
    /// Returns the ending of file names.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Returns the ending of file names after that of the format.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// Returns the media type of a result.
    pub(super) fn content_type(self, format: ExportFormat) -> &'static str {
        match self {
            Self::None => format.content_type(),
            Self::Gzip => "application/gzip",
            Self::Zstd => "application/zstd",
        }
    }

    /// Compresses the bytes of a page.
    ///
    /// # Errors
    ///
    /// Returns the encoder's error.
    pub(super) fn compress(self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes),
            Self::Gzip => {
                // Each page is a member of its own, at whose end the result can be cut.
                // Test: `compressed_pages_follow_one_another`.
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&bytes)?;
                encoder.finish()
            }
            Self::Zstd => zstd::bulk::compress(&bytes, ZSTD_LEVEL),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn compressed_pages_follow_one_another() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let file: Vec<u8> = ["one\n", "", "two\n"]
                .iter()
                .flat_map(|page| compression.compress(page.as_bytes().to_vec()).unwrap())
                .collect();
            let mut text = String::new();
            let read = match compression {
                Compression::None => (&file[..]).read_to_string(&mut text),
                Compression::Gzip => flate2::read::MultiGzDecoder::new(&file[..]).read_to_string(&mut text),
                Compression::Zstd => zstd::Decoder::new(&file[..]).unwrap().read_to_string(&mut text),
            };
            assert_eq!(read.unwrap(), text.len());
            assert_eq!(text, "one\ntwo\n", "{compression:?}");
        }
    }
}
