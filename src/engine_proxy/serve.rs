//! The connections of clients: each request is judged, and its answer passed on as it comes.
//!
//! An answer may have no end, such as that of events. When its client leaves, the connection to
//! the engine ends with it.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::engine::Engine;
use super::judge::Judge;
use super::refusal::Refusal;
use crate::terminal;
use crate::wire::listener::{Listener, ListeningSockets};

/// Largest number of connections; a further one waits.
const MAX_CONNECTIONS: usize = 256;
/// Time limit of the head of a request, and of an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest part of a request's target in a log line, in characters.
const MAX_LOGGED: usize = 200;

/// The proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) judge: Judge,
    pub(super) engine: Engine,
}

/// Serves the connections of a Unix socket for ever.
///
/// # Errors
/// If the socket cannot be registered with the reactor.
pub(super) async fn serve(listener: TcpListener, proxy: Arc<Proxy>) -> io::Result<Infallible> {
    let sockets = ListeningSockets {
        tcp: None,
        unix: Some(listener),
    };
    let listener = Listener::new(sockets)?;
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await;
        let accepted = listener.accept().await;
        let stream = accepted.and_then(|(stream, _)| TcpStream::from_std(stream));
        match stream {
            Ok(stream) => {
                let proxy = Arc::clone(&proxy);
                tokio::spawn(async move {
                    serve_connection(stream, proxy).await;
                    drop(slot);
                });
            }
            Err(err) => {
                tracing::warn!("cannot accept a connection: {err}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, proxy: Arc<Proxy>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let proxy = Arc::clone(&proxy);
        async move { Ok::<_, Infallible>(proxy.answer(request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(err) = served {
        tracing::debug!("connection of a client: {err}");
    }
}

impl Proxy {
    /// Answers a request, and logs its refusal.
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let result = match self.judge.judge(&head, Body::new(body)).await {
            Ok(call) => self.engine.send(call).await.map_err(Refusal::from),
            Err(refusal) => Err(refusal),
        };
        match result.and_then(pass_on) {
            Ok(response) => response,
            Err(refusal) => {
                if let Some(reason) = refusal.reason() {
                    let target = head.uri.to_string();
                    let target: String = target.chars().take(MAX_LOGGED).collect();
                    let (target, reason) = (terminal::escape(&target), terminal::escape(&reason));
                    tracing::warn!("denied {} {target}: {reason}", head.method);
                }
                refusal.into_response()
            }
        }
    }
}

/// Returns the engine's answer for the client: status, type and body.
fn pass_on(answer: Response<Incoming>) -> Result<Response<Body>, Refusal> {
    let status = answer.status();
    if status.is_informational() {
        return Err(Refusal::denied("the engine switches protocols"));
    }
    let content_type = answer.headers().get(header::CONTENT_TYPE).cloned();
    let mut response = Response::new(Body::new(answer.into_body()));
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    Ok(response)
}
