//! Key affinity: by default no key leaves its home seat while all replicas are up.

use std::collections::BTreeMap;

use super::ring::{servers, with_id};
use crate::support::{Ringmaster, six_digits};

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
fn the_cost_of_the_bound_is_told_with_each_key() {
    let program = Ringmaster::start(&["--ring", "classic", "--bound", "1.03"]);
    let answer = program.command("where 5");
    // 1.03 thirds of the keys of seat 1, and all keys of the others.
    assert!(answer.ends_with("\nbound 1.03\nhome 0.507\n\n"), "{answer}");
    assert!(program.command("ring").contains("\nhome 0.507\n"));
}
