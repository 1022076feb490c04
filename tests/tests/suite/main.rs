//! The black-box suite: one module for each feature a user would name.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod api_table;
mod bad_start;
mod certificates;
mod check;
mod command_line;
mod config_schema;
mod config_table;
mod control_api;
mod crash_safety;
mod departures;
mod descriptors;
mod django;
mod every_node;
mod flask;
mod hostile;
mod http;
mod initial_config;
mod log_lines;
mod memory;
mod preconditions;
mod python;
mod random_edits;
mod random_requests;
mod reconfigure;
mod restore;
mod rotation;
mod routing;
mod schemathesis;
mod signals;
mod slow_clients;
mod slowhttptest;
mod startup;
mod statics;
mod survival;
mod unitctl;
mod unitctl_terminal;
