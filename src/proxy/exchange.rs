//! One request until it is answered: which seat, which connection, and what a failed attempt means.
//!
//! Refused with nothing sent: the next seat, through every seat once. Lost with something sent: again
//! only if doing it twice is as good as once, it is still here whole, the budget allows it, and no two
//! replicas have died holding it. Everything else is an error reply, or a broken connection if the
//! client has seen part of a reply.
//!
//! What is rare is boxed: the future of an exchange is made for every request, and as large as the
//! largest of its parts.

use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::attempt::{self, End};
use super::download::{Broken, Delivered};
use super::flow::Flow;
use super::journey::{Halted, Journey};
use super::pool::{InFlight, Need, Pool};
use super::record::{Account, Ended};
use super::request::Request;
use super::route::{self, Nobody};
use super::session::{After, Client};
use super::tunnel;
use super::upload::Unsent;
use super::worker::Worker;
use crate::roster::{Health, Sign};
use crate::wire::head::Version;

/// Before a request that one replica was lost with goes to another: replicas that die together are seen
/// dead by then, and do not count as two that died of this request.
const PAUSE: Duration = Duration::from_millis(20);

/// An error reply: whose fault, and what to say.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) sentence: String,
}

impl Failure {
    fn new(status: u16, sentence: impl Into<String>) -> Self {
        Self {
            status,
            sentence: sentence.into(),
        }
    }
}

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
    // A replica to try again on a fresh connection: a kept one was found closed.
    let mut afresh: Option<InFlight> = None;
    loop {
        account.moves.set(journey.moves);
        let again = afresh.take().filter(InFlight::may_go_on);
        let fresh_only = again.is_some();
        let next = match again {
            Some(in_flight) => Ok(in_flight),
            None => {
                let (key, now) = (request.keyed.key, Instant::now());
                let next = route::next(worker, key, &mut journey.tried, now).await;
                next.inspect(|next| account.chosen(next.pool().chosen_at.get()))
            }
        };
        let in_flight = next.map_err(nobody_up)?;
        let pool = in_flight.pool();
        if !journey.may_go_to(pool.id) {
            let sentence = "two replicas were lost with this request";
            return Err(Failure::new(502, sentence));
        }
        journey.tried.turn_to(pool);
        if journey.moves_on(pool.id) && !Box::pin(is_up_after_pause(pool)).await {
            continue;
        }
        let connected = connect(worker, &in_flight, request, fresh_only, &mut journey).await;
        let Some((mut replica, kept)) = connected else {
            continue;
        };
        let repeatable = journey.may_repeat(worker, request, pool.id, kept);
        let end = attempt::run(
            worker,
            client,
            request,
            &mut replica,
            &in_flight,
            account,
            repeatable,
        );
        match end.await {
            End::Delivered(delivered) => {
                let about = (&in_flight, account);
                return Ok(settle(worker, client, request, about, replica, delivered).await);
            }
            End::ClientFailed(failed) => {
                return client_failed(pool, account, &failed);
            }
            End::Broken(broken @ (Broken::Lost | Broken::Doubted)) => {
                if matches!(broken, Broken::Lost) {
                    worker.tell(pool.id, Sign::Lost);
                }
                journey
                    .goes_on(worker, request, &in_flight, &broken, kept, repeatable)
                    .map_err(|halted| halt(pool, account, &halted))?;
                afresh = kept.then_some(in_flight);
            }
            End::Broken(other) => {
                return give_up(worker, pool, account, &other);
            }
        }
    }
}

/// Lets a replica's death be heard of that dies together with another.
async fn is_up_after_pause(pool: &Pool) -> bool {
    sleep(PAUSE).await;
    pool.health.get() == Health::Up
}

/// A connection to the replica, and whether it was a kept one. `None`: nothing was sent, try elsewhere.
async fn connect(
    worker: &Worker,
    in_flight: &InFlight,
    request: &Request,
    fresh_only: bool,
    journey: &mut Journey,
) -> Option<(TcpStream, bool)> {
    let pool = in_flight.pool();
    // A moment ago, or before the pause of a request that was lost.
    let now = pool.chosen_at.get();
    let need = match (request.idempotent, journey.holders.is_empty()) {
        (false, _) => Need::Once,
        (true, true) => Need::Any,
        (true, false) => Need::Alive,
    };
    if !fresh_only && let Some(kept) = pool.take(need, now) {
        worker.port().pool_hits.add(1);
        return Some((kept, true));
    }
    let fresh = Box::pin(worker.connect(pool)).await;
    if fresh.is_none() {
        journey.tried.refused.push(pool.id);
        journey.tried.turn_from(pool);
        journey.moves += 1;
    }
    Some((fresh?, false))
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
        Delivered::Whole { client_stays, keep } => {
            account.ended.set(Some(Ended::Whole));
            let (pool, now) = (in_flight.pool(), Instant::now());
            account.over(pool, now);
            if let Some(keep) = keep {
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
            if let Ok(stream) = client.stream.known() {
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
    client_failure(failed).map_or(Ok(After::Drop), Err)
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
            worker.tell(pool.id, Sign::ReplyTimeout);
            Err(Failure::new(504, "the replica did not answer in time"))
        }
        Broken::Bad(why) => {
            let sentence = format!("the replica's reply is malformed: {why}");
            Err(Failure::new(502, sentence))
        }
        Broken::Truncated { reset } => {
            worker.tell(pool.id, Sign::Lost);
            pool.cell().truncated.add(1);
            account.ended.set(Some(Ended::ByReplica));
            Ok(if *reset { After::Reset } else { After::Drop })
        }
        Broken::ClientGone | Broken::Lost | Broken::Doubted => {
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
pub(super) fn nobody_up(nobody: Nobody) -> Failure {
    Failure::new(
        503,
        match nobody {
            Nobody::Empty => "there are no replicas",
            Nobody::Down => "no replica is up",
        },
    )
}

/// What to say to a client that broke its request off; `None` if there is no one to say it to.
fn client_failure(failed: &Unsent) -> Option<Failure> {
    match failed {
        // Half of it may be open still (RFC 9112 §8).
        Unsent::ClientGone => Some(Failure::new(400, "the request body is incomplete")),
        Unsent::ClientSilent => Some(Failure::new(408, "the request body did not come in time")),
        Unsent::BadChunk(broken) => Some(Failure::new(400, broken.to_string())),
        Unsent::ReplicaGone => None,
    }
}
