//! Main and controller: set-up, and the store that survives both.

use serde::{Deserialize, Serialize};

use crate::message::{direction, request};
use crate::{
    DeleteUpload, ListenAddress, Module, NewPeer, PeerLost, Quit, Refusal, ReopenLog, StoreUpload,
    StoredUpload, UploadName,
};

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
    /// There is none, and this is the one the daemon was started with: to be applied first thing.
    Initial {
        /// The bytes of the file.
        json: Vec<u8>,
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
    /// The certificate bundles and scripts in the state directory.
    pub uploads: Vec<StoredUpload>,
}

/// An application as main starts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermittedApplication {
    /// Its name.
    pub name: String,
    /// The path of the runtime, which must be one that discovery reported.
    pub module_file: String,
    /// The user it asks for.
    pub user: Option<String>,
    /// The group it asks for.
    pub group: Option<String>,
    /// Where it runs.
    pub working_directory: Option<String>,
    /// The file standard output goes to.
    pub stdout: Option<String>,
    /// The file standard error goes to.
    pub stderr: Option<String>,
    /// Whether it may gain privileges by executing set-id programs.
    pub new_privs: bool,
    /// The application object as compact JSON, for the runtime. Main does not read it.
    pub application: Vec<u8>,
}

/// Everything a configuration has main do for the router.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Where to listen.
    pub listeners: Vec<ListenAddress>,
    /// The applications that run in processes of a language runtime.
    pub applications: Vec<PermittedApplication>,
    /// The files of access logs.
    pub access_logs: Vec<String>,
    /// The certificate bundles of listeners.
    pub certificates: Vec<UploadName>,
    /// The JavaScript modules.
    pub scripts: Vec<UploadName>,
}

/// Which configuration it is that permits something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigStage {
    /// The current one, which a router is to run (again).
    Current,
    /// One that is to become the current one. It does when it is stored.
    Proposed,
    /// One that is prepared to find out whether it could be, and then dropped.
    Tried,
}

/// Do for the router what a configuration needs and nothing else. To be sent before the router gets
/// that configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermitConfig {
    /// Which configuration it is.
    pub stage: ConfigStage,
    /// What it needs.
    pub permissions: Permissions,
}

/// Store a configuration durably: when the answer is ready, it is on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreConfig {
    /// The compact JSON text. Main does not read it.
    pub json: Vec<u8>,
}

/// Find out whether a configuration would be valid on this installation. Nothing comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckConfig {
    /// The text.
    pub json: Vec<u8>,
    /// The language runtimes, sorted by type, newest version first.
    pub modules: Vec<Module>,
    /// The certificate bundles and scripts in the state directory; nothing where who asks may not
    /// read them, and names are not checked then.
    pub uploads: Option<Vec<StoredUpload>>,
}

/// What is wrong with a configuration: the refusal of [`CheckConfig`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFault {
    /// A sentence.
    pub detail: String,
    /// The member at fault, as a JSON Pointer; none where the text is not JSON.
    pub pointer: Option<String>,
    /// Line and column in the text, both counted from 1, where they are known.
    pub place: Option<(u64, u64)>,
    /// What was probably meant.
    pub suggestion: Option<String>,
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
        /// Check a configuration. It needs no set-up.
        request CheckConfig(CheckConfig) = CheckConfig,
    }
}

direction! {
    /// What the controller says to main.
    pub enum ControllerToMain: Controller => Main {
        /// Do for the router what a configuration needs.
        request PermitConfig(PermitConfig) = PermitConfig,
        /// Store a configuration.
        request StoreConfig(StoreConfig) = StoreConfig,
        /// Store a certificate bundle or a script.
        request StoreUpload(StoreUpload) = StoreUpload,
        /// Delete a certificate bundle or a script.
        request DeleteUpload(DeleteUpload) = DeleteUpload,
    }
}

request!(CheckConfig => MainToController::CheckConfig, reply (), refusal ConfigFault);
request!(PermitConfig => ControllerToMain::PermitConfig, reply (), refusal Refusal);
request!(StoreConfig => ControllerToMain::StoreConfig, reply (), refusal Refusal);
request!(StoreUpload => ControllerToMain::StoreUpload, reply (), refusal Refusal);
request!(DeleteUpload => ControllerToMain::DeleteUpload, reply (), refusal Refusal);
