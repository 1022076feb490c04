//! Certificate bundles and scripts in the state directory: one file each.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use port_proto::{StoredUpload, UPLOAD_LEN_MAX, UploadKind, UploadName, public_part};
use sys::errno::Described;

use crate::store::{Call, Disk, Place, Store, StoreError, read_bounded};

/// The most bytes of all uploads with their names: they travel in one message, with the
/// configuration.
pub(super) const UPLOADS_LEN_MAX: usize = 64 * 1024 * 1024;
/// What an upload takes in that message besides its content and its name.
const ENTRY_LEN: usize = 16;

/// The sub-directory of a kind of upload.
fn directory_name(kind: UploadKind) -> &'static str {
    match kind {
        UploadKind::Certificate => "certs",
        UploadKind::Script => "scripts",
    }
}

/// What messages call uploads of a kind.
pub(super) fn things(kind: UploadKind) -> &'static str {
    match kind {
        UploadKind::Certificate => "certificates",
        UploadKind::Script => "scripts",
    }
}

impl<D: Disk> Store<D> {
    /// The directory of a kind of upload.
    pub(super) fn uploads_directory(&self, kind: UploadKind) -> PathBuf {
        self.directory.join(directory_name(kind))
    }

    fn upload_path(&self, kind: UploadKind, name: &UploadName) -> PathBuf {
        self.uploads_directory(kind).join(std::ffi::OsStr::from_bytes(name.as_bytes()))
    }

    /// Whether this process may see what was uploaded, if anything was.
    #[must_use]
    pub fn may_read_uploads(&self) -> bool {
        let denied = |kind| {
            fs::read_dir(self.uploads_directory(kind))
                .is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        ![UploadKind::Certificate, UploadKind::Script].into_iter().any(denied)
    }

    /// What was uploaded, sorted by kind and name, without private keys. What cannot be read is
    /// logged and left out.
    #[must_use]
    pub fn load_uploads(&self) -> Vec<StoredUpload> {
        let mut uploads = Vec::new();
        let mut len = 0;
        for kind in [UploadKind::Certificate, UploadKind::Script] {
            for name in self.upload_names(kind) {
                let path = self.upload_path(kind, &name);
                let content = match read_bounded(&path, UPLOAD_LEN_MAX as u64) {
                    Ok(Some(content)) => content,
                    Ok(None) => continue,
                    Err(error) => {
                        let path = path.display();
                        unit_log::alert!("open(\"{path}\") failed {}", Described(&error));
                        continue;
                    }
                };
                let content = match kind {
                    UploadKind::Certificate => public_part(&content),
                    UploadKind::Script => content,
                };
                len += content.len() + name.as_bytes().len() + ENTRY_LEN;
                if len > UPLOADS_LEN_MAX {
                    let path = path.display();
                    unit_log::alert!(
                        "\"{path}\" and what comes after it are left out: more than \
                         {UPLOADS_LEN_MAX} bytes were uploaded"
                    );
                    return uploads;
                }
                uploads.push(StoredUpload { kind, name, content });
            }
        }
        uploads
    }

    fn upload_names(&self, kind: UploadKind) -> Vec<UploadName> {
        let directory = self.uploads_directory(kind);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            // That it could not be made was logged.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                let directory = directory.display();
                unit_log::alert!("opendir(\"{directory}\") failed {}", Described(&error));
                return Vec::new();
            }
        };
        let mut names: Vec<UploadName> = entries
            .filter_map(|entry| UploadName::new(entry.ok()?.file_name().into_vec()).ok())
            .collect();
        names.sort();
        names
    }

    /// How many bytes all uploads take, at most, in the message that hands them out.
    fn uploads_len(&self) -> usize {
        let of_kind = |kind| {
            let names = self.upload_names(kind).into_iter();
            names
                .map(|name| {
                    let len = fs::metadata(self.upload_path(kind, &name)).map_or(0, |at| at.len());
                    let len = usize::try_from(len).unwrap_or(usize::MAX).min(UPLOAD_LEN_MAX);
                    len + name.as_bytes().len() + ENTRY_LEN
                })
                .sum::<usize>()
        };
        of_kind(UploadKind::Certificate) + of_kind(UploadKind::Script)
    }

    /// Stores an upload, in place of any other of its name. When this returns without an error it
    /// is on the disk.
    ///
    /// # Errors
    /// [`StoreError`] naming the failed call; what was stored before is in place then.
    pub fn store_upload(
        &self,
        kind: UploadKind,
        name: &UploadName,
        content: &[u8],
    ) -> Result<(), StoreError> {
        if content.len() > UPLOAD_LEN_MAX {
            return Err(self.too_large(directory_name(kind), UPLOAD_LEN_MAX as u64));
        }
        if self.uploads_len() + content.len() + name.as_bytes().len() + ENTRY_LEN > UPLOADS_LEN_MAX
        {
            return Err(self.too_large(directory_name(kind), UPLOADS_LEN_MAX as u64));
        }
        let directory = self.uploads_directory(kind);
        if !directory.is_dir() {
            unit_log::alert!("no {} storage directory", things(kind));
        }
        let place = Place {
            directory: &directory,
            path: self.upload_path(kind, name),
            // Beside the directory, since any name inside may be that of an upload.
            temporary: self.directory.join(format!("{}.tmp", directory_name(kind))),
        };
        self.replace_file(&place, content)
    }

    /// Deletes an upload. When this returns without an error it is gone from the disk.
    ///
    /// # Errors
    /// [`StoreError`] naming the failed call. Only when the directory could not be synced is the
    /// file gone all the same, perhaps to come back after a crash.
    pub fn delete_upload(&self, kind: UploadKind, name: &UploadName) -> Result<(), StoreError> {
        let path = self.upload_path(kind, name);
        if let Err(error) = self.disk.remove(&path) {
            return Err(StoreError { call: Call::Remove, path, error });
        }
        let directory = self.uploads_directory(kind);
        match self.disk.sync_directory(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError { call: Call::SyncDirectory, path: directory, error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Opens an upload for reading.
    ///
    /// # Errors
    /// What open(2) says, or that it is not a regular file.
    pub fn open_upload(&self, kind: UploadKind, name: &UploadName) -> Result<File, StoreError> {
        let path = self.upload_path(kind, name);
        let opened =
            OpenOptions::new().read(true).custom_flags(sys::fs::OPEN_WARILY).open(&path).and_then(
                |file| match file.metadata()?.is_file() {
                    true => Ok(file),
                    false => Err(io::Error::other("not a regular file")),
                },
            );
        opened.map_err(|error| StoreError { call: Call::Create, path, error })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    const BUNDLE: &[u8] = b"-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n\
        -----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

    fn name(text: &str) -> UploadName {
        UploadName::new(text).unwrap()
    }

    fn store_in(directory: &Path) -> Store {
        let store = Store::new(directory.to_str().unwrap());
        store.create_directories();
        store
    }

    /// What of the uploads is there, by file name.
    fn loaded(store: &Store) -> Vec<String> {
        let uploads = store.load_uploads();
        uploads.iter().map(|upload| upload.name.to_string()).collect()
    }

    #[test]
    fn what_is_uploaded_is_kept_whole_and_handed_out_without_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let store = store_in(directory.path());
        let certificate = UploadKind::Certificate;
        store.store_upload(certificate, &name("b"), b"old").unwrap();
        store.store_upload(certificate, &name("b"), BUNDLE).unwrap();
        store.store_upload(certificate, &name("a%2F.tmp"), BUNDLE).unwrap();
        store.store_upload(UploadKind::Script, &name("s"), b"export default {}").unwrap();
        let file = directory.path().join("certs/b");
        assert_eq!(fs::read(&file).unwrap(), BUNDLE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(!directory.path().join("certs.tmp").exists());
        let uploads = store.load_uploads();
        assert_eq!(loaded(&store), ["a%2F.tmp", "b", "s"]);
        assert!(!String::from_utf8_lossy(&uploads[1].content).contains("secret"));
        assert!(String::from_utf8_lossy(&uploads[1].content).contains("MIIB"));
        assert_eq!(uploads[2].content, b"export default {}");
        let mut opened = String::new();
        let mut file = store.open_upload(certificate, &name("b")).unwrap();
        io::Read::read_to_string(&mut file, &mut opened).unwrap();
        assert_eq!(opened.as_bytes(), BUNDLE);
    }

    #[test]
    fn what_is_deleted_is_gone_and_may_have_been_before() {
        let directory = tempfile::tempdir().unwrap();
        let store = store_in(directory.path());
        store.store_upload(UploadKind::Certificate, &name("a"), BUNDLE).unwrap();
        for _ in 0..2 {
            store.delete_upload(UploadKind::Certificate, &name("a")).unwrap();
            assert_eq!(loaded(&store), [""; 0]);
        }
        fs::remove_dir(directory.path().join("certs")).unwrap();
        store.delete_upload(UploadKind::Certificate, &name("a")).unwrap();
    }

    #[test]
    fn what_is_no_regular_file_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = store_in(directory.path());
        store.store_upload(UploadKind::Certificate, &name("a"), BUNDLE).unwrap();
        fs::create_dir(directory.path().join("certs/directory")).unwrap();
        std::os::unix::fs::symlink("/nonexistent", directory.path().join("certs/dangling"))
            .unwrap();
        assert_eq!(loaded(&store), ["a"]);
        assert!(store.open_upload(UploadKind::Certificate, &name("directory")).is_err());
    }

    #[test]
    fn nothing_is_stored_that_could_not_be_loaded_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = store_in(directory.path());
        let too_large = vec![b'x'; UPLOAD_LEN_MAX + 1];
        assert!(store.store_upload(UploadKind::Script, &name("a"), &too_large).is_err());
        let large = &too_large[1..];
        let fits = UPLOADS_LEN_MAX / (UPLOAD_LEN_MAX + ENTRY_LEN + 2);
        for number in 10..10 + fits {
            // As many files as large ones would be, but sparse.
            let file = File::create(directory.path().join(format!("scripts/{number}"))).unwrap();
            file.set_len(UPLOAD_LEN_MAX as u64).unwrap();
        }
        assert!(store.store_upload(UploadKind::Script, &name("zz"), large).is_err());
        assert_eq!(loaded(&store).len(), fits);
    }

    #[test]
    fn a_directory_that_is_not_there_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().to_str().unwrap());
        assert_eq!(loaded(&store), [""; 0]);
        let error = store.store_upload(UploadKind::Certificate, &name("a"), BUNDLE).unwrap_err();
        let path = directory.path().join("certs/a");
        let expected =
            format!("rename(\"{}\") failed (2: No such file or directory)", path.display());
        assert_eq!(error.to_string(), expected);
        assert!(!directory.path().join("certs.tmp").exists());
    }
}
