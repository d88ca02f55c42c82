//! The standard libraries of a sandbox, and the functions in them that are safe.
#![forbid(unsafe_code)]

use lua_api::{Function, LuaBackend, MULTRET, OK, Raising, Selection};

use crate::base::error::Result;
use crate::calls::steps::step;
use crate::runtime::entry::Entry;

/// Takes away what is not safe, and puts something safe in its place where there is such a thing. It
/// names what stays: what a later Lua brings is not there until it is added.
const PRELUDE: &[u8] = include_bytes!("prelude.lua");

/// The libraries of which there is something safe.
const SAFE: [&str; 11] = [
    "base",
    "coroutine",
    "package",
    "table",
    "os",
    "string",
    "math",
    "utf8",
    "bit32",
    "bit",
    "debug",
];

/// The libraries for a sandbox: those that Lua code gets, and those that have to be opened for it.
///
/// # Errors
/// A message, for a name that is unknown or of a library that is not safe.
pub(crate) fn selection<B: LuaBackend>(
    names: Option<&[String]>,
) -> std::result::Result<(Vec<&'static str>, Selection), String> {
    let here = B::LIBRARIES.iter().map(|library| library.name);
    let safe: Vec<_> = here.filter(|name| SAFE.contains(name)).collect();
    let wanted = match names {
        None => safe,
        Some(names) => {
            Selection::named::<B>(names.iter().map(String::as_str))?;
            if let Some(unsafe_one) = names.iter().find(|name| !safe.contains(&name.as_str())) {
                let safe = safe.join(", ");
                return Err(format!("{unsafe_one:?} is not safe; a sandbox can have {safe}"));
            }
            safe.into_iter().filter(|name| names.iter().any(|wanted| wanted == name)).collect()
        }
    };
    // The prelude needs two of them, and brings a `require` of its own.
    let opened = wanted.iter().copied().filter(|&name| name != "package");
    let opened = Selection::named::<B>(opened.chain(["base", "string"]))?;
    Ok((wanted, opened))
}

/// Runs the prelude, when all else is in its place.
pub(crate) fn install<B: LuaBackend>(entry: &Entry<'_, B>, wanted: &[&str]) -> Result<()> {
    step(entry, |raising| {
        if raising.load(PRELUDE, c"=sandbox", None) != OK {
            raising.raise();
        }
        raising.new_table(0, wanted.len() as i32);
        for name in wanted {
            raising.push_bytes(name.as_bytes());
            raising.push_bool(true);
            raising.raw_set(-3);
        }
        raising.push_bool(B::LOAD_HAS_MODE);
        raising.push_function::<Guard>(0);
        raising.call(3, 0);
        0
    })
}

/// `guard(original, careful)`, see the prelude.
struct Guard;

impl<B: LuaBackend> Function<B> for Guard {
    fn call(raising: Raising<'_, B>) -> i32 {
        raising.set_top(2);
        raising.push_function::<Guarded>(2);
        1
    }
}

/// Calls the first upvalue, a C function without upvalues of its own, if its first argument has no
/// metatable, and else the second.
struct Guarded;

impl<B: LuaBackend> Function<B> for Guarded {
    fn call(raising: Raising<'_, B>) -> i32 {
        if raising.push_metatable(1) {
            raising.pop(1);
        } else if let Some(results) = raising.pass_on(B::upvalue_index(1)) {
            return results;
        }
        raising.push_value(B::upvalue_index(2));
        raising.insert(1);
        raising.call(raising.top() - 1, MULTRET);
        raising.top()
    }
}
