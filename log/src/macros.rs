//! One macro for each level, with the arguments of `format!`, and `conn = number,` before them.

/// Something that must not happen did.
#[macro_export]
macro_rules! alert {
    ($($arg:tt)+) => {
        $crate::__tracing::event!(
            target: "unit::alert", $crate::__tracing::Level::ERROR, $($arg)+
        )
    };
}

/// Someone must act.
#[macro_export]
macro_rules! error {
    ($($arg:tt)+) => {
        $crate::__tracing::event!(
            target: "unit::error", $crate::__tracing::Level::ERROR, $($arg)+
        )
    };
}

/// Degraded, but served.
#[macro_export]
macro_rules! warn {
    ($($arg:tt)+) => {
        $crate::__tracing::event!(
            target: "unit::warn", $crate::__tracing::Level::WARN, $($arg)+
        )
    };
}

/// A step in the life of a process.
#[macro_export]
macro_rules! notice {
    ($($arg:tt)+) => {
        $crate::__tracing::event!(
            target: "unit::notice", $crate::__tracing::Level::INFO, $($arg)+
        )
    };
}

/// Ordinary news.
#[macro_export]
macro_rules! info {
    ($($arg:tt)+) => {
        $crate::__tracing::event!(
            target: "unit::info", $crate::__tracing::Level::INFO, $($arg)+
        )
    };
}

/// For developers.
#[macro_export]
macro_rules! debug {
    ($($arg:tt)+) => {
        $crate::__tracing::event!(
            target: "unit::debug", $crate::__tracing::Level::DEBUG, $($arg)+
        )
    };
}
