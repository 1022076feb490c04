//! The only module that talks to the interpreter directly: safe wrappers around its C interface.
//!
//! Everything here relies on one rule that the rest of the crate keeps: after the interpreter was
//! started, the thread that runs the worker holds its lock, except inside [`interpreter::pause`].
//! [`Object`] is neither `Send` nor `Sync`, so no other thread of ours can have one.
#![allow(unsafe_code, reason = "the C interface of Python; see the module's documentation")]

#[cfg(Py_GIL_DISABLED)]
compile_error!("a Python without its global lock breaks the rule that this module relies on");

mod error;
pub(crate) mod interpreter;
pub(crate) mod native;
mod object;
mod slot;

pub(crate) use error::{Exception, Raised, raise, raise_object};
pub(crate) use object::{Dict, Object, Text};
pub(crate) use slot::{Lent, Slot};
