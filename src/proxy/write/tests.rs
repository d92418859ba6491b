//! Writes in two parts, wherever the kernel stops.

use super::*;
use tokio::io::AsyncWrite;

/// Writer that accepts `step` bytes at a time and blocks before each.
struct Narrow {
    step: usize,
    waits: bool,
    taken: Vec<u8>,
}

impl AsyncWrite for Narrow {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.waits = !self.waits;
        if self.waits {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let all = parts.iter().flat_map(|part| part.iter().copied());
        let some: Vec<u8> = all.take(self.step).collect();
        self.taken.extend_from_slice(&some);
        Poll::Ready(Ok(some.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl QueueProbe for Narrow {
    fn write_queue(&self) -> Option<u32> {
        None
    }
}

#[tokio::test]
async fn two_parts_arrive_whole_wherever_a_write_stops() {
    let limit = Duration::from_secs(10);
    for (first, second) in [
        (&b"head"[..], &b"the body"[..]),
        (b"head", b""),
        (b"", b"b"),
    ] {
        let whole = [first, second].concat();
        for step in 1..=whole.len() + 1 {
            let mut timer = Deadline::default();
            let mut to = Narrow {
                step,
                waits: false,
                taken: Vec::new(),
            };
            let written = write_whole(&mut timer, &mut to, (first, second), limit).await;
            written.unwrap();
            assert_eq!(to.taken, whole, "{step} at a time");
        }
    }
}
