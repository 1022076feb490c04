//! The calling process itself: going into the background, its title, its inherited descriptors.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::ptr;

use nix::unistd::ForkResult;

pub use nix::unistd::Pid;

/// Which side of [`fork`] the caller is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The process that called.
    Parent {
        /// The new process.
        child: Pid,
    },
    /// The new process.
    Child,
}

/// Forks the process, which must have no second thread: a lock held by one would stay held for
/// ever in the child.
///
/// # Errors
/// `EBUSY` when there is another thread, else what fork(2) says.
pub fn fork() -> io::Result<Fork> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    // SAFETY: the process has one thread, so no lock or allocator state can be in the middle of a
    // change, and the child may go on as if it were the parent.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Fork::Parent { child }),
        ForkResult::Child => Ok(Fork::Child),
    }
}

/// Starts a session of its own, without a terminal.
///
/// # Errors
/// What setsid(2) says.
pub fn new_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

/// Lets this process have as many descriptors as it may at most, but not over `max`: some programs
/// use all numbers there are. The answer is how many it had before, which is what programs are
/// used to that put descriptors into sets of fixed size.
///
/// # Errors
/// What setrlimit(2) says.
pub fn raise_descriptor_limit(max: u64) -> io::Result<Option<u64>> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current: before, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(max).min(max);
    if before.is_some_and(|before| before < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    }
    Ok(before)
}

/// How many descriptors this process may have now; nothing when there is no limit.
#[must_use]
pub fn descriptor_limit() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile).current
}

/// This process.
#[must_use]
pub fn id() -> Pid {
    nix::unistd::getpid()
}

/// Sets the short name of the calling thread, cut at 15 bytes: `comm`, as `ps -o comm` shows it.
/// Executing by descriptor leaves a descriptor number there on older kernels.
///
/// # Errors
/// A name with a NUL byte, or what prctl(2) says.
pub fn set_comm(name: &str) -> io::Result<()> {
    Ok(nix::sys::prctl::set_name(&CString::new(name)?)?)
}

/// Marks every descriptor from `first` on to be closed at exec, so that nothing the process was
/// started with by accident reaches another program.
///
/// # Errors
/// When the list of open descriptors cannot be read.
pub fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if number >= first {
            // SAFETY: F_SETFD on a number takes and leaves no ownership; one that is not open any
            // more (the directory just read) gives an error, which does not matter.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// Sets variables of the environment, which programs that are executed from now on get, and which
/// whatever starts up in this process from now on sees. The process must have no second thread:
/// one might be reading the environment.
///
/// # Errors
/// `EBUSY` when there is another thread, `EINVAL` for a name that is empty or has `=` in it, and
/// for a NUL byte. Nothing is set then.
pub fn set_variables<'a>(
    variables: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>,
) -> io::Result<()> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let variables: Vec<(&OsStr, &OsStr)> = variables.into_iter().collect();
    for (name, value) in &variables {
        let (name, value) = (name.as_encoded_bytes(), value.as_encoded_bytes());
        if name.is_empty() || name.contains(&b'=') || name.contains(&0) || value.contains(&0) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
    }
    for (name, value) in variables {
        // SAFETY: the process has one thread, so nobody reads the environment now. The function
        // that would not need this does not exist.
        #[expect(clippy::disallowed_methods, reason = "the one place where it is sound")]
        unsafe {
            std::env::set_var(name, value);
        }
    }
    Ok(())
}

unsafe extern "C" {
    /// The C library's environment.
    static mut environ: *mut *mut libc::c_char;
}

/// The memory the kernel shows as the command line of the process: the area of the arguments and,
/// behind it, of the environment the process was executed with.
#[derive(Debug)]
pub struct Title {
    area: *mut u8,
    len: usize,
}

impl Title {
    /// Takes the area over. The environment moves elsewhere and stays as it was; the arguments
    /// (`std::env::args`) read as the title from then on, so they must have been copied before.
    ///
    /// # Errors
    /// `EBUSY` when there is another thread, `EALREADY` on a second call, or when the kernel does
    /// not say where the area is.
    pub fn claim() -> io::Result<Self> {
        use std::sync::atomic::{AtomicBool, Ordering};
        static CLAIMED: AtomicBool = AtomicBool::new(false);
        if fs::read_dir("/proc/self/task")?.count() != 1 {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        let (start, end) = area(&fs::read_to_string("/proc/self/stat")?)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        if CLAIMED.swap(true, Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::EALREADY));
        }
        move_environment();
        Ok(Self { area: ptr::with_exposed_provenance_mut(start), len: end - start })
    }

    /// Writes a title, cut where the area or 2047 bytes end.
    pub fn set(&mut self, title: &str) {
        const TITLE_LEN_MAX: usize = 2047;
        let len = title.len().min(TITLE_LEN_MAX).min(self.len.saturating_sub(1));
        // SAFETY: the area is the process's own initial stack memory, writable and `self.len`
        // bytes long as the kernel said; `len` is smaller, and a title never overlaps it, for it
        // is borrowed and nothing borrows from the area (see `claim`). No thread reads it: the
        // environment has moved away. There is no safe way to write to it.
        unsafe { ptr::copy_nonoverlapping(title.as_ptr(), self.area, len) };
        // SAFETY: `len` is at most `self.len`, so this is inside the area or one past its end.
        let rest = unsafe { self.area.add(len) };
        // SAFETY: from there to the end of the area, by the same argument as above. The zeros end
        // the title, and every argument string that still points into the area.
        unsafe { ptr::write_bytes(rest, 0, self.len - len) };
    }
}

/// Points the C library at a copy of the environment that is never freed.
fn move_environment() {
    use std::os::unix::ffi::OsStringExt;
    let mut pointers: Vec<*mut libc::c_char> = std::env::vars_os()
        .filter_map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            CString::new(name.into_vec()).ok()
        })
        .map(CString::into_raw)
        .collect();
    pointers.push(ptr::null_mut());
    let pointers = Vec::leak(pointers);
    // SAFETY: the process has one thread (checked by the only caller), so nobody reads the
    // variable now; the array is null-terminated, its strings are terminated, and both live for
    // ever. The standard library can only change single variables in place.
    unsafe { environ = pointers.as_mut_ptr() };
}

/// Start and end of the argument and environment area, from the text of `/proc/self/stat`.
fn area(stat: &str) -> Option<(usize, usize)> {
    // The second field is a name in brackets that may hold anything; count from behind it.
    let rest = &stat[stat.rfind(')')? + 1..];
    let mut fields = rest.split_whitespace();
    // Fields are numbered from 1 and the third comes first here: 48 is arg_start, 51 env_end.
    let arg_start: usize = fields.nth(48 - 3)?.parse().ok()?;
    let arg_end: usize = fields.next()?.parse().ok()?;
    let env_start: usize = fields.next()?.parse().ok()?;
    let env_end: usize = fields.next()?.parse().ok()?;
    if arg_start == 0 || arg_end <= arg_start {
        return None;
    }
    let joined = env_start == arg_end && env_end > env_start;
    Some((arg_start, if joined { env_end } else { arg_end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(name: &str, bounds: [usize; 4]) -> String {
        let zeros = vec!["0"; 47 - 3].join(" ");
        let [a, b, c, d] = bounds;
        format!("4711 ({name}) S {zeros} {a} {b} {c} {d} 0\n")
    }

    #[test]
    fn the_area_joins_arguments_and_environment_when_they_touch() {
        assert_eq!(area(&stat("x", [100, 120, 120, 300])), Some((100, 300)));
        assert_eq!(area(&stat("a) (b", [100, 120, 120, 300])), Some((100, 300)));
        assert_eq!(area(&stat("x", [100, 120, 200, 300])), Some((100, 120)));
        assert_eq!(area(&stat("x", [100, 120, 120, 120])), Some((100, 120)));
    }

    #[test]
    fn a_hidden_area_is_no_area() {
        assert_eq!(area(&stat("x", [0, 0, 0, 0])), None);
        assert_eq!(area("nonsense"), None);
        assert_eq!(area("1 (x) S 1 2 3"), None);
    }

    #[test]
    fn variables_that_are_none_are_refused_and_none_is_set() {
        // This test must not set any: another test may be reading the environment.
        let good = (OsStr::new("SYS_TEST"), OsStr::new("x"));
        for (name, value) in [("", "x"), ("a=b", "x"), ("a\0b", "x"), ("a", "x\0y")] {
            let variables = [good, (OsStr::new(name), OsStr::new(value))];
            assert!(set_variables(variables).is_err(), "{name:?}={value:?}");
        }
        assert_eq!(std::env::var_os("SYS_TEST"), None);
    }

    #[test]
    fn will_not_fork_or_claim_beside_threads() {
        // The test runner has a thread of its own beside this one.
        let other = std::thread::spawn(std::thread::park);
        assert_eq!(fork().unwrap_err().raw_os_error(), Some(libc::EBUSY));
        assert_eq!(Title::claim().unwrap_err().raw_os_error(), Some(libc::EBUSY));
        assert_eq!(set_variables([]).unwrap_err().raw_os_error(), Some(libc::EBUSY));
        other.thread().unpark();
        other.join().unwrap();
    }
}
