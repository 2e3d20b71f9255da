//! A client's connection of HTTP/1.1 as Pingora sees it. The connection has a buffer for writes, and Pingora can't read
//! it beyond the current request.
//!
//! Bytes that arrive after a request and before its response belong to no request that the gateway has read. Pingora
//! drops such bytes if it happens to read them, and fails a forwarded request. Here the bytes stay unread, and the
//! response announces that the connection closes. Test: `a_forwarded_request_is_answered_though_its_client_sends_on`.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use pingora::protocols::{Shutdown, Stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter, ReadBuf, Take};

use crate::{request::head::Framing, session::context::Surplus};

/// The size of the write buffer, in bytes: a head and a small page are sent in one write. Chunks of streams are flushed
/// at once. Every connection keeps a buffer of this size after its first use.
const WRITE_BUFFER: usize = 8 * 1024;

/// A connection that can be read only up to the end of the current request's body.
#[derive(Debug)]
pub struct Gated {
    /// The limit of `Take` is the number of bytes of the current request's body that have not been read.
    io: Take<BufWriter<Stream>>,
    /// The flag that is set when bytes after the current request are noticed.
    surplus: Surplus,
}

impl Gated {
    /// Wraps a connection. Reads return no bytes until [`Gated::open`] permits reading a body.
    pub fn new(stream: Stream) -> Self {
        Self { io: BufWriter::with_capacity(WRITE_BUFFER, stream).take(0), surplus: Surplus::default() }
    }

    /// Returns the connection without its limit, to read the next head and to write a refusal.
    pub fn between_requests(&mut self) -> &mut BufWriter<Stream> {
        self.io.get_mut()
    }

    /// Returns the connection itself. Bytes in the write buffer are lost, so all of them must have been sent.
    pub fn into_stream(self) -> Stream {
        self.io.into_inner().into_inner()
    }

    /// Permits reads to the end of a request's body. `left` is the part of the body that hasn't been read. Returns the
    /// flag of surplus bytes.
    pub fn open(&mut self, left: Framing) -> Surplus {
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
        // Once noticed, surplus bytes stay unread, and the client counts as connected until the response is written.
        if self.surplus.is_there() {
            return Poll::Pending;
        }
        // The request has been read completely, so Pingora reads only to find out whether the client is still
        // connected. If there are surplus bytes, this read loses one of them, so the connection closes after the
        // response.
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
        // A client that is gone needs no shutdown, so a failure is ignored.
        let _ = self.io.get_mut().shutdown().await;
    }
}

/// Implements Pingora's traits of a connection by its method `stream`, which returns the connection within.
macro_rules! delegate {
    ($connection:ty) => {
        impl pingora::protocols::UniqueID for $connection {
            fn id(&self) -> pingora::protocols::UniqueIDType {
                self.stream().id()
            }
        }

        impl pingora::protocols::Ssl for $connection {
            fn get_ssl(&self) -> Option<&pingora::protocols::tls::TlsRef> {
                self.stream().get_ssl()
            }

            fn get_ssl_digest(&self) -> Option<std::sync::Arc<pingora::protocols::tls::SslDigest>> {
                self.stream().get_ssl_digest()
            }

            fn selected_alpn_proto(&self) -> Option<pingora::protocols::ALPN> {
                self.stream().selected_alpn_proto()
            }
        }

        impl pingora::protocols::GetTimingDigest for $connection {
            fn get_timing_digest(&self) -> Vec<Option<pingora::protocols::TimingDigest>> {
                self.stream().get_timing_digest()
            }

            fn get_read_pending_time(&self) -> std::time::Duration {
                self.stream().get_read_pending_time()
            }

            fn get_write_pending_time(&self) -> std::time::Duration {
                self.stream().get_write_pending_time()
            }
        }

        impl pingora::protocols::GetProxyDigest for $connection {
            fn get_proxy_digest(&self) -> Option<std::sync::Arc<pingora::protocols::raw_connect::ProxyDigest>> {
                self.stream().get_proxy_digest()
            }
        }

        impl pingora::protocols::GetSocketDigest for $connection {
            fn get_socket_digest(&self) -> Option<std::sync::Arc<pingora::protocols::SocketDigest>> {
                self.stream().get_socket_digest()
            }
        }

        impl pingora::protocols::Peek for $connection {}
    };
}

pub(super) use delegate;

delegate!(Gated);
