//! Executing the runtimes of a directory and listening to what they say about themselves.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, PipeReader, Read, pipe};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::{Duration, Instant};

use port_proto::Module;
use sys::errno::Described;
use sys::poll::{PollFd, PollFlags, poll};
use sys::signal::{Ending, Signal};
use sys::spawn::{Pid, SpawnPlan, spawn};
use thiserror::Error;

use crate::description::{self, DESCRIPTION_LEN_MAX, DescriptionError};

/// The ending of a runtime's file name.
const SUFFIX: &str = ".unit";

/// How long all runtimes together may take: long, because one that is given up after a cold start of
/// the machine is missed by its applications. It is less than what main gives discovery.
const LIMIT: Duration = Duration::from_secs(15);

/// How often endings are looked for.
const TICK: Duration = Duration::from_millis(5);

/// Why a runtime is not used.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// It could not be executed.
    #[error("{0}")]
    NotExecuted(String),
    /// It did not end in time.
    #[error("no answer within {} s", LIMIT.as_secs())]
    TimedOut,
    /// It exited, but not with 0.
    #[error("exited with code {0}")]
    ExitCode(i32),
    /// A signal ended it.
    #[error("exited on signal {0}")]
    Signal(i32),
    /// It said something wrong.
    #[error(transparent)]
    Description(#[from] DescriptionError),
}

/// Asks every runtime in a directory, logs the outcome for each, and returns those that can be used
/// in the order of their file names.
#[must_use]
pub fn probe_directory(directory: &str) -> Vec<Module> {
    let files = list(directory);
    if files.is_empty() {
        unit_log::notice!("no modules matching: \"{directory}/*{SUFFIX}\" found");
    }
    let mut modules = Vec::new();
    for (file, outcome) in probe(files, LIMIT) {
        match outcome {
            Ok(module) => {
                unit_log::notice!("module: {} {} \"{file}\"", module.language, module.version);
                modules.push(module);
            }
            Err(ProbeError::Description(DescriptionError::Incompatible(_))) => {
                unit_log::notice!("incompatible module {file}");
            }
            Err(ProbeError::Description(DescriptionError::UnknownLanguage(language))) => {
                unit_log::notice!("unknown module type {language}");
            }
            Err(error) => unit_log::alert!("describe(\"{file}\"), failed: \"{error}\""),
        }
    }
    modules
}

/// The runtimes of a directory, sorted by name. A directory that cannot be read has none.
fn list(directory: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(SUFFIX) && !name.starts_with('.'))
        .map(|name| format!("{directory}/{name}"))
        .collect();
    files.sort();
    files
}

/// A runtime that is being asked.
struct Probe {
    file: String,
    state: State,
}

enum State {
    Running { pid: Pid, output: PipeReader, text: Vec<u8> },
    Done(Result<Module, ProbeError>),
}

fn probe(files: Vec<String>, limit: Duration) -> Vec<(String, Result<Module, ProbeError>)> {
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| {
            CString::new([name.into_vec(), value.into_vec()].join(&b'=')).ok()
        })
        .collect();
    let deadline = Instant::now() + limit;
    let mut probes: Vec<Probe> =
        files.into_iter().map(|file| Probe::start(file, &environment)).collect();
    while probes.iter().any(Probe::is_running) {
        if Instant::now() >= deadline {
            probes.iter_mut().for_each(|probe| probe.give_up(ProbeError::TimedOut));
            break;
        }
        wait_for_output(&probes);
        probes.iter_mut().for_each(Probe::read);
        probes.iter_mut().for_each(Probe::look_for_ending);
    }
    probes
        .into_iter()
        .filter_map(|Probe { file, state }| match state {
            State::Done(outcome) => Some((file, outcome)),
            State::Running { .. } => None,
        })
        .collect()
}

/// Waits until a runtime has said something, or a moment.
fn wait_for_output(probes: &[Probe]) {
    let mut ready: Vec<PollFd<'_>> = probes
        .iter()
        .filter_map(|probe| match &probe.state {
            State::Running { output, .. } => Some(PollFd::new(output, PollFlags::IN)),
            State::Done(_) => None,
        })
        .collect();
    let begun = Instant::now();
    // Interrupted or not: what there is is read next.
    let _ = poll(&mut ready, Some(TICK));
    // A closed pipe is always ready; the process behind it may take a moment to end.
    std::thread::sleep(TICK.saturating_sub(begun.elapsed()).min(Duration::from_millis(1)));
}

impl Probe {
    fn start(file: String, environment: &[CString]) -> Self {
        let state = match execute(&file, environment) {
            Ok((pid, output)) => State::Running { pid, output, text: Vec::new() },
            Err(text) => State::Done(Err(ProbeError::NotExecuted(text))),
        };
        Self { file, state }
    }

    fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Reads what is there, one byte more than is allowed at most: the rest stays in the pipe.
    fn read(&mut self) {
        let State::Running { output, text, .. } = &mut self.state else { return };
        let room = (DESCRIPTION_LEN_MAX + 1).saturating_sub(text.len()) as u64;
        // The pipe does not block: that nothing more is there comes as an error.
        let _ = output.take(room).read_to_end(text);
        if text.len() > DESCRIPTION_LEN_MAX {
            self.give_up(DescriptionError::TooLong.into());
        }
    }

    fn look_for_ending(&mut self) {
        let State::Running { pid, .. } = self.state else { return };
        match sys::signal::try_wait(pid) {
            Ok(None) => {}
            Ok(Some(ending)) => {
                // What it said just before it ended.
                self.read();
                self.finish(ending);
            }
            Err(error) => {
                let text = format!("waitpid() failed {}", Described(&error));
                self.state = State::Done(Err(ProbeError::NotExecuted(text)));
            }
        }
    }

    fn finish(&mut self, ending: Ending) {
        let State::Running { text, .. } = &self.state else { return };
        let outcome = match ending {
            Ending::Code(0) => description::read(&self.file, text).map_err(ProbeError::from),
            Ending::Code(code) => Err(ProbeError::ExitCode(code)),
            Ending::Signal { number, .. } => Err(ProbeError::Signal(number)),
        };
        self.state = State::Done(outcome);
    }

    fn give_up(&mut self, reason: ProbeError) {
        let State::Running { pid, .. } = self.state else { return };
        // It is a child that was not waited for, so the pid is still its own. When discovery ends,
        // init takes care of the rest.
        let _ = sys::signal::send(pid, Signal::SIGKILL);
        self.state = State::Done(Err(reason));
    }
}

/// Executes a runtime; the answer is its process and its standard output.
fn execute(file: &str, environment: &[CString]) -> Result<(Pid, PipeReader), String> {
    let call = |call: &str| {
        let call = format!("{call} failed");
        move |error: io::Error| format!("{call} {}", Described(&error))
    };
    let executable = sys::fs::open_executable(Path::new(file)).map_err(call("open()"))?;
    let null = File::open("/dev/null").map_err(call("open(\"/dev/null\")"))?;
    let (output, written) = pipe().map_err(call("pipe()"))?;
    sys::fd::set_nonblocking(&output, true).map_err(call("fcntl()"))?;
    let name = CString::new(file).map_err(|error| error.to_string())?;
    let mut plan = SpawnPlan::new(executable.as_fd(), vec![name, c"--describe".to_owned()]);
    plan.environment = environment.to_vec();
    let stderr = io::stderr();
    plan.descriptors = vec![null.as_fd(), written.as_fd(), stderr.as_fd()];
    plan.own_process_group = true;
    plan.parent_death_signal = Some(Signal::SIGKILL);
    let pid = spawn(&plan).map_err(|error| error.to_string())?;
    Ok((pid, output))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    /// A directory of programs, each a link to the shell's name for it: `NAME.unit` behaves as the
    /// test asks for by what the program is.
    fn directory(programs: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, program) in programs {
            std::os::unix::fs::symlink(program, directory.path().join(name)).unwrap();
        }
        directory
    }

    fn outcomes(directory: &tempfile::TempDir, limit: Duration) -> Vec<(String, String)> {
        let path = directory.path().to_str().unwrap();
        probe(list(path), limit)
            .into_iter()
            .map(|(file, outcome)| {
                let name = file.strip_prefix(&format!("{path}/")).unwrap().to_owned();
                (name, outcome.map_or_else(|error| error.to_string(), |module| module.version))
            })
            .collect()
    }

    #[test]
    fn lists_runtimes_by_name_and_nothing_else() {
        let directory =
            directory(&[("b.unit", "x"), ("a.unit", "x"), (".c.unit", "x"), ("d.so", "x")]);
        let path = directory.path().to_str().unwrap();
        assert_eq!(list(path), [format!("{path}/a.unit"), format!("{path}/b.unit")]);
        assert!(list("/nonexistent").is_empty());
        assert!(probe_directory("/nonexistent").is_empty());
    }

    #[test]
    fn each_fault_is_told_and_none_stops_the_others() {
        let directory = directory(&[
            ("exits.unit", "/bin/false"),
            ("gone.unit", "/nonexistent"),
            ("says.unit", "/bin/echo"),
            ("silent.unit", "/bin/true"),
        ]);
        let text = directory.path().join("text.unit");
        fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(text).unwrap();
        assert_eq!(
            outcomes(&directory, Duration::from_secs(60)),
            [
                ("exits.unit", "exited with code 1"),
                ("gone.unit", "open() failed (2: No such file or directory)"),
                ("says.unit", "invalid number at line 1 column 2"),
                ("silent.unit", "EOF while parsing a value at line 1 column 0"),
                ("text.unit", "execveat() failed (8: Exec format error)"),
            ]
            .map(|(name, outcome)| (name.to_owned(), outcome.to_owned()))
        );
    }
}
