//! `dbus/*.xml` is the reviewed contract: what the live objects say of themselves must be exactly
//! that. With FUSE_PROMISE_REGENERATE set in the environment the files are written instead.

use std::path::PathBuf;

use fuse_promise_wire::bus::{IFACE_JOB, IFACE_MANAGER, IFACE_PROMISE, IFACE_PROVIDER, ROOT_PATH};
use zbus::OwnedObjectPath;

use super::rig::{Client, Rig, options, run};

const REGENERATE: &str = "FUSE_PROMISE_REGENERATE";

const HEAD: &str = "\
<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"
 \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">
<!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->
<!-- Written by `cargo xtask gen` from the objects of fuse-promised. The name says Private:
     applications use the C interface, fuse-promise.h. -->
<node>
";

#[test]
fn the_live_objects_say_what_the_committed_files_say() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_session().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 1).await;
        let target = copy(&rig, &client).await;
        for (object, interface) in [
            (ROOT_PATH.to_owned(), IFACE_MANAGER),
            (format!("{ROOT_PATH}/provider/1"), IFACE_PROVIDER),
            (format!("{ROOT_PATH}/promise/1"), IFACE_PROMISE),
            (format!("{ROOT_PATH}/job/1"), IFACE_JOB),
        ] {
            let live = interface_of(&introspect(&client, &object).await, interface);
            let live = format!("{HEAD}{live}</node>\n");
            check(interface, &live);
        }
        drop(target);
    });
}

#[test]
fn every_object_has_the_standard_interfaces() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_session().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 1).await;
        let target = copy(&rig, &client).await;
        for object in ["", "/provider/1", "/promise/1", "/job/1"] {
            let whole = introspect(&client, &format!("{ROOT_PATH}{object}")).await;
            for interface in ["Introspectable", "Peer", "Properties"] {
                let declared = format!("<interface name=\"org.freedesktop.DBus.{interface}\">");
                assert!(whole.contains(&declared), "{object} has no {interface}");
            }
        }
        let root = introspect(&client, ROOT_PATH).await;
        assert!(root.contains("<interface name=\"org.freedesktop.DBus.ObjectManager\">"));
        drop(target);
    });
}

/// Makes the first job; the directory it copies to.
async fn copy(rig: &Rig, client: &Client) -> tempfile::TempDir {
    let target = tempfile::tempdir().unwrap();
    let opened = std::fs::File::open(target.path()).unwrap();
    let opened = zbus::OwnedFd::from(std::os::fd::OwnedFd::from(opened));
    let source = rig.daemon.runtime_dir.mount_path().join("promise-1");
    let source = source.into_os_string().into_encoded_bytes();
    let arguments = (source, opened, options(&[]));
    let job: OwnedObjectPath = client.manager("Materialize", &arguments).await.unwrap();
    assert_eq!(job.as_str(), format!("{ROOT_PATH}/job/1"));
    target
}

fn check(interface: &str, live: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../dbus");
    let file = file.join(format!("{interface}.xml"));
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&file, live).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&file);
    let committed = committed.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(
        committed == live,
        "{} is not what the daemon says; run `cargo xtask gen`. The daemon says:\n{live}",
        file.display()
    );
}

async fn introspect(client: &Client, object: &str) -> String {
    let introspectable = "org.freedesktop.DBus.Introspectable";
    client
        .call(object, introspectable, "Introspect", &())
        .await
        .unwrap()
}

/// The lines of one interface of the object itself, indented as below a `<node>`.
fn interface_of(whole: &str, interface: &str) -> String {
    let begin = format!("  <interface name=\"{interface}\">");
    let mut lines = String::new();
    for line in whole.lines().skip_while(|line| *line != begin) {
        lines.push_str(line.trim_end());
        lines.push('\n');
        if line == "  </interface>" {
            break;
        }
    }
    assert!(
        lines.ends_with("  </interface>\n"),
        "{interface} is not in:\n{whole}"
    );
    lines
}
