//! Does an installed Lua agree with the bindings? Its builder may have changed `luaconf.h`, and what
//! is a constant of the headers there is a constant in the bindings here. A C compiler is asked.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::out_dir;
use crate::version::Version;

/// The constants that C code and bindings must share.
const CONSTANTS: [&str; 4] =
    ["LUA_VERSION_NUM", "LUA_REGISTRYINDEX", "LUA_GLOBALSINDEX", "LUA_IDSIZE"];

/// The types that a builder can change.
const TYPES: [&str; 4] = ["lua_Number", "lua_Integer", "lua_Unsigned", "lua_KContext"];

/// Ends the build when the headers in these folders are not those of the bindings.
pub(crate) fn check(version: &Version, headers: &[PathBuf]) {
    let crate_folder = env::var_os("CARGO_MANIFEST_DIR").expect("called from a build script");
    let bindings = Path::new(&crate_folder).join("../lua-api/src/bindings.rs");
    println!("cargo:rerun-if-changed={}", bindings.display());
    for folder in headers {
        println!("cargo:rerun-if-changed={}", folder.display());
    }
    let all = fs::read_to_string(bindings).expect("the bindings are there");
    let bindings = module(&all, version.name).expect("every Lua has bindings");
    let program = out_dir().join("probe.c");
    fs::write(&program, source(bindings)).expect("the probe can be written");
    let compiled = cc::Build::new()
        .file(program)
        .includes(headers)
        .warnings(false)
        .try_compile_intermediates();
    assert!(
        compiled.is_ok(),
        "the headers of the installed Lua cannot be used with the bindings of {}; the messages \
         of the C compiler, above, say why",
        version.name
    );
}

/// The part of the bindings that is for one Lua.
fn module<'a>(bindings: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = bindings.split_once(&format!("\npub mod {name} {{\n"))?;
    rest.split_once("\n}\n").map(|(module, _)| module)
}

/// A C program that compiles if the headers agree with these bindings.
fn source(bindings: &str) -> String {
    let mut lines = vec![
        "#include <stddef.h>".to_owned(),
        "#include <lua.h>".into(),
        "#include <lauxlib.h>".into(),
    ];
    for name in CONSTANTS {
        if let Some(value) = declared(bindings, "const", name) {
            let value = value.split(" = ").last().unwrap_or_default();
            lines.push(format!("_Static_assert({name} == {value}, \"{name} is not {value}\");"));
        }
    }
    for name in TYPES {
        if let Some(rust) = declared(bindings, "type", name) {
            let rust = rust.trim_start_matches("= ");
            let c = c_type(rust);
            lines.push(format!(
                "_Static_assert(sizeof({name}) == sizeof({c}) && ({name})0.5 == ({c})0.5, \
                 \"{name} is not {c}\");"
            ));
        }
    }
    lines.join("\n") + "\n"
}

/// The text that follows the name in `pub <kind> <name>...;`.
fn declared<'a>(bindings: &'a str, kind: &str, name: &str) -> Option<&'a str> {
    let start = format!("pub {kind} {name}");
    bindings.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix(&start)?;
        let rest = rest.strip_prefix([':', ' '])?;
        rest.strip_suffix(';')
    })
}

fn c_type(rust: &str) -> &'static str {
    match rust.trim_start_matches("::core::ffi::") {
        "f64" => "double",
        "isize" => "ptrdiff_t",
        "c_uint" => "unsigned int",
        "c_longlong" => "long long",
        "c_ulonglong" => "unsigned long long",
        other => {
            panic!("the bindings use {other} for a number; lua-build's probe has no C name for it")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{module, source};

    #[test]
    fn each_lua_has_bindings_of_its_own() {
        let all = "//! All.\npub mod lua53 {\n    pub const A: u32 = 1;\n}\npub mod lua54 {\n    \
                   pub mod b {\n    }\n    pub const A: u32 = 2;\n}\n";
        assert_eq!(module(all, "lua53"), Some("    pub const A: u32 = 1;"));
        assert!(module(all, "lua54").is_some_and(|text| text.ends_with("pub const A: u32 = 2;")));
        assert_eq!(module(all, "lua5"), None);
    }

    #[test]
    fn what_the_bindings_declare_is_asserted() {
        let bindings = "    pub const LUA_VERSION_NUM: u32 = 504;\n\
                        pub const LUA_VERSION_NUMBER: u32 = 1;\n\
                        pub type lua_Number = f64;\n\
                        pub type lua_Integer = ::core::ffi::c_longlong;\n";
        let source = source(bindings);
        for part in [
            "_Static_assert(LUA_VERSION_NUM == 504,",
            "sizeof(lua_Number) == sizeof(double)",
            "sizeof(lua_Integer) == sizeof(long long)",
        ] {
            assert!(source.contains(part), "{part} in\n{source}");
        }
        assert_eq!(source.matches("_Static_assert").count(), 3);
    }
}
