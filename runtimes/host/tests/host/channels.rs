//! Requests and answers over channels.

use std::time::{Duration, Instant};

use app_proto::{ResponseKind, ToWorker, WINDOW};

use crate::stage::{Answer, Ask, DEADLINE};
use crate::{stage, start};

#[test]
fn echoes_fields_and_bodies() {
    let (_stage, mut worker) = start();
    let request = Ask {
        fields: vec![(b"X-A", b"b"), (b"X-A", b"c"), (b"Bad Name", b"d")],
        ..Ask::post("/", b"the body")
    };
    let answer = worker.ask(&request);
    assert_eq!(answer.text(), "the body");
    let fields: Vec<(&str, &[u8])> =
        answer.fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let expected: [(&str, &[u8]); 2] = [("X-A", b"b"), ("X-A", b"c")];
    assert_eq!(fields, expected);
    assert_eq!(answer.records, 1, "a small answer is one record");
}

#[test]
fn bodies_come_from_files_and_large_records() {
    let (_stage, mut worker) = start();
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let answer = worker.ask(&Ask { in_file: true, ..Ask::post("/", &body) });
    assert_eq!(answer.body, body);
    let body = &body[..200_000];
    assert_eq!(worker.ask(&Ask::post("/", body)).body, body);
}

#[test]
fn many_requests_are_served_in_order() {
    let (_stage, mut worker) = start();
    for round in 0..100 {
        let bodies: Vec<String> = (0..20).map(|n| format!("{round}-{n}")).collect();
        let ids: Vec<_> =
            bodies.iter().map(|body| worker.offer(0, &Ask::post("/", body.as_bytes()))).collect();
        worker.ring();
        for (id, body) in ids.into_iter().zip(&bodies) {
            assert_eq!(worker.collect(0, id).text(), body);
        }
    }
}

#[test]
fn every_channel_is_served() {
    let mut stage = stage();
    let mut worker = stage.fork_worker(3);
    worker.attach();
    worker.attach();
    worker.wait_until_ready(&mut stage);
    for round in 0..50 {
        let ids: Vec<_> = (0..3)
            .map(|channel| {
                let body = format!("{round}-{channel}");
                worker.offer(channel, &Ask::post("/", body.as_bytes()))
            })
            .collect();
        worker.ring();
        for (channel, id) in ids.into_iter().enumerate() {
            assert_eq!(worker.collect(channel, id).text(), format!("{round}-{channel}"));
        }
    }
    // Sleeping on all of them, any one wakes the worker.
    for channel in [2, 0, 1] {
        std::thread::sleep(Duration::from_millis(20));
        let id = worker.offer(channel, &Ask::post("/", b"x"));
        worker.ring();
        assert_eq!(worker.collect(channel, id).text(), "x");
    }
    // A channel can come later too.
    worker.attach();
    let id = worker.offer(3, &Ask::post("/", b"late"));
    worker.ring();
    assert_eq!(worker.collect(3, id).text(), "late");
}

#[test]
fn a_channel_that_says_goodbye_is_let_go() {
    let mut stage = stage();
    let mut worker = stage.fork_worker(2);
    worker.attach();
    worker.wait_until_ready(&mut stage);
    let pid = worker.pid;
    let descriptors = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let before = descriptors();
    for round in 0..50 {
        worker.attach();
        let id = worker.offer(2, &Ask::post("/", b"over the third"));
        worker.ring();
        assert_eq!(worker.collect(2, id).text(), "over the third");
        let ended = worker.channels.remove(2);
        assert!(ended.send(ToWorker::Detach, &[]).unwrap());
        drop(ended);
        for channel in 0..2 {
            let id = worker.offer(channel, &Ask::post("/", b"over the others"));
            worker.ring();
            assert_eq!(worker.collect(channel, id).text(), "over the others", "round {round}");
        }
    }
    let deadline = Instant::now() + DEADLINE;
    while descriptors() > before {
        assert!(Instant::now() < deadline, "{} descriptors, {before} before", descriptors());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_channel_that_hangs_up_without_goodbye_ends_the_worker() {
    let mut stage = stage();
    let mut worker = stage.fork_worker(2);
    worker.attach();
    worker.wait_until_ready(&mut stage);
    drop(worker.channels.remove(1));
    assert_eq!(stage.wait_for_exit(&worker).worker, worker.id);
}

#[test]
fn a_revoked_request_is_passed_over() {
    let (_stage, mut worker) = start();
    let slow = worker.offer(0, &Ask::get("/slow"));
    let revoked = worker.offer(0, &Ask { in_file: true, ..Ask::post("/", b"revoked") });
    let kept = worker.offer(0, &Ask { in_file: true, ..Ask::post("/", b"kept") });
    worker.ring();
    assert!(worker.channels[0].revoke(revoked));
    assert_eq!(worker.collect(0, slow).status, Some(200));
    assert_eq!(worker.collect(0, kept).text(), "kept");
}

#[test]
fn a_worker_stays_within_the_window() {
    let (_stage, mut worker) = start();
    let id = worker.offer(0, &Ask::get("/large"));
    worker.ring();
    let mut held = 0;
    let mut body = Vec::new();
    while let Some((record, payload)) = worker.next_record(0, Duration::from_millis(300)) {
        assert_eq!(record.id, id);
        let bytes = match record.kind {
            ResponseKind::Head => app_proto::ResponseHead::decode(&payload).unwrap().body.to_vec(),
            _ => payload,
        };
        held += bytes.len();
        body.extend(bytes);
        assert!(held as u64 <= WINDOW, "the router holds more than it agreed to");
    }
    assert_eq!(held as u64, WINDOW);
    let mut answer = Answer { status: Some(200), ..Answer::default() };
    worker.channels[0].consume(id, held);
    worker.ring();
    while !worker.read_record(0, id, &mut answer) {}
    assert_eq!(body.len() + answer.body.len(), 5_000_000);
}

#[test]
fn small_pieces_survive_a_full_ring() {
    let (_stage, mut worker) = start();
    let answer = worker.get("/many");
    let expected: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    assert_eq!(answer.body, expected);
    assert!(!answer.failed);
}

#[test]
fn a_cancelled_answer_ends_and_the_worker_goes_on() {
    let (_stage, mut worker) = start();
    for path in ["/large", "/many"] {
        let id = worker.offer(0, &Ask::get(path));
        worker.ring();
        let mut answer = Answer::default();
        assert!(!worker.read_record(0, id, &mut answer));
        worker.channels[0].cancel(id);
        worker.ring();
        while !worker.read_record(0, id, &mut answer) {}
        assert!(answer.failed && answer.body.len() < 5_000_000);
        assert_eq!(worker.ask(&Ask::post("/", b"next")).text(), "next");
    }
}

#[test]
fn a_cancelled_answer_that_waits_for_credit_ends() {
    let (_stage, mut worker) = start();
    let id = worker.offer(0, &Ask::get("/large"));
    worker.ring();
    while worker.next_record(0, Duration::from_millis(200)).is_some() {}
    worker.channels[0].cancel(id);
    worker.ring();
    let (record, _) = worker.next_record(0, crate::stage::DEADLINE).unwrap();
    assert!(record.last && record.kind == ResponseKind::Failed);
    worker.channels[0].finish(id);
    assert_eq!(worker.ask(&Ask::post("/", b"next")).text(), "next");
}

#[test]
fn what_was_not_finished_has_failed() {
    let (_stage, mut worker) = start();
    let answer = worker.get("/drop");
    assert_eq!((answer.status, answer.failed), (None, true));
    let answer = worker.get("/fail");
    assert_eq!((answer.status, answer.text(), answer.failed), (Some(200), "part", true));
    let answer = worker.get("/twice");
    assert_eq!((answer.text(), answer.failed), ("once", false));
}

#[test]
fn head_is_answered_without_a_body() {
    let (_stage, mut worker) = start();
    let answer = worker.ask(&Ask { method: "HEAD", ..Ask::post("/", b"body") });
    assert_eq!((answer.status, answer.records), (Some(200), 1));
    assert!(answer.body.is_empty());
}

#[test]
fn the_time_spent_is_told() {
    let (_stage, mut worker) = start();
    let id = worker.offer(0, &Ask::get("/slow"));
    worker.ring();
    let (record, _) = worker.next_record(0, crate::stage::DEADLINE).unwrap();
    assert!(record.id == id && record.service_us >= 300_000, "{record:?}");
}

#[test]
fn a_busy_worker_says_so() {
    let (_stage, mut worker) = start();
    assert_eq!(worker.channels[0].busy_hint(), 0);
    let id = worker.offer(0, &Ask::get("/slow"));
    worker.ring();
    while worker.channels[0].is_offered(id) {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(worker.channels[0].busy_hint(), 1);
    worker.collect(0, id);
}
