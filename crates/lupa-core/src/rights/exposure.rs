//! Which Python objects a sandbox has been given, and what it may do with them.
//!
//! An object is known by its identity: no equality, hash or `__class__` is asked, of which Python code
//! could say anything. A weak reference, or a strong one where there can be none, makes sure that an
//! address is not taken for that of an object that died.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType, PyWeakrefMethods, PyWeakrefReference};
use pyo3::{PyTraverseError, PyVisit};

use crate::rights::allowed::Rights;

use crate::base::fallible;
use crate::base::imported::is_function;

/// At this number of exposures, those of dead objects are looked for the first time.
const FIRST_SWEEP: usize = 64;

/// An object or a class that was exposed.
#[pyclass(name = "_Exposure", module = "lupa", frozen)]
struct Exposure {
    /// A weak reference, if `weak`, else the object itself.
    holder: Py<PyAny>,
    weak: bool,
    rights: Arc<Rights>,
}

impl Exposure {
    fn new(object: &Bound<'_, PyAny>, rights: Arc<Rights>) -> Self {
        match PyWeakrefReference::new(object) {
            Ok(reference) => Exposure { holder: reference.into_any().unbind(), weak: true, rights },
            Err(_) => Exposure { holder: object.clone().unbind(), weak: false, rights },
        }
    }

    /// The object, if it is alive.
    fn target<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let holder = self.holder.bind(py);
        if self.weak {
            holder.cast::<PyWeakrefReference>().ok().and_then(PyWeakrefMethods::upgrade)
        } else {
            Some(holder.clone())
        }
    }
}

#[pymethods]
impl Exposure {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.holder)
    }
}

/// The exposures of a runtime with a sandbox.
pub(crate) struct Sandbox {
    /// From the address of an object to its [`Exposure`].
    objects: Py<PyDict>,
    /// The same for classes, whose rights are those of their instances.
    classes: Py<PyDict>,
    /// The same for all classes that were found to have rights, of their own or inherited.
    known: Py<PyDict>,
    enough: AtomicUsize,
}

impl Sandbox {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        Ok(Sandbox {
            objects: fallible::dict(py)?.unbind(),
            classes: fallible::dict(py)?.unbind(),
            known: fallible::dict(py)?.unbind(),
            enough: AtomicUsize::new(FIRST_SWEEP),
        })
    }

    /// The objects that the owner's `tp_traverse` has to visit.
    pub(crate) fn held(&self) -> [&Py<PyDict>; 3] {
        [&self.objects, &self.classes, &self.known]
    }

    /// Breaks cycles, when the runtime is garbage.
    pub(crate) fn clear(&self, py: Python<'_>) {
        for held in self.held() {
            held.bind(py).clear();
        }
    }

    /// Gives an object, or the instances of a class, these rights, instead of those from before.
    pub(crate) fn expose(&self, object: &Bound<'_, PyAny>, rights: Rights) -> PyResult<()> {
        let py = object.py();
        let exposures = if object.is_instance_of::<PyType>() {
            self.known.bind(py).clear();
            self.classes.bind(py)
        } else {
            self.objects.bind(py)
        };
        if exposures.len() >= self.enough.load(Ordering::Relaxed) {
            forget_dead(exposures)?;
            self.enough.store(2 * exposures.len() + FIRST_SWEEP, Ordering::Relaxed);
        }
        exposures.set_item(address(object)?, Exposure::new(object, Arc::new(rights)))
    }

    /// The rights of Lua code on an object: its own, or those of the first class in the `__mro__` of its real type that has
    /// some.
    pub(crate) fn rights(&self, object: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Rights>>> {
        let py = object.py();
        if let Some(rights) = find(self.objects.bind(py), object)? {
            return Ok(Some(rights));
        }
        if is_function(object)
            && let Some(rights) = Rights::of_mark(object)?
        {
            return Ok(Some(Arc::new(rights)));
        }
        let class = object.get_type();
        let known = self.known.bind(py);
        if let Some(rights) = find(known, class.as_any())? {
            return Ok(Some(rights));
        }
        for base in class.mro().iter() {
            if let Some(rights) = self.own_rights(&base)? {
                if known.len() > 8 * FIRST_SWEEP {
                    known.clear();
                }
                let exposure = Exposure::new(class.as_any(), Arc::clone(&rights));
                known.set_item(address(class.as_any())?, exposure)?;
                return Ok(Some(rights));
            }
        }
        Ok(None)
    }

    /// Whether a class may be called. A subclass has a constructor of its own, and inherits nothing.
    pub(crate) fn constructs(&self, class: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.own_rights(class)?.is_some_and(|rights| rights.construct))
    }

    /// The rights that were given to a class itself.
    fn own_rights(&self, class: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Rights>>> {
        match find(self.classes.bind(class.py()), class)? {
            Some(rights) => Ok(Some(rights)),
            None => Ok(Rights::of_mark(class)?.map(Arc::new)),
        }
    }
}

fn address<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    fallible::unsigned(object.py(), object.as_ptr() as usize)
}

fn find(exposures: &Bound<'_, PyDict>, object: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Rights>>> {
    if exposures.is_empty() {
        return Ok(None);
    }
    let found = exposures.get_item(address(object)?)?;
    let exposure = found.as_ref().and_then(|found| found.cast::<Exposure>().ok());
    Ok(exposure.map(Bound::get).and_then(|exposure| {
        let is_it = exposure.target(object.py()).is_some_and(|target| target.is(object));
        is_it.then(|| Arc::clone(&exposure.rights))
    }))
}

fn forget_dead(exposures: &Bound<'_, PyDict>) -> PyResult<()> {
    for (address, exposure) in exposures.iter().collect::<Vec<_>>() {
        let exposure = exposure.cast::<Exposure>()?.get();
        if exposure.target(address.py()).is_none() {
            exposures.del_item(address)?;
        }
    }
    Ok(())
}
