//! What this build takes for granted where the command line says nothing.

/// The values behind the options, chosen when the daemon was built: each by an environment variable
/// of the build (`UNIT_PREFIX`, `UNIT_LOG`, ...), or below the prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// `--control`.
    pub control: String,
    /// `--pid`.
    pub pid: String,
    /// `--log`.
    pub log: String,
    /// `--modulesdir`.
    pub modules_dir: String,
    /// `--statedir`.
    pub state_dir: String,
    /// `--tmpdir`.
    pub tmp_dir: String,
    /// `--user`.
    pub user: String,
    /// `--group`; the user's primary group when there is none.
    pub group: Option<String>,
    /// The options of the build, for `--version`.
    pub configured_as: String,
}

impl Defaults {
    /// Those of this build.
    #[must_use]
    pub fn of_this_build() -> Self {
        let prefix = option_env!("UNIT_PREFIX").unwrap_or("/usr/local");
        let below = |built: Option<&str>, path: &str| match built {
            Some(value) => value.to_owned(),
            None => format!("{prefix}/{path}"),
        };
        Self {
            control: option_env!("UNIT_CONTROL").map_or_else(
                || format!("unix:{prefix}/var/run/unit/control.unit.sock"),
                str::to_owned,
            ),
            pid: below(option_env!("UNIT_PID"), "var/run/unit/unit.pid"),
            log: below(option_env!("UNIT_LOG"), "var/log/unit/unit.log"),
            modules_dir: below(option_env!("UNIT_MODULESDIR"), "lib/unit/modules"),
            state_dir: below(option_env!("UNIT_STATEDIR"), "var/lib/unit"),
            tmp_dir: option_env!("UNIT_TMPDIR").unwrap_or("/tmp").to_owned(),
            user: option_env!("UNIT_USER").unwrap_or("nobody").to_owned(),
            group: option_env!("UNIT_GROUP").map(str::to_owned),
            configured_as: option_env!("UNIT_CONFIGURED_AS")
                .map_or_else(|| format!("--prefix={prefix}"), str::to_owned),
        }
    }
}
