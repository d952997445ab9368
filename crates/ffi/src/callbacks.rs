//! The C callbacks of a provider as the client's `ReadHandler`.

use std::ffi::{CStr, c_void};

use fuse_promise_client::{PromiseEvent, ReadHandler, ReadRequest};
use fuse_promise_core::Status;

use crate::provider::{fp_read_request_t, fp_read_response_t};
use crate::provider_config::{fp_event_kind_t, fp_event_t, fp_provider_event_fn};
use crate::status::fp_status_t;

pub(crate) type ReadFn = unsafe extern "C" fn(
    *const fp_read_request_t,
    *mut fp_read_response_t,
    *mut c_void,
) -> fp_status_t;

/// The C callbacks and the pointer they want to see.
pub(crate) struct Callbacks {
    pub(crate) read: ReadFn,
    pub(crate) event: fp_provider_event_fn,
    pub(crate) user_data: *mut c_void,
}

// SAFETY: the header says that the callbacks and user_data are used from threads of the library;
// the library itself never looks behind the pointer.
unsafe impl Send for Callbacks {}
// SAFETY: as above; the header says when calls overlap.
unsafe impl Sync for Callbacks {}

impl ReadHandler for Callbacks {
    fn read(&self, request: &ReadRequest<'_>, buffer: &mut [u8]) -> Result<usize, Status> {
        let room = buffer.len();
        let request = fp_read_request_t {
            promise_id: request.promise_id.as_ptr(),
            node_id: request.node_id.as_ptr(),
            relative_path: request.relative_path.as_ptr(),
            offset: request.offset,
            length: request.length,
        };
        let mut response = fp_read_response_t {
            buffer: buffer.as_mut_ptr(),
            buffer_len: room,
            bytes_written: 0,
        };
        // SAFETY: the texts and the buffer outlive the call; that the callback stays within them is
        // the provider's part.
        let status = unsafe { (self.read)(&raw const request, &raw mut response, self.user_data) };
        if status != Status::Ok.code() {
            return Err(Status::from_provider(status));
        }
        if response.bytes_written > room {
            return Err(Status::Io);
        }
        Ok(response.bytes_written)
    }
    fn event(&self, promise_id: &CStr, event: PromiseEvent) {
        let Some(hear) = self.event else {
            return;
        };
        let event = fp_event_t {
            struct_size: size_of::<fp_event_t>() as u32,
            kind: kind_of(event),
            promise_id: promise_id.as_ptr(),
        };
        // SAFETY: the struct and its text outlive the call; the rest is the callback's part.
        unsafe { hear(&raw const event, self.user_data) };
    }
}

/// The numbers of the FP_EVENT_ constants.
fn kind_of(event: PromiseEvent) -> fp_event_kind_t {
    match event {
        PromiseEvent::Destroyed => 1,
        PromiseEvent::Released => 2,
    }
}
