//! Main and router: listening sockets, prototypes and access logs.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::message::{direction, request};
use crate::{Identity, Module, NewPeer, OpenUpload, PeerLost, Quit, Refusal, ReopenLog, WithFds};

/// What a router needs before its first configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetUpRouter {
    /// Where temporary files go.
    pub tmp_dir: String,
    /// The language runtimes, sorted by type, newest version first.
    pub modules: Vec<Module>,
}

/// The address of a listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ListenAddress {
    /// TCP over IPv4 or IPv6.
    Inet(SocketAddr),
    /// A Unix socket in the file system.
    UnixPath(String),
    /// A Unix socket in the abstract namespace, without the leading `@`.
    UnixAbstract(String),
}

/// Create a listening socket, or hand out again the one main holds for this address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenListener {
    /// Where to listen.
    pub address: ListenAddress,
    /// The length of the accept queue; -1 for the kernel's limit.
    pub backlog: i32,
}

/// The answer to [`OpenListener`]; the socket travels with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerOpened {
    /// Whether main made it for this request, rather than holding it already.
    pub created: bool,
}

/// Why a listening socket could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListenerErrorClass {
    /// Anything that has no class of its own.
    System,
    /// The kernel has no IPv6.
    NoIpv6,
    /// The port needs a privilege.
    Port,
    /// The address is in use.
    InUse,
    /// The address is not of this machine.
    NoAddress,
    /// The directory of the Unix socket is not writable.
    NoAccess,
    /// The directory of the Unix socket does not exist.
    Path,
}

/// The refusal of [`OpenListener`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerRefusal {
    /// The class of the error.
    pub class: ListenerErrorClass,
    /// The failed call, its object and the error.
    pub text: String,
}

/// Close every listening socket that is not named, and unlink the Unix ones among them. When the
/// answer is ready, another program can bind the addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepListeners {
    /// The addresses in use.
    pub addresses: Vec<ListenAddress>,
}

/// Execute a language runtime for an application, one of those the controller has named to main:
/// all else that main needs to know of it comes from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartPrototype {
    /// The application's name.
    pub name: String,
    /// The application object as compact JSON, which tells it from others that have or had its name.
    pub application: Vec<u8>,
}

/// The answer to [`StartPrototype`]; the router's port to it travels with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrototypeStarted {
    /// Who it is.
    pub prototype: Identity,
}

/// Open a file for appending access log lines; it travels with the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAccessLog {
    /// The path as configured.
    pub path: String,
}

direction! {
    /// What main says to the router.
    pub enum MainToRouter: Main => Router {
        /// Set up.
        notice SetUp(SetUpRouter) = SetUpRouter,
        /// The controller's port.
        notice NewPeer(NewPeer; 1) = NewPeer,
        /// The controller or a prototype is gone.
        notice PeerLost(PeerLost) = PeerLost,
        /// The log was reopened; access logs are to be reopened too.
        notice ReopenLog(ReopenLog; 1) = ReopenLog,
        /// Stop.
        notice Quit(Quit) = Quit,
    }
}

direction! {
    /// What the router says to main.
    pub enum RouterToMain: Router => Main {
        /// Create a listening socket.
        request OpenListener(OpenListener) = OpenListener,
        /// Close the listening sockets not named.
        request KeepListeners(KeepListeners) = KeepListeners,
        /// Execute a language runtime.
        request StartPrototype(StartPrototype) = StartPrototype,
        /// Open an access log.
        request OpenAccessLog(OpenAccessLog) = OpenAccessLog,
        /// Open a certificate bundle or a script.
        request OpenUpload(OpenUpload) = OpenUpload,
    }
}

request!(OpenListener => RouterToMain::OpenListener, reply WithFds<ListenerOpened, 1>, refusal ListenerRefusal);
request!(KeepListeners => RouterToMain::KeepListeners, reply (), refusal Refusal);
request!(StartPrototype => RouterToMain::StartPrototype, reply WithFds<PrototypeStarted, 1>, refusal Refusal);
request!(OpenAccessLog => RouterToMain::OpenAccessLog, reply WithFds<(), 1>, refusal Refusal);
request!(OpenUpload => RouterToMain::OpenUpload, reply WithFds<(), 1>, refusal Refusal);
