//! The process and the machine: the clock, descriptors, sockets, memory, the service manager, futures, and the queue of
//! the log.

pub(crate) mod clock;
pub(crate) mod descriptors;
pub(crate) mod figures;
pub(crate) mod futures;
pub(crate) mod log_queue;
pub(crate) mod memory_limit;
pub(crate) mod service_manager;
pub(crate) mod sockets;
