//! [`Cursor`]: Python's own lists, tuples, ranges and dicts as `python.iter` goes over them, and
//! [`Ahead`]: what was read of one beforehand.
//!
//! To step an iterator, Lua's thread has to attach to Python. These iterators run no Python code, so
//! some items are read each time, and the next steps are made without attaching. As with tables
//! ([`crate::iterator`]), what was read counts only until anything else happens between Lua and
//! Python: so a loop sees what its own body does. What other threads do meanwhile it may see later.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicIsize, Ordering};

use lua_api::LuaBackend;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::boxes::View;
use crate::compat;
use crate::fallible;
use crate::runtime::Entry;
use crate::to_lua::{Mode, Prepared, prepare_plain};

/// The most steps that are read ahead.
const MOST: usize = 64;

/// What a cursor goes over.
enum Source {
    /// A list or tuple.
    Sequence(Py<PyAny>),
    Dict {
        dict: Py<PyDict>,
        part: compat::DictPart,
        length: usize,
    },
}

/// An iterator over a list, a tuple, or a dict or one of its views.
#[pyclass(name = "_PyCursor", module = "lupa", frozen)]
pub(crate) struct Cursor {
    source: Source,
    // The index of the next item, or the position in a dict; -1 at the end. Steps read ahead are
    // taken while other threads are attached.
    position: AtomicIsize,
}

/// One step: an item, or a key with its value (else null), borrowed; and the position after it.
type Step = (*mut ffi::PyObject, *mut ffi::PyObject, isize);

impl Cursor {
    /// A cursor over an object, if it is of a type that has one.
    pub(crate) fn over(object: &Bound<'_, PyAny>) -> Option<Self> {
        if cfg!(any(Py_GIL_DISABLED, PyPy, GraalPy)) {
            // Others may change the object between two lines here.
            return None;
        }
        let source = if object.is_exact_instance_of::<PyList>()
            || object.is_exact_instance_of::<PyTuple>()
        {
            Source::Sequence(object.clone().unbind())
        } else {
            let (dict, part) = compat::dict_part(object)?;
            Source::Dict { length: dict.len(), dict: dict.unbind(), part }
        };
        Some(Cursor { source, position: AtomicIsize::new(0) })
    }

    /// The step at `position`; `None` at the end. Runs no Python code.
    #[inline(always)]
    fn read(&self, py: Python<'_>, position: isize) -> PyResult<Option<Step>> {
        match &self.source {
            Source::Sequence(sequence) => {
                // SAFETY: a list or tuple.
                let item =
                    unsafe { crate::plain::borrowed_item(sequence.as_ptr(), position as usize) };
                Ok(item.map(|item| (item, null_mut(), position + 1)))
            }
            Source::Dict { dict, part, length } => {
                let (mut key, mut value) = (null_mut(), null_mut());
                let mut after = position;
                // SAFETY: a dict, and a position in it.
                let more = unsafe {
                    if ffi::PyDict_Size(dict.as_ptr()) as usize != *length {
                        return Err(changed(py));
                    }
                    let dict = dict.as_ptr();
                    ffi::PyDict_Next(dict, &raw mut after, &raw mut key, &raw mut value)
                };
                Ok((more != 0).then_some(match part {
                    compat::DictPart::Keys => (key, null_mut(), after),
                    compat::DictPart::Values => (value, null_mut(), after),
                    compat::DictPart::Items => (key, value, after),
                }))
            }
        }
    }
}

#[cold]
fn changed(_: Python<'_>) -> PyErr {
    fallible::error::<PyRuntimeError>("dictionary changed size during iteration")
}

#[pymethods]
impl Cursor {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let position = self.position.load(Ordering::Relaxed);
        if position < 0 {
            return Ok(None);
        }
        let Some((first, second, after)) = self.read(py, position)? else {
            self.position.store(-1, Ordering::Relaxed);
            return Ok(None);
        };
        self.position.store(after, Ordering::Relaxed);
        // SAFETY: alive, as they were read just now; made owned at once.
        unsafe {
            let first = Bound::from_borrowed_ptr(py, first);
            if second.is_null() {
                return Ok(Some(first));
            }
            let second = Bound::from_borrowed_ptr(py, second);
            Ok(Some(fallible::tuple(py, [first, second])?.into_any()))
        }
    }

    fn __traverse__(
        &self,
        visit: pyo3::PyVisit<'_>,
    ) -> std::result::Result<(), pyo3::PyTraverseError> {
        match &self.source {
            Source::Sequence(sequence) => visit.call(sequence),
            Source::Dict { dict, .. } => visit.call(dict),
        }
    }
}

/// The steps that were read of one cursor. All of it needs the runtime's lock; only to read and to
/// clear takes being attached to Python.
pub(crate) struct Ahead {
    cursor: RefCell<Option<Py<Cursor>>>,
    // The box of the cursor, only compared; and whether its steps are counted.
    home: Cell<*mut c_void>,
    counts: Cell<bool>,
    // One value for a step, or two.
    values: RefCell<Vec<Prepared>>,
    pairs: Cell<bool>,
    // Where the cursor is after each step.
    positions: RefCell<Vec<isize>>,
    given: Cell<usize>,
    epoch: Cell<u64>,
    // How many steps to read the next time.
    size: Cell<usize>,
    // What the values are borrowed from.
    owners: RefCell<Vec<Py<PyAny>>>,
}

impl Default for Ahead {
    fn default() -> Self {
        Ahead {
            cursor: RefCell::default(),
            home: Cell::new(null_mut()),
            counts: Cell::new(false),
            values: RefCell::default(),
            pairs: Cell::new(false),
            positions: RefCell::default(),
            given: Cell::new(0),
            epoch: Cell::new(0),
            size: Cell::new(0),
            owners: RefCell::default(),
        }
    }
}

impl Ahead {
    /// The next step of the cursor in the box at `home`, if it was read and counts: its value, or its
    /// values.
    #[inline(always)]
    pub(crate) fn next(
        &self,
        home: *mut c_void,
        epoch: u64,
    ) -> Option<(Prepared, Option<Prepared>)> {
        if self.epoch.get() != epoch || self.home.get() != home {
            return None;
        }
        let held = self.cursor.borrow();
        let held = held.as_ref()?;
        let given = self.given.get();
        let after = *self.positions.borrow().get(given)?;
        let values = self.values.borrow();
        let values = if self.pairs.get() {
            (*values.get(2 * given)?, values.get(2 * given + 1).copied())
        } else {
            (*values.get(given)?, None)
        };
        self.given.set(given + 1);
        held.get().position.store(after, Ordering::Relaxed);
        Some(values)
    }

    /// Whether the steps come with a number before them.
    #[inline(always)]
    pub(crate) fn counts(&self) -> bool {
        self.counts.get()
    }

    /// Reads the next steps of a cursor, whose box is at `home`, as many as are plain.
    pub(crate) fn read<B: LuaBackend>(
        &self,
        entry: &Entry<'_, B>,
        cursor: &Bound<'_, Cursor>,
        home: *mut c_void,
        view: View,
    ) {
        let unpack = view.has(View::UNPACK);
        // A nil would end the loop, so None comes as python.none where Lua looks for the end.
        let counts = view.has(View::ENUMERATE);
        let first = if counts { Mode::Value } else { Mode::NotNil };
        let py = entry.py;
        let same = self.cursor.borrow().as_ref().is_some_and(|held| held.is(cursor));
        let wasted = self.given.get() < self.positions.borrow().len();
        let size = match (same, wasted) {
            (true, false) => (self.size.get() * 2).min(MOST),
            // What happens in between makes reading ahead useless.
            (true, true) => 1,
            (false, _) => 4,
        };
        self.clear();
        let mut position = cursor.get().position.load(Ordering::Relaxed);
        let (mut values, mut positions) = (self.values.take(), self.positions.take());
        let mut owners = self.owners.take();
        let mut plain = |object: *mut ffi::PyObject, mode| {
            // SAFETY: alive, since no Python code runs while it is read.
            let prepared = unsafe { prepare_plain(entry, object, mode) }?;
            if matches!(prepared, Prepared::Bytes(..) | Prepared::Reference(_)) {
                // SAFETY: as above.
                owners.push(unsafe { Bound::from_borrowed_ptr(py, object) }.unbind());
            }
            Some(prepared)
        };
        let mut pairs = false;
        // The end, and an error, come when it is their turn.
        while position >= 0
            && positions.len() < size
            && let Ok(Some((one, two, after))) = cursor.get().read(py, position)
        {
            pairs = !two.is_null();
            if pairs && !unpack {
                break;
            }
            let Some(one) = plain(one, first) else { break };
            if pairs {
                let Some(two) = plain(two, Mode::Value) else { break };
                values.push(one);
                values.push(two);
            } else {
                values.push(one);
            }
            position = after;
            positions.push(position);
        }
        self.pairs.set(pairs);
        self.values.replace(values);
        self.positions.replace(positions);
        self.owners.replace(owners);
        self.cursor.replace(Some(cursor.clone().unbind()));
        self.home.set(home);
        self.counts.set(counts);
        self.size.set(size);
        self.epoch.set(entry.epoch());
    }

    /// Whether there is something to [`Ahead::clear`].
    #[inline(always)]
    pub(crate) fn is_held(&self) -> bool {
        self.epoch.get() != 0
    }

    /// Lets go of everything that was read.
    pub(crate) fn clear(&self) {
        self.epoch.set(0);
        self.given.set(0);
        self.values.borrow_mut().clear();
        self.positions.borrow_mut().clear();
        // Taken out first: what is dropped may run code.
        let cursor = self.cursor.take();
        let mut owners = self.owners.take();
        owners.clear();
        self.owners.replace(owners);
        drop(cursor);
    }
}
