//! Spare buffers of a worker. A connection takes one when bytes arrive and returns it when they are
//! written, so neither an idle connection nor a request that waits for its replica holds one.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::tcp::ReadHalf;

/// Capacity in bytes of a buffer for a rewritten head. A request keeps it for a retry while it
/// waits for its replica.
const HEAD_BYTES: usize = 2 * 1024;
/// Room in a buffer for reads, in bytes, beside the largest head of a request: for the beginning of
/// its body, or for the head of a 16 KiB reply.
const READ_ROOM: usize = 512;
/// Capacity in bytes of a buffer for bulk data.
const BULK_BYTES: usize = 36 * 1024;
/// Maximum bytes of spare buffers of each size. More are freed.
const MAX_SPARE_BYTES: usize = 1024 * 1024;

/// Purpose of a buffer, which decides its capacity.
#[derive(Clone, Copy, Debug)]
pub(super) enum BufferSize {
    /// A rewritten head.
    Head,
    /// The first read of a message.
    Read,
    /// Bodies that are copied.
    Bulk,
}

/// Spare buffers by size.
#[derive(Debug)]
pub(super) struct BufferPool([SizeClass; 3]);

/// Spare buffers of one capacity.
#[derive(Debug)]
struct SizeClass {
    capacity: usize,
    spare: RefCell<Vec<BytesMut>>,
}

impl SizeClass {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            spare: RefCell::default(),
        }
    }

    /// Keeps `buffer`, unless it has grown much for a long message or enough are spare.
    fn keep(&self, buffer: BytesMut) {
        let mut spare = self.spare.borrow_mut();
        let is_fit = buffer.capacity() <= 2 * self.capacity;
        if is_fit && spare.len() < MAX_SPARE_BYTES / self.capacity {
            spare.push(buffer);
        }
    }
}

impl BufferPool {
    /// Creates an empty pool. A buffer for reads has room for `max_head` bytes and some more.
    pub(super) fn new(max_head: usize) -> Self {
        let read = max_head + READ_ROOM;
        Self([HEAD_BYTES, read, BULK_BYTES.max(read)].map(SizeClass::new))
    }

    /// Returns an empty buffer with at least the capacity of this size.
    pub(super) fn take(&self, size: BufferSize) -> BytesMut {
        let class = &self.0[size as usize];
        let spare = class.spare.borrow_mut().pop();
        spare.unwrap_or_else(|| BytesMut::with_capacity(class.capacity))
    }

    /// Gives memory to `buffer` if it has none.
    pub(super) fn fill(&self, size: BufferSize, buffer: &mut BytesMut) {
        if buffer.capacity() == 0 {
            *buffer = self.take(size);
        }
    }

    /// Moves the bytes of `buffer` into a larger buffer of this size.
    pub(super) fn enlarge(&self, size: BufferSize, buffer: &mut BytesMut) {
        let mut larger = self.take(size);
        larger.extend_from_slice(buffer);
        self.put_back(&mut mem::replace(buffer, larger));
    }

    /// Empties `buffer` and keeps its memory. `buffer` is left without memory.
    pub(super) fn put_back(&self, buffer: &mut BytesMut) {
        let mut buffer = mem::take(buffer);
        if buffer.capacity() == 0 {
            return;
        }
        buffer.clear();
        // Reclaims the consumed space at the front, without an allocation.
        let mut classes = self.0.iter().rev();
        if let Some(class) = classes.find(|class| buffer.try_reclaim(class.capacity)) {
            class.keep(buffer);
        }
    }

    /// Takes the memory of `buffer` back if it is empty.
    pub(super) fn put_back_if_empty(&self, buffer: &mut BytesMut) {
        if buffer.is_empty() {
            self.put_back(buffer);
        }
    }

    /// Reads from a connection into `buffer`, which gets memory of this size once bytes are there.
    /// Cancel safe.
    pub(super) fn read<'a>(
        &'a self,
        size: BufferSize,
        from: &'a mut ReadHalf<'_>,
        buffer: &'a mut BytesMut,
    ) -> impl Future<Output = io::Result<usize>> {
        poll_fn(move |cx| self.poll_read_half(cx, size, from, buffer))
    }

    /// Poll function of [`Self::read`].
    pub(super) fn poll_read_half(
        &self,
        cx: &mut Context<'_>,
        size: BufferSize,
        from: &mut ReadHalf<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        self.poll_read(cx, size, from, buffer, |from, cx| {
            from.as_ref().poll_read_ready(cx)
        })
    }

    /// Reads from `from` into `buffer`, which gets memory once `ready` is ready. The event loop may
    /// announce bytes that are not there, and does so for each new connection; then the buffer is
    /// taken back.
    pub(super) fn poll_read<R: AsyncRead + Unpin>(
        &self,
        cx: &mut Context<'_>,
        size: BufferSize,
        from: &mut R,
        buffer: &mut BytesMut,
        ready: impl FnOnce(&R, &mut Context<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<usize>> {
        if buffer.capacity() == 0 {
            ready!(ready(from, cx))?;
            *buffer = self.take(size);
        }
        let read = pin!(from.read_buf(buffer)).poll(cx);
        if read.is_pending() {
            self.put_back_if_empty(buffer);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;

    const MAX_HEAD: usize = 16 * 1024;

    fn spare(pool: &BufferPool) -> [usize; 3] {
        [0, 1, 2].map(|at| pool.0[at].spare.borrow().len())
    }

    #[test]
    fn a_returned_buffer_has_its_whole_capacity_again_in_its_size() {
        let pool = BufferPool::new(MAX_HEAD);
        for (at, size) in [BufferSize::Head, BufferSize::Read, BufferSize::Bulk]
            .into_iter()
            .enumerate()
        {
            let mut buffer = pool.take(size);
            let (memory, capacity) = (buffer.as_ptr(), buffer.capacity());
            buffer.extend_from_slice(&[1; 900]);
            buffer.advance(700);
            pool.put_back(&mut buffer);
            assert_eq!(buffer.capacity(), 0);
            assert_eq!(spare(&pool)[at], 1, "{size:?}");
            let again = pool.take(size);
            assert_eq!((again.as_ptr(), again.len()), (memory, 0));
            assert_eq!(again.capacity(), capacity);
        }
    }

    #[test]
    fn a_buffer_that_grew_for_a_long_message_is_freed() {
        let pool = BufferPool::new(MAX_HEAD);
        let mut buffer = pool.take(BufferSize::Bulk);
        buffer.reserve(2 * BULK_BYTES + 1);
        pool.put_back(&mut buffer);
        assert_eq!(spare(&pool), [0; 3]);
    }

    #[test]
    fn an_enlarged_buffer_keeps_its_bytes() {
        let pool = BufferPool::new(MAX_HEAD);
        let mut buffer = pool.take(BufferSize::Head);
        buffer.extend_from_slice(b"abc");
        buffer.advance(1);
        pool.enlarge(BufferSize::Bulk, &mut buffer);
        assert_eq!(buffer, b"bc"[..]);
        assert!(buffer.capacity() >= BULK_BYTES);
        assert_eq!(spare(&pool), [1, 0, 0]);
    }

    #[test]
    fn the_memory_of_spare_buffers_is_limited() {
        let pool = BufferPool::new(MAX_HEAD);
        let most = MAX_SPARE_BYTES / BULK_BYTES;
        let mut all: Vec<_> = (0..=most).map(|_| pool.take(BufferSize::Bulk)).collect();
        all.iter_mut().for_each(|buffer| pool.put_back(buffer));
        assert_eq!(spare(&pool), [0, 0, most]);
    }
}
