//! Strategies that make every message of every direction, and every answer to every request.

use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use port_proto::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A direction whose messages can be made up.
pub(crate) trait Generate: Direction {
    /// Any message.
    fn any() -> BoxedStrategy<Self>;
}

/// A request whose answers can be made up.
pub(crate) trait GenerateAnswer: Request {
    /// Any answer.
    fn any_answer() -> BoxedStrategy<Result<Self::Reply, Self::Refusal>>;
}

/// How a message reads, with the numbers of its descriptors left out: they change on the way.
pub(crate) fn reading(message: &impl std::fmt::Debug) -> String {
    let text = format!("{message:?}");
    let mut parts = text.split("OwnedFd { fd: ");
    let mut reading = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        reading.push_str("OwnedFd { fd");
        reading.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    reading
}

/// A body with descriptors.
pub(crate) fn with_fds<T, const N: usize>(body: T) -> WithFds<T, N> {
    let null = || OwnedFd::from(File::open("/dev/null").expect("opens"));
    WithFds { body, fds: std::array::from_fn(|_| null()) }
}

fn text() -> impl Strategy<Value = String> {
    ".{0,20}"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..100)
}

fn identity() -> impl Strategy<Value = Identity> {
    let role = proptest::sample::select(Role::ALL.to_vec());
    (role, any::<i32>(), any::<u32>()).prop_map(|(role, pid, generation)| Identity {
        role,
        pid: Pid(pid),
        generation: Generation(generation),
    })
}

fn refusal() -> BoxedStrategy<Refusal> {
    text().prop_map(Refusal::new).boxed()
}

fn unit() -> BoxedStrategy<()> {
    Just(()).boxed()
}

fn config_fault() -> BoxedStrategy<ConfigFault> {
    let place = option::of((any::<u64>(), any::<u64>()));
    (text(), option::of(text()), place, option::of(text()))
        .prop_map(|(detail, pointer, place, suggestion)| ConfigFault {
            detail,
            pointer,
            place,
            suggestion,
        })
        .boxed()
}

fn quit() -> impl Strategy<Value = Quit> {
    prop_oneof![Just(Quit::Fast), Just(Quit::Graceful)]
}

fn new_peer() -> impl Strategy<Value = WithFds<NewPeer, 1>> {
    identity().prop_map(|peer| with_fds(NewPeer { peer }))
}

fn peer_lost() -> impl Strategy<Value = PeerLost> {
    identity().prop_map(|peer| PeerLost { peer })
}

fn reopen_log() -> impl Strategy<Value = WithFds<ReopenLog, 1>> {
    Just(()).prop_map(|()| with_fds(ReopenLog))
}

fn modules() -> impl Strategy<Value = Vec<Module>> {
    let module = (text(), text(), text(), vec(text(), 0..3))
        .prop_map(|(language, version, file, mounts)| Module { language, version, file, mounts });
    vec(module, 0..3)
}

fn address() -> impl Strategy<Value = ListenAddress> {
    prop_oneof![
        any::<SocketAddr>().prop_map(|address| {
            // Neither flow label nor scope is part of a configured address.
            ListenAddress::Inet(SocketAddr::new(address.ip(), address.port()))
        }),
        text().prop_map(ListenAddress::UnixPath),
        text().prop_map(ListenAddress::UnixAbstract),
    ]
}

fn stored() -> impl Strategy<Value = StoredConfig> {
    prop_oneof![
        Just(StoredConfig::Absent),
        (bytes(), any::<u32>()).prop_map(|(json, version)| StoredConfig::Present { json, version }),
        bytes().prop_map(|json| StoredConfig::Initial { json }),
        text().prop_map(|text| StoredConfig::BadVersion { text }),
        text().prop_map(|text| StoredConfig::Unreadable { text }),
    ]
}

fn upload_kind() -> impl Strategy<Value = UploadKind> {
    prop_oneof![Just(UploadKind::Certificate), Just(UploadKind::Script)]
}

fn upload_name() -> impl Strategy<Value = UploadName> {
    vec(any::<u8>(), 1..20)
        .prop_filter_map("is the name of a file", |octets| UploadName::new(octets).ok())
}

fn uploads() -> impl Strategy<Value = Vec<StoredUpload>> {
    let upload = (upload_kind(), upload_name(), bytes())
        .prop_map(|(kind, name, content)| StoredUpload { kind, name, content });
    vec(upload, 0..3)
}

fn start_prototype() -> impl Strategy<Value = StartPrototype> {
    (text(), bytes()).prop_map(|(name, application)| StartPrototype { name, application })
}

fn permitted_application() -> impl Strategy<Value = PermittedApplication> {
    let names = (text(), text(), option::of(text()), option::of(text()));
    let places = (option::of(text()), option::of(text()), option::of(text()));
    (names, places, any::<bool>(), bytes()).prop_map(|(names, places, new_privs, application)| {
        let (name, module_file, user, group) = names;
        let (working_directory, stdout, stderr) = places;
        PermittedApplication {
            name,
            module_file,
            user,
            group,
            working_directory,
            stdout,
            stderr,
            new_privs,
            application,
        }
    })
}

fn stage() -> impl Strategy<Value = ConfigStage> {
    prop_oneof![Just(ConfigStage::Current), Just(ConfigStage::Proposed), Just(ConfigStage::Tried)]
}

fn permit_config() -> impl Strategy<Value = PermitConfig> {
    let lists = (vec(address(), 0..3), vec(permitted_application(), 0..3), vec(text(), 0..3));
    let uploads = (vec(upload_name(), 0..3), vec(upload_name(), 0..3));
    (stage(), lists, uploads).prop_map(|(stage, lists, (certificates, scripts))| {
        let (listeners, applications, access_logs) = lists;
        let permissions =
            Permissions { listeners, applications, access_logs, certificates, scripts };
        PermitConfig { stage, permissions }
    })
}

fn set_up_prototype() -> impl Strategy<Value = SetUpPrototype> {
    let credentials = (any::<u32>(), any::<u32>(), vec(any::<u32>(), 0..3))
        .prop_map(|(uid, gid, groups)| Credentials { uid, gid, groups });
    let who = (text(), identity(), option::of(credentials));
    let places = (option::of(text()), option::of(text()), option::of(text()));
    (who, places, any::<bool>(), bytes()).prop_map(|(who, places, new_privs, application)| {
        let (name, router, credentials) = who;
        let (working_directory, stdout, stderr) = places;
        SetUpPrototype {
            name,
            router,
            credentials,
            working_directory,
            stdout,
            stderr,
            new_privs,
            application,
        }
    })
}

fn status() -> BoxedStrategy<Status> {
    let application = (text(), any::<[u32; 3]>(), any::<u64>()).prop_map(
        |(name, [running, starting, idle], active_requests)| ApplicationStatus {
            name,
            running,
            starting,
            idle,
            active_requests,
        },
    );
    (any::<[u64; 5]>(), vec(application, 0..3))
        .prop_map(|([accepted, active, idle, closed, requests], applications)| Status {
            accepted,
            active,
            idle,
            closed,
            requests,
            applications,
        })
        .boxed()
}

impl Generate for MainToDiscovery {
    fn any() -> BoxedStrategy<Self> {
        prop_oneof![
            text().prop_map(|modules_dir| Self::ProbeModules(ProbeModules { modules_dir })),
            quit().prop_map(Self::Quit),
        ]
        .boxed()
    }
}

impl Generate for DiscoveryToMain {
    fn any() -> BoxedStrategy<Self> {
        modules().prop_map(|modules| Self::Modules(Modules { modules })).boxed()
    }
}

impl Generate for MainToController {
    fn any() -> BoxedStrategy<Self> {
        prop_oneof![
            (stored(), modules(), uploads()).prop_map(|(stored, modules, uploads)| {
                Self::SetUp(with_fds(SetUpController { stored, modules, uploads }))
            }),
            new_peer().prop_map(Self::NewPeer),
            peer_lost().prop_map(Self::PeerLost),
            reopen_log().prop_map(Self::ReopenLog),
            quit().prop_map(Self::Quit),
            (bytes(), modules(), option::of(uploads())).prop_map(|(json, modules, uploads)| {
                Self::CheckConfig(CheckConfig { json, modules, uploads })
            }),
        ]
        .boxed()
    }
}

impl Generate for ControllerToMain {
    fn any() -> BoxedStrategy<Self> {
        prop_oneof![
            permit_config().prop_map(Self::PermitConfig),
            bytes().prop_map(|json| Self::StoreConfig(StoreConfig { json })),
            (upload_kind(), upload_name(), bytes()).prop_map(|(kind, name, content)| {
                Self::StoreUpload(StoreUpload { kind, name, content })
            }),
            (upload_kind(), upload_name())
                .prop_map(|(kind, name)| Self::DeleteUpload(DeleteUpload { kind, name })),
        ]
        .boxed()
    }
}

impl Generate for MainToRouter {
    fn any() -> BoxedStrategy<Self> {
        prop_oneof![
            (text(), modules())
                .prop_map(|(tmp_dir, modules)| Self::SetUp(SetUpRouter { tmp_dir, modules })),
            new_peer().prop_map(Self::NewPeer),
            peer_lost().prop_map(Self::PeerLost),
            reopen_log().prop_map(Self::ReopenLog),
            quit().prop_map(Self::Quit),
        ]
        .boxed()
    }
}

impl Generate for RouterToMain {
    fn any() -> BoxedStrategy<Self> {
        prop_oneof![
            (address(), any::<i32>()).prop_map(|(address, backlog)| {
                Self::OpenListener(OpenListener { address, backlog })
            }),
            vec(address(), 0..3)
                .prop_map(|addresses| Self::KeepListeners(KeepListeners { addresses })),
            start_prototype().prop_map(Self::StartPrototype),
            text().prop_map(|path| Self::OpenAccessLog(OpenAccessLog { path })),
            (upload_kind(), upload_name())
                .prop_map(|(kind, name)| Self::OpenUpload(OpenUpload { kind, name })),
        ]
        .boxed()
    }
}

impl Generate for MainToPrototype {
    fn any() -> BoxedStrategy<Self> {
        prop_oneof![
            set_up_prototype().prop_map(|body| Self::SetUp(with_fds(body))),
            reopen_log().prop_map(Self::ReopenLog),
            quit().prop_map(Self::Quit),
        ]
        .boxed()
    }
}

impl Generate for ControllerToRouter {
    fn any() -> BoxedStrategy<Self> {
        prop_oneof![
            (stage(), bytes())
                .prop_map(|(stage, json)| Self::PrepareConfig(PrepareConfig { stage, json })),
            Just(()).prop_map(|()| Self::CommitConfig(CommitConfig)),
            Just(()).prop_map(|()| Self::AbortConfig(AbortConfig)),
            Just(()).prop_map(|()| Self::GetStatus(GetStatus)),
            text().prop_map(|name| Self::RestartApplication(RestartApplication { name })),
        ]
        .boxed()
    }
}

impl Generate for RouterToPrototype {
    fn any() -> BoxedStrategy<Self> {
        let signal = prop_oneof![Just(WorkerSignal::Term), Just(WorkerSignal::Kill)];
        prop_oneof![
            any::<[u32; 2]>().prop_map(|[worker, channels]| {
                Self::StartWorker(with_fds(StartWorker { worker: WorkerId(worker), channels }))
            }),
            (any::<u32>(), signal).prop_map(|(worker, signal)| {
                Self::SignalWorker(SignalWorker { worker: WorkerId(worker), signal })
            }),
            quit().prop_map(Self::Quit),
        ]
        .boxed()
    }
}

impl Generate for PrototypeToRouter {
    fn any() -> BoxedStrategy<Self> {
        let status = prop_oneof![
            any::<i32>().prop_map(ExitStatus::Code),
            any::<i32>().prop_map(ExitStatus::Signal),
        ];
        (any::<u32>(), any::<i32>(), status)
            .prop_map(|(worker, pid, status)| {
                let worker = WorkerId(worker);
                Self::WorkerExited(WorkerExited { worker, pid: Pid(pid), status })
            })
            .boxed()
    }
}

/// Says how the answers to a request are made.
macro_rules! answers {
    ($($request:ty: $reply:expr, $refusal:expr;)*) => {$(
        impl GenerateAnswer for $request {
            fn any_answer() -> BoxedStrategy<Result<Self::Reply, Self::Refusal>> {
                prop_oneof![$reply.prop_map(Ok), $refusal.prop_map(Err)].boxed()
            }
        }
    )*};
}

answers! {
    CheckConfig: unit(), config_fault();
    PermitConfig: unit(), refusal();
    StoreConfig: unit(), refusal();
    StoreUpload: unit(), refusal();
    DeleteUpload: unit(), refusal();
    OpenListener:
        any::<bool>().prop_map(|created| with_fds(ListenerOpened { created })),
        (
            proptest::sample::select(vec![
                ListenerErrorClass::System,
                ListenerErrorClass::NoIpv6,
                ListenerErrorClass::Port,
                ListenerErrorClass::InUse,
                ListenerErrorClass::NoAddress,
                ListenerErrorClass::NoAccess,
                ListenerErrorClass::Path,
            ]),
            text(),
        )
            .prop_map(|(class, text)| ListenerRefusal { class, text });
    KeepListeners: unit(), refusal();
    StartPrototype:
        identity().prop_map(|prototype| with_fds(PrototypeStarted { prototype })), refusal();
    OpenAccessLog: unit().prop_map(with_fds), refusal();
    OpenUpload: unit().prop_map(with_fds), refusal();
    WithFds<SetUpPrototype, 1>: unit(), refusal();
    PrepareConfig: unit(), refusal();
    CommitConfig: unit(), refusal();
    AbortConfig: unit(), refusal();
    GetStatus: status(), refusal();
    RestartApplication:
        unit(),
        prop_oneof![
            Just(RestartRefusal::Unknown),
            text().prop_map(RestartRefusal::Failed),
        ];
    WithFds<StartWorker, 3>:
        any::<i32>().prop_map(|pid| WorkerStarted { pid: Pid(pid) }), refusal();
}
