//! Taking back what the daemon and the kernel hold of a promise's bytes.

use std::collections::HashMap;
use std::sync::Arc;

use fuse_promise_core::{Failure, PromiseNumber, Result};
use fuse_promise_wire::bus::{IFACE_PROVIDER, option, provider_path};
use zbus::Variant;

use crate::daemon::Daemon;
use crate::fault::Fault;
use crate::fork::refuse_in_child;
use crate::provider::Provider;
use crate::route::Start;
use crate::session::Session;

impl Provider {
    /// Drops what is held of the nodes with this id, or of all nodes of a promise of this provider;
    /// the next read asks the handler. The content stays what it was. A promise that this provider
    /// does not have, or no longer, is `NotFound`, and so is an id that no node of it has.
    pub fn invalidate(&self, promise_id: &str, node_id: Option<&[u8]>) -> Result<()> {
        refuse_in_child()?;
        let promise = PromiseNumber::parse(promise_id).ok_or_else(|| {
            let shown = promise_id.escape_debug();
            Failure::invalid(format!(
                "\"{shown}\" is no promise id, which looks like promise-7"
            ))
        })?;
        let session = self.shared().present_session()?;
        if session.is_over() {
            return Err(over(promise));
        }
        let call = Arc::clone(&session);
        let node_id = node_id.map(<[u8]>::to_vec);
        let context = self.shared().context();
        let answer = context.control(move |link| async move {
            link.call(Start::Never, |daemon| {
                let (session, node_id) = (Arc::clone(&call), node_id.clone());
                async move { invalidate(&daemon, &session, promise, node_id.as_deref()).await }
            })
            .await
        });
        match answer {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(over(promise)),
            // Whatever another daemon says about it.
            Err(_) if session.is_over() => Err(over(promise)),
            Err(failure) => Err(failure),
        }
    }
}

fn over(promise: PromiseNumber) -> Failure {
    Failure::not_found(format!(
        "{promise} is gone: the session in which it was published has ended"
    ))
}

async fn invalidate(
    daemon: &Daemon,
    session: &Session,
    promise: PromiseNumber,
    node_id: Option<&[u8]>,
) -> Result<(), Fault> {
    let mut options = HashMap::new();
    if let Some(node_id) = node_id {
        options.insert(option::NODE_ID, Variant::from(node_id));
    }
    let object = provider_path(session.number);
    let arguments = (session.token.0.as_slice(), promise.id(), options);
    daemon
        .call(&object, IFACE_PROVIDER, "Invalidate", &arguments)
        .await
}
