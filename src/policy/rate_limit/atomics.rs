//! What the bank is made of, and stands on. A test compiles the same files with a model checker's atomics and a table of two slots
//! instead of these; nothing else in this folder says which atomics it uses.

pub(super) use crate::prefetch::read as prefetch;
pub(super) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A table that starts as zeros, which the system gives only as they are touched: a bank that could hold millions of
/// keys costs what is in it.
pub(super) fn zeroed<T: bytemuck::Zeroable>(length: usize) -> Box<[T]> {
    bytemuck::zeroed_slice_box(length)
}

/// The items of a table: all their bytes may be zero, and that means empty.
macro_rules! zeroed_at_start {
    ($($item:item)*) => { $(#[derive(bytemuck::Zeroable)] $item)* };
}
pub(super) use zeroed_at_start;

/// Slots of a group. At 15 keys each on average, as `maxKeys` counts, a group has too few with probability 4e-5, and
/// four keys in a million are left without one.
pub(super) const SLOTS: usize = 32;
