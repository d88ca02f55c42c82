//! `bench`: this package and lupa 2.8, measured in turn; with the floor and mlua beside them.

use std::fs;

use crate::arguments::Arguments;
use crate::tools::{self, Result, root, target};
use crate::venv::Venv;

/// The package that this one replaces, and is measured against.
const UPSTREAM: &str = "lupa==2.8";

/// The package that draws the chart.
const CHARTS: &str = "matplotlib>=3.9";

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    let no_build = arguments.flag("--no-build");
    // `cargo xtask bench -- --quick` is understood as well.
    arguments.flag("--");
    let ours = Venv::new("bench-venv", &python)?;
    if !no_build {
        ours.install_project()?;
    }
    let upstream = Venv::new("bench-upstream-venv", &python)?;
    upstream.install(&[UPSTREAM])?;
    let driver = Venv::new("bench-driver-venv", &python)?;
    driver.install(&[CHARTS])?;

    let folder = target("bench");
    fs::create_dir_all(&folder)?;
    let (numbers, chart) = (folder.join("speed.json"), folder.join("speed.png"));
    let mut compare = driver.python();
    compare.current_dir(root()).arg("benches/compare.py");
    compare.args([ours.program("python"), upstream.program("python")]).arg("--floor");
    compare.arg("--json").arg(&numbers).arg("--chart").arg(&chart);
    // An option that is given again here has the last word.
    tools::run(compare.args(arguments.rest()))
}
