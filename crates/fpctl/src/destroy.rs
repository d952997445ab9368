//! `fpctl destroy`: takes promises out of the listing, each by itself, and says which.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use fuse_promise_client::Context;
use fuse_promise_core::{Failure, PromiseNumber, Record};

use crate::cli;
use crate::exit::Trouble;
use crate::path::absolute;

pub fn run(context: &Context, arguments: &cli::Destroy) -> Result<(), Trouble> {
    let mut first = None;
    // Whoever reads the lines may go, and the promises go all the same.
    let mut printed = Ok(());
    for promise in &arguments.promises {
        match destroy(context, promise) {
            Ok(number) => {
                let line = Record::new("destroyed").field("promise", number.id());
                printed = printed.and(writeln!(io::stdout(), "{line}"));
            }
            Err(failure) => {
                eprintln!("fpctl: {}", failure.message);
                first.get_or_insert(failure.status);
            }
        }
    }
    match first {
        Some(status) => Err(Trouble::Told(status)),
        None => Ok(printed?),
    }
}

fn destroy(context: &Context, promise: &OsStr) -> Result<PromiseNumber, Failure> {
    if promise.to_str().and_then(PromiseNumber::parse).is_some() {
        return context.destroy(promise);
    }
    context.destroy(absolute(Path::new(promise))?.as_os_str())
}
