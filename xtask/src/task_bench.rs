//! `cargo xtask bench`: CPU time per request beside other servers, in one run on one machine.
//!
//! The method is told in `docs/benchmarks.md`. Ratios of the same round count, absolute figures do
//! not. Everything stays on the loopback address.

mod connections;
mod contender;
mod large;
mod load;
mod process;
mod report;
mod rows;
mod tools;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::contender::{Bench, Running};
use self::process::Tree;
use self::report::{Extra, Measured, Report, Sample};
use self::rows::{ROWS, Row};
use crate::arguments::Arguments;
use crate::server::Unitd;
use crate::workspace::{Profile, Workspace};
use crate::{http, pythons, task_build};

/// The rows that measure no load: memory at rest, and how long a start takes.
const IDLE: &str = "idle";
const START: &str = "start";

const IDLE_PSS_GOAL_KIB: u64 = 8 * 1024;
const START_GOAL_MS: f64 = 50.0;

/// How long and how often each contender is put under load.
#[derive(Clone, Copy, Debug)]
struct Effort {
    rounds: u32,
    seconds: u32,
    starts: u32,
}

pub(crate) fn main(mut arguments: Arguments) -> Result<()> {
    let is_json = arguments.take_flag("--json");
    let mut effort = if arguments.take_flag("--quick") {
        Effort { rounds: 2, seconds: 1, starts: 3 }
    } else {
        Effort { rounds: 5, seconds: 3, starts: 11 }
    };
    effort.rounds = arguments.take_number("--rounds")?.unwrap_or(effort.rounds).max(1);
    effort.seconds = arguments.take_number("--seconds")?.unwrap_or(effort.seconds).max(1);
    let wanted = arguments.into_words()?;
    let names: Vec<&str> = ROWS
        .iter()
        .map(|row| row.name)
        .chain([IDLE, START, large::NAME, connections::NAME])
        .collect();
    if let Some(unknown) = wanted.iter().find(|word| !names.contains(&word.as_str())) {
        bail!("no row {unknown:?}; there are: {}", names.join(" "));
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);

    let workspace = Workspace::load()?;
    let pythons: Vec<_> = pythons::find_for_tests().into_iter().take(1).collect();
    task_build::build_roles(&workspace, Profile::Release, None)?;
    task_build::build_runtimes(&workspace, Profile::Release, &pythons)?;
    let bench = Bench::prepare(&workspace, pythons.first())?;

    let mut report = Report::begin(&bench, effort.rounds, effort.seconds);
    for row in ROWS.iter().filter(|row| is_wanted(row.name)) {
        eprintln!("{}: {}", row.name, row.what);
        match measure_row(&bench, row, effort) {
            Ok(measured) => report.rows.push(measured),
            Err(error) => report.failures.push(format!("{}: {error:#}", row.name)),
        }
    }
    let extras: [(&str, Extraordinary); 4] = [
        (IDLE, measure_idle),
        (START, measure_start),
        (large::NAME, |bench, _| large::measure(bench)),
        (connections::NAME, |bench, _| connections::measure(bench)),
    ];
    for (name, measure) in extras.into_iter().filter(|(name, _)| is_wanted(name)) {
        eprintln!("{name}");
        match measure(&bench, effort) {
            Ok(extra) => report.extras.push(extra),
            Err(error) => report.failures.push(format!("{name}: {error:#}")),
        }
    }
    if is_json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    if report.failures.is_empty() { Ok(()) } else { bail!("{}", report.failures.join("\n")) }
}

/// A row that is measured in a way of its own.
type Extraordinary = fn(&Bench, Effort) -> Result<Extra>;

/// Starts every contender of a row, puts them under load in turn, and stops them.
fn measure_row(bench: &Bench, row: &Row, effort: Effort) -> Result<Measured> {
    let mut running = Vec::new();
    for contender in row.contenders {
        match bench.start(*contender, row) {
            Ok(server) => running.push(server),
            // Without the one it is judged by, or ours, a row says nothing; others may be missing.
            Err(error) if running.len() < 2 => {
                return Err(error.context(format!("{} did not start", contender.name())));
            }
            Err(error) => eprintln!("{} is left out: {error:#}", contender.name()),
        }
    }
    agree(&running, row)?;
    for server in &running {
        load::run(&bench.wrk, bench.script(row), (server.tcp_port, row.path), 1)?;
    }
    let mut samples: Vec<Vec<Sample>> = running.iter().map(|_| Vec::new()).collect();
    for round in 0..effort.rounds {
        eprintln!("  round {} of {}", round + 1, effort.rounds);
        for (server, samples) in running.iter().zip(&mut samples) {
            samples.push(measure_once(bench, server, row, effort.seconds)?);
        }
    }
    let names = running.iter().map(|server| server.name);
    Ok(Measured::of(row, names.zip(samples).collect()))
}

fn measure_once(bench: &Bench, server: &Running, row: &Row, seconds: u32) -> Result<Sample> {
    let before = Tree::read(server.pid())?;
    let url = (server.tcp_port, row.path);
    let load = load::run(&bench.wrk, bench.script(row), url, seconds)?;
    let after = Tree::read(server.pid())?;
    if load.requests == 0 {
        bail!("{} answered nothing", server.name);
    }
    Ok(Sample::of(&load, &before, &after))
}

/// Contenders that answer differently are not doing the same work.
fn agree(running: &[Running], row: &Row) -> Result<()> {
    let mut expected: Option<Vec<u8>> = None;
    for server in running {
        let response = http::get(server.tcp_port, row.path)
            .with_context(|| format!("{} does not answer", server.name))?;
        if response.status != 200 {
            bail!("{} answers {} to {}", server.name, response.status, row.path);
        }
        match &expected {
            Some(body) if *body != response.body => {
                bail!("{} answers with another body than {}", server.name, running[0].name)
            }
            _ => expected = Some(response.body),
        }
    }
    Ok(())
}

/// Memory of all roles with nothing configured.
fn measure_idle(bench: &Bench, _: Effort) -> Result<Extra> {
    let unitd = Unitd::start(&bench.place("idle")?.as_place())?;
    unitd.configure("{}")?;
    // Discovery is gone by now; what start-up freed is given back within a moment.
    std::thread::sleep(Duration::from_secs(1));
    let tree = Tree::read(unitd.pid())?;
    let pss_kib = tree.pss_kib().context("the kernel does not tell the memory of the roles")?;
    Ok(Extra {
        name: IDLE,
        what: "all roles, no applications",
        value: format!("{:.1} MB PSS", mega(pss_kib)),
        goal: format!("{:.0} MB", mega(IDLE_PSS_GOAL_KIB)),
        is_reached: pss_kib <= IDLE_PSS_GOAL_KIB,
        details: tree.pss_by_process(),
    })
}

/// From starting `unitd` with a stored configuration to the first answer on its listener.
fn measure_start(bench: &Bench, effort: Effort) -> Result<Extra> {
    let tcp_port = crate::server::free_tcp_port()?;
    let place = bench.place("start")?;
    let unitd = Unitd::start(&place.as_place())?;
    unitd.configure(&contender::return_config(tcp_port))?;
    unitd.stop()?;
    let mut times = Vec::new();
    for _ in 0..effort.starts {
        let start = Instant::now();
        let unitd = Unitd::spawn(&place.as_place())?;
        while !http::get(tcp_port, "/").is_ok_and(|response| response.status == 200) {
            if start.elapsed() > Duration::from_secs(20) {
                bail!("no answer after 20 s\n{}", unitd.log_tail());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        times.push(start.elapsed().as_secs_f64() * 1000.0);
        unitd.stop()?;
    }
    let median = report::median(&mut times);
    Ok(Extra {
        name: START,
        what: "from start to the first answer, configuration stored",
        value: format!("{median:.0} ms"),
        goal: format!("{START_GOAL_MS:.0} ms"),
        is_reached: median <= START_GOAL_MS,
        details: times.iter().map(|time| format!("{time:.1} ms")).collect(),
    })
}

/// Mebibytes, of kibibytes.
fn mega(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}
