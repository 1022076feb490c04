//! A program on a terminal of its own, with somebody who reads the screen and types.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

use crate::wait::{wait_for, wait_until};

/// How long a program may take to show something or to end.
const LIMIT: Duration = Duration::from_secs(30);

/// A program that runs on a terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    /// Kept open, so that the state of the terminal can still be looked at when the program ended.
    other_end: OwnedFd,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts a program with a terminal as its standard input, output and error.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let size = Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).unwrap();
        command.stdin(pair.slave.try_clone().unwrap());
        command.stdout(pair.slave.try_clone().unwrap());
        command.stderr(pair.slave.try_clone().unwrap());
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        let child = command.spawn().unwrap();
        // The command has copies of the terminal; its end must not wait for them.
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let keyboard = File::from(pair.master);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, store) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        let reader = std::thread::spawn(move || {
            let mut block = [0; 4096];
            // When the other end is closed, reading fails.
            while let Ok(length @ 1..) = screen.read(&mut block) {
                store.lock().unwrap().extend_from_slice(&block[..length]);
            }
        });
        Self { child, keyboard, other_end: pair.slave, shown, reader: Some(reader) }
    }

    /// Everything that was shown so far.
    ///
    /// # Panics
    /// Never, unless the reader did.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until a text was shown that many times.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn wait_times(&self, text: &str, times: usize) {
        wait_until(&format!("{text:?} on the screen {times} times"), LIMIT, || {
            self.text().matches(text).count() >= times
        });
    }

    /// Waits until a text was shown.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn wait(&self, text: &str) {
        self.wait_times(text, 1);
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Sends the program a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        nix::sys::signal::kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Whether what is typed is shown and taken by lines, as programs are to leave it.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[must_use]
    pub fn is_cooked(&self) -> bool {
        let flags = tcgetattr(&self.other_end).unwrap().local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO)
    }

    /// Waits for the end of the program.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        wait_for("the end of the program on the terminal", LIMIT, || self.child.try_wait().unwrap())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let text = self.text();
            let end = text.get(text.floor_char_boundary(text.len().saturating_sub(4000))..);
            eprintln!("---- the end of what was on the terminal:\n{end:?}\n----");
            return;
        }
        // The reader ends when no end of the terminal is open any more but its own and ours.
        drop(self.reader.take());
    }
}
