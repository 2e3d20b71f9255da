//! The formats of export results: lines of JSON, a CSV table, or a JSON array, each plain or compressed.
//!
//! Each page is compressed separately, as a gzip member (RFC 1952 section 2.2) or a zstd frame (RFC 8878 section 3.1).
//! A file can contain any number of members or frames, so a result can be cut after any page, and the next page can be
//! appended there.

use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

/// The compression level of zstd, which is the default of zstd.
const ZSTD_LEVEL: i32 = 3;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ExportFormat {
    /// A line of JSON for each item.
    #[default]
    Ndjson,
    /// A table whose first line contains the names of the columns (RFC 4180).
    Csv,
    /// A single JSON array of all items.
    Json,
}

impl ExportFormat {
    /// Returns the ending of file names, without a dot.
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

/// The treatment of texts in a table that spreadsheets would read as formulas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Formulas {
    /// Cells are the texts of items.
    #[default]
    Kept,
    /// A `'` precedes each text that begins like a formula.
    Escaped,
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
    /// Returns the ending of file names that follows the format's ending, with its dot; empty without compression.
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

    /// Compresses the bytes of a page as a separate member or frame.
    ///
    /// # Errors
    ///
    /// Returns the encoder's error.
    pub(super) fn compress(self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes),
            Self::Gzip => {
                // Each page is a separate member: the result can be cut at the end of any member.
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
