//! The hand-over to a successor, which is a new process of the same command that inherits the listening sockets. This
//! process accepts connections until the successor reports that it can serve. Connections that arrive in between wait
//! in the queues of the sockets, which outlive both processes. A successor that fails changes nothing.
//!
//! Pingora's own upgrade needs two processes that are started and signalled in step. It also stops the old process
//! before the new one has shown that its configuration is valid.

use std::{
    io::{self, Read as _, Write as _},
    os::{
        fd::{OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

use command_fds::{CommandFdExt as _, FdMapping};

use crate::runtime::{
    service_manager,
    sockets::{SERVES, Sockets, UNDERSTOOD},
};

/// The longest time from the start of a successor to its report. A slower successor is killed. The configuration may
/// name files that are slow to read.
const START: Duration = Duration::from_secs(60);

/// The number of looks, [`LOOK`] apart, after which a successor that has closed its stream is killed if it still runs.
const ENDING: u32 = 200;
const LOOK: Duration = Duration::from_millis(10);

/// The number of the first descriptor that is passed on, according to `sd_listen_fds(3)`.
const FIRST: RawFd = 3;

/// A process that has inherited the sockets, has reported that it can serve, and waits for the permission to do so.
#[derive(Debug)]
pub struct Successor {
    process: Child,
    stream: UnixStream,
}

impl Successor {
    /// Starts a successor, and waits until it can serve. A successor that fails or takes longer than [`START`] is
    /// killed.
    ///
    /// # Errors
    ///
    /// Returns an error if the successor can't be started, ends, or takes too long. The reasons are in the successor's
    /// own log.
    pub fn start(sockets: &Sockets) -> io::Result<Self> {
        let (stream, theirs) = UnixStream::pair()?;
        stream.set_read_timeout(Some(START))?;
        let mut passed = sockets.duplicates()?;
        // The stream comes last and has no name. The successor recognises the stream by these two properties.
        passed.push(theirs.into());
        let mut successor = Self { process: spawn(passed)?, stream };
        let mut report = [0];
        match successor.stream.read_exact(&mut report) {
            Ok(()) if report == [SERVES] => Ok(successor),
            Ok(()) => Err(successor.end(&io::ErrorKind::InvalidData.into())),
            Err(error) => Err(successor.end(&error)),
        }
    }

    /// Allows the successor to serve, and returns its process id.
    ///
    /// # Errors
    ///
    /// Returns an error if the successor has ended since its report. This process then continues to serve.
    pub fn release(mut self) -> io::Result<u32> {
        let id = self.process.id();
        // The service manager accepts notifications only from its main process. This process therefore names the
        // successor before the successor sends its first notification.
        service_manager::succeeded_by(id);
        match self.stream.write_all(&[UNDERSTOOD]) {
            Ok(()) => Ok(id),
            Err(error) => {
                service_manager::succeeded_by(std::process::id());
                Err(self.end(&error))
            }
        }
    }

    /// Ends the successor, and returns an error that says what happened.
    fn end(mut self, error: &io::Error) -> io::Error {
        // A successor that has closed its stream is ending by itself, with a status that says more than a kill.
        let has_closed = error.kind() == io::ErrorKind::UnexpectedEof;
        for _ in 0..if has_closed { ENDING } else { 0 } {
            if !matches!(self.process.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(LOOK);
        }
        // A process that has already ended can't be killed, so a failure is ignored.
        let _ = self.process.kill();
        let status = self.process.wait().map(|status| status.to_string()).unwrap_or_default();
        io::Error::other(match error.kind() {
            _ if has_closed => format!("it ended before it could serve ({status}): its own lines above say why"),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("it could not serve within {} s, and was killed", START.as_secs())
            }
            _ => format!("it does not serve ({status}): {error}"),
        })
    }
}

/// Starts the command of this process again, and passes these descriptors on. The program's file may have been replaced
/// with a new version since.
fn spawn(passed: Vec<OwnedFd>) -> io::Result<Child> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().ok_or(io::ErrorKind::NotFound)?;
    let count = passed.len();
    let numbered = passed.into_iter().zip(FIRST..);
    let mappings = numbered.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).env("LISTEN_FDS", count.to_string());
    // systemd's `LISTEN_PID` names this process. With it, the successor would ignore its sockets.
    command.env_remove("LISTEN_PID").env_remove("LISTEN_FDNAMES");
    command.fd_mappings(mappings).map_err(io::Error::other)?.spawn()
}
