//! A unitd of our own in a private directory: started, configured, asked and stopped.

use std::fs;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};

use crate::{command, http, pythons};

const START_TIMEOUT: Duration = Duration::from_secs(15);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest path a unix socket address holds, less the `.tmp` main appends while it binds.
const SOCKET_PATH_MAX: usize = 107 - ".tmp".len();

/// Where its executables are and where it may write.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) bin_dir: &'a Path,
    pub(crate) modules_dir: &'a Path,
    pub(crate) directory: &'a Path,
    /// What the roles and applications have to read; decides whom they run as.
    pub(crate) reads: &'a [&'a Path],
}

/// A running unitd; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Unitd {
    child: Child,
    pub(crate) control: PathBuf,
    pub(crate) log: PathBuf,
}

impl Unitd {
    /// Starts it in the foreground, in a process group of its own so that Ctrl-C in the terminal
    /// reaches only us, and waits until its control socket answers.
    pub(crate) fn start(place: &Place) -> Result<Self> {
        let mut unitd = Self::spawn(place)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(status) = unitd.child.try_wait()? {
                bail!("unitd ended at its start, {status}\n{}", unitd.log_tail());
            }
            let answer = http::ask_control(&unitd.control, "GET", "/config", "");
            match answer {
                Ok(response) if response.status == 200 => return Ok(unitd),
                Ok(response) => bail!("the control API answered {}", response.status),
                Err(error) if Instant::now() > deadline => {
                    bail!("unitd does not answer: {error:#}\n{}", unitd.log_tail())
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Starts it and does not wait for anything.
    pub(crate) fn spawn(place: &Place) -> Result<Self> {
        let directory = place.directory;
        for name in ["state", "tmp"] {
            fs::create_dir_all(directory.join(name))
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        // The router and the applications write their temporary files as another user.
        fs::set_permissions(directory.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        let control = control_path(directory);
        let log = directory.join("unit.log");
        let mut command = command::program(place.bin_dir.join("unitd"));
        command.arg("--no-daemon");
        command.arg("--control").arg(format!("unix:{}", control.display()));
        command.arg("--pid").arg(directory.join("unit.pid"));
        command.arg("--log").arg(&log);
        command.arg("--modulesdir").arg(place.modules_dir);
        command.arg("--statedir").arg(directory.join("state"));
        command.arg("--tmpdir").arg(directory.join("tmp"));
        if let Some(user) = unprivileged_user(place.reads)? {
            if user != "nobody" {
                eprintln!("not everyone can read the files: the processes run as {user}");
            }
            command.args(["--user", &user]);
        }
        // What it says before its log file is open would otherwise stand among our own lines.
        let early = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&log)?;
        let child =
            command.stdin(Stdio::null()).stderr(early).process_group(0).spawn().with_context(
                || format!("cannot start {}", place.bin_dir.join("unitd").display()),
            )?;
        Ok(Self { child, control, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Replaces the whole configuration.
    pub(crate) fn configure(&self, config: &str) -> Result<()> {
        let response = http::ask_control(&self.control, "PUT", "/config", config)?;
        if response.status != 200 {
            bail!("the configuration was refused: {}\n{}", response.text(), self.log_tail());
        }
        Ok(())
    }

    /// Its exit status, when it has ended by itself.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to end and waits; one that does not is killed, and that is an error.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        self.stop_in_place()
    }

    fn stop_in_place(&mut self) -> Result<ExitStatus> {
        end(&mut self.child, Signal::SIGTERM)
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(20)..];
        format!("{}:\n{}", self.log.display(), tail.join("\n"))
    }
}

impl Drop for Unitd {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None))
            && let Err(error) = self.stop_in_place()
        {
            eprintln!("{error:#}");
        }
    }
}

/// Signals a child we started and waits for it; kills it at the deadline.
pub(crate) fn end(child: &mut Child, signal: Signal) -> Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).context("pid out of range")?);
    kill(pid, signal)?;
    let deadline = Instant::now() + STOP_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    bail!("process {pid} did not end within {} s and was killed", STOP_TIMEOUT.as_secs());
}

/// A port on the loopback address that nobody listens on at this moment.
pub(crate) fn free_tcp_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Beside the rest, or in the directory for temporary files where the path would be too long.
fn control_path(directory: &Path) -> PathBuf {
    let path = directory.join("control.sock");
    if path.as_os_str().len() <= SOCKET_PATH_MAX {
        return path;
    }
    std::env::temp_dir().join(format!("unit-{}.sock", std::process::id()))
}

/// Whom root's servers give their processes to: `nobody`, who must be able to read what they serve;
/// where a private directory is in the way, the owner of the files. None without root's rights.
pub(crate) fn unprivileged_user(reads: &[&Path]) -> Result<Option<String>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let Some(hidden) = reads.iter().find(|path| !pythons::is_readable_by_everyone(path)) else {
        return Ok(Some("nobody".to_owned()));
    };
    let uid = fs::metadata(hidden).with_context(|| hidden.display().to_string())?.uid();
    let user = User::from_uid(Uid::from_raw(uid))?
        .with_context(|| format!("user {uid}, who owns {}, has no name", hidden.display()))?;
    Ok(Some(user.name))
}
