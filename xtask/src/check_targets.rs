//! `check-targets`: the C code of all Luas is compiled, and the Rust code checked, for machines that are not at hand.
//!
//! The C compiler is zig's, which comes as a package for Python and has the headers of each of these systems. Where
//! Rust's standard library can be had for a target, `cargo check` does both, as build scripts compile the
//! Luas; elsewhere it is the C code alone. Nothing is linked, and nothing is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::arguments::Arguments;
use crate::tools::{self, Result, cargo, command, output, target};
use crate::venv::Venv;

/// As `build-support/lupa_modules.py` has it.
const ZIG: &str = "ziglang>=0.17,<0.18";

/// The targets, by their names in Rust and in zig.
const TARGETS: [(&str, &str); 13] = [
    ("x86_64-pc-windows-gnu", "x86_64-windows-gnu"),
    ("i686-pc-windows-gnu", "x86-windows-gnu"),
    ("aarch64-pc-windows-gnullvm", "aarch64-windows-gnu"),
    ("x86_64-apple-darwin", "x86_64-macos"),
    ("aarch64-apple-darwin", "aarch64-macos"),
    ("x86_64-unknown-linux-musl", "x86_64-linux-musl"),
    ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu"),
    ("aarch64-unknown-linux-musl", "aarch64-linux-musl"),
    ("i686-unknown-linux-gnu", "x86-linux-gnu"),
    ("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf"),
    ("powerpc64le-unknown-linux-gnu", "powerpc64le-linux-gnu"),
    ("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu"),
    ("s390x-unknown-linux-gnu", "s390x-linux-gnu"),
];

/// The programs that LuaJIT's build runs are linked without a library of the machine, if they have 32 bits.
const NARROW_HOST: &str = "x86-linux-musl";

/// The Python that is meant: nothing of one is needed to check.
const PYTHON: &str = "3.13";

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    if cfg!(windows) {
        return Err("check-targets wants a Unix-like system, whose shell runs the compilers".into());
    }
    let python = arguments.python()?;
    let given = arguments.rest();
    if let Some(unknown) = given.iter().find(|name| !TARGETS.iter().any(|(rust, _)| rust == name)) {
        let names = TARGETS.map(|(rust, _)| rust).join(", ");
        return Err(format!("{unknown} is none of {names}").into());
    }
    let venv = Venv::new("zig-venv", &python)?;
    venv.install(&[ZIG])?;
    let zig = "import pathlib, ziglang; print(pathlib.Path(ziglang.__file__).with_name('zig'))";
    let zig = output(venv.python().args(["-c", zig]))?;
    let wanted = |name: &str| given.is_empty() || given.iter().any(|other| other == name);
    let mut lines = Vec::new();
    let mut failed = Vec::new();
    for (rust, name) in TARGETS.into_iter().filter(|(rust, _)| wanted(rust)) {
        let compilers = Compilers::new(&zig, rust, name)?;
        let luas = luas(&python, rust)?;
        let whole = has_std(rust)?;
        let result =
            if whole { check(rust, &luas, &compilers) } else { compile(rust, &luas, &compilers) };
        let what = if whole { "C and Rust" } else { "C (there is no standard library of Rust)" };
        match result {
            Ok(()) => lines.push(format!("{rust}: {what}: {}", luas.join(", "))),
            Err(error) => {
                eprintln!("error: {error}");
                failed.push(rust);
            }
        }
    }
    println!("\n{}", lines.join("\n"));
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}

/// The modules that a target can have.
fn luas(python: &str, rust: &str) -> Result<Vec<String>> {
    let mut list = command(python);
    list.args(["build-support/lupa_modules.py", "--list"]).env("CARGO_BUILD_TARGET", rust);
    Ok(output(&mut list)?.lines().map(str::to_owned).collect())
}

/// Whether Rust's standard library is there for a target, or can be fetched by rustup.
fn has_std(rust: &str) -> Result<bool> {
    let there = || -> Result<bool> {
        let mut ask = command("rustc");
        let folder = output(ask.args(["--print", "target-libdir", "--target", rust]))?;
        Ok(fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()))
    };
    if !there()? {
        // Without rustup, or without network, there is none.
        let _ = command("rustup").args(["target", "add", rust]).status();
    }
    there()
}

/// Compiles the C code in build scripts, and checks the Rust code.
fn check(rust: &str, luas: &[String], compilers: &Compilers) -> Result {
    let mut check = cargo();
    check.args(["check", "--locked", "--target", rust]);
    for name in luas {
        check.args(["--package", &format!("lupa-{name}")]);
    }
    compilers.name_in(&mut check);
    check.env("CARGO_TARGET_DIR", folder().join("build"));
    check.env("PYO3_CROSS_PYTHON_VERSION", PYTHON).env("PYO3_BUILD_EXTENSION_MODULE", "1");
    tools::run(&mut check)
}

/// Compiles the C code as a build script would.
fn compile(rust: &str, luas: &[String], compilers: &Compilers) -> Result {
    for name in luas {
        let out = compilers.folder.join(name);
        tools::fresh_folder(&out)?;
        let mut compile = cargo();
        compile.args(["run", "--quiet", "--package", "lua-build", "--example", "compile", name]);
        compilers.name_in(&mut compile);
        compile.envs(described(rust)?).env("OUT_DIR", &out).stdout(Stdio::null());
        tools::run(&mut compile)?;
    }
    Ok(())
}

/// The variables by which cargo describes the target to a build script.
fn described(rust: &str) -> Result<Vec<(String, String)>> {
    let host = output(command("rustc").args(["--print", "host-tuple"]))?;
    let parallel = std::thread::available_parallelism().map_or(1, usize::from).to_string();
    let mut variables = vec![
        ("TARGET".to_owned(), rust.to_owned()),
        ("HOST".to_owned(), host),
        ("NUM_JOBS".to_owned(), parallel),
        ("OPT_LEVEL".to_owned(), "0".to_owned()),
        ("DEBUG".to_owned(), "false".to_owned()),
        ("RUSTC".to_owned(), "rustc".to_owned()),
    ];
    let listing = output(command("rustc").args(["--print", "cfg", "--target", rust]))?;
    for part in ["os", "arch", "env", "family", "pointer_width", "endian", "vendor"] {
        let prefix = format!("target_{part}=");
        let values: Vec<_> = listing
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .map(|text| text.trim_matches('"'))
            .collect();
        variables.push((format!("CARGO_CFG_TARGET_{}", part.to_uppercase()), values.join(",")));
    }
    Ok(variables)
}

/// Where everything is made.
fn folder() -> PathBuf {
    target("check-targets")
}

/// The C compilers and the archiver for one target, each a script.
struct Compilers {
    folder: PathBuf,
    rust: String,
    narrow: bool,
}

impl Compilers {
    fn new(zig: &str, rust: &str, name: &str) -> Result<Self> {
        let folder = folder().join(rust);
        fs::create_dir_all(&folder)?;
        let width = output(command("rustc").args(["--print", "cfg", "--target", rust]))?;
        let narrow = width.lines().any(|line| line == "target_pointer_width=\"32\"");
        script(&folder.join("cc"), &compiler(zig, name))?;
        script(&folder.join("host-cc"), &compiler(zig, NARROW_HOST))?;
        script(&folder.join("ar"), &format!("exec '{zig}' ar \"$@\"\n"))?;
        Ok(Self { folder, rust: rust.to_owned(), narrow })
    }

    /// Tells build scripts of them.
    fn name_in(&self, command: &mut Command) {
        let suffix = self.rust.replace('-', "_");
        command.env(format!("CC_{suffix}"), self.folder.join("cc"));
        command.env(format!("AR_{suffix}"), self.folder.join("ar"));
        if self.narrow {
            command.env("HOST_CC", self.folder.join("host-cc"));
        }
        command.env("ZIG_GLOBAL_CACHE_DIR", folder().join("zig-cache"));
        command.env("ZIG_LOCAL_CACHE_DIR", folder().join("zig-cache"));
        // Instead of Apple's tool that would be asked; see `compiler`.
        command.env("SDKROOT", "/");
    }
}

/// zig as a C compiler for one target, whatever flags for a target others give it.
fn compiler(zig: &str, name: &str) -> String {
    format!(
        "skip=\nfor word do\n  shift\n  case $skip$word in\n    \
         skip*) skip= ;;\n    \
         -isysroot) skip=skip ;;\n    \
         --target=* | -march=* | -m32 | -m64 | -arch) ;;\n    \
         *) set -- \"$@\" \"$word\" ;;\n  esac\ndone\n\
         exec '{zig}' cc -target {name} \"$@\"\n"
    )
}

fn script(file: &Path, text: &str) -> Result {
    fs::write(file, format!("#!/bin/sh\n{text}"))?;
    output(command("chmod").arg("+x").arg(file)).map(drop)
}
