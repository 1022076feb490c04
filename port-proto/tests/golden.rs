//! The exact bytes of every kind in every direction, and of every answer. A reordered field or
//! variant, a changed number or another serialisation fails here: both ends are of one release, but
//! the bytes are also what the decoders' corpora and a reader of a trace rely on.
//!
//! Each row is one packet in hexadecimal: header, a bar, payload.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::OwnedFd;

use port_proto::*;

fn with_fds<T, const N: usize>(body: T) -> WithFds<T, N> {
    let null = || OwnedFd::from(File::open("/dev/null").expect("opens"));
    WithFds { body, fds: std::array::from_fn(|_| null()) }
}

/// The packet of a frame as it is on the wire.
fn packet(frame: Frame) -> String {
    let header = Header {
        kind: frame.kind,
        stream: frame.stream,
        last: frame.last,
        bulk: false,
        fds: u8::try_from(frame.fds.len()).expect("few"),
        payload_len: u32::try_from(frame.payload.len()).expect("small"),
    };
    let mut wire = Vec::new();
    header.encode(&mut wire);
    wire.extend_from_slice(&frame.payload);
    let mut text = String::new();
    for (at, byte) in wire.iter().enumerate() {
        if at == HEADER_LEN {
            text.push_str("| ");
        }
        write!(text, "{byte:02x} ").expect("never fails");
    }
    if wire.len() == HEADER_LEN {
        text.push('|');
    }
    text.trim_end().to_owned()
}

/// Checks the packets of a direction, and that no kind of it is missing.
fn direction<D: Direction>(rows: Vec<(D, &str)>) {
    let kinds: BTreeSet<Kind> = rows.iter().map(|(message, _)| message.kind()).collect();
    assert_eq!(kinds, D::KINDS.iter().copied().collect(), "every kind has a row");
    for (message, expected) in rows {
        let kind = message.kind();
        let stream =
            if D::REQUESTS.contains(&kind) { StreamId(0x0a0b_0c0d) } else { StreamId::NONE };
        let found = packet(message.into_frame(stream).expect("encodes"));
        assert_eq!(found, expected, "{:?} -> {:?}: {kind:?}", D::FROM, D::TO);
    }
}

type Answer<R> = Result<<R as Request>::Reply, <R as Request>::Refusal>;

/// Checks a reply and the refusals of a request.
fn answers<R: Request>(rows: Vec<(Answer<R>, &str)>) {
    assert!(rows.iter().any(|(answer, _)| answer.is_ok()), "a reply has a row");
    assert!(rows.iter().any(|(answer, _)| answer.is_err()), "a refusal has a row");
    for (result, expected) in rows {
        let found = packet(answer::<R>(StreamId(0x0a0b_0c0d), result).expect("encodes"));
        assert_eq!(found, expected, "{}", std::any::type_name::<R>());
    }
}

fn identity(role: Role) -> Identity {
    Identity { role, pid: Pid(300), generation: Generation(2) }
}

fn name(text: &str) -> UploadName {
    UploadName::new(text).expect("is the name of a file")
}

fn modules() -> Vec<Module> {
    vec![Module {
        language: "py".to_owned(),
        version: "3.1".to_owned(),
        file: "/p".to_owned(),
        mounts: vec!["/l".to_owned()],
    }]
}

#[test]
fn hello() {
    let hello = Hello {
        software: "2.0.0".to_owned(),
        from: identity(Role::Main),
        to: Identity { role: Role::Router, pid: Pid(-1), generation: Generation(u32::MAX) },
    };
    assert_eq!(
        packet(hello.into_frame().expect("encodes")),
        "01 01 01 00 00 00 00 00 11 00 00 00 | 05 32 2e 30 2e 30 00 d8 04 02 03 01 ff ff ff ff 0f"
    );
    let tags = Role::ALL.map(|role| {
        let hello = Hello { software: String::new(), from: identity(role), to: identity(role) };
        hello.into_frame().expect("encodes").payload[1]
    });
    assert_eq!(tags, [0, 1, 2, 3, 4]);
}

#[test]
fn main_to_discovery() {
    direction(vec![
        (
            MainToDiscovery::ProbeModules(ProbeModules { modules_dir: "/m".to_owned() }),
            "01 0a 01 00 00 00 00 00 03 00 00 00 | 02 2f 6d",
        ),
        (MainToDiscovery::Quit(Quit::Fast), "01 04 01 00 00 00 00 00 01 00 00 00 | 00"),
        (MainToDiscovery::Quit(Quit::Graceful), "01 04 01 00 00 00 00 00 01 00 00 00 | 01"),
    ]);
}

#[test]
fn discovery_to_main() {
    direction(vec![(
        DiscoveryToMain::Modules(Modules { modules: modules() }),
        "01 0b 01 00 00 00 00 00 0f 00 00 00 | 01 02 70 79 03 33 2e 31 02 2f 70 01 02 2f 6c",
    )]);
}

#[test]
fn main_to_controller() {
    let set_up = |stored| {
        MainToController::SetUp(with_fds(SetUpController {
            stored,
            modules: modules(),
            uploads: vec![StoredUpload {
                kind: UploadKind::Certificate,
                name: name("c"),
                content: b"x".to_vec(),
            }],
        }))
    };
    direction(vec![
        (
            set_up(StoredConfig::Absent),
            "01 1e 01 01 00 00 00 00 16 00 00 00 | 00 01 02 70 79 03 33 2e 31 02 2f 70 01 02 2f 6c 01 00 01 63 01 78",
        ),
        (
            set_up(StoredConfig::Present { json: b"{}".to_vec(), version: 12500 }),
            "01 1e 01 01 00 00 00 00 1b 00 00 00 | 01 02 7b 7d d4 61 01 02 70 79 03 33 2e 31 02 2f 70 01 02 2f 6c 01 00 01 63 01 78",
        ),
        (
            set_up(StoredConfig::Initial { json: b"{}".to_vec() }),
            "01 1e 01 01 00 00 00 00 19 00 00 00 | 02 02 7b 7d 01 02 70 79 03 33 2e 31 02 2f 70 01 02 2f 6c 01 00 01 63 01 78",
        ),
        (
            set_up(StoredConfig::BadVersion { text: "x".to_owned() }),
            "01 1e 01 01 00 00 00 00 18 00 00 00 | 03 01 78 01 02 70 79 03 33 2e 31 02 2f 70 01 02 2f 6c 01 00 01 63 01 78",
        ),
        (
            set_up(StoredConfig::Unreadable { text: "y".to_owned() }),
            "01 1e 01 01 00 00 00 00 18 00 00 00 | 04 01 79 01 02 70 79 03 33 2e 31 02 2f 70 01 02 2f 6c 01 00 01 63 01 78",
        ),
        (
            MainToController::NewPeer(with_fds(NewPeer { peer: identity(Role::Router) })),
            "01 05 01 01 00 00 00 00 04 00 00 00 | 03 d8 04 02",
        ),
        (
            MainToController::PeerLost(PeerLost { peer: identity(Role::Router) }),
            "01 06 01 00 00 00 00 00 04 00 00 00 | 03 d8 04 02",
        ),
        (MainToController::ReopenLog(with_fds(ReopenLog)), "01 07 01 01 00 00 00 00 00 00 00 00 |"),
        (MainToController::Quit(Quit::Graceful), "01 04 01 00 00 00 00 00 01 00 00 00 | 01"),
        (
            MainToController::CheckConfig(CheckConfig {
                json: b"{}".to_vec(),
                modules: modules(),
                uploads: Some(Vec::new()),
            }),
            "01 21 01 00 0d 0c 0b 0a 14 00 00 00 | 02 7b 7d 01 02 70 79 03 33 2e 31 02 2f 70 01 02 2f 6c 01 00",
        ),
    ]);
    answers::<CheckConfig>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (
            Err(ConfigFault {
                detail: "no".to_owned(),
                pointer: Some("/x".to_owned()),
                place: Some((3, 300)),
                suggestion: Some("y".to_owned()),
            }),
            "01 03 01 00 0d 0c 0b 0a 0e 00 00 00 | 02 6e 6f 01 02 2f 78 01 03 ac 02 01 01 79",
        ),
    ]);
}

#[test]
fn controller_to_main() {
    let application = PermittedApplication {
        name: "app".to_owned(),
        module_file: "/p".to_owned(),
        user: Some("u".to_owned()),
        group: None,
        working_directory: Some("/w".to_owned()),
        stdout: Some("/o".to_owned()),
        stderr: Some("/e".to_owned()),
        new_privs: true,
        application: b"{}".to_vec(),
    };
    let permissions = Permissions {
        listeners: vec![ListenAddress::UnixPath("/s".to_owned())],
        applications: vec![application],
        access_logs: vec!["/a".to_owned()],
        certificates: vec![name("c")],
        scripts: vec![name("s")],
    };
    direction(vec![
        (
            ControllerToMain::PermitConfig(PermitConfig {
                stage: ConfigStage::Current,
                permissions: Permissions::default(),
            }),
            "01 20 01 00 0d 0c 0b 0a 06 00 00 00 | 00 00 00 00 00 00",
        ),
        (
            ControllerToMain::PermitConfig(PermitConfig {
                stage: ConfigStage::Proposed,
                permissions,
            }),
            "01 20 01 00 0d 0c 0b 0a 2c 00 00 00 | 01 01 01 02 2f 73 01 03 61 70 70 02 2f 70 01 01 75 00 01 02 2f 77 01 02 2f 6f 01 02 2f 65 01 02 7b 7d 01 02 2f 61 01 01 63 01 01 73",
        ),
        (
            ControllerToMain::StoreConfig(StoreConfig { json: b"{}".to_vec() }),
            "01 1f 01 00 0d 0c 0b 0a 03 00 00 00 | 02 7b 7d",
        ),
        (
            ControllerToMain::StoreUpload(StoreUpload {
                kind: UploadKind::Certificate,
                name: name("c"),
                content: b"x".to_vec(),
            }),
            "01 22 01 00 0d 0c 0b 0a 05 00 00 00 | 00 01 63 01 78",
        ),
        (
            ControllerToMain::DeleteUpload(DeleteUpload {
                kind: UploadKind::Script,
                name: name("s"),
            }),
            "01 23 01 00 0d 0c 0b 0a 03 00 00 00 | 01 01 73",
        ),
    ]);
    answers::<StoreUpload>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
    answers::<DeleteUpload>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
    answers::<PermitConfig>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
    answers::<StoreConfig>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
}

#[test]
fn main_to_router() {
    direction(vec![
        (
            MainToRouter::SetUp(SetUpRouter { tmp_dir: "/t".to_owned(), modules: modules() }),
            "01 14 01 00 00 00 00 00 12 00 00 00 | 02 2f 74 01 02 70 79 03 33 2e 31 02 2f 70 01 02 2f 6c",
        ),
        (
            MainToRouter::NewPeer(with_fds(NewPeer { peer: identity(Role::Controller) })),
            "01 05 01 01 00 00 00 00 04 00 00 00 | 02 d8 04 02",
        ),
        (
            MainToRouter::PeerLost(PeerLost { peer: identity(Role::Prototype) }),
            "01 06 01 00 00 00 00 00 04 00 00 00 | 04 d8 04 02",
        ),
        (MainToRouter::ReopenLog(with_fds(ReopenLog)), "01 07 01 01 00 00 00 00 00 00 00 00 |"),
        (MainToRouter::Quit(Quit::Graceful), "01 04 01 00 00 00 00 00 01 00 00 00 | 01"),
    ]);
}

#[test]
fn router_to_main() {
    let open = |address, backlog| RouterToMain::OpenListener(OpenListener { address, backlog });
    let inet = |text: &str| ListenAddress::Inet(text.parse().expect("is an address"));
    let start = StartPrototype { name: "app".to_owned(), application: b"{}".to_vec() };
    direction(vec![
        (
            open(inet("127.0.0.1:8080"), 511),
            "01 15 01 00 0d 0c 0b 0a 0a 00 00 00 | 00 00 7f 00 00 01 90 3f fe 07",
        ),
        (
            open(inet("[::1]:80"), -1),
            "01 15 01 00 0d 0c 0b 0a 14 00 00 00 | 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 50 01",
        ),
        (
            open(ListenAddress::UnixPath("/s".to_owned()), 1),
            "01 15 01 00 0d 0c 0b 0a 05 00 00 00 | 01 02 2f 73 02",
        ),
        (
            open(ListenAddress::UnixAbstract("a".to_owned()), 1),
            "01 15 01 00 0d 0c 0b 0a 04 00 00 00 | 02 01 61 02",
        ),
        (
            RouterToMain::KeepListeners(KeepListeners {
                addresses: vec![ListenAddress::UnixPath("/s".to_owned())],
            }),
            "01 16 01 00 0d 0c 0b 0a 05 00 00 00 | 01 01 02 2f 73",
        ),
        (
            RouterToMain::StartPrototype(start),
            "01 17 01 00 0d 0c 0b 0a 07 00 00 00 | 03 61 70 70 02 7b 7d",
        ),
        (
            RouterToMain::OpenAccessLog(OpenAccessLog { path: "/a".to_owned() }),
            "01 18 01 00 0d 0c 0b 0a 03 00 00 00 | 02 2f 61",
        ),
        (
            RouterToMain::OpenUpload(OpenUpload { kind: UploadKind::Certificate, name: name("c") }),
            "01 19 01 00 0d 0c 0b 0a 03 00 00 00 | 00 01 63",
        ),
    ]);
    answers::<OpenUpload>(vec![
        (Ok(with_fds(())), "01 02 01 01 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
    let refused = |class| Err(ListenerRefusal { class, text: "t".to_owned() });
    answers::<OpenListener>(vec![
        (
            Ok(with_fds(ListenerOpened { created: true })),
            "01 02 01 01 0d 0c 0b 0a 01 00 00 00 | 01",
        ),
        (refused(ListenerErrorClass::System), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 00 01 74"),
        (refused(ListenerErrorClass::NoIpv6), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 01 01 74"),
        (refused(ListenerErrorClass::Port), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 01 74"),
        (refused(ListenerErrorClass::InUse), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 03 01 74"),
        (refused(ListenerErrorClass::NoAddress), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 04 01 74"),
        (refused(ListenerErrorClass::NoAccess), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 05 01 74"),
        (refused(ListenerErrorClass::Path), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 06 01 74"),
    ]);
    answers::<KeepListeners>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
    answers::<StartPrototype>(vec![
        (
            Ok(with_fds(PrototypeStarted { prototype: identity(Role::Prototype) })),
            "01 02 01 01 0d 0c 0b 0a 04 00 00 00 | 04 d8 04 02",
        ),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
    answers::<OpenAccessLog>(vec![
        (Ok(with_fds(())), "01 02 01 01 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
}

#[test]
fn main_to_prototype() {
    let set_up = SetUpPrototype {
        name: "app".to_owned(),
        router: identity(Role::Router),
        credentials: Some(Credentials { uid: 1000, gid: 1001, groups: vec![4] }),
        working_directory: Some("/w".to_owned()),
        stdout: Some("/o".to_owned()),
        stderr: Some("/e".to_owned()),
        new_privs: true,
        application: b"{}".to_vec(),
    };
    let bare = SetUpPrototype {
        credentials: None,
        working_directory: None,
        stdout: None,
        stderr: None,
        new_privs: false,
        ..set_up.clone()
    };
    direction(vec![
        (
            MainToPrototype::SetUp(with_fds(set_up)),
            "01 32 01 01 0d 0c 0b 0a 1f 00 00 00 | 03 61 70 70 03 d8 04 02 01 e8 07 e9 07 01 04 01 02 2f 77 01 02 2f 6f 01 02 2f 65 01 02 7b 7d",
        ),
        (
            MainToPrototype::SetUp(with_fds(bare)),
            "01 32 01 01 0d 0c 0b 0a 10 00 00 00 | 03 61 70 70 03 d8 04 02 00 00 00 00 00 02 7b 7d",
        ),
        (MainToPrototype::ReopenLog(with_fds(ReopenLog)), "01 07 01 01 00 00 00 00 00 00 00 00 |"),
        (MainToPrototype::Quit(Quit::Graceful), "01 04 01 00 00 00 00 00 01 00 00 00 | 01"),
    ]);
    answers::<WithFds<SetUpPrototype, 1>>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
}

#[test]
fn prototype_to_main_and_router_to_controller_only_answer() {
    direction::<PrototypeToMain>(vec![]);
    direction::<RouterToController>(vec![]);
}

#[test]
fn controller_to_router() {
    direction(vec![
        (
            ControllerToRouter::PrepareConfig(PrepareConfig {
                stage: ConfigStage::Proposed,
                json: b"{}".to_vec(),
            }),
            "01 28 01 00 0d 0c 0b 0a 04 00 00 00 | 01 02 7b 7d",
        ),
        (
            ControllerToRouter::PrepareConfig(PrepareConfig {
                stage: ConfigStage::Tried,
                json: b"{}".to_vec(),
            }),
            "01 28 01 00 0d 0c 0b 0a 04 00 00 00 | 02 02 7b 7d",
        ),
        (ControllerToRouter::CommitConfig(CommitConfig), "01 29 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (ControllerToRouter::AbortConfig(AbortConfig), "01 2a 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (ControllerToRouter::GetStatus(GetStatus), "01 2b 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (
            ControllerToRouter::RestartApplication(RestartApplication { name: "app".to_owned() }),
            "01 2c 01 00 0d 0c 0b 0a 04 00 00 00 | 03 61 70 70",
        ),
    ]);
    answers::<PrepareConfig>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
    answers::<CommitConfig>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
    answers::<AbortConfig>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
    let application = ApplicationStatus {
        name: "app".to_owned(),
        running: 6,
        starting: 7,
        idle: 8,
        active_requests: 9,
    };
    let status = Status {
        accepted: 1,
        active: 2,
        idle: 3,
        closed: 4,
        requests: 500,
        applications: vec![application],
    };
    answers::<GetStatus>(vec![
        (
            Ok(status),
            "01 02 01 00 0d 0c 0b 0a 0f 00 00 00 | 01 02 03 04 f4 03 01 03 61 70 70 06 07 08 09",
        ),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
    answers::<RestartApplication>(vec![
        (Ok(()), "01 02 01 00 0d 0c 0b 0a 00 00 00 00 |"),
        (Err(RestartRefusal::Unknown), "01 03 01 00 0d 0c 0b 0a 01 00 00 00 | 00"),
        (
            Err(RestartRefusal::Failed("no".to_owned())),
            "01 03 01 00 0d 0c 0b 0a 04 00 00 00 | 01 02 6e 6f",
        ),
    ]);
}

#[test]
fn router_to_prototype() {
    let worker = WorkerId(5);
    direction(vec![
        (
            RouterToPrototype::StartWorker(with_fds(StartWorker { worker, channels: 2 })),
            "01 33 01 03 0d 0c 0b 0a 02 00 00 00 | 05 02",
        ),
        (
            RouterToPrototype::SignalWorker(SignalWorker { worker, signal: WorkerSignal::Term }),
            "01 34 01 00 00 00 00 00 02 00 00 00 | 05 00",
        ),
        (
            RouterToPrototype::SignalWorker(SignalWorker { worker, signal: WorkerSignal::Kill }),
            "01 34 01 00 00 00 00 00 02 00 00 00 | 05 01",
        ),
        (RouterToPrototype::Quit(Quit::Graceful), "01 04 01 00 00 00 00 00 01 00 00 00 | 01"),
    ]);
    answers::<WithFds<StartWorker, 3>>(vec![
        (Ok(WorkerStarted { pid: Pid(300) }), "01 02 01 00 0d 0c 0b 0a 02 00 00 00 | d8 04"),
        (Err(Refusal::new("no")), "01 03 01 00 0d 0c 0b 0a 03 00 00 00 | 02 6e 6f"),
    ]);
}

#[test]
fn prototype_to_router() {
    let exited = |status| {
        let body = WorkerExited { worker: WorkerId(5), pid: Pid(300), status };
        PrototypeToRouter::WorkerExited(body)
    };
    direction(vec![
        (exited(ExitStatus::Code(1)), "01 35 01 00 00 00 00 00 05 00 00 00 | 05 d8 04 00 02"),
        (exited(ExitStatus::Signal(11)), "01 35 01 00 00 00 00 00 05 00 00 00 | 05 d8 04 01 16"),
    ]);
}
