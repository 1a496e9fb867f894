//! Tells the CPU that a value will be read soon, so that memory is under way while other work is done.
//!
//! The compiler's own hint for it is not stable yet. Worth its line only where a read from a large table is known of
//! some hundred nanoseconds before it is made.

/// Never faults and changes nothing but what is in the cache.
#[inline(always)]
pub fn read<T>(value: &T) {
    let at: *const T = value;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has SSE, and the instruction accepts any address; this one is of a live reference.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the instruction is a hint that accepts any address; it reads no register but the one given, and writes
    // neither memory nor flags.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    #[test]
    fn leaves_values_as_they_are() {
        let values = vec![7u64; 100_000];
        values.iter().for_each(super::read);
        super::read(&());
        assert!(values.iter().all(|value| *value == 7));
    }
}
