//! `cursorgate cursor inspect`: shows the contents of a cursor.

use std::path::{Path, PathBuf};

use super::{Failure, arguments, report};
use cursorgate_config::{self as config, ProcessEnvironment, settings::CursorKeySettings};
use cursorgate_cursor::cursor::{Finding, Inspection, KeyRing, inspect as look};

/// The largest number of a link's parameters that are tried as cursors. Later parameters are ignored.
const PARAMETERS_MAX: usize = 100;

/// Prints the contents of a cursor. Fails unless its signature was verified.
pub(super) fn inspect(config: Option<&Path>, token: &str) -> Result<(), Failure> {
    let here = || Some(PathBuf::from("cursorgate.toml")).filter(|path| path.exists());
    let configured = arguments::configured().or_else(here);
    let keys = config.or(configured.as_deref()).map(keys).transpose()?;
    let inspection = find(keys.as_ref(), token);
    report::output(&format!("{inspection}\n"))?;
    match inspection.finding {
        Finding::Verified { .. } => Ok(()),
        _ => Err(Failure::failed("")),
    }
}

/// Reads only the keys of cursors, and no other secret. The user might not have the other secrets of the configuration.
pub(super) fn keys(path: &Path) -> Result<KeyRing, Failure> {
    let (keys, diagnostics) = config::load_cursor_keys(path, &ProcessEnvironment::default());
    if diagnostics.has_errors() {
        report::diagnostics(&diagnostics);
        return Err(Failure::mistaken(report::counts(&diagnostics)));
    }
    let keys = keys.ok_or_else(|| Failure::mistaken("the configuration has no cursor.keys"))?;
    ring(&keys).map_err(|error| Failure::mistaken(error.to_string()))
}

fn ring(keys: &CursorKeySettings) -> Result<KeyRing, cursorgate_cursor::cursor::KeyRingError> {
    let of: Vec<(u32, &[u8])> = keys.keys.iter().map(|(id, key)| (*id, key.reveal())).collect();
    KeyRing::new(keys.signing_key, &of)
}

/// Inspects a cursor. For a link, inspects its first parameter that is a cursor.
fn find(keys: Option<&KeyRing>, text: &str) -> Inspection {
    let whole = look(keys, text);
    let Some((_, query)) = text.split_once('?').filter(|_| matches!(whole.finding, Finding::Foreign)) else {
        return whole;
    };
    // A link that is copied from a `Link` header may end with `>`, which isn't a part of the query.
    let query = query.split(['#', '>']).next().unwrap_or(query);
    let values = query.split('&').take(PARAMETERS_MAX).filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    let mut cursors = values.map(|value| look(keys, value));
    cursors.find(|found| !matches!(found.finding, Finding::Foreign)).unwrap_or(whole)
}
