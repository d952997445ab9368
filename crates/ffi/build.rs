//! Link arguments of the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Programs record this name, not the file's; it changes only when the ABI breaks.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libfusepromise.so.1");
    // The library has threads and per-thread texts: dlclose() must not take their code away.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
