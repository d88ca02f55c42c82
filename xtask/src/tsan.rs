//! `tsan`: the tests of threads on modules that are compiled with ThreadSanitizer.
//!
//! Its runtime has to be there before anything else, so Python itself must be built with it:
//! `./configure --disable-gil --with-thread-sanitizer CC=clang`. Rust's standard library is compiled
//! along (rustup's component `rust-src`), or its synchronisation would not be seen.

use std::env;

use crate::arguments::Arguments;
use crate::asan::instrumented;
use crate::tools::{self, Result, command, output, root, target};
use crate::venv::Venv;

/// The tests that are run where no arguments are given.
const TESTS: [&str; 2] = ["tests/test_threads.py", "tests/test_threads_stress.py"];

/// The exit status of a process in which a race was found.
const FOUND: u8 = 66;

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    // Whatever runs this Python before the tests, as pip and the build do, is not what is looked at.
    if env::var_os("TSAN_OPTIONS").is_none() {
        let mut again = command(env::current_exe()?);
        return tools::run(again.args(env::args_os().skip(1)).env("TSAN_OPTIONS", "report_bugs=0"));
    }
    let python = arguments.python()?;
    let no_build = arguments.flag("--no-build");
    let script = "import sysconfig; print(sysconfig.get_config_var('CONFIG_ARGS') or '')";
    if !output(command(&python).args(["-c", script]))?.contains("--with-thread-sanitizer") {
        return Err(format!(
            "{python} was not built with ThreadSanitizer: pass --python one that was configured \
             with --with-thread-sanitizer"
        )
        .into());
    }
    let folder = target("tsan");
    let venv = Venv::new("tsan-venv", &python)?;
    if !no_build {
        let mut build =
            instrumented(&venv, &folder, "-Zsanitizer=thread -Cforce-frame-pointers=yes")?;
        build.env("CARGO_UNSTABLE_BUILD_STD", "std,panic_unwind");
        // The C compiler has to be clang, as for Python: gcc's sanitizer has a runtime of its own.
        build.env("CFLAGS", "-fsanitize=thread -fno-omit-frame-pointer -g");
        tools::run(&mut build)?;
        venv.install(&["pytest>=8"])?;
    }
    let suppressions = root().join("tests/tsan_suppressions.txt");
    let options =
        format!("suppressions={} exitcode={FOUND} history_size=4", suppressions.display());
    let mut test = command(venv.program("python"));
    test.env("PYTHONPATH", &folder).env("TSAN_OPTIONS", options);
    test.args(["-m", "pytest", "-p", "no:cacheprovider"]);
    let rest = arguments.rest();
    if rest.is_empty() {
        test.args(TESTS);
    }
    tools::run(test.args(rest))
}
