//! A prototype and its workers: threads that serve as their requests' paths ask.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use app_io::{ChannelError, WorkerChannel, WorkerEvent};
use app_proto::{
    BODY_RECORD_MAX, Request, RequestId, ResponseHead, ResponseKind, ResponseRecord, ToRouter,
};
use port_proto::{
    ExitStatus, Identity, PrototypeToRouter, Role, RouterToPrototype, StartWorker, WithFds,
    WorkerExited, WorkerId, WorkerStarted,
};
use sys::poll::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;

use crate::stage::identity;

/// What tests and workers tell each other.
#[derive(Default)]
pub(crate) struct Board {
    /// Workers started end before they are ready.
    pub(crate) die_at_start: AtomicBool,
    /// Workers started wait before they are ready.
    pub(crate) hold_at_start: AtomicBool,
    /// Requests for `/hold` are answered from now on.
    pub(crate) released: AtomicBool,
    /// Requests that were begun.
    pub(crate) begun: AtomicU32,
    /// Requests whose worker saw that nobody reads the answer.
    pub(crate) cancelled: AtomicU32,
    /// Body bytes of streams sent so far.
    pub(crate) streamed: AtomicU64,
    /// A stream may not go on before its reader has taken more.
    pub(crate) is_held_back: AtomicBool,
    /// Workers that were started.
    pub(crate) started: AtomicU32,
    /// Workers that are running.
    pub(crate) running: AtomicU32,
    /// Workers that were killed.
    pub(crate) killed: AtomicU32,
    /// The prototypes end when this is set.
    pub(crate) prototypes_die: AtomicBool,
}

impl Board {
    pub(crate) fn get(counter: &AtomicU32) -> u32 {
        counter.load(Ordering::SeqCst)
    }
}

/// What a worker is to do.
const GO_ON: u32 = 0;
const FINISH: u32 = 1;
const STOP: u32 = 2;

/// Plays one prototype until it is told to quit and its workers have ended.
pub(crate) async fn play(socket: OwnedFd, me: Identity, board: Arc<Board>) {
    let router = identity(Role::Router, 1);
    let connected =
        port_io::connect::<PrototypeToRouter, RouterToPrototype>(socket, me, router).await;
    let Ok((port, mut inbox)) = connected else { return };
    let mut stops: HashMap<u32, Arc<AtomicU32>> = HashMap::new();
    let (ends, mut ended) = mpsc::unbounded_channel();
    let mut is_quitting = false;
    while !(is_quitting && stops.is_empty()) {
        tokio::select! {
            message = inbox.recv() => match message {
                Some((stream, RouterToPrototype::StartWorker(WithFds { body, fds }))) => {
                    let pid = me.pid;
                    port.answer::<WithFds<StartWorker, 3>>(stream, Ok(WorkerStarted { pid })).unwrap();
                    let stop = Arc::new(AtomicU32::new(GO_ON));
                    stops.insert(body.worker.0, Arc::clone(&stop));
                    let (board, ends) = (Arc::clone(&board), ends.clone());
                    board.started.fetch_add(1, Ordering::SeqCst);
                    std::thread::spawn(move || {
                        board.running.fetch_add(1, Ordering::SeqCst);
                        let _ = Hand::work(fds, body.channels, &stop, &board);
                        board.running.fetch_sub(1, Ordering::SeqCst);
                        let _ = ends.send(body.worker.0);
                    });
                }
                Some((_, RouterToPrototype::SignalWorker(signal))) => {
                    board.killed.fetch_add(1, Ordering::SeqCst);
                    if let Some(stop) = stops.get(&signal.worker.0) {
                        stop.store(STOP, Ordering::SeqCst);
                    }
                }
                Some((_, RouterToPrototype::Quit(_))) | None => {
                    is_quitting = true;
                    stops.values().for_each(|stop| stop.store(FINISH, Ordering::SeqCst));
                }
            },
            Some(worker) = ended.recv() => {
                stops.remove(&worker);
                let (worker, status) = (WorkerId(worker), ExitStatus::Code(0));
                let exited = WorkerExited { worker, pid: me.pid, status };
                let _ = port.send(PrototypeToRouter::WorkerExited(exited));
            }
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                if board.prototypes_die.load(Ordering::SeqCst) {
                    is_quitting = true;
                    stops.values().for_each(|stop| stop.store(STOP, Ordering::SeqCst));
                }
            }
        }
    }
}

/// A worker at work.
struct Hand<'b> {
    channels: Vec<WorkerChannel>,
    events: Vec<WorkerEvent>,
    stop: &'b AtomicU32,
    board: &'b Board,
    is_finishing: bool,
}

/// A request it has begun.
struct Job {
    at: usize,
    id: RequestId,
    method: Vec<u8>,
    path: String,
    body: Vec<u8>,
    sent: u64,
}

/// The worker ends.
#[derive(Debug)]
struct End;

impl From<ChannelError> for End {
    fn from(_: ChannelError) -> Self {
        Self
    }
}

impl<'b> Hand<'b> {
    fn work(
        fds: [OwnedFd; 3],
        channels: u32,
        stop: &'b AtomicU32,
        board: &'b Board,
    ) -> Result<(), End> {
        let mut hand =
            Self { channels: Vec::new(), events: Vec::new(), stop, board, is_finishing: false };
        hand.attach(fds)?;
        while hand.channels.len() < channels as usize {
            hand.sleep()?;
        }
        let go_on = || stop.load(Ordering::SeqCst) == GO_ON;
        while go_on() && board.hold_at_start.load(Ordering::SeqCst) {
            hand.sleep()?;
        }
        if board.die_at_start.load(Ordering::SeqCst) {
            return Err(End);
        }
        hand.channels[0].send(ToRouter::Ready, &[])?;
        loop {
            match hand.next()? {
                Some(job) => hand.serve(job)?,
                None if hand.is_finishing || !go_on() => return Ok(()),
                None => hand.sleep()?,
            }
        }
    }

    fn attach(&mut self, [memory, doorbell, page]: [OwnedFd; 3]) -> Result<(), End> {
        self.channels.push(WorkerChannel::map(&memory, doorbell, &page)?);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Job>, End> {
        let mut record = Vec::new();
        for (at, channel) in self.channels.iter_mut().enumerate() {
            let Some(claimed) = channel.claim(&mut record, &mut self.events)? else { continue };
            let request = Request::decode(&record).map_err(|_| End)?;
            let mut body = request.body.to_vec();
            if let Some(file) = claimed.body {
                let mut file = std::fs::File::from(file);
                std::io::Seek::rewind(&mut file).map_err(|_| End)?;
                std::io::Read::read_to_end(&mut file, &mut body).map_err(|_| End)?;
            }
            assert_eq!(body.len() as u64, request.body_len);
            self.board.begun.fetch_add(1, Ordering::SeqCst);
            return Ok(Some(Job {
                at,
                id: claimed.id,
                method: request.method.to_vec(),
                path: String::from_utf8(request.path.to_vec()).unwrap(),
                body,
                sent: 0,
            }));
        }
        Ok(None)
    }

    /// Waits a little for something to happen.
    fn sleep(&mut self) -> Result<(), End> {
        if self.stop.load(Ordering::SeqCst) == STOP {
            return Err(End);
        }
        self.channels.iter().for_each(WorkerChannel::fall_asleep);
        if !self.channels.iter().any(WorkerChannel::has_work) {
            let mut fds: Vec<_> = self
                .channels
                .iter()
                .map(|channel| PollFd::from_borrowed_fd(channel.doorbell(), PollFlags::IN))
                .collect();
            poll(&mut fds, Some(Duration::from_millis(20))).map_err(|_| End)?;
        }
        self.channels.iter().for_each(WorkerChannel::wake_up);
        for channel in &mut self.channels {
            channel.take_notice();
            while channel.receive(&mut self.events)? {}
        }
        for event in std::mem::take(&mut self.events) {
            match event {
                WorkerEvent::Attach(fds) => self.attach(fds)?,
                WorkerEvent::Quit { graceful: true } => self.is_finishing = true,
                WorkerEvent::Quit { graceful: false } => return Err(End),
                WorkerEvent::Log(_) => {}
            }
        }
        Ok(())
    }

    fn serve(&mut self, mut job: Job) -> Result<(), End> {
        let path = job.path.clone();
        let (what, argument) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        match what {
            "echo" => {
                let body = std::mem::take(&mut job.body);
                self.head(&job, 200, &[], b"", false)?;
                self.stream(&mut job, &body)?;
                self.push(&job, ResponseKind::Body, true, &[])
            }
            "hold" => {
                while !self.board.released.load(Ordering::SeqCst) {
                    self.sleep_unless_cancelled(&job)?;
                }
                self.head(&job, 200, &[], b"held", true)
            }
            "stream" => {
                let len: usize = argument.parse().unwrap();
                self.head(&job, 200, &[], b"", false)?;
                let piece = vec![b's'; BODY_RECORD_MAX];
                let mut left = len;
                while left > 0 {
                    let now = left.min(piece.len());
                    self.stream(&mut job, &piece[..now])?;
                    left -= now;
                }
                self.push(&job, ResponseKind::Body, true, &[])
            }
            "die" => Err(End),
            "cut" => {
                self.head(&job, 200, &[], b"some", false)?;
                Err(End)
            }
            "fail" => self.push(&job, ResponseKind::Failed, true, &[]),
            "answer-and-die" => {
                self.head(&job, 200, &[], b"last words", true)?;
                Err(End)
            }
            "break" => {
                let id = RequestId { slot: 1000, generation: 3 };
                self.push(&Job { id, ..job }, ResponseKind::Body, true, &[b"?"])?;
                while self.stop.load(Ordering::SeqCst) != STOP {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(End)
            }
            "status" => {
                let status = argument.parse().unwrap();
                self.head(&job, status, &[], b"a body nonetheless", false)?;
                let more = vec![b'x'; 600_000];
                self.stream(&mut job, &more)?;
                self.push(&job, ResponseKind::Body, true, &[])
            }
            "short" => self.head(&job, 200, &[(b"Content-Length", b"10")], b"short", true),
            "long" => self.head(&job, 200, &[(b"Content-Length", b"4")], b"longer", true),
            _ => {
                let body: &[u8] = if job.method == b"HEAD" { b"" } else { b"hello" };
                self.head(&job, 200, &[(b"Content-Length", b"5")], body, true)
            }
        }
    }

    fn sleep_unless_cancelled(&mut self, job: &Job) -> Result<(), End> {
        self.sleep().inspect(|()| {
            if self.channels[job.at].is_cancelled(job.id) {
                self.board.cancelled.fetch_max(1, Ordering::SeqCst);
            }
        })
    }

    fn head(
        &mut self,
        job: &Job,
        status: u16,
        fields: &[(&[u8], &[u8])],
        body: &[u8],
        last: bool,
    ) -> Result<(), End> {
        let mut payload = Vec::new();
        ResponseHead::encode(&mut payload, status, fields.iter().copied(), body).unwrap();
        self.push(job, ResponseKind::Head, last, &[&payload])
    }

    /// Sends body bytes as far as there is credit, waiting for more.
    fn stream(&mut self, job: &mut Job, bytes: &[u8]) -> Result<(), End> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let credit = self.channels[job.at].credit(job.id, job.sent);
            if self.channels[job.at].is_cancelled(job.id) {
                self.board.cancelled.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            if credit == 0 {
                self.channels[job.at].want_credit(job.id, true);
                self.board.is_held_back.store(true, Ordering::SeqCst);
                self.sleep()?;
                self.channels[job.at].want_credit(job.id, false);
                continue;
            }
            self.board.is_held_back.store(false, Ordering::SeqCst);
            let (now, later) = rest.split_at(rest.len().min(credit).min(BODY_RECORD_MAX));
            self.push(job, ResponseKind::Body, false, &[now])?;
            job.sent += now.len() as u64;
            self.board.streamed.fetch_add(now.len() as u64, Ordering::SeqCst);
            rest = later;
        }
        Ok(())
    }

    fn push(
        &mut self,
        job: &Job,
        kind: ResponseKind,
        last: bool,
        parts: &[&[u8]],
    ) -> Result<(), End> {
        let record = ResponseRecord { id: job.id, kind, last, len: 0, service_us: 20 };
        while !self.channels[job.at].push(record, parts)? {
            self.channels[job.at].want_room(true);
            self.sleep()?;
            self.channels[job.at].want_room(false);
        }
        Ok(self.channels[job.at].ring()?)
    }
}
