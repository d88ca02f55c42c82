//! The rule of `tidy` for the rooms of lupa-core: a room uses those below it, and none above.

use crate::rules::without_strings;

/// The rooms, low to high.
const ROOMS: [&str; 10] = [
    "base",
    "types",
    "rights",
    "runtime",
    "convert",
    "calls",
    "array",
    "objects",
    "python_lib",
    "classes",
];

/// Where they are.
const PLACE: &str = "crates/lupa-core/src/";

/// The place of a room among the others.
fn height(room: &str) -> Option<usize> {
    ROOMS.iter().position(|other| *other == room)
}

/// The problems of a file: each use that goes up.
pub(crate) fn problems(file: &str, text: &str) -> Vec<String> {
    let Some(inside) = file.strip_prefix(PLACE) else { return Vec::new() };
    let Some((room, _)) = inside.split_once('/') else {
        return match inside {
            "lib.rs" => Vec::new(),
            _ => vec![format!("{file}:1: is in no room")],
        };
    };
    let Some(own) = height(room) else {
        return vec![format!("{file}:1: {room} is no room of xtask/src/rooms.rs")];
    };
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for path in without_strings(line).split("crate::").skip(1) {
            let end = path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len());
            let (used, rest) = path.split_at(end);
            let problem = match height(used) {
                _ if path.starts_with('{') => "names several rooms in one path".to_owned(),
                Some(other) if other > own => {
                    format!("{room} uses {used}{rest}, which is above it")
                }
                _ => continue,
            };
            problems.push(format!("{file}:{}: {problem}", number + 1));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::problems;

    fn found(line: &str) -> usize {
        problems("crates/lupa-core/src/convert/new.rs", &format!("//! A.\n{line}\n")).len()
    }

    #[test]
    fn a_room_uses_what_is_below_it() {
        assert_eq!(found("use crate::runtime::entry::Entry;"), 0);
        assert_eq!(found("use crate::convert::quick;"), 0);
        assert_eq!(found("//! See [`crate::calls::hook`]."), 0);
        assert_eq!(found("let text = \"crate::calls\";"), 0);
    }

    #[test]
    fn a_room_uses_nothing_above_it() {
        assert_eq!(found("use crate::calls::callback::Callback;"), 1);
        assert_eq!(found("    crate::array::push(crate::objects::table::spec());"), 2);
        assert_eq!(found("use crate::{base, calls};"), 1);
    }

    #[test]
    fn each_file_has_a_room() {
        assert_eq!(problems("crates/lupa-core/src/new.rs", "").len(), 1);
        assert_eq!(problems("crates/lupa-core/src/attic/new.rs", "").len(), 1);
        assert_eq!(problems("crates/lupa-core/src/lib.rs", "use crate::classes::engine;").len(), 0);
        assert_eq!(problems("crates/lua-api/src/state.rs", "use crate::{a, b};").len(), 0);
    }
}
