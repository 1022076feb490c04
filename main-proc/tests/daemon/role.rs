//! The stand-in for a role. It tells the test line by line what main says, and does for the test,
//! line by line, what the role could do.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use port_io::bootstrap::inherited;
use port_io::{RequestError, Sender};
use port_proto::*;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

/// The variable that names the directory of the test.
pub(crate) const DIRECTORY: &str = "FAKE_ROLE_DIRECTORY";

/// The variable that names a role that is to be of another release.
pub(crate) const OUTDATED: &str = "FAKE_ROLE_OUTDATED";

/// The variable that names a role that says nothing before there is a file `go` in the directory.
pub(crate) const LATE: &str = "FAKE_ROLE_LATE";

/// Plays the role with this title until it is told to end.
pub(crate) fn play(title: &str) {
    unit_log::init();
    let name = title.strip_prefix("unit: ").unwrap().trim_end();
    if std::env::var(OUTDATED).is_ok_and(|outdated| outdated == name) {
        return play_outdated();
    }
    if std::env::var(LATE).is_ok_and(|late| late == name) {
        let go = PathBuf::from(std::env::var(DIRECTORY).unwrap()).join("go");
        while !go.exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        match name {
            "discovery" => discovery().await,
            "controller" => controller().await,
            "router" => router().await,
            _ => prototype().await,
        }
    });
}

/// Says hello as a release that does not exist.
fn play_outdated() {
    let socket = sys::socket::take_inherited_seqpacket(port_io::bootstrap::PORT_FD).unwrap();
    let mut packet = vec![0; 4096];
    let len = loop {
        match sys::socket::recv_packet(&socket, &mut packet, 0, false) {
            Ok(received) => break received.len,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    };
    let packet = decode_packet(&packet[..len]).unwrap();
    let Packet { header: Header { kind, stream, last, .. }, payload } = packet;
    let theirs = Hello::from_frame(Frame { kind, stream, last, payload, fds: Vec::new() }).unwrap();
    let mut ours = Hello::new(theirs.to, theirs.from);
    ours.software = "1.9.9".to_owned();
    let frame = ours.into_frame().unwrap();
    let mut bytes = Vec::new();
    let payload_len = u32::try_from(frame.payload.len()).unwrap();
    Header { kind, stream, last: true, bulk: false, fds: 0, payload_len }.encode(&mut bytes);
    bytes.extend_from_slice(&frame.payload);
    sys::socket::send_packet(
        &socket,
        &[std::io::IoSlice::new(&bytes)],
        &[],
        sys::socket::SendMode::PROMPT,
    )
    .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(60));
}

/// The line to the test.
#[derive(Clone)]
struct Tell(mpsc::UnboundedSender<String>);

impl Tell {
    fn say(&self, line: impl Into<String>) {
        self.0.send(line.into()).unwrap();
    }
}

/// Connects to the test and says who this is.
async fn meet_test(me: Identity) -> (Tell, Lines<BufReader<OwnedReadHalf>>) {
    let directory = PathBuf::from(std::env::var(DIRECTORY).unwrap());
    let stream = UnixStream::connect(directory.join("test.sock")).await.unwrap();
    let (read, write) = stream.into_split();
    let (sender, receiver) = mpsc::unbounded_channel();
    spawn_local(write_lines(write, receiver));
    let tell = Tell(sender);
    tell.say(format!("{} {}", me.role.name(), me.pid.0));
    (tell, BufReader::new(read).lines())
}

async fn write_lines(mut write: OwnedWriteHalf, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(line) = lines.recv().await {
        // A test that is over does not listen.
        let _ = write.write_all(format!("{line}\n").as_bytes()).await;
    }
}

/// Ends the process once what was said has been written.
async fn end(status: i32) -> ! {
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    std::process::exit(status)
}

async fn discovery() {
    let (_, _, port, mut messages) =
        inherited::<DiscoveryToMain, MainToDiscovery>(Role::Discovery).await.unwrap();
    while let Some((_, message)) = messages.recv().await {
        match message {
            MainToDiscovery::ProbeModules(ProbeModules { modules_dir }) => {
                let module = |version: &str, file: String| Module {
                    language: "python".into(),
                    version: version.into(),
                    file,
                    mounts: Vec::new(),
                };
                let modules = vec![
                    module("3.9", format!("{modules_dir}/fake.unit")),
                    // Outside of the directory: main must not believe it.
                    module("3.11", "/bin/true".into()),
                ];
                port.send(DiscoveryToMain::Modules(Modules { modules })).unwrap();
            }
            MainToDiscovery::Quit(_) => end(0).await,
        }
    }
}

/// What roles have in common: lines of the test that need no port.
async fn common(line: &str, tell: &Tell) -> bool {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("exit", code) => end(code.parse().unwrap()).await,
        ("log", text) => {
            unit_log::notice!("{text}");
            tell.say("logged");
        }
        ("status", _) => {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let wanted = ["Uid", "Gid", "CapPrm", "CapEff", "CapBnd", "NoNewPrivs", "SigIgn"];
            let lines: Vec<String> = status
                .lines()
                .filter(|line| wanted.iter().any(|name| line.starts_with(&format!("{name}:"))))
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            tell.say(lines.join(", "));
        }
        ("limit", _) => {
            let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
            let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
            tell.say(line.split_whitespace().nth(3).unwrap());
        }
        ("variable", name) => {
            tell.say(std::env::var(name).unwrap_or_else(|_| "not set".to_owned()));
        }
        _ => return false,
    }
    true
}

async fn controller() {
    let (me, _, port, mut messages) =
        inherited::<ControllerToMain, MainToController>(Role::Controller).await.unwrap();
    let (tell, mut lines) = meet_test(me).await;
    let teller = tell.clone();
    spawn_local(async move {
        // Kept open, as a controller does.
        let mut kept: Vec<OwnedFd> = Vec::new();
        while let Some((_, message)) = messages.recv().await {
            match message {
                MainToController::SetUp(WithFds { body, fds: [control] }) => {
                    kept.push(control);
                    let versions: Vec<String> =
                        body.modules.into_iter().map(|module| module.version).collect();
                    teller.say(format!("set-up {:?} {}", body.stored, versions.join(",")));
                }
                MainToController::NewPeer(WithFds { body, fds: [peer] }) => {
                    kept.push(peer);
                    teller.say(format!("new-peer {}", body.peer.pid.0));
                }
                MainToController::PeerLost(lost) => {
                    teller.say(format!("peer-lost {}", lost.peer.pid.0));
                }
                MainToController::ReopenLog(WithFds { fds: [log], .. }) => {
                    unit_log::redirect(log).unwrap();
                    teller.say("reopen-log");
                }
                MainToController::Quit(how) => {
                    teller.say(format!("quit {how:?}"));
                    end(0).await;
                }
                MainToController::CheckConfig(_) => panic!("a daemon that runs checks nothing"),
            }
        }
    });
    while let Some(line) = lines.next_line().await.unwrap() {
        match line.split_once(' ') {
            _ if common(&line, &tell).await => {}
            Some((word @ ("permit" | "propose"), needs)) => {
                let stage = match word {
                    "permit" => ConfigStage::Current,
                    _ => ConfigStage::Proposed,
                };
                let permissions = permissions_for(needs);
                let permitted = port.request(PermitConfig { stage, permissions }).await;
                tell.say(show(permitted.map(|()| "permitted".to_owned())));
            }
            Some(("store", json)) => {
                let stored = port.request(StoreConfig { json: json.as_bytes().into() }).await;
                tell.say(show(stored.map(|()| "stored".to_owned())));
            }
            Some(("upload", upload)) => {
                let (name, content) = upload.split_once(' ').unwrap();
                let (kind, name) = (UploadKind::Certificate, UploadName::new(name).unwrap());
                let request = StoreUpload { kind, name, content: content.as_bytes().into() };
                let stored = port.request(request).await;
                tell.say(show(stored.map(|()| "uploaded".to_owned())));
            }
            Some(("delete", name)) => {
                let (kind, name) = (UploadKind::Certificate, UploadName::new(name).unwrap());
                let deleted = port.request(DeleteUpload { kind, name }).await;
                tell.say(show(deleted.map(|()| "deleted".to_owned())));
            }
            _ => panic!("{line}"),
        }
    }
}

fn show(outcome: Result<String, RequestError<Refusal>>) -> String {
    match outcome {
        Ok(text) => text,
        Err(RequestError::Refused(refusal)) => format!("refused: {}", refusal.text),
        Err(other) => format!("failed: {other}"),
    }
}

/// What a router holds on to.
#[derive(Default)]
struct Held {
    sockets: Vec<OwnedFd>,
    files: Vec<OwnedFd>,
}

async fn router() {
    let (me, _, port, mut messages) =
        inherited::<RouterToMain, MainToRouter>(Role::Router).await.unwrap();
    let (tell, mut lines) = meet_test(me).await;
    let held = Rc::new(RefCell::new(Held::default()));
    let (teller, keeper) = (tell.clone(), held.clone());
    let stubborn = Rc::new(RefCell::new(false));
    let stays = stubborn.clone();
    spawn_local(async move {
        while let Some((_, message)) = messages.recv().await {
            match message {
                MainToRouter::SetUp(set_up) => teller.say(format!("set-up {}", set_up.tmp_dir)),
                MainToRouter::NewPeer(WithFds { body, fds: [peer] }) => {
                    keeper.borrow_mut().files.push(peer);
                    teller.say(format!("new-peer {}", body.peer.pid.0));
                }
                MainToRouter::PeerLost(lost) => {
                    teller.say(format!("peer-lost {}", lost.peer.pid.0));
                }
                MainToRouter::ReopenLog(WithFds { fds: [log], .. }) => {
                    unit_log::redirect(log).unwrap();
                    teller.say("reopen-log");
                }
                MainToRouter::Quit(how) => {
                    teller.say(format!("quit {how:?}"));
                    if !*stays.borrow() {
                        end(0).await;
                    }
                }
            }
        }
    });
    while let Some(line) = lines.next_line().await.unwrap() {
        match line.split_once(' ').unwrap_or((&line, "")) {
            _ if common(&line, &tell).await => {}
            ("stubborn", _) => {
                *stubborn.borrow_mut() = true;
                tell.say("stubborn");
            }
            ("listen", address) => tell.say(listen(&port, address, &held).await),
            ("keep", addresses) => {
                let addresses = addresses.split_whitespace().map(address_of).collect();
                let kept = port.request(KeepListeners { addresses }).await;
                tell.say(show(kept.map(|()| "kept".to_owned())));
            }
            ("access-log", path) => {
                let opened = port.request(OpenAccessLog { path: path.to_owned() }).await;
                tell.say(show(opened.map(|WithFds { fds: [file], .. }| {
                    use std::io::Write;
                    let mut file = std::fs::File::from(file);
                    file.write_all(b"line\n").unwrap();
                    "opened".to_owned()
                })));
            }
            ("certificate", name) => {
                let name = UploadName::new(name).unwrap();
                let request = OpenUpload { kind: UploadKind::Certificate, name };
                let opened = port.request(request).await;
                tell.say(show(opened.map(|WithFds { fds: [file], .. }| {
                    let content = std::io::read_to_string(std::fs::File::from(file)).unwrap();
                    content.escape_default().to_string()
                })));
            }
            ("start", name) => {
                let request = StartPrototype { name: name.to_owned(), application: b"{}".to_vec() };
                let outcome = port.request(request).await;
                tell.say(show(outcome.map(|WithFds { body, fds: [prototype] }| {
                    held.borrow_mut().files.push(prototype);
                    format!("started {}", body.prototype.pid.0)
                })));
            }
            ("drop", _) => {
                held.take();
                tell.say("dropped");
            }
            _ => panic!("{line}"),
        }
    }
}

/// What a configuration needs, from words: `NAME=MODULE`, `>ACCESS-LOG`,
/// `%CERTIFICATE`, or an address.
fn permissions_for(needs: &str) -> Permissions {
    let mut permissions = Permissions::default();
    for need in needs.split_whitespace() {
        if let Some(path) = need.strip_prefix('>') {
            permissions.access_logs.push(path.to_owned());
        } else if let Some(name) = need.strip_prefix('%') {
            permissions.certificates.push(UploadName::new(name).unwrap());
        } else if let Some((name, module_file)) = need.split_once('=') {
            permissions.applications.push(PermittedApplication {
                name: name.to_owned(),
                module_file: module_file.to_owned(),
                user: None,
                group: None,
                working_directory: None,
                stdout: None,
                stderr: None,
                new_privs: true,
                application: b"{}".to_vec(),
            });
        } else {
            permissions.listeners.push(address_of(need));
        }
    }
    permissions
}

fn address_of(text: &str) -> ListenAddress {
    match text.strip_prefix("unix:") {
        Some(path) => ListenAddress::UnixPath(path.to_owned()),
        None => ListenAddress::Inet(text.parse::<SocketAddr>().unwrap()),
    }
}

async fn listen(
    port: &Sender<RouterToMain, MainToRouter>,
    address: &str,
    held: &Rc<RefCell<Held>>,
) -> String {
    match port.request(OpenListener { address: address_of(address), backlog: 511 }).await {
        Ok(WithFds { body, fds: [socket] }) => {
            held.borrow_mut().sockets.push(socket);
            format!("listening, created: {}", body.created)
        }
        Err(RequestError::Refused(refusal)) => {
            format!("refused: {:?} {}", refusal.class, refusal.text)
        }
        Err(other) => format!("failed: {other}"),
    }
}

async fn prototype() {
    let (me, _, port, mut messages) =
        inherited::<PrototypeToMain, MainToPrototype>(Role::Prototype).await.unwrap();
    let (tell, mut lines) = meet_test(me).await;
    let teller = tell.clone();
    spawn_local(async move {
        let mut kept: Vec<OwnedFd> = Vec::new();
        while let Some((stream, message)) = messages.recv().await {
            match message {
                MainToPrototype::SetUp(request) => {
                    let WithFds { body, fds: [router] } = request;
                    kept.push(router);
                    let uid = body.credentials.as_ref().map(|credentials| credentials.uid);
                    teller.say(format!("set-up {} {} {uid:?}", body.name, body.router.pid.0));
                    let answer = match body.name.as_str() {
                        "refusing" => Err(Refusal::new("it does not want to")),
                        "dying" => end(3).await,
                        _ => Ok(()),
                    };
                    port.answer::<WithFds<SetUpPrototype, 1>>(stream, answer).unwrap();
                }
                MainToPrototype::ReopenLog(WithFds { fds: [log], .. }) => {
                    unit_log::redirect(log).unwrap();
                    teller.say("reopen-log");
                }
                MainToPrototype::Quit(how) => {
                    teller.say(format!("quit {how:?}"));
                    end(0).await;
                }
            }
        }
    });
    while let Some(line) = lines.next_line().await.unwrap() {
        assert!(common(&line, &tell).await, "{line}");
    }
}
