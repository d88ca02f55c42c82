//! [`Cursor`]: Python's own lists, tuples, ranges and dicts as `python.iter` goes over them, and
//! [`crate::runtime::ahead::Ahead`]: the items that were read of one beforehand.
//!
//! To step an iterator, Lua's thread has to attach to Python. These iterators run no Python code, so
//! some items are read each time, and the next steps are made without attaching. As with tables
//! ([`crate::objects::iterator`]), the items are valid only until anything else happens between Lua and
//! Python: so a loop sees the changes that its body makes. It may see changes by other threads later.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicIsize, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::base::fallible;
use crate::types::alive::{Alive, Items, Pairs};
use crate::types::compat;
use crate::types::heap_type::Link;

/// The object that a cursor iterates over.
enum Source {
    /// A list or tuple.
    Sequence(Link),
    Dict {
        dict: Link<PyDict>,
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
    pub(crate) position: AtomicIsize,
}

/// One step: an item, or a key with its value; and the position after it.
type Step<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>, isize);

impl Cursor {
    /// A cursor over an object, if it is of a type that has one.
    pub(crate) fn over(object: &Bound<'_, PyAny>) -> Option<Self> {
        if cfg!(any(Py_GIL_DISABLED, PyPy, GraalPy)) {
            // Others may change the object between two lines here.
            return None;
        }
        let source = if Items::of(Alive::of(object)).is_some() {
            Source::Sequence(object.clone().unbind().into())
        } else {
            let (dict, part) = compat::dict_part(object)?;
            Source::Dict { length: dict.len(), dict: dict.unbind().into(), part }
        };
        Some(Cursor { source, position: AtomicIsize::new(0) })
    }

    /// The step at `position`; `None` at the end. Runs no Python code.
    #[inline(always)]
    pub(crate) fn read<'py>(
        &self,
        py: Python<'py>,
        position: isize,
    ) -> PyResult<Option<Step<'py>>> {
        match &self.source {
            Source::Sequence(sequence) => {
                let items = Items::of(Alive::of(sequence.bind(py)));
                let item = items.and_then(|items| items.get(py, position as usize));
                Ok(item.map(|item| (item, None, position + 1)))
            }
            Source::Dict { dict, part, length } => {
                let pairs = Pairs::of(dict.bind(py));
                if pairs.len() != *length {
                    return Err(changed(py));
                }
                let one = |(item, after)| (item, None, after);
                Ok(match part {
                    compat::DictPart::Keys => pairs.key(py, position).map(one),
                    compat::DictPart::Values => pairs.value(py, position).map(one),
                    compat::DictPart::Items => {
                        pairs.get(py, position).map(|(key, value, after)| (key, Some(value), after))
                    }
                })
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
        Ok(Some(match second {
            None => first,
            Some(second) => fallible::tuple(py, [first, second])?.into_any(),
        }))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit) -> std::result::Result<(), pyo3::PyTraverseError> {
        match &self.source {
            Source::Sequence(sequence) => visit.call(&**sequence),
            Source::Dict { dict, .. } => visit.call(&**dict),
        }
    }
}
