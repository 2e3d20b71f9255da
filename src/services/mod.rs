//! Services above the gateway: more for a client than an answer to one request. Each is off until the configuration has its
//! table. They make their requests through the gateway, so that limits, logs and traces hold for them as for clients, and
//! nothing below imports them. The feature `services` leaves them out of a build.

mod bulk;
mod caller;
mod inner;
mod pipe;

use std::sync::Arc;

use self::inner::InnerGateway;
use crate::gateway::{Gateway, session::service::Service};

/// Returns the services of a gateway that has none yet.
pub(crate) fn all(gateway: &Gateway) -> Vec<Arc<dyn Service>> {
    let inner = Arc::new(InnerGateway::new(gateway));
    vec![Arc::new(bulk::Bulk::new(inner))]
}
