//! Recycled memory for futures. That of an exchange is up to a few KiB and lives for microseconds; nested in the
//! keep-alive loop it would make each idle connection as large, and a box per request would allocate. So each is
//! written into a block that the shard keeps. What most exchanges never come to (streaming a body, a tunnel, a reply of
//! our own) gets a block of its own when it is come to, and does not enlarge the others.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    cell::RefCell,
    future::Future,
    marker::PhantomData,
    mem::ManuallyDrop,
    pin::Pin,
    ptr::NonNull,
    rc::Rc,
    task::{Context, Poll},
};

/// Blocks kept for reuse per size; more at a time allocate and free theirs.
const KEPT: usize = 64;

/// Sizes are rounded up to whole steps, so that futures of like size share blocks.
const STEP: usize = 64;

/// Larger futures than `STEP * CLASSES` are not kept: none of a request is.
const CLASSES: usize = 64;

/// Every block is aligned so.
const ALIGN: usize = 16;

/// Free blocks, by size.
#[derive(Debug)]
pub struct Slab {
    free: RefCell<[Vec<NonNull<u8>>; CLASSES]>,
}

impl Slab {
    /// Puts the future into a block. It is dropped and the block given back when the `Slot` goes.
    pub fn hold<F: Future>(self: &Rc<Self>, future: F) -> Slot<F> {
        const { assert!(align_of::<F>() <= ALIGN, "blocks are not aligned for this future") };
        let class = class_of(size_of::<F>());
        let recycled = self.free.borrow_mut().get_mut(class).and_then(Vec::pop);
        let block = recycled.unwrap_or_else(|| {
            let layout = layout_of(class);
            // SAFETY: the layout's size is at least one step, never zero.
            let block = unsafe { alloc(layout) };
            NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
        });
        let typed = block.cast::<F>();
        // SAFETY: the block has room for F, aligned, and nobody else has it.
        unsafe { typed.write(future) };
        Slot {
            future: typed,
            slab: self.clone(),
            owns: PhantomData,
        }
    }

    fn give_back(&self, block: NonNull<u8>, class: usize) {
        match self.free.borrow_mut().get_mut(class) {
            Some(free) if free.len() < KEPT => free.push(block),
            // SAFETY: allocated in `hold` with this class's layout, and no longer used.
            _ => unsafe { dealloc(block.as_ptr(), layout_of(class)) },
        }
    }
}

impl Default for Slab {
    fn default() -> Self {
        Self {
            free: RefCell::new([const { Vec::new() }; CLASSES]),
        }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        for (class, free) in self.free.get_mut().iter_mut().enumerate() {
            for block in free.drain(..) {
                // SAFETY: blocks of a class were allocated with its layout.
                unsafe { dealloc(block.as_ptr(), layout_of(class)) };
            }
        }
    }
}

/// Class `n` holds sizes up to `n + 1` steps.
const fn class_of(size: usize) -> usize {
    size.saturating_sub(1) / STEP
}

fn layout_of(class: usize) -> Layout {
    Layout::from_size_align((class + 1) * STEP, ALIGN).expect("no future is near half the address space")
}

/// A future in a block; itself a future.
pub struct Slot<F: ?Sized> {
    future: NonNull<F>,
    slab: Rc<Slab>,
    owns: PhantomData<F>,
}

// The slot is a pointer: moving it does not move the future.
impl<F: ?Sized> Unpin for Slot<F> {}

impl<F: Future + 'static> Slot<F> {
    /// Forgets which future it is, so that a struct can hold it.
    pub fn erase(self) -> Slot<dyn Future<Output = F::Output>> {
        let this = ManuallyDrop::new(self);
        Slot {
            future: this.future,
            // SAFETY: `this` is never dropped, so the count moves with the pointer.
            slab: unsafe { std::ptr::read(&raw const this.slab) },
            owns: PhantomData,
        }
    }
}

impl<F: Future + ?Sized> Future for Slot<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the slot owns the future; it was written in `hold` and is dropped only with the slot.
        let future = unsafe { self.future.as_mut() };
        // SAFETY: the block never moves and is not reused before the future is dropped in place.
        unsafe { Pin::new_unchecked(future) }.poll(context)
    }
}

impl<F: ?Sized> Drop for Slot<F> {
    fn drop(&mut self) {
        // SAFETY: the future is alive until the next line.
        let class = class_of(size_of_val(unsafe { self.future.as_ref() }));
        // SAFETY: written in `hold`, dropped once, here.
        unsafe { self.future.drop_in_place() };
        self.slab.give_back(self.future.cast(), class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, pin::pin, task::Waker};

    struct CountDrop<'a>(&'a Cell<u32>);
    impl Drop for CountDrop<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    async fn guarded(guard: CountDrop<'_>, value: u64) -> u64 {
        std::future::ready(()).await;
        let _guard = guard;
        value
    }

    #[test]
    fn blocks_are_reused_and_futures_dropped_once() {
        let slab = Rc::new(Slab::default());
        let drops = Cell::new(0);
        let mut context = Context::from_waker(Waker::noop());
        let first = {
            let mut slot = slab.hold(guarded(CountDrop(&drops), 1));
            assert_eq!(pin!(&mut slot).poll(&mut context), Poll::Ready(1));
            slot.future.cast::<u8>()
        };
        assert_eq!(drops.get(), 1);
        let unpolled = slab.hold(guarded(CountDrop(&drops), 2));
        assert_eq!(unpolled.future.cast::<u8>(), first, "the block was reused");
        drop(unpolled);
        assert_eq!(drops.get(), 2);
        let mut small = slab.hold(std::future::ready(7u8)).erase();
        assert_eq!(pin!(&mut small).poll(&mut context), Poll::Ready(7));
        drop(small);
        assert_eq!(
            (Rc::strong_count(&slab), slab.free.borrow()[0].len()),
            (1, 1),
            "what is erased is given back as well"
        );
    }

    #[test]
    fn sizes_share_blocks_by_steps_and_giants_are_not_kept() {
        assert_eq!(
            [0, 1, STEP, STEP + 1].map(class_of),
            [0, 0, 0, 1],
            "a future without state takes the smallest block"
        );
        let slab = Rc::new(Slab::default());
        let mut context = Context::from_waker(Waker::noop());
        let giant = async {
            let room = [1u8; STEP * CLASSES];
            std::future::ready(()).await;
            room.len()
        };
        let mut slot = slab.hold(giant);
        assert_eq!(pin!(&mut slot).poll(&mut context), Poll::Ready(STEP * CLASSES));
        drop(slot);
        assert!(slab.free.borrow().iter().all(Vec::is_empty));
    }
}
