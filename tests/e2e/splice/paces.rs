//! Pace: slow readers of small packets, silence that must cost nothing, and the last bytes of a
//! message, which must not be held back.

use std::io::Read;
use std::time::{Duration, Instant};

use super::{GET, WAYS, Way, narrow, roomy};
use crate::support::{Backend, Ringmaster, TEST_TIMEOUT, Wire, assert_same, cpu_time, pattern};

const MIB: usize = 1024 * 1024;
/// The payload of one packet on an Ethernet.
const SEGMENT: usize = 1448;
/// More than this of a processor in two seconds is no silence.
const SILENCE: Duration = Duration::from_millis(100);

/// Reads everything in small pieces, and lets others run after each.
fn read_slowly(client: &mut Wire, len: usize) -> Vec<u8> {
    let (mut bytes, mut piece) = (client.unread(), [0; 700]);
    while bytes.len() < len {
        match client.stream.read(&mut piece).expect("more bytes") {
            0 => break,
            n => bytes.extend_from_slice(&piece[..n]),
        }
        std::thread::yield_now();
    }
    bytes
}

/// "Nothing to read" and "no room in the pipe" are one error of splice(2). A program that takes the
/// second for the first waits for ever for bytes that are there.
#[test]
fn a_slow_reader_gets_every_byte_of_small_packets() {
    let body = pattern(2 * MIB);
    for (way, flags) in WAYS {
        let sent = body.clone();
        let (_backend, program) = way.open(flags, move |mut conversation| {
            for packet in sent.chunks(SEGMENT) {
                conversation.wire.write(packet)?;
            }
            conversation.wire.rest().map(drop)
        });
        let mut client = way.narrow_client(&program);
        assert_same(&read_slowly(&mut client, body.len()), &body, (way, flags));
    }
}

#[test]
fn a_slow_reader_gets_every_byte_of_a_body_in_small_packets() {
    let body = pattern(2 * MIB);
    for flags in [&[][..], &["--no-splice"]] {
        let sent = body.clone();
        let backend = Backend::scripted(move |mut conversation| {
            conversation.request()?;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len());
            conversation.wire.write(head)?;
            for packet in sent.chunks(SEGMENT) {
                conversation.wire.write(packet)?;
            }
            Ok(())
        });
        let program = Ringmaster::before(backend.addr, flags);
        let mut client = narrow(program.listen);
        client.write(GET).unwrap();
        let head = client.head().unwrap();
        let bytes = read_slowly(&mut client, body.len());
        assert_eq!(head.status(), 200);
        assert_same(&bytes, &body, flags);
    }
}

/// Silence after bytes have gone through pipes: an event loop that does not know that a socket is
/// empty would poll the kernel again and again.
#[test]
fn a_silent_connection_costs_nothing() {
    for way in [Way::Source, Way::Upgrade] {
        let (_backend, program) = way.open(&[], |mut conversation| {
            let piece = conversation.wire.take(MIB)?;
            conversation.wire.write(piece)?;
            conversation.wire.rest().map(drop)
        });
        let mut client = way.client(&program);
        let message = pattern(MIB);
        client.write(&message).unwrap();
        assert_same(&client.take(MIB).unwrap(), &message, way);
        expect_silence(&program);
    }
    // Amid a body, with the backend silent, and with the client not reading.
    for reads in [true, false] {
        let backend = Backend::scripted(move |mut conversation| {
            conversation.request()?;
            let wire = &mut conversation.wire;
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")?;
            // The write cannot complete if the client does not read.
            let _ = wire.write(pattern(if reads { MIB } else { 64 * MIB }));
            wire.rest().map(drop)
        });
        let program = Ringmaster::before(backend.addr, &[]);
        let mut client = narrow(program.listen);
        client.write(GET).unwrap();
        client.head().unwrap();
        if reads {
            client.take(MIB).unwrap();
        }
        // Bytes in flight must have arrived first.
        let settled = Instant::now();
        let mut before = cpu_time(program.pid());
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let now = cpu_time(program.pid());
            if now - before < Duration::from_millis(5) {
                break;
            }
            assert!(settled.elapsed() < TEST_TIMEOUT, "never at rest");
            before = now;
        }
        expect_silence(&program);
    }
}

#[track_caller]
fn expect_silence(program: &Ringmaster) {
    let before = cpu_time(program.pid());
    // The measured interval: no work is to be done in it.
    std::thread::sleep(Duration::from_secs(2));
    let spent = cpu_time(program.pid()) - before;
    assert!(spent < SILENCE, "{spent:?} of a processor in silence");
}

/// SPLICE_F_MORE holds back the last bytes for 200 ms where no more follow. This many rounds would
/// take 40 s one way.
const ROUNDS: usize = 200;

#[test]
fn the_tail_of_a_message_is_not_held_back_in_a_tunnel() {
    const LEN: usize = 100_001;
    let message = pattern(LEN);
    for (way, flags) in WAYS {
        let (_backend, program) = way.open(flags, |mut conversation| {
            loop {
                let piece = conversation.wire.take(LEN)?;
                conversation.wire.write(piece)?;
            }
        });
        let mut client = way.client(&program);
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            client.write(&message).unwrap();
            assert_same(&client.take(LEN).unwrap(), &message, (way, flags));
        }
        assert!(
            begun.elapsed() < TEST_TIMEOUT,
            "{way:?} {flags:?}: {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn the_tail_of_a_body_is_not_held_back() {
    const LEN: usize = 100_001;
    let backend = Backend::scripted(|mut conversation| {
        loop {
            let body = conversation.request()?.body;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            conversation.wire.write(head)?;
            conversation.wire.write(body)?;
        }
    });
    let program = Ringmaster::before(backend.addr, &[]);
    let mut client = roomy(program.listen);
    let body = pattern(LEN);
    let begun = Instant::now();
    for round in 0..ROUNDS {
        client
            .write(format!(
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {LEN}\r\n\r\n"
            ))
            .unwrap();
        client.write(&body).unwrap();
        let head = client.head().unwrap();
        assert_same(&client.body(&head, true).unwrap(), &body, round);
    }
    assert!(begun.elapsed() < TEST_TIMEOUT, "{:?}", begun.elapsed());
}
