//! Jobs: how they are begun, watched and stopped, and what becomes of them when their caller
//! leaves. No provider answers here, so a job with an empty file ends by itself and one with any
//! byte runs until it is stopped.

use std::os::fd::OwnedFd;

use fuse_promise_core::status::Status;
use fuse_promise_wire::bus::{IFACE_JOB, IFACE_MANAGER, JobEntry, Options, ROOT_PATH, option};
use zbus::fdo::ManagedObjects;
use zbus::{Message, OwnedObjectPath};

use super::rig::{Client, Refusal, Registered, Rig, options, run, text};

const FIRST: &str = "/io/github/fuse_promise/job/1";

/// Files of a tree that copies by itself, and of one that never does.
const ENDS: u32 = 1;
const NEVER_ENDS: u32 = 2;

/// A daemon with one promise, and a directory for the copy.
struct Copying {
    rig: Rig,
    target: tempfile::TempDir,
    _provider: (Client, Registered),
}

impl Copying {
    async fn of(files: u32) -> Self {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        client.commit_tree(&provider, files).await;
        Self {
            rig,
            target: tempfile::tempdir().unwrap(),
            _provider: (client, provider),
        }
    }

    fn source(&self) -> Vec<u8> {
        let path = self.rig.daemon.runtime_dir.mount_path();
        path.join("promise-1/dir")
            .into_os_string()
            .into_encoded_bytes()
    }

    fn target(&self) -> OwnedFd {
        std::fs::File::open(self.target.path()).unwrap().into()
    }

    fn is_target_empty(&self) -> bool {
        self.target.path().read_dir().unwrap().next().is_none()
    }

    async fn begin(&self, client: &Client, options: Options) -> Result<OwnedObjectPath, Refusal> {
        let target = zbus::OwnedFd::from(self.target());
        let arguments = (self.source(), target, options);
        client.manager("Materialize", &arguments).await
    }
}

async fn act(client: &Client, method: &str) {
    let done: Result<(), Refusal> = client.call(FIRST, IFACE_JOB, method, &()).await;
    done.unwrap();
}

async fn state(client: &Client) -> String {
    client.property(FIRST, IFACE_JOB, "State").await
}

/// Waits for the first job's Finished: its status, sentence and counts.
async fn end(client: &mut Client) -> (u32, String, (u64, u64, u64, u64)) {
    awaited(client, "Finished")
        .await
        .body()
        .deserialize()
        .unwrap()
}

async fn awaited(client: &mut Client, member: &str) -> Message {
    let wanted = format!("{member} /job/1");
    loop {
        let (shown, message) = client.signal().await;
        if shown == wanted {
            return message;
        }
    }
}

#[test]
fn a_job_is_an_object_that_tells_its_progress_and_its_end() {
    run(async {
        let copying = Copying::of(ENDS).await;
        let mut client = copying.rig.on_session().await;
        let job = copying.begin(&client, options(&[])).await.unwrap();
        assert_eq!(job.as_str(), FIRST);
        awaited(&mut client, "InterfacesAdded").await;
        assert_eq!(end(&mut client).await, (0, String::new(), (2, 0, 0, 0)));
        assert_eq!(state(&client).await, "finished");
        for (name, wanted) in [
            ("Number", 1),
            ("EntriesDone", 2),
            ("EntriesTotal", 2),
            ("BytesWritten", 0),
            ("BytesTotal", 0),
            ("FilesWritten", 1),
            ("FilesTotal", 1),
            ("DirectoriesCreated", 1),
            ("DirectoriesTotal", 1),
            ("Rate", 0),
            ("Written", 2),
            ("Skipped", 0),
            ("Failed", 0),
            ("Removed", 0),
        ] {
            let told: u64 = client.property(FIRST, IFACE_JOB, name).await;
            assert_eq!(told, wanted, "{name}");
        }
        let promise: String = client.property(FIRST, IFACE_JOB, "Promise").await;
        assert_eq!(promise, "promise-1");
        for (property, below) in [("TargetPath", "dir"), ("CurrentPath", "dir/0")] {
            let value = client.try_property(FIRST, IFACE_JOB, property).await;
            let shown = Vec::<u8>::try_from(value.unwrap()).unwrap();
            let path = copying.target.path().join(below);
            assert_eq!(shown, path.as_os_str().as_encoded_bytes());
        }
        let copy = copying.target.path().join("dir/0");
        assert!(copy.is_file());
    });
}

#[test]
fn any_client_stops_a_job_and_its_result_waits_for_the_end() {
    run(async {
        let copying = Copying::of(NEVER_ENDS).await;
        let mut client = copying.rig.on_socket().await;
        copying.begin(&client, options(&[])).await.unwrap();
        assert_eq!(state(&client).await, "running");
        let page: Result<Vec<JobEntry>, _> =
            client.call(FIRST, IFACE_JOB, "Result", &(0u32, 9u32)).await;
        assert_eq!(page.unwrap_err().status(), Some(Status::Unavailable));
        let other = copying.rig.on_session().await;
        // The directory and the empty file in it.
        while other.property::<u64>(FIRST, IFACE_JOB, "EntriesDone").await < 2 {}
        act(&other, "Cancel").await;
        let (status, message, counts) = end(&mut client).await;
        assert_eq!(status, Status::Cancelled.code(), "{message}");
        assert_eq!(counts.3, 2);
        assert!(copying.is_target_empty());
        assert_eq!(state(&other).await, "cancelled");
        let told: u32 = other.property(FIRST, IFACE_JOB, "Status").await;
        assert_eq!(told, status);
        act(&other, "Cancel").await;
        let page: Vec<JobEntry> = other
            .call(FIRST, IFACE_JOB, "Result", &(0u32, 9u32))
            .await
            .unwrap();
        assert!(page.is_empty());
    });
}

#[test]
fn the_result_names_what_was_not_simply_written() {
    run(async {
        let copying = Copying::of(ENDS).await;
        let mut client = copying.rig.on_session().await;
        std::fs::create_dir(copying.target.path().join("dir")).unwrap();
        std::fs::create_dir(copying.target.path().join("dir/0")).unwrap();
        let policy = options(&[(option::POLICY, text("overwrite"))]);
        copying.begin(&client, policy).await.unwrap();
        let (status, _, counts) = end(&mut client).await;
        assert_eq!(status, Status::AlreadyExists.code());
        assert_eq!(counts.2, 1);
        assert_eq!(state(&client).await, "failed");
        let page = |first: u32, count: u32| {
            let client = &client;
            async move {
                let arguments = (first, count);
                let page: Result<Vec<JobEntry>, Refusal> =
                    client.call(FIRST, IFACE_JOB, "Result", &arguments).await;
                page.unwrap()
            }
        };
        let whole = page(0, u32::MAX).await;
        assert_eq!(whole.len(), 1);
        assert_eq!(
            (whole[0].path.as_slice(), whole[0].status),
            (&b"dir/0"[..], status)
        );
        assert_eq!(whole[0].outcome, "failed");
        assert!(whole[0].message.contains("dir/0"), "{}", whole[0].message);
        for (first, count) in [(0, 0), (1, 9), (u32::MAX, 9)] {
            assert!(page(first, count).await.is_empty(), "{first} {count}");
        }
    });
}

#[test]
fn a_job_ends_with_its_caller_unless_it_is_detached() {
    run(async {
        for detached in [false, true] {
            let copying = Copying::of(NEVER_ENDS).await;
            let mut watcher = copying.rig.on_session().await;
            let caller = copying.rig.on_socket().await;
            let detach = options(&[(option::DETACH, detached.into())]);
            copying.begin(&caller, detach).await.unwrap();
            awaited(&mut watcher, "InterfacesAdded").await;
            let told: bool = watcher.property(FIRST, IFACE_JOB, "Detached").await;
            assert_eq!(told, detached);
            caller.connection.close().await.unwrap();
            if detached {
                // A caller that leaves is noticed before one that came after it is served.
                copying.rig.on_socket().await;
                assert_eq!(state(&watcher).await, "running");
                act(&watcher, "Cancel").await;
            }
            let (status, message, _) = end(&mut watcher).await;
            assert_eq!(status, Status::Cancelled.code());
            assert_eq!(message.contains("ended"), !detached, "{message}");
            assert!(copying.is_target_empty());
        }
    });
}

#[test]
fn a_job_can_be_detached_later() {
    run(async {
        let copying = Copying::of(NEVER_ENDS).await;
        let mut watcher = copying.rig.on_session().await;
        let caller = copying.rig.on_socket().await;
        copying.begin(&caller, options(&[])).await.unwrap();
        act(&caller, "Detach").await;
        caller.connection.close().await.unwrap();
        awaited(&mut watcher, "Progress").await;
        let told: bool = watcher.property(FIRST, IFACE_JOB, "Detached").await;
        assert!(told);
        copying
            .rig
            .daemon
            .engine
            .leave_job(fuse_promise_core::JobNumber(1));
        assert_eq!(state(&watcher).await, "running");
    });
}

#[test]
fn a_job_that_leaves_the_last_word_to_its_caller_waits_for_it() {
    run(async {
        for (method, status, left) in [
            ("Confirm", 0, false),
            ("Detach", 0, false),
            ("Cancel", 9, true),
        ] {
            let copying = Copying::of(ENDS).await;
            let mut client = copying.rig.on_socket().await;
            let confirm = options(&[(option::CONFIRM, true.into())]);
            copying.begin(&client, confirm).await.unwrap();
            // Whether it waits already when the object is shown, or is told to wait later.
            while state(&client).await != "waiting" {
                awaited(&mut client, "Progress").await;
            }
            assert!(copying.target.path().join("dir/0").is_file());
            act(&client, method).await;
            assert_eq!(end(&mut client).await.0, status);
            assert_eq!(copying.is_target_empty(), left, "{method}");
        }
    });
}

#[test]
fn a_peer_sees_the_jobs_it_began_and_the_session_all() {
    run(async {
        let copying = Copying::of(NEVER_ENDS).await;
        let other = copying.rig.on_socket().await;
        let caller = copying.rig.on_socket().await;
        copying.begin(&caller, options(&[])).await.unwrap();
        assert_eq!(state(&caller).await, "running");
        other
            .try_property(FIRST, IFACE_JOB, "State")
            .await
            .unwrap_err();
        // One that connects later finds it as well.
        let late = copying.rig.on_session().await;
        let manager = "org.freedesktop.DBus.ObjectManager";
        let objects: ManagedObjects = late
            .call(ROOT_PATH, manager, "GetManagedObjects", &())
            .await
            .unwrap();
        assert!(objects.keys().any(|path| path.as_str() == FIRST));
    });
}

#[test]
fn what_cannot_be_is_refused_before_there_is_a_job() {
    run(async {
        let copying = Copying::of(ENDS).await;
        let client = copying.rig.on_socket().await;
        for (bad, status, named) in [
            (
                (option::POLICY, text("merge")),
                Status::InvalidArgument,
                "policy",
            ),
            ((option::SYNC, 1u32.into()), Status::InvalidArgument, "sync"),
            (
                ("paranoid", true.into()),
                Status::InvalidArgument,
                "paranoid",
            ),
            (
                (option::EXPIRES, 1u64.into()),
                Status::Timeout,
                "stopped waiting",
            ),
        ] {
            let refused = copying.begin(&client, options(&[bad])).await.unwrap_err();
            assert_eq!(refused.status(), Some(status), "{named}");
            assert!(refused.sentence.contains(named), "{}", refused.sentence);
        }
        let file: OwnedFd = tempfile::tempfile().unwrap().into();
        for (source, target, status) in [
            (copying.source(), file, Status::InvalidArgument),
            (b"/elsewhere/a".to_vec(), copying.target(), Status::NotFound),
            (b"a".to_vec(), copying.target(), Status::InvalidArgument),
        ] {
            let arguments = (source, zbus::OwnedFd::from(target), options(&[]));
            let refused: Result<OwnedObjectPath, _> =
                client.manager("Materialize", &arguments).await;
            assert_eq!(refused.unwrap_err().status(), Some(status));
        }
        copying.rig.lose_mount("it was taken away");
        let refused = copying.begin(&client, options(&[])).await.unwrap_err();
        assert_eq!(refused.status(), Some(Status::Unavailable));
        assert!(copying.is_target_empty());
        assert!(copying.rig.daemon.engine.jobs().is_empty());
        let none = client.try_property(FIRST, IFACE_MANAGER, "State").await;
        none.unwrap_err();
    });
}
