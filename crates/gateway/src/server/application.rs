//! What answers the requests of a listener: the gateway, or the reports for operators.

use std::sync::Arc;

use pingora::{apps::ReusedHttpStream, protocols::http::ServerSession, server::ShutdownWatch};

/// What answers the requests of a listener.
pub trait Application: Send + Sync + 'static {
    /// Answers the request of a session. Returns the connection if another request can follow on it.
    fn serve(
        self: &Arc<Self>,
        session: Box<ServerSession>,
        shutdown: &ShutdownWatch,
    ) -> impl Future<Output = Option<ReusedHttpStream>> + Send;
}
