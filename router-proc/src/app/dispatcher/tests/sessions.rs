//! Handshakes that become sessions, whatever their workers and clients do.

use app_proto::{BODY_RECORD_MAX, REQUEST_WEBSOCKET, SESSION_WINDOW, SessionKind};

use super::*;

/// A session as both sides of the test see it.
struct Live {
    id: RequestId,
    answer: Answer,
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Stage {
    fn submit_handshake(&mut self) -> Answer {
        self.next_client += 1;
        let record = record_with(self.next_client, REQUEST_WEBSOCKET);
        self.dispatcher.submit(record, None).unwrap()
    }

    fn claim_id(&mut self, worker: u32) -> RequestId {
        let player = self.players.get_mut(&worker).unwrap();
        player.channel.claim(&mut Vec::new(), &mut Vec::new()).unwrap().unwrap().id
    }

    fn push(&mut self, worker: u32, id: RequestId, kind: ResponseKind, last: bool, bytes: &[u8]) {
        let player = self.players.get_mut(&worker).unwrap();
        let record = ResponseRecord { id, kind, last, len: 0, service_us: 1 };
        assert!(player.channel.push(record, &[bytes]).unwrap());
    }

    fn accept(&mut self, worker: u32, id: RequestId) {
        let mut payload = Vec::new();
        ResponseHead::encode(&mut payload, 101, std::iter::empty(), b"").unwrap();
        self.push(worker, id, ResponseKind::Upgrade, false, &payload);
    }

    /// A session of this worker.
    fn session(&mut self, worker: u32) -> Live {
        let mut answer = self.submit_handshake();
        let id = self.claim_id(worker);
        self.accept(worker, id);
        self.turn();
        let event = answer.poll_event(&mut cx(), &mut Vec::new());
        assert!(matches!(event, Poll::Ready(Event::Upgrade { .. })), "{event:?}");
        Live { id, answer }
    }

    /// What the worker is told of its sessions, everything at once.
    fn told(&mut self, worker: u32) -> Vec<(RequestId, SessionKind, Vec<u8>)> {
        let channel = &mut self.players.get_mut(&worker).unwrap().channel;
        let mut told = Vec::new();
        let mut payload = Vec::new();
        while let Some(record) = channel.take_session_record(&mut payload).unwrap() {
            told.push((record.id, record.kind, payload.clone()));
        }
        channel.publish_session_tail().unwrap();
        told
    }

    fn is_lost(&self, worker: u32) -> bool {
        self.players[&worker].worker.is_lost()
    }

    fn sessions(&self, worker: u32) -> usize {
        self.players[&worker].worker.sessions()
    }
}

#[test]
fn n12_a_session_holds_neither_slot_nor_place_among_the_active_requests() {
    let mut stage = Stage::new(Some(TIMEOUT_MS));
    let worker = stage.ready_worker();
    let live: Vec<Live> = (0..3_000).map(|_| stage.session(worker)).collect();
    assert_eq!(stage.sessions(worker), 3_000);
    assert_eq!(stage.players[&worker].worker.in_flight(), 0);
    assert_eq!(stage.active.load(Ordering::Relaxed), 0);
    assert!(!stage.players[&worker].gauge.is_idle(), "it is not idle while it has sessions");
    // An ordinary request is served as ever, and no deadline ends a session.
    let number = stage.submit();
    assert_eq!(stage.claim(worker), Some(number));
    stage.say(worker, 0, true);
    stage.turn();
    stage.look();
    assert_eq!(stage.answered, 1);
    stage.pass_time(100 * TIMEOUT_MS);
    stage.tick();
    assert_eq!(stage.sessions(worker), 3_000);
    for Live { id, answer } in live {
        drop(answer);
        assert_eq!(stage.told(worker), [(id, SessionKind::End, Vec::new())]);
        stage.push(worker, id, ResponseKind::Body, true, b"");
        stage.turn();
    }
    assert_eq!(stage.sessions(worker), 0);
    assert!(stage.players[&worker].gauge.is_idle() && !stage.is_lost(worker));
    stage.check();
}

#[test]
fn octets_go_both_ways_within_their_credit() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    let Live { id, mut answer } = stage.session(worker);
    // To the worker: the window, and not an octet more before it has taken some.
    let octets: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
    let (mut handed, mut arrived) = (0, Vec::new());
    let window = usize::try_from(SESSION_WINDOW).unwrap();
    while handed < window {
        let len = answer.hand_over(&octets[handed..]);
        assert!(len > 0, "the worker makes room, so there is some");
        handed += len;
        arrived.extend(stage.told(worker).into_iter().flat_map(|(_, _, octets)| octets));
    }
    assert_eq!((handed, answer.hand_over(&octets[handed..])), (window, 0));
    assert!(answer.poll_window(&mut cx()).is_pending());
    assert_eq!(arrived, octets[..window]);
    stage.push(worker, id, ResponseKind::Taken, false, &40_000u64.to_le_bytes());
    stage.turn();
    assert_eq!(answer.poll_window(&mut cx()), Poll::Ready(40_000));
    // To the client: the same.
    stage.push(worker, id, ResponseKind::Body, false, &octets[..BODY_RECORD_MAX]);
    stage.turn();
    let mut piece = Vec::new();
    assert!(matches!(
        answer.poll_event(&mut cx(), &mut piece),
        Poll::Ready(Event::Body { last: false })
    ));
    assert_eq!(piece, octets[..BODY_RECORD_MAX]);
    answer.passed_on(10);
    assert_eq!(stage.told(worker), [], "small news wait");
    answer.passed_on(piece.len() - 10);
    let total = (piece.len() as u64).to_le_bytes().to_vec();
    assert_eq!(stage.told(worker), [(id, SessionKind::PassedOn, total)]);
    stage.push(worker, id, ResponseKind::Body, true, b"bye");
    stage.turn();
    assert_eq!(stage.sessions(worker), 0);
    assert!(matches!(
        answer.poll_event(&mut cx(), &mut piece),
        Poll::Ready(Event::Body { last: true })
    ));
    // Who speaks last gets no end told.
    drop(answer);
    assert_eq!(stage.told(worker), []);
}

#[test]
fn who_waits_for_room_gets_it_and_the_end_is_not_forgotten() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    let mut live: Vec<Live> = (0..20).map(|_| stage.session(worker)).collect();
    let octets = vec![1; 1 << 20];
    // The ring is full long before all have used their credit.
    let mut handed = 0;
    for session in &mut live {
        handed += session.answer.hand_over(&octets);
        handed += session.answer.hand_over(&octets);
    }
    assert!(handed < app_proto::SESSION_RING_LEN);
    let last = live.pop().unwrap();
    assert!(last.answer.exchange.flow.credit() == SESSION_WINDOW, "it found no room at all");
    let mut waiting = live.pop().unwrap();
    assert!(waiting.answer.poll_window(&mut cx()).is_pending());
    drop(last.answer);
    assert!(!stage.players[&worker].worker.has_awaited_room());
    let told = stage.told(worker);
    assert!(told.iter().all(|(_, kind, _)| *kind == SessionKind::Data));
    assert!(stage.players[&worker].worker.has_awaited_room(), "a loop must not sleep now");
    stage.turn();
    assert!(!stage.players[&worker].worker.has_awaited_room());
    assert_eq!(stage.told(worker), [(last.id, SessionKind::End, Vec::new())]);
    assert!(matches!(waiting.answer.poll_window(&mut cx()), Poll::Ready(room) if room > 10_000));
}

#[test]
fn a_client_that_left_before_it_was_accepted_is_told_of_at_once() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    let answer = stage.submit_handshake();
    let id = stage.claim_id(worker);
    drop(answer);
    stage.accept(worker, id);
    stage.turn();
    assert_eq!(stage.sessions(worker), 1);
    assert_eq!(stage.told(worker), [(id, SessionKind::End, Vec::new())]);
    stage.push(worker, id, ResponseKind::Failed, true, b"");
    stage.turn();
    assert_eq!((stage.sessions(worker), stage.active.load(Ordering::Relaxed)), (0, 0));
    assert!(!stage.is_lost(worker));
    stage.check();
}

#[test]
fn a_worker_that_ends_ends_its_sessions() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    let Live { mut answer, .. } = stage.session(worker);
    let gauge = Arc::clone(&stage.players[&worker].gauge);
    stage.kill(worker);
    let event = answer.poll_event(&mut cx(), &mut Vec::new());
    assert!(matches!(event, Poll::Ready(Event::Failed(Failure::Application))));
    assert_eq!(answer.poll_window(&mut cx()), Poll::Ready(usize::MAX), "nobody is waited for");
    assert_eq!(answer.hand_over(b"octets"), 6, "and what is left vanishes");
    assert!(gauge.is_idle());
    stage.check();
}

/// Everything a worker may not do in a session costs it its channel, and nobody else anything.
#[test]
fn a_worker_that_breaks_the_rules_of_a_session_is_lost() {
    type Deed = fn(&mut Stage, u32, RequestId);
    let deeds: [(&str, Deed); 14] = [
        ("floods", |stage, worker, id| {
            for _ in 0..2 {
                stage.push(worker, id, ResponseKind::Body, false, &[0; BODY_RECORD_MAX]);
            }
        }),
        ("has taken what was never sent", |stage, worker, id| {
            stage.push(worker, id, ResponseKind::Taken, false, &1u64.to_le_bytes());
        }),
        ("has taken nothing", |stage, worker, id| {
            stage.push(worker, id, ResponseKind::Taken, false, &0u64.to_le_bytes());
        }),
        ("says half a total", |stage, worker, id| {
            stage.push(worker, id, ResponseKind::Taken, false, &[0; 4]);
        }),
        ("ends with a total", |stage, worker, id| {
            stage.push(worker, id, ResponseKind::Taken, true, &[0; 8]);
        }),
        ("sends a head", |stage, worker, id| {
            stage.push(worker, id, ResponseKind::Head, false, &[0; 16]);
        }),
        ("accepts twice", |stage, worker, id| stage.accept(worker, id)),
        ("sends a file", |stage, worker, id| {
            stage.push(worker, id, ResponseKind::File, false, &[0; 16]);
        }),
        ("speaks of another", |stage, worker, id| {
            stage.push(worker, id.next(), ResponseKind::Body, false, b"");
        }),
        ("speaks after its last word", |stage, worker, id| {
            stage.push(worker, id, ResponseKind::Body, true, b"");
            stage.push(worker, id, ResponseKind::Body, true, b"");
        }),
        ("accepts what is no handshake", |stage, worker, _| {
            stage.submit();
            let id = stage.claim_id(worker);
            stage.accept(worker, id);
        }),
        ("accepts what it did not take", |stage, worker, _| {
            let player = stage.dispatcher.worker(WorkerKey { app: APP, worker }).unwrap();
            let answer = stage.submit_handshake();
            let Place::Offered(_, id) = answer.exchange.place.borrow().clone() else { panic!() };
            drop(player);
            stage.accept(worker, id);
            stage.turn();
            drop(answer);
        }),
        ("accepts and ends at once", |stage, worker, _| {
            let answer = stage.submit_handshake();
            let id = stage.claim_id(worker);
            stage.push(worker, id, ResponseKind::Upgrade, true, &[0; 16]);
            stage.turn();
            drop(answer);
        }),
        ("takes of what is no session", |stage, worker, _| {
            let answer = stage.submit_handshake();
            let id = stage.claim_id(worker);
            stage.push(worker, id, ResponseKind::Taken, false, &1u64.to_le_bytes());
            stage.turn();
            drop(answer);
        }),
    ];
    for (name, deed) in deeds {
        let mut stage = Stage::new(None);
        let worker = stage.ready_worker();
        let Live { id, mut answer } = stage.session(worker);
        deed(&mut stage, worker, id);
        stage.turn();
        assert!(stage.is_lost(worker), "{name}");
        let broke =
            |notice: &Notice| matches!(notice, Notice::WorkerLost { broke_rules: true, .. });
        assert!(stage.has_notice(broke), "{name}");
        let mut events = 0;
        while !matches!(
            answer.poll_event(&mut cx(), &mut Vec::new()),
            Poll::Ready(Event::Failed(_) | Event::Body { last: true })
        ) {
            events += 1;
            assert!(events < 3, "{name}");
        }
        assert!(stage.players[&worker].gauge.is_idle(), "{name}");
        assert_eq!(stage.active.load(Ordering::Relaxed), 0, "{name}");
    }
}

#[test]
fn a_flood_for_a_client_that_left_is_bounded_as_well() {
    let mut stage = Stage::new(None);
    let worker = stage.ready_worker();
    let Live { id, answer } = stage.session(worker);
    drop(answer);
    stage.push(worker, id, ResponseKind::Body, false, &[0; BODY_RECORD_MAX]);
    stage.turn();
    assert!(!stage.is_lost(worker), "it may not have heard of the end");
    stage.push(worker, id, ResponseKind::Body, false, b"x");
    stage.turn();
    assert!(stage.is_lost(worker));
}

/// What the worker of a random play knows of a handshake or session.
struct Held {
    worker: u32,
    id: RequestId,
    is_session: bool,
    /// Octets received of the client, and how many it said it has taken.
    received: u64,
    taken: u64,
    /// Octets sent to the client, and how many the router said went on.
    sent: u64,
    passed_on: u64,
    is_ended: bool,
}

/// What the client of a random play has.
struct Caller {
    answer: Answer,
    is_session: bool,
    unread: usize,
}

/// N7, N12: whatever workers and clients do with their sessions and in whatever order, each ends once
/// and nothing is left behind.
#[test]
fn n7_every_session_ends_whatever_workers_and_clients_do() {
    for seed in 1..=40u64 {
        let result = std::panic::catch_unwind(|| play_sessions(seed, 800));
        if let Err(panic) = result {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn play_sessions(seed: u64, steps: usize) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut stage = Stage::new(None);
    let mut workers = vec![stage.ready_worker(), stage.ready_worker()];
    let mut gauges: Vec<Arc<WorkerGauge>> =
        workers.iter().map(|number| Arc::clone(&stage.players[number].gauge)).collect();
    let mut held: Vec<Held> = Vec::new();
    let mut clients: Vec<Caller> = Vec::new();
    let octets = vec![0xa5; 40_000];
    for step in 0..steps {
        let which = |dice: &mut Dice, len: usize| {
            (len > 0).then(|| usize::try_from(dice.roll(len as u64)).unwrap())
        };
        match dice.roll(14) {
            0 | 1 => {
                let answer = stage.submit_handshake();
                clients.push(Caller { answer, is_session: false, unread: 0 });
            }
            2 | 3 => {
                let worker = dice.pick(&workers).unwrap();
                let player = stage.players.get_mut(&worker).unwrap();
                let claimed = player.channel.claim(&mut Vec::new(), &mut Vec::new()).unwrap();
                if let Some(claimed) = claimed {
                    let id = claimed.id;
                    let (received, taken, sent, passed_on) = (0, 0, 0, 0);
                    let (is_session, is_ended) = (false, false);
                    held.push(Held {
                        worker,
                        id,
                        is_session,
                        received,
                        taken,
                        sent,
                        passed_on,
                        is_ended,
                    });
                }
            }
            4 | 5 => {
                if let Some(at) = which(&mut dice, held.len())
                    && !held[at].is_session
                {
                    if dice.roll(5) == 0 {
                        let mut payload = Vec::new();
                        ResponseHead::encode(&mut payload, 403, std::iter::empty(), b"").unwrap();
                        let Held { worker, id, .. } = held.swap_remove(at);
                        stage.push(worker, id, ResponseKind::Head, true, &payload);
                    } else {
                        held[at].is_session = true;
                        stage.accept(held[at].worker, held[at].id);
                    }
                }
            }
            6 => {
                if let Some(at) = which(&mut dice, held.len())
                    && held[at].is_session
                {
                    let session = &mut held[at];
                    let credit = SESSION_WINDOW - (session.sent - session.passed_on);
                    let len = dice.roll(octets.len() as u64).min(credit);
                    session.sent += len;
                    let (worker, id) = (session.worker, session.id);
                    let piece = &octets[..usize::try_from(len).unwrap()];
                    stage.push(worker, id, ResponseKind::Body, false, piece);
                    stage.event_loop.drain();
                }
            }
            7 => {
                if let Some(at) = which(&mut dice, held.len())
                    && held[at].received > held[at].taken
                {
                    let session = &mut held[at];
                    session.taken = session.received;
                    let (worker, id, total) = (session.worker, session.id, session.taken);
                    stage.push(worker, id, ResponseKind::Taken, false, &total.to_le_bytes());
                }
            }
            8 => {
                if let Some(at) = which(&mut dice, held.len())
                    && held[at].is_session
                    && (held[at].is_ended || dice.roll(4) == 0)
                {
                    let kind =
                        if dice.roll(3) == 0 { ResponseKind::Failed } else { ResponseKind::Body };
                    let Held { worker, id, .. } = held.swap_remove(at);
                    stage.push(worker, id, kind, true, b"");
                }
            }
            9 => {
                let worker = dice.pick(&workers).unwrap();
                for (id, kind, payload) in stage.told(worker) {
                    let known = held
                        .iter_mut()
                        .find(|session| session.worker == worker && session.id == id);
                    let Some(session) = known else { continue };
                    assert!(!session.is_ended, "nothing follows an end");
                    match kind {
                        SessionKind::Data => {
                            session.received += payload.len() as u64;
                            assert!(session.received - session.taken <= SESSION_WINDOW);
                        }
                        SessionKind::PassedOn => {
                            let total = u64::from_le_bytes(payload.try_into().unwrap());
                            assert!(total > session.passed_on && total <= session.sent);
                            session.passed_on = total;
                        }
                        SessionKind::End => session.is_ended = true,
                    }
                }
            }
            10 => {
                if let Some(at) = which(&mut dice, clients.len())
                    && clients[at].is_session
                {
                    let len = usize::try_from(dice.roll(octets.len() as u64)).unwrap();
                    if let Poll::Ready(window) = clients[at].answer.poll_window(&mut cx()) {
                        let len = len.min(window);
                        assert_eq!(clients[at].answer.hand_over(&octets[..len]), len);
                    }
                }
            }
            11 => {
                if let Some(at) = which(&mut dice, clients.len()) {
                    let unread = std::mem::take(&mut clients[at].unread);
                    clients[at].answer.passed_on(unread);
                    if dice.roll(3) == 0 {
                        clients.swap_remove(at);
                    }
                }
            }
            12 if step % 5 == 0 => {
                let at = usize::try_from(dice.roll(2)).unwrap();
                let gone = std::mem::replace(&mut workers[at], 0);
                stage.kill(gone);
                held.retain(|session| session.worker != gone);
                workers[at] = stage.ready_worker();
                gauges.push(Arc::clone(&stage.players[&workers[at]].gauge));
            }
            _ => {}
        }
        stage.event_loop.drain();
        clients.retain_mut(look_at);
        assert!(workers.iter().all(|worker| !stage.is_lost(*worker)), "an honest worker");
        stage.check();
    }
    // Everybody leaves, and the workers end what there is.
    clients.clear();
    for Held { worker, id, is_session, .. } in held {
        if is_session {
            stage.push(worker, id, ResponseKind::Body, true, b"");
        } else {
            stage.push(worker, id, ResponseKind::Failed, true, b"");
        }
        stage.event_loop.drain();
    }
    for worker in &workers {
        assert_eq!(stage.sessions(*worker), 0);
        assert_eq!(stage.players[worker].worker.channel.borrow().sessions(), 0);
    }
    assert!(gauges.iter().all(|gauge| gauge.is_idle()));
    assert_eq!(stage.active.load(Ordering::Relaxed), 0);
}

/// Has a client take what has come; `false` when that was the last of it.
fn look_at(client: &mut Caller) -> bool {
    loop {
        let mut piece = Vec::new();
        match client.answer.poll_event(&mut cx(), &mut piece) {
            Poll::Pending => return true,
            Poll::Ready(Event::Upgrade { .. }) => client.is_session = true,
            Poll::Ready(Event::Body { last: false }) => client.unread += piece.len(),
            Poll::Ready(_) => return false,
        }
    }
}
