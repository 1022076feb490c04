//! Asynchronous ports over real socketpairs, most of them against a peer made by hand.
#![cfg(feature = "async")]

#[path = "raw/peer.rs"]
mod peer;

use std::future::Future;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::task::Poll;
use std::time::Duration;

use peer::{Log, RawPeer, header, identity, is_closed, packet, pipe, text_of};
use port_io::bootstrap::{self, pair};
use port_io::{ConnectError, HELLO_TIMEOUT, Receiver, RequestError, SendError, Sender, connect};
use port_proto::*;

type MainEnd = (Sender<MainToRouter, RouterToMain>, Receiver<MainToRouter, RouterToMain>);
type RouterEnd = (Sender<RouterToMain, MainToRouter>, Receiver<RouterToMain, MainToRouter>);

/// Main's port to a router made by hand.
async fn main_and_raw_router() -> (MainEnd, RawPeer) {
    let (ours, theirs) = pair().expect("makes");
    let raw = RawPeer(theirs);
    raw.send_hello(Hello::new(identity(Role::Router), identity(Role::Main)));
    let end = connect(ours, identity(Role::Main), identity(Role::Router)).await.expect("connects");
    assert_eq!(raw.recv().0.header.kind, Kind::Hello);
    (end, raw)
}

/// A router's port to a main made by hand.
async fn router_and_raw_main() -> (RouterEnd, RawPeer) {
    let (ours, theirs) = pair().expect("makes");
    let raw = RawPeer(theirs);
    raw.send_hello(Hello::new(identity(Role::Main), identity(Role::Router)));
    let end = connect(ours, identity(Role::Router), identity(Role::Main)).await.expect("connects");
    assert_eq!(raw.recv().0.header.kind, Kind::Hello);
    (end, raw)
}

/// Both ends.
async fn main_and_router() -> (MainEnd, RouterEnd) {
    let (ours, theirs) = pair().expect("makes");
    let main = connect(ours, identity(Role::Main), identity(Role::Router));
    let router = bootstrap::accept(theirs, Role::Router);
    let (main, router) = tokio::join!(main, router);
    let (me, its_main, sender, receiver) = router.expect("accepts");
    assert_eq!((me, its_main), (identity(Role::Router), identity(Role::Main)));
    (main.expect("connects"), (sender, receiver))
}

fn log_path(text: &str) -> OpenAccessLog {
    OpenAccessLog { path: text.to_owned() }
}

fn memory(text: &str) -> OwnedFd {
    sys::memfd::sealed("test", text.as_bytes()).expect("makes")
}

/// One step of a future, after the runtime has looked at its sockets.
async fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    tokio::task::yield_now().await;
    let mut future = Some(future);
    std::future::poll_fn(move |ctx| {
        let future = future.take().expect("is polled once");
        Poll::Ready(match future.poll(ctx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// The next message of a port that has one at once.
macro_rules! recv {
    ($receiver:expr) => {
        tokio::time::timeout(Duration::from_secs(5), $receiver.recv()).await.expect("is quick")
    };
}

#[tokio::test]
async fn messages_and_descriptors_travel_both_ways() {
    let ((main_tx, mut main_rx), (router_tx, mut router_rx)) = main_and_router().await;
    assert_eq!(main_tx.peer(), identity(Role::Router));
    assert_eq!(router_rx.peer(), identity(Role::Main));
    let reopened = WithFds { body: ReopenLog, fds: [memory("the log")] };
    main_tx.send(MainToRouter::ReopenLog(reopened)).expect("sends");
    main_tx.send(MainToRouter::Quit(Quit::Graceful)).expect("sends");
    match recv!(router_rx) {
        Some((StreamId::NONE, MainToRouter::ReopenLog(WithFds { fds: [fd], .. }))) => {
            assert!(sys::fd::is_close_on_exec(fd.as_fd()).expect("is open"));
            assert_eq!(text_of(fd), "the log");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(recv!(router_rx), Some((_, MainToRouter::Quit(Quit::Graceful)))));
    let driver = tokio::time::timeout(Duration::from_secs(5), router_rx.recv());
    let ask = async {
        match router_tx.request(log_path("/a")).await {
            Ok(WithFds { fds: [fd], .. }) => assert_eq!(text_of(fd), "an access log"),
            Err(error) => panic!("{error}"),
        }
        match router_tx.request(log_path("/b")).await {
            Err(RequestError::Refused(refusal)) => assert_eq!(refusal.text, "no such place"),
            other => panic!("{other:?}"),
        }
    };
    let answer = async {
        for result in
            [Ok(WithFds { body: (), fds: [memory("an access log")] }), Err("no such place")]
        {
            match recv!(main_rx) {
                Some((stream, RouterToMain::OpenAccessLog(_))) => {
                    let result = result.map_err(Refusal::new);
                    main_tx.answer::<OpenAccessLog>(stream, result).expect("answers");
                }
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::select! {
        end = driver => panic!("{end:?}"),
        _ = async { tokio::join!(ask, answer) } => {}
    }
}

#[tokio::test]
async fn answers_find_their_requests_in_any_order() {
    let ((sender, mut receiver), raw) = router_and_raw_main().await;
    let mut first = pin!(sender.request(KeepListeners { addresses: Vec::new() }));
    let mut second = pin!(sender.request(KeepListeners { addresses: Vec::new() }));
    assert!(poll_once(first.as_mut()).await.is_none());
    assert!(poll_once(second.as_mut()).await.is_none());
    let streams = [raw.recv().0.header.stream, raw.recv().0.header.stream];
    assert!(streams[0] != streams[1] && !streams.contains(&StreamId::NONE));
    let refuse = |stream: StreamId, text: &str| {
        let frame = answer::<KeepListeners>(stream, Err(Refusal::new(text))).expect("encodes");
        raw.send_frame(Header { stream, ..header(frame.kind) }, &frame.payload, &[]);
    };
    refuse(streams[1], "second");
    refuse(streams[0], "first");
    assert!(poll_once(pin!(receiver.recv())).await.is_none());
    for (request, text) in [(first, "first"), (second, "second")] {
        match request.await {
            Err(RequestError::Refused(refusal)) => assert_eq!(refusal.text, text),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_large_configuration_arrives_whole() {
    let (ours, theirs) = pair().expect("makes");
    let main = connect::<MainToController, ControllerToMain>(
        ours,
        identity(Role::Main),
        identity(Role::Controller),
    );
    let controller =
        bootstrap::accept::<ControllerToMain, MainToController>(theirs, Role::Controller);
    let (main, controller) = tokio::join!(main, controller);
    let (main_tx, mut main_rx) = main.expect("connects");
    let (_, _, sender, mut receiver) = controller.expect("accepts");
    let json: Vec<u8> = (0..5_000_000u32).map(|at| at.to_le_bytes()[0]).collect();
    let mut stored = pin!(sender.request(StoreConfig { json: json.clone() }));
    assert!(poll_once(stored.as_mut()).await.is_none());
    match recv!(main_rx) {
        Some((stream, ControllerToMain::StoreConfig(found))) => {
            assert!(found.json == json);
            main_tx.answer::<StoreConfig>(stream, Ok(())).expect("answers");
        }
        other => panic!("{other:?}"),
    }
    assert!(poll_once(pin!(receiver.recv())).await.is_none());
    stored.await.expect("is stored");
}

#[tokio::test]
async fn n18_a_kind_outside_the_matrix_is_dropped_and_changes_nothing() {
    let (log, _guard) = Log::collect();
    let ((sender, mut receiver), raw) = main_and_raw_router().await;
    let pid = std::process::id();
    let (reader, writer) = pipe();
    for kind in [Kind::StoreConfig, Kind::Modules, Kind::SignalWorker, Kind::NewPeer, Kind::Quit] {
        let fds = Header { fds: 1, ..header(kind) };
        raw.send_frame(fds, b"anything", &[writer.as_fd()]);
    }
    raw.send_hello(Hello::new(identity(Role::Router), identity(Role::Main)));
    // Main asks the router nothing, so it takes no answers.
    raw.send_frame(Header { stream: StreamId(1), ..header(Kind::Ready) }, b"", &[]);
    drop(writer);
    raw.send_message(RouterToMain::OpenAccessLog(log_path("/a")), StreamId(7));
    assert!(matches!(recv!(receiver), Some((StreamId(7), RouterToMain::OpenAccessLog(_)))));
    assert!(is_closed(&reader));
    let expected = [
        "store conf",
        "send modules",
        "signal processes",
        "introduce processes",
        "stop processes",
        "introduce itself again",
        "answer requests",
    ]
    .map(|deed| format!("[alert] process {pid} cannot {deed}"));
    assert_eq!(log.take(), expected);
    sender.send(MainToRouter::Quit(Quit::Fast)).expect("still works");
    assert_eq!(raw.recv().0.header.kind, Kind::Quit);
}

#[tokio::test]
async fn n18_an_answer_nobody_waits_for_is_dropped() {
    let (log, _guard) = Log::collect();
    let ((sender, mut receiver), raw) = router_and_raw_main().await;
    let mut request = pin!(sender.request(KeepListeners { addresses: Vec::new() }));
    assert!(poll_once(request.as_mut()).await.is_none());
    let stream = raw.recv().0.header.stream;
    for forged in [StreamId::NONE, StreamId(stream.0 + 1), StreamId(u32::MAX)] {
        raw.send_frame(Header { stream: forged, ..header(Kind::Ready) }, b"", &[]);
    }
    assert!(poll_once(pin!(receiver.recv())).await.is_none());
    assert!(poll_once(request.as_mut()).await.is_none(), "still waits");
    assert_eq!(log.take().len(), 3);
    raw.send_frame(Header { stream, ..header(Kind::Ready) }, b"", &[]);
    assert!(poll_once(pin!(receiver.recv())).await.is_none());
    request.await.expect("is answered");
    // The stream is used up.
    raw.send_frame(Header { stream, ..header(Kind::Ready) }, b"", &[]);
    assert!(poll_once(pin!(receiver.recv())).await.is_none());
    let pid = std::process::id();
    assert_eq!(log.take(), [format!("[alert] process {pid} cannot answer requests")]);
}

#[tokio::test]
async fn a_flood_of_forbidden_messages_does_not_flood_the_log() {
    let (log, _guard) = Log::collect();
    let ((_sender, mut receiver), raw) = main_and_raw_router().await;
    for _ in 0..40 {
        for _ in 0..5 {
            raw.send_frame(header(Kind::Modules), b"", &[]);
        }
        assert!(poll_once(pin!(receiver.recv())).await.is_none());
    }
    let lines = log.take();
    assert_eq!(lines.len(), 101);
    assert!(lines[100].contains("not logged"), "{}", lines[100]);
}

/// Sends a router's packet to main, which must hang up on it and say why, once.
async fn breaks(bytes: &[u8], fds: Vec<OwnedFd>, reason: &str) {
    let (log, _guard) = Log::collect();
    let ((sender, mut receiver), raw) = main_and_raw_router().await;
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    raw.send(bytes, &borrowed);
    raw.send_message(RouterToMain::OpenAccessLog(log_path("/a")), StreamId(7));
    drop(fds);
    assert!(recv!(receiver).is_none(), "{reason}");
    assert!(recv!(receiver).is_none(), "{reason}");
    assert!(sender.is_closed());
    let again = sender.send(MainToRouter::Quit(Quit::Fast));
    assert!(matches!(again, Err(SendError::Closed)), "{again:?}");
    assert!(raw.is_hung_up(), "{reason}");
    let pid = std::process::id();
    assert_eq!(log.take(), [format!("[alert] port of router {pid} closed: {reason}")]);
}

#[tokio::test]
async fn n18_bytes_that_are_no_message_close_the_port() {
    let request = Header { stream: StreamId(7), ..header(Kind::OpenAccessLog) };
    let good = packet(request, b"\x02/a");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    // Filled up to the limit, and a byte more than that was cut off.
    let mut long = packet(request, &[b' '; PAYLOAD_LEN_MAX]);
    long.extend_from_slice(b"xy");
    for (bytes, reason) in [
        (b"".to_vec(), "frame is short: 0 bytes of 12"),
        (good[..11].to_vec(), "frame is short: 11 bytes of 12"),
        (good[..14].to_vec(), "frame is short: 14 bytes of 15"),
        ([&good[..], b"x"].concat(), "frame is long: 1 bytes too many"),
        (with(0, 2), "protocol version 2 instead of 1"),
        (with(1, 99), "unknown message kind 99"),
        (with(2, 5), "unknown flags 0x05"),
        (with(2, 0), "unknown flags 0x00"),
        (with(3, 9), "9 descriptors instead of 4"),
        (with(4, 0), "stream StreamId(0) does not fit OpenAccessLog"),
        (with(11, 9), "payload of 150994947 bytes is over the limit of 16384"),
        (with(12, 9), "payload of OpenAccessLog is malformed"),
        (packet(request, b"\x01/a"), "frame is long: 1 bytes too many"),
        (long, "frame is long: 1 bytes too many"),
    ] {
        breaks(&bytes, Vec::new(), reason).await;
    }
}

#[tokio::test]
async fn n18_another_number_of_descriptors_closes_the_port_and_them() {
    let request = Header { stream: StreamId(7), ..header(Kind::OpenAccessLog) };
    let bulk = Header { bulk: true, payload_len: 3, ..request };
    for (header, payload, sent, reason) in [
        (request, &b"\x02/a"[..], 1, "1 descriptors instead of 0"),
        (request, b"\x02/a", 5, "5 descriptors instead of 0"),
        (
            request,
            b"\x02/a",
            8,
            "descriptors of OpenAccessLog cut off: too many sent, or no number left for them",
        ),
        (Header { fds: 1, ..request }, b"\x02/a", 0, "0 descriptors instead of 1"),
        (Header { fds: 1, ..request }, b"\x02/a", 1, "1 descriptors instead of 0"),
        (Header { fds: 1, ..request }, b"\x02/a", 2, "2 descriptors instead of 1"),
        (bulk, b"", 0, "0 descriptors instead of 1"),
        (bulk, b"", 2, "2 descriptors instead of 1"),
    ] {
        let (readers, writers): (Vec<_>, Vec<_>) = (0..sent).map(|_| pipe()).unzip();
        let fds = writers.into_iter().map(OwnedFd::from).collect();
        breaks(&packet(header, payload), fds, reason).await;
        assert!(readers.iter().all(is_closed), "{reason}");
    }
}

#[tokio::test]
async fn n18_a_bulk_payload_must_be_sealed_and_of_its_length() {
    let bulk =
        Header { stream: StreamId(7), bulk: true, payload_len: 3, ..header(Kind::OpenAccessLog) };
    let reason = "bulk payload is not a sealed memory file of 3 bytes";
    let unsealed = sys::memfd::fixed_size("test", 3).expect("makes");
    let (_reader, writer) = pipe();
    for fd in [unsealed, memory("\x02/"), memory("\x02/a!"), writer.into()] {
        breaks(&packet(bulk, b""), vec![fd], reason).await;
    }
    breaks(
        &packet(Header { payload_len: u32::MAX, ..bulk }, b""),
        vec![memory("\x02/a")],
        "payload of 4294967295 bytes is over the limit of 268435456",
    )
    .await;
    let ((_sender, mut receiver), raw) = main_and_raw_router().await;
    raw.send_frame(bulk, b"", &[memory("\x02/a").as_fd()]);
    match recv!(receiver) {
        Some((StreamId(7), RouterToMain::OpenAccessLog(body))) => assert_eq!(body.path, "/a"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn n18_a_malformed_answer_closes_the_port_and_fails_the_request() {
    let ((sender, mut receiver), raw) = router_and_raw_main().await;
    let mut request = pin!(sender.request(log_path("/a")));
    let mut other = pin!(sender.request(log_path("/b")));
    assert!(poll_once(request.as_mut()).await.is_none());
    assert!(poll_once(other.as_mut()).await.is_none());
    let stream = raw.recv().0.header.stream;
    // The reply is a descriptor, and there is none.
    raw.send_frame(Header { stream, ..header(Kind::Ready) }, b"", &[]);
    assert!(recv!(receiver).is_none());
    assert!(matches!(request.await, Err(RequestError::Lost)));
    assert!(matches!(other.await, Err(RequestError::Lost)));
}

#[tokio::test]
async fn an_answer_without_room_for_its_descriptors_fails_its_request_only() {
    let (log, _guard) = Log::collect();
    let ((sender, mut receiver), raw) = router_and_raw_main().await;
    let mut request = pin!(sender.request(log_path("/a")));
    let mut other = pin!(sender.request(log_path("/b")));
    assert!(poll_once(request.as_mut()).await.is_none());
    assert!(poll_once(other.as_mut()).await.is_none());
    let streams = [raw.recv().0.header.stream, raw.recv().0.header.stream];
    // The kernel cuts off what does not fit, whichever side the reason is on.
    let (reader, writer) = pipe();
    let answer = |stream| Header { stream, fds: 1, ..header(Kind::Ready) };
    raw.send_frame(answer(streams[0]), b"", &[writer.as_fd(); 8]);
    drop(writer);
    raw.send_frame(answer(streams[1]), b"", &[memory("a log").as_fd()]);
    assert!(poll_once(pin!(receiver.recv())).await.is_none());
    assert!(matches!(request.await, Err(RequestError::Lost)));
    assert!(matches!(other.await, Ok(WithFds { .. })));
    assert!(is_closed(&reader));
    let lines = log.take();
    assert!(lines.len() == 1 && lines[0].contains(" lost: descriptors of Ready"), "{lines:?}");
    assert!(!sender.is_closed());
}

/// Not a test of its own: another process that has got hold of a port on its standard input.
#[test]
fn forger() {
    if std::env::var_os("PORT_IO_TEST_FORGER").is_none() {
        return;
    }
    let frame = MainToRouter::Quit(Quit::Fast).into_frame(StreamId::NONE).expect("encodes");
    let bytes = packet(header(frame.kind), &frame.payload);
    let mode = sys::socket::SendMode::PROMPT;
    sys::socket::send_packet(std::io::stdin(), &[IoSlice::new(&bytes)], &[], mode).expect("sends");
}

/// Has another process send a permitted message on this socket; returns its pid.
fn forge(socket: OwnedFd) -> u32 {
    let mut child = Command::new(std::env::current_exe().expect("is known"))
        .args(["--exact", "forger"])
        .env("PORT_IO_TEST_FORGER", "1")
        .stdin(socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    assert!(child.wait().expect("ends").success());
    child.id()
}

#[tokio::test]
async fn n18_a_frame_of_another_process_is_dropped() {
    let (log, _guard) = Log::collect();
    let ((_sender, mut receiver), raw) = router_and_raw_main().await;
    let forger = forge(raw.0.try_clone().expect("duplicates"));
    raw.send_message(MainToRouter::Quit(Quit::Graceful), StreamId::NONE);
    assert!(matches!(recv!(receiver), Some((_, MainToRouter::Quit(Quit::Graceful)))));
    let pid = std::process::id();
    assert_eq!(log.take(), [format!("[alert] process {forger} cannot speak for main {pid}")]);
}

#[tokio::test]
async fn n18_a_hello_of_another_process_is_no_hello() {
    let (ours, theirs) = pair().expect("makes");
    let raw = RawPeer(theirs);
    let mut peer = identity(Role::Router);
    peer.pid.0 += 1;
    raw.send_hello(Hello::new(peer, identity(Role::Main)));
    let result = connect::<MainToRouter, RouterToMain>(ours, identity(Role::Main), peer).await;
    let (expected, found) = (peer.pid.0, identity(Role::Main).pid.0);
    match result {
        Err(ConnectError::Credentials { expected: e, found: f }) => {
            assert_eq!((e, f), (expected, found));
        }
        other => panic!("{other:?}"),
    }
}

async fn connect_error(speak: impl FnOnce(&RawPeer)) -> ConnectError {
    let (ours, theirs) = pair().expect("makes");
    let raw = RawPeer(theirs);
    speak(&raw);
    connect::<MainToRouter, RouterToMain>(ours, identity(Role::Main), identity(Role::Router))
        .await
        .expect_err("is refused")
}

#[tokio::test]
async fn another_release_is_refused_and_both_versions_are_named() {
    let (ours, theirs) = pair().expect("makes");
    let raw = RawPeer(theirs);
    let software = "1.99.7".to_owned();
    let (main, router) = (identity(Role::Main), identity(Role::Router));
    raw.send_hello(Hello { software: software.clone(), from: router, to: main });
    let error = connect::<MainToRouter, RouterToMain>(ours, main, router).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(
        text,
        format!("router is of version 1.99.7, but this is version {SOFTWARE_VERSION}")
    );
    // The other way round, the role answers first, so that main can say the same.
    let (ours, theirs) = pair().expect("makes");
    let raw = RawPeer(theirs);
    raw.send_hello(Hello { software, from: main, to: router });
    let error = bootstrap::accept::<RouterToMain, MainToRouter>(ours, Role::Router).await;
    let text = error.unwrap_err().to_string();
    assert_eq!(text, format!("main is of version 1.99.7, but this is version {SOFTWARE_VERSION}"));
    assert_eq!(raw.recv().0.header.kind, Kind::Hello);
    let error = connect_error(|raw| {
        let hello = Hello::new(router, main).into_frame().expect("encodes");
        let mut bytes = packet(header(Kind::Hello), &hello.payload);
        bytes[0] = 2;
        raw.send(&bytes, &[]);
    })
    .await;
    assert_eq!(error.to_string(), "no hello but something else: protocol version 2 instead of 1");
}

#[tokio::test]
async fn a_hello_for_or_from_someone_else_is_refused() {
    let (main, router) = (identity(Role::Main), identity(Role::Router));
    let later = Identity { generation: Generation(2), ..router };
    for (from, to) in [(later, main), (router, router), (main, main), (router, later)] {
        let error = connect_error(|raw| raw.send_hello(Hello::new(from, to))).await;
        assert!(matches!(error, ConnectError::Identity { .. }), "{error}");
    }
    let (ours, theirs) = pair().expect("makes");
    let raw = RawPeer(theirs);
    raw.send_hello(Hello::new(main, identity(Role::Controller)));
    let error = bootstrap::accept::<RouterToMain, MainToRouter>(ours, Role::Router).await;
    assert_eq!(error.unwrap_err().to_string(), "started as controller, but this is router");
    let (ours, _theirs) = pair().expect("makes");
    let wrong = connect::<MainToRouter, RouterToMain>(ours, main, identity(Role::Controller));
    assert!(matches!(wrong.await, Err(ConnectError::Role { .. })));
}

#[tokio::test]
async fn what_is_no_hello_is_refused() {
    let error = connect_error(|raw| {
        raw.send_message(RouterToMain::OpenAccessLog(log_path("/a")), StreamId(1));
    })
    .await;
    assert!(
        matches!(error, ConnectError::Frame(DecodeError::Forbidden(Kind::OpenAccessLog))),
        "{error}"
    );
    let error = connect_error(|raw| raw.send_frame(header(Kind::Hello), b"\xff", &[])).await;
    assert!(matches!(error, ConnectError::Frame(DecodeError::Payload(Kind::Hello))), "{error}");
    let (ours, theirs) = pair().expect("makes");
    drop(theirs);
    let gone =
        connect::<MainToRouter, RouterToMain>(ours, identity(Role::Main), identity(Role::Router));
    assert!(matches!(gone.await, Err(ConnectError::HungUp)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_in_time() {
    let begin = tokio::time::Instant::now();
    let (ours, _theirs) = pair().expect("makes");
    let silent =
        connect::<MainToRouter, RouterToMain>(ours, identity(Role::Main), identity(Role::Router));
    assert!(matches!(silent.await, Err(ConnectError::Timeout)));
    assert_eq!(begin.elapsed().as_secs(), HELLO_TIMEOUT.as_secs());
    let (ours, _theirs) = pair().expect("makes");
    let silent = bootstrap::accept::<RouterToMain, MainToRouter>(ours, Role::Router);
    assert!(matches!(silent.await, Err(ConnectError::Timeout)));
}

#[tokio::test]
async fn a_hang_up_fails_what_is_pending() {
    let (log, _guard) = Log::collect();
    let ((sender, mut receiver), raw) = router_and_raw_main().await;
    let mut first = pin!(sender.request(log_path("/a")));
    let mut second = pin!(sender.request(KeepListeners { addresses: Vec::new() }));
    assert!(poll_once(first.as_mut()).await.is_none());
    assert!(poll_once(second.as_mut()).await.is_none());
    // What was sent before still arrives.
    raw.recv();
    raw.recv();
    raw.send_message(MainToRouter::Quit(Quit::Fast), StreamId::NONE);
    drop(raw);
    assert!(matches!(recv!(receiver), Some((_, MainToRouter::Quit(Quit::Fast)))));
    assert!(recv!(receiver).is_none());
    assert!(matches!(first.await, Err(RequestError::Lost)));
    assert!(matches!(second.await, Err(RequestError::Lost)));
    let late = sender.request(log_path("/b")).await;
    assert!(matches!(late, Err(RequestError::Send(SendError::Closed))), "{late:?}");
    assert_eq!(log.take(), [""; 0], "a peer that ends is no fault");
}

#[tokio::test]
async fn dropping_the_receiver_closes_the_port() {
    let ((sender, receiver), raw) = router_and_raw_main().await;
    let mut request = pin!(sender.request(log_path("/a")));
    assert!(poll_once(request.as_mut()).await.is_none());
    drop(receiver);
    assert!(matches!(request.await, Err(RequestError::Lost)));
    assert!(raw.is_hung_up());
    assert!(sender.is_closed());
}

#[tokio::test]
async fn an_answer_after_its_request_was_dropped_is_ignored() {
    let (log, _guard) = Log::collect();
    let ((sender, mut receiver), raw) = router_and_raw_main().await;
    {
        let mut request = pin!(sender.request(log_path("/a")));
        assert!(poll_once(request.as_mut()).await.is_none());
    }
    let stream = raw.recv().0.header.stream;
    let (reader, writer) = pipe();
    raw.send_frame(Header { stream, fds: 1, ..header(Kind::Ready) }, b"", &[writer.as_fd()]);
    drop(writer);
    assert!(poll_once(pin!(receiver.recv())).await.is_none());
    assert!(is_closed(&reader));
    assert_eq!(log.take(), [""; 0]);
}

#[tokio::test]
async fn requests_are_not_sent_as_notices() {
    let ((sender, _receiver), _raw) = router_and_raw_main().await;
    let result = sender.send(RouterToMain::OpenAccessLog(log_path("/a")));
    assert!(matches!(result, Err(SendError::WantsAnswer(Kind::OpenAccessLog))), "{result:?}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_holds_a_bounded_number_of_descriptors() {
    let ((sender, _receiver), _raw) = main_and_raw_router().await;
    let message = || {
        let null = std::fs::File::open("/dev/null").unwrap();
        MainToRouter::ReopenLog(WithFds { body: ReopenLog, fds: [null.into()] })
    };
    // What the kernel has taken counts no more.
    let held = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        links.filter(|link| {
            std::fs::read_link(link.path())
                .is_ok_and(|path| path == std::path::Path::new("/dev/null"))
        })
    };
    let before = held().count();
    let refused = loop {
        if let Err(error) = sender.send(message()) {
            break error;
        }
    };
    assert!(matches!(refused, SendError::Full), "{refused}");
    assert!(held().count() <= before + port_io::QUEUE_FDS_MAX, "{}", held().count());
    assert!(held().count() >= before + port_io::QUEUE_FDS_MAX / 2, "{}", held().count());
}

#[tokio::test]
async fn a_peer_that_does_not_read_fills_a_bounded_queue_and_gets_it_in_order() {
    let ((sender, mut receiver), raw) = main_and_raw_router().await;
    let message = |number: usize| {
        let tmp_dir = format!("{number:>8000}");
        MainToRouter::SetUp(SetUpRouter { tmp_dir, modules: Vec::new() })
    };
    let mut sent = 0;
    loop {
        match sender.send(message(sent)) {
            Ok(()) => sent += 1,
            Err(SendError::Full) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sent * 8000 <= port_io::QUEUE_LEN_MAX + (1 << 20), "{sent}");
    assert!(sent * 8000 > port_io::QUEUE_LEN_MAX / 2, "{sent}");
    let mut read = 0;
    while read < sent {
        // Driving the receiver is what sends the rest.
        assert!(poll_once(pin!(receiver.recv())).await.is_none());
        let mut burst = 0;
        while burst < 10 && read < sent {
            let (packet, _) = raw.recv();
            let text = String::from_utf8_lossy(&packet.payload).into_owned();
            assert!(text.contains(&format!(" {read}")), "{read}");
            (read, burst) = (read + 1, burst + 1);
            if burst < 10 {
                assert!(poll_once(pin!(receiver.recv())).await.is_none());
            }
        }
        tokio::task::yield_now().await;
    }
    sender.send(message(sent)).expect("has room again");
}

#[tokio::test]
async fn a_queued_message_wakes_the_task_in_recv_and_flush_waits_for_it() {
    let ((sender, mut receiver), raw) = main_and_raw_router().await;
    let reader = std::thread::spawn({
        let (bell, heard) = std::sync::mpsc::channel::<()>();
        let raw = RawPeer(raw.0.try_clone().expect("duplicates"));
        sys::fd::set_nonblocking(&raw.0, true).expect("sets");
        let join = std::thread::spawn(move || {
            heard.recv().expect("is rung");
            let mut count = 0;
            let deadline = std::time::Instant::now() + Duration::from_secs(10);
            while std::time::Instant::now() < deadline {
                let mut buf = vec![0; 64 * 1024];
                match sys::socket::recv_packet(&raw.0, &mut buf, 8, true) {
                    Ok(packet) if packet.len == 0 => break,
                    Ok(_) => count += 1,
                    Err(_) => std::thread::sleep(Duration::from_millis(1)),
                }
            }
            count
        });
        move || (bell, join)
    });
    let (bell, join) = reader.join().expect("ends");
    let mut sent = 0;
    {
        let mut driver = pin!(receiver.recv());
        assert!(poll_once(driver.as_mut()).await.is_none());
        while sent < 100 {
            let body = SetUpRouter { tmp_dir: " ".repeat(10_000), modules: Vec::new() };
            sender.send(MainToRouter::SetUp(body)).expect("is queued");
            sent += 1;
        }
        bell.send(()).expect("is heard");
        // The first half goes out through the task in `recv`, which only a waker can start.
        let woken = tokio::time::timeout(Duration::from_millis(200), driver.as_mut());
        assert!(woken.await.is_err(), "nothing was received");
    }
    tokio::time::timeout(Duration::from_secs(5), sender.flush())
        .await
        .expect("is quick")
        .expect("is flushed");
    drop((receiver, raw));
    assert_eq!(join.join().expect("ends"), sent);
}

#[tokio::test]
async fn recv_can_be_dropped_and_called_again() {
    let ((_sender, mut receiver), raw) = router_and_raw_main().await;
    for _ in 0..3 {
        assert!(poll_once(pin!(receiver.recv())).await.is_none());
    }
    raw.send_message(MainToRouter::Quit(Quit::Fast), StreamId::NONE);
    raw.send_message(MainToRouter::Quit(Quit::Graceful), StreamId::NONE);
    for quit in [Quit::Fast, Quit::Graceful] {
        match recv!(receiver) {
            Some((_, MainToRouter::Quit(found))) => assert_eq!(found, quit),
            other => panic!("{other:?}"),
        }
    }
}
