//! One request and its client: the context that it carries, its body, its response, and its observation.

pub mod body;
pub mod client_request;
pub mod context;
pub mod observe;
pub mod pace;
pub mod respond;
