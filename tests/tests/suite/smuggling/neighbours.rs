//! nginx and HAProxy: what they read in the requests, and what they pass on to unitd.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use blackbox::{Connection, LIMIT, Neighbour, Site, Unitd, server_program, skip};

use super::reading::{PROBE, Reading, coarse};
use super::table::{self, Case};
use super::{COUNT, for_each, unitd};

/// How long to wait for an answer that may never come; on a busy machine this may be too short.
const PATIENCE: Duration = Duration::from_millis(700);

/// How long to wait before a reading is believed to be another one than recorded.
const GREAT_PATIENCE: Duration = Duration::from_secs(15);

/// The readings in the table are those of these versions.
const NGINX: &str = "nginx/1.22.";
const HAPROXY: &str = "version 2.6.";

/// What nginx reads: it passes what it has read whole to itself, where the answer is made.
fn nginx_alone(program: &Path) -> (Neighbour, u16) {
    let mut site = Site::new();
    let port = site.port();
    let config = format!(
        "daemon off; master_process off; pid nginx.pid; events {{ worker_connections 512; }}
         http {{
             access_log off;
             {temporary}
             lingering_close always;
             upstream itself {{ server unix:{directory}/inner.sock; }}
             server {{
                 listen 127.0.0.1:{port};
                 location / {{ proxy_pass http://itself; proxy_ignore_client_abort on; }}
             }}
             server {{
                 listen unix:{directory}/inner.sock;
                 add_header X-Read \"$request_method $request_uri\";
                 return 200 \"read $request_method $request_uri\\n\";
             }}
         }}",
        temporary = temporary_paths(),
        directory = site.directory().display(),
    );
    (site.start_nginx(program, &config), port)
}

/// What nginx makes of the requests for a server behind it. Bodies go on as they come.
fn nginx_before(program: &Path, behind: u16) -> (Neighbour, u16) {
    let mut site = Site::new();
    let port = site.port();
    let config = format!(
        "daemon off; master_process off; pid nginx.pid; events {{ worker_connections 512; }}
         http {{
             access_log off;
             {temporary}
             lingering_close always;
             upstream behind {{ server 127.0.0.1:{behind}; keepalive 1; }}
             map $upstream_addr $tag_passed_on {{ \"\" \"\"; default $request_id; }}
             server {{
                 listen 127.0.0.1:{port};
                 location / {{
                     proxy_pass http://behind;
                     proxy_http_version 1.1;
                     proxy_request_buffering off;
                     proxy_next_upstream off;
                     proxy_ignore_client_abort on;
                     proxy_set_header Connection \"\";
                     proxy_set_header X-Tag $request_id;
                     add_header X-Own-Tag $tag_passed_on always;
                 }}
             }}
         }}",
        temporary = temporary_paths(),
    );
    (site.start_nginx(program, &config), port)
}

fn temporary_paths() -> String {
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    kinds.map(|kind| format!("{kind}_temp_path {kind};")).join(" ")
}

const HAPROXY_DEFAULTS: &str = "
defaults
    mode http
    timeout connect 30s
    timeout client 30s
    timeout server 30s
    timeout http-request 30s
";

fn haproxy_alone(program: &Path) -> (Neighbour, u16) {
    let mut site = Site::new();
    let port = site.port();
    let config = format!(
        "{HAPROXY_DEFAULTS}
frontend alone
    bind 127.0.0.1:{port}
    http-request wait-for-body time 30s
    http-request return status 200 hdr X-Read \"%[method] %[url]\"
"
    );
    (site.start_haproxy(program, &config), port)
}

fn haproxy_before(program: &Path, behind: u16) -> (Neighbour, u16) {
    let mut site = Site::new();
    let port = site.port();
    let config = format!(
        "{HAPROXY_DEFAULTS}
frontend before
    bind 127.0.0.1:{port}
    unique-id-format %rt-%ts-%pid-%cp-%rc
    http-request set-header X-Tag %[unique-id]
    http-response set-header X-Own-Tag %[unique-id]
    default_backend behind
backend behind
    http-reuse always
    retries 0
    server unitd 127.0.0.1:{behind}
"
    );
    (site.start_haproxy(program, &config), port)
}

/// A server whose version is that of the table; otherwise why it cannot be compared.
fn find(name: &str, version: &str) -> Result<std::path::PathBuf, String> {
    let program = server_program(name).ok_or_else(|| format!("no {name}"))?;
    let output = Command::new(&program).arg("-v").output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).lines().next().unwrap_or_default().to_owned();
    match told.to_lowercase().contains(version) {
        true => Ok(program),
        false => Err(format!("the readings of {name} are those of {version}, this is {told}")),
    }
}

/// Sends the bytes and the probe, and says that there is no more only when nothing is answered for
/// some time: some servers forget what they have yet to answer when they hear that.
fn read_patiently(port: u16, bytes: &[u8], patience: Duration) -> Reading {
    let mut connection = Connection::tcp(port).within(patience);
    connection.send(&[bytes, PROBE].concat()).unwrap();
    let mut answers = Vec::new();
    loop {
        match connection.read_some(usize::MAX) {
            Ok(some) if some.is_empty() => return Reading::of(&answers),
            Ok(some) => answers.extend(some),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                return Reading::of(&answers);
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => break,
            Err(error) => panic!("{error} for {}", bytes.escape_ascii()),
        }
    }
    let _ = connection.finish_sending();
    let mut connection = connection.within(LIMIT);
    answers.extend(connection.read_to_end().unwrap());
    Reading::of(&answers)
}

/// Compares the readings of a server with those in the table.
#[track_caller]
fn expect_readings(port: u16, recorded: impl Fn(&Case) -> Option<&String> + Sync) {
    let cases = table::cases();
    let wrong = for_each(&cases, |case| {
        let ours = coarse(&case.unitd);
        let expected = recorded(case).unwrap_or(&ours);
        assert!(recorded(case) != Some(&ours), "{} is no difference", case.name);
        let read = |patience| read_patiently(port, &case.bytes, patience).coarse();
        let mut reading = read(PATIENCE);
        if reading != *expected {
            reading = read(GREAT_PATIENCE);
        }
        (reading != *expected).then(|| format!("{}\n  {expected}\n  {reading}", case.name))
    });
    assert!(wrong.is_empty(), "{} are read otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

/// A difference is recorded where users read of it, with its reason, and nothing else is there.
#[test]
fn every_difference_is_explained() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("### Beside other servers\n").unwrap();
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let mut explained = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 5 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
        assert!(explained.insert(cells[0].to_owned()), "{row} is there twice");
    }
    let recorded: BTreeSet<String> =
        table::cases().into_iter().filter_map(|case| case.row).collect();
    assert_eq!(explained, recorded);
}

#[test]
fn nginx_reads_them_as_recorded() {
    let program = match find("nginx", NGINX) {
        Ok(program) => program,
        Err(reason) => skip!("{reason}"),
    };
    let (_nginx, port) = nginx_alone(&program);
    expect_readings(port, |case| case.nginx.as_ref());
}

#[test]
fn haproxy_reads_them_as_recorded() {
    let program = match find("haproxy", HAPROXY) {
        Ok(program) => program,
        Err(reason) => skip!("{reason}"),
    };
    let (_haproxy, port) = haproxy_alone(&program);
    expect_readings(port, |case| case.haproxy.as_ref());
}

/// Puts every request through a proxy, one after another, and sees that the proxy and unitd agree
/// about each: a client gets the answer to the request that the proxy gave its tag, and unitd has
/// read as many requests as the proxy has passed on.
#[track_caller]
fn expect_agreement(unitd: &Unitd, port: u16) {
    let total = || unitd.status("/requests/total").as_u64().unwrap();
    let (mut wrong, mut seen, mut before) = (Vec::new(), BTreeSet::new(), total());
    for Case { name, bytes, .. } in table::cases() {
        let reading = read_patiently(port, &bytes, PATIENCE);
        let answers = &reading.0;
        for answer in answers.iter().filter(|answer| answer.tag.is_some()) {
            if answer.tag != answer.own_tag || !seen.insert(answer.tag.clone()) {
                wrong.push(format!("{name}\n  {answer:?}"));
            }
        }
        let passed_on = answers.iter().filter(|answer| answer.own_tag.is_some()).count();
        let read = total() - before;
        before += read;
        // The end of a request may never have come, and an answer to HTTP/0.9 shows nothing.
        let is_unanswered = answers.is_empty() && read == 1;
        if read != passed_on as u64 && !is_unanswered {
            wrong.push(format!("{name}\n  {passed_on} passed on, {read} read, {reading:?}"));
        }
    }
    println!("{} requests were served through the proxy", seen.len());
    assert!(wrong.is_empty(), "{} are read otherwise:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen.len() > COUNT / 2);
}

#[test]
fn n13_nginx_and_unitd_behind_it_agree_on_every_request() {
    let program = match find("nginx", NGINX) {
        Ok(program) => program,
        Err(reason) => skip!("{reason}"),
    };
    let (unitd, behind) = unitd();
    let (_nginx, port) = nginx_before(&program, behind);
    expect_agreement(&unitd, port);
}

#[test]
fn n13_haproxy_and_unitd_behind_it_agree_on_every_request() {
    let program = match find("haproxy", HAPROXY) {
        Ok(program) => program,
        Err(reason) => skip!("{reason}"),
    };
    let (unitd, behind) = unitd();
    let (_haproxy, port) = haproxy_before(&program, behind);
    expect_agreement(&unitd, port);
}
