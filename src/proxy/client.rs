//! A client's connection and the replies that are made here: errors, admin answers, the last hop's.

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::BytesMut;

use super::error_reply::ErrorReply;
use super::private_connection::PrivateConnection;
use super::record_builder::AccessRecordBuilder;
use super::worker::Worker;
use super::write::write_whole;
use crate::orders;
use crate::wire::deadline::Deadline;
use crate::wire::lazy_stream::LazyStream;
use crate::wire::local_reply::LocalReply;

/// A client's connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: LazyStream,
    pub(super) addr: SocketAddr,
    /// What was read and does not belong to a request yet.
    pub(super) inbox: BytesMut,
    pub(super) timer: Deadline,
    /// What the access log will have of the request under way, if there is a log.
    pub(super) record: Option<Box<AccessRecordBuilder>>,
    /// Its own connection to a replica, if a server has authenticated it.
    pub(super) private: Option<Rc<PrivateConnection>>,
}

/// What is left to do with a client's connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// Read the next request.
    KeepAlive,
    /// Close it so that our last words arrive.
    LingeringClose,
    /// Close it; the client has said that it is through.
    CloseIfRead,
    /// Close it; there is no one to hear last words, or none were said.
    Close,
    /// Close it so that the client knows that something is missing.
    Reset,
}

impl Client {
    /// Answers with a failure of our own.
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

    /// Writes a reply of our own.
    pub(super) async fn write(&mut self, worker: &Worker, reply: &LocalReply<'_>) -> Disposition {
        let limit = worker.settings.limits.write_timeout;
        let bytes = reply.to_bytes();
        worker.port().own_replies.count(reply.status);
        if let Some(record) = &mut self.record {
            record.local_reply(reply.status, bytes.len());
        }
        match write_whole(&mut self.timer, &mut self.stream, (&bytes, &[]), limit).await {
            Ok(()) if reply.close => Disposition::LingeringClose,
            Ok(()) => Disposition::KeepAlive,
            Err(_) => Disposition::Close,
        }
    }

    /// Notes that the client is gone.
    pub(super) fn client_left(&mut self) -> Disposition {
        self.record
            .iter_mut()
            .for_each(|record| record.client_left());
        Disposition::Close
    }
}
