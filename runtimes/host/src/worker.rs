//! A worker: takes requests from its channels, one at a time, and has the language serve them; and
//! between two of them what there is of its sessions.

pub(crate) mod channels;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use app_io::{ChannelError, Claimed, WorkerChannel, WorkerEvent};
use app_proto::{Request, ToRouter};
use sys::termination::Termination;

use crate::body::FileBuffer;
use crate::response::{Desk, HeadBuffer};
use crate::session::Table;
use crate::worker::channels::Channels;
use crate::{Application, Language, LoadFailed, Next, RequestBody, Response, Sessions};

/// How often a busy worker looks at its doorbells. An idle one looks whenever they ring.
const DOORBELL_INTERVAL: Duration = Duration::from_millis(100);

/// What a worker is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Memory, doorbell and loop page of the first channel.
    pub(crate) first_channel: [OwnedFd; 3],
    /// How many channels there will be before the worker is ready.
    pub(crate) channels: u32,
    /// Whether the application has an error stream of its own, which a reopened log must not
    /// replace.
    pub(crate) own_stderr: bool,
    /// The request to end, by a signal.
    pub(crate) termination: Termination,
}

/// Why a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was asked to, or has served as many requests as it may.
    Asked,
    /// The application asked for it.
    Code(u8),
    /// The router is gone, or its word is not to be understood.
    Lost,
}

struct Worker<'l, L> {
    language: &'l mut L,
    channels: Channels,
    sessions: Table,
    termination: Termination,
    own_stderr: bool,
    requests_left: u64,
    /// When the last request was completed, or the worker woke up.
    clock: Instant,
    doorbells_looked_at: Instant,
    /// Set by a request to end after everything that was offered.
    draining: bool,
    record: Vec<u8>,
    head: HeadBuffer,
    file: FileBuffer,
}

/// Runs a worker until it ends. The language is running, the application is not loaded yet.
pub(crate) fn run<L: Language>(
    language: &mut L,
    application: &Application,
    parts: Parts,
) -> ExitCode {
    match serve(language, application, parts) {
        Ok(End::Asked) => {
            language.finish();
            ExitCode::SUCCESS
        }
        Ok(End::Code(code)) => {
            language.finish();
            ExitCode::from(code)
        }
        Ok(End::Lost) => {
            language.finish();
            ExitCode::FAILURE
        }
        Err(LoadFailed) => ExitCode::FAILURE,
    }
}

fn serve<L: Language>(
    language: &mut L,
    application: &Application,
    parts: Parts,
) -> Result<End, LoadFailed> {
    let Parts { first_channel, channels, own_stderr, termination } = parts;
    let mut list = match Channels::open(first_channel) {
        Ok(list) => list,
        Err(error) => return Ok(lost(&error)),
    };
    let asked = match list.wait_for_all(channels, &termination) {
        Ok(asked) => asked,
        Err(error) => return Ok(lost(&error)),
    };
    if asked {
        return Ok(End::Asked);
    }
    language.load()?;
    unit_log::info!("\"{}\" application started", application.name);
    if let Err(error) = list.say_ready() {
        return Ok(lost(&error));
    }
    let now = Instant::now();
    let mut worker = Worker {
        language,
        channels: list,
        sessions: Table::default(),
        termination,
        own_stderr,
        requests_left: application.limits.requests.unwrap_or(u64::MAX),
        clock: now,
        doorbells_looked_at: now,
        draining: false,
        record: Vec::new(),
        head: HeadBuffer::default(),
        file: FileBuffer::default(),
    };
    let end = worker.work().unwrap_or_else(|error| lost(&error));
    worker.sessions().close_all();
    Ok(end)
}

/// The end of a worker whose channel is of no further use. That the router hung up is no news: it
/// is stopping, or somebody else reports its death.
fn lost(error: &ChannelError) -> End {
    if matches!(error, ChannelError::HungUp) {
        return End::Asked;
    }
    unit_log::alert!("the channel to the router broke: {error}");
    End::Lost
}

impl<L: Language> Worker<'_, L> {
    fn work(&mut self) -> Result<End, ChannelError> {
        let mut busy = false;
        loop {
            if let Some(end) = self.look_at_events()? {
                return Ok(end);
            }
            let has_more = self.sessions.turn(&mut self.channels)?;
            while let Some((id, news)) = self.sessions.take_news() {
                let mut sessions = Sessions {
                    table: &mut self.sessions,
                    channels: &mut self.channels,
                    pause: L::pause,
                };
                if let Next::Exit(code) = self.language.session(id, news, &mut sessions) {
                    return Ok(End::Code(code));
                }
            }
            if let Some((at, claimed)) = self.channels.claim(&mut self.record)? {
                if !busy {
                    busy = true;
                    self.channels.set_busy(1);
                }
                if let Some(end) = self.serve(at, claimed)? {
                    return Ok(end);
                }
                continue;
            }
            if self.draining || self.termination.is_requested() {
                return Ok(End::Asked);
            }
            if busy {
                busy = false;
                self.channels.set_busy(0);
            }
            if has_more {
                continue;
            }
            self.channels.sleep(&self.termination, L::pause, &self.sessions)?;
            self.clock = Instant::now();
            self.doorbells_looked_at = self.clock;
        }
    }

    /// Serves the request whose record was claimed from channel `at`.
    fn serve(&mut self, at: usize, claimed: Claimed) -> Result<Option<End>, ChannelError> {
        let request = Request::decode(&self.record)?;
        let body = match claimed.body {
            None => RequestBody::of_record(request.body),
            Some(file) => RequestBody::of_file(File::from(file), request.body_len, &mut self.file),
        };
        let channel_number = self.channels.number(at);
        let (channel, events) = self.channels.borrow(at);
        let desk = Desk {
            channel,
            events,
            head: &mut self.head,
            clock: &mut self.clock,
            pause: L::pause,
            sessions: &mut self.sessions,
            channel_number,
        };
        let response = Response::new(desk, &request);
        let next = self.language.serve(&request, body, response);
        if let Next::Exit(code) = next {
            return Ok(Some(End::Code(code)));
        }
        self.requests_left -= 1;
        if self.requests_left == 0 {
            return Ok(Some(End::Asked));
        }
        if self.termination.is_requested() {
            return Ok(Some(End::Asked));
        }
        if self.clock.saturating_duration_since(self.doorbells_looked_at) > DOORBELL_INTERVAL {
            self.doorbells_looked_at = self.clock;
            self.channels.receive()?;
        }
        Ok(None)
    }

    fn sessions(&mut self) -> Sessions<'_> {
        let (table, channels) = (&mut self.sessions, &mut self.channels);
        Sessions { table, channels, pause: L::pause }
    }

    /// Does what the doorbells asked for.
    fn look_at_events(&mut self) -> Result<Option<End>, ChannelError> {
        while let Some(event) = self.channels.take_event() {
            match event {
                WorkerEvent::Log(file) => {
                    if !self.own_stderr
                        && let Err(error) = unit_log::redirect(file)
                    {
                        unit_log::alert!("the reopened log was not taken over: {error}");
                    }
                }
                WorkerEvent::Quit { graceful: false } => return Ok(Some(End::Asked)),
                WorkerEvent::Quit { graceful: true } => self.draining = true,
                WorkerEvent::Attach(fds) => self.channels.attach(fds)?,
            }
        }
        Ok(None)
    }
}

/// Makes a channel of its three descriptors.
fn map([memory, doorbell, loop_page]: [OwnedFd; 3]) -> Result<WorkerChannel, ChannelError> {
    WorkerChannel::map(&memory, doorbell, &loop_page)
}

/// Says over a channel that requests may come.
fn say_ready(channel: &WorkerChannel) -> Result<(), ChannelError> {
    // The first packet a worker ever sends finds room.
    if channel.send(ToRouter::Ready, &[])? { Ok(()) } else { Err(ChannelError::Doorbell) }
}
