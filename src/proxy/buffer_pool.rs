//! The worker's spare buffers: taken when bytes come, given back when a connection falls silent, so that
//! an idle connection holds none.

use std::cell::RefCell;
use std::mem;

use bytes::BytesMut;

/// Bytes of a reply that may be held back until it is whole.
pub(super) const REPLY_BYTES: usize = 36 * 1024;
/// The longest head of a reply. The buffers of one that is longer than [`REPLY_BYTES`] are not kept.
pub(super) const MAX_REPLY_HEAD: usize = 64 * 1024;
/// Spare buffers kept per kind; more are freed.
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

    /// An empty buffer with room for at least the capacity.
    pub(super) fn take(&self) -> BytesMut {
        let spare = self.spare.borrow_mut().pop();
        spare.unwrap_or_else(|| BytesMut::with_capacity(self.capacity))
    }

    /// Empties `buffer` and keeps its memory; what it was becomes a buffer without memory.
    pub(super) fn put_back(&self, buffer: &mut BytesMut) {
        let mut buffer = mem::take(buffer);
        let mut spare = self.spare.borrow_mut();
        if buffer.capacity() == 0 || spare.len() >= MAX_SPARE {
            return;
        }
        buffer.clear();
        // Gets back the room in front of what was consumed; no allocation.
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
    fn memory_comes_back_whole() {
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
    fn what_grew_for_a_long_head_is_freed() {
        let buffers = BufferPool::new(REPLY_BYTES);
        let mut buffer = buffers.take();
        buffer.resize(REPLY_BYTES, 1);
        buffer.reserve(REPLY_BYTES + MAX_REPLY_HEAD);
        buffers.put_back(&mut buffer);
        assert!(buffers.spare.borrow().is_empty());
    }
}
