//! Says which `cfg` this crate knows beside the workspace's own.

fn main() {
    // Set for the build that has tokio's unstable features, see `src/peers/tokio.rs`.
    println!("cargo::rustc-check-cfg=cfg(tokio_unstable)");
    println!("cargo::rerun-if-changed=build.rs");
}
