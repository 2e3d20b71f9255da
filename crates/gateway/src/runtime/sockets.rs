//! Listening sockets. The process uses the sockets that a service manager or a predecessor handed over, and binds the
//! others. A predecessor is the process that started this one as its successor. A duplicate of each socket is kept for
//! a successor.
//!
//! Service managers and predecessors hand sockets over by the convention of `sd_listen_fds(3)`: as descriptors from 3
//! on, with their number in `LISTEN_FDS`. A predecessor adds a stream without a name, on which this process reports
//! that it can serve.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            fs::{FileTypeExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
    time::Duration,
};

use listenfd::ListenFd;
use rustix::{
    fs::{Mode, fchmod},
    net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt},
};

use cursorgate_config::settings::ListenAddress;

/// The largest number of connections that wait to be accepted in a socket's queue.
pub const BACKLOG: i32 = 4_096;

/// The longest time to wait for the predecessor's answer to the report. Without an answer, this process doesn't serve.
const ANSWER: Duration = Duration::from_secs(10);

/// The byte by which a successor reports to its predecessor that it can serve.
pub const SERVES: u8 = b's';
/// The byte by which a predecessor answers the report of its successor.
pub const UNDERSTOOD: u8 = b'u';

/// A listening socket. The sockets that [`Sockets::listen`] returns are in non-blocking mode.
#[derive(Debug)]
pub enum ListeningSocket {
    /// A socket at an IP address and a port.
    Tcp(TcpListener),
    /// A Unix socket at a path.
    Unix(UnixListener),
}

/// The listening sockets of the process.
#[derive(Debug, Default)]
pub struct Sockets {
    /// The sockets that were handed over and that no listener has taken yet.
    inherited: Vec<ListeningSocket>,
    /// The stream to the predecessor, until this process has reported on it; `None` without a predecessor.
    predecessor: Option<UnixStream>,
    /// A duplicate of each socket in use, for a successor.
    kept: Vec<OwnedFd>,
}

impl ListeningSocket {
    /// Returns the address in the form of the configuration; `None` if the system doesn't report it. The mode of a Unix
    /// socket's path isn't read and is always 0.
    pub fn address(&self) -> Option<ListenAddress> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok().map(ListenAddress::Ip),
            Self::Unix(socket) => {
                let address = socket.local_addr().ok()?;
                address.as_pathname().map(|path| ListenAddress::Unix { path: path.to_owned(), mode: 0 })
            }
        }
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Unix(socket) => socket.set_nonblocking(true),
        }
    }
}

impl AsFd for ListeningSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl Sockets {
    /// Takes the sockets that were handed to this process. Also removes from the environment the variables that
    /// announce the sockets, so no other thread may run yet.
    ///
    /// # Errors
    ///
    /// Returns an error if a descriptor isn't a listening socket.
    pub fn inherit() -> io::Result<Self> {
        let mut given = ListenFd::from_env();
        let mut sockets = Self::default();
        for index in 0..given.len() {
            if let Ok(Some(listener)) = given.take_tcp_listener(index) {
                sockets.inherited.push(ListeningSocket::Tcp(listener));
            } else if let Some(unix) = given.take_unix_listener(index)? {
                // A listening socket has a name, but the stream to a predecessor is unnamed.
                if unix.local_addr()?.is_unnamed() {
                    sockets.predecessor = Some(UnixStream::from(OwnedFd::from(unix)));
                } else {
                    sockets.inherited.push(ListeningSocket::Unix(unix));
                }
            }
        }
        Ok(sockets)
    }

    /// Returns whether a predecessor handed its sockets to this process and waits for its report.
    #[must_use]
    pub fn has_predecessor(&self) -> bool {
        self.predecessor.is_some()
    }

    /// Returns a socket that listens on this address: a socket that was handed over, or a new socket. With
    /// `reuse_port`, other processes of the same user may listen on the same address if they set this option too.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, such as `AddrInUse`.
    pub fn listen(&mut self, address: &ListenAddress, reuse_port: bool) -> io::Result<ListeningSocket> {
        let is_there = |socket: &ListeningSocket| socket.address().is_some_and(|there| there.is_same_place(address));
        let socket = match (self.inherited.iter().position(is_there), address) {
            // An inherited socket is taken once, so a second listener at its address fails to bind. Test:
            // `a_socket_that_was_handed_over_is_taken_once`.
            (Some(index), _) => self.inherited.swap_remove(index),
            (None, ListenAddress::Ip(address)) => ListeningSocket::Tcp(bind(*address, reuse_port)?),
            (None, ListenAddress::Unix { path, mode }) => ListeningSocket::Unix(bind_unix(path, *mode)?),
        };
        socket.set_nonblocking()?;
        // The queue of a socket that was handed over may be shorter, so its length is set again.
        net::listen(&socket, BACKLOG)?;
        self.kept.push(socket.as_fd().try_clone_to_owned()?);
        Ok(socket)
    }

    /// Closes the sockets that were handed over and that no listener has taken, and returns their addresses. If one of
    /// these sockets stayed open, clients that connect to it would wait forever.
    pub fn close_unclaimed(&mut self) -> Vec<String> {
        let unclaimed = std::mem::take(&mut self.inherited);
        unclaimed.iter().map(|socket| socket.address().map_or_else(|| "?".into(), |it| it.to_string())).collect()
    }

    /// Returns duplicates of all sockets, for a successor.
    pub fn duplicates(&self) -> io::Result<Vec<OwnedFd>> {
        self.kept.iter().map(OwnedFd::try_clone).collect()
    }

    /// Reports to the predecessor that this process can serve, and waits for the predecessor's answer. Does nothing
    /// without a predecessor. After the answer the predecessor accepts no more connections.
    ///
    /// # Errors
    ///
    /// Returns an error if the predecessor doesn't answer in time. The predecessor then still serves or was ended on
    /// purpose, so this process must not serve.
    pub fn report(&mut self) -> io::Result<()> {
        let Some(mut predecessor) = self.predecessor.take() else { return Ok(()) };
        predecessor.set_read_timeout(Some(ANSWER))?;
        predecessor.write_all(&[SERVES])?;
        let mut answer = [0];
        predecessor.read_exact(&mut answer)?;
        if answer == [UNDERSTOOD] { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Connections of an earlier process that are still closing must not block the address.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // The system shares an address only among sockets that all set this option. Test:
    // `an_address_is_shared_only_if_both_sockets_reuse_the_port`.
    if reuse_port {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Binds a path, even if a process that has ended left its socket there. Accounts that `mode` doesn't permit can't
/// connect at any moment.
fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    // A file that isn't a socket is kept, so binding fails. Test: `a_path_is_taken_from_a_process_that_has_ended`.
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket {
        // A process still listens there, so its socket must not be replaced.
        if UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(path)?;
    }
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // `bind` gives the file the mode of the descriptor without the bits of the umask. `set_permissions` then adds the
    // missing bits.
    fchmod(&socket, Mode::from_raw_mode(mode))?;
    net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shared_only_if_both_sockets_reuse_the_port() {
        let any = ListenAddress::Ip("127.0.0.1:0".parse().unwrap());
        for (first, second, shared) in [(true, true, true), (false, true, false), (true, false, false)] {
            let mut one = Sockets::default();
            let held = one.listen(&any, first).unwrap();
            let address = held.address().unwrap();
            assert_eq!(Sockets::default().listen(&address, second).is_ok(), shared, "{first} {second}");
        }
    }

    #[test]
    fn a_socket_that_was_handed_over_is_taken_once() {
        let held = ListeningSocket::Tcp(TcpListener::bind("127.0.0.1:0").unwrap());
        let address = held.address().unwrap();
        let mut sockets = Sockets { inherited: vec![held], ..Sockets::default() };
        let taken = sockets.listen(&address, false).unwrap();
        assert_eq!(taken.address().unwrap(), address);
        assert!(sockets.listen(&address, false).is_err(), "a second listener can't have it");
        assert!(sockets.close_unclaimed().is_empty());
    }

    #[test]
    fn a_path_is_taken_from_a_process_that_has_ended() {
        let path = std::env::temp_dir().join(format!("cursorgate-{}.sock", std::process::id()));
        let at = ListenAddress::Unix { path: path.clone(), mode: 0o606 };
        let mode = || std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
        let held = Sockets::default().listen(&at, false).unwrap();
        assert_eq!(mode(), 0o606);
        assert_eq!(Sockets::default().listen(&at, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(held);
        let mut again = Sockets::default();
        let held = again.listen(&at, false).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop((held, again));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a file of somebody").unwrap();
        assert!(Sockets::default().listen(&at, false).is_err(), "a file is not a socket");
        std::fs::remove_file(&path).unwrap();
    }
}
