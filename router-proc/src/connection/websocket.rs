//! WebSocket sessions: accepting a handshake for an application, and relaying frames both ways
//! until either side ends it.
//!
//! A session is one task that does whatever can be done: it writes what the application sent, reads
//! as much of the client as the application has room for, and looks at its deadlines. It holds what
//! it could not write, the pongs of one read, and nothing else; a session at rest holds no buffer.

use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use app_proto::{FrameHeader, OPCODE_PING, ResponseHead as AppHead, write_close_frame};

use super::application::{passed_fields, read_fields};
use super::pace::Verdict;
use super::respond::{Client, Response, edit_fields};
use super::stream::HangUp;
use super::{Buffers, Connection, LINGER_LEN_MAX, Next};
use crate::app::{Answer, Event};
use crate::event_loop::{LoopConf, SCRATCH_LEN};
use crate::http::websocket::{Checked, FrameBoundary, FrameChecker, accept_value};
use crate::http::{Delivery, HeadEnd, ResponseHead};
use crate::routing::ActionRef;

/// With so many octets of our own frames unsent nothing is read that could call for more.
const OWN_UNSENT_MAX: usize = 4 * 1024;

/// A buffer larger than this is not kept while there is nothing to write.
const KEPT_LEN_MAX: usize = 1024;

/// How long the client may take for our last frame.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often a client that cannot be read from is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a client that has hung up is kept for an application that does not read, where there is
/// no `read_timeout`.
const UNREAD: Duration = Duration::from_secs(60);

/// The close code and reason when the client was not heard of for too long.
const SILENT: (u16, &str) = (1001, "Remote peer is going away");

/// The close code and reason when the daemon stops.
const STOPPING: (u16, &str) = (1001, "Server is shutting down");

/// What is still heard of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    /// Frames.
    Frames,
    /// It has sent a close frame: what follows is thrown away.
    Closed,
    /// It has sent a close frame, and then ended its stream or sent more than anybody should.
    ClosedAndDeaf,
    /// Its stream ended before that.
    Left,
    /// We have said goodbye.
    Unwanted,
}

/// What a session's deadlines are made from.
#[derive(Clone, Copy, Debug)]
struct Patience {
    read: Option<Duration>,
    keepalive: Option<Duration>,
    send: Option<Duration>,
}

/// A pause that is not the client's. One that left meanwhile would go unnoticed: what says so lies
/// behind octets that are not read.
#[derive(Clone, Copy, Debug)]
struct Stall {
    since: u64,
    /// When the client is looked after next.
    look_at: u64,
    /// When it is pinged next: a system whose process has ended answers that with a reset.
    ping_at: Option<u64>,
}

/// Our close frame, on its way.
#[derive(Debug)]
enum Farewell {
    /// None.
    None,
    /// It waits for the end of a frame of the application.
    Waiting(Vec<u8>),
    /// It is the last of what is to be written.
    Queued,
}

/// One session.
#[derive(Debug)]
struct Session {
    checker: FrameChecker,
    patience: Patience,
    hearing: Hearing,
    /// Octets thrown away behind the close frame.
    discarded: usize,
    /// Octets of the client that found no room.
    unsent: Vec<u8>,
    /// What is to be written, and how much of it was.
    out: Vec<u8>,
    written: usize,
    /// Octets of the application in `out`, and of our own.
    app_in_out: usize,
    own_in_out: usize,
    /// Where the frames of the application end, as far as they are in `out`.
    boundary: FrameBoundary,
    /// Frames of our own that wait for that.
    own: Vec<u8>,
    app_ended: bool,
    farewell: Farewell,
    /// Reading is what is waited for.
    awaits_client: bool,
    /// Deadlines in the loop's milliseconds: the next octet of the client, and our ping.
    read_by: Option<u64>,
    /// The application has no room, so that the client cannot be read from.
    stall: Option<Stall>,
    ping_at: Option<u64>,
    /// When a client that takes nothing is looked at next, and when its last frame is given up.
    look_at: Option<u64>,
    give_up_at: Option<u64>,
}

impl Connection {
    /// Accepts a handshake for the application that answered with this head, and serves the session
    /// to its end.
    pub(super) async fn serve_session(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        client: &Client,
        answer: Answer,
        (payload, action): (&[u8], Option<ActionRef>),
    ) -> Next {
        if let Err(status) = self.push_accepting_head(conf, buffers, client, payload, action) {
            drop(answer);
            return self.respond_error(conf, buffers, status, Next::Close).await;
        }
        let http = &conf.snapshot.http;
        let patience = Patience {
            read: http.websocket.read_timeout,
            keepalive: http.websocket.keepalive_interval,
            send: http.send_timeout,
        };
        let out = std::mem::take(&mut buffers.out);
        let mut session =
            Session::new(FrameChecker::new(http.websocket.max_frame_size), patience, out);
        let early = self.pending.take();
        let mut answer = Some(answer);
        session.hear(&early, self, &mut answer);
        drop(early);
        let event_loop = std::rc::Rc::clone(&self.event_loop);
        let mut stop = pin!(event_loop.stop_begins());
        let mut is_stopping = false;
        let next = std::future::poll_fn(|cx| {
            if !is_stopping && (event_loop.is_stopping() || stop.as_mut().poll(cx).is_ready()) {
                is_stopping = true;
                session.say_goodbye(STOPPING, self, &mut answer);
            }
            session.poll(cx, self, &mut answer, &mut buffers.piece)
        })
        .await;
        self.timer.clear();
        next
    }

    /// Writes the head that accepts a handshake into `buffers.out`; the status of the error page
    /// otherwise.
    fn push_accepting_head(
        &mut self,
        conf: &LoopConf,
        buffers: &mut Buffers,
        client: &Client,
        payload: &[u8],
        action: Option<ActionRef>,
    ) -> Result<(), u16> {
        let head = AppHead::decode(payload).map_err(|error| {
            unit_log::alert!(conn = self.number, "{error}");
            503u16
        })?;
        let facts = read_fields(&head).filter(|_| head.body.is_empty()).ok_or(503u16)?;
        let accept = buffers.head.websocket_key().map(accept_value).ok_or(503u16)?;
        let status = facts.status;
        if status != 101 {
            return Err(503);
        }
        let delivery = Delivery::decide(self.facts(buffers), status, None);
        buffers.fields.clear();
        for (name, value) in passed_fields(&head, false) {
            buffers.fields.push(name, value);
        }
        let response = Response { status, delivery, action };
        edit_fields(conf, buffers, client, response).map_err(|_| 500u16)?;
        buffers.out.clear();
        let date = self.event_loop.clock.date();
        let end = HeadEnd { websocket_accept: Some(&accept), ..self.head_end(conf, &date) };
        let mut out = ResponseHead::begin(&mut buffers.out, status, delivery);
        buffers.fields.write_to(&mut out);
        out.finish(&end);
        self.note_head(conf, buffers, status, delivery, buffers.out.len());
        Ok(())
    }
}

impl Session {
    /// A session whose first octets to be written are `out`: the head that accepts it.
    fn new(checker: FrameChecker, patience: Patience, out: Vec<u8>) -> Self {
        Self {
            checker,
            patience,
            hearing: Hearing::Frames,
            discarded: 0,
            unsent: Vec::new(),
            out,
            written: 0,
            app_in_out: 0,
            own_in_out: 0,
            boundary: FrameBoundary::default(),
            own: Vec::new(),
            app_ended: false,
            farewell: Farewell::None,
            awaits_client: false,
            read_by: None,
            stall: None,
            ping_at: None,
            look_at: None,
            give_up_at: None,
        }
    }

    /// Does what can be done; ready when the session is over. What is left of `answer` then tells
    /// the application.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        answer: &mut Option<Answer>,
        piece: &mut Vec<u8>,
    ) -> Poll<Next> {
        loop {
            match self.write(cx, connection, answer) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(())) => return Poll::Ready(self.over(answer, Next::Close)),
                Poll::Pending => {
                    // The client may still send meanwhile.
                    if self.read(cx, connection, answer).is_ready() {
                        continue;
                    }
                    if self.hearing == Hearing::Left && self.unsent.is_empty() {
                        return Poll::Ready(self.over(answer, Next::Close));
                    }
                    return self.wait(cx, connection, answer);
                }
            }
            if self.app_ended || matches!(self.farewell, Farewell::Queued) {
                return Poll::Ready(self.over(answer, Next::Linger));
            }
            match self.take_from_app(cx, answer, piece) {
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(())) => return Poll::Ready(self.over(answer, Next::Close)),
                Poll::Pending => {}
            }
            if matches!(self.farewell, Farewell::Waiting(_)) {
                // The application stopped inside of a frame, and nothing may be put there.
                return Poll::Ready(self.over(answer, Next::Linger));
            }
            if self.read(cx, connection, answer).is_ready() {
                continue;
            }
            if self.hearing == Hearing::Left && self.unsent.is_empty() {
                return Poll::Ready(self.over(answer, Next::Close));
            }
            return self.wait(cx, connection, answer);
        }
    }

    fn over(&self, answer: &mut Option<Answer>, next: Next) -> Next {
        answer.take();
        next
    }

    /// Writes all there is. `Err`: the client is gone.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        answer: &mut Option<Answer>,
    ) -> Poll<Result<(), ()>> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match connection.stream.poll_write(cx, rest) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(())),
                Poll::Ready(Ok(len)) => {
                    self.written += len;
                    self.look_at = None;
                    connection.account.wrote(len);
                    connection.taking.wrote(len);
                    if connection.has_room().is_err() {
                        return Poll::Ready(Err(()));
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        self.out.clear();
        self.written = 0;
        self.own_in_out = 0;
        if self.app_in_out > 0
            && let Some(answer) = answer
        {
            answer.passed_on(self.app_in_out);
        }
        self.app_in_out = 0;
        if self.boundary.is_reached() && !self.own.is_empty() {
            self.own_in_out = self.own.len();
            self.out.append(&mut self.own);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the next octets of the application to be written, with our own frames between its
    /// frames. `Err`: it failed.
    fn take_from_app(
        &mut self,
        cx: &mut Context<'_>,
        answer: &mut Option<Answer>,
        piece: &mut Vec<u8>,
    ) -> Poll<Result<(), ()>> {
        if self.out.len() > self.written {
            return Poll::Ready(Ok(()));
        }
        let Some(from) = answer else { return Poll::Pending };
        piece.clear();
        match from.poll_event(cx, piece) {
            Poll::Ready(Event::Body { last }) => {
                self.app_ended = last;
                self.push_from_app(piece);
                *piece = Vec::new();
                if let Farewell::Waiting(frame) = &mut self.farewell
                    && self.boundary.is_reached()
                {
                    self.out.append(frame);
                    self.farewell = Farewell::Queued;
                    answer.take();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(
                Event::Failed(_) | Event::Head { .. } | Event::Upgrade { .. } | Event::File { .. },
            ) => Poll::Ready(Err(())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn push_from_app(&mut self, octets: &[u8]) {
        let mut rest = octets;
        let is_leaving = matches!(self.farewell, Farewell::Waiting(_));
        if !self.own.is_empty() || is_leaving {
            let (first, after) = rest.split_at(self.boundary.advance(rest));
            self.out.extend_from_slice(first);
            self.app_in_out += first.len();
            if self.boundary.is_reached() {
                self.own_in_out += self.own.len();
                self.out.append(&mut self.own);
                if is_leaving {
                    // What follows is for nobody.
                    return;
                }
            }
            rest = after;
        }
        self.out.extend_from_slice(rest);
        self.app_in_out += rest.len();
        while !rest.is_empty() {
            rest = rest.get(self.boundary.advance(rest)..).unwrap_or_default();
        }
    }

    /// Queues a frame of our own.
    fn push_own(&mut self, frames: &[u8]) {
        if self.boundary.is_reached() && self.own.is_empty() {
            self.out.extend_from_slice(frames);
            self.own_in_out += frames.len();
        } else {
            self.own.extend_from_slice(frames);
        }
    }

    /// Queues an empty ping, unless there is enough of the kind already.
    fn ping(&mut self) {
        if self.own.len() + self.own_in_out <= OWN_UNSENT_MAX {
            let mut frame = Vec::new();
            FrameHeader { fin: true, rsv: 0, opcode: OPCODE_PING, mask: None, payload_len: 0 }
                .write(&mut frame);
            self.push_own(&frame);
        }
    }

    /// Reads what the application has room for. Ready when something was done.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        answer: &mut Option<Answer>,
    ) -> Poll<()> {
        let is_full = self.hand_over_unsent(cx, answer).is_pending();
        let window = match self.hearing {
            _ if is_full => 0,
            Hearing::Frames => self.window(cx, answer),
            Hearing::Closed => SCRATCH_LEN,
            Hearing::ClosedAndDeaf | Hearing::Left | Hearing::Unwanted => 0,
        };
        if window == 0 {
            self.stop_awaiting(connection.event_loop.now_ms());
            return Poll::Pending;
        }
        let event_loop = std::rc::Rc::clone(&connection.event_loop);
        let mut scratch = event_loop.scratch();
        let room = scratch.len().min(window);
        let Some(room) = scratch.get_mut(..room) else { return Poll::Pending };
        let read = connection.stream.poll_read(cx, room);
        match read {
            Poll::Pending => {
                self.await_client(connection.event_loop.now_ms());
                return Poll::Pending;
            }
            Poll::Ready(Ok(0)) if self.hearing == Hearing::Closed => {
                // It may well have said that it will send nothing more, and still wait for an answer.
                self.hearing = Hearing::ClosedAndDeaf;
            }
            Poll::Ready(Ok(0) | Err(_)) => self.hearing = Hearing::Left,
            Poll::Ready(Ok(len)) => {
                let octets = scratch.get(..len).unwrap_or_default();
                if self.hearing == Hearing::Closed {
                    self.discarded = self.discarded.saturating_add(len);
                    if self.discarded > LINGER_LEN_MAX {
                        self.hearing = Hearing::ClosedAndDeaf;
                    }
                } else {
                    self.hear(octets, connection, answer);
                }
            }
        }
        drop(scratch);
        event_loop.keep_draining();
        Poll::Ready(())
    }

    /// How many octets of the client may be read.
    fn window(&self, cx: &mut Context<'_>, answer: &mut Option<Answer>) -> usize {
        if self.own.len() + self.own_in_out > OWN_UNSENT_MAX {
            return 0;
        }
        match answer.as_mut().map(|answer| answer.poll_window(cx)) {
            Some(Poll::Ready(window)) => window,
            Some(Poll::Pending) | None => 0,
        }
    }

    /// It is the client that is waited for, from now on unless it was before.
    fn await_client(&mut self, now_ms: u64) {
        self.awaits_client = true;
        self.stall = None;
        if self.read_by.is_none() {
            self.read_by = self.patience.read.map(|patience| after(now_ms, patience));
        }
    }

    /// It is not the client that is silent.
    fn stop_awaiting(&mut self, now_ms: u64) {
        if self.hearing == Hearing::Frames {
            self.awaits_client = false;
            self.read_by = None;
            self.stall.get_or_insert(Stall {
                since: now_ms,
                look_at: after(now_ms, LOOK_EVERY),
                ping_at: self.patience.keepalive.map(|interval| after(now_ms, interval)),
            });
        }
    }

    /// Whether a client that cannot be read from has left. What it sent before is kept for a while:
    /// the application may yet make room for it.
    fn has_left(&mut self, cx: &mut Context<'_>, connection: &Connection) -> bool {
        let now_ms = connection.event_loop.now_ms();
        let Some(stall) = &mut self.stall else { return false };
        if now_ms < stall.look_at {
            return false;
        }
        stall.look_at = after(now_ms, LOOK_EVERY);
        let since = stall.since;
        if stall.ping_at.is_some_and(|at| at <= now_ms) {
            stall.ping_at = self.patience.keepalive.map(|interval| after(now_ms, interval));
            self.ping();
            cx.waker().wake_by_ref();
        }
        match connection.stream.hang_up(cx) {
            HangUp::No => false,
            HangUp::Half => now_ms >= after(since, self.patience.read.unwrap_or(UNREAD)),
            HangUp::Whole => true,
        }
    }

    /// Takes octets of the client.
    fn hear(&mut self, octets: &[u8], connection: &Connection, answer: &mut Option<Answer>) {
        let now_ms = connection.event_loop.now_ms();
        self.read_by = None;
        self.stall = None;
        self.ping_at = self.patience.keepalive.map(|interval| after(now_ms, interval));
        let mut pongs = Vec::new();
        let checked = {
            let mut passed = connection.event_loop.passed();
            passed.clear();
            let checked = self.checker.check(octets, &mut passed, &mut pongs);
            if self.unsent.is_empty()
                && let Some(answer) = answer
            {
                let handed = answer.hand_over(&passed);
                self.unsent.extend_from_slice(passed.get(handed..).unwrap_or_default());
            } else {
                self.unsent.extend_from_slice(&passed);
            }
            checked
        };
        if !pongs.is_empty() {
            self.push_own(&pongs);
        }
        match checked {
            Checked::Open => {}
            Checked::Closed => self.hearing = Hearing::Closed,
            Checked::Refused(error) => {
                let reason = error.mistake.to_string();
                self.fail((error.code, &reason), connection, answer);
            }
        }
    }

    /// Hands over what found no room before. Pending while there is not enough of it.
    fn hand_over_unsent(&mut self, cx: &mut Context<'_>, answer: &mut Option<Answer>) -> Poll<()> {
        while !self.unsent.is_empty() {
            let Some(answer) = answer else { break };
            let handed = answer.hand_over(&self.unsent);
            self.unsent.drain(..handed.min(self.unsent.len()));
            if !self.unsent.is_empty() && answer.poll_window(cx).is_pending() {
                return Poll::Pending;
            }
        }
        self.unsent = Vec::new();
        Poll::Ready(())
    }

    /// Ends the session with an error.
    fn fail(&mut self, error: (u16, &str), connection: &Connection, answer: &mut Option<Answer>) {
        unit_log::info!(conn = connection.number, "websocket error {}: {}", error.0, error.1);
        self.say_goodbye(error, connection, answer);
    }

    /// Ends the session: the client gets a close frame, the application is told.
    fn say_goodbye(
        &mut self,
        (code, reason): (u16, &str),
        connection: &Connection,
        answer: &mut Option<Answer>,
    ) {
        if !matches!(self.farewell, Farewell::None) {
            return;
        }
        self.hearing = Hearing::Unwanted;
        self.unsent = Vec::new();
        self.read_by = None;
        self.stall = None;
        self.ping_at = None;
        self.give_up_at = Some(after(connection.event_loop.now_ms(), FAREWELL));
        let mut frame = Vec::new();
        write_close_frame(code, reason.as_bytes(), &mut frame);
        self.farewell = if self.boundary.is_reached() {
            self.out.append(&mut self.own);
            self.out.append(&mut frame);
            answer.take();
            Farewell::Queued
        } else {
            Farewell::Waiting(frame)
        };
    }

    /// Looks at the deadlines, and has the task woken by the next one.
    fn wait(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        answer: &mut Option<Answer>,
    ) -> Poll<Next> {
        let now_ms = connection.event_loop.now_ms();
        if self.written < self.out.len() {
            let taking = &mut connection.taking;
            let verdict = match self.look_at {
                Some(at) if now_ms < at => Verdict::Until(at),
                Some(_) => taking.judge(now_ms, self.patience.send, connection.stream.unsent()),
                None => taking.wait(now_ms, self.patience.send),
            };
            match verdict {
                Verdict::Until(at) => self.look_at = Some(at),
                Verdict::TooSlow => return Poll::Ready(self.over(answer, Next::Close)),
            }
        } else if self.out.capacity() > KEPT_LEN_MAX {
            self.out = Vec::new();
        }
        if self.give_up_at.is_some_and(|at| at <= now_ms) {
            return Poll::Ready(self.over(answer, Next::Close));
        }
        match self.hearing {
            Hearing::Frames | Hearing::Unwanted => {}
            // From here on it is the application that is waited for, and not for ever.
            Hearing::Closed => self.await_client(now_ms),
            Hearing::ClosedAndDeaf | Hearing::Left => {
                let patience = self.patience.read.unwrap_or(UNREAD);
                self.read_by.get_or_insert_with(|| after(now_ms, patience));
            }
        }
        if self.hearing != Hearing::Frames {
            self.ping_at = None;
        }
        if self.read_by.is_some_and(|by| by <= now_ms) {
            if self.hearing == Hearing::Frames {
                self.fail(SILENT, connection, answer);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(self.over(answer, Next::Linger));
        }
        if self.has_left(cx, connection) {
            return Poll::Ready(self.over(answer, Next::Close));
        }
        if self.awaits_client && self.ping_at.is_some_and(|at| at <= now_ms) {
            self.ping_at = None;
            self.ping();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let ping_at = self.ping_at.filter(|_| self.awaits_client);
        let stall = self.stall.map(|stall| stall.look_at);
        let deadlines = [self.read_by, stall, ping_at, self.look_at, self.give_up_at];
        let next = deadlines.into_iter().flatten().min();
        match next {
            Some(by) => connection.timer.set(by),
            None => connection.timer.clear(),
        }
        connection.timer.watch(cx);
        Poll::Pending
    }
}

fn after(now_ms: u64, patience: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX))
}
