//! Lookups of names with a resolver of the test, in a time of the test.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, advance, sleep, timeout};

use super::lookup::{DOWN_INTERVAL, LOOKUP_TIMEOUT, MAX_ADDRESSES, MIN_GAP};
use super::*;

const INTERVAL: Duration = Duration::from_secs(5);

/// Answers of the resolver, in their order; the last one is repeated.
type Script = Arc<Mutex<VecDeque<Answer>>>;

#[derive(Clone)]
enum Answer {
    Found(Vec<&'static str>),
    Error(&'static str),
    Late(Duration, Vec<&'static str>),
}

struct Bench {
    engine: Fixed,
    events: UnboundedReceiver<EngineEvent>,
    /// Times of the lookups.
    asked: Arc<Mutex<Vec<Instant>>>,
    script: Script,
}

fn parse(found: &[&str]) -> Vec<SocketAddr> {
    found.iter().map(|addr| addr.parse().unwrap()).collect()
}

impl Bench {
    fn new(answers: &[Answer]) -> Self {
        let script: Script = Arc::new(Mutex::new(answers.iter().cloned().collect()));
        let asked: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let (log, answers) = (Arc::clone(&asked), Arc::clone(&script));
        let resolver = Resolver::new(move |_| {
            log.lock().unwrap().push(Instant::now());
            let mut answers = answers.lock().unwrap();
            let answer = match answers.len() {
                1 => answers[0].clone(),
                _ => answers.pop_front().unwrap(),
            };
            async move {
                match answer {
                    Answer::Found(found) => Ok(parse(&found)),
                    Answer::Error(why) => Err(io::Error::other(why)),
                    Answer::Late(by, found) => {
                        sleep(by).await;
                        Ok(parse(&found))
                    }
                }
            }
        });
        let settings = LookupSettings {
            interval: INTERVAL,
            own_ports: OwnPorts(vec![(([0, 0, 0, 0], 7).into(), "--listen")]),
        };
        let (sender, events) = mpsc::unbounded_channel();
        Self {
            engine: Fixed::new(settings, resolver, EngineEvents::new(sender)),
            events,
            asked,
            script,
        }
    }

    fn set(&mut self, backends: &[(&str, bool)]) {
        let backends = backends.iter();
        let backends = backends.map(|(addr, is_down)| (addr.parse().unwrap(), *is_down));
        self.engine.set_backends(backends.collect());
    }

    /// Returns the next report: addresses, or a sentence.
    async fn report(&mut self) -> Result<Vec<String>, String> {
        match timeout(60 * INTERVAL, self.events.recv()).await {
            Ok(Some(EngineEvent::Resolved { result, .. })) => {
                result.map(|found| found.iter().map(ToString::to_string).collect())
            }
            other => panic!("no result of a lookup: {other:?}"),
        }
    }

    /// Lets this time pass, and returns the number of lookups until then.
    async fn lookups_after(&mut self, time: Duration) -> usize {
        sleep(time).await;
        self.asked.lock().unwrap().len()
    }
}

fn found(addrs: &[&str]) -> Result<Vec<String>, String> {
    Ok(addrs.iter().map(|addr| (*addr).to_owned()).collect())
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_at_once_and_then_at_the_interval() {
    let mut bench = Bench::new(&[Answer::Found(vec![
        "10.0.0.1:80",
        "10.0.0.2:80",
        "10.0.0.1:80",
    ])]);
    bench.set(&[("web:80", false)]);
    assert_eq!(bench.report().await, found(&["10.0.0.1:80", "10.0.0.2:80"]));
    let tick = Duration::from_millis(10);
    assert_eq!(bench.lookups_after(INTERVAL - 2 * tick).await, 1);
    assert_eq!(bench.lookups_after(3 * tick).await, 2);
    // The same addresses in another order are no news.
    *bench.script.lock().unwrap() =
        VecDeque::from([Answer::Found(vec!["10.0.0.2:80", "10.0.0.1:80"])]);
    assert_eq!(bench.lookups_after(3 * INTERVAL).await, 5);
    assert!(bench.events.try_recv().is_err());
    *bench.script.lock().unwrap() = VecDeque::from([Answer::Found(vec!["10.0.0.3:80"])]);
    assert_eq!(bench.report().await, found(&["10.0.0.3:80"]));
}

#[tokio::test(start_paused = true)]
async fn a_name_whose_server_is_down_is_looked_up_at_once_and_more_often() {
    let mut bench = Bench::new(&[Answer::Found(vec!["10.0.0.1:80"])]);
    bench.set(&[("web:80", false)]);
    assert_eq!(bench.lookups_after(2 * DOWN_INTERVAL).await, 1);
    bench.set(&[("web:80", true)]);
    assert_eq!(bench.lookups_after(DOWN_INTERVAL / 2).await, 2);
    assert_eq!(bench.lookups_after(3 * DOWN_INTERVAL).await, 5);
    bench.set(&[("web:80", false)]);
    assert_eq!(bench.lookups_after(INTERVAL / 2).await, 5);
    // A server that comes and goes causes no storm of lookups.
    for _ in 0..100 {
        bench.set(&[("web:80", true)]);
        advance(MIN_GAP / 20).await;
        bench.set(&[("web:80", false)]);
        advance(MIN_GAP / 20).await;
    }
    let asked = bench.asked.lock().unwrap();
    assert!((14..=17).contains(&asked.len()), "{}", asked.len());
    let is_apart = |pair: &[Instant]| pair[1] - pair[0] >= MIN_GAP;
    assert!(asked.windows(2).all(is_apart), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_are_reported_once_each_in_a_sentence() {
    let prefix = "failed to lookup address information: Name or service not known";
    let mut bench = Bench::new(&[
        Answer::Error(prefix),
        Answer::Error(prefix),
        Answer::Found(vec![]),
        Answer::Found(vec!["127.0.0.1:7"]),
        Answer::Found(vec!["127.0.0.1:7", "10.0.0.1:7"]),
    ]);
    bench.set(&[("web-0.web:7", true)]);
    for sentence in [
        "web-0.web: name does not resolve: Name or service not known",
        "web-0.web: name does not resolve: it has no address",
        "web-0.web:7 is our own port (--listen 0.0.0.0:7)",
    ] {
        assert_eq!(bench.report().await, Err(sentence.to_owned()));
    }
    assert_eq!(bench.report().await, found(&["10.0.0.1:7"]));
    assert_eq!(bench.asked.lock().unwrap().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_late_lookup_fails_and_its_result_still_counts() {
    let late = LOOKUP_TIMEOUT + Duration::from_secs(30);
    let mut bench = Bench::new(&[Answer::Late(late, vec!["10.0.0.1:80"])]);
    let begun = Instant::now();
    bench.set(&[("web:80", true)]);
    let sentence = "web: name does not resolve: no answer within 2s";
    assert_eq!(bench.report().await, Err(sentence.to_owned()));
    assert_eq!(begun.elapsed().as_secs(), LOOKUP_TIMEOUT.as_secs());
    let in_time = LOOKUP_TIMEOUT - Duration::from_millis(10);
    *bench.script.lock().unwrap() = VecDeque::from([Answer::Late(in_time, vec!["10.0.0.2:80"])]);
    assert_eq!(bench.lookups_after(Duration::from_secs(29)).await, 1);
    assert_eq!(bench.report().await, found(&["10.0.0.1:80"]));
    assert_eq!(begun.elapsed().as_secs(), late.as_secs());
    assert_eq!(bench.report().await, found(&["10.0.0.2:80"]));
}

#[tokio::test(start_paused = true)]
async fn a_name_has_a_limit_of_addresses_and_keeps_the_same_ones() {
    let all: Vec<String> = (1..=MAX_ADDRESSES + 1)
        .map(|n| format!("10.0.0.{n}:80"))
        .collect();
    let all: Vec<&'static str> = all.iter().map(|addr| &*addr.clone().leak()).collect();
    let backwards: Vec<_> = all.iter().rev().copied().collect();
    let mut bench = Bench::new(&[
        Answer::Found(all[..MAX_ADDRESSES].to_vec()),
        Answer::Found(all.clone()),
        Answer::Found(backwards),
        Answer::Found(vec![all[MAX_ADDRESSES]]),
    ]);
    bench.set(&[("web:80", false)]);
    assert_eq!(bench.report().await, found(&all[..MAX_ADDRESSES]));
    assert_eq!(bench.report().await, found(&all[MAX_ADDRESSES..]));
    assert_eq!(bench.asked.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn addresses_are_not_looked_up_and_removed_names_no_longer() {
    let mut bench = Bench::new(&[Answer::Found(vec!["10.0.0.1:80"])]);
    bench.set(&[("10.0.0.9:80", true), ("[::1]:80", true), ("web:80", false)]);
    assert_eq!(bench.lookups_after(INTERVAL / 2).await, 1);
    bench.set(&[("10.0.0.9:80", true)]);
    assert_eq!(bench.lookups_after(10 * INTERVAL).await, 1);
}
