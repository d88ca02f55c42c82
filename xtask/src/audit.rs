//! `audit`: known problems of the crates, and of the workflows that CI runs.

use crate::arguments::Arguments;
use crate::tools::{self, Result, cargo, root, target};
use crate::venv::Venv;

/// The version of cargo-deny, which has no package for Python and is compiled below the target folder.
const CARGO_DENY: &str = "0.20.2";

const ZIZMOR: &str = "zizmor==1.32.0";

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    let offline = arguments.flag("--offline");
    arguments.end()?;
    let folder = target("cargo-deny");
    tools::run(
        cargo()
            .args([
                "install",
                "--locked",
                "--quiet",
                "cargo-deny",
                "--version",
                CARGO_DENY,
                "--root",
            ])
            .arg(&folder),
    )?;
    let mut deny = tools::command(folder.join("bin").join("cargo-deny"));
    if offline {
        // Without the list of advisories, and without what only it would say.
        deny.args(["--offline", "check", "bans", "licenses", "sources"]);
    } else {
        deny.arg("check");
    }
    tools::run(&mut deny)?;
    let venv = Venv::new("tools-venv", &python)?;
    venv.install(&[ZIZMOR])?;
    let mut zizmor = tools::command(venv.program("zizmor"));
    if offline {
        zizmor.arg("--offline");
    }
    tools::run(zizmor.arg(root().join(".github")))
}
