//! Going into the background. The process that was started waits until the daemon is ready, so that
//! its exit status tells whether the daemon came up.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};

use sys::fd::{Standard, dup_onto};
use sys::process::Fork;

/// The file mode mask of the daemon.
const UMASK: u32 = 0o022;

/// Which process this is after [`detach`].
#[derive(Debug)]
pub enum Detached {
    /// The one that was started. It has nothing to do but to wait.
    Starter(Starter),
    /// The daemon.
    Daemon(Readiness),
}

/// What the process that was started knows of the daemon.
#[derive(Debug)]
pub struct Starter {
    pipe: PipeReader,
}

impl Starter {
    /// Waits until the daemon is ready or has failed.
    #[must_use]
    pub fn wait(mut self) -> bool {
        let mut byte = [0];
        self.pipe.read_exact(&mut byte).is_ok()
    }
}

/// What the daemon owes the process that was started.
#[derive(Debug)]
pub struct Readiness {
    pipe: Option<PipeWriter>,
}

impl Readiness {
    /// Nobody waits: the daemon stays in the foreground.
    #[must_use]
    pub const fn unasked() -> Self {
        Self { pipe: None }
    }

    /// Tells that the daemon has started.
    pub fn tell(self) {
        if let Some(mut pipe) = self.pipe {
            // Whoever waited may have been killed meanwhile; the daemon goes on.
            let _ = pipe.write_all(&[1]);
        }
    }
}

/// Forks; the child becomes a daemon: a session of its own, umask 022, standard input and output on
/// `/dev/null`. The working directory stays.
///
/// # Errors
/// The error of the failed call. Only in the process that called is it of use.
pub fn detach(null: &File) -> io::Result<Detached> {
    let (reader, writer) = pipe()?;
    match sys::process::fork()? {
        Fork::Parent { .. } => Ok(Detached::Starter(Starter { pipe: reader })),
        Fork::Child => {
            sys::process::new_session()?;
            sys::fs::set_umask(UMASK);
            dup_onto(null, Standard::Input)?;
            dup_onto(null, Standard::Output)?;
            Ok(Detached::Daemon(Readiness { pipe: Some(writer) }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_learns_how_it_went() {
        for ready in [true, false] {
            let (reader, writer) = pipe().unwrap();
            let readiness = Readiness { pipe: Some(writer) };
            if ready {
                readiness.tell();
            } else {
                drop(readiness);
            }
            assert_eq!(Starter { pipe: reader }.wait(), ready);
        }
    }
}
