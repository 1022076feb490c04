//! The worker's end of a channel.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use app_proto::{
    CHANNEL_LEN, DOORBELL_LEN, FLAG_CANCELLED, LOOP_PAGE_LEN, LOOP_SLEEP, NOTICE,
    REQUEST_BODY_FILE, REQUEST_HEAD, REQUEST_RECORD_FILE, REQUEST_RECORD_LEN, REQUEST_RING_LEN,
    REQUEST_TAIL, RESPONSE_HEAD, RESPONSE_RING_LEN, RESPONSE_TAIL, ROUTER_WANTS_ROOM, RequestId,
    ResponseRecord, SESSION_HEAD, SESSION_RECORD_LEN, SESSION_RING_LEN, SESSION_TAIL,
    SLOT_CONSUMED, SLOT_FLAGS, SLOT_STATE, SLOT_WANTS_CREDIT, SLOTS, SessionRecord, SlotState,
    ToRouter, ToWorker, WINDOW, WORKER_BUSY, WORKER_SLEEP, WORKER_WANTS_ROOM, peek_request,
    ring_free, ring_used, slot_offset,
};
use sys::shm::{ReadOnlyMemory, SharedMemory};

use crate::ChannelError;
use crate::ring::{REQUEST, RESPONSE, SESSION};
use crate::router::{receive_doorbell, send_doorbell};

/// A request the worker claimed. Its record is in the buffer given to [`WorkerChannel::claim`].
#[derive(Debug)]
pub struct Claimed {
    /// The request.
    pub id: RequestId,
    /// The file that holds the body, if it is not in the record.
    pub body: Option<OwnedFd>,
}

/// What the doorbell brought that is not for the channel itself.
#[derive(Debug)]
pub enum WorkerEvent {
    /// The reopened log, to become standard error.
    Log(OwnedFd),
    /// Stop.
    Quit {
        /// Whether requests that were offered are still to be run.
        graceful: bool,
    },
    /// A further channel: memory, doorbell and loop page.
    Attach([OwnedFd; 3]),
}

/// A worker context's end of the channel to one router loop. Never blocks.
#[derive(Debug)]
pub struct WorkerChannel {
    memory: SharedMemory,
    doorbell: OwnedFd,
    loop_page: ReadOnlyMemory,
    request_tail: u64,
    response_head: u64,
    session_tail: u64,
    published_session_tail: u64,
    /// The last notice number that was looked at.
    noticed: u32,
    /// The loop's sleep counter when its bell was last rung.
    rung_at: u32,
    /// The router has said that the channel ends.
    is_detached: bool,
    /// Descriptors that came before their records were claimed.
    bodies: Vec<(RequestId, OwnedFd)>,
    records: Vec<(RequestId, OwnedFd)>,
}

impl WorkerChannel {
    /// Maps a channel.
    ///
    /// # Errors
    /// When the memory is not a channel's.
    pub fn map(
        memory: &OwnedFd,
        doorbell: OwnedFd,
        loop_page: &OwnedFd,
    ) -> Result<Self, ChannelError> {
        Ok(Self {
            memory: SharedMemory::map(memory.as_fd(), CHANNEL_LEN)?,
            doorbell,
            loop_page: ReadOnlyMemory::map(loop_page.as_fd(), LOOP_PAGE_LEN)?,
            request_tail: 0,
            response_head: 0,
            session_tail: 0,
            published_session_tail: 0,
            noticed: 0,
            rung_at: 0,
            is_detached: false,
            bodies: Vec::new(),
            records: Vec::new(),
        })
    }

    /// The doorbell, to be watched for readability while asleep.
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

    /// Whether the request ring is not empty.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.long(REQUEST_HEAD).load(Ordering::Acquire) != self.request_tail
    }

    /// Whether the session ring is not empty.
    #[must_use]
    pub fn has_session_records(&self) -> bool {
        self.long(SESSION_HEAD).load(Ordering::Acquire) != self.session_tail
    }

    /// Takes the next session record; its payload replaces what `payload` held. The room is given
    /// back by [`Self::publish_session_tail`].
    ///
    /// # Errors
    /// [`ChannelError`] when the channel is no longer usable.
    pub fn take_session_record(
        &mut self,
        payload: &mut Vec<u8>,
    ) -> Result<Option<SessionRecord>, ChannelError> {
        let head = self.long(SESSION_HEAD).load(Ordering::Acquire);
        let used = ring_used(SESSION_RING_LEN, head, self.session_tail)
            .ok_or(ChannelError::Ring("session head"))?;
        if used == 0 {
            return Ok(None);
        }
        if used < SESSION_RECORD_LEN {
            return Err(ChannelError::Ring("less than a record"));
        }
        let mut fixed = [0; SESSION_RECORD_LEN];
        SESSION.read(&self.memory, self.session_tail, &mut fixed)?;
        let record = SessionRecord::decode(&fixed)?;
        if record.ring_len() > used {
            return Err(ChannelError::Ring("a record passes the end"));
        }
        payload.clear();
        let at = self.session_tail.wrapping_add(SESSION_RECORD_LEN as u64);
        SESSION.read_to(&self.memory, at, record.len, payload)?;
        self.session_tail = self.session_tail.wrapping_add(record.ring_len() as u64);
        Ok(Some(record))
    }

    /// Gives back the room of all session records taken, and wakes the loop if it waits for that.
    ///
    /// # Errors
    /// [`ChannelError::HungUp`] when the router is gone.
    pub fn publish_session_tail(&mut self) -> Result<(), ChannelError> {
        if self.published_session_tail == self.session_tail {
            return Ok(());
        }
        self.published_session_tail = self.session_tail;
        self.long(SESSION_TAIL).store(self.session_tail, Ordering::SeqCst);
        if self.word(ROUTER_WANTS_ROOM).load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        self.ring()
    }

    /// Claims the next request that was not taken back and puts its record into `record`,
    /// replacing what it held. What else the doorbell carries meanwhile goes to `events`.
    ///
    /// # Errors
    /// [`ChannelError`] when the channel is no longer usable.
    pub fn claim(
        &mut self,
        record: &mut Vec<u8>,
        events: &mut Vec<WorkerEvent>,
    ) -> Result<Option<Claimed>, ChannelError> {
        loop {
            let head = self.long(REQUEST_HEAD).load(Ordering::Acquire);
            let used = ring_used(REQUEST_RING_LEN, head, self.request_tail)
                .ok_or(ChannelError::Ring("request head"))?;
            if used == 0 {
                return Ok(None);
            }
            if used < REQUEST_RECORD_LEN {
                return Err(ChannelError::Ring("less than a record"));
            }
            let mut fixed = [0; REQUEST_RECORD_LEN];
            REQUEST.read(&self.memory, self.request_tail, &mut fixed)?;
            let (len, id, flags) = peek_request(&fixed);
            let len = len as usize;
            if len > used || len < REQUEST_RECORD_LEN || id.slot as usize >= SLOTS {
                return Err(ChannelError::Ring("a request passes the end"));
            }
            let claimed = self
                .word(slot_offset(id.slot as usize) + SLOT_STATE)
                .compare_exchange(
                    id.word(SlotState::Offered),
                    id.word(SlotState::Claimed),
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok();
            if claimed {
                record.clear();
                REQUEST.read_to(&self.memory, self.request_tail, len, record)?;
            }
            self.request_tail = self.request_tail.wrapping_add(len as u64);
            self.long(REQUEST_TAIL).store(self.request_tail, Ordering::Release);
            if !claimed {
                self.forget(id);
                continue;
            }
            let mut flags = flags;
            if flags & REQUEST_RECORD_FILE != 0 {
                let file = self.wait_for(id, events, |channel| &mut channel.records)?;
                let file = File::from(file);
                let file_len = usize::try_from(file.metadata()?.len())
                    .map_err(|_| ChannelError::Ring("a request too large"))?;
                *record = sys::memfd::open_sealed(&file, file_len)?;
                let request = app_proto::Request::decode(record)?;
                if request.id != id {
                    return Err(ChannelError::Ring("another request in the file"));
                }
                flags = request.flags;
            }
            let body = if flags & REQUEST_BODY_FILE != 0 {
                Some(self.wait_for(id, events, |channel| &mut channel.bodies)?)
            } else {
                None
            };
            return Ok(Some(Claimed { id, body }));
        }
    }

    /// Closes the descriptors of a request that was taken back.
    fn forget(&mut self, id: RequestId) {
        if !self.bodies.is_empty() {
            self.bodies.retain(|(of, _)| *of != id);
        }
        if !self.records.is_empty() {
            self.records.retain(|(of, _)| *of != id);
        }
    }

    /// The descriptor that was sent ahead of a record.
    fn wait_for(
        &mut self,
        id: RequestId,
        events: &mut Vec<WorkerEvent>,
        list: fn(&mut Self) -> &mut Vec<(RequestId, OwnedFd)>,
    ) -> Result<OwnedFd, ChannelError> {
        loop {
            let kept = list(self);
            if let Some(at) = kept.iter().position(|(of, _)| *of == id) {
                return Ok(kept.swap_remove(at).1);
            }
            // It was sent before the record was published, so it is in the socket already.
            if !self.receive(events)? {
                return Err(ChannelError::Ring("a descriptor is missing"));
            }
        }
    }

    /// Takes one packet off the doorbell; `false` when there is none.
    ///
    /// # Errors
    /// [`ChannelError::HungUp`] when the router is gone.
    pub fn receive(&mut self, events: &mut Vec<WorkerEvent>) -> Result<bool, ChannelError> {
        if self.is_detached {
            // What follows is the hang-up, which says nothing of the router.
            return Ok(false);
        }
        let mut bytes = [0; DOORBELL_LEN + 1];
        let Some(packet) = receive_doorbell(self.doorbell.as_fd(), &mut bytes, 3)? else {
            return Ok(false);
        };
        if packet.truncated {
            return Err(ChannelError::Doorbell);
        }
        let message = ToWorker::decode(&bytes[..packet.len]).ok_or(ChannelError::Doorbell)?;
        let mut fds = packet.fds;
        if message.fds() != fds.len() {
            return Err(ChannelError::Doorbell);
        }
        match message {
            ToWorker::Wake => {}
            ToWorker::Detach => self.is_detached = true,
            ToWorker::Quit { graceful } => events.push(WorkerEvent::Quit { graceful }),
            ToWorker::Attach => {
                let fds = <[OwnedFd; 3]>::try_from(fds).map_err(|_| ChannelError::Doorbell)?;
                events.push(WorkerEvent::Attach(fds));
            }
            ToWorker::Body(id) => {
                // One that was sent for an earlier use of the slot and never followed by a record.
                self.bodies.retain(|(of, _)| of.slot != id.slot);
                self.bodies.extend(fds.pop().map(|fd| (id, fd)));
            }
            ToWorker::Record(id) => self.records.extend(fds.pop().map(|fd| (id, fd))),
            ToWorker::Log => events.extend(fds.pop().map(WorkerEvent::Log)),
        }
        Ok(true)
    }

    /// Whether the router has ended this channel, and this channel only.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.is_detached
    }

    /// Whether nobody reads the answer any more.
    #[must_use]
    pub fn is_cancelled(&self, id: RequestId) -> bool {
        (id.slot as usize) < SLOTS && {
            let base = slot_offset(id.slot as usize);
            let state = self.word(base + SLOT_STATE).load(Ordering::Relaxed);
            state != id.word(SlotState::Claimed)
                || self.word(base + SLOT_FLAGS).load(Ordering::Acquire) & FLAG_CANCELLED != 0
        }
    }

    /// How many body bytes may be pushed when `sent` were so far.
    #[must_use]
    pub fn credit(&self, id: RequestId, sent: u64) -> usize {
        if id.slot as usize >= SLOTS {
            return 0;
        }
        let offset = slot_offset(id.slot as usize) + SLOT_CONSUMED;
        let consumed = self.long(offset).load(Ordering::SeqCst);
        let credit = consumed.saturating_add(WINDOW).saturating_sub(sent).min(WINDOW);
        usize::try_from(credit).unwrap_or(usize::MAX)
    }

    /// Says whether the worker waits for credit of this request. Look at the credit again after
    /// saying so.
    pub fn want_credit(&self, id: RequestId, wanted: bool) {
        if (id.slot as usize) < SLOTS {
            self.word(slot_offset(id.slot as usize) + SLOT_WANTS_CREDIT)
                .store(u32::from(wanted), Ordering::SeqCst);
        }
    }

    /// Says whether the worker waits for room in the ring. Try again after saying so.
    pub fn want_room(&self, wanted: bool) {
        self.word(WORKER_WANTS_ROOM).store(u32::from(wanted), Ordering::SeqCst);
    }

    /// How many payload bytes a record pushed now could have.
    ///
    /// # Errors
    /// [`ChannelError`] when the router's position cannot be.
    pub fn room(&self) -> Result<usize, ChannelError> {
        Ok(self.free()?.saturating_sub(app_proto::RESPONSE_RECORD_LEN) & !7)
    }

    /// Whether a record with so many payload bytes finds room now.
    ///
    /// # Errors
    /// [`ChannelError`] when the router's position cannot be.
    pub fn fits(&self, len: usize) -> Result<bool, ChannelError> {
        let padded = len.checked_next_multiple_of(8).unwrap_or(usize::MAX);
        Ok(padded.saturating_add(app_proto::RESPONSE_RECORD_LEN) <= self.free()?)
    }

    /// The free bytes of the response ring.
    fn free(&self) -> Result<usize, ChannelError> {
        let tail = self.long(RESPONSE_TAIL).load(Ordering::SeqCst);
        ring_free(RESPONSE_RING_LEN, self.response_head, tail)
            .ok_or(ChannelError::Ring("response tail"))
    }

    /// Pushes a record whose payload is `parts` one after another; `record.len` is filled in.
    /// `false` when there is no room now. The loop is not woken before [`Self::ring`].
    ///
    /// # Errors
    /// [`ChannelError`] when the channel is no longer usable.
    pub fn push(
        &mut self,
        mut record: ResponseRecord,
        parts: &[&[u8]],
    ) -> Result<bool, ChannelError> {
        record.len = parts.iter().map(|part| part.len()).sum();
        if !self.fits(record.len)? {
            return Ok(false);
        }
        let mut at = self.response_head;
        RESPONSE.write(&self.memory, at, &record.encode()?)?;
        at = at.wrapping_add(app_proto::RESPONSE_RECORD_LEN as u64);
        for part in parts {
            RESPONSE.write(&self.memory, at, part)?;
            at = at.wrapping_add(part.len() as u64);
        }
        self.response_head = self.response_head.wrapping_add(record.ring_len() as u64);
        self.long(RESPONSE_HEAD).store(self.response_head, Ordering::Release);
        Ok(true)
    }

    /// Wakes the loop if it sleeps. Ring after every push: the next request may be slow.
    ///
    /// A loop that has hung up is no error here: it may have taken the last record and ended its
    /// channel before it could be rung. Whether the router is gone shows in [`Self::receive`].
    ///
    /// # Errors
    /// When the loop page cannot be read or the socket fails.
    pub fn ring(&mut self) -> Result<(), ChannelError> {
        fence(Ordering::SeqCst);
        let sleep = self
            .loop_page
            .load_u32(LOOP_SLEEP, Ordering::Relaxed)
            .ok_or(ChannelError::Ring("the loop page is short"))?;
        if sleep.is_multiple_of(2) || sleep == self.rung_at {
            return Ok(());
        }
        match self.send(ToRouter::Wake, &[]) {
            Ok(_) | Err(ChannelError::HungUp) => {}
            Err(error) => return Err(error),
        }
        self.rung_at = sleep;
        Ok(())
    }

    /// Sends a doorbell packet; `false` when the socket is full.
    ///
    /// # Errors
    /// [`ChannelError::HungUp`] when the router is gone.
    pub fn send(&self, message: ToRouter, fds: &[BorrowedFd<'_>]) -> Result<bool, ChannelError> {
        debug_assert_eq!(message.fds(), fds.len());
        send_doorbell(self.doorbell.as_fd(), &message.encode(), fds)
    }

    /// Says how many requests the worker is running, over all of its channels.
    pub fn set_busy(&self, requests: u32) {
        self.word(WORKER_BUSY).store(requests, Ordering::Relaxed);
    }

    /// Announces sleep. Afterwards look at [`Self::has_work`] of every channel once more before
    /// sleeping: what was pushed before the announcement was seen rings no bell.
    pub fn fall_asleep(&self) {
        let sleep = self.word(WORKER_SLEEP);
        let value = sleep.load(Ordering::Relaxed);
        if value.is_multiple_of(2) {
            sleep.store(value.wrapping_add(1), Ordering::Relaxed);
        }
        fence(Ordering::SeqCst);
    }

    /// Takes the announcement back.
    pub fn wake_up(&self) {
        let sleep = self.word(WORKER_SLEEP);
        let value = sleep.load(Ordering::Relaxed);
        if !value.is_multiple_of(2) {
            sleep.store(value.wrapping_add(1), Ordering::Release);
        }
    }

    /// Whether there is something to do: a request, a word about a session, or a change of credit,
    /// room or cancellation since [`Self::take_notice`].
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.has_requests() || self.has_session_records() || self.has_notice()
    }

    /// Whether credit, room or a cancellation changed since [`Self::take_notice`].
    #[must_use]
    pub fn has_notice(&self) -> bool {
        self.word(NOTICE).load(Ordering::Acquire) != self.noticed
    }

    /// Remembers that credits, room and cancellations are looked at now. `true` when anything
    /// changed since the last time.
    pub fn take_notice(&mut self) -> bool {
        let notice = self.word(NOTICE).load(Ordering::Acquire);
        std::mem::replace(&mut self.noticed, notice) != notice
    }
}
