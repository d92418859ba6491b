//! The files of the dashboard over HTTP, and the picture of the ring that it requests.

use serde_json::Value;

use super::*;
use crate::control::dashboard::{FIELDS, FILES};

fn get(port: &Fixture, path: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = port.ask(request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[test]
fn every_file_is_served_with_its_security_headers() {
    let port = port();
    for file in FILES {
        let (head, body) = get(&port, file.path);
        assert!(head.starts_with("http/1.1 200 "), "{}: {head}", file.path);
        assert!(
            head.contains(&format!("\r\ncontent-type: {}\r\n", file.kind)),
            "{head}"
        );
        assert_eq!(body, file.text, "{}", file.path);
        for (name, value) in FIELDS {
            let field = format!("\r\n{name}: {}", value.to_lowercase());
            assert!(head.contains(&field), "{}: {field}: {head}", file.path);
        }
    }
    for path in [
        "/dashboard",
        "/dashboard/",
        "/dashboard/mod.rs",
        "/dashboard/a/b",
        "/index.html",
    ] {
        let (head, body) = get(&port, path);
        assert!(head.starts_with("http/1.1 404 "), "{path}: {head}");
        assert!(
            body.contains("endpoint does not exist on the control port"),
            "{body}"
        );
    }
}

#[test]
fn a_client_without_access_gets_the_page_and_no_data() {
    // A remote client without a token, although one is set.
    let page = ask_as(
        "203.0.113.7",
        Some("s3cret"),
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    let ring = ask_as(
        "203.0.113.7",
        Some("s3cret"),
        "GET /ring?points=8 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(ring.starts_with("HTTP/1.1 403 "), "{ring}");
}

#[test]
fn a_picture_has_the_requested_number_of_arcs() {
    let port = port();
    let message = |path: &str| {
        let (_, body) = get(&port, path);
        serde_json::from_str::<Value>(&body).unwrap()["message"].clone()
    };
    let plain = message("/ring");
    assert_eq!(
        (&plain["points"], &plain["circle"]),
        (&Value::Null, &Value::Null)
    );
    let drawn = message("/ring?points=512");
    let points = drawn["points"].as_array().unwrap();
    assert_eq!((points.len(), &drawn["circle"]), (512, &Value::Bool(true)));
    assert_eq!(drawn["seats"], plain["seats"]);
    // Key 0 is at slot 17, which belongs to seat 1.
    assert_eq!(points[17], 1);
    for points in ["1", "4096"] {
        assert!(message(&format!("/ring?points={points}"))["points"].is_array());
    }
    for bad in [
        "points=0",
        "points=4097",
        "points=+8",
        "points=",
        "points=x",
        "points=8&points=8",
        "dots=8",
    ] {
        let (head, _) = get(&port, &format!("/ring?{bad}"));
        assert!(head.starts_with("http/1.1 400 "), "{bad}: {head}");
    }
}
