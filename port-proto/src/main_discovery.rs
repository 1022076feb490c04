//! Main and discovery: one question, one report.

use serde::{Deserialize, Serialize};

use crate::message::direction;
use crate::{Module, Quit};

/// Look for language runtimes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeModules {
    /// The directory to look in.
    pub modules_dir: String,
}

/// The language runtimes that were found, in the order of their file names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modules {
    /// The runtimes.
    pub modules: Vec<Module>,
}

direction! {
    /// What main says to discovery.
    pub enum MainToDiscovery: Main => Discovery {
        /// Look for language runtimes.
        notice ProbeModules(ProbeModules) = ProbeModules,
        /// Stop; sent once the report has arrived.
        notice Quit(Quit) = Quit,
    }
}

direction! {
    /// What discovery says to main.
    pub enum DiscoveryToMain: Discovery => Main {
        /// The report.
        notice Modules(Modules) = Modules,
    }
}
