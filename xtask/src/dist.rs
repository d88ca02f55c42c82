//! `wheel` and `sdist`: what is given to others, in `dist/`, and checked.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arguments::Arguments;
use crate::tools::{Result, command, fresh_folder, output, root, run, target};
use crate::venv::Venv;

/// The packages that make wheels and sdists: the front end, and the build system's requirement, as in pyproject.toml.
const BUILD: [&str; 2] = ["build>=1.2,<2", "tomli; python_version < '3.11'"];

/// The packages that make wheels for an older glibc, as `build-support/lupa_modules.py` names it.
const MANYLINUX: [&str; 2] = ["cargo-zigbuild>=0.24,<0.25", "ziglang>=0.17,<0.18"];

/// The packages that check wheels and sdists.
const CHECKS: [&str; 2] = ["check-wheel-contents", "twine"];

/// The platforms that a wheel is for.
struct Options {
    python: String,
    manylinux: Option<String>,
    abi3: bool,
}

/// Makes a wheel of what is in the tree, and checks it.
pub(crate) fn wheel(mut arguments: Arguments) -> Result {
    let free_threaded = arguments.flag("--free-threaded");
    let abi3 = arguments.flag("--abi3");
    let manylinux = arguments.option("--manylinux")?;
    let python = match arguments.option("--python")? {
        Some(python) => python,
        None if free_threaded => free_threaded_python()?,
        None => "python3".to_owned(),
    };
    arguments.end()?;
    if free_threaded && abi3 {
        return Err("the stable ABI is for Pythons with the GIL: --abi3 or --free-threaded".into());
    }
    if free_threaded && !is_free_threaded(&python)? {
        return Err(format!("{python} has the GIL; --python names a free-threaded Python").into());
    }
    let options = Options { python, manylinux, abi3 };
    let (mut tools, mut checks) = (BUILD.to_vec(), CHECKS.to_vec());
    let mut build = vec!["--wheel".to_owned(), "--no-isolation".into()];
    let mut modules = vec!["build-support/lupa_modules.py".to_owned()];
    if let Some(glibc) = &options.manylinux {
        tools.extend(MANYLINUX);
        checks.push("auditwheel");
        build.push(format!("-Cmanylinux={glibc}"));
        modules.push(format!("--manylinux={glibc}"));
    }
    if options.abi3 {
        checks.push("abi3audit");
        build.push("-Cabi3=1".into());
        modules.push("--abi3".into());
    }
    let venv = Venv::new("build-venv", &options.python)?;
    venv.install(&tools)?;
    // The front end hides what a build prints. After this, the build that it runs has nothing to compile.
    run(command(venv.program("python")).args(&modules))?;
    let wheel = made(&venv, &build)?;
    check_wheel(&checking(&options.python, &checks)?, &wheel, &options)?;
    println!("\n{} ({} bytes)", wheel.display(), fs::metadata(&wheel)?.len());
    Ok(())
}

/// Makes the source distribution, with all that a build without network needs, and checks it.
pub(crate) fn sdist(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    arguments.end()?;
    let venv = Venv::new("build-venv", &python)?;
    venv.install(&BUILD)?;
    let sdist = made(&venv, &["--sdist".to_owned(), "--no-isolation".into()])?;
    run(checking(&python, &CHECKS)?
        .python()
        .args(["-m", "twine", "check", "--strict"])
        .arg(&sdist))?;
    println!("\n{} ({} bytes)", sdist.display(), fs::metadata(&sdist)?.len());
    Ok(())
}

/// The environment of what looks at files for this Python: not free-threaded, if that can be had, as these
/// tools do not all have wheels for such a Python.
fn checking(python: &str, tools: &[&str]) -> Result<Venv> {
    let usual = "python3";
    let other = is_free_threaded(python)? && is_free_threaded(usual).is_ok_and(|free| !free);
    let venv = Venv::new("check-venv", if other { usual } else { python })?;
    venv.install(tools)?;
    Ok(venv)
}

/// Runs the front end; the one file that it makes, which is then in `dist`.
fn made(venv: &Venv, arguments: &[String]) -> Result<PathBuf> {
    let fresh = target("dist");
    fresh_folder(&fresh)?;
    run(venv
        .python()
        .args(["-m", "build"])
        .args(arguments)
        .arg("--outdir")
        .arg(&fresh)
        .arg(root()))?;
    let mut files = fs::read_dir(&fresh)?.collect::<std::io::Result<Vec<_>>>()?;
    let (Some(file), true) = (files.pop(), files.is_empty()) else {
        return Err(format!("not one file was made in {}", fresh.display()).into());
    };
    let dist = root().join("dist");
    fs::create_dir_all(&dist)?;
    let place = dist.join(file.file_name());
    fs::copy(file.path(), &place)?;
    Ok(place)
}

/// Checks a wheel by other people's tools: its metadata, its contents, and its tags.
fn check_wheel(venv: &Venv, wheel: &Path, options: &Options) -> Result {
    run(venv.python().args(["-m", "twine", "check", "--strict"]).arg(wheel))?;
    // W002: stubs and licences of several modules are the same.
    run(command(venv.program("check-wheel-contents")).args(["--ignore", "W002"]).arg(wheel))?;
    if options.abi3 {
        run(venv.python().args(["-m", "abi3audit", "--strict", "--summary"]).arg(wheel))?;
    }
    let Some(glibc) = &options.manylinux else { return Ok(()) };
    // auditwheel says which platform the symbols allow: it must be the one in the name, or an older one.
    let report = output(venv.python().args(["-m", "auditwheel", "show"]).arg(wheel))?;
    println!("{report}");
    let allowed = audited_glibc(&report).ok_or("auditwheel names no manylinux platform")?;
    let wanted = version(glibc).ok_or("--manylinux takes a version of glibc, as 2_17")?;
    if allowed > wanted {
        let (major, minor) = allowed;
        return Err(format!("the modules need glibc {major}.{minor}, not only {glibc}").into());
    }
    Ok(())
}

/// The glibc of the platform that auditwheel finds a wheel to be consistent with.
fn audited_glibc(report: &str) -> Option<(u32, u32)> {
    // The words may be on two lines.
    let words: Vec<&str> = report.split_whitespace().collect();
    let text = words.join(" ");
    let (_, rest) = text.split_once("platform tag: \"manylinux_")?;
    let mut numbers = rest.split('_');
    version(&format!("{}_{}", numbers.next()?, numbers.next()?))
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('_')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// A free-threaded Python on `PATH`, the newest.
fn free_threaded_python() -> Result<String> {
    let names = (13..=20).rev().map(|minor| format!("python3.{minor}t"));
    for name in names.chain(["python3t".to_owned(), "python3".to_owned()]) {
        if is_free_threaded(&name).unwrap_or(false) {
            return Ok(name);
        }
    }
    Err("no free-threaded Python is on PATH; --python names one".into())
}

fn is_free_threaded(python: &str) -> Result<bool> {
    let script = "import sysconfig; print(bool(sysconfig.get_config_var('Py_GIL_DISABLED')))";
    Ok(output(command(python).args(["-c", script]))? == "True")
}

#[cfg(test)]
mod tests {
    use super::{audited_glibc, version};

    #[test]
    fn versions_of_glibc() {
        assert_eq!(version("2_17"), Some((2, 17)));
        assert_eq!(version("2.17"), None);
        assert_eq!(version("2014"), None);
    }

    #[test]
    fn the_audited_platform() {
        let report = "The wheel references external versioned symbols\n\nThis constrains the platform \
                      tag\nto \"manylinux_2_39_x86_64\". In order\n\
                      The following tag is consistent: platform\ntag: \"manylinux_2_17_x86_64\".";
        assert_eq!(audited_glibc(report), Some((2, 17)));
        assert_eq!(audited_glibc("platform tag: \"linux_x86_64\""), None);
    }
}
