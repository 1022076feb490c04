//! Main and controller: set-up, and the store that survives both.

use serde::{Deserialize, Serialize};

use crate::message::{direction, request};
use crate::{Module, NewPeer, PeerLost, Quit, Refusal, ReopenLog};

/// The configuration that main found in the state directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredConfig {
    /// There is none.
    Absent,
    /// There is one, of a readable version.
    Present {
        /// The bytes of the file.
        json: Vec<u8>,
        /// The number in the version file; 12500 when there was none.
        version: u32,
    },
    /// The version file is not a number.
    BadVersion {
        /// What it says instead.
        text: String,
    },
    /// The file cannot be read.
    Unreadable {
        /// The failed call.
        text: String,
    },
}

/// What a controller needs before it answers its first request. The listening control socket
/// travels with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetUpController {
    /// The configuration of the last run.
    pub stored: StoredConfig,
    /// The language runtimes, sorted by type, newest version first.
    pub modules: Vec<Module>,
}

/// Store a configuration durably: when the answer is ready, it is on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreConfig {
    /// The compact JSON text. Main does not read it.
    pub json: Vec<u8>,
}

direction! {
    /// What main says to the controller.
    pub enum MainToController: Main => Controller {
        /// Set up; the descriptor is the listening control socket.
        notice SetUp(SetUpController; 1) = SetUpController,
        /// The router's port.
        notice NewPeer(NewPeer; 1) = NewPeer,
        /// The router is gone.
        notice PeerLost(PeerLost) = PeerLost,
        /// The log was reopened.
        notice ReopenLog(ReopenLog; 1) = ReopenLog,
        /// Stop.
        notice Quit(Quit) = Quit,
    }
}

direction! {
    /// What the controller says to main.
    pub enum ControllerToMain: Controller => Main {
        /// Store a configuration.
        request StoreConfig(StoreConfig) = StoreConfig,
    }
}

request!(StoreConfig => ControllerToMain::StoreConfig, reply (), refusal Refusal);
