//! `/events`: recorded events as a JSON list, or those and all new ones as server-sent events, for
//! a client that accepts `text/event-stream` (as an `EventSource` does).
//!
//! The data of a server-sent event is the JSON of one event. Its id lets a client resume after a
//! lost connection, by `Last-Event-ID`. The id also names the run of the balancer, since numbers
//! begin with 1 again at each start.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;

use super::reply::ApiReply;
use super::request::{RequestParts, admit};
use crate::access::AccessKind;
use crate::control::command::ControlCommand;
use crate::control::command::arguments::event_number;
use crate::control::execute;
use crate::control::journal_follower::JournalFollower;
use crate::control::shared::Shared;
use crate::fleet::{Event, Journal};
use crate::orders::OrderError;
use crate::shutdown::Shutdown;

/// Delay after which a client reconnects a broken stream.
const CLIENT_RETRY: Duration = Duration::from_secs(1);

const EVENT_STREAM: &str = "text/event-stream";

/// Answers in the form that the client accepts.
pub(super) async fn serve(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiReply> {
    let peer = admit(&shared.context, &request, "/events", AccessKind::Read)?;
    let since = since(request.uri().query().unwrap_or_default())?;
    let mut response = if accepts_stream(request.headers()) {
        let last = request.headers().get("last-event-id");
        let journal = &shared.context.journal;
        let after = last.map_or(since, |last| last_event_number(last.as_bytes(), journal));
        stream(&shared, after)?.into_response()
    } else {
        let follow = false;
        let list = ControlCommand::Events { since, follow };
        let list = execute::execute(list, peer, &shared.context).await;
        ApiReply::from(list).into_response()
    };
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, vary);
    Ok(response)
}

/// Returns the event number in the query, 0 if there is none.
fn since(query: &str) -> Result<u64, OrderError> {
    let [since] = RequestParts::new("", query, b"").fields(["since"])?;
    match since {
        None => Ok(0),
        Some(text) => event_number(&text).map_err(OrderError::invalid),
    }
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|value| value.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM));
        // A weight of 0 is a refusal (RFC 9110 §12.4.2).
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.parse() == Ok(0.0))
        });
        named && !refused
    })
}

fn event_id(event: &Event, journal: &Journal) -> String {
    format!("{:x}-{}", journal.run(), event.seq)
}

/// Returns the event number in an id; 0, before all events, for an id of another run or an invalid
/// one.
fn last_event_number(id: &[u8], journal: &Journal) -> u64 {
    let text = std::str::from_utf8(id).unwrap_or_default();
    let number = text
        .split_once('-')
        .filter(|(run, _)| *run == format!("{:x}", journal.run()));
    number.and_then(|(_, seq)| seq.parse().ok()).unwrap_or(0)
}

/// State of one stream.
struct EventStream {
    follower: JournalFollower,
    journal: Journal,
    pending: VecDeque<Event>,
    shutdown: Shutdown,
    /// `true` once the reconnection delay was sent.
    greeted: bool,
    _permit: OwnedSemaphorePermit,
}

impl EventStream {
    /// Returns the next server-sent event, `None` after shutdown.
    async fn next(&mut self) -> Option<sse::Event> {
        if !std::mem::replace(&mut self.greeted, true) {
            return Some(sse::Event::default().retry(CLIENT_RETRY));
        }
        while self.pending.is_empty() {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                () = self.follower.changed() => self.pending.extend(self.follower.take_new()),
            }
        }
        let event = self.pending.pop_front()?;
        let data = event.to_json().to_string();
        Some(
            sse::Event::default()
                .id(event_id(&event, &self.journal))
                .data(data),
        )
    }
}

fn stream(shared: &Shared, after: u64) -> Result<impl IntoResponse + use<>, ApiReply> {
    let permit = shared.acquire_stream();
    let busy = |sentence: String| ApiReply::failure(StatusCode::SERVICE_UNAVAILABLE, &sentence);
    let journal = shared.context.journal.clone();
    let state = EventStream {
        follower: JournalFollower::after(after, &journal),
        journal,
        pending: VecDeque::new(),
        shutdown: shared.shutdown.clone(),
        greeted: false,
        _permit: permit.map_err(busy)?,
    };
    let events = unfold(state, |mut state| async move {
        let event = state.next().await?;
        Some((Ok::<_, Infallible>(event), state))
    });
    let keep_alive = KeepAlive::new().interval(shared.context.limits.stream_keepalive);
    // nginx buffers responses unless this field forbids it.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((unbuffered, Sse::new(events).keep_alive(keep_alive)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        accepts_stream(&headers)
    }

    #[test]
    fn only_a_client_that_names_the_stream_type_gets_a_stream() {
        assert!(accepts(&["text/event-stream"]));
        assert!(accepts(&["application/json", "Text/Event-Stream;q=0.5"]));
        assert!(accepts(&[
            "application/json, text/event-stream ; charset=utf-8"
        ]));
        for other in [
            "*/*",
            "text/*",
            "application/json",
            "text/event-stream;q=0",
            "text/event-stream; Q=0.000",
            "",
        ] {
            assert!(!accepts(&[other]), "{other}");
        }
        assert!(!accepts(&[]));
    }

    #[test]
    fn an_event_id_is_valid_for_one_run() {
        let journal = Journal::default();
        let run = format!("{:x}", journal.run());
        assert_eq!(
            last_event_number(format!("{run}-17").as_bytes(), &journal),
            17
        );
        for other in [
            "17",
            "1-17",
            "-17",
            "",
            "x",
            &format!("{run}-"),
            &format!("{run}-x"),
        ] {
            assert_eq!(last_event_number(other.as_bytes(), &journal), 0, "{other}");
        }
        assert_eq!(last_event_number(b"\xff-1", &journal), 0);
    }
}
