//! Ends: an end right behind the last byte must not overtake it, and half of a connection may end
//! long before the other half.

use std::net::Shutdown;

use super::{GET, WAYS, narrow};
use crate::support::{Backend, Ringmaster, assert_same, pattern};

const MIB: usize = 1024 * 1024;

/// The end is seen while bytes are in the pipe, because the client does not read before the backend
/// has closed.
#[test]
fn an_end_right_after_the_last_write_truncates_nothing() {
    // Each fits the socket buffers on the way, so that the backend can close before the client
    // reads.
    for len in [1, 40_000, 150_000, 300_001] {
        for (way, flags) in WAYS {
            let sent = pattern(len);
            let (sender, receiver) = std::sync::mpsc::channel();
            let sender = std::sync::Mutex::new(sender);
            let (_backend, program) = way.open(flags, move |mut conversation| {
                conversation.wire.write(&sent)?;
                drop(conversation);
                sender.lock().expect("a lock").send(()).expect("a listener");
                Ok(())
            });
            let mut client = way.narrow_client(&program);
            receiver.recv_timeout(crate::support::TEST_TIMEOUT).unwrap();
            assert_same(&client.rest().unwrap(), &pattern(len), (way, flags, len));
        }
    }
}

#[test]
fn a_close_right_behind_a_body_truncates_nothing() {
    let body = pattern(300_001);
    for flags in [&[][..], &["--no-splice"]] {
        // By length, and by nothing but the end itself.
        for field in ["Content-Length: 300001\r\n", ""] {
            let sent = body.clone();
            let backend = Backend::scripted(move |mut conversation| {
                conversation.request()?;
                let wire = &mut conversation.wire;
                wire.write(format!("HTTP/1.1 200 OK\r\n{field}\r\n"))?;
                wire.write(&sent)
            });
            let program = Ringmaster::before(backend.addr, flags);
            let mut client = narrow(program.listen);
            client.write(GET).unwrap();
            let head = client.head().unwrap();
            assert_same(&client.body(&head, true).unwrap(), &body, (flags, field));
        }
    }
}

#[test]
fn an_upload_that_ends_is_answered_over_the_other_half() {
    let message = pattern(3 * MIB);
    for (way, flags) in WAYS {
        let (_backend, program) = way.open(flags, |mut conversation| {
            let all = conversation.wire.rest()?;
            conversation.wire.write(all.len().to_string())?;
            conversation.wire.write(all)
        });
        let mut client = way.client(&program);
        client.write(&message).unwrap();
        client.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.take(7).unwrap(), b"3145728");
        assert_same(&client.rest().unwrap(), &message, (way, flags));
    }
}

#[test]
fn both_directions_are_full_at_once() {
    let len = 4 * MIB;
    for (way, flags) in WAYS {
        let (_backend, program) = way.open(flags, move |mut conversation| {
            let mut writer = conversation.wire.stream.try_clone()?;
            let writing = std::thread::spawn(move || {
                std::io::Write::write_all(&mut writer, &pattern(4 * MIB))
            });
            let received = conversation.wire.take(len)?;
            writing.join().expect("a writer")?;
            assert_same(&received, &pattern(len), way);
            conversation.wire.write("heard")
        });
        let mut client = way.client(&program);
        let mut writer = client.stream.try_clone().unwrap();
        let writing =
            std::thread::spawn(move || std::io::Write::write_all(&mut writer, &pattern(4 * MIB)));
        assert_same(&client.take(len).unwrap(), &pattern(len), (way, flags));
        writing.join().unwrap().unwrap();
        assert_eq!(client.take(5).unwrap(), b"heard");
    }
}
