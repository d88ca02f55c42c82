//! [`Cursor`]: Python's own lists, tuples, ranges and dicts as `python.iter` goes over them, and
//! [`Ahead`]: what was read of one beforehand.
//!
//! To step an iterator, Lua's thread has to attach to Python. These iterators run no Python code, so
//! some items are read each time, and the next steps are made without attaching. As with tables
//! ([`crate::iterator`]), what was read counts only until anything else happens between Lua and
//! Python: so a loop sees what its own body does. What other threads do meanwhile it may see later.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicIsize, Ordering};

use lua_api::LuaBackend;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::compat;
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

/// One step: an item, or a key with its value.
pub(crate) enum Step<'py> {
    Item(Bound<'py, PyAny>),
    Pair(Bound<'py, PyAny>, Bound<'py, PyAny>),
}

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

    /// The step at `position`, and the position after it; `None` at the end.
    fn read<'py>(&self, py: Python<'py>, position: isize) -> PyResult<Option<(Step<'py>, isize)>> {
        match &self.source {
            Source::Sequence(sequence) => {
                // SAFETY: a list or tuple; made owned at once.
                let item = unsafe {
                    crate::plain::borrowed_item(sequence.as_ptr(), position as usize)
                        .map(|item| Bound::from_borrowed_ptr(py, item))
                };
                Ok(item.map(|item| (Step::Item(item), position + 1)))
            }
            Source::Dict { dict, part, length } => {
                if dict.bind(py).len() != *length {
                    let message = "dictionary changed size during iteration";
                    return Err(PyRuntimeError::new_err(message));
                }
                let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
                let mut after = position;
                // SAFETY: a dict, and a position in it; both are made owned at once.
                unsafe {
                    let more = ffi::PyDict_Next(
                        dict.as_ptr(),
                        &raw mut after,
                        &raw mut key,
                        &raw mut value,
                    );
                    if more == 0 {
                        return Ok(None);
                    }
                    let key = || Bound::from_borrowed_ptr(py, key);
                    let value = || Bound::from_borrowed_ptr(py, value);
                    let step = match part {
                        compat::DictPart::Keys => Step::Item(key()),
                        compat::DictPart::Values => Step::Item(value()),
                        compat::DictPart::Items => Step::Pair(key(), value()),
                    };
                    Ok(Some((step, after)))
                }
            }
        }
    }

    /// The next step; `None` at the end, and from then on.
    pub(crate) fn step<'py>(&self, py: Python<'py>) -> PyResult<Option<Step<'py>>> {
        let position = self.position.load(Ordering::Relaxed);
        if position < 0 {
            return Ok(None);
        }
        let (step, after) = match self.read(py, position)? {
            Some((step, after)) => (Some(step), after),
            None => (None, -1),
        };
        self.position.store(after, Ordering::Relaxed);
        Ok(step)
    }
}

#[pymethods]
impl Cursor {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.step(py)? {
            Some(Step::Item(item)) => Ok(Some(item)),
            Some(Step::Pair(key, value)) => Ok(Some(PyTuple::new(py, [key, value])?.into_any())),
            None => Ok(None),
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

/// The values of a step that was read, as they go to Lua: one, or a pair.
pub(crate) type Values = [Option<Prepared>; 2];

/// The steps that were read of one cursor. All of it needs the runtime's lock; only to read and to
/// clear takes being attached to Python.
#[derive(Default)]
pub(crate) struct Ahead {
    cursor: RefCell<Option<Py<Cursor>>>,
    // The values, and where the cursor is after each step.
    steps: RefCell<Vec<(Values, isize)>>,
    given: Cell<usize>,
    epoch: Cell<u64>,
    // How many steps to read the next time.
    size: Cell<usize>,
    // What the values are borrowed from.
    owners: RefCell<Vec<Py<PyAny>>>,
}

impl Ahead {
    /// The next step of a cursor, if it was read and counts.
    #[inline(always)]
    pub(crate) fn next(&self, cursor: *mut ffi::PyObject, epoch: u64) -> Option<Values> {
        if self.epoch.get() != epoch {
            return None;
        }
        let held = self.cursor.borrow();
        let held = held.as_ref().filter(|held| held.as_ptr() == cursor)?;
        let given = self.given.get();
        let (values, after) = *self.steps.borrow().get(given)?;
        self.given.set(given + 1);
        held.get().position.store(after, Ordering::Relaxed);
        Some(values)
    }

    /// Reads the next steps of a cursor, as many as are plain; `unpack` makes a pair two values.
    pub(crate) fn read<B: LuaBackend>(
        &self,
        entry: &Entry<'_, B>,
        cursor: &Bound<'_, Cursor>,
        first: Mode,
        unpack: bool,
    ) {
        let py = entry.py;
        let same = self.cursor.borrow().as_ref().is_some_and(|held| held.is(cursor));
        let wasted = self.given.get() < self.steps.borrow().len();
        let size = match (same, wasted) {
            (true, false) => (self.size.get() * 2).min(MOST),
            // What happens in between makes reading ahead useless.
            (true, true) => 1,
            (false, _) => 4,
        };
        self.clear();
        let mut position = cursor.get().position.load(Ordering::Relaxed);
        let mut steps = self.steps.take();
        let mut owners = self.owners.take();
        let mut plain = |object: Bound<'_, PyAny>, mode| {
            let prepared = prepare_plain(entry, &object, mode)?;
            if matches!(prepared, Prepared::Bytes(..) | Prepared::Reference(_)) {
                owners.push(object.unbind());
            }
            Some(prepared)
        };
        while position >= 0 && steps.len() < size {
            let step = match cursor.get().read(py, position) {
                Ok(Some(step)) => step,
                // The end, and an error, come when it is their turn.
                Ok(None) | Err(_) => break,
            };
            let values = match step.0 {
                Step::Item(item) => plain(item, first).map(|item| [Some(item), None]),
                Step::Pair(key, value) if unpack => plain(key, first)
                    .and_then(|key| Some([Some(key), Some(plain(value, Mode::Value)?)])),
                Step::Pair(..) => None,
            };
            let Some(values) = values else { break };
            position = step.1;
            steps.push((values, position));
        }
        self.steps.replace(steps);
        self.owners.replace(owners);
        self.cursor.replace(Some(cursor.clone().unbind()));
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
        self.steps.borrow_mut().clear();
        // Taken out first: what is dropped may run code.
        let cursor = self.cursor.take();
        let mut owners = self.owners.take();
        owners.clear();
        self.owners.replace(owners);
        drop(cursor);
    }
}
