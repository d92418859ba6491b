//! Updates: those of orders, and their twins that are refused.

use super::*;
use serde_json::json;

fn service() -> Value {
    json!({"Version": {"Index": 7}, "Spec": {
        "Name": "web",
        "Labels": {"team": "a"},
        "Mode": {"Replicated": {"Replicas": 3}},
        "TaskTemplate": {"ContainerSpec": {"Image": "web:1", "Env": ["A=1"]}, "ForceUpdate": 1},
    }})
}

/// Checks the specification with another value at this place.
fn with(path: &str, value: Value) -> Result<Option<String>, &'static str> {
    let mut spec = service()["Spec"].clone();
    let (parent, key) = path.rsplit_once('/').unwrap();
    spec.pointer_mut(parent).unwrap()[key] = value;
    check_update(&service(), "7", &spec)
}

#[test]
fn an_order_changes_number_image_generation_and_own_labels() {
    for (path, value) in [
        ("/Mode/Replicated/Replicas", json!(5)),
        ("/TaskTemplate/ForceUpdate", json!(2)),
        ("/Labels/ringmaster.ring", json!("classic")),
        ("/Labels/ringmaster.order", json!("0123")),
    ] {
        assert_eq!(with(path, value), Ok(None), "{path}");
    }
    let image = with("/TaskTemplate/ContainerSpec/Image", json!("web:2"));
    assert_eq!(image, Ok(Some("web:2".to_owned())));
    let mut bare = service();
    bare["Spec"]["Labels"] = Value::Null;
    let mut spec = bare["Spec"].clone();
    spec["Labels"] = json!({"ringmaster.bound": "1.25"});
    assert_eq!(check_update(&bare, "7", &spec), Ok(None));
}

#[test]
fn every_other_change_is_refused() {
    for (path, value) in [
        ("/Name", json!("db")),
        ("/Labels/team", json!("b")),
        ("/Labels/traefik.enable", json!("true")),
        ("/Mode", json!({"Global": {}})),
        ("/TaskTemplate/ContainerSpec/Env", json!(["A=2"])),
        ("/TaskTemplate/ContainerSpec/Image", json!(["web:2"])),
        (
            "/TaskTemplate/ContainerSpec/Mounts",
            json!([{"Type": "bind", "Source": "/"}]),
        ),
        ("/TaskTemplate/ContainerSpec/Secrets", json!([{}])),
        ("/TaskTemplate/Networks", json!([{"Target": "host"}])),
        ("/tasktemplate", json!({"ContainerSpec": {"User": "0"}})),
        ("/EndpointSpec", json!({"Ports": []})),
    ] {
        assert!(with(path, value).is_err(), "{path}");
    }
    assert!(check_update(&service(), "7", &Value::Null).is_err());
}

#[test]
fn the_version_is_that_of_the_service_which_is_compared() {
    for (version, permitted) in [("7", true), ("8", false), ("6", false), ("07", false)] {
        let checked = check_update(&service(), version, &service()["Spec"]);
        assert_eq!(checked.is_ok(), permitted, "{version}");
    }
}
