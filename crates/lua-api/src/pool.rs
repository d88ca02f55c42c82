//! [`Pool`]: the memory of one Lua, where that Lua takes its allocator from us.
//!
//! Lua makes and frees many small blocks, and says at each free how large the block is. So a list of
//! free blocks for each size is all that is needed: no headers, no locks, and a state that closes
//! gives its memory back in a few large pieces. Large blocks are left to the system's allocator.

use core::cell::{Cell, RefCell};
use core::ptr::{NonNull, copy_nonoverlapping, null_mut};
use std::alloc::{GlobalAlloc, Layout, System};

/// Sizes go up in steps of this, which is also how blocks are aligned.
const STEP: usize = 16;

/// The largest block that is taken from a chunk.
const LARGEST: usize = 512;

/// The smallest and the largest chunk. A new one is a sixteenth of what there is, so that a small
/// state wastes little, and a large one asks the system seldom.
const CHUNKS: (usize, usize) = (1 << 10, 64 << 10);

/// A free block: it holds the address of the next one.
type Free = *mut u8;

/// The blocks of one Lua. They are all freed when it is dropped.
pub(crate) struct Pool {
    free: [Cell<Free>; LARGEST / STEP],
    // The part of the newest chunk that was never used.
    unused: Cell<(*mut u8, usize)>,
    chunks: RefCell<Vec<(NonNull<u8>, usize)>>,
    total: Cell<usize>,
}

impl Default for Pool {
    fn default() -> Self {
        Pool {
            free: [const { Cell::new(null_mut()) }; LARGEST / STEP],
            unused: Cell::new((null_mut(), 0)),
            chunks: RefCell::default(),
            total: Cell::new(0),
        }
    }
}

/// Whether a block of this size is taken from a chunk. Builds for debugging ask the system for each
/// block, so that tools which look for misuse of memory see them.
#[inline(always)]
fn is_small(size: usize) -> bool {
    cfg!(any(test, not(debug_assertions))) && size <= LARGEST
}

#[inline(always)]
fn class(size: usize) -> usize {
    (size - 1) / STEP
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, STEP).ok()
}

impl Pool {
    /// A block of `size` bytes, which is not 0; null when there is no memory.
    #[inline(always)]
    pub(crate) fn allocate(&self, size: usize) -> *mut u8 {
        if !is_small(size) {
            // SAFETY: the size is not 0.
            return layout(size).map_or(null_mut(), |layout| unsafe { System.alloc(layout) });
        }
        let class = class(size);
        let first = self.free[class].get();
        if first.is_null() {
            return self.cut((class + 1) * STEP);
        }
        // SAFETY: a free block of this pool, which holds the address of the next.
        self.free[class].set(unsafe { first.cast::<Free>().read() });
        first
    }

    /// A new block from the newest chunk, or from one more.
    #[inline]
    fn cut(&self, size: usize) -> *mut u8 {
        let (start, left) = self.unused.get();
        if left < size {
            return self.grow(size);
        }
        // SAFETY: so much is left of the chunk.
        self.unused.set((unsafe { start.add(size) }, left - size));
        start
    }

    #[cold]
    fn grow(&self, size: usize) -> *mut u8 {
        // The rest of the last chunk becomes a free block, since all sizes are multiples of the step.
        let (start, left) = self.unused.get();
        if left > 0 {
            // SAFETY: a part of a chunk that nobody uses, no larger than the largest block.
            unsafe { self.release(start, left) };
        }
        self.unused.set((null_mut(), 0));
        let length = (self.total.get() / 16 / STEP * STEP).clamp(CHUNKS.0, CHUNKS.1);
        let mut chunks = self.chunks.borrow_mut();
        if chunks.try_reserve(1).is_err() {
            return null_mut();
        }
        // SAFETY: the size is not 0.
        let chunk = layout(length).map_or(null_mut(), |layout| unsafe { System.alloc(layout) });
        let Some(chunk) = NonNull::new(chunk) else { return null_mut() };
        chunks.push((chunk, length));
        self.total.set(self.total.get() + length);
        // SAFETY: a chunk is larger than any block.
        self.unused.set((unsafe { chunk.as_ptr().add(size) }, length - size));
        chunk.as_ptr()
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// A block of this pool, of this size, which is not 0; it is not used again.
    #[inline(always)]
    pub(crate) unsafe fn release(&self, block: *mut u8, size: usize) {
        if is_small(size) {
            let class = class(size);
            // SAFETY: every block has room for an address.
            unsafe { block.cast::<Free>().write(self.free[class].get()) };
            self.free[class].set(block);
        } else if let Some(layout) = layout(size) {
            // SAFETY: it came from there, with this layout.
            unsafe { System.dealloc(block, layout) };
        }
    }

    /// Makes a block of another size of one; null, and the block is as it was, when there is no memory.
    ///
    /// # Safety
    /// As for [`Pool::release`], unless it fails; neither size is 0.
    #[inline(always)]
    pub(crate) unsafe fn resize(&self, block: *mut u8, old: usize, new: usize) -> *mut u8 {
        // SAFETY: as the caller promises; both blocks are large enough for what is copied.
        unsafe {
            match (is_small(old), is_small(new)) {
                (true, true) if class(old) == class(new) => block,
                (false, false) => match layout(old) {
                    Some(layout) if new <= isize::MAX as usize - STEP => {
                        System.realloc(block, layout, new)
                    }
                    _ => null_mut(),
                },
                _ => {
                    let moved = self.allocate(new);
                    if !moved.is_null() {
                        copy_nonoverlapping(block, moved, old.min(new));
                        self.release(block, old);
                    }
                    moved
                }
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (chunk, length) in self.chunks.get_mut().drain(..) {
            if let Some(layout) = layout(length) {
                // SAFETY: a chunk, with its layout; its Lua is closed.
                unsafe { System.dealloc(chunk.as_ptr(), layout) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_keep_what_is_in_them_and_do_not_overlap() {
        let pool = Pool::default();
        let mut blocks = Vec::new();
        for round in 0..4_usize {
            for size in (1..1500).step_by(7) {
                let block = pool.allocate(size);
                assert!(!block.is_null() && (block as usize).is_multiple_of(STEP));
                // SAFETY: a block of this size.
                unsafe { block.write_bytes((size + round) as u8, size) };
                blocks.push((block, size, (size + round) as u8));
            }
            for index in (0..blocks.len()).step_by(3) {
                let (block, size, mark) = blocks[index];
                let new = size * 3 % 1400 + 1;
                // SAFETY: a block of this size, which is replaced; what is read was written.
                unsafe {
                    let block = pool.resize(block, size, new);
                    for at in 0..size.min(new) {
                        assert_eq!(block.add(at).read(), mark);
                    }
                    block.write_bytes(mark, new);
                    blocks[index] = (block, new, mark);
                }
            }
            for _ in 0..blocks.len() / 2 {
                let (block, size, mark) = blocks.swap_remove(blocks.len() / 3);
                // SAFETY: as above.
                unsafe {
                    for at in 0..size {
                        assert_eq!(block.add(at).read(), mark);
                    }
                    pool.release(block, size);
                }
            }
        }
        for (block, size, _) in blocks {
            // SAFETY: each is released once.
            unsafe { pool.release(block, size) };
        }
    }

    #[test]
    fn what_cannot_be_had_is_null() {
        let pool = Pool::default();
        assert!(pool.allocate(usize::MAX / 2).is_null());
        let block = pool.allocate(600);
        // SAFETY: it fails, so the block stays.
        unsafe {
            assert!(pool.resize(block, 600, usize::MAX - 20).is_null());
            pool.release(block, 600);
        }
    }
}
