//! The router stops, at once or after finishing.

use std::sync::atomic::Ordering;

use port_proto::Quit;

use crate::apply::{RETURN, app};
use crate::prototype::Board;
use crate::stage::{on_stage, until};

#[test]
fn a_graceful_stop_finishes_what_was_accepted() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut busy = stage.connect().await;
        let mut queued = stage.connect().await;
        let mut idle = stage.connect().await;
        assert_eq!(idle.get("/").await.0, 200);
        busy.send(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
        until("it is begun", || Board::get(&stage.board.begun) == 2).await;
        queued.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        stage
            .until_status("it is queued", |status| status.applications[0].active_requests == 2)
            .await;
        stage.tell_to_quit(Quit::Graceful);
        assert_eq!(idle.response("GET").await.unwrap().status, 408);
        assert!(idle.is_closed().await);
        assert!(stage.is_running());
        stage.board.released.store(true, Ordering::SeqCst);
        for client in [&mut busy, &mut queued] {
            let response = client.response("GET").await.unwrap();
            assert_eq!(response.status, 200);
            assert_eq!(response.field("Connection"), Some("close"));
            assert!(client.is_closed().await);
        }
        stage.has_ended().await;
    });
}

#[test]
fn a_worker_that_dies_during_a_graceful_stop_is_replaced() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut dying = stage.connect().await;
        let mut queued = stage.connect().await;
        let mut busy = stage.connect().await;
        busy.send(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
        until("it is begun", || Board::get(&stage.board.begun) == 1).await;
        dying.send(b"GET /die HTTP/1.1\r\nHost: x\r\n\r\n").await;
        stage
            .until_status("it is queued", |status| status.applications[0].active_requests == 2)
            .await;
        queued.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        stage
            .until_status("it is queued", |status| status.applications[0].active_requests == 3)
            .await;
        stage.tell_to_quit(Quit::Graceful);
        stage.board.released.store(true, Ordering::SeqCst);
        assert_eq!(busy.response("GET").await.unwrap().status, 200);
        assert_eq!(dying.response("GET").await.unwrap().status, 503);
        assert_eq!(queued.response("GET").await.unwrap().body, b"hello");
        stage.has_ended().await;
    });
}

#[test]
fn a_fast_stop_waits_for_nobody() {
    for first in [None, Some(Quit::Graceful)] {
        on_stage(async |stage| {
            stage.apply(&app("")).await;
            let mut client = stage.connect().await;
            client.send(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
            until("it is begun", || Board::get(&stage.board.begun) == 1).await;
            if let Some(quit) = first {
                stage.tell_to_quit(quit);
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                assert!(stage.is_running());
            }
            stage.tell_to_quit(Quit::Fast);
            let board = std::sync::Arc::clone(&stage.board);
            stage.has_ended().await;
            until("the worker ends", || Board::get(&board.running) == 0).await;
        });
    }
}

#[test]
fn it_stops_while_workers_are_starting() {
    for quit in [Quit::Fast, Quit::Graceful] {
        on_stage(async |stage| {
            stage.board.hold_at_start.store(true, Ordering::SeqCst);
            let json = stage.fill_in(&app(r#","processes":2"#));
            let controller = stage.controller.clone();
            let update = tokio::task::spawn_local(async move {
                let stage = port_proto::ConfigStage::Proposed;
                let _ = controller.request(port_proto::PrepareConfig { stage, json }).await;
            });
            until("they start", || Board::get(&stage.board.running) == 2).await;
            stage.tell_to_quit(quit);
            stage.has_ended().await;
            update.await.unwrap();
        });
    }
}

#[test]
fn requests_under_way_during_a_graceful_stop_are_answered() {
    on_stage(async |stage| {
        stage.apply(RETURN).await;
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], stage.tcp_port("@one")));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                tokio::task::spawn_local(async move {
                    let mut client = crate::client::Client::connect(address).await;
                    let mut answered = 0u32;
                    loop {
                        if tokio::io::AsyncWriteExt::write_all(
                            &mut client.stream,
                            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                        )
                        .await
                        .is_err()
                        {
                            return answered;
                        }
                        match client.response("GET").await {
                            Some(response) if response.status == 200 => answered += 1,
                            // It crossed the end of an idle connection.
                            Some(response) => {
                                assert_eq!(response.status, 408);
                                return answered;
                            }
                            None => return answered,
                        }
                    }
                })
            })
            .collect();
        stage.until_status("they are served", |status| status.requests > 200).await;
        stage.tell_to_quit(Quit::Graceful);
        for task in tasks {
            assert!(task.await.unwrap() > 0);
        }
        stage.has_ended().await;
    });
}
