//! Where the daemon's log goes. Started by systemd, standard error is a stream into the journal;
//! then the records go to the journal's own socket instead, with level and fields intact. In every
//! other case they go to standard error as lines of text.
//!
//! What fuser reports through the `log` crate is carried along.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use tracing::level_filters::LevelFilter;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging for the whole process. To be called once, before anything logs.
pub fn start(level: LevelFilter, foreground: bool) {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let to_journal = !foreground && is_the_journal(stream.as_deref(), std::io::stderr());
    let journal = to_journal.then(tracing_journald::layer);
    let refused = match &journal {
        Some(Err(error)) => Some(error.to_string()),
        _ => None,
    };
    let output: Box<dyn Layer<Registry> + Send + Sync> = match journal {
        Some(Ok(journal)) => Box::new(journal.with_priority_mappings(PRIORITIES)),
        _ => Box::new(
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(level >= LevelFilter::DEBUG),
        ),
    };
    let started = Registry::default()
        .with(output)
        .with(filter(level))
        .try_init();
    if let Err(error) = started {
        eprintln!("fuse-promised: logging was already started: {error}");
    }
    if let Some(error) = refused {
        tracing::warn!("the journal's socket refused: {error}; logging to standard error");
    }
}

/// The journal's own sense of the levels: its notices are for people, what the daemon does in the
/// ordinary course of things is information.
const PRIORITIES: PriorityMappings = PriorityMappings {
    error: Priority::Error,
    warn: Priority::Warning,
    info: Priority::Informational,
    debug: Priority::Debug,
    trace: Priority::Debug,
};

/// The chosen level for the daemon. Libraries report every request at their debug level, which
/// would drown the daemon's own lines, so they are heard in full at trace only.
fn filter(level: LevelFilter) -> Targets {
    let libraries = if level == LevelFilter::TRACE {
        level
    } else {
        level.min(LevelFilter::WARN)
    };
    Targets::new()
        .with_default(level)
        .with_targets(["fuser", "zbus", "mio", "tokio"].map(|library| (library, libraries)))
}

/// Whether the descriptor is the stream that `$JOURNAL_STREAM` names as `device:inode`. The
/// variable alone proves nothing: children inherit it, whatever their standard error is.
fn is_the_journal(stream: Option<&str>, descriptor: impl AsFd) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let (Ok(device), Ok(inode)) = (device.parse::<u64>(), inode.parse::<u64>()) else {
        return false;
    };
    rustix::fs::fstat(descriptor).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (device, inode))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn only_the_very_stream_that_was_named_is_the_journal() {
        let file = tempfile::tempfile().unwrap();
        let other = tempfile::tempfile().unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        let stream = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert!(is_the_journal(Some(&stream), &file));
        assert!(!is_the_journal(Some(&stream), &other));
        for not_a_stream in [None, Some(""), Some("9"), Some("a:b"), Some(":")] {
            assert!(!is_the_journal(not_a_stream, &file), "{not_a_stream:?}");
        }
    }

    #[test]
    fn libraries_are_quieter_than_the_daemon_until_trace() {
        let heard = |level, target, record| filter(level).would_enable(target, &record);
        assert!(heard(
            LevelFilter::DEBUG,
            "fuse_promised::mount",
            Level::DEBUG
        ));
        assert!(heard(LevelFilter::DEBUG, "fuser::session", Level::WARN));
        assert!(!heard(LevelFilter::DEBUG, "fuser::session", Level::DEBUG));
        assert!(heard(LevelFilter::TRACE, "fuser::session", Level::DEBUG));
        assert!(!heard(LevelFilter::ERROR, "zbus", Level::WARN));
        assert!(!heard(LevelFilter::OFF, "fuse_promised", Level::ERROR));
    }
}
