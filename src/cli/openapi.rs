//! `cursorgate openapi`: prints the OpenAPI document of the routes.

use std::path::Path;

use super::{Failure, report};
use cursorgate_config::{self as config, ProcessEnvironment, WithoutSecrets};
use cursorgate_gateway::{Snapshot, openapi::DocumentReader, request::target::host_of};

/// Prints the OpenAPI document of a configuration. The secrets of the configuration need not be available.
pub(super) fn run(path: &Path, host: Option<&str>) -> Result<(), Failure> {
    let (settings, mut diagnostics) = config::load(path, &WithoutSecrets(&ProcessEnvironment::default()));
    let settings = settings.map(|settings| settings.without_certificates());
    let snapshot = settings.and_then(|settings| Snapshot::build(&settings, None, &mut diagnostics));
    report::diagnostics(&diagnostics);
    let Some(snapshot) = snapshot else { return Err(Failure::mistaken(report::counts(&diagnostics))) };
    report::output(&snapshot.openapi.render(DocumentReader::Operator(host.map(host_of).as_deref())))
}
