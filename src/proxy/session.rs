//! A client connection: its requests one after the other, until close, upgrade or drain.
//!
//! Between requests it holds no buffer. A silent connection is closed without a reply. Only an
//! incomplete head earns a 408.

use std::future::Future;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::time::Instant;

use super::admin;
use super::admission::NewClient;
use super::client::{Client, Disposition};
use super::dispatch::{self, Dispatch};
use super::error_reply::ErrorReply;
use super::exchange;
use super::half_head::{MoreBytes, read_more};
use super::keep_alive::{AwaitedBytes, is_blank, wait_for_bytes};
use super::key::source_key;
use super::passthrough;
use super::proxy_protocol;
use super::rate_limit;
use super::record_builder::AccessRecordBuilder;
use super::server_name;
use super::settings::BalanceMode;
use super::worker::{SessionGuard, Worker};
use crate::wire::deadline::Deadline;
use crate::wire::head::{RequestError, could_be_complete};
use crate::wire::lazy_stream::LazyStream;
use crate::wire::local_reply::LocalReply;
use crate::wire::socket;

/// Serves a connection until its end.
pub(super) fn run(accepted: NewClient, guard: SessionGuard) -> impl Future<Output = ()> + 'static {
    let mut client = Client {
        stream: LazyStream::new(accepted.stream),
        addr: accepted.addr,
        admission: accepted.admission,
        inbox: BytesMut::new(),
        timer: Deadline::default(),
        record: None,
        rare: None,
    };
    // An async block that borrows: an async fn stores its arguments twice.
    async move {
        let after = serve(guard.worker(), &mut client).await;
        guard.worker().buffers.put_back(&mut client.inbox);
        client.rare = None;
        match after {
            Disposition::KeepAlive | Disposition::Close => {}
            Disposition::CloseIfRead if client.stream.recv_queue_empty() => {}
            Disposition::CloseIfRead | Disposition::LingeringClose | Disposition::Reset => {
                Box::pin(close(client.stream, after == Disposition::Reset)).await;
            }
        }
    }
}

async fn serve(worker: &Rc<Worker>, client: &mut Client) -> Disposition {
    if proxy_protocol::is_proxy(worker, client.addr)
        && !Box::pin(proxy_protocol::read_header(worker, client)).await
    {
        return Disposition::Close;
    }
    let balance = worker.settings.balance;
    if !balance.reads_requests() {
        let waits = balance == BalanceMode::Sni && client.inbox.is_empty();
        if waits && !wait_for_bytes(worker, client, AwaitedBytes::ClientHello).await {
            return Disposition::Close;
        }
        return Box::pin(serve_whole(worker, client)).await;
    }
    let mut awaited = AwaitedBytes::FirstRequest;
    loop {
        if is_blank(&client.inbox) {
            worker.buffers.put_back(&mut client.inbox);
            if !wait_for_bytes(worker, client, awaited).await {
                return Disposition::Close;
            }
        }
        awaited = AwaitedBytes::NextRequest;
        // Boxed: an exchange is large, and most sessions are idle most of the time.
        match Box::pin(serve_one(worker, client)).await {
            Disposition::KeepAlive => {}
            after => return after,
        }
        // The event loop polls all sockets before the next request, kept connections to replicas
        // included, even if the client has sent that request already.
        if client.stream.registered().is_err() {
            return Disposition::Close;
        }
        if !client.inbox.is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

/// Serves a connection that goes to one replica as a whole, whatever its bytes are.
async fn serve_whole(worker: &Rc<Worker>, client: &mut Client) -> Disposition {
    client.record = AccessRecordBuilder::start(worker, client.addr);
    let key = match worker.settings.balance {
        BalanceMode::Sni => server_name::read_key(worker, client).await,
        _ => Some(source_key(client.addr.ip())),
    };
    let after = match key {
        Some(key) => passthrough::by_key(worker, client, key).await,
        None => Disposition::Close,
    };
    client.record = None;
    after
}

/// Closes with a reset, or with a lingering close. A stream that the event loop has lost is
/// dropped.
async fn close(stream: LazyStream, reset: bool) {
    match stream.into_registered() {
        Ok(stream) if reset => socket::reset(stream),
        Ok(stream) => socket::lingering_close(stream).await,
        Err(_) => {}
    }
}

/// Serves the request whose first bytes have arrived.
async fn serve_one(worker: &Rc<Worker>, client: &mut Client) -> Disposition {
    client.record = AccessRecordBuilder::start(worker, client.addr);
    let after = read_and_answer(worker, client).await;
    client.record = None;
    after
}

async fn read_and_answer(worker: &Rc<Worker>, client: &mut Client) -> Disposition {
    match read_head(worker, client).await {
        Ok(dispatch) => match rate_limit::take_request(worker, client) {
            Ok(()) => serve_dispatch(worker, client, dispatch).await,
            Err(wait) => Box::pin(rate_limit::refuse_request(worker, client, dispatch, wait)).await,
        },
        Err(NoHead::Ended) => {
            client.record.iter_mut().for_each(|record| record.discard());
            Disposition::Close
        }
        Err(NoHead::Refused(refused)) => {
            if let Some(record) = &mut client.record {
                record.refused(&client.inbox);
            }
            // It counts as a request, and its own refusal says more than one for the rate.
            let _ = rate_limit::take_request(worker, client);
            let failure = ErrorReply::new(refused.status, refused.why);
            let head_only = dispatch::is_to_head(&client.inbox);
            Box::pin(client.refuse(worker, &failure, head_only)).await
        }
    }
}

async fn serve_dispatch(
    worker: &Rc<Worker>,
    client: &mut Client,
    dispatch: Dispatch,
) -> Disposition {
    match dispatch {
        Dispatch::Forward(mut request) => exchange::run(worker, client, &mut request).await,
        Dispatch::Tunnel(first) => Box::pin(passthrough::by_head(worker, client, first)).await,
        Dispatch::Admin(request) => Box::pin(admin::run(worker, client, request)).await,
        Dispatch::MaxForwardsZero { keep_alive } => {
            let json = r#"{"message":"ringmaster","status":"successful"}"#;
            let reply = LocalReply {
                status: 200,
                json,
                fields: "",
                close: !keep_alive,
                head_only: false,
            };
            Box::pin(client.write(worker, &reply)).await
        }
    }
}

/// Reason why there is no request.
enum NoHead {
    /// The client ended the connection, or it was evicted.
    Ended,
    /// The request is refused.
    Refused(RequestError),
}

impl From<RequestError> for NoHead {
    fn from(refused: RequestError) -> Self {
        Self::Refused(refused)
    }
}

/// Reads the rest of a head whose first bytes have arrived.
async fn read_head(worker: &Worker, client: &mut Client) -> Result<Dispatch, NoHead> {
    let limits = &worker.settings.limits;
    // A head that is complete already needs no clock.
    let mut begun = None;
    let mut parsed = 0;
    loop {
        if could_be_complete(&client.inbox, parsed) {
            let dispatch = dispatch::read(
                worker,
                &client.stream,
                client.addr,
                &mut client.inbox,
                client.record.as_deref_mut(),
            )?;
            if let Some(dispatch) = dispatch {
                return Ok(dispatch);
            }
        }
        parsed = client.inbox.len();
        if parsed >= limits.max_head {
            return Err(dispatch::too_long(&client.inbox).into());
        }
        let place = begun.get_or_insert_with(|| worker.evictable.half_heads.place(Instant::now()));
        match read_more(worker, client, place).await {
            MoreBytes::Some => {}
            MoreBytes::Ended | MoreBytes::Evicted => return Err(NoHead::Ended),
            MoreBytes::Late => {
                let why = "the request head did not come in time";
                return Err(RequestError { status: 408, why }.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F>(_: fn(NewClient, SessionGuard) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_session_is_small() {
        // Tokio aligns the task around it to 128 bytes.
        let size = size_of_future(run);
        assert!(size <= 256, "{size} bytes");
    }

    #[test]
    fn a_request_is_small() {
        fn size_of_future<'a, F>(_: fn(&'a Rc<Worker>, &'a mut Client) -> F) -> usize {
            size_of::<F>()
        }
        // Every request makes one allocation of this size.
        let size = size_of_future(serve_one);
        assert!(size <= 2176, "{size} bytes");
    }
}
