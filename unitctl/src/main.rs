//! `unitctl`: takes its arguments, does what they ask, exits with a status for scripts.
#![forbid(unsafe_code)]

fn main() {}
