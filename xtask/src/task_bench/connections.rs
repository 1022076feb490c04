//! What connections that wait for their next request cost in memory.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::contender::{Bench, return_config};
use super::process::Tree;
use super::report::Extra;
use crate::server::{self, Unitd};

/// The name of the row.
pub(crate) const NAME: &str = "connections";

const CONNECTIONS: usize = 10_000;

/// Kibibytes of all roles for each connection, at most.
const GOAL_KIB: f64 = 4.0;

/// Holds connections that have had an answer each, and looks what all roles have grown by.
pub(crate) fn measure(bench: &Bench) -> Result<Extra> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let tcp_port = server::free_tcp_port()?;
    let unitd = Unitd::start(&bench.place(NAME)?.as_place())?;
    unitd.configure(&return_config(tcp_port))?;
    let mut held = Vec::with_capacity(CONNECTIONS);
    held.push(connect(tcp_port)?);
    std::thread::sleep(Duration::from_secs(1));
    let before = router_pss_kib(&unitd)?;
    while held.len() <= CONNECTIONS {
        held.push(connect(tcp_port)?);
    }
    std::thread::sleep(Duration::from_secs(2));
    let after = router_pss_kib(&unitd)?;
    for connection in held.iter_mut().step_by(CONNECTIONS / 100) {
        ask(connection).context("a held connection is of no use any more")?;
    }
    #[allow(clippy::cast_precision_loss, reason = "a figure with three digits")]
    let each = after.saturating_sub(before) as f64 / CONNECTIONS as f64;
    Ok(Extra {
        name: NAME,
        what: "10,000 idle keep-alive connections",
        value: format!("{each:.2} KB each"),
        goal: format!("{GOAL_KIB:.0} KB"),
        is_reached: each <= GOAL_KIB,
        details: vec![format!("router before {before} KiB"), format!("with them {after} KiB")],
    })
}

fn router_pss_kib(unitd: &Unitd) -> Result<u64> {
    let tree = Tree::read(unitd.pid())?;
    let memory = tree.memory_of("router").context("the kernel does not tell the memory")?;
    Ok(memory.pss_kib)
}

fn connect(tcp_port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", tcp_port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    ask(&mut stream)?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = [0; 512];
    let len = stream.read(&mut answer)?;
    if !answer.get(..len).unwrap_or_default().starts_with(b"HTTP/1.1 200 ") {
        bail!("the answer is {}", String::from_utf8_lossy(answer.get(..len).unwrap_or_default()));
    }
    Ok(())
}
