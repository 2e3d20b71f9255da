//! The frames of a connection of HTTP/2 (RFC 9113 section 4.1), as seen on the wire in both directions: which streams
//! are open, since when a head is incomplete, and whether the client floods. The module performs no I/O.
//!
//! The `h2` crate bounds streams, header lists and buffers. It does not count the frames by which a client can keep a
//! server busy without requests, such as resets of streams that it has begun, pings, settings, priorities and empty
//! frames. Each of these frames takes tokens from a bucket of [`CALM`] tokens, which time and answers refill. A client
//! that empties the bucket is disconnected.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// The length of the client's preface, in bytes (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// The length of a frame's header, in bytes.
const HEADER: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// The size of the token bucket: the number of frames without a request, such as pings, that a client may send at once.
const CALM: u32 = 1_000;

/// The number of tokens that each second adds to the bucket.
const CALM_A_SECOND: u32 = 50;

/// The number of tokens that the reset of a stream takes, because the stream may have caused a request to the upstream.
/// A client may reset 100 streams at once, and 5 more each second (CVE-2023-44487); each stream that it doesn't reset
/// permits another one. A reset by the gateway takes as many tokens, because a client can provoke it (CVE-2025-8671).
const RESET: u32 = 10;

/// The number of tokens that each part of an answer's body adds to the bucket, because a client acknowledges parts by
/// `WINDOW_UPDATE` frames.
const CALM_A_PART: u32 = 3;

/// A frame without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WireFrame {
    kind: u8,
    flags: u8,
    stream: u32,
    length: usize,
}

impl WireFrame {
    fn parse(header: [u8; HEADER]) -> Self {
        let [high, middle, low, kind, flags, stream @ ..] = header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        // The first bit of a stream's number is reserved and ignored (RFC 9113 section 4.1).
        Self { kind, flags, stream: u32::from_be_bytes(stream) & (u32::MAX >> 1), length }
    }

    fn ends_stream(self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// Finds the frames in bytes that arrive in pieces.
#[derive(Debug)]
struct FrameScanner {
    header: [u8; HEADER],
    /// The number of bytes of the header that have arrived.
    have: usize,
    /// The number of bytes of the payload, or of the preface, that haven't arrived.
    left: usize,
    frame: Option<WireFrame>,
}

impl FrameScanner {
    fn after(preface: usize) -> Self {
        Self { header: [0; HEADER], have: 0, left: preface, frame: None }
    }

    /// Calls `each` with every frame that ends in these bytes. Each iteration takes at least one byte.
    fn scan(&mut self, mut bytes: &[u8], mut each: impl FnMut(WireFrame)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(bytes.len());
                bytes = &bytes[taken..];
                self.left -= taken;
            } else {
                let taken = (HEADER - self.have).min(bytes.len());
                self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
                bytes = &bytes[taken..];
                self.have += taken;
                if self.have < HEADER {
                    return;
                }
                let frame = WireFrame::parse(self.header);
                (self.frame, self.left, self.have) = (Some(frame), frame.length, 0);
            }
            // A frame without a payload ends with its header; the preface ends without a frame.
            if self.left == 0
                && let Some(frame) = self.frame.take()
            {
                each(frame);
            }
        }
    }

    /// Returns whether the preface, or a frame that is not part of a body, is incomplete.
    fn is_within(&self) -> bool {
        // A body may arrive slowly, because its request has another deadline. Test:
        // `a_head_is_incomplete_until_its_last_byte`.
        self.have > 0 || self.left > 0 && self.frame.is_none_or(|frame| frame.kind != DATA)
    }
}

/// The state of a connection according to the frames so far.
#[derive(Debug)]
pub(super) struct Traffic {
    incoming: FrameScanner,
    outgoing: FrameScanner,
    /// The streams whose request has a complete head, and whose answer has neither ended nor been reset on the wire.
    open: BTreeSet<u32>,
    /// The greatest number of a stream that the client has begun.
    greatest: u32,
    /// The stream whose head is incomplete and continues in `CONTINUATION` frames; `None` if all heads are complete.
    head: Option<u32>,
    /// The time since which a head, or another frame that isn't part of a body, is incomplete; `None` if all are
    /// complete.
    incomplete_since: Option<Instant>,
    /// The number of tokens in the bucket: the frames without a request that the client may still send.
    calm: u32,
    /// The time up to which `calm` has been refilled.
    calm_at: Instant,
    is_flooded: bool,
}

impl Traffic {
    /// Creates the state of a new connection.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            incoming: FrameScanner::after(PREFACE),
            outgoing: FrameScanner::after(0),
            open: BTreeSet::new(),
            greatest: 0,
            head: None,
            incomplete_since: None,
            calm: CALM,
            calm_at: now,
            is_flooded: false,
        }
    }

    /// Returns the number of open streams.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Returns the time since which a head, or another frame that isn't part of a body, is incomplete; `None` if all
    /// are complete.
    pub(super) fn incomplete_since(&self) -> Option<Instant> {
        self.incomplete_since
    }

    /// Returns whether the client has sent too many frames without a request.
    pub(super) fn is_flooded(&self) -> bool {
        self.is_flooded
    }

    /// Reads bytes that the client has sent, and takes tokens from the bucket for frames without a request.
    pub(super) fn received(&mut self, bytes: &[u8], now: Instant) {
        self.refill(now);
        let Self { incoming, open, greatest, head, .. } = self;
        let mut cost = 0_u32;
        incoming.scan(bytes, |frame| {
            // Clients begin streams of odd and increasing numbers; other HEADERS frames are trailers (RFC 9113 section
            // 5.1.1).
            let begins = frame.kind == HEADERS && frame.stream % 2 == 1 && frame.stream > *greatest;
            cost += match frame.kind {
                RST_STREAM => RESET,
                HEADERS if begins => 0,
                DATA if frame.length > 0 || frame.ends_stream() => 0,
                // An empty part of a body counts unless it ends the body. Test: `frames_without_a_request_are_limited`.
                _ => 1,
            };
            if begins {
                (*greatest, *head) = (frame.stream, Some(frame.stream));
            }
            if frame.kind == RST_STREAM {
                open.remove(&frame.stream);
            }
            if matches!(frame.kind, HEADERS | CONTINUATION)
                && frame.flags & END_HEADERS != 0
                // Trailers don't open their stream again, because its head was complete before. Test:
                // `streams_are_open_from_their_head_to_their_end_however_bytes_are_cut`.
                && let Some(stream) = head.take()
            {
                open.insert(stream);
            }
        });
        self.spend(cost);
        // The time remains the arrival of the first byte, so a head that arrives in pieces has only one deadline.
        let is_incomplete = self.head.is_some() || self.incoming.is_within();
        self.incomplete_since = is_incomplete.then(|| self.incomplete_since.unwrap_or(now));
    }

    /// Reads bytes that are sent to the client. The end of an answer adds [`RESET`] tokens to the bucket, and each part
    /// of a body adds [`CALM_A_PART`]. The reset of a stream takes [`RESET`] tokens.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        let Self { outgoing, open, .. } = self;
        let (mut cost, mut gain) = (0_u32, 0_u32);
        outgoing.scan(bytes, |frame| {
            gain += if frame.kind == DATA { CALM_A_PART } else { 0 };
            if frame.kind == RST_STREAM {
                cost += RESET;
                open.remove(&frame.stream);
            } else if frame.ends_stream() && open.remove(&frame.stream) {
                // Each stream that the client lets end pays for one that the client resets. Test:
                // `answers_and_time_refill_the_frame_allowance_of_a_connection`.
                gain += RESET;
            }
        });
        self.calm = self.calm.saturating_add(gain).min(CALM);
        self.spend(cost);
    }

    fn spend(&mut self, cost: u32) {
        self.is_flooded |= cost > self.calm;
        self.calm = self.calm.saturating_sub(cost);
    }

    fn refill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.calm_at).as_secs();
        if seconds > 0 {
            // `calm_at` advances by whole seconds only. Otherwise the fractions of a second between frequent frames
            // would be lost.
            self.calm_at += Duration::from_secs(seconds);
            let gain = u32::try_from(seconds).unwrap_or(u32::MAX).saturating_mul(CALM_A_SECOND);
            self.calm = self.calm.saturating_add(gain).min(CALM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock;

    const PING: u8 = 0x6;

    fn frame(kind: u8, flags: u8, stream: u32, length: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, length, kind, flags];
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend(std::iter::repeat_n(0xff, length.into()));
        bytes
    }

    fn greeted() -> (Traffic, Instant) {
        let now = clock::instant();
        let mut traffic = Traffic::new(now);
        traffic.received(&[b'x'; PREFACE], now);
        (traffic, now)
    }

    #[test]
    fn streams_are_open_from_their_head_to_their_end_however_bytes_are_cut() {
        let client = [
            vec![b'x'; PREFACE],
            frame(0x4, 0, 0, 6),
            frame(HEADERS, END_HEADERS | END_STREAM, 1, 20),
            frame(HEADERS, 0, 3, 200),
            frame(CONTINUATION, 0, 3, 9),
            frame(CONTINUATION, END_HEADERS, 3, 0),
            frame(HEADERS, END_HEADERS, 5, 3),
            frame(DATA, 0, 5, 100),
            frame(HEADERS, END_HEADERS | END_STREAM, 5, 1),
            frame(RST_STREAM, 0, 1, 4),
        ]
        .concat();
        let server = [
            frame(HEADERS, END_HEADERS, 3, 9),
            frame(DATA, 0, 3, 50),
            frame(DATA, END_STREAM, 3, 0),
            frame(RST_STREAM, 0, 5, 4),
        ]
        .concat();
        for size in [1, 2, 8, 9, 10, 33, client.len()] {
            let now = clock::instant();
            let mut traffic = Traffic::new(now);
            client.chunks(size).for_each(|piece| traffic.received(piece, now));
            assert_eq!((traffic.open(), traffic.incomplete_since()), (2, None), "{size}");
            server.chunks(size).for_each(|piece| traffic.sent(piece));
            assert_eq!((traffic.open(), traffic.is_flooded()), (0, false), "{size}");
        }
    }

    #[test]
    fn a_head_is_incomplete_until_its_last_byte() {
        let (mut traffic, start) = greeted();
        let later = start + Duration::from_secs(3);
        let head =
            [frame(HEADERS, 0, 1, 5), frame(CONTINUATION, 0, 1, 5), frame(CONTINUATION, END_HEADERS, 1, 5)].concat();
        for byte in &head[..head.len() - 1] {
            traffic.received(std::slice::from_ref(byte), start);
            assert_eq!((traffic.incomplete_since(), traffic.open()), (Some(start), 0));
        }
        traffic.received(&head[head.len() - 1..], later);
        assert_eq!((traffic.incomplete_since(), traffic.open()), (None, 1));
        // A body may arrive slowly, because its request has another deadline.
        traffic.received(&frame(DATA, 0, 1, 100)[..50], later);
        assert_eq!(traffic.incomplete_since(), None);
    }

    #[test]
    fn frames_without_a_request_are_limited() {
        for (kind, cost) in [(PING, 1), (0x4, 1), (0x2, 1), (0x8, 1), (DATA, 1), (0xfa, 1), (RST_STREAM, RESET)] {
            let (mut traffic, now) = greeted();
            for _ in 0..CALM / cost {
                traffic.received(&frame(kind, 0, 1, 0), now);
            }
            assert!(!traffic.is_flooded(), "{kind}");
            traffic.received(&frame(kind, 0, 1, 0), now);
            assert!(traffic.is_flooded(), "{kind}");
        }
    }

    /// A client that reads its answers never empties the bucket, and neither does a client that sends one ping each
    /// second.
    #[test]
    fn answers_and_time_refill_the_frame_allowance_of_a_connection() {
        let (mut traffic, mut now) = greeted();
        for number in 0..20_000 {
            let stream = 2 * number + 1;
            traffic.received(&frame(HEADERS, END_HEADERS | END_STREAM, stream, 9), now);
            traffic.sent(&frame(HEADERS, END_HEADERS, stream, 9));
            traffic.sent(&frame(DATA, END_STREAM, stream, 200));
            traffic.received(
                &[frame(0x8, 0, 0, 4), frame(0x8, 0, stream, 4), frame(RST_STREAM, 0, stream, 4)].concat(),
                now,
            );
        }
        for _ in 0..10_000 {
            now += Duration::from_secs(1);
            traffic.received(&frame(PING, 0, 0, 8), now);
        }
        assert!(!traffic.is_flooded());
    }
}
