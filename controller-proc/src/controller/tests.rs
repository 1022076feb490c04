//! The whole role over real ports, with a main and a router made for the test, and HTTP clients on
//! real sockets.

mod faults;
mod messages;
mod peers;

use std::cell::RefCell;
use std::future::Future;
use std::path::PathBuf;
use std::rc::Rc;

use port_proto::{ConfigStage, Generation, ListenAddress, Pid, StoredConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;

use self::peers::{FakeMain, FakeRouter};
use super::*;

/// How long a test may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// A controller at work between a main, perhaps a router, and clients.
struct Daemon {
    dir: TempDir,
    main: FakeMain,
    controller: JoinHandle<Result<(), ServeError>>,
    me: Identity,
}

/// An answer as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    status: String,
    head: String,
    body: String,
}

impl Seen {
    /// The status number and the body without white space outside strings.
    fn brief(&self) -> String {
        let body = conf::parse(self.body.as_bytes()).expect("every answer is JSON");
        let body = String::from_utf8(conf::print_compact(&body)).unwrap();
        format!("{} {body}", &self.status[..3])
    }
}

fn identity(role: Role, generation: u32) -> Identity {
    let pid = Pid(i32::try_from(std::process::id()).unwrap());
    Identity { role, pid, generation: Generation(generation) }
}

/// Runs a test with a controller that was set up with `stored`.
async fn with_daemon<F: Future<Output = ()>>(
    stored: StoredConfig,
    test: impl FnOnce(Rc<Daemon>) -> F,
) {
    in_time(async {
        let daemon = Daemon::start(stored).await;
        test(daemon).await;
    })
    .await;
}

/// Runs a test that must not take long.
async fn in_time(test: impl Future<Output = ()>) {
    let all = LocalSet::new();
    timeout(DEADLINE, all.run_until(test)).await.expect("the test is over in time");
}

/// Runs a test with a controller and a router that runs `json` and has forgotten how it came to.
async fn with_router<F: Future<Output = ()>>(
    json: &str,
    test: impl FnOnce(Rc<Daemon>, FakeRouter) -> F,
) {
    let stored = StoredConfig::Present { json: json.as_bytes().to_vec(), version: 20000 };
    with_daemon(stored, |daemon| async {
        let router = daemon.introduce(1).await;
        daemon.ask("GET", "/config", "").await;
        router.forget();
        test(daemon, router).await;
    })
    .await;
}

/// As [`with_router`], for tests that do not look at the router.
async fn with_api<F: Future<Output = ()>>(json: &str, test: impl FnOnce(Rc<Daemon>) -> F) {
    with_router(json, |daemon, router| async {
        test(daemon).await;
        drop(router);
    })
    .await;
}

impl Daemon {
    async fn start(stored: StoredConfig) -> Rc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(dir.path().join("control")).unwrap();
        Self::start_on(dir, listener.into(), stored).await
    }

    async fn start_on(
        dir: TempDir,
        listener: std::os::fd::OwnedFd,
        stored: StoredConfig,
    ) -> Rc<Self> {
        let me = identity(Role::Controller, 1);
        let (ours, theirs) = bootstrap::pair().unwrap();
        let controller = spawn_local(async move {
            let (me, _, to_main, from_main) = bootstrap::accept(theirs, Role::Controller).await?;
            serve(me, to_main, from_main, Limits::default()).await
        });
        let main = FakeMain::connect(ours, identity(Role::Main, 1), me).await;
        let module = port_proto::Module {
            language: "python".to_owned(),
            version: "3.11.2".to_owned(),
            file: "/m/python3.11.unit".to_owned(),
            mounts: Vec::new(),
        };
        let body = SetUpController { stored, modules: vec![module], uploads: Vec::new() };
        main.tell(MainToController::SetUp(WithFds { body, fds: [listener] }));
        Rc::new(Self { dir, main, controller, me })
    }

    /// Starts a router and introduces it.
    async fn introduce(&self, generation: u32) -> FakeRouter {
        let peer = identity(Role::Router, generation);
        let (ours, theirs) = bootstrap::pair().unwrap();
        self.main
            .tell(MainToController::NewPeer(WithFds { body: NewPeer { peer }, fds: [theirs] }));
        FakeRouter::connect(ours, peer, self.me).await
    }

    /// Ends a router as if it crashed.
    fn lose(&self, router: FakeRouter) {
        let peer = router.identity;
        drop(router);
        self.main.tell(MainToController::PeerLost(PeerLost { peer }));
    }

    fn control(&self) -> PathBuf {
        self.dir.path().join("control")
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.control()).await.unwrap()
    }

    /// Sends octets and reads the answer.
    async fn send(&self, request: &[u8]) -> Seen {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        read_answer(stream).await
    }

    async fn ask(&self, method: &str, target: &str, body: &str) -> Seen {
        let len = body.len();
        let head = format!("{method} {target} HTTP/1.1\r\nContent-Length: {len}\r\n\r\n");
        self.send(format!("{head}{body}").as_bytes()).await
    }

    async fn brief(&self, method: &str, target: &str, body: &str) -> String {
        self.ask(method, target, body).await.brief()
    }

    /// Asks without waiting for the answer, and returns when the controller has the request.
    async fn begin(self: &Rc<Self>, method: &str, target: &str, body: &str) -> JoinHandle<Seen> {
        let daemon = self.clone();
        let [method, target, body] = [method, target, body].map(str::to_owned);
        let answer = spawn_local(async move { daemon.ask(&method, &target, &body).await });
        // Connections are served in the order in which they come, so one that is answered at once
        // shows that the earlier one was read.
        for _ in 0..3 {
            self.ask("GET", "/config", "").await;
        }
        answer
    }
}

async fn read_answer(mut stream: UnixStream) -> Seen {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let (line, head) = head.split_once("\r\n").unwrap();
    let status = line.strip_prefix("HTTP/1.1 ").unwrap().to_owned();
    Seen { status, head: head.to_owned(), body: body.to_owned() }
}

const DONE: &str = r#"200 {"success":"Reconfiguration done."}"#;

#[tokio::test]
async fn the_head_of_an_answer_is_exact() {
    with_api("{}", |daemon| async move {
        for (request, status) in [
            ("GET /config HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", "200 OK"),
            ("GET /config HTTP/1.0\r\n\r\n", "200 OK"),
            ("GET /x HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("HEAD /config HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
            ("config\r\n\r\n", "400 Bad Request"),
        ] {
            let seen = daemon.send(request.as_bytes()).await;
            assert_eq!(seen.status, status);
            let lines: Vec<&str> = seen.head.split("\r\n").collect();
            let length = format!("Content-Length: {}", seen.body.len());
            assert!(lines[1].starts_with("Date: ") && lines[1].ends_with(" GMT"), "{}", lines[1]);
            assert_eq!(lines[0], "Server: Unit/2.0.0");
            let mut fields = lines[2..].to_vec();
            if status == "200 OK" {
                // The one field that others do not know.
                assert!(fields.remove(2).starts_with("ETag: \""));
            }
            let expected = ["Content-Type: application/json", &length[..], "Connection: close"];
            assert_eq!(fields, expected);
            assert!(!seen.body.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn clients_are_served_once_the_stored_configuration_is_applied() {
    with_daemon(StoredConfig::Absent, |daemon| async move {
        let early = daemon.connect().await;
        let answer = spawn_local(async move {
            let mut early = early;
            early.write_all(b"GET /config HTTP/1.1\r\n\r\n").await.unwrap();
            read_answer(early).await
        });
        let router = daemon.introduce(1).await;
        let seen = answer.await.unwrap();
        assert_eq!(seen.brief(), r#"200 {"listeners":{},"routes":[],"applications":{}}"#);
        assert_eq!(
            router.heard(),
            [r#"prepare {"listeners":{},"routes":[],"applications":{}}"#, "commit"]
        );
    })
    .await;
}

#[tokio::test]
async fn an_update_is_on_the_disk_before_it_is_committed() {
    with_router(r#"{"routes":[]}"#, |daemon, router| async move {
        assert_eq!(daemon.brief("PUT", "/config/settings", "{}").await, DONE);
        assert_eq!(
            [router.heard(), daemon.main.stored()].concat(),
            [r#"prepare {"routes":[],"settings":{}}"#, "commit", r#"{"routes":[],"settings":{}}"#]
        );
        let seen = daemon.ask("GET", "/config", "").await;
        assert_eq!(seen.body, "{\r\n\t\"routes\": [],\r\n\t\"settings\": {}\r\n}\r\n");
    })
    .await;
}

#[tokio::test]
async fn main_is_told_what_a_configuration_needs_before_the_router_gets_it() {
    let stored = r#"{"listeners":{"127.0.0.1:8080":{"pass":"routes"}},"routes":[]}"#;
    with_router(stored, |daemon, router| async move {
        router.script.borrow_mut().hold = Some("prepare");
        let app = r#"{"type":"python","module":"wsgi","user":"somebody"}"#;
        let update = daemon.begin("PUT", "/config/applications", &format!("{{\"a\":{app}}}")).await;
        let permits = daemon.main.permits();
        assert_eq!(permits.len(), 2);
        assert_eq!(permits[0].stage, ConfigStage::Current);
        assert_eq!(permits[1].stage, ConfigStage::Proposed);
        for permit in &permits {
            let address = ListenAddress::Inet("127.0.0.1:8080".parse().unwrap());
            assert_eq!(permit.permissions.listeners, [address]);
        }
        assert_eq!(permits[0].permissions.applications, []);
        let [application] = &permits[1].permissions.applications[..] else { panic!("{permits:?}") };
        assert_eq!(application.user.as_deref(), Some("somebody"));
        assert_eq!(application.application, app.as_bytes());
        router.release(Ok(()));
        assert_eq!(update.await.unwrap().brief(), DONE);
    })
    .await;
}

#[tokio::test]
async fn the_status_is_that_of_the_router_and_of_the_installation() {
    with_router("{}", |daemon, router| async move {
        router.script.borrow_mut().status =
            Ok(port_proto::Status { accepted: 3, active: 1, idle: 2, ..Default::default() });
        let status = r#"{"modules":{"python":{"version":"3.11.2","lib":"/m/python3.11.unit"}},"connections":{"accepted":3,"active":1,"idle":2,"closed":0},"requests":{"total":0},"applications":{}}"#;
        let overview = format!(r#"{{"certificates":{{}},"config":{{}},"status":{status}}}"#);
        for (target, expected) in [
            ("/status", format!("200 {status}")),
            ("/", format!("200 {overview}")),
            ("/status/connections/idle/", "200 2".to_owned()),
            ("/status/modules/python/version", "200 \"3.11.2\"".to_owned()),
            ("/status/nowhere", r#"404 {"error":"Invalid path."}"#.to_owned()),
        ] {
            assert_eq!(daemon.brief("GET", target, "").await, expected, "{target}");
        }
    })
    .await;
}

#[tokio::test]
async fn reading_the_configuration_waits_for_nothing() {
    with_router(r#"{"routes":[]}"#, |daemon, router| async move {
        router.script.borrow_mut().hold = Some("prepare");
        let update = daemon.begin("PUT", "/config", "{}").await;
        let status = daemon.begin("GET", "/status", "").await;
        assert_eq!(daemon.brief("GET", "/config", "").await, r#"200 {"routes":[]}"#);
        assert!(!update.is_finished() && !status.is_finished());
        router.release(Ok(()));
        assert_eq!(update.await.unwrap().brief(), DONE);
        assert!(status.await.unwrap().brief().starts_with("200 "));
        assert_eq!(daemon.brief("GET", "/config", "").await, "200 {}");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_does_not_cancel_its_update() {
    with_router(r#"{"routes":[]}"#, |daemon, router| async move {
        router.script.borrow_mut().hold = Some("prepare");
        let update = daemon.begin("PUT", "/config", "{}").await;
        update.abort();
        let next = daemon.begin("PUT", "/config/settings", "{}").await;
        router.release(Ok(()));
        assert_eq!(next.await.unwrap().brief(), DONE);
        assert_eq!(daemon.main.stored(), ["{}", r#"{"settings":{}}"#]);
    })
    .await;
}

#[tokio::test]
async fn the_control_socket_may_be_tcp() {
    in_time(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let daemon = Daemon::start_on(dir, listener.into(), StoredConfig::Absent).await;
        let _router = daemon.introduce(1).await;
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"GET /config/routes HTTP/1.1\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("\r\n\r\n[]\r\n"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn chunked_bodies_and_large_ones_are_taken() {
    with_router("{}", |daemon, router| async move {
        let seen = daemon
            .send(b"PUT /config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
            .await;
        assert_eq!(seen.brief(), DONE);
        router.forget();
        let name = "x".repeat(1 << 20);
        let config = format!(
            r#"{{"applications":{{"{name}":{{"type":"python","module":"wsgi","processes":{{"spare":0}}}}}}}}"#
        );
        assert_eq!(daemon.brief("PUT", "/config", &config).await, DONE);
        assert_eq!(router.heard(), [format!("prepare {config}"), "commit".to_owned()]);
        assert_eq!(daemon.main.stored().pop(), Some(config));
    })
    .await;
}

#[tokio::test]
async fn a_listener_can_be_named_in_any_way() {
    let config = r#"{"listeners":{"*:8080":{"pass":"routes"}},"routes":[]}"#;
    with_api(config, |daemon| async move {
        for target in [
            "/config/listeners/*:8080/pass",
            "/config/listeners/%2A%3A8080/pass",
            "//config/./listeners/x/../*:8080/pass/?query#fragment",
        ] {
            assert_eq!(daemon.brief("GET", target, "").await, "200 \"routes\"", "{target}");
        }
    })
    .await;
}
