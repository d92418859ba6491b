//! The access log's record of one request, from its first byte to its end.
//!
//! Without an access log a request costs one branch at its beginning and one at its end. Dropping
//! the builder submits the record, so a request that is cut off is logged with everything counted
//! until then.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::access_record::{
    AccessLogHandle, AccessRecord, RequestFields, RouteReason, TerminatedBy,
};
use super::generated_id::GeneratedId;
use super::key::KeyRule;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::ring::Key;
use crate::roster::ReplicaName;
use crate::wire::head::{RequestHead, Version};
use crate::wire::peer_addr::PeerAddr;

/// Maximum length of a logged method in bytes. A longer one is truncated.
const MAX_METHOD: usize = 32;
/// Maximum length of a logged path in bytes. A longer one is truncated.
const MAX_PATH: usize = 1024;

/// Maximum length of any other logged value of a client in bytes. A longer one is truncated.
const MAX_FIELD: usize = 256;

/// A record in progress. Dropping it submits the record.
#[derive(Debug)]
pub(super) struct AccessRecordBuilder {
    worker: Rc<Worker>,
    begun: Instant,
    /// The record; `None` if nothing is to be logged.
    record: Option<AccessRecord>,
    /// Replica of the last attempt.
    replica: RefCell<Option<ReplicaName>>,
}

impl AccessRecordBuilder {
    /// Starts the record of a request. `None` without an access log.
    pub(super) fn start(worker: &Rc<Worker>, client: PeerAddr) -> Option<Box<Self>> {
        worker.settings.access_log.as_ref()?;
        let record = AccessRecord {
            time: SystemTime::now(),
            client,
            method: String::new(),
            path: Vec::new(),
            key: None,
            fields: RequestFields::default(),
            seat: None,
            replica: None,
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
            replica: RefCell::new(None),
        }))
    }

    /// Discards the record: the connection ended without a request.
    pub(super) fn discard(&mut self) {
        self.record = None;
    }

    /// Records the request line, the fields that are logged, and the length of the head.
    pub(super) fn set_request(&mut self, head: &RequestHead<'_, '_>) {
        let log = self.worker.settings.access_log.as_ref();
        let with_query = log.is_some_and(AccessLogHandle::with_query);
        self.set_line(head.method, head.target.path, head.len);
        let Some(record) = &mut self.record else {
            return;
        };
        let field = |name: &str| cut(head.fields.get(name).unwrap_or_default(), MAX_FIELD);
        let authority = head.target.authority.map(|host| cut(host, MAX_FIELD));
        record.fields = RequestFields {
            version: match head.version {
                Version::Http10 => "HTTP/1.0",
                Version::Http11 => "HTTP/1.1",
            },
            id: Vec::new(),
            host: authority.unwrap_or_else(|| field("host")),
            query: head
                .target
                .query
                .filter(|_| with_query)
                .map(|query| cut(query, MAX_PATH)),
            referer: field("referer"),
            user_agent: field("user-agent"),
            traceparent: field("traceparent"),
            unique_id: None,
        };
    }

    fn set_line(&mut self, method: &str, path: &[u8], len: usize) {
        if let Some(record) = &mut self.record {
            record.method = method.chars().take(MAX_METHOD).collect();
            record.path = cut(path, MAX_PATH);
            record.from_client = len as u64;
        }
    }

    /// Records the ID that gave the key: the generated one, or as the client sent it.
    pub(super) fn set_id(
        &mut self,
        rule: &KeyRule,
        head: &RequestHead<'_, '_>,
        generated: Option<GeneratedId>,
    ) {
        if let Some(record) = &mut self.record {
            record.fields.id = match generated {
                Some(id) => id.as_bytes().to_vec(),
                None => cut(rule.sent_id(head).unwrap_or_default(), MAX_FIELD),
            };
        }
    }

    /// Records the server name that gave the key.
    pub(super) fn set_server_name(&mut self, name: String) {
        if let Some(record) = &mut self.record {
            record.fields.id = name.into_bytes();
        }
    }

    /// Records the ID of the connection that its replica gets.
    pub(super) fn set_unique_id(&mut self, id: Vec<u8>) {
        if let Some(record) = &mut self.record {
            record.fields.unique_id = Some(id);
        }
    }

    /// Records a refused ClientHello, of which `len` bytes have arrived.
    pub(super) fn hello_refused(&mut self, len: usize, blame: TerminatedBy) {
        if let Some(record) = &mut self.record {
            record.from_client = len as u64;
            record.ended = blame;
        }
    }

    /// Records a refused head, of which `inbox` has arrived.
    pub(super) fn refused(&mut self, inbox: &[u8]) {
        let unread = self
            .record
            .as_ref()
            .is_some_and(|record| record.method.is_empty());
        if unread && let Some((method, path)) = parse_refused(inbox) {
            self.set_line(method, path, inbox.len());
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

    /// Records the replica of an attempt.
    pub(super) fn assigned(&self, replica: &ReplicaName) {
        *self.replica.borrow_mut() = Some(replica.clone());
    }

    /// Records the replica whose queue did not admit the connection, and the way to it.
    pub(super) fn not_admitted(&mut self, upstream: &Upstream, reason: RouteReason) {
        self.assigned(&upstream.name);
        if let Some(record) = &mut self.record {
            record.seat = Some((upstream.seat, reason));
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
        record.replica = self.replica.take();
        if !log.submit(record) {
            self.worker.port().records_lost.add(1);
        }
    }
}

/// Copies a value, at most `max` bytes of it.
fn cut(value: &[u8], max: usize) -> Vec<u8> {
    value[..value.len().min(max)].to_vec()
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
