//! `cursorgate cursor inspect`

use std::path::Path;

use super::{Failure, report, run::read};
use crate::{
    config::ProcessEnvironment,
    cursor::{Finding, inspect as look},
};

/// Shows the contents of a cursor.
pub(super) fn inspect(config: Option<&Path>, token: &str) -> Result<(), Failure> {
    let keys = match config {
        Some(path) => Some(
            read(path, &ProcessEnvironment::default())?
                .snapshot
                .keys
                .ok_or_else(|| Failure::mistaken("the configuration has no cursor.keys"))?,
        ),
        None => None,
    };
    let inspection = look(keys.as_deref(), token);
    report::output(&format!("{inspection}\n"))?;
    match inspection.finding {
        Finding::Verified { .. } => Ok(()),
        _ => Err(Failure::failed("")),
    }
}
