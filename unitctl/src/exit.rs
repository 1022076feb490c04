//! The statuses a script can tell apart.

use std::process::ExitCode;

/// How a command ended. The numbers are interface; those up to 14 and 99 are the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Success,
    /// No running daemon was found, and none was named.
    NoInstance,
    /// Several daemons run, and none was named.
    SeveralInstances,
    /// The address of the control socket cannot be found out or used.
    NoSocketPath,
    /// The daemon could not be asked, or it refused.
    Refused,
    /// The control socket did not appear in the time given with `-w` and `-t`.
    WaitTimeout,
    /// Somebody else changed the configuration in the meantime; nothing was sent over it.
    Conflict,
    /// The user decided against it; nothing was sent.
    Declined,
    /// Anything else: a local file, the editor, the terminal.
    Other,
}

impl Exit {
    /// The number.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::NoInstance => 10,
            Self::SeveralInstances => 11,
            Self::NoSocketPath => 12,
            Self::Refused => 13,
            Self::WaitTimeout => 14,
            Self::Conflict => 15,
            Self::Declined => 16,
            Self::Other => 99,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

/// The list for `--help`, one line each.
pub(crate) const EXIT_STATUSES: &str = "\
Exit status:
   0  done
   2  the command line is wrong
  10  no running daemon was found
  11  several daemons run; choose one with -s
  12  the address of the control socket is not known or cannot be used
  13  the daemon could not be asked, or it refused
  14  the control socket did not appear in the time of -w and -t
  15  somebody else was faster; nothing was changed
  16  you decided against it; nothing was changed
  99  anything else, such as a file that cannot be read";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_in_the_list_for_the_help() {
        let all = [
            Exit::Success,
            Exit::NoInstance,
            Exit::SeveralInstances,
            Exit::NoSocketPath,
            Exit::Refused,
            Exit::WaitTimeout,
            Exit::Conflict,
            Exit::Declined,
            Exit::Other,
        ];
        let listed: Vec<u8> = EXIT_STATUSES
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .filter(|&status| status != 2)
            .collect();
        assert_eq!(listed, all.map(Exit::status));
    }
}
