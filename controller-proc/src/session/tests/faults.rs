//! Failures at each step of an update and of a hand-over.

use super::*;

/// A session with an update on its way from `{"a":1}` to `{"a":2}`, at this question.
fn updating(question: &str) -> Bench {
    let mut bench = Bench::running(r#"{"a":1}"#);
    bench.put(1, "/a", "2");
    for step in ["prepare", "store", "commit"] {
        if step == question {
            return bench;
        }
        bench.answer(step, Answer::Done);
    }
    panic!("no step {question}");
}

#[test]
fn a_refused_update_changes_nothing() {
    for answer in [no("port 80 is taken"), Answer::NotSent("port 80 is taken".to_owned())] {
        let mut bench = updating("prepare");
        bench.answer("prepare", answer);
        assert_eq!(bench.said(), [not_applied(1, "port 80 is taken")]);
        assert_eq!(bench.config(), r#"{"a":1}"#);
        assert!(bench.session.is_at_rest());
    }
}

#[test]
fn an_update_that_is_not_stored_is_aborted_before_it_is_answered() {
    for aborted in [Answer::Done, no("x"), Answer::Lost, Answer::NotSent("x".to_owned())] {
        let mut bench = updating("store");
        bench.answer("store", no("rename() failed (28: No space left on device)"));
        assert_eq!(bench.said(), [""; 0]);
        bench.answer("abort", aborted);
        let expected = not_stored(1, "rename() failed (28: No space left on device)");
        assert_eq!(bench.said(), [expected]);
        assert_eq!(bench.config(), r#"{"a":1}"#);
        assert!(bench.session.is_at_rest());
    }
}

#[test]
fn a_stored_update_that_is_not_committed_is_current_and_tried_again() {
    let mut bench = updating("commit");
    bench.answer("commit", no("x"));
    assert_eq!(bench.said(), ["retry after 1".to_owned(), not_applied(1, "x")]);
    assert_eq!(bench.config(), r#"{"a":2}"#);
    bench.session.retry();
    bench.note();
    bench.answer(r#"prepare {"a":2}"#, Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [""; 0]);
}

#[test]
fn an_update_whose_router_is_lost_before_it_is_stored_fails() {
    let mut bench = updating("prepare");
    bench.put(2, "/b", "3");
    bench.router_lost();
    assert_eq!(bench.said(), [not_applied(1, "the router process ended")]);
    let stale = bench.open.take().unwrap();
    bench.router_found();
    assert_eq!(bench.question(), r#"prepare {"a":1}"#);
    bench.session.answered(stale.0, Answer::Lost);
    bench.answer("prepare", Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.question(), r#"prepare {"a":1,"b":3}"#);
}

#[test]
fn a_lost_answer_means_a_lost_router() {
    let mut bench = updating("prepare");
    bench.answer("prepare", Answer::Lost);
    assert_eq!(bench.said(), [not_applied(1, "the router process ended")]);
    bench.put(2, "/b", "3");
    assert_eq!(bench.question(), "");
}

#[test]
fn what_main_says_decides_when_the_router_is_lost_while_it_stores() {
    let mut bench = updating("store");
    bench.router_lost();
    bench.router_found();
    bench.answer("store", no("disk full"));
    assert_eq!(bench.said(), [not_stored(1, "disk full")]);
    assert_eq!(bench.question(), r#"prepare {"a":1}"#);

    let mut bench = updating("store");
    bench.router_lost();
    bench.answer("store", Answer::Done);
    assert_eq!(bench.said(), [""; 0]);
    assert_eq!(bench.config(), r#"{"a":2}"#);
    bench.put(2, "/b", "3");
    bench.router_found();
    bench.answer(r#"prepare {"a":2}"#, Answer::Done);
    assert_eq!(bench.said(), [""; 0]);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [done(1)]);
    assert_eq!(bench.question(), r#"prepare {"a":2,"b":3}"#);
}

#[test]
fn a_stored_update_outlives_its_router() {
    let mut bench = updating("commit");
    bench.router_lost();
    assert_eq!(bench.said(), [""; 0]);
    assert!(!bench.session.is_at_rest());
    bench.router_found();
    bench.answer(r#"prepare {"a":2}"#, Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [done(1)]);
}

#[test]
fn a_stored_update_that_the_next_router_refuses_stays_current() {
    let mut bench = updating("commit");
    bench.router_lost();
    bench.router_found();
    bench.answer(r#"prepare {"a":2}"#, no("no"));
    assert_eq!(
        bench.said(),
        [
            not_applied(1, "no"),
            "[alert] failed to apply previous configuration".to_owned(),
            "retry after 1".to_owned()
        ]
    );
    assert_eq!(bench.config(), r#"{"a":2}"#);
}

#[test]
fn the_next_router_gets_the_current_configuration() {
    let mut bench = updating("commit");
    bench.answer("commit", Answer::Done);
    bench.said();
    bench.router_lost();
    bench.router_found();
    assert_eq!(bench.question(), r#"prepare {"a":2}"#);
}

#[test]
fn what_has_run_before_is_tried_again_and_can_be_replaced_meanwhile() {
    let mut bench = Bench::running(r#"{"a":1}"#);
    bench.router_lost();
    bench.router_found();
    for wait in [1, 2, 4, 8, 16, 30, 30] {
        bench.answer(r#"prepare {"a":1}"#, no("no"));
        assert_eq!(
            bench.said(),
            [
                "[alert] failed to apply previous configuration".to_owned(),
                format!("retry after {wait}")
            ]
        );
        bench.session.retry();
        bench.note();
    }
    bench.answer("prepare", no("no"));
    bench.said();
    bench.put(1, "/a", "2");
    bench.session.retry();
    bench.note();
    bench.answer(r#"prepare {"a":2}"#, Answer::Done);
    bench.answer("store", Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [done(1)]);
    bench.session.retry();
    bench.note();
    assert!(bench.open.is_none());
    bench.router_lost();
    bench.router_found();
    bench.answer("prepare", no("no"));
    assert_eq!(bench.said().pop().as_deref(), Some("retry after 1"));
}

#[test]
fn a_stored_configuration_that_ends_routers_gives_way_to_the_default() {
    let mut bench = Bench::new(present(r#"{"a":1}"#));
    for expected in [None, None, Some("[alert] failed to apply previous configuration")] {
        bench.router_found();
        assert_eq!(bench.question(), r#"prepare {"a":1}"#);
        bench.router_lost();
        assert_eq!(bench.said(), expected.into_iter().collect::<Vec<_>>());
    }
    bench.router_found();
    assert_eq!(bench.question(), format!("prepare {DEFAULT}"));
}

#[test]
fn what_ends_routers_again_and_again_can_be_mended() {
    let mut bench = updating("commit");
    for _ in 0..2 {
        bench.router_lost();
        bench.router_found();
        assert_eq!(bench.question(), r#"prepare {"a":2}"#);
    }
    bench.router_lost();
    assert_eq!(bench.said(), [""; 0]);
    bench.router_found();
    bench.router_lost();
    assert_eq!(
        bench.said(),
        [
            not_applied(1, "the router process ended"),
            "[alert] failed to apply previous configuration".to_owned()
        ]
    );
    bench.open = None;
    bench.router_found();
    assert_eq!(bench.said(), ["retry after 1"]);
    assert_eq!(bench.question(), "");
    bench.put(2, "/a", "3");
    bench.answer(r#"prepare {"a":3}"#, Answer::Done);
    bench.answer("store", Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [done(2)]);
}

#[test]
fn clients_that_wait_for_a_lost_router_are_told() {
    for (operation, expected) in [
        (Operation::Overview, r#"1 500 {"error":"Failed to get status."}"#),
        (
            Operation::Restart { name: "x".to_owned() },
            r#"1 500 {"error":"Failed to restart app."}"#,
        ),
    ] {
        let mut bench = Bench::running("{}");
        bench.submit(1, operation);
        bench.router_lost();
        assert_eq!(bench.said(), [expected]);
        bench.router_lost();
        assert_eq!(bench.said(), [""; 0]);
    }
}

#[test]
fn stopping_finishes_what_is_in_progress_and_nothing_else() {
    let mut bench = updating("prepare");
    bench.put(2, "/b", "3");
    bench.submit(3, Operation::Overview);
    bench.session.stop();
    bench.note();
    assert_eq!(
        bench.said(),
        [
            not_applied(2, "the daemon is stopping"),
            r#"3 500 {"error":"Failed to get status."}"#.to_owned()
        ]
    );
    bench.put(4, "/b", "4");
    assert_eq!(bench.said(), [not_applied(4, "the daemon is stopping")]);
    bench.answer("prepare", Answer::Done);
    bench.answer("store", Answer::Done);
    bench.answer("commit", Answer::Done);
    assert_eq!(bench.said(), [done(1)]);
    assert!(bench.session.is_at_rest());
}

#[test]
fn stopping_does_not_wait_for_another_router() {
    for lost_first in [true, false] {
        let mut bench = updating("commit");
        if lost_first {
            bench.router_lost();
        }
        bench.session.stop();
        bench.note();
        if !lost_first {
            bench.router_lost();
        }
        let cause = if lost_first { "the daemon is stopping" } else { "the router process ended" };
        assert_eq!(bench.said(), [not_applied(1, cause)]);
        assert!(bench.session.is_at_rest());
        bench.open = None;
        bench.router_found();
        assert!(bench.open.is_none());
    }
}
