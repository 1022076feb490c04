//! The daemon log: one line for each event, written to standard error with one system call.
//!
//! Every process of unitd shares the file behind descriptor 2, so a line must reach it whole: it is
//! put together in a buffer of [`LINE_LEN_MAX`] bytes and cut there. The form is an interface that
//! scrapers read; it is laid down in [`line`].
//!
//! The six macros are `tracing` events with a level of our own in the target, because `tracing` has
//! neither notice nor alert. A field `conn` is the number of a connection and is printed before the
//! message; other fields have no place in a line. What libraries say through `tracing` is written
//! from level warn on.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod level;
mod line;
mod macros;
mod output;
mod subscriber;

#[doc(hidden)]
pub use tracing as __tracing;

pub use level::Level;
pub use line::{LINE_LEN_MAX, Line};
pub use output::{redirect, set_outer_pid, write_unit};
pub use subscriber::init;
