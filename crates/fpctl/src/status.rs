//! `fpctl status`: what is known of the daemon, or of where it would be.
//!
//! The facts are gathered once, as records, and shown in one of three ways. Scripts rely on the
//! first nine keys and on their being there without a daemon too.

use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;

use fuse_promise_client::{Context, DaemonStatus, Start};
use fuse_promise_core::{API_VERSION, Record};

use crate::cli;
use crate::exit::Trouble;
use crate::facts::{self, lines};
use crate::json::Object;

pub fn run(context: &Context, arguments: &cli::Status) -> Result<(), Trouble> {
    let start = if arguments.start {
        Start::IfNeeded
    } else {
        Start::Never
    };
    let asked = context.status(start);
    let daemon = asked.as_ref().ok().and_then(Option::as_ref);
    let facts = daemon.map_or_else(|| without_daemon(context), with_daemon);
    show(&facts, daemon.is_some(), arguments.json)?;
    // A daemon that did not answer, or could not be started, is said after what is known.
    Ok(asked.map(drop)?)
}

fn show(facts: &Record, connected: bool, json: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut output, &Object(facts))?;
        writeln!(output)?;
    } else if output.is_terminal() {
        output.write_all(table(facts, connected).as_bytes())?;
    } else {
        output.write_all(lines(facts).as_bytes())?;
    }
    output.flush()
}

fn with_daemon(daemon: &DaemonStatus) -> Record {
    let mut facts = Record::default()
        .field("api_version", API_VERSION)
        .bytes("mount_path", daemon.mount_path.as_os_str().as_bytes())
        .bytes("socket_path", daemon.socket_path.as_os_str().as_bytes())
        .field("daemon", "connected")
        .field("mount", &daemon.mount)
        .field("fuse_adapter", &daemon.fuse_adapter)
        .field("cache_policy", &daemon.cache_policy)
        .field("providers", daemon.providers)
        .field("promises", daemon.promises)
        .field("version", &daemon.version)
        .field("protocol_version", daemon.protocol_version)
        .field("survives", &daemon.survives);
    if !daemon.mount_reason.is_empty() {
        facts = facts.field("mount_reason", &daemon.mount_reason);
    }
    for (name, value) in &daemon.gauges {
        if facts.get(name).is_none() {
            facts = facts.field(name, value);
        }
    }
    facts
}

fn without_daemon(context: &Context) -> Record {
    let directory = context.runtime_dir();
    Record::default()
        .field("api_version", API_VERSION)
        .bytes("mount_path", directory.mount_path().as_os_str().as_bytes())
        .bytes(
            "socket_path",
            directory.socket_path().as_os_str().as_bytes(),
        )
        .field("daemon", "not-connected")
        .field("mount", "not-mounted")
        .field("fuse_adapter", "enabled")
        .field("cache_policy", "unknown")
        .field("providers", 0)
        .field("promises", 0)
}

/// For people, who may wonder how to get a daemon.
fn table(facts: &Record, connected: bool) -> String {
    let mut table = facts::table(facts);
    if !connected {
        table.push_str("No daemon answers. It starts by itself when a program needs it, ");
        table.push_str("or with: fpctl status --start\n");
    }
    table
}

#[cfg(test)]
mod tests;
