//! Readers that believe nothing: every byte, size and name is compared.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fuse_promise_testkit::fixture::check::read_range;
use fuse_promise_testkit::fixture::tree::TreeNode;
use fuse_promise_testkit::process::Process;
use fuse_promise_testkit::{Content, Random, Session};
use rustix::io::Errno;

use crate::board::{Board, Shown, pause};

/// How long a reader process stays at most.
const STAY: Duration = Duration::from_millis(100);

pub fn read(session: &Session, board: &Board, mut random: Random, end: Instant) {
    while Instant::now() < end {
        let Some(shown) = board.pick(&mut random) else {
            pause(&mut random, STAY);
            continue;
        };
        let files: Vec<&TreeNode> = shown.published.tree.file_nodes().collect();
        let file = files[random.below(files.len() as u64) as usize];
        match random.below(4) {
            0 => read_elsewhere(session, board, &shown, file, &mut random),
            1 => look_at_names(board, &shown),
            _ => read_here(board, &shown, file),
        }
    }
}

fn read_here(board: &Board, shown: &Shown, file: &TreeNode) {
    let path = shown.published.join(&file.path);
    let size = file.attr.size;
    match read_range(&path, 0, size as usize) {
        Ok(bytes) => {
            assert_eq!(bytes.len() as u64, size, "{}", path.display());
            let wrong = Content::of(file.node_id.as_bytes()).first_wrong(0, &bytes);
            assert_eq!(wrong, None, "a wrong byte in {}", path.display());
            board.whole_files.fetch_add(1, Ordering::Relaxed);
        }
        Err(error) => note_failure(board, shown, &path, &error),
    }
}

/// An error is right only if the promise's end had begun by then.
fn note_failure(board: &Board, shown: &Shown, path: &Path, error: &std::io::Error) {
    let errno = Errno::from_io_error(error);
    let is_gone = matches!(errno, Some(Errno::IO | Errno::NOENT));
    assert!(is_gone && shown.may_fail(), "{}: {error}", path.display());
    board.failed_reads.fetch_add(1, Ordering::Relaxed);
}

fn look_at_names(board: &Board, shown: &Shown) {
    for node in shown.published.tree.nodes() {
        let path = shown.published.join(&node.path);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => {
                assert_eq!(metadata.len(), node.attr.size, "{}", path.display());
            }
            Ok(_) => {}
            Err(error) => return note_failure(board, shown, &path, &error),
        }
    }
}

/// A process that reads until the promise is gone or it is killed itself.
fn read_elsewhere(
    session: &Session,
    board: &Board,
    shown: &Shown,
    file: &TreeNode,
    random: &mut Random,
) {
    if file.attr.size == 0 {
        return;
    }
    let (seed, size) = (random.next_number().to_string(), file.attr.size.to_string());
    let mut command = session.command("test-reader");
    command.args([&seed, &size, &file.node_id]);
    command.arg(shown.published.join(&file.path));
    let log = session.dirs().log(&format!("reader-{seed}"));
    let mut reader = Process::spawn(command, &log);
    pause(random, STAY);
    let ended = reader.ended();
    reader.kill();
    match ended.map(|status| status.code()) {
        None => {
            board.killed_readers.fetch_add(1, Ordering::Relaxed);
        }
        Some(Some(0)) if shown.may_fail() => {
            board.failed_reads.fetch_add(1, Ordering::Relaxed);
        }
        Some(code) => panic!("{code:?}: {}", reader.log()),
    }
    // Of a killed one, too: it may have seen a wrong byte just before.
    assert!(!reader.log().contains("wrong"), "{}", reader.log());
    std::fs::remove_file(log).expect("the log of a reader that was right");
}
