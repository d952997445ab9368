//! Promise objects: what they say, their pages of nodes, their end.

use fuse_promise_core::limits::NODES_PER_PAGE_MAX;
use fuse_promise_core::status::Status;
use fuse_promise_wire::bus::{IFACE_PROMISE, NodeEntry};

use super::rig::{Client, Rig, run};

const FIRST: &str = "/io/github/fuse_promise/promise/1";

#[test]
fn a_promise_object_tells_its_tree() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_session().await;
        let provider = client.register().await;
        let number = client.commit_tree(&provider, 3).await;
        let path = rig.daemon.runtime_dir.mount_path().join("promise-1");
        assert_eq!(
            client.promise_property::<String>("Id", number).await,
            "promise-1"
        );
        let told: String = client.promise_property("Path", number).await;
        assert_eq!(told, path.display().to_string());
        let told: String = client.promise_property("State", number).await;
        assert_eq!(told, "available");
        let told: String = client.promise_property("CachePolicy", number).await;
        assert_eq!(told, "no-cache");
        for (property, expected) in [
            ("Provider", provider.number),
            ("Nodes", 4),
            ("Files", 3),
            ("Size", 3),
            ("Opens", 0),
        ] {
            let told: u64 = client.promise_property(property, number).await;
            assert_eq!(told, expected, "{property}");
        }
    });
}

#[test]
fn pages_put_together_are_the_tree() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_session().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 5).await;
        let mut nodes = Vec::new();
        loop {
            let first = nodes
                .last()
                .map_or(1, |node: &NodeEntry| u64::from(node.row) + 1);
            let page = page(&client, first, 4).await;
            assert!(page.len() <= 4);
            if page.is_empty() {
                break;
            }
            nodes.extend(page);
        }
        let paths: Vec<&[u8]> = nodes.iter().map(|node| node.path.as_slice()).collect();
        assert_eq!(
            paths,
            [
                &b"dir"[..],
                b"dir/0",
                b"dir/1",
                b"dir/2",
                b"dir/3",
                b"dir/4"
            ]
        );
        let last = NodeEntry {
            row: 6,
            inode: 1 << 32 | 6,
            path: b"dir/4".to_vec(),
            kind: "file".to_owned(),
            mode: 0o644,
            size: 4,
            mtime_nsec: 5,
            node_id: b"id-4".to_vec(),
        };
        assert_eq!(nodes[5], last);
        assert_eq!(nodes[0].kind, "directory");
        // Row 0 is nobody's node.
        assert_eq!(page(&client, 0, 1).await[0].path, b"dir");
    });
}

#[test]
fn a_page_has_a_largest_size_and_an_end() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_session().await;
        let provider = client.register().await;
        client.commit_tree(&provider, NODES_PER_PAGE_MAX + 10).await;
        let whole = page(&client, 1, u32::MAX).await;
        assert_eq!(whole.len(), NODES_PER_PAGE_MAX as usize);
        for (first, count) in [
            (1, 0),
            (u64::from(NODES_PER_PAGE_MAX) + 12, 1),
            (u64::MAX, 9),
        ] {
            assert!(
                page(&client, first, count).await.is_empty(),
                "{first} {count}"
            );
        }
    });
}

#[test]
fn any_client_destroys_a_promise_and_finds_it_gone() {
    run(async {
        let rig = Rig::new();
        let provider_side = rig.on_socket().await;
        let client = rig.on_session().await;
        let provider = provider_side.register().await;
        provider_side.commit_tree(&provider, 1).await;
        // The queue of this connection is its own; an answer on it comes behind the object.
        client.register().await;
        let destroyed: Result<(), _> = client.call(FIRST, IFACE_PROMISE, "Destroy", &()).await;
        destroyed.unwrap();
        assert_eq!(client.manager_property::<u32>("Promises").await, 0);
        let gone = client
            .call::<_, ()>(FIRST, IFACE_PROMISE, "Destroy", &())
            .await;
        assert_eq!(
            gone.unwrap_err().name,
            "org.freedesktop.DBus.Error.UnknownObject"
        );
    });
}

#[test]
fn any_client_destroys_a_promise_by_its_id_without_seeing_its_object() {
    run(async {
        let rig = Rig::new();
        let (socket, session) = (rig.on_socket().await, rig.on_session().await);
        let provider = socket.register().await;
        socket.commit_tree(&provider, 1).await;
        socket.commit_tree(&provider, 1).await;
        for (client, id) in [(&socket, "promise-1"), (&session, "promise-2")] {
            let destroyed: Result<(), _> = client.manager("DestroyPromise", &id).await;
            destroyed.unwrap();
            let again = client.manager::<_, ()>("DestroyPromise", &id).await;
            let refusal = again.unwrap_err();
            assert_eq!(refusal.status(), Some(Status::NotFound));
            assert!(refusal.sentence.contains(id), "{refusal:?}");
        }
        assert_eq!(session.manager_property::<u32>("Promises").await, 0);
        for odd in ["", "promise-0", "1", "/promise-1"] {
            let refused = socket.manager::<_, ()>("DestroyPromise", &odd).await;
            let status = refused.unwrap_err().status();
            assert_eq!(status, Some(Status::InvalidArgument), "{odd}");
        }
    });
}

async fn page(client: &Client, first: u64, count: u32) -> Vec<NodeEntry> {
    let arguments = (first, count);
    client
        .call(FIRST, IFACE_PROMISE, "Nodes", &arguments)
        .await
        .unwrap()
}
