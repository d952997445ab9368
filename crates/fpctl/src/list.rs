//! `fpctl list`: the daemon's own lines, passed on as they come.

use std::io;

use fuse_promise_client::Context;

use crate::cli;
use crate::exit::Trouble;
use crate::json::JsonLines;
use crate::output::Output;

pub fn run(context: &Context, arguments: &cli::List) -> Result<(), Trouble> {
    let mut output = Output::new(io::stdout().lock());
    let nodes = !arguments.promises;
    let listed = if arguments.json {
        context.list(nodes, &mut JsonLines::new(&mut output))
    } else {
        context.list(nodes, &mut output)
    };
    // If the output failed, that is why the listing did.
    output.finish()?;
    Ok(listed?)
}
