//! `cargo xtask TASK`: every task that a person or CI runs. Without a task it lists them.

mod arguments;
mod asan;
mod audit;
mod bench;
mod bindgen;
mod check_targets;
mod demo;
mod develop;
mod dist;
mod docs;
mod fast;
mod fixes;
mod fixture;
mod fuzz;
mod lint;
mod rooms;
mod rules;
mod sweep;
mod test;
mod tidy;
mod tools;
mod tsan;
mod types;
mod unsafety;
mod vendor;
mod venv;

use std::env;
use std::process::ExitCode;

use arguments::Arguments;
use tools::Result;

/// A task: its name, its arguments, what it does, and the function that does it.
struct Task {
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    run: fn(Arguments) -> Result,
}

const TASKS: &[Task] = &[
    Task {
        name: "demo",
        usage: "[--python EXE]",
        about: "build, install into target/demo-venv and run the examples",
        run: demo::run,
    },
    Task {
        name: "test",
        usage: "[--python EXE] [--only rust|pytest|doctest|types|upstream] [--system BACKEND,...] [--no-build]
        [--fast [BACKEND] [ARGUMENT...]]",
        about: "build and test everything, lupa 2.8's own suite included; or these on installed Luas; or one module, quickly",
        run: test::run,
    },
    Task {
        name: "fuzz",
        usage: "[--python EXE] [--no-build] [--greedy] [--module NAME] [--seconds N] [ARGUMENT...]",
        about: "run random programs, or scripts that take what they can; arguments go to fuzz/run.py or fuzz/greedy.py",
        run: fuzz::run,
    },
    Task {
        name: "sweep",
        usage: "[--python EXE] [--no-build] [ARGUMENT...]",
        about: "all points of the sweeps of which test takes a sample; arguments go to pytest",
        run: sweep::run,
    },
    Task {
        name: "asan",
        usage: "[--python EXE] [--no-build] [--tests|--guided] [ARGUMENT...]",
        about: "as fuzz, or pytest, or fuzz/guided.py, with AddressSanitizer; arguments go there",
        run: asan::run,
    },
    Task {
        name: "tsan",
        usage: "--python EXE [--no-build] [ARGUMENT...]",
        about: "the tests of threads, with ThreadSanitizer; arguments go to pytest",
        run: tsan::run,
    },
    Task {
        name: "develop",
        usage: "[BACKEND...] [--debug] [--python EXE]",
        about: "build modules and put them beside the sources in python/lupa",
        run: develop::run,
    },
    Task {
        name: "wheel",
        usage: "[--python EXE] [--manylinux GLIBC] [--abi3] [--free-threaded]",
        about: "make a wheel in dist/, and check it; for an older glibc (2_17), or many Pythons",
        run: dist::wheel,
    },
    Task {
        name: "sdist",
        usage: "[--python EXE]",
        about: "make the source distribution in dist/; it builds without network",
        run: dist::sdist,
    },
    Task {
        name: "check-targets",
        usage: "[--python EXE] [TARGET...]",
        about: "compile the C code of all Luas, and check the Rust code, for machines that are not at hand",
        run: check_targets::run,
    },
    Task {
        name: "docs",
        usage: "[--python EXE] [--no-build]",
        about: "build, and make the site in target/docs",
        run: docs::run,
    },
    Task {
        name: "vendor",
        usage: "[--check]",
        about: "fetch the pinned Lua sources into vendor/sources, or verify what is there",
        run: vendor::run,
    },
    Task {
        name: "fixes",
        usage: "[CRATE=VERSION...]",
        about: "say whether our fixes to Lua's sources fit the pinned releases, or others (lua-src=548.1.2)",
        run: fixes::run,
    },
    Task {
        name: "bindgen",
        usage: "[--check] [--python EXE]",
        about: "write the bindings of all Luas from their headers, or say that they are out of date",
        run: bindgen::run,
    },
    Task {
        name: "lint",
        usage: "[--python EXE]",
        about: "rustfmt, clippy, ruff and mypy",
        run: lint::run,
    },
    Task {
        name: "audit",
        usage: "[--python EXE] [--offline]",
        about: "known problems of the Rust crates and of the workflows: cargo-deny and zizmor",
        run: audit::run,
    },
    Task {
        name: "tidy",
        usage: "",
        about: "the project's own rules for its files",
        run: tidy::run,
    },
    Task {
        name: "bench",
        usage: "[--python EXE] [--no-build] [ARGUMENT...]",
        about: "measure against lupa 2.8; arguments (--quick, --modules all) go to benches/compare.py",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let mut given = env::args().skip(1);
    let Some(name) = given.next() else {
        list();
        return ExitCode::SUCCESS;
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprintln!("error: there is no task {name:?}\n");
        list();
        return ExitCode::from(2);
    };
    match (task.run)(Arguments::new(given.collect())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list() {
    println!("usage: cargo xtask TASK [ARGUMENT...]\n");
    for task in TASKS {
        println!("  {}\n      {}", format!("{} {}", task.name, task.usage).trim_end(), task.about);
    }
}
