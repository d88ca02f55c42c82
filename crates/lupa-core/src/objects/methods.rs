//! The methods of the wrapper types, as lists for their specs.
#![forbid(unsafe_code)]

use lua_api::LuaBackend;
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::base::attribute::Attributes as _;
use crate::base::error::Result;
use crate::base::fallible;
use crate::base::imported::Imported;
use crate::convert::coroutine::Coroutine;
use crate::convert::walk::Wanted;
use crate::convert::wrapper::LuaObject;
use crate::objects::arguments;
use crate::objects::coroutine::{self};
use crate::objects::function;
use crate::objects::iterator::TableIterator;
use crate::objects::names;
use crate::objects::object::{self};
use crate::types::alive::Alive;
use crate::types::heap_type::This;
use crate::types::methods::Method;
use crate::types::operations::{Binary, Keywords, Unary, Variadic};

/// Methods that are functions of the file `lupa/_data.py`.
macro_rules! in_python {
    ($($name:ident => $function:literal;)*) => {
        $(struct $name;

        impl<B: LuaBackend> Keywords<LuaObject<B>> for $name {
            fn run<'py>(
                py: Python<'py>,
                this: This<'py, LuaObject<B>>,
                arguments: Bound<'py, PyTuple>,
                keywords: Option<Bound<'py, PyDict>>,
            ) -> Result<Bound<'py, PyAny>> {
                static FUNCTION: Imported = Imported::new(c"lupa._data", $function);
                let this = this.object().borrow(py).to_owned();
                let all = fallible::tuple_with(py, arguments.len() + 1, |index| match index {
                    0 => Ok(this.clone()),
                    _ => arguments.get_item(index - 1),
                })?;
                Ok(FUNCTION.get(py)?.call(all, keywords.as_ref())?)
            }
        })*
    };
}

in_python! {
    Itself => c"itself";
    RefusePickle => c"refuse_pickle";
    Copied => c"copied";
    DeeplyCopied => c"deeply_copied";
    Array => c"array";
}

pub(crate) fn object<B: LuaBackend>() -> [Method<LuaObject<B>>; 4] {
    [
        Method::with_one::<GetAttr>(
            c"__getattr__",
            c"__getattr__($self, name, /)\n--\n\nThe field of this name, as Lua finds it.",
        ),
        Method::with_keywords::<Itself>(
            c"__copy__",
            c"__copy__($self, /)\n--\n\nThe same object.",
        ),
        Method::with_keywords::<Itself>(
            c"__deepcopy__",
            c"__deepcopy__($self, memo, /)\n--\n\nThe same object.",
        ),
        Method::with_keywords::<RefusePickle>(
            c"__reduce_ex__",
            c"__reduce_ex__($self, protocol, /)\n--\n\nRefuses: a Lua value belongs to its runtime.",
        ),
    ]
}

pub(crate) fn table<B: LuaBackend>() -> [Method<LuaObject<B>>; 9] {
    [
        Method::with_keywords::<Copied>(
            c"__copy__",
            c"__copy__($self, /)\n--\n\nA table with the same fields and metatable.",
        ),
        Method::with_keywords::<DeeplyCopied>(
            c"__deepcopy__",
            c"__deepcopy__($self, memo, /)\n--\n\nThe same with copies of the tables inside.",
        ),
        Method::with_keywords::<Array>(
            c"__array__",
            c"__array__($self, dtype=None, copy=None)\n--\n\nThe values of a list as an array of NumPy's.",
        ),
        Method::without::<Dir>(
            c"__dir__",
            c"__dir__($self, /)\n--\n\nThe attributes: those of the type, and the fields whose keys are names.",
        ),
        Method::without::<Completions>(
            c"_ipython_key_completions_",
            c"_ipython_key_completions_($self, /)\n--\n\nThe keys that IPython completes after ``table['``.",
        ),
        Method::without::<Keys>(
            c"keys",
            c"keys($self, /)\n--\n\nAn iterator over the keys of the table, as ``iter(table)`` is.",
        ),
        Method::without::<Values>(
            c"values",
            c"values($self, /)\n--\n\nAn iterator over the values of the table.",
        ),
        Method::without::<Items>(
            c"items",
            c"items($self, /)\n--\n\nAn iterator over the (key, value) pairs of the table.",
        ),
        Method::without::<LuaArgs>(
            c"__lua_args__",
            c"__lua_args__($self, /)\n--\n\n\
              The table as ``(args, kwargs)`` of a call: its sequence and its string keys.",
        ),
    ]
}

pub(crate) fn function<B: LuaBackend>() -> [Method<LuaObject<B>>; 1] {
    [Method::with_any::<StartCoroutine>(
        c"coroutine",
        c"coroutine($self, /, *args)\n--\n\n\
          A new coroutine of this function; it gets the arguments when it is first resumed.",
    )]
}

pub(crate) fn coroutine<B: LuaBackend>() -> [Method<Coroutine<B>>; 1] {
    [Method::with_one::<Send>(
        c"send",
        c"send($self, value, /)\n--\n\n\
          Resume the coroutine: the value (of a tuple: the values) is what its yield gives.",
    )]
}

pub(crate) fn iterator<B: LuaBackend>() -> [Method<TableIterator<B>>; 1] {
    [Method::generic_alias(c"For annotations: ``LuaIterator[str]`` gives strings.")]
}

struct GetAttr;

impl<B: LuaBackend> Binary<LuaObject<B>> for GetAttr {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, LuaObject<B>>,
        name: Alive<'py>,
    ) -> Result<Bound<'py, PyAny>> {
        let name = name.borrow(py).to_owned();
        if let Ok(text) = name.extract::<String>()
            && text.starts_with("__")
            && text.ends_with("__")
        {
            return Err(fallible::error::<PyAttributeError>(text).into());
        }
        object::get_attribute(py, this.content(), &name)
    }
}

struct Keys;
struct Values;
struct Items;

impl<B: LuaBackend> Unary<LuaObject<B>> for Keys {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        TableIterator::create(py, this, Wanted::Keys)
    }
}

impl<B: LuaBackend> Unary<LuaObject<B>> for Values {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        TableIterator::create(py, this, Wanted::Values)
    }
}

impl<B: LuaBackend> Unary<LuaObject<B>> for Items {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        TableIterator::create(py, this, Wanted::Both)
    }
}

struct Dir;

impl<B: LuaBackend> Unary<LuaObject<B>> for Dir {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        let object = this.object().borrow(py);
        let names = py.get_type::<PyAny>().method1(c"__dir__", (object,))?;
        let names = fallible::list_of(&names)?;
        for name in names::of(py, this.content(), true)? {
            names.append(name)?;
        }
        Ok(names.into_any())
    }
}

struct Completions;

impl<B: LuaBackend> Unary<LuaObject<B>> for Completions {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        let keys = fallible::list(py)?;
        for key in names::of(py, this.content(), false)? {
            keys.append(key)?;
        }
        Ok(keys.into_any())
    }
}

struct LuaArgs;

impl<B: LuaBackend> Unary<LuaObject<B>> for LuaArgs {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        let this = this.content();
        let entry = this.runtime().enter(py)?;
        let arguments::Unpacked { args, kwargs, .. } = arguments::unpack(&entry, this.reference())?;
        Ok(fallible::tuple(py, [args.into_any(), kwargs.into_any()])?.into_any())
    }
}

struct StartCoroutine;

impl<B: LuaBackend> Variadic<LuaObject<B>> for StartCoroutine {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, LuaObject<B>>,
        arguments: Bound<'py, PyTuple>,
    ) -> Result<Bound<'py, PyAny>> {
        function::new_coroutine(py, this.content(), arguments)
    }
}

struct Send;

impl<B: LuaBackend> Binary<Coroutine<B>> for Send {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, Coroutine<B>>,
        value: Alive<'py>,
    ) -> Result<Bound<'py, PyAny>> {
        let value = value.borrow(py).to_owned();
        match coroutine::send(py, this, &value)? {
            Some(result) => Ok(result),
            None => Err(coroutine::stop_iteration().into()),
        }
    }
}
