//! What validation depends on besides the text: the installation and what has been uploaded.

use std::collections::BTreeSet;
use std::fmt;

use crate::Text;

/// What a configuration is checked against.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The language modules found, within a language the newest first.
    pub modules: Vec<Module>,
    /// The names of the uploaded certificate bundles.
    pub certificates: Names,
    /// The names of the uploaded JavaScript modules.
    pub scripts: Names,
    /// What this build can do.
    pub features: Features,
    /// Where the configuration comes from.
    pub origin: Origin,
    /// The size of a memory page, which thread stacks must be a multiple of.
    pub page_size: u64,
    /// The smallest stack the system gives a thread.
    pub thread_stack_size_min: u64,
    /// The longest path of a cgroup below the root of the hierarchy.
    pub cgroup_path_len_max: usize,
}

impl Default for Environment {
    /// A build with every feature but TLS, JavaScript and telemetry, on Linux with 4 KiB pages;
    /// no modules, certificates or scripts.
    fn default() -> Self {
        Self {
            modules: Vec::new(),
            certificates: Names::default(),
            scripts: Names::default(),
            features: Features::default(),
            origin: Origin::Request,
            page_size: 4096,
            thread_stack_size_min: 16384,
            // PATH_MAX, less the mount point `/sys/fs/cgroup` and a slash.
            cgroup_path_len_max: 4096 - 14 - 1,
        }
    }
}

/// The names of things that can be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// These exist and no others.
    Known(BTreeSet<Text>),
    /// Whoever sent the configuration has checked.
    Unchecked,
}

impl Names {
    /// Whether something of this name may be used.
    pub fn permit(&self, name: &Text) -> bool {
        match self {
            Self::Known(names) => names.contains(name),
            Self::Unchecked => true,
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::Known(BTreeSet::new())
    }
}

impl<N: Into<Text>> FromIterator<N> for Names {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        Self::Known(names.into_iter().map(Into::into).collect())
    }
}

/// Compiles a JavaScript template and returns the exception, if any.
pub type ScriptCheck = fn(&[u8]) -> Result<(), String>;

/// What this build can do. A member whose feature is absent is refused.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// TLS on listeners.
    pub tls: bool,
    /// TLS library commands in `conf_commands`.
    pub conf_commands: bool,
    /// TLS session tickets.
    pub tickets: bool,
    /// JavaScript templates, with the means to check them.
    pub njs: Option<ScriptCheck>,
    /// Regular expressions in patterns.
    pub regex: bool,
    /// Telemetry.
    pub otel: bool,
    /// `openat2(2)`: `chroot`, `follow_symlinks` and `traverse_mounts` of `share`.
    pub openat2: bool,
    /// The encodings `deflate` and `gzip`.
    pub zlib: bool,
    /// The encoding `zstd`.
    pub zstd: bool,
    /// The encoding `br`.
    pub brotli: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            tls: false,
            conf_commands: true,
            tickets: true,
            njs: None,
            regex: true,
            otel: false,
            openat2: true,
            zlib: true,
            zstd: true,
            brotli: true,
        }
    }
}

/// Where a configuration comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A request: its mistakes are refused.
    Request,
    /// A stored state: what the server that stored it took, but we refuse, is clamped instead.
    Stored,
}

/// A language that applications are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Any program that is linked with libunit.
    External,
    /// Python.
    Python,
    /// PHP.
    Php,
    /// Perl.
    Perl,
    /// Ruby.
    Ruby,
    /// Java.
    Java,
    /// WebAssembly modules.
    Wasm,
    /// WebAssembly components.
    WasmWasiComponent,
}

impl Language {
    /// All languages, in the order in which they are listed.
    pub const ALL: [Self; 8] = [
        Self::External,
        Self::Python,
        Self::Php,
        Self::Perl,
        Self::Ruby,
        Self::Java,
        Self::Wasm,
        Self::WasmWasiComponent,
    ];

    /// The name in configurations and in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Python => "python",
            Self::Php => "php",
            Self::Perl => "perl",
            Self::Ruby => "ruby",
            Self::Java => "java",
            Self::Wasm => "wasm",
            Self::WasmWasiComponent => "wasm-wasi-component",
        }
    }

    /// The language of this name; `go` is another name of `external`.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let name = if name == b"go" { b"external" } else { name };
        Self::ALL.into_iter().find(|language| language.name().as_bytes() == name)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A language module: one version of one language that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The language.
    pub language: Language,
    /// The version of the language.
    pub version: String,
    /// The file it was found in.
    pub file: String,
}

impl Module {
    /// Whether a version asked for means this module: a prefix that ends where a part of the
    /// version ends, so that `3.1` is not `3.11`.
    pub fn answers_to(&self, prefix: &[u8]) -> bool {
        let Some(rest) = self.version.as_bytes().strip_prefix(prefix) else {
            return false;
        };
        match (prefix.last(), rest.first()) {
            (Some(last), Some(next)) => last.is_ascii_digit() != next.is_ascii_digit(),
            (None, _) | (_, None) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_prefix_ends_on_a_part_boundary() {
        let module = |version: &str| Module {
            language: Language::Python,
            version: version.into(),
            file: String::new(),
        };
        for (prefix, version, answers) in [
            ("", "3.11", true),
            ("3", "3.11", true),
            ("3.", "3.11", true),
            ("3.11", "3.11", true),
            ("3.11", "3.11.2", true),
            ("3.1", "3.11", false),
            ("2", "3.11", false),
            ("3.11.2", "3.11", false),
            ("3.13", "3.13rc1", true),
            ("1", "", false),
        ] {
            assert_eq!(
                module(version).answers_to(prefix.as_bytes()),
                answers,
                "{prefix} {version}"
            );
        }
    }

    #[test]
    fn languages_have_names_and_one_alias() {
        for language in Language::ALL {
            assert_eq!(Language::from_name(language.name().as_bytes()), Some(language));
        }
        assert_eq!(Language::from_name(b"go"), Some(Language::External));
        assert_eq!(Language::from_name(b"Python"), None);
    }
}
