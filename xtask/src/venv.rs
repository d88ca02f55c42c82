//! Virtual environments below the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{Result, command, fresh_folder, output, root, run, target};

/// A virtual environment.
pub(crate) struct Venv {
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Venv {
    /// The environment `target/<name>` of this Python, made if it is not there or is another's.
    pub(crate) fn new(name: &str, python: &str) -> Result<Self> {
        let venv = Self { folder: target(name), variables: Vec::new() };
        let wanted = identity(Path::new(python))?;
        let there = venv.program("python").is_file() && venv.program("pip").is_file();
        if !there || identity(&venv.program("python")).ok().as_ref() != Some(&wanted) {
            fresh_folder(&venv.folder)?;
            run(command(python).args(["-m", "venv"]).arg(&venv.folder))?;
        }
        Ok(venv)
    }

    /// Sets variables for all that runs in this environment.
    pub(crate) fn set(&mut self, variables: &[(&'static str, String)]) {
        self.variables.extend_from_slice(variables);
    }

    /// A program of this environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        if cfg!(windows) {
            self.folder.join("Scripts").join(name).with_extension("exe")
        } else {
            self.folder.join("bin").join(name)
        }
    }

    /// This environment's Python, away from the sources: it sees only what is installed.
    pub(crate) fn python(&self) -> Command {
        let mut python = command(self.program("python"));
        python.current_dir(&self.folder).env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        python.envs(self.variables.iter().cloned());
        python
    }

    /// Whether its Python is of this version or a later one.
    pub(crate) fn is_python(&self, major: u8, minor: u8) -> Result<bool> {
        let question = format!("import sys; print(sys.version_info >= ({major}, {minor}))");
        Ok(output(self.python().args(["-c", &question]))? == "True")
    }

    /// Installs packages.
    pub(crate) fn install(&self, packages: &[&str]) -> Result {
        run(self.pip().arg("install").args(["--quiet", "--progress-bar=on"]).args(packages))
    }

    /// Builds this project, with cargo's progress shown, and installs it.
    pub(crate) fn install_project(&self) -> Result {
        // pip hides what a build prints. After this, the build that it runs has nothing to compile.
        let mut build = command(self.program("python"));
        build.envs(self.variables.iter().cloned());
        run(build.arg("build-support/lupa_modules.py"))?;
        run(self.pip().args(["install", "--force-reinstall", "--no-deps"]).arg(root()))
    }

    fn pip(&self) -> Command {
        let mut pip = self.python();
        pip.args(["-m", "pip", "--disable-pip-version-check"]);
        pip
    }
}

/// The identity of a Python: its version and its prefix.
fn identity(python: &Path) -> Result<String> {
    output(command(python).args(["-c", "import sys; print(sys.version, sys.base_prefix)"]))
}
