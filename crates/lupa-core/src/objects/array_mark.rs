//! Metatables that mark a table as a list, also one without items: `python.array_mt`, and those of other libraries.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Raising, value};

use crate::runtime::entry::Entry;

/// The address of `python.array_mt`.
pub(crate) fn address<B: LuaBackend>(entry: &Entry<'_, B>) -> usize {
    let Some(reference) = entry.anchors.array_mt.get() else { return 0 };
    let state = entry.state();
    state.push_ref(reference);
    let address = state.to_pointer(-1).addr();
    state.pop(1);
    address
}

/// Whether the metatable on top says that its table is a list: `python.array_mt`, or, as other libraries mark arrays,
/// `__jsontype = "array"` or `array_mt` of cjson.
pub(crate) fn is_on<B: LuaBackend>(raising: Raising<'_, B>, array_mt: usize) -> bool {
    if raising.to_pointer(-1).addr() == array_mt {
        return true;
    }
    let top = raising.top();
    raising.push_bytes(b"__jsontype");
    raising.raw_get(top);
    let named = raising.with_bytes(-1, |text| text == Some(b"array"));
    raising.set_top(top);
    named || is_of_cjson(raising, top)
}

fn is_of_cjson<B: LuaBackend>(raising: Raising<'_, B>, metatable: i32) -> bool {
    let raw_field = |table: i32, name: &[u8]| {
        raising.push_bytes(name);
        raising.raw_get(table);
        raising.type_of(-1) == value::TABLE
    };
    raising.push_bytes(b"_LOADED");
    raising.raw_get(B::REGISTRY_INDEX);
    let mut found = false;
    if raising.type_of(-1) == value::TABLE {
        let loaded = raising.top();
        for module in [&b"cjson"[..], b"cjson.safe"] {
            if raw_field(loaded, module) {
                let module = raising.top();
                for name in [&b"array_mt"[..], b"empty_array_mt"] {
                    found |= raw_field(module, name) && raising.raw_equal(-1, metatable);
                }
            }
        }
    }
    raising.set_top(metatable);
    found
}
