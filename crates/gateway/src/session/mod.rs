//! Requests and their clients: the context of a request, its body, its response, its observation, and the interface of
//! the services that may answer it.

pub mod body;
pub mod client_request;
pub mod compress;
pub mod context;
pub mod identity;
pub mod list_part;
pub mod observe;
pub mod pace;
pub mod respond;
pub mod service;
