//! The event loops as the control thread keeps them: as many as the configuration wants, those that
//! are not needed any more until they have ended, and what the ended ones had counted.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use super::application::App;
use super::{Control, LOOK_AT_ENDS, RouterError};
use crate::event_loop::{Command, Counters, LoopThread, Peer, spawn};

/// Every event loop there is.
#[derive(Debug, Default)]
pub(super) struct Loops {
    /// Those that serve, in the order of their numbers. The first has the number 0, accepts for all
    /// and is never surplus.
    running: Vec<Running>,
    /// Those that were struck off and have not ended yet.
    ending: Vec<LoopThread>,
    /// What those that have ended had counted.
    past: Count,
    next_index: usize,
    next_round: u32,
}

/// A loop that serves.
#[derive(Debug)]
struct Running {
    thread: LoopThread,
    /// It is not needed any more, and was told so in this round.
    retired_in: Option<u32>,
}

/// Sums of counters. A connection may be counted as accepted on one loop and as closed on another,
/// so only sums over all loops mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) accepted: u64,
    pub(super) idle: u64,
    pub(super) closed: u64,
    pub(super) requests: u64,
}

impl Count {
    fn add(&mut self, counters: &Counters) {
        self.accepted = self.accepted.wrapping_add(counters.accepted.get());
        self.idle = self.idle.wrapping_add(counters.idle.get());
        self.closed = self.closed.wrapping_add(counters.closed.get());
        self.requests = self.requests.wrapping_add(counters.requests.get());
    }

    /// Connections that are open, also those on their way from loop to loop.
    pub(super) fn open(&self) -> u64 {
        self.accepted.saturating_sub(self.closed)
    }
}

impl Loops {
    fn get(&self, index: usize) -> Option<&LoopThread> {
        let at = self.running.binary_search_by_key(&index, |running| running.thread.index).ok()?;
        self.running.get(at).map(|running| &running.thread)
    }

    /// The numbers of those that serve, lowest first.
    pub(super) fn indices(&self) -> Vec<usize> {
        self.running.iter().map(|running| running.thread.index).collect()
    }

    /// Everything counted so far, by loops that have ended too.
    pub(super) fn count(&self) -> Count {
        let threads =
            || self.running.iter().map(|running| &running.thread).chain(self.ending.iter());
        let sum = |past: u64, counter: fn(&Counters) -> u64| {
            threads().fold(past, |sum, thread| sum.wrapping_add(counter(&thread.counters)))
        };
        // The loops count on meanwhile. What is read later includes what was counted before it, so
        // no more are closed than were accepted; and the numbers always add up.
        let closed = sum(self.past.closed, |counters| counters.closed.get());
        let idle = sum(self.past.idle, |counters| counters.idle.get());
        let accepted = sum(self.past.accepted, |counters| counters.accepted.get());
        let requests = sum(self.past.requests, |counters| counters.requests.get());
        Count { accepted, idle, closed, requests }
    }

    /// Has the first `count` loops serve and the others retire; new connections go to the first ones
    /// only.
    fn settle(&mut self, count: usize, peers: &crate::event_loop::Peers) {
        let serving = self.running.iter().take(count).map(|running| Peer {
            index: running.thread.index,
            commands: running.thread.commands.clone(),
            counters: Arc::clone(&running.thread.counters),
        });
        // Before any is told to retire: it looks here for who takes its connections.
        peers.store(Arc::new(serving.collect()));
        self.resume(count);
        for running in self.running.iter_mut().skip(count) {
            if running.retired_in.is_none() {
                let round = self.next_round;
                self.next_round = round.wrapping_add(1);
                running.retired_in = Some(round);
                let _ = running.thread.commands.send(Command::Retire { round });
            }
        }
    }

    /// Has the first `count` loops go on serving, though they may be retiring. They get new connections
    /// only from [`Self::settle`] on.
    fn resume(&mut self, count: usize) {
        for running in self.running.iter_mut().take(count) {
            if running.retired_in.take().is_some() {
                // A loop that has ended with the router takes no commands, which does not matter.
                let _ = running.thread.commands.send(Command::Resume);
            }
        }
    }

    /// Strikes off a loop that is vacant; `false` when it is needed again or was struck off before.
    fn strike_off(&mut self, index: usize, round: u32) -> bool {
        let is_it =
            |running: &Running| running.thread.index == index && running.retired_in == Some(round);
        let Some(at) = self.running.iter().position(is_it) else { return false };
        let Running { thread, .. } = self.running.remove(at);
        // The last thing it hears.
        let _ = thread.commands.send(Command::Part);
        self.ending.push(thread);
        true
    }

    /// Lets go of those that have ended, and returns their numbers.
    fn reap(&mut self) -> Vec<usize> {
        let (ended, ending): (Vec<_>, Vec<_>) =
            self.ending.drain(..).partition(|thread| thread.thread.is_finished());
        self.ending = ending;
        for thread in &ended {
            self.past.add(&thread.counters);
        }
        ended.iter().map(|thread| thread.index).collect()
    }

    /// Tells all of them to end at once.
    pub(super) fn quit(&self) {
        for thread in self.running.iter().map(|running| &running.thread).chain(&self.ending) {
            let _ = thread.commands.send(Command::Quit);
        }
    }

    /// Whether all have ended.
    pub(super) fn have_ended(&self) -> bool {
        let running = self.running.iter().map(|running| &running.thread);
        running.chain(&self.ending).all(|thread| thread.thread.is_finished())
    }
}

impl Control {
    /// Starts loops until there are `count`, and keeps those that were about to end. Those beyond are
    /// kept until [`Self::settle_loops`].
    pub(super) fn ensure_loops(&self, count: usize) -> Result<(), RouterError> {
        // At once: one that has said it is vacant could be struck off before all is settled.
        self.loops.borrow_mut().resume(count);
        loop {
            let index = {
                let loops = self.loops.borrow();
                if loops.running.len() >= count {
                    return Ok(());
                }
                loops.next_index
            };
            let thread = spawn(index, Arc::clone(&self.peers), self.notices.clone())
                .map_err(|error| RouterError::Loop { index, error })?;
            // The loops that have something of a leaving application were counted already.
            let apps: Vec<Rc<App>> = self
                .apps
                .borrow()
                .values()
                .filter(|app| !app.is_leaving())
                .map(Rc::clone)
                .collect();
            for app in &apps {
                // It has just started; what it is sent arrives.
                let _ = thread.commands.send(Command::AddApps(vec![app.spec()]));
            }
            {
                let mut loops = self.loops.borrow_mut();
                loops.running.push(Running { thread, retired_in: None });
                loops.next_index = index + 1;
            }
            for app in apps {
                app.attach_loop(self, index);
            }
        }
    }

    /// Lets connections go to the first `count` loops, and the others end when they hold none.
    pub(super) fn settle_loops(&self, count: usize) {
        self.loops.borrow_mut().settle(count.max(1), &self.peers);
    }

    /// Tells a loop something.
    pub(super) fn tell(&self, index: usize, command: Command) {
        if let Some(thread) = self.loops.borrow().get(index)
            && thread.commands.send(command).is_err()
            && self.quit.get().is_none()
        {
            unit_log::alert!("event loop {index} has ended");
        }
    }

    /// Tells all loops something.
    pub(super) fn tell_all(&self, command: impl Fn() -> Command) {
        for index in self.loops.borrow().indices() {
            self.tell(index, command());
        }
    }

    /// A descriptor of the page in which loop `index` shows whether it sleeps.
    pub(super) fn page_fd(&self, index: usize) -> io::Result<OwnedFd> {
        match self.loops.borrow().get(index) {
            Some(thread) => thread.page.try_clone(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// A surplus loop holds nothing any more.
    pub(super) fn loop_vacant(self: &Rc<Self>, index: usize, round: u32) {
        if !self.loops.borrow_mut().strike_off(index, round) {
            return;
        }
        // It tells of no application any more.
        let apps: Vec<u32> = self.apps.borrow().keys().copied().collect();
        for app in apps {
            self.app_gone(app, index);
        }
        let control = Rc::clone(self);
        spawn_local(async move {
            loop {
                let ended = control.loops.borrow_mut().reap();
                for index in ended {
                    control.tell(0, Command::ForgetLoop(index));
                }
                if control.loops.borrow().ending.is_empty() {
                    break;
                }
                tokio::time::sleep(LOOK_AT_ENDS).await;
            }
        });
    }
}
