//! The process and the machine: the clock, file descriptors, memory, futures, and the queue of the log.

pub mod clock;
pub mod descriptors;
pub mod futures;
pub mod log_queue;
pub mod memory_limit;
