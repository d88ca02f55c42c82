//! `bindgen`: the bindings of each Lua, generated from its own headers.

use std::path::PathBuf;
use std::process::Stdio;
use std::{env, fs};

use crate::arguments::Arguments;
use crate::tools::{self, Result, cargo, command, output, root, target};
use crate::venv::Venv;

/// PyPI's copy of libclang. Pinned, as another version may print the same bindings differently.
const LIBCLANG: &str = "libclang==18.1.1";

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    let check = arguments.flag("--check");
    arguments.end()?;
    let mut generate = cargo();
    generate.args(["run", "--quiet", "--package", "xtask-bindgen", "--"]).arg(root());
    if check {
        generate.arg("--check");
    }
    if env::var_os("LIBCLANG_PATH").is_none() {
        generate.env("LIBCLANG_PATH", libclang(&python)?);
    }
    // libclang of PyPI comes without the compiler's own headers, such as stddef.h.
    if env::var_os("BINDGEN_EXTRA_CLANG_ARGS").is_none()
        && let Some(include) = compiler_headers()
    {
        generate.env("BINDGEN_EXTRA_CLANG_ARGS", format!("-isystem {include}"));
    }
    tools::run(&mut generate)?;
    if check {
        println!("the bindings are those of the headers");
    }
    Ok(())
}

/// The folder of libclang, installed first if it is not there.
fn libclang(python: &str) -> Result<PathBuf> {
    let folder = target("libclang");
    if !folder.is_dir() {
        let venv = Venv::new("bindgen-venv", python)?;
        venv.install(&["--target", &target("libclang-part").display().to_string(), LIBCLANG])?;
        fs::rename(target("libclang-part"), &folder)?;
    }
    Ok(folder.join("clang/native"))
}

/// The folder of the C compiler's own headers.
fn compiler_headers() -> Option<String> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let include = output(command(compiler).arg("-print-file-name=include").stdin(Stdio::null()));
    include.ok().filter(|path| PathBuf::from(path).is_dir())
}
