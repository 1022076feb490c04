//! Packages of the operating system: installed where that is possible, named where it is not.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use crate::command;

/// Something a command needs from the system, by the name each package manager has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Headers and a library to link the language runtime with.
    PythonDevelopment,
    /// `python3 -m venv`, for the servers we are measured beside.
    PythonVenv,
    Curl,
    /// `ps`, which the black-box suite looks at process titles with.
    Procps,
    /// The load generator.
    Wrk,
    /// The browser that pages are looked at with.
    Chromium,
    /// What tells it what to do.
    ChromeDriver,
    /// Servers whose reading of requests is compared with ours.
    Nginx,
    HaProxy,
    /// Clients that are slow on purpose, for the black-box suite.
    SlowHttpTest,
}

impl Need {
    fn debian(self) -> &'static str {
        match self {
            Self::PythonDevelopment => "python3-dev",
            Self::PythonVenv => "python3-venv",
            Self::Curl => "curl",
            Self::Procps => "procps",
            Self::Wrk => "wrk",
            Self::Chromium => "chromium",
            Self::ChromeDriver => "chromium-driver",
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::SlowHttpTest => "slowhttptest",
        }
    }

    fn red_hat(self) -> &'static str {
        match self {
            Self::PythonDevelopment => "python3-devel",
            Self::PythonVenv => "python3",
            Self::Curl => "curl",
            Self::Procps => "procps-ng",
            Self::Wrk => "wrk",
            Self::Chromium => "chromium",
            Self::ChromeDriver => "chromedriver",
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::SlowHttpTest => "slowhttptest",
        }
    }

    fn arch(self) -> &'static str {
        match self {
            Self::PythonDevelopment | Self::PythonVenv => "python",
            Self::Curl => "curl",
            Self::Procps => "procps-ng",
            Self::Wrk => "wrk",
            Self::Chromium | Self::ChromeDriver => "chromium",
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::SlowHttpTest => "slowhttptest",
        }
    }

    fn alpine(self) -> &'static str {
        match self {
            Self::PythonDevelopment => "python3-dev",
            Self::PythonVenv => "python3",
            Self::Curl => "curl",
            Self::Procps => "procps",
            Self::Wrk => "wrk",
            Self::Chromium => "chromium",
            Self::ChromeDriver => "chromium-chromedriver",
            Self::Nginx => "nginx",
            Self::HaProxy => "haproxy",
            Self::SlowHttpTest => "slowhttptest",
        }
    }
}

/// Installs what is missing, or prints the exact command and goes on.
pub(crate) fn ensure(needs: &[Need]) {
    let family = Family::of(&fs::read_to_string("/etc/os-release").unwrap_or_default());
    if family != Family::Debian {
        // Without a way to ask cheaply what is installed, say it only where something is missing.
        if needs.iter().any(|&need| is_absent(need)) {
            println!("{}", family.advice(needs));
        }
        return;
    }
    let missing = missing_debian(needs);
    if missing.is_empty() {
        return;
    }
    let names: Vec<_> = missing.iter().map(|need| need.debian()).collect();
    if !nix::unistd::Uid::effective().is_root() {
        println!("{}", family.advice(&missing));
        return;
    }
    println!("installing {}", names.join(" "));
    if let Err(error) = install_debian(&names) {
        println!("packages are missing, going on with what is there: {error:#}");
        println!("{}", family.advice(&missing));
    }
}

/// What the package tools ask before they start a service (`invoke-rc.d`(8)).
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Keeps the services of packages that are being installed from starting: the tests start the
/// servers they need themselves, and nobody asked for others.
struct NoServices {
    is_ours: bool,
}

impl NoServices {
    fn begin() -> Self {
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(SERVICE_POLICY)
            .and_then(|mut file| file.write_all(b"#!/bin/sh\nexit 101\n"));
        Self { is_ours: written.is_ok() }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.is_ours && fs::remove_file(SERVICE_POLICY).is_err() {
            println!("{SERVICE_POLICY} could not be removed: no service starts while it is there");
        }
    }
}

fn install_debian(names: &[&str]) -> anyhow::Result<()> {
    let _no_services = NoServices::begin();
    let apt = || {
        let mut command = command::program("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    command::run(apt().args(["-qq", "update"]))?;
    let mut install = apt();
    install.args(["-qq", "-y", "-o", "Dpkg::Use-Pty=0", "install", "--no-install-recommends"]);
    command::run(install.args(names))
}

fn missing_debian(needs: &[Need]) -> Vec<Need> {
    let unique: BTreeSet<Need> = needs.iter().copied().collect();
    let is_installed = |need: &Need| {
        let query = command::output(command::program("dpkg-query").args([
            "--show",
            "--showformat=${db:Status-Status}",
            need.debian(),
        ]));
        query.is_ok_and(|status| status == "installed")
    };
    unique.into_iter().filter(|need| !is_installed(need)).collect()
}

fn is_absent(need: Need) -> bool {
    match need {
        Need::PythonDevelopment => crate::pythons::find_all().is_empty(),
        Need::PythonVenv => !command::exists("python3"),
        Need::Curl => !command::exists("curl"),
        Need::Procps => !command::exists("ps"),
        Need::Wrk => !command::exists("wrk"),
        Need::Chromium => !command::exists("chromium"),
        Need::ChromeDriver => !command::exists("chromedriver"),
        Need::Nginx => !command::exists("nginx"),
        Need::HaProxy => !command::exists("haproxy"),
        Need::SlowHttpTest => !command::exists("slowhttptest"),
    }
}

/// Systems that share a package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Debian,
    RedHat,
    Arch,
    Alpine,
    Unknown,
}

impl Family {
    fn of(os_release: &str) -> Self {
        let words: Vec<&str> = os_release
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
            .flat_map(|value| value.trim_matches('"').split_whitespace())
            .collect();
        let is = |names: &[&str]| words.iter().any(|word| names.contains(word));
        if is(&["debian", "ubuntu"]) {
            Self::Debian
        } else if is(&["fedora", "rhel", "centos"]) {
            Self::RedHat
        } else if is(&["arch"]) {
            Self::Arch
        } else if is(&["alpine"]) {
            Self::Alpine
        } else {
            Self::Unknown
        }
    }

    /// The sentence with the command to run by hand.
    fn advice(self, needs: &[Need]) -> String {
        let names = |name: fn(Need) -> &'static str| {
            let names: BTreeSet<_> = needs.iter().map(|&need| name(need)).collect();
            names.into_iter().collect::<Vec<_>>().join(" ")
        };
        let command = match self {
            Self::Debian => format!("sudo apt-get install {}", names(Need::debian)),
            Self::RedHat => format!("sudo dnf install {}", names(Need::red_hat)),
            Self::Arch => format!("sudo pacman -S {}", names(Need::arch)),
            Self::Alpine => format!("doas apk add {}", names(Need::alpine)),
            Self::Unknown => {
                return format!(
                    "install what your system calls these Debian packages: {}",
                    names(Need::debian)
                );
            }
        };
        format!("to have everything, run:\n\n    {command}\n\ngoing on with what is there")
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, Need};

    #[test]
    fn knows_a_system_by_itself_or_its_kin() {
        assert_eq!(Family::of("ID=debian\n"), Family::Debian);
        assert_eq!(Family::of("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Family::Debian);
        assert_eq!(Family::of("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), Family::RedHat);
        assert_eq!(Family::of("ID=alpine\n"), Family::Alpine);
        assert_eq!(Family::of(""), Family::Unknown);
    }

    #[test]
    fn advice_is_a_command_to_paste() {
        let needs = [Need::PythonDevelopment, Need::PythonVenv];
        assert!(Family::Debian.advice(&needs).contains("apt-get install python3-dev python3-venv"));
        assert!(Family::Arch.advice(&needs).contains("pacman -S python\n"));
    }
}
