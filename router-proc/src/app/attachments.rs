//! Further channels on their way to a worker. They travel over the doorbell of its channel to the
//! first loop, which a worker that is busy or loads its application does not read. So they are sent
//! as far as that has room, and the rest wait here: an end that was dropped instead would look to its
//! loop as if the worker had hung up.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::time::Duration;

use app_io::{ChannelError, RouterChannel};
use app_proto::ToWorker;

use super::{Dispatcher, Worker};
use crate::shortage::Told;

/// How much of a doorbell's room may be taken when another channel is sent, in bytes as the kernel
/// counts them: about 700 a packet. Little, as a worker must hear of more than this, and as the system
/// allows a user only so many descriptors on their way.
const UNREAD_MAX: u64 = 4096;

/// The pause before another attempt when the system takes no more descriptors for now.
const PAUSE: Duration = Duration::from_millis(100);

/// That the system takes no more descriptors.
static SHORTAGE_TOLD: Told = Told::never();

/// A worker's end of its channel to another loop.
#[derive(Debug)]
pub struct Attachment {
    /// The number of that loop.
    pub loop_index: usize,
    /// Memory, doorbell and loop page.
    pub fds: [OwnedFd; 3],
}

/// What a worker was not sent yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Attachments {
    queue: RefCell<VecDeque<Attachment>>,
    /// A task sends them.
    is_being_sent: Cell<bool>,
}

/// What came of sending them.
enum Sent {
    All,
    /// The doorbell holds as much as it should.
    Full,
    /// The system takes no more descriptors for now.
    Shortage,
}

impl Attachments {
    /// Adds one; `true` when the caller is to have them sent.
    pub(super) fn push(&self, attachment: Attachment) -> bool {
        self.queue.borrow_mut().push_back(attachment);
        !self.is_being_sent.replace(true)
    }

    /// Drops what leads to a loop that has ended.
    pub(super) fn forget_loop(&self, index: usize) {
        self.queue.borrow_mut().retain(|attachment| attachment.loop_index != index);
    }

    pub(super) fn clear(&self) {
        self.queue.borrow_mut().clear();
    }

    /// Sends what there is room for.
    fn send(&self, channel: &RouterChannel) -> Result<Sent, ChannelError> {
        let mut queue = self.queue.borrow_mut();
        while let Some(attachment) = queue.front() {
            if channel.unread()? > UNREAD_MAX {
                return Ok(Sent::Full);
            }
            let fds = attachment.fds.each_ref().map(AsFd::as_fd);
            if !channel.send_or_wait(ToWorker::Attach, &fds)? {
                return Ok(Sent::Shortage);
            }
            queue.pop_front();
        }
        Ok(Sent::All)
    }
}

impl Worker {
    /// Sends its further channels as it reads them.
    pub(super) async fn send_attachments(self: Rc<Self>, dispatcher: Weak<Dispatcher>) {
        loop {
            match self.send_some().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    if let Some(dispatcher) = dispatcher.upgrade() {
                        dispatcher.lose(&self, &error);
                    }
                    break;
                }
            }
        }
        self.attachments().is_being_sent.set(false);
    }

    /// Waits for room and sends what there is room for; `false` when nothing is left.
    async fn send_some(&self) -> Result<bool, ChannelError> {
        let doorbell = self.watched()?;
        let mut ready = doorbell.writable().await?;
        let sent = self.attachments().send(&self.channel.borrow())?;
        match sent {
            Sent::All => return Ok(false),
            Sent::Full => ready.clear_ready(),
            Sent::Shortage => {
                if SHORTAGE_TOLD.tell() {
                    unit_log::alert!("there are no descriptors to connect workers to event loops");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(true)
    }
}

impl Dispatcher {
    /// Sends a worker a further channel, now or when it reads.
    pub fn attach(&self, worker: &Rc<Worker>, attachment: Attachment) {
        if worker.attachments().push(attachment) {
            tokio::task::spawn_local(Rc::clone(worker).send_attachments(self.downgrade()));
        }
    }

    /// A loop has ended: what leads to it need not be sent.
    pub fn forget_loop(&self, index: usize) {
        for worker in self.all_workers() {
            worker.attachments().forget_loop(index);
        }
    }
}
