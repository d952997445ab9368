//! Provider objects: who sees them, what they say, how they end.

use std::os::fd::{AsRawFd, OwnedFd};

use fuse_promise_core::status::Status;
use fuse_promise_wire::bus::{IFACE_PROVIDER, Options, option};
use zbus::Variant;

use super::rig::{Client, Refusal, Registered, Rig, options, run, text};
use crate::bus::events::Scope;

#[test]
fn a_provider_object_tells_its_session() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        client.commit_tree(&provider, 2).await;
        let own = std::env::current_exe().unwrap();
        assert_eq!(client.provider_property::<u64>("Number", 1).await, 1);
        assert_eq!(client.provider_property::<String>("State", 1).await, "live");
        let program: String = client.provider_property("Program", 1).await;
        assert_eq!(program, own.display().to_string());
        let user: u32 = client.provider_property("Uid", 1).await;
        assert_eq!(user, rustix::process::getuid().as_raw());
        assert_eq!(client.provider_property::<u32>("Promises", 1).await, 1);
        for property in ["InFlight", "Queued"] {
            assert_eq!(client.provider_property::<u32>(property, 1).await, 0);
        }
        for property in ["Reads", "ServedBytes", "Errors"] {
            assert_eq!(client.provider_property::<u64>(property, 1).await, 0);
        }
    });
}

#[test]
fn only_the_token_ends_a_session() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let provider = client.register().await;
        let other = client.register().await;
        let refusal = unregister(&client, &provider, &other.token)
            .await
            .unwrap_err();
        assert_eq!(refusal.status(), Some(Status::Permission));
        let refusal = unregister(&client, &provider, &[1, 2]).await.unwrap_err();
        assert_eq!(refusal.status(), Some(Status::InvalidArgument));
        assert_eq!(client.manager_property::<u32>("Providers").await, 2);
        unregister(&client, &provider, &provider.token)
            .await
            .unwrap();
        assert_eq!(client.manager_property::<u32>("Providers").await, 1);
        let again = unregister(&client, &provider, &provider.token).await;
        let refusal = again.unwrap_err();
        assert_eq!(refusal.name, "org.freedesktop.DBus.Error.UnknownObject");
    });
}

#[test]
fn a_provider_gets_its_own_images_back_and_no_others() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let (provider, other) = (client.register().await, client.register().await);
        client.commit_tree(&provider, 2).await;
        let image = get_image(&client, &provider, "promise-1").await.unwrap();
        // What comes back is as good as what was sent.
        let (id, _) = client.commit(&other, image, options(&[])).await.unwrap();
        assert_eq!(id, "promise-2");
        assert_eq!(client.provider_property::<u32>("Promises", 2).await, 1);
        for missing in ["promise-2", "promise-3"] {
            let refusal = get_image(&client, &provider, missing).await.unwrap_err();
            assert_eq!(refusal.status(), Some(Status::NotFound), "{missing}");
            assert!(refusal.sentence.contains(missing), "{refusal:?}");
        }
        let refusal = get_image(&client, &provider, "../promise-1")
            .await
            .unwrap_err();
        assert_eq!(refusal.status(), Some(Status::InvalidArgument));
    });
}

#[test]
fn a_peer_sees_the_providers_of_its_own_process_on_every_connection() {
    run(async {
        let rig = Rig::new();
        let before = rig.on_socket().await;
        let provider = rig.on_socket().await.register().await;
        let after = rig.on_socket().await;
        // An answer on this connection comes behind what its queue held.
        let own = before.register().await;
        for client in [&before, &after] {
            let state: String = client.provider_property("State", provider.number).await;
            assert_eq!(state, "live");
        }
        // Number 1 is the process that began first; it is not us.
        let other = rig.client(Scope::Process(1)).await;
        for number in [provider.number, own.number] {
            let object = format!("/io/github/fuse_promise/provider/{number}");
            let hidden = other.try_property(&object, IFACE_PROVIDER, "State").await;
            hidden.unwrap_err();
        }
        assert_eq!(other.manager_property::<u32>("Providers").await, 2);
    });
}

#[test]
fn what_is_held_is_given_up_for_its_provider_alone() {
    run(async {
        let rig = Rig::new();
        for client in [rig.on_socket().await, rig.on_session().await] {
            let (provider, other) = (client.register().await, client.register().await);
            let promise = client.commit_tree(&provider, 2).await;
            let id = format!("promise-{promise}");
            let invalidate = |provider, token: &Registered, id: &str, options| {
                invalidate(
                    &client,
                    provider,
                    token.token.clone(),
                    id.to_owned(),
                    options,
                )
            };
            let all = invalidate(&provider, &provider, &id, options(&[]));
            all.await.unwrap();
            for known in ["id-0", "id-dir"] {
                let one = invalidate(&provider, &provider, &id, node_id(known));
                one.await.unwrap();
            }
            let text_id = options(&[(option::NODE_ID, text("id-0"))]);
            let odd = options(&[("nodes", true.into())]);
            for (owner, token, id, options, status, named) in [
                (
                    &provider,
                    &other,
                    &*id,
                    options(&[]),
                    Status::Permission,
                    "token",
                ),
                (&other, &other, &id, options(&[]), Status::NotFound, &id),
                (
                    &provider,
                    &provider,
                    "promise-77",
                    options(&[]),
                    Status::NotFound,
                    "77",
                ),
                (
                    &provider,
                    &provider,
                    &id,
                    node_id("id-9"),
                    Status::NotFound,
                    "id-9",
                ),
                (
                    &provider,
                    &provider,
                    &id,
                    node_id(""),
                    Status::InvalidArgument,
                    "empty",
                ),
                (
                    &provider,
                    &provider,
                    "id",
                    options(&[]),
                    Status::InvalidArgument,
                    "id",
                ),
                (
                    &provider,
                    &provider,
                    &id,
                    text_id,
                    Status::InvalidArgument,
                    "ay",
                ),
                (
                    &provider,
                    &provider,
                    &id,
                    odd,
                    Status::InvalidArgument,
                    "nodes",
                ),
            ] {
                let refusal = invalidate(owner, token, id, options).await.unwrap_err();
                assert_eq!(refusal.status(), Some(status), "{refusal:?}");
                assert!(refusal.sentence.contains(named), "{refusal:?}");
            }
        }
    });
}

fn node_id(id: &str) -> Options {
    let id = Variant::from(id.as_bytes());
    options(&[(option::NODE_ID, id.try_to_owned().unwrap())])
}

async fn invalidate(
    client: &Client,
    provider: &Registered,
    token: Vec<u8>,
    promise: String,
    options: Options,
) -> Result<(), Refusal> {
    let object = provider.object.as_str();
    let arguments = (token, promise, options);
    client
        .call(object, IFACE_PROVIDER, "Invalidate", &arguments)
        .await
}

async fn unregister(client: &Client, provider: &Registered, token: &[u8]) -> Result<(), Refusal> {
    let object = provider.object.as_str();
    client
        .call(object, IFACE_PROVIDER, "Unregister", &(token,))
        .await
}

async fn get_image(
    client: &Client,
    provider: &Registered,
    promise: &str,
) -> Result<OwnedFd, Refusal> {
    let object = provider.object.as_str();
    let image: zbus::OwnedFd = client
        .call(object, IFACE_PROVIDER, "GetImage", &(promise,))
        .await?;
    assert!(image.as_raw_fd() > 2);
    Ok(image.into())
}
