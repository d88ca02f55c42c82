//! The rule of `tidy` for unsafe code: the files that contain some are on a list, which may only shrink.

/// Files that may contain unsafe code. A file that gets rid of its own is taken off; none is added without a
/// reason that its reviewers share.
const ALLOWED: &[&str] = &[
    "crates/lua-api/src/alloc.rs",
    "crates/lua-api/src/backend.rs",
    "crates/lua-api/src/bindings.rs",
    "crates/lua-api/src/dl.rs",
    "crates/lua-api/src/families.rs",
    "crates/lua-api/src/fence.rs",
    "crates/lua-api/src/instance.rs",
    "crates/lua-api/src/pool.rs",
    "crates/lua-api/src/raw.rs",
    "crates/lua-api/src/state.rs",
    "crates/lua-api/src/watch.rs",
    "crates/lua-module-fixture/src/lib.rs",
    "crates/lupa-core/src/array/buffer.rs",
    "crates/lupa-core/src/array/memory.rs",
    "crates/lupa-core/src/base/fallible.rs",
    "crates/lupa-core/src/base/gil.rs",
    "crates/lupa-core/src/base/guard.rs",
    "crates/lupa-core/src/calls/callback.rs",
    "crates/lupa-core/src/convert/everyday.rs",
    "crates/lupa-core/src/runtime/boxes.rs",
    "crates/lupa-core/src/runtime/owned.rs",
    "crates/lupa-core/src/types/alive.rs",
    "crates/lupa-core/src/types/compat.rs",
    "crates/lupa-core/src/types/heap_type.rs",
    "crates/lupa-core/src/types/slots.rs",
];

/// Crates in which all other files say that they forbid it.
const FORBIDDING: [&str; 2] = ["crates/lua-api/src/", "crates/lupa-core/src/"];

/// The words by which the compiler is told so.
const FORBIDS: &str = "#![forbid(unsafe_code)]";

/// The problem of a file, if there is one.
pub(crate) fn problem(file: &str, text: &str) -> Option<String> {
    if !file.ends_with(".rs") {
        return None;
    }
    let allowed = ALLOWED.contains(&file);
    let contains = text.lines().any(is_unsafe);
    let forbids = text.lines().any(|line| line == FORBIDS);
    // An attribute in one of these two also holds for the files below.
    let above = file.ends_with("/lib.rs") || file.ends_with("/mod.rs");
    let what = if contains && !allowed {
        "contains unsafe code, and is not on the list in xtask/src/unsafety.rs, which may only shrink"
    } else if !contains && allowed {
        "contains no unsafe code any more: take it off the list in xtask/src/unsafety.rs"
    } else if !contains
        && !forbids
        && !above
        && FORBIDDING.iter().any(|place| file.starts_with(place))
    {
        "contains no unsafe code, and does not say #![forbid(unsafe_code)]"
    } else {
        return None;
    };
    Some(format!("{file}:1: {what}"))
}

/// Whether a line has the word outside of comments and strings.
fn is_unsafe(line: &str) -> bool {
    let code = crate::rules::without_strings(line);
    let code = code.split("//").next().unwrap_or_default();
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == "unsafe")
}

#[cfg(test)]
mod tests {
    use super::{is_unsafe, problem};

    #[test]
    fn only_code_counts() {
        assert!(is_unsafe("    unsafe { call() }"));
        assert!(is_unsafe("pub unsafe fn f() {}"));
        assert!(!is_unsafe("// unsafe"));
        assert!(!is_unsafe("let a = \"unsafe\";"));
        assert!(!is_unsafe("#![forbid(unsafe_code)]"));
    }

    #[test]
    fn files_off_the_list_are_found() {
        assert!(problem("crates/lupa-core/src/new.rs", "//! A.\nunsafe fn f() {}\n").is_some());
        assert!(problem("crates/lupa-core/src/new.rs", "//! A.\nfn f() {}\n").is_some());
        let safe = "//! A.\n#![forbid(unsafe_code)]\nfn f() {}\n";
        assert!(problem("crates/lupa-core/src/new.rs", safe).is_none());
        assert!(problem("xtask/src/new.rs", "//! A.\nfn f() {}\n").is_none());
    }
}
