//! `unitctl logs`: the end of the daemon's log, and what comes after.

use std::path::PathBuf;
use std::time::Duration;

use conf::Value;

use crate::command_line::LogsArgs;
use crate::discover;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log_file::{LogError, LogFile, lines};
use crate::session::Session;
use crate::visible::visible_lines;

/// How often a log that is followed is looked at.
const STEP: Duration = Duration::from_millis(200);

pub(super) fn run(session: &Session, arguments: &LogsArgs) -> Result<(), Failure> {
    let path = match &arguments.file {
        Some(file) => PathBuf::from(file),
        None => of_the_daemon(session)?,
    };
    let mut log = LogFile::open(&path, arguments.lines)?;
    let mut printer = Printer { session, rest: Vec::new() };
    loop {
        let more = log.read_more()?;
        if !more.is_empty() {
            printer.print(&more)?;
            continue;
        }
        if !arguments.follow {
            return printer.end();
        }
        std::thread::sleep(STEP);
    }
}

/// Prints a log: as it is, made safe for a terminal, or each line as a JSON string.
struct Printer<'a> {
    session: &'a Session,
    /// The start of a line whose end has not come yet.
    rest: Vec<u8>,
}

impl Printer<'_> {
    fn print(&mut self, text: &[u8]) -> Result<(), Failure> {
        let is_raw = !self.session.is_json() && !self.session.console.is_interactive_output;
        if is_raw {
            return Ok(self.session.console.print(text)?);
        }
        self.rest.extend_from_slice(text);
        let whole = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.rest.drain(..whole).collect();
        self.print_lines(&whole)
    }

    fn end(&mut self) -> Result<(), Failure> {
        let rest = std::mem::take(&mut self.rest);
        self.print_lines(&rest)
    }

    fn print_lines(&self, text: &[u8]) -> Result<(), Failure> {
        for line in lines(text) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let shown = if self.session.is_json() {
                String::from_utf8_lossy(&conf::print_compact(&Value::from(line))).into_owned()
            } else {
                visible_lines(&line).into_owned()
            };
            self.session.console.print_line(&shown)?;
        }
        Ok(())
    }
}

fn of_the_daemon(session: &Session) -> Result<PathBuf, Failure> {
    let addresses = session.addresses()?;
    let [address] = addresses.as_slice() else {
        let what = "this command is for one daemon; give -s once".to_owned();
        return Err(Failure::Reported { what, exit: Exit::SeveralInstances });
    };
    match discover::instance_at(address) {
        Some(instance) => Ok(instance.log()),
        None => Err(LogError::Unknown(address.to_string()).into()),
    }
}
