//! What a peer, a file or a pipe can bring, given as arbitrary bytes: nothing panics, nothing
//! hangs, and what is accepted means what it says. `cargo xtask fuzz` runs these for as long as
//! it is told. The target for the calls on the bus lies beside the daemon's bus tests.

#![forbid(unsafe_code)]

mod frames;
mod image;
mod options;
mod records;
mod session;
mod shared_memory;
