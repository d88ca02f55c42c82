//! Code that tasks share: the project's folders, and commands run with their output shown.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// The result of a task: an error is a message for the person who ran it.
pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The project's top folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask is a folder of the project").to_owned()
}

/// A path below cargo's target folder.
pub(crate) fn target(path: &str) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    root().join(target).join(path)
}

/// A command that runs in the project's top folder.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command with its output shown, after a line that says what it is.
pub(crate) fn run(command: &mut Command) -> Result {
    eprintln!("\n$ {}", shown(command));
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{} failed ({status})", shown(command)).into())
}

/// The output of a command, without the last line's end. Its standard error is shown.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let finished =
        command.stderr(Stdio::inherit()).output().map_err(|error| cannot_start(command, &error))?;
    if !finished.status.success() {
        return Err(format!("{} failed ({})", shown(command), finished.status).into());
    }
    Ok(String::from_utf8(finished.stdout)?.trim_end().to_owned())
}

/// An empty folder in the place of whatever was there.
pub(crate) fn fresh_folder(folder: &Path) -> Result {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

/// The files that git knows or would add, relative to the top folder.
pub(crate) fn project_files() -> Result<Vec<PathBuf>> {
    let listing = output(command("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]))?;
    let mut files: Vec<PathBuf> =
        listing.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    // git lists a deleted file until the deletion is committed.
    files.retain(|file| root().join(file).is_file());
    files.sort();
    Ok(files)
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot run {}: {error}", command.get_program().to_string_lossy())
}

fn shown(command: &Command) -> String {
    let root = root();
    let short = |word: &OsStr| {
        let path = Path::new(word);
        match path.strip_prefix(&root) {
            Ok(inside) if inside == Path::new("") => ".".to_owned(),
            Ok(inside) => inside.display().to_string(),
            Err(_) => path.display().to_string(),
        }
    };
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(short)
        .map(|word| if word.contains(char::is_whitespace) { format!("'{word}'") } else { word })
        .collect();
    words.join(" ")
}
