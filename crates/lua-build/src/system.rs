//! Linking an installed Lua instead of compiling one.

use std::env;
use std::path::{Path, PathBuf};

use crate::version::Version;
use crate::{fail, probe};

/// Links an installed Lua if the environment asks for it; says whether it did.
pub(crate) fn use_installed(version: &Version) -> bool {
    let upper = version.name.to_uppercase();
    let library = variable(&format!("LUPA_{upper}_LIB"));
    let wish = wish(variable("LUPA_SYSTEM"), variable(&format!("LUPA_SYSTEM_{upper}")), library);
    match &wish {
        Wish::Bundled => return false,
        Wish::Packaged(name) => packaged(version, name.as_deref()),
        Wish::Library(path) => explicit(version, &upper, path),
    }
    true
}

fn variable(name: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Which Lua to link.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// The one that is compiled here.
    Bundled,
    /// The one that pkg-config finds, under this name or a usual one.
    Packaged(Option<String>),
    /// This library file.
    Library(String),
}

/// The wish that `LUPA_SYSTEM`, `LUPA_SYSTEM_LUA54` and `LUPA_LUA54_LIB` express; the more specific one decides.
fn wish(all: Option<String>, own: Option<String>, library: Option<String>) -> Wish {
    if let Some(path) = library.filter(|path| path != "0") {
        return Wish::Library(path);
    }
    match own.or(all).as_deref() {
        None | Some("0") => Wish::Bundled,
        Some("1" | "pkg-config") => Wish::Packaged(None),
        Some(path) if Path::new(path).is_absolute() => Wish::Library(path.to_owned()),
        Some(name) => Wish::Packaged(Some(name.to_owned())),
    }
}

/// A library file, compared with the bindings if there is `LUPA_LUA54_INCLUDE=/path/include`.
fn explicit(version: &Version, upper: &str, library: &str) {
    match variable(&format!("LUPA_{upper}_INCLUDE")) {
        Some(headers) => probe::check(version, &[PathBuf::from(headers)]),
        None => println!(
            "cargo:warning={library} is not compared with the bindings; LUPA_{upper}_INCLUDE names \
             the folder of its lua.h"
        ),
    }
    let path = Path::new(library);
    if !path.is_file() {
        fail(&format!(
            "for {}, there is no library file {library}; the environment asks for it (LUPA_{upper}_LIB or \
             LUPA_SYSTEM_{upper})",
            version.name
        ));
    }
    let directory = path.parent().unwrap_or(path);
    println!("cargo:rustc-link-search=native={}", directory.display());
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    println!("cargo:rustc-link-lib={}", link_name(&file));
    println!("cargo:warning={} uses the library {library}", version.name);
}

/// How cargo is told of a library file: a kind and a name, without what linkers add to it.
fn link_name(file: &str) -> String {
    if let Some(name) = file.strip_prefix("lib").and_then(|name| name.strip_suffix(".a")) {
        return format!("static:-bundle={name}");
    }
    // MSVC's libraries have no prefix.
    if let Some(name) = file.strip_suffix(".lib") {
        return format!("dylib={name}");
    }
    for suffix in [".so", ".dylib", ".dll.a", ".tbd"] {
        if let Some(name) = file.strip_prefix("lib").and_then(|name| name.strip_suffix(suffix)) {
            return format!("dylib={name}");
        }
    }
    // As liblua5.4.so.0, which has no name that `-l` could take.
    format!("dylib:+verbatim={file}")
}

/// The Lua that pkg-config finds.
fn packaged(version: &Version, named: Option<&str>) {
    let names: Vec<&str> = match named {
        Some(name) => vec![name],
        None => version.packages.to_vec(),
    };
    let (least, below) = version.range;
    let mut problems = String::new();
    for name in names {
        match pkg_config::Config::new().range_version(least..below).probe(name) {
            Ok(found) => {
                probe::check(version, &found.include_paths);
                println!(
                    "cargo:warning={} uses the installed {name} {}",
                    version.name, found.version
                );
                return;
            }
            Err(error) => problems.push_str(&format!("\n{name}: {error}")),
        }
    }
    let upper = version.name.to_uppercase();
    fail(&format!(
        "no installed Lua for {} was found by pkg-config (LUPA_SYSTEM_{upper}=0 compiles the bundled \
         one, LUPA_BACKENDS leaves it out):{problems}",
        version.name
    ));
}

#[cfg(test)]
mod tests {
    use super::{Wish, link_name, wish};

    #[test]
    fn the_closer_variable_decides() {
        let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        let wish = |all, own, library| wish(text(all), text(own), text(library));
        assert_eq!(wish("", "", ""), Wish::Bundled);
        assert_eq!(wish("0", "", ""), Wish::Bundled);
        assert_eq!(wish("1", "", ""), Wish::Packaged(None));
        assert_eq!(wish("1", "0", ""), Wish::Bundled);
        assert_eq!(wish("", "pkg-config", ""), Wish::Packaged(None));
        assert_eq!(wish("1", "lua-5.4", ""), Wish::Packaged(Some("lua-5.4".into())));
        let path = std::env::temp_dir().join("liblua.so").display().to_string();
        assert_eq!(wish("", &path, ""), Wish::Library(path.clone()));
        assert_eq!(wish("1", "0", &path), Wish::Library(path));
    }

    #[test]
    fn libraries_are_linked_by_their_names() {
        assert_eq!(link_name("liblua5.4.so"), "dylib=lua5.4");
        assert_eq!(link_name("liblua.5.4.dylib"), "dylib=lua.5.4");
        assert_eq!(link_name("liblua.a"), "static:-bundle=lua");
        assert_eq!(link_name("lua54.lib"), "dylib=lua54");
        assert_eq!(link_name("liblua5.4.so.0"), "dylib:+verbatim=liblua5.4.so.0");
    }
}
