//! Spare buffers of a worker. A connection takes one when bytes arrive and returns it when they are
//! written, so neither an idle connection nor a request that waits for its replica holds one.

use std::cell::{Cell, RefCell};
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
/// Capacity in bytes of a buffer for reads: 16 KiB, and room for the head before such a body.
const READ_BYTES: usize = 16 * 1024 + 512;
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
    /// Bytes of all spare buffers.
    bytes: Cell<usize>,
}

impl SizeClass {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            spare: RefCell::default(),
            bytes: Cell::new(0),
        }
    }

    fn take(&self) -> BytesMut {
        let Some(buffer) = self.spare.borrow_mut().pop() else {
            return BytesMut::with_capacity(self.capacity);
        };
        self.bytes.set(self.bytes.get() - buffer.capacity());
        buffer
    }

    /// Keeps `buffer`, unless it has grown for a long message or enough are spare. A grown one
    /// would be taken as one of this capacity and hold more.
    fn keep(&self, buffer: BytesMut) {
        let bytes = self.bytes.get() + buffer.capacity();
        if buffer.capacity() <= self.capacity && bytes <= MAX_SPARE_BYTES {
            self.bytes.set(bytes);
            self.spare.borrow_mut().push(buffer);
        }
    }
}

impl Default for BufferPool {
    fn default() -> Self {
        Self([HEAD_BYTES, READ_BYTES, BULK_BYTES].map(SizeClass::new))
    }
}

impl BufferPool {
    /// Returns an empty buffer with at least the capacity of this size.
    pub(super) fn take(&self, size: BufferSize) -> BytesMut {
        self.0[size as usize].take()
    }

    /// Gives memory to `buffer` if it has none.
    pub(super) fn fill(&self, size: BufferSize, buffer: &mut BytesMut) {
        if buffer.capacity() == 0 {
            *buffer = self.take(size);
        }
    }

    /// Moves the bytes of `buffer` into another buffer, of this size.
    pub(super) fn enlarge(&self, size: BufferSize, buffer: &mut BytesMut) {
        let mut larger = self.take(size);
        larger.extend_from_slice(buffer);
        self.put_back(&mut mem::replace(buffer, larger));
    }

    /// Makes room for `additional` bytes, in a larger buffer of the pool if one is large enough.
    pub(super) fn reserve(&self, additional: usize, buffer: &mut BytesMut) {
        let wanted = buffer.len() + additional;
        if buffer.capacity() >= wanted {
            return;
        }
        let sizes = [BufferSize::Head, BufferSize::Read, BufferSize::Bulk];
        let fits = |size: &BufferSize| self.0[*size as usize].capacity >= wanted;
        match sizes.into_iter().find(fits) {
            Some(size) => self.enlarge(size, buffer),
            None => buffer.reserve(additional),
        }
    }

    /// Empties `buffer` and keeps its memory. `buffer` is left without memory.
    pub(super) fn put_back(&self, buffer: &mut BytesMut) {
        let mut buffer = mem::take(buffer);
        buffer.clear();
        // Reclaims the consumed space at the front, without an allocation. A buffer without memory
        // has none to reclaim.
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

    fn spare(pool: &BufferPool) -> [usize; 3] {
        [0, 1, 2].map(|at| pool.0[at].spare.borrow().len())
    }

    #[test]
    fn a_returned_buffer_has_its_whole_capacity_again_in_its_size() {
        let pool = BufferPool::default();
        for (at, size) in [BufferSize::Head, BufferSize::Read, BufferSize::Bulk]
            .into_iter()
            .enumerate()
        {
            let mut buffer = pool.take(size);
            let (memory, capacity) = (buffer.as_ptr(), buffer.capacity());
            // Partly and completely consumed.
            for consumed in [capacity - 200, capacity] {
                buffer.resize(capacity, 1);
                buffer.advance(consumed);
                pool.put_back(&mut buffer);
                assert_eq!(buffer.capacity(), 0);
                assert_eq!(spare(&pool)[at], 1, "{size:?}");
                buffer = pool.take(size);
                assert_eq!((buffer.as_ptr(), buffer.len()), (memory, 0));
                assert_eq!(buffer.capacity(), capacity);
            }
        }
    }

    #[test]
    fn a_buffer_that_grew_for_a_long_message_is_freed() {
        let pool = BufferPool::default();
        let mut buffer = pool.take(BufferSize::Bulk);
        buffer.reserve(2 * BULK_BYTES + 1);
        pool.put_back(&mut buffer);
        assert_eq!(spare(&pool), [0; 3]);
        let mut buffer = pool.take(BufferSize::Read);
        buffer.resize(READ_BYTES + 1, 1);
        assert!(
            buffer.capacity() < BULK_BYTES,
            "too small for the next size"
        );
        pool.put_back(&mut buffer);
        assert_eq!(spare(&pool), [0; 3]);
    }

    #[test]
    fn a_buffer_without_memory_is_not_kept() {
        let pool = BufferPool::default();
        pool.put_back(&mut BytesMut::new());
        assert_eq!(spare(&pool), [0; 3]);
    }

    #[test]
    fn an_enlarged_buffer_keeps_its_bytes() {
        let pool = BufferPool::default();
        let mut buffer = pool.take(BufferSize::Head);
        buffer.extend_from_slice(b"abc");
        buffer.advance(1);
        pool.enlarge(BufferSize::Bulk, &mut buffer);
        assert_eq!(buffer, b"bc"[..]);
        assert!(buffer.capacity() >= BULK_BYTES);
        assert_eq!(spare(&pool), [1, 0, 0]);
    }

    #[test]
    fn room_is_made_in_the_smallest_buffer_that_fits() {
        let pool = BufferPool::default();
        let mut buffer = BytesMut::new();
        for (len, capacity) in [
            (1, HEAD_BYTES),
            (HEAD_BYTES, HEAD_BYTES),
            (HEAD_BYTES + 1, READ_BYTES),
            (BULK_BYTES, BULK_BYTES),
        ] {
            pool.reserve(len - buffer.len(), &mut buffer);
            assert_eq!(buffer.capacity(), capacity);
            buffer.resize(len, 7);
        }
        pool.reserve(1, &mut buffer);
        assert!(buffer.capacity() > BULK_BYTES && buffer == vec![7; BULK_BYTES]);
    }

    #[test]
    fn the_memory_of_spare_buffers_is_limited() {
        let pool = BufferPool::default();
        let most = MAX_SPARE_BYTES / BULK_BYTES;
        let mut all: Vec<_> = (0..=most).map(|_| pool.take(BufferSize::Bulk)).collect();
        all.iter_mut().for_each(|buffer| pool.put_back(buffer));
        assert_eq!(spare(&pool), [0, 0, most]);
        let mut again = pool.take(BufferSize::Bulk);
        pool.put_back(&mut again);
        assert_eq!(spare(&pool), [0, 0, most], "a taken one has left room");
    }
}
