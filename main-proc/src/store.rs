//! The state directory: the configuration of the last run and what was uploaded, kept so that a
//! crash at any instant leaves the old state of a file or the new one.

mod uploads;

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use port_proto::{BULK_LEN_MAX, StoredConfig, UploadKind};
use sys::errno::Described;
use sys::fs::LockedDirectory;
use thiserror::Error;

/// The version of a configuration that was stored without one.
const VERSION_WHEN_ABSENT: u32 = 12500;

/// The most bytes of a configuration: it has to reach the controller in one message, with a list of
/// modules and what was uploaded.
pub const CONF_LEN_MAX: u64 = (BULK_LEN_MAX - uploads::UPLOADS_LEN_MAX - 1024 * 1024) as u64;

/// The most bytes a version file is read for.
const VERSION_LEN_MAX: u64 = 64;

const CONF: &str = "conf.json";
const VERSION: &str = "version";

/// The version this daemon writes: `20000` for 2.0.0.
#[must_use]
pub fn version_number() -> u32 {
    let part = |text: &str| text.parse::<u32>().unwrap_or(0);
    part(env!("CARGO_PKG_VERSION_MAJOR")) * 10_000
        + part(env!("CARGO_PKG_VERSION_MINOR")) * 100
        + part(env!("CARGO_PKG_VERSION_PATCH"))
}

/// The calls a store consists of. Tests make each of them fail.
pub trait Disk {
    /// Removes a file; that there is none is no error.
    ///
    /// # Errors
    /// What unlink(2) says.
    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes a file that did not exist, for the owner only.
    ///
    /// # Errors
    /// What open(2) says.
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// What write(2) says.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    /// Waits until the file is on the disk.
    ///
    /// # Errors
    /// What fsync(2) says.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Gives a file another name, in place of what had it.
    ///
    /// # Errors
    /// What rename(2) says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Waits until the names in a directory are on the disk. File systems that cannot do it for
    /// directories say `EINVAL`; there is nothing to wait for then.
    ///
    /// # Errors
    /// What open(2) or fsync(2) says.
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            Err(error) if error.kind() != io::ErrorKind::InvalidInput => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The disk as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {}

/// The call of a store that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Removing what an interrupted store left.
    Remove,
    /// Making the temporary file.
    Create,
    /// Writing it.
    Write,
    /// Waiting for it.
    Sync,
    /// Putting it in place.
    Rename,
    /// Waiting for the directory.
    SyncDirectory,
}

impl fmt::Display for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Remove => "unlink",
            Self::Create => "open",
            Self::Write => "write",
            Self::Sync | Self::SyncDirectory => "fsync",
            Self::Rename => "rename",
        })
    }
}

/// Why a file was not stored or deleted; the old one is in place.
#[derive(Debug, Error)]
#[error("{call}(\"{}\") failed {}", path.display(), Described(error))]
pub struct StoreError {
    /// The call that failed.
    pub call: Call,
    /// What it was about.
    pub path: PathBuf,
    /// Its error.
    pub error: io::Error,
}

/// Another daemon has the state directory.
#[derive(Debug, Error)]
#[error("state directory \"{}\" is in use by another process", directory.display())]
pub struct InUse {
    /// The directory.
    pub directory: PathBuf,
}

/// The state directory.
#[derive(Debug)]
pub struct Store<D = RealDisk> {
    directory: PathBuf,
    /// The number in the version file, once it is known.
    version: Option<u32>,
    /// The configuration to begin with when none is stored.
    initial: Option<Vec<u8>>,
    disk: D,
    lock: Option<LockedDirectory>,
}

impl Store {
    /// The state directory at this path.
    #[must_use]
    pub fn new(directory: &str) -> Self {
        Self {
            directory: directory.into(),
            version: None,
            initial: None,
            disk: RealDisk,
            lock: None,
        }
    }
}

impl<D: Disk> Store<D> {
    /// Makes the sub-directories for certificates and scripts. A failure is logged: the daemon
    /// does without that storage.
    pub fn create_directories(&self) {
        for kind in [UploadKind::Certificate, UploadKind::Script] {
            let (path, thing) = (self.uploads_directory(kind), uploads::things(kind));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => unit_log::alert!(
                    "Unable to create {thing} storage directory: mkdir({}/) failed {}",
                    path.display(),
                    Described(&error)
                ),
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Keeps other daemons away: each would store its own configuration over that of the other.
    ///
    /// # Errors
    /// That another one runs. A directory that is not there, or on a file system without locks, is
    /// no reason not to start.
    pub fn lock(&mut self) -> Result<(), InUse> {
        match LockedDirectory::lock(&self.directory) {
            Ok(lock) => self.lock = Some(lock),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(InUse { directory: self.directory.clone() });
            }
            Err(error) => unit_log::warn!(
                "state directory \"{}\" cannot be locked {}",
                self.directory.display(),
                Described(&error)
            ),
        }
        Ok(())
    }

    /// Whether there is a configuration, whatever it is.
    #[must_use]
    pub fn has_config(&self) -> bool {
        self.directory.join(CONF).symlink_metadata().is_ok()
    }

    /// Begins with this configuration for as long as none is stored.
    pub fn begin_with(&mut self, initial: Vec<u8>) {
        self.initial = Some(initial);
    }

    /// Reads what the last run stored.
    pub fn load(&mut self) -> StoredConfig {
        let conf = self.directory.join(CONF);
        let json = match read_bounded(&conf, CONF_LEN_MAX) {
            Ok(Some(json)) => json,
            Ok(None) => return self.initial(),
            Err(error) => {
                return StoredConfig::Unreadable {
                    text: format!("open(\"{}\") failed {}", conf.display(), Described(&error)),
                };
            }
        };
        let version = self.directory.join(VERSION);
        match read_bounded(&version, VERSION_LEN_MAX) {
            Ok(None) => StoredConfig::Present { json, version: VERSION_WHEN_ABSENT },
            Ok(Some(text)) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                match text.trim_ascii().parse() {
                    Ok(version) => {
                        self.version = Some(version);
                        if version > version_number() {
                            unit_log::warn!(
                                "the stored configuration is of a later release, {version}"
                            );
                        }
                        StoredConfig::Present { json, version }
                    }
                    Err(_) => StoredConfig::BadVersion { text },
                }
            }
            Err(error) => StoredConfig::Unreadable {
                text: format!("open(\"{}\") failed {}", version.display(), Described(&error)),
            },
        }
    }

    fn initial(&self) -> StoredConfig {
        match &self.initial {
            Some(json) => StoredConfig::Initial { json: json.clone() },
            None => StoredConfig::Absent,
        }
    }

    /// Stores a configuration. When this returns without an error it is on the disk.
    ///
    /// # Errors
    /// [`StoreError`] naming the failed call; what was stored before is in place then.
    pub fn store(&mut self, json: &[u8]) -> Result<(), StoreError> {
        if json.len() as u64 > CONF_LEN_MAX {
            return Err(self.too_large(CONF, CONF_LEN_MAX));
        }
        let current = version_number();
        if self.version != Some(current) || !self.directory.join(VERSION).exists() {
            self.replace(VERSION, current.to_string().as_bytes())?;
            self.version = Some(current);
        }
        self.replace(CONF, json)
    }

    /// The refusal of what could not be loaded again.
    fn too_large(&self, name: &str, max: u64) -> StoreError {
        let error = io::Error::other(format!("more than {max} bytes"));
        StoreError { call: Call::Write, path: self.directory.join(name), error }
    }

    /// Replaces one of the two files of the configuration.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.replace_file(
            &Place {
                directory: &self.directory,
                path: self.directory.join(name),
                temporary: self.directory.join(format!("{name}.tmp")),
            },
            bytes,
        )
    }

    /// Writes a file beside the old one, then puts it in its place.
    fn replace_file(&self, place: &Place<'_>, bytes: &[u8]) -> Result<(), StoreError> {
        let before = read_bounded(&place.path, BULK_LEN_MAX as u64);
        self.put(place, bytes)?;
        let Err(error) = self.disk.sync_directory(place.directory) else { return Ok(()) };
        // The new file is visible, yet may be gone after a crash: who asked is told that it was
        // not stored, so the old one has to come back. Whether that lasts nobody can know now.
        let _ = match before {
            Ok(Some(before)) => self.put(place, &before).is_ok(),
            Ok(None) => self.disk.remove(&place.path).is_ok(),
            // What was there is not known; the new file is better than none.
            Err(_) => false,
        };
        Err(StoreError { call: Call::SyncDirectory, path: place.directory.into(), error })
    }

    fn put(&self, place: &Place<'_>, bytes: &[u8]) -> Result<(), StoreError> {
        let Place { path, temporary, .. } = place;
        let failed = |call| {
            let path = temporary.clone();
            move |error| StoreError { call, path, error }
        };
        self.disk.remove(temporary).map_err(failed(Call::Remove))?;
        let mut file = self.disk.create(temporary).map_err(failed(Call::Create))?;
        let done = self
            .disk
            .write(&mut file, bytes)
            .map_err(failed(Call::Write))
            .and_then(|()| self.disk.sync(&file).map_err(failed(Call::Sync)))
            .and_then(|()| {
                self.disk.rename(temporary, path).map_err(|error| StoreError {
                    call: Call::Rename,
                    path: path.clone(),
                    error,
                })
            });
        if done.is_err() {
            // The error to report is the first one.
            let _ = self.disk.remove(temporary);
        }
        done
    }
}

/// Where a file is, and where it is written first.
struct Place<'a> {
    directory: &'a Path,
    path: PathBuf,
    temporary: PathBuf,
}

/// The bytes of a regular file, or nothing when there is none.
fn read_bounded(path: &Path, len_max: u64) -> io::Result<Option<Vec<u8>>> {
    // A FIFO must not make the daemon wait for a writer.
    let file = match OpenOptions::new().read(true).custom_flags(sys::fs::OPEN_WARILY).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(len_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > len_max {
        return Err(io::Error::other("larger than it can be"));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A disk on which the n-th call fails.
    struct FailingDisk {
        calls_left: RefCell<usize>,
    }

    impl FailingDisk {
        fn count(&self) -> io::Result<()> {
            let mut left = self.calls_left.borrow_mut();
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => {
                    // One call fails, those after it work again: what follows is clean-up.
                    *left = usize::MAX;
                    return Err(io::Error::from_raw_os_error(28));
                }
            }
            Ok(())
        }
    }

    impl Disk for FailingDisk {
        fn remove(&self, path: &Path) -> io::Result<()> {
            self.count()?;
            RealDisk.remove(path)
        }
        fn create(&self, path: &Path) -> io::Result<File> {
            self.count()?;
            RealDisk.create(path)
        }
        fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
            // A full disk takes a part.
            let done = self.count();
            let part = if done.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
            RealDisk.write(file, part)?;
            done
        }
        fn sync(&self, file: &File) -> io::Result<()> {
            self.count()?;
            RealDisk.sync(file)
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.count()?;
            RealDisk.rename(from, to)
        }
        fn sync_directory(&self, path: &Path) -> io::Result<()> {
            self.count()?;
            RealDisk.sync_directory(path)
        }
    }

    fn store_in(directory: &Path) -> Store {
        Store::new(directory.to_str().unwrap())
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_version_is_a_number_by_the_old_rule() {
        assert_eq!(version_number(), 20000);
    }

    #[test]
    fn what_is_stored_is_loaded_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = store_in(directory.path());
        assert_eq!(store.load(), StoredConfig::Absent);
        store.store(b"{}").unwrap();
        store.store(b"{\"listeners\":{}}").unwrap();
        assert_eq!(names(directory.path()), ["conf.json", "version"]);
        for name in ["conf.json", "version"] {
            let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{name}");
        }
        assert_eq!(fs::read(directory.path().join("version")).unwrap(), b"20000");
        assert_eq!(
            store_in(directory.path()).load(),
            StoredConfig::Present { json: b"{\"listeners\":{}}".into(), version: 20000 }
        );
    }

    #[test]
    fn a_missing_or_foreign_version_is_told() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("conf.json"), b"{}").unwrap();
        let mut store = store_in(directory.path());
        assert_eq!(store.load(), StoredConfig::Present { json: b"{}".into(), version: 12500 });
        fs::write(directory.path().join("version"), b"13500").unwrap();
        assert_eq!(store.load(), StoredConfig::Present { json: b"{}".into(), version: 13500 });
        fs::write(directory.path().join("version"), b"new").unwrap();
        assert_eq!(store.load(), StoredConfig::BadVersion { text: "new".into() });
        store.store(b"{}").unwrap();
        assert_eq!(store.load(), StoredConfig::Present { json: b"{}".into(), version: 20000 });
    }

    #[test]
    fn an_initial_configuration_is_used_while_none_is_stored() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = store_in(directory.path());
        store.begin_with(b"{}".into());
        assert!(!store.has_config());
        assert_eq!(store.load(), StoredConfig::Initial { json: b"{}".into() });
        store.store(b"[]").unwrap();
        assert!(store.has_config());
        let version = version_number();
        assert_eq!(store.load(), StoredConfig::Present { json: b"[]".into(), version });
    }

    #[test]
    fn what_is_no_file_is_unreadable_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let conf = directory.path().join("conf.json");
        fs::create_dir(&conf).unwrap();
        let StoredConfig::Unreadable { text } = store_in(directory.path()).load() else {
            panic!("read a directory")
        };
        assert!(text.starts_with(&format!("open(\"{}\") failed (", conf.display())), "{text}");
    }

    #[test]
    fn a_directory_has_one_daemon_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let (mut first, mut second) = (store_in(directory.path()), store_in(directory.path()));
        first.lock().unwrap();
        assert_eq!(
            second.lock().unwrap_err().to_string(),
            format!(
                "state directory \"{}\" is in use by another process",
                directory.path().display()
            )
        );
        drop(first);
        second.lock().unwrap();
        // One that is not there is told of when something is to be stored.
        Store::new("/nonexistent").lock().unwrap();
    }

    #[test]
    fn a_pipe_in_the_place_of_the_configuration_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let conf = directory.path().join("conf.json");
        let made = std::process::Command::new("mkfifo").arg(&conf).status().unwrap();
        assert!(made.success());
        store_in(directory.path()).store(b"{}").unwrap();
        assert_eq!(fs::read(conf).unwrap(), b"{}");
    }

    #[test]
    fn a_directory_that_was_emptied_gets_its_version_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = store_in(directory.path());
        store.store(b"{}").unwrap();
        for name in names(directory.path()) {
            fs::remove_file(directory.path().join(name)).unwrap();
        }
        store.store(b"{}").unwrap();
        let version = version_number();
        let stored = StoredConfig::Present { json: b"{}".to_vec(), version };
        assert_eq!(store_in(directory.path()).load(), stored);
    }

    #[test]
    fn every_failing_call_leaves_the_old_configuration_and_no_other_file() {
        for existing in [true, false] {
            let mut failures = Vec::new();
            for calls in 0.. {
                let directory = tempfile::tempdir().unwrap();
                if existing {
                    store_in(directory.path()).store(b"old").unwrap();
                }
                fs::write(directory.path().join("version"), version_number().to_string()).unwrap();
                // What a crash left.
                fs::write(directory.path().join("conf.json.tmp"), b"half").unwrap();
                let disk = FailingDisk { calls_left: RefCell::new(calls) };
                let version = Some(version_number());
                let directory_path = directory.path().into();
                let mut store =
                    Store { directory: directory_path, version, initial: None, disk, lock: None };
                let Err(error) = store.store(b"new one") else {
                    assert_eq!(fs::read(directory.path().join("conf.json")).unwrap(), b"new one");
                    break;
                };
                assert!(error.to_string().ends_with("failed (28: No space left on device)"));
                let conf = fs::read(directory.path().join("conf.json")).ok();
                assert_eq!(conf.as_deref(), existing.then_some(b"old".as_slice()), "{error}");
                if error.call != Call::Remove {
                    assert!(!names(directory.path()).contains(&"conf.json.tmp".into()), "{error}");
                }
                failures.push(error.call);
            }
            assert_eq!(
                failures,
                [
                    Call::Remove,
                    Call::Create,
                    Call::Write,
                    Call::Sync,
                    Call::Rename,
                    Call::SyncDirectory
                ]
            );
        }
    }

    #[test]
    fn storage_directories_are_private_and_may_exist() {
        let directory = tempfile::tempdir().unwrap();
        let store = store_in(directory.path());
        store.create_directories();
        store.create_directories();
        assert_eq!(names(directory.path()), ["certs", "scripts"]);
        let mode = fs::metadata(directory.path().join("certs")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
    }
}
