use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

const KEYS_OF_1_0: [&str; 9] = [
    "api_version",
    "mount_path",
    "socket_path",
    "daemon",
    "mount",
    "fuse_adapter",
    "cache_policy",
    "providers",
    "promises",
];

fn daemon() -> DaemonStatus {
    DaemonStatus {
        protocol_version: 1,
        version: "1.1.0".into(),
        runtime_dir: "/run/user/1000".into(),
        mount_path: "/run/user/1000/fuse-promise".into(),
        socket_path: "/run/user/1000/fuse-promise.sock".into(),
        mount: "mounted".into(),
        mount_reason: String::new(),
        fuse_adapter: "enabled".into(),
        cache_policy: "no-cache".into(),
        survives: "no (not stored)".into(),
        providers: 1,
        promises: 2,
        gauges: BTreeMap::from([("in_flight".into(), 3), ("promises".into(), 9)]),
    }
}

fn keys(facts: &Record) -> Vec<String> {
    facts.fields().map(|(key, _)| key.to_owned()).collect()
}

#[test]
fn the_lines_of_a_connected_daemon() {
    assert_eq!(
        lines(&with_daemon(&daemon())),
        "api_version=1\n\
         mount_path=/run/user/1000/fuse-promise\n\
         socket_path=/run/user/1000/fuse-promise.sock\n\
         daemon=connected\n\
         mount=mounted\n\
         fuse_adapter=enabled\n\
         cache_policy=no-cache\n\
         providers=1\n\
         promises=2\n\
         version=1.1.0\n\
         protocol_version=1\n\
         survives=no\\x20(not\\x20stored)\n\
         in_flight=3\n"
    );
}

#[test]
fn without_a_daemon_the_same_keys_are_there() {
    let directory = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .unwrap();
    let options = fuse_promise_client::ContextOptions {
        runtime_dir: Some(directory.path().to_owned()),
    };
    let facts = without_daemon(&Context::open(options).unwrap());
    assert_eq!(keys(&facts), KEYS_OF_1_0);
    assert_eq!(facts.get("daemon"), Some(b"not-connected".as_slice()));
    let mount = directory.path().join("fuse-promise");
    assert_eq!(
        facts.get("mount_path"),
        Some(mount.as_os_str().as_encoded_bytes())
    );
    assert_eq!(keys(&with_daemon(&daemon()))[..9], KEYS_OF_1_0);
}

#[test]
fn why_it_is_not_mounted_is_told() {
    let mut daemon = daemon();
    daemon.mount = "not-mounted".into();
    daemon.mount_reason = "no /dev/fuse".into();
    let lines = lines(&with_daemon(&daemon));
    assert!(lines.contains("mount=not-mounted\n"));
    assert!(lines.contains("mount_reason=no\\x20/dev/fuse\n"));
}

#[test]
fn the_table_is_aligned_and_says_how_to_start_a_daemon() {
    let facts = Record::default()
        .field("daemon", "not-connected")
        .field("mount_path", "/a b");
    assert_eq!(
        table(&facts, false),
        "daemon      not-connected\n\
         mount path  /a b\n\
         No daemon answers. It starts by itself when a program needs it, \
         or with: fpctl status --start\n"
    );
    assert!(!table(&facts, true).contains("--start"));
}

#[test]
fn json_keeps_order_and_numbers() {
    let text = serde_json::to_string(&Object(&with_daemon(&daemon()))).unwrap();
    assert!(text.starts_with("{\"api_version\":1,\"mount_path\":\"/run/user/1000/fuse-promise\""));
    assert!(text.contains("\"survives\":\"no (not stored)\",\"in_flight\":3}"));
}
