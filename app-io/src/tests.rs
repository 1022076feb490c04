//! Both ends of one channel in one process.

use app_proto::{
    BODY_RECORD_MAX, Request, RequestId, RequestParts, ResponseHead, ResponseKind, ResponseRecord,
    SESSION_RECORD_MAX, SESSION_RING_LEN, SLOTS, SessionKind, ToRouter, ToWorker, WINDOW,
    encode_request,
};
use proptest::prelude::*;

use super::*;

struct Pair {
    router: RouterChannel,
    worker: WorkerChannel,
    page: LoopPage,
}

fn pair() -> Pair {
    let page = LoopPage::new().unwrap();
    let (router, half) = RouterChannel::new().unwrap();
    let page_fd = page.fd().try_clone_to_owned().unwrap();
    let worker = WorkerChannel::map(&half.memory, half.doorbell, &page_fd).unwrap();
    Pair { router, worker, page }
}

fn record(body: &[u8], padding: usize) -> Vec<u8> {
    let value = vec![b'v'; padding];
    let fields = [(&b"X-Padding"[..], &value[..])];
    let parts = RequestParts {
        flags: 0,
        target_index: 0,
        minor_version: 1,
        method: b"GET",
        target: b"/",
        path: b"/",
        query: None,
        remote: b"127.0.0.1",
        local_addr: b"127.0.0.1",
        local_port: b"80",
        server_name: b"localhost",
        body,
        body_len: body.len() as u64,
    };
    let mut record = Vec::new();
    encode_request(&mut record, &parts, fields.into_iter()).unwrap();
    record
}

fn claim(worker: &mut WorkerChannel) -> Option<(RequestId, Vec<u8>)> {
    let (mut buffer, mut events) = (Vec::new(), Vec::new());
    let claimed = worker.claim(&mut buffer, &mut events).unwrap()?;
    Some((claimed.id, buffer))
}

fn answer(worker: &mut WorkerChannel, id: RequestId, body: &[u8]) {
    let mut payload = Vec::new();
    ResponseHead::encode(&mut payload, 200, std::iter::empty(), body).unwrap();
    let record = ResponseRecord { id, kind: ResponseKind::Head, last: true, len: 0, service_us: 1 };
    assert!(worker.push(record, &[&payload]).unwrap());
}

fn take(router: &mut RouterChannel) -> Option<(ResponseRecord, Vec<u8>)> {
    let record = router.next_record().unwrap()?;
    let mut payload = Vec::new();
    router.read_payload(&record, &mut payload).unwrap();
    router.advance(&record);
    router.publish();
    Some((record, payload))
}

#[test]
fn a_request_goes_there_and_its_answer_back() {
    let mut pair = pair();
    let id = pair.router.offer(&mut record(b"body", 3), None).unwrap();
    let (claimed, bytes) = claim(&mut pair.worker).unwrap();
    assert_eq!(claimed, id);
    assert_eq!(Request::decode(&bytes).unwrap().body, b"body");
    answer(&mut pair.worker, id, b"hello");
    let (record, payload) = take(&mut pair.router).unwrap();
    assert_eq!(record.id, id);
    assert_eq!(ResponseHead::decode(&payload).unwrap().body, b"hello");
    pair.router.finish(id);
    assert_eq!(pair.router.in_flight(), 0);
}

#[test]
fn what_is_taken_back_is_not_run() {
    let mut pair = pair();
    let first = pair.router.offer(&mut record(b"1", 0), None).unwrap();
    let second = pair.router.offer(&mut record(b"2", 0), None).unwrap();
    assert!(pair.router.revoke(first));
    assert!(!pair.router.revoke(first), "only once");
    let again = pair.router.offer(&mut record(b"3", 0), None).unwrap();
    assert_ne!(again, first, "a used slot has another generation");
    assert_eq!(claim(&mut pair.worker).unwrap().0, second);
    assert_eq!(claim(&mut pair.worker).unwrap().0, again);
    assert!(claim(&mut pair.worker).is_none());
    assert!(!pair.router.revoke(second), "the worker was faster");
}

#[test]
fn a_large_record_travels_in_a_file() {
    let mut pair = pair();
    let mut large = record(b"x", 300_000);
    let id = pair.router.offer(&mut large, None).unwrap();
    let (claimed, bytes) = claim(&mut pair.worker).unwrap();
    assert_eq!(claimed, id);
    assert_eq!(bytes, large);
}

#[test]
fn a_body_file_comes_with_its_request_only() {
    let mut pair = pair();
    let body = sys::memfd::sealed("body", b"spooled").unwrap();
    let body = std::os::fd::AsFd::as_fd(&body);
    let with_file = |pair: &mut Pair| {
        let mut bytes = record(b"", 0);
        bytes[12] = u8::try_from(app_proto::REQUEST_BODY_FILE).unwrap();
        pair.router.offer(&mut bytes, Some(body)).unwrap()
    };
    let revoked = with_file(&mut pair);
    assert!(pair.router.revoke(revoked));
    let kept = with_file(&mut pair);
    let (mut buffer, mut events) = (Vec::new(), Vec::new());
    let claimed = pair.worker.claim(&mut buffer, &mut events).unwrap().unwrap();
    assert_eq!(claimed.id, kept);
    let file = claimed.body.unwrap();
    assert_eq!(sys::memfd::open_sealed(file, 7).unwrap(), b"spooled");
}

/// The body of a request that was not handed out after all must not become the next one's.
#[test]
fn a_body_whose_record_did_not_follow_is_nobodys() {
    let mut pair = pair();
    let with_file = |pair: &mut Pair, text: &[u8]| {
        let body = sys::memfd::sealed("body", text).unwrap();
        let mut bytes = record(b"", 300_000);
        bytes[12] = u8::try_from(app_proto::REQUEST_BODY_FILE).unwrap();
        pair.router.offer(&mut bytes, Some(std::os::fd::AsFd::as_fd(&body)))
    };
    while pair.router.send(ToWorker::Wake, &[]).unwrap() {}
    let mut events = Vec::new();
    // Room for the body, but not for the record.
    assert!(pair.worker.receive(&mut events).unwrap());
    assert!(matches!(with_file(&mut pair, b"first"), Err(OfferError::Full)));
    assert!(!pair.router.send(ToWorker::Wake, &[]).unwrap(), "the body was sent");
    while pair.worker.receive(&mut events).unwrap() {}
    with_file(&mut pair, b"second").unwrap();
    let mut buffer = Vec::new();
    let claimed = pair.worker.claim(&mut buffer, &mut events).unwrap().unwrap();
    assert_eq!(sys::memfd::open_sealed(claimed.body.unwrap(), 6).unwrap(), b"second");
    assert_eq!(pair.router.in_flight(), 1);
}

#[test]
fn a_full_ring_is_full_and_empties() {
    let mut pair = pair();
    let mut offered = 0;
    while pair.router.offer(&mut record(b"", 5000), None).is_ok() {
        offered += 1;
        assert!(offered < SLOTS);
    }
    assert!(offered > 10);
    for _ in 0..offered {
        assert!(claim(&mut pair.worker).is_some());
    }
    assert!(pair.router.offer(&mut record(b"", 5000), None).is_ok());
}

#[test]
fn slots_run_out_before_anything_breaks() {
    let mut pair = pair();
    for _ in 0..SLOTS {
        pair.router.offer(&mut record(b"", 0), None).unwrap();
        claim(&mut pair.worker).unwrap();
    }
    assert!(matches!(pair.router.offer(&mut record(b"", 0), None), Err(OfferError::Full)));
}

#[test]
fn credit_is_a_window() {
    let mut pair = pair();
    let id = pair.router.offer(&mut record(b"", 0), None).unwrap();
    claim(&mut pair.worker).unwrap();
    assert_eq!(pair.worker.credit(id, 0) as u64, WINDOW);
    assert_eq!(pair.worker.credit(id, WINDOW), 0);
    pair.worker.take_notice();
    pair.worker.want_credit(id, true);
    pair.router.consume(id, 100);
    assert_eq!(pair.worker.credit(id, WINDOW), 100);
    assert!(pair.worker.has_notice());
}

#[test]
fn a_full_response_ring_refuses_and_tells_when_there_is_room() {
    let mut pair = pair();
    let id = pair.router.offer(&mut record(b"", 0), None).unwrap();
    claim(&mut pair.worker).unwrap();
    let body = vec![7; BODY_RECORD_MAX];
    let record =
        ResponseRecord { id, kind: ResponseKind::Body, last: false, len: 0, service_us: 0 };
    let mut pushed = 0;
    while pair.worker.push(record, &[&body]).unwrap() {
        pushed += 1;
    }
    assert_eq!(pushed, 3);
    pair.worker.take_notice();
    pair.worker.want_room(true);
    assert_eq!(take(&mut pair.router).unwrap().1, body);
    assert!(pair.worker.has_notice());
    assert!(pair.worker.push(record, &[&body]).unwrap());
}

#[test]
fn bells_ring_only_for_sleepers_and_once() {
    let mut pair = pair();
    let mut events = Vec::new();
    pair.router.offer(&mut record(b"", 0), None).unwrap();
    pair.router.ring().unwrap();
    assert!(!pair.worker.receive(&mut events).unwrap(), "awake");
    claim(&mut pair.worker).unwrap();
    pair.worker.fall_asleep();
    for _ in 0..3 {
        pair.router.offer(&mut record(b"", 0), None).unwrap();
        pair.router.ring().unwrap();
    }
    assert!(pair.worker.receive(&mut events).unwrap());
    assert!(!pair.worker.receive(&mut events).unwrap(), "once");
    pair.worker.wake_up();
    pair.worker.ring().unwrap();
    assert!(pair.router.receive().unwrap().is_none(), "the loop is awake");
    pair.page.fall_asleep();
    pair.worker.ring().unwrap();
    pair.worker.ring().unwrap();
    assert!(matches!(pair.router.receive().unwrap(), Some((ToRouter::Wake, None))));
    assert!(pair.router.receive().unwrap().is_none());
}

#[test]
fn hanging_up_is_noticed_on_both_sides() {
    let mut pair = pair();
    drop(pair.router);
    let mut events = Vec::new();
    assert!(matches!(pair.worker.receive(&mut events), Err(ChannelError::HungUp)));
    let (router, half) = RouterChannel::new().unwrap();
    drop(half);
    assert!(matches!(router.receive(), Err(ChannelError::HungUp)));
    assert!(matches!(router.send(ToWorker::Log, &[pair.page.fd()]), Err(ChannelError::HungUp)));
}

#[test]
fn a_worker_cannot_write_the_loop_page() {
    let page = LoopPage::new().unwrap();
    assert!(sys::shm::SharedMemory::map(page.fd(), app_proto::LOOP_PAGE_LEN).is_err());
}

proptest! {
    /// N18: whatever a worker writes into its memory, the router neither panics nor reads beyond it.
    #[test]
    fn a_scribbling_worker_harms_only_itself(
        scribbles in proptest::collection::vec((0usize..app_proto::CHANNEL_LEN / 8, any::<u64>()), 1..40),
        near_positions: bool,
    ) {
        let (mut router, half) = RouterChannel::new().unwrap();
        let memory = sys::shm::SharedMemory::map(&half.memory, app_proto::CHANNEL_LEN).unwrap();
        let mut ids = Vec::new();
        for (word, value) in scribbles {
            if let Ok(id) = router.offer(&mut record(b"x", 10), None) {
                ids.push(id);
            }
            let offset = if near_positions {
                [app_proto::RESPONSE_HEAD, app_proto::REQUEST_TAIL, app_proto::RESPONSE_RING][word % 3]
            } else {
                word * 8
            };
            let value = if near_positions { value % 400_000 } else { value };
            memory.atomic_u64(offset).unwrap().store(value, std::sync::atomic::Ordering::SeqCst);
            for _ in 0..100 {
                let Ok(Some(record)) = router.next_record() else { break };
                let mut payload = Vec::new();
                router.read_payload(&record, &mut payload).unwrap();
                let _ = ResponseHead::decode(&payload);
                router.advance(&record);
            }
            router.publish();
            let _ = router.ring();
            if let Some(id) = ids.pop() {
                router.consume(id, 10);
                router.cancel(id);
                if !router.revoke(id) {
                    router.finish(id);
                }
            }
            prop_assert!(router.in_flight() <= SLOTS);
        }
    }

    /// Records of any size arrive whole and in order, whatever the wrap does to them.
    #[test]
    fn records_survive_the_wrap(sizes in proptest::collection::vec(0usize..BODY_RECORD_MAX, 1..60)) {
        let mut pair = pair();
        let id = pair.router.offer(&mut record(b"", 0), None).unwrap();
        claim(&mut pair.worker).unwrap();
        for (at, size) in sizes.into_iter().enumerate() {
            let fill = u8::try_from(at % 251).unwrap();
            let body = vec![fill; size];
            let record = ResponseRecord {
                id, kind: ResponseKind::Body, last: false, len: 0, service_us: 0,
            };
            prop_assert!(pair.worker.push(record, &[&body]).unwrap());
            let (seen, payload) = take(&mut pair.router).unwrap();
            prop_assert_eq!(seen.len, size);
            prop_assert_eq!(payload, body);
        }
    }
}

/// A request that was claimed and has become a session.
fn session(pair: &mut Pair) -> RequestId {
    let id = pair.router.offer(&mut record(b"", 0), None).unwrap();
    assert_eq!(claim(&mut pair.worker).unwrap().0, id);
    pair.router.begin_session(id);
    id
}

fn take_session(worker: &mut WorkerChannel) -> Option<(RequestId, SessionKind, Vec<u8>)> {
    let mut payload = Vec::new();
    let record = worker.take_session_record(&mut payload).unwrap()?;
    worker.publish_session_tail().unwrap();
    Some((record.id, record.kind, payload))
}

#[test]
fn a_session_holds_no_slot_and_keeps_its_id() {
    let mut pair = pair();
    let ids: Vec<RequestId> = (0..3 * SLOTS).map(|_| session(&mut pair)).collect();
    assert_eq!((pair.router.in_flight(), pair.router.sessions()), (0, 3 * SLOTS));
    for id in &ids {
        assert!(!pair.router.knows(*id), "it is no request any more");
        pair.router.end_session(*id);
    }
    let unique: std::collections::HashSet<RequestId> = ids.iter().copied().collect();
    assert_eq!((unique.len(), pair.router.sessions()), (ids.len(), 0));
}

#[test]
fn session_records_arrive_in_order_beside_requests() {
    let mut pair = pair();
    let id = session(&mut pair);
    let waiting = pair.router.offer(&mut record(b"", 0), None).unwrap();
    assert!(pair.router.push_session(id, SessionKind::Data, b"octets").unwrap());
    assert!(pair.router.push_session(id, SessionKind::End, b"").unwrap());
    assert!(pair.worker.has_session_records() && pair.worker.has_requests());
    let data = take_session(&mut pair.worker).unwrap();
    assert_eq!(data, (id, SessionKind::Data, b"octets".to_vec()));
    assert_eq!(take_session(&mut pair.worker).unwrap().1, SessionKind::End);
    assert_eq!(take_session(&mut pair.worker), None);
    assert_eq!(claim(&mut pair.worker).unwrap().0, waiting);
}

#[test]
fn room_in_the_session_ring_comes_back_and_the_loop_is_told() {
    let mut pair = pair();
    let id = session(&mut pair);
    let piece = vec![7; SESSION_RECORD_MAX];
    let mut pushed = 0;
    for round in 0..40 {
        while pair.router.push_session(id, SessionKind::Data, &piece).unwrap() {
            pushed += 1;
        }
        assert!(pair.router.session_room().unwrap() < piece.len(), "round {round}");
        assert_eq!(take_session(&mut pair.worker).unwrap().2, piece);
    }
    assert!(pushed >= 40);
    // Nobody is woken who does not wait; who waits and sleeps is.
    pair.page.fall_asleep();
    take_session(&mut pair.worker).unwrap();
    assert!(pair.router.receive().unwrap().is_none());
    pair.router.want_session_room(true);
    take_session(&mut pair.worker).unwrap();
    assert!(matches!(pair.router.receive().unwrap(), Some((ToRouter::Wake, None))));
    while take_session(&mut pair.worker).is_some() {}
    assert_eq!(
        pair.router.session_room().unwrap(),
        SESSION_RING_LEN - app_proto::SESSION_RECORD_LEN
    );
}

/// A record without payload takes room as well.
#[test]
fn an_empty_record_does_not_overtake_the_reader() {
    let mut pair = pair();
    let id = pair.router.offer(&mut record(b"", 0), None).unwrap();
    claim(&mut pair.worker).unwrap();
    let body = ResponseRecord { id, kind: ResponseKind::Body, last: false, len: 0, service_us: 0 };
    for left in [0, 8, 16] {
        while pair.worker.room().unwrap() > BODY_RECORD_MAX + left {
            assert!(pair.worker.push(body, &[&[1; BODY_RECORD_MAX - 24]]).unwrap());
        }
        let rest = pair.worker.room().unwrap() - left;
        assert!(pair.worker.push(body, &[&vec![2; rest]]).unwrap());
        assert!(!pair.worker.fits(0).unwrap());
        assert!(!pair.worker.push(body, &[]).unwrap(), "with {left} left");
        while take(&mut pair.router).is_some() {}
        assert!(pair.worker.push(body, &[]).unwrap());
        assert!(take(&mut pair.router).is_some());
    }
}
