//! HTTP on the control port: a connection's way through the HTTP library, and the paths that any table of
//! routes has besides its own.
//!
//! Only the files of this folder name axum and hyper. Bodies are JSON and end with a line feed. The surprise:
//! hyper gives the socket back after the last answer, because its own close could destroy the answer to
//! a request whose body was not read (see `conn.rs`).

mod assets;
mod events;
mod parse;
mod probes;
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

use super::connection::Connection;
use super::http_slot::HttpSlot;
use super::server::Endpoints;
use super::{ControlLimits, Shared};
use crate::orders::{self, MAX_ORDER_BODY};
use crate::shutdown::Shutdown;
use crate::wire::date;

#[cfg(test)]
pub(super) use routes::OPENAPI;

/// Method and path of every route.
#[cfg(test)]
pub(super) fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    routes::ROUTES.iter().map(|row| (row.method, row.path))
}

/// The paths, ready to be served.
pub(super) type Router = axum::Router;

/// The least that the library takes as the size of its buffer, in bytes.
const MIN_BUFFER: usize = 8192;

/// The longest piece of a path that an answer repeats, in characters.
const MAX_ECHOED_PATH: usize = 200;

/// An answer under way; the library wants it movable.
type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Why no more requests are served.
enum ConnectionEnd {
    /// Either side had enough.
    Done(hyper::Result<()>),
    /// The port stops.
    Shutdown,
    /// Another client needs the place.
    Evicted,
}

/// Whose answer it is that a probe asks for.
const PROBE_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// A status and a JSON text.
#[derive(Debug)]
struct ApiReply {
    status: u16,
    text: String,
    /// Whether the connection ends with it, because a part of the request may not have been read
    /// (RFC 9112 §9.6).
    is_last: bool,
    /// After how many seconds the client may try again.
    retry_after: Option<u64>,
}

impl ApiReply {
    fn new(status: u16, text: String) -> Self {
        Self {
            status,
            text,
            is_last: false,
            retry_after: None,
        }
    }

    fn failure(status: StatusCode, sentence: &str) -> Self {
        Self::new(status.as_u16(), orders::failure(sentence))
    }

    fn with_close(self) -> Self {
        Self {
            is_last: true,
            ..self
        }
    }
}

impl IntoResponse for ApiReply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let end = self.is_last.then_some([(header::CONNECTION, "close")]);
        let wait = self
            .retry_after
            .map(|seconds| [(header::RETRY_AFTER, seconds.to_string())]);
        (status, kind, end, wait, self.text + "\n").into_response()
    }
}

/// The table of routes, with what all of them have in common: `OPTIONS`, 404, 405 and one `Host`.
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

/// What answers probes; anything else is refused, since there is no place for it.
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

/// Speaks HTTP until either side has had enough, and gives the connection back to be closed; `None` if another
/// client needed its place.
pub(super) async fn serve(
    conn: Connection,
    ends: Endpoints,
    router: Router,
    limits: &ControlLimits,
    room: &HttpSlot,
    shutdown: &mut Shutdown,
) -> Option<Connection> {
    let router = TowerToHyperService::new(router);
    let service = service_fn(
        move |mut request: hyper::Request<Incoming>| -> ResponseFuture {
            request.extensions_mut().insert(ends);
            room.busy();
            let (answer, room) = (router.call(request), room.clone());
            Box::pin(async move {
                let mut answer = answer.await;
                if let Ok(answer) = &mut answer {
                    add_date(answer);
                }
                // A stream has no end yet.
                let is_whole = |answer: &Response| answer.body().size_hint().exact().is_some();
                if answer.as_ref().is_ok_and(is_whole) {
                    room.idle();
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
    let stop = tokio::select! {
        done = poll_fn(|cx| match http.poll_without_shutdown(cx) {
            // Asked afterwards, for a request may just have been answered.
            Poll::Pending => room.poll_evicted(cx).map(|()| ConnectionEnd::Evicted),
            Poll::Ready(done) => Poll::Ready(ConnectionEnd::Done(done)),
        }) => done,
        () = shutdown.cancelled() => ConnectionEnd::Shutdown,
    };
    let done = match stop {
        ConnectionEnd::Done(done) => done,
        ConnectionEnd::Shutdown => {
            Pin::new(&mut http).graceful_shutdown();
            poll_fn(|cx| http.poll_without_shutdown(cx)).await
        }
        ConnectionEnd::Evicted => {
            // The last answer may still be on its way.
            Pin::new(&mut http).graceful_shutdown();
            let rest = poll_fn(|cx| http.poll_without_shutdown(cx));
            let _ = timeout(limits.discard_time, rest).await;
            return None;
        }
    };
    if let Err(err) = done {
        tracing::debug!("HTTP from {} broke: {err}", ends.client);
    }
    Some(http.into_parts().io.into_inner())
}

/// Dates an answer. The library would do that too, by a date that it keeps until the next second of the system's
/// clock: after a step back of the clock, for ever.
fn add_date(answer: &mut Response) {
    if let Ok(now) = HeaderValue::from_bytes(&date::now()) {
        answer.headers_mut().insert(header::DATE, now);
    }
}

/// Whether a request line asks after our health.
pub(super) fn is_probe(line: &[u8]) -> bool {
    let mut words = line.split(|b| *b == b' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    [&b"GET"[..], b"HEAD"].contains(&method)
        && PROBE_PATHS.iter().any(|path| path.as_bytes() == target)
}

/// Answers 503 to a request that is not read, in the name of one that cannot be served.
///
/// # Errors
/// What the socket says.
pub(super) async fn send_error(conn: &mut Connection, sentence: &str) -> io::Result<()> {
    let body = orders::failure(sentence) + "\n";
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    conn.write_all((head + &body).as_bytes()).await
}

/// What no route has. `OPTIONS *` is about the port as a whole (RFC 9110 §9.3.7).
async fn unknown_path(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS && uri.path() == "*" {
        return (
            [(header::ALLOW, routes::all_methods())],
            StatusCode::NO_CONTENT,
        )
            .into_response();
    }
    let sentence = format!(
        "'{}' endpoint does not exist on the control port",
        echo_path(&uri)
    );
    ApiReply::failure(StatusCode::NOT_FOUND, &sentence).into_response()
}

/// The library adds `Allow`.
async fn wrong_method(method: Method, uri: Uri) -> ApiReply {
    let method: String = method.as_str().chars().take(MAX_ECHOED_PATH).collect();
    let sentence = format!("{} does not take {method}", echo_path(&uri));
    ApiReply::failure(StatusCode::METHOD_NOT_ALLOWED, &sentence)
}

fn echo_path(uri: &Uri) -> String {
    uri.path().chars().take(MAX_ECHOED_PATH).collect()
}

/// Refuses what RFC 9112 §3.2 says must be refused, and the library lets pass.
async fn check_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        let sentence = "an HTTP/1.1 request has exactly one Host";
        let reply = ApiReply::failure(StatusCode::BAD_REQUEST, sentence);
        return reply.with_close().into_response();
    }
    next.run(request).await
}
