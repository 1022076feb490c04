//! The command line: options are separate words, later ones override earlier ones, and what is
//! wrong is said in the words that scripts know.

use thiserror::Error;

use crate::defaults::Defaults;

/// The mode of the control socket when `--control-mode` gives none.
const CONTROL_MODE: u32 = 0o600;

/// What the options amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether to go into the background.
    pub daemonise: bool,
    /// The address of the control socket.
    pub control: String,
    /// The mode of a Unix control socket.
    pub control_mode: u32,
    /// The owner of a Unix control socket.
    pub control_user: Option<String>,
    /// The group of a Unix control socket.
    pub control_group: Option<String>,
    /// The pid file.
    pub pid: String,
    /// The log file.
    pub log: String,
    /// Where the language runtimes are.
    pub modules_dir: String,
    /// Where the configuration is kept.
    pub state_dir: String,
    /// Where temporary files go.
    pub tmp_dir: String,
    /// The user of the unprivileged processes.
    pub user: String,
    /// Their group; the user's primary group when there is none.
    pub group: Option<String>,
    /// Where the role executables are, when not in one of the usual places.
    pub libexec_dir: Option<String>,
    /// The configuration to begin with when none is stored.
    pub config: Option<String>,
}

impl Options {
    fn new(defaults: &Defaults) -> Self {
        let defaults = defaults.clone();
        Self {
            daemonise: true,
            control: defaults.control,
            control_mode: CONTROL_MODE,
            control_user: None,
            control_group: None,
            pid: defaults.pid,
            log: defaults.log,
            modules_dir: defaults.modules_dir,
            state_dir: defaults.state_dir,
            tmp_dir: defaults.tmp_dir,
            user: defaults.user,
            group: defaults.group,
            libexec_dir: None,
            config: None,
        }
    }
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run the daemon.
    Run(Box<Options>),
    /// Check this configuration file, and do nothing else.
    Check(Box<Options>, String),
    /// Print this to standard error and exit with status 0.
    Version(String),
    /// Print this to standard output and exit with status 0.
    Help(String),
}

/// Why a command line cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandLineError {
    /// The last word is an option that wants a value.
    #[error("option \"{option}\" requires {what}")]
    ValueMissing {
        /// The option.
        option: &'static str,
        /// What its value would be.
        what: &'static str,
    },
    /// A word that is no option.
    #[error("unknown option \"{option}\", try \"{program} -h\" for available options")]
    UnknownOption {
        /// The word.
        option: String,
        /// How the program was called.
        program: String,
    },
}

/// The outcome of reading a command line, and what is to be said on standard error besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Deprecated options that were used up to the point where reading stopped.
    pub remarks: Vec<String>,
    /// What to do.
    pub command: Result<Command, CommandLineError>,
}

/// Reads a command line, the program's name first.
#[must_use]
pub fn parse(words: &[String], defaults: &Defaults) -> Parsed {
    let mut remarks = Vec::new();
    let command = read(words, defaults, &mut remarks);
    Parsed { remarks, command }
}

fn read(
    words: &[String],
    defaults: &Defaults,
    remarks: &mut Vec<String>,
) -> Result<Command, CommandLineError> {
    let (program, mut rest) = match words.split_first() {
        Some((program, rest)) => (program.as_str(), rest.iter()),
        None => ("unitd", [].iter()),
    };
    let mut options = Options::new(defaults);
    let mut check = None;
    let mut deprecated = |old: &str, new: &str| {
        remarks.push(format!("option \"{old}\" is deprecated; use \"{new}\" instead"));
    };
    while let Some(word) = rest.next() {
        let mut value = |option, what| {
            rest.next().cloned().ok_or(CommandLineError::ValueMissing { option, what })
        };
        match word.as_str() {
            "--version" => return Ok(Command::Version(version(defaults))),
            "--help" | "-h" => return Ok(Command::Help(help(defaults))),
            "--no-daemon" => options.daemonise = false,
            "--control" => options.control = value("--control", "socket address")?,
            "--control-mode" => {
                options.control_mode = mode(&value("--control-mode", "a mode")?);
            }
            "--control-user" => {
                options.control_user = Some(value("--control-user", "a username")?);
            }
            "--control-group" => {
                options.control_group = Some(value("--control-group", "a group name")?);
            }
            "--pid" => options.pid = value("--pid", "filename")?,
            "--log" => options.log = value("--log", "filename")?,
            "--modules" => {
                deprecated("--modules", "--modulesdir");
                options.modules_dir = value("--modules", "directory")?;
            }
            "--modulesdir" => options.modules_dir = value("--modulesdir", "directory")?,
            "--state" => {
                deprecated("--state", "--statedir");
                options.state_dir = value("--state", "directory")?;
            }
            "--statedir" => options.state_dir = value("--statedir", "directory")?,
            "--tmp" => {
                deprecated("--tmp", "--tmpdir");
                options.tmp_dir = value("--tmp", "directory")?;
            }
            "--tmpdir" => options.tmp_dir = value("--tmpdir", "directory")?,
            "--user" => options.user = value("--user", "username")?,
            "--group" => options.group = Some(value("--group", "group name")?),
            "--libexecdir" => options.libexec_dir = Some(value("--libexecdir", "directory")?),
            "--config" => options.config = Some(value("--config", "filename")?),
            "--check" => check = Some(value("--check", "filename")?),
            option => {
                return Err(CommandLineError::UnknownOption {
                    option: option.to_owned(),
                    program: program.to_owned(),
                });
            }
        }
    }
    let options = Box::new(options);
    Ok(match check {
        Some(file) => Command::Check(options, file),
        None => Command::Run(options),
    })
}

/// An octal mode; nothing sensible gives the default, as it always did.
fn mode(text: &str) -> u32 {
    match u32::from_str_radix(text, 8) {
        Ok(mode @ 1..=0o7777) => mode,
        Ok(_) | Err(_) => CONTROL_MODE,
    }
}

fn version(defaults: &Defaults) -> String {
    format!(
        "unit version: {}\nconfigured as ./configure {}\n",
        env!("CARGO_PKG_VERSION"),
        defaults.configured_as
    )
}

/// The list of options. Scripts take the defaults out of it: the quoted string on the line after
/// an option's line.
fn help(defaults: &Defaults) -> String {
    let quoted = |value: &str| Some(format!("\"{value}\""));
    let group = match &defaults.group {
        Some(group) => quoted(group),
        None => Some("user's primary group".to_owned()),
    };
    let options: [(&str, &str, Option<String>); 18] = [
        ("--version", "print the version and how it was configured", None),
        ("--help, -h", "print this list", None),
        ("--no-daemon", "stay in the foreground", None),
        ("--control ADDRESS", "address of the control API socket", quoted(&defaults.control)),
        ("--control-mode MODE", "mode of a Unix control socket", quoted("0600")),
        ("--control-user USER", "owner of a Unix control socket", None),
        ("--control-group GROUP", "group of a Unix control socket", None),
        ("--pid FILE", "file for the process id", quoted(&defaults.pid)),
        ("--log FILE", "log file", quoted(&defaults.log)),
        ("--modulesdir DIR", "directory of language runtimes", quoted(&defaults.modules_dir)),
        ("--statedir DIR", "directory of the configuration", quoted(&defaults.state_dir)),
        ("--config FILE", "configuration to begin with when none is stored", None),
        ("--check FILE", "check a configuration, \"-\" for standard input, and exit", None),
        ("--tmpdir DIR", "directory for temporary files", quoted(&defaults.tmp_dir)),
        ("--libexecdir DIR", "directory of the daemon's other executables", None),
        ("--modules DIR", "deprecated name of --modulesdir", None),
        ("--user USER", "user of the unprivileged processes", quoted(&defaults.user)),
        ("--group GROUP", "group of the unprivileged processes", group),
    ];
    let mut text = String::from("\nunit options:\n");
    for (option, meaning, default) in options {
        text.push_str(&format!("\n  {option:<22} {meaning}\n"));
        if let Some(default) = default {
            text.push_str(&format!("{:23}default: {default}\n", ""));
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Parsed {
        let words: Vec<String> =
            ["unitd"].iter().chain(words).map(|word| (*word).to_owned()).collect();
        parse(&words, &Defaults::of_this_build())
    }

    fn options(words: &[&str]) -> Options {
        match parse_words(words).command.unwrap() {
            Command::Run(options) => *options,
            other => panic!("{other:?}"),
        }
    }

    fn failure(words: &[&str]) -> String {
        parse_words(words).command.unwrap_err().to_string()
    }

    #[test]
    fn no_words_give_the_defaults() {
        let options = options(&[]);
        assert!(options.daemonise);
        assert_eq!(options.control, "unix:/usr/local/var/run/unit/control.unit.sock");
        assert_eq!(options.control_mode, 0o600);
        assert_eq!(options.pid, "/usr/local/var/run/unit/unit.pid");
        assert_eq!(options.log, "/usr/local/var/log/unit/unit.log");
        assert_eq!(options.modules_dir, "/usr/local/lib/unit/modules");
        assert_eq!(options.state_dir, "/usr/local/var/lib/unit");
        assert_eq!(options.tmp_dir, "/tmp");
        assert_eq!(options.user, "nobody");
        assert_eq!(options.group, None);
    }

    #[test]
    fn every_option_reaches_its_place_and_the_last_one_wins() {
        let words = "--no-daemon --control 127.0.0.1:1 --control-mode 0660 --control-user a \
                     --control-group b --pid p --log first --log l --modulesdir m --statedir s \
                     --tmpdir t --user u --group g --libexecdir x --config c";
        let words: Vec<&str> = words.split_whitespace().collect();
        assert_eq!(
            options(&words),
            Options {
                daemonise: false,
                control: "127.0.0.1:1".into(),
                control_mode: 0o660,
                control_user: Some("a".into()),
                control_group: Some("b".into()),
                pid: "p".into(),
                log: "l".into(),
                modules_dir: "m".into(),
                state_dir: "s".into(),
                tmp_dir: "t".into(),
                user: "u".into(),
                group: Some("g".into()),
                libexec_dir: Some("x".into()),
                config: Some("c".into()),
            }
        );
    }

    #[test]
    fn a_missing_value_is_told_by_its_name() {
        for (option, what) in [
            ("--control", "socket address"),
            ("--control-mode", "a mode"),
            ("--control-user", "a username"),
            ("--control-group", "a group name"),
            ("--pid", "filename"),
            ("--log", "filename"),
            ("--modulesdir", "directory"),
            ("--statedir", "directory"),
            ("--tmpdir", "directory"),
            ("--user", "username"),
            ("--group", "group name"),
            ("--libexecdir", "directory"),
            ("--config", "filename"),
            ("--check", "filename"),
        ] {
            assert_eq!(failure(&[option]), format!("option \"{option}\" requires {what}"));
        }
    }

    #[test]
    fn old_names_work_with_a_remark() {
        for (old, new) in
            [("--modules", "--modulesdir"), ("--state", "--statedir"), ("--tmp", "--tmpdir")]
        {
            let parsed = parse_words(&[old, "d"]);
            assert_eq!(
                parsed.remarks,
                [format!("option \"{old}\" is deprecated; use \"{new}\" instead")]
            );
            let Ok(Command::Run(options)) = parsed.command else { panic!("{old}") };
            assert!(
                [options.modules_dir, options.state_dir, options.tmp_dir].contains(&"d".into())
            );
        }
    }

    #[test]
    fn the_first_word_that_decides_decides() {
        assert_eq!(
            failure(&["--log=x", "--version"]),
            "unknown option \"--log=x\", try \"unitd -h\" for available options"
        );
        assert_eq!(
            failure(&["stray"]),
            "unknown option \"stray\", try \"unitd -h\" for available options"
        );
        let version = parse_words(&["--version", "--bad"]).command.unwrap();
        assert_eq!(
            version,
            Command::Version(
                "unit version: 2.0.0\nconfigured as ./configure --prefix=/usr/local\n".into()
            )
        );
        assert!(matches!(parse_words(&["-h", "--bad"]).command, Ok(Command::Help(_))));
    }

    #[test]
    fn a_check_takes_options_before_and_behind_it() {
        let parsed = parse_words(&["--modulesdir", "m", "--check", "-", "--user", "u"]).command;
        let Ok(Command::Check(options, file)) = parsed else { panic!("{parsed:?}") };
        assert_eq!(
            (file.as_str(), options.modules_dir.as_str(), options.user.as_str()),
            ("-", "m", "u")
        );
        assert!(matches!(parse_words(&["--check", "x", "-h"]).command, Ok(Command::Help(_))));
    }

    #[test]
    fn a_mode_that_is_none_is_the_default() {
        for (text, mode) in [("0", 0o600), ("", 0o600), ("9", 0o600), ("660", 0o660), ("-1", 0o600)]
        {
            assert_eq!(options(&["--control-mode", text]).control_mode, mode, "{text}");
        }
    }

    #[test]
    fn scripts_find_defaults_in_the_help() {
        let Command::Help(help) = parse_words(&["--help"]).command.unwrap() else {
            panic!("not help")
        };
        let default_of = |option: &str| {
            let after = help.lines().skip_while(|line| !line.starts_with(option)).nth(1)?;
            let quoted = after.strip_prefix("                       default: \"")?;
            quoted.strip_suffix('"').map(str::to_owned)
        };
        assert!(help.starts_with("\nunit options:\n"));
        assert_eq!(
            default_of("  --control ADDRESS").as_deref(),
            Some("unix:/usr/local/var/run/unit/control.unit.sock")
        );
        assert_eq!(default_of("  --log FILE").as_deref(), Some("/usr/local/var/log/unit/unit.log"));
        assert!(help.contains("\n                       default: user's primary group\n"));
    }
}
