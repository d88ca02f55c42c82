//! A table on its way to a list or a dict: a list as long as its keys are 1, 2, 3, ...
#![forbid(unsafe_code)]

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyList, PyString};

use crate::base::error::Result;
use crate::base::fallible;

/// What a table has become so far.
pub(crate) enum Building<'py> {
    /// All keys so far were 1, 2, 3, ... in this order.
    List(Bound<'py, PyList>),
    Dict {
        dict: Bound<'py, PyDict>,
        indices: Indices,
    },
}

impl<'py> Building<'py> {
    /// The dict with what the list has.
    pub(crate) fn dict(list: &Bound<'py, PyList>) -> Result<Self> {
        let py = list.py();
        let dict = fallible::dict(py)?;
        let mut indices = Indices { only: true, most: 0 };
        for (index, item) in list.iter().enumerate() {
            let key = fallible::unsigned(py, index + 1)?;
            indices.note(&key);
            dict.set_item(key, item)?;
        }
        Ok(Building::Dict { dict, indices })
    }

    /// A dict that becomes no list: its keys are those that the caller has given.
    pub(crate) fn empty_dict(py: Python<'py>) -> Result<Self> {
        Ok(Building::Dict { dict: fallible::dict(py)?, indices: Indices { only: false, most: 0 } })
    }
}

/// Whether the keys of a dict are those of a list.
pub(crate) struct Indices {
    /// All are positive integers.
    only: bool,
    most: i64,
}

impl Indices {
    pub(crate) fn note(&mut self, key: &Bound<'_, PyAny>) {
        if !self.only {
            return;
        }
        let index =
            if key.is_exact_instance_of::<PyInt>() { key.extract().unwrap_or(0) } else { 0 };
        self.only = index > 0;
        self.most = self.most.max(index);
    }

    /// There are so many keys, which differ.
    pub(crate) fn are_all_of(&self, count: usize) -> bool {
        self.only && usize::try_from(self.most) == Ok(count)
    }
}

/// A key as `str`, as JSON has it.
pub(crate) fn as_text(key: Bound<'_, PyAny>) -> Result<Bound<'_, PyAny>> {
    if key.is_instance_of::<PyString>() {
        return Ok(key);
    }
    if let Ok(truth) = key.cast_exact::<PyBool>() {
        let text = if truth.is_true() { "true" } else { "false" };
        return Ok(fallible::string(key.py(), text)?.into_any());
    }
    Ok(key.str()?.into_any())
}
