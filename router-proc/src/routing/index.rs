//! Which steps of a route can be for a request at all, found by its host and path, so that routes
//! of a thousand steps do not cost a thousand comparisons.
//!
//! A step that is for certain exact hosts or paths, for paths with certain beginnings, or for hosts
//! or paths that have certain texts in them, as the wildcards and regular expressions of the step
//! ask for, is kept under these keys; a request looks its own up and tries the steps found, merged in
//! order with those that have no keys. A step not found would not have matched, and could not have
//! failed.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use aho_corasick::AhoCorasick;
use conf::{Literal, Match, Matcher, Pattern, PatternSet, Template, Text};

/// With fewer steps that have keys, trying all is cheaper.
const KEYED_STEPS_MIN: usize = 8;

/// How many texts are looked for in hosts or in paths: the automaton for more would take more room
/// than the routes themselves.
const PARTS_MAX: usize = 100_000;

/// How many lists a request merges: more occur only where that many configured beginnings of paths
/// are beginnings of one another.
const LISTS_MAX: usize = 16;

/// The steps of a route by what they are for.
#[derive(Debug, Default)]
pub(super) struct StepIndex {
    unkeyed: Vec<u32>,
    hosts: KeyTable,
    paths: KeyTable,
    beginnings: KeyTable,
    /// The lengths that keys of `beginnings` have, ascending.
    beginning_lens: Vec<usize>,
    host_parts: PartTable,
    path_parts: PartTable,
}

impl StepIndex {
    /// Makes the index; nothing if it would not be worth its while.
    pub(super) fn build<'a>(steps: impl Iterator<Item = &'a Match>) -> Option<StepIndex> {
        let keys: Vec<StepKeys> = steps.map(StepKeys::of).collect();
        let mut uses: HashMap<&Key, usize> = HashMap::new();
        for key in keys.iter().flat_map(|keys| keys.hosts.iter().chain(&keys.paths)).flatten() {
            *uses.entry(key).or_default() += 1;
        }
        // The more steps share a key, the less it tells.
        let most_shared = |keys: &[Key]| keys.iter().map(|key| uses[key]).max().unwrap_or(0);
        let mut index = StepIndex::default();
        let mut keyed_steps = 0;
        for (keys, step) in keys.iter().zip(0u32..) {
            let chosen = match (&keys.hosts, &keys.paths) {
                (Some(hosts), Some(paths)) if most_shared(hosts) < most_shared(paths) => hosts,
                (_, Some(keys)) | (Some(keys), None) => keys,
                (None, None) => {
                    index.unkeyed.push(step);
                    continue;
                }
            };
            keyed_steps += 1;
            for key in chosen {
                match key {
                    Key::Host(text) => index.hosts.add(text, step),
                    Key::Path(text) => index.paths.add(text, step),
                    Key::Beginning(text) => {
                        index.beginnings.add(text, step);
                        index.beginning_lens.push(text.len());
                    }
                    Key::HostPart(text) => index.host_parts.add(text, step),
                    Key::PathPart(text) => index.path_parts.add(text, step),
                }
            }
        }
        index.beginning_lens.sort_unstable();
        index.beginning_lens.dedup();
        if keyed_steps < KEYED_STEPS_MIN {
            return None;
        }
        index.host_parts.finish()?;
        index.path_parts.finish()?;
        Some(index)
    }

    /// The steps to try, in order; nothing if all must be.
    pub(super) fn candidates(&self, host: &[u8], path: &[u8]) -> Option<Candidates<'_>> {
        let mut found = Candidates { lists: [&[]; LISTS_MAX], len: 0 };
        found.add(&self.unkeyed)?;
        if !self.hosts.is_empty() {
            found.add(self.hosts.get(Fingerprint::of(host), host))?;
        }
        self.host_parts.find(host, &mut found)?;
        self.path_parts.find(path, &mut found)?;
        if self.paths.is_empty() && self.beginnings.is_empty() {
            return Some(found);
        }
        let mut fingerprint = Fingerprint::default();
        let mut done = 0;
        for &len in &self.beginning_lens {
            let Some(beginning) = path.get(..len) else { break };
            fingerprint.add(beginning.get(done..).unwrap_or_default());
            done = len;
            found.add(self.beginnings.get(fingerprint, beginning))?;
        }
        fingerprint.add(path.get(done..).unwrap_or_default());
        found.add(self.paths.get(fingerprint, path))?;
        Some(found)
    }
}

/// Ascending lists of steps, merged into one.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    lists: [&'a [u32]; LISTS_MAX],
    len: usize,
}

impl<'a> Candidates<'a> {
    fn add(&mut self, list: &'a [u32]) -> Option<()> {
        if !list.is_empty() {
            *self.lists.get_mut(self.len)? = list;
            self.len += 1;
        }
        Some(())
    }
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let lists = self.lists.get_mut(..self.len)?;
        let first = *lists.iter().filter_map(|list| list.first()).min()?;
        for list in lists {
            if let Some((&head, rest)) = list.split_first()
                && head == first
            {
                *list = rest;
            }
        }
        usize::try_from(first).ok()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Host(Text),
    Path(Text),
    Beginning(Text),
    HostPart(Text),
    PathPart(Text),
}

/// What a step is for; no list where it may be for anything else.
struct StepKeys {
    hosts: Option<Vec<Key>>,
    paths: Option<Vec<Key>>,
}

impl StepKeys {
    fn of(matching: &Match) -> StepKeys {
        StepKeys { hosts: host_keys(matching), paths: path_keys(matching) }
    }
}

/// The hosts a step is for; nothing if it may be for others, or if finding out may fail before.
fn host_keys(matching: &Match) -> Option<Vec<Key>> {
    if may_fail_at_once(matching) {
        return None;
    }
    let hosts = matching.host.as_ref().filter(|hosts| is_infallible(hosts))?;
    let mut keys: Vec<Key> = hosts.exact().iter().cloned().map(Key::Host).collect();
    for pattern in hosts.positive() {
        match pattern.matcher() {
            Matcher::Literal(literal) => keys.push(Key::HostPart(part(literal)?)),
            Matcher::Regex(regex) => {
                keys.extend(regex.required_texts()?.any_of.into_iter().map(Key::HostPart));
            }
        }
    }
    (!keys.is_empty()).then_some(keys)
}

/// The paths, or beginnings of paths, a step is for; nothing as above.
fn path_keys(matching: &Match) -> Option<Vec<Key>> {
    if may_fail_at_once(matching) || matching.host.as_ref().is_some_and(|set| !is_infallible(set)) {
        return None;
    }
    let paths = matching.uri.as_ref().filter(|paths| is_infallible(paths))?;
    let mut keys: Vec<Key> = paths.exact().iter().cloned().map(Key::Path).collect();
    for pattern in paths.positive() {
        match pattern.matcher() {
            // A beginning is looked up at less cost than a part, but all paths begin with a slash.
            Matcher::Literal(literal) if literal.prefix().len() > 1 && !literal.ignores_case() => {
                keys.push(Key::Beginning(literal.prefix().clone()));
            }
            Matcher::Literal(literal) => keys.push(Key::PathPart(part(literal)?)),
            Matcher::Regex(regex) => {
                let texts = regex.required_texts()?;
                let key = if texts.at_start { Key::Beginning } else { Key::PathPart };
                keys.extend(texts.any_of.into_iter().map(key));
            }
        }
    }
    (!keys.is_empty()).then_some(keys)
}

/// What every subject of a pattern has in it; nothing where that would be in most subjects.
fn part(literal: &Literal) -> Option<Text> {
    let text = literal.longest();
    (text.len() > 1 && !literal.ignores_case()).then(|| text.into())
}

/// Whether what is evaluated before host and path can fail, which must not be missed.
fn may_fail_at_once(matching: &Match) -> bool {
    let template = matching.condition.as_ref().map(conf::Condition::template);
    template.is_some_and(|template| matches!(template, Template::Script(_)))
}

fn is_infallible(patterns: &PatternSet) -> bool {
    let is_infallible = |pattern: &Pattern| match pattern.matcher() {
        Matcher::Literal(_) => true,
        Matcher::Regex(regex) => regex.is_infallible(),
    };
    patterns.negative().iter().chain(patterns.positive()).all(is_infallible)
}

/// Steps by key.
#[derive(Debug, Default)]
struct KeyTable {
    /// Almost always one key to a fingerprint.
    buckets: HashMap<u64, Vec<Entry>, BuildHasherDefault<AsItIs>>,
}

#[derive(Debug)]
struct Entry {
    key: Text,
    steps: Vec<u32>,
}

impl KeyTable {
    fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Steps must be added in order.
    fn add(&mut self, key: &Text, step: u32) {
        let bucket = self.buckets.entry(Fingerprint::of(key).0).or_default();
        match bucket.iter_mut().find(|entry| entry.key == *key) {
            Some(entry) if entry.steps.last() == Some(&step) => {}
            Some(entry) => entry.steps.push(step),
            None => bucket.push(Entry { key: key.clone(), steps: vec![step] }),
        }
    }

    fn get(&self, fingerprint: Fingerprint, key: &[u8]) -> &[u32] {
        let bucket = self.buckets.get(&fingerprint.0).map_or(&[][..], Vec::as_slice);
        let found = bucket.iter().find(|entry| *entry.key == *key);
        found.map_or(&[], |entry| &entry.steps)
    }
}

/// Steps by texts that are anywhere in what a request has.
#[derive(Debug, Default)]
struct PartTable {
    texts: Vec<Text>,
    /// For each of the texts.
    steps: Vec<Vec<u32>>,
    places: HashMap<Text, usize>,
    automaton: Option<AhoCorasick>,
}

impl PartTable {
    /// Steps must be added in order.
    fn add(&mut self, text: &Text, step: u32) {
        let place = *self.places.entry(text.clone()).or_insert(self.steps.len());
        match self.steps.get_mut(place) {
            Some(steps) if steps.last() == Some(&step) => {}
            Some(steps) => steps.push(step),
            None => {
                self.texts.push(text.clone());
                self.steps.push(vec![step]);
            }
        }
    }

    /// Makes ready what was added; nothing if there is too much of it.
    fn finish(&mut self) -> Option<()> {
        self.places = HashMap::new();
        let texts = std::mem::take(&mut self.texts);
        if texts.len() > PARTS_MAX {
            return None;
        }
        if !texts.is_empty() {
            self.automaton = Some(AhoCorasick::new(&texts).ok()?);
        }
        Some(())
    }

    /// Adds the steps whose text is in the subject.
    fn find<'a>(&'a self, subject: &[u8], found: &mut Candidates<'a>) -> Option<()> {
        let Some(automaton) = &self.automaton else { return Some(()) };
        let before = found.len;
        for hit in automaton.find_overlapping_iter(subject) {
            let steps = self.steps.get(hit.pattern().as_usize()).map_or(&[][..], Vec::as_slice);
            // A text may be there more than once.
            let known = found.lists.get(before..found.len).unwrap_or_default();
            if !known.iter().any(|known| std::ptr::eq(*known, steps)) {
                found.add(steps)?;
            }
        }
        Some(())
    }
}

/// FNV-1a, because the fingerprints of all beginnings of a path fall out on the way to its own. Keys
/// come from the configuration alone, so nobody can make them collide on purpose.
#[derive(Clone, Copy)]
struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Fingerprint {
        Fingerprint(0xCBF2_9CE4_8422_2325)
    }
}

impl Fingerprint {
    fn of(octets: &[u8]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        fingerprint.add(octets);
        fingerprint
    }

    fn add(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.0 = (self.0 ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
}

/// Fingerprints need no hashing.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        let mut fingerprint = Fingerprint(self.0);
        fingerprint.add(octets);
        self.0 = fingerprint.0;
    }

    fn write_u64(&mut self, fingerprint: u64) {
        self.0 = fingerprint;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_merged_in_order_and_without_repetition() {
        let mut candidates = Candidates { lists: [&[]; LISTS_MAX], len: 0 };
        for list in [&[1, 4, 9][..], &[], &[0, 4, 5], &[4], &[10]] {
            candidates.add(list).unwrap();
        }
        assert_eq!(candidates.collect::<Vec<_>>(), [0, 1, 4, 5, 9, 10]);
    }

    #[test]
    fn keys_with_one_fingerprint_are_told_apart() {
        let mut table = KeyTable::default();
        table.add(&"a".into(), 1);
        let bucket = table.buckets.values_mut().next().unwrap();
        bucket.push(Entry { key: "b".into(), steps: vec![2] });
        assert_eq!(table.get(Fingerprint::of(b"a"), b"a"), [1]);
        assert_eq!(table.get(Fingerprint::of(b"a"), b"b"), [2]);
        assert_eq!(table.get(Fingerprint::of(b"a"), b"c"), [] as [u32; 0]);
    }
}
