//! A client's connection of HTTP/2 as Pingora sees it. Reads return first the bytes that were read to recognize the
//! protocol. The connection's [`Traffic`] counts every byte in either direction.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use async_trait::async_trait;
use bytes::{Buf as _, BytesMut};
use pingora::protocols::{Shutdown, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

use super::traffic::Traffic;
use crate::{runtime::clock, server::gate::delegate};

/// The traffic of a connection. The connection's [`Wire`] counts it, and the loop that accepts requests acts on the
/// counts.
#[derive(Debug)]
pub(super) struct Watched {
    traffic: Mutex<Traffic>,
    changed: Notify,
}

impl Watched {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { traffic: Mutex::new(Traffic::new(clock::instant())), changed: Notify::new() })
    }

    pub(super) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        // No code panics while holding the lock, so poisoning is ignored.
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a stream has begun or ended, a head has become incomplete or complete, or the client floods.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Applies `count` to the traffic. Wakes the loop if this changes the number of open streams, the incomplete head
    /// or the flood state.
    fn count(&self, count: impl FnOnce(&mut Traffic)) {
        let mut traffic = self.traffic();
        let state = |traffic: &Traffic| (traffic.open(), traffic.incomplete_since(), traffic.is_flooded());
        let before = state(&traffic);
        count(&mut traffic);
        if state(&traffic) != before {
            self.changed.notify_one();
        }
    }
}

#[derive(Debug)]
pub(super) struct Wire {
    /// Bytes that have been read from the stream but not yet passed to Pingora.
    prefix: BytesMut,
    stream: Stream,
    watched: Arc<Watched>,
}

impl Wire {
    pub(super) fn new(prefix: BytesMut, stream: Stream, watched: Arc<Watched>) -> Self {
        // The prefix is counted here, because `poll_read` returns it without counting.
        watched.count(|traffic| traffic.received(&prefix, clock::instant()));
        Self { prefix, stream, watched }
    }

    fn stream(&self) -> &Stream {
        &self.stream
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let count = self.prefix.len().min(buffer.remaining());
            buffer.put_slice(&self.prefix[..count]);
            self.prefix.advance(count);
            return Poll::Ready(Ok(()));
        }
        if self.watched.traffic().is_flooded() {
            // Nothing more is read from a client that floods. The loop ends its connection.
            return Poll::Pending;
        }
        // The buffer may contain bytes of an earlier read, which have already been counted.
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.watched.count(|traffic| traffic.received(&buffer.filled()[before..], clock::instant()));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        // Bytes that the stream didn't accept are counted when they are written again.
        self.watched.count(|traffic| traffic.sent(&bytes[..count]));
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        self.watched.count(|traffic| {
            let mut left = count;
            for slice in slices {
                let sent = left.min(slice.len());
                traffic.sent(&slice[..sent]);
                left -= sent;
            }
        });
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Wire {
    async fn shutdown(&mut self) {
        // A client that is gone needs no shutdown, so a failure is ignored.
        let _ = self.stream.shutdown().await;
    }
}

delegate!(Wire);
