//! The black-box suite: one module for each feature a user would name.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod access_log;
mod api_table;
mod bad_start;
mod browser;
mod certificates;
mod check;
mod command_line;
mod config_schema;
mod config_table;
mod control_api;
mod counters;
mod crash_safety;
mod django;
mod every_node;
mod flask;
mod hostile;
mod http;
mod initial_config;
mod log_lines;
mod preconditions;
mod python;
mod random_edits;
mod random_requests;
mod reconfigure;
mod restore;
mod rotation;
mod route_log;
mod routing;
mod schemathesis;
mod signals;
mod smuggling;
mod startup;
mod static_answers;
mod static_changes;
mod static_conditions;
mod static_ranges;
mod statics;
mod survival;
mod unitctl;
mod unitctl_terminal;
