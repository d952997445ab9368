//! The end: who waits is answered, who comes is refused, connections close.

use std::sync::mpsc::channel;

use fuse_promise_core::failure::Result;
use fuse_promise_core::status::Status;

use super::rig::{Rig, options, run};
use crate::bus::calls::Asker;
use crate::bus::events::WatchNumber;
use crate::bus::service::Stage;

fn asker() -> Asker {
    Asker {
        connection: WatchNumber(0),
        sender: None,
    }
}

#[test]
fn a_call_that_waits_is_answered_and_a_new_one_refused() {
    run(async {
        let rig = Rig::new();
        let client = rig.on_socket().await;
        let (release, held) = channel::<()>();
        let service = rig.bus.service.clone();
        let call = tokio::spawn(async move {
            let _call = service.begin(asker())?;
            let work = service.run(move |_| {
                // Ends when the test lets go of the other end.
                let _ = held.recv();
                Ok(())
            });
            work.await
        });
        // The spawned call has begun when this answer is here.
        client.manager_property::<u32>("Providers").await;
        rig.bus.service.advance(Stage::Refusing);
        let refusal = client.try_register(options(&[])).await.err().unwrap();
        assert_eq!(refusal.status(), Some(Status::Unavailable));
        assert!(refusal.sentence.contains("stopping"), "{refusal:?}");
        let answered: Result<()> = call.await.unwrap();
        assert_eq!(answered.unwrap_err().status, Status::Unavailable);
        drop(release);
    });
}

#[test]
fn stopping_closes_every_connection() {
    run(async {
        let rig = Rig::new();
        let clients = [rig.on_socket().await, rig.on_session().await];
        rig.bus.stop().await;
        for client in &clients {
            client.connection.closed().await;
        }
    });
}

#[test]
fn stopping_twice_is_stopping_once() {
    run(async {
        let rig = Rig::new();
        rig.bus.stop().await;
        rig.bus.stop().await;
        rig.bus.service.advance(Stage::Refusing);
        assert!(rig.bus.service.begin(asker()).is_err());
        rig.bus.service.reaches(Stage::Closing).await;
    });
}
