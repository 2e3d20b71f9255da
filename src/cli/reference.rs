//! `cursorgate reference`: the documentation of configuration keys.

use super::{Failure, report};
use cursorgate_config::{diagnostic::nearest, reference};

/// Prints the reference of the configuration, or explains the keys whose path ends in `key`.
pub(super) fn run(key: Option<&str>) -> Result<(), Failure> {
    let Some(key) = key else { return report::output(&reference::reference()) };
    let explained = reference::explain(key);
    if explained.is_empty() {
        let name = key.rsplit('.').next().unwrap_or(key);
        let near = nearest(name, reference::names());
        let hint = near.map(|near| format!(" did you mean {near:?}?")).unwrap_or_default();
        return Err(Failure::failed(format!("there is no key {key:?}.{hint} `cursorgate reference` prints them all")));
    }
    report::output(&explained)
}
