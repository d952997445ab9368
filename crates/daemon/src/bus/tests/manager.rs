//! Manager: coming, publishing, and every way to be refused.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use fuse_promise_core::limits::IMAGE_LEN_MAX;
use fuse_promise_core::status::Status;
use fuse_promise_wire::bus::option;
use fuse_promise_wire::channel::RECV_LEN;
use fuse_promise_wire::clock::monotonic_nanoseconds;
use fuse_promise_wire::{PROTOCOL_VERSION, RecvOutcome, SessionEvent, ToProvider};

use super::rig::{Client, Refusal, Registered, Rig, image, options, run, text};

#[test]
fn a_registered_provider_has_its_object_channel_arena_and_token() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        assert_eq!(
            provider.object.as_str(),
            "/io/github/fuse_promise/provider/1"
        );
        assert_eq!((provider.number, provider.token.len()), (1, 32));
        let hello = frame(&provider);
        let ToProvider::Hello { protocol, .. } = hello else {
            panic!("the first frame is {hello:?}");
        };
        assert_eq!(protocol, PROTOCOL_VERSION);
        let pid: u32 = client.provider_property("Pid", 1).await;
        assert_eq!(pid, std::process::id());
        assert_eq!(client.manager_property::<u32>("Providers").await, 1);
    });
}

#[test]
fn another_protocol_version_is_refused_naming_both() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let other = PROTOCOL_VERSION + 41;
        let spoken = options(&[
            (option::PROTOCOL, other.into()),
            ("an option of that version", true.into()),
        ]);
        let refusal = client.try_register(spoken).await.err().unwrap();
        assert_eq!(refusal.status(), Some(Status::VersionMismatch));
        for version in [other, PROTOCOL_VERSION] {
            assert!(
                refusal.sentence.contains(&version.to_string()),
                "{refusal:?}"
            );
        }
        assert_eq!(client.manager_property::<u32>("Providers").await, 0);
    });
}

#[test]
fn a_registration_is_checked_whole() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let wrong = [
            (options(&[("colour", text("red"))]), "\"colour\""),
            (options(&[(option::PROTOCOL, text("1"))]), "\"protocol\""),
            (
                options(&[(option::MAX_CONCURRENT_READS, 1u64.into())]),
                "type t",
            ),
            (options(&[(option::MAX_CONCURRENT_READS, 0u32.into())]), "0"),
            (
                options(&[(option::MAX_CONCURRENT_READS, 4097u32.into())]),
                "4097",
            ),
            (options(&[(option::READ_TIMEOUT_MS, 0u32.into())]), "0"),
        ];
        for (given, named) in wrong {
            let refusal = client.try_register(given).await.err().unwrap();
            assert_eq!(refusal.status(), Some(Status::InvalidArgument), "{named}");
            assert!(refusal.sentence.contains(named), "{refusal:?}");
        }
        let nothing = client
            .manager::<_, ()>("RegisterProvider", &(options(&[]),))
            .await;
        let refusal = nothing.unwrap_err();
        assert_eq!(refusal.status(), Some(Status::InvalidArgument));
        assert!(refusal.sentence.contains("\"protocol\""), "{refusal:?}");
        assert_eq!(client.manager_property::<u32>("Providers").await, 0);
    });
}

#[test]
fn a_commit_answers_id_and_path_and_tells_the_provider_first() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        let chosen = options(&[
            (option::COMMIT_ID, 77u64.into()),
            (option::CACHE_POLICY, text("read-through")),
        ]);
        let (id, path) = client.commit(&provider, image(3), chosen).await.unwrap();
        let mount = rig.daemon.runtime_dir.mount_path();
        assert_eq!(id, "promise-1");
        assert_eq!(
            path,
            mount
                .join("promise-1")
                .into_os_string()
                .into_encoded_bytes()
        );
        frame(&provider);
        let told = frame(&provider);
        let ToProvider::Event {
            event,
            promise,
            argument,
        } = told
        else {
            panic!("the second frame is {told:?}");
        };
        assert_eq!((event, promise, argument), (SessionEvent::Committed, 1, 77));
        let gauges: BTreeMap<String, u64> = client.manager_property("Gauges").await;
        assert_eq!((gauges["promises"], gauges["providers"]), (1, 1));
        let (id, _) = client
            .commit(&provider, image(1), options(&[]))
            .await
            .unwrap();
        assert_eq!(id, "promise-2");
    });
}

#[test]
fn a_refused_commit_changes_nothing() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        let other = client.register().await;

        let stranger = Registered {
            token: other.token.clone(),
            ..client.register().await
        };
        let refusal = refused(&client, &stranger, image(1), &[]).await;
        assert_eq!(refusal.status(), Some(Status::Permission));

        let nobody = Registered {
            number: 99,
            ..client.register().await
        };
        let refusal = refused(&client, &nobody, image(1), &[]).await;
        assert_eq!(refusal.status(), Some(Status::NotFound));

        let clipped = Registered {
            token: provider.token[1..].to_vec(),
            ..client.register().await
        };
        let refusal = refused(&client, &clipped, image(1), &[]).await;
        assert_eq!(refusal.status(), Some(Status::InvalidArgument));

        for (garbage, what) in garbage() {
            let refusal = refused(&client, &provider, garbage, &[]).await;
            assert_eq!(
                refusal.status(),
                Some(Status::InvalidArgument),
                "{what}: {refusal:?}"
            );
        }
        assert_eq!(client.manager_property::<u32>("Promises").await, 0);
        let (id, _) = client
            .commit(&provider, image(1), options(&[]))
            .await
            .unwrap();
        assert_eq!(id, "promise-1", "a refused commit used up a number");
    });
}

#[test]
fn a_commit_with_a_wrong_option_changes_nothing() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        let path = rig.daemon.runtime_dir.mount_path().join("promise-1");
        let fits = path.as_os_str().len() as u64 + 1;
        let wrong = [
            ("mood", text("good"), "\"mood\""),
            (option::COMMIT_ID, 1u32.into(), "type u"),
            (option::CACHE_POLICY, text("sometimes"), "sometimes"),
            (option::PATH_CAPACITY, (fits - 1).into(), "promise-1"),
        ];
        for (key, value, named) in wrong {
            let refusal = refused(&client, &provider, image(1), &[(key, value)]).await;
            assert_eq!(refusal.status(), Some(Status::InvalidArgument), "{key}");
            assert!(refusal.sentence.contains(named), "{refusal:?}");
        }
        let exact = options(&[(option::PATH_CAPACITY, fits.into())]);
        let (id, path) = client.commit(&provider, image(1), exact).await.unwrap();
        assert_eq!((id.as_str(), path.len() as u64 + 1), ("promise-1", fits));
    });
}

#[test]
fn a_commit_whose_caller_has_given_up_changes_nothing() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        let past = [(option::EXPIRES, (monotonic_nanoseconds() - 1).into())];
        let refusal = refused(&client, &provider, image(1), &past).await;
        assert_eq!(refusal.status(), Some(Status::Timeout));
        assert_eq!(client.manager_property::<u32>("Promises").await, 0);
        let future = options(&[(option::EXPIRES, u64::MAX.into())]);
        let (id, _) = client.commit(&provider, image(1), future).await.unwrap();
        assert_eq!(id, "promise-1");
    });
}

#[test]
fn without_a_mount_coming_and_publishing_are_refused_with_the_reason() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        assert_eq!(client.manager_property::<String>("Mount").await, "mounted");
        assert_eq!(client.manager_property::<String>("MountReason").await, "");
        rig.lose_mount("there is no /dev/fuse");
        let refusal = client.try_register(options(&[])).await.err().unwrap();
        assert_eq!(refusal.status(), Some(Status::Unavailable));
        assert!(refusal.sentence.contains("no /dev/fuse"), "{refusal:?}");
        let refusal = refused(&client, &provider, image(1), &[]).await;
        assert_eq!(refusal.status(), Some(Status::Unavailable));
        assert_eq!(client.manager_property::<u32>("Providers").await, 1);
        assert_eq!(client.manager_property::<u32>("Promises").await, 0);
        assert_eq!(
            client.manager_property::<String>("Mount").await,
            "not-mounted"
        );
        let reason: String = client.manager_property("MountReason").await;
        assert!(reason.contains("no /dev/fuse"), "{reason}");
    });
}

#[test]
fn arguments_of_another_type_are_refused_by_the_bus_itself() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let nonsense = client.manager::<_, ()>("Commit", &("promise", 3u8)).await;
        let refusal = nonsense.unwrap_err();
        assert_eq!(refusal.name, "org.freedesktop.DBus.Error.InvalidArgs");
        let unknown = client.manager::<_, ()>("Explode", &()).await.unwrap_err();
        assert_eq!(unknown.name, "org.freedesktop.DBus.Error.UnknownMethod");
    });
}

#[test]
fn the_daemon_says_where_and_what_it_is() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let directory = &rig.daemon.runtime_dir;
        assert_eq!(
            client.manager_property::<u32>("ProtocolVersion").await,
            PROTOCOL_VERSION
        );
        for (property, expected) in [
            ("Version", env!("CARGO_PKG_VERSION").to_owned()),
            ("RuntimeDirectory", directory.path().display().to_string()),
            ("MountPath", directory.mount_path().display().to_string()),
            ("SocketPath", directory.socket_path().display().to_string()),
            ("FuseAdapter", "enabled".to_owned()),
            ("CachePolicy", "no-cache".to_owned()),
        ] {
            let told: String = client.manager_property(property).await;
            assert_eq!(told, expected, "{property}");
        }
        let survives: String = client.manager_property("Survives").await;
        assert!(survives.starts_with("no ("), "{survives}");
    });
}

async fn refused(
    client: &Client,
    provider: &Registered,
    image: OwnedFd,
    given: &[(&str, zbus::OwnedVariant)],
) -> Refusal {
    client
        .commit(provider, image, options(given))
        .await
        .unwrap_err()
}

/// What is no sealed image.
fn garbage() -> [(OwnedFd, &'static str); 7] {
    let unsealed = memfd("unsealed");
    rustix::io::write(&unsealed, &[0; 64]).unwrap();
    let (reader, _) = std::io::pipe().unwrap();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let noise = memfd("noise");
    rustix::io::write(&noise, &[0x5a; 4096]).unwrap();
    [
        (sealed(noise), "a sealed memfd that is no image"),
        (sealed(sized(4096)), "a sealed memfd that is one hole"),
        (
            sealed(sized(IMAGE_LEN_MAX + 1)),
            "a sealed memfd over the limit",
        ),
        (unsealed, "an unsealed memfd"),
        (memfd("empty"), "an empty memfd"),
        (reader.into(), "a pipe"),
        (file.into(), "an ordinary file"),
    ]
}

fn memfd(name: &str) -> OwnedFd {
    use rustix::fs::{MemfdFlags, memfd_create};
    memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap()
}

fn sized(length: u64) -> OwnedFd {
    let memfd = memfd("sized");
    rustix::fs::ftruncate(&memfd, length).unwrap();
    memfd
}

fn sealed(memfd: OwnedFd) -> OwnedFd {
    use rustix::fs::{SealFlags, fcntl_add_seals};
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&memfd, seals).unwrap();
    memfd
}

/// The next frame in the provider's channel; the daemon sent it before it answered.
fn frame(provider: &Registered) -> ToProvider {
    let mut space = [0; RECV_LEN];
    match provider.channel.recv(&mut space).unwrap() {
        RecvOutcome::Frame(frame) => ToProvider::decode(&frame).unwrap(),
        other => panic!("no frame but {other:?}"),
    }
}
