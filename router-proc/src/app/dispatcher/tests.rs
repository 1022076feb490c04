//! One dispatcher over real channels, its workers played by the tests.

mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::task::{Context, Poll, Waker};

use app_io::{LoopPage, RouterChannel, WorkerChannel};
use app_proto::{
    Request, RequestId, RequestParts, ResponseHead, ResponseKind, ResponseRecord, ToRouter,
    encode_request,
};
use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::*;
use crate::app::{Event, FilePart};
use crate::control::WorkerGauge;
use crate::event_loop::{Counters, Notice};

const APP: u32 = 7;
const TIMEOUT_MS: u64 = 5_000;

/// A worker as the test plays it.
struct Player {
    worker: Rc<Worker>,
    gauge: Arc<WorkerGauge>,
    channel: WorkerChannel,
    /// What it has begun, and how much of the answer it has sent.
    claimed: Vec<Claim>,
    is_ready: bool,
    is_retired: bool,
}

struct Claim {
    id: RequestId,
    number: u64,
    has_head: bool,
}

/// A client as the test plays it.
struct Client {
    number: u64,
    answer: Answer,
    head: Option<Vec<u8>>,
    body: Vec<u8>,
}

struct Stage {
    event_loop: Rc<EventLoop>,
    dispatcher: Rc<Dispatcher>,
    notices: mpsc::UnboundedReceiver<Notice>,
    active: Arc<AtomicU64>,
    page: std::os::fd::OwnedFd,
    players: BTreeMap<u32, Player>,
    clients: BTreeMap<u64, Client>,
    next_worker: u32,
    next_client: u64,
    now_ms: u64,
    /// Answers that were complete, and failures, of clients that stayed.
    answered: u64,
    failed: u64,
}

impl Stage {
    fn new(timeout_ms: Option<u64>) -> Self {
        let page = LoopPage::new().unwrap();
        let page_fd = page.fd().try_clone_to_owned().unwrap();
        let (sender, notices) = mpsc::unbounded_channel();
        let peers = Arc::new(ArcSwap::from_pointee(Vec::new()));
        let event_loop = EventLoop::new(0, page, Arc::new(Counters::default()), peers, sender);
        let active = Arc::new(AtomicU64::new(0));
        let spec = AppSpec { app: APP, timeout_ms, can_grow: false, active: Arc::clone(&active) };
        event_loop.add_apps(vec![spec]);
        event_loop.clock.set_ms(1_000);
        Self {
            dispatcher: event_loop.dispatcher(APP).unwrap(),
            event_loop,
            notices,
            active,
            page: page_fd,
            players: BTreeMap::new(),
            clients: BTreeMap::new(),
            next_worker: 0,
            next_client: 0,
            now_ms: 1_000,
            answered: 0,
            failed: 0,
        }
    }

    fn add_worker(&mut self) -> u32 {
        self.next_worker += 1;
        let number = self.next_worker;
        let (channel, half) = RouterChannel::new().unwrap();
        let gauge = Arc::new(WorkerGauge::default());
        let key = WorkerKey { app: APP, worker: number };
        let worker = Worker::new(key, channel, Arc::clone(&gauge));
        self.dispatcher.add_worker(Rc::clone(&worker));
        let page = self.page.try_clone().unwrap();
        let channel = WorkerChannel::map(&half.memory, half.doorbell, &page).unwrap();
        let player = Player {
            worker,
            gauge,
            channel,
            claimed: Vec::new(),
            is_ready: false,
            is_retired: false,
        };
        self.players.insert(number, player);
        number
    }

    fn make_ready(&mut self, number: u32) {
        self.players.get_mut(&number).unwrap().is_ready = true;
        self.dispatcher.set_ready(WorkerKey { app: APP, worker: number });
    }

    fn ready_worker(&mut self) -> u32 {
        let number = self.add_worker();
        self.make_ready(number);
        number
    }

    /// Submits a request; its number travels as its path.
    fn submit(&mut self) -> u64 {
        self.next_client += 1;
        let number = self.next_client;
        let answer = self.dispatcher.submit(record(number), None).unwrap();
        let client = Client { number, answer, head: None, body: Vec::new() };
        self.clients.insert(number, client);
        number
    }

    /// Has a worker begin its next request; the request's number.
    fn claim(&mut self, number: u32) -> Option<u64> {
        let player = self.players.get_mut(&number).unwrap();
        let (mut bytes, mut events) = (Vec::new(), Vec::new());
        let claimed = player.channel.claim(&mut bytes, &mut events).unwrap()?;
        let request = Request::decode(&bytes).unwrap();
        let of: u64 = std::str::from_utf8(request.path).unwrap().parse().unwrap();
        player.claimed.push(Claim { id: claimed.id, number: of, has_head: false });
        Some(of)
    }

    /// Has a worker say something about the request it began as the `at`th of those it has.
    fn say(&mut self, number: u32, at: usize, last: bool) {
        let player = self.players.get_mut(&number).unwrap();
        let claim = &mut player.claimed[at];
        let text = claim.number.to_string().into_bytes();
        let kind = if claim.has_head { ResponseKind::Body } else { ResponseKind::Head };
        let mut payload = text.clone();
        if !claim.has_head {
            ResponseHead::encode(&mut payload, 200, std::iter::empty(), &text).unwrap();
        }
        claim.has_head = true;
        let record = ResponseRecord { id: claim.id, kind, last, len: 0, service_us: 40 };
        if player.channel.push(record, &[&payload]).unwrap() && last {
            player.claimed.remove(at);
        }
    }

    /// The event loop's turn: answers are taken in, clients look at theirs.
    fn turn(&mut self) {
        self.event_loop.drain();
        self.look();
    }

    fn look(&mut self) {
        let numbers: Vec<u64> = self.clients.keys().copied().collect();
        for number in numbers {
            let client = self.clients.get_mut(&number).unwrap();
            let outcome = client.poll();
            let Some(is_whole) = outcome else { continue };
            let client = self.clients.remove(&number).unwrap();
            if is_whole {
                assert!(client.is_own_answer(), "the answer to another request");
                self.answered += 1;
            } else {
                self.failed += 1;
            }
        }
    }

    /// Ends a worker's process: its memory stays, its doorbell hangs up.
    fn kill(&mut self, number: u32) {
        let player = self.players.remove(&number).unwrap();
        let worker = Rc::clone(&player.worker);
        drop(player.channel);
        assert!(self.dispatcher.receive(&worker).is_err(), "it hung up");
    }

    fn pass_time(&mut self, ms: u64) {
        self.now_ms += ms;
        self.event_loop.clock.set_ms(self.now_ms);
    }

    fn tick(&mut self) {
        self.dispatcher.expire(self.now_ms);
        self.dispatcher.rebalance();
    }

    fn has_notice(&mut self, which: impl Fn(&Notice) -> bool) -> bool {
        let mut found = false;
        while let Ok(notice) = self.notices.try_recv() {
            found |= which(&notice);
        }
        found
    }

    /// What must hold at any time.
    fn check(&self) {
        let queue = self.dispatcher.queue.borrow();
        assert!(queue.iter().is_sorted_by_key(|exchange| exchange.number), "queue out of order");
        let in_workers: usize = self.players.values().map(|player| player.worker.in_flight()).sum();
        assert_eq!(
            self.active.load(Ordering::Relaxed),
            (queue.len() + in_workers) as u64,
            "the active counter is what waits and runs"
        );
        for player in self.players.values() {
            assert_eq!(player.gauge.in_flight(), player.worker.in_flight() as u64);
            assert!(player.claimed.len() <= player.worker.in_flight());
        }
        assert!(queue.iter().all(|exchange| !exchange.is_abandoned()), "nobody waits for it");
        // With somebody idle nobody waits in the queue.
        let is_idle = |player: &&Player| {
            player.is_ready && !player.is_retired && player.worker.in_flight() == 0
        };
        if let Some(idle) = self.players.values().find(is_idle) {
            assert!(queue.is_empty(), "waiting while {:?} is idle", idle.worker.key());
        }
    }
}

impl Client {
    /// Takes what has come. `Some(true)`: all of it; `Some(false)`: it failed.
    fn poll(&mut self) -> Option<bool> {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let mut piece = Vec::new();
            let Poll::Ready(event) = self.answer.poll_event(&mut cx, &mut piece) else {
                return None;
            };
            match event {
                Event::Head { payload, last } => {
                    assert!(self.head.is_none(), "one head only");
                    let head = ResponseHead::decode(&payload).unwrap();
                    self.body.extend_from_slice(head.body);
                    self.answer.passed_on(head.body.len());
                    self.head = Some(payload);
                    if last {
                        return Some(true);
                    }
                }
                Event::Body { last } => {
                    assert!(self.head.is_some(), "a body after its head");
                    self.answer.passed_on(piece.len());
                    self.body.append(&mut piece);
                    if last {
                        return Some(true);
                    }
                }
                Event::File { .. } | Event::Upgrade { .. } => panic!("none was sent"),
                Event::Failed(_) => return Some(false),
            }
        }
    }

    /// Whether the answer is that of this request: its number, any number of times.
    fn is_own_answer(&self) -> bool {
        let text = self.number.to_string().into_bytes();
        self.body.chunks(text.len()).all(|chunk| chunk == text)
    }
}

fn record(number: u64) -> Vec<u8> {
    record_with(number, 0)
}

fn record_with(number: u64, flags: u32) -> Vec<u8> {
    let path = number.to_string().into_bytes();
    let parts = RequestParts {
        flags,
        target_index: 0,
        minor_version: 1,
        method: b"GET",
        target: b"/",
        path: &path,
        query: None,
        remote: b"127.0.0.1",
        local_addr: b"127.0.0.1",
        local_port: b"80",
        server_name: b"localhost",
        body: b"",
        body_len: 0,
    };
    let mut record = Vec::new();
    encode_request(&mut record, &parts, std::iter::empty()).unwrap();
    record
}

/// A small generator of numbers; what it yields is decided by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let len = of.len() as u64;
        (len > 0).then(|| of[usize::try_from(self.roll(len)).unwrap()])
    }
}

/// N11: whatever workers and clients do and in whatever order, every request is answered exactly
/// once or fails, and nothing is left behind.
#[test]
fn every_request_ends_whatever_workers_and_clients_do() {
    for seed in 1..=200u64 {
        let result = std::panic::catch_unwind(|| play(seed, 2_000));
        if let Err(panic) = result {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn play(seed: u64, steps: usize) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut stage = Stage::new(seed.is_multiple_of(2).then_some(TIMEOUT_MS));
    for _ in 0..=dice.roll(3) {
        stage.ready_worker();
    }
    // Some runs crowd the queue, others leave the workers idle.
    let crowd = 1 + dice.roll(60);
    let mut given_up = 0;
    for _ in 0..steps {
        let workers: Vec<u32> = stage.players.keys().copied().collect();
        let worker = dice.pick(&workers);
        match (dice.roll(100), worker) {
            (0..30, _) if (stage.clients.len() as u64) < crowd => {
                stage.submit();
            }
            (30..55, Some(worker)) if stage.players[&worker].is_ready => {
                stage.claim(worker);
            }
            (55..80, Some(worker)) => {
                let claims = stage.players[&worker].claimed.len() as u64;
                if claims > 0 {
                    let at = usize::try_from(dice.roll(claims)).unwrap();
                    let last = dice.roll(3) > 0;
                    stage.say(worker, at, last);
                }
            }
            (80..83, _) => {
                let clients: Vec<u64> = stage.clients.keys().copied().collect();
                if let Some(client) = dice.pick(&clients) {
                    stage.clients.remove(&client);
                    given_up += 1;
                }
            }
            (83, Some(worker)) => stage.kill(worker),
            (84, Some(worker)) if dice.roll(3) == 0 => {
                // It answers what it was never asked.
                let player = stage.players.get_mut(&worker).unwrap();
                let id = RequestId { slot: 1023, generation: 99 };
                let kind = ResponseKind::Body;
                let record = ResponseRecord { id, kind, last: true, len: 0, service_us: 0 };
                player.channel.push(record, &[b"?"]).unwrap();
                let lost = Rc::clone(&player.worker);
                stage.dispatcher.drain(&lost);
                assert!(lost.is_lost());
                stage.players.remove(&worker);
            }
            (85, Some(worker)) => {
                stage.players.get_mut(&worker).unwrap().is_retired = true;
                stage.dispatcher.retire(WorkerKey { app: APP, worker });
                assert_eq!(stage.players[&worker].worker.waiting(u64::MAX), 0);
            }
            (86..89, _) if stage.players.len() < 4 => {
                stage.add_worker();
            }
            (89..92, Some(worker)) => stage.make_ready(worker),
            (92..95, _) => {
                let ms = dice.roll(900);
                stage.pass_time(ms);
                stage.tick();
            }
            (95, _) if dice.roll(20) == 0 => stage.dispatcher.fail_queue(),
            _ => stage.turn(),
        }
        if dice.roll(4) == 0 {
            stage.turn();
        }
        stage.check();
    }
    finish(&mut stage);
    let begun = stage.next_client;
    assert_eq!(stage.answered + stage.failed + given_up, begun, "each ends exactly once");
    let (answered, failed) = (stage.answered, stage.failed);
    assert!(answered * 8 > begun, "{answered} answered, {failed} failed of {begun}");
}

/// Lets everybody finish in an orderly way and checks that nothing is left.
fn finish(stage: &mut Stage) {
    stage.ready_worker();
    let numbers: Vec<u32> = stage.players.keys().copied().collect();
    for number in &numbers {
        if !stage.players[number].is_ready {
            stage.make_ready(*number);
        }
    }
    let mut rounds = 0;
    while !stage.clients.is_empty() || stage.active.load(Ordering::Relaxed) > 0 {
        rounds += 1;
        assert!(rounds < 2_000, "{} clients are left", stage.clients.len());
        for number in &numbers {
            while stage.claim(*number).is_some() {}
            while !stage.players[number].claimed.is_empty() {
                stage.say(*number, 0, true);
                stage.turn();
            }
        }
        stage.turn();
        stage.pass_time(250);
        stage.tick();
        stage.check();
    }
    assert_eq!(stage.dispatcher.queue_len(), 0);
    assert!(stage.dispatcher.is_quiet());
    for player in stage.players.values() {
        assert_eq!(player.worker.in_flight(), 0);
        assert_eq!(player.gauge.in_flight(), 0);
    }
}

#[test]
fn the_oldest_waiter_is_served_first() {
    let mut stage = Stage::new(None);
    let numbers: Vec<u64> = (0..20).map(|_| stage.submit()).collect();
    let worker = stage.ready_worker();
    for number in numbers {
        assert_eq!(stage.claim(worker), Some(number));
        stage.say(worker, 0, true);
        stage.turn();
        stage.check();
    }
    assert_eq!(stage.answered, 20);
}

#[test]
fn what_waits_behind_a_busy_worker_goes_to_the_first_idle_one() {
    let mut stage = Stage::new(None);
    let slow = stage.ready_worker();
    let first = stage.submit();
    assert_eq!(stage.claim(slow), Some(first));
    let second = stage.submit();
    let third = stage.submit();
    let other = stage.ready_worker();
    // The queue had the third; the second is taken back from the busy worker.
    let mut served = BTreeSet::new();
    for _ in 0..2 {
        served.extend(stage.claim(other));
        stage.say(other, 0, true);
        stage.turn();
        stage.tick();
    }
    assert_eq!(served, BTreeSet::from([second, third]));
    assert_eq!(stage.claim(slow), None, "nothing is left to it");
    assert_eq!(stage.answered, 2);
}

/// A worker that is always given new work must not leave older requests to a stuck one.
#[test]
fn newcomers_do_not_overtake_what_waits_behind_a_stuck_worker() {
    let mut stage = Stage::new(None);
    let (stuck, busy) = (stage.ready_worker(), stage.ready_worker());
    let (first, second) = (stage.submit(), stage.submit());
    assert_eq!((stage.claim(stuck), stage.claim(busy)), (Some(first), Some(second)));
    let (third, fourth) = (stage.submit(), stage.submit());
    let mut order = Vec::new();
    for _ in 0..12 {
        stage.submit();
        stage.say(busy, 0, true);
        stage.turn();
        order.extend(stage.claim(busy));
        stage.pass_time(250);
        stage.tick();
    }
    let place = |of: u64| order.iter().position(|number| *number == of);
    assert!(place(third).is_some_and(|at| at < 4), "{order:?}");
    assert!(place(fourth).is_some_and(|at| at < 4), "{order:?}");
}

#[test]
fn an_answer_written_before_the_end_counts() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    stage.submit();
    stage.claim(worker).unwrap();
    stage.say(worker, 0, true);
    stage.kill(worker);
    stage.turn();
    assert_eq!((stage.answered, stage.failed), (1, 0));
    assert_eq!(stage.active.load(Ordering::Relaxed), 0);
}

#[test]
fn a_worker_that_ends_fails_what_it_began_and_leaves_the_rest() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    let (first, second) = (stage.submit(), stage.submit());
    assert_eq!(stage.claim(worker), Some(first));
    stage.kill(worker);
    stage.turn();
    assert_eq!(stage.failed, 1);
    let other = stage.ready_worker();
    assert_eq!(stage.claim(other), Some(second));
    stage.say(other, 0, true);
    stage.turn();
    assert_eq!(stage.answered, 1);
    stage.check();
}

/// It was let go because its doorbell could not be watched, but its process goes on.
#[test]
fn a_worker_that_lives_on_does_not_begin_what_another_was_given() {
    let mut stage = Stage::new(None);
    let (zombie, other) = (stage.ready_worker(), stage.ready_worker());
    let (first, second) = (stage.submit(), stage.submit());
    let mut player = stage.players.remove(&zombie).unwrap();
    let error = ChannelError::Io(std::io::Error::other("no descriptors"));
    stage.dispatcher.lose(&Rc::clone(&player.worker), &error);
    let (mut bytes, mut events) = (Vec::new(), Vec::new());
    assert!(player.channel.claim(&mut bytes, &mut events).unwrap().is_none());
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        seen.extend(stage.claim(other));
        stage.say(other, 0, true);
        stage.turn();
    }
    assert_eq!(seen, BTreeSet::from([first, second]));
}

#[test]
fn counters_survive_a_worker_that_answers_and_then_breaks_the_rules() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    stage.submit();
    stage.claim(worker).unwrap();
    stage.say(worker, 0, true);
    let player = stage.players.get_mut(&worker).unwrap();
    let id = RequestId { slot: 1023, generation: 99 };
    let kind = ResponseKind::Body;
    let record = ResponseRecord { id, kind, last: true, len: 0, service_us: 0 };
    player.channel.push(record, &[b"?"]).unwrap();
    stage.turn();
    assert_eq!((stage.answered, stage.failed), (1, 0));
    assert_eq!(stage.active.load(Ordering::Relaxed), 0);
    assert!(stage.has_notice(|it| matches!(it, Notice::WorkerLost { broke_rules: true, .. })));
}

#[test]
fn an_answer_to_a_request_that_was_not_taken_is_a_breach() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    stage.submit();
    let player = stage.players.get_mut(&worker).unwrap();
    let id = RequestId { slot: 0, generation: 0 };
    let mut payload = Vec::new();
    ResponseHead::encode(&mut payload, 200, std::iter::empty(), b"?").unwrap();
    let kind = ResponseKind::Head;
    let record = ResponseRecord { id, kind, last: false, len: 0, service_us: 0 };
    player.channel.push(record, &[&payload]).unwrap();
    stage.turn();
    assert!(stage.has_notice(|it| matches!(it, Notice::WorkerLost { broke_rules: true, .. })));
    assert_eq!(stage.dispatcher.queue_len(), 1, "another worker may serve it");
}

/// An application that does not look at cancellation is slow to notice, not hostile.
#[test]
fn a_client_that_leaves_costs_its_worker_nothing() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    let number = stage.submit();
    stage.claim(worker).unwrap();
    stage.say(worker, 0, false);
    stage.turn();
    stage.clients.remove(&number);
    let player = stage.players.get_mut(&worker).unwrap();
    let id = player.claimed[0].id;
    assert!(player.channel.is_cancelled(id));
    let piece = vec![0; 60_000];
    let mut sent = 1;
    for _ in 0..40 {
        assert!(player.channel.credit(id, sent) >= piece.len(), "credit for what nobody reads");
        let kind = ResponseKind::Body;
        let record = ResponseRecord { id, kind, last: false, len: 0, service_us: 0 };
        assert!(player.channel.push(record, &[&piece]).unwrap());
        sent += piece.len() as u64;
        stage.event_loop.drain();
    }
    assert!(!stage.players[&worker].worker.is_lost());
    stage.say(worker, 0, true);
    stage.turn();
    assert_eq!(stage.active.load(Ordering::Relaxed), 0);
}

#[test]
fn a_client_that_does_not_read_bounds_what_is_held_for_it() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    stage.submit();
    stage.claim(worker).unwrap();
    stage.say(worker, 0, false);
    let player = stage.players.get_mut(&worker).unwrap();
    let id = player.claimed[0].id;
    let mut sent = 1;
    loop {
        let credit = player.channel.credit(id, sent).min(app_proto::BODY_RECORD_MAX);
        if credit == 0 {
            break;
        }
        let kind = ResponseKind::Body;
        let record = ResponseRecord { id, kind, last: false, len: 0, service_us: 0 };
        assert!(player.channel.push(record, &[&vec![0; credit]]).unwrap());
        sent += credit as u64;
        stage.event_loop.drain();
    }
    assert_eq!(sent, app_proto::WINDOW);
    // One byte beyond the credit and half a ring of slack is a breach.
    for _ in 0..3 {
        let player = stage.players.get_mut(&worker).unwrap();
        let kind = ResponseKind::Body;
        let record = ResponseRecord { id, kind, last: false, len: 0, service_us: 0 };
        player.channel.push(record, &[&vec![0; 60_000]]).unwrap();
        stage.event_loop.drain();
    }
    assert!(stage.players[&worker].worker.is_lost());
}

/// http.md §10: the time of an application counts from when it takes the request.
#[test]
fn the_time_in_the_queue_is_not_the_applications() {
    let mut stage = Stage::new(Some(1_000));
    let worker = stage.ready_worker();
    stage.submit();
    stage.pass_time(900);
    stage.tick();
    stage.claim(worker).unwrap();
    stage.pass_time(900);
    stage.tick();
    stage.look();
    assert_eq!(stage.failed, 0, "900 ms in its ring, 900 ms at work");
    stage.pass_time(1_100);
    stage.tick();
    stage.look();
    assert_eq!(stage.failed, 1);
}

#[test]
fn every_word_of_an_application_gives_it_time() {
    let mut stage = Stage::new(Some(1_000));
    let worker = stage.ready_worker();
    stage.submit();
    stage.claim(worker).unwrap();
    for _ in 0..5 {
        stage.pass_time(900);
        stage.tick();
        stage.say(worker, 0, false);
        stage.turn();
    }
    assert_eq!(stage.failed, 0);
    stage.say(worker, 0, true);
    stage.turn();
    assert_eq!(stage.answered, 1);
}

#[test]
fn a_late_answer_is_dropped_and_its_slot_comes_back() {
    let mut stage = Stage::new(Some(1_000));
    let worker = stage.ready_worker();
    let number = stage.submit();
    stage.claim(worker).unwrap();
    stage.tick();
    stage.pass_time(1_100);
    stage.tick();
    // The answer comes before the client's task has run.
    stage.say(worker, 0, false);
    stage.say(worker, 0, true);
    stage.event_loop.drain();
    let client = stage.clients.get_mut(&number).unwrap();
    assert_eq!(client.poll(), Some(false));
    assert!(client.head.is_none() && client.body.is_empty());
    stage.clients.clear();
    assert_eq!(stage.active.load(Ordering::Relaxed), 0);
    assert_eq!(stage.players[&worker].worker.in_flight(), 0);
    stage.submit();
    assert!(stage.claim(worker).is_some());
}

#[test]
fn what_nobody_takes_in_time_fails() {
    for timeout in [None, Some(1_000)] {
        let mut stage = Stage::new(timeout);
        stage.submit();
        let worker = stage.ready_worker();
        stage.submit();
        stage.submit();
        stage.pass_time(timeout.unwrap_or(QUEUE_WAIT_MS) + 1);
        stage.tick();
        stage.look();
        assert_eq!(stage.failed, 3);
        assert_eq!(stage.claim(worker), None);
        assert_eq!(stage.active.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn without_a_limit_an_application_may_take_for_ever() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    stage.submit();
    stage.claim(worker).unwrap();
    for _ in 0..10 {
        stage.pass_time(QUEUE_WAIT_MS);
        stage.tick();
    }
    stage.say(worker, 0, true);
    stage.turn();
    assert_eq!(stage.answered, 1);
}

/// N24: its slot must not be lost for ever.
#[test]
fn a_worker_that_never_comes_back_is_reported() {
    let mut stage = Stage::new(Some(1_000));
    let worker = stage.ready_worker();
    stage.submit();
    stage.claim(worker).unwrap();
    stage.tick();
    stage.pass_time(1_001);
    stage.tick();
    stage.look();
    assert!(!stage.has_notice(|notice| matches!(notice, Notice::WorkerHung(_))));
    stage.pass_time(HUNG_MS);
    stage.tick();
    assert!(stage.has_notice(|notice| matches!(notice, Notice::WorkerHung(_))));
    stage.pass_time(HUNG_MS);
    stage.tick();
    assert!(!stage.has_notice(|notice| matches!(notice, Notice::WorkerHung(_))), "once");
}

#[test]
fn the_queue_has_an_end() {
    let stage = Stage::new(None);
    let mut answers = Vec::new();
    while let Ok(answer) = stage.dispatcher.submit(record(1), None) {
        answers.push(answer);
    }
    assert_eq!(answers.len(), QUEUE_LEN_MAX);
    assert_eq!(stage.active.load(Ordering::Relaxed), QUEUE_LEN_MAX as u64);
    drop(answers);
    assert_eq!(stage.active.load(Ordering::Relaxed), 0);
    assert_eq!(stage.dispatcher.queue_len(), 0);
}

#[test]
fn files_and_bytes_of_an_answer_keep_their_order() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    let number = stage.submit();
    stage.claim(worker).unwrap();
    stage.say(worker, 0, false);
    let file = sys::memfd::sealed("part", b"0123456789").unwrap();
    let player = stage.players.get_mut(&worker).unwrap();
    let id = player.claimed[0].id;
    let mut push = |kind, last, bytes: &[u8]| {
        let record = ResponseRecord { id, kind, last, len: 0, service_us: 0 };
        assert!(player.channel.push(record, &[bytes]).unwrap());
    };
    push(ResponseKind::Body, false, b"before");
    let stretch = |offset: u64, len: u64| [offset.to_le_bytes(), len.to_le_bytes()].concat();
    push(ResponseKind::File, false, &stretch(2, 3));
    push(ResponseKind::Body, false, b"between");
    push(ResponseKind::File, false, &stretch(5, 1));
    push(ResponseKind::Body, true, b"after");
    for _ in 0..2 {
        assert!(player.channel.send(ToRouter::File(id), &[file.as_fd()]).unwrap());
    }
    // A worker that ends right after its answer.
    let worker = stage.players.remove(&worker).unwrap().worker;
    stage.dispatcher.drain(&worker);
    let mut cx = Context::from_waker(Waker::noop());
    let answer = &mut stage.clients.get_mut(&number).unwrap().answer;
    let mut seen = Vec::new();
    loop {
        let mut piece = Vec::new();
        match answer.poll_event(&mut cx, &mut piece) {
            Poll::Ready(Event::Head { last, .. }) => assert!(!last),
            Poll::Ready(Event::Body { last }) => {
                seen.push(String::from_utf8(piece).unwrap());
                if last {
                    break;
                }
            }
            Poll::Ready(Event::File { part: FilePart { offset, len, .. }, last }) => {
                assert!(!last);
                seen.push(format!("{offset}+{len}"));
            }
            Poll::Ready(Event::Failed(_) | Event::Upgrade { .. }) | Poll::Pending => {
                panic!("cut after {seen:?}")
            }
        }
    }
    // The first say() sent the head with the number in it.
    assert_eq!(seen, ["before", "2+3", "between", "5+1", "after"]);
}

/// A file for which this process has no descriptor arrives cut off, as these do.
#[test]
fn a_file_that_could_not_be_taken_ends_its_answer_and_no_worker() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    stage.submit();
    stage.claim(worker).unwrap();
    stage.say(worker, 0, false);
    let file = sys::memfd::sealed("part", b"0123456789").unwrap();
    let player = stage.players.get_mut(&worker).unwrap();
    let id = player.claimed[0].id;
    let packet = ToRouter::File(id).encode();
    let parts = [std::io::IoSlice::new(&packet)];
    let fds = [file.as_fd(), file.as_fd(), file.as_fd()];
    let mode = sys::socket::SendMode::PROMPT;
    sys::socket::send_packet(player.channel.doorbell(), &parts, &fds, mode).unwrap();
    let stretch = [2_u64.to_le_bytes(), 3_u64.to_le_bytes()].concat();
    let record =
        ResponseRecord { id, kind: ResponseKind::File, last: false, len: 0, service_us: 0 };
    assert!(player.channel.push(record, &[&stretch]).unwrap());
    stage.turn();
    assert_eq!((stage.answered, stage.failed), (0, 1));
    assert!(stage.players[&worker].channel.is_cancelled(id), "it need not go on");
    // Its worker ends the answer and takes the next request.
    stage.say(worker, 0, true);
    stage.turn();
    stage.check();
    stage.submit();
    stage.claim(worker).unwrap();
    stage.say(worker, 0, true);
    stage.turn();
    assert_eq!((stage.answered, stage.failed), (1, 1));
    assert!(!stage.has_notice(|notice| matches!(notice, Notice::WorkerLost { .. })));
}

/// Goodbye is said to every worker, and takes nothing from the other loops.
#[test]
fn parting_from_workers_loses_none_of_them() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    stage.submit();
    stage.claim(worker).unwrap();
    stage.say(worker, 0, true);
    stage.turn();
    assert_eq!(stage.answered, 1);
    assert!(stage.dispatcher.part_from_workers());
    let player = stage.players.get_mut(&worker).unwrap();
    let mut events = Vec::new();
    while player.channel.receive(&mut events).unwrap() {}
    assert!(player.channel.is_detached() && events.is_empty());
    // It hangs up in turn, which is no loss.
    stage.kill(worker);
    assert!(!stage.has_notice(|notice| matches!(notice, Notice::WorkerLost { .. })));
}

/// N18: a worker that rings for ever does not keep the loop.
#[test]
fn a_doorbell_without_end_is_read_in_portions() {
    let mut stage = Stage::new(None);
    let number = stage.ready_worker();
    let player = &stage.players[&number];
    let mut sent = 0;
    while sent < 100 && player.channel.send(ToRouter::Wake, &[]).unwrap() {
        sent += 1;
    }
    assert!(sent > 64, "the socket takes as many");
    let received = stage.dispatcher.receive(&player.worker).unwrap();
    assert!(received.has_more);
    assert!(!stage.dispatcher.receive(&player.worker).unwrap().has_more);
}

#[test]
fn an_application_that_left_takes_its_hung_worker_along() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    let number = stage.submit();
    stage.claim(worker).unwrap();
    assert!(!stage.dispatcher.is_forsaken());
    stage.clients.remove(&number);
    assert!(stage.dispatcher.is_forsaken() && !stage.dispatcher.is_quiet());
    let worker = stage.players.remove(&worker).unwrap().worker;
    let Stage { event_loop, dispatcher, mut notices, active, .. } = stage;
    event_loop.drop_app(APP);
    assert!(notices.try_recv().is_err(), "a configuration holds it");
    drop(dispatcher);
    event_loop.look_for_left_apps();
    assert!(matches!(notices.try_recv(), Ok(Notice::AppGone { app: APP, index: 0 })));
    // No other loop has anything left of it either.
    event_loop.forget_app(APP);
    assert_eq!(active.load(Ordering::Relaxed), 0);
    assert_eq!(Rc::strong_count(&worker), 1, "nothing holds it in a circle");
}
