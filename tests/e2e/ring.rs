//! The replica of each ID: the classic ring by its formula, the default ring by its constancy, and
//! the ID that is drawn for a request without one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::support::{
    Backend, Client, Ringmaster, exchange, exclusive_load, server_of, six_digits,
};

const SLOTS: u64 = 512;

/// The seat the coursework's formula names for an ID, computed the long way round: every virtual
/// server is put on its slot in turn, then the circle is walked from the key, one slot at a time.
pub(super) fn by_formula(seats: u64, id: u64) -> u32 {
    let mut circle = BTreeMap::new();
    for i in 1..=seats {
        for j in 1..=9 {
            let mut at = (i * i + j * j + 2 * j + 25) % SLOTS;
            while circle.contains_key(&at) {
                at = (at + 1) % SLOTS;
            }
            circle.insert(at, i);
        }
    }
    let mut at = (id * id + 2 * id + 17) % SLOTS;
    while !circle.contains_key(&at) {
        at = (at + 1) % SLOTS;
    }
    u32::try_from(circle[&at]).expect("a small number")
}

/// Returns the seat that answers each of these requests, sent in groups over one connection.
#[track_caller]
pub(super) fn servers(at: SocketAddr, requests: impl Iterator<Item = String>) -> Vec<u32> {
    let requests: Vec<String> = requests.collect();
    let mut client = Client::connect(at);
    let mut servers = Vec::new();
    for group in requests.chunks(50) {
        client.send(group.concat());
        for _ in group {
            let text = client.reply().text();
            servers.push(server_of(&text).unwrap_or_else(|| panic!("{text}")));
        }
    }
    servers
}

pub(super) fn with_id(id: u64) -> String {
    format!("GET /home HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {id}\r\n\r\n")
}

#[test]
fn on_the_classic_ring_the_formula_names_who_answers() {
    let program = Ringmaster::start(&["--ring", "classic"]);
    let ids = (0..300).map(six_digits);
    let answered = servers(program.listen, ids.clone().map(with_id));
    let named: Vec<u32> = ids.map(|id| by_formula(3, id)).collect();
    assert_eq!(answered, named);
    // All three seats are named, or the comparison would prove little.
    assert_eq!(BTreeSet::from_iter(named), BTreeSet::from([1, 2, 3]));
    // An ID is a number: leading zeros and the place where it stands do not matter.
    for id in (300..330).map(six_digits) {
        let query = format!("GET /home?a=b&id=000{id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answered = servers(program.listen, std::iter::once(query));
        assert_eq!(answered, [by_formula(3, id)], "{id}");
    }
}

#[test]
fn on_the_classic_ring_seats_that_stay_keep_their_keys() {
    let program = Ringmaster::start(&["--ring", "classic", "--replicas", "4"]);
    let ids: Vec<u64> = (0..200).map(six_digits).collect();
    let ask = || servers(program.listen, ids.iter().copied().map(with_id));
    let before = ask();
    assert_eq!(program.command("rm 1 S2"), "N 3\nS1\nS3\nS4\n\n");
    for (then, now) in before.iter().zip(ask()) {
        assert!(now != 2 && (*then == 2 || *then == now), "{then} {now}");
    }
    // The successor in the seat gets exactly its keys back.
    assert_eq!(program.command("add 1 T"), "N 4\nS1\nS3\nS4\nT\n\n");
    assert_eq!(ask(), before);
}

#[test]
fn on_the_classic_ring_the_shares_are_the_expected_ones() {
    const REQUESTS: u64 = 10_000;
    let _turn = exclusive_load();
    let program = Ringmaster::start(&["--ring", "classic"]);
    let mut ids = 0x5eed..;
    let mut counts = BTreeMap::new();
    let requests = (&mut ids).take(10_000).map(|n| with_id(six_digits(n)));
    for server in servers(program.listen, requests) {
        *counts.entry(server).or_insert(0_u32) += 1;
    }
    println!("classic, {REQUESTS} random IDs over 3 replicas: {counts:?}");
    for (seat, expected) in [(1, 8359.0_f64), (2, 469.0), (3, 1172.0)] {
        let share = expected / 10_000.0;
        let sigma = (expected * (1.0 - share)).sqrt();
        let count = f64::from(counts.get(&seat).copied().unwrap_or_default());
        let off = (count - expected).abs() / sigma;
        assert!(
            off < 5.0,
            "seat {seat}: {count}, expected {expected}, {off:.1} sigma off"
        );
    }
}

#[test]
fn an_id_has_one_home_whatever_connection_it_comes_by() {
    let program = Ringmaster::start(&["--workers", "2", "--bound", "0"]);
    let ids: Vec<u64> = (0..40).map(six_digits).collect();
    let first = servers(program.listen, ids.iter().copied().map(with_id));
    assert_eq!(
        BTreeSet::from_iter(first.clone()),
        BTreeSet::from([1, 2, 3])
    );
    for _ in 0..8 {
        let again = servers(program.listen, ids.iter().copied().map(with_id));
        assert_eq!(again, first);
    }
    for (id, home) in ids.iter().zip(&first) {
        let query = format!("GET /home?id={id} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(
            server_of(&exchange(program.listen, query).text()),
            Some(*home)
        );
        let both = format!(
            "GET /home?id={} HTTP/1.1\r\nHost: localhost\r\nx-request-id: {id}\r\n\r\n",
            id + 1
        );
        assert_eq!(
            server_of(&exchange(program.listen, both).text()),
            Some(*home)
        );
    }
    // A word is as good as a number.
    let word = "GET /home HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: 2f-e9\r\n\r\n".to_owned();
    let all = servers(program.listen, std::iter::repeat_n(word, 20));
    assert_eq!(BTreeSet::from_iter(all).len(), 1);
}

#[test]
fn without_an_id_one_is_drawn_and_sent_on() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = program.client();
    for target in ["/home", "/home?ident=7", "/home?id="] {
        for _ in 0..8 {
            let ask = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assert_eq!(client.ask(ask).status(), 200);
        }
    }
    let drawn: BTreeSet<u32> = backend
        .requests()
        .iter()
        .map(|seen| seen.field("x-request-id").expect("an ID").parse().unwrap())
        .collect();
    assert!(
        drawn.iter().all(|id| (100_000..1_000_000).contains(id)),
        "{drawn:?}"
    );
    assert!(drawn.len() > 20, "24 draws gave {drawn:?}");
    // An ID that came by another way is not repeated in a field.
    client.ask("GET /home?id=5 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(
        backend.requests().last().unwrap().field("x-request-id"),
        None
    );
}

#[test]
fn without_an_id_requests_spread_over_all() {
    let program = Ringmaster::start(&[]);
    let none = "GET /home HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned();
    let all = servers(program.listen, std::iter::repeat_n(none, 100));
    assert_eq!(BTreeSet::from_iter(all), BTreeSet::from([1, 2, 3]));
}
