//! Dropping objects of ours, which can hold each other in a chain of any length.
//!
//! Each of them frees the next one inside of its own `tp_dealloc`. So where that goes deep, or the stack is nearly full,
//! the outermost of them does it, when it has done its own.
#![forbid(unsafe_code)]

use std::cell::Cell;

use lua_api::Thread;
use pyo3::prelude::*;

/// How deep objects of ours may be dropped within each other.
const MOST_DROPS: usize = 4;

/// The objects that one thread is about to drop.
struct Drops {
    depth: Cell<usize>,
    later: Cell<Vec<Py<PyAny>>>,
}

thread_local! {
    static DROPS: Drops =
        const { Drops { depth: Cell::new(0), later: Cell::new(Vec::new()) } };
}

/// Gives up what a wrapper or a runtime holds, where that seems to be the last reference.
pub(crate) fn drop_last(object: Bound<'_, PyAny>) {
    let py = object.py();
    let mut object = Some(object);
    // Where this finds nothing, the thread is at its end; and the object goes with this function.
    let _ = DROPS.try_with(|drops| {
        let depth = drops.depth.get();
        let deep = depth >= MOST_DROPS || !Thread::this().has_room();
        if depth > 0 && deep {
            let mut later = drops.later.take();
            later.extend(object.take().map(Bound::unbind));
            drops.later.set(later);
            return;
        }
        drops.depth.set(depth + 1);
        while let Some(next) = object.take() {
            drop(next);
            // Counted, not put back: greenlets end in any order.
            object = if drops.depth.get() > 1 { None } else { drops.next(py) };
        }
        drops.depth.set(drops.depth.get() - 1);
    });
}

impl Drops {
    fn next<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let mut later = self.later.take();
        let next = later.pop();
        // A dropped object may come back here only after this line.
        self.later.set(later);
        next.map(|next| next.into_bound(py))
    }
}
