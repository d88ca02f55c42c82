//! The account of arrays: memory of their own, and memory of Lua that they use.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::zeros::Zeros;

/// Memory of our own, counted in the account of the runtime that it was made for. It outlives that runtime if it has to.
pub(crate) struct Block {
    zeros: Zeros,
    account: Arc<AtomicUsize>,
}

impl Block {
    /// A block of so many bytes; `None` if there is no memory for it.
    pub(super) fn new(bytes: usize, account: &Arc<AtomicUsize>) -> Option<Self> {
        let zeros = Zeros::new(bytes)?;
        account.fetch_add(Self::cost(zeros.size()), Ordering::Relaxed);
        Some(Block { zeros, account: Arc::clone(account) })
    }

    /// The memory that a block of so many bytes takes, with the allocator's overhead.
    pub(super) fn cost(bytes: usize) -> usize {
        bytes.max(1).saturating_add(2 * Zeros::ALIGNMENT - 1) & !(Zeros::ALIGNMENT - 1)
    }

    /// Where it begins.
    pub(super) fn start(&self) -> *mut u8 {
        self.zeros.start()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.account.fetch_sub(Self::cost(self.zeros.size()), Ordering::Relaxed);
    }
}

/// Something that must outlive the runtime's finalization: see [`crate::runtime::arrays::Arrays::pins`].
pub(crate) struct Pin(Arc<AtomicUsize>);

impl Pin {
    pub(super) fn new(pins: &Arc<AtomicUsize>) -> Self {
        pins.fetch_add(1, Ordering::Relaxed);
        Pin(Arc::clone(pins))
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // After the last access to the memory: the thread that reads this number may free it.
        self.0.fetch_sub(1, Ordering::Release);
    }
}
