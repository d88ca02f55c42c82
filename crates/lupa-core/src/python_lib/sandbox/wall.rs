//! The wall: the metamethods of Python objects in a sandbox, which ask for rights first.
//!
//! Three rights go with a box instead of an object, for they come from what was done to get it:
//! [`View::CALL`] has a method that was read as an exposed attribute, [`View::NEXT`] an iterator that
//! `python.iter` has made. Lua code cannot make such a box, and what Python gets of it is the bare object.
//!
//! Whatever lets Lua code do more with Python objects has to ask here.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Raising, State};
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::base::error::classes;
use crate::base::fallible;
use crate::calls::argument::python_argument;
use crate::calls::callback::{Callback, Outcome};
use crate::calls::permission::{check_call, refuse, rights_to, type_name};
use crate::calls::steps::field;
use crate::convert::from_lua::from_lua;
use crate::convert::prepared::{Mode, Prepared};
use crate::convert::to_lua::{push_method, push_protected};
use crate::python_lib::colon;
use crate::python_lib::metamethods::{self, attribute_name, push_object, push_text};
use crate::rights::allowed::Rights;
use crate::rights::restrict::exact_name;
use crate::rights::routine::is_method_of;
use crate::runtime::boxes::View;
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;
use crate::types::compat;

/// Puts the guarded metamethods into the table on top.
pub(crate) fn metamethods<B: LuaBackend>(raising: Raising<'_, B>) {
    field::<B, Call>(raising, c"__call");
    field::<B, Index>(raising, c"__index");
    field::<B, NewIndex>(raising, c"__newindex");
    field::<B, ToString>(raising, c"__tostring");
}

/// How many characters of a name an error shows.
const MOST_OF_A_NAME: usize = 80;

/// The target of `obj[key]`: an item or an attribute.
enum Target {
    Attribute,
    Item,
}

impl Target {
    /// The target that may be read or, with `writing`, set; the view decides where both an item and an attribute may.
    fn allowed<B: LuaBackend>(
        entry: &Entry<'_, B>,
        rights: Option<&Rights>,
        view: View,
        key: &Bound<'_, PyAny>,
        writing: bool,
    ) -> Option<Self> {
        let rights = rights?;
        let (names, items) = if writing {
            (&rights.writable, rights.writable_items)
        } else {
            (&rights.attributes, rights.items)
        };
        if view.has(View::ITEMS) && items {
            return Some(Target::Item);
        }
        let name = attribute_text(entry, key)?;
        names.contains(&name).then_some(Target::Attribute)
    }
}

/// The text of a key, if it is one. It is of an exact type, see [`exact_name`].
fn attribute_text<B: LuaBackend>(entry: &Entry<'_, B>, key: &Bound<'_, PyAny>) -> Option<String> {
    if let Ok(text) = key.cast_exact::<PyString>() {
        return text.extract().ok();
    }
    let bytes = key.cast_exact::<pyo3::types::PyBytes>().ok()?;
    let text = entry.options.source_encoding.decode(entry.py, bytes.as_bytes()).ok()?;
    text.extract().ok()
}

#[cold]
fn refuse_access<B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: &Bound<'_, PyAny>,
    key: &Bound<'_, PyAny>,
    verb: &str,
    options: (&str, &str),
) -> PyErr {
    match key.cast_exact::<PyString>() {
        Ok(name) => {
            // A script chooses the name, and can keep the error.
            let name: String = name.to_string_lossy().chars().take(MOST_OF_A_NAME).collect();
            let cure = format!("{}=['{name}'] or {}=True", options.0, options.1);
            refuse(entry, object, &format!("{verb} '{name}' of"), &cure)
        }
        Err(_) => {
            refuse(entry, object, &format!("{verb} items of"), &format!("{}=True", options.1))
        }
    }
}

/// `__call`
struct Call;

impl<B: LuaBackend> Callback<B> for Call {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let (callable, view) = python_argument(entry, state, 1, "__call")?;
        check_call(entry, &callable, view)?;
        metamethods::call(entry, state, &callable, 2)
    }
}

/// `__index`
struct Index;

impl<B: LuaBackend> Callback<B> for Index {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let (object, view) = python_argument(entry, state, 1, "__index")?;
        colon::note_read(entry, state, Alive::of(&object));
        let key = exact_name(from_lua(entry.runtime(), entry.py, state, 2)?)?;
        let options = &entry.options;
        let rights = rights_to(entry, &object)?;
        let Some(target) = Target::allowed(entry, rights.as_deref(), view, &key, false) else {
            return Err(refuse_access(entry, &object, &key, "read", ("attributes", "items")).into());
        };
        let (name, value) = match (&options.attribute_getter, &target) {
            (Some(getter), _) => {
                let value = getter.bind(entry.py).call1((&object, &key))?;
                (key, value)
            }
            (None, Target::Item) => {
                let value = object.get_item(&key)?;
                (key, value)
            }
            (None, Target::Attribute) => {
                let name = attribute_name(entry, &object, key, false)?;
                let value = fallible::get_attribute(&object, &name)?;
                (name, value)
            }
        };
        if matches!(target, Target::Item) || !is_method_of(&object, &name, &value)? {
            return push_object(entry, state, &value, Mode::Value);
        }
        match compat::fresh_method(Alive::of(&value)) {
            Some(method) => push_method(entry, state, &value, View::CALL, method)?,
            None => push_protected(entry, state, Prepared::Object(Alive::of(&value), View::CALL))?,
        }
        Ok(1)
    }
}

/// `__newindex`
struct NewIndex;

impl<B: LuaBackend> Callback<B> for NewIndex {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let (object, view) = python_argument(entry, state, 1, "__newindex")?;
        let key = exact_name(from_lua(entry.runtime(), entry.py, state, 2)?)?;
        let value = from_lua(entry.runtime(), entry.py, state, 3)?;
        let options = &entry.options;
        let rights = rights_to(entry, &object)?;
        let Some(target) = Target::allowed(entry, rights.as_deref(), view, &key, true) else {
            let cure = ("writable", "writable_items");
            return Err(refuse_access(entry, &object, &key, "set", cure).into());
        };
        match (&options.attribute_setter, target) {
            (Some(setter), _) => {
                setter.bind(entry.py).call1((&object, key, value))?;
            }
            (None, Target::Item) => object.set_item(key, value)?,
            (None, Target::Attribute) => {
                let name = attribute_name(entry, &object, key, true)?;
                fallible::set_attribute(&object, &name, &value)?;
            }
        }
        Ok(0)
    }
}

/// `__tostring`: the name of the type. `str()` and `repr()` run code, and tell what they like.
struct ToString;

impl<B: LuaBackend> Callback<B> for ToString {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let (object, _) = python_argument(entry, state, 1, "__tostring")?;
        let own_error = object.get_type().is(&classes(entry.py).sandbox);
        let shows = rights_to(entry, &object)?.is_some_and(|rights| rights.text);
        if shows || own_error || object.is_none() {
            return push_text(entry, state, &object.str()?);
        }
        let kind = type_name(&object);
        let text = if object.is_instance_of::<PyBaseException>() {
            kind
        } else {
            format!("<{kind} object>")
        };
        push_text(entry, state, &fallible::string(entry.py, &text)?)
    }
}
