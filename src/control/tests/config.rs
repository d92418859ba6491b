//! `show config` and `GET /config`.

use serde_json::{Value, json};

use super::*;

#[test]
fn every_setting_has_its_value_and_its_source() {
    let port = port();
    assert_eq!(
        port.ask("show config\n"),
        "SETTING        SOURCE          VALUE\n\
         max-head       /etc/r.toml:7   32KiB\n\
         via            RINGMASTER_VIA  a\n\
         workers        default         -\n\
         ring           default         classic (configured: uniform)\n\
         control-host   default         a b\n\
         control-token  flag            set\n\n"
    );
}

#[test]
fn the_settings_as_json_are_those_of_the_path() {
    let port = port();
    let text = port.ask("show config json\n");
    let answer: Value = serde_json::from_str(&text).unwrap();
    let settings = json!([
        {"name": "max-head", "value": "32KiB", "source": "file", "line": 7, "column": 12},
        {"name": "via", "value": "a", "source": "variable", "variable": "RINGMASTER_VIA"},
        {"name": "workers", "value": null, "source": "default"},
        {"name": "ring", "value": "classic", "source": "default", "configured": "uniform"},
        {"name": "control-host", "value": ["a", "b"], "source": "default"},
        {"name": "control-token", "value": "set", "source": "flag"},
    ]);
    let message = json!({"file": "/etc/r.toml", "settings": settings});
    assert_eq!(answer, json!({"message": message, "status": "successful"}));
    let reply = port.ask("GET /config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let (_, body) = reply.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, text.trim_end_matches('\n').to_owned() + "\n");
    let denied = ask_as("10.1.2.3", Some("other"), "show config\n");
    assert!(
        denied.starts_with("ERR /config is for local peers"),
        "{denied}"
    );
}
