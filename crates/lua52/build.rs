//! Builds or finds this crate's Lua.

fn main() {
    lua_build::build("lua52");
}
