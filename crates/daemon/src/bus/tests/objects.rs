//! The tree as it changes: which signals come, in which order, and what is there when.

use fuse_promise_core::ids::ProviderNumber;
use fuse_promise_engine::EngineEvent;
use fuse_promise_wire::bus::{IFACE_MANAGER, IFACE_PROMISE, IFACE_PROVIDER, ROOT_PATH};
use zbus::MessageStream;
use zbus::connection::Builder;
use zbus::fdo::ManagedObjects;

use super::rig::{Added, Changed, Removed, Rig, run};
use crate::bus::events::{Scope, WatchNumber};

const PROMISES: u32 = 300;

#[test]
fn what_comes_and_goes_is_announced_in_order() {
    run(async {
        let rig = Rig::new();
        let mut watcher = rig.on_session().await;
        let client = rig.on_socket().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 1).await;
        client.commit_tree(&provider, 1).await;
        let arguments = (provider.token.as_slice(),);
        let object = provider.object.as_str();
        let ended = client.call::<_, ()>(object, IFACE_PROVIDER, "Unregister", &arguments);
        ended.await.unwrap();
        let signals: [String; 6] = watcher.signals().await;
        assert_eq!(
            signals[..3],
            [
                "InterfacesAdded /provider/1",
                "InterfacesAdded /promise/1",
                "InterfacesAdded /promise/2",
            ]
        );
        let mut gone = signals[3..].to_vec();
        gone.sort();
        assert_eq!(
            gone,
            [
                "InterfacesRemoved /promise/1",
                "InterfacesRemoved /promise/2",
                "InterfacesRemoved /provider/1",
            ]
        );
    });
}

#[test]
fn an_announced_object_brings_its_properties() {
    run(async {
        let rig = Rig::new();
        let mut client = rig.on_session().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 2).await;
        client.signal().await;
        let (_, added) = client.signal().await;
        let (object, interfaces): Added = added.body().deserialize().unwrap();
        assert_eq!(object.as_str(), format!("{ROOT_PATH}/promise/1"));
        let properties = &interfaces[IFACE_PROMISE];
        assert_eq!(<&str>::try_from(&properties["Id"]).unwrap(), "promise-1");
        assert_eq!(<&str>::try_from(&properties["State"]).unwrap(), "available");
        assert_eq!(u64::try_from(&properties["Nodes"]).unwrap(), 3);
    });
}

#[test]
fn a_call_that_makes_or_removes_an_object_is_answered_when_that_is_seen() {
    run(async {
        let rig = Rig::new();
        let mut client = rig.on_session().await;
        let provider = client.register().await;
        for round in 1..=20 {
            let promise = client.commit_tree(&provider, 1).await;
            assert_eq!(promise, round);
            let object = format!("{ROOT_PATH}/promise/{promise}");
            let state: String = client.promise_property("State", promise).await;
            assert_eq!(state, "available");
            client
                .call::<_, ()>(&object, IFACE_PROMISE, "Destroy", &())
                .await
                .unwrap();
            client
                .try_property(&object, IFACE_PROMISE, "State")
                .await
                .unwrap_err();
        }
        let [first, ..]: [String; 41] = client.signals().await;
        assert_eq!(first, "InterfacesAdded /provider/1");
    });
}

#[test]
fn the_end_of_a_provider_changes_the_state_of_its_promises() {
    run(async {
        let rig = Rig::new();
        let mut client = rig.on_session().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 1).await;
        let [_, _]: [String; 2] = client.signals().await;
        drop(provider.channel);
        loop {
            let (shown, changed) = client.signal().await;
            if shown != "PropertiesChanged /promise/1" {
                assert!(shown.contains("/provider/1"), "{shown}");
                continue;
            }
            let (interface, properties, _): Changed = changed.body().deserialize().unwrap();
            assert_eq!(interface, IFACE_PROMISE);
            let state = <&str>::try_from(&properties["State"]).unwrap();
            assert_eq!(state, "provider-gone");
            break;
        }
        let told: String = client.promise_property("State", 1).await;
        assert_eq!(told, "provider-gone");
    });
}

#[test]
fn the_loss_of_the_mount_is_announced_with_its_reason() {
    run(async {
        let rig = Rig::new();
        let mut client = rig.on_socket().await;
        rig.lose_mount("it was taken away");
        for (property, expected) in [
            ("Mount", "not-mounted"),
            ("MountReason", "it was taken away"),
        ] {
            let (shown, changed) = client.signal().await;
            assert_eq!(shown, "PropertiesChanged ");
            let (interface, properties, _): Changed = changed.body().deserialize().unwrap();
            assert_eq!(interface, IFACE_MANAGER);
            assert_eq!(<&str>::try_from(&properties[property]).unwrap(), expected);
        }
    });
}

#[test]
fn a_client_that_comes_late_finds_everything_at_once() {
    run(async {
        let rig = Rig::new();
        let maker = rig.on_socket().await;
        let provider = maker.register().await;
        for _ in 0..PROMISES {
            maker.commit_tree(&provider, 1).await;
        }
        let client = rig.on_session().await;
        let manager = "org.freedesktop.DBus.ObjectManager";
        let objects = client
            .call(ROOT_PATH, manager, "GetManagedObjects", &())
            .await;
        let objects: ManagedObjects = objects.unwrap();
        let promises = objects.values().filter(|interfaces| {
            interfaces
                .keys()
                .any(|interface| interface.as_str() == IFACE_PROMISE)
        });
        assert_eq!(promises.count(), PROMISES as usize);
    });
}

#[test]
fn a_removed_object_names_what_it_lost() {
    run(async {
        let rig = Rig::new();
        let mut client = rig.on_session().await;
        let provider = client.register().await;
        let promise = client.commit_tree(&provider, 1).await;
        let object = format!("{ROOT_PATH}/promise/{promise}");
        client
            .call::<_, ()>(&object, IFACE_PROMISE, "Destroy", &())
            .await
            .unwrap();
        let [_, _]: [String; 2] = client.signals().await;
        let (shown, removed) = client.signal().await;
        assert_eq!(shown, "InterfacesRemoved /promise/1");
        let (_, interfaces): Removed = removed.body().deserialize().unwrap();
        assert_eq!(interfaces, [IFACE_PROMISE]);
    });
}

#[test]
fn a_peer_by_the_socket_hears_nothing_of_promises() {
    run(async {
        let rig = Rig::new();
        let mut client = rig.on_socket().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 1).await;
        rig.lose_mount("the end of the test");
        // Were there a signal for the promise, it would come first.
        assert_eq!(client.signal().await.0, "PropertiesChanged ");
        let object = format!("{ROOT_PATH}/promise/1");
        let hidden = client.try_property(&object, IFACE_PROMISE, "State").await;
        hidden.unwrap_err();
    });
}

#[test]
fn a_peer_that_reads_nothing_is_given_up() {
    run(async {
        let rig = Rig::new();
        let (stream, serving) = rig.serve(Scope::Process(std::process::id()));
        let peer = Builder::unix_stream(stream).p2p().build().await.unwrap();
        // Once this is full, which nobody takes from, the peer reads no more.
        let _signals = MessageStream::from(&peer);
        let registered = rig.on_socket().await.register().await;
        let changed = EngineEvent::ProviderChanged(ProviderNumber(registered.number));
        while !serving.is_finished() {
            let events = rig.bus.service.events.clone();
            tokio::spawn(async move { events.shown(WatchNumber(0), changed).await });
            tokio::task::yield_now().await;
        }
        serving.await.unwrap();
    });
}
