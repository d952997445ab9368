//! The C ABI: every `fp_*` function of `fuse-promise.h`, over the Rust client.
//!
//! Nothing is decided here. An export is the same few lines each time: the guard, the arguments,
//! one call into the client, a status. The guard turns a panic into `FP_ERR_IO`, refuses calls in a
//! forked child and keeps the text that `fp_last_error` returns. Who owns a handle is said once, in
//! `handle`.
//!
//! The doc comments of exported items are written for the reader of the C header: cbindgen makes it
//! from them (`examples/header`).
#![allow(non_camel_case_types)]

mod argument;
mod callbacks;
mod fork;
mod guard;
mod handle;
mod panic_hook;
mod signals;
mod test_panic;

// What the header shows, and in its order.

mod version;

mod status;

mod last_error;

mod context;

mod provider;

mod provider_config;

mod promise;

mod cache;

mod destroy;

mod materialize;

mod job;
