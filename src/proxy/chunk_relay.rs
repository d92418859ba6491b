//! Chunked bodies in turns: what was read at once is scanned piece by piece, because a scan of 36 KiB of
//! one-byte chunks takes as long as moving a MiB.

use super::response::Response;
use super::rewrite::ResponseMeta;
use super::write::BodyEnd;
use crate::wire::framing::Body;

/// Bytes of a chunked body, beyond data that are known to come, that are scanned at once. More than the
/// longest name of a trailer field, which must be seen whole.
const SCAN_BYTES: usize = 4 * 1024;

/// The leading bytes of `input` that may be relayed into `body` before the next pass of the turn.
pub(super) fn window<'b>(body: &Body, input: &'b [u8]) -> &'b [u8] {
    let Body::Chunked(_) = body else {
        return input;
    };
    let ahead = usize::try_from(body.opaque_ahead()).unwrap_or(usize::MAX);
    &input[..input.len().min(ahead.saturating_add(SCAN_BYTES))]
}

impl Response<'_> {
    /// Lays out what was read of a chunked body, in as many turns as that takes. How much was taken.
    pub(super) async fn take_chunks(&mut self, facts: &mut ResponseMeta) -> Result<usize, BodyEnd> {
        let mut taken = 0;
        loop {
            let (rest, scanned) = (&self.reply[taken..], facts.body.scanned());
            let part = window(&facts.body, rest);
            let is_last = part.len() == rest.len();
            let relayed = if facts.decode {
                facts.body.decode(part, &mut self.out)
            } else {
                facts.body.relay(part, &mut self.out)
            };
            taken += relayed.map_err(|_| BodyEnd::Broken)?;
            self.turn.count_framing(scanned, facts.body.scanned());
            if is_last || facts.body.is_complete() {
                return Ok(taken);
            }
            self.turn.skip(&self.worker.line).await;
        }
    }
}
