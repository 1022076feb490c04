//! The environment that roles and applications are executed with.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use crate::inherited;

/// The environment of the daemon, copied once at its start. Everything that main executes gets
/// this. What a configuration adds for an application is no business of a program that still has
/// main's privilege: the runtime sets it once it has become the application's user.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<CString>,
}

impl Environment {
    /// Copies an environment, less what was meant for this process only.
    #[must_use]
    pub fn of(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let variables = variables
            .filter(|(name, _)| !inherited::VARIABLES.iter().any(|ours| name == *ours))
            // What came from the environment has no NUL byte.
            .filter_map(|(name, value)| {
                CString::new([name.into_vec(), value.into_vec()].join(&b'=')).ok()
            })
            .collect();
        Self { variables }
    }

    /// As programs get it: `NAME=value`.
    #[must_use]
    pub fn variables(&self) -> &[CString] {
        &self.variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_for_main_stays_with_main() {
        let variables = [("HOME", "/root"), ("NGINX", "3;"), ("LISTEN_FDS", "1"), ("TZ", "UTC")];
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        assert_eq!(Environment::of(variables).variables(), [c"HOME=/root", c"TZ=UTC"]);
    }
}
