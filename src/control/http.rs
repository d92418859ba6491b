//! HTTP on the control port: the JSON paths, and a connection's way through the HTTP library.
//!
//! It is the only file that names axum and hyper. Bodies are JSON and end with a line feed. The surprise:
//! hyper gives the socket back after the last answer, because its own close could destroy the answer to
//! a request whose body was not read (see `conn.rs`).

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderName, Method, StatusCode, Uri, Version, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::command::{self, Command};
use super::conn::Conn;
use super::{Context, Limits, outlook, path, question, stats};
use crate::admin::{self, Kind, MAX_BODY};
use crate::peer::{Asker, Effect};
use crate::shutdown::Shutdown;

/// The paths, ready to be served.
pub(super) type Router = axum::Router;

type Shared = State<Arc<Context>>;

/// The least that the library takes as the size of its buffer, in bytes.
const MIN_BUFFER: usize = 8192;

/// An answer under way; the library wants it movable.
type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// Who sent a request.
#[derive(Debug, Clone, Copy)]
struct Peer(SocketAddr);

/// A status and a JSON text.
struct Reply(u16, String);

impl Reply {
    fn failure(status: StatusCode, sentence: &str) -> Self {
        Self(status.as_u16(), admin::failure(sentence))
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, "application/json")];
        (status, kind, self.1 + "\n").into_response()
    }
}

/// The table of paths.
pub(super) fn router(context: Arc<Context>) -> Router {
    axum::Router::new()
        .route("/rep", get(rep))
        .route(path(Kind::Add), post(add))
        .route(path(Kind::Rm), delete(rm))
        .route("/ring", get(ring))
        .route("/where/{key}", get(whose))
        .route("/plan", get(plan))
        .route("/stats", get(stats))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(one_host))
        .with_state(context)
}

/// Speaks HTTP until either side has had enough, and gives the connection back to be closed.
pub(super) async fn serve(
    conn: Conn,
    peer: SocketAddr,
    router: Router,
    limits: &Limits,
    shutdown: &mut Shutdown,
) -> Conn {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| -> Answering {
        request.extensions_mut().insert(Peer(peer));
        Box::pin(router.call(request))
    });
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .half_close(true)
        .max_buf_size(limits.line.max(MIN_BUFFER))
        .serve_connection(TokioIo::new(conn), service);
    let stop = tokio::select! {
        done = poll_fn(|cx| http.poll_without_shutdown(cx)) => Some(done),
        () = shutdown.wait() => None,
    };
    let done = match stop {
        Some(done) => done,
        None => {
            Pin::new(&mut http).graceful_shutdown();
            poll_fn(|cx| http.poll_without_shutdown(cx)).await
        }
    };
    if let Err(err) = done {
        tracing::debug!("HTTP from {peer} broke: {err}");
    }
    http.into_parts().io.into_inner()
}

/// Answers 503 to a request that is not read, in the name of one that cannot be served.
///
/// # Errors
/// What the socket says.
pub(super) async fn fail(conn: &mut Conn, sentence: &str) -> io::Result<()> {
    let body = admin::failure(sentence) + "\n";
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    conn.write_all((head + &body).as_bytes()).await
}

async fn rep(State(context): Shared, request: Request) -> Result<Reply, Reply> {
    let peer = admit(&context, &request, "/rep", Effect::Reads)?;
    let (status, body) = admin::render(&context.rep(peer).await);
    Ok(Reply(status, body))
}

async fn add(State(context): Shared, request: Request) -> Result<Reply, Reply> {
    change(Kind::Add, &context, request).await
}

async fn rm(State(context): Shared, request: Request) -> Result<Reply, Reply> {
    change(Kind::Rm, &context, request).await
}

async fn change(kind: Kind, context: &Context, request: Request) -> Result<Reply, Reply> {
    let peer = admit(context, &request, path(kind), Effect::Changes)?;
    let body = body(request, context.limits.body_timeout).await?;
    let answer = match kind.parse(&body) {
        Ok(change) => context.change(kind, change, peer).await,
        Err(refusal) => Err(refusal),
    };
    let (status, body) = admin::render(&answer);
    Ok(Reply(status, body))
}

async fn ring(State(context): Shared, request: Request) -> Result<Reply, Reply> {
    admit(&context, &request, "/ring", Effect::Reads)?;
    ask(&context, "ring").await
}

async fn whose(State(context): Shared, request: Request) -> Result<Reply, Reply> {
    admit(&context, &request, "/where", Effect::Reads)?;
    let key = request.uri().path().strip_prefix("/where/");
    ask(
        &context,
        &format!("where {}", question::plain(key.unwrap_or_default())),
    )
    .await
}

async fn plan(State(context): Shared, request: Request) -> Result<Reply, Reply> {
    admit(&context, &request, "/plan", Effect::Reads)?;
    let line = question::planned(request.uri().query().unwrap_or_default());
    ask(&context, &line).await
}

async fn stats(State(context): Shared, request: Request) -> Result<Reply, Reply> {
    admit(&context, &request, "/stats", Effect::Reads)?;
    let looked = stats::look(&context).await;
    let refuse = |sentence: String| Reply::failure(StatusCode::INTERNAL_SERVER_ERROR, &sentence);
    let (_, message) = looked.map_err(refuse)?;
    Ok(Reply(200, admin::success(&message)))
}

/// Answers a text command that asks.
async fn ask(context: &Context, line: &str) -> Result<Reply, Reply> {
    let refuse = |sentence: &str| Reply::failure(StatusCode::BAD_REQUEST, sentence);
    let requests = command::parse(line.as_bytes()).map_err(|sentence| refuse(&sentence))?;
    let mut commands = requests.into_iter().map(|request| request.command);
    let question = match (commands.next(), commands.next()) {
        (Some(Ok(Command::Ask(question))), None) => question,
        (Some(Err(sentence)), None) => return Err(refuse(&sentence)),
        _ => return Err(refuse("a question is one command, without ';'")),
    };
    let answer = outlook::look(context, question).await;
    let (_, message) = answer.map_err(|sentence| refuse(&sentence))?;
    Ok(Reply(200, admin::success(&message)))
}

async fn healthz() -> Reply {
    ok()
}

async fn readyz(State(context): Shared) -> Reply {
    match (context.ready)() {
        Ok(()) => ok(),
        Err(reason) => Reply::failure(StatusCode::SERVICE_UNAVAILABLE, &reason),
    }
}

fn ok() -> Reply {
    Reply(200, r#"{"message":"ok","status":"successful"}"#.into())
}

async fn unknown_path(uri: Uri) -> Reply {
    let path: String = uri.path().chars().take(200).collect();
    let sentence = format!("'{path}' endpoint does not exist on the control port");
    Reply::failure(StatusCode::NOT_FOUND, &sentence)
}

/// The library adds `Allow`.
async fn wrong_method(method: Method, uri: Uri) -> Reply {
    let sentence = format!("{} does not take {method}", uri.path());
    Reply::failure(StatusCode::METHOD_NOT_ALLOWED, &sentence)
}

/// Refuses what RFC 9112 §3.2 says must be refused, and the library lets pass.
async fn one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        let sentence = "an HTTP/1.1 request has exactly one Host";
        let reply = Reply::failure(StatusCode::BAD_REQUEST, sentence);
        return ([(header::CONNECTION, "close")], reply).into_response();
    }
    next.run(request).await
}

/// Who sent the request, if they may.
fn admit(
    context: &Context,
    request: &Request,
    path: &str,
    effect: Effect,
) -> Result<SocketAddr, Reply> {
    let Some(Peer(peer)) = request.extensions().get().copied() else {
        return Err(Reply::failure(StatusCode::INTERNAL_SERVER_ERROR, "no peer"));
    };
    let field = |name: HeaderName| request.headers().get(name).map(|value| value.as_bytes());
    // The authority of a request in absolute form stands for Host (RFC 9112 §3.2.2).
    let authority = request.uri().authority().map(|at| at.as_str().as_bytes());
    let asker = Asker {
        authorization: field(header::AUTHORIZATION),
        origin: field(header::ORIGIN),
        fetch_site: field(HeaderName::from_static("sec-fetch-site")),
        host: authority.or_else(|| field(header::HOST)),
        ..Asker::at(peer.ip())
    };
    match context.access.check(&asker, path, effect) {
        Ok(()) => Ok(peer),
        Err(denial) => Err(Reply::failure(StatusCode::FORBIDDEN, &denial.to_string())),
    }
}

/// The whole body, unless it is too long or too slow.
async fn body(request: Request, wait: Duration) -> Result<Bytes, Reply> {
    let too_long = || {
        let sentence = format!("request body is longer than {MAX_BODY} bytes");
        Reply::failure(StatusCode::PAYLOAD_TOO_LARGE, &sentence)
    };
    // One that announces its length need not be sent at all.
    if request.body().size_hint().lower() > MAX_BODY as u64 {
        return Err(too_long());
    }
    match timeout(wait, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(err)) if err.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_long()),
        Ok(Err(_)) => Err(Reply::failure(
            StatusCode::BAD_REQUEST,
            "request body is malformed or cut off",
        )),
        Err(_) => Err(Reply::failure(
            StatusCode::REQUEST_TIMEOUT,
            "request body did not come in time",
        )),
    }
}
