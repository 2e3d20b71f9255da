//! Reading of an upstream's OpenAPI document from a file.

use std::{fs::File, io::Read as _, path::Path};

use http::Method;
use serde_json::Value;

use super::super::Failure;
use cursorgate_learn::openapi::DocumentedList;

/// The largest size of a document, in bytes. Larger documents are refused.
const LARGEST: u64 = 32 << 20;

/// Reads the description of a list from an OpenAPI document. A file whose name ends in `.yaml` or `.yml` is read as
/// YAML, and any other file as JSON.
pub(super) fn read(path: &Path, method: &Method, list: &str) -> Result<DocumentedList, Failure> {
    let mistaken = |fault: String| Failure::mistaken(format!("{}: {fault}", path.display()));
    let mut text = String::new();
    let file = File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text));
    file.map_err(|error| mistaken(format!("the document can't be read: {error}")))?;
    if text.len() as u64 > LARGEST {
        return Err(mistaken(format!("the document is larger than {} MiB", LARGEST >> 20)));
    }
    let is_yaml = path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml");
    let document: Value = match is_yaml {
        true => {
            serde_saphyr::from_str(&text).map_err(|error| mistaken(format!("the document is not YAML: {error}")))?
        }
        false => serde_json::from_str(&text).map_err(|error| {
            mistaken(format!("the document is not JSON: {error}; the name of a file in YAML ends with .yaml or .yml"))
        })?,
    };
    DocumentedList::read(&document, method, list).map_err(mistaken)
}
