//! Signals that somebody sends to the controller itself: it is main that should get them.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that would otherwise end the process, or do end it.
#[derive(Debug)]
pub(crate) struct Signals {
    hangup: Signal,
    user_defined1: Signal,
    user_defined2: Signal,
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    /// Takes them over.
    pub(crate) fn take_over() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user_defined1: signal(SignalKind::user_defined1())?,
            user_defined2: signal(SignalKind::user_defined2())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits for one that means the end; logs the others.
    pub(crate) async fn ended(&mut self) {
        loop {
            let (kind, name) = tokio::select! {
                _ = self.terminate.recv() => return told(SignalKind::terminate(), "SIGTERM"),
                _ = self.interrupt.recv() => return told(SignalKind::interrupt(), "SIGINT"),
                _ = self.quit.recv() => return told(SignalKind::quit(), "SIGQUIT"),
                _ = self.hangup.recv() => (SignalKind::hangup(), "SIGHUP"),
                _ = self.user_defined1.recv() => (SignalKind::user_defined1(), "SIGUSR1"),
                _ = self.user_defined2.recv() => (SignalKind::user_defined2(), "SIGUSR2"),
            };
            let number = kind.as_raw_value();
            unit_log::notice!("signal signo:{number} ({name}) received, ignored");
        }
    }
}

fn told(kind: SignalKind, name: &str) {
    let number = kind.as_raw_value();
    unit_log::notice!("signal signo:{number} ({name}) received");
}
