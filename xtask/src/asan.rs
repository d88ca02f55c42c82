//! `asan`: the fuzzer, or the tests, on modules that are compiled with AddressSanitizer.
//!
//! Lua's C code is compiled by gcc and the rest by rustc, both for the sanitizer of gcc, which is
//! loaded before Python. Python's own allocator is switched off: it would hide what is freed.
//! With `--guided`, coverage guides the fuzzer; then the sanitizer is the one that atheris has.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::{env, ffi::OsString};

use crate::arguments::Arguments;
use crate::tools::{self, Result, command, fresh_folder, output, root, target};
use crate::venv::Venv;

/// Frames are several times as large, so the stack has to be. Then whatever follows is run.
const WITH_STACK: [&str; 4] = ["sh", "-c", "ulimit -s 262144 && exec \"$@\"", "sh"];

/// Python leaks on purpose at exit; a stack that an error of Lua leaves is not a return; and what
/// faulthandler says about a signal is worth more.
const OPTIONS: &str = "detect_leaks=0:detect_stack_use_after_return=0:handle_segv=0:handle_abort=0:\
                       allocator_may_return_null=1:max_allocation_size_mb=4096";

/// The modules that can do with the sanitizer: when it compares strings, LuaJIT 2.0 reads up to three
/// bytes more on purpose, which 2.1 leaves out for the sanitizer.
const MODULES: [&str; 6] = ["lua51", "lua52", "lua53", "lua54", "lua55", "luajit21"];

/// Google's fuzzer for Python: libFuzzer with the choices left to Python code. Only used here.
const ATHERIS: &str = "atheris==3.0.0";

/// Flags of rustc for the sanitizer, and for the counters that libFuzzer reads.
const SANITIZED: &str = "-Zsanitizer=address -Cforce-frame-pointers=yes";
const COUNTED: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
                       -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                       -Cllvm-args=-sanitizer-coverage-pc-table";

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    if !cfg!(target_os = "linux") {
        return Err("asan needs Linux: elsewhere gcc's sanitizer cannot be preloaded".into());
    }
    let python = arguments.python()?;
    let tests = arguments.flag("--tests");
    let guided = arguments.flag("--guided");
    let no_build = arguments.flag("--no-build");
    let folder = target(if guided { "asan-guided" } else { "asan" });
    let venv = Venv::new("asan-venv", &python)?;
    if !no_build {
        build(&venv, &folder, guided)?;
        if tests {
            venv.install(&["pytest>=8", "numpy", "greenlet"])?;
        }
        if guided {
            venv.install(&[ATHERIS])?;
        }
    }
    let sanitizer = if guided { sanitizer_of_atheris(&venv)? } else { sanitizer()? };
    let mut run = command(WITH_STACK[0]);
    run.args(&WITH_STACK[1..]).arg(venv.program("python"));
    run.env("PYTHONPATH", &folder).env("PYTHONMALLOC", "malloc");
    run.env("LD_PRELOAD", sanitizer).env("ASAN_OPTIONS", OPTIONS);
    let rest = arguments.rest();
    if tests {
        if env::var_os("LUPA_TEST_BACKENDS").is_none() {
            run.env("LUPA_TEST_BACKENDS", MODULES.join(","));
        }
        run.args(["-m", "pytest", "-p", "no:cacheprovider"]);
    } else {
        let script = if guided { "fuzz/guided.py" } else { "fuzz/run.py" };
        run.arg(root().join(script)).arg("--into").arg(target("fuzz"));
        if !guided && !rest.iter().any(|argument| argument.starts_with("--module")) {
            run.args(MODULES.iter().flat_map(|name| ["--module", name]));
        }
    }
    tools::run(run.args(rest))
}

/// The library of atheris with a sanitizer and libFuzzer.
fn sanitizer_of_atheris(venv: &Venv) -> Result<String> {
    let folder = output(venv.python().args(["-c", "import atheris; print(atheris.path())"]))?;
    Ok(format!("{folder}/asan_with_fuzzer.so"))
}

/// Where gcc has the library that goes with what it compiles.
fn sanitizer() -> Result<String> {
    let compiler = env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    let library = output(command(compiler).arg("-print-file-name=libasan.so"))?;
    if Path::new(&library).is_absolute() {
        return Ok(library);
    }
    Err("the C compiler has no libasan.so: install gcc with its sanitizers, or set CC to it".into())
}

/// Puts the package and its modules, with AddressSanitizer, into `folder`.
fn build(venv: &Venv, folder: &Path, coverage: bool) -> Result {
    let rust = if coverage { format!("{SANITIZED} {COUNTED}") } else { SANITIZED.to_owned() };
    let mut build = instrumented(venv, folder, &rust)?;
    build.env("CFLAGS", "-fsanitize=address -fno-omit-frame-pointer -g");
    tools::run(&mut build)
}

/// Puts the package into `folder`; gives the command that puts modules beside it which are compiled
/// with these flags of rustc.
pub(crate) fn instrumented(venv: &Venv, folder: &Path, rust: &str) -> Result<Command> {
    let package = folder.join("lupa");
    fresh_folder(&package)?;
    for entry in fs::read_dir(root().join("python/lupa"))? {
        let entry = entry?;
        // Not the modules that `develop` has put there.
        let name = entry.file_name();
        if entry.file_type()?.is_file() && !name.to_string_lossy().contains(".cpython-") {
            fs::copy(entry.path(), package.join(name))?;
        }
    }
    let mut build: Command = command(venv.program("python"));
    build.arg("build-support/lupa_modules.py").args(["--debug", "--into"]).arg(&package);
    // The sanitizer of rustc is not stable, which this says is all right. With a target named, what
    // runs during the build is not instrumented.
    build.env("RUSTC_BOOTSTRAP", "1").env("CARGO_BUILD_TARGET", host()?);
    build.env("RUSTFLAGS", rust).env("CARGO_TARGET_DIR", folder.join("build"));
    Ok(build)
}

/// The target triple of this machine.
fn host() -> Result<String> {
    let about = output(command("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc -vV names no host")?.to_owned())
}
