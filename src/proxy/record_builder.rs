//! The access log's record of one request, from its first byte to its end.
//!
//! Without an access log a request costs one branch at its beginning and one at its end. Dropping
//! the builder submits the record, so a request that is cut off is logged with everything counted
//! until then.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::access_record::{AccessRecord, TerminatedBy};
use super::worker::Worker;
use crate::ring::Key;

/// Maximum length of a logged method in bytes. A longer one is truncated.
const MAX_METHOD: usize = 32;
/// Maximum length of a logged path in bytes. A longer one is truncated.
const MAX_PATH: usize = 1024;

/// A record in progress. Dropping it submits the record.
#[derive(Debug)]
pub(super) struct AccessRecordBuilder {
    worker: Rc<Worker>,
    begun: Instant,
    /// The record; `None` if nothing is to be logged.
    record: Option<AccessRecord>,
}

impl AccessRecordBuilder {
    /// Starts the record of a request. `None` without an access log.
    pub(super) fn start(worker: &Rc<Worker>, client: SocketAddr) -> Option<Box<Self>> {
        worker.settings.access_log.as_ref()?;
        let record = AccessRecord {
            time: SystemTime::now(),
            client,
            method: String::new(),
            path: Vec::new(),
            key: None,
            seat: None,
            status: 0,
            from_client: 0,
            to_client: 0,
            first_byte: None,
            total: Duration::ZERO,
            retries: 0,
            ended: TerminatedBy::ByUs,
        };
        Some(Box::new(Self {
            worker: Rc::clone(worker),
            begun: Instant::now(),
            record: Some(record),
        }))
    }

    /// Discards the record: the connection ended without a request.
    pub(super) fn discard(&mut self) {
        self.record = None;
    }

    /// Records the request line and the length of the head.
    pub(super) fn set_request(&mut self, method: &str, path: &[u8], len: usize) {
        if let Some(record) = &mut self.record {
            record.method = method.chars().take(MAX_METHOD).collect();
            record.path = path[..path.len().min(MAX_PATH)].to_vec();
            record.from_client = len as u64;
        }
    }

    /// Records a refused head, of which `inbox` has arrived.
    pub(super) fn refused(&mut self, inbox: &[u8]) {
        let unread = self
            .record
            .as_ref()
            .is_some_and(|record| record.method.is_empty());
        if unread && let Some((method, path)) = parse_refused(inbox) {
            self.set_request(method, path, inbox.len());
        }
        if let Some(record) = &mut self.record {
            record.from_client = record.from_client.max(inbox.len() as u64);
        }
    }

    /// Counts bytes of a body that goes to no replica.
    pub(super) fn add_body(&mut self, len: usize) {
        if let Some(record) = &mut self.record {
            record.from_client += len as u64;
        }
    }

    /// Records a locally generated reply. `ended` stays as it is.
    pub(super) fn local_reply(&mut self, status: u16, len: usize) {
        if let Some(record) = &mut self.record {
            record.status = status;
            record.to_client += len as u64;
        }
    }

    /// Records that the client left.
    pub(super) fn client_left(&mut self) {
        if let Some(record) = &mut self.record {
            record.ended = TerminatedBy::ByClient;
        }
    }

    /// Records the key of a request for a replica.
    pub(super) fn hashed_by(&mut self, key: Key) {
        if let Some(record) = &mut self.record {
            record.key = Some(key);
        }
    }

    /// Returns the record; `None` if nothing is to be logged.
    pub(super) fn record_mut(&mut self) -> Option<&mut AccessRecord> {
        self.record.as_mut()
    }
}

impl Drop for AccessRecordBuilder {
    fn drop(&mut self) {
        let log = self.worker.settings.access_log.as_ref();
        let (Some(log), Some(mut record)) = (log, self.record.take()) else {
            return;
        };
        record.total = self.begun.elapsed();
        if !log.submit(record) {
            self.worker.port().records_lost.add(1);
        }
    }
}

/// Returns method and path of a refused head if its first line is complete: a method, a target and
/// a version. CONNECT has no path.
///
/// The parser is lenient, because no seat is chosen by its result. It omits the query and the host,
/// which may follow a password, as for accepted requests.
pub(super) fn parse_refused(inbox: &[u8]) -> Option<(&str, &[u8])> {
    let text = inbox.trim_ascii_start();
    let line = &text[..text.iter().position(|byte| *byte == b'\n')?];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
    let printable = !method.is_empty() && method.iter().all(u8::is_ascii_graphic);
    if parts.next().is_some() || !printable || !version.starts_with(b"HTTP/") {
        return None;
    }
    let path = path(target);
    let is_valid = !path.is_empty() || method == b"CONNECT";
    is_valid.then_some((std::str::from_utf8(method).ok()?, path))
}

fn path(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let target = &target[..end.unwrap_or(target.len())];
    if matches!(target, [b'/' | b'*', ..]) {
        return target;
    }
    let scheme = target.windows(3).position(|three| three == b"://");
    let rest = &target[scheme.map_or(0, |at| at + 3)..];
    let path = rest.iter().position(|byte| *byte == b'/');
    path.map_or(&[], |at| &rest[at..])
}

#[cfg(test)]
mod tests;
