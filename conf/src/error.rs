//! The one kind of answer to a configuration that is not valid.

/// Why a configuration is refused. Only the first fault is reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ValidationError {
    /// A sentence for the user. These texts are interface.
    pub detail: String,
    /// The member at fault, as a JSON Pointer (RFC 6901).
    pub path: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// A line for the log, at level error, where one has always been written.
    pub log: Option<String>,
}
