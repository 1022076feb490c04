//! The memory of this process.

/// Gives memory that was freed back to the system. An allocator keeps it otherwise, and what was
/// needed once for something large would stay for good.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: malloc_trim(3) takes a number, has no preconditions, and is MT-safe. What is in
        // use it does not touch.
        unsafe { libc::malloc_trim(0) };
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// The resident memory of this process, in KiB.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        number.expect("the kernel tells how much is resident")
    }

    #[test]
    fn what_was_freed_is_given_back() {
        // Small pieces, every second of which stays, so that nothing is freed at the end of the heap.
        let mut pieces: Vec<Option<Box<[u8]>>> = Vec::new();
        for index in 0..2_000_u32 {
            pieces.push(Some(vec![1; if index.is_multiple_of(2) { 32 } else { 32 * 1024 }].into()));
        }
        for piece in pieces.iter_mut().skip(1).step_by(2) {
            *piece = None;
        }
        let before = resident();
        give_back();
        let after = resident();
        assert!(after + 16 * 1024 < before, "{before} KiB, then {after} KiB");
        assert_eq!(pieces.iter().flatten().count(), 1_000);
    }
}
