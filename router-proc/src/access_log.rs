//! The access log: an entry for each request, written when it has ended.
//!
//! A configuration's log is compiled once into an [`AccessLog`]. Each event loop collects entries in
//! an [`EntryBuffer`] and hands whole ones to the [`LogFile`], which all loops share: before it
//! sleeps, before a connection is closed, and when enough has come together. Nothing that a request
//! says can end an entry or forge another: see [`Escaping`]. A file that takes nothing, be the disk
//! full or the reader of a pipe slow, costs entries but never a request.

mod buffer;
mod escaping;
mod file;
mod format;

use std::sync::Arc;

use conf::Condition;

pub use buffer::EntryBuffer;
pub use escaping::Escaping;
pub use file::LogFile;
pub use format::{Format, FormatError};

use crate::routing::{RequestContext, ResponseFacts, variables};

/// The access log of a configuration.
#[derive(Debug)]
pub struct AccessLog {
    file: Arc<LogFile>,
    format: Format,
    condition: Option<Condition>,
    reads_head: bool,
}

impl AccessLog {
    /// Compiles the access log of a configuration; its file is open already.
    ///
    /// # Errors
    /// [`FormatError`] when an entry needs what this build does not have.
    pub fn compile(log: &conf::AccessLog, file: Arc<LogFile>) -> Result<Self, FormatError> {
        let format = Format::compile(&log.format)?;
        let condition = log.condition.clone();
        let reads_head = format.reads_head()
            || condition.as_ref().is_some_and(|condition| format::reads_head(condition.template()));
        Ok(Self { file, format, condition, reads_head })
    }

    /// Its file.
    pub fn file(&self) -> &Arc<LogFile> {
        &self.file
    }

    /// Whether there is anywhere to write to.
    pub fn is_open(&self) -> bool {
        self.file.is_open()
    }

    /// Whether entries show fields of responses that only the head as sent knows.
    pub fn reads_head(&self) -> bool {
        self.reads_head
    }

    /// Whether the request is to be logged. One whose condition cannot be evaluated is.
    fn wants(&self, ctx: &mut RequestContext<'_>, facts: &ResponseFacts<'_>) -> bool {
        self.condition.as_ref().is_none_or(|condition| {
            variables::condition_holds(condition, ctx, facts).unwrap_or(true)
        })
    }
}

#[cfg(test)]
mod tests;
