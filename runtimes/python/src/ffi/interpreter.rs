//! Starting, forking, pausing and ending the interpreter.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use pyo3_ffi as py;

use crate::ffi::object::{c_string, text_of};

/// How the interpreter is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// What `sys.executable` is, and what a virtual environment is found by.
    pub(crate) program_name: Vec<u8>,
    /// The installation's prefix. Without it, the interpreter looks for one from the program name.
    pub(crate) home: Option<Vec<u8>>,
    /// Whether the environment's variables for Python and the user's packages count for nothing.
    pub(crate) isolated: bool,
}

/// Starts the interpreter; the calling thread holds its lock from then on.
///
/// # Errors
/// What the interpreter says.
pub(crate) fn start(start: &Start) -> Result<(), String> {
    let mut pre = MaybeUninit::<py::PyPreConfig>::uninit();
    if start.isolated {
        // SAFETY: the pointer is to a live place, which this initialises.
        unsafe { py::PyPreConfig_InitIsolatedConfig(pre.as_mut_ptr()) };
    } else {
        // SAFETY: as above.
        unsafe { py::PyPreConfig_InitPythonConfig(pre.as_mut_ptr()) };
    }
    // SAFETY: either call has initialised it.
    let mut pre = unsafe { pre.assume_init() };
    pre.parse_argv = 0;
    // The locale decides about UTF-8, isolated or not.
    pre.configure_locale = 1;
    pre.utf8_mode = -1;
    // SAFETY: an initialised configuration; nothing of the interpreter runs yet.
    check(unsafe { py::Py_PreInitialize(&raw const pre) })?;

    let mut config = Config::new(start.isolated);
    config.set(|config| &raw mut config.program_name, &c_string(&start.program_name))?;
    config.set(|config| &raw mut config.executable, &c_string(&start.program_name))?;
    if let Some(home) = &start.home {
        config.set(|config| &raw mut config.home, &c_string(home))?;
    }
    config.start()
}

/// A configuration that gives back what it holds.
struct Config(Box<py::PyConfig>);

impl Config {
    fn new(isolated: bool) -> Self {
        let mut config = Box::new(MaybeUninit::<py::PyConfig>::uninit());
        if isolated {
            // SAFETY: the pointer is to a live place, which this initialises.
            unsafe { py::PyConfig_InitIsolatedConfig(config.as_mut_ptr()) };
        } else {
            // SAFETY: as above.
            unsafe { py::PyConfig_InitPythonConfig(config.as_mut_ptr()) };
        }
        // SAFETY: either call has initialised it.
        let mut config = Self(unsafe { config.assume_init() });
        config.0.parse_argv = 0;
        // Signals are the host's matter.
        config.0.install_signal_handlers = 0;
        config
    }

    fn set(
        &mut self,
        member: impl FnOnce(&mut py::PyConfig) -> *mut *mut libc_wchar,
        value: &CStr,
    ) -> Result<(), String> {
        let place = member(&mut self.0);
        // SAFETY: `place` is a string member of the configuration, which is initialised; the value
        // is terminated.
        check(unsafe { py::PyConfig_SetBytesString(&raw mut *self.0, place, value.as_ptr()) })
    }

    fn start(mut self) -> Result<(), String> {
        let mut arguments = [c"unit".as_ptr().cast_mut()];
        // SAFETY: an initialised configuration, and as many terminated strings as are announced,
        // which are copied.
        check(unsafe {
            py::PyConfig_SetBytesArgv(&raw mut *self.0, 1, arguments.as_mut_ptr().cast())
        })?;
        // SAFETY: an initialised configuration. The process has one thread.
        check(unsafe { py::Py_InitializeFromConfig(&raw const *self.0) })
    }
}

/// `wchar_t` of the C library.
#[allow(non_camel_case_types, reason = "the name says what it is")]
type libc_wchar = i32;

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: an initialised configuration, which is not used again.
        unsafe { py::PyConfig_Clear(&raw mut *self.0) };
    }
}

fn check(status: py::PyStatus) -> Result<(), String> {
    // SAFETY: takes a status by value.
    if unsafe { py::PyStatus_Exception(status) } == 0 {
        return Ok(());
    }
    // SAFETY: the texts of a status are static.
    let function = unsafe { text_of(status.func.cast::<c_char>()) };
    // SAFETY: as above.
    let text = unsafe { text_of(status.err_msg.cast::<c_char>()) };
    Err(if function.is_empty() { text } else { format!("{function}: {text}") })
}

/// Before a fork, in the thread that holds the lock.
pub(crate) fn before_fork() {
    // SAFETY: the interpreter runs and the thread holds its lock.
    unsafe { py::PyOS_BeforeFork() };
}

/// After a fork, in the process that forked.
pub(crate) fn after_fork_in_parent() {
    // SAFETY: follows `PyOS_BeforeFork` in the same thread.
    unsafe { py::PyOS_AfterFork_Parent() };
}

/// After a fork, in the new process.
pub(crate) fn after_fork_in_child() {
    // SAFETY: follows `PyOS_BeforeFork` in the copy of the same thread.
    unsafe { py::PyOS_AfterFork_Child() };
}

/// Gives up the lock while `wait` runs. `wait` must not use any object.
pub(crate) fn pause(wait: &mut dyn FnMut()) {
    // SAFETY: the thread holds the lock.
    let state = unsafe { py::PyEval_SaveThread() };
    wait();
    // SAFETY: the state is this thread's, from just now.
    unsafe { py::PyEval_RestoreThread(state) };
}

/// Ends the interpreter: exit functions run, threads are joined. No object may be left.
pub(crate) fn finalize() {
    // SAFETY: the interpreter runs, and the thread that started it holds the lock. A failure to
    // flush is of no consequence any more.
    unsafe { py::Py_FinalizeEx() };
}
