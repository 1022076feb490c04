//! The format of an entry, compiled: text and variables in a row.

use conf::{AccessLogFormat, Part, Template, Variable};
use thiserror::Error;

use super::Escaping;
use crate::routing::{RequestContext, ResponseFacts, variables};

/// What stands for a variable without a value.
const MISSING: &[u8] = b"-";

/// Why a format cannot be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// It has a script in it.
    #[error("access_log/format: templates in JavaScript are not supported")]
    Script,
}

/// The format of an entry.
#[derive(Debug)]
pub struct Format {
    pieces: Vec<Piece>,
    escaping: Escaping,
}

#[derive(Debug)]
enum Piece {
    /// Text as it stands in the entry.
    Literal(Vec<u8>),
    /// A value to be looked up.
    Variable(Variable),
}

impl Format {
    /// Compiles a format. What the configuration says itself stands in a text as it is, and escaped
    /// in JSON.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn compile(format: &AccessLogFormat) -> Result<Self, FormatError> {
        let mut compiled = match format {
            AccessLogFormat::Line(template) => {
                let mut compiled = Self { pieces: Vec::new(), escaping: Escaping::Text };
                compiled.push_template(template)?;
                compiled
            }
            AccessLogFormat::Json(members) => {
                let mut compiled = Self { pieces: Vec::new(), escaping: Escaping::Json };
                compiled.push_literal(b"{");
                for (at, (name, template)) in members.iter().enumerate() {
                    compiled.push_literal(if at == 0 { b"\"" } else { b",\"" });
                    let mut escaped = Vec::new();
                    Escaping::Json.push(name, &mut escaped);
                    compiled.push_literal(&escaped);
                    compiled.push_literal(b"\":\"");
                    compiled.push_template(template)?;
                    compiled.push_literal(b"\"");
                }
                compiled.push_literal(b"}");
                compiled
            }
        };
        compiled.push_literal(b"\n");
        Ok(compiled)
    }

    fn push_template(&mut self, template: &Template) -> Result<(), FormatError> {
        match template {
            Template::Constant(text) => self.push_text(text),
            Template::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Literal(text) => self.push_text(text),
                        Part::Variable(variable) => {
                            self.pieces.push(Piece::Variable(variable.clone()));
                        }
                    }
                }
            }
            Template::Script(_) => return Err(FormatError::Script),
        }
        Ok(())
    }

    /// Text of the configuration.
    fn push_text(&mut self, text: &[u8]) {
        match self.escaping {
            Escaping::Text => self.push_literal(text),
            Escaping::Json => {
                let mut escaped = Vec::new();
                Escaping::Json.push(text, &mut escaped);
                self.push_literal(&escaped);
            }
        }
    }

    fn push_literal(&mut self, text: &[u8]) {
        match self.pieces.last_mut() {
            Some(Piece::Literal(before)) => before.extend_from_slice(text),
            Some(Piece::Variable(_)) | None => self.pieces.push(Piece::Literal(text.to_vec())),
        }
    }

    /// Appends the entry of a request with its line end; `scratch` is room to work in.
    pub fn push_entry(
        &self,
        ctx: &mut RequestContext<'_>,
        facts: &ResponseFacts<'_>,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Variable(variable) => {
                    let start = out.len();
                    if variables::push_variable(variable, ctx, facts, out) {
                        self.escaping.escape_from(start, out, scratch);
                    } else {
                        out.extend_from_slice(MISSING);
                    }
                }
            }
        }
    }

    /// Whether entries show what only the head as sent knows.
    pub(super) fn reads_head(&self) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Literal(_) => false,
            Piece::Variable(variable) => is_of_the_head(variable),
        })
    }
}

/// Whether a template shows what only the head as sent knows.
pub(super) fn reads_head(template: &Template) -> bool {
    match template {
        Template::Constant(_) | Template::Script(_) => false,
        Template::Parts(parts) => parts.iter().any(|part| match part {
            Part::Literal(_) => false,
            Part::Variable(variable) => is_of_the_head(variable),
        }),
    }
}

/// The framing of a response is known without its head.
fn is_of_the_head(variable: &Variable) -> bool {
    matches!(variable, Variable::ResponseHeader(name)
        if !matches!(name.as_bytes(), b"connection" | b"transfer-encoding"))
}
