//! The server's end of a pipe in memory, as a connection of Pingora. The connection has the address and the TLS of the
//! client that the service works for, so the gateway treats it like that client's connection.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType, raw_connect::ProxyDigest, tls::SslDigest,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use super::caller::Caller;

/// The file descriptor that the pipe reports, because it has no socket. No open descriptor has this number, so Pingora
/// can't read the state of another socket by mistake.
const NO_SOCKET: i32 = -1;

#[derive(Debug)]
pub(super) struct PipeStream {
    io: DuplexStream,
    socket: Arc<SocketDigest>,
    tls: Option<Arc<SslDigest>>,
}

impl PipeStream {
    /// Wraps the server's end of a pipe, with the address and the TLS of `caller`.
    pub(super) fn new(io: DuplexStream, caller: &Caller) -> Self {
        let socket = SocketDigest::from_raw_fd(NO_SOCKET);
        // This fails only if an address is set already, and the digest is new.
        let _ = socket.peer_addr.set(caller.address.clone());
        Self { io, socket: Arc::new(socket), tls: caller.tls.clone() }
    }
}

impl AsyncRead for PipeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for PipeStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[async_trait]
impl Shutdown for PipeStream {
    async fn shutdown(&mut self) {
        // This fails if the other end has been dropped, which needs no action.
        let _ = AsyncWriteExt::shutdown(&mut self.io).await;
    }
}

impl UniqueID for PipeStream {
    fn id(&self) -> UniqueIDType {
        NO_SOCKET
    }
}

impl Ssl for PipeStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }
}

impl GetTimingDigest for PipeStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for PipeStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for PipeStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.socket))
    }
}

impl Peek for PipeStream {}
