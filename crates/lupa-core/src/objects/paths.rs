//! Where a table is in nested data: its path, for messages, and whether it contains itself.
#![forbid(unsafe_code)]

use pyo3::prelude::*;
use pyo3::types::PyInt;

use crate::base::error::{Error, Result};

/// A table of nested data.
pub(crate) struct Node<'py> {
    /// The table in which it was found first; the first table has itself.
    pub(crate) parent: usize,
    pub(crate) key: Key<'py>,
    /// The first table has 1.
    pub(crate) depth: usize,
    /// Its number among the anchors.
    pub(crate) anchor: i64,
}

/// A key of a table.
#[derive(Clone)]
pub(crate) enum Key<'py> {
    /// Of a sequence, from 0 on.
    Index(usize),
    Object(Bound<'py, PyAny>),
}

/// How many keys of a path are shown, and how many characters of a key.
const SHOWN: usize = 16;
const LONGEST: usize = 40;

/// A place as text, such as `value['users'][3]`; the indices are those of Lua.
///
/// # Errors
/// What the `repr` of a key raises.
pub(crate) fn path<'py>(
    nodes: &[Node<'py>],
    node: usize,
    key: Option<&Key<'py>>,
) -> Result<String> {
    let mut parts: Vec<String> = key.map(shown).transpose()?.into_iter().collect();
    let mut at = node;
    while at != 0 {
        if parts.len() >= SHOWN {
            parts.push("[...]".to_owned());
            break;
        }
        parts.push(shown(&nodes[at].key)?);
        at = nodes[at].parent;
    }
    parts.push("value".to_owned());
    parts.reverse();
    Ok(parts.concat())
}

fn shown(key: &Key<'_>) -> Result<String> {
    let text = match key {
        Key::Index(index) => return Ok(format!("[{}]", index + 1)),
        Key::Object(key) if key.is_exact_instance_of::<PyInt>() => return Ok(format!("[{key}]")),
        Key::Object(key) => key.repr()?.to_string_lossy().into_owned(),
    };
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    Ok(format!("[{short}]"))
}

/// A place at which a table contains one that it is in; `places` are (parent, key, child).
///
/// # Errors
/// [`Error::Memory`].
pub(crate) fn find_cycle(
    count: usize,
    places: &[(usize, Key<'_>, usize)],
) -> Result<Option<usize>> {
    // Tables without a way into them that is not gone yet are taken away, with their ways to others, until none is left.
    let mut into = filled(count, 0_usize)?;
    let mut first_of = filled(count + 1, 0_usize)?;
    for (parent, _, child) in places {
        into[*child] += 1;
        first_of[parent + 1] += 1;
    }
    for node in 0..count {
        first_of[node + 1] += first_of[node];
    }
    // Tables were read in order, so the places of each stand together.
    let mut free: Vec<usize> = Vec::new();
    free.try_reserve(count).map_err(|_| Error::Memory)?;
    free.extend((0..count).filter(|node| into[*node] == 0));
    while let Some(node) = free.pop() {
        for (_, _, child) in &places[first_of[node]..first_of[node + 1]] {
            into[*child] -= 1;
            if into[*child] == 0 {
                free.push(*child);
            }
        }
    }
    // What is left is a cycle, or leads out of one: a way back leads to a table that was found earlier.
    let left = |node: &usize| into[*node] > 0;
    Ok(places.iter().position(|(parent, _, child)| left(parent) && left(child) && child <= parent))
}

fn filled(count: usize, value: usize) -> Result<Vec<usize>> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(count).map_err(|_| Error::Memory)?;
    vector.resize(count, value);
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(count: usize, edges: &[(usize, usize)]) -> Option<usize> {
        let places: Vec<_> = edges.iter().map(|&(from, to)| (from, Key::Index(0), to)).collect();
        find_cycle(count, &places).expect("there is memory")
    }

    #[test]
    fn cycles_are_found_and_shared_tables_are_none() {
        assert_eq!(cycle(1, &[]), None);
        assert_eq!(cycle(1, &[(0, 0)]), Some(0));
        assert_eq!(cycle(3, &[(0, 1), (0, 2), (1, 2)]), None);
        assert_eq!(cycle(3, &[(0, 1), (1, 2), (2, 1)]), Some(2));
        assert_eq!(cycle(3, &[(0, 1), (1, 2), (2, 0)]), Some(2));
    }
}
