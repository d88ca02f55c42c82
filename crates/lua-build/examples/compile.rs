//! Compiles Luas as their crates' build scripts do, for the target that the environment describes as cargo does for
//! those: how `cargo xtask check-targets` does it where there is no Rust for a target.

fn main() {
    for name in std::env::args().skip(1) {
        lua_build::build(&name);
    }
}
