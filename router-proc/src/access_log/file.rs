//! The file of an access log, shared by all event loops.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a pipe takes as a whole or not at all (`PIPE_BUF` of pipe(7)).
const PIPE_PIECE_LEN: usize = 4096;

/// How long trouble is not spoken of again.
const QUIET: Duration = Duration::from_secs(10);

/// The file of an access log. Whoever writes holds it alone, so no entry gets into another.
///
/// It never waits: what a pipe or a full disk does not take stays with the writer.
#[derive(Debug)]
pub struct LogFile {
    path: String,
    is_open: AtomicBool,
    is_in_use: AtomicBool,
    outlet: Mutex<Outlet<File>>,
}

impl LogFile {
    /// The file with this path, opened for appending.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn new(path: String, file: OwnedFd) -> io::Result<Self> {
        let outlet = Outlet { sink: Some(Sink::new(file)?), ..Outlet::default() };
        Ok(Self::with(path, outlet))
    }

    /// A file that could not be opened: nothing is written until it is.
    pub fn closed(path: String) -> Self {
        Self::with(path, Outlet::default())
    }

    fn with(path: String, outlet: Outlet<File>) -> Self {
        let is_open = AtomicBool::new(outlet.sink.is_some());
        Self { path, is_open, is_in_use: AtomicBool::new(false), outlet: Mutex::new(outlet) }
    }

    /// Its path as configured.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether there is anything to write to.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Whether the running configuration names it.
    pub(super) fn is_in_use(&self) -> bool {
        self.is_in_use.load(Ordering::Relaxed)
    }

    /// The running configuration names it, or does so no more.
    pub(crate) fn set_in_use(&self, is_in_use: bool) {
        self.is_in_use.store(is_in_use, Ordering::Relaxed);
    }

    /// Writes to this file from now on, on every loop.
    ///
    /// # Errors
    /// When it cannot be looked at; everything stays as it was then.
    pub fn reopen(&self, file: OwnedFd) -> io::Result<()> {
        let sink = Sink::new(file)?;
        let told = self.outlet().replace(sink, Instant::now());
        self.is_open.store(true, Ordering::Relaxed);
        self.tell(told);
        Ok(())
    }

    /// Writes entries, and takes those that were written out of the buffer.
    pub(super) fn write(&self, entries: &mut Vec<u8>, now: Instant) {
        let told = self.outlet().write(entries, now);
        self.tell(told);
    }

    /// So many entries are lost.
    pub(super) fn lose(&self, count: u64, now: Instant) {
        if count > 0 {
            let told = self.outlet().lose(count, now);
            self.tell(told);
        }
    }

    fn outlet(&self) -> MutexGuard<'_, Outlet<File>> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, news: Option<News>) {
        let path = &self.path;
        match news {
            None => {}
            Some(News::Failed(error)) => {
                let error = crate::event_loop::describe(&error);
                unit_log::alert!("write(\"{path}\") failed ({error})");
            }
            Some(News::Losing) => {
                unit_log::alert!("access log \"{path}\" takes no more, entries are lost");
            }
            Some(News::Mended { lost }) => unit_log::notice!(
                "access log \"{path}\" is written again, {lost} entries were lost"
            ),
        }
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        let lost = self.outlet().finish();
        if lost > 0 {
            unit_log::notice!("access log \"{}\" is closed, {lost} entries were lost", self.path);
        }
    }
}

/// What is to be said in the daemon's log.
#[derive(Debug)]
enum News {
    /// Writing fails, for the first time in a while.
    Failed(io::Error),
    /// Entries are lost, for the first time in a while.
    Losing,
    /// Entries are written again.
    Mended { lost: u64 },
}

/// Where entries go to.
#[derive(Debug)]
struct Sink<W> {
    file: W,
    /// Its device and inode.
    identity: (u64, u64),
    /// The most that is written at once.
    piece_len_max: usize,
}

impl Sink<File> {
    fn new(file: OwnedFd) -> io::Result<Self> {
        // No loop waits for the reader of a pipe. Nobody else has this opening of it.
        sys::fd::set_nonblocking(&file, true)?;
        let file = File::from(file);
        let metadata = file.metadata()?;
        let piece_len_max = if metadata.is_file() { usize::MAX } else { PIPE_PIECE_LEN };
        Ok(Self { file, identity: (metadata.dev(), metadata.ino()), piece_len_max })
    }
}

/// Writing is not as it should be.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    since: Instant,
    is_loss_told: bool,
    lost: u64,
}

#[derive(Debug)]
struct Outlet<W> {
    sink: Option<Sink<W>>,
    /// The rest of an entry of which a part is in the file: it comes before all others.
    torn: Vec<u8>,
    trouble: Option<Trouble>,
}

impl<W> Default for Outlet<W> {
    fn default() -> Self {
        Self { sink: None, torn: Vec::new(), trouble: None }
    }
}

impl<W: Write> Outlet<W> {
    /// Writes entries, and takes those that were written out of the buffer.
    fn write(&mut self, entries: &mut Vec<u8>, now: Instant) -> Option<News> {
        let (done, result) = self.push(entries);
        if done == entries.len() {
            entries.clear();
        } else {
            entries.drain(..done);
        }
        match result {
            Ok(()) => {
                let trouble = self.trouble?;
                // A pipe that is full again and again is not worth two lines each time.
                (now.saturating_duration_since(trouble.since) >= QUIET).then(|| self.mend(trouble))
            }
            // There is room for more to wait.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => {
                let is_news = self.trouble.is_none();
                self.trouble(now);
                is_news.then_some(News::Failed(error))
            }
        }
    }

    /// How much of the entries, always whole ones, was written or is kept here.
    fn push(&mut self, entries: &[u8]) -> (usize, io::Result<()>) {
        // Nothing to write to: nothing is to be kept either.
        let Some(sink) = &mut self.sink else { return (entries.len(), Ok(())) };
        let mut done = 0;
        loop {
            let rest = entries.get(done..).unwrap_or_default();
            let piece = match self.torn.is_empty() {
                true => whole_lines(rest, sink.piece_len_max),
                false => &self.torn,
            };
            if piece.is_empty() {
                return (done, Ok(()));
            }
            match sink.file.write(piece) {
                Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
                Ok(len) if !self.torn.is_empty() => {
                    self.torn.drain(..len.min(self.torn.len()));
                }
                Ok(len) => {
                    let is_torn = piece.get(len - 1).is_some_and(|&octet| octet != b'\n');
                    done += len;
                    if is_torn {
                        let after = entries.get(done..).unwrap_or_default();
                        let end = memchr::memchr(b'\n', after).map_or(after.len(), |at| at + 1);
                        self.torn.extend_from_slice(after.get(..end).unwrap_or_default());
                        done += end;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (done, Err(error)),
            }
        }
    }

    /// So many entries are lost.
    fn lose(&mut self, count: u64, now: Instant) -> Option<News> {
        let trouble = self.trouble(now);
        trouble.lost += count;
        let is_told = std::mem::replace(&mut trouble.is_loss_told, true);
        (!is_told).then_some(News::Losing)
    }

    fn trouble(&mut self, now: Instant) -> &mut Trouble {
        self.trouble.get_or_insert(Trouble { since: now, is_loss_told: false, lost: 0 })
    }

    /// Writes somewhere else from now on. The rest of a torn entry has no meaning there, unless it is
    /// the same file by another opening.
    fn replace(&mut self, sink: Sink<W>, now: Instant) -> Option<News> {
        // Room may have been made for it meanwhile.
        let _ = self.push(b"");
        let is_same = self.sink.as_ref().is_some_and(|before| before.identity == sink.identity);
        if !is_same && !std::mem::take(&mut self.torn).is_empty() {
            self.trouble(now).lost += 1;
        }
        self.sink = Some(sink);
        let trouble = self.trouble?;
        Some(self.mend(trouble))
    }

    /// Nothing is written any more: how many entries were lost that nobody has been told of.
    fn finish(&mut self) -> u64 {
        let _ = self.push(b"");
        let is_torn = !self.torn.is_empty();
        self.trouble.map_or(0, |trouble| trouble.lost) + u64::from(is_torn)
    }

    fn mend(&mut self, trouble: Trouble) -> News {
        self.trouble = None;
        News::Mended { lost: trouble.lost }
    }
}

/// As many lines as fit in `len_max`, or the first one if it does not.
fn whole_lines(entries: &[u8], len_max: usize) -> &[u8] {
    if entries.len() <= len_max {
        return entries;
    }
    let fitting = entries.get(..len_max).unwrap_or(entries);
    let end = match memchr::memrchr(b'\n', fitting) {
        Some(at) => at + 1,
        None => memchr::memchr(b'\n', entries).map_or(entries.len(), |at| at + 1),
    };
    entries.get(..end).unwrap_or(entries)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A file that takes so many bytes at each call, or fails.
    #[derive(Debug, Default)]
    struct Fake {
        steps: VecDeque<Result<usize, i32>>,
        content: Vec<u8>,
        calls: Vec<usize>,
    }

    impl Write for Fake {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.calls.push(data.len());
            let len = match self.steps.pop_front() {
                None => data.len(),
                Some(Ok(len)) => len.min(data.len()),
                Some(Err(number)) => return Err(io::Error::from_raw_os_error(number)),
            };
            self.content.extend_from_slice(&data[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const FULL: Result<usize, i32> = Err(28);
    const AGAIN: Result<usize, i32> = Err(11);

    fn outlet(steps: &[Result<usize, i32>], piece_len_max: usize) -> Outlet<Fake> {
        let file = Fake { steps: steps.iter().copied().collect(), ..Fake::default() };
        Outlet { sink: Some(Sink { file, identity: (1, 1), piece_len_max }), ..Outlet::default() }
    }

    fn content(outlet: &Outlet<Fake>) -> &str {
        std::str::from_utf8(&outlet.sink.as_ref().unwrap().file.content).unwrap()
    }

    fn told(news: Option<News>) -> String {
        match news {
            None => String::new(),
            Some(News::Failed(error)) => format!("failed {}", error.raw_os_error().unwrap()),
            Some(News::Losing) => "losing".to_owned(),
            Some(News::Mended { lost }) => format!("mended {lost}"),
        }
    }

    #[test]
    fn entries_of_one_turn_take_one_call() {
        let mut outlet = outlet(&[], usize::MAX);
        let mut entries = b"one\ntwo\n".to_vec();
        assert_eq!(told(outlet.write(&mut entries, Instant::now())), "");
        assert!(entries.is_empty());
        assert_eq!(content(&outlet), "one\ntwo\n");
        assert_eq!(outlet.sink.unwrap().file.calls, [8]);
    }

    #[test]
    fn pipes_get_pieces_that_they_take_as_a_whole() {
        let mut outlet = outlet(&[], 10);
        let mut entries = b"one\ntwo\nthree\na very long one\n1\n2\n".to_vec();
        outlet.write(&mut entries, Instant::now());
        assert_eq!(outlet.sink.as_ref().unwrap().file.calls, [8, 6, 16, 4]);
        assert_eq!(content(&outlet), "one\ntwo\nthree\na very long one\n1\n2\n");
    }

    /// Another loop writes as soon as the first one has given up.
    #[test]
    fn no_entry_gets_into_a_torn_one() {
        let now = Instant::now();
        for len in 0..=12 {
            let steps = [Ok(len), FULL, FULL];
            let mut outlet = outlet(if len == 0 { &steps[1..] } else { &steps }, usize::MAX);
            let mut first = b"one\ntwo\nsix\n".to_vec();
            let news = told(outlet.write(&mut first, now));
            assert_eq!(news, if len == 12 { "" } else { "failed 28" });
            let mut second = b"ten\n".to_vec();
            // Its trouble is known already.
            assert_eq!(
                told(outlet.write(&mut second, now)),
                if len == 12 { "failed 28" } else { "" }
            );
            assert_eq!(second, b"ten\n");
            outlet.write(&mut second, now);
            outlet.write(&mut second, now);
            outlet.write(&mut first, now);
            assert!(first.is_empty() && second.is_empty());
            let mut lines: Vec<&str> = content(&outlet).lines().collect();
            lines.sort_unstable();
            assert_eq!(lines, ["one", "six", "ten", "two"], "{len}");
        }
    }

    #[test]
    fn trouble_is_told_once_and_so_is_its_end() {
        let start = Instant::now();
        let after = |secs| start + Duration::from_secs(secs);
        let mut outlet = outlet(&[FULL, FULL, Ok(99), FULL, Ok(99), FULL], usize::MAX);
        let mut entries = b"one\n".to_vec();
        assert_eq!(told(outlet.write(&mut entries, after(0))), "failed 28");
        assert_eq!(told(outlet.write(&mut entries, after(1))), "");
        assert_eq!(told(outlet.lose(3, after(1))), "losing");
        assert_eq!(told(outlet.lose(4, after(2))), "");
        assert_eq!(told(outlet.write(&mut entries, after(3))), "", "too soon to be sure");
        entries = b"two\n".to_vec();
        assert_eq!(told(outlet.write(&mut entries, after(4))), "");
        assert_eq!(told(outlet.write(&mut entries, after(10))), "mended 7");
        entries = b"three\n".to_vec();
        assert_eq!(told(outlet.write(&mut entries, after(11))), "failed 28");
        assert_eq!(content(&outlet), "one\ntwo\n");
    }

    #[test]
    fn a_full_pipe_is_no_news_until_entries_are_lost() {
        let now = Instant::now();
        let mut outlet = outlet(&[AGAIN, AGAIN], PIPE_PIECE_LEN);
        let mut entries = b"one\n".to_vec();
        assert_eq!(told(outlet.write(&mut entries, now)), "");
        assert_eq!(told(outlet.lose(1, now)), "losing");
        assert_eq!(told(outlet.write(&mut entries, now)), "");
        outlet.write(&mut entries, now);
        assert_eq!(content(&outlet), "one\n");
    }

    fn another(inode: u64) -> Sink<Fake> {
        Sink { file: Fake::default(), identity: (1, inode), piece_len_max: usize::MAX }
    }

    #[test]
    fn another_file_begins_with_a_whole_entry() {
        let now = Instant::now();
        let mut outlet = outlet(&[Ok(2), FULL, FULL], usize::MAX);
        let mut entries = b"one\ntwo\n".to_vec();
        outlet.write(&mut entries, now);
        assert_eq!(entries, b"two\n");
        assert_eq!(told(outlet.replace(another(2), now)), "mended 1");
        outlet.write(&mut entries, now);
        assert_eq!(content(&outlet), "two\n");
    }

    /// A full pipe is no trouble by itself, but half an entry stays in it.
    #[test]
    fn an_entry_that_was_torn_by_a_full_pipe_is_told_when_it_is_left() {
        let now = Instant::now();
        let mut left = outlet(&[Ok(2), AGAIN, AGAIN], PIPE_PIECE_LEN);
        let mut entries = b"one\ntwo\n".to_vec();
        assert_eq!(told(left.write(&mut entries, now)), "");
        assert_eq!(told(left.replace(another(2), now)), "mended 1");
        assert_eq!(told(left.replace(another(3), now)), "");

        let mut closed = outlet(&[Ok(2), AGAIN, AGAIN], PIPE_PIECE_LEN);
        closed.write(&mut b"one\ntwo\n".to_vec(), now);
        assert_eq!(closed.finish(), 1);
    }

    /// A rotation opens it again, and so the rest of an entry has its place there.
    #[test]
    fn the_rest_of_an_entry_goes_to_the_same_pipe_opened_again() {
        let now = Instant::now();
        let mut outlet = outlet(&[Ok(2), AGAIN, AGAIN], PIPE_PIECE_LEN);
        let mut entries = b"one\ntwo\n".to_vec();
        outlet.write(&mut entries, now);
        assert_eq!(content(&outlet), "on");
        assert_eq!(told(outlet.replace(another(1), now)), "");
        outlet.write(&mut entries, now);
        assert_eq!(content(&outlet), "e\ntwo\n");
    }

    #[test]
    fn what_was_lost_is_told_at_the_latest_when_the_file_is_closed() {
        let lines = crate::routing::tests::logged(|| {
            let file = LogFile::closed("/log".to_owned());
            file.lose(2, Instant::now());
            file.lose(3, Instant::now());
        });
        assert_eq!(
            lines,
            [
                "alert *0 access log \"/log\" takes no more, entries are lost",
                "notice *0 access log \"/log\" is closed, 5 entries were lost",
            ]
        );
    }

    #[test]
    fn a_closed_file_keeps_nothing_until_it_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let file = LogFile::closed(path.to_str().unwrap().to_owned());
        assert!(!file.is_open());
        let mut entries = b"one\n".to_vec();
        file.write(&mut entries, Instant::now());
        assert!(entries.is_empty());
        file.reopen(File::create(&path).unwrap().into()).unwrap();
        assert!(file.is_open());
        entries = b"two\n".to_vec();
        file.write(&mut entries, Instant::now());
        assert_eq!(std::fs::read(&path).unwrap(), b"two\n");
    }
}
