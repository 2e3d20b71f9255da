//! `cursorgate run`

use std::{path::Path, sync::Arc};

use super::{Failure, logging, report};
use crate::{
    admin,
    config::{self, Diagnostics, ProcessEnvironment, settings::Settings},
    gateway::{
        self, Gateway, Snapshot,
        lifecycle::{self, Servers, Vitals},
        live::Live,
        reload::{Fixed, Reloader, Reloads},
    },
};

/// A configuration that can be served.
pub(super) struct Built {
    /// What it says.
    pub(super) settings: Settings,
    /// What is served.
    pub(super) snapshot: Snapshot,
    /// How many warnings there were.
    pub(super) warnings: usize,
}

/// Serves until a signal ends it.
pub(super) fn run(path: &Path) -> Result<(), Failure> {
    let undumpable = forbid_dumps();
    let built = read(path)?;
    let vitals = Vitals::default();
    let log = logging::begin(built.settings.log, Arc::clone(vitals.log()))?;
    if let Err(error) = undumpable {
        tracing::warn!(%error, "memory dumps can't be forbidden: a dump of this process holds its keys");
    }
    log.ends(serve_file(path, built, &vitals))
}

/// Keeps the memory of this process, which holds keys, from core dumps and from other processes of the same user.
fn forbid_dumps() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

fn serve_file(path: &Path, Built { settings, snapshot, .. }: Built, vitals: &Vitals) -> Result<(), Failure> {
    let live = Arc::new(Live::new(snapshot));
    let fixed = Fixed::of(&settings);
    let reloader = Reloader::new(path.to_owned(), Arc::clone(&live), fixed, Arc::clone(vitals.last_reload()));
    let mut servers = servers(&settings, Arc::clone(&live), vitals)?;
    if let Some(admin) = &settings.admin {
        gateway::probe("admin", admin.address).map_err(|error| Failure::failed(error.to_string()))?;
        servers.companion.add_service(admin::service(admin.address, vitals.clone(), live));
    }
    for listener in &settings.listeners {
        tracing::info!(name = listener.name, address = %listener.address, tls = listener.tls.is_some(), "listening");
    }
    serve(servers, vitals, settings, Some(reloader.begin()?))
}

/// Runs servers to their end.
pub(super) fn serve(
    servers: Servers,
    vitals: &Vitals,
    settings: Settings,
    reloads: Option<Reloads>,
) -> Result<(), Failure> {
    let server = settings.server.clone();
    // The keys are in the snapshot, each where it is used. Here they would stay as text for the life of the process.
    drop(settings);
    Ok(lifecycle::run(servers, vitals, &server, reloads)?)
}

/// The servers of a process that answers by what is in force.
pub(super) fn servers(settings: &Settings, live: Arc<Live>, vitals: &Vitals) -> Result<Servers, Failure> {
    let gateway = Gateway::new(live, vitals.clone())
        .map_err(|error| Failure::failed(format!("the system gives no random bytes: {error}")))?;
    let gateway = gateway::server(settings, gateway).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Servers { gateway, companion: gateway::companion(settings) })
}

/// Reads and compiles a configuration. Warnings go to standard error; so do errors, and then there is nothing.
pub(super) fn read(path: &Path) -> Result<Built, Failure> {
    let (settings, diagnostics) = config::load(path, &ProcessEnvironment);
    compile(settings, diagnostics)
}

/// Compiles what was read.
pub(super) fn compile(settings: Option<Settings>, mut diagnostics: Diagnostics) -> Result<Built, Failure> {
    let built = settings.and_then(|settings| {
        let snapshot = Snapshot::build(&settings, None, &mut diagnostics)?;
        Some((settings, snapshot))
    });
    report::diagnostics(&diagnostics);
    let (errors, warnings) = diagnostics.counts();
    match built {
        Some((settings, snapshot)) => Ok(Built { settings, snapshot, warnings }),
        None if warnings == 0 => Err(Failure::mistaken(report::count(errors, "error"))),
        None => {
            let (errors, warnings) = (report::count(errors, "error"), report::count(warnings, "warning"));
            Err(Failure::mistaken(format!("{errors}, {warnings}")))
        }
    }
}
