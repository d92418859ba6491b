//! HTTP on the control port: one connection in hyper, and the answers that are the same for all
//! routes.
//!
//! Only the files of this folder name axum and hyper. Bodies are JSON and end with a line feed.
//! hyper gives the socket back after the last answer, because its own close could destroy the
//! answer to a request whose body was not read (see `connection.rs`).

mod assets;
mod events;
mod extract;
mod plan_query;
mod probes;
mod reply;
mod request;
mod routes;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use self::reply::{ApiReply, MAX_ECHOED_PATH, echo_path};
use super::client_slot::ClientSlot;
use super::connection::{Connection, Endpoints};
use super::limits::ControlLimits;
use super::shared::Shared;
use crate::orders::{self, MAX_ORDER_BODY};
use crate::shutdown::Shutdown;
use crate::wire::date;

#[cfg(test)]
pub(super) use probes::OPENAPI;

/// Method and path of every route.
#[cfg(test)]
pub(super) fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    routes::ROUTES.iter().map(|row| (row.method, row.path))
}

/// The routes of a connection.
pub(super) type Router = axum::Router;

/// Smallest buffer that hyper accepts, in bytes.
const MIN_BUFFER: usize = 8192;

/// A future answer. hyper requires it to be `Unpin`.
type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Reason for the end of a connection.
enum ConnectionEnd {
    /// Either side closed it, or it failed.
    Done(hyper::Result<()>),
    /// Shutdown of the port.
    Shutdown,
    /// The slot belongs to another client.
    Evicted,
}

/// Paths of the health probes.
const PROBE_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// Returns the table of routes, with the common checks and answers: `OPTIONS`, 404, 405 and one
/// `Host`.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let mut router = axum::Router::new();
    for (path, serve) in routes::by_path() {
        router = router.route(path, serve);
    }
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_ORDER_BODY))
        .layer(from_fn(check_host))
        .with_state(shared)
}

/// Returns the routes of the health probes. Everything else is refused for want of a slot.
pub(super) fn probes(shared: Arc<Shared>) -> Router {
    let sentence = shared.context.limits.all_open();
    let refuse = move || {
        let busy = ApiReply::failure(StatusCode::SERVICE_UNAVAILABLE, &sentence);
        async move { busy.with_close() }
    };
    let mut paths = routes::by_path();
    let mut router = axum::Router::new();
    for path in PROBE_PATHS {
        if let Some(serve) = paths.remove(path) {
            router = router.route(path, serve);
        }
    }
    router
        .fallback(refuse)
        .layer(from_fn(check_host))
        .with_state(shared)
}

/// Serves HTTP and returns the connection, which the caller closes. `None` after an eviction.
pub(super) async fn serve(
    conn: Connection,
    ends: Endpoints,
    router: Router,
    limits: &ControlLimits,
    slot: &ClientSlot,
    shutdown: &mut Shutdown,
) -> Option<Connection> {
    let router = TowerToHyperService::new(router);
    let service = service_fn(
        move |mut request: hyper::Request<Incoming>| -> ResponseFuture {
            request.extensions_mut().insert(ends);
            slot.pin();
            let (answer, slot) = (router.call(request), slot.clone());
            Box::pin(async move {
                let mut answer = answer.await;
                if let Ok(answer) = &mut answer {
                    add_date(answer);
                }
                // A stream has no length, and keeps its slot pinned.
                let is_whole = |answer: &Response| answer.body().size_hint().exact().is_some();
                if answer.as_ref().is_ok_and(is_whole) {
                    slot.unpin();
                }
                answer
            })
        },
    );
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .half_close(true)
        .max_buf_size(limits.line.max(MIN_BUFFER))
        .serve_connection(TokioIo::new(conn), service);
    let end = tokio::select! {
        done = poll_fn(|cx| match http.poll_without_shutdown(cx) {
            // Polled after the connection: its answer may just have made the slot evictable.
            Poll::Pending => slot.poll_evicted(cx).map(|()| ConnectionEnd::Evicted),
            Poll::Ready(done) => Poll::Ready(ConnectionEnd::Done(done)),
        }) => done,
        () = shutdown.cancelled() => ConnectionEnd::Shutdown,
    };
    let done = match end {
        ConnectionEnd::Done(done) => done,
        ConnectionEnd::Shutdown => {
            Pin::new(&mut http).graceful_shutdown();
            poll_fn(|cx| http.poll_without_shutdown(cx)).await
        }
        ConnectionEnd::Evicted => {
            // The last answer may not be sent completely.
            Pin::new(&mut http).graceful_shutdown();
            let flushed = poll_fn(|cx| http.poll_without_shutdown(cx));
            let _ = timeout(limits.discard_time, flushed).await;
            return None;
        }
    };
    if let Err(err) = done {
        tracing::debug!("HTTP connection of {} failed: {err}", ends.client);
    }
    Some(http.into_parts().io.into_inner())
}

/// Adds `Date`. hyper would add a date that it caches until the next second of the system's clock;
/// after a step back of the clock it would repeat that date until the clock has caught up.
fn add_date(answer: &mut Response) {
    if let Ok(now) = HeaderValue::from_bytes(&date::now()) {
        answer.headers_mut().insert(header::DATE, now);
    }
}

/// Returns `true` for the request line of a health probe.
pub(super) fn is_probe(line: &[u8]) -> bool {
    let mut words = line.split(|b| *b == b' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    [&b"GET"[..], b"HEAD"].contains(&method)
        && PROBE_PATHS.iter().any(|path| path.as_bytes() == target)
}

/// Answers 503 without reading the request.
///
/// # Errors
/// Errors of the socket.
pub(super) async fn send_error(conn: &mut Connection, sentence: &str) -> io::Result<()> {
    let body = orders::failure(sentence) + "\n";
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    conn.write_all((head + &body).as_bytes()).await
}

/// Answers for a path that has no route. `OPTIONS *` is about the port as a whole (RFC 9110
/// §9.3.7).
async fn unknown_path(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS && uri.path() == "*" {
        let allow = [(header::ALLOW, routes::all_methods())];
        return (allow, StatusCode::NO_CONTENT).into_response();
    }
    reply::unknown_path(&uri).into_response()
}

/// Answers 405. axum adds `Allow`.
async fn wrong_method(method: Method, uri: Uri) -> ApiReply {
    let method: String = method.as_str().chars().take(MAX_ECHOED_PATH).collect();
    let sentence = format!("{} does not take {method}", echo_path(&uri));
    ApiReply::failure(StatusCode::METHOD_NOT_ALLOWED, &sentence)
}

/// Refuses a missing or repeated `Host` (RFC 9112 §3.2), which hyper accepts.
async fn check_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        let sentence = "an HTTP/1.1 request has exactly one Host";
        let reply = ApiReply::failure(StatusCode::BAD_REQUEST, sentence);
        return reply.with_close().into_response();
    }
    next.run(request).await
}
