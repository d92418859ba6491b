//! The access log's record of one request, from its first byte to its end.
//!
//! Without an access log a request costs one branch at its beginning and one at its end. A request that is
//! cut off is written down with all that was counted of it: dropping the builder hands the record in.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::access_record::{AccessRecord, TerminatedBy};
use super::worker::Worker;
use crate::ring::Key;

/// The longest method that is written down, in bytes; of a longer one the beginning is.
const MAX_METHOD: usize = 32;
/// The longest path that is.
const MAX_PATH: usize = 1024;

/// A record in the making. Dropping it hands it in.
#[derive(Debug)]
pub(super) struct AccessRecordBuilder {
    worker: Rc<Worker>,
    begun: Instant,
    /// `None` when there is nothing to write down.
    record: Option<AccessRecord>,
}

impl AccessRecordBuilder {
    /// A record that begins with a request, if there is a log.
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

    /// Nothing was asked.
    pub(super) fn discard(&mut self) {
        self.record = None;
    }

    /// The head was read.
    pub(super) fn set_request(&mut self, method: &str, path: &[u8], len: usize) {
        if let Some(record) = &mut self.record {
            record.method = method.chars().take(MAX_METHOD).collect();
            record.path = path[..path.len().min(MAX_PATH)].to_vec();
            record.from_client = len as u64;
        }
    }

    /// The head was refused, of which this is here.
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

    /// So many bytes of a body came that is for no replica.
    pub(super) fn add_body(&mut self, len: usize) {
        if let Some(record) = &mut self.record {
            record.from_client += len as u64;
        }
    }

    /// We answered ourselves; who is to blame for that is known already.
    pub(super) fn local_reply(&mut self, status: u16, len: usize) {
        if let Some(record) = &mut self.record {
            record.status = status;
            record.to_client += len as u64;
        }
    }

    /// The client is gone.
    pub(super) fn client_left(&mut self) {
        if let Some(record) = &mut self.record {
            record.ended = TerminatedBy::ByClient;
        }
    }

    /// It is for a replica.
    pub(super) fn hashed_by(&mut self, key: Key) {
        if let Some(record) = &mut self.record {
            record.key = Some(key);
        }
    }

    /// The record, unless there is nothing to write down.
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

/// Method and path, if the line is here whole: a method, a target and a version. CONNECT has no path.
pub(super) fn parse_refused(inbox: &[u8]) -> Option<(&str, &[u8])> {
    let text = inbox.trim_ascii_start();
    let line = &text[..text.iter().position(|byte| *byte == b'\n')?];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let plain = !method.is_empty() && method.iter().all(u8::is_ascii_graphic);
    if words.next().is_some() || !plain || !version.starts_with(b"HTTP/") {
        return None;
    }
    let path = path(target);
    let is_told = !path.is_empty() || method == b"CONNECT";
    is_told.then_some((std::str::from_utf8(method).ok()?, path))
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
