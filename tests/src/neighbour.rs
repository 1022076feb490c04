//! Another server, run beside unitd to see how it reads the same bytes, or in front of it.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::ports::{Reservation, reserve};
use crate::requirements::program;
use crate::wait::wait_until;

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A server of other people, which ends with this value.
#[derive(Debug)]
pub struct Neighbour {
    child: Child,
    directory: TempDir,
    _ports: Vec<Reservation>,
}

/// Where a server is about to run: its configuration is written with these in it.
#[derive(Debug)]
pub struct Site {
    directory: TempDir,
    ports: Vec<Reservation>,
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Site {
    /// A directory that is this server's alone.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("unit-test-neighbour-").tempdir().unwrap();
        Self { directory, ports: Vec::new() }
    }

    /// A port that is this server's while it lives.
    pub fn port(&mut self) -> u16 {
        let reservation = reserve();
        let port = reservation.port;
        self.ports.push(reservation);
        port
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts nginx with a configuration; it stays in the foreground, one process in all.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start_nginx(self, program: &Path, config: &str) -> Neighbour {
        let mut command = Command::new(program);
        command.arg("-p").arg(self.directory()).args(["-e", "error.log", "-c", "server.conf"]);
        self.start(command, config)
    }

    /// Starts HAProxy with a configuration, in the foreground.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start_haproxy(self, program: &Path, config: &str) -> Neighbour {
        let mut command = Command::new(program);
        command.args(["-db", "-f", "server.conf"]);
        self.start(command, config)
    }

    fn start(self, mut command: Command, config: &str) -> Neighbour {
        let directory = self.directory;
        std::fs::write(directory.path().join("server.conf"), config).unwrap();
        let output = std::fs::File::create(directory.path().join("output")).unwrap();
        command.current_dir(directory.path()).stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap();
        let mut neighbour = Neighbour { child, directory, _ports: self.ports };
        let ports: Vec<u16> = neighbour._ports.iter().map(|port| port.port).collect();
        wait_until("the other server listens", START_LIMIT, || {
            if let Some(status) = neighbour.child.try_wait().unwrap() {
                panic!("it ended at its start, {status}:\n{}", neighbour.output());
            }
            ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
        neighbour
    }
}

impl Neighbour {
    /// What it has written to its standard streams.
    #[must_use]
    pub fn output(&self) -> String {
        let bytes = std::fs::read(self.directory.path().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server in the search path, or where the system keeps what only root is thought to start.
#[must_use]
pub fn server_program(name: &str) -> Option<PathBuf> {
    let sbin = || {
        let directories = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
        directories.iter().map(|directory| Path::new(directory).join(name)).find(|at| at.is_file())
    };
    program(name).or_else(sbin)
}
