//! WebSocket sessions, a test in the place of the router.

use app_proto::{
    FrameHeader, OPCODE_CLOSE, OPCODE_TEXT, REQUEST_WEBSOCKET, RequestId, ResponseHead,
    ResponseKind, SESSION_WINDOW, SessionKind, ToWorker, mask_payload,
};

use crate::stage::{Ask, DEADLINE, Stage, Worker};
use crate::{stage, start};

fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = Some([5, 6, 7, 8]);
    let mut frame = Vec::new();
    FrameHeader { fin: true, rsv: 0, opcode, mask, payload_len: payload.len() as u64 }
        .write(&mut frame);
    let at = frame.len();
    frame.extend_from_slice(payload);
    mask_payload(&mut frame[at..], [5, 6, 7, 8]);
    frame
}

/// The octets of an unmasked frame.
fn reply(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    FrameHeader { fin: true, rsv: 0, opcode, mask: None, payload_len: payload.len() as u64 }
        .write(&mut frame);
    frame.extend_from_slice(payload);
    frame
}

fn open(worker: &mut Worker, channel: usize) -> RequestId {
    let id = worker.offer(channel, &Ask { flags: REQUEST_WEBSOCKET, ..Ask::get("/") });
    worker.ring();
    let (record, payload) = worker.next_record(channel, DEADLINE).unwrap();
    assert_eq!((record.id, record.kind, record.last), (id, ResponseKind::Upgrade, false));
    assert_eq!(ResponseHead::decode(&payload).unwrap().status, 101);
    worker.channels[channel].begin_session(id);
    id
}

fn say(worker: &mut Worker, channel: usize, id: RequestId, octets: &[u8]) {
    for piece in octets.chunks(1000) {
        assert!(worker.channels[channel].push_session(id, SessionKind::Data, piece).unwrap());
    }
    worker.ring();
}

/// Takes the octets for the client until there are so many, giving credit; the last word ends it.
fn hear(worker: &mut Worker, channel: usize, id: RequestId, len: usize) -> (Vec<u8>, bool) {
    let (mut octets, mut told) = (Vec::new(), 0);
    while octets.len() < len {
        let (record, payload) = worker.next_record(channel, DEADLINE).expect("octets in time");
        assert_eq!(record.id, id);
        match record.kind {
            ResponseKind::Body => octets.extend(payload),
            ResponseKind::Taken => {}
            other => panic!("{other:?} in a session"),
        }
        assert!((octets.len() - told) as u64 <= SESSION_WINDOW, "no more than its credit");
        if (octets.len() - told) as u64 >= SESSION_WINDOW / 2 {
            told = octets.len();
            let total = (told as u64).to_le_bytes();
            let channel = &mut worker.channels[channel];
            assert!(channel.push_session(id, SessionKind::PassedOn, &total).unwrap());
            worker.ring();
        }
        if record.last {
            return (octets, true);
        }
    }
    (octets, false)
}

#[track_caller]
fn expect_last(worker: &mut Worker, channel: usize, id: RequestId) {
    let (record, payload) = worker.next_record(channel, DEADLINE).expect("a last word in time");
    assert_eq!((record.id, record.kind, record.last), (id, ResponseKind::Body, true));
    assert!(payload.is_empty());
    worker.channels[channel].end_session(id);
}

#[test]
fn sessions_of_all_channels_are_served_beside_requests() {
    let mut stage: Stage = stage();
    let mut worker = stage.fork_worker(2);
    worker.attach();
    worker.wait_until_ready(&mut stage);
    let sessions: Vec<(usize, RequestId)> =
        (0..40).map(|number| (number % 2, open(&mut worker, number % 2))).collect();
    for round in 0..3 {
        for (number, (channel, id)) in sessions.iter().enumerate() {
            let text = format!("{number} in round {round}");
            say(&mut worker, *channel, *id, &frame(OPCODE_TEXT, text.as_bytes()));
            let expected = reply(OPCODE_TEXT, text.as_bytes());
            assert_eq!(hear(&mut worker, *channel, *id, expected.len()).0, expected);
        }
        assert_eq!(worker.ask(&Ask::post("/", b"a request")).text(), "a request");
    }
    for (at, (channel, id)) in sessions.into_iter().enumerate() {
        if at % 3 == 0 {
            // The client leaves.
            assert!(worker.channels[channel].push_session(id, SessionKind::End, &[]).unwrap());
            worker.ring();
        } else {
            say(&mut worker, channel, id, &frame(OPCODE_CLOSE, b"\x03\xe8"));
            let expected = reply(OPCODE_CLOSE, b"\x03\xe8");
            assert_eq!(hear(&mut worker, channel, id, expected.len()).0, expected);
        }
        expect_last(&mut worker, channel, id);
    }
}

#[test]
fn large_messages_go_by_credit_and_small_ones_wait_behind_them() {
    let (_stage, mut worker) = start();
    let id = open(&mut worker, 0);
    say(&mut worker, 0, id, &frame(OPCODE_TEXT, &[b'a'; 30_000]));
    let expected = reply(OPCODE_TEXT, &[b'a'; 30_000]);
    assert_eq!(hear(&mut worker, 0, id, expected.len()).0, expected);
    // It blocks for the large one, and takes what comes meanwhile afterwards.
    say(&mut worker, 0, id, &frame(OPCODE_TEXT, b"large"));
    say(&mut worker, 0, id, &frame(OPCODE_TEXT, b"small"));
    let other = open_behind(&mut worker);
    let expected = [
        reply(OPCODE_TEXT, &[b'l'; 300_000]),
        reply(OPCODE_TEXT, b"large"),
        reply(OPCODE_TEXT, b"small"),
    ]
    .concat();
    // The credit of the first answer was not all given back.
    let before = 30_004;
    let mut octets = Vec::new();
    let mut upgraded = false;
    while octets.len() < expected.len() || !upgraded {
        let (record, payload) = worker.next_record(0, DEADLINE).expect("octets in time");
        match record.kind {
            ResponseKind::Upgrade => {
                assert_eq!(record.id, other);
                worker.channels[0].begin_session(other);
                upgraded = true;
            }
            ResponseKind::Body if record.id == id => octets.extend(payload),
            ResponseKind::Taken => {}
            ResponseKind::Head | ResponseKind::Body | ResponseKind::File | ResponseKind::Failed => {
                panic!("{record:?}")
            }
        }
        let total = (before + octets.len() as u64).to_le_bytes();
        assert!(worker.channels[0].push_session(id, SessionKind::PassedOn, &total).unwrap());
        worker.ring();
        // It may say that all is sent, too.
        if octets.ends_with(&reply(OPCODE_TEXT, b"sent")) {
            octets.truncate(octets.len() - reply(OPCODE_TEXT, b"sent").len());
        }
    }
    assert!(octets == expected, "{} of {} octets", octets.len(), expected.len());
}

/// A handshake that is offered while the worker blocks.
fn open_behind(worker: &mut Worker) -> RequestId {
    let id = worker.offer(0, &Ask { flags: REQUEST_WEBSOCKET, ..Ask::get("/") });
    worker.ring();
    id
}

#[test]
fn a_worker_that_ends_says_goodbye_in_its_sessions() {
    let (mut stage, mut worker) = start();
    let ids = [open(&mut worker, 0), open(&mut worker, 0)];
    worker.tell(ToWorker::Quit { graceful: true }, &[]);
    let goodbye = reply(OPCODE_CLOSE, &1001u16.to_be_bytes());
    let mut ended = Vec::new();
    while ended.len() < ids.len() {
        let (record, payload) = worker.next_record(0, DEADLINE).expect("a word in time");
        match (record.kind, record.last) {
            (ResponseKind::Body, false) => assert_eq!(payload, goodbye),
            (ResponseKind::Body, true) => ended.push(record.id),
            _ => panic!("{record:?}"),
        }
    }
    ended.sort_by_key(|id| (id.slot, id.generation));
    let mut ids = ids;
    ids.sort_by_key(|id| (id.slot, id.generation));
    assert_eq!(ended, ids);
    assert_eq!(stage.wait_for_exit(&worker).worker, worker.id);
}

/// Words that cross the last one of the worker are passed over.
#[test]
fn late_words_about_a_session_that_is_over_do_no_harm() {
    let (_stage, mut worker) = start();
    let id = open(&mut worker, 0);
    say(&mut worker, 0, id, &frame(OPCODE_CLOSE, b""));
    assert_eq!(hear(&mut worker, 0, id, 4).0, reply(OPCODE_CLOSE, b"\x03\xe8"));
    expect_last(&mut worker, 0, id);
    // The router said this before it had heard that.
    say(&mut worker, 0, id, b"\x81\x80");
    assert!(worker.channels[0].push_session(id, SessionKind::End, &[]).unwrap());
    worker.ring();
    assert_eq!(worker.ask(&Ask::post("/", b"still here")).text(), "still here");
    let next = open(&mut worker, 0);
    say(&mut worker, 0, next, &frame(OPCODE_TEXT, b"and here"));
    let expected = reply(OPCODE_TEXT, b"and here");
    assert_eq!(hear(&mut worker, 0, next, expected.len()).0, expected);
}
