//! The object of a registered provider.

use std::sync::Arc;

use fuse_promise_core::Failure;
use fuse_promise_wire::bus::{Options, option};

use super::refusal::Refusal;
use super::{Inside, token};

pub(super) struct Provider(pub(super) Arc<Inside>, pub(super) u64);

#[zbus::interface(name = "io.github.fuse_promise.Private1.Provider")]
impl Provider {
    fn unregister(&self, shown: Vec<u8>) -> Result<(), Refusal> {
        let Self(inside, number) = self;
        if shown != token(*number) {
            return Err(Failure::permission("wrong token").into());
        }
        inside.books.lock().unwrap().unregistered.push(*number);
        inside.changed.notify_all();
        Ok(())
    }

    fn invalidate(&self, shown: Vec<u8>, id: String, mut options: Options) -> Result<(), Refusal> {
        let Self(inside, number) = self;
        if shown != token(*number) {
            return Err(Failure::permission("wrong token").into());
        }
        let node = options.remove(option::NODE_ID);
        let node = node.map(|node| Vec::<u8>::try_from(node).unwrap());
        let told = format!("{id} {:?}", node.map(String::from_utf8));
        inside.books.lock().unwrap().invalidated.push(told);
        Ok(())
    }
}
