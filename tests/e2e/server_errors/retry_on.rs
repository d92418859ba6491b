//! `--retry-on`: a reply with a status of the list leads to another replica.

use super::*;

#[test]
fn a_status_of_the_list_leads_to_another_replica() {
    let fixture = Fixture::start(3, &[1], &["--retry-on", "502,503"]);
    let mut client = fixture.program.client();
    assert_eq!(client.ask(with_id(AT_SEAT_1)).text(), "ok");
    // A body is sent again as well.
    let put = with_id(AT_SEAT_1).replacen("GET", "PUT", 1);
    let put = put.replacen("\r\n", "\r\nContent-Length: 3\r\n", 1) + "abc";
    assert_eq!(client.ask(put).text(), "ok");
    let bodies = fixture.backends.iter().flat_map(|backend| {
        let last = backend.requests().pop();
        last.map(|request| request.text())
    });
    assert_eq!(bodies.filter(|body| body == "abc").count(), 2);
    let metrics = fixture.program.metrics();
    let counted = "ringmaster_retries_total{seat=\"1\",reason=\"status\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
    // A POST may have had its effect.
    assert_eq!(posted(&mut client), 503);
    let without = Fixture::start(3, &[1], &["--retry-on", "502"]);
    assert_eq!(
        without.program.client().ask(with_id(AT_SEAT_1)).text(),
        "busy"
    );
}

#[test]
fn the_last_reply_is_passed_on_when_every_replica_gives_that_status() {
    let fixture = Fixture::start(3, &[1, 2, 3], &["--retry-on", "503", "--retries", "5"]);
    let mut client = fixture.program.client();
    let reply = client.ask(with_id(AT_SEAT_1));
    assert_eq!((reply.status(), reply.text().as_str()), (503, "busy"));
    assert_eq!(fixture.asked(), [1, 1, 1]);
    let fewer = Fixture::start(3, &[1, 2, 3], &["--retry-on", "503", "--retries", "1"]);
    assert_eq!(fewer.program.client().ask(with_id(AT_SEAT_1)).status(), 503);
    assert_eq!(fewer.asked().iter().sum::<usize>(), 2);
}

#[test]
fn a_status_beyond_the_retry_budget_is_passed_on_and_counted() {
    let fixture = Fixture::start(3, &[1], &["--retry-on", "503"]);
    let mut client = fixture.program.client();
    let replies: Vec<u16> = (0..14)
        .map(|_| client.ask(with_id(AT_SEAT_1)).status())
        .collect();
    // Ten retries are always allowed in 10 s.
    assert_eq!(replies[..10], [200; 10]);
    assert_eq!(replies[13], 503);
    let metrics = fixture.program.metrics();
    assert!(
        !metrics.contains("ringmaster_retries_denied_total 0\n"),
        "{metrics}"
    );
    fixture.program.expect_log("the retry budget is spent");
}
