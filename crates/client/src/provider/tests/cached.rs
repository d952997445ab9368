//! What a provider says about the caching of its promises.

use fuse_promise_core::words::CachePolicy;

use super::*;

#[test]
fn a_policy_goes_with_the_commit_and_none_is_the_daemons_own() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let provider = register(&context, zeros());
    let commit = |policies: &[Option<CachePolicy>]| {
        let mut builder = builder(&context, &provider);
        for policy in policies {
            builder.set_cache_policy(*policy).unwrap();
        }
        builder.commit(ROOM).unwrap();
        let late = builder.set_cache_policy(None).unwrap_err();
        assert_eq!(late.status, Status::InvalidArgument);
    };
    commit(&[]);
    for policy in CachePolicy::ALL {
        commit(&[Some(*policy)]);
    }
    commit(&[Some(CachePolicy::Keep), None]);
    let words = ["no-cache", "read-through", "keep"].map(|word| Some(word.to_owned()));
    let [first, second, third] = words;
    assert_eq!(daemon.policies(), [None, first, second, third, None]);
}

#[test]
fn a_commit_with_another_policy_is_another_commit() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let provider = register(&context, zeros());
    let mut builder = builder(&context, &provider);
    for policy in [CachePolicy::Keep, CachePolicy::Keep, CachePolicy::NoCache] {
        builder.set_cache_policy(Some(policy)).unwrap();
        builder.commit(1).unwrap_err();
    }
    let calls = daemon.commit_calls();
    assert_eq!(calls[0], calls[1], "nothing has changed in between");
    assert_ne!(calls[1], calls[2]);
    assert_eq!(daemon.promises(), 0);
}

#[test]
fn what_is_held_is_taken_back_of_a_node_or_of_all() {
    let place = Place::new();
    let daemon = FakeDaemon::start(&place);
    let context = place.context();
    let provider = register(&context, zeros());
    builder(&context, &provider).commit(ROOM).unwrap();
    provider.invalidate("promise-1", None).unwrap();
    provider.invalidate("promise-1", Some(b"id")).unwrap();
    provider.invalidate("promise-1", Some(b"")).unwrap();
    let told = ["None", "Some(Ok(\"id\"))", "Some(Ok(\"\"))"];
    let told = told.map(|node| format!("promise-1 {node}"));
    assert_eq!(daemon.invalidated(), told);
    for odd in ["", "promise-", "1", "promise-01", "/promise-1"] {
        let refused = provider.invalidate(odd, None).unwrap_err();
        assert_eq!(refused.status, Status::InvalidArgument, "{odd}");
    }
    provider.unregister();
    let refused = provider.invalidate("promise-1", None).unwrap_err();
    assert_eq!(refused.status, Status::ProviderGone);
    assert_eq!(daemon.invalidated().len(), 3);
}

#[test]
fn a_promise_of_a_session_that_is_over_is_not_found_and_no_daemon_is_asked() {
    let place = Place::new();
    let before = FakeDaemon::start(&place);
    let context = place.context();
    let provider = register(&context, zeros());
    builder(&context, &provider).commit(ROOM).unwrap();
    drop(before);
    for daemon in [None, Some(FakeDaemon::start(&place))] {
        let refused = provider.invalidate("promise-1", None).unwrap_err();
        assert_eq!(refused.status, Status::NotFound);
        assert!(refused.message.contains("promise-1"), "{refused}");
        if let Some(daemon) = daemon {
            assert_eq!(daemon.connections(), 0);
        }
    }
}
