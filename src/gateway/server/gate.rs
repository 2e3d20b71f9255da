//! A client's connection as Pingora sees it: buffered for writing, and never read beyond the request in hand.
//!
//! Whatever comes after a request's end and before its response belongs to no request that the gateway has read. Pingora
//! drops such bytes where it happens to have read them, and fails a forwarded request for them. Here they stay unread, and
//! are noticed, so that the response says that the connection closes after it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
    raw_connect::ProxyDigest,
    tls::{SslDigest, TlsRef},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter, ReadBuf, Take};

use crate::gateway::{request::head::Framing, session::context::Surplus};

/// What is collected before it is written to a client, so that the head of a response and a small page leave in one write.
/// Chunks of what is streamed are written at once all the same. Every connection that was ever used keeps so much.
const WRITE_BUFFER: usize = 8 * 1024;

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Gated {
    /// The limit is what is left of the body of the request in hand.
    io: Take<BufWriter<Stream>>,
    surplus: Surplus,
}

impl Gated {
    /// A connection on which no request is in hand.
    pub(crate) fn new(stream: Stream) -> Self {
        Self { io: BufWriter::with_capacity(WRITE_BUFFER, stream).take(0), surplus: Surplus::default() }
    }

    /// The connection itself, while no request is in hand.
    pub(crate) fn between_requests(&mut self) -> &mut BufWriter<Stream> {
        self.io.get_mut()
    }

    /// Opens for a request, of which so much is still to be read.
    pub(crate) fn open(&mut self, left: Framing) -> Surplus {
        self.io.set_limit(match left {
            Framing::Length(left) => left,
            Framing::Open => u64::MAX,
        });
        self.surplus.clone()
    }

    fn io(&mut self) -> Pin<&mut BufWriter<Stream>> {
        Pin::new(self.io.get_mut())
    }
}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.io.limit() > 0 {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        if self.surplus.is_there() {
            return Poll::Pending;
        }
        // All of the request was read: whoever reads on wants to know whether the client is still there.
        let mut probe = [0];
        let mut probe = ReadBuf::new(&mut probe);
        ready!(self.io().poll_read(context, &mut probe))?;
        if probe.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.surplus.notice();
        Poll::Pending
    }
}

impl AsyncWrite for Gated {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.io().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }
}

impl Gated {
    fn stream(&self) -> &Stream {
        self.io.get_ref().get_ref()
    }
}

#[async_trait]
impl Shutdown for Gated {
    async fn shutdown(&mut self) {
        // A client that is gone need not be told.
        let _ = self.io.get_mut().shutdown().await;
    }
}

impl UniqueID for Gated {
    fn id(&self) -> UniqueIDType {
        self.stream().id()
    }
}

impl Ssl for Gated {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.stream().get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream().get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream().selected_alpn_proto()
    }
}

impl GetTimingDigest for Gated {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream().get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.stream().get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.stream().get_write_pending_time()
    }
}

impl GetProxyDigest for Gated {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream().get_proxy_digest()
    }
}

impl GetSocketDigest for Gated {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream().get_socket_digest()
    }
}

impl Peek for Gated {}
