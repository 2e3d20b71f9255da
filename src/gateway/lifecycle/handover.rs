//! The hand-over to a successor: a new process of the same command, that inherits the listening sockets. This process
//! accepts connections until the successor reports that it can; those that come in between wait in the queues of the
//! sockets, which outlive both. A successor that fails changes nothing.
//!
//! Pingora's upgrade would need two processes started and signalled in step, and stops the old one before the new one
//! has proven its configuration.

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

use crate::gateway::runtime::{
    service_manager,
    sockets::{SERVES, Sockets, UNDERSTOOD},
};

/// Time that a successor has to serve: its configuration may name files that are read slowly.
const START: Duration = Duration::from_secs(60);

/// The first descriptor that a process inherits by `sd_listen_fds(3)`.
const FIRST: RawFd = 3;

/// A process that has inherited the sockets and can serve.
#[derive(Debug)]
pub(crate) struct Successor {
    process: Child,
    stream: UnixStream,
}

impl Successor {
    /// Starts a successor, and waits until it can serve. One that does not is ended.
    ///
    /// # Errors
    ///
    /// Returns an error if it can't be started, ends, or takes too long. It reports its reasons itself.
    pub(crate) fn start(sockets: &Sockets) -> io::Result<Self> {
        let (stream, theirs) = UnixStream::pair()?;
        stream.set_read_timeout(Some(START))?;
        let mut passed = sockets.duplicates()?;
        passed.push(theirs.into());
        let mut successor = Self { process: spawn(passed)?, stream };
        let mut report = [0];
        match successor.stream.read_exact(&mut report) {
            Ok(()) if report == [SERVES] => Ok(successor),
            Ok(()) => Err(successor.end(&io::ErrorKind::InvalidData.into())),
            Err(error) => Err(successor.end(&error)),
        }
    }

    /// Lets the successor serve, and returns its id.
    ///
    /// # Errors
    ///
    /// Returns an error if the successor has ended since.
    pub(crate) fn release(mut self) -> io::Result<u32> {
        let id = self.process.id();
        // The service manager listens to its main process alone: to this one until here, to the successor from then on.
        service_manager::succeeded_by(id);
        match self.stream.write_all(&[UNDERSTOOD]) {
            Ok(()) => Ok(id),
            Err(error) => {
                service_manager::succeeded_by(std::process::id());
                Err(self.end(&error))
            }
        }
    }

    /// Ends the process, and returns the reason.
    fn end(mut self, error: &io::Error) -> io::Error {
        // A process that has ended by itself can't be killed.
        let _ = self.process.kill();
        match self.process.wait() {
            Ok(status) => io::Error::other(format!("it does not serve ({status}): {error}")),
            Err(_) => io::Error::other(format!("it does not serve: {error}")),
        }
    }
}

/// Starts the command of this process again. The file may be another one since.
fn spawn(passed: Vec<OwnedFd>) -> io::Result<Child> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().ok_or(io::ErrorKind::NotFound)?;
    let count = passed.len();
    let numbered = passed.into_iter().zip(FIRST..);
    let mappings = numbered.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).env("LISTEN_FDS", count.to_string());
    // Of systemd's, this one names the process that it started.
    command.env_remove("LISTEN_PID").env_remove("LISTEN_FDNAMES");
    command.fd_mappings(mappings).map_err(io::Error::other)?.spawn()
}
