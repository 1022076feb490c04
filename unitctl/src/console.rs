//! Standard output and error: what may be coloured, who can be asked, and readers that leave.

use std::io::{self, BufRead, IsTerminal, Write};

use conf::Value;
use thiserror::Error;

use crate::command_line::Format;
use crate::document;
use crate::yaml::{self, YamlError};

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Always,
    Never,
}

impl Colour {
    fn of(is_terminal: bool) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if is_terminal && !is_set("NO_COLOR") && !is_dumb { Self::Always } else { Self::Never }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Always => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Never => text.to_owned(),
        }
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }
}

/// Why a result could not be written.
#[derive(Debug, Error)]
pub(crate) enum OutputError {
    /// Whoever read it has left, as `head` does. Nothing to complain about.
    #[error("nobody reads the output")]
    Closed,
    /// Any other failure, such as a full disk.
    #[error("cannot write: {0}")]
    Write(io::Error),
    /// A value that the chosen format has no way to say.
    #[error(transparent)]
    Yaml(#[from] YamlError),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Write(error),
        }
    }
}

/// The terminal or what stands in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    /// Whether results go to a person.
    pub(crate) is_interactive_output: bool,
    /// Whether somebody is there to answer a question.
    pub(crate) can_ask: bool,
    /// Colour on standard output.
    pub(crate) out: Colour,
    /// Colour on standard error.
    pub(crate) err: Colour,
}

impl Console {
    /// Looks at what standard input, output and error are.
    pub(crate) fn of_this_process() -> Self {
        let out = io::stdout().is_terminal();
        let err = io::stderr().is_terminal();
        Self {
            is_interactive_output: out,
            can_ask: io::stdin().is_terminal() && err,
            out: Colour::of(out),
            err: Colour::of(err),
        }
    }

    /// Writes a result.
    pub(crate) fn print(&self, text: impl AsRef<[u8]>) -> Result<(), OutputError> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_ref())?;
        Ok(out.flush()?)
    }

    /// Writes a result and a line end.
    pub(crate) fn print_line(&self, text: &str) -> Result<(), OutputError> {
        self.print(format!("{text}\n"))
    }

    /// Writes a value in a format. As text, a string is its content and nothing else.
    pub(crate) fn print_value(&self, value: &Value, format: Format) -> Result<(), OutputError> {
        match format {
            Format::JsonPretty => self.print(document::pretty_json(value)),
            Format::Json => {
                let mut text = conf::print_compact(value);
                text.push(b'\n');
                self.print(text)
            }
            Format::Yaml => self.print(yaml::print(value)?),
            Format::Text => match value {
                Value::String(text) => self.print([text.as_bytes(), b"\n"].concat()),
                Value::Null
                | Value::Boolean(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_) => self.print(document::pretty_json(value)),
            },
        }
    }

    /// Says something that is no result. If that fails there is nobody to say it to.
    pub(crate) fn say(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Warns of something that may surprise.
    pub(crate) fn warn(&self, text: &str) {
        self.say(&format!("{} {text}", self.err.yellow("warning:")));
    }

    /// Asks a question and returns the first letter of the answer in lower case; `default` when the
    /// answer is empty, and `otherwise` at the end of input.
    pub(crate) fn ask(&self, question: &str, default: char, otherwise: char) -> char {
        let mut err = io::stderr().lock();
        let _ = write!(err, "{question} ");
        let _ = err.flush();
        drop(err);
        let mut answer = String::new();
        match io::stdin().lock().read_line(&mut answer) {
            Ok(0) | Err(_) => {
                self.say("");
                otherwise
            }
            Ok(_) => {
                answer.trim().chars().next().map_or(default, |first| first.to_ascii_lowercase())
            }
        }
    }
}
