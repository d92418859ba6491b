//! Key affinity: by default no key leaves its home seat while all replicas are up.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::ring::{servers, with_id};
use crate::support::{Client, Ringmaster, exchange, server_of, six_digits};

/// Requests for each key.
const TIMES: usize = 400;

#[test]
fn a_key_has_one_replica_however_often_it_is_asked_for() {
    let program = Ringmaster::start(&[]);
    for keys in [1, 20] {
        let ids = (0..TIMES as u64).map(|n| six_digits(n % keys));
        let answered = servers(program.listen, ids.clone().map(with_id));
        let mut homes = BTreeMap::new();
        for (id, server) in ids.zip(answered) {
            let home = *homes.entry(id).or_insert(server);
            assert_eq!(server, home, "key {id}");
        }
        for (id, home) in homes {
            let answer = program.command(&format!("where {id}"));
            let first = format!("key {id}\nseat {home} S{home} up\n");
            assert!(answer.starts_with(&first), "{answer}");
            assert!(!answer.contains("bound"), "{answer}");
        }
    }
}

#[test]
fn a_cookie_and_the_network_of_a_client_name_their_home() {
    let program = Ringmaster::start(&["--key", "cookie:sid,source/8"]);
    let home = |key: &str| {
        let answer = program.command(&format!("where {key}"));
        let line = answer.lines().find(|line| line.starts_with("seat "));
        let word = line.and_then(|line| line.split(' ').nth(1));
        word.and_then(|seat| seat.parse::<u32>().ok())
            .expect("a seat")
    };
    let server = |cookie: &str| {
        let ask = format!("GET /home HTTP/1.1\r\nHost: a\r\n{cookie}\r\n");
        server_of(&exchange(program.listen, ask).text()).expect("a server")
    };
    for id in (0..20).map(six_digits) {
        let sent = server(&format!("Cookie: theme=dark; sid={id}\r\n"));
        assert_eq!(sent, home(&id.to_string()), "{id}");
    }
    let network = home("127.0.0.0/8");
    assert_eq!(server("Cookie: theme=dark\r\n"), network);
    let neighbour = Ipv4Addr::new(127, 99, 1, 2);
    let mut other = Client::connect_from(neighbour, program.listen);
    let reply = other.ask("GET /home HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(server_of(&reply.text()), Some(network));
}

#[test]
fn the_cost_of_the_bound_is_told_with_each_key() {
    let program = Ringmaster::start(&["--ring", "classic", "--bound", "1.03"]);
    let answer = program.command("where 5");
    // 1.03 thirds of the keys of seat 1, and all keys of the others.
    assert!(answer.ends_with("\nbound 1.03\nhome 0.507\n\n"), "{answer}");
    assert!(program.command("ring").contains("\nhome 0.507\n"));
}
