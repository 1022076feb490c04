//! Where a daemon of this build is when nothing says otherwise.

/// Its control socket. The same variables of the build decide it as for the daemon.
pub(crate) fn control() -> String {
    match option_env!("UNIT_CONTROL") {
        Some(address) => address.to_owned(),
        None => format!("unix:{}/var/run/unit/control.unit.sock", prefix()),
    }
}

/// Its log.
pub(crate) fn log() -> String {
    match option_env!("UNIT_LOG") {
        Some(file) => file.to_owned(),
        None => format!("{}/var/log/unit/unit.log", prefix()),
    }
}

fn prefix() -> &'static str {
    option_env!("UNIT_PREFIX").unwrap_or("/usr/local")
}
