//! Sockets that accept connections, and the accepted connections, both by TCP and by Unix sockets.

use std::{
    io,
    net::IpAddr,
    os::fd::{AsRawFd, RawFd},
};

use pingora::protocols::l4;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::{lifecycle::memory_plan::UNREAD, runtime::sockets::ListeningSocket};
use cursorgate_config::settings::UNIX_CLIENT;

/// A listening socket, registered with the runtime.
pub(super) enum StreamAcceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

pub(super) enum AcceptedStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl StreamAcceptor {
    pub(super) fn new(socket: ListeningSocket) -> io::Result<Self> {
        match socket {
            ListeningSocket::Tcp(socket) => TcpListener::from_std(socket).map(Self::Tcp),
            ListeningSocket::Unix(socket) => UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    /// Accepts a connection, and returns it with the address of its client, which is [`UNIX_CLIENT`] for a Unix socket.
    pub(super) async fn accept(&self) -> io::Result<(AcceptedStream, IpAddr)> {
        match self {
            Self::Tcp(socket) => {
                socket.accept().await.map(|(stream, address)| (AcceptedStream::Tcp(stream), address.ip()))
            }
            Self::Unix(socket) => socket.accept().await.map(|(stream, _)| (AcceptedStream::Unix(stream), UNIX_CLIENT)),
        }
    }

    /// Returns up to `most` connections from the queue of the socket, and closes the socket when the iterator is
    /// dropped. The connections in the queue are established, and the kernel would reset them if the socket were closed
    /// at once.
    pub(super) fn close(self, most: usize) -> impl Iterator<Item = (AcceptedStream, IpAddr)> {
        // If the runtime can't give the socket back, the runtime closes it, and no connection is returned.
        let socket = match self {
            Self::Tcp(socket) => socket.into_std().ok().map(ListeningSocket::Tcp),
            Self::Unix(socket) => socket.into_std().ok().map(ListeningSocket::Unix),
        };
        std::iter::from_fn(move || socket.as_ref().and_then(accept_waiting)).take(most)
    }
}

/// Accepts a connection that is in the queue; returns `None` if the queue is empty or the system fails.
fn accept_waiting(socket: &ListeningSocket) -> Option<(AcceptedStream, IpAddr)> {
    match socket {
        ListeningSocket::Tcp(socket) => {
            let (stream, address) = socket.accept().ok()?;
            // On Linux, an accepted socket doesn't inherit the non-blocking mode of the listening socket.
            stream.set_nonblocking(true).ok()?;
            Some((AcceptedStream::Tcp(TcpStream::from_std(stream).ok()?), address.ip()))
        }
        ListeningSocket::Unix(socket) => {
            let (stream, _) = socket.accept().ok()?;
            stream.set_nonblocking(true).ok()?;
            Some((AcceptedStream::Unix(UnixStream::from_std(stream).ok()?), UNIX_CLIENT))
        }
    }
}

impl AcceptedStream {
    /// Limits what the system keeps for a client that reads nothing, so that the rest of an answer stays in the
    /// process's own budget. Otherwise the system's buffers, which count as memory of the control group, grow to some
    /// megabytes for each such client. A Unix socket has a fixed buffer.
    pub(super) fn bound_unread(&self) {
        if let Self::Tcp(stream) = self {
            // An older kernel doesn't know the option, and works as before.
            let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNREAD);
        }
    }

    /// Sends a refusal to a client that gets no place. Bytes that the system doesn't accept at once are dropped,
    /// because the task that accepts clients must not wait for one client.
    pub(super) fn turn_away(&self, refusal: &[u8]) {
        // The request is read first: a socket that is closed with unread bytes is reset, and the client may lose the
        // refusal.
        let mut unread = [0; 4_096];
        match self {
            Self::Tcp(stream) => {
                let _ = stream.try_read(&mut unread);
                let _ = stream.try_write(refusal);
            }
            Self::Unix(stream) => {
                let _ = stream.try_read(&mut unread);
                let _ = stream.try_write(refusal);
            }
        }
    }

    /// Converts the connection to Pingora's type.
    pub(super) fn into_stream(self) -> l4::stream::Stream {
        match self {
            Self::Tcp(stream) => stream.into(),
            Self::Unix(stream) => stream.into(),
        }
    }
}

impl AsRawFd for AcceptedStream {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }
}
