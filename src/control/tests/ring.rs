//! Questions about the ring and changes of it, in text. The ring is the classic ring of three
//! seats, whose shares are known exactly.

use std::time::Instant;

use tokio::sync::watch;

use super::*;
use crate::control::ring_query::{PlannedChange, RingQuery};
use crate::fleet::ServiceReading;

const METRICS: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

const RING: &str = "ring classic
seat 1   S1            83.59 %
seat 2   S2             4.69 %
seat 3   -             11.72 %
max/mean 2.508
bound 0
home 1.000
hash 5d5a4663a69afe99

";

#[test]
fn where_lists_the_home_and_the_fallbacks() {
    let port = port();
    // H(0) = 17, and the next virtual server from there belongs to seat 1.
    let answer = "key 0\nseat 1 S1 up\nseat 2 S2 suspect\nseat 3 - empty\nserves seat 1 S1\n\n";
    assert_eq!(port.ask("where 0\n"), answer);
    let json = port.ask("where 0 json\n");
    assert!(
        json.starts_with(
            r#"{"message":{"bound":0.0,"hashed":"0","home":1.0,"key":"0","place":0.0341796875,"seats":[{"health":"up","name":"S1","#
        ),
        "{json}"
    );
    // A word is hashed, as in the data path.
    let word = port.ask("where 2f-e9\n");
    assert!(word.starts_with("key 2f-e9\nseat "), "{word}");
    assert_eq!(port.ask("where\n"), "ERR usage: where KEY\n\n");
    let long = port.ask(format!("where {}\n", "k".repeat(1025)));
    assert_eq!(long, "ERR key is longer than 1024 bytes\n\n");
}

#[test]
fn ring_lists_the_shares_and_set_submits_an_order() {
    let port = port();
    assert_eq!(port.ask("ring\n"), RING);
    assert_eq!(
        port.ask("ring set uniform\n"),
        RING,
        "the state after the change"
    );
    assert_eq!(port.order(), Order::Ring(Spec::Uniform));
    assert_eq!(port.ask("bound 1.25\n"), "bound 0\n\n");
    assert_eq!(port.order(), Order::Bound("1.25".parse().unwrap()));
    assert_eq!(port.ask("bound\n"), "bound 0\n\n");
    let full = "ERR ring classic has room for seats 1 to 56, not for seat 57\n\n";
    assert_eq!(port.ask("ring set classic\n"), full);
    for (line, sentence) in [
        ("ring set", "usage: ring [set SPEC]"),
        ("ring classic", "usage: ring [set SPEC]"),
        ("ring set square", "unknown ring 'square'"),
        ("ring set classic:h=1/i", "h divides by zero at i=0"),
        ("ring set classic:h=i + 1", "usage: ring [set SPEC]"),
        ("bound 1", "'1' is no bound"),
        ("bound 1 2", "usage: bound [X]"),
    ] {
        let answer = port.ask(format!("{line}\n"));
        assert!(answer.starts_with(&format!("ERR {sentence}")), "{answer}");
    }
}

#[test]
fn plan_reports_the_effect_and_changes_nothing() {
    let of_backends = port();
    let port = managed_port();
    let add = port.ask("plan add 2 T\n");
    let expected = "plan add 2 T
seat 1   S1            83.59 % ->  76.56 %
seat 2   S2             4.69 % ->   4.69 %
seat 3   -             11.72 % ->   9.38 %
seat 4   T                   - ->   3.91 %
seat 5   -                   - ->   5.47 %
moved 9.38 % of the keys
max/mean 2.508 -> 3.828
bound 0 -> 0
home 1.000 -> 1.000

";
    assert_eq!(add, expected);
    let rm = port.ask("plan rm 2\n");
    assert!(
        rm.contains("\nassumed: the highest seats go, which are 2, 3;"),
        "{rm}"
    );
    assert!(
        rm.contains("\nseat 1   S1            83.59 % -> 100.00 %\n"),
        "{rm}"
    );
    assert!(
        rm.contains("\nseat 3   -             11.72 % ->        -\n"),
        "{rm}"
    );
    assert!(rm.contains("\nmoved 16.41 % of the keys\n"), "{rm}");
    let named = port.ask("plan rm 1 S2\n");
    assert!(
        !named.contains("assumed") && named.contains("moved 4.69 %"),
        "{named}"
    );
    let by_name = port.ask("plan rm S2\n");
    assert_eq!(by_name, named);
    let all = port.ask("plan rm all\n");
    assert!(all.contains("\nmoved 100.00 % of the keys\n"), "{all}");
    assert!(
        all.contains("\nseat 3   -             11.72 % ->        -\n") && !all.contains("assumed"),
        "{all}"
    );
    let none = port.ask("plan scale 0\n");
    assert_eq!(none, all.replacen("rm all", "scale 0", 1));
    let more = port.ask("plan scale 5\n");
    let added = port.ask("plan add 2\n");
    assert_eq!(more, added.replacen("add 2", "scale 5", 1));
    let fewer = port.ask("plan scale 2\n");
    assert!(
        fewer.contains("\nseat 3   -             11.72 % ->        -\n"),
        "{fewer}"
    );
    let backend = of_backends.ask("plan add T 127.0.0.1:9\n");
    let one = port
        .ask("plan add 1 T\n")
        .replacen("add 1 T", "add T 127.0.0.1:9", 1);
    assert!(
        backend.contains("\nseat 4   T                   - -> "),
        "{backend}"
    );
    assert_eq!(backend, one);
    // The bound stays.
    let even = port.ask("plan ring rendezvous\n");
    assert!(even.contains("\nbound 0 -> 0\n"), "{even}");
    let bound = port.ask("plan bound 1.03\n");
    assert!(
        bound.contains("\nmoved 0.00 %") && bound.contains("\nhome 1.000 -> 0.507\n"),
        "{bound}"
    );
    for (line, sentence) in [
        (
            "plan",
            "usage: plan add N [NAME...] | add NAME ADDR | rm N [NAME...] | rm NAME... | rm all | scale N | weight NAME W | ring SPEC",
        ),
        ("plan add", "usage: plan add N [NAME...]"),
        ("plan add 1 S1", "the name S1 is taken"),
        (
            "plan add 6",
            "cannot add 6 to 3 replicas: at most 8 are allowed (--max-replicas)",
        ),
        (
            "plan add 99999999999",
            "cannot add 99999999999 to 3 replicas",
        ),
        (
            "plan scale 9",
            "cannot scale to 9 replicas: at most 8 are allowed (--max-replicas)",
        ),
        ("plan scale", "usage: plan add N [NAME...]"),
        ("plan scale x", "N is not a whole number"),
        ("plan rm 1 S9", "there is no replica named S9"),
        ("plan rm S2 S9", "there is no replica named S9"),
        ("plan rm S2 S2", "hostname S2 is given twice"),
        ("plan add T h:0", "the address is not HOST:PORT"),
        ("plan add T 127.0.0.1:9 U", "n is not a positive integer"),
        ("plan weight S9 2", "there is no replica named S9"),
        (
            "plan weight S1 2",
            "ring classic has no weights, and seat 1 has weight 2: use ring uniform, rendezvous or maglev, or weight 1",
        ),
        ("plan weight S1 0", "a weight is at least 1; 'drain NAME'"),
        ("plan weight S1", "usage: plan add N"),
        ("plan rm 4", "cannot remove 4 replicas: there are only 3"),
        (
            "plan ring classic:slots=20,vnodes=9",
            "ring classic:h=i^2+2*i+17,",
        ),
        (
            "plan ring classic:phi=9^i^i^i",
            "phi overflows 64 bits at i=3, j=1",
        ),
    ] {
        let answer = port.ask(format!("{line}\n"));
        assert!(answer.starts_with(&format!("ERR {sentence}")), "{answer}");
    }
    assert!(port.orders.try_recv().is_err(), "a plan is no order");
}

#[test]
fn a_plan_is_refused_where_its_order_would_be() {
    let not_started =
        "fixed backends are neither started nor stopped: add NAME ADDR and rm NAME change the list";
    let unnamed = "name each fixed backend that is to be removed: rm NAME";
    let port = port();
    for (line, sentence) in [
        ("plan add 1", not_started),
        ("plan add 2 T", not_started),
        ("plan rm all", not_started),
        ("plan scale 4", not_started),
        ("plan rm 1", unnamed),
        ("plan rm 2 S1", unnamed),
        ("plan add S1 127.0.0.1:9", "the name S1 is taken"),
    ] {
        assert_eq!(port.ask(format!("{line}\n")), format!("ERR {sentence}\n\n"));
    }
    let named = port.ask("plan rm 1 S2\n");
    assert!(named.contains("moved 4.69 %"), "{named}");
}

#[test]
fn with_a_service_a_plan_is_refused_where_its_order_would_be() {
    let port = port_with(|context| context.sources.engine = "swarm");
    let chosen = "a swarm chooses itself which replicas go: leave the names out";
    for (line, sentence) in [
        ("plan add 1 S5", "the next replicas of a swarm are named S4"),
        (
            "plan add 2 S4 T",
            "the next replicas of a swarm are named S4, S5",
        ),
        ("plan rm S2", chosen),
        ("plan rm 2 S2", chosen),
        (
            "plan add 5000000000 T",
            "cannot add 5000000000 to 3 replicas: at most 8 are allowed (--max-replicas)",
        ),
        (
            "plan add T 127.0.0.1:9",
            "only fixed backends (--backend) have addresses of yours",
        ),
    ] {
        assert_eq!(port.ask(format!("{line}\n")), format!("ERR {sentence}\n\n"));
    }
    for line in ["plan add 2 S4 S5", "plan add 1", "plan rm 1", "plan rm all"] {
        let answer = port.ask(format!("{line}\n"));
        assert!(answer.starts_with(line), "{answer}");
    }
}

#[test]
fn with_a_service_there_is_no_plan_of_a_replacement() {
    let port = port_with(|context| context.sources.engine = "swarm");
    let update =
        "a swarm replaces its tasks as update_config of the service says: docker service inspect";
    for line in ["plan replace all", "plan replace all app:2"] {
        assert_eq!(port.ask(format!("{line}\n")), format!("ERR {update}\n\n"));
    }
}

#[test]
fn with_a_service_reports_tell_its_version_and_the_age_of_the_reading() {
    let (readings, service) = watch::channel(None);
    let port = port_with(|context| context.sources.service = service);
    assert!(
        !port.ask("stats\n").contains("service"),
        "it was not read yet"
    );
    assert!(port.ask("stats json\n").contains(r#""service":null"#));
    assert!(!port.ask(METRICS).contains("service_version"));
    let at = Instant::now();
    readings.send_replace(Some(ServiceReading { version: 1359, at }));
    let (mut context, _orders, _held) = world::context();
    context.sources.service = readings.subscribe();
    let age = Duration::from_secs(90);
    let reading = context.sources.service_reading(at + age);
    assert_eq!(reading, Some((1359, age)));
    let stats = port.ask("stats\n");
    let line = stats.trim_end().lines().last().unwrap();
    let age = line.strip_prefix("service version 1359, read ");
    let age = age.and_then(|rest| rest.strip_suffix(" s ago"));
    assert!(age.is_some_and(|age| age.parse::<f64>().is_ok()), "{line}");
    let json = port.ask("stats json\n");
    assert!(
        json.contains(r#""service":{"age_s":"#) && json.contains(r#""version":1359}"#),
        "{json}"
    );
    assert_eq!(port.ask("ring\n"), RING, "balancers compare it");
    let metrics = port.ask(METRICS);
    assert!(
        metrics.contains("\nringmaster_service_version 1359\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nringmaster_engine_age_seconds 0"),
        "{metrics}"
    );
}

#[test]
fn a_planned_change_is_written_as_it_is_typed() {
    for text in [
        "add 2 S4 S5",
        "add S4 web-0.web:80",
        "rm 1",
        "weight S2 256",
        "ring classic-brief",
        "bound 1.5",
        "bound 0",
    ] {
        let line = format!("plan {text}");
        let commands = command::parse(line.as_bytes()).unwrap();
        let Ok(command::ControlCommand::Query(RingQuery::Plan(plan))) = &commands[0].command else {
            panic!("{line}");
        };
        assert_eq!(plan.to_string(), text);
        assert!(!matches!(plan, PlannedChange::Add(change) if change.n != 2));
    }
}
