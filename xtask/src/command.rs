//! Starting other programs: the one place that does, so that each is shown before it runs.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A command that has not been started yet.
#[allow(clippy::disallowed_methods, reason = "this module is where xtask starts programs")]
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    Command::new(name)
}

/// The cargo that runs this program.
pub(crate) fn cargo(directory: &Path) -> Command {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(directory);
    command
}

/// Shows and runs a command; an exit status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("cannot start {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Shows and runs a command, hands each line it prints to `seen`, and passes the line on.
pub(crate) fn run_seeing(command: &mut Command, mut seen: impl FnMut(&str)) -> Result<()> {
    let shown = show(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {shown}"))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            seen(text.trim_end());
            line.clear();
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// What a command prints, without showing it; the error carries what it wrote to stderr.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line_of(command);
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {line}"))?;
    if !output.status.success() {
        bail!("{line}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// True when a program of that name is found in PATH.
pub(crate) fn exists(name: &str) -> bool {
    find(name).is_some()
}

/// Where PATH has a program; the system directories are searched too, as root's tools are there.
pub(crate) fn find(name: &str) -> Option<std::path::PathBuf> {
    search_path().into_iter().map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// The directories of PATH, then the usual ones that are missing from it.
pub(crate) fn search_path() -> Vec<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<_> = std::env::split_paths(&path).collect();
    for usual in ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"] {
        if !directories.iter().any(|directory| directory == Path::new(usual)) {
            directories.push(usual.into());
        }
    }
    directories
}

fn show(command: &Command) -> String {
    let line = line_of(command);
    eprintln!("$ {line}");
    line
}

fn line_of(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", name.to_string_lossy(), value.to_string_lossy()));
        }
    }
    let program = Path::new(command.get_program());
    let name = if program.file_name().is_some_and(|name| name == "cargo") {
        "cargo".into()
    } else {
        program.to_string_lossy()
    };
    words.push(name.into_owned());
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{find, output, program, run_seeing};

    #[test]
    fn output_is_what_was_printed() {
        assert_eq!(output(program("sh").args(["-c", "echo one"])).unwrap(), "one\n");
    }

    #[test]
    fn an_exit_status_is_an_error_with_the_reason() {
        let error = output(program("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }

    #[test]
    fn lines_are_seen_one_by_one() {
        let mut lines = Vec::new();
        run_seeing(program("sh").args(["-c", "printf 'a\\nb'"]), |line| {
            lines.push(line.to_owned())
        })
        .unwrap();
        assert_eq!(lines, ["a", "b"]);
    }

    #[test]
    fn finds_only_what_is_there() {
        assert!(find("sh").is_some());
        assert!(find("no-program-has-this-name").is_none());
    }
}
