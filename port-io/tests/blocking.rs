//! Blocking ports over real socketpairs, and the port a role executable inherits.

#[path = "raw/peer.rs"]
#[allow(dead_code, reason = "the asynchronous tests need more of it")]
mod peer;

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use peer::{Log, RawPeer, header, identity, is_closed, pipe, text_of};
use port_io::blocking::Port;
use port_io::bootstrap::{self, pair};
use port_io::{ConnectError, PortError, SendError};
use port_proto::*;
use sys::poll::{PollFd, PollFlags};

type ToRouter = Port<PrototypeToRouter, RouterToPrototype>;

/// A prototype's port to a router made by hand, which has not introduced itself yet.
fn prototype_and_raw_router() -> (ToRouter, RawPeer) {
    let (ours, theirs) = pair().expect("makes");
    let port = Port::new(ours, identity(Role::Prototype), identity(Role::Router)).expect("is made");
    let raw = RawPeer(theirs);
    assert_eq!(raw.recv().0.header.kind, Kind::Hello);
    (port, raw)
}

fn introduce(raw: &RawPeer) {
    raw.send_hello(Hello::new(identity(Role::Router), identity(Role::Prototype)));
}

fn signal(worker: u32) -> RouterToPrototype {
    let worker = WorkerId(worker);
    RouterToPrototype::SignalWorker(SignalWorker { worker, signal: WorkerSignal::Term })
}

fn start_worker(text: &str) -> RouterToPrototype {
    let memory = || sys::memfd::sealed("test", text.as_bytes()).expect("makes");
    let body = StartWorker { worker: WorkerId(1), channels: 1 };
    RouterToPrototype::StartWorker(WithFds { body, fds: [memory(), memory(), memory()] })
}

#[test]
fn nothing_waits_for_the_hello_of_the_peer() {
    let (mut port, raw) = prototype_and_raw_router();
    assert!(port.recv().expect("is open").is_none());
    port.send(PrototypeToRouter::WorkerExited(WorkerExited {
        worker: WorkerId(1),
        pid: Pid(2),
        status: ExitStatus::Code(0),
    }))
    .expect("sends");
    assert_eq!(raw.recv().0.header.kind, Kind::WorkerExited);
    introduce(&raw);
    assert!(port.recv().expect("is open").is_none());
    raw.send_message(signal(3), StreamId::NONE);
    match port.recv().expect("is open") {
        Some((StreamId::NONE, RouterToPrototype::SignalWorker(body))) => {
            assert_eq!(body.worker, WorkerId(3));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((port.me(), port.peer()), (identity(Role::Prototype), identity(Role::Router)));
}

#[test]
fn requests_come_with_descriptors_and_are_answered() {
    let (mut port, raw) = prototype_and_raw_router();
    introduce(&raw);
    raw.send_message(start_worker("memory"), StreamId(5));
    match port.recv().expect("is open") {
        Some((StreamId(5), RouterToPrototype::StartWorker(WithFds { fds: [a, b, c], .. }))) => {
            for fd in [a, b, c] {
                assert_eq!(text_of(fd), "memory");
            }
        }
        other => panic!("{other:?}"),
    }
    type Asked = WithFds<StartWorker, 3>;
    port.answer::<Asked>(StreamId(5), Ok(WorkerStarted { pid: Pid(9) })).expect("answers");
    port.answer::<Asked>(StreamId(6), Err(Refusal::new("no"))).expect("answers");
    let answers = [raw.recv().0, raw.recv().0];
    assert_eq!(answers[0].header.stream, StreamId(5));
    assert_eq!((answers[0].header.kind, &answers[0].payload[..]), (Kind::Ready, &[18][..]));
    assert_eq!((answers[1].header.kind, &answers[1].payload[..]), (Kind::Error, &b"\x02no"[..]));
}

#[test]
fn n18_what_the_matrix_forbids_is_dropped_and_what_is_no_message_ends_the_port() {
    let (log, _guard) = Log::collect();
    let (mut port, raw) = prototype_and_raw_router();
    introduce(&raw);
    introduce(&raw);
    let (reader, writer) = pipe();
    for kind in [Kind::SetUpPrototype, Kind::Ready, Kind::ReopenLog] {
        raw.send_frame(Header { fds: 1, ..header(kind) }, b"", &[writer.as_fd()]);
    }
    drop(writer);
    raw.send_message(signal(3), StreamId::NONE);
    assert!(port.recv().expect("is open").is_some());
    assert!(is_closed(&reader));
    let pid = std::process::id();
    let expected = ["introduce itself again", "set up processes", "answer requests", "rotate logs"]
        .map(|deed| format!("[alert] process {pid} cannot {deed}"));
    assert_eq!(log.take(), expected);
    raw.send_frame(header(Kind::StartWorker), b"\x01\x01", &[]);
    let error = port.recv().unwrap_err();
    assert!(matches!(error, PortError::Frame(DecodeError::Stream(..))), "{error}");
    assert_eq!(log.take().len(), 1);
}

#[test]
fn the_first_frame_must_be_the_hello_of_the_recorded_peer() {
    let (log, _guard) = Log::collect();
    let (mut port, raw) = prototype_and_raw_router();
    raw.send_message(signal(3), StreamId::NONE);
    assert!(matches!(port.recv(), Err(PortError::Hello(_))));
    let (mut port, raw) = prototype_and_raw_router();
    let later = Identity { generation: Generation(2), ..identity(Role::Router) };
    raw.send_hello(Hello::new(later, identity(Role::Prototype)));
    assert!(matches!(port.recv(), Err(PortError::Hello(_))));
    let (mut port, raw) = prototype_and_raw_router();
    let mut hello = Hello::new(identity(Role::Router), identity(Role::Prototype));
    hello.software = "1.0".to_owned();
    raw.send_hello(hello);
    let text = port.recv().unwrap_err().to_string();
    assert_eq!(text, format!("router is of version 1.0, but this is version {SOFTWARE_VERSION}"));
    assert_eq!(log.take().len(), 3);
    let (ours, _theirs) = pair().expect("makes");
    let wrong = ToRouter::new(ours, identity(Role::Prototype), identity(Role::Controller));
    assert!(matches!(wrong, Err(ConnectError::Role { .. })));
}

#[test]
fn n18_a_wrongly_recorded_peer_is_no_peer() {
    let (_log, _guard) = Log::collect();
    let (ours, theirs) = pair().expect("makes");
    let raw = RawPeer(theirs);
    let mut router = identity(Role::Router);
    router.pid.0 += 1;
    let mut port = ToRouter::new(ours, identity(Role::Prototype), router).expect("is made");
    raw.send_hello(Hello::new(router, identity(Role::Prototype)));
    match port.recv() {
        Err(PortError::Hello(error)) => {
            assert!(matches!(*error, ConnectError::Credentials { .. }), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hang_up_ends_the_port_after_what_came_before_it() {
    let (log, _guard) = Log::collect();
    let (mut port, raw) = prototype_and_raw_router();
    introduce(&raw);
    raw.send_message(RouterToPrototype::Quit(Quit::Fast), StreamId::NONE);
    drop(raw);
    let mut fds = [PollFd::new(&port, PollFlags::IN)];
    assert_eq!(sys::poll::poll(&mut fds, Some(Duration::from_secs(5))).expect("polls"), 1);
    assert!(matches!(port.recv(), Ok(Some((_, RouterToPrototype::Quit(Quit::Fast))))));
    assert!(matches!(port.recv(), Err(PortError::HungUp)));
    let gone = port.send(PrototypeToRouter::WorkerExited(WorkerExited {
        worker: WorkerId(1),
        pid: Pid(2),
        status: ExitStatus::Signal(9),
    }));
    assert!(matches!(gone, Err(SendError::Closed)), "{gone:?}");
    assert_eq!(log.take(), [""; 0]);
}

#[test]
fn a_full_socket_is_waited_for() {
    let (port, raw) = prototype_and_raw_router();
    let reader = std::thread::spawn(move || {
        let mut count = 0;
        let deadline = Instant::now() + Duration::from_secs(10);
        while count < 1000 && Instant::now() < deadline {
            match sys::socket::recv_packet(&raw.0, &mut [0; 64], 0, true) {
                Ok(_) => count += 1,
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        count
    });
    for worker in 0..1000 {
        port.send(PrototypeToRouter::WorkerExited(WorkerExited {
            worker: WorkerId(worker),
            pid: Pid(2),
            status: ExitStatus::Code(0),
        }))
        .expect("sends");
    }
    assert_eq!(reader.join().expect("ends"), 1000);
}

/// Not a test of its own: a role executable as main starts it, with its port on descriptor 3.
#[test]
fn prototype() {
    let Ok(case) = std::env::var("PORT_IO_TEST_PROTOTYPE") else { return };
    let opened = bootstrap::inherited_blocking::<PrototypeToMain, MainToPrototype>(Role::Prototype);
    if case == "alone" {
        let text = opened.unwrap_err().to_string();
        assert!(text.contains("this program is started by unitd"), "{text}");
        return;
    }
    let (me, main, mut port) = opened.expect("opens");
    assert_eq!((me.role, main.role), (Role::Prototype, Role::Main));
    assert_eq!(me.pid.0.cast_unsigned(), std::process::id());
    let mut fds = [PollFd::new(&port, PollFlags::IN)];
    sys::poll::poll(&mut fds, Some(Duration::from_secs(5))).expect("polls");
    assert!(matches!(port.recv(), Ok(Some((_, MainToPrototype::Quit(Quit::Graceful))))));
    // A second one is refused, and the first goes on.
    let again = bootstrap::inherited_blocking::<PrototypeToMain, MainToPrototype>(Role::Prototype);
    assert!(matches!(again, Err(ConnectError::NotInherited { .. })), "{again:?}");
    port.answer::<WithFds<SetUpPrototype, 1>>(StreamId(1), Ok(())).expect("answers");
}

/// Starts this file again as a prototype, with its port where the shell puts it.
fn start(case: &str, stdin: impl Into<Stdio>, redirection: &str) -> std::process::Child {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec \"$0\" --exact prototype --test-threads=1 {redirection}"))
        .arg(std::env::current_exe().expect("is known"))
        .env("PORT_IO_TEST_PROTOTYPE", case)
        .stdin(stdin)
        .stdout(Stdio::null())
        .spawn()
        .expect("starts")
}

#[test]
fn a_role_executable_opens_its_inherited_port_once() {
    let (ours, theirs): (OwnedFd, OwnedFd) = pair().expect("makes");
    let mut child = start("child", theirs, "3<&0 </dev/null");
    let main = identity(Role::Main);
    let pid = Pid(i32::try_from(child.id()).expect("fits"));
    let me = Identity { role: Role::Prototype, pid, generation: Generation(7) };
    let raw = RawPeer(ours);
    raw.send_hello(Hello::new(main, me));
    let mut fds = [PollFd::new(&raw.0, PollFlags::IN)];
    sys::poll::poll(&mut fds, Some(Duration::from_secs(5))).expect("polls");
    let (packet, _) = raw.recv();
    assert_eq!(packet.header.kind, Kind::Hello);
    raw.send_message(MainToPrototype::Quit(Quit::Graceful), StreamId::NONE);
    assert!(child.wait().expect("ends").success());
    assert_eq!(raw.recv().0.header.kind, Kind::Ready);
}

#[test]
fn a_role_executable_started_by_hand_says_who_starts_it() {
    for redirection in ["3<&-", "3</dev/null"] {
        let mut child = start("alone", Stdio::null(), redirection);
        assert!(child.wait().expect("ends").success(), "{redirection}");
    }
}

#[test]
fn main_that_is_silent_or_gone_is_an_error() {
    let (ours, theirs) = pair().expect("makes");
    drop(theirs);
    let gone =
        bootstrap::accept_blocking::<PrototypeToMain, MainToPrototype>(ours, Role::Prototype);
    assert!(matches!(gone, Err(ConnectError::HungUp)), "{gone:?}");
    let (ours, theirs) = pair().expect("makes");
    let raw = RawPeer(theirs);
    raw.send_hello(Hello::new(identity(Role::Main), identity(Role::Router)));
    let other =
        bootstrap::accept_blocking::<PrototypeToMain, MainToPrototype>(ours, Role::Prototype);
    assert_eq!(other.unwrap_err().to_string(), "started as router, but this is prototype");
}
