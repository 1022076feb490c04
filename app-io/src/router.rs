//! The router's end of a channel.

use std::collections::HashSet;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use app_proto::{
    CHANNEL_LEN, DOORBELL_LEN, FLAG_CANCELLED, NOTICE, REQUEST_HEAD, REQUEST_INLINE_MAX,
    REQUEST_RING_LEN, REQUEST_TAIL, RESPONSE_HEAD, RESPONSE_RECORD_LEN, RESPONSE_RING_LEN,
    RESPONSE_TAIL, ROUTER_WANTS_ROOM, RequestId, ResponseRecord, SESSION_HEAD, SESSION_RECORD_LEN,
    SESSION_RING_LEN, SESSION_TAIL, SLOT_CONSUMED, SLOT_FLAGS, SLOT_STATE, SLOT_WANTS_CREDIT,
    SLOTS, SessionKind, SessionRecord, SlotState, ToRouter, ToWorker, WORKER_BUSY, WORKER_SLEEP,
    WORKER_WANTS_ROOM, record_file_stub, ring_free, ring_used, set_request_id, slot_offset,
};
use sys::shm::SharedMemory;
use sys::socket::{ReceivedPacket, SendMode};

use crate::ring::{REQUEST, RESPONSE, SESSION};
use crate::{ChannelError, OfferError};

/// What the worker's end is made of; travels to the worker.
#[derive(Debug)]
pub struct WorkerHalf {
    /// The channel's memory.
    pub memory: OwnedFd,
    /// The worker's end of the doorbell.
    pub doorbell: OwnedFd,
}

#[derive(Clone, Copy, Debug)]
struct SlotUse {
    generation: u32,
    in_use: bool,
    consumed: u64,
}

/// One loop's end of the channel to one worker context. Never blocks.
#[derive(Debug)]
pub struct RouterChannel {
    memory: SharedMemory,
    doorbell: OwnedFd,
    request_head: u64,
    response_tail: u64,
    published_response_tail: u64,
    session_head: u64,
    slots: Vec<SlotUse>,
    free: Vec<u32>,
    /// The handshakes that became sessions; their ids are given to no other request.
    sessions: HashSet<RequestId>,
    /// The worker's sleep counter when its bell was last rung.
    rung_at: u32,
    wants_wake: bool,
}

impl RouterChannel {
    /// Makes a channel and what its worker needs of it.
    ///
    /// # Errors
    /// The system call that failed.
    pub fn new() -> Result<(Self, WorkerHalf), ChannelError> {
        let (memory, fd) = SharedMemory::create("unit-channel", CHANNEL_LEN)?;
        let (doorbell, far_doorbell) = sys::socket::seqpacket_pair()?;
        let slots = vec![SlotUse { generation: 0, in_use: false, consumed: 0 }; SLOTS];
        let free = (0..u32::try_from(SLOTS).expect("a small constant")).rev().collect();
        let channel = Self {
            memory,
            doorbell,
            request_head: 0,
            response_tail: 0,
            published_response_tail: 0,
            session_head: 0,
            slots,
            free,
            sessions: HashSet::new(),
            rung_at: 0,
            wants_wake: false,
        };
        Ok((channel, WorkerHalf { memory: fd, doorbell: far_doorbell }))
    }

    /// The doorbell, to be watched for readability.
    #[must_use]
    pub fn doorbell(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        self.memory.atomic_u32(offset).expect("the memory is as long as CHANNEL_LEN")
    }

    fn long(&self, offset: usize) -> &AtomicU64 {
        self.memory.atomic_u64(offset).expect("the memory is as long as CHANNEL_LEN")
    }

    /// Requests offered or claimed that were not finished yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        SLOTS - self.free.len()
    }

    /// How many requests the worker says it is running, over all of its channels. A hint.
    #[must_use]
    pub fn busy_hint(&self) -> u32 {
        self.word(WORKER_BUSY).load(Ordering::Relaxed)
    }

    /// Hands out a request, revocably. `record` is one of [`app_proto::encode_request`] and gets
    /// its id written in. The worker is not woken before [`Self::ring`].
    ///
    /// # Errors
    /// [`OfferError::Full`] when there is no room now; otherwise the channel is broken.
    pub fn offer(
        &mut self,
        record: &mut [u8],
        body: Option<BorrowedFd<'_>>,
    ) -> Result<RequestId, OfferError> {
        let Some(&slot) = self.free.last() else { return Err(OfferError::Full) };
        let worker_tail = self.long(REQUEST_TAIL).load(Ordering::Acquire);
        let room = ring_free(REQUEST_RING_LEN, self.request_head, worker_tail)
            .ok_or(ChannelError::Ring("request tail"))?;
        let inline = record.len() <= REQUEST_INLINE_MAX;
        let need = if inline { record.len() } else { app_proto::REQUEST_RECORD_LEN };
        if need > room {
            return Err(OfferError::Full);
        }
        let id = RequestId { slot, generation: self.slots[slot as usize].generation };
        set_request_id(record, id);
        // Descriptors go first: when the worker sees the record, they are there.
        if let Some(body) = body
            && !self.send_or_wait(ToWorker::Body(id), &[body])?
        {
            return Err(OfferError::Full);
        }
        if inline {
            REQUEST.write(&self.memory, self.request_head, record)?;
        } else {
            let sent = match sys::memfd::sealed("unit-request", record) {
                Ok(file) => self.send_or_wait(ToWorker::Record(id), &[file.as_fd()])?,
                Err(error) if is_shortage(&error) => false,
                Err(error) => return Err(error.into()),
            };
            if !sent {
                // The body that was sent ahead must not be taken for the next request's.
                self.slots[slot as usize].generation = id.next().generation;
                return Err(OfferError::Full);
            }
            REQUEST.write(&self.memory, self.request_head, &record_file_stub(record))?;
        }
        let base = slot_offset(slot as usize);
        self.long(base + SLOT_CONSUMED).store(0, Ordering::Relaxed);
        self.word(base + SLOT_FLAGS).store(0, Ordering::Relaxed);
        self.word(base + SLOT_WANTS_CREDIT).store(0, Ordering::Relaxed);
        self.word(base + SLOT_STATE).store(id.word(SlotState::Offered), Ordering::Relaxed);
        self.request_head = self.request_head.wrapping_add(need as u64);
        self.long(REQUEST_HEAD).store(self.request_head, Ordering::Release);
        self.free.pop();
        let slot = &mut self.slots[slot as usize];
        slot.in_use = true;
        slot.consumed = 0;
        self.wants_wake = true;
        Ok(id)
    }

    /// Whether `id` is in flight here.
    #[must_use]
    pub fn knows(&self, id: RequestId) -> bool {
        self.slots
            .get(id.slot as usize)
            .is_some_and(|slot| slot.in_use && slot.generation == id.generation)
    }

    /// Takes an unclaimed request back; its slot is free again. `false` when the worker was faster.
    pub fn revoke(&mut self, id: RequestId) -> bool {
        if !self.knows(id) {
            return false;
        }
        let state = self.word(slot_offset(id.slot as usize) + SLOT_STATE);
        let taken = state
            .compare_exchange(
                id.word(SlotState::Offered),
                id.word(SlotState::Revoked),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok();
        if taken {
            self.release(id.slot);
        }
        taken
    }

    /// Whether the worker has not claimed the request yet, as far as its memory says.
    #[must_use]
    pub fn is_offered(&self, id: RequestId) -> bool {
        self.knows(id)
            && self.word(slot_offset(id.slot as usize) + SLOT_STATE).load(Ordering::Relaxed)
                == id.word(SlotState::Offered)
    }

    /// Ends a request whose last record has come; its slot is free again.
    pub fn finish(&mut self, id: RequestId) {
        if self.knows(id) {
            let state = self.word(slot_offset(id.slot as usize) + SLOT_STATE);
            state.store(id.word(SlotState::Free), Ordering::Relaxed);
            self.release(id.slot);
        }
    }

    fn release(&mut self, slot: u32) {
        let used = &mut self.slots[slot as usize];
        let mut id = RequestId { slot, generation: used.generation }.next();
        // A session may outlive all generations of its slot.
        while self.sessions.contains(&id) {
            id = id.next();
        }
        used.generation = id.generation;
        used.in_use = false;
        self.free.push(slot);
    }

    /// Makes a session of a request: it keeps its id, and its slot is free again.
    pub fn begin_session(&mut self, id: RequestId) {
        if self.knows(id) {
            self.sessions.insert(id);
            self.finish(id);
        }
    }

    /// Ends a session whose last record has come.
    pub fn end_session(&mut self, id: RequestId) {
        self.sessions.remove(&id);
    }

    /// Sessions whose last record has not come.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// How many payload bytes a session record pushed now could have.
    ///
    /// # Errors
    /// [`ChannelError`] when the worker's position cannot be.
    pub fn session_room(&self) -> Result<usize, ChannelError> {
        let tail = self.long(SESSION_TAIL).load(Ordering::SeqCst);
        let free = ring_free(SESSION_RING_LEN, self.session_head, tail)
            .ok_or(ChannelError::Ring("session tail"))?;
        Ok(free.saturating_sub(SESSION_RECORD_LEN) & !7)
    }

    /// Pushes a session record. `false` when there is no room now. The worker is not woken before
    /// [`Self::ring`].
    ///
    /// # Errors
    /// [`ChannelError`] when the channel is no longer usable.
    pub fn push_session(
        &mut self,
        id: RequestId,
        kind: SessionKind,
        payload: &[u8],
    ) -> Result<bool, ChannelError> {
        let record = SessionRecord { id, kind, len: payload.len() };
        let tail = self.long(SESSION_TAIL).load(Ordering::SeqCst);
        let free = ring_free(SESSION_RING_LEN, self.session_head, tail)
            .ok_or(ChannelError::Ring("session tail"))?;
        if record.ring_len() > free {
            return Ok(false);
        }
        SESSION.write(&self.memory, self.session_head, &record.encode()?)?;
        let at = self.session_head.wrapping_add(SESSION_RECORD_LEN as u64);
        SESSION.write(&self.memory, at, payload)?;
        self.session_head = self.session_head.wrapping_add(record.ring_len() as u64);
        self.long(SESSION_HEAD).store(self.session_head, Ordering::Release);
        self.wants_wake = true;
        Ok(true)
    }

    /// Says whether the router waits for room in the session ring. Look at it again after saying so.
    pub fn want_session_room(&self, wanted: bool) {
        self.word(ROUTER_WANTS_ROOM).store(u32::from(wanted), Ordering::SeqCst);
    }

    /// Tells the worker that nobody reads the answer any more.
    pub fn cancel(&mut self, id: RequestId) {
        if self.knows(id) {
            let flags = self.word(slot_offset(id.slot as usize) + SLOT_FLAGS);
            flags.store(FLAG_CANCELLED, Ordering::Release);
            self.notice();
        }
    }

    /// Gives credit for body bytes that were passed on to the client.
    pub fn consume(&mut self, id: RequestId, bytes: usize) {
        if !self.knows(id) {
            return;
        }
        let base = slot_offset(id.slot as usize);
        let consumed = {
            let slot = &mut self.slots[id.slot as usize];
            slot.consumed = slot.consumed.saturating_add(bytes as u64);
            slot.consumed
        };
        self.long(base + SLOT_CONSUMED).store(consumed, Ordering::SeqCst);
        if self.word(base + SLOT_WANTS_CREDIT).load(Ordering::SeqCst) != 0 {
            self.notice();
        }
    }

    fn notice(&mut self) {
        self.word(NOTICE).fetch_add(1, Ordering::Release);
        self.wants_wake = true;
    }

    /// Whether an answer waits in the ring. For the look before a sleep.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.long(RESPONSE_HEAD).load(Ordering::Acquire) != self.response_tail
    }

    /// The next response record. Its payload is read by [`Self::read_payload`], and the record
    /// stays until [`Self::advance`].
    ///
    /// # Errors
    /// [`ChannelError`] when the worker broke the rules.
    pub fn next_record(&self) -> Result<Option<ResponseRecord>, ChannelError> {
        let head = self.long(RESPONSE_HEAD).load(Ordering::Acquire);
        let used = ring_used(RESPONSE_RING_LEN, head, self.response_tail)
            .ok_or(ChannelError::Ring("response head"))?;
        if used == 0 {
            return Ok(None);
        }
        if used < RESPONSE_RECORD_LEN {
            return Err(ChannelError::Ring("less than a record"));
        }
        let mut fixed = [0; RESPONSE_RECORD_LEN];
        RESPONSE.read(&self.memory, self.response_tail, &mut fixed)?;
        let record = ResponseRecord::decode(&fixed)?;
        if record.ring_len() > used {
            return Err(ChannelError::Ring("a record passes the end"));
        }
        Ok(Some(record))
    }

    /// Appends the payload of `record`, as [`Self::next_record`] returned it, to `out`.
    ///
    /// # Errors
    /// [`ChannelError`] cannot happen for a record of `next_record`, but is passed on.
    pub fn read_payload(
        &self,
        record: &ResponseRecord,
        out: &mut Vec<u8>,
    ) -> Result<(), ChannelError> {
        let at = self.response_tail.wrapping_add(RESPONSE_RECORD_LEN as u64);
        Ok(RESPONSE.read_to(&self.memory, at, record.len, out)?)
    }

    /// Passes over `record`. The room is given back by [`Self::publish`].
    pub fn advance(&mut self, record: &ResponseRecord) {
        self.response_tail = self.response_tail.wrapping_add(record.ring_len() as u64);
    }

    /// Gives back the room of all records passed over, once for a batch of them.
    pub fn publish(&mut self) {
        if self.published_response_tail == self.response_tail {
            return;
        }
        self.published_response_tail = self.response_tail;
        self.long(RESPONSE_TAIL).store(self.response_tail, Ordering::SeqCst);
        if self.word(WORKER_WANTS_ROOM).load(Ordering::SeqCst) != 0 {
            self.notice();
        }
    }

    /// Wakes the worker if it sleeps and was given something to do since the last time.
    ///
    /// # Errors
    /// [`ChannelError::HungUp`] when the worker is gone.
    pub fn ring(&mut self) -> Result<(), ChannelError> {
        if !self.wants_wake {
            return Ok(());
        }
        self.wants_wake = false;
        fence(Ordering::SeqCst);
        let sleep = self.word(WORKER_SLEEP).load(Ordering::Relaxed);
        if sleep.is_multiple_of(2) || sleep == self.rung_at {
            return Ok(());
        }
        // A full socket has woken the worker already, or will.
        self.send(ToWorker::Wake, &[])?;
        self.rung_at = sleep;
        Ok(())
    }

    /// Sends a doorbell packet; `false` when the socket is full.
    ///
    /// # Errors
    /// [`ChannelError::HungUp`] when the worker is gone.
    pub fn send(&self, message: ToWorker, fds: &[BorrowedFd<'_>]) -> Result<bool, ChannelError> {
        debug_assert_eq!(message.fds(), fds.len());
        send_doorbell(self.doorbell.as_fd(), &message.encode(), fds)
    }

    /// How much of the doorbell's room is taken by what the worker has not read, in bytes as the kernel
    /// counts them. A watch for writability tells when it is less.
    ///
    /// # Errors
    /// What ioctl(2) says.
    pub fn unread(&self) -> Result<u64, ChannelError> {
        Ok(sys::socket::unsent(self.doorbell.as_fd())?)
    }

    /// As [`Self::send`], but `false` also when the system has no room for descriptors at the moment:
    /// that is not the worker's fault.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_or_wait(
        &self,
        message: ToWorker,
        fds: &[BorrowedFd<'_>],
    ) -> Result<bool, ChannelError> {
        match self.send(message, fds) {
            Err(ChannelError::Io(error)) if is_shortage(&error) => Ok(false),
            sent => sent,
        }
    }

    /// Takes one packet off the doorbell, with its descriptor if it has one. A file that came without:
    /// this process had no descriptor left for it.
    ///
    /// # Errors
    /// [`ChannelError::HungUp`] at the end, [`ChannelError::Doorbell`] for anything malformed.
    pub fn receive(&self) -> Result<Option<(ToRouter, Option<OwnedFd>)>, ChannelError> {
        let mut bytes = [0; DOORBELL_LEN + 1];
        let Some(packet) = receive_doorbell(self.doorbell.as_fd(), &mut bytes, 1)? else {
            return Ok(None);
        };
        let message = ToRouter::decode(&bytes[..packet.len]).ok_or(ChannelError::Doorbell)?;
        let mut fds = packet.fds;
        if packet.truncated {
            // The kernel cuts off what it has no number for: no fault of the worker.
            return match message {
                ToRouter::File(_) => Ok(Some((message, None))),
                ToRouter::Wake | ToRouter::Ready => Err(ChannelError::Doorbell),
            };
        }
        if message.fds() != fds.len() {
            return Err(ChannelError::Doorbell);
        }
        Ok(Some((message, fds.pop())))
    }
}

/// Descriptors or memory have run out: later it may work.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    const SHORTAGES: [Errno; 5] =
        [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::TOOMANYREFS];
    Errno::from_io_error(error).is_some_and(|errno| SHORTAGES.contains(&errno))
}

pub(crate) fn send_doorbell(
    doorbell: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<bool, ChannelError> {
    match sys::socket::send_packet(doorbell, &[IoSlice::new(bytes)], fds, SendMode::PROMPT) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::NotConnected
            ) =>
        {
            Err(ChannelError::HungUp)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads one packet, perhaps a truncated one, or `None` when there is none now.
pub(crate) fn receive_doorbell(
    doorbell: BorrowedFd<'_>,
    bytes: &mut [u8],
    max_fds: usize,
) -> Result<Option<ReceivedPacket>, ChannelError> {
    match sys::socket::recv_packet(doorbell, bytes, max_fds, true) {
        Ok(packet) if packet.len == 0 => Err(ChannelError::HungUp),
        Ok(packet) => Ok(Some(packet)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(ChannelError::HungUp),
        Err(error) => Err(error.into()),
    }
}
