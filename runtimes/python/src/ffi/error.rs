//! Exceptions: raising, looking at, and printing the one that is set.

use pyo3_ffi as py;

use crate::ffi::Object;

/// An exception is set in the interpreter. Whoever drops this must have dealt with it: handed it
/// on to the interpreter, printed it or cleared it.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Raised;

/// The kinds of exceptions this crate raises or looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exception {
    Type,
    Value,
    Runtime,
    SystemExit,
}

impl Exception {
    fn class(self) -> *mut py::PyObject {
        match self {
            // SAFETY: initialised together with the interpreter, which runs (see `ffi`).
            Self::Type => unsafe { py::PyExc_TypeError },
            // SAFETY: as above.
            Self::Value => unsafe { py::PyExc_ValueError },
            // SAFETY: as above.
            Self::Runtime => unsafe { py::PyExc_RuntimeError },
            // SAFETY: as above.
            Self::SystemExit => unsafe { py::PyExc_SystemExit },
        }
    }
}

/// Sets an exception with this text.
pub(crate) fn raise(exception: Exception, text: &str) -> Raised {
    if let Ok(text) = Object::utf8(text) {
        // SAFETY: a class of exceptions and an object, both alive; the lock is held (see `ffi`).
        unsafe { py::PyErr_SetObject(exception.class(), text.as_ptr()) };
    }
    // Otherwise there was no memory for the text, and that is what is raised.
    Raised
}

impl Raised {
    /// Whether the exception is of this kind.
    pub(crate) fn is(self, exception: Exception) -> bool {
        // SAFETY: an exception is set; the class is alive; the lock is held.
        unsafe { py::PyErr_ExceptionMatches(exception.class()) != 0 }
    }

    /// Prints it with its traceback to `sys.stderr`, and clears it. Ending the process is not
    /// among the effects: `SystemExit` is to be taken care of before.
    pub(crate) fn print(self) {
        if self.is(Exception::SystemExit) {
            self.clear();
            return;
        }
        // SAFETY: an exception is set and the lock is held. Zero: it is not kept in `sys`, which
        // would keep alive everything its traceback refers to.
        unsafe { py::PyErr_PrintEx(0) };
    }

    /// Forgets it.
    pub(crate) fn clear(self) {
        // SAFETY: the lock is held.
        unsafe { py::PyErr_Clear() };
    }

    /// Takes the exception's object out of the interpreter.
    pub(crate) fn take(self) -> Option<Object> {
        #[cfg(Py_3_12)]
        {
            // SAFETY: the lock is held; the result is ours, or null.
            unsafe { Object::owned(py::PyErr_GetRaisedException()) }.ok()
        }
        #[cfg(not(Py_3_12))]
        {
            let mut kind = std::ptr::null_mut();
            let mut value = std::ptr::null_mut();
            let mut traceback = std::ptr::null_mut();
            // SAFETY: the pointers are to live places; the lock is held.
            unsafe { py::PyErr_Fetch(&raw mut kind, &raw mut value, &raw mut traceback) };
            // SAFETY: the pointers are to live places with what was fetched just now.
            unsafe {
                py::PyErr_NormalizeException(&raw mut kind, &raw mut value, &raw mut traceback);
            }
            for unused in [kind, traceback] {
                // SAFETY: both references were given to us by the calls above; null is allowed.
                unsafe { py::Py_XDECREF(unused) };
            }
            // SAFETY: the reference was given to us by the calls above, or is null.
            unsafe { Object::owned(value) }.ok()
        }
    }
}

/// Raises an exception that somebody else made, with its traceback: `raise value`.
pub(crate) fn raise_object(value: &Object) -> Raised {
    // SAFETY: an object of ours, alive; its type is alive as long.
    let class = unsafe { py::Py_TYPE(value.as_ptr()) };
    // SAFETY: class and instance of an exception (the caller's matter; anything else makes the
    // interpreter raise a SystemError instead); the lock is held.
    unsafe { py::PyErr_SetObject(class.cast(), value.as_ptr()) };
    Raised
}
