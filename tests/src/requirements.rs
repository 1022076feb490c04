//! What this machine has, and what a test says when it lacks something.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Says that a test is skipped, past what captures its output.
///
/// # Panics
/// With `UNIT_TEST_STRICT=1`: then nothing may be skipped.
pub fn report_skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("{}: skipped: {reason}\n", thread.name().unwrap_or("?"));
    // The macros would write into the capture of a test that passes.
    let _ = std::io::stderr().write_all(line.as_bytes());
    let strict = std::env::var("UNIT_TEST_STRICT").is_ok_and(|value| value == "1");
    assert!(!strict, "{reason}");
}

/// Whether the tests are run by root.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// The versions of Python there is a runtime for, such as `3.11`, oldest first.
#[must_use]
pub fn pythons() -> Vec<String> {
    pythons_in(&modules_dir())
}

/// Those there is a runtime for in this directory.
#[must_use]
pub fn pythons_in(modules_dir: &Path) -> Vec<String> {
    let mut minors: Vec<u32> = std::fs::read_dir(modules_dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix("python3.")?.strip_suffix(".unit")?.parse().ok()
        })
        .collect();
    minors.sort_unstable();
    minors.iter().map(|minor| format!("3.{minor}")).collect()
}

/// How much a test is to do: what the variable says, or what is enough for every day.
#[must_use]
pub fn amount(variable: &str, everyday: usize) -> usize {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(everyday)
}

/// Sees to it that this process may have so many descriptors; `false` when it may not.
#[must_use]
pub fn allow_descriptors(count: usize) -> bool {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Other tests of this process may have raised it further.
    count <= soft || (count <= hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok())
}

/// A program in the search path.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Where the executables of the roles are.
pub(crate) fn bin_dir() -> PathBuf {
    if let Some(directory) = std::env::var_os("UNIT_BIN_DIR") {
        return directory.into();
    }
    let executable = std::env::current_exe().unwrap();
    let deps = executable.parent().unwrap();
    deps.parent().filter(|_| deps.ends_with("deps")).unwrap_or(deps).to_owned()
}

/// Where the language runtimes are.
#[must_use]
pub fn modules_dir() -> PathBuf {
    match std::env::var_os("UNIT_MODULES_DIR") {
        Some(directory) => directory.into(),
        None => bin_dir().join("modules"),
    }
}

/// A file of this package.
pub(crate) fn own_file(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
