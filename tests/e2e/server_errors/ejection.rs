//! `--eject-5xx`: a replica that answers with errors is avoided until it answers well.

use super::*;

#[test]
fn a_replica_is_ejected_after_its_errors_in_a_row_and_returns_by_a_probe() {
    let fixture = Fixture::start(3, &[1], &["--eject-5xx", "3"]);
    let (program, mut client) = (&fixture.program, fixture.program.client());
    for _ in 0..3 {
        assert_eq!(posted(&mut client), 503);
    }
    program.expect_log("seat 1 is ejected (--eject-5xx): 3 replies in a row were 5xx");
    assert_eq!(posted(&mut client), 200);
    assert!(program.command("stats").contains(" ejected "));
    let show = program.command("show");
    let states: Vec<&str> = show.lines().skip(1).filter_map(state_in).collect();
    assert_eq!(states, ["ejected", "up", "up"], "{show}");
    let replica = program.command("show S1");
    assert!(replica.contains("\nstate ejected\n"), "{replica}");
    let answer = program.command(&format!("where {AT_SEAT_1}"));
    assert!(answer.contains(": S1 is ejected"), "{answer}");
    let metrics = fixture.program.metrics();
    assert!(
        metrics.contains("ringmaster_ejections_total{seat=\"1\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("replica_state{seat=\"1\",state=\"ejected\"} 1"),
        "{metrics}"
    );
    // A probe that fails costs one request and prolongs the ejection.
    eventually(TEST_TIMEOUT, "a probe", || posted(&mut client) == 503);
    program.expect_log("seat 1 stays ejected for 2 s: a probe was answered with 503");
    assert_eq!(posted(&mut client), 200);
    fixture.is_busy.store(false, Ordering::SeqCst);
    let before = fixture.asked()[0];
    eventually(TEST_TIMEOUT, "its return", || {
        assert_eq!(posted(&mut client), 200);
        fixture.asked()[0] > before
    });
    program.expect_log("seat 1 answers without errors; its keys return");
    let answer = program.command(&format!("where {AT_SEAT_1}"));
    assert!(answer.contains("serves seat 1 S1\n"), "{answer}");
}

#[test]
fn an_ejection_whose_time_is_over_is_no_reason_to_spare_another_replica() {
    let fixture = Fixture::start(3, &[1, 2, 3], &["--eject-5xx", "2"]);
    let mut client = fixture.program.client();
    for _ in 0..2 {
        assert_eq!(posted(&mut client), 503);
    }
    fixture
        .program
        .expect_log("seat 1 is ejected (--eject-5xx)");
    // Its keys are not asked for, so no probe ends the ejection.
    eventually(TEST_TIMEOUT, "the end of its time", || {
        !fixture.program.command("stats").contains(" ejected ")
    });
    let at_seat_2 = (100_000..)
        .find(|id| by_formula(3, *id) == 2)
        .expect("an ID");
    for _ in 0..2 {
        let request = with_id(at_seat_2);
        assert_eq!(client.ask(request).status(), 503);
    }
    fixture
        .program
        .expect_log("seat 2 is ejected (--eject-5xx)");
}

#[test]
fn good_replies_count_in_the_share_of_errors() {
    let fixture = Fixture::start(2, &[1], &["--eject-5xx", "50%"]);
    let mut client = fixture.program.client();
    fixture.is_busy.store(false, Ordering::SeqCst);
    let at_seat_1 = (100_000..)
        .find(|id| by_formula(2, *id) == 1)
        .expect("an ID");
    for _ in 0..100 {
        assert_eq!(client.ask(with_id(at_seat_1)).status(), 200);
    }
    fixture.is_busy.store(true, Ordering::SeqCst);
    for _ in 0..30 {
        assert_eq!(client.ask(with_id(at_seat_1)).status(), 503);
    }
    let log = fixture.program.log();
    assert!(!log.contains("ejected"), "{log}");
    for _ in 0..70 {
        client.ask(with_id(at_seat_1));
    }
    fixture
        .program
        .expect_log("seat 1 is ejected (--eject-5xx): 100 of 200 replies in 10 s were 5xx");
}

#[test]
fn an_ejection_ends_when_too_few_other_replicas_are_left() {
    let fixture = Fixture::start(3, &[1], &["--eject-5xx", "2"]);
    let mut client = fixture.program.client();
    for _ in 0..2 {
        assert_eq!(posted(&mut client), 503);
    }
    fixture
        .program
        .expect_log("seat 1 is ejected (--eject-5xx)");
    assert!(
        !fixture
            .program
            .command("drain S2; drain S3")
            .contains("ERR")
    );
    fixture
        .program
        .expect_log("seat 1 is not ejected any more, because half of the replicas are");
}

#[test]
fn a_failed_probe_does_not_take_the_ejected_above_half() {
    let fixture = Fixture::start(3, &[1, 2], &["--eject-5xx", "2"]);
    let mut client = fixture.program.client();
    for _ in 0..2 {
        assert_eq!(posted(&mut client), 503);
    }
    eventually(TEST_TIMEOUT, "the end of its time", || {
        !fixture.program.command("stats").contains(" ejected ")
    });
    let at_seat_2 = (100_000..)
        .find(|id| by_formula(3, *id) == 2)
        .expect("an ID");
    for _ in 0..2 {
        assert_eq!(client.ask(with_id(at_seat_2)).status(), 503);
    }
    fixture
        .program
        .expect_log("seat 2 is ejected (--eject-5xx)");
    // The probe of the first finds the second ejected.
    assert_eq!(posted(&mut client), 503);
    fixture
        .program
        .expect_log("seat 1 is not ejected any more, because half of the replicas are");
}

#[test]
fn a_replica_that_was_down_is_not_ejected_when_it_is_up_again() {
    let (is_busy, is_gone) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicBool::new(false)),
    );
    let (busy, gone) = (Arc::clone(&is_busy), Arc::clone(&is_gone));
    let first = Backend::scripted(move |mut conversation| {
        loop {
            let request = conversation.request()?;
            let is_heartbeat = request.start_line().contains(" /heartbeat ");
            let fails = match is_heartbeat {
                true => gone.load(Ordering::SeqCst),
                false => busy.load(Ordering::SeqCst),
            };
            conversation.wire.write(if fails { BUSY } else { OK })?;
        }
    });
    let elsewhere = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nelsewhere";
    let others = [elsewhere, elsewhere].map(Backend::answering);
    let names = [("S1", &first), ("S2", &others[0]), ("S3", &others[1])];
    let names = names.map(|(name, backend)| format!("--backend={name}={}", backend.addr));
    let mut args: Vec<&str> = names.iter().map(String::as_str).collect();
    args.extend(["--ring", "classic", "--workers", "1", "--eject-5xx", "1"]);
    args.extend(["--heartbeat-interval", "50ms"]);
    let program = Ringmaster::start(&args);
    let mut client = program.client();
    // Two failed probes prolong the ejection to 4 s, so its end cannot be that of its time.
    eventually(TEST_TIMEOUT, "two failed probes", || {
        posted(&mut client);
        program.log().contains("stays ejected for 4 s")
    });
    is_gone.store(true, Ordering::SeqCst);
    program.event("down", 1);
    is_busy.store(false, Ordering::SeqCst);
    is_gone.store(false, Ordering::SeqCst);
    program.event("up", 1);
    eventually(TEST_TIMEOUT, "its state", || {
        let answer = program.command(&format!("where {AT_SEAT_1}"));
        answer.contains("serves seat 1 S1\n")
    });
    // At once, and not after the 4 s of the ejection.
    assert_eq!(client.ask(with_id(AT_SEAT_1)).text(), "ok");
    assert!(!program.log().contains("seat 1 answers without errors"));
}

#[test]
fn at_most_half_of_the_replicas_are_ejected() {
    let fixture = Fixture::start(2, &[1, 2], &["--eject-5xx", "2"]);
    let mut client = fixture.program.client();
    for _ in 0..6 {
        assert_eq!(posted(&mut client), 503);
    }
    fixture
        .program
        .expect_log("is not ejected, because half of the replicas are");
    let log = fixture.program.log();
    assert_eq!(log.matches("is ejected (--eject-5xx)").count(), 1, "{log}");
    assert_eq!(
        log.matches("is not ejected, because half").count(),
        1,
        "{log}"
    );
    let alone = Fixture::start(1, &[1], &["--eject-5xx", "1"]);
    assert_eq!(posted(&mut alone.program.client()), 503);
    alone
        .program
        .expect_log("seat 1 is not ejected, because half");
}

#[test]
fn one_of_three_that_fails_every_request_costs_none_that_may_be_repeated() {
    let flags = ["--eject-5xx", "5,50%", "--retry-on", "502,503,504"];
    let fixture = Fixture::start(3, &[1], &flags);
    let mut client = fixture.program.client();
    let failed = (0..3_000).filter(|id| client.ask(with_id(100_000 + id)).status() != 200);
    assert_eq!(failed.count(), 0);
    // Without the flags a third would fail.
    assert!(fixture.asked()[0] < 30, "{:?}", fixture.asked());
}
