//! Building LuaJIT with its own makefile, or its script for Windows.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

use crate::link::Library;
use crate::puc::{LOADER, WRAPPING};
use crate::version::{Kind, Version};
use crate::{additions, copy_tree, fail, out_dir, target};

/// Programs that a release may ship ready-made; what runs during a build is made during the build.
const PREBUILT: [&str; 3] = ["src/luajit", "src/host/minilua", "src/host/buildvm"];

/// Errors are unwound by LuaJIT itself instead of by the system's unwinder. That one cannot leave
/// compiled code, so in 2.0 an allocation that fails there would end the process; and it takes
/// several times as long.
const UNWINDING: &str = "LUAJIT_NO_UNWIND";

/// Compiled code looks at each turn of a loop whether there is a hook. Without it, such a loop cannot be
/// stopped. The price, by the LuaJIT 2.1 of this table: 0 to 4 % in loops that do next to nothing.
const STOPPING: &str = "LUAJIT_ENABLE_CHECKHOOK";

/// On Windows: the functions of the API are exported from whatever they are linked into.
const EXPORTING: &str = "LUA_BUILD_AS_DLL";

/// Makes the static library.
pub(crate) fn compile(version: &Version, source: &Path) -> Library {
    let build = out_dir().join("luajit");
    let _ = fs::remove_dir_all(&build);
    copy_tree(source, &build).expect("the LuaJIT sources can be copied");
    let Kind::LuaJit { release } = version.kind else {
        unreachable!("{} is no LuaJIT", version.name)
    };
    if let Some(file) = release {
        let file = source.parent().expect("inside the sources").join(file);
        let text = fs::read(&file).expect("the release file can be read");
        fs::write(build.join(".relver"), text).expect("the release file can be written");
    }
    let files: BTreeSet<_> = version.fixes().map(|fix| fix.file).collect();
    for file in files {
        version.mend(&build.join(file));
    }
    make_stoppable(&build.join("src"));
    for program in PREBUILT {
        let _ = fs::remove_file(build.join(program));
    }
    let name = format!("lupa_{}", version.name);
    let directory = out_dir();
    if target("ENV") == "msvc" {
        msvc(&build.join("src"), &directory.join(format!("{name}.lib")));
    } else {
        unix(&build, &directory.join(format!("lib{name}.a")));
    }
    Library { name, directory }
}

/// By the makefile, which knows Windows too: MinGW's compilers.
fn unix(build: &Path, library: &Path) {
    // The optimisation is the makefile's; of the environment's flags it gets all.
    let mut config = cc::Build::new();
    config.no_default_flags(true).inherit_rustflags(false);
    let tool = config.get_compiler();
    let compiler = command_line(&tool);
    let mut flags = words(tool.args());
    if target("OS") == "windows" {
        // Not for the programs that the build runs.
        flags += &format!(" -D{EXPORTING}");
    }
    let archiver = config.get_archiver();
    let archiver = archiver.get_program().to_string_lossy().into_owned();
    let variables = [
        "BUILDMODE=static".to_owned(),
        format!("XCFLAGS={WRAPPING} -D{STOPPING}{}{}", for_system(), checks()),
        format!("HOST_CC={}", host_compiler()),
        format!("STATIC_CC={compiler}"),
        format!("TARGET_CFLAGS={flags}"),
        format!("TARGET_LD={compiler}"),
        format!("TARGET_AR={archiver} rcus"),
    ];
    run(make(build).args(&variables).arg("clean"));
    let jobs = env::var("NUM_JOBS").unwrap_or_else(|_| "1".into());
    run(make(build).args(&variables).arg(format!("-j{jobs}")).arg("libluajit.a"));
    fs::copy(build.join("src/libluajit.a"), library).expect("the library was made");
}

/// The preprocessor definitions for the target system.
fn for_system() -> String {
    if target("OS") == "windows" {
        // There errors are unwound as the system does it: LuaJIT's assembler code knows no other way.
        return String::new();
    }
    let loader = LOADER.map(|function| format!(" -D{function}=lupa_{function}")).concat();
    format!(" -fPIC -D{UNWINDING}{loader}")
}

/// By LuaJIT's script for Microsoft's compiler, in the environment that this wants.
fn msvc(sources: &Path, library: &Path) {
    let tool = cc::Build::new().get_compiler();
    let mut script = Command::new("cmd");
    script.current_dir(sources).args(["/c", "msvcbuild.bat", "static"]);
    script.envs(tool.get_envs());
    // The compiler takes options from here, too: as for a DLL, with the library of C that Rust links.
    script.env("CL", format!("/MD /D{EXPORTING} /D{STOPPING}"));
    if target("ARCH") == "aarch64" {
        script.env("VSCMD_ARG_TGT_ARCH", "arm64");
    }
    let output = output(&mut script);
    // At the end the script links the program `luajit`, which lacks what is Rust; and it always succeeds.
    let made = sources.join("lua51.lib");
    if !made.is_file() {
        eprintln!("{}", said(&output));
        fail(&format!("{script:?} made no library; what it printed is in its standard error here"));
    }
    fs::copy(made, library).expect("the library can be copied");
}

/// Lets another thread set a hook; see `lua_api::watch`.
fn make_stoppable(sources: &Path) {
    let ours = additions();
    let add = |name: &str, defines: &str, mend: fn(String) -> String| {
        let file = sources.join(name);
        let theirs = fs::read_to_string(&file).expect("a source file can be read");
        let added = fs::read_to_string(ours.join(format!("with_{name}"))).expect("ours is there");
        fs::write(&file, [defines, &mend(theirs), &added].concat()).expect("it can be written");
    };
    add("lj_dispatch.c", "#define lua_sethook lupa_their_sethook\n", rename_update);
    add("lj_state.c", "#define lj_gc_freeall lupa_gc_freeall\n", |theirs| theirs);
    add("lj_api.c", "", |theirs| theirs);
    add("lj_err.c", "", |theirs| theirs);
    for name in ["entries.h", "lj_move.h", "read_entries.h", "room.h", "stop.h", "wait.h"] {
        fs::copy(ours.join(name), sources.join(name)).expect("ours can be copied");
    }
}

/// Gives the definition of `lj_dispatch_update`, but not its uses, another name.
fn rename_update(theirs: String) -> String {
    renamed_update(&theirs).unwrap_or_else(|misfit| panic!("{misfit}"))
}

fn renamed_update(theirs: &str) -> Result<String, String> {
    let is_definition =
        |line: &&str| line.starts_with("void ") && line.contains("lj_dispatch_update(");
    let found: Vec<_> = theirs.lines().filter(is_definition).collect();
    let [definition] = found[..] else {
        return Err(format!(
            "src/lj_dispatch.c: lj_dispatch_update is defined {} times",
            found.len()
        ));
    };
    Ok(theirs
        .replace(definition, &definition.replace("lj_dispatch_update", "lupa_raw_dispatch_update")))
}

/// Says whether the change to `lj_dispatch.c` that is no [`crate::Fix`] fits the sources in a folder.
pub(crate) fn misfits(source: &Path) -> Option<String> {
    let dispatch = fs::read_to_string(source.join("src/lj_dispatch.c")).unwrap_or_default();
    renamed_update(&dispatch).err()
}

/// The compiler of the programs that run during the build; without this the makefile wants gcc.
fn host_compiler() -> String {
    let host = env::var("HOST").expect("called from a build script");
    let mut config = cc::Build::new();
    config.no_default_flags(true).inherit_rustflags(false).host(&host).target(&host);
    let compiler = command_line(&config.get_compiler());
    compiler + width_of_host_programs(&host, &target("POINTER_WIDTH"))
}

/// They have to have pointers as wide as the target's. Of other hosts, `HOST_CC` has to name such a compiler.
fn width_of_host_programs(host: &str, width: &str) -> &'static str {
    if host.starts_with("x86_64") && width == "32" { " -m32" } else { "" }
}

/// A compiler with the wrapper that it may have (`ccache cc`).
fn command_line(tool: &cc::Tool) -> String {
    let wrapped = tool.cc_env();
    if wrapped.is_empty() { tool.path().display().to_string() } else { words(&[wrapped]) }
}

fn words(list: &[OsString]) -> String {
    let list: Vec<_> = list.iter().map(|word| word.to_string_lossy()).collect();
    list.join(" ")
}

fn checks() -> &'static str {
    let wanted =
        env::var_os("LUPA_APICHECK").is_some_and(|value| !value.is_empty() && value != "0");
    if wanted { " -DLUA_USE_APICHECK -DLUA_USE_ASSERT" } else { "" }
}

fn make(build: &Path) -> Command {
    let mut make = Command::new(env::var_os("MAKE").unwrap_or_else(|| "make".into()));
    make.arg("-C").arg(build.join("src"));
    // Cargo's own job server and flags for another make would only confuse this one.
    make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("CFLAGS");
    match target("OS").as_str() {
        "linux" => {
            make.arg("TARGET_SYS=Linux");
        }
        "windows" => {
            make.arg("TARGET_SYS=Windows");
        }
        "macos" => {
            make.arg("TARGET_SYS=Darwin");
            // LuaJIT refuses to be built without it; what is linked with it is for rustc's oldest.
            if env::var_os("MACOSX_DEPLOYMENT_TARGET").is_none() {
                make.env("MACOSX_DEPLOYMENT_TARGET", oldest_macos());
            }
        }
        _ => {}
    }
    make
}

/// The oldest macOS that rustc's code for this target runs on.
fn oldest_macos() -> String {
    let rustc = env::var_os("RUSTC").expect("called from a build script");
    let target = env::var_os("TARGET").expect("called from a build script");
    let answer = Command::new(rustc)
        .args(["--print", "deployment-target", "--target"])
        .arg(target)
        .output()
        .expect("rustc can be run");
    // MACOSX_DEPLOYMENT_TARGET=11.0
    let answer = String::from_utf8_lossy(&answer.stdout);
    let (_, version) = answer.trim().split_once('=').expect("rustc names a version");
    version.to_owned()
}

fn run(command: &mut Command) {
    let output = output(command);
    if !output.status.success() {
        eprintln!("{}", said(&output));
        fail(&format!("{command:?} failed; what it printed is in its standard error here"));
    }
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        let program = command.get_program().display().to_string();
        fail(&format!(
            "{program} cannot be run ({error}): LuaJIT is built with it; LUPA_BACKENDS chooses modules without"
        ))
    })
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

#[cfg(test)]
mod tests {
    use super::width_of_host_programs;

    #[test]
    fn programs_of_the_build_are_as_wide_as_the_target() {
        assert_eq!(width_of_host_programs("x86_64-unknown-linux-gnu", "32"), " -m32");
        assert_eq!(width_of_host_programs("x86_64-unknown-linux-gnu", "64"), "");
        assert_eq!(width_of_host_programs("aarch64-unknown-linux-gnu", "32"), "");
        assert_eq!(width_of_host_programs("i686-unknown-linux-gnu", "32"), "");
    }
}
