//! The channels of a worker, one for each event loop of the router, taken in turns.

use std::io;
use std::os::fd::OwnedFd;

use app_io::{ChannelError, Claimed, WorkerChannel, WorkerEvent};
use sys::poll::{PollFd, PollFlags};
use sys::termination::Termination;

use crate::response::Pause;
use crate::session::Table;
use crate::worker::{map, say_ready};

/// All channels of a worker.
#[derive(Debug)]
pub(crate) struct Channels {
    list: Vec<WorkerChannel>,
    /// The number of each; sessions know theirs by it, whichever others come and go.
    numbers: Vec<u32>,
    next_number: u32,
    /// The channel that is looked at first the next time.
    next: usize,
    events: Vec<WorkerEvent>,
}

impl Channels {
    pub(crate) fn open(first: [OwnedFd; 3]) -> Result<Self, ChannelError> {
        let (list, numbers) = (vec![map(first)?], vec![0]);
        Ok(Self { list, numbers, next_number: 1, next: 0, events: Vec::new() })
    }

    pub(crate) fn attach(&mut self, fds: [OwnedFd; 3]) -> Result<(), ChannelError> {
        self.list.push(map(fds)?);
        self.numbers.push(self.next_number);
        self.next_number += 1;
        Ok(())
    }

    /// Waits until there are `count` channels; true when the worker was asked to end instead.
    pub(crate) fn wait_for_all(
        &mut self,
        count: u32,
        termination: &Termination,
    ) -> Result<bool, ChannelError> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        loop {
            let mut kept = Vec::new();
            for event in std::mem::take(&mut self.events) {
                match event {
                    WorkerEvent::Attach(fds) => self.attach(fds)?,
                    WorkerEvent::Quit { .. } => return Ok(true),
                    WorkerEvent::Log(_) => kept.push(event),
                }
            }
            self.events = kept;
            if termination.is_requested() {
                return Ok(true);
            }
            if self.list.len() >= count {
                return Ok(false);
            }
            poll(&self.list[..1], termination)?;
            while self.list[0].receive(&mut self.events)? {}
        }
    }

    pub(crate) fn say_ready(&self) -> Result<(), ChannelError> {
        say_ready(&self.list[0])
    }

    /// Claims a request; the number is that of its channel.
    pub(crate) fn claim(
        &mut self,
        record: &mut Vec<u8>,
    ) -> Result<Option<(usize, Claimed)>, ChannelError> {
        let count = self.list.len();
        for step in 0..count {
            let at = (self.next + step) % count;
            if let Some(claimed) = self.list[at].claim(record, &mut self.events)? {
                self.next = (at + 1) % count;
                return Ok(Some((at, claimed)));
            }
        }
        Ok(None)
    }

    /// A channel, and the place for what its doorbell carries.
    pub(crate) fn borrow(&mut self, at: usize) -> (&mut WorkerChannel, &mut Vec<WorkerEvent>) {
        (&mut self.list[at], &mut self.events)
    }

    /// The number of the channel at this place.
    pub(crate) fn number(&self, at: usize) -> u32 {
        self.numbers[at]
    }

    /// The channel of this number, if the router has not ended it, and the place for what its
    /// doorbell carries.
    pub(crate) fn numbered(
        &mut self,
        number: u32,
    ) -> Option<(&mut WorkerChannel, &mut Vec<WorkerEvent>)> {
        let at = self.numbers.iter().position(|known| *known == number)?;
        Some((&mut self.list[at], &mut self.events))
    }

    /// All of them, with their numbers.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = (u32, &mut WorkerChannel)> {
        self.numbers.iter().copied().zip(&mut self.list)
    }

    fn has_work(&self, sessions: &Table) -> bool {
        let numbered = || self.numbers.iter().copied().zip(&self.list);
        let has_records =
            |channel: &WorkerChannel| channel.has_requests() || channel.has_session_records();
        self.list.iter().any(has_records) || sessions.has_work(numbered)
    }

    /// Says on every channel whether a session waits for room there.
    fn want_room(&self, sessions: &Table, wanted: bool) {
        for (number, channel) in self.numbers.iter().zip(&self.list) {
            if sessions.is_stuck(*number) {
                channel.want_room(wanted);
            }
        }
    }

    pub(crate) fn set_busy(&self, requests: u32) {
        for channel in &self.list {
            channel.set_busy(requests);
        }
    }

    /// Takes everything off the doorbells that is there now, and lets go of the channels that the
    /// router has ended.
    pub(crate) fn receive(&mut self) -> Result<(), ChannelError> {
        for channel in &mut self.list {
            while channel.receive(&mut self.events)? {}
        }
        if self.list.iter().any(WorkerChannel::is_detached) {
            let stays: Vec<bool> = self.list.iter().map(|channel| !channel.is_detached()).collect();
            let mut flags = stays.iter();
            self.numbers.retain(|_| flags.next().copied().unwrap_or(false));
            self.list.retain(|channel| !channel.is_detached());
            self.next = 0;
        }
        // Without any channel nobody could tell it to end.
        if self.list.is_empty() { Err(ChannelError::HungUp) } else { Ok(()) }
    }

    /// The next thing a doorbell asked for, oldest first.
    pub(crate) fn take_event(&mut self) -> Option<WorkerEvent> {
        if self.events.is_empty() { None } else { Some(self.events.remove(0)) }
    }

    /// Sleeps until a doorbell rings or the process is asked to end, unless there is something to
    /// do already.
    pub(crate) fn sleep(
        &mut self,
        termination: &Termination,
        pause: Pause,
        sessions: &Table,
    ) -> Result<(), ChannelError> {
        self.want_room(sessions, true);
        for channel in &self.list {
            channel.fall_asleep();
        }
        // What was pushed before the announcement was seen rings no bell.
        let mut slept = Ok(());
        if !self.has_work(sessions) && !termination.is_requested() {
            pause(&mut || slept = poll(&self.list, termination));
        }
        for channel in &self.list {
            channel.wake_up();
        }
        self.want_room(sessions, false);
        slept?;
        self.receive()
    }
}

fn poll(channels: &[WorkerChannel], termination: &Termination) -> Result<(), ChannelError> {
    let doorbells: Vec<_> = channels.iter().map(WorkerChannel::doorbell).collect();
    let mut fds: Vec<PollFd<'_>> =
        doorbells.iter().map(|doorbell| PollFd::new(doorbell, PollFlags::IN)).collect();
    fds.push(PollFd::new(termination, PollFlags::IN));
    match sys::poll::poll(&mut fds, None) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error) => Err(error.into()),
    }
}
