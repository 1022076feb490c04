//! The six levels, and the names they have in a line.

use tracing::Metadata;

/// How much a line matters, most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something that must not happen did.
    Alert,
    /// Someone must act.
    Error,
    /// Degraded, but served.
    Warn,
    /// A step in the life of a process.
    Notice,
    /// Ordinary news.
    Info,
    /// For developers.
    Debug,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 6] =
        [Self::Alert, Self::Error, Self::Warn, Self::Notice, Self::Info, Self::Debug];

    /// The least that is written.
    pub const THRESHOLD: Self = if cfg!(feature = "debug") { Self::Debug } else { Self::Info };

    /// The name in a line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The target that the macros give their events.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::Alert => "unit::alert",
            Self::Error => "unit::error",
            Self::Warn => "unit::warn",
            Self::Notice => "unit::notice",
            Self::Info => "unit::info",
            Self::Debug => "unit::debug",
        }
    }

    /// The level of an event, and whether it came from one of our macros.
    pub(crate) fn of(metadata: &Metadata<'_>) -> (Self, bool) {
        let ours = Self::ALL.into_iter().find(|level| level.target() == metadata.target());
        match (ours, *metadata.level()) {
            (Some(level), _) => (level, true),
            (None, tracing::Level::ERROR) => (Self::Error, false),
            (None, tracing::Level::WARN) => (Self::Warn, false),
            (None, tracing::Level::INFO) => (Self::Info, false),
            (None, tracing::Level::DEBUG | tracing::Level::TRACE) => (Self::Debug, false),
        }
    }
}
