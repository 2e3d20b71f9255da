//! Requests and their clients: the context of a request, its body, its response, and its observation.

pub(crate) mod body;
pub(crate) mod client_request;
pub(crate) mod compress;
pub(crate) mod context;
pub(crate) mod observe;
pub(crate) mod pace;
pub(crate) mod respond;
pub(crate) mod service;
