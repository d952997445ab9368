//! Replies. A read takes its reply along to whoever will know the answer; the type lets it be
//! answered once, and the library answers EIO for one that is dropped.

use fuse_promise_core::Status;
use fuse_promise_engine::ReadReply;
use fuser::{Errno, ReplyData, ReplyXattr};

/// Errno numbers come from the engine; it makes none up.
pub fn errno(number: i32) -> Errno {
    Errno::from_i32(number)
}

/// The kernel, waiting for the bytes of one READ.
pub struct ReadAnswer(pub ReplyData);

impl ReadReply for ReadAnswer {
    fn data(self: Box<Self>, bytes: &[u8]) {
        self.0.data(bytes);
    }

    fn error(self: Box<Self>, status: Status) {
        self.0.error(errno(status.errno()));
    }
}

/// What to send for an extended attribute, or the list of them.
#[derive(Debug, PartialEq, Eq)]
enum XattrAnswer<'a> {
    /// The caller asked for the length alone, with a buffer of no length.
    Length(u32),
    Value(&'a [u8]),
    Error(i32),
}

fn xattr_answer(value: &Result<Vec<u8>, i32>, room: u32) -> XattrAnswer<'_> {
    match value {
        Err(number) => XattrAnswer::Error(*number),
        Ok(value) => match u32::try_from(value.len()) {
            Ok(length) if room == 0 => XattrAnswer::Length(length),
            Ok(length) if length <= room => XattrAnswer::Value(value),
            _ => XattrAnswer::Error(rustix::io::Errno::RANGE.raw_os_error()),
        },
    }
}

/// Answers with a value as far as the caller has room for it.
pub fn reply_xattr(value: &Result<Vec<u8>, i32>, room: u32, reply: ReplyXattr) {
    match xattr_answer(value, room) {
        XattrAnswer::Length(length) => reply.size(length),
        XattrAnswer::Value(value) => reply.data(value),
        XattrAnswer::Error(number) => reply.error(errno(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_sent_whole_or_not_at_all() {
        let value = Ok(b"available".to_vec());
        assert_eq!(xattr_answer(&value, 0), XattrAnswer::Length(9));
        assert_eq!(xattr_answer(&value, 8), XattrAnswer::Error(34));
        assert_eq!(xattr_answer(&value, 9), XattrAnswer::Value(b"available"));
        assert_eq!(xattr_answer(&value, 100), XattrAnswer::Value(b"available"));
        assert_eq!(xattr_answer(&Err(61), 0), XattrAnswer::Error(61));
        assert_eq!(xattr_answer(&Ok(Vec::new()), 0), XattrAnswer::Length(0));
    }
}
