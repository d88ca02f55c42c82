//! Every fix finds its anchor exactly once in the pinned sources, and says so where it does not.

use std::fs;
use std::path::Path;

use lua_build::version::TABLE;
use lua_build::{source, sources};

#[test]
fn every_fix_fits_the_pinned_release() {
    for version in TABLE {
        assert!(!version.fixes.is_empty(), "{} has no fixes", version.name);
        let misfits = version.misfits(&source(version));
        assert!(misfits.is_empty(), "{}:\n{}", version.name, misfits.join("\n"));
    }
}

#[test]
fn another_release_is_reported_anchor_by_anchor() {
    for version in TABLE {
        let misfits = version.misfits(&sources().join("no such release"));
        let fixes: usize = version.fixes.iter().map(|group| group.len()).sum();
        assert!(misfits.len() >= fixes, "{}: {} of {fixes}", version.name, misfits.len());
    }
}

#[test]
fn an_anchor_that_is_there_twice_is_a_misfit() {
    let version = &TABLE[0];
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("twice");
    fs::create_dir_all(&folder).unwrap();
    let fix = version.fixes[0][0];
    for file in version.fixes.iter().copied().flatten().map(|fix| fix.file) {
        fs::copy(source(version).join(file), folder.join(file)).unwrap();
    }
    assert!(version.misfits(&folder).is_empty());
    let text = fs::read_to_string(folder.join(fix.file)).unwrap();
    fs::write(folder.join(fix.file), text + fix.place).unwrap();
    let misfits = version.misfits(&folder);
    assert_eq!(misfits.len(), 1, "{misfits:?}");
    assert!(misfits[0].contains(fix.file) && misfits[0].contains("2 times"), "{misfits:?}");
}
