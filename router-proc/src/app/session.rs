//! The WebSocket sessions of a worker: handshakes it has accepted. They hold no slot; what it is told
//! of them goes through a ring of its own.

use std::rc::Rc;

use app_io::ChannelError;
use app_proto::{RequestId, SESSION_RECORD_LEN, SESSION_RECORD_MAX, SessionKind};

use super::exchange::{Exchange, Failure, Place};
use super::worker::Worker;

/// Less room or credit than this is not worth a read.
const WINDOW_MIN: usize = 1024;

/// What a checker may have held back of earlier octets, and adds to what was read.
const HELD_LEN_MAX: usize = 256;

/// A session that waits for room is woken for so much of it.
const ROOM_EACH: usize = 4 * 1024;

impl Worker {
    /// Sessions it has not said the last word of.
    pub fn sessions(&self) -> usize {
        self.sessions.borrow().len()
    }

    /// Makes a session of a handshake that it has accepted.
    pub(super) fn begin_session(
        &self,
        id: RequestId,
        exchange: &Rc<Exchange>,
    ) -> Result<(), ChannelError> {
        self.gauge.begin_session();
        self.channel.borrow_mut().begin_session(id);
        self.sessions.borrow_mut().insert(id, Rc::clone(exchange));
        if let Some(worker) = exchange.worker() {
            exchange.place.replace(Place::Session(worker, id));
        }
        if exchange.is_abandoned() {
            // The client left while it was being accepted.
            self.tell(id, exchange)?;
        }
        Ok(())
    }

    /// It said its last word.
    pub(super) fn end_session(&self, id: RequestId) {
        if self.sessions.borrow_mut().remove(&id).is_some() {
            self.gauge.end_session();
        }
        self.channel.borrow_mut().end_session(id);
    }

    /// It is gone, and all of its sessions with it.
    pub(super) fn lose_sessions(&self) {
        for (id, exchange) in self.sessions.take() {
            self.gauge.end_session();
            self.channel.borrow_mut().end_session(id);
            exchange.fail(Failure::Application);
        }
        self.due.borrow_mut().clear();
        self.waiting_for_room.borrow_mut().clear();
    }

    /// Tells it what there is to be told of a session, now or when there is room.
    pub(super) fn tell(&self, id: RequestId, exchange: &Rc<Exchange>) -> Result<(), ChannelError> {
        if !exchange.flow.is_due.replace(true) {
            self.due.borrow_mut().push_back((id, Rc::clone(exchange)));
        }
        self.tell_all()
    }

    /// Tells it all that is due, as far as there is room.
    fn tell_all(&self) -> Result<(), ChannelError> {
        loop {
            let Some((id, exchange)) = self.due.borrow().front().cloned() else { return Ok(()) };
            if !self.sessions.borrow().contains_key(&id) || self.push_news(id, &exchange)? {
                exchange.flow.is_due.set(false);
                self.due.borrow_mut().pop_front();
                continue;
            }
            self.channel.borrow().want_session_room(true);
            // There may have been room made before that was seen.
            if !self.push_news(id, &exchange)? {
                return Ok(());
            }
        }
    }

    /// Pushes what there is to be told of a session; `false` when there is no room.
    fn push_news(&self, id: RequestId, exchange: &Exchange) -> Result<bool, ChannelError> {
        let flow = &exchange.flow;
        let mut channel = self.channel.borrow_mut();
        if exchange.is_abandoned() {
            if flow.end_told.get() {
                return Ok(true);
            }
            let is_pushed = channel.push_session(id, SessionKind::End, &[])?;
            flow.end_told.set(is_pushed);
            return Ok(is_pushed);
        }
        let Some(total) = flow.news() else { return Ok(true) };
        let is_pushed = channel.push_session(id, SessionKind::PassedOn, &total.to_le_bytes())?;
        if is_pushed {
            flow.told.set(total);
        }
        Ok(is_pushed)
    }

    /// How many octets of a session's client can be read and handed over. With 0 the exchange is
    /// woken when there can be more.
    pub(super) fn window(&self, exchange: &Rc<Exchange>) -> Result<usize, ChannelError> {
        let credit = usize::try_from(exchange.flow.credit()).unwrap_or(usize::MAX);
        if credit < WINDOW_MIN {
            return Ok(0);
        }
        let mut room = self.room_for_octets()?;
        if room == 0 {
            if !exchange.flow.waits_for_room.replace(true) {
                self.waiting_for_room.borrow_mut().push_back(Rc::clone(exchange));
            }
            self.channel.borrow().want_session_room(true);
            // There may have been room made before that was seen.
            room = self.room_for_octets()?;
        }
        Ok(room.min(credit))
    }

    /// How many octets find room in data records, or 0 when they are too few to be worth it.
    fn room_for_octets(&self) -> Result<usize, ChannelError> {
        if !self.due.borrow().is_empty() {
            // Others were first.
            return Ok(0);
        }
        let room = self.channel.borrow().session_room()?;
        let heads = (room / SESSION_RECORD_MAX + 1) * (SESSION_RECORD_LEN + 8);
        let room = room.saturating_sub(heads + HELD_LEN_MAX);
        Ok(if room < WINDOW_MIN { 0 } else { room })
    }

    /// Hands octets of a session's client over, as far as there is room.
    pub(super) fn hand_over(
        &self,
        id: RequestId,
        exchange: &Exchange,
        octets: &[u8],
    ) -> Result<usize, ChannelError> {
        let credit = usize::try_from(exchange.flow.credit()).unwrap_or(usize::MAX);
        let mut rest = octets.get(..credit).unwrap_or(octets);
        let mut handed = 0;
        let mut channel = self.channel.borrow_mut();
        while !rest.is_empty() {
            let len = rest.len().min(SESSION_RECORD_MAX).min(channel.session_room()?);
            let (piece, after) = rest.split_at(len);
            if piece.is_empty() || !channel.push_session(id, SessionKind::Data, piece)? {
                break;
            }
            handed += piece.len();
            rest = after;
        }
        let flow = &exchange.flow;
        flow.handed.set(flow.handed.get().saturating_add(handed as u64));
        Ok(handed)
    }

    /// Gives the room that came to those who wait for it.
    pub(super) fn use_room(&self) -> Result<(), ChannelError> {
        if self.due.borrow().is_empty() && self.waiting_for_room.borrow().is_empty() {
            return Ok(());
        }
        self.tell_all()?;
        let mut room = self.room_for_octets()?;
        while room > 0 {
            let Some(exchange) = self.waiting_for_room.borrow_mut().pop_front() else { break };
            exchange.flow.waits_for_room.set(false);
            exchange.wake();
            room = room.saturating_sub(ROOM_EACH);
        }
        let is_wanted = !self.due.borrow().is_empty() || !self.waiting_for_room.borrow().is_empty();
        self.channel.borrow().want_session_room(is_wanted);
        Ok(())
    }

    /// Whether there is room that somebody waits for. For the look before a sleep.
    pub fn has_awaited_room(&self) -> bool {
        let is_wanted = !self.due.borrow().is_empty() || !self.waiting_for_room.borrow().is_empty();
        // One whose positions cannot be is dealt with when they are used.
        is_wanted && self.channel.borrow().session_room().is_ok_and(|room| room >= WINDOW_MIN * 2)
    }
}
