//! One session: octets become frames on the way in, and wait for credit on the way out.

use std::collections::VecDeque;

use app_io::{ChannelError, WorkerChannel};
use app_proto::{BODY_RECORD_MAX, FrameHeader, RequestId, ResponseKind, SESSION_WINDOW};

use super::{Flushed, Frame, ROOM_MIN, push};

/// Octets of a mask.
const MASK_LEN: usize = 4;

/// One session.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The frame that is not whole.
    incoming: Vec<u8>,
    /// Its header, once that is whole, and the octets of header and frame.
    expected: Option<(FrameHeader, usize, usize)>,
    frames: VecDeque<Frame>,
    /// Octets of `frames`.
    waiting: usize,
    /// Octets that came, and how many the router was told were taken.
    received: u64,
    told: u64,
    /// The language is going to hear of the frames.
    pub(super) frames_told: bool,
    /// What is to be sent, and how much of it was.
    pub(super) outgoing: Vec<u8>,
    outgoing_at: usize,
    /// Octets sent, and how many of them went on to the client.
    sent: u64,
    passed_on: u64,
    /// Something was kept since the language last heard that all is sent.
    was_kept: bool,
    pub(super) is_stuck: bool,
    pub(super) is_ended: bool,
    pub(super) is_finishing: bool,
    /// The last word is a bad one.
    has_failed: bool,
}

impl State {
    /// Takes octets of the client.
    pub(super) fn take(&mut self, octets: &[u8]) {
        self.received = self.received.saturating_add(octets.len() as u64);
        if self.is_finishing {
            // Nobody will take them.
            return;
        }
        let mut rest = octets;
        while !rest.is_empty() {
            let wanted = match self.expected {
                Some((_, _, len)) => len,
                None => self.header_len(),
            };
            let missing = wanted.saturating_sub(self.incoming.len()).min(rest.len());
            let (first, after) = rest.split_at(missing);
            self.incoming.extend_from_slice(first);
            rest = after;
            if self.expected.is_none() && self.incoming.len() >= self.header_len() {
                let Some(header) = FrameHeader::read(&self.incoming) else { continue };
                let at = self.incoming.len();
                let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
                self.expected = Some((header, at, at.saturating_add(payload_len)));
            }
            if let Some((header, at, len)) = self.expected
                && self.incoming.len() >= len
            {
                self.expected = None;
                self.waiting += len;
                let octets = std::mem::take(&mut self.incoming);
                self.frames.push_back(Frame::new(header, octets, at));
            }
        }
    }

    /// Octets of the header, as far as those that came tell.
    fn header_len(&self) -> usize {
        match self.incoming.first_chunk::<2>() {
            Some(first) => {
                FrameHeader::unmasked_len(*first) + if first[1] & 0x80 != 0 { MASK_LEN } else { 0 }
            }
            None => 2,
        }
    }

    pub(super) fn has_frames(&self) -> bool {
        !self.frames.is_empty()
    }

    pub(super) fn next_frame(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.waiting -= frame.header().len() + frame.payload_len();
        Some(frame)
    }

    /// The router said how much went on to the client.
    pub(super) fn set_passed_on(&mut self, total: u64) -> Result<(), ChannelError> {
        if total < self.passed_on || total > self.sent {
            return Err(ChannelError::Ring("a total that cannot be"));
        }
        self.passed_on = total;
        Ok(())
    }

    /// The router said that the session is over.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
        self.incoming = Vec::new();
        self.expected = None;
        self.outgoing = Vec::new();
        self.outgoing_at = 0;
    }

    /// What was kept is not sent, and the last word says so.
    pub(super) fn fail(&mut self) {
        self.has_failed = true;
        self.outgoing = Vec::new();
        self.outgoing_at = 0;
    }

    pub(super) fn unsent(&self) -> usize {
        self.outgoing.len() - self.outgoing_at
    }

    /// How many octets were taken, if the router should be told: not while too much waits for the
    /// language.
    fn taken_news(&self) -> Option<u64> {
        let is_worth_it = self.received - self.told >= SESSION_WINDOW / 2;
        let is_held_up = self.waiting as u64 >= SESSION_WINDOW && !self.is_finishing;
        (is_worth_it && !self.is_ended && !is_held_up).then_some(self.received)
    }

    /// Sends what there is to be sent, as far as there is room and credit.
    pub(super) fn flush(
        &mut self,
        id: RequestId,
        channel: &mut WorkerChannel,
    ) -> Result<Flushed, ChannelError> {
        if let Some(total) = self.taken_news() {
            if !push(channel, id, (ResponseKind::Taken, false), &total.to_le_bytes())? {
                return Ok(Flushed::Stuck);
            }
            self.told = total;
        }
        while self.unsent() > 0 {
            let credit = (self.passed_on + SESSION_WINDOW).saturating_sub(self.sent);
            if credit == 0 {
                self.was_kept = true;
                return Ok(Flushed::Nothing);
            }
            let room = channel.room()?;
            let credit = usize::try_from(credit).unwrap_or(usize::MAX);
            let len = self.unsent().min(credit).min(BODY_RECORD_MAX).min(room);
            if len < self.unsent().min(credit).min(ROOM_MIN) {
                self.was_kept = true;
                return Ok(Flushed::Stuck);
            }
            let piece = self.outgoing.get(self.outgoing_at..).and_then(|rest| rest.get(..len));
            if !push(channel, id, (ResponseKind::Body, false), piece.unwrap_or_default())? {
                self.was_kept = true;
                return Ok(Flushed::Stuck);
            }
            self.sent += len as u64;
            self.outgoing_at += len;
        }
        self.outgoing.clear();
        self.outgoing_at = 0;
        if self.outgoing.capacity() > ROOM_MIN {
            self.outgoing = Vec::new();
        }
        if self.is_finishing {
            let kind = if self.has_failed { ResponseKind::Failed } else { ResponseKind::Body };
            let is_pushed = push(channel, id, (kind, true), &[])?;
            return Ok(if is_pushed { Flushed::Finished } else { Flushed::Stuck });
        }
        let was_kept = std::mem::replace(&mut self.was_kept, false);
        Ok(if was_kept && !self.is_ended { Flushed::AllSent } else { Flushed::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use app_proto::{OPCODE_BINARY, OPCODE_CLOSE, OPCODE_TEXT, mask_payload};

    use super::*;

    fn frame(opcode: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let mut octets = Vec::new();
        FrameHeader { fin: true, rsv: 0, opcode, mask, payload_len: payload.len() as u64 }
            .write(&mut octets);
        let at = octets.len();
        octets.extend_from_slice(payload);
        mask_payload(&mut octets[at..], mask.unwrap_or_default());
        octets
    }

    #[test]
    fn pieces_of_any_size_become_the_same_frames() {
        let payloads = [vec![1; 0], vec![2; 5], vec![3; 126], vec![4; 70_000], vec![5; 125]];
        let mut all = Vec::new();
        for payload in &payloads {
            all.extend(frame(OPCODE_BINARY, Some([9, 8, 7, 6]), payload));
        }
        for piece in [1, 2, 3, 5, 16, 1000, all.len()] {
            let mut state = State::default();
            for octets in all.chunks(piece) {
                state.take(octets);
            }
            let mut found = Vec::new();
            while let Some(frame) = state.next_frame() {
                assert_eq!((frame.opcode(), frame.is_final()), (OPCODE_BINARY, true));
                assert_eq!(frame.mask(), Some([9, 8, 7, 6]));
                found.push(frame.into_payload());
            }
            assert_eq!(found, payloads, "in pieces of {piece}");
            assert_eq!((state.waiting, state.received), (0, all.len() as u64));
        }
    }

    #[test]
    fn a_frame_that_is_not_whole_is_none() {
        let mut state = State::default();
        let octets = frame(OPCODE_TEXT, Some([1; 4]), b"hello");
        state.take(&octets[..octets.len() - 1]);
        assert!(!state.has_frames());
        state.end();
        assert!(state.next_frame().is_none());
    }

    #[test]
    fn what_waits_for_too_long_is_not_said_to_be_taken() {
        let mut state = State::default();
        let octets = frame(OPCODE_TEXT, Some([1; 4]), &[b'a'; 30_000]);
        state.take(&octets);
        assert_eq!(state.taken_news(), None, "small news wait");
        state.take(&octets);
        assert_eq!(state.taken_news(), Some(2 * octets.len() as u64));
        state.take(&octets);
        assert_eq!(state.taken_news(), None, "the language has to take some first");
        state.next_frame();
        assert_eq!(state.taken_news(), Some(3 * octets.len() as u64));
    }

    #[test]
    fn the_code_of_a_close_frame_is_read() {
        let mut state = State::default();
        state.take(&frame(OPCODE_CLOSE, Some([7; 4]), b"\x03\xe8bye"));
        state.take(&frame(OPCODE_CLOSE, Some([7; 4]), b""));
        state.take(&frame(OPCODE_TEXT, Some([7; 4]), b"\x03\xe8bye"));
        assert_eq!(state.next_frame().unwrap().close_code(), Some((1000, &b"bye"[..])));
        assert_eq!(state.next_frame().unwrap().close_code(), None);
        assert_eq!(state.next_frame().unwrap().close_code(), None);
    }
}
