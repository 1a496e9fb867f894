//! Owned buffers, recycled per shard. The kernel owns a buffer while an operation is in flight, so a buffer is
//! a value that moves, not a slice that is lent.

use crate::runtime::{ReadBuffer, WriteBuffer};
use std::cell::RefCell;

/// Heads and small bodies: one read takes a whole small exchange.
pub const SMALL: usize = 16 * 1024;
/// Streamed bodies: large enough that a read and a write cost little beside the copy they make.
pub const LARGE: usize = 128 * 1024;

/// Kept for reuse at most, per shard: 1 MiB of small and 2 MiB of large ones. Past that a buffer is freed, so a
/// burst does not stay in memory.
const KEPT_SMALL: usize = 64;
const KEPT_LARGE: usize = 16;

/// Bytes with room behind them. `filled` shrinks from the front by `consume` and grows at the back by reads.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    /// A read may take at most this many bytes beyond what is held; `usize::MAX` for no bound but the room.
    read_limit: usize,
}

impl Buffer {
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            start: 0,
            read_limit: usize::MAX,
        }
    }

    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// For those who work on the bytes where they lie.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Room behind the bytes held.
    pub fn spare_len(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Drops `length` bytes from the front.
    pub fn consume(&mut self, length: usize) {
        debug_assert!(length <= self.len());
        self.start += length;
        if self.start == self.bytes.len() {
            self.clear();
        }
    }

    /// Keeps only the first `length` of the bytes held.
    pub fn truncate(&mut self, length: usize) {
        self.bytes.truncate(self.start + length);
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Moves what is held to the front, so that all room is behind it.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// The next reads take at most `limit` bytes each: bytes of the next message then stay in the kernel, and
    /// the buffer can be written onward whole.
    pub fn limit_read(&mut self, limit: usize) {
        self.read_limit = limit;
    }

    /// What [`limit_read`](Self::limit_read) said.
    pub fn read_limit(&self) -> usize {
        self.read_limit
    }

    /// For encoders, which append.
    pub fn vector(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Grows to at least `capacity` in all. Only heads larger than a small buffer come here.
    pub fn grow(&mut self, capacity: usize) {
        self.bytes
            .reserve_exact(capacity.saturating_sub(self.bytes.len()));
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            start: 0,
            read_limit: usize::MAX,
        }
    }
}

// SAFETY: the vector's heap block does not move with the value, and nothing else can reach it while the
// operation owns the buffer.
unsafe impl ReadBuffer for Buffer {
    fn spare(&mut self) -> (*mut u8, usize) {
        let room = self.bytes.spare_capacity_mut();
        (room.as_mut_ptr().cast(), room.len().min(self.read_limit))
    }

    unsafe fn filled(&mut self, length: usize) {
        let length = self.bytes.len() + length;
        debug_assert!(length <= self.bytes.capacity());
        // SAFETY: the caller wrote the bytes up to `length`, within the room `spare` gave.
        unsafe { self.bytes.set_len(length) }
    }
}

// SAFETY: as above.
unsafe impl WriteBuffer for Buffer {
    fn bytes(&self) -> (*const u8, usize) {
        let filled = self.filled();
        (filled.as_ptr(), filled.len())
    }
}

/// One shard's free buffers. Last in, first out: the warmest in cache goes out first.
#[derive(Debug, Default)]
pub struct Buffers {
    small: RefCell<Vec<Buffer>>,
    large: RefCell<Vec<Buffer>>,
}

impl Buffers {
    pub fn small(&self) -> Buffer {
        self.small
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Buffer::with_capacity(SMALL))
    }

    pub fn large(&self) -> Buffer {
        self.large
            .borrow_mut()
            .pop()
            .unwrap_or_else(|| Buffer::with_capacity(LARGE))
    }

    /// Takes a buffer back. One of another size (a head outgrew it) is freed.
    pub fn give(&self, mut buffer: Buffer) {
        buffer.clear();
        buffer.read_limit = usize::MAX;
        let (shelf, kept) = match buffer.capacity() {
            SMALL => (&self.small, KEPT_SMALL),
            LARGE => (&self.large, KEPT_LARGE),
            _ => return,
        };
        let mut shelf = shelf.borrow_mut();
        if shelf.len() < kept {
            shelf.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consuming_all_frees_the_room() {
        let mut buffer = Buffer::with_capacity(8);
        buffer.vector().extend_from_slice(b"12345678");
        assert_eq!(buffer.spare_len(), 0);
        buffer.consume(3);
        assert_eq!((buffer.filled(), buffer.spare_len()), (&b"45678"[..], 0));
        buffer.compact();
        assert_eq!((buffer.filled(), buffer.spare_len()), (&b"45678"[..], 3));
        buffer.consume(5);
        assert_eq!(buffer.spare_len(), 8);
    }

    #[test]
    fn a_limited_read_takes_no_more() {
        let mut buffer = Buffer::with_capacity(8);
        buffer.limit_read(2);
        assert_eq!(buffer.spare().1, 2);
    }

    #[test]
    fn the_pool_keeps_standard_sizes_only_and_not_too_many() {
        let pool = Buffers::default();
        pool.give(Buffer::with_capacity(SMALL * 3));
        for _ in 0..KEPT_SMALL * 2 {
            pool.give(Buffer::with_capacity(SMALL));
        }
        assert_eq!(pool.small.borrow().len(), KEPT_SMALL);
        assert!(pool.large.borrow().is_empty());
        let mut used = pool.small();
        used.limit_read(1);
        used.vector().push(1);
        pool.give(used);
        assert_eq!((pool.small().is_empty(), pool.small().spare().1), (true, SMALL));
    }
}
