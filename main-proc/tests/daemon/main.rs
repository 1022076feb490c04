//! The real `unitd` with stand-ins for the other roles: this very program, executed by `unitd` in
//! their place, does in each of them what the tests say. It has no test harness of the standard
//! kind because it has to notice in `main` that it is a role.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test program, which clippy knows only by its harness")]

mod cases;
mod role;
mod world;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if words[0].starts_with("unit: ") {
        role::play(&words[0]);
        return ExitCode::SUCCESS;
    }
    let filter = words[1..].iter().find(|word| !word.starts_with('-'));
    let chosen: Vec<_> = cases::ALL
        .iter()
        .filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter.as_str())))
        .collect();
    if words.iter().any(|word| word == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let failed = Mutex::new(0);
    let left = Mutex::new(chosen.iter());
    let next = || left.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, case)) = next() {
                    let passed = catch_unwind(case).is_ok();
                    println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
                    *failed.lock().unwrap() += usize::from(!passed);
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out\n",
        chosen.len() - failed,
        cases::ALL.len() - chosen.len()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
