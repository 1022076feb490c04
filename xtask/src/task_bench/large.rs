//! A large configuration: how long it takes to write and to read, and what it leaves in the
//! controller.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::contender::Bench;
use super::process::{Memory, Tree};
use super::report::{self, Extra};
use crate::http;
use crate::server::{Unitd, free_tcp_port};

/// The name of the row.
pub(super) const NAME: &str = "large";

const APPLICATIONS: usize = 500;
const ROUTES: usize = 5000;

const PUT_GOAL_MS: f64 = 1000.0;
const GET_GOAL_MS: f64 = 50.0;
/// How much the controller may grow, in sizes of the configuration.
const GROWTH_GOAL: f64 = 10.0;

/// How often it is written and read.
const TIMES: usize = 5;

/// How long until the controller has given back what it does not need any more.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes and reads a configuration about as large as any has been seen. No application runs.
pub(super) fn measure(bench: &Bench) -> Result<Extra> {
    if !bench.has_python() {
        bail!("there is no Python to configure applications of");
    }
    let unitd = Unitd::start(&bench.place(NAME)?.as_place())?;
    unitd.configure("{}")?;
    std::thread::sleep(PAUSE);
    let before = memory(&unitd)?;
    let config = config(free_tcp_port()?).to_string();
    let mut puts = Vec::new();
    for _ in 0..TIMES {
        let start = Instant::now();
        unitd.configure(&config)?;
        puts.push(milliseconds(start));
    }
    let mut gets = Vec::new();
    for _ in 0..TIMES {
        let start = Instant::now();
        let response = http::ask_control(&unitd.control, "GET", "/config", "")?;
        gets.push(milliseconds(start));
        if response.status != 200 || response.body.len() < config.len() {
            bail!("the configuration does not come back: {}", response.status);
        }
    }
    std::thread::sleep(PAUSE);
    let after = memory(&unitd)?;
    unitd.stop()?;

    let (put, get) = (report::median(&mut puts), report::median(&mut gets));
    let sizes = |kib: u64| {
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let size = u32::try_from(config.len()).unwrap_or(u32::MAX);
        f64::from(kib) * 1024.0 / f64::from(size)
    };
    let growth = sizes(after.pss_kib.saturating_sub(before.pss_kib));
    let peak = sizes(after.peak_kib.saturating_sub(before.peak_kib));
    Ok(Extra {
        name: NAME,
        what: "500 applications, 5,000 routes: PUT, GET, growth of the controller",
        value: format!("{put:.0} ms, {get:.0} ms, {growth:.1} times the text"),
        goal: format!("{PUT_GOAL_MS:.0} ms, {GET_GOAL_MS:.0} ms, {GROWTH_GOAL:.0} times"),
        is_reached: put <= PUT_GOAL_MS && get <= GET_GOAL_MS && growth <= GROWTH_GOAL,
        details: vec![
            format!("the text has {} bytes", config.len()),
            format!("controller {} KiB before, {} KiB after", before.pss_kib, after.pss_kib),
            format!("meanwhile it grew by up to {peak:.1} times the text"),
        ],
    })
}

fn memory(unitd: &Unitd) -> Result<Memory> {
    let tree = Tree::read(unitd.pid())?;
    tree.memory_of("controller").context("the kernel does not tell the memory of the controller")
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

fn config(tcp_port: u16) -> Value {
    let application = |number: usize| {
        let directory = format!("/srv/app{number}");
        let definition = json!({
            "type": "python",
            "module": "wsgi",
            "path": &directory,
            "working_directory": &directory,
            "environment": { "NAME": format!("app{number}"), "SETTINGS": "project.settings" },
            "processes": { "max": 1, "spare": 0 },
            "limits": { "timeout": 30, "requests": 1000 },
        });
        (format!("app{number}"), definition)
    };
    let route = |number: usize| {
        json!({
            "match": {
                "host": format!("site{}.example.com", number % APPLICATIONS),
                "uri": [format!("/section{}/*", number / APPLICATIONS), format!("/page{number}")],
            },
            "action": { "pass": format!("applications/app{}", number % APPLICATIONS) },
        })
    };
    let applications: serde_json::Map<String, Value> = (0..APPLICATIONS).map(application).collect();
    let routes: Vec<Value> = (0..ROUTES).map(route).collect();
    json!({
        "listeners": { format!("127.0.0.1:{tcp_port}"): { "pass": "routes" } },
        "routes": routes,
        "applications": applications,
    })
}
