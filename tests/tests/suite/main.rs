//! The black-box suite: one module for each feature a user would name.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod control_api;
mod http;
mod python;
mod routing;
mod startup;
mod statics;
