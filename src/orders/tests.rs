//! Order of the checks, as the contract has it, and the JSON of the answers.

use super::*;

#[test]
fn the_first_failing_check_gives_the_error() {
    let cases = [
        ("", "request body is not a JSON object"),
        ("[1]", "request body is not a JSON object"),
        ("{}", "n is missing"),
        (
            r#"{"n":0,"hostname":["S9"]}"#,
            "'hostname' is not a field of this request; did you mean 'hostnames'?",
        ),
        (
            r#"{"n":1,"verbose":true}"#,
            "'verbose' is not a field of this request; the fields are: n, hostnames",
        ),
        (r#"{"n":0,"hostnames":7}"#, "n is not a positive integer"),
        (r#"{"n":-1}"#, "n is not a positive integer"),
        (r#"{"n":1.5}"#, "n is not a positive integer"),
        (r#"{"n":"2"}"#, "n is not a positive integer"),
        (
            r#"{"n":1,"hostnames":"S4"}"#,
            "hostnames is not a list of strings",
        ),
        (
            r#"{"n":1,"hostnames":null}"#,
            "hostnames is not a list of strings",
        ),
        (
            r#"{"n":1,"hostnames":["S4",5]}"#,
            "hostnames is not a list of strings",
        ),
        (
            r#"{"n":1,"hostnames":["-","-"]}"#,
            "Length of hostname list is more than newly added instances",
        ),
        (
            r#"{"n":2,"hostnames":["S4","S4"]}"#,
            "hostname S4 is given twice",
        ),
    ];
    for (body, sentence) in cases {
        assert_eq!(
            ChangeKind::Add.parse_body(body.as_bytes()),
            Err(OrderError::invalid(sentence)),
            "{body}"
        );
    }
    let illegal = ChangeKind::Add
        .parse_body(br#"{"n":2,"hostnames":["a b","a b"]}"#)
        .unwrap_err();
    assert!(
        illegal
            .sentence
            .contains("'a b' is not a legal replica name"),
        "{illegal:?}"
    );
}

#[test]
fn the_name_of_an_unknown_field_is_repeated_escaped_and_in_part() {
    let name = r"\u001b".repeat(1_000);
    let body = format!(r#"{{"{name}":1}}"#);
    let refusal = parse_fields(body.as_bytes(), &[]).unwrap_err();
    let shown = r"\u001b".repeat(terminal::MAX_ECHO);
    assert_eq!(
        refusal.sentence,
        format!("'{shown}...' is not a field of this request; this request has no fields")
    );
}

#[test]
fn a_good_body_keeps_the_order_of_names() {
    let change = ChangeKind::Rm
        .parse_body(br#"{"n":3,"hostnames":["S5","S4"]}"#)
        .unwrap();
    let names: Vec<&str> = change.names.iter().map(AsRef::as_ref).collect();
    assert_eq!((change.n, names), (3, vec!["S5", "S4"]));
}

#[test]
fn an_order_is_logged_in_short_form() {
    let change = ChangeKind::Add.parse_change(2, &["S5", "S4"]).unwrap();
    assert_eq!(Order::Add(change).to_string(), "/add n=2 S5 S4");
    let change = ChangeKind::Rm.parse_change::<&str>(3, &[]).unwrap();
    assert_eq!(Order::Rm(change).to_string(), "/rm n=3");
}

#[test]
fn answers_have_the_documented_json() {
    let names = ["S1", "S2"].map(|name| name.parse().unwrap()).to_vec();
    let (status, body) = render(&Ok(names));
    assert_eq!(status, 200);
    assert_eq!(
        body,
        r#"{"message":{"N":2,"replicas":["S1","S2"]},"status":"successful"}"#
    );
    let (status, body) = render(&Err(OrderError::invalid("no")));
    assert_eq!(
        (status, body.as_str()),
        (400, r#"{"message":"<Error> no","status":"failure"}"#)
    );
}
