//! The roles and the role matrix: who may send what to whom, who is introduced to whom, and who is
//! told of a loss. Three tables, read by the code and by the test that holds the code to them.

use serde::{Deserialize, Serialize};

use crate::Kind;

/// What a process is for. Workers are not here: they hold no control port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// `unitd`: starts, supervises and restarts the others.
    Main,
    /// `unit-discovery`: looks for language runtimes, reports, ends.
    Discovery,
    /// `unit-controller`: the control API.
    Controller,
    /// `unit-router`: listeners, HTTP, hand-off to applications.
    Router,
    /// A language runtime that forks the workers of one application.
    Prototype,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Main, Self::Discovery, Self::Controller, Self::Router, Self::Prototype];

    /// The name used in process titles and log lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Discovery => "discovery",
            Self::Controller => "controller",
            Self::Router => "router",
            Self::Prototype => "prototype",
        }
    }

    /// Whether main starts the role again after it ended unasked.
    #[must_use]
    pub const fn is_restarted(self) -> bool {
        match self {
            Self::Controller | Self::Router => true,
            Self::Main | Self::Discovery | Self::Prototype => false,
        }
    }
}

/// Who may send what to whom. What is not here is forbidden.
pub const SENDS: &[(Role, Role, &[Kind])] = &[
    (Role::Main, Role::Discovery, &[Kind::Hello, Kind::Quit, Kind::ProbeModules]),
    (Role::Discovery, Role::Main, &[Kind::Hello, Kind::Modules]),
    (
        Role::Main,
        Role::Controller,
        &[
            Kind::Hello,
            Kind::Ready,
            Kind::Error,
            Kind::Quit,
            Kind::NewPeer,
            Kind::PeerLost,
            Kind::ReopenLog,
            Kind::SetUpController,
            Kind::CheckConfig,
        ],
    ),
    (
        Role::Controller,
        Role::Main,
        &[
            Kind::Hello,
            Kind::Ready,
            Kind::Error,
            Kind::PermitConfig,
            Kind::StoreConfig,
            Kind::StoreUpload,
            Kind::DeleteUpload,
        ],
    ),
    (
        Role::Main,
        Role::Router,
        &[
            Kind::Hello,
            Kind::Ready,
            Kind::Error,
            Kind::Quit,
            Kind::NewPeer,
            Kind::PeerLost,
            Kind::ReopenLog,
            Kind::SetUpRouter,
        ],
    ),
    (
        Role::Router,
        Role::Main,
        &[
            Kind::Hello,
            Kind::OpenListener,
            Kind::KeepListeners,
            Kind::StartPrototype,
            Kind::OpenAccessLog,
            Kind::OpenUpload,
        ],
    ),
    (
        Role::Main,
        Role::Prototype,
        &[Kind::Hello, Kind::Quit, Kind::ReopenLog, Kind::SetUpPrototype],
    ),
    (Role::Prototype, Role::Main, &[Kind::Hello, Kind::Ready, Kind::Error]),
    (
        Role::Controller,
        Role::Router,
        &[
            Kind::Hello,
            Kind::PrepareConfig,
            Kind::CommitConfig,
            Kind::AbortConfig,
            Kind::GetStatus,
            Kind::RestartApplication,
        ],
    ),
    (Role::Router, Role::Controller, &[Kind::Hello, Kind::Ready, Kind::Error]),
    (
        Role::Router,
        Role::Prototype,
        &[Kind::Hello, Kind::Quit, Kind::StartWorker, Kind::SignalWorker],
    ),
    (Role::Prototype, Role::Router, &[Kind::Hello, Kind::Ready, Kind::Error, Kind::WorkerExited]),
];

/// Who is given a port to whom by main, as soon as both run: `(told, of)`. Prototypes reach the
/// router in the answer to its own request instead.
pub const INTRODUCED: &[(Role, Role)] =
    &[(Role::Controller, Role::Router), (Role::Router, Role::Controller)];

/// Who is told by main that a process is gone: `(told, of)`.
pub const TOLD_OF_LOSS: &[(Role, Role)] = &[
    (Role::Router, Role::Controller),
    (Role::Controller, Role::Router),
    (Role::Router, Role::Prototype),
];

/// Whether `from` may send `kind` to `to`.
#[must_use]
pub fn permits(from: Role, to: Role, kind: Kind) -> bool {
    SENDS.iter().any(|(f, t, kinds)| *f == from && *t == to && kinds.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Direction;
    use crate::*;

    /// The kinds that the decoder of a direction takes, besides the three every port knows.
    fn decodes(from: Role, to: Role, kind: Kind) -> bool {
        fn takes<D: Direction>(from: Role, to: Role, kind: Kind) -> bool {
            D::FROM == from && D::TO == to && D::KINDS.contains(&kind)
        }
        fn answers<D: Direction>(from: Role, to: Role, kind: Kind) -> bool {
            // Answers travel against the direction of the requests.
            D::TO == from
                && D::FROM == to
                && !D::REQUESTS.is_empty()
                && matches!(kind, Kind::Ready | Kind::Error)
        }
        fn pair<A: Direction, B: Direction>(from: Role, to: Role, kind: Kind) -> bool {
            let hello = kind == Kind::Hello
                && ((A::FROM == from && A::TO == to) || (B::FROM == from && B::TO == to));
            hello
                || takes::<A>(from, to, kind)
                || takes::<B>(from, to, kind)
                || answers::<A>(from, to, kind)
                || answers::<B>(from, to, kind)
        }
        pair::<MainToDiscovery, DiscoveryToMain>(from, to, kind)
            || pair::<MainToController, ControllerToMain>(from, to, kind)
            || pair::<MainToRouter, RouterToMain>(from, to, kind)
            || pair::<MainToPrototype, PrototypeToMain>(from, to, kind)
            || pair::<ControllerToRouter, RouterToController>(from, to, kind)
            || pair::<RouterToPrototype, PrototypeToRouter>(from, to, kind)
    }

    #[test]
    fn decoders_and_matrix_agree() {
        for from in Role::ALL {
            for to in Role::ALL {
                for kind in Kind::ALL.iter().copied() {
                    assert_eq!(
                        decodes(from, to, kind),
                        permits(from, to, kind),
                        "{from:?} -> {to:?}: {kind:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_role_talks_to_itself_or_sends_twice() {
        for (index, (from, to, kinds)) in SENDS.iter().enumerate() {
            assert_ne!(from, to);
            assert!(!SENDS[..index].iter().any(|(f, t, _)| f == from && t == to));
            for (at, kind) in kinds.iter().enumerate() {
                assert!(!kinds[..at].contains(kind), "{from:?} -> {to:?}: {kind:?} twice");
            }
        }
    }

    #[test]
    fn who_is_introduced_or_told_can_be_told() {
        for (told, of) in INTRODUCED {
            assert!(permits(Role::Main, *told, Kind::NewPeer), "{told:?} of {of:?}");
            assert!(SENDS.iter().any(|(from, to, _)| from == told && to == of));
        }
        for (told, of) in TOLD_OF_LOSS {
            assert!(permits(Role::Main, *told, Kind::PeerLost), "{told:?} of {of:?}");
        }
    }
}
