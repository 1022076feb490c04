//! Commands that end by themselves, and what they wrote.

use std::io::Write;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// How long one may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a command that has to end by itself. What it wrote is small.
///
/// # Panics
/// When it does not end.
#[track_caller]
pub fn run(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    wait_for_end(&mut child);
    child.wait_with_output().unwrap()
}

/// The same with something on its standard input.
///
/// # Panics
/// When it does not end.
#[track_caller]
pub fn run_with_input(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that reads no further says why with its status.
    let _ = child.stdin.take().unwrap().write_all(input);
    wait_for_end(&mut child);
    child.wait_with_output().unwrap()
}

/// Waits until a process has ended.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn wait_for_end(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
