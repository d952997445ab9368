//! What one peer can make the engine hold, up to each limit and one more.

mod support;

use fuse_promise_core::failure::Failure;
use fuse_promise_core::ids::JobNumber;
use fuse_promise_core::limits::{
    CONCURRENT_READS_MAX, ENDED_JOBS_MAX, JOBS_MAX, PROVIDERS_MAX, QUEUED_READS_MAX, READ_LEN_MAX,
    SMALL_READ_LEN_MAX,
};
use fuse_promise_core::status::Status;
use fuse_promise_core::words::ConflictPolicy;
use fuse_promise_engine::{
    Client, CommitOptions, EngineEvent, MaterializeOptions, ProviderConfig, Registration,
};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Resource, getrlimit, setrlimit};
use support::served::Served;
use support::{Rig, bytes, node};

fn client() -> Client {
    Client {
        pid: 1,
        uid: 0,
        program: "many".into(),
        process: None,
    }
}

/// The refusal is an `Unavailable` that says how much there may be.
#[track_caller]
fn assert_names(refused: &Failure, limit: usize) {
    assert_eq!(refused.status, Status::Unavailable, "{refused}");
    assert!(refused.message.contains(&limit.to_string()), "{refused}");
}

#[test]
fn providers_at_once() {
    // Each has a channel and an arena here and, in this test, also there.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
    let rig = Rig::new();
    let register = || rig.engine.register(client(), ProviderConfig::default());
    let mut registered: Vec<Registration> =
        (0..PROVIDERS_MAX).map(|_| register().unwrap()).collect();
    let gauges = rig.engine.gauges();
    assert_eq!(gauges.providers, PROVIDERS_MAX as u64);
    rig.events();
    assert_names(&register().unwrap_err(), PROVIDERS_MAX);
    assert_eq!(rig.engine.gauges(), gauges);
    assert!(rig.events().is_empty());

    let last = registered.pop().unwrap();
    rig.engine.unregister(last.provider, &last.token).unwrap();
    let next = register().unwrap();
    assert_eq!(
        next.provider.0,
        last.provider.0 + 1,
        "refusals use nothing up"
    );
}

#[test]
fn concurrent_reads_of_a_provider() {
    let rig = Rig::new();
    let register = |max_concurrent_reads| {
        let config = ProviderConfig {
            max_concurrent_reads,
            ..ProviderConfig::default()
        };
        rig.engine.register(client(), config)
    };
    let registered = [1, CONCURRENT_READS_MAX].map(|allowed| register(allowed).unwrap());
    for concurrent in [0, CONCURRENT_READS_MAX + 1] {
        let refused = register(concurrent).unwrap_err();
        assert_eq!(refused.status, Status::InvalidArgument);
        let (value, limit) = (concurrent.to_string(), CONCURRENT_READS_MAX.to_string());
        assert!(refused.message.contains(&value) && refused.message.contains(&limit));
    }
    assert_eq!(rig.engine.gauges().providers, registered.len() as u64);
}

#[test]
fn queued_reads_of_a_provider() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 40)]);
    let read = |index: u64| {
        rig.read(
            node(promise, 1),
            index * u64::from(READ_LEN_MAX),
            READ_LEN_MAX,
        )
    };
    let mut readers = Vec::new();
    while rig.engine.gauges().queued == 0 {
        readers.push(read(readers.len() as u64));
    }
    for _ in 1..QUEUED_READS_MAX {
        readers.push(read(readers.len() as u64));
    }
    assert_eq!(rig.engine.gauges().queued, QUEUED_READS_MAX as u64);
    let refused = read(readers.len() as u64);
    assert!(refused.answer().is_err());
    let path = rig.engine.promise_path(promise).join("a");
    let seen = rig.engine.inspect(path.as_os_str().as_encoded_bytes());
    let error = seen.unwrap().last_error.unwrap();
    assert_names(&Failure::new(error.status, error.reason), QUEUED_READS_MAX);

    // The others go on waiting, and a place that becomes free is there for the next.
    assert!(readers.iter().all(|reader| reader.peek().is_none()));
    let asked = provider.asked();
    provider.answer(&asked);
    assert_eq!(readers[0].answer(), Ok(bytes(1, 0, READ_LEN_MAX as usize)));
    rig.settle("nobody left the queue", |gauges| {
        gauges.queued < QUEUED_READS_MAX as u64
    });
    readers.push(read(readers.len() as u64));
    assert_eq!(rig.engine.gauges().queued, QUEUED_READS_MAX as u64);
    // Another provider's readers have their own queue.
    let other = rig.provider();
    let theirs = rig.commit(&other, &[("b", 10)]);
    let reader = rig.read(node(theirs, 1), 0, 10);
    other.answer(&other.asked());
    assert_eq!(reader.answer(), Ok(bytes(1, 0, 10)));
}

#[test]
fn jobs_at_once() {
    let served = Served::new(&[("a", 1 << 20)], |_, _| ());
    let engine = &served.rig.engine;
    let start = |name: usize| {
        let target = served.path(&name.to_string());
        // It is there already for a name that was tried before.
        let _ = std::fs::create_dir(&target);
        let target = open(&target, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let options = MaterializeOptions {
            policy: ConflictPolicy::Fail,
            sync: false,
            detach: true,
            confirm: false,
            expires: None,
        };
        engine.materialize(&served.source("a"), target, options)
    };
    let jobs: Vec<_> = (0..JOBS_MAX).map(|name| start(name).unwrap()).collect();
    assert_eq!(engine.gauges().jobs, JOBS_MAX as u64);
    served.rig.events();
    assert_names(&start(JOBS_MAX).unwrap_err(), JOBS_MAX);
    assert_eq!(engine.gauges().jobs, JOBS_MAX as u64);
    let began = |event: &EngineEvent| matches!(event, EngineEvent::JobAdded(_));
    assert!(!served.rig.events().iter().any(began));
    let left = std::fs::read_dir(served.path(&JOBS_MAX.to_string())).unwrap();
    assert_eq!(left.count(), 0, "the refused job left something behind");

    engine.cancel_job(jobs[0]).unwrap();
    served.finish(jobs[0]);
    start(JOBS_MAX).unwrap();
}

#[test]
fn ended_jobs_that_are_remembered() {
    let served = Served::new(&[("a", 0)], |_, _| ());
    let engine = &served.rig.engine;
    let run = || {
        let job = served.start("a", ConflictPolicy::Skip).unwrap();
        served.finish(job);
        job
    };
    let first = run();
    for _ in 1..ENDED_JOBS_MAX {
        run();
    }
    // A job that begins takes the place of the one that ended first.
    let next = run();
    assert!(engine.job(first).is_some());
    run();
    assert!(engine.job(first).is_none());
    assert!(engine.job(JobNumber(first.0 + 1)).is_some());
    assert!(engine.job(next).is_some());
}

#[test]
fn a_promise_is_charged_until_it_is_gone() {
    let rig = Rig::new();
    let provider = rig.provider();
    let charged = || rig.engine.provider(provider.number).unwrap().promises;
    let promise = rig.commit(&provider, &[("a", 1)]);
    rig.engine.open(node(promise, 1), false).unwrap();
    rig.engine.destroy(promise).unwrap();
    assert_eq!(charged(), 1, "it is still open");
    rig.engine.release(node(promise, 1), 0);
    assert_eq!(charged(), 0);
}

#[test]
fn what_a_refused_commit_was_charged_is_refunded() {
    let rig = Rig::new();
    let provider = rig.provider();
    let gauges = rig.engine.gauges();
    for options in [
        CommitOptions {
            path_capacity: Some(3),
            ..CommitOptions::default()
        },
        CommitOptions {
            expires: Some(1),
            ..CommitOptions::default()
        },
    ] {
        rig.try_commit(&provider, &[("a", 1)], options).unwrap_err();
        let charged = rig.engine.provider(provider.number).unwrap().promises;
        assert_eq!(charged, 0);
    }
    assert_eq!(rig.engine.gauges().promises, gauges.promises);
    assert_eq!(rig.engine.gauges().image_bytes, 0);
    assert_eq!(rig.commit(&provider, &[("a", 1)]).0, 1);
}

#[test]
fn reads_of_the_largest_and_the_largest_small_length() {
    let rig = Rig::new();
    let provider = rig.provider();
    let promise = rig.commit(&provider, &[("a", 1 << 40)]);
    let small_slots = provider.arena.geometry().small_count;
    for (length, asked_for, is_small) in [
        (SMALL_READ_LEN_MAX, SMALL_READ_LEN_MAX, true),
        (SMALL_READ_LEN_MAX + 1, SMALL_READ_LEN_MAX + 1, false),
        (READ_LEN_MAX, READ_LEN_MAX, false),
        (READ_LEN_MAX + 1, READ_LEN_MAX, false),
        (u32::MAX, READ_LEN_MAX, false),
    ] {
        let reader = rig.read(node(promise, 1), 0, length);
        let asked = provider.asked();
        assert_eq!(asked.length, asked_for);
        assert_eq!(asked.slot < small_slots, is_small, "{length}");
        provider.answer(&asked);
        assert_eq!(reader.answer(), Ok(bytes(1, 0, asked_for as usize)));
    }
}
