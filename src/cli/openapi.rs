//! `cursorgate openapi`

use std::path::Path;

use super::{
    Failure, report,
    run::{Built, read},
};
use crate::{config::ProcessEnvironment, gateway::request::target::host_of};

/// Prints what the routes of a configuration look like to clients.
pub(super) fn run(path: &Path, host: Option<&str>) -> Result<(), Failure> {
    let Built { snapshot, .. } = read(path, &ProcessEnvironment::default())?;
    report::output(&snapshot.openapi.render(host.map(host_of).as_deref()))
}
