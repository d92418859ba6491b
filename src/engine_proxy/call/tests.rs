//! Request lines: permitted ones, and their twins that are refused.

use super::*;

fn read(line: &str) -> Result<Call, &'static str> {
    let (method, target) = line.split_once(' ').unwrap();
    let uri: Uri = target.parse().map_err(|_| "no target")?;
    Call::read(&method.parse().unwrap(), &uri)
}

/// Returns the path of the rule, the object and the target; or the reason of the refusal.
fn judge(line: &str, caller: Caller) -> Result<(&'static str, String, String), String> {
    let call = read(line)?;
    let RuledCall { rule, object } = call.find_rule(caller)?;
    let target = call.target(rule, object, &[]);
    Ok((rule.path, object.to_owned(), target))
}

#[test]
fn a_call_of_the_fleet_finds_its_rule_and_is_written_again() {
    for (line, path, object) in [
        ("GET /version", "/version", ""),
        ("GET /v1.41/version", "/version", ""),
        ("GET /containers/json?all=true", "/containers/json", ""),
        (
            "GET /containers/own-S1/json",
            "/containers/{container}/json",
            "own-S1",
        ),
        (
            "GET /containers/create/json",
            "/containers/{container}/json",
            "create",
        ),
        (
            "POST /containers/a1/stop?t=10",
            "/containers/{container}/stop",
            "a1",
        ),
        (
            "DELETE /containers/a1?v=true",
            "/containers/{container}",
            "a1",
        ),
        (
            "GET /images/r:5000/a/b:1/json",
            "/images/{image}/json",
            "r:5000/a/b:1",
        ),
        (
            "GET /images/a@sha256:0/json",
            "/images/{image}/json",
            "a@sha256:0",
        ),
        ("GET /networks/bridge", "/networks/{network}", "bridge"),
        ("GET /v1.41/events?filters=%7B%7D", "/events", ""),
    ] {
        let target = line.split_once(' ').unwrap().1.to_owned();
        assert_eq!(
            judge(line, Caller::Containers),
            Ok((path, object.to_owned(), target)),
            "{line}"
        );
    }
}

#[test]
fn every_other_method_path_and_form_is_refused() {
    for line in [
        // No rule.
        "GET /",
        "GET /_ping",
        "GET /info",
        "GET /services",
        "POST /containers/a1/kill/",
        "HEAD /containers/json",
        "PUT /containers/a1/archive",
        "GET /containers/a1/archive",
        "GET /containers/a1/export",
        "POST /containers/a1/exec",
        "POST /exec/a1/start",
        "POST /containers/a1/attach",
        "POST /containers/a1/update",
        "POST /containers/a1/copy",
        "POST /containers/a1/json",
        "DELETE /containers/create/x",
        "DELETE /containers/",
        "POST /containers/prune",
        "POST /build",
        "POST /commit",
        "POST /session",
        "POST /grpc",
        "GET /images/json",
        "DELETE /images/a",
        "POST /images/a/push",
        "GET /images/a/get",
        "POST /images/load",
        "GET /volumes",
        "POST /volumes/create",
        "GET /secrets",
        "POST /networks/create",
        "POST /networks/n/connect",
        "GET /networks/a/b",
        "POST /swarm/init",
        "POST /plugins/pull",
        "CONNECT /version",
        "get /version",
        // Other forms of the path.
        "GET //version",
        "GET /version/",
        "GET /v1.41//version",
        "GET /v1.41/v1.41/version",
        "GET /v1/version",
        "GET /v1.4111/version",
        "GET /v1.x/version",
        "GET /containers/../version",
        "GET /./version",
        "GET /containers/a1/../a2/json",
        "GET /containers/./json",
        "GET /images/../containers/a1/json",
        "GET /images/a/../../containers/a1/json",
        "GET /containers/a1%2Fexec/json",
        "GET /%76ersion",
        "GET /containers/a:1/json",
        "GET /containers/a1;x/json",
        "GET /containers/a1\\json",
        "GET /versiOn",
        // Other forms of the target.
        "GET http://docker/version",
        "GET *",
        // Parameters.
        "GET /version?x=1",
        "POST /containers/a1/start?detachKeys=x",
        "GET /containers/json?all=true&all=true",
        "GET /containers/json?all",
        "GET /containers/json?all=true&",
        "GET /containers/json?=true",
        "GET /containers/json?a%6Cl=true",
        "GET /containers/json?all=%FF",
        "GET /containers/json?limit=1",
        "POST /images/create?fromSrc=x",
        "POST /containers/a1/kill?signal=SIGKILL;x=1",
    ] {
        // The value of a parameter is not checked here.
        let is_value = line.ends_with(";x=1");
        let judged = judge(line, Caller::Containers);
        assert_eq!(judged.is_ok(), is_value, "{line}: {judged:?}");
    }
}

#[test]
fn a_caller_has_its_own_rules() {
    let may = |line: &str, caller| judge(line, caller).is_ok();
    for (line, containers, service) in [
        ("GET /version", true, true),
        ("POST /containers/create?name=a", true, false),
        ("DELETE /containers/a1", true, false),
        ("POST /containers/a1/kill", true, true),
        ("POST /containers/a1/kill?signal=SIGKILL", true, false),
        ("GET /services", false, true),
        ("POST /services/s1/update?version=1", false, true),
        (
            "POST /services/s1/update?version=1&rollback=previous",
            false,
            false,
        ),
        ("GET /tasks/t1", false, true),
        ("POST /services/create", false, false),
        ("DELETE /services/s1", false, false),
        ("GET /nodes", false, false),
    ] {
        assert_eq!(may(line, Caller::Containers), containers, "{line}");
        assert_eq!(may(line, Caller::Service), service, "{line}");
    }
}

#[test]
fn the_engine_gets_the_object_and_the_parameters_that_were_checked() {
    let call = read("DELETE /v1.41/containers/own-S1?v=true&force=%74rue").unwrap();
    let rule = call.find_rule(Caller::Containers).unwrap().rule;
    assert_eq!(
        call.target(rule, "0123", &[]),
        "/v1.41/containers/0123?v=true&force=true"
    );
    let call = read("POST /images/create?fromImage=a%26b+c").unwrap();
    let rule = call.find_rule(Caller::Containers).unwrap().rule;
    assert_eq!(call.parameter("fromImage"), Some("a&b c"));
    assert_eq!(
        call.target(rule, "", &[]),
        "/images/create?fromImage=a%26b%20c"
    );
    assert_eq!(
        call.target(rule, "", &[("fromImage", "a:1")]),
        "/images/create?fromImage=a%3A1"
    );
}
