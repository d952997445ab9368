//! An answer in the slot into which the provider wrote it. Whoever holds it may
//! read the bytes; dropping it frees the slot and sends the next waiting read.

use std::sync::Arc;

use fuse_promise_core::ids::Row;

use super::Session;
use super::in_flight::Asked;

/// The bytes of one answered read.
pub struct SlotAnswer {
    session: Arc<Session>,
    /// None only while it is dropped.
    asked: Option<Asked>,
}

impl SlotAnswer {
    pub(super) fn new(session: &Arc<Session>, asked: Asked) -> Self {
        Self {
            session: Arc::clone(session),
            asked: Some(asked),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.asked {
            Some(asked) => asked.slot.bytes(asked.got as usize),
            None => &[],
        }
    }

    /// The node, and the offset behind the last byte of the answer.
    pub(super) fn ends_at(&self) -> (Row, u64) {
        let asked = self.asked.as_ref();
        asked.map_or((Row(0), 0), |asked| {
            (asked.want.row, asked.want.offset + u64::from(asked.got))
        })
    }
}

impl Drop for SlotAnswer {
    fn drop(&mut self) {
        if let Some(asked) = self.asked.take() {
            let now = self.session.pump.now();
            let outgoing = self.session.traffic.lock().finish(asked, now);
            if let Some(outgoing) = outgoing {
                self.session.send(outgoing);
                self.session.advance();
            }
        }
    }
}
