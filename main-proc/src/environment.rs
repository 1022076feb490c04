//! The environment that roles and applications are executed with.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use thiserror::Error;

use crate::inherited;

/// Names, or beginnings of names, that make the dynamic loader or the C library run or read what
/// they say. They are no business of a program that still has main's privilege.
const FOR_THE_LOADER: [&str; 9] = [
    "LD_",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "HOSTALIASES",
    "LOCPATH",
    "MALLOC_",
    "NLSPATH",
    "RES_OPTIONS",
];

/// A variable that cannot be passed to a program.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("environment variable \"{name}\" cannot be set")]
pub struct VariableError {
    /// Its name.
    pub name: String,
}

/// The environment of the daemon, copied once at its start.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Environment {
    /// Copies an environment, less what was meant for this process only.
    #[must_use]
    pub fn of(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let variables = variables
            .filter(|(name, _)| !inherited::VARIABLES.iter().any(|ours| name == *ours))
            .map(|(name, value)| (name.into_vec(), value.into_vec()))
            .collect();
        Self { variables }
    }

    /// What the daemon's own roles get.
    #[must_use]
    pub fn for_role(&self) -> Vec<CString> {
        self.variables.iter().filter_map(|(name, value)| join(name, value)).collect()
    }

    /// What an application gets: its own variables added to the daemon's, or in place of them.
    /// With `privileged`, those of them that are for the loader are left out: the application's
    /// runtime sets them itself when it has become the application's user.
    ///
    /// # Errors
    /// [`VariableError`] for one with a NUL byte, or a name that is empty or has `=` in it.
    pub fn for_application(
        &self,
        own: &[(String, String)],
        privileged: bool,
    ) -> Result<Vec<CString>, VariableError> {
        let mut variables = self.variables.clone();
        for (name, value) in own {
            let failed = || VariableError { name: name.clone() };
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(failed());
            }
            if privileged && FOR_THE_LOADER.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let value = value.clone().into_bytes();
            match variables.iter_mut().find(|(known, _)| known == name.as_bytes()) {
                Some((_, known)) => *known = value,
                None => variables.push((name.clone().into_bytes(), value)),
            }
        }
        Ok(variables.iter().filter_map(|(name, value)| join(name, value)).collect())
    }
}

fn join(name: &[u8], value: &[u8]) -> Option<CString> {
    // What came from the environment has no NUL byte, and the rest was checked.
    CString::new([name, b"=", value].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon() -> Environment {
        let variables = [("HOME", "/root"), ("NGINX", "3;"), ("LISTEN_FDS", "1"), ("TZ", "UTC")];
        Environment::of(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    fn own(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn show(variables: Vec<CString>) -> Vec<String> {
        variables.into_iter().map(|variable| variable.into_string().unwrap()).collect()
    }

    #[test]
    fn what_was_for_main_stays_with_main() {
        assert_eq!(show(daemon().for_role()), ["HOME=/root", "TZ=UTC"]);
    }

    #[test]
    fn an_application_adds_and_replaces() {
        let own = own(&[("GREETING", "a=b"), ("HOME", "/srv"), ("LD_PRELOAD", "x.so"), ("E", "")]);
        assert_eq!(
            show(daemon().for_application(&own, false).unwrap()),
            ["HOME=/srv", "TZ=UTC", "GREETING=a=b", "LD_PRELOAD=x.so", "E="]
        );
    }

    #[test]
    fn nothing_configured_tells_a_privileged_loader_what_to_load() {
        let own = own(&[("LD_PRELOAD", "x"), ("GLIBC_TUNABLES", "y"), ("LDFLAGS", "z")]);
        assert_eq!(
            show(daemon().for_application(&own, true).unwrap()),
            ["HOME=/root", "TZ=UTC", "LDFLAGS=z"]
        );
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")] {
            assert!(daemon().for_application(&own(&[(name, value)]), false).is_err(), "{name:?}");
        }
    }
}
