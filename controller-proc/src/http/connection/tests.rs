//! Connections over an in-memory stream, with a clock that runs as fast as it can.

use tokio::io::{DuplexStream, duplex};
use tokio::task::LocalSet;

use super::*;
use crate::precondition::Preconditions;

const MAX: usize = 100;

fn limits() -> Limits {
    Limits { body_len_max: MAX, bodies_len_max: MAX + 50, ..Limits::default() }
}

/// A client of a connection whose requests are answered with what they say.
async fn with_client<F: Future<Output = ()>>(client: impl FnOnce(DuplexStream, Share) -> F) {
    let (requests, mut exchanges) = mpsc::channel::<Exchange>(1);
    let share = Share::new(limits(), requests);
    let (ours, theirs) = duplex(64 * 1024);
    let local = LocalSet::new();
    local.spawn_local(serve(Connection { stream: theirs, number: 7 }, share.clone()));
    local.spawn_local(async move {
        while let Some(Exchange { request, reply }) = exchanges.recv().await {
            let Request { method, target, body, preconditions } = request;
            assert_eq!(preconditions, Preconditions::default());
            let [target, body] = [target, body].map(|text| String::from_utf8(text).unwrap());
            let _ = reply.send(Response::success(&format!("{method} {target} {body}")));
        }
    });
    local.run_until(client(ours, share)).await;
}

/// Sends `request`, then reads until the other side closes.
async fn talk(mut stream: DuplexStream, request: &[u8]) -> String {
    // A connection that was refused may already be closed.
    let _ = stream.write_all(request).await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// What is answered to `request`: the status line and the body.
async fn answer_to(request: &[u8]) -> Option<(String, String)> {
    let (tell, told) = oneshot::channel();
    with_client(|stream, _| async move {
        let _ = tell.send(talk(stream, request).await);
    })
    .await;
    let answer = told.await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.lines().next()?.to_owned(), body.to_owned()))
}

fn said(text: &str) -> Option<(String, String)> {
    let body = String::from_utf8(Response::success(text).body).unwrap();
    Some(("HTTP/1.1 200 OK".to_owned(), body))
}

fn refused(line: &str, response: &Response) -> Option<(String, String)> {
    Some((format!("HTTP/1.1 {line}"), String::from_utf8(response.body.clone()).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn requests_reach_the_api_however_their_end_is_said() {
    for (request, echo) in [
        ("GET /config HTTP/1.1\r\nHost: x\r\n\r\n", "GET /config "),
        ("GET /config HTTP/1.0\r\n\r\n", "GET /config "),
        ("HEAD / HTTP/1.1\r\n\r\n", "HEAD / "),
        ("PUT /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "PUT /a {}"),
        ("PUT /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}garbage", "PUT /a {}"),
        ("PUT /a HTTP/1.1\r\n\r\n{}", "PUT /a {}"),
        ("PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "PUT /a {}"),
        ("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "GET /a GET /b HTTP/1.1\r\n\r\n"),
    ] {
        assert_eq!(answer_to(request.as_bytes()).await, said(echo), "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_split_of_a_request_gives_the_same_answer() {
    let request = b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    for at in 1..request.len() {
        with_client(|mut stream, _| async move {
            stream.write_all(&request[..at]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
            let answer = talk(stream, &request[at..]).await;
            assert!(answer.ends_with(&said("PUT /a {}").unwrap().1), "{at}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_is_told_why() {
    let bad = "400 Bad Request";
    for (request, detail) in [
        ("get / HTTP/1.1\r\n\r\n", "The request line is malformed."),
        ("GET / HTTP/3.0\r\n\r\n", "The HTTP version is not supported."),
        ("GET / HTTP/1.1\r\nbad\r\n\r\n", "The header fields are malformed."),
        ("PUT / HTTP/1.1\r\nContent-Length: +1\r\n\r\n1", "The Content-Length field is invalid."),
        (
            "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n1",
            "The Transfer-Encoding field is invalid.",
        ),
        (
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "The chunked body is malformed.",
        ),
    ] {
        let expected = refused(bad, &Response::bad_request(detail));
        assert_eq!(answer_to(request.as_bytes()).await, expected, "{request}");
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
    let expected = refused(bad, &Response::bad_request("The request headers are too long."));
    assert_eq!(answer_to(long.as_bytes()).await, expected);
}

#[tokio::test(start_paused = true)]
async fn large_bodies_are_refused_before_they_are_read() {
    let expected =
        refused("413 Content Too Large", &Response::too_large("At most 100 bytes are accepted."));
    for request in [
        "PUT / HTTP/1.1\r\nContent-Length: 101\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n",
    ] {
        assert_eq!(answer_to(request.as_bytes()).await, expected, "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_share_their_memory_and_give_it_back() {
    with_client(|_idle, share| async move {
        let put = format!("PUT / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{}", "x".repeat(99));
        let (mut first, theirs) = duplex(64 * 1024);
        let stream = tokio::task::spawn_local(serve(
            Connection { stream: theirs, number: 1 },
            share.clone(),
        ));
        first.write_all(put.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(share.bodies_len.get(), 99);
        let (second, theirs) = duplex(64 * 1024);
        tokio::task::spawn_local(serve(Connection { stream: theirs, number: 2 }, share.clone()));
        assert!(talk(second, put.as_bytes()).await.starts_with("HTTP/1.1 413 "));
        drop(first);
        stream.await.unwrap();
        assert_eq!(share.bodies_len.get(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_a_word_gets_it() {
    with_client(|mut stream, _| async move {
        let head = b"PUT / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut word = [0; 25];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"HTTP/1.1 100 Continue\r\n\r\n");
        assert!(talk(stream, b"{}").await.starts_with("HTTP/1.1 200 OK\r\n"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn silent_clients_are_left_without_a_word() {
    let started = Instant::now();
    assert_eq!(answer_to(b"GET / HTTP/1.1\r\n").await, None);
    assert_eq!(started.elapsed().as_secs(), 300);
    let started = Instant::now();
    assert_eq!(answer_to(b"PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{").await, None);
    assert_eq!(started.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn slow_clients_do_not_stay_for_ever() {
    let started = Instant::now();
    with_client(|mut stream, _| async move {
        stream.write_all(b"PUT / HTTP/1.1\r\nContent-Length: 99\r\n\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(50)).await;
        }
    })
    .await;
    assert!(started.elapsed() < Duration::from_secs(400));
}

#[tokio::test(start_paused = true)]
async fn the_share_knows_who_is_still_being_answered() {
    with_client(|stream, share| async move {
        share.answered().await;
        assert_ne!(talk(stream, b"GET / HTTP/1.1\r\n\r\n").await, "");
        share.answered().await;
        assert_eq!(*share.answering.borrow(), 0);
    })
    .await;
}
