//! The process and the machine: the clock, descriptors, sockets, memory, the service manager, futures, and the queue of
//! the log.

pub mod clock;
pub mod descriptors;
pub mod figures;
pub mod futures;
pub mod log_queue;
pub mod memory_limit;
pub mod service_manager;
pub mod sockets;
