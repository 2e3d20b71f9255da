//! The log: lines on standard error, as JSON or as text for people.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};

use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    reload::{self, Handle},
    util::SubscriberInitExt,
};

use super::Failure;
use cursorgate_config::settings::{AccessLog, LogFormat, LogLevel, LogSettings};
use cursorgate_gateway::runtime::log_queue::{LogCounts, LogQueue, Urgency};

/// The longest time for which the process waits at its end until queued lines are written. Lines that are then still
/// queued are lost, because the reader of the log may have stopped.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The log of this process. Dropping it writes the queued lines, for at most [`LAST_WORDS`].
pub(super) struct Log {
    queue: LogQueue,
    lines: Handle<LineLayer, Registry>,
}

/// The filter and the format of lines. A reload replaces both together.
type LineLayer = Box<dyn Layer<Registry> + Send + Sync>;

impl Log {
    /// Logs a failure, and clears its message. If the message were printed directly to standard error,
    /// a slow reader of the log would block the process.
    pub(super) fn ends<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|mut failure| {
            // A failure without a message has been reported.
            if !failure.message.is_empty() {
                tracing::error!("{}", std::mem::take(&mut failure.message));
            }
            failure
        })
    }
}

impl Log {
    /// Returns the function that changes the format, the level and the access log.
    pub(super) fn changer(&self) -> Box<dyn Fn(LogSettings) + Send> {
        let (queue, lines) = (self.queue.clone(), self.lines.clone());
        Box::new(move |settings| {
            // The change can't fail, because the layer lives as long as the process.
            let _ = lines.reload(layer(settings, &queue));
            limit_libraries(settings.level);
        })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush(LAST_WORDS);
    }
}

/// Starts logging for the whole process.
pub(super) fn begin(settings: LogSettings, counts: Arc<LogCounts>) -> Result<Log, Failure> {
    // The log has its own file descriptor: otherwise the writer would hold the lock of `io::stderr` while it waits for
    // the reader.
    let file = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let queue = LogQueue::begin(file, counts, |reason, lines| match reason {
        "write_failed" => tracing::warn!(lines, "log lines were lost: they could not be written, and now they can"),
        _ => tracing::warn!(lines, "log lines were dropped: they came faster than they were read"),
    })?;
    let (layer, lines) = reload::Layer::new(layer(settings, &queue));
    let begun = tracing_subscriber::registry().with(layer).try_init();
    begun.map_err(|error| Failure::failed(format!("the log can't be written: {error}")))?;
    limit_libraries(settings.level);
    // The default hook would write panics to standard error directly, without the queue and the format of the log, so
    // it is replaced.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(target: "cursorgate::panic", place, message = panic.payload_as_str().unwrap_or("no message"));
    }));
    Ok(Log { queue, lines })
}

/// Sets the level below which lines of libraries are dropped before they are formatted. Pingora logs about a dozen
/// lines for each request, and the check of these lines in the layer would take 2% of the time of a page.
fn limit_libraries(level: LogLevel) {
    log::set_max_level(match level {
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warn | LogLevel::Info | LogLevel::Debug => log::LevelFilter::Warn,
    });
}

/// Returns a layer that writes the lines of this program from the configured level on, the access log, and warnings and
/// errors of libraries if the level includes them. Pingora's lines about single requests and connections are left out,
/// because the access log has the same facts.
fn layer(settings: LogSettings, queue: &LogQueue) -> LineLayer {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let access = match settings.access {
        AccessLog::All => LevelFilter::INFO,
        AccessLog::Errors => LevelFilter::WARN,
        AccessLog::Off => LevelFilter::OFF,
    };
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("pingora_core::connectors", LevelFilter::OFF)
        // Bytes after the end of an answer, which the gateway logs with the peer.
        .with_target("pingora_core::protocols::http::v1::body", LevelFilter::OFF)
        .with_target("cursorgate", level)
        .with_target("cursorgate::access", access);
    // Errors of the layer itself aren't logged, because the layer would write them to standard error directly, without
    // the queue.
    let lines = fmt::layer().with_writer(Lines(queue.clone())).log_internal_errors(false);
    match is_text(settings.format) {
        true => Box::new(targets.and_then(lines)),
        false => Box::new(targets.and_then(lines.json().flatten_event(true))),
    }
}

/// Returns whether lines of this format are plain text on the standard error of this process.
pub(super) fn is_text(format: LogFormat) -> bool {
    match format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Text => true,
    }
}

/// The log queue as a writer for the layer.
struct Lines(LogQueue);

/// The writer of a single line. The layer writes the line with one call.
struct Line<'a> {
    queue: &'a LogQueue,
    urgency: Urgency,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { queue: &self.0, urgency: Urgency::Usual }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line<'a> {
        let urgency = if *event.level() <= Level::WARN { Urgency::Urgent } else { Urgency::Usual };
        Line { queue: &self.0, urgency }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(line, self.urgency);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
