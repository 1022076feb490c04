//! Requests are served by workers, whatever becomes of them.

use std::sync::atomic::Ordering;

use crate::apply::app;
use crate::prototype::Board;
use crate::stage::{on_stage, until};

#[test]
fn an_application_answers() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut client = stage.connect().await;
        for _ in 0..50 {
            assert_eq!(client.get("/").await, (200, b"hello".to_vec()));
        }
        let status = stage.status().await;
        assert_eq!((status.accepted, status.requests), (1, 50));
        assert_eq!(status.applications[0].active_requests, 0);
        stage.quit().await;
    });
}

#[test]
fn bodies_of_all_sizes_arrive_whole() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut client = stage.connect().await;
        for len in [0, 1, 16_383, 16_384, 16_385, 60_000, 70_000, 3_000_000] {
            let body: Vec<u8> = (0..len).map(|at: u32| at.to_le_bytes()[1]).collect();
            let head = format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n");
            client.send(head.as_bytes()).await;
            client.send(&body).await;
            let response = client.response("POST").await.unwrap();
            assert!(response.body == body, "{len} bytes");
        }
        stage.quit().await;
    });
}

#[test]
fn heads_of_all_sizes_arrive_whole() {
    on_stage(async |stage| {
        let text = app("");
        let conf = format!(
            r#"{{"settings":{{"http":{{"large_header_buffer_size":200000}}}},{}"#,
            &text[1..]
        );
        stage.apply(&conf).await;
        let mut client = stage.connect().await;
        for len in [10, 65_000, 65_536, 100_000, 190_000] {
            // A head beyond what the ring takes, and a body that travels as a file with it.
            let head = format!(
                "POST /echo HTTP/1.1\r\nHost: x\r\nX-Pad: {}\r\nContent-Length: 40000\r\n\r\n",
                "p".repeat(len)
            );
            client.send(head.as_bytes()).await;
            client.send(&vec![b'b'; 40_000]).await;
            assert_eq!(client.response("POST").await.unwrap().body, vec![b'b'; 40_000]);
        }
        stage.quit().await;
    });
}

/// N10: a client that does not read stops its producer.
#[test]
fn a_slow_reader_holds_the_application_back() {
    on_stage(async |stage| {
        // One loop serves all, so that any answer shows that it has looked at everything.
        let conf = r#"{"settings":{"listen_threads":1},
            "listeners":{"@one":{"pass":"routes"}},
            "routes":[{"match":{"uri":"/stream/*"},"action":{"pass":"applications/a"}},
                {"action":{"return":200}}],
            "applications":{"a":{"type":"python","path":"/","module":"wsgi"}}}"#;
        stage.apply(conf).await;
        let mut other = stage.connect().await;
        let mut client = stage.connect().await;
        let len = 40_000_000;
        client.send(format!("GET /stream/{len} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        let streamed = || stage.board.streamed.load(Ordering::SeqCst);
        let (mut before, mut looks) = (0, 0);
        while looks < 50 {
            assert_eq!(other.get("/").await.0, 200);
            let (now, is_held_back) = (streamed(), stage.board.is_held_back.load(Ordering::SeqCst));
            looks = if is_held_back && now == before && now > 0 { looks + 1 } else { 0 };
            before = now;
        }
        // What the sockets' buffers take, and the window.
        assert!(before < 15_000_000, "{before} bytes were taken for nobody");
        let response = client.response("GET").await.unwrap();
        assert_eq!(response.body.len(), len);
        stage.quit().await;
    });
}

#[test]
fn a_client_that_leaves_cancels_its_request() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut client = stage.connect().await;
        client.send(b"GET /stream/100000000 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        until("it streams", || stage.board.streamed.load(Ordering::SeqCst) > 0).await;
        drop(client);
        until("the worker sees it", || Board::get(&stage.board.cancelled) > 0).await;
        let status = stage
            .until_status("it is over", |status| status.applications[0].active_requests == 0)
            .await;
        assert_eq!(status.applications[0].idle, 1);
        stage.until_status("it is closed", |status| status.closed == status.accepted).await;
        assert_eq!(stage.get("/").await.1, b"hello", "the worker is as good as before");
        stage.quit().await;
    });
}

#[test]
fn clients_leave_at_any_phase_and_nothing_is_left() {
    on_stage(async |stage| {
        stage.apply(&app(r#","processes":2"#)).await;
        for sent in [
            &b""[..],
            b"GE",
            b"GET / HTTP/1.1\r\nHo",
            b"POST /echo HTTP/1.1\r\nContent-Length: 100000\r\n\r\nxxx",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /status/200 HTTP/1.1\r\nHost: x\r\n\r\nGET /status/200 HTTP/1.1\r\n\r\n",
            b"GET /stream/3000000 HTTP/1.1\r\nHost: x\r\n\r\n",
        ] {
            for _ in 0..8 {
                let mut client = stage.connect().await;
                client.send(sent).await;
                drop(client);
            }
        }
        let status = stage
            .until_status("all are over", |status| {
                status.closed == status.accepted && status.applications[0].active_requests == 0
            })
            .await;
        assert_eq!((status.idle, status.active), (0, 0));
        assert_eq!(status.applications[0].idle, 2);
        stage.quit().await;
    });
}

#[test]
fn a_worker_that_dies_fails_its_request_only() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut dying = stage.connect().await;
        let mut waiting = stage.connect().await;
        dying.send(b"GET /die HTTP/1.1\r\nHost: x\r\n\r\n").await;
        waiting.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let response = dying.response("GET").await.unwrap();
        assert_eq!(response.status, 503);
        assert_eq!(waiting.response("GET").await.unwrap().body, b"hello");
        assert_eq!(dying.get("/").await.1, b"hello", "the connection goes on");
        until("it was replaced", || Board::get(&stage.board.started) == 2).await;
        stage.quit().await;
    });
}

#[test]
fn a_worker_that_dies_in_mid_answer_cuts_it() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        for (path, answers) in [("/cut", false), ("/answer-and-die", true)] {
            let mut client = stage.connect().await;
            client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
            let response = client.response("GET").await;
            assert_eq!(response.is_some(), answers, "{path}");
        }
        assert_eq!(stage.get("/").await.1, b"hello");
        stage.quit().await;
    });
}

#[test]
fn workers_that_die_all_the_time_answer_in_between() {
    on_stage(async |stage| {
        stage.apply(&app(r#","processes":3"#)).await;
        let mut served = 0;
        for round in 0..40 {
            let path = ["/", "/answer-and-die", "/die", "/"][round % 4];
            let (status, _) = stage.get(path).await;
            served += u32::from(status == 200);
            assert!(status == 200 || status == 503);
        }
        assert!(served >= 25, "{served}");
        stage
            .until_status("all are back", |status| {
                status.applications[0].running == 3 && status.applications[0].idle == 3
            })
            .await;
        assert_eq!(stage.status().await.applications[0].active_requests, 0);
        stage.quit().await;
    });
}

#[test]
fn a_worker_that_breaks_the_rules_is_killed_and_replaced() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        assert_eq!(stage.get("/break").await.0, 503);
        until("it is killed", || Board::get(&stage.board.killed) == 1).await;
        assert_eq!(stage.get("/").await.1, b"hello");
        stage.quit().await;
    });
}

#[test]
fn an_application_that_fails_is_answered_for() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut client = stage.connect().await;
        assert_eq!(client.get("/fail").await.0, 503);
        assert_eq!(client.get("/").await.1, b"hello");
        stage.quit().await;
    });
}

#[test]
fn a_prototype_that_dies_is_replaced() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        stage.board.prototypes_die.store(true, Ordering::SeqCst);
        until("it is gone", || stage.main.ended.get() == 1).await;
        stage.board.prototypes_die.store(false, Ordering::SeqCst);
        assert_eq!(stage.get("/").await.1, b"hello");
        stage.quit().await;
    });
}

#[test]
fn processes_come_on_demand() {
    on_stage(async |stage| {
        stage.apply(&app(r#","processes":{"spare":0,"max":2,"idle_timeout":1}"#)).await;
        assert_eq!(stage.status().await.applications[0].running, 0);
        assert_eq!(stage.get("/").await.1, b"hello");
        assert_eq!(stage.status().await.applications[0].running, 1);
        let mut first = stage.connect().await;
        first.send(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n").await;
        until("it is begun", || Board::get(&stage.board.begun) == 2).await;
        assert_eq!(stage.get("/").await.1, b"hello", "the second does not wait for the first");
        assert_eq!(Board::get(&stage.board.started), 2);
        stage.board.released.store(true, Ordering::SeqCst);
        assert_eq!(first.response("GET").await.unwrap().body, b"held");
        stage
            .until_status("idle ones are stopped", |status| status.applications[0].running == 0)
            .await;
        until("they have ended", || Board::get(&stage.board.running) == 0).await;
        assert_eq!(stage.get("/").await.1, b"hello", "and come again");
        stage.quit().await;
    });
}

/// http.md §10: a request on `{"spare": 2, "max": 8}` brings a third process.
#[test]
fn spare_processes_are_spare_also_under_work() {
    on_stage(async |stage| {
        stage.apply(&app(r#","processes":{"spare":2,"max":8}"#)).await;
        assert_eq!(stage.status().await.applications[0].running, 2);
        assert_eq!(stage.get("/").await.0, 200);
        stage.until_status("there are three", |status| status.applications[0].running == 3).await;
        stage.quit().await;
    });
}

#[test]
fn when_nothing_starts_requests_fail_at_once() {
    on_stage(async |stage| {
        stage.apply(&app(r#","processes":{"spare":0}"#)).await;
        stage.board.die_at_start.store(true, Ordering::SeqCst);
        for _ in 0..4 {
            assert_eq!(stage.get("/").await.0, 503);
        }
        stage.board.die_at_start.store(false, Ordering::SeqCst);
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while stage.get("/").await.0 != 200 {
            assert!(tokio::time::Instant::now() < deadline, "it never comes back");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        stage.quit().await;
    });
}

#[test]
fn an_application_that_takes_too_long_is_answered_for() {
    on_stage(async |stage| {
        stage.apply(&app(r#","limits":{"timeout":1}"#)).await;
        let mut client = stage.connect().await;
        assert_eq!(client.get("/hold").await.0, 503);
        stage.board.released.store(true, Ordering::SeqCst);
        assert_eq!(client.get("/").await.1, b"hello", "its late answer is nobody's");
        let status =
            stage.until_status("its slot is back", |status| status.applications[0].idle == 1).await;
        assert_eq!(status.applications[0].active_requests, 0);
        stage.quit().await;
    });
}

#[test]
fn answers_without_a_body_give_credit_for_the_one_they_have() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut client = stage.connect().await;
        for (method, path) in [
            ("GET", "/status/204"),
            ("GET", "/status/304"),
            ("HEAD", "/status/200"),
            ("HEAD", "/short"),
            ("HEAD", "/"),
        ] {
            client.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
            let response = client.response(method).await.expect(path);
            assert!(matches!(response.status, 200 | 204 | 304));
            assert_eq!(client.get("/").await.1, b"hello", "{method} {path}");
        }
        stage.quit().await;
    });
}

#[test]
fn a_length_that_is_not_the_bodys_is_not_believed() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut client = stage.connect().await;
        assert_eq!(client.get("/long").await.1, b"long");
        assert_eq!(client.get("/").await.1, b"hello");
        client.send(b"GET /short HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(client.response("GET").await.is_none(), "it is visibly cut");
        assert_eq!(stage.get("/").await.1, b"hello");
        stage.quit().await;
    });
}

#[test]
fn many_clients_share_few_workers() {
    on_stage(async |stage| {
        stage.apply(&app(r#","processes":3"#)).await;
        let mut tasks = Vec::new();
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], stage.tcp_port("@one")));
        for number in 0..40u32 {
            tasks.push(tokio::task::spawn_local(async move {
                let mut client = crate::client::Client::connect(address).await;
                for round in 0..25u32 {
                    let body = format!("{number}/{round}").repeat(50);
                    let len = body.len();
                    let request = format!(
                        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n{body}"
                    );
                    client.send(request.as_bytes()).await;
                    let response = client.response("POST").await.unwrap();
                    assert_eq!(response.body, body.as_bytes(), "the answer to another");
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let status = stage.status().await;
        assert_eq!(status.requests, 1000);
        assert_eq!(status.applications[0].active_requests, 0);
        stage.quit().await;
    });
}
