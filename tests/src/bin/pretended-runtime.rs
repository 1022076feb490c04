//! A language runtime that can say what it is and nothing else: what the name of its file says,
//! such as `php8.2.1.unit`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let file = std::env::current_exe().ok();
    let name = file.as_ref().and_then(|file| file.file_stem()).and_then(|name| name.to_str());
    let asked = std::env::args().nth(1);
    let (Some(name), Some("--describe")) = (name, asked.as_deref()) else {
        eprintln!("it runs no applications");
        return ExitCode::FAILURE;
    };
    let digit = name.find(|letter: char| letter.is_ascii_digit()).unwrap_or(name.len());
    let (language, version) = name.split_at(digit);
    let version = serde_json::Value::from(version);
    println!("{{\"unit\":\"2.0.0\",\"language\":\"{language}\",\"version\":{version}}}");
    ExitCode::SUCCESS
}
