//! Which callables are restricted in a runtime, and how one is known inside of what calls it.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::rights::restrict::builtins;
use crate::rights::restrict::kind::{Kind, Verdict};
use crate::rights::restrict::library;
use crate::rights::restrict::restricted::Restricted;
use crate::types::compat::method_code as code;

/// The shape of a callable, by its type: which other callables a call of it calls.
#[derive(Clone, Copy)]
enum Shape {
    /// A function in Python: known by its module.
    Function,
    /// A function or a method in C.
    Builtin,
    /// A bound method: its function, with its instance.
    Method,
    /// A slot of a class in C, bound and unbound.
    BoundSlot,
    Slot,
    /// Calls what it has in the attribute of this name.
    Calls(&'static str),
    /// A `functools.partial`: as above, with arguments of its own.
    Partial,
    AttributeGetter,
    MethodCaller,
    /// One of ours, which judges by itself.
    Restricted,
}

/// Makes a [`Restricted`].
type Wrap<'w, 'py> = dyn Fn(&Bound<'py, PyAny>, Verdict) -> PyResult<Bound<'py, PyAny>> + 'w;

/// How many callables may be inside of each other.
const DEEPEST: usize = 32;

/// The callables that are restricted in one runtime. They are Python's own, part of no cycle.
pub(crate) struct Restrictions {
    /// By address; `held` keeps these alive.
    objects: HashMap<usize, Verdict>,
    /// By what all built-in methods with the same code have in common.
    codes: HashMap<usize, Verdict>,
    shapes: HashMap<usize, Shape>,
    /// That of `__new__`, whichever class has it.
    new: Option<usize>,
    /// The metaclass of enumerations.
    enumerations: usize,
    /// Where attributes are guarded: the class of frames, and the module of the builtins.
    frame: usize,
    module: usize,
    /// Without `register_builtins=True`, and in no sandbox.
    strict: bool,
    sandboxed: bool,
    held: Vec<Py<PyAny>>,
}

fn address(object: &Bound<'_, PyAny>) -> usize {
    object.as_ptr() as usize
}

fn text(object: PyResult<Bound<'_, PyAny>>) -> Option<String> {
    object.ok()?.cast::<PyString>().ok().map(|text| text.to_string_lossy().into_owned())
}

impl Restrictions {
    /// Those of a runtime with a filter or handlers. The flags say what was asked for expressly.
    pub(crate) fn new(py: Python<'_>, eval: bool, builtins: bool) -> PyResult<Self> {
        let mut made = Self::empty(false, !builtins);
        made.add_types(py)?;
        made.add_formats(py)?;
        let module = fallible::import(py, c"builtins")?;
        made.frame = address(&fallible::import(py, c"types")?.attribute("FrameType")?);
        made.module = address(&module);
        for (name, value) in module.cast::<PyModule>()?.dict() {
            let Some(name) = text(Ok(name)) else { continue };
            let asked_for = eval && name == "eval";
            if let Some(verdict) = verdict_on_builtin(&name, &value)
                && value.is_callable()
                && !asked_for
            {
                made.add(value, verdict);
            }
        }
        if made.strict {
            for (module, name, verdict) in library::OBJECTS {
                if let Ok(object) = fallible::import_named(py, module)?.attribute(*name) {
                    made.add(object, *verdict);
                }
            }
            let subclasses = "reaches every class";
            for object in ["type", "int"] {
                let object = module.attribute(object)?.attribute("__subclasses__")?;
                made.add(object, Verdict::refused(subclasses));
            }
            made.new = code(&module.attribute("object")?.attribute("__new__")?);
            made.enumerations = made.hold(fallible::import(py, c"enum")?.attribute("EnumMeta")?);
        }
        Ok(made)
    }

    /// Those of a sandbox, which has none of them.
    pub(crate) fn of_sandbox(py: Python<'_>) -> PyResult<Self> {
        let mut made = Self::empty(true, false);
        made.add_formats(py)?;
        let module = fallible::import(py, c"builtins")?;
        for name in NOT_IN_A_SANDBOX {
            made.add(module.attribute(name)?, Verdict::new(Kind::Never, ""));
        }
        Ok(made)
    }

    fn empty(sandboxed: bool, strict: bool) -> Self {
        Restrictions {
            objects: HashMap::new(),
            codes: HashMap::new(),
            shapes: HashMap::new(),
            new: None,
            enumerations: 0,
            frame: 0,
            module: 0,
            strict,
            sandboxed,
            held: Vec::new(),
        }
    }

    fn hold(&mut self, object: Bound<'_, PyAny>) -> usize {
        let address = address(&object);
        self.held.push(object.unbind());
        address
    }

    fn add(&mut self, object: Bound<'_, PyAny>, verdict: Verdict) {
        let wanted = self.strict || self.sandboxed || verdict.kind.is_about_attributes();
        if !wanted {
            return;
        }
        if let Some(code) = code(&object) {
            self.codes.insert(code, verdict);
        }
        let address = self.hold(object);
        self.objects.entry(address).or_insert(verdict);
    }

    fn add_formats(&mut self, py: Python<'_>) -> PyResult<()> {
        let verdict = Verdict::new(Kind::Format, "");
        for name in ["format", "format_map"] {
            self.add(py.get_type::<PyString>().attribute(name)?, verdict);
            self.add(fallible::string(py, "")?.attribute(name)?, verdict);
        }
        Ok(())
    }

    fn add_types(&mut self, py: Python<'_>) -> PyResult<()> {
        let types = [
            ("types", "FunctionType", Shape::Function),
            ("types", "BuiltinFunctionType", Shape::Builtin),
            ("types", "MethodType", Shape::Method),
            ("types", "MethodWrapperType", Shape::BoundSlot),
            ("types", "WrapperDescriptorType", Shape::Slot),
            ("types", "GenericAlias", Shape::Calls("__origin__")),
            ("builtins", "staticmethod", Shape::Calls("__func__")),
            ("functools", "_lru_cache_wrapper", Shape::Calls("__wrapped__")),
            ("functools", "partial", Shape::Partial),
            ("operator", "attrgetter", Shape::AttributeGetter),
            ("operator", "methodcaller", Shape::MethodCaller),
        ];
        for (module, name, shape) in types {
            if let Ok(class) = fallible::import_named(py, module)?.attribute(name) {
                let address = self.hold(class);
                self.shapes.insert(address, shape);
            }
        }
        let own = self.hold(py.get_type::<Restricted>().into_any());
        self.shapes.insert(own, Shape::Restricted);
        Ok(())
    }

    /// The replacement of a callable; `None` if Lua code gets the callable itself. `wrap` makes a [`Restricted`].
    pub(crate) fn replace<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        wrap: &Wrap<'_, 'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !object.is_callable() {
            return Ok(None);
        }
        self.replace_in(object, wrap, 0)
    }

    fn replace_in<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        wrap: &Wrap<'_, 'py>,
        depth: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(verdict) = self.objects.get(&address(object)) {
            return wrap(object, *verdict).map(Some);
        }
        if self.sandboxed {
            let verdict = code(object).and_then(|code| self.codes.get(&code));
            return verdict.map(|verdict| wrap(object, *verdict)).transpose();
        }
        if depth > DEEPEST {
            return wrap(object, Verdict::refused("is nested too deeply")).map(Some);
        }
        let inner = |name: &str| self.replace_in(&object.attribute(name)?, wrap, depth + 1);
        let Some(shape) = self.shape(object) else {
            return match self.on_other(object)? {
                Other::Free => Ok(None),
                Other::Is(verdict) => wrap(object, verdict).map(Some),
                Other::Calls(name) => inner(name),
            };
        };
        let verdict = match shape {
            Shape::Restricted => None,
            Shape::Function => self.on_module(object),
            Shape::Builtin => match code(object) {
                Some(code) if self.new == Some(code) => inner("__self__")?
                    .map(|_| Verdict::refused("makes an instance of what is restricted itself")),
                Some(code) => self.codes.get(&code).copied().or_else(|| self.on_module(object)),
                None => self.on_module(object),
            },
            Shape::Method => {
                let Some(function) = inner("__func__")? else { return Ok(None) };
                let method = object.get_type();
                return method.call1((function, object.attribute("__self__")?)).map(Some);
            }
            Shape::BoundSlot => match text(object.attribute("__name__")).as_deref() {
                Some("__call__") => return inner("__self__"),
                Some(name) if self.strict => library::of_slot(name),
                _ => None,
            },
            Shape::Slot if !self.strict => None,
            Shape::Slot => match text(object.attribute("__name__")).as_deref() {
                Some("__call__") => {
                    Some(Verdict::new(Kind::CallSlot, "calls what it gets only if Lua code may"))
                }
                Some(name) => library::of_slot(name),
                None => None,
            },
            Shape::Calls(name) => return inner(name),
            Shape::Partial => {
                let Some(function) = inner("func")? else { return Ok(None) };
                let args = object.attribute("args")?;
                let mut all = vec![function];
                for argument in args.try_iter()? {
                    all.push(argument?);
                }
                let partial = fallible::import(object.py(), c"functools")?.attribute("partial")?;
                let all = fallible::tuple(object.py(), all)?;
                let keywords = object.attribute("keywords")?;
                return partial.call(all, Some(keywords.cast::<PyDict>()?)).map(Some);
            }
            Shape::AttributeGetter => Some(Verdict::new(Kind::AttributeGetter, "")),
            Shape::MethodCaller => Some(Verdict::new(Kind::MethodCaller, "")),
        };
        verdict.map(|verdict| wrap(object, verdict)).transpose()
    }

    /// The shape that an object has by its class, or by a base of that.
    fn shape(&self, object: &Bound<'_, PyAny>) -> Option<Shape> {
        let class = object.get_type();
        if let Some(shape) = self.shapes.get(&address(&class)) {
            return Some(*shape);
        }
        class.mro().iter().skip(1).find_map(|base| self.shapes.get(&address(&base)).copied())
    }

    /// The verdict on the module of a function or a class.
    fn on_module(&self, object: &Bound<'_, PyAny>) -> Option<Verdict> {
        if !self.strict {
            return None;
        }
        let module = text(object.attribute("__module__"))?;
        library::of_module(&module, || text(object.attribute("__name__")))
    }

    /// A class, or an instance of a class with `__call__`.
    fn on_other(&self, object: &Bound<'_, PyAny>) -> PyResult<Other> {
        if !self.strict {
            return Ok(Other::Free);
        }
        let class = match object.cast::<PyType>() {
            Ok(class) => class,
            Err(_) => {
                let class = object.get_type();
                let alias = text(class.attribute("__module__")).as_deref() == Some("typing");
                if alias && object.has_attribute("__origin__")? {
                    return Ok(Other::Calls("__origin__"));
                }
                return Ok(self.on_module(&class).map_or(Other::Free, Other::Is));
            }
        };
        if class.is_subclass_of::<PyType>()? {
            return Ok(Other::Is(Verdict::refused("is a metaclass, and makes classes")));
        }
        let base = class.mro().iter().find_map(|base| self.objects.get(&address(&base)).copied());
        if let Some(verdict) = base.or_else(|| self.on_module(class)) {
            return Ok(Other::Is(verdict));
        }
        let meta = class.get_type().mro();
        if meta.iter().any(|base| address(&base) == self.enumerations) && class.is_empty()? {
            return Ok(Other::Is(Verdict::refused("has no members, and makes classes")));
        }
        Ok(Other::Free)
    }

    /// An error for attributes that Lua code never reads or sets, whatever a filter says.
    pub(crate) fn check_attribute(&self, object: &Bound<'_, PyAny>, setting: bool) -> PyResult<()> {
        if !self.strict {
            return Ok(());
        }
        let what = if setting && address(object) == self.module {
            "set attributes of Python's builtins, which all code uses,"
        } else if address(&object.get_type()) == self.frame {
            "reach the variables of a program through a frame"
        } else {
            return Ok(());
        };
        let message = format!(
            "Lua code cannot {what} where its access to attributes is restricted; register_builtins=True allows it"
        );
        Err(fallible::error::<PyAttributeError>(message))
    }
}

/// The kinds of callables without a shape.
enum Other {
    Free,
    Is(Verdict),
    Calls(&'static str),
}

const NOT_IN_A_SANDBOX: [&str; 15] = [
    "getattr",
    "setattr",
    "delattr",
    "hasattr",
    "vars",
    "dir",
    "eval",
    "exec",
    "compile",
    "__import__",
    "open",
    "breakpoint",
    "input",
    "globals",
    "locals",
];

fn verdict_on_builtin(name: &str, value: &Bound<'_, PyAny>) -> Option<Verdict> {
    match builtins::look_up(name) {
        Some(verdict) => verdict,
        // The host answers for builtins that it has added.
        None => (text(value.attribute("__module__")).as_deref() == Some("builtins"))
            .then_some(builtins::UNKNOWN),
    }
}
