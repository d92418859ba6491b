//! The table of clients: open connections, the bucket of requests, and what was refused.
//!
//! The table is bounded. When it is full, the client that came longest ago is forgotten, unless it
//! has an open connection; the number of those is bounded by `--max-connections`. A forgotten
//! client has a full bucket when it returns.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::token_bucket::BucketSize;
use crate::wire::client_prefix::client_prefix;

/// Number of parts of the table, each with its own lock.
const SHARDS: usize = 16;
/// Maximum number of clients in a part without an open connection: 65,536 in all, about 10 MB.
const CLIENTS_PER_SHARD: usize = 4_096;
/// Number of clients that are looked at, for each new one in a full part, in the search for those
/// to forget.
const MAX_LOOKED_AT: usize = 16;

/// Maximum number of clients in a report.
const WORST_CLIENTS: usize = 20;

type Shard = Mutex<LruCache<IpAddr, Arc<ClientEntry>>>;

/// All clients that came lately.
#[derive(Debug)]
pub(super) struct ClientTable {
    started: Instant,
    hasher: RandomState,
    shards: Box<[Shard]>,
}

/// State of one client.
#[derive(Debug, Default)]
struct ClientEntry {
    open: AtomicU32,
    /// Time at which the bucket of requests is full again, in nanoseconds since the table's start.
    full_at: AtomicU64,
    requests: AtomicU64,
    connections_refused: AtomicU64,
    requests_refused: AtomicU64,
}

/// An open connection of a client. Dropping it counts the connection as closed.
#[derive(Debug)]
pub struct Admission(Arc<ClientEntry>);

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Numbers about one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientReport {
    /// IPv4 address, or first address of the IPv6 /64.
    pub addr: IpAddr,
    /// Open connections.
    pub open: u32,
    /// Requests that were served.
    pub requests: u64,
    /// Connections that were closed because the client had too many.
    pub connections_refused: u64,
    /// Requests that were refused because they came too fast.
    pub requests_refused: u64,
}

impl ClientReport {
    fn refused(&self) -> u64 {
        self.connections_refused + self.requests_refused
    }
}

impl Default for ClientTable {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            hasher: RandomState::new(),
            shards: (0..SHARDS)
                .map(|_| Mutex::new(LruCache::unbounded()))
                .collect(),
        }
    }
}

impl ClientTable {
    /// Counts a new connection of a client.
    ///
    /// # Errors
    /// The client has `max` open connections. The refusal is counted.
    pub(super) fn admit(&self, addr: IpAddr, max: Option<u32>) -> Result<Admission, ()> {
        let entry = self.entry(client_prefix(addr));
        // Counted first, so that two workers cannot both take the last place.
        let before = entry.open.fetch_add(1, Ordering::Relaxed);
        let admission = Admission(entry);
        if max.is_some_and(|max| before >= max) {
            admission
                .0
                .connections_refused
                .fetch_add(1, Ordering::Relaxed);
            return Err(());
        }
        Ok(admission)
    }

    /// Takes a token for a request of the client with this connection.
    ///
    /// # Errors
    /// The time until there is one. The refusal is counted.
    pub(super) fn take_request(
        &self,
        admission: &Admission,
        size: Option<BucketSize>,
        now: Instant,
    ) -> Result<(), Duration> {
        let entry = &admission.0;
        let taken = size.map_or(Ok(()), |size| {
            self.take_token(entry, size, now.saturating_duration_since(self.started))
        });
        let counter = match taken {
            Ok(()) => &entry.requests,
            Err(_) => &entry.requests_refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        taken
    }

    fn take_token(
        &self,
        entry: &ClientEntry,
        size: BucketSize,
        now: Duration,
    ) -> Result<(), Duration> {
        let taken = entry
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                let full_at = Duration::from_nanos(full_at);
                size.check(full_at, now).ok()?;
                let full_at = size.without_token(full_at, now).as_nanos();
                Some(u64::try_from(full_at).unwrap_or(u64::MAX))
            });
        taken.map(drop).map_err(|full_at| {
            let wait = size.check(Duration::from_nanos(full_at), now);
            wait.err().unwrap_or_default()
        })
    }

    /// Returns the clients with the most refusals, then those with the most open connections.
    pub(super) fn worst(&self) -> Vec<ClientReport> {
        let mut reports = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            reports.extend(shard.iter().map(|(addr, entry)| entry.report(*addr)));
        }
        reports.sort_by_key(|report| {
            let size = (report.refused(), report.open, report.requests);
            (std::cmp::Reverse(size), report.addr)
        });
        reports.truncate(WORST_CLIENTS);
        reports
    }

    /// Returns the number of clients in the table.
    pub(super) fn len(&self) -> usize {
        let lens = self.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.len()
        });
        lens.sum()
    }

    /// Returns the entry of a client, now the last to be forgotten.
    fn entry(&self, addr: IpAddr) -> Arc<ClientEntry> {
        let hash = self.hasher.hash_one(addr);
        // The low bits choose the place within the part.
        let shard = &self.shards[(hash >> 32) as usize % SHARDS];
        // No code panics while the lock is held.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.get(&addr) {
            return Arc::clone(entry);
        }
        make_room(&mut shard);
        let entry = Arc::<ClientEntry>::default();
        shard.push(addr, Arc::clone(&entry));
        entry
    }
}

/// Forgets clients that came longest ago and have no open connection, until there is room for one
/// more.
fn make_room(shard: &mut LruCache<IpAddr, Arc<ClientEntry>>) {
    for _ in 0..MAX_LOOKED_AT {
        if shard.len() < CLIENTS_PER_SHARD {
            return;
        }
        match shard.pop_lru() {
            // The client has an open connection, so it goes to the other end.
            Some((addr, entry)) if Arc::strong_count(&entry) > 1 => {
                shard.push(addr, entry);
            }
            _ => {}
        }
    }
}

impl ClientEntry {
    fn report(&self, addr: IpAddr) -> ClientReport {
        ClientReport {
            addr,
            open: self.open.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            connections_refused: self.connections_refused.load(Ordering::Relaxed),
            requests_refused: self.requests_refused.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_connection_after_the_last_allowed_is_refused_until_one_closes() {
        let table = ClientTable::default();
        let admit = |addr| table.admit(ip(addr), Some(2));
        let (first, _second) = (admit("192.0.2.1").unwrap(), admit("::ffff:192.0.2.1"));
        assert!(admit("192.0.2.1").is_err());
        assert!(admit("192.0.2.2").is_ok(), "each client has its own limit");
        drop(first);
        let _third = admit("192.0.2.1").unwrap();
        assert!(admit("192.0.2.1").is_err());
        let worst = table.worst();
        assert_eq!(worst[0].addr, ip("192.0.2.1"));
        assert_eq!((worst[0].open, worst[0].connections_refused), (2, 2));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let table = ClientTable::default();
        let _first = table.admit(ip("2001:db8::1"), Some(1)).unwrap();
        assert!(table.admit(ip("2001:db8::ffff:2"), Some(1)).is_err());
        assert!(table.admit(ip("2001:db8:0:1::1"), Some(1)).is_ok());
    }

    #[test]
    fn a_client_has_one_bucket_over_all_its_connections() {
        let table = ClientTable::default();
        let size = Some(BucketSize {
            interval: Duration::from_millis(100),
            burst: 2,
        });
        let (one, other) = (
            table.admit(ip("192.0.2.1"), None).unwrap(),
            table.admit(ip("192.0.2.1"), None).unwrap(),
        );
        let take = |admission: &Admission, millis| {
            table.take_request(
                admission,
                size,
                table.started + Duration::from_millis(millis),
            )
        };
        assert_eq!(take(&one, 0), Ok(()));
        assert_eq!(take(&other, 0), Ok(()));
        assert_eq!(take(&one, 0), Err(Duration::from_millis(100)));
        assert_eq!(take(&other, 60), Err(Duration::from_millis(40)));
        assert_eq!(take(&other, 100), Ok(()));
        drop((one, other));
        // A client that returns finds its bucket as it was.
        let again = table.admit(ip("192.0.2.1"), None).unwrap();
        assert_eq!(take(&again, 150), Err(Duration::from_millis(50)));
        let report = &table.worst()[0];
        assert_eq!((report.requests, report.requests_refused), (3, 3));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_clients_with_a_connection() {
        let table = ClientTable::default();
        let nth = |n: u32| IpAddr::from(n.to_be_bytes());
        let held: Vec<_> = (0..1_000).map(|n| table.admit(nth(n), None)).collect();
        let bound = SHARDS * CLIENTS_PER_SHARD;
        for n in 1_000..u32::try_from(4 * bound).unwrap() {
            let _closed_at_once = table.admit(nth(n), None).unwrap();
        }
        assert!(table.len() <= bound + SHARDS, "{}", table.len());
        for n in 0..1_000 {
            let second = table.admit(nth(n), Some(1));
            assert!(
                second.is_err(),
                "client {n} was forgotten with a connection"
            );
        }
        drop(held);
        assert_eq!(table.worst().len(), WORST_CLIENTS);
    }
}
