//! Everything that ends a command early, and the status a script is given for it.

use std::io;

use thiserror::Error;

use crate::address::AddressError;
use crate::client::ClientError;
use crate::console::OutputError;
use crate::discover::DiscoverError;
use crate::document::{ReadError, SyntaxError};
use crate::editor::EditorError;
use crate::exit::Exit;
use crate::log_file::LogError;
use crate::refusal::Refusal;
use crate::yaml::YamlError;

/// Why a command ended.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error(transparent)]
    Yaml(#[from] YamlError),
    #[error(transparent)]
    Editor(#[from] EditorError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The user was asked and said no.
    #[error("nothing was changed")]
    Declined,
    /// A command of the reference that was left out on purpose.
    #[error("{0}")]
    LeftOut(&'static str),
    /// Words that cannot be meant together.
    #[error("{0}")]
    Usage(String),
    /// A system call on a file or the terminal.
    #[error("{what}: {cause}")]
    System {
        /// What was being done, to what.
        what: String,
        /// Why it failed.
        cause: io::Error,
    },
    /// What was answered is not what this API answers.
    #[error("the answer to {0} is not what a control API answers")]
    UnexpectedAnswer(&'static str),
    /// A failure that has been told of already.
    #[error("the status is {}", .0.status())]
    Told(Exit),
    /// A failure of which the parts have been reported.
    #[error("{what}")]
    Reported {
        /// What failed in all.
        what: String,
        /// The status for scripts.
        exit: Exit,
    },
}

impl Failure {
    /// What a script is told.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Address(_) => Exit::NoSocketPath,
            Self::Discover(error) => error.exit(),
            Self::Client(ClientError::Wait { .. }) => Exit::WaitTimeout,
            Self::Client(_) | Self::UnexpectedAnswer(_) => Exit::Refused,
            Self::Refusal(refusal) => refusal.exit(),
            Self::Output(OutputError::Closed) => Exit::Success,
            Self::Declined => Exit::Declined,
            Self::Reported { exit, .. } | Self::Told(exit) => *exit,
            Self::Read(_)
            | Self::Syntax(_)
            | Self::Yaml(_)
            | Self::Editor(_)
            | Self::Log(_)
            | Self::Output(_)
            | Self::LeftOut(_)
            | Self::Usage(_)
            | Self::System { .. } => Exit::Other,
        }
    }
}
