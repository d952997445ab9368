//! What a provider takes back: bytes held of its promise are dropped, from the store
//! and from the kernel's pages, and the next read asks for them again.
//!
//! A request that is under way brings those who wait for it their answer; its bytes do
//! not come to stay, and who reads afterwards does not join it. Until a READ is answered
//! the kernel does not let go of the pages that it fills. So the pages of a file for
//! which an answer is owed are dropped when that has come (`owed.rs`), and the call does
//! not wait for it: it may be made from inside that very read.

use std::collections::HashSet;

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{PromiseNumber, ProviderNumber, Row, Token};

use crate::engine::Engine;
use crate::observe::EngineEvent;
use crate::promise::Promise;

impl Engine {
    /// Drops what is held of the nodes with this id, which need not be one alone, or of
    /// all nodes of the promise. Files written by a materialize are the user's and serve
    /// on. What is read afterwards is kept again.
    ///
    /// # Errors
    /// `Permission` for a wrong token, `NotFound` for a promise that is not this
    /// provider's or an id that no node has, `InvalidArgument` for an empty id,
    /// `ProviderGone` when the session has ended. Nothing has changed then.
    pub fn invalidate(
        &self,
        provider: ProviderNumber,
        token: &Token,
        number: PromiseNumber,
        node_id: Option<&[u8]>,
    ) -> Result<()> {
        self.live_session(provider, token)?;
        let promise = self.catalog.get(number);
        let promise = promise
            .filter(|promise| promise.session.number() == provider)
            .ok_or_else(|| Failure::not_found(format!("provider {provider} has no {number}")))?;
        let rows = node_id.map(|id| rows_with(&promise, id)).transpose()?;
        // Of others nothing is held; pages of their mapped files go at the next open.
        if promise.is_cached() {
            self.drop_held(&promise, |row| {
                rows.as_ref().is_none_or(|rows| rows.contains(&row))
            });
        }
        Ok(())
    }

    fn drop_held(&self, promise: &Promise, concerns: impl Fn(Row) -> bool) {
        let store = &self.cache.store;
        let whole = store.whole_files(promise.number);
        // Before the bytes are dropped, so that none come in afterwards.
        self.cache.fetches.take_back(promise.number, &concerns);
        store.remove_files(promise.number, &concerns);
        if store.whole_files(promise.number) != whole {
            let changed = EngineEvent::PromiseChanged(promise.number);
            self.observer.event(changed);
        }
        let mut told = false;
        for row in promise.opened_rows() {
            if concerns(row) {
                told |= self.drop_pages(promise.file_key(row));
            }
        }
        if told {
            self.notifier.catch_up();
        }
    }
}

/// The rows of the nodes with an id.
fn rows_with(promise: &Promise, id: &[u8]) -> Result<HashSet<Row>> {
    if id.is_empty() {
        return Err(Failure::invalid(
            "the node id is empty; leave it out for all nodes of the promise",
        ));
    }
    let view = promise.view();
    let has_id = |row: &Row| view.row(*row).is_some_and(|node| node.node_id == id);
    let rows: HashSet<Row> = (0..view.node_count()).map(Row).filter(has_id).collect();
    if rows.is_empty() {
        return Err(Failure::not_found(format!(
            "{} has no node with the id \"{}\"",
            promise.number,
            String::from_utf8_lossy(id).escape_debug()
        )));
    }
    Ok(rows)
}
