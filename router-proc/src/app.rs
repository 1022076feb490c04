//! Applications as an event loop sees them: requests go to workers through shared memory, ahead
//! and revocably, and answers come back as they are written.

mod attachments;
mod dispatcher;
mod exchange;
mod session;
mod worker;

pub use attachments::Attachment;
pub use dispatcher::{Dispatcher, QueueFull};
pub use exchange::{Answer, Event, Exchange, Failure, FilePart};
pub use worker::{Received, Worker, WorkerKey};
