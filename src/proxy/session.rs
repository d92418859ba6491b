//! One client connection: its requests one after the other, until close, upgrade or drain.
//!
//! Between requests it holds no buffer. A connection that falls silent is closed without a word; only a
//! head that was begun and not finished earns a 408.

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::exchange::{self, Failure};
use super::pump::write_whole;
use super::request::{self, Job};
use super::visit;
use super::worker::Worker;
use crate::admin;
use crate::wire::deadline::Deadline;
use crate::wire::head::{Refused, worth_parsing};
use crate::wire::reply::Reply;
use crate::wire::socket;

/// A client's connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) addr: SocketAddr,
    /// What was read and does not belong to a request yet.
    pub(super) inbox: BytesMut,
    pub(super) timer: Deadline,
}

/// What is left to do with a client's connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Read the next request.
    Next,
    /// Close it so that our last words arrive.
    Close,
    /// Close it; there is no one to hear last words, or none were said.
    Drop,
    /// Close it so that the client knows that something is missing.
    Reset,
}

/// Serves a connection until its end.
pub(super) fn run(
    worker: Rc<Worker>,
    stream: TcpStream,
    addr: SocketAddr,
) -> impl Future<Output = ()> {
    let client = Client {
        stream,
        addr,
        inbox: BytesMut::new(),
        timer: Deadline::default(),
    };
    serve(worker, client)
}

async fn serve(worker: Rc<Worker>, mut client: Client) {
    let after = loop {
        let after = match next(&worker, &mut client).await {
            // Boxed: an exchange is large, and most sessions are idle most of the time.
            Ok(Some(job)) => Box::pin(carry_out(&worker, &mut client, job)).await,
            Ok(None) => After::Drop,
            Err(refused) => {
                let failure = Failure {
                    status: refused.status,
                    sentence: refused.why.to_owned(),
                };
                client.answer(&worker, &failure, "", false, false).await
            }
        };
        if after != After::Next {
            break after;
        }
    };
    worker.inboxes.give(&mut client.inbox);
    match after {
        After::Close => socket::close_gently(client.stream).await,
        After::Reset => socket::reset(client.stream),
        After::Next | After::Drop => {}
    }
}

async fn carry_out(worker: &Rc<Worker>, client: &mut Client, job: Job) -> After {
    match job {
        Job::Forward(request) => exchange::run(worker, client, request).await,
        Job::Visit(visit) => visit::run(worker, client, visit).await,
        Job::LastHop { keep_alive } => {
            let json = r#"{"message":"ringmaster","status":"successful"}"#;
            let reply = Reply {
                status: 200,
                json,
                fields: "",
                close: !keep_alive,
                head_only: false,
            };
            client.write(worker, &reply).await
        }
    }
}

/// The next request; `None` when the connection has ended or been idle for too long.
async fn next(worker: &Worker, client: &mut Client) -> Result<Option<Job>, Refused> {
    if client.inbox.is_empty() {
        worker.inboxes.give(&mut client.inbox);
        if !wait_for_bytes(worker, client).await {
            return Ok(None);
        }
        client.inbox = worker.inboxes.take();
    }
    let limits = &worker.settings.limits;
    let due = Some(Instant::now() + limits.head_timeout);
    let mut parsed = 0;
    loop {
        if !client.inbox.is_empty() && worth_parsing(&client.inbox, parsed) {
            let job = request::read(worker, &client.stream, client.addr, &mut client.inbox)?;
            if job.is_some() {
                return Ok(job);
            }
        }
        parsed = client.inbox.len();
        if parsed >= limits.max_head {
            return Err(request::too_long(&client.inbox));
        }
        match client
            .timer
            .run(due, client.stream.read_buf(&mut client.inbox))
            .await
        {
            Ok(Ok(0) | Err(_)) => return Ok(None),
            Ok(Ok(_)) => {}
            Err(_) if client.inbox.is_empty() => return Ok(None),
            Err(_) => {
                return Err(Refused {
                    status: 408,
                    why: "the request head did not come in time",
                });
            }
        }
    }
}

/// Waits for a first byte, or the end; `false` when it was idle for too long or there is no more time.
async fn wait_for_bytes(worker: &Worker, client: &mut Client) -> bool {
    let idle_end = Instant::now() + worker.settings.limits.idle_timeout;
    loop {
        let stopping = worker.is_stopping();
        let due = worker.idle_end().map_or(idle_end, |end| end.min(idle_end));
        let readable = client.timer.run(Some(due), client.stream.readable());
        tokio::select! {
            biased;
            readable = readable => return matches!(readable, Ok(Ok(()))),
            () = worker.stop_begins(), if !stopping => {}
        }
    }
}

impl Client {
    /// Answers with a failure of our own.
    pub(super) async fn answer(
        &mut self,
        worker: &Worker,
        failure: &Failure,
        fields: &str,
        stays: bool,
        head_only: bool,
    ) -> After {
        let json = admin::failure(&failure.sentence);
        let close = !stays || worker.is_stopping();
        let reply = Reply {
            status: failure.status,
            json: &json,
            fields,
            close,
            head_only,
        };
        self.write(worker, &reply).await
    }

    /// Writes a reply of our own.
    pub(super) async fn write(&mut self, worker: &Worker, reply: &Reply<'_>) -> After {
        let limit = worker.settings.limits.write_timeout;
        let bytes = reply.to_bytes();
        match write_whole(&mut self.timer, &mut self.stream, &bytes, limit).await {
            Ok(()) if reply.close => After::Close,
            Ok(()) => After::Next,
            Err(_) => After::Drop,
        }
    }
}
