use std::path::Path;

use fuse_promise_core::Status;
use fuse_promise_core::words::ConflictPolicy;

use super::*;
use crate::fake_daemon::{FakeDaemon, Place};
use crate::materialize::MaterializeOptions;

/// A job of a daemon that is in the test's hands.
struct Begun {
    daemon: FakeDaemon,
    context: Context,
    job: Job,
    place: Place,
}

fn begin(options: MaterializeOptions) -> Begun {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let source = Path::new("/mount/promise-1/a");
    let job = context.materialize(source, place.path(), options).unwrap();
    Begun {
        daemon,
        context,
        job,
        place,
    }
}

fn go_on(_: &JobStatus) -> ControlFlow<Failure> {
    ControlFlow::Continue(())
}

#[test]
fn the_call_carries_what_was_asked_for() {
    let begun = begin(MaterializeOptions {
        policy: ConflictPolicy::Newer,
        sync: true,
        detach: true,
        confirm: false,
    });
    assert_eq!(
        begun.daemon.job().calls(),
        ["Materialize /mount/promise-1/a newer sync detach"]
    );
    assert_eq!(begun.job.object_path(), "/io/github/fuse_promise/job/1");
    let plain = begin(MaterializeOptions::default());
    assert_eq!(
        plain.daemon.job().calls(),
        ["Materialize /mount/promise-1/a fail "]
    );
}

#[test]
fn what_the_daemon_refuses_there_is_no_job_of() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    daemon.job().refuse(Status::AlreadyExists);
    let options = MaterializeOptions::default();
    let refused = place
        .context()
        .materialize(Path::new("/a"), place.path(), options);
    assert_eq!(refused.err().unwrap().status, Status::AlreadyExists);
}

#[test]
fn a_job_is_told_as_its_properties_are() {
    let begun = begin(MaterializeOptions::default());
    let now = begun.job.poll().unwrap();
    assert_eq!((now.state, now.detached), (JobState::Running, false));
    assert_eq!((now.entries_done, now.entries_total), (1, 100));
    assert_eq!((now.bytes_written, now.bytes_total), (3, 4));
    assert_eq!((now.files_written, now.files_total), (5, 6));
    assert_eq!((now.directories_created, now.directories_total), (7, 8));
    assert_eq!(
        (now.rate, now.target_path.as_slice()),
        (9, &b"/target/copy"[..])
    );
    assert_eq!(now.end, None);
    begun.daemon.job().enter(JobState::Failed);
    let end = begun.job.poll().unwrap().end.unwrap();
    assert_eq!(end.outcome(), Err(Failure::io("as told")));
    assert_eq!(
        (end.written, end.skipped, end.failed, end.removed),
        (10, 11, 12, 13)
    );
}

#[test]
fn pages_of_the_result_are_put_together() {
    let begun = begin(MaterializeOptions::default());
    let paths: Vec<_> = begun
        .job
        .result()
        .unwrap()
        .into_iter()
        .map(|entry| entry.path)
        .collect();
    assert_eq!(paths, [b"0", b"1", b"2"]);
}

#[test]
fn the_end_is_noticed_though_nothing_was_signalled() {
    let begun = begin(MaterializeOptions::default());
    let script = begun.daemon.job();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| begun.job.wait(None, &mut go_on));
        script.wait_polled();
        script.enter(JobState::Finished);
        let end = waiting.join().unwrap().unwrap().unwrap();
        assert_eq!(end.outcome(), Ok(()));
    });
}

#[test]
fn patience_ends_and_the_job_does_not() {
    let begun = begin(MaterializeOptions::default());
    for patience in [Duration::ZERO, Duration::from_millis(5)] {
        assert_eq!(begun.job.wait(Some(patience), &mut go_on), Ok(None));
    }
    assert_eq!(begun.daemon.job().calls().len(), 1);
    begun.daemon.job().enter(JobState::Finished);
    let ended = begun.job.wait(Some(Duration::ZERO), &mut go_on);
    assert!(ended.unwrap().is_some());
}

#[test]
fn a_wish_to_stop_cancels_and_is_what_the_wait_ends_with() {
    let begun = begin(MaterializeOptions::default());
    let mut asked = 0;
    let stopped = begun.job.wait(None, &mut |_| {
        asked += 1;
        ControlFlow::Break(Failure::permission("enough"))
    });
    assert_eq!(stopped, Err(Failure::permission("enough")));
    assert_eq!(asked, 1);
    assert_eq!(begun.daemon.job().calls()[1..], ["Cancel"]);
}

#[test]
fn the_last_word_is_said_after_the_last_look() {
    for (word, call) in [
        (ControlFlow::Continue(()), "Confirm"),
        (ControlFlow::Break(Failure::io("no")), "Cancel"),
    ] {
        let begun = begin(MaterializeOptions {
            confirm: true,
            ..MaterializeOptions::default()
        });
        let script = begun.daemon.job();
        script.enter(JobState::Waiting);
        let ended = begun.job.wait(None, &mut |now| {
            assert_eq!(now.state, JobState::Waiting);
            assert_eq!(script.calls().len(), 1, "nothing is decided yet");
            word.clone()
        });
        assert_eq!(ended.is_ok(), word.is_continue());
        assert_eq!(script.calls()[1..], [call]);
    }
}

#[test]
fn detaching_is_asked_of_the_daemon() {
    let begun = begin(MaterializeOptions::default());
    begun.job.detach().unwrap();
    assert_eq!(begun.daemon.job().calls()[1..], ["Detach"]);
}

#[test]
fn a_daemon_that_dies_takes_its_jobs_along() {
    let Begun {
        daemon,
        job,
        context: _context,
        place: _place,
    } = begin(MaterializeOptions::default());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| job.wait(None, &mut go_on));
        daemon.job().wait_polled();
        drop(daemon);
        let failure = waiting.join().unwrap().unwrap_err();
        assert_eq!(failure.status, Status::Unavailable);
    });
    assert_eq!(job.poll().unwrap_err().status, Status::Unavailable);
}

#[test]
fn an_abandoned_job_has_no_caller_any_more() {
    let begun = begin(MaterializeOptions::default());
    begun.job.abandon();
    begun.daemon.wait_disconnected();
    assert_eq!(begun.job.poll().unwrap_err().status, Status::Unavailable);
    let options = MaterializeOptions::default();
    let again = begun
        .context
        .materialize(Path::new("/a"), begun.place.path(), options);
    assert!(again.is_ok(), "by a connection of its own");
}

#[test]
fn a_context_that_is_closed_lets_go_of_the_connection_of_its_jobs() {
    let begun = begin(MaterializeOptions::default());
    begun.context.close();
    begun.daemon.wait_disconnected();
    for ended in [begun.job.cancel(), begun.job.poll().map(drop)] {
        assert_eq!(ended.unwrap_err().status, Status::Unavailable);
    }
    let options = MaterializeOptions::default();
    let closed = begun
        .context
        .materialize(Path::new("/a"), begun.place.path(), options);
    assert_eq!(closed.err().unwrap().status, Status::Unavailable);
}
