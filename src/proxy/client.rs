//! A client's connection, and the replies that Ringmaster writes itself: errors and the answers to
//! admin requests and to `Max-Forwards: 0`.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::BytesMut;

use super::error_reply::ErrorReply;
use super::private_connection::PrivateConnection;
use super::record_builder::AccessRecordBuilder;
use super::worker::Worker;
use super::write::write_whole;
use crate::clients::Admission;
use crate::orders;
use crate::wire::deadline::Deadline;
use crate::wire::lazy_stream::LazyStream;
use crate::wire::local_reply::LocalReply;
use crate::wire::peer_addr::PeerAddr;

/// A client's connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: LazyStream,
    /// Address of the client. Of a connection from a proxy it is the one that the proxy named.
    pub(super) addr: PeerAddr,
    /// Bytes that were read and belong to no request yet.
    pub(super) inbox: BytesMut,
    pub(super) timer: Deadline,
    /// Count of the connection among those of its client; `None` without limits.
    pub(super) admission: Option<Admission>,
    /// Access log record of the current request; `None` without a log.
    pub(super) record: Option<Box<AccessRecordBuilder>>,
    /// State that few clients have.
    pub(super) rare: Option<Box<RareState>>,
}

/// State that few clients have: an idle client is smaller by it.
#[derive(Debug, Default)]
pub(super) struct RareState {
    /// The client's own connection to a replica, if a server has authenticated it.
    pub(super) private: Option<Rc<PrivateConnection>>,
    /// Names that a proxy gave beside the client's, if they are to be passed on.
    pub(super) named: Option<NamedByProxy>,
}

/// Names that a proxy gives beside the client's address.
#[derive(Debug)]
pub(super) struct NamedByProxy {
    /// Address that the client has connected to.
    pub(super) server: Option<SocketAddr>,
    /// ID of the connection; empty if it has none.
    pub(super) unique_id: Vec<u8>,
}

/// Next step for a client's connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// Read the next request.
    KeepAlive,
    /// Lingering close: half-close, then discard input, so that the reply is not lost to a reset.
    LingeringClose,
    /// Close at once if the client has sent nothing more; otherwise as [`Self::LingeringClose`].
    /// The client has asked for the close.
    CloseIfRead,
    /// Close at once, because no reply has to reach the client any more: it has left, the reply
    /// broke off, or a tunnel has ended.
    Close,
    /// Close with a reset, so that the client knows that the reply is incomplete.
    Reset,
}

impl Client {
    /// Returns the client's own connection to a replica.
    pub(super) fn private(&self) -> Option<&Rc<PrivateConnection>> {
        self.rare.as_ref()?.private.as_ref()
    }

    /// Returns what a proxy has named beside the client.
    pub(super) fn named(&self) -> Option<&NamedByProxy> {
        self.rare.as_ref()?.named.as_ref()
    }

    /// Writes an error reply.
    pub(super) async fn answer(
        &mut self,
        worker: &Worker,
        failure: &ErrorReply,
        fields: &str,
        stays: bool,
        head_only: bool,
    ) -> Disposition {
        let json = orders::failure(&failure.sentence);
        let close = !stays || worker.is_stopping();
        let reply = LocalReply {
            status: failure.status,
            json: &json,
            fields,
            close,
            head_only,
        };
        self.write(worker, &reply).await
    }

    /// Refuses a request whose head is malformed or too long, and closes.
    pub(super) async fn refuse(
        &mut self,
        worker: &Worker,
        failure: &ErrorReply,
        head_only: bool,
    ) -> Disposition {
        worker.port().refused.count(failure.status);
        let reply = LocalReply {
            status: failure.status,
            json: &orders::failure(&failure.sentence),
            fields: "",
            close: true,
            head_only,
        };
        self.write_uncounted(worker, &reply).await
    }

    /// Writes a reply of Ringmaster's own.
    pub(super) async fn write(&mut self, worker: &Worker, reply: &LocalReply<'_>) -> Disposition {
        worker.port().own_replies.count(reply.status);
        self.write_uncounted(worker, reply).await
    }

    async fn write_uncounted(&mut self, worker: &Worker, reply: &LocalReply<'_>) -> Disposition {
        let limit = worker.settings.limits.write_timeout;
        let bytes = reply.to_bytes();
        if let Some(record) = &mut self.record {
            record.local_reply(reply.status, bytes.len());
        }
        match write_whole(&mut self.timer, &mut self.stream, (&bytes, &[]), limit).await {
            Ok(_) if reply.close => Disposition::LingeringClose,
            Ok(_) => Disposition::KeepAlive,
            Err(_) => Disposition::Close,
        }
    }

    /// Records that the client has left.
    pub(super) fn client_left(&mut self) -> Disposition {
        self.record
            .iter_mut()
            .for_each(|record| record.client_left());
        Disposition::Close
    }
}
