//! The rules of `tidy`, each a function of one file.

/// The longest that a file of Rust may be.
const MOST_LINES: usize = 500;

/// The longest that one of Python may be: tests have tables of inputs.
const MOST_LINES_OF_PYTHON: usize = 600;

/// The file that `cargo xtask bindgen` writes.
const GENERATED: &str = "crates/lua-api/src/bindings.rs";

/// Where Lua's API may be called as it is: behind it, everything else is the fence's.
const RAW_CALLS: [&str; 5] = [
    "crates/lua-api/",
    "crates/lua5",
    "crates/luajit",
    "crates/lua-build/",
    "crates/lua-module-fixture/",
];

/// Where the core may call a backend's associated functions: frames that Lua itself calls.
const BACKEND_CALLS: [&str; 3] = ["callback.rs", "coroutine.rs", "metamethods.rs"];

/// The problems of a file, each with its place.
pub(crate) fn problems(file: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut add = |line: usize, what: &str| problems.push(format!("{file}:{line}: {what}"));
    let rust = file.ends_with(".rs") && file != GENERATED;
    if rust && !text.starts_with("//!") {
        add(1, "a Rust file begins with a `//!` line that says what lives there");
    }
    let source = rust || file.ends_with(".py") || file.ends_with(".pyi");
    let lines = text.lines().count();
    let most = if rust { MOST_LINES } else { MOST_LINES_OF_PYTHON };
    if source && lines > most {
        add(lines, &format!("more than {most} lines"));
    }
    for (number, line) in text.lines().enumerate() {
        if has_home_path(line) {
            add(number + 1, "a path of somebody's machine");
        }
        if !rust || line.trim_start().starts_with("//") {
            continue;
        }
        if file.starts_with("crates/lupa-core/") {
            if let Some(name) = version_name(line) {
                add(number + 1, &format!("the core names {name}; ask a constant of the backend"));
            }
            if line.contains("cfg(") && line.contains("feature") {
                add(number + 1, "the core is one for all versions, and has no features");
            }
        }
        match raw_call(&without_strings(line)) {
            // A file may call something of its own so.
            Some(Call::Plain(name)) if text.contains(&format!("let {name} = ")) => {}
            Some(Call::Plain(name)) if !RAW_CALLS.iter().any(|place| file.starts_with(place)) => {
                add(number + 1, &format!("{name} is called outside lua-api"));
            }
            Some(Call::Associated(name))
                if file.starts_with("crates/lupa-core/")
                    && !BACKEND_CALLS.iter().any(|place| file.ends_with(place)) =>
            {
                add(number + 1, &format!("{name} is called outside the fence"));
            }
            _ => {}
        }
    }
    problems
}

/// Python's spelling of a version of Cargo.
pub(crate) fn python_version(cargo: &str) -> String {
    let Some((release, pre)) = cargo.split_once('-') else { return cargo.to_owned() };
    let (kind, number) = pre.split_once('.').unwrap_or((pre, "0"));
    match kind {
        "dev" => format!("{release}.dev{number}"),
        "alpha" => format!("{release}a{number}"),
        "beta" => format!("{release}b{number}"),
        _ => format!("{release}{kind}{number}"),
    }
}

/// A call of Lua's C API.
#[derive(Debug, PartialEq)]
enum Call<'a> {
    /// `lua_call(...)`
    Plain(&'a str),
    /// `B::lua_call(...)`
    Associated(&'a str),
}

fn raw_call(line: &str) -> Option<Call<'_>> {
    words(line).find_map(|(at, word)| {
        let named = ["lua_", "luaL_", "luaJIT_", "luaopen_"];
        let api = named.iter().any(|prefix| word.starts_with(prefix));
        let called = line[at + word.len()..].starts_with('(');
        let defined = line[..at].ends_with("fn ");
        // This only asks a backend where a function is.
        let address = word.ends_with("_address");
        if !api || !called || defined || address {
            return None;
        }
        Some(match line[..at].ends_with("B::") {
            true => Call::Associated(word),
            false => Call::Plain(word),
        })
    })
}

/// The name of a version in a line of code, as `lua54` or `"luajit"`.
fn version_name(line: &str) -> Option<&str> {
    let code = line.split(" // ").next().unwrap_or(line);
    words(code).map(|(_, word)| word).find(|word| {
        let lower = word.to_ascii_lowercase();
        let number = lower.strip_prefix("luajit").or_else(|| lower.strip_prefix("lua"));
        *word == "luajit"
            || number.is_some_and(|number| {
                number.len() >= 2 && number.bytes().all(|byte| byte.is_ascii_digit())
            })
    })
}

/// A line without what its strings say.
pub(crate) fn without_strings(line: &str) -> String {
    let mut inside = false;
    let mut escaped = false;
    line.chars()
        .filter(|&c| {
            let quote = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            inside ^= quote;
            quote || !inside
        })
        .collect()
}

fn has_home_path(line: &str) -> bool {
    // Put together here, so that this file is tidy.
    ["home", "Users"].iter().any(|folder| {
        let prefix = format!("/{folder}/");
        line.match_indices(&prefix).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + prefix.len()..].chars().next();
            before.is_none_or(|c| !c.is_alphanumeric() && c != '.' && c != '_' && c != '/')
                && after.is_some_and(char::is_alphanumeric)
        })
    }) || line.contains(&format!("/{}/", "root"))
}

/// The identifiers of a line, and where they are.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = line.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !part(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && part(bytes[at]) {
            at += 1;
        }
        (start < at).then(|| (start, &line[start..at]))
    })
}

#[cfg(test)]
mod tests {
    use super::{Call, has_home_path, problems, python_version, raw_call, version_name};

    fn core(line: &str) -> Vec<String> {
        problems("crates/lupa-core/src/table.rs", &format!("//! Tables.\n{line}\n"))
    }

    #[test]
    fn rust_files_say_what_they_hold() {
        assert_eq!(problems("xtask/src/a.rs", "fn main() {}\n").len(), 1);
        assert_eq!(problems("xtask/src/a.rs", "//! A.\nfn main() {}\n").len(), 0);
        assert_eq!(problems("crates/lua-api/src/bindings.rs", "pub type A = u8;\n").len(), 0);
    }

    #[test]
    fn long_files_are_to_be_split() {
        assert_eq!(problems("tests/test_a.py", &"pass\n".repeat(601)).len(), 1);
        assert_eq!(problems("tests/test_a.py", &"pass\n".repeat(600)).len(), 0);
        assert_eq!(problems("Cargo.lock", &"\n".repeat(601)).len(), 0);
    }

    #[test]
    fn the_core_knows_no_version() {
        assert_eq!(core("if B::NAME == \"lua54\" {").len(), 1);
        assert_eq!(core("#[cfg(feature = \"x\")]").len(), 1);
        assert_eq!(core("/// As lua54 does.").len(), 0);
        assert_eq!(version_name("if B::NAME.starts_with(\"luajit\") {"), Some("luajit"));
        assert_eq!(version_name("lua_type(l, 1) + lua2"), None);
    }

    #[test]
    fn raw_calls_are_found() {
        assert_eq!(raw_call("unsafe { lua_pop(l, 1) }"), Some(Call::Plain("lua_pop")));
        assert_eq!(raw_call("B::luaL_ref(l, 1)"), Some(Call::Associated("luaL_ref")));
        assert_eq!(raw_call("fn lua_type(object: &Object)"), None);
        assert_eq!(raw_call("module.add(wrap!(lua_type))"), None);
        assert_eq!(core("B::lua_settop(l, 0);").len(), 1);
        assert_eq!(core("print(\"lua_pop(l, 1)\");").len(), 0);
        assert_eq!(core("let lua_error = |text| new(text); lua_error(\"closed\")").len(), 0);
        let callback = "//! Callbacks.\nB::lua_settop(l, 0);\n";
        assert_eq!(problems("crates/lupa-core/src/callback.rs", callback).len(), 0);
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        assert!(has_home_path(&format!("see /{}/ann/lupa", "home")));
        assert!(!has_home_path(&format!("https://example.org/{}/page", "home")));
    }

    #[test]
    fn versions_of_cargo_in_pythons_spelling() {
        assert_eq!(python_version("3.0.0-dev.0"), "3.0.0.dev0");
        assert_eq!(python_version("3.0.0-rc.2"), "3.0.0rc2");
        assert_eq!(python_version("3.0.1"), "3.0.1");
    }
}
