//! Heads that are read, and those that are refused.

use super::*;

fn refusal(text: &str) -> u16 {
    match request(text.as_bytes(), &mut HeaderSlots::default()) {
        Err(refused) => refused.status,
        Ok(head) => panic!("{text:?} gave {head:?}"),
    }
}

#[test]
fn lines_are_kept_as_they_were_sent() {
    let text = b"GET /x HTTP/1.1\r\nHost:  a \r\nX-A:b\r\n\r\nrest";
    let mut slots = HeaderSlots::default();
    let head = request(text, &mut slots).unwrap().unwrap();
    let lines: Vec<&[u8]> = head.fields.iter().map(|field| field.line).collect();
    assert_eq!(lines, [&b"Host:  a \r\n"[..], b"X-A:b\r\n"]);
    assert_eq!(head.len, text.len() - 4);
    assert_eq!(head.fields.get("host"), Some(&b"a"[..]));
}

#[test]
fn every_prefix_of_a_good_head_is_partial() {
    let text = b"\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in 0..text.len() {
        assert!(
            matches!(request(&text[..cut], &mut HeaderSlots::default()), Ok(None)),
            "{cut}"
        );
    }
    assert!(matches!(
        request(text, &mut HeaderSlots::default()),
        Ok(Some(_))
    ));
}

#[test]
fn input_for_lenient_parsers_is_refused() {
    for text in [
        "GET /x HTTP/1.1\nHost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\n\n",
        "\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\n fold\r\n\r\n",
        "GET  /x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x http/1.1\r\nHost: a\r\n\r\n",
        "GET /x HTTP/1.10\r\nHost: a\r\n\r\n",
        "GET /x\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(refusal(text), 400, "{text:?}");
    }
    assert_eq!(refusal("PRI * HTTP/2.0\r\n\r\n"), 505);
}

#[test]
fn a_response_begins_with_its_status_line() {
    let text = b"\r\nHTTP/1.1 200 OK\r\n\r\n";
    assert!(response(text, &mut ResponseHeaderSlots::default()).is_err());
    assert!(matches!(
        response(&text[2..], &mut ResponseHeaderSlots::default()),
        Ok(Some(_))
    ));
}

#[test]
fn fields_are_counted_at_the_edge() {
    let head = |extra: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X-A: b\r\n".repeat(extra)
        )
    };
    assert!(request(head(MAX_FIELDS - 1).as_bytes(), &mut HeaderSlots::default()).is_ok());
    assert_eq!(refusal(&head(MAX_FIELDS)), 431);
    let response = |fields: usize| {
        let text = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(fields));
        let mut slots = ResponseHeaderSlots::default();
        response(text.as_bytes(), &mut slots).map(|head| head.is_some())
    };
    assert_eq!(response(MAX_RESPONSE_FIELDS), Ok(true));
    let over = response(MAX_RESPONSE_FIELDS + 1).unwrap_err();
    assert!(
        over.0.contains(&MAX_RESPONSE_FIELDS.to_string()),
        "{over:?}"
    );
}

#[test]
fn lists_are_split_over_lines_without_empty_members() {
    let text = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: a ,,\tb\r\nconnection: c\r\n\r\n";
    let mut slots = HeaderSlots::default();
    let head = request(text, &mut slots).unwrap().unwrap();
    let members: Vec<&[u8]> = head.fields.members("connection").collect();
    assert_eq!(members, [b"a", b"b", b"c"]);
}
