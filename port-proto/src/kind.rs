//! The number each message travels under.

/// What a frame carries. The numbers are the wire contract: a test restates every one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// The first frame each way.
    Hello = 1,
    /// A request was carried out; the payload is the reply type of that request.
    Ready = 2,
    /// A request was refused; the payload is the refusal type of that request.
    Error = 3,
    /// Stop, at once or after finishing what was accepted.
    Quit = 4,
    /// A port to a process that the receiver may talk to from now on.
    NewPeer = 5,
    /// A process that the receiver knew is gone.
    PeerLost = 6,
    /// The daemon log was reopened; move standard error onto the descriptor.
    ReopenLog = 7,
    /// Look for language runtimes.
    ProbeModules = 10,
    /// The language runtimes that were found.
    Modules = 11,
    /// What a router needs before its first configuration.
    SetUpRouter = 20,
    /// Create, or hand out again, a listening socket.
    OpenListener = 21,
    /// Close and unlink every listening socket that is not named.
    KeepListeners = 22,
    /// Execute a language runtime for an application.
    StartPrototype = 23,
    /// Open a file for appending access log lines.
    OpenAccessLog = 24,
    /// Open a certificate bundle or a script for reading.
    OpenUpload = 25,
    /// What a controller needs before it answers its first request.
    SetUpController = 30,
    /// Store a configuration durably.
    StoreConfig = 31,
    /// Do for the router what a configuration needs.
    PermitConfig = 32,
    /// Find out whether a configuration would be valid.
    CheckConfig = 33,
    /// Store a certificate bundle or a script durably.
    StoreUpload = 34,
    /// Delete a certificate bundle or a script durably.
    DeleteUpload = 35,
    /// Build a configuration beside the running one.
    PrepareConfig = 40,
    /// Make the prepared configuration the running one.
    CommitConfig = 41,
    /// Drop the prepared configuration.
    AbortConfig = 42,
    /// Report the counters of `/status`.
    GetStatus = 43,
    /// Replace the processes of an application.
    RestartApplication = 44,
    /// What a prototype needs to become an application's.
    SetUpPrototype = 50,
    /// Fork a worker.
    StartWorker = 51,
    /// Send a signal to a worker.
    SignalWorker = 52,
    /// A worker ended.
    WorkerExited = 53,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::Hello,
        Self::Ready,
        Self::Error,
        Self::Quit,
        Self::NewPeer,
        Self::PeerLost,
        Self::ReopenLog,
        Self::ProbeModules,
        Self::Modules,
        Self::SetUpRouter,
        Self::OpenListener,
        Self::KeepListeners,
        Self::StartPrototype,
        Self::OpenAccessLog,
        Self::OpenUpload,
        Self::SetUpController,
        Self::StoreConfig,
        Self::PermitConfig,
        Self::CheckConfig,
        Self::StoreUpload,
        Self::DeleteUpload,
        Self::PrepareConfig,
        Self::CommitConfig,
        Self::AbortConfig,
        Self::GetStatus,
        Self::RestartApplication,
        Self::SetUpPrototype,
        Self::StartWorker,
        Self::SignalWorker,
        Self::WorkerExited,
    ];

    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number() == number)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What a log line says a process may not do, completing "process N cannot …".
    #[must_use]
    pub const fn deed(self) -> &'static str {
        match self {
            Self::Hello => "introduce itself again",
            Self::Ready | Self::Error => "answer requests",
            Self::Quit => "stop processes",
            Self::NewPeer => "introduce processes",
            Self::PeerLost => "announce lost processes",
            Self::ReopenLog => "rotate logs",
            Self::ProbeModules => "start discovery",
            Self::Modules => "send modules",
            Self::SetUpRouter | Self::SetUpController | Self::SetUpPrototype => "set up processes",
            Self::OpenListener => "create listener sockets",
            Self::KeepListeners => "close listener sockets",
            Self::StartPrototype | Self::StartWorker => "start processes",
            Self::OpenAccessLog => "open access logs",
            Self::OpenUpload => "open uploads",
            Self::StoreConfig => "store conf",
            Self::PermitConfig => "permit conf",
            Self::CheckConfig => "check conf",
            Self::StoreUpload => "store uploads",
            Self::DeleteUpload => "delete uploads",
            Self::PrepareConfig | Self::CommitConfig | Self::AbortConfig => "configure the router",
            Self::GetStatus => "read the status",
            Self::RestartApplication => "restart applications",
            Self::SignalWorker => "signal processes",
            Self::WorkerExited => "report ended workers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pinned() {
        let numbers: Vec<(u8, Kind)> =
            Kind::ALL.iter().map(|kind| (kind.number(), *kind)).collect();
        assert_eq!(
            numbers,
            [
                (1, Kind::Hello),
                (2, Kind::Ready),
                (3, Kind::Error),
                (4, Kind::Quit),
                (5, Kind::NewPeer),
                (6, Kind::PeerLost),
                (7, Kind::ReopenLog),
                (10, Kind::ProbeModules),
                (11, Kind::Modules),
                (20, Kind::SetUpRouter),
                (21, Kind::OpenListener),
                (22, Kind::KeepListeners),
                (23, Kind::StartPrototype),
                (24, Kind::OpenAccessLog),
                (25, Kind::OpenUpload),
                (30, Kind::SetUpController),
                (31, Kind::StoreConfig),
                (32, Kind::PermitConfig),
                (33, Kind::CheckConfig),
                (34, Kind::StoreUpload),
                (35, Kind::DeleteUpload),
                (40, Kind::PrepareConfig),
                (41, Kind::CommitConfig),
                (42, Kind::AbortConfig),
                (43, Kind::GetStatus),
                (44, Kind::RestartApplication),
                (50, Kind::SetUpPrototype),
                (51, Kind::StartWorker),
                (52, Kind::SignalWorker),
                (53, Kind::WorkerExited),
            ]
        );
    }

    #[test]
    fn every_other_number_is_unknown() {
        for number in 0..=u8::MAX {
            let known = Kind::ALL.iter().any(|kind| kind.number() == number);
            assert_eq!(Kind::from_number(number).is_some(), known, "{number}");
        }
    }
}
