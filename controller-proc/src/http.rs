//! HTTP/1.x as the control API speaks it: one request and one answer on each connection.
//!
//! Written out by hand over `httparse`: the answer to an HTTP/1.0 request, the body of the answer
//! to HEAD, and what a malformed request gets are all unlike what a general server library does.

mod answer;
pub(crate) mod body;
mod connection;
mod date;
pub(crate) mod head;

pub use connection::Limits;
pub(crate) use connection::{Connection, Exchange, Share, serve};
