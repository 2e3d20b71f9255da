//! Requests and their clients: the context of a request, its body, its response, its observation, and the interface of
//! the services that may answer it.

pub(crate) mod body;
pub(crate) mod client_request;
pub(crate) mod compress;
pub(crate) mod context;
pub(crate) mod identity;
pub(crate) mod observe;
pub(crate) mod pace;
pub(crate) mod respond;
pub(crate) mod service;
