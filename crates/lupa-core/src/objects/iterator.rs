//! `_LuaIter`: iteration over the keys, values or items of a table, by Lua's `next`.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::CStr;

use lua_api::{LuaBackend, Ref, State, TableEntry};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::base::error::{Error, Result};
use crate::base::fallible;
use crate::convert::walk::{self, At, Walk, Wanted};
use crate::convert::wrapper::LuaObject;
use crate::runtime::entry::Entry;
use crate::runtime::owned::Locked;
use crate::types::compat::{self, LastPair};
use crate::types::heap_type::{Hold, Keep, Place, This};
use crate::types::heap_type::{Visit, Visited};
use crate::types::operations::{Content, Step, Unary};
use crate::types::slots::Spec;

pub(crate) const DOC: &CStr = c"An iterator over the keys, values or items of a Lua table.";

/// The content of an iterator.
pub(crate) struct TableIterator<B: LuaBackend> {
    progress: Locked<Box<Progress>>,
    table: Hold<LuaObject<B>>,
}

/// The position of an iterator.
///
/// Entries are read ahead, more and more at a time. They are valid only as long as
/// nothing that could change a table has happened in the runtime ([`Runtime::epoch`]); otherwise they are
/// read again, from the last key that was given. So a loop sees the changes that its body makes to the table.
///
/// [`Runtime::epoch`]: crate::runtime::runtime::Runtime::epoch
struct Progress {
    yields: Wanted,
    /// `None` while entries are read.
    walk: Cell<Option<Walk>>,
    /// The entries that were read, for items keys and values in turn; the places of the first `given` entries are empty.
    ready: RefCell<Vec<Keep>>,
    given: Cell<usize>,
    /// How many to read the next time.
    size: Cell<usize>,
    epoch: Cell<u64>,
    ended: Cell<bool>,
    pair: LastPair,
}

/// The number of entries of the first read.
const FIRST_SIZE: usize = 4;

/// Up to so many entries are read into an array on the stack.
const INLINE_ENTRIES: usize = 2 * FIRST_SIZE;

impl Progress {
    /// The result for the next entry that was read ahead, if the entries are still valid.
    #[inline(always)]
    fn next<'py>(&self, py: Python<'py>, epoch: u64) -> Option<PyResult<Bound<'py, PyAny>>> {
        if self.epoch.get() != epoch {
            return None;
        }
        let given = self.given.get();
        let ready = self.ready.borrow();
        let take = |index: usize| Some(ready.get(index)?.take()?.into_bound(py));
        let (first, second) = if self.yields == Wanted::Both {
            (take(2 * given)?, Some(take(2 * given + 1)?))
        } else {
            (take(given)?, None)
        };
        drop(ready);
        self.given.set(given + 1);
        Some(match second {
            None => Ok(first),
            Some(second) => compat::pair(&self.pair, first, second),
        })
    }
}

impl<B: LuaBackend> TableIterator<B> {
    /// An iterator over a table.
    pub(crate) fn create<'py>(
        py: Python<'py>,
        table: This<'py, LuaObject<B>>,
        yields: Wanted,
    ) -> Result<Bound<'py, PyAny>> {
        let progress = Box::new(Progress {
            yields,
            walk: Cell::new(Some(Walk::default())),
            ready: RefCell::default(),
            given: Cell::new(0),
            size: Cell::new(FIRST_SIZE),
            epoch: Cell::new(0),
            ended: Cell::new(false),
            pair: LastPair::default(),
        });
        let progress = Locked::new(table.runtime(), progress);
        let content = TableIterator { progress, table: Hold::new(py, table) };
        Ok(TYPE.get().create(py, content)?)
    }
}

/// The type of such iterators.
pub(crate) static TYPE: Place = Place::new();

pub(crate) fn spec<B: LuaBackend>() -> Spec<TableIterator<B>> {
    Spec::new("_LuaIter", DOC)
        .iter_self()
        .next::<Next>()
        .repr::<Repr>()
        .methods(crate::objects::methods::iterator())
}

impl<B: LuaBackend> Content for TableIterator<B> {
    fn visit(&self, visit: &Visit) -> Visited {
        let progress = self.progress.visited(visit);
        for ready in progress.ready.borrow().iter() {
            visit.keep(ready)?;
        }
        progress.pair.visit(visit)?;
        visit.object(self.table.object())
    }

    fn end(self, _: Python<'_>) {
        let progress = self.progress.into_inner();
        if let Some(mut walk) = progress.walk.take() {
            walk.end(self.table.runtime());
        }
    }
}

struct Repr;

impl<B: LuaBackend> Unary<TableIterator<B>> for Repr {
    fn run<'py>(py: Python<'py>, this: This<'py, TableIterator<B>>) -> Result<Bound<'py, PyAny>> {
        let text = fallible::string(py, "LuaIter(")?.add(this.table.object().bind(py).repr()?)?;
        Ok(text.add(fallible::string(py, ")")?)?)
    }
}

struct Next;

impl<B: LuaBackend> Step<TableIterator<B>> for Next {
    // If another thread runs Lua meanwhile, the epoch is another.
    #[cfg(not(Py_GIL_DISABLED))]
    #[inline(always)]
    fn at_hand<'py>(
        py: Python<'py>,
        this: This<'py, TableIterator<B>>,
    ) -> Option<PyResult<Bound<'py, PyAny>>> {
        this.progress.attached(py).next(py, this.table.runtime().epoch())
    }

    /// Reads ahead, and gives the next result.
    #[inline(never)]
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, TableIterator<B>>,
    ) -> Result<Option<Bound<'py, PyAny>>> {
        let this = this.content();
        let runtime = this.table.runtime();
        let entry = runtime.enter(py)?;
        let progress = this.progress.get(&entry);
        if let Some(ready) = progress.next(py, runtime.epoch()) {
            return Ok(Some(ready?));
        }
        if progress.ended.get() {
            return Ok(None);
        }
        // Finalizers run while entries are read and converted: they find the iterator at work, as with
        // Python's generators.
        let Some(mut walk) = progress.walk.take() else {
            return Err(fallible::error::<PyValueError>("the iterator is already executing").into());
        };
        // Where the table has changed, or is read between two steps in a way that could change it,
        // reading ahead does not pay.
        let mut rest = progress.ready.take();
        rest.retain_mut(|ready| ready.get_mut().is_some());
        let size = if rest.is_empty() { progress.size.get() } else { 1 };
        drop(rest);
        let given = progress.given.take();
        let read = read(&entry, &mut walk, this.table.reference(), given, size, progress.yields);
        let ended = matches!(&read, Ok(read) if read.results.is_empty() && read.failed.is_none());
        if ended {
            walk.end(runtime);
        }
        progress.walk.set(Some(walk));
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                progress.given.set(given);
                return Err(error);
            }
        };
        let none = read.results.is_empty();
        progress.given.set(0);
        progress.ready.replace(read.results);
        progress.epoch.set(read.epoch);
        progress.size.set((size * 2).min(walk::MOST));
        progress.ended.set(ended);
        if let Some(error) = read.failed
            && none
        {
            // Iteration goes on behind what cannot be converted.
            progress.given.set(1);
            return Err(error);
        }
        Ok(progress.next(py, read.epoch).transpose()?)
    }
}

/// Entries that were read ahead.
struct Ahead {
    results: Vec<Keep>,
    epoch: u64,
    /// Why it ends before the last entry that was read.
    failed: Option<Error>,
}

/// Reads the entries after the first `given` of the last time, and converts them.
fn read<B: LuaBackend>(
    entry: &Entry<'_, B>,
    walk: &mut Walk,
    table: Ref,
    given: usize,
    size: usize,
    yields: Wanted,
) -> Result<Ahead> {
    let state = entry.state();
    let base = state.top();
    // Most tables are small: then not all of the room is filled with zeros.
    let (mut few, mut many);
    let room: &mut [TableEntry] = if size <= INLINE_ENTRIES {
        few = [TableEntry::EMPTY; INLINE_ENTRIES];
        &mut few[..size]
    } else {
        many = [TableEntry::EMPTY; walk::MOST];
        &mut many[..size]
    };
    let mut batch = walk.read(entry, table, given, yields, room)?;
    let count = batch.len();
    let epoch = entry.epoch();
    let mut results = Vec::new();
    let width = if yields == Wanted::Both { 2 } else { 1 };
    if results.try_reserve_exact(count * width).is_err() {
        state.set_top(base);
        return Err(Error::Memory);
    }
    let mut failed = None;
    while let Some((key, value)) = batch.next() {
        if let Err(error) = convert(entry, state, yields, key, value, &mut results) {
            failed = Some(error);
            break;
        }
    }
    state.set_top(base);
    Ok(Ahead { results, epoch, failed })
}

/// Adds to `results` what is given for an entry.
#[inline(always)]
fn convert<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    yields: Wanted,
    key: At,
    value: At,
    results: &mut Vec<Keep>,
) -> Result<()> {
    let keep = |object: Bound<'_, PyAny>| Cell::new(Some(object.unbind().into()));
    match yields {
        Wanted::Keys => results.push(keep(key.object(entry, state)?)),
        Wanted::Values => results.push(keep(value.object(entry, state)?)),
        Wanted::Both => {
            let (key, value) = (key.object(entry, state)?, value.object(entry, state)?);
            results.extend([keep(key), keep(value)]);
        }
    }
    Ok(())
}
