//! Recycled memory for the futures of exchanges. A future of an exchange is a few KiB and lives for
//! microseconds; nested in the keep-alive loop it would make each idle connection as large, and a box per
//! request would allocate. So it is written into a block that the shard keeps.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    cell::RefCell,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    ptr::NonNull,
    rc::Rc,
    task::{Context, Poll},
};

/// Blocks kept for reuse per shard; more exchanges at a time allocate and free theirs.
const KEPT: usize = 64;

/// Free blocks of one layout: that of the first future seen. A shard runs one kind of exchange, so all fit.
#[derive(Debug, Default)]
pub struct Slab {
    layout: RefCell<Option<Layout>>,
    free: RefCell<Vec<NonNull<u8>>>,
}

impl Slab {
    /// Puts the future into a block. It is dropped and the block given back when the `Slot` goes.
    pub fn hold<F: Future>(self: &Rc<Self>, future: F) -> Slot<F> {
        let layout = Layout::new::<F>();
        assert!(layout.size() > 0, "a future without state needs no block");
        let recycled = self.layout.borrow_mut().get_or_insert(layout) == &layout;
        let block = if recycled {
            self.free.borrow_mut().pop()
        } else {
            None
        };
        let block = block.unwrap_or_else(|| {
            // SAFETY: the layout's size is not zero, checked above.
            let block = unsafe { alloc(layout) };
            NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
        });
        let typed = block.cast::<F>();
        // SAFETY: the block has F's layout and nobody else has it.
        unsafe { typed.write(future) };
        Slot {
            future: typed,
            slab: self.clone(),
            owns: PhantomData,
        }
    }

    fn give_back(&self, block: NonNull<u8>, layout: Layout) {
        let mut free = self.free.borrow_mut();
        if *self.layout.borrow() == Some(layout) && free.len() < KEPT {
            free.push(block);
        } else {
            // SAFETY: allocated in `hold` with this layout, and no longer used.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        let layout = self.layout.borrow_mut().take();
        for block in self.free.borrow_mut().drain(..) {
            let Some(layout) = layout else { return };
            // SAFETY: free blocks were allocated with the slab's layout.
            unsafe { dealloc(block.as_ptr(), layout) };
        }
    }
}

/// A future in a block; itself a future.
pub struct Slot<F> {
    future: NonNull<F>,
    slab: Rc<Slab>,
    owns: PhantomData<F>,
}

// The slot is a pointer: moving it does not move the future.
impl<F> Unpin for Slot<F> {}

impl<F: Future> Future for Slot<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the slot owns the future; it was written in `hold` and is dropped only with the slot.
        let future = unsafe { self.future.as_mut() };
        // SAFETY: the block never moves and is not reused before the future is dropped in place.
        unsafe { Pin::new_unchecked(future) }.poll(context)
    }
}

impl<F> Drop for Slot<F> {
    fn drop(&mut self) {
        // SAFETY: written in `hold`, dropped once, here.
        unsafe { self.future.drop_in_place() };
        self.slab.give_back(self.future.cast(), Layout::new::<F>());
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
        let mut other_layout = slab.hold(std::future::ready(7u8));
        assert_eq!(pin!(&mut other_layout).poll(&mut context), Poll::Ready(7));
    }
}
