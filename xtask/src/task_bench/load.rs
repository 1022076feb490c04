//! The load: `wrk`, one thread, 32 keep-alive connections; and what it prints.

use std::path::Path;

use anyhow::{Context, Result};

use crate::command;

const CONNECTIONS: u32 = 32;

/// What one run of the load generator saw.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) p99_ms: f64,
    /// Answers of another status, connections that failed, answers that never came.
    pub(crate) errors: u64,
}

/// Puts a server on the loopback address under load; `script` is one of wrk's.
pub(crate) fn run(
    wrk: &Path,
    script: Option<&Path>,
    url: (u16, &str),
    seconds: u32,
) -> Result<Load> {
    let (tcp_port, path) = url;
    let mut command = command::program(wrk);
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), "--latency"]);
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let printed = command::output(command.arg(format!("http://127.0.0.1:{tcp_port}{path}")))?;
    parse(&printed).with_context(|| format!("wrk printed something unexpected:\n{printed}"))
}

fn parse(printed: &str) -> Option<Load> {
    let mut load = Load::default();
    for line in printed.lines().map(str::trim) {
        if let Some((requests, _)) = line.split_once(" requests in ") {
            load.requests = requests.parse().ok()?;
        } else if let Some(rate) = line.strip_prefix("Requests/sec:") {
            load.requests_per_second = rate.trim().parse().ok()?;
        } else if let Some(latency) = line.strip_prefix("99% ") {
            load.p99_ms = milliseconds(latency.trim())?;
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses:") {
            load.errors += count.trim().parse::<u64>().ok()?;
        } else if let Some(counts) = line.strip_prefix("Socket errors:") {
            let numbers = counts.split(|character: char| !character.is_ascii_digit());
            load.errors += numbers.filter_map(|word| word.parse::<u64>().ok()).sum::<u64>();
        }
    }
    (load.requests_per_second > 0.0 || load.requests == 0).then_some(load)
}

/// `172.00us`, `1.35ms` or `1.02s`.
fn milliseconds(text: &str) -> Option<f64> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)];
    let (unit, factor) = units.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    Some(text[..text.len() - unit.len()].parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::{Load, milliseconds, parse};

    const PRINTED: &str = "\
Running 3s test @ http://127.0.0.1:8080/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   243.06us  113.45us   5.39ms   92.24%
    Req/Sec   123.45k     4.21k   130.02k    80.00%
  Latency Distribution
     50%  230.00us
     75%  268.00us
     90%  310.00us
     99%  612.00us
  372915 requests in 3.00s, 53.34MB read
  Socket errors: connect 0, read 2, write 1, timeout 0
  Non-2xx or 3xx responses: 4
Requests/sec: 124278.21
Transfer/sec:     17.78MB
";

    #[test]
    fn reads_what_wrk_prints() {
        let load = parse(PRINTED).unwrap();
        let expected =
            Load { requests: 372_915, requests_per_second: 124_278.21, p99_ms: 0.612, errors: 7 };
        assert_eq!(load, expected);
    }

    #[test]
    fn units_of_time_are_told_apart() {
        let close =
            |text: &str, expected: f64| (milliseconds(text).unwrap() - expected).abs() < 1e-9;
        assert!(close("500.00us", 0.5));
        assert!(close("1.50ms", 1.5));
        assert!(close("1.02s", 1020.0));
        assert!(close("2.00m", 120_000.0));
        assert_eq!(milliseconds("12"), None);
    }

    #[test]
    fn garbage_is_not_taken_for_figures() {
        assert_eq!(parse("many requests in 3.00s"), None);
    }
}
