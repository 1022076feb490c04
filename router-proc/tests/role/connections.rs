//! Connections: how requests arrive, and how they end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::apply::{RETURN, app};
use crate::prototype::Board;
use crate::stage::{on_stage, until};

/// N1: a request is the same however it is cut.
#[test]
fn every_split_of_a_request_gives_the_same_answer() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let request = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789GET / HTTP/1.1\r\n\r\n";
        let mut client = stage.connect().await;
        for at in 1..request.len() {
            client.send(&request[..at]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            client.send(&request[at..]).await;
            assert_eq!(client.response("POST").await.unwrap().body, b"0123456789", "split at {at}");
            assert_eq!(client.response("GET").await.unwrap().body, b"hello", "split at {at}");
        }
        stage.quit().await;
    });
}

#[test]
fn requests_in_a_row_are_answered_in_order() {
    on_stage(async |stage| {
        stage.apply(&app(r#","processes":3"#)).await;
        let mut client = stage.connect().await;
        let mut requests = Vec::new();
        for number in 0..200 {
            let body = number.to_string();
            let len = body.len();
            requests.extend(
                format!("POST /echo HTTP/1.1\r\nContent-Length: {len}\r\n\r\n{body}").into_bytes(),
            );
        }
        client.send(&requests).await;
        for number in 0..200 {
            let response = client.response("POST").await.unwrap();
            assert_eq!(response.body, number.to_string().into_bytes());
        }
        stage.quit().await;
    });
}

/// The client must read the answer before it learns that nobody read all it sent.
#[test]
fn refused_requests_are_answered_though_more_is_being_sent() {
    on_stage(async |stage| {
        stage.apply(RETURN).await;
        for (head, status) in [
            ("POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
            ("get / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\n\r\n", 505),
        ] {
            let mut client = stage.connect().await;
            let mut bytes = head.as_bytes().to_vec();
            bytes.resize(bytes.len() + 1_000_000, b'x');
            client.send(&bytes).await;
            let response = client.response("POST").await.expect(head);
            assert_eq!(response.status, status);
            assert!(client.is_closed().await);
        }
        stage.quit().await;
    });
}

#[test]
fn what_follows_the_last_request_does_not_destroy_its_answer() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut client = stage.connect().await;
        client.send(b"GET /hold HTTP/1.1\r\nConnection: close\r\n\r\n").await;
        until("it is begun", || Board::get(&stage.board.begun) == 1).await;
        // It arrives while the application answers, and is never read as a request.
        client.send(&vec![b'x'; 200_000]).await;
        stage.board.released.store(true, Ordering::SeqCst);
        assert_eq!(client.response("GET").await.unwrap().body, b"held");
        // Not a reset, which might have overtaken the answer.
        assert_eq!(client.stream.read(&mut [0; 1]).await.unwrap(), 0);
        stage.quit().await;
    });
}

#[test]
fn a_client_that_expects_to_be_asked_is_asked() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut client = stage.connect().await;
        let head = b"POST /echo HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
        client.send(head).await;
        assert_eq!(client.response("POST").await.unwrap().status, 100);
        client.send(b"body").await;
        assert_eq!(client.response("POST").await.unwrap().body, b"body");
        stage.quit().await;
    });
}

#[test]
fn http_1_0_closes_unless_asked_not_to() {
    on_stage(async |stage| {
        stage.apply(&app("")).await;
        let mut client = stage.connect().await;
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        let response = client.response("GET").await.unwrap();
        assert_eq!(response.field("Connection"), Some("keep-alive"));
        client.send(b"GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(client.response("GET").await.unwrap().body, b"hello");
        assert!(client.is_closed().await);
        let mut client = stage.connect().await;
        client.send(b"GET /stream/100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        let response = client.response("GET").await.unwrap();
        assert_eq!(response.body.len(), 100_000);
        assert_eq!(response.field("Transfer-Encoding"), None);
        stage.quit().await;
    });
}

fn with_http(settings: &str) -> String {
    let text = app("");
    format!(r#"{{"settings":{{"http":{{{settings}}}}},{}"#, &text[1..])
}

/// http.md §6: the fixed answer, its fields in this order.
#[test]
fn an_idle_connection_is_told_and_closed() {
    on_stage(async |stage| {
        stage.apply(&with_http(r#""idle_timeout":1"#)).await;
        let mut client = stage.connect().await;
        assert_eq!(client.get("/").await.1, b"hello");
        let mut text = String::new();
        client.stream.read_to_string(&mut text).await.unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], "HTTP/1.1 408 Request Timeout");
        assert_eq!(lines[1], concat!("Server: Unit/", env!("CARGO_PKG_VERSION")));
        assert_eq!(lines[2..4], ["Connection: close", "Content-Length: 0"]);
        assert!(lines[4].starts_with("Date: "));
        assert_eq!(lines[5..], ["", ""]);
        let status = stage.until_status("it is closed", |status| status.closed == 1).await;
        assert_eq!((status.requests, status.idle, status.active), (1, 0, 0));
        stage.quit().await;
    });
}

/// N20: neither a head nor a body may take for ever.
#[test]
fn a_request_that_does_not_end_is_refused() {
    on_stage(async |stage| {
        let settings = r#""header_read_timeout":2,"body_read_timeout":5,"min_rate":0"#;
        stage.apply(&with_http(settings)).await;
        let mut head = stage.connect().await;
        let mut body = stage.connect().await;
        let mut half = stage.connect().await;
        head.send(b"GET / HTTP/1.1\r\n").await;
        body.send(b"POST /echo HTTP/1.1\r\nContent-Length: 8\r\n\r\n").await;
        half.send(b"POST /echo HTTP/1.1\r\nContent-Length: 8\r\n\r\nhalf").await;
        // Bytes trickle in: they move the deadline of a body, not that of a head.
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(800)).await;
            // It may have been refused meanwhile.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut head.stream, b"X: y\r\n").await;
            body.send(b"x").await;
        }
        let response = body.response("POST").await.unwrap();
        assert_eq!((response.status, response.body), (200, b"xxxxxxxx".to_vec()));
        assert_eq!(head.response("GET").await.unwrap().status, 408);
        assert_eq!(half.response("POST").await.unwrap().status, 408);
        stage.quit().await;
    });
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    on_stage(async |stage| {
        stage.apply(&with_http(r#""send_timeout":1"#)).await;
        let mut client = stage.connect().await;
        client.send(b"GET /stream/80000000 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        stage
            .until_status("it is over", |status| {
                status.closed == 1 && status.applications[0].active_requests == 0
            })
            .await;
        assert!(client.response("GET").await.is_none(), "it is cut");
        assert_eq!(stage.get("/").await.1, b"hello");
        stage.quit().await;
    });
}

#[test]
fn waiting_for_an_application_has_no_deadline_of_the_connection() {
    on_stage(async |stage| {
        let settings =
            r#""send_timeout":1,"idle_timeout":1,"header_read_timeout":1,"body_read_timeout":1"#;
        stage.apply(&with_http(settings)).await;
        let mut client = stage.connect().await;
        client.send(b"POST /hold HTTP/1.1\r\nContent-Length: 4\r\n\r\n").await;
        client.send(b"body").await;
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        stage.board.released.store(true, Ordering::SeqCst);
        assert_eq!(client.response("POST").await.unwrap().body, b"held");
        assert_eq!(client.get("/").await.1, b"hello");
        stage.quit().await;
    });
}
