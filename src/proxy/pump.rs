//! Bytes from one socket to the other: writes under a deadline, and the bodies of replies, copied when
//! they are small or must be looked at, moved through a pipe when they are large.

use std::io;
use std::time::Duration;

use bytes::Buf;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::buffers::REPLY_BYTES;
use super::download::{Broken, Download};
use super::forward::Facts;
use super::pipes::Fault;
use crate::wire::deadline::Deadline;
use crate::wire::framing::Body;
use crate::wire::splice::{Empty, Pipe};

/// Writes what fits of `bytes`, which are not empty.
///
/// # Errors
/// `TimedOut` when not one byte was taken in time, or what the socket says.
pub(super) async fn write_some(
    timer: &mut Deadline,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    limit: Duration,
) -> io::Result<usize> {
    let at = Some(Instant::now() + limit);
    match timer.run(at, to.write(bytes)).await {
        Ok(Ok(0)) => Err(io::ErrorKind::WriteZero.into()),
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Writes all of `bytes`; each write that makes progress has the whole `limit` again.
///
/// # Errors
/// As [`write_some`].
pub(super) async fn write_whole(
    timer: &mut Deadline,
    to: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    limit: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = write_some(timer, to, bytes, limit).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// How a body ended before its time.
#[derive(Debug)]
enum End {
    /// The replica said that it was through.
    Proper,
    /// Its connection broke, it fell silent, or its chunks are malformed.
    Broken,
    /// The client takes no more.
    ClientGone,
}

impl Download<'_> {
    /// Carries what is still owed of the body.
    pub(super) async fn rest(&mut self, facts: &mut Facts) -> Result<(), Broken> {
        while !facts.body.is_complete() {
            let ahead = if facts.decode {
                0
            } else {
                facts.body.plain_ahead()
            };
            let carried = match self.worker.pipes.take(ahead) {
                Some(pipe) => self.splice(facts, pipe, ahead).await,
                None => self.copy(facts).await,
            };
            let until_close = matches!(facts.body, Body::UntilClose);
            match carried {
                Ok(()) => {}
                Err(End::Proper) if until_close => return Ok(()),
                Err(End::ClientGone) => return Err(Broken::ClientGone),
                Err(End::Proper | End::Broken) => {
                    let reset = until_close || facts.decode;
                    return Err(Broken::Truncated { reset });
                }
            }
        }
        Ok(())
    }

    /// Moves a piece of the body through a pipe.
    async fn splice(
        &mut self,
        facts: &mut Facts,
        pipe: Pipe<Empty>,
        ahead: u64,
    ) -> Result<(), End> {
        let limits = &self.worker.settings.limits;
        let (progress, since) = (self.progress, Instant::now());
        let due = || progress.reply_body_due(since, limits.body_timeout);
        let sockets = (self.from.as_ref(), self.to.as_ref());
        let pipes = &self.worker.pipes;
        let carried = pipes.carry(pipe, sockets, ahead, self.timer, due, limits.write_timeout);
        let moved = carried.await.map_err(|fault| match fault {
            Fault::From(None) => End::Proper,
            Fault::From(Some(_)) => End::Broken,
            Fault::To => End::ClientGone,
        })?;
        facts.body.skip(moved);
        Ok(())
    }

    /// Copies a piece of the body.
    async fn copy(&mut self, facts: &mut Facts) -> Result<(), End> {
        let limits = self.worker.settings.limits;
        // The begun name of a trailer field may be left in it.
        self.reply.reserve(REPLY_BYTES);
        let (progress, since) = (self.progress, Instant::now());
        let due = || progress.reply_body_due(since, limits.body_timeout);
        let more = self.from.read_buf(&mut self.reply);
        match self.timer.run_while(due, more).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0)) => return Err(End::Proper),
            Ok(Err(_)) | Err(_) => return Err(End::Broken),
        }
        self.out.clear();
        let (bytes, taken) = match &mut facts.body {
            body @ Body::Chunked(_) => {
                let taken = if facts.decode {
                    body.decode(&self.reply, &mut self.out)
                } else {
                    body.relay(&self.reply, &mut self.out)
                };
                (&self.out[..], taken.map_err(|_| End::Broken)?)
            }
            body => {
                let taken = body.take_plain(&self.reply);
                (&self.reply[..taken], taken)
            }
        };
        let written = write_whole(self.timer, &mut self.to, bytes, limits.write_timeout).await;
        written.map_err(|_| End::ClientGone)?;
        self.reply.advance(taken);
        Ok(())
    }
}
