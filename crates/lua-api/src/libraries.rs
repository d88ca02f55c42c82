//! The standard libraries of a Lua, and how some of them are opened instead of all.
#![forbid(unsafe_code)]

use core::ffi::CStr;

use crate::backend::{LuaBackend, value};
use crate::fence::Raising;
use crate::raw::lua_CFunction;

/// A standard library.
#[derive(Clone, Copy)]
pub struct Library {
    /// The name by which users call the library.
    pub name: &'static str,
    /// How it is opened.
    pub opening: Opening,
    /// Other libraries without which nobody could use it.
    pub needs: &'static [&'static str],
}

/// How a library is opened.
#[derive(Clone, Copy)]
pub enum Opening {
    /// By a function, which is given a name.
    Function(&'static CStr, lua_CFunction),
    /// By `require`, which calls the function.
    Preload(&'static CStr, lua_CFunction),
    /// Together with another one; then it is taken away again if it is not wanted.
    Part,
    /// Always, for it starts the compiler; it is taken away again if it is not wanted.
    Always(&'static CStr, lua_CFunction),
}

impl Library {
    /// A library with a function of its own.
    pub const fn new(name: &'static str, global: &'static CStr, open: lua_CFunction) -> Self {
        Library { name, opening: Opening::Function(global, open), needs: &[] }
    }
}

impl Opening {
    /// The function that opens the library, and the name that it is given.
    pub(crate) fn function(self) -> Option<(&'static CStr, lua_CFunction)> {
        match self {
            Opening::Function(name, open)
            | Opening::Preload(name, open)
            | Opening::Always(name, open) => Some((name, open)),
            Opening::Part => None,
        }
    }
}

/// Which libraries to open: a bit for each of [`LuaBackend::LIBRARIES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection(u32);

impl Selection {
    /// All libraries.
    pub const ALL: Selection = Selection(u32::MAX);

    /// The libraries of these names.
    ///
    /// # Errors
    /// A message, for names that this Lua does not know, and for a library that needs another.
    pub fn named<'a, B: LuaBackend>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let mut selection = Selection(0);
        for name in names {
            let Some(index) = B::LIBRARIES.iter().position(|library| library.name == name) else {
                let known: Vec<_> = B::LIBRARIES.iter().map(|library| library.name).collect();
                let known = known.join(", ");
                return Err(format!("no library is named {name:?}; this Lua has {known}"));
            };
            selection.0 |= 1 << index;
        }
        for library in B::LIBRARIES.iter().filter(|library| selection.has::<B>(library.name)) {
            if let Some(needed) = library.needs.iter().find(|name| !selection.has::<B>(name)) {
                let name = library.name;
                return Err(format!("the library {name:?} is of no use without {needed:?}"));
            }
        }
        Ok(selection)
    }

    /// Whether a library is selected.
    pub fn has<B: LuaBackend>(self, name: &str) -> bool {
        let index = B::LIBRARIES.iter().position(|library| library.name == name);
        index.is_some_and(|index| self.0 & (1 << index) != 0)
    }
}

/// The modules of the library `jit` that `require` finds.
const JIT_MODULES: [&CStr; 4] = [c"jit", c"jit.opt", c"jit.util", c"jit.profile"];

/// The key in the registry of the library that is hidden from scripts.
const HIDDEN_FFI: &CStr = c"lupa.ffi";

impl<B: LuaBackend> Raising<'_, B> {
    /// Opens the selected libraries; [`Raising::hide_libraries`] has to follow.
    pub fn open_libraries(self, selection: Selection) {
        if selection == Selection::ALL {
            self.open_all();
            return;
        }
        // The libraries expect the tables that the first of them would make.
        self.registry_table(c"_LOADED");
        self.pop(1);
        let coroutine_is_part = Self::is_part("coroutine") && selection.has::<B>("coroutine");
        for (index, library) in B::LIBRARIES.iter().enumerate() {
            let wanted = selection.has::<B>(library.name);
            match library.opening {
                Opening::Function(..) if wanted => self.open_library(index),
                Opening::Function(..) if library.name == "base" && coroutine_is_part => {
                    self.open_library(index);
                    self.keep_only_coroutine();
                }
                Opening::Always(..) => self.open_library(index),
                Opening::Preload(name, _) if wanted => {
                    self.registry_table(c"_PRELOAD");
                    self.push_opener(index);
                    self.set_field(-2, name);
                    self.pop(1);
                }
                _ => {}
            }
        }
    }

    /// Takes away what was opened with others and is not selected.
    pub fn hide_libraries(self, selection: Selection) {
        let hidden = |name: &str, opening: fn(&Opening) -> bool| {
            let found = B::LIBRARIES.iter().find(|library| library.name == name);
            found.is_some_and(|library| opening(&library.opening)) && !selection.has::<B>(name)
        };
        let is_part = |opening: &Opening| matches!(opening, Opening::Part);
        if hidden("coroutine", is_part) {
            self.forget_global(c"coroutine");
            self.forget_modules(&[c"coroutine"]);
        }
        if hidden("string.buffer", is_part) {
            self.forget_modules(&[c"string.buffer"]);
        }
        if hidden("jit", |opening| matches!(opening, Opening::Always(..))) {
            self.forget_global(c"jit");
            self.forget_modules(&JIT_MODULES);
        }
        // A literal such as `1LL` has LuaJIT open the library by itself, and enter it as loaded. It does
        // that once: so it is done here, and the entry goes before any script comes. LuaJIT 2.0 counts
        // on the library to keep the table of its finalizers, so it stays where only `debug` finds it.
        let preload = |opening: &Opening| matches!(opening, Opening::Preload(..));
        for (index, library) in B::LIBRARIES.iter().enumerate() {
            if let Opening::Preload(name, _) = library.opening
                && hidden(library.name, preload)
            {
                self.push_opener(index);
                self.call(0, 1);
                self.set_field(B::REGISTRY_INDEX, HIDDEN_FFI);
                self.forget_modules(&[name]);
            }
        }
    }

    /// Pushes a function of a library as it is when the library is opened; nothing (and false) if this
    /// Lua has no such library. A global of the library's name is what it was before.
    pub fn push_original(self, library: &str, function: &CStr) -> bool {
        let found = B::LIBRARIES.iter().position(|candidate| candidate.name == library);
        let Some(index) = found else { return false };
        let Opening::Function(name, _) = B::LIBRARIES[index].opening else { return false };
        self.push_opener(index);
        self.push_bytes(name.to_bytes());
        self.call(1, 1);
        self.get_field(-1, function);
        true
    }

    fn is_part(name: &str) -> bool {
        B::LIBRARIES
            .iter()
            .any(|library| library.name == name && matches!(library.opening, Opening::Part))
    }

    /// Pushes a table of the registry, which is made if it is not there.
    fn registry_table(self, name: &CStr) {
        self.get_field(B::REGISTRY_INDEX, name);
        if self.type_of(-1) != value::TABLE {
            self.pop(1);
            self.new_table(0, 0);
            self.push_value(-1);
            self.set_field(B::REGISTRY_INDEX, name);
        }
    }

    fn forget_global(self, name: &CStr) {
        self.push_globals();
        self.push_nil();
        self.set_field(-2, name);
        self.pop(1);
    }

    fn forget_modules(self, names: &[&CStr]) {
        for table in [c"_LOADED", c"_PRELOAD"] {
            self.registry_table(table);
            for name in names {
                self.push_nil();
                self.set_field(-2, name);
            }
            self.pop(1);
        }
    }

    /// After `base` was opened for the sake of `coroutine` only: no other global stays.
    fn keep_only_coroutine(self) {
        self.push_globals();
        self.get_field(-1, c"coroutine");
        self.push_nil();
        while self.next(-3) {
            self.pop(1);
            self.push_value(-1);
            self.push_nil();
            self.raw_set(-5);
        }
        self.set_field(-2, c"coroutine");
        self.pop(1);
        self.forget_modules(&[c"_G"]);
    }
}
