//! What a router loop and an application's worker say to each other: the layout of the shared
//! memory between them, the records that travel through its three rings, and the packets of the
//! doorbell socket beside it.
//!
//! Pure: no I/O, no privilege, no memory of its own. `app-io` puts it over real memory and sockets.
//!
//! The router treats everything it reads from that memory as hostile: it copies a header out,
//! decodes the copy with the checks of this crate, and believes no length or offset that the copy
//! does not bear out. The wire is private to one release; only the C API of libunit is a contract.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod doorbell;
mod frame;
mod layout;
mod request;
mod response;
mod session;
mod slot;

pub use doorbell::*;
pub use frame::*;
pub use layout::*;
pub use request::*;
pub use response::*;
pub use session::*;
pub use slot::*;
