//! The language runtimes: checked, sorted by type and then newest version first, opened once.

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::io;
use std::iter::Peekable;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::str::Bytes;

use port_proto::Module;
use sys::errno::Described;

/// The languages in the order of the table that configurations are matched against.
const LANGUAGES: [&str; 8] =
    ["external", "python", "php", "perl", "ruby", "java", "wasm", "wasm-wasi-component"];

/// The suffix of a runtime's file name.
const SUFFIX: &str = ".unit";

/// The runtimes that prototypes can be started from.
#[derive(Debug, Default)]
pub struct Modules {
    sorted: Vec<Module>,
    executables: HashMap<String, OwnedFd>,
}

impl Modules {
    /// Takes discovery's report. Discovery is not trusted: a file outside of the directory it was
    /// sent to is never executed.
    #[must_use]
    pub fn take_report(report: Vec<Module>, modules_dir: &Path) -> Self {
        let mut executables = HashMap::new();
        let mut kept = Vec::new();
        for module in report {
            if !is_inside(modules_dir, &module.file) {
                unit_log::alert!("module \"{}\" is not in the modules directory", module.file);
                continue;
            }
            match sys::fs::open_executable(Path::new(&module.file)) {
                Ok(executable) => {
                    executables.insert(module.file.clone(), executable);
                    kept.push(module);
                }
                Err(error) => {
                    unit_log::alert!("open(\"{}\") failed {}", module.file, Described(&error));
                }
            }
        }
        let (sorted, ignored) = sort(kept);
        for Ignored { module, in_favour_of } in ignored {
            executables.remove(&module.file);
            unit_log::notice!(
                "ignoring {} module with the same application language version {} {} as in {}",
                module.file,
                module.language,
                module.version,
                in_favour_of
            );
        }
        Self { sorted, executables }
    }

    /// The table, as the other roles get it.
    #[must_use]
    pub fn table(&self) -> &[Module] {
        &self.sorted
    }

    /// The executable of a runtime in the table.
    ///
    /// # Errors
    /// `ENOENT` for a file that is not in the table, whatever it is.
    pub fn executable(&self, file: &str) -> io::Result<BorrowedFd<'_>> {
        match self.executables.get(file) {
            Some(executable) => Ok(executable.as_fd()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn is_inside(modules_dir: &Path, file: &str) -> bool {
    let file = Path::new(file);
    let named = file.file_name().and_then(|name| name.to_str());
    file.parent() == Some(modules_dir) && named.is_some_and(|name| name.ends_with(SUFFIX))
}

/// A runtime that another one makes superfluous.
#[derive(Debug, PartialEq, Eq)]
struct Ignored {
    module: Module,
    in_favour_of: String,
}

/// Sorts the table; of two runtimes of the same language and version the first stays.
fn sort(modules: Vec<Module>) -> (Vec<Module>, Vec<Ignored>) {
    let mut sorted: Vec<Module> = Vec::with_capacity(modules.len());
    let mut ignored = Vec::new();
    for module in modules {
        let same =
            |kept: &&Module| kept.language == module.language && kept.version == module.version;
        match sorted.iter().find(same) {
            Some(kept) => {
                let in_favour_of = kept.file.clone();
                ignored.push(Ignored { module, in_favour_of });
            }
            None => sorted.push(module),
        }
    }
    let rank = |language: &str| {
        LANGUAGES.iter().position(|known| *known == language).unwrap_or(LANGUAGES.len())
    };
    sorted.sort_by(|a, b| {
        rank(&a.language)
            .cmp(&rank(&b.language))
            .then_with(|| Reverse(Version(&a.version)).cmp(&Reverse(Version(&b.version))))
    });
    (sorted, ignored)
}

/// A version, ordered as the C library's `strverscmp` orders strings: runs of digits compare as
/// numbers, and as fractions when they begin with a zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version<'a>(&'a str);

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut a, mut b) = (self.0.bytes().peekable(), other.0.bytes().peekable());
        loop {
            let order = match (a.peek().copied(), b.peek().copied()) {
                (None, None) => return Ordering::Equal,
                (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                    compare_runs(&digits(&mut a), &digits(&mut b))
                }
                (x, y) => {
                    a.next();
                    b.next();
                    x.cmp(&y)
                }
            };
            if order.is_ne() {
                return order;
            }
        }
    }
}

fn digits(bytes: &mut Peekable<Bytes<'_>>) -> Vec<u8> {
    std::iter::from_fn(|| bytes.next_if(u8::is_ascii_digit)).collect()
}

fn compare_runs(a: &[u8], b: &[u8]) -> Ordering {
    if !a.starts_with(b"0") && !b.starts_with(b"0") {
        return a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    }
    // As fractions: 000 < 00 < 01 < 010 < 09 < 0 < 1. More leading zeros are less; among as many,
    // the digits decide, and only zeros followed by nothing are more than zeros followed by digits.
    let zeros = |run: &[u8]| run.iter().take_while(|digit| **digit == b'0').count();
    let (a_zeros, b_zeros) = (zeros(a), zeros(b));
    if a_zeros == b_zeros {
        let (a_rest, b_rest) = (&a[a_zeros..], &b[b_zeros..]);
        return a_rest.is_empty().cmp(&b_rest.is_empty()).then_with(|| a_rest.cmp(b_rest));
    }
    b_zeros.cmp(&a_zeros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(language: &str, version: &str, file: &str) -> Module {
        Module {
            language: language.into(),
            version: version.into(),
            file: file.into(),
            mounts: Vec::new(),
        }
    }

    #[test]
    fn versions_follow_the_c_library() {
        // The examples of strverscmp(3), then versions as they occur.
        let chains: [&[&str]; 4] = [
            &["000", "00", "01", "010", "09", "0", "1", "9", "10"],
            &["no digit", "no digit1"],
            &["3.9.2", "3.10.0", "3.11.2", "3.11.10", "3.12"],
            &["3.12.0a1", "3.12.0b2", "3.12.0rc1", "3.12.10"],
        ];
        for chain in chains {
            for (at, smaller) in chain.iter().enumerate() {
                assert_eq!(Version(smaller).cmp(&Version(smaller)), Ordering::Equal);
                for larger in &chain[at + 1..] {
                    assert!(Version(smaller) < Version(larger), "{smaller} < {larger}");
                    assert!(Version(larger) > Version(smaller), "{larger} > {smaller}");
                }
            }
        }
    }

    #[test]
    fn sorts_by_type_then_newest_first() {
        let (sorted, ignored) = sort(vec![
            module("ruby", "3.1", "a"),
            module("python", "3.9.2", "b"),
            module("unheard-of", "1", "c"),
            module("python", "3.11.2", "d"),
            module("php", "8.2.7", "e"),
            module("python", "3.9.2", "f"),
        ]);
        let files: Vec<&str> = sorted.iter().map(|module| module.file.as_str()).collect();
        assert_eq!(files, ["d", "b", "e", "a", "c"]);
        assert_eq!(
            ignored,
            [Ignored { module: module("python", "3.9.2", "f"), in_favour_of: "b".into() }]
        );
    }

    #[test]
    fn only_runtimes_of_the_directory_can_be_executed() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("true.unit");
        std::fs::copy("/bin/true", &inside).unwrap();
        let inside = inside.to_str().unwrap();
        let sideways = directory.path().join("../../bin/true.unit");
        let modules = Modules::take_report(
            vec![
                module("python", "1", inside),
                module("python", "2", "/bin/true"),
                module("python", "3", sideways.to_str().unwrap()),
                module("python", "4", directory.path().join("gone.unit").to_str().unwrap()),
            ],
            directory.path(),
        );
        assert_eq!(modules.table(), [module("python", "1", inside)]);
        assert!(modules.executable(inside).is_ok());
        assert!(modules.executable("/bin/true").is_err());
    }
}
