//! The bounded queue of the log, and the thread that writes the queued lines to a file.
//!
//! Standard error is often a pipe, and a write to it blocks while its reader pauses. Requests, signals and health
//! checks must not wait for such a write. So lines are queued, and dropped when the queue is full. Dropped lines are
//! counted, and their number is logged as soon as the log is read again.

use std::{
    io::{self, Write},
    iter,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

/// The largest number of bytes in the queue with which routine lines are accepted. Beyond it, they are dropped. If a
/// line has 300 bytes, the queue has room for about 5,700 lines with their overhead.
const CAPACITY: usize = 2 << 20;

/// The number of additional bytes in the queue that only warnings and errors may use, so these lines are dropped last.
const RESERVE: usize = 1 << 20;

/// The approximate overhead of a queued line, in bytes.
const OVERHEAD: usize = 64;

/// The time that the thread waits after the first line for more lines, to write them together. If the thread were
/// always waiting for the next line, most requests would have to wake it, which costs more than the rest of the work
/// for a line.
const GATHER: Duration = Duration::from_millis(2);

/// The largest write of several lines, in bytes. A pipe accepts a write of up to `PIPE_BUF` bytes as a whole, so lines
/// of other processes can't come in between.
const WRITE: usize = 4_096;

/// The pause before another write to a file that accepts nothing at the moment: a terminal or a pipe in non-blocking
/// mode.
const PAUSE: Duration = Duration::from_millis(10);

/// Counters of the queued bytes and of the dropped lines.
#[derive(Debug, Default)]
pub struct LogCounts {
    /// The bytes in the queue, including the overhead of each line.
    waiting: AtomicUsize,
    /// The lines that were dropped because the queue was full.
    overflowed: AtomicU64,
    /// The lines that were dropped because a write failed.
    unwritten: AtomicU64,
}

impl LogCounts {
    /// Returns the number of dropped lines for each reason: `queue_full`, or `write_failed` if the file returned an
    /// error.
    #[must_use]
    pub fn dropped(&self) -> [(&'static str, u64); 2] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("queue_full", read(&self.overflowed)), ("write_failed", read(&self.unwritten))]
    }

    /// Reserves `size` bytes of a queue with `capacity` bytes. If there is no room, counts a dropped line and returns
    /// `false`.
    fn reserve(&self, size: usize, capacity: usize) -> bool {
        let taken = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
            waiting.checked_add(size).filter(|waiting| *waiting <= capacity)
        });
        if taken.is_err() {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
        }
        taken.is_ok()
    }
}

/// The sending end of the queue. The writing thread ends after the last sender is dropped and all lines are written.
#[derive(Clone, Debug)]
pub struct LogQueue {
    sender: mpsc::Sender<QueueEntry>,
    counts: Arc<LogCounts>,
}

#[derive(Debug)]
enum QueueEntry {
    Line(Vec<u8>),
    /// A request to send a message to this channel when all earlier entries have been written.
    Mark(mpsc::SyncSender<()>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Routine messages.
    Usual,
    /// Warnings and errors.
    Urgent,
}

impl LogQueue {
    /// Starts a thread that writes to `file`. When the queue is empty, the thread reports lines that were dropped: it
    /// calls `tell` with the reason and the number of lines since the last call. Lines that couldn't be written are
    /// reported once the file takes lines again. `tell` may log lines, which are queued like any others.
    ///
    /// # Errors
    ///
    /// Returns an error if the thread can't be started.
    pub fn begin(
        mut file: impl Write + Send + 'static,
        counts: Arc<LogCounts>,
        tell: impl Fn(&'static str, u64) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::clone(&counts);
        // A write to a pipe blocks while the reader pauses, so only this thread writes. Test:
        // `a_log_without_a_reader_stops_no_request`.
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            let (mut told, mut lines) = ([0; 2], LineBatch::default());
            while let Some(first) = next(&receiver, || {
                // While the file fails, a report would be lost, and would be the cause of the next one.
                let all = shared.dropped();
                let reported = if lines.has_failed { &all[..1] } else { &all[..] };
                for ((reason, count), told) in reported.iter().zip(&mut told) {
                    if *count > *told {
                        tell(reason, *count - *told);
                        *told = *count;
                    }
                }
            }) {
                thread::sleep(GATHER);
                for entry in iter::once(first).chain(receiver.try_iter()) {
                    match entry {
                        QueueEntry::Line(line) => {
                            // The pipe could split a larger write, so the earlier lines are written first.
                            if lines.bytes.len() + line.len() > WRITE {
                                lines.write(&mut file, &shared);
                            }
                            lines.add(&line);
                        }
                        QueueEntry::Mark(reached) => {
                            lines.write(&mut file, &shared);
                            // The waiting thread may have given up, so a failure is ignored.
                            let _ = reached.try_send(());
                        }
                    }
                }
                lines.write(&mut file, &shared);
            }
        })?;
        Ok(Self { sender, counts })
    }

    /// Queues a line without waiting. If there is no room, drops and counts the line.
    pub fn push(&self, line: &[u8], urgency: Urgency) {
        // Only warnings and errors may use the reserve, so they are dropped last. Test:
        // `errors_are_dropped_last_and_dropped_lines_are_reported`.
        let capacity = CAPACITY + if urgency == Urgency::Urgent { RESERVE } else { 0 };
        if self.counts.reserve(line.len() + OVERHEAD, capacity) {
            // The receiving thread runs as long as a sender exists, so sending doesn't fail.
            let _ = self.sender.send(QueueEntry::Line(line.to_vec()));
        }
    }

    /// Waits until all entries queued so far are written, for at most `most`.
    pub fn flush(&self, most: Duration) {
        let (reached, mark) = mpsc::sync_channel(1);
        let _ = self.sender.send(QueueEntry::Mark(reached));
        let _ = mark.recv_timeout(most);
    }
}

/// Returns the next entry; `None` after the last sender is dropped. If the queue is empty, calls `idle` and then waits.
fn next(receiver: &mpsc::Receiver<QueueEntry>, idle: impl FnOnce()) -> Option<QueueEntry> {
    match receiver.try_recv() {
        Err(mpsc::TryRecvError::Empty) => {
            idle();
            receiver.recv().ok()
        }
        entry => entry.ok(),
    }
}

/// Lines that are written together, up to [`WRITE`] bytes unless a single line is longer.
#[derive(Debug, Default)]
struct LineBatch {
    bytes: Vec<u8>,
    /// The end of each line in `bytes`.
    ends: Vec<usize>,
    /// `true` if the last write failed.
    has_failed: bool,
    /// `true` if the last line that was written to the file lacks its end.
    is_cut: bool,
}

impl LineBatch {
    fn add(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    /// Writes the lines, however long that takes, and frees their room in the queue. A line at which a write fails is
    /// dropped and counted, and the next line is tried.
    fn write(&mut self, file: &mut impl Write, counts: &LogCounts) {
        let mut written = 0;
        while written < self.bytes.len() {
            // A whole line after the beginning of another one would be part of that one.
            let next = if self.is_cut { b"\n" } else { &self.bytes[written..] };
            match write(file, next) {
                Ok(count) => {
                    written += if self.is_cut { 0 } else { count };
                    (self.has_failed, self.is_cut) = (false, false);
                }
                Err(_) => {
                    self.has_failed = true;
                    // The rest of the line is dropped, because it wouldn't be a valid line by itself. Test:
                    // `room_is_freed_and_unwritten_lines_are_counted`.
                    let line = self.ends.partition_point(|end| *end <= written);
                    self.is_cut |= written > line.checked_sub(1).map_or(0, |before| self.ends[before]);
                    written = self.ends.get(line).copied().unwrap_or(self.bytes.len());
                    counts.unwritten.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        counts.waiting.fetch_sub(self.bytes.len() + self.ends.len() * OVERHEAD, Ordering::Relaxed);
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Writes some of the bytes, and returns the number written. While the file accepts no bytes, waits and tries again:
/// another process may have set the shared file to non-blocking mode.
fn write(file: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => return file.flush().map(|()| count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A file in which each write waits for a permit: the number of bytes that the write accepts, or its error.
    struct Paused {
        permits: mpsc::Receiver<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Paused {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the sender of permits is dropped, the file accepts everything.
            let count = self.permits.recv().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Log {
        queue: LogQueue,
        counts: Arc<LogCounts>,
        permits: mpsc::Sender<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
        told: mpsc::Receiver<(&'static str, u64)>,
    }

    fn log() -> Log {
        let (permits, permitted) = mpsc::channel();
        let (written, counts) = (Arc::new(Mutex::new(Vec::new())), Arc::new(LogCounts::default()));
        let file = Paused { permits: permitted, written: Arc::clone(&written) };
        let (tell, told) = mpsc::channel();
        let queue = LogQueue::begin(file, Arc::clone(&counts), move |reason, dropped| {
            tell.send((reason, dropped)).unwrap();
        });
        let queue = queue.unwrap();
        Log { queue, counts, permits, written, told }
    }

    #[test]
    fn errors_are_dropped_last_and_dropped_lines_are_reported() {
        let log = log();
        let line = [b'.'; 1_000];
        let fits = CAPACITY / (line.len() + OVERHEAD);
        (0..fits + 7).for_each(|_| log.queue.push(&line, Urgency::Usual));
        assert_eq!(log.counts.dropped(), [("queue_full", 7), ("write_failed", 0)]);
        log.queue.push(b"an error", Urgency::Urgent);
        assert_eq!(log.counts.dropped()[0].1, 7, "there is room for errors still");
        log.queue.push(&vec![b'!'; RESERVE], Urgency::Urgent);
        assert_eq!(log.counts.dropped()[0].1, 8, "but not without end");
        log.queue.flush(Duration::ZERO);
        drop(log.permits);
        assert_eq!(log.told.recv(), Ok(("queue_full", 8)));
        let written = log.written.lock().unwrap();
        assert!(written.len() == fits * line.len() + 8 && written.ends_with(b"an error"), "{}", written.len());
    }

    #[test]
    fn room_is_freed_and_unwritten_lines_are_counted() {
        let log = log();
        for turn in [Ok(2), Err(io::ErrorKind::Interrupted.into()), Err(io::ErrorKind::WouldBlock.into()), Ok(5)] {
            log.permits.send(turn).unwrap();
        }
        log.permits.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        // The end of the cut line, and then the next line.
        (0..2).for_each(|_| log.permits.send(Ok(9)).unwrap());
        for line in ["first", "second", "third"] {
            log.queue.push(line.as_bytes(), Urgency::Usual);
        }
        log.queue.flush(Duration::from_secs(60));
        // The second line is cut after two bytes, because the file then failed.
        assert_eq!(*log.written.lock().unwrap(), b"firstse\nthird");
        assert_eq!(log.counts.dropped(), [("queue_full", 0), ("write_failed", 1)]);
        assert_eq!(log.counts.waiting.load(Ordering::Relaxed), 0);
        assert_eq!(log.told.recv(), Ok(("write_failed", 1)), "once the file takes lines again");
    }
}
