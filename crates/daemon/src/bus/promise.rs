//! `io.github.fuse_promise.Private1.Promise` at `promise/N`: one committed tree.

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{Inode, PromiseNumber, Row};
use fuse_promise_core::image::Node;
use fuse_promise_core::limits::NODES_PER_PAGE_MAX;
use fuse_promise_engine::PromiseSnapshot;
use fuse_promise_wire::bus::NodeEntry;
use zbus::Connection;
use zbus::message::Header;

use super::error::BusError;
use super::objects::Context;

pub struct Promise {
    context: Context,
    number: PromiseNumber,
}

impl Promise {
    pub fn new(context: Context, number: PromiseNumber) -> Self {
        Self { context, number }
    }

    fn snapshot(&self) -> Result<PromiseSnapshot> {
        let snapshot = self.context.service.daemon.engine.promise(self.number);
        snapshot.ok_or_else(|| self.gone())
    }

    fn gone(&self) -> Failure {
        Failure::not_found(format!("{} is gone", self.number))
    }
}

/// One committed tree.
#[zbus::interface(name = "io.github.fuse_promise.Private1.Promise")]
impl Promise {
    /// Takes the promise out of the listing, for any client of the user, like rm. Open files are
    /// served on.
    async fn destroy(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<(), BusError> {
        let _call = self.context.begin(connection, &call).await?;
        Ok(self.context.destroy(self.number).await?)
    }

    /// A page of what the provider declared: up to count nodes beginning with row first. Rows
    /// count from 1, breadth-first with names in byte order; row 0 is the promise's own directory.
    /// A page is never longer than 4096 nodes; an empty one is behind the end.
    #[zbus(out_args("page"))]
    async fn nodes(
        &self,
        first: u64,
        count: u32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] call: Header<'_>,
    ) -> Result<Vec<NodeEntry>, BusError> {
        let _call = self.context.begin(connection, &call).await?;
        let promise = self.context.service.daemon.engine.promise_tree(self.number);
        let promise = promise.ok_or_else(|| self.gone())?;
        let view = promise.view();
        let rows = u64::from(view.node_count());
        let begin = first.max(1);
        let end = begin.saturating_add(u64::from(count.min(NODES_PER_PAGE_MAX)));
        let page = (begin..end.min(rows)).filter_map(|row| {
            let row = Row(u32::try_from(row).ok()?);
            let node = view.row(row)?;
            Some(entry(self.number, &node, view.path(row)))
        });
        Ok(page.collect())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn id(&self) -> String {
        self.number.id()
    }

    /// Where it is in the file system.
    #[zbus(property(emits_changed_signal = "const"))]
    fn path(&self) -> String {
        let path = self.context.service.daemon.engine.promise_path(self.number);
        path.to_string_lossy().into_owned()
    }

    /// The number of the provider that answers for it.
    #[zbus(property(emits_changed_signal = "const"))]
    fn provider(&self) -> Result<u64, BusError> {
        Ok(self.snapshot()?.provider.0)
    }

    /// The worst among its files. One of: materialized, cached, available, waiting,
    /// provider-gone, destroyed.
    #[zbus(property)]
    fn state(&self) -> Result<String, BusError> {
        Ok(self.snapshot()?.state.word().to_owned())
    }

    /// How many nodes the provider declared.
    #[zbus(property(emits_changed_signal = "const"), name = "Nodes")]
    fn node_count(&self) -> Result<u64, BusError> {
        Ok(self.snapshot()?.nodes.saturating_sub(1).into())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn files(&self) -> Result<u64, BusError> {
        Ok(self.snapshot()?.files.into())
    }

    /// The declared sizes of its files together, in bytes.
    #[zbus(property(emits_changed_signal = "const"))]
    fn size(&self) -> Result<u64, BusError> {
        Ok(self.snapshot()?.size)
    }

    /// One of: no-cache, read-through.
    #[zbus(property(emits_changed_signal = "const"))]
    fn cache_policy(&self) -> Result<String, BusError> {
        Ok(self.snapshot()?.cache_policy.word().to_owned())
    }

    /// Open files and directories.
    #[zbus(property(emits_changed_signal = "false"))]
    fn opens(&self) -> Result<u64, BusError> {
        Ok(self.snapshot()?.opens)
    }
}

fn entry(promise: PromiseNumber, node: &Node<'_>, path: Vec<u8>) -> NodeEntry {
    NodeEntry {
        row: node.row.0,
        inode: Inode::new(promise, node.row).0,
        path,
        kind: node.kind.word().to_owned(),
        size: node.attr.size,
        mode: node.attr.mode,
        mtime_nsec: node.attr.mtime_nsec,
        node_id: node.node_id.to_vec(),
    }
}
