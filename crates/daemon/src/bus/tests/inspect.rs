//! Manager.Inspect, which both transports have.

use fuse_promise_core::ids::{Inode, PromiseNumber, Row};
use fuse_promise_core::status::Status;
use fuse_promise_wire::inspected::InspectedNode;

use super::rig::{Client, Refusal, Rig, run};

/// Below the mount.
async fn inspect(rig: &Rig, client: &Client, below: &str) -> Result<InspectedNode, Refusal> {
    let path = rig.daemon.runtime_dir.mount_path().join(below);
    let path = path.into_os_string().into_encoded_bytes();
    client.manager("Inspect", &(path,)).await
}

#[test]
fn a_node_is_told_on_the_bus_and_on_the_socket() {
    run(async {
        let rig = Rig::new();
        for client in [rig.on_session().await, rig.on_socket().await] {
            let provider = client.register().await;
            let promise = client.commit_tree(&provider, 3).await;
            let node = inspect(&rig, &client, &format!("promise-{promise}/dir/2")).await;
            let row = Row(4);
            let expected = InspectedNode {
                promise: format!("promise-{promise}"),
                path: b"dir/2".to_vec(),
                inode: Inode::new(PromiseNumber(promise), row).0,
                kind: "file".into(),
                size: 2,
                mode: 0o644,
                mtime_nsec: 5,
                node_id: b"id-2".to_vec(),
                provider: provider.number,
                provider_pid: std::process::id(),
                provider_state: "live".into(),
                state: "available".into(),
                cache_policy: "no-cache".into(),
                ..InspectedNode::default()
            };
            let node = node.unwrap();
            assert!(!node.provider_program.is_empty());
            let provider_program = String::new();
            assert_eq!(
                InspectedNode {
                    provider_program,
                    ..node
                },
                expected
            );
        }
    });
}

#[test]
fn the_last_error_says_what_failed() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 3).await;
        provider.channel.shutdown();
        let gone = loop {
            let node = inspect(&rig, &client, "promise-1/dir/2").await.unwrap();
            if node.provider_state == "disconnected" && node.state == "provider-gone" {
                break node;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((gone.errors, &gone.last_error), (0, &None));
        rig.daemon
            .engine
            .open(Inode(gone.inode), false)
            .unwrap_err();
        let failed = inspect(&rig, &client, "promise-1/dir/2").await.unwrap();
        assert_eq!((failed.errors, failed.promise_errors), (1, 1));
        let error = failed.last_error.unwrap();
        assert_eq!(error.status, Status::ProviderGone.code());
        assert_eq!(error.reason, "provider 1 is gone");
        assert_eq!((error.offset, error.length), (0, 0));
        assert!(error.time_nsec > 0);
        assert_eq!(error.path, b"dir/2");
        assert_eq!(failed.promise_last_error.as_ref(), Some(&error));
        let other = inspect(&rig, &client, "promise-1/dir").await.unwrap();
        assert_eq!((other.errors, other.last_error), (0, None));
        assert_eq!(other.promise_last_error, Some(error));
    });
}

#[test]
fn what_is_no_node_is_refused_by_what_it_is() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 1).await;
        for (path, status, said) in [
            ("promise-1/none", Status::NotFound, "does not exist"),
            ("promise-9", Status::NotFound, "does not exist"),
            ("promise-1/../..", Status::InvalidArgument, ""),
            ("", Status::InvalidArgument, "root of the mount"),
            ("/etc", Status::InvalidArgument, "those lie below"),
        ] {
            let refusal = inspect(&rig, &client, path).await.unwrap_err();
            assert_eq!(refusal.status(), Some(status), "{refusal:?}");
            assert!(refusal.sentence.contains(said), "{refusal:?}");
        }
    });
}
