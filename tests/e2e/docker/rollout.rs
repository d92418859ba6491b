//! Images by order: containers that outlive their balancer keep them, and an image that cannot be
//! had changes nothing.

use serde_json::Value;

use crate::support::{
    ContainerImage, Docker, Engine, FakeDocker, FaultMode, Ringmaster, docker, faulty_image,
    inspect,
};

/// The faulty replica does not end on SIGTERM.
const FLAGS: [&str; 4] = ["--replicas", "2", "--replica-stop-timeout", "1s"];

/// Returns the image of each listed replica's container, in the order of the list.
#[track_caller]
fn images(engine: &Docker, program: &Ringmaster) -> Vec<String> {
    let image = |name: &String| {
        let seen = inspect(&engine.name(name));
        seen["Image"].as_str().expect("an ID").to_owned()
    };
    program.rep().iter().map(image).collect()
}

fn labels(engine: &Docker, name: &str) -> Value {
    inspect(&engine.name(name))["Config"]["Labels"].clone()
}

#[test]
fn an_image_by_order_outlives_the_balancer_as_long_as_its_flag_is_the_same() {
    let Some(engine) = Docker::fleet("ordered") else {
        return;
    };
    let engine = engine.of(ContainerImage::Faulty);
    let program = engine.balancer(&FLAGS);
    let first = images(&engine, &program)[0].clone();
    let second = faulty_image(&["FAULTY_VERSION=9"]);
    let answer = program.command(&format!("replace all --monitor 0s {second}"));
    assert!(answer.starts_with("N 2\ns-"), "{answer}");
    let with = labels(&engine, &program.rep()[0]);
    assert_eq!(with["ringmaster.image"], second.as_str());
    assert_eq!(with["ringmaster.instead-of"], first.as_str());

    // The next balancer finds one of the two dead.
    let names = program.rep();
    program.kill();
    docker(&["kill", &engine.name(&names[0])]);
    let program = engine.balancer(&FLAGS);
    program.command("add 1");
    assert_eq!(images(&engine, &program), vec![second.clone(); 3]);
    program.expect_log("new replicas run");

    // With another flag, the flag counts for new replicas.
    program.kill();
    let third = faulty_image(&["FAULTY_VERSION=10"]);
    let flags = [
        "--engine",
        "docker",
        "--fleet",
        &engine.fleet,
        "--image",
        &third,
        "--replica-stop-timeout",
        "1s",
    ];
    let program = Ringmaster::start(&flags);
    program.command("add 1");
    let mut expected = vec![second; 3];
    expected.push(third);
    assert_eq!(images(&engine, &program), expected);
    assert!(program.stop().success());
}

#[test]
fn a_version_that_the_engine_cannot_run_is_refused_and_changes_nothing() {
    let program = Engine::Process.start(&["--replicas", "1"]);
    let answer = program.command("replace all app:2");
    let sentence = "ERR processes run a command, not an image: replace all -- COMMAND\n\n";
    assert_eq!(answer, sentence);
    assert_eq!(program.rep(), ["S1"]);

    let engine = FakeDocker::start();
    let port = engine.port().to_string();
    let flags = [
        "--engine=docker",
        "--replicas=1",
        "--image=a",
        "--replica-port",
        &port,
    ];
    let program = Ringmaster::launch(engine.command(), &flags).ready();
    let answer = program.command("replace all -- ./app");
    let sentence = "ERR containers run an image, not a command: replace all IMAGE\n\n";
    assert_eq!(answer, sentence);
    // The image is missing, and so is its registry.
    engine.inject("GET /images", FaultMode::Status(404), 1);
    engine.inject("POST /images/create", FaultMode::Status(500), 1);
    let answer = program.command("replace all b");
    let part = "ERR the engine has no image b; build it, or fetch it with: docker pull b; pulling it failed";
    assert!(answer.starts_with(part), "{answer}");
    assert_eq!(program.rep(), ["S1"]);
    assert_eq!(engine.pulls().len(), 1);
    // The next time its registry has it.
    engine.inject("GET /images", FaultMode::Status(404), 1);
    let answer = program.command("replace all --monitor 0s b");
    assert!(answer.starts_with("N 1\ns-"), "{answer}");
    assert_eq!(engine.pulls().len(), 2);
}
