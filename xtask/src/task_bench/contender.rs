//! The servers of a row: how each is set up for the work, started and stopped.

use std::fs;
use std::num::NonZero;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::{Group, User};
use serde_json::{Value, json};

use super::rows::{ROUTE_COUNT, Row, UPLOAD_LEN, Work};
use super::tools;
use crate::pythons::Python;
use crate::server::{self, Place, Unitd};
use crate::workspace::{Profile, Workspace};
use crate::{command, http};

pub(crate) use super::rows::Contender;

const START_TIMEOUT: Duration = Duration::from_secs(20);

const HELLO: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return [b"Hello world!"]
"#;

const DISCARD: &str = r#"
def application(environ, start_response):
    body = environ["wsgi.input"]
    while body.read(65536):
        pass
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "12")])
    return [b"Hello world!"]
"#;

/// Everything the contenders are started from.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) wrk: PathBuf,
    directory: PathBuf,
    bin_dir: PathBuf,
    modules_dir: PathBuf,
    nginx: Result<PathBuf, String>,
    venv: Result<PathBuf, String>,
    python: Option<String>,
    /// What has wrk send bodies.
    upload: PathBuf,
}

/// A server under test; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) name: &'static str,
    pub(crate) tcp_port: u16,
    process: Started,
}

#[derive(Debug)]
enum Started {
    Unitd(Unitd),
    Other(Other),
}

#[derive(Debug)]
struct Other(Child);

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        match &self.process {
            Started::Unitd(unitd) => unitd.pid(),
            Started::Other(other) => other.0.id(),
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Err(error) = server::end(&mut self.0, Signal::SIGTERM) {
            eprintln!("{error:#}");
        }
    }
}

/// A private directory for one unitd.
#[derive(Debug)]
pub(crate) struct BenchPlace<'a> {
    bench: &'a Bench,
    directory: PathBuf,
    reads: [&'a Path; 2],
}

impl BenchPlace<'_> {
    pub(crate) fn as_place(&self) -> Place<'_> {
        Place {
            bin_dir: &self.bench.bin_dir,
            modules_dir: &self.bench.modules_dir,
            directory: &self.directory,
            reads: &self.reads,
        }
    }
}

impl Bench {
    /// Makes the files that are served and finds the other servers.
    pub(crate) fn prepare(workspace: &Workspace, python: Option<&Python>) -> Result<Self> {
        let directory = workspace.target.join("bench");
        let files = directory.join("www");
        fs::create_dir_all(&files).with_context(|| files.display().to_string())?;
        fs::write(files.join("10k.bin"), content(10 * 1024))?;
        fs::write(files.join("1m.bin"), content(1024 * 1024))?;
        let application = directory.join("app");
        fs::create_dir_all(&application)?;
        fs::write(application.join("hello.py"), HELLO)?;
        fs::write(application.join("discard.py"), DISCARD)?;
        let upload = directory.join("upload.lua");
        let script = format!("wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {UPLOAD_LEN})\n");
        fs::write(&upload, script)?;
        let nginx = tools::nginx(&directory.join("nginx"));
        let venv = match python {
            Some(python) => tools::venv(&workspace.target.join("bench-venv"), python),
            None => Err(anyhow::anyhow!("there is no Python")),
        };
        Ok(Self {
            wrk: tools::wrk()?,
            bin_dir: workspace.bin_dir(Profile::Release),
            modules_dir: workspace.modules_dir(Profile::Release),
            nginx: nginx.map_err(|error| format!("{error:#}")),
            venv: venv.map_err(|error| format!("{error:#}")),
            python: python.map(Python::version),
            upload,
            directory,
        })
    }

    /// What the load generator is to be told for a row.
    pub(crate) fn script(&self, row: &Row) -> Option<&Path> {
        (row.work == Work::Upload).then_some(&self.upload)
    }

    /// Whether there is a Python runtime.
    pub(crate) fn has_python(&self) -> bool {
        self.python.is_some()
    }

    /// What stands beside what.
    pub(crate) fn versions(&self) -> Vec<String> {
        let mut versions = vec![format!("unitd {}", env!("CARGO_PKG_VERSION"))];
        if let Ok(nginx) = &self.nginx {
            // It tells its version on stderr.
            let ask = format!("'{}' -v 2>&1", nginx.display());
            versions.extend(first_line(command::program("sh").args(["-c", &ask])));
        }
        if let Ok(venv) = &self.venv {
            for name in ["granian", "gunicorn"] {
                versions.extend(first_line(command::program(venv.join(name)).arg("--version")));
            }
        }
        versions.extend(self.python.iter().map(|version| format!("Python {version}")));
        versions
    }

    /// A fresh private directory for a unitd.
    pub(crate) fn place(&self, name: &str) -> Result<BenchPlace<'_>> {
        let directory = self.directory.join(format!("unitd-{name}"));
        fresh(&directory)?;
        Ok(BenchPlace { bench: self, directory, reads: [&self.directory, &self.modules_dir] })
    }

    /// Starts a server for the work of a row and waits for its first answer.
    pub(crate) fn start(&self, contender: Contender, row: &Row) -> Result<Running> {
        let tcp_port = server::free_tcp_port()?;
        let process = match contender {
            Contender::Unitd => self.start_unitd(row.name, &self.config(row.work, tcp_port)?)?,
            Contender::UnitdOneRoute => {
                let config = routes_config(tcp_port, ROUTE_COUNT - 1..ROUTE_COUNT);
                self.start_unitd(&format!("{}-one", row.name), &config)?
            }
            Contender::Nginx => self.start_nginx(row, tcp_port)?,
            Contender::Granian => self.start_granian(tcp_port)?,
            Contender::Gunicorn => self.start_gunicorn(tcp_port)?,
        };
        let server = Running { name: contender.name(), tcp_port, process };
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match http::get(tcp_port, row.path) {
                Ok(response) if response.status == 200 => return Ok(server),
                Ok(response) if Instant::now() > deadline => {
                    bail!("it answers {}: {}", response.status, response.text())
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn start_unitd(&self, name: &str, config: &str) -> Result<Started> {
        let unitd = Unitd::start(&self.place(name)?.as_place())?;
        unitd.configure(config)?;
        Ok(Started::Unitd(unitd))
    }

    fn config(&self, work: Work, tcp_port: u16) -> Result<String> {
        Ok(match work {
            Work::Return => return_config(tcp_port),
            Work::Routes => routes_config(tcp_port, 0..ROUTE_COUNT),
            Work::Static => {
                let share = format!("{}/www$uri", self.directory.display());
                let routes = json!([{ "action": { "share": share } }]);
                config_of(tcp_port, "routes", routes, json!({}))
            }
            Work::Wsgi => {
                config_of(tcp_port, "applications/wsgi", json!([]), self.wsgi("hello", 1)?)
            }
            Work::Upload => {
                let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
                let applications = self.wsgi("discard", workers)?;
                let config = config_of(tcp_port, "applications/wsgi", json!([]), applications);
                let mut config: Value = serde_json::from_str(&config)?;
                config["settings"] = json!({ "http": { "max_body_size": 2 * UPLOAD_LEN } });
                config.to_string()
            }
        })
    }

    /// The application `wsgi` of this module.
    fn wsgi(&self, module: &str, workers: usize) -> Result<Value> {
        let version = self.python.as_ref().context("there is no Python")?;
        Ok(json!({ "wsgi": {
            "type": format!("python {version}"),
            "path": self.directory.join("app"),
            "module": module,
            "processes": workers,
        } }))
    }

    fn start_nginx(&self, row: &Row, tcp_port: u16) -> Result<Started> {
        let nginx = self.nginx.as_ref().map_err(|why| anyhow::anyhow!("{why}"))?;
        let directory = self.directory.join(format!("nginx-{}", row.name));
        fresh(&directory)?;
        let file = directory.join("nginx.conf");
        fs::write(&file, self.nginx_config(row, tcp_port, &directory)?)?;
        let mut command = command::program(nginx);
        command.arg("-p").arg(&directory).arg("-c").arg(&file);
        command.arg("-e").arg(directory.join("error.log"));
        self.spawn(command)
    }

    /// As many workers as processors, no access log, connections kept for ever: as ours.
    fn nginx_config(&self, row: &Row, tcp_port: u16, directory: &Path) -> Result<String> {
        let files = self.directory.join("www");
        let user = match server::unprivileged_user(&[&files])? {
            Some(user) => format!("user {user} {};\n", primary_group(&user)?),
            None => String::new(),
        };
        let location = match row.work {
            Work::Return => format!("location = {} {{ return 200; }}", row.path),
            Work::Static => format!("root {};", files.display()),
            // The second server throws the bodies away and is part of the same processes.
            Work::Upload => format!(
                "client_max_body_size {};\n        location / {{ proxy_pass http://unix:{}; \
                 proxy_http_version 1.1; }}\n    }}\n    server {{\n        listen unix:{};\n        \
                 client_max_body_size {};\n        location / {{ return 200 \"Hello world!\"; }}",
                2 * UPLOAD_LEN,
                directory.join("discard.sock").display(),
                directory.join("discard.sock").display(),
                2 * UPLOAD_LEN
            ),
            Work::Routes | Work::Wsgi => bail!("nginx does not do this work"),
        };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("    {kind}_temp_path {}/{kind};\n", directory.display()))
            .concat();
        let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok(format!(
            "{user}daemon off;\nworker_processes {workers};\npid {directory}/nginx.pid;\n\
             error_log {directory}/error.log crit;\nevents {{ worker_connections 1024; }}\n\
             http {{\n    access_log off;\n    sendfile on;\n    keepalive_requests 1000000000;\n\
             {temporary}    server {{\n        listen 127.0.0.1:{tcp_port};\n        {location}\n    }}\n}}\n",
            directory = directory.display(),
        ))
    }

    fn start_granian(&self, tcp_port: u16) -> Result<Started> {
        let mut command = self.venv_command("granian")?;
        command.args(["--interface", "wsgi", "--workers", "1", "--host", "127.0.0.1"]);
        command.args(["--log-level", "error", "--port", &tcp_port.to_string()]);
        command.arg("hello:application");
        self.spawn(command)
    }

    fn start_gunicorn(&self, tcp_port: u16) -> Result<Started> {
        let mut command = self.venv_command("gunicorn")?;
        command.args(["--workers", "1", "--worker-class", "sync", "--log-level", "error"]);
        command.args(["--bind", &format!("127.0.0.1:{tcp_port}"), "hello:application"]);
        self.spawn(command)
    }

    fn venv_command(&self, name: &str) -> Result<Command> {
        let venv = self.venv.as_ref().map_err(|why| anyhow::anyhow!("{why}"))?;
        let mut command = command::program(venv.join(name));
        let application = self.directory.join("app");
        command.current_dir(&application).env("PYTHONPATH", &application);
        Ok(command)
    }

    fn spawn(&self, mut command: Command) -> Result<Started> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).spawn();
        Ok(Started::Other(Other(child.with_context(|| format!("cannot start {name}"))?)))
    }
}

/// One listener that answers everything with 200.
pub(crate) fn return_config(tcp_port: u16) -> String {
    config_of(tcp_port, "routes", json!([{ "action": { "return": 200 } }]), json!({}))
}

fn routes_config(tcp_port: u16, numbers: std::ops::Range<usize>) -> String {
    let step = |number: usize| json!({ "match": { "uri": format!("/route-{number}") }, "action": { "return": 200 } });
    config_of(tcp_port, "routes", numbers.map(step).collect(), json!({}))
}

fn config_of(tcp_port: u16, pass: &str, routes: Value, applications: Value) -> String {
    json!({
        "listeners": { format!("127.0.0.1:{tcp_port}"): { "pass": pass } },
        "routes": routes,
        "applications": applications,
    })
    .to_string()
}

/// Bytes that no compression or zero page makes lighter.
fn content(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn fresh(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())
}

fn primary_group(user: &str) -> Result<String> {
    let gid = User::from_name(user)?.with_context(|| format!("there is no user {user}"))?.gid;
    Ok(Group::from_gid(gid)?.with_context(|| format!("group {gid} has no name"))?.name)
}

fn first_line(command: &mut Command) -> Option<String> {
    let printed = command::output(command).ok()?;
    Some(printed.lines().next()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{content, return_config, routes_config};
    use serde_json::Value;

    #[test]
    fn configurations_are_json() {
        let config: Value = serde_json::from_str(&return_config(8080)).unwrap();
        assert_eq!(config.pointer("/routes/0/action/return"), Some(&200.into()));
        let config: Value = serde_json::from_str(&routes_config(8080, 0..1000)).unwrap();
        let last = config.pointer("/routes/999/match/uri").and_then(Value::as_str);
        assert_eq!(last, Some("/route-999"));
    }

    #[test]
    fn content_has_the_length_asked_for() {
        assert_eq!(content(10 * 1024).len(), 10 * 1024);
        assert_eq!(content(3).len(), 3);
    }
}
