//! One request until it is answered: which seat, which connection, and what a failed attempt means.
//!
//! Refused with nothing sent: the next seat, through every seat once. Lost with something sent: again
//! only if doing it twice is as good as once, it is still here whole, the budget allows it, and no two
//! replicas have died holding it. Everything else is an error reply, or a broken connection if the
//! client has seen part of a reply.
//!
//! What is rare is boxed: the future of an exchange is made for every request, and as large as the
//! largest of its parts.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::access_record::Ended;
use super::attempt::{self, End};
use super::attempted::Tried;
use super::client_watch::ClientWatch;
use super::connection::{Kept, Means, connect};
use super::failure::Failure;
use super::flow::Flow;
use super::private_connections::Private;
use super::request::Request;
use super::request_sender::Unsent;
use super::request_stats::Account;
use super::response::{Broken, Delivered};
use super::retry_state::{Halted, Journey};
use super::route::{self, Nobody};
use super::session::{After, Client};
use super::tunnel;
use super::upstream::{InFlight, Pool};
use super::worker::Worker;
use crate::roster::{EvidenceKind, Health};
use crate::wire::head::Version;

/// Before a request that one replica was lost with goes to another: replicas that die together are seen
/// dead by then, and do not count as two that died of this request.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves one request. What is left to do with the client's connection.
pub(super) async fn run(worker: &Rc<Worker>, client: &mut Client, request: &mut Request) -> After {
    let begun = Instant::now();
    worker.begins(begun);
    let mut account = Account::new(begun, request.keyed.key, client.note.take());
    let answered = travel(worker, client, request, &account).await;
    client.note = account.close();
    let after = match answered {
        Ok(after) => after,
        Err(failure) => fail(worker, client, request, &failure).await,
    };
    worker.inboxes.give(&mut request.outgoing.bytes);
    after
}

/// From attempt to attempt until there is an answer, or a failure to be told the client.
async fn travel(
    worker: &Rc<Worker>,
    client: &mut Client,
    request: &mut Request,
    account: &Account,
) -> Result<After, Failure> {
    let mut journey = Journey::default();
    let key = request.keyed.key;
    // A replica that the ring is not asked for: the client's own, with the connection to it, or one to try
    // again on a fresh connection, because a kept one was found closed.
    let own = client.private.as_ref();
    let own = own.and_then(|private| private.enter(worker, key, account.begun));
    let mut given = own.map(|in_flight| (in_flight, Means::Own));
    loop {
        let reached = {
            let own = client.private.as_deref();
            let reached = reach(worker, request, account, &mut journey, (own, given.take()));
            let watch = ClientWatch::new(worker, &account.ends, || {
                client.stream.registered().map(|stream| &*stream)
            });
            watch.run(pin!(reached), || Some(account.begun)).await
        };
        let Some(reached) = reached else {
            account.ended.set(Some(Ended::ByClient));
            return Ok(After::Drop);
        };
        let (in_flight, mut replica, kept) = reached?;
        let pool = in_flight.pool();
        let is_kept = kept != Kept::No;
        let chances = journey.chances(worker, request, &in_flight, is_kept);
        let end = attempt::run(
            worker,
            client,
            request,
            (&mut replica, kept),
            &in_flight,
            account,
            chances,
        );
        match end.await {
            End::Delivered(delivered) => {
                let about = (&in_flight, account);
                return Ok(settle(worker, client, request, about, replica, delivered).await);
            }
            End::ClientFailed(failed) => {
                return client_failed(pool, account, &failed);
            }
            End::Broken(broken @ (Broken::Lost | Broken::Doubted | Broken::Stale)) => {
                let is_doubted = matches!(broken, Broken::Doubted);
                if matches!(broken, Broken::Lost) {
                    worker.tell(pool.id, EvidenceKind::Lost);
                }
                let repeatable = chances.repeatable;
                journey
                    .goes_on(worker, request, &in_flight, &broken, is_kept, repeatable)
                    .map_err(|halted| halt(pool, account, &halted))?;
                given = (is_kept && !is_doubted).then_some((in_flight, Means::Fresh));
            }
            End::Broken(other) => {
                return give_up(worker, pool, account, &other);
            }
        }
    }
}

/// A replica for the request, and a connection to it: the one that is `given`, or the client's `own`, or from
/// seat to seat until there is one.
async fn reach(
    worker: &Worker,
    request: &Request,
    account: &Account,
    journey: &mut Journey,
    (own, mut given): (Option<&Private>, Option<(InFlight, Means)>),
) -> Result<(InFlight, TcpStream, Kept), Failure> {
    loop {
        account.moves.set(journey.moves);
        let tried = &mut journey.tried;
        let (in_flight, means) = match given.take().filter(|(in_flight, _)| in_flight.may_go_on()) {
            Some(given) => given,
            None => {
                let (key, now) = (request.keyed.key, Instant::now());
                let next = route::next(worker, key, tried, now).await;
                let next = next.map_err(|nobody| nobody_up(worker, nobody, tried))?;
                account.chosen(next.pool().chosen_at.get());
                (next, Means::Any)
            }
        };
        let pool = in_flight.pool();
        if !journey.may_go_to(pool.id) {
            let sentence = "two replicas were lost with this request";
            return Err(Failure::new(502, sentence));
        }
        journey.tried.turn_to(pool);
        if journey.moves_on(pool.id) && !Box::pin(is_up_after_pause(pool)).await {
            continue;
        }
        let connected = connect(worker, own, &in_flight, request, means, journey).await;
        if let Some((replica, kept)) = connected {
            return Ok((in_flight, replica, kept));
        }
    }
}

/// Lets a replica's death be heard of that dies together with another.
async fn is_up_after_pause(pool: &Pool) -> bool {
    sleep(PAUSE).await;
    pool.health.get() == Health::Up
}

/// Puts both connections to their next use after a reply.
async fn settle(
    worker: &Rc<Worker>,
    client: &mut Client,
    request: &Request,
    (in_flight, account): (&InFlight, &Account),
    mut replica: TcpStream,
    delivered: Delivered,
) -> After {
    match delivered {
        Delivered::Whole {
            client_stays,
            keep,
            private,
        } => {
            account.ended.set(Some(Ended::Whole));
            let (pool, now) = (in_flight.pool(), Instant::now());
            account.over(pool, now);
            if let Some(keep) = keep
                && private
                && client_stays
            {
                Private::keep(&mut client.private, pool, replica, keep, now);
            } else if let Some(keep) = keep.filter(|_| !private) {
                let most = worker.settings.limits.pool_per_seat;
                pool.give(replica, keep, most, now);
            }
            let client_through = !request.keep_alive
                && !worker.is_stopping()
                && request.outgoing.body.is_complete()
                && client.inbox.is_empty();
            match (client_stays, client_through) {
                (true, _) => After::Next,
                (false, true) => After::Done,
                (false, false) => After::Close,
            }
        }
        Delivered::Tunnel => {
            let early = &mut client.inbox;
            let flows = (
                Flow::from_client(in_flight, account),
                Flow::to_client(in_flight, account),
            );
            if let Ok(stream) = client.stream.registered() {
                let ended = tunnel::run(worker, stream, &mut replica, early, flows);
                account.ended.set(Some(Box::pin(ended).await));
            }
            After::Drop
        }
    }
}

/// Ends an exchange that was lost and does not go on.
fn halt(pool: &Pool, account: &Account, halted: &Halted) -> Failure {
    account.over(pool, Instant::now());
    if matches!(halted, Halted::OverBudget(_)) {
        account.ended.set(Some(Ended::ByBudget));
    }
    Failure::new(502, halted.to_string())
}

/// Ends an exchange whose client broke its request off.
fn client_failed(pool: &Pool, account: &Account, failed: &Unsent) -> Result<After, Failure> {
    account.ended.set(Some(Ended::ByClient));
    account.over(pool, Instant::now());
    Failure::of_client(failed).map_or(Ok(After::Drop), Err)
}

/// Ends an exchange that cannot be repeated.
fn give_up(
    worker: &Worker,
    pool: &Pool,
    account: &Account,
    broken: &Broken,
) -> Result<After, Failure> {
    account.over(pool, Instant::now());
    match broken {
        Broken::TimedOut => {
            worker.tell(pool.id, EvidenceKind::ReplyTimeout);
            Err(Failure::new(504, "the replica did not answer in time"))
        }
        Broken::Bad(why) => {
            let sentence = format!("the replica's reply is malformed: {why}");
            Err(Failure::new(502, sentence))
        }
        Broken::Truncated { reset } => {
            worker.tell(pool.id, EvidenceKind::Lost);
            pool.cell().truncated.add(1);
            account.ended.set(Some(Ended::ByReplica));
            Ok(if *reset { After::Reset } else { After::Drop })
        }
        Broken::ClientGone | Broken::Lost | Broken::Doubted | Broken::Stale => {
            account.ended.set(Some(Ended::ByClient));
            Ok(After::Drop)
        }
    }
}

/// Answers with an error. The connection stays only if nothing is left of the request.
async fn fail(worker: &Worker, client: &mut Client, request: &Request, failure: &Failure) -> After {
    let stays = request.keep_alive
        && request.asked.version == Version::Http11
        && request.outgoing.body.is_complete()
        && failure.status >= 500;
    let fields = if failure.status == 503 {
        "Retry-After: 1\r\n"
    } else {
        ""
    };
    let head_only = request.asked.to_head;
    let answer = client.answer(worker, failure, fields, stays, head_only);
    Box::pin(answer).await
}

/// What to say when no seat serves a request.
pub(super) fn nobody_up(worker: &Worker, nobody: Nobody, tried: &Tried) -> Failure {
    let sentence = match (nobody, &tried.unreached) {
        (Nobody::Empty, _) => "there are no replicas".to_owned(),
        (Nobody::Down, Some(unreached)) if worker.view().is_any_open() => unreached.to_string(),
        (Nobody::Down, _) => "no replica is up".to_owned(),
    };
    Failure::new(503, sentence)
}
