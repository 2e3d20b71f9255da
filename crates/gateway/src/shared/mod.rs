//! State that requests share. Most of it outlives a reload of the configuration.
//!
//! - `slots`: limits of concurrent requests to an upstream; `concurrency`: limits of concurrent requests for a route,
//!   and for its clients.
//! - `clients`: the clients of a route, and the limits on their requests in a time.
//! - `pivots`: sort keys of items at the edges of served pages; `pages`: whole pages, and answers of upstreams.
//! - `learning`: limits of upstreams, as their answers have shown them.
//! - `single_flight`: look-ups that concurrent requests share; `explanations`: records of requests with a permit.

pub mod clients;
pub mod concurrency;
pub mod explanations;
pub mod learning;
pub mod pages;
pub mod pivots;
pub mod single_flight;
pub mod slots;
pub mod writes;
