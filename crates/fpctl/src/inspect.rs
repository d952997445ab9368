//! `fpctl inspect`: what the daemon knows of single nodes, each asked for by itself.

mod place;

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use fuse_promise_client::{Context, InspectedError, InspectedNode};
use fuse_promise_core::{Failure, Record, Status};

use crate::cli;
use crate::exit::Trouble;
use crate::facts::{lines, table};
use crate::json::Object;
use crate::time::utc;

pub fn run(context: &Context, arguments: &cli::Inspect) -> Result<(), Trouble> {
    let mut output = io::stdout().lock();
    let form = match (arguments.json, output.is_terminal()) {
        (true, _) => Form::Json,
        (false, true) => Form::Table,
        (false, false) => Form::Lines,
    };
    let mut first = None;
    let mut shown = false;
    for path in &arguments.paths {
        match inspect(context, path) {
            Ok(facts) => form.show(&facts, std::mem::replace(&mut shown, true), &mut output)?,
            Err(failure) => {
                eprintln!("fpctl: {}", failure.message);
                first.get_or_insert(failure.status);
            }
        }
    }
    output.flush()?;
    first.map_or(Ok(()), |status| Err(Trouble::Told(status)))
}

fn inspect(context: &Context, path: &Path) -> Result<Record, Failure> {
    let mount = context.runtime_dir().mount_path();
    let node = context.inspect(&place::in_mount(path, &mount)?)?;
    Ok(facts(&node))
}

enum Form {
    Json,
    Table,
    Lines,
}

impl Form {
    /// An empty line parts what is not one line itself from what was shown before.
    fn show(&self, facts: &Record, after_other: bool, output: &mut impl Write) -> io::Result<()> {
        let text = match self {
            Self::Json => {
                serde_json::to_writer(&mut *output, &Object(facts))?;
                return writeln!(output);
            }
            Self::Table => table(facts),
            Self::Lines => lines(facts),
        };
        if after_other {
            writeln!(output)?;
        }
        output.write_all(text.as_bytes())
    }
}

/// The first ones as `fpctl list` has them.
fn facts(node: &InspectedNode) -> Record {
    let facts = Record::default()
        .field("promise", &node.promise)
        .bytes("path", &node.path)
        .field("inode", node.inode)
        .field("kind", &node.kind)
        .field("size", node.size)
        .field("mode", format_args!("{:o}", node.mode))
        .field("mtime", utc(node.mtime_nsec))
        .bytes("provider_node", &node.node_id)
        .field("provider", node.provider)
        .field("provider_pid", node.provider_pid)
        .field("provider_program", &node.provider_program)
        .field("provider_state", &node.provider_state)
        .field("state", &node.state)
        .field("cache_policy", &node.cache_policy)
        .field("cached_bytes", node.cached_bytes)
        .field("materialized_bytes", node.materialized_bytes)
        .field("opens", node.opens)
        .field("errors", node.errors);
    let facts = with_error(facts, "last_error", node.last_error.as_ref());
    let facts = facts
        .field("promise_reads", node.promise_reads)
        .field("promise_served_bytes", node.promise_served_bytes)
        .field("promise_errors", node.promise_errors);
    let last = node.promise_last_error.as_ref();
    let facts = with_error(facts, "promise_last_error", last);
    match last {
        Some(error) => facts.bytes("promise_last_error_path", &error.path),
        None => facts,
    }
}

/// Nothing if nothing has failed.
fn with_error(facts: Record, key: &str, error: Option<&InspectedError>) -> Record {
    let Some(error) = error else { return facts };
    // A status of a later daemon may be none that is known here.
    let text = Status::from_code(error.status).map_or("unknown", Status::text);
    let facts = facts
        .field(key, text)
        .field(&format!("{key}_time"), utc(error.time_nsec))
        .field(&format!("{key}_reason"), &error.reason);
    if error.length == 0 {
        return facts;
    }
    facts
        .field(&format!("{key}_offset"), error.offset)
        .field(&format!("{key}_length"), error.length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> InspectedNode {
        let error = InspectedError {
            path: b"b c".to_vec(),
            status: Status::Permission.code(),
            time_nsec: 1,
            reason: "the provider said so".into(),
            offset: 7,
            length: 9,
        };
        InspectedNode {
            promise: "promise-3".into(),
            path: b"7".to_vec(),
            kind: "file".into(),
            mode: 0o640,
            node_id: b"12".to_vec(),
            provider_program: "99".into(),
            promise_last_error: Some(error),
            ..InspectedNode::default()
        }
    }

    fn shown(form: &Form) -> String {
        let mut output = Vec::new();
        for after_other in [false, true] {
            form.show(&facts(&node()), after_other, &mut output)
                .unwrap();
        }
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn each_node_is_a_block_of_lines() {
        let shown = shown(&Form::Lines);
        let (first, second) = shown.split_once("\n\n").unwrap();
        assert_eq!(format!("{first}\n"), second);
        let lines: Vec<_> = first.lines().collect();
        assert_eq!(lines[..2], ["promise=promise-3", "path=7"]);
        for line in [
            "mode=640",
            "mtime=1970-01-01T00:00:00.000000000Z",
            "errors=0",
            "promise_last_error=permission\\x20denied",
            "promise_last_error_time=1970-01-01T00:00:00.000000001Z",
            "promise_last_error_reason=the\\x20provider\\x20said\\x20so",
            "promise_last_error_offset=7",
            "promise_last_error_length=9",
            "promise_last_error_path=b\\x20c",
        ] {
            assert!(lines.contains(&line), "{line} in {first}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("last_error")));
    }

    #[test]
    fn each_node_is_a_json_object_on_one_line_with_names_as_text() {
        let shown = shown(&Form::Json);
        assert_eq!(shown.lines().count(), 2);
        for line in shown.lines() {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            for (key, wanted) in [("path", "7"), ("provider_node", "12"), ("mode", "640")] {
                assert_eq!(object[key], wanted);
            }
            assert_eq!(object["provider_program"], "99");
            assert_eq!(object["promise_last_error_offset"], 7);
            assert_eq!(object["promise_last_error_path"], "b c");
        }
    }

    #[test]
    fn an_open_that_failed_has_no_range() {
        let error = InspectedError::default();
        let facts = with_error(Record::default(), "last_error", Some(&error));
        assert_eq!(facts.get("last_error_length"), None);
        assert_eq!(facts.get("last_error"), Some(&b"ok"[..]));
    }
}
