//! Strict reading of one request head, and the choice of its handler. The key and the rewritten
//! head are made in the same step, so that nothing borrows from the client's buffer afterwards.

use std::mem;

use bytes::{Buf, BytesMut};

use super::admin::{self, AdminRequest};
use super::buffer_pool::BufferSize;
use super::generated_id::GeneratedId;
use super::passthrough::{self, FirstRequest};
use super::record_builder::AccessRecordBuilder;
use super::request::{OutgoingRequest, ProxiedRequest};
use super::rewrite::{self, RewriteContext};
use super::settings::BalanceMode;
use super::worker::Worker;
use crate::wire::connection_auth;
use crate::wire::framing::{self, Body};
use crate::wire::head::{self, HeaderSlots, RequestError, RequestHead as Head, Version};
use crate::wire::lazy_stream::LazyStream;
use crate::wire::peer_addr::PeerAddr;
use crate::wire::version;

/// Handler of a request.
#[derive(Debug)]
pub(super) enum Dispatch {
    /// Proxy the request to a replica.
    Forward(ProxiedRequest),
    /// Open a tunnel. The bytes of the request stay in the inbox.
    Tunnel(FirstRequest),
    /// Serve an admin path.
    Admin(AdminRequest),
    /// Answer an OPTIONS request with `Max-Forwards: 0` here (RFC 9110 §7.6.2).
    MaxForwardsZero {
        /// `true` if the connection stays open.
        keep_alive: bool,
    },
}

/// Reads the next request from the start of `inbox`. `None` means that its head is incomplete.
///
/// # Errors
/// The refusal to send. The connection cannot be used for further requests.
pub(super) fn read(
    worker: &Worker,
    stream: &LazyStream,
    client: PeerAddr,
    inbox: &mut BytesMut,
    mut record: Option<&mut AccessRecordBuilder>,
) -> Result<Option<Dispatch>, RequestError> {
    let mut slots = HeaderSlots::default();
    let head = match head::request(inbox, &mut slots) {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(None),
        Err(refused) => {
            if refused.status == 505 && version::normalize_request_version(inbox) {
                return read(worker, stream, client, inbox, record);
            }
            return Err(refused);
        }
    };
    if let Some(record) = &mut record {
        record.set_request(&head);
    }
    if head.len > worker.settings.limits.max_head {
        return Err(too_long(inbox));
    }
    let body = framing::request_body(head.version, &head.fields)?;
    let expects = expectation(&head)?;
    if worker.settings.key.is_nominated(&head) {
        return Err(RequestError::bad(
            "Connection names a field of the key (--key)",
        ));
    }
    let keep_alive = rewrite::keeps_alive(head.version, &head.fields) && !worker.is_stopping();
    // Replies of Ringmaster's own do not offer keep-alive to an HTTP/1.0 client.
    let stays = keep_alive && head.version == Version::Http11;
    let dispatch = if let Some(admin_request) =
        admin::from_head(worker, stream, client, &head, body, expects, stays)
    {
        Dispatch::Admin(admin_request)
    } else if worker.settings.balance == BalanceMode::Connection {
        let (first, with_id) = passthrough::prepare(worker, client, &head, inbox, record);
        if let Some(mut bytes) = with_id {
            mem::swap(inbox, &mut bytes);
            worker.buffers.put_back(&mut bytes);
        }
        return Ok(Some(Dispatch::Tunnel(first)));
    } else if has_max_forwards_zero(&head) {
        return max_forwards_zero_reply(inbox, head.len, &body, stays);
    } else {
        let (request, generated_id) =
            prepare(worker, stream, client, &head, body, expects, keep_alive);
        if let Some(record) = record {
            record.set_id(&worker.settings.key, &head, generated_id);
        }
        Dispatch::Forward(request)
    };
    let len = head.len;
    inbox.advance(len);
    Ok(Some(dispatch))
}

/// Returns the refusal of a head over the limit: 414 if the request line is too long, otherwise 431
/// or 400.
pub(super) fn too_long(inbox: &[u8]) -> RequestError {
    let text = inbox.trim_ascii_start();
    let line = text.iter().position(|byte| *byte == b'\n');
    if text.is_empty() {
        RequestError::bad("the request has only empty lines")
    } else if line.is_some_and(|len| len < text.len() / 2) {
        RequestError {
            status: 431,
            why: "the request head is too long",
        }
    } else {
        RequestError {
            status: 414,
            why: "the request line is too long",
        }
    }
}

/// Returns `true` if the refused request is a HEAD, whose reply has no body (RFC 9110 §9.3.2).
pub(super) fn is_to_head(inbox: &[u8]) -> bool {
    inbox.trim_ascii_start().starts_with(b"HEAD ")
}

/// Host of a request that names none and came over a Unix socket.
const UNIX_HOST: &str = "localhost";

/// Returns the request for a replica, and the ID that was generated for it.
fn prepare(
    worker: &Worker,
    stream: &LazyStream,
    client: PeerAddr,
    head: &Head<'_, '_>,
    body: Body,
    expects: bool,
    keep_alive: bool,
) -> (ProxiedRequest, Option<GeneratedId>) {
    let random = &mut worker.random.borrow_mut();
    let keyed = worker.settings.key.key(head, client.ip(), random);
    let upgrade = rewrite::asks_upgrade(head);
    let host = match head.fields.get("host") {
        Some(_) => String::new(),
        None => stream
            .local_addr()
            .map_or_else(|_| UNIX_HOST.to_owned(), |addr| addr.to_string()),
    };
    let mut bytes = worker.buffers.take(BufferSize::Head);
    let context = RewriteContext {
        client: client.ip(),
        host: &host,
        generated_id: keyed.generated_id,
        upgrade,
        via: worker.settings.via.as_deref(),
    };
    rewrite::rewrite_request(head, &context, &mut bytes);
    let request = ProxiedRequest {
        key: keyed.key,
        outgoing: OutgoingRequest {
            bytes,
            sent: 0,
            idempotent: is_idempotent(head.method),
            replayable: true,
            dropped: false,
            kept: worker.replay_memory.share(),
            body,
            uncounted: head.len as u64,
        },
        meta: rewrite::RequestMeta {
            to_head: head.method == "HEAD",
            version: head.version,
            upgrade,
        },
        keep_alive,
        expects: expects && !body.is_complete(),
        private: connection_auth::is_in_request(&head.fields),
    };
    (request, keyed.generated_id)
}

fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS")
}

/// Returns whether the client waits for a 100 (RFC 9110 §10.1.1). Any other expectation is refused.
fn expectation(head: &Head<'_, '_>) -> Result<bool, RequestError> {
    if head.version == Version::Http10 {
        return Ok(false);
    }
    let mut expects = false;
    for member in head.fields.members("expect") {
        if !member.eq_ignore_ascii_case(b"100-continue") {
            return Err(RequestError {
                status: 417,
                why: "only 100-continue can be expected",
            });
        }
        expects = true;
    }
    Ok(expects)
}

fn has_max_forwards_zero(head: &Head<'_, '_>) -> bool {
    let mut limits = head.fields.named("max-forwards");
    head.method == "OPTIONS" && limits.any(|limit| rewrite::max_forwards(limit.value) == Some(0))
}

fn max_forwards_zero_reply(
    inbox: &mut BytesMut,
    len: usize,
    body: &Body,
    keep_alive: bool,
) -> Result<Option<Dispatch>, RequestError> {
    inbox.advance(len);
    // A body would have to be read, so the connection is closed instead.
    Ok(Some(Dispatch::MaxForwardsZero {
        keep_alive: keep_alive && body.is_complete(),
    }))
}
