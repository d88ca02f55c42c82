//! An installed Lua: is the library that the system's linker found the one that this was built for?
//!
//! Library files are replaced, search paths are changed, and symbols of another Lua may be global in
//! the process and come first. Constants of the headers differ between versions, so the wrong one would
//! crash sooner or later. The functions that are called here before the version is known have the same meaning in all
//! versions.
#![forbid(unsafe_code)]

use crate::backend::LuaBackend;
use crate::libraries::Opening;
use crate::raw::Unknown;

/// The version that a library reports.
#[derive(Default)]
struct Found {
    /// `_VERSION`.
    language: Option<String>,
    /// `jit.version_num`, as 20199.
    jit: Option<f64>,
}

/// Checks that an installed Lua is of the version of the backend; one that was compiled for it is.
///
/// # Errors
/// A message that says what was found instead.
pub fn check_installed<B: LuaBackend>() -> Result<(), String> {
    if !B::INSTALLED {
        return Ok(());
    }
    let (major, minor) = B::VERSION;
    let expected = format!("Lua {major}.{minor}");
    let file = library_file::<B>();
    let place = file.as_ref().map_or(String::new(), |file| format!(" ({file})"));
    let refused = |found: &str| {
        let name = match B::JIT_VERSION {
            Some((major, minor)) => format!("LuaJIT {major}.{minor}"),
            None => expected.clone(),
        };
        Err(format!(
            "lupa.{} was built for an installed {name}, but the library that the system has loaded \
             for it is {found}{place}",
            B::NAME
        ))
    };
    let mut found = Found::default();
    if let Err(problem) = Unknown::<B>::look(read, &mut found) {
        return refused(&format!("of no use: {problem}"));
    }
    let language = found.language.unwrap_or_else(|| "a Lua without _VERSION".to_owned());
    if language != expected {
        return refused(&language);
    }
    match (B::JIT_VERSION, found.jit) {
        (Some((major, minor)), Some(number)) => {
            if (number as u32) / 100 == u32::from(major) * 100 + u32::from(minor) {
                Ok(())
            } else {
                refused(&format!("LuaJIT {}.{}", number as u32 / 10000, number as u32 / 100 % 100))
            }
        }
        (Some(_), None) => refused(&language),
        (None, _) if is_luajit::<B>() => refused("LuaJIT"),
        (None, _) => Ok(()),
    }
}

/// Opens the libraries that know the version, and reads it.
fn read<B: LuaBackend>(lua: Unknown<'_, B>, found: &mut Found) {
    if let Some(jit) = opener::<B>("jit") {
        // Only a LuaJIT has this function, so the globals are where those of 5.1 are.
        lua.open(jit);
        lua.push_globals();
        lua.push_field(c"jit");
        lua.push_field(c"version_num");
        found.jit = Some(lua.number());
    }
    if let Some(base) = opener::<B>("base") {
        // Its first result is the table of globals, in every version.
        lua.open(base);
        lua.push_field(c"_VERSION");
        // When nothing raises any more: an error would lose it.
        found.language = lua.text();
    }
}

/// The place of a library that has a function to open it.
fn opener<B: LuaBackend>(name: &str) -> Option<usize> {
    let index = B::LIBRARIES.iter().position(|library| library.name == name)?;
    let opening = B::LIBRARIES[index].opening;
    matches!(opening, Opening::Function(..) | Opening::Always(..)).then_some(index)
}

#[cfg(unix)]
fn library_file<B: LuaBackend>() -> Option<String> {
    crate::dl::file_of(B::lua_pushnil_address())
}

#[cfg(not(unix))]
fn library_file<B: LuaBackend>() -> Option<String> {
    None
}

/// Whether the library is a LuaJIT: that says of itself to be a Lua 5.1.
#[cfg(unix)]
fn is_luajit<B: LuaBackend>() -> bool {
    crate::dl::offers(B::lua_pushnil_address(), c"luaJIT_setmode")
}

/// Only a linker that binds names to libraries, and not to whichever has them, is without this.
#[cfg(not(unix))]
fn is_luajit<B: LuaBackend>() -> bool {
    false
}
