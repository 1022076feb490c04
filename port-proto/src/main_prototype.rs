//! Main and prototype: what turns a freshly executed runtime into an application's.

use serde::{Deserialize, Serialize};

use crate::message::{direction, request};
use crate::{Direction, Identity, Quit, Refusal, ReopenLog, WithFds};

/// The user, group and supplementary groups to become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// What a prototype needs to become an application's. The router's port travels with it. Variables
/// of the environment stand in the application object; the runtime sets them once it has given up
/// main's privilege, as the loader and the C library act upon some.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetUpPrototype {
    /// The application's name.
    pub name: String,
    /// The router the port leads to.
    pub router: Identity,
    /// Whom to become, where the daemon may choose.
    pub credentials: Option<Credentials>,
    /// Where to run.
    pub working_directory: Option<String>,
    /// The file standard output goes to.
    pub stdout: Option<String>,
    /// The file standard error goes to.
    pub stderr: Option<String>,
    /// Whether set-id programs keep their power.
    pub new_privs: bool,
    /// The application object as JSON.
    pub application: Vec<u8>,
}

direction! {
    /// What main says to a prototype.
    pub enum MainToPrototype: Main => Prototype {
        /// Set up; the descriptor is the port to the router.
        request SetUp(SetUpPrototype; 1) = SetUpPrototype,
        /// The log was reopened.
        notice ReopenLog(ReopenLog; 1) = ReopenLog,
        /// Stop the workers, then stop.
        notice Quit(Quit) = Quit,
    }
}

direction! {
    /// What a prototype says to main of its own accord: nothing. It only answers.
    pub enum PrototypeToMain: Prototype => Main {
    }
}

request!(WithFds<SetUpPrototype, 1> => MainToPrototype::SetUp, reply (), refusal Refusal);

const _: () = assert!(PrototypeToMain::KINDS.is_empty());
