//! `cursorgate run`: serves a configuration.

use std::{path::Path, sync::Arc, thread};

use super::{
    Failure,
    logging::{self, Log},
    manual::COMMIT,
    report,
};
use cursorgate_config::{
    self as config, Diagnostics, Environment, ProcessEnvironment,
    settings::{AccessLog, ListenAddress, LogFormat, LogLevel, LogSettings, ServerSettings, Settings},
};
use cursorgate_gateway::{
    self as gateway, Snapshot,
    admin::{self, Admin},
    lifecycle::{
        files::NotedEnvironment,
        live::Live,
        process::{self, Servers, SignalRuntime, Vitals},
        reload::{ConfigurationSource, Fixed, Reloader, Reloads},
        renewal, token_keys, traces,
    },
    runtime::{descriptors, memory_limit, sockets::Sockets},
    server::{
        admission::{Admission, ConnectionLimits},
        connection::Front,
        listen::advice,
    },
    session::{
        context::{Gateway, RequestIds},
        service::ServiceReport,
    },
};

/// The largest number of connections to the admin listener: enough for health checks, metrics scrapers and a few
/// people. The limit works like that of clients.
const OPERATORS: usize = 32;

/// The settings of the log if the configuration can't be read, which are the defaults.
const UNREADABLE: LogSettings = LogSettings { format: LogFormat::Auto, level: LogLevel::Info, access: AccessLog::All };

/// A configuration and the snapshot that is compiled from it.
pub(super) struct Built {
    pub(super) settings: Settings,
    pub(super) snapshot: Snapshot,
    /// The warnings about the configuration.
    pub(super) diagnostics: Diagnostics,
}

/// Serves a configuration until a signal ends the process.
pub(super) fn run(path: &Path, environment: ProcessEnvironment) -> Result<(), Failure> {
    // `inherit` removes variables from the environment, which is safe only before there are threads, so it is called
    // first.
    let sockets = Sockets::inherit();
    // The signal handlers are installed before the configuration is read: by default, a SIGHUP during the start would
    // end the process. Test: `a_reload_that_is_asked_for_during_the_start_comes_after_it`.
    let signals = SignalRuntime::begin()?;
    // Dumps are forbidden before the keys are read, so no dump contains keys. Test:
    // `the_memory_of_the_process_is_closed_to_other_processes_of_its_user`.
    let undumpable = forbid_dumps();
    let vitals = Vitals::built_from(COMMIT);
    // The log begins before the rest of the configuration is read, so faults of the configuration are lines of the log
    // too. Test: `every_line_of_a_json_log_is_json`.
    let written = config::load_log(path, &environment).unwrap_or(UNREADABLE);
    let log = logging::begin(written, Arc::clone(vitals.log()))?;
    if let Err(error) = undumpable {
        tracing::warn!(%error, "memory dumps can't be forbidden: a dump of this process holds its keys");
    }
    let noted = NotedEnvironment::new(&environment);
    let is_text = logging::is_text(written.format);
    let built = if is_text { read(path, &noted)? } else { log.ends(read_into_log(path, &noted))? };
    let source = ConfigurationSource { path: path.to_owned(), environment, files: noted.into_files() };
    log.changer()(built.settings.log);
    let sockets = sockets.map_err(|error| Failure::failed(format!("LISTEN_FDS: {error}")));
    let served = sockets.and_then(|sockets| serve_file(source, built, &vitals, sockets, signals, &log));
    log.ends(served)
}

/// Reads and compiles a configuration. Logs the diagnostics, and fails if there are errors.
fn read_into_log(path: &Path, environment: &dyn Environment) -> Result<Built, Failure> {
    let (settings, mut diagnostics) = config::load(path, environment);
    let built = build(settings, &mut diagnostics);
    let (errors, warnings) = diagnostics.counts();
    match built {
        Some((settings, snapshot)) => {
            if warnings > 0 {
                tracing::warn!(warnings, report = diagnostics.render(false), "the configuration has warnings");
            }
            Ok(Built { settings, snapshot, diagnostics })
        }
        None => {
            tracing::error!(errors, warnings, report = diagnostics.render(false), "the configuration has errors");
            Err(Failure::mistaken(""))
        }
    }
}

/// Excludes the memory of this process, which contains keys, from core dumps, and hides it from other processes of the
/// same user. Does nothing on systems other than Linux.
fn forbid_dumps() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

fn serve_file(
    source: ConfigurationSource,
    Built { settings, snapshot, diagnostics }: Built,
    vitals: &Vitals,
    sockets: Sockets,
    signals: SignalRuntime,
    log: &Log,
) -> Result<(), Failure> {
    let live = Arc::new(Live::new(snapshot.read_from(&source.files)));
    let fixed = Fixed::of(&settings);
    let log = (settings.log, log.changer());
    let last = Arc::clone(vitals.last_reload());
    // The start counts as a reload, with its warnings. Test: `the_start_is_reported_with_its_warnings`.
    last.start(&diagnostics);
    let reloads = Reloader::new(source, Arc::clone(&live), fixed, log, last).begin()?;
    renewal::begin(Arc::clone(&live), Arc::clone(vitals.renewals()))?;
    token_keys::begin(Arc::clone(&live))?;
    // The guard lives until the last request has ended, so the spans of that request are exported too.
    let _exporting = traces::begin(Arc::clone(&live), Arc::clone(vitals.spans()))?;
    let clients = Admission::new(places(&settings.server, &live));
    let ids = ids()?;
    let (mut servers, reports) = servers(&settings, &live, vitals, &clients, &ids, sockets)?;
    let connections = Arc::clone(&servers.connections);
    let admin = Admin::new(vitals.clone(), Arc::clone(&live), clients, connections, Some(reloads.clone()), reports);
    add_admin(&mut servers, &settings, admin, Front::new(Arc::clone(&live), vitals.clone(), ids, operators()))?;
    for address in servers.sockets.close_unclaimed() {
        tracing::warn!(address, "a socket that was handed over is closed: no listener has its address");
    }
    for listener in &settings.listeners {
        tracing::info!(name = listener.name, address = %listener.address, tls = listener.tls.is_some(), "listening");
    }
    serve(servers, signals, vitals, settings, &live, Some(reloads))
}

/// Returns the admission of connections to the admin listener.
pub(super) fn operators() -> Arc<Admission> {
    Admission::new(ConnectionLimits { most: OPERATORS, per_address: OPERATORS })
}

/// Adds the admin listener to the servers, if the configuration has one.
pub(super) fn add_admin(
    servers: &mut Servers,
    settings: &Settings,
    admin: Admin,
    front: Arc<Front>,
) -> Result<(), Failure> {
    let Some(listener) = &settings.admin else { return Ok(()) };
    let address = listener.address;
    let socket = servers.sockets.listen(&ListenAddress::Ip(address), settings.server.reuse_port);
    let failed = |error| format!("admin: can't listen on {address}: {error}{}", advice(&error));
    let socket = socket.map_err(|error| Failure::failed(failed(error)))?;
    servers.companion.add_service(admin::service(socket, admin, front));
    Ok(())
}

/// Runs the servers until a signal ends them.
pub(super) fn serve(
    servers: Servers,
    signals: SignalRuntime,
    vitals: &Vitals,
    settings: Settings,
    live: &Live,
    reloads: Option<Reloads>,
) -> Result<(), Failure> {
    // The snapshot contains the keys in the form in which they are used. The settings are dropped, because they contain
    // the keys as text.
    drop(settings);
    Ok(process::run(servers, signals, vitals, live, reloads)?)
}

/// Raises the limit of file descriptors, and returns the limits of client connections that it and the memory permit.
pub(super) fn places(server: &ServerSettings, live: &Live) -> ConnectionLimits {
    let snapshot = live.pin();
    let plan = &snapshot.memory_plan;
    tracing::info!(bodies = snapshot.memory.most(), "memory: {plan}");
    let permitted = memory_limit::permitted();
    if let Some(permitted) = permitted.filter(|permitted| *permitted < plan.whole) {
        tracing::warn!(
            "server.memory is more than the {} MiB of the control group or the machine: the system ends the process when \
             it takes more",
            permitted >> 20
        );
    }
    if plan.is_short() {
        tracing::warn!("the memory of this process is too small for its configuration: {plan}");
    }
    let descriptors = descriptors::raise();
    let possible = descriptors::clients(descriptors);
    if let Some(wanted) = server.connections.filter(|wanted| *wanted > possible) {
        let message = "the limit of open files (RLIMIT_NOFILE) leaves fewer connections than server.connections says";
        tracing::warn!(descriptors, connections = possible, wanted, "{message}");
    }
    let most = plan.connections.min(possible);
    // By default, a single address may have half of the connections.
    let per_address = server.connections_per_address.unwrap_or_else(|| most.div_ceil(2)).min(most);
    ConnectionLimits { most, per_address }
}

/// Returns the generator of request ids.
pub(super) fn ids() -> Result<Arc<RequestIds>, Failure> {
    RequestIds::new().map_err(|error| Failure::failed(format!("the system gives no random bytes: {error}")))
}

/// Creates the servers of a process, and the reports of its services.
pub(super) fn servers(
    settings: &Settings,
    live: &Arc<Live>,
    vitals: &Vitals,
    clients: &Arc<Admission>,
    ids: &Arc<RequestIds>,
    mut sockets: Sockets,
) -> Result<(Servers, Vec<Arc<dyn ServiceReport>>), Failure> {
    let front = Front::new(Arc::clone(live), vitals.clone(), Arc::clone(ids), Arc::clone(clients));
    let gateway = Gateway::new(Arc::clone(live), vitals.clone(), Arc::clone(ids));
    #[cfg(feature = "services")]
    let services = cursorgate_services::Services::open(&gateway, &settings.services).map_err(Failure::failed)?;
    #[cfg(feature = "services")]
    let (gateway, reports) = (Gateway { services: services.answering, ..gateway }, services.reports);
    #[cfg(not(feature = "services"))]
    let reports = Vec::new();
    let connections = Arc::clone(&gateway.fetcher.connections);
    // The certificate authorities of the system are read in a thread while Pingora's server starts. Otherwise the first
    // request to an upstream with TLS would wait until they are read.
    let gateway = thread::scope(|scope| {
        if settings.upstreams.iter().any(|upstream| upstream.tls.is_some()) {
            let _ = thread::Builder::new().spawn_scoped(scope, || connections.prepare());
        }
        gateway::server(settings, gateway, &front, &mut sockets)
    });
    let gateway = gateway.map_err(|error| Failure::failed(error.to_string()))?;
    #[cfg_attr(not(feature = "services"), expect(unused_mut, reason = "services add their work"))]
    let (mut companion, clients) = (gateway::companion(settings), Arc::clone(clients));
    #[cfg(feature = "services")]
    services.work.begin(&mut companion);
    Ok((Servers { gateway, companion, sockets, clients: Box::new(move || clients.open()), connections }, reports))
}

fn build(settings: Option<Settings>, diagnostics: &mut Diagnostics) -> Option<(Settings, Snapshot)> {
    settings.and_then(|settings| Snapshot::build(&settings, None, diagnostics).map(|snapshot| (settings, snapshot)))
}

/// Reads and compiles a configuration. Prints the diagnostics to standard error, and fails if there are errors.
pub(super) fn read(path: &Path, environment: &dyn Environment) -> Result<Built, Failure> {
    let (settings, diagnostics) = config::load(path, environment);
    compile(settings, diagnostics)
}

/// Compiles settings. Prints the diagnostics to standard error, and fails if there are errors.
pub(super) fn compile(settings: Option<Settings>, mut diagnostics: Diagnostics) -> Result<Built, Failure> {
    let built = build(settings, &mut diagnostics);
    report::diagnostics(&diagnostics);
    match built {
        Some((settings, snapshot)) => Ok(Built { settings, snapshot, diagnostics }),
        None => Err(Failure::mistaken(report::counts(&diagnostics))),
    }
}
