//! The admin paths on the data port: `/rep`, `/add` and `/rm`, for the documented curl lines.
//!
//! The head alone decides who may send an order, so a refusal does not wait for the body. The body
//! is read here under a limit. The order then goes to the fleet through the order queue.

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::client::{Client, Disposition};
use super::client_watch::unless_reset;
use super::error_reply::ErrorReply;
use super::proxy_protocol;
use super::worker::Worker;
use super::write::write_whole;
use crate::access::{AccessKind, Caller};
use crate::orders::{self, ChangeKind, MAX_ORDER_BODY};
use crate::wire::framing::Body;
use crate::wire::head::RequestHead;
use crate::wire::lazy_stream::LazyStream;
use crate::wire::local_reply::LocalReply;
use crate::wire::peer_addr::PeerAddr;
use crate::wire::socket_owner::{self, SocketOwner};

/// A request for an admin path.
#[derive(Debug)]
pub(super) struct AdminRequest {
    action: AdminAction,
    body: Body,
    /// `true` if the client waits for a 100 before it sends the body.
    expects: bool,
    keep_alive: bool,
    pub(super) head_only: bool,
}

impl AdminRequest {
    /// Returns `true` if the connection may stay open: nothing of the request is left to read.
    pub(super) fn may_stay(&self) -> bool {
        self.keep_alive && self.body.is_complete()
    }
}

#[derive(Debug)]
enum AdminAction {
    Rep,
    Change(ChangeKind),
    Refuse {
        status: u16,
        sentence: String,
        /// Field lines to send with the refusal.
        fields: String,
    },
}

/// Returns the admin request of this head; `None` if the request is for the replicas.
pub(super) fn from_head(
    worker: &Worker,
    stream: &LazyStream,
    client: PeerAddr,
    head: &RequestHead<'_, '_>,
    body: Body,
    expects: bool,
    keep_alive: bool,
) -> Option<AdminRequest> {
    let access = worker.settings.admin.as_ref()?;
    let (path, allow, action, effect) = match head.target.path {
        b"/rep" => ("/rep", "GET,HEAD", AdminAction::Rep, AccessKind::Read),
        b"/add" => (
            "/add",
            "POST",
            AdminAction::Change(ChangeKind::Add),
            AccessKind::Write,
        ),
        b"/rm" => (
            "/rm",
            "DELETE",
            AdminAction::Change(ChangeKind::Rm),
            AccessKind::Write,
        ),
        _ => {
            access.observe_request(client.ip(), || host(head));
            return None;
        }
    };
    let fields = &head.fields;
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    let caller = Caller {
        addr: client.ip(),
        forwarded: proxy_protocol::has_proxy(worker, stream)
            || proxied.iter().any(|name| fields.get(name).is_some()),
        authorization: fields.get("authorization"),
        origin: fields.get("origin"),
        fetch_site: fields.get("sec-fetch-site"),
        host: host(head),
        owner: &|| match client {
            PeerAddr::Tcp(addr) => socket_owner::owner_of(addr, stream.local_addr()?),
            PeerAddr::Unix => stream.peer_user().map(SocketOwner::User),
        },
    };
    let action = if !allow.split(',').any(|method| method == head.method) {
        let sentence = format!("{path} does not take {}", head.method);
        AdminAction::Refuse {
            status: 405,
            sentence,
            fields: format!("Allow: {allow}\r\n"),
        }
    } else if let Err(denial) = access.check(&caller, path, effect) {
        let wait = denial.retry_after();
        let wait = wait.map(|seconds| format!("Retry-After: {seconds}\r\n"));
        AdminAction::Refuse {
            status: denial.status,
            sentence: denial.to_string(),
            fields: wait.unwrap_or_default(),
        }
    } else {
        action
    };
    Some(AdminRequest {
        action,
        body,
        expects,
        keep_alive,
        head_only: head.method == "HEAD",
    })
}

/// Returns the host that a request is for. The authority of an absolute target replaces `Host` (RFC
/// 9112 §3.2.2).
fn host<'h>(head: &RequestHead<'h, '_>) -> Option<&'h [u8]> {
    head.target.authority.or_else(|| head.fields.get("host"))
}

/// Serves an admin request.
pub(super) async fn run(
    worker: &Worker,
    client: &mut Client,
    mut request: AdminRequest,
) -> Disposition {
    let stays = request.may_stay();
    if let AdminAction::Refuse {
        status,
        sentence,
        fields,
    } = request.action
    {
        let failure = ErrorReply::new(status, sentence);
        return client
            .answer(worker, &failure, &fields, stays, request.head_only)
            .await;
    }
    let body = match read_body(worker, client, &mut request).await {
        Ok(body) => body,
        Err(Some(failure)) => {
            return client
                .answer(worker, &failure, "", false, request.head_only)
                .await;
        }
        Err(None) => return client.client_left(),
    };
    let answer = match request.action {
        AdminAction::Change(kind) => match kind.parse_body(&body) {
            Ok(change) => {
                let order = kind.into_order(change);
                let submitted = worker.orders.submit(order, client.addr.to_string());
                match unless_reset(worker, &mut client.stream, submitted).await {
                    Some(answer) => answer,
                    // The fleet carries the order out even though the client has left.
                    None => return client.client_left(),
                }
            }
            Err(refusal) => Err(refusal),
        },
        _ => worker.orders.list(),
    };
    let (status, json) = orders::render(&answer);
    let close = !request.keep_alive || worker.is_stopping();
    let reply = LocalReply {
        status,
        json: &json,
        fields: "",
        close,
        head_only: request.head_only,
    };
    client.write(worker, &reply).await
}

/// Reads and decodes the whole body. `Err(None)` means that the client has left.
async fn read_body(
    worker: &Worker,
    client: &mut Client,
    request: &mut AdminRequest,
) -> Result<BytesMut, Option<ErrorReply>> {
    let limits = &worker.settings.limits;
    let too_large = || {
        let sentence = format!("request body is longer than {MAX_ORDER_BODY} bytes");
        Some(ErrorReply::new(413, sentence))
    };
    if matches!(request.body, Body::Length(length) if length > MAX_ORDER_BODY as u64) {
        return Err(too_large());
    }
    if request.expects && !request.body.is_complete() && client.inbox.is_empty() {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
        let written = write_whole(
            &mut client.timer,
            &mut client.stream,
            (interim, &[]),
            limits.write_timeout,
        );
        written.await.map_err(|_| None)?;
    }
    let mut body = BytesMut::new();
    loop {
        let taken = request
            .body
            .decode(&client.inbox, &mut body)
            .map_err(|broken| Some(ErrorReply::new(400, broken.to_string())))?;
        client.inbox.advance(taken);
        client
            .record
            .iter_mut()
            .for_each(|record| record.add_body(taken));
        if body.len() > MAX_ORDER_BODY {
            return Err(too_large());
        }
        if request.body.is_complete() {
            return Ok(body);
        }
        let due = Some(Instant::now() + limits.body_timeout);
        match client
            .timer
            .run(due, client.stream.read_buf(&mut client.inbox))
            .await
        {
            Ok(Ok(0)) => return Err(Some(ErrorReply::incomplete_body())),
            Ok(Err(_)) => return Err(None),
            Ok(Ok(_)) => {}
            Err(_) => return Err(Some(ErrorReply::body_timeout())),
        }
    }
}
