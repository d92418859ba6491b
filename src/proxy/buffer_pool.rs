//! Spare buffers of a worker. A connection takes one when bytes arrive and returns it when it falls
//! silent, so an idle connection holds none.

use std::cell::RefCell;
use std::mem;

use bytes::BytesMut;

/// Maximum number of reply bytes that are held back until the reply is complete.
pub(super) const REPLY_BYTES: usize = 36 * 1024;
/// Maximum length of a reply's head in bytes. Buffers that grew beyond [`REPLY_BYTES`] for a longer
/// head are not kept.
pub(super) const MAX_REPLY_HEAD: usize = 64 * 1024;
/// Maximum number of spare buffers in each pool. More are freed.
const MAX_SPARE: usize = 256;

/// Spare buffers of one capacity.
#[derive(Debug)]
pub(super) struct BufferPool {
    capacity: usize,
    spare: RefCell<Vec<BytesMut>>,
}

impl BufferPool {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            spare: RefCell::default(),
        }
    }

    /// Returns an empty buffer with at least the pool's capacity.
    pub(super) fn take(&self) -> BytesMut {
        let spare = self.spare.borrow_mut().pop();
        spare.unwrap_or_else(|| BytesMut::with_capacity(self.capacity))
    }

    /// Empties `buffer` and keeps its memory. `buffer` is left without memory.
    pub(super) fn put_back(&self, buffer: &mut BytesMut) {
        let mut buffer = mem::take(buffer);
        let mut spare = self.spare.borrow_mut();
        if buffer.capacity() == 0 || spare.len() >= MAX_SPARE {
            return;
        }
        buffer.clear();
        // Reclaims the consumed space at the front, without an allocation.
        buffer.reserve(self.capacity);
        if buffer.capacity() <= 2 * self.capacity {
            spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;

    #[test]
    fn a_returned_buffer_has_its_whole_capacity_again() {
        let buffers = BufferPool::new(1000);
        let mut buffer = buffers.take();
        let memory = buffer.as_ptr();
        buffer.extend_from_slice(&[1; 900]);
        buffer.advance(700);
        buffers.put_back(&mut buffer);
        assert_eq!(buffer.capacity(), 0);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (memory, 0));
        assert!(again.capacity() >= 1000);
    }

    #[test]
    fn a_buffer_that_grew_for_a_long_head_is_freed() {
        let buffers = BufferPool::new(REPLY_BYTES);
        let mut buffer = buffers.take();
        buffer.resize(REPLY_BYTES, 1);
        buffer.reserve(REPLY_BYTES + MAX_REPLY_HEAD);
        buffers.put_back(&mut buffer);
        assert!(buffers.spare.borrow().is_empty());
    }
}
