//! Medians, ratios, and the tables people and programs read.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use serde::Serialize;

use super::contender::Bench;
use super::load::Load;
use super::process::Tree;
use super::rows::{Goal, Row};

/// Processes that took less per request are left out: they do not take part.
const NOTHING_US: f64 = 0.005;

/// One contender under load, once.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    load: Load,
    cpu_us: f64,
    pss_kib: Option<u64>,
    /// User and system microseconds per request, by process title.
    shares: BTreeMap<String, (f64, f64)>,
}

impl Sample {
    pub(crate) fn of(load: &Load, before: &Tree, after: &Tree) -> Self {
        let requests = float(load.requests);
        let spent = after.spent_since(before);
        let shares: BTreeMap<_, _> = spent
            .into_iter()
            .map(|(title, spent)| {
                (title, (float(spent.user_us) / requests, float(spent.system_us) / requests))
            })
            .collect();
        Self {
            load: load.clone(),
            cpu_us: shares.values().map(|(user, system)| user + system).sum(),
            pss_kib: after.pss_kib(),
            shares,
        }
    }
}

/// A row, measured.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    name: &'static str,
    what: &'static str,
    goal: String,
    is_reached: bool,
    contenders: Vec<Figures>,
    /// Where our own CPU time went.
    by_process: Vec<Share>,
}

/// Medians of one contender over all rounds.
#[derive(Debug, Serialize)]
struct Figures {
    name: &'static str,
    cpu_us_per_request: f64,
    /// Of the contender a row is judged by, the median of the ratios of each round.
    ratio: f64,
    requests_per_second: f64,
    p99_ms: f64,
    pss_kib: Option<u64>,
    errors: u64,
}

#[derive(Debug, Serialize)]
struct Share {
    process: String,
    user_us: f64,
    system_us: f64,
}

/// A row that is one value.
#[derive(Debug, Serialize)]
pub(crate) struct Extra {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) value: String,
    pub(crate) goal: String,
    pub(crate) is_reached: bool,
    pub(crate) details: Vec<String>,
}

/// Everything one run found out.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    method: String,
    versions: Vec<String>,
    pub(crate) rows: Vec<Measured>,
    pub(crate) extras: Vec<Extra>,
    pub(crate) failures: Vec<String>,
}

impl Measured {
    /// Ours comes first and is judged by the second.
    pub(crate) fn of(row: &Row, samples: Vec<(&'static str, Vec<Sample>)>) -> Self {
        let figure: fn(&Sample) -> f64 = match row.goal {
            Goal::CpuTime(_) => |sample| sample.cpu_us,
            Goal::Rate(_) => |sample| sample.load.requests_per_second,
        };
        let reference: Vec<f64> = samples
            .get(1)
            .map(|(_, samples)| samples.iter().map(figure).collect())
            .unwrap_or_default();
        let contenders: Vec<Figures> = samples
            .iter()
            .map(|(name, samples)| Figures::of(name, samples, figure, &reference))
            .collect();
        let ours = samples.first().map(|(_, samples)| samples.as_slice()).unwrap_or_default();
        Self {
            name: row.name,
            what: row.what,
            goal: match row.goal {
                Goal::CpuTime(most) => format!("ratio of CPU time at most {most}"),
                Goal::Rate(least) => format!("ratio of requests per second at least {least}"),
            },
            is_reached: contenders.first().is_some_and(|ours| match row.goal {
                Goal::CpuTime(most) => ours.ratio <= most,
                Goal::Rate(least) => ours.ratio >= least,
            }),
            contenders,
            by_process: shares(ours),
        }
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\n{}: {}", self.name, self.what)?;
        writeln!(
            text,
            "  {:<20}{:>10}{:>8}{:>12}{:>10}{:>10}{:>8}",
            "", "CPU µs", "ratio", "requests/s", "p99 ms", "PSS MB", "errors"
        )?;
        for figures in &self.contenders {
            let pss =
                figures.pss_kib.map_or("-".to_owned(), |kib| format!("{:.1}", float(kib) / 1024.0));
            writeln!(
                text,
                "  {:<20}{:>10.2}{:>8.2}{:>12.0}{:>10.2}{:>10}{:>8}",
                figures.name,
                figures.cpu_us_per_request,
                figures.ratio,
                figures.requests_per_second,
                figures.p99_ms,
                pss,
                figures.errors
            )?;
        }
        for share in &self.by_process {
            writeln!(
                text,
                "  {:<40}{:>6.2} user {:>6.2} system",
                format!("of unitd: {}", share.process),
                share.user_us,
                share.system_us
            )?;
        }
        let verdict = if self.is_reached { "reached" } else { "NOT reached" };
        writeln!(text, "  goal: {}, {verdict}", self.goal)
    }
}

impl Figures {
    fn of(
        name: &'static str,
        samples: &[Sample],
        figure: fn(&Sample) -> f64,
        reference: &[f64],
    ) -> Self {
        let middle = |value: fn(&Sample) -> f64| {
            median(&mut samples.iter().map(value).collect::<Vec<f64>>())
        };
        let ratios =
            samples.iter().zip(reference).map(|(sample, reference)| figure(sample) / reference);
        let mut pss: Vec<u64> = samples.iter().filter_map(|sample| sample.pss_kib).collect();
        pss.sort_unstable();
        Self {
            name,
            cpu_us_per_request: middle(|sample| sample.cpu_us),
            ratio: median(&mut ratios.collect::<Vec<f64>>()),
            requests_per_second: middle(|sample| sample.load.requests_per_second),
            p99_ms: middle(|sample| sample.load.p99_ms),
            pss_kib: pss.get(pss.len() / 2).copied(),
            errors: samples.iter().map(|sample| sample.load.errors).sum(),
        }
    }
}

/// The median of each process's part.
fn shares(samples: &[Sample]) -> Vec<Share> {
    let titles: Vec<&String> =
        samples.first().map(|sample| sample.shares.keys().collect()).unwrap_or_default();
    let part = |title: &str, choose: fn(&(f64, f64)) -> f64| {
        let values = samples.iter().map(|sample| sample.shares.get(title).map_or(0.0, choose));
        median(&mut values.collect::<Vec<f64>>())
    };
    titles
        .into_iter()
        .map(|title| Share {
            process: title.clone(),
            user_us: part(title, |share| share.0),
            system_us: part(title, |share| share.1),
        })
        .filter(|share| share.user_us + share.system_us >= NOTHING_US)
        .collect()
}

impl Report {
    pub(crate) fn begin(bench: &Bench, rounds: u32, seconds: u32) -> Self {
        Self {
            machine: machine(),
            method: format!(
                "wrk, 1 thread, 32 keep-alive connections, {rounds} rounds of {seconds} s, \
                 contenders in turn, medians; CPU time of all processes of a server"
            ),
            versions: bench.versions(),
            rows: Vec::new(),
            extras: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.machine, self.method, self.versions.join(", "));
        for row in &self.rows {
            row.write(&mut text).expect("writing to a string does not fail");
        }
        for extra in &self.extras {
            let verdict = if extra.is_reached { "reached" } else { "NOT reached" };
            text.push_str(&format!(
                "\n{}: {}\n  {}; goal: at most {}, {verdict}\n  {}\n",
                extra.name,
                extra.what,
                extra.value,
                extra.goal,
                extra.details.join(", ")
            ));
        }
        text
    }
}

/// The middle value; the mean of the two in the middle when there is an even number.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values {
        [] => f64::NAN,
        [.., _] if values.len() % 2 == 1 => values[half],
        _ => f64::midpoint(values[half - 1], values[half]),
    }
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{} × {}, Linux {}",
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        model.map_or("unknown processor", |(_, model)| model),
        kernel.trim()
    )
}

#[allow(clippy::cast_precision_loss, reason = "figures with three digits")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::{Figures, Sample, median};
    use crate::task_bench::load::Load;
    use std::collections::BTreeMap;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&mut [4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&mut []).is_nan());
    }

    fn sample(cpu_us: f64) -> Sample {
        let load = Load { requests: 1, requests_per_second: 1.0, p99_ms: 1.0, errors: 1 };
        Sample { load, cpu_us, pss_kib: None, shares: BTreeMap::new() }
    }

    #[test]
    fn a_ratio_is_taken_within_each_round() {
        // The machine was slow for both in the second round: that must not show.
        let samples = [sample(2.0), sample(20.0), sample(2.0)];
        let figures = Figures::of("x", &samples, |sample| sample.cpu_us, &[4.0, 40.0, 4.0]);
        assert!((figures.ratio - 0.5).abs() < 1e-9);
        assert_eq!(figures.errors, 3);
    }
}
