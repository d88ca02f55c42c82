//! `to_python`: Lua data as Python's own.
#![forbid(unsafe_code)]

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::classes::engine;
use crate::classes::parameters::Truth;
use crate::objects::wishes::{Keys, Other, Wishes};

/// A Lua table, with the tables inside, as lists and dicts; other values as they come to Python anyway.
///
/// A table whose keys are exactly 1 to n becomes a list, any other a dict; an empty one becomes what ``empty()`` gives, or a
/// list if it is marked as one (``python.array_mt`` is its metatable). A table that occurs more than once becomes one object,
/// also where it contains itself. Metatables are not asked.
///
/// * ``empty``: makes the object for an empty table. (default: dict)
/// * ``keys``: for keys that are tables, or are the same in Python (``1`` and ``true``): ``'error'``. ``'str'`` makes all
///   keys ``str``; a function is called with each key of a dict, and gives the one to use.
/// * ``other``: ``'keep'`` functions, coroutines and userdata as the objects that stand for them, or raise an ``'error'``; or a
///   function that is called with them, and gives what to use.
/// * ``cycles``: with False, a table that contains itself is a ``ValueError``.
/// * ``max_depth``, ``max_items``: how deep tables may be nested, and how many items there may be in all. By default there is
///   no such limit, for data of a sandbox 1,000 and 1,000,000.
/// * ``metamethods``: with True, ``__pairs`` is asked for what is in a table.
///
/// >>> lua = LuaRuntime()
/// >>> to_python(lua.eval('{name = "wolf", tags = {"grey", "old"}, pos = {x = 1, y = 2.5}}')) == {
/// ...     'name': 'wolf', 'tags': ['grey', 'old'], 'pos': {'x': 1, 'y': 2.5}}
/// True
///
/// It is made for ``json.dumps``, too:
///
/// >>> import json
/// >>> json.dumps({'from': lua.eval('{1, 2, {}}')}, default=to_python)
/// '{"from": [1, 2, {}]}'
#[pyfunction]
#[pyo3(
    signature = (value, *, empty=None, keys=None, other=None, cycles=Truth(true), max_depth=None, max_items=None,
        metamethods=Truth(false)),
    text_signature = "(value, *, empty=dict, keys='error', other='keep', cycles=True, max_depth=None, max_items=None, \
        metamethods=False)"
)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn to_python<'py>(
    value: &Bound<'py, PyAny>,
    empty: Option<Bound<'py, PyAny>>,
    keys: Option<Bound<'py, PyAny>>,
    other: Option<Bound<'py, PyAny>>,
    cycles: Truth,
    max_depth: Option<usize>,
    max_items: Option<usize>,
    metamethods: Truth,
) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let is_dict = |empty: &Bound<'py, PyAny>| empty.is(py.get_type::<PyDict>());
    let keys = match choice(keys, "keys", &["error", "str"])? {
        Choice::Default | Choice::Named(0) => Keys::Error,
        Choice::Named(_) => Keys::Str,
        Choice::Function(function) => Keys::Function(function),
    };
    let other = match choice(other, "other", &["keep", "error"])? {
        Choice::Default | Choice::Named(0) => Other::Keep,
        Choice::Named(_) => Other::Error,
        Choice::Function(function) => Other::Function(function),
    };
    let wishes = Wishes {
        empty: callable(empty, "empty")?.filter(|empty| !is_dict(empty)),
        keys,
        other,
        cycles: cycles.0,
        max_depth,
        max_items,
        metamethods: metamethods.0,
    };
    match engine::get().to_python(value, &wishes)? {
        Some(made) => Ok(made),
        None => Ok(value.clone()),
    }
}

/// What an argument says that is a word or a function.
enum Choice<'py> {
    Default,
    /// The number of the word.
    Named(usize),
    Function(Bound<'py, PyAny>),
}

fn choice<'py>(
    given: Option<Bound<'py, PyAny>>,
    name: &str,
    words: &[&str],
) -> PyResult<Choice<'py>> {
    let Some(given) = given else { return Ok(Choice::Default) };
    if let Ok(word) = given.cast::<PyString>() {
        let word = word.to_str()?;
        return match words.iter().position(|known| *known == word) {
            Some(number) => Ok(Choice::Named(number)),
            None => {
                let known = words.join("', '");
                let text = format!("{name} must be '{known}' or a function, not '{word}'");
                Err(fallible::error::<PyValueError>(text))
            }
        };
    }
    Ok(callable(Some(given), name)?.map_or(Choice::Default, Choice::Function))
}

fn callable<'py>(
    given: Option<Bound<'py, PyAny>>,
    name: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match given {
        Some(given) if !given.is_callable() => {
            let kind = given.get_type().attribute(c"__name__")?;
            let text = format!("{name} must be a function, not {kind}");
            Err(fallible::error::<PyTypeError>(text))
        }
        given => Ok(given),
    }
}
