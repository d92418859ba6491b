//! The OpenAPI description matches the table of routes and the answers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::control::http;
use crate::fleet;

fn described() -> Value {
    serde_json::from_str(http::OPENAPI).unwrap()
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let all = described();
    let mut paths = BTreeSet::new();
    for (path, item) in all["paths"].as_object().unwrap() {
        for method in item
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| *key != "parameters")
        {
            paths.insert((method.to_uppercase(), path.clone()));
        }
    }
    let served: BTreeSet<(String, String)> = http::rows()
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(paths, served);
    assert_eq!(all["openapi"], "3.1.0");
    assert_eq!(all["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn references_resolve_and_every_component_is_used() {
    let all = described();
    let text = all.to_string();
    let mut used = BTreeSet::new();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(all.pointer(pointer).is_some(), "{pointer}");
        used.insert(pointer.to_owned());
    }
    for (kind, items) in all["components"].as_object().unwrap() {
        for name in items
            .as_object()
            .unwrap()
            .keys()
            .filter(|_| kind != "securitySchemes")
        {
            let pointer = format!("/components/{kind}/{name}");
            assert!(used.contains(&pointer), "{pointer} is not used");
        }
    }
}

#[test]
fn the_description_needs_no_token() {
    let ask = "GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = ask_as("192.168.65.1", None, ask);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), described());
}

#[test]
fn events_have_exactly_the_described_fields() {
    let all = described();
    let schema = &all["components"]["schemas"]["Event"];
    let port = port();
    let events: Value = serde_json::from_str(&port.ask("events json\n")).unwrap();
    let fields = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(fields(&events[0]), fields(&schema["properties"]));
    let required = schema["required"].as_array().unwrap();
    assert_eq!(required.len(), fields(&events[0]).len());
    let kinds = schema["properties"]["kind"]["enum"].as_array().unwrap();
    for kind in fleet::EventKind::ALL {
        assert!(kinds.contains(&kind.as_str().into()), "{}", kind.as_str());
    }
    assert_eq!(
        kinds.len(),
        fleet::EventKind::ALL.len() + 3,
        "ring, bound and rollout"
    );
}
