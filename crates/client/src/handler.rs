//! What a provider's program brings: the answer to a read, and an ear for what becomes of its
//! promises.

use std::ffi::CStr;

use fuse_promise_core::Status;

/// Which bytes of which file are asked for. The texts are valid until the handler returns.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest<'a> {
    /// Such as `promise-7`.
    pub promise_id: &'a CStr,
    /// As the file was added with.
    pub node_id: &'a CStr,
    /// The file's path inside the promise.
    pub relative_path: &'a CStr,
    pub offset: u64,
    pub length: usize,
}

/// What has become of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromiseEvent {
    /// It is out of the listing. Files that are open are still read.
    Destroyed,
    /// No more reads of it will come. The last word about it.
    Released,
}

/// Answers reads on threads of the library: of each provider one at a time, unless it allowed more
/// ([`ProviderOptions::max_concurrent_reads`](crate::ProviderOptions::max_concurrent_reads)).
pub trait ReadHandler: Send + Sync {
    /// Writes up to `request.length` bytes to the beginning of the buffer, which is as long, and
    /// returns how many. Fewer is continued with another request; 0 means that the file ends here.
    /// An error fails this read only.
    fn read(&self, request: &ReadRequest<'_>, buffer: &mut [u8]) -> Result<usize, Status>;

    /// Hears of a promise of the provider, such as `promise-7`. Called on the threads that answer
    /// reads, never twice at a time. `Released` comes when the last call for a read of that
    /// promise has returned.
    fn event(&self, promise_id: &CStr, event: PromiseEvent) {
        let _ = (promise_id, event);
    }
}
