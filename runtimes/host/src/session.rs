//! WebSocket sessions of a worker: any number of them at once, beside the requests it serves, and
//! without a thread for each.
//!
//! A language accepts a handshake with [`crate::Response::accept`]. From then on
//! [`crate::Language::session`] is called whenever something has happened, and says what it likes
//! through [`Sessions`]. Nothing here blocks but [`Sessions::wait_until_sent`]: what does not fit is
//! kept and sent later.

mod frame;
mod state;

use std::collections::{HashMap, VecDeque};

use app_io::{ChannelError, WorkerChannel};
use app_proto::{
    FrameHeader, RequestId, ResponseKind, ResponseRecord, SessionKind, decode_total,
    write_close_frame,
};
use thiserror::Error;

use crate::response::{Pause, wait};
use crate::worker::channels::Channels;
pub use frame::Frame;
use state::State;

/// So many records are taken off a ring in one go; then requests have their turn.
const RECORDS_MAX: usize = 64;

/// With less room than this in the ring nothing is pushed.
const ROOM_MIN: usize = 4 * 1024;

/// The close code when the worker ends.
const CLOSE_GOING_AWAY: u16 = 1001;

/// One session of this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId {
    channel: u32,
    id: RequestId,
}

/// What has happened in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionNews {
    /// Frames came: take them with [`Sessions::next_frame`]. What is left there holds up the client
    /// when it is too much.
    Frames,
    /// All that was kept is sent.
    Sent,
    /// The client is gone, or said more than it may. Frames that came before can still be taken;
    /// what is sent from now on is thrown away. The session is to be finished.
    Ended,
}

/// Why something could not be done in a session.
#[derive(Debug, Error)]
pub enum SessionError {
    /// It was finished.
    #[error("the session is finished")]
    Finished,
    /// The router has ended it.
    #[error("the client is gone")]
    Ended,
    /// The router is gone or mad; the worker ends soon.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

/// All sessions of a worker.
#[derive(Debug, Default)]
pub(crate) struct Table {
    states: HashMap<SessionId, State>,
    news: VecDeque<(SessionId, SessionNews)>,
    /// Sessions that wait for room in the ring, not for credit.
    stuck: VecDeque<SessionId>,
    payload: Vec<u8>,
    /// The channels there were when that was last looked at.
    numbers_seen: Vec<u32>,
}

impl Table {
    /// A handshake that came over channel `channel` was accepted.
    pub(crate) fn add(&mut self, channel: u32, id: RequestId) -> SessionId {
        let id = SessionId { channel, id };
        self.states.insert(id, State::default());
        id
    }

    /// The next thing to tell the language.
    pub(crate) fn take_news(&mut self) -> Option<(SessionId, SessionNews)> {
        loop {
            let (id, news) = self.news.pop_front()?;
            // It may have been finished meanwhile.
            let Some(state) = self.states.get_mut(&id) else { continue };
            if state.is_finishing {
                continue;
            }
            if news == SessionNews::Frames {
                state.frames_told = false;
                if !state.has_frames() {
                    continue;
                }
            }
            return Some((id, news));
        }
    }

    /// Whether there is something to do in spite of empty rings.
    pub(crate) fn has_work<'c, I>(&self, channels: impl Fn() -> I) -> bool
    where
        I: Iterator<Item = (u32, &'c WorkerChannel)>,
    {
        // A channel that is mad, or gone, is found out when it is used.
        let has_room = |id: &SessionId| {
            let channel = channels().find(|(number, _)| *number == id.channel);
            channel.is_none_or(|(_, channel)| channel.room().map_or(true, |room| room >= ROOM_MIN))
        };
        !self.news.is_empty() || self.stuck.iter().any(has_room)
    }

    /// Whether a session waits for room in this channel.
    pub(crate) fn is_stuck(&self, channel: u32) -> bool {
        self.stuck.iter().any(|id| id.channel == channel)
    }

    /// Takes what the rings hold and sends what found no room before. `true` when rings may hold
    /// more.
    pub(crate) fn turn(&mut self, channels: &mut Channels) -> Result<bool, ChannelError> {
        self.forget_orphans(channels);
        for _ in 0..self.stuck.len() {
            let Some(id) = self.stuck.pop_front() else { break };
            if let Some(state) = self.states.get_mut(&id) {
                state.is_stuck = false;
                self.flush(id, channels)?;
            }
        }
        let mut has_more = false;
        for (number, channel) in channels.all() {
            has_more |= self.take(number, channel)?;
        }
        Ok(has_more)
    }

    /// Ends the sessions of channels that the router has ended.
    fn forget_orphans(&mut self, channels: &mut Channels) {
        let numbers: Vec<u32> = channels.all().map(|(number, _)| number).collect();
        if self.numbers_seen == numbers {
            return;
        }
        for (id, state) in &mut self.states {
            if !numbers.contains(&id.channel) && !state.is_ended {
                state.end();
                self.news.push_back((*id, SessionNews::Ended));
            }
        }
        self.states.retain(|id, state| numbers.contains(&id.channel) || !state.is_finishing);
        self.numbers_seen = numbers;
    }

    /// Sends what there is to be sent in a session, as far as there is room and credit.
    fn flush(&mut self, id: SessionId, channels: &mut Channels) -> Result<(), ChannelError> {
        let Some(state) = self.states.get_mut(&id) else { return Ok(()) };
        let flushed = match channels.numbered(id.channel) {
            Some((channel, _)) => state.flush(id.id, channel)?,
            // There is nobody to say the last word to.
            None if state.is_finishing => Flushed::Finished,
            None => Flushed::Nothing,
        };
        self.after_flush(id, flushed);
        Ok(())
    }

    /// Takes what the ring of one channel holds, as far as it is not too much at once.
    fn take(&mut self, number: u32, channel: &mut WorkerChannel) -> Result<bool, ChannelError> {
        let mut payload = std::mem::take(&mut self.payload);
        let mut taken = 0;
        while taken < RECORDS_MAX
            && let Some(record) = channel.take_session_record(&mut payload)?
        {
            taken += 1;
            let id = SessionId { channel: number, id: record.id };
            // One that was finished may have been spoken of before the router knew.
            let Some(state) = self.states.get_mut(&id) else { continue };
            match record.kind {
                SessionKind::Data => {
                    state.take(&payload);
                    if !state.is_finishing
                        && state.has_frames()
                        && !std::mem::replace(&mut state.frames_told, true)
                    {
                        self.news.push_back((id, SessionNews::Frames));
                    }
                }
                SessionKind::PassedOn => state.set_passed_on(decode_total(&payload)?)?,
                SessionKind::End => {
                    state.end();
                    self.news.push_back((id, SessionNews::Ended));
                }
            }
            let flushed = state.flush(id.id, channel)?;
            self.after_flush(id, flushed);
        }
        channel.publish_session_tail()?;
        self.payload = payload;
        Ok(taken == RECORDS_MAX)
    }

    fn after_flush(&mut self, id: SessionId, flushed: Flushed) {
        match flushed {
            Flushed::Nothing => {}
            Flushed::AllSent => self.news.push_back((id, SessionNews::Sent)),
            Flushed::Stuck => {
                if let Some(state) = self.states.get_mut(&id)
                    && !std::mem::replace(&mut state.is_stuck, true)
                {
                    self.stuck.push_back(id);
                }
            }
            Flushed::Finished => {
                self.states.remove(&id);
            }
        }
    }
}

/// What came of sending what there is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushed {
    /// Nothing that anybody waits for.
    Nothing,
    /// The last of what had been kept went out.
    AllSent,
    /// There is no room in the ring.
    Stuck,
    /// The last word was said.
    Finished,
}

/// Pushes a record about a session; `false` when there is no room.
fn push(
    channel: &mut WorkerChannel,
    id: RequestId,
    (kind, last): (ResponseKind, bool),
    payload: &[u8],
) -> Result<bool, ChannelError> {
    let record = ResponseRecord { id, kind, last, len: 0, service_us: 0 };
    let is_pushed = channel.push(record, &[payload])?;
    if is_pushed {
        channel.ring()?;
    }
    Ok(is_pushed)
}

/// A language's hold on the sessions of its worker.
#[derive(Debug)]
pub struct Sessions<'w> {
    pub(crate) table: &'w mut Table,
    pub(crate) channels: &'w mut Channels,
    pub(crate) pause: Pause,
}

impl Sessions<'_> {
    /// The oldest frame that was not taken. The client's close frame is one of them.
    pub fn next_frame(&mut self, id: SessionId) -> Option<Frame> {
        let frame = self.table.states.get_mut(&id)?.next_frame()?;
        // There may be room for more of the client's octets now. A channel that is broken is noticed
        // by the worker itself.
        let _ = self.flush(id);
        Some(frame)
    }

    /// Sends a frame. What the client has no room for yet is kept: see [`Self::unsent`].
    ///
    /// # Errors
    /// [`SessionError`]; then it is not sent.
    pub fn send(
        &mut self,
        id: SessionId,
        opcode: u8,
        fin: bool,
        payload: &[u8],
    ) -> Result<(), SessionError> {
        let header =
            FrameHeader { fin, rsv: 0, opcode, mask: None, payload_len: payload.len() as u64 };
        let state = self.open(id)?;
        header.write(&mut state.outgoing);
        state.outgoing.extend_from_slice(payload);
        self.flush(id)
    }

    /// Sends octets as they are: frames that somebody else has made.
    ///
    /// # Errors
    /// [`SessionError`]; then they are not sent.
    pub fn send_octets(&mut self, id: SessionId, octets: &[u8]) -> Result<(), SessionError> {
        self.open(id)?.outgoing.extend_from_slice(octets);
        self.flush(id)
    }

    /// Sends a close frame and finishes the session.
    ///
    /// # Errors
    /// [`SessionError`]; it may be finished all the same.
    pub fn close(&mut self, id: SessionId, code: u16, reason: &[u8]) -> Result<(), SessionError> {
        if let Ok(state) = self.open(id) {
            write_close_frame(code, reason, &mut state.outgoing);
        }
        self.finish(id)
    }

    /// Finishes the session once all that was kept is sent; at once when the router has ended it.
    ///
    /// # Errors
    /// [`SessionError::Finished`] when it was before, [`SessionError::Channel`].
    pub fn finish(&mut self, id: SessionId) -> Result<(), SessionError> {
        let state = self.table.states.get_mut(&id).ok_or(SessionError::Finished)?;
        if std::mem::replace(&mut state.is_finishing, true) {
            return Err(SessionError::Finished);
        }
        self.flush(id)
    }

    /// Cuts the session: the client sees its connection close in mid-sentence.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn fail(&mut self, id: SessionId) -> Result<(), SessionError> {
        if let Ok(state) = self.open(id) {
            state.fail();
        }
        self.finish(id)
    }

    /// Octets that were kept.
    #[must_use]
    pub fn unsent(&self, id: SessionId) -> usize {
        self.table.states.get(&id).map_or(0, State::unsent)
    }

    /// Whether the router has ended the session, or it is finished.
    #[must_use]
    pub fn is_over(&self, id: SessionId) -> bool {
        self.table.states.get(&id).is_none_or(|state| state.is_ended || state.is_finishing)
    }

    /// Sessions that are not finished.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table.states.len()
    }

    /// Blocks until all that was kept is sent or the session has ended. What comes meanwhile, in
    /// this session and others, is told afterwards.
    ///
    /// # Errors
    /// [`SessionError::Channel`].
    pub fn wait_until_sent(&mut self, id: SessionId) -> Result<(), SessionError> {
        loop {
            let Some((channel, _)) = self.channels.numbered(id.channel) else { return Ok(()) };
            while self.table.take(id.channel, channel)? {}
            self.flush(id)?;
            let Some(state) = self.table.states.get(&id) else { return Ok(()) };
            if state.is_ended || state.unsent() == 0 {
                return Ok(());
            }
            let is_stuck = state.is_stuck;
            let Some((channel, events)) = self.channels.numbered(id.channel) else { return Ok(()) };
            channel.want_room(is_stuck);
            let waited = wait(channel, events, self.pause, |channel| {
                let has_room = is_stuck && channel.room()? >= ROOM_MIN;
                Ok(has_room || channel.has_session_records())
            });
            channel.want_room(false);
            waited?;
        }
    }

    fn open(&mut self, id: SessionId) -> Result<&mut State, SessionError> {
        match self.table.states.get_mut(&id) {
            None => Err(SessionError::Finished),
            Some(state) if state.is_finishing => Err(SessionError::Finished),
            Some(state) if state.is_ended => Err(SessionError::Ended),
            Some(state) => Ok(state),
        }
    }

    fn flush(&mut self, id: SessionId) -> Result<(), SessionError> {
        Ok(self.table.flush(id, self.channels)?)
    }

    /// Says goodbye to all clients, as far as they take it: the worker ends.
    pub(crate) fn close_all(&mut self) {
        let ids: Vec<SessionId> = self.table.states.keys().copied().collect();
        for id in ids {
            // Who does not get it sees the connection close.
            let _ = self.close(id, CLOSE_GOING_AWAY, b"");
        }
    }
}
