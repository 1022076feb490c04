//! Executing a program by descriptor: everything is decided before the fork, and between fork and
//! exec there are only async-signal-safe calls.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

pub use nix::unistd::Pid;
use thiserror::Error;

use crate::errno::Described;

/// The first number that prepared descriptors are moved to, out of the way of those the program
/// gets.
const PARKED_FD_MIN: RawFd = 16;

/// Exit code of a child that could not execute the program; its parent has the reason already.
const EXIT_NOT_EXECUTED: libc::c_int = 127;

/// The user, group and supplementary groups to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Real, effective and saved user.
    pub uid: u32,
    /// Real, effective and saved group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// A set of capabilities by their kernel numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(u64);

impl Capabilities {
    /// None.
    pub const NONE: Self = Self(0);
    /// `CAP_DAC_OVERRIDE` and `CAP_DAC_READ_SEARCH`: what makes the user root able to reach every
    /// file, without the power over other processes, devices and the network.
    pub const FILE_ACCESS: Self = Self(1 << 1 | 1 << 2);

    const NUMBERS: std::ops::Range<libc::c_ulong> = 0..64;

    fn has(self, number: libc::c_ulong) -> bool {
        self.0 >> number & 1 == 1
    }
}

/// What is to be executed, and as what. Steps left out are not done.
#[derive(Debug)]
pub struct SpawnPlan<'a> {
    /// The program, opened for its path only or for reading.
    pub executable: BorrowedFd<'a>,
    /// The arguments, the zeroth included.
    pub arguments: Vec<CString>,
    /// The whole environment, as `NAME=value`.
    pub environment: Vec<CString>,
    /// The descriptors the program gets, numbered from 0. Every other one is closed.
    pub descriptors: Vec<BorrowedFd<'a>>,
    /// Whether the program leads a process group of its own, so that a terminal's Ctrl-C does not
    /// reach it.
    pub own_process_group: bool,
    /// How many descriptors it may have, if another number than here. Not over the hard limit.
    pub descriptor_limit: Option<u64>,
    /// Whom to become.
    pub identity: Option<Identity>,
    /// The capabilities to keep; all others leave every set, the bounding set included.
    pub keep_capabilities: Option<Capabilities>,
    /// Whether set-id programs have no power for it any more.
    pub no_new_privs: bool,
    /// The signal it gets when the thread that spawns it ends.
    pub parent_death_signal: Option<crate::signal::Signal>,
}

impl<'a> SpawnPlan<'a> {
    /// A plan that executes the program with these arguments and changes nothing.
    #[must_use]
    pub fn new(executable: BorrowedFd<'a>, arguments: Vec<CString>) -> Self {
        Self {
            executable,
            arguments,
            environment: Vec::new(),
            descriptors: Vec::new(),
            own_process_group: false,
            descriptor_limit: None,
            identity: None,
            keep_capabilities: None,
            no_new_privs: false,
            parent_death_signal: None,
        }
    }
}

/// What a child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Preparing descriptors in the parent.
    Prepare,
    /// Forking.
    Fork,
    /// Leading a process group.
    ProcessGroup,
    /// Placing the descriptors.
    Descriptors,
    /// Marking the rest to be closed.
    CloseRange,
    /// Limiting how many there may be.
    DescriptorLimit,
    /// Leaving the capability bounding set.
    BoundingSet,
    /// Changing the group.
    SetGid,
    /// Changing the supplementary groups.
    SetGroups,
    /// Changing the user.
    SetUid,
    /// Dropping capabilities.
    Capabilities,
    /// Setting no_new_privs.
    NoNewPrivs,
    /// Asking for the signal at the parent's death.
    ParentDeathSignal,
    /// The parent was gone already.
    ParentGone,
    /// Executing.
    Exec,
}

impl Step {
    const ALL: [Self; 15] = [
        Self::Prepare,
        Self::Fork,
        Self::ProcessGroup,
        Self::Descriptors,
        Self::CloseRange,
        Self::DescriptorLimit,
        Self::BoundingSet,
        Self::SetGid,
        Self::SetGroups,
        Self::SetUid,
        Self::Capabilities,
        Self::NoNewPrivs,
        Self::ParentDeathSignal,
        Self::ParentGone,
        Self::Exec,
    ];

    /// The call that failed.
    #[must_use]
    pub const fn call(self) -> &'static str {
        match self {
            Self::Prepare => "pipe()",
            Self::Fork => "fork()",
            Self::ProcessGroup => "setpgid()",
            Self::Descriptors => "dup2()",
            Self::CloseRange => "close_range()",
            Self::DescriptorLimit => "setrlimit()",
            Self::BoundingSet => "prctl(PR_CAPBSET_DROP)",
            Self::SetGid => "setgid()",
            Self::SetGroups => "setgroups()",
            Self::SetUid => "setuid()",
            Self::Capabilities => "capset()",
            Self::NoNewPrivs => "prctl(PR_SET_NO_NEW_PRIVS)",
            Self::ParentDeathSignal => "prctl(PR_SET_PDEATHSIG)",
            Self::ParentGone => "getppid()",
            Self::Exec => "execveat()",
        }
    }
}

/// Why a program was not executed.
#[derive(Debug, Error)]
#[error("{} failed {}", step.call(), Described(error))]
pub struct SpawnError {
    /// What was being done.
    pub step: Step,
    /// The error of the call.
    pub error: io::Error,
}

impl SpawnError {
    fn at(step: Step) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { step, error }
    }
}

/// Executes a program in a new process. When this returns, the program runs, or nothing does.
///
/// # Errors
/// [`SpawnError`] naming the step that failed, whichever process it was in.
pub fn spawn(plan: &SpawnPlan<'_>) -> Result<Pid, SpawnError> {
    let child = Child::prepare(plan).map_err(SpawnError::at(Step::Prepare))?;
    // A signal that arrives in the child before its dispositions are reset would run a handler of
    // the parent's.
    let blocked = crate::signal::BlockAll::new().map_err(SpawnError::at(Step::Prepare))?;
    // SAFETY: the child calls only `Child::run`, which keeps to async-signal-safe calls and never
    // returns, so it does not matter what locks other threads of this process hold. The standard
    // library's `Command` cannot execute by descriptor, so it is no alternative.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        child.run();
    }
    let fork_error = io::Error::last_os_error();
    drop(blocked);
    if pid < 0 {
        return Err(SpawnError { step: Step::Fork, error: fork_error });
    }
    let pid = Pid::from_raw(pid);
    let Child { error_write, mut error_read, .. } = child;
    drop(error_write);
    let mut report = [0_u8; Failure::LEN];
    match error_read.read_exact(&mut report) {
        // The pipe closed without a word: exec closed it.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(pid),
        outcome => {
            // The child has ended, or is about to; nobody else knows it yet, so it is reaped here.
            let _ = nix::sys::wait::waitpid(pid, None);
            outcome.map_err(SpawnError::at(Step::Prepare))?;
            Err(Failure::decode(report))
        }
    }
}

/// What a failed child writes into its error pipe.
struct Failure;

impl Failure {
    const LEN: usize = 5;

    fn encode(step: Step, errno: i32) -> [u8; Self::LEN] {
        let [a, b, c, d] = errno.to_ne_bytes();
        [step as u8, a, b, c, d]
    }

    fn decode([step, a, b, c, d]: [u8; Self::LEN]) -> SpawnError {
        let step = Step::ALL.into_iter().find(|known| *known as u8 == step).unwrap_or(Step::Exec);
        let error = io::Error::from_raw_os_error(i32::from_ne_bytes([a, b, c, d]));
        SpawnError { step, error }
    }
}

/// Everything a child needs, allocated before the fork.
struct Child<'a> {
    plan: &'a SpawnPlan<'a>,
    executable: OwnedFd,
    descriptors: Vec<OwnedFd>,
    descriptors_max: libc::c_uint,
    arguments: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
    parent: libc::pid_t,
    error_read: File,
    error_write: OwnedFd,
}

impl<'a> Child<'a> {
    fn prepare(plan: &'a SpawnPlan<'a>) -> io::Result<Self> {
        let (error_read, error_write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let descriptors: Vec<OwnedFd> =
            plan.descriptors.iter().map(|fd| park(*fd)).collect::<io::Result<_>>()?;
        let descriptors_max = libc::c_uint::try_from(descriptors.len())
            .ok()
            .filter(|count| *count < PARKED_FD_MIN.unsigned_abs())
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        Ok(Self {
            plan,
            executable: park(plan.executable)?,
            descriptors,
            descriptors_max,
            arguments: pointers(&plan.arguments),
            environment: pointers(&plan.environment),
            parent: nix::unistd::getpid().as_raw(),
            error_read: File::from(error_read),
            error_write: park(error_write.as_fd())?,
        })
    }

    /// Turns the forked child into the program, or reports why not.
    ///
    /// Between fork and exec: async-signal-safe calls only, no allocation, no locks, no logging.
    fn run(&self) -> ! {
        let Err(failure) = self.become_program();
        // SAFETY: the pointer and length are those of a live array, the descriptor is open; write
        // is async-signal-safe.
        unsafe {
            libc::write(self.error_write.as_raw_fd(), failure.as_ptr().cast(), failure.len());
        }
        // SAFETY: _exit is async-signal-safe and runs no destructor or exit handler of the parent.
        unsafe { libc::_exit(EXIT_NOT_EXECUTED) }
    }

    /// Async-signal-safe: called between fork and exec.
    fn become_program(&self) -> Result<Infallible, [u8; Failure::LEN]> {
        if self.plan.own_process_group {
            // SAFETY: takes two integers; async-signal-safe.
            check(Step::ProcessGroup, unsafe { libc::setpgid(0, 0) })?;
        }
        self.place_descriptors()?;
        if let Some(limit) = self.plan.descriptor_limit {
            limit_descriptors(limit)?;
        }
        reset_dispositions();
        if let Some(keep) = self.plan.keep_capabilities {
            leave_bounding_set(keep)?;
        }
        if let Some(identity) = &self.plan.identity {
            take_identity(identity)?;
        }
        if let Some(keep) = self.plan.keep_capabilities {
            drop_capabilities(keep)?;
        }
        if self.plan.no_new_privs {
            // SAFETY: takes integers only; prctl is a plain system call.
            let done = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
            check(Step::NoNewPrivs, done)?;
        }
        // The kernel forgets this setting when ids change, so it comes after them.
        if let Some(signal) = self.plan.parent_death_signal {
            // SAFETY: takes integers only; prctl is a plain system call.
            let done = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_int) };
            check(Step::ParentDeathSignal, done)?;
            // SAFETY: takes nothing; async-signal-safe.
            if unsafe { libc::getppid() } != self.parent {
                return Err(Failure::encode(Step::ParentGone, libc::ESRCH));
            }
        }
        unblock_signals();
        // SAFETY: the descriptor is open, the path is a terminated empty string, and both arrays
        // are null-terminated arrays of pointers to terminated strings that `self.plan` owns.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                self.executable.as_raw_fd(),
                c"".as_ptr(),
                self.arguments.as_ptr(),
                self.environment.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
        }
        Err(Failure::encode(Step::Exec, errno()))
    }

    /// Async-signal-safe: called between fork and exec.
    fn place_descriptors(&self) -> Result<(), [u8; Failure::LEN]> {
        for (number, fd) in (0..).zip(&self.descriptors) {
            // SAFETY: both are integers; dup2 is async-signal-safe. The target numbers are below
            // every parked descriptor, so none that is still needed is overwritten.
            check(Step::Descriptors, unsafe { libc::dup2(fd.as_raw_fd(), number) })?;
        }
        // What stays open for exec and for the error pipe is closed by exec itself.
        // SAFETY: takes integers only; a plain system call.
        let done = unsafe {
            libc::syscall(
                libc::SYS_close_range,
                self.descriptors_max,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        if done == 0 {
            return Ok(());
        }
        match errno() {
            // Linux before 5.11.
            libc::ENOSYS | libc::EINVAL => {
                mark_close_on_exec(self.descriptors_max);
                Ok(())
            }
            errno => Err(Failure::encode(Step::CloseRange, errno)),
        }
    }
}

/// A close-on-exec copy out of the way of the numbers that programs get.
fn park(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let parked = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(PARKED_FD_MIN))?;
    // SAFETY: the call has just returned this descriptor, so it is open and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(parked) })
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// Async-signal-safe.
fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Async-signal-safe.
fn check(step: Step, returned: libc::c_int) -> Result<(), [u8; Failure::LEN]> {
    if returned < 0 { Err(Failure::encode(step, errno())) } else { Ok(()) }
}

/// Async-signal-safe. Ignored and caught signals alike return to their defaults: the Rust runtime
/// ignores SIGPIPE, and an ignored signal survives exec.
fn reset_dispositions() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is a valid disposition; numbers that cannot be changed give an error,
        // which does not matter. async-signal-safe.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Async-signal-safe.
fn unblock_signals() {
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is to a live, writable sigset_t; async-signal-safe.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: sigemptyset has initialised the set; the old set is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) };
}

/// Async-signal-safe.
fn mark_close_on_exec(first: libc::c_uint) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    let end = if known { limit.rlim_cur.min(1 << 20) } else { 1024 };
    for fd in libc::rlim_t::from(first)..end {
        let Ok(fd) = libc::c_int::try_from(fd) else { break };
        // SAFETY: takes integers only; a number that is not open gives an error, which does not
        // matter. fcntl is async-signal-safe.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// Async-signal-safe. The hard limit stays: the program may raise its own again.
fn limit_descriptors(limit: u64) -> Result<(), [u8; Failure::LEN]> {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit; a plain system call.
    let done = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) };
    check(Step::DescriptorLimit, done)?;
    limits.rlim_cur = limit.min(limits.rlim_max);
    // SAFETY: the pointer is to a live rlimit; a plain system call.
    check(Step::DescriptorLimit, unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limits) })
}

/// Async-signal-safe. The group first: once the user is changed, the right to change groups is
/// gone.
fn take_identity(identity: &Identity) -> Result<(), [u8; Failure::LEN]> {
    let Identity { uid, gid, groups } = identity;
    // SAFETY: takes integers only.
    check(Step::SetGid, unsafe { libc::setresgid(*gid, *gid, *gid) })?;
    // SAFETY: pointer and length are those of a live slice of group ids.
    check(Step::SetGroups, unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: takes integers only.
    check(Step::SetUid, unsafe { libc::setresuid(*uid, *uid, *uid) })
}

/// Async-signal-safe. Without CAP_SETPCAP the set stays as it is; no_new_privs makes up for it.
fn leave_bounding_set(keep: Capabilities) -> Result<(), [u8; Failure::LEN]> {
    for number in Capabilities::NUMBERS.filter(|number| !keep.has(*number)) {
        // SAFETY: takes integers only; prctl is a plain system call.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        if dropped < 0 {
            match errno() {
                // Past the last capability of this kernel, or not allowed to.
                libc::EINVAL | libc::EPERM => break,
                errno => return Err(Failure::encode(Step::BoundingSet, errno)),
            }
        }
    }
    Ok(())
}

/// The header of capset(2).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

/// One half of the sets of capset(2).
#[repr(C)]
struct CapabilityHalf {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Async-signal-safe.
fn drop_capabilities(keep: Capabilities) -> Result<(), [u8; Failure::LEN]> {
    // SAFETY: takes integers only. Kernels before 4.3 have no ambient set: the error says so.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let half = |bits: u64| {
        let kept = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        CapabilityHalf { effective: kept, permitted: kept, inheritable: 0 }
    };
    // _LINUX_CAPABILITY_VERSION_3: two halves.
    let header = CapabilityHeader { version: 0x2008_0522, pid: 0 };
    let halves = [half(keep.0), half(keep.0 >> 32)];
    // SAFETY: the header names version 3, for which the kernel reads exactly two halves; both
    // pointers are to live values of the layout in capset(2).
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr()) };
    if done < 0 { Err(Failure::encode(Step::Capabilities, errno())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use nix::sys::wait::{WaitStatus, waitpid};

    use super::*;

    fn executable(path: &str) -> OwnedFd {
        crate::fs::open_executable(Path::new(path)).unwrap()
    }

    fn words(words: &[&str]) -> Vec<CString> {
        words.iter().map(|word| CString::new(*word).unwrap()).collect()
    }

    /// Spawns a program that was written just now: another test's fork may still hold it open for
    /// writing until it executes.
    fn spawn_new_file(plan: &SpawnPlan<'_>) -> Result<Pid, SpawnError> {
        for _ in 0..1000 {
            match spawn(plan) {
                Err(error) if error.error.raw_os_error() == Some(libc::ETXTBSY) => {
                    std::thread::yield_now();
                }
                outcome => return outcome,
            }
        }
        spawn(plan)
    }

    /// Runs a shell script by a plan and returns what it writes to its standard output.
    fn output_of(script: &str, change: impl FnOnce(&mut SpawnPlan<'_>)) -> String {
        let shell = executable("/bin/sh");
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        let mut plan = SpawnPlan::new(shell.as_fd(), words(&["sh", "-c", script]));
        plan.environment = words(&["PATH=/usr/bin:/bin"]);
        plan.descriptors = vec![null.as_fd(), write.as_fd(), write.as_fd()];
        change(&mut plan);
        let pid = spawn(&plan).unwrap();
        drop(plan);
        drop(write);
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).unwrap();
        assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Exited(pid, 0), "{text}");
        text
    }

    #[test]
    fn passes_arguments_environment_and_nothing_else() {
        let leaked = File::open("/dev/zero").unwrap();
        nix::fcntl::fcntl(&leaked, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))
            .unwrap();
        let text = output_of("echo $0; echo $GREETING; ls /proc/self/fd", |plan| {
            plan.arguments.push(c"x".to_owned());
            plan.environment = words(&["PATH=/usr/bin:/bin", "GREETING=good day"]);
        });
        // `ls` itself holds the directory it lists as descriptor 3.
        assert_eq!(text, "x\ngood day\n0\n1\n2\n3\n");
    }

    #[test]
    fn limits_descriptors_and_leaves_the_hard_limit() {
        let hard = output_of("ulimit -Hn", |_| ());
        let text = output_of("ulimit -Sn; ulimit -Hn", |plan| plan.descriptor_limit = Some(123));
        assert_eq!(text, format!("123\n{hard}"));
        let text =
            output_of("ulimit -Sn; ulimit -Hn", |plan| plan.descriptor_limit = Some(u64::MAX));
        assert_eq!(text, format!("{hard}{hard}"));
    }

    #[test]
    fn resets_signal_mask_and_dispositions() {
        // The test runner, like every Rust program, ignores SIGPIPE.
        let text = output_of("grep -E '^Sig(Blk|Ign)' /proc/self/status", |_| ());
        let masks: Vec<u64> = text
            .split_whitespace()
            .filter_map(|word| u64::from_str_radix(word, 16).ok())
            // Signals 32 and 33 belong to the C library, which does not let anyone set them.
            .map(|mask| mask & !(0b11 << 31))
            .collect();
        assert_eq!(masks, [0, 0], "{text}");
    }

    #[test]
    fn takes_identity_and_drops_every_capability() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let script = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status";
        let text = output_of(script, |plan| {
            plan.identity = Some(Identity { uid: 65534, gid: 65533, groups: vec![7, 65533] });
            plan.keep_capabilities = Some(Capabilities::NONE);
            plan.no_new_privs = true;
        });
        let lines: Vec<String> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let none = "0000000000000000";
        assert_eq!(
            lines,
            [
                "Uid: 65534 65534 65534 65534".to_owned(),
                "Gid: 65533 65533 65533 65533".to_owned(),
                "Groups: 7 65533".to_owned(),
                format!("CapInh: {none}"),
                format!("CapPrm: {none}"),
                format!("CapEff: {none}"),
                format!("CapBnd: {none}"),
                format!("CapAmb: {none}"),
                "NoNewPrivs: 1".to_owned(),
            ]
        );
    }

    #[test]
    fn root_keeps_file_access_only_when_asked() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let text = output_of("grep -E '^Cap(Prm|Eff)' /proc/self/status", |plan| {
            plan.identity = Some(Identity { uid: 0, gid: 0, groups: vec![0] });
            plan.keep_capabilities = Some(Capabilities::FILE_ACCESS);
            plan.no_new_privs = true;
        });
        assert_eq!(text, "CapPrm:\t0000000000000006\nCapEff:\t0000000000000006\n");
    }

    #[test]
    fn leads_its_own_group_and_dies_with_its_parent() {
        let pid_and_group = output_of("cut -d' ' -f1,5 /proc/$$/stat", |plan| {
            plan.own_process_group = true;
            plan.parent_death_signal = Some(crate::signal::Signal::SIGKILL);
        });
        let (pid, group) = pid_and_group.trim().split_once(' ').unwrap();
        assert_eq!(pid, group);
    }

    #[test]
    fn names_the_step_that_failed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("not-a-program");
        let mut file =
            File::options().write(true).create_new(true).mode(0o755).open(&path).unwrap();
        file.write_all(b"neither a program nor a script").unwrap();
        drop(file);
        let program = crate::fs::open_executable(&path).unwrap();
        let error = spawn_new_file(&SpawnPlan::new(program.as_fd(), words(&["x"]))).unwrap_err();
        assert_eq!(error.step, Step::Exec);
        assert_eq!(error.to_string(), "execveat() failed (8: Exec format error)");
    }

    #[test]
    fn a_replaced_file_does_not_change_what_is_executed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        fs::copy("/bin/true", &path).unwrap();
        let program = crate::fs::open_executable(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"something else").unwrap();
        let pid = spawn_new_file(&SpawnPlan::new(program.as_fd(), words(&["true"]))).unwrap();
        assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Exited(pid, 0));
    }

    #[test]
    fn every_step_survives_the_error_pipe() {
        for step in Step::ALL {
            let error = Failure::decode(Failure::encode(step, libc::EPERM));
            assert_eq!(error.step, step);
            assert_eq!(error.error.raw_os_error(), Some(libc::EPERM));
        }
    }
}
